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
"""

import json
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.directives.patches import Figure

from saebook import pages

FOLDER = "interactive"


def draw():
    """The dictionary that the front page draws with, and ten digits."""
    stored = pages.results("strokes")
    settings, found = stored["settings"], stored["validation"]
    return {
        "k": settings["k"], "dead": found["dead"], **stored["model"], "digits": stored["digits"]
    }  # fmt: skip


DATA = {"draw": draw}


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
        app.add_css_file(f"{FOLDER}/parts.css")


def write_data(app, exception):
    if exception is not None or app.builder.name != "html":
        return
    folder = Path(app.outdir, "_static", FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in DATA.items():
        text = json.dumps(make(), separators=(",", ":"))
        (folder / f"{name}-data.js").write_text(f"saebook.data.{name} = {text};\n", "utf8")


def setup(app):
    app.add_directive("interactive", Interactive)
    app.connect("html-page-context", load_parts)
    app.connect("build-finished", write_data)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
