"""The book's own Sphinx extensions, on a site of one page."""

import base64
import io
import json
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image
from sphinx.application import Sphinx

from saebook import pages

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "book" / "_ext"))

PICTURE = base64.b64encode(b"the pixels").decode()


# Said here, because MyST-NB changes Sphinx's own default for all sites of a process.
PLAIN = {"source_suffix": {".md": "markdown"}, "html_theme": "basic"}


@pytest.fixture
def build(tmp_path):
    """Build a page from cells that have been executed; return its HTML and the warnings."""

    def build(*cells):
        nbformat.write(
            new_notebook(cells=[new_markdown_cell("# Page"), *cells]), tmp_path / "index.ipynb"
        )
        warnings = io.StringIO()
        app = Sphinx(
            tmp_path,
            None,
            tmp_path / "html",
            tmp_path / "doctrees",
            "html",
            {
                "extensions": [
                    "myst_nb",
                    "sphinx_design",
                    "checked",
                    "figure_alt",
                    "framework_tabs",
                ],
                "nb_execution_mode": "off",
                "nb_render_markdown_format": "myst",
                "html_theme": "basic",
            },
            status=None,
            warning=warnings,
        )
        app.build()
        page = (tmp_path / "html" / "index.html").read_text("utf8")
        return BeautifulSoup(page, "html.parser"), warnings.getvalue()

    return build


def code(source, tag=None):
    return new_code_cell(source, metadata={"tags": [tag]} if tag else {})


def picture(**metadata):
    data = {"image/png": PICTURE, "text/plain": "<Figure>"}
    output = new_output("display_data", data, metadata={"image/png": metadata} if metadata else {})
    return new_code_cell("show(figure)", outputs=[output])


def test_alt_text_of_an_output_reaches_the_page(build):
    page, warnings = build(picture(alt="A rising curve", width=40, caption="It rises.", text=15.3))
    assert page.img["alt"] == "A rising curve"
    assert page.img["class"] == ["text-153"]
    assert page.figure.img is page.img
    assert page.figure.figcaption.get_text(strip=True).startswith("It rises.")
    assert "40" in page.img["style"] + page.img.get("width", "")
    assert "without" not in warnings


def test_a_picture_without_alt_text_or_caption_is_a_warning(build):
    words = {"alt": "A rising curve", "caption": "It rises."}
    _, warnings = build(picture(**words), picture(caption="It falls."), picture(alt="A curve"))
    assert warnings.count("image without alt text") == 1
    assert warnings.count("figure without caption") == 1


def table(**metadata):
    text = "*The **first** wins.*\n\n| a |\n| --- |\n| x |\n\nStored."
    output = new_output("display_data", {"text/markdown": text}, metadata=metadata)
    return new_code_cell("pages.table(...)", outputs=[output])


def test_the_line_above_a_table_becomes_its_caption(build):
    page, _ = build(table(**{"text/markdown": {"caption": True}}), table())
    first, second = page.find_all("table")
    assert first.get("id")  # without it Sphinx would give it no number
    assert first.caption.select_one(".caption-text").decode_contents() == (
        "The <strong>first</strong> wins."
    )
    assert not second.caption
    assert page.get_text().count("The first wins.") == 2
    assert page.get_text().count("Stored.") == 2


def tabs(page):
    """The code of every tab, by set and label."""
    return [
        {
            label.get_text(strip=True): [
                pre.get_text(strip=True) for pre in content.find_all("pre")
            ]
            for label, content in zip(
                tab_set.select("label"), tab_set.select(".sd-tab-content"), strict=True
            )
        }
        for tab_set in page.select(".sd-tab-set")
    ]


def test_neighbouring_cells_become_tabs(build):
    page, _ = build(
        code("a"),
        code("b", "tab-torch"),
        code("c", "tab-torch"),
        code("d", "tab-tf"),
        code("e"),
    )
    assert tabs(page) == [{"PyTorch": ["b", "c"], "TensorFlow": ["d"]}]
    assert [pre.get_text(strip=True) for pre in page.find_all("pre")] == ["a", "b", "c", "d", "e"]


def test_a_framework_that_comes_back_starts_a_new_set(build):
    page, _ = build(*[code(s, t) for s, t in zip("abcd", ("tab-torch", "tab-tf") * 2, strict=True)])
    first, second = {"PyTorch": ["a"], "TensorFlow": ["b"]}, {"PyTorch": ["c"], "TensorFlow": ["d"]}
    assert tabs(page) == [first, second]


def test_prose_ends_a_set_and_a_lone_cell_stays_plain(build):
    page, _ = build(code("a", "tab-torch"), new_markdown_cell("And:"), code("b", "tab-tf"))
    assert tabs(page) == []
    assert [pre.get_text(strip=True) for pre in page.find_all("pre")] == ["a", "b"]


def test_sets_switch_together(build):
    page, _ = build(code("a", "tab-torch"), code("b", "tab-tf"))
    labels = page.select(".sd-tab-set label")
    assert [label["data-sync-id"] for label in labels] == ["tab-torch", "tab-tf"]
    assert {label["data-sync-group"] for label in labels} == {"framework"}


def test_the_assertions_of_a_section_stand_behind_one_mark_at_its_end(build):
    page, _ = build(
        code("a"),
        code("assert a", "hide-cell"),
        code("b"),
        code("assert b", "hide-cell"),
        new_markdown_cell("## Part"),
        code("c"),
        new_markdown_cell("## Checked part"),
        code("assert d", "hide-cell"),
        new_markdown_cell("End."),
    )
    sections = page.select("section")
    marks = [section.find("details", recursive=False) for section in sections]
    codes = [mark and [pre.get_text(strip=True) for pre in mark.select("pre")] for mark in marks]
    assert codes == [["assert a", "assert b"], None, ["assert d"]]
    assert {mark.summary.get_text() for mark in marks if mark} == {"checked"}
    assert marks[0].find_next_sibling("section")
    assert marks[2].find_previous_sibling("p").get_text() == "End."
    assert not page.select("details.hide")


def test_pictures_become_webp_without_loss(tmp_path):
    from light_pages import to_webp

    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "figure.png")
    to_webp(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["figure.webp"]
    with Image.open(tmp_path / "figure.webp") as image:
        assert (np.asarray(image) == pixels).all()


def test_a_style_sheet_keeps_the_icons_in_use(tmp_path):
    from light_pages import drop_icon_rules

    used = '.fa-download:before{content:"\\f019"}'
    unused = '.fa-0:before{content:"\\30"}.fa-pens:before,.fa-other:before{content:"\\f045"}'
    either = '.fa-edit:before,.fa-pen:before{content:"\\f044"}'
    others = '.fa-lg{font-size:1.2em}.note:before{content:"\\f045"}'
    (tmp_path / "theme.css").write_text(used + unused + either + others)
    drop_icon_rules(tmp_path, {"download", "pen", "lg"})
    assert (tmp_path / "theme.css").read_text() == used + either + others


@pytest.mark.parametrize("builder", ["html", "singlehtml"])
def test_an_interactive_part_is_a_figure_with_a_script_on_pages_alone(tmp_path, builder):
    """Paper is printed from the single page, where the figure has to stay."""
    Image.new("L", (4, 4)).save(tmp_path / "part.png")
    part = "```{interactive} part.png\n:part: draw\n:alt: a part\nIt moves.\n```\n"
    (tmp_path / "index.md").write_text(f"# With\n\n{part}\n```{{toctree}}\nother\n```\n")
    (tmp_path / "other.md").write_text("# Without\n")
    app = Sphinx(
        tmp_path,
        None,
        tmp_path / "out",
        tmp_path / "doctrees",
        builder,
        {**PLAIN, "extensions": ["myst_parser", "interactive"]},
        status=None,
    )
    app.build()
    page = BeautifulSoup((tmp_path / "out" / "index.html").read_text("utf8"), "html.parser")
    (box,) = page.select(".interactive.part-draw")
    assert box.figure.img["alt"] == "a part"
    assert box.figcaption.get_text(strip=True).startswith("It moves.")
    scripts = [script["src"] for script in page.select("script[src*=interactive]")]
    assert len(scripts) == (builder == "html")
    data = tmp_path / "out" / "_static" / "interactive" / "draw-data.js"
    assert data.exists() == (builder == "html")
    if builder == "html":
        assert "interactive" not in (tmp_path / "out" / "other.html").read_text("utf8")


def test_a_dashboard_that_a_cell_handed_over_is_unpacked(tmp_path):
    from interactive import unpack_dashboards

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("look/index.html", "latents")
    glued = {"name": "dashboard-look", "folder": base64.b64encode(packed.getvalue()).decode()}
    output = new_output("display_data", {"text/plain": "look"}, metadata={pages.GLUED: glued})
    (tmp_path / "jupyter_execute" / "book").mkdir(parents=True)
    file = tmp_path / "jupyter_execute" / "book" / "chapter.glue.json"
    file.write_text(json.dumps({"dashboard-look": output}))
    for builder, there in (("singlehtml", False), ("html", True)):
        app = SimpleNamespace(outdir=tmp_path / "html", builder=SimpleNamespace(name=builder))
        unpack_dashboards(app, None)
        page = tmp_path / "html" / "_static" / "dashboards" / "look" / "index.html"
        assert page.exists() == there
    assert page.read_text() == "latents"


CHAPTER = """# Chapter

Why is the *sky* blue? Nobody knew.

**Minutes:** 20 to
read. **Prerequisites:** none.

## Summary

- It scatters.
- See [the other](index.md).
"""


@pytest.mark.parametrize(
    ("line", "complaint"),
    [("one: result 2", None), ("one, result 2", "a line must be like 'theory: result 2")],
)
def test_a_card_says_what_its_chapter_says(tmp_path, line, complaint):
    (tmp_path / "one.md").write_text(CHAPTER)
    (tmp_path / "index.md").write_text(
        f"# Book\n\n```{{chapter-cards}}\n{line}\n```\n\n```{{toctree}}\none\n```\n"
    )
    warnings = io.StringIO()
    app = Sphinx(
        tmp_path,
        None,
        tmp_path / "out",
        tmp_path / "doctrees",
        "html",
        {**PLAIN, "extensions": ["myst_parser", "chapter_cards"]},
        status=None,
        warning=warnings,
    )
    app.build()
    page = BeautifulSoup((tmp_path / "out" / "index.html").read_text("utf8"), "html.parser")
    if complaint:
        assert complaint in warnings.getvalue()
        return
    (card,) = page.select(".chapter-card")
    assert [p.get_text() for p in card.find_all("p")] == [
        "Chapter",
        "Why is the sky blue?",
        "See the other.",
        "Minutes: 20 to read.",
    ]
    assert [link["href"] for link in card.find_all("a")] == ["one.html"]
