"""Parts of a page to touch: a figure that a script replaces, and the data that the script reads.

    ```{interactive} assets/interactive/draw.png
    :part: draw
    :name: fig-draw
    :alt: what the picture shows
    What one can do, and see.
    ```

The figure is all there is where no script runs: on paper, in notebooks, without JavaScript. On a
page, assets/interactive/parts.js starts PART.js beside it once the figure comes into view, and only
then fetches its data. The build writes these as scripts, since a page opened from a file may load
those but not read JSON.

The part dashboard-NAME is a dashboard that a cell of the page has written: a folder NAME that it
handed over by `saebook.pages.dashboard`. The build unpacks it from the cell's output.
"""

import base64
import io
import json
import zipfile
import zlib
from functools import partial
from pathlib import Path

import numpy as np
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.directives.patches import Figure

from saebook import mnist, pages

FOLDER = "interactive"


def draw():
    """The dictionary that the front page draws with, and ten digits."""
    stored = pages.results("strokes")
    settings, found = stored["settings"], stored["validation"]
    return {
        "k": settings["k"], "dead": found["dead"], **stored["model"], "digits": stored["digits"]
    }  # fmt: skip


LEVELS, N_TRAIN, N_HELD = 6, 2000, 200  # grey levels and digits that a page can carry


def train():
    """Digits to train on and digits held back, in few grey levels."""
    digits = mnist(dtype="uint8")
    images = np.concatenate([digits.x_train[:N_TRAIN], digits.x_val[:N_HELD]])
    levels = np.round(images / 255 * (LEVELS - 1)).astype("u1")
    packed = base64.b64encode(zlib.compress(levels.tobytes(), 9)).decode()
    return {"n_train": N_TRAIN, "levels": LEVELS, "digits": packed}


def toy():
    """The toy model as its chapter trains it, and how often 50 starts ended in each arrangement."""
    stored = pages.results("superposition")
    return {
        "shares": stored["settings"]["toy_shares"],
        "importance": [0.9**j for j in range(5)],
        "steps": 3000,
        "batch": 256,
        "rates": [0.01, 0.0001],
        "n_stored": stored["settings"]["toy_starts"],
        "stored": [stored["toy"][n] for n in ("orthogonal", "antipodal pairs", "pentagon")],
    }


def frontier():
    """Where each model of the sweep stands; its pictures are another file for each kind."""
    stored = pages.results("frontier")
    points = {
        kind: [{"value": v, "l0": m["l0"], "fvu": m["fvu"]} for v, m in models.items()]
        for kind, models in stored["models"].items()
    }
    return {"label": stored["settings"]["label"], "digit": stored["digit"], "points": points}


def frontier_kind(kind):
    """The pictures of a kind's models."""
    shown = ("dictionary", "code", "strokes", "x_hat")
    models = pages.results("frontier")["models"][kind].values()
    return [{name: model[name] for name in shown} for model in models]


DATA = {"draw": draw, "train": train, "toy": toy, "frontier": frontier} | {
    f"frontier-{kind}": partial(frontier_kind, kind)
    for kind in ("L1", "TopK", "BatchTopK", "JumpReLU", "Gated", "Matryoshka")
}


class Interactive(Figure):
    option_spec = Figure.option_spec | {"part": directives.unchanged_required}

    def run(self):
        classes = ["interactive", f"part-{self.options.pop('part')}"]
        return [nodes.container("", *super().run(), classes=classes)]


def parts_of(doctree):
    """The interactive parts of a page."""
    return [
        name.removeprefix("part-")
        for node in doctree.findall(nodes.container)
        if "interactive" in node["classes"]
        for name in node["classes"]
        if name.startswith("part-")
    ]


def load_parts(app, pagename, templatename, context, doctree):
    """The loader, on pages that have something to load; paper keeps its figures."""
    if app.builder.name == "html" and doctree is not None and parts_of(doctree):
        app.add_js_file(f"{FOLDER}/parts.js", defer="defer")


def write_data(app, exception):
    if exception is not None or app.builder.name != "html":
        return
    folder = Path(app.outdir, "_static", FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in DATA.items():
        text = json.dumps(make(), separators=(",", ":"))
        (folder / f"{name}-data.js").write_text(f'saebook.data["{name}"] = {text};\n', "utf8")


def unpack_dashboards(app, exception):
    """The folders that cells handed over, from the files where MyST-NB leaves such outputs."""
    if exception is not None or app.builder.name != "html":
        return
    for path in Path(app.outdir).parent.glob("jupyter_execute/**/*.glue.json"):
        for output in json.loads(path.read_text("utf8")).values():
            if packed := output["metadata"][pages.GLUED].get("folder"):
                with zipfile.ZipFile(io.BytesIO(base64.b64decode(packed))) as archive:
                    archive.extractall(Path(app.outdir, "_static", "dashboards"))


def setup(app):
    app.add_directive("interactive", Interactive)
    app.connect("html-page-context", load_parts)
    app.connect("build-finished", write_data)
    app.connect("build-finished", unpack_dashboards)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
