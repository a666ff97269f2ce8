"""Make a deck of slides of each chapter, from its page of the built book.

    python scripts/make_slides.py [NAME ...]    (without names: all chapters)

Needs the built book and the files of reveal.js; writes _build/slides/. A slide is a section: its
heading, its formulas, its figures and its tables; more than fit go to further slides. The section's
text is the speaker's notes, which the key S opens. Nothing is fetched from elsewhere: copy the
folder to any computer.
"""

import argparse
import shutil
import sys
from html import escape
from importlib.resources import files
from pathlib import Path
from urllib.parse import unquote

from bs4 import BeautifulSoup
from plain_markdown import Book

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "_build" / "html"
REVEAL = ROOT / "_build" / "reveal" / "sphinx_revealjs" / "_static" / "revealjs"
MATHJAX = files("sphinx-mathjax-offline") / "static" / "mathjax" / "tex-svg-full.js"
REVEAL_FILES = (
    "dist/reset.css",
    "dist/reveal.css",
    "dist/reveal.js",
    "dist/theme/white.css",
    "plugin/notes/notes.js",
    "plugin/notes/speaker-view.html",
)
STOP = {"Exercises", "References"}
MOST_ROWS = 16  # of a table, its head included, that a slide has room for

PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}: slides</title>
<link rel="stylesheet" href="reveal/dist/reset.css">
<link rel="stylesheet" href="reveal/dist/reveal.css">
<link rel="stylesheet" href="reveal/dist/theme/white.css">
<style>
  .reveal {{ font-size: 30px; }}
  .reveal h2 {{ font-size: 1.5em; text-transform: none; }}
  .reveal section img {{ max-height: 62vh; }}
  .reveal table {{ font-size: 0.65em; }}
</style>
<script>
  MathJax = {{ options: {{ enableMenu: false }} }};
</script>
<script defer src="mathjax/tex-svg-full.js"></script>
</head>
<body>
<div class="reveal"><div class="slides">
{slides}
</div></div>
<script src="reveal/dist/reveal.js"></script>
<script src="reveal/plugin/notes/notes.js"></script>
<script>Reveal.initialize({{ hash: true, plugins: [RevealNotes] }});</script>
</body>
</html>
"""


def text_of(section):
    """The section's prose, for the notes: paragraphs and list items outside cells and boxes."""
    for node in section.find_all(["p", "li"]):
        if not node.find_parent(class_=["cell", "dropdown", "exercise", "solution", "bibtex"]):
            yield " ".join(node.get_text().split())


def pictures(section, images):
    """The section's figures, copied beside the slides, with their descriptions."""
    for node in section.find_all("img"):
        if node.find_parent(class_=["dropdown", "solution"]) or "only-dark" in node.get(
            "class", []
        ):
            continue
        file = SITE / "book" / unquote(node["src"])
        shutil.copyfile(file, images / file.name)
        yield f'<img src="images/{file.name}" alt="{escape(node.get("alt", ""), quote=True)}">'


def formulas(section):
    """The section's displayed formulas, in TeX between \\[ and \\]."""
    for node in section.find_all("div", class_="math"):
        if not node.find_parent(class_=["dropdown", "exercise", "solution"]):
            for number in node.find_all("span", class_="eqno"):
                number.decompose()
            yield f"<div>{escape(node.get_text().strip())}</div>"


def tables(section):
    """The section's tables that fit on a slide, without what only the page needs."""
    for node in section.find_all("table"):
        hidden = node.find_parent(class_=["dropdown", "exercise", "solution"])
        if hidden or len(node.find_all("tr")) > MOST_ROWS:
            continue
        for inner in [node, *node.find_all(True)]:
            inner.attrs = {k: v for k, v in inner.attrs.items() if k in ("colspan", "rowspan")}
        yield str(node)


def shown_in(section, images):
    """What a section shows, in the order formulas, figures, tables, and its share of a slide."""
    yield from ((item, 1) for item in formulas(section))
    yield from ((item, 2) for item in pictures(section, images))
    yield from ((item, 2) for item in tables(section))


def own_part(section):
    """A copy of a section without the sections of the second level inside it."""
    copy = BeautifulSoup(str(section), "html.parser").section
    if copy.find("h1"):
        for inner in copy.find_all("section"):
            inner.decompose()
    return copy


def deck(page, images):
    """The page of a chapter's slides, from its page on the built site."""
    soup = BeautifulSoup((SITE / "book" / f"{page}.html").read_text("utf8"), "html.parser")
    for mark in soup.select("a.headerlink"):
        mark.decompose()
    title, slides = soup.find("h1").get_text().strip(), []
    for section in [h.parent for h in soup.find("article").find_all(["h1", "h2"])]:
        part = own_part(section)
        heading = part.find(["h1", "h2"]).get_text().strip()
        if heading in STOP:
            break
        shown = f"<h2>{escape(heading)}</h2>\n"
        notes = "\n".join(f"<p>{escape(line)}</p>" for line in text_of(part))
        # A picture, a table or two formulas fill a slide; the notes go with the first.
        groups, room = [[]], 2
        for item, need in shown_in(part, images):
            if need > room and groups[-1]:
                groups.append([])
                room = 2
            groups[-1].append(item)
            room -= need
        for number, group in enumerate(groups):
            aside = "" if number else f'<aside class="notes">{notes}</aside>\n'
            slides.append("<section>\n" + shown + "\n".join(group) + f"\n{aside}</section>")
    return PAGE.format(title=escape(title), slides="\n".join(slides))


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("chapter", nargs="*", help="a chapter's name, for example: theory")
    parser.add_argument("--out", type=Path, default=ROOT / "_build" / "slides")
    parser.add_argument("--reveal", type=Path, default=REVEAL, help="the files of reveal.js")
    options = parser.parse_args(arguments)
    book = Book(ROOT)
    pages = [Path(page).name for page in book.chapters if (SITE / f"{page}.html").exists()]
    if not pages:
        parser.error("the book has not been built: run `make book` first")
    if unknown := set(options.chapter) - set(pages):
        parser.error(f"no chapter {', '.join(unknown)} was built; there are: {', '.join(pages)}")
    for name in REVEAL_FILES:
        target = options.out / "reveal" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(options.reveal / name, target)
    fonts = "dist/theme/fonts/source-sans-pro"
    shutil.copytree(options.reveal / fonts, options.out / "reveal" / fonts, dirs_exist_ok=True)
    (options.out / "mathjax").mkdir(exist_ok=True)
    (options.out / "mathjax" / "tex-svg-full.js").write_bytes(MATHJAX.read_bytes())
    images = options.out / "images"
    images.mkdir(exist_ok=True)
    for name in options.chapter or pages:
        (options.out / f"{name}.html").write_text(deck(name, images), "utf8")
        print(options.out / f"{name}.html")
    return 0


if __name__ == "__main__":
    sys.exit(main())
