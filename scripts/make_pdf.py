"""Print the whole book as one PDF: _build/pdf/saebook.pdf.

    python scripts/make_pdf.py

Jupyter Book writes all pages as one (book/_ext/single_page.py), and chromium prints that: tagged,
with an outline and page numbers, with both frameworks' code and all folded parts open
(book/assets/custom.css, "Paper").
"""

import logging
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright
from pypdf import PdfReader, PdfWriter
from pypdf.generic import NameObject, TextStringObject

logging.getLogger("pypdf").setLevel(logging.ERROR)  # chromium miscounts its objects

ROOT = Path(__file__).resolve().parent.parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SCALE = 0.75  # of the sizes on a screen: text of 9 points
MM = 25.4 / 96  # of a pixel
TEXT = (210 - 2 * 16, 297 - 15 - 17)  # mm: A4 without its margins
PRINTS = 6  # three are enough unless two lines of the contents change each other
FOOTER = """
<div style="width: 100%; font: 8px sans-serif; color: #555; text-align: center">
  <span class="pageNumber"></span>
</div>"""
PRINT = {
    "format": "A4",
    "scale": SCALE,
    "margin": {"top": "15mm", "bottom": "17mm", "left": "16mm", "right": "16mm"},
    "print_background": True,
    "tagged": True,
    "outline": True,
    "display_header_footer": True,
    "header_template": "<span></span>",
    "footer_template": FOOTER,
}

# What holds for the book only, not for a page that a reader prints.
STYLE = """
body { font-variant-ligatures: none; }  /* whoever searches for "file" finds it */
.bd-article > section ~ section > h1 { display: block !important; }
.bd-article > span[id^="document-"] { display: block; break-before: page; }
#jb-print-docs-body { break-after: page; }
#jb-print-toc li { list-style: none; }
#jb-print-toc > p { font-weight: 600; margin-top: 2rem; }
#figures a { font-size: 0.85rem; gap: 2rem; }
#jb-print-toc a { display: flex; justify-content: space-between; }
#jb-print-toc a::after { content: attr(data-page); }
"""

# Pictures are loaded, the dark one of a pair excepted; formulas say what they are, in TeX; links to
# files lead nowhere on paper. With a tag for each plain word of the code, the file would be larger
# by half.
PREPARE = """async () => {
  await MathJax.startup.promise;
  for (const formula of MathJax.startup.document.math) {
    const picture = formula.typesetRoot.querySelector("svg");
    picture.removeAttribute("aria-hidden");
    picture.setAttribute("aria-label", formula.math.trim());
  }
  for (const link of document.querySelectorAll("a[href]"))
    if (link.protocol === "file:" && !link.getAttribute("href").startsWith("#"))
      link.removeAttribute("href");
  for (const word of document.querySelectorAll("pre :is(.n, .nn, .p, .w)"))
    word.replaceWith(...word.childNodes);
  document.body.normalize();
  await Promise.all([...document.images].filter(image => image.checkVisibility()).map(image => {
    image.loading = "eager";
    return image.decode();
  }));
}"""

# What is wider than the paper is made smaller. What fits on a quarter of a page is not torn apart;
# longer code and tables may be.
FIT = """height => {
  for (const wide of document.querySelectorAll("article table, article mjx-container[display]")) {
    const room = wide.parentElement;
    for (let zoom = 1; room.scrollWidth > room.clientWidth && zoom > 0.4; zoom -= 0.02)
      wide.style.zoom = zoom - 0.04;
  }
  const boxes = "pre, .cell_input, .cell_output, .admonition, table, div.math";
  for (const box of document.querySelectorAll(boxes))
    box.style.breakInside = box.offsetHeight < height ? "avoid" : "auto";
}"""

TOO_WIDE = """() => {
  const edge = document.querySelector("article").getBoundingClientRect().right + 1;
  return [...document.querySelectorAll("article :is(p, dt, pre, table, img, mjx-container)")]
    .filter(box => box.getBoundingClientRect().right > edge)
    .map(box => box.innerText || box.src);
}"""

HEADINGS = """() =>
  [...document.querySelectorAll("h1, h2, h3, h4, h5, h6, [role=heading]")]
    .filter(heading => heading.checkVisibility())
    .map(heading => heading.innerText.trim())"""

# After the contents a list of the figures: number and first sentence of the caption, each a link.
LIST_FIGURES = """() => {
  const list = document.createElement("ul");
  list.id = "figures";
  for (const caption of document.querySelectorAll("article figure[id] > figcaption")) {
    const copy = caption.cloneNode(true);
    for (const formula of copy.querySelectorAll("mjx-container"))
      formula.replaceWith(formula.querySelector("svg").getAttribute("aria-label"));
    const [number, text] = [".caption-number", ".caption-text"].map(
      part => copy.querySelector(part).textContent.trim().replace(/\\s+/g, " "));
    const link = document.createElement("a");
    link.href = `#${caption.parentElement.id}`;
    link.textContent = `${number} ${text.split(/(?<=[.?!]) /)[0]}`;
    list.appendChild(document.createElement("li")).append(link);
  }
  const title = document.createElement("p");
  title.textContent = "Figures";
  document.querySelector("#jb-print-toc").append(title, list);
}"""

NUMBER_CONTENTS = """([chapters, places]) => {
  for (const link of document.querySelectorAll("#jb-print-toc a"))
    link.dataset.page = link.closest("#figures")
      ? places[decodeURIComponent(link.hash.slice(1))] : chapters[link.innerText.trim()];
}"""


def find_browser():
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        sys.exit(f"make pdf needs a browser, none of {', '.join(BROWSERS)} was found.")
    return browser


def build_single_page():
    """All pages as one, from what has been executed for `make book`."""
    folder = ROOT / "_build" / "singlehtml"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "_static").mkdir(parents=True)  # else the theme's logo becomes a file of that name
    jupyter_book = Path(sys.executable).with_name("jupyter-book")
    command = [jupyter_book, "build", ROOT, "--builder", "singlehtml", "-W", "-n", "--keep-going"]
    subprocess.run(command, check=True)
    return folder / "index.html"


def entries(outline):
    """The entries of a PDF's outline, in the order of the pages."""
    for entry in outline:
        if isinstance(entry, list):
            yield from entries(entry)
        else:
            yield entry


def page_numbers(pdf, headings):
    """The page of each heading, and of each named place."""
    pages = map(pdf.get_destination_page_number, entries(pdf.outline))
    places = {
        name.removeprefix("/"): pdf.get_destination_page_number(place) + 1
        for name, place in pdf.named_destinations.items()
    }
    return {h: page + 1 for h, page in zip(headings, pages, strict=True)}, places


def print_page(page, target):
    """Print a page once its formulas are typeset and its pictures are there.

    Returns its headings. Printed until the contents name the pages that they lead to: a number in
    them can wrap a line, and so move all that follows.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        width, height = (round(side / SCALE / MM) for side in TEXT)
        tab = browser.new_page(
            color_scheme="light",
            reduced_motion="reduce",
            viewport={"width": width, "height": height},
        )
        tab.set_default_timeout(600_000)  # a book of formulas takes a slow machine a minute
        tab.emulate_media(media="print")
        tab.goto(page.as_uri())
        tab.add_style_tag(content=STYLE)
        tab.evaluate(PREPARE)
        tab.evaluate(FIT, height / 4)
        if found := tab.evaluate(TOO_WIDE):
            sys.exit("Wider than the paper:\n" + "\n\n".join(found))
        tab.evaluate(LIST_FIGURES)
        headings = tab.evaluate(HEADINGS)
        target.parent.mkdir(parents=True, exist_ok=True)
        numbers = dict.fromkeys(headings, "000"), {}
        for _ in range(PRINTS):
            tab.evaluate(NUMBER_CONTENTS, numbers)
            tab.pdf(path=target, **PRINT)
            if numbers == (found := page_numbers(PdfReader(target), headings)):
                break
            numbers = found
        else:
            sys.exit(f"In none of {PRINTS} prints did the contents name the right pages.")
        browser.close()
    return headings


def mend_outline(path, headings):
    """Chromium writes a heading that a page's end has moved twice, and a wrapped one unspaced."""
    pdf = PdfWriter(clone_from=path)
    for entry, heading in zip(entries(pdf.outline), headings, strict=True):
        entry.node[NameObject("/Title")] = TextStringObject(heading)
    pdf.write(path)


def main():
    target = ROOT / "_build" / "pdf" / "saebook.pdf"
    headings = print_page(build_single_page(), target)
    mend_outline(target, headings)
    pages = len(PdfReader(target).pages)
    print(f"{target.relative_to(ROOT)}: {pages} pages, {target.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
