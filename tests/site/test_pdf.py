"""The book as one PDF, as `make pdf` has last printed it: nothing lost, nothing cut off.

Without a PDF of the present site the tests are skipped and say why, or fail, as in conftest.py.
"""

import os
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PDF = ROOT / "_build" / "pdf" / "saebook.pdf"


@pytest.fixture(scope="module")
def pdf(pages):
    built = max(page.stat().st_mtime for page in pages)
    if not PDF.exists() or PDF.stat().st_mtime < built:
        stop = pytest.fail if os.environ.get("SAEBOOK_REQUIRE_SITE") else pytest.skip
        stop("there is no PDF of the present site: run `make pdf` first")
    from pypdf import PdfReader

    return PdfReader(PDF)


# The strokes of figures and formulas, which say nothing, and take most of the time to read.
STROKES = re.compile(rb"^[-\d. ]* (?:[mlcvy]|re)\n|^(?:h|f\*?|W\*?|n|S|B)\n", re.MULTILINE)


@pytest.fixture(scope="module")
def texts(pdf):
    """What each page says."""
    from pypdf.generic import NameObject, StreamObject

    for page in pdf.pages:
        content = StreamObject()
        content.set_data(STROKES.sub(b"", page.get_contents().get_data()))
        page[NameObject("/Contents")] = content
    return [page.extract_text() for page in pdf.pages]


@pytest.fixture(scope="module")
def elements(pdf):
    """The tags of the document, from which a screen reader reads it."""
    return tags_in(pdf.trailer["/Root"]["/StructTreeRoot"])


def tags_in(tag):
    """All tags of a part of the document."""
    found, waiting = [], [tag]
    while waiting:
        node = waiting.pop().get_object()
        if isinstance(node, list):
            waiting.extend(node)
        elif isinstance(node, dict):
            found.append(node)
            if "/K" in node:
                waiting.append(node["/K"])
    return [node for node in found if "/S" in node]


def squeezed(text):
    """Without white space, of which a printed line's wrapping adds some."""
    return "".join(text.split())


def chapters():
    """The titles of the pages, in the order of the table of contents."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text("utf8"))
    files = [toc["root"], *(c["file"] for part in toc["parts"] for c in part["chapters"])]
    for file in files:
        lines = (ROOT / f"{file}.md").read_text("utf8").splitlines()
        yield next(line for line in lines if line.startswith("# ")).removeprefix("# ")


def shown(pages, selector):
    """Elements of all pages that stand on paper: of a picture's two versions, the light one."""
    for html in pages.values():
        for tag in html.select(f"article :is({selector})"):
            left_out = tag.find_parent(class_=["launch-badges", "checked"])
            if not (left_out or "only-dark" in tag.get("class", [])):
                yield tag


def test_it_is_tagged_and_says_what_it_is(pdf):
    root = pdf.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"]
    assert root["/Lang"].startswith("en")
    assert pdf.metadata.title == "Sparse autoencoders, an executable book"


def test_outline_and_contents_lead_to_every_chapter(pdf, texts):
    entries = [entry for entry in pdf.outline if not isinstance(entry, list)]
    assert len(entries) == len(list(chapters()))
    for entry, title in zip(entries, chapters(), strict=True):
        number = pdf.get_destination_page_number(entry) + 1
        assert entry.title.endswith(title)
        assert squeezed(texts[number - 1]).startswith(squeezed(entry.title))
        if number > 1:
            assert f"{entry.title} {number}" in texts[0].splitlines()


def test_the_list_of_figures_leads_to_every_caption(pages, texts):
    captions = list(shown(pages, "figure[id] > figcaption"))
    assert len(captions) > 45
    front = "".join(squeezed(text) for text in texts[:6])
    for caption in captions:
        if caption.select(".math"):  # typeset there, TeX in the list
            continue
        number, text = (
            " ".join(caption.select_one(f".caption-{part}").get_text().split())
            for part in ("number", "text")
        )
        said = squeezed(number + re.split(r"(?<=[.?!]) ", text)[0])
        page = re.search(re.escape(said) + r"(\d+)", front)
        assert page, said
        # the number of the list's own page may follow the last entry on it
        pages_said = [page[1][:digits] for digits in range(1, len(page[1]) + 1)]
        assert any(said in squeezed(texts[int(n) - 1]) for n in pages_said if int(n) <= len(texts))


def test_no_page_is_blank_and_all_have_their_number(texts):
    for number, text in enumerate(texts, start=1):
        lines = text.split()
        assert len(lines) > 5, f"page {number}"
        assert lines[-1] == str(number)


def test_all_code_is_there_of_both_frameworks_and_in_full(pages, texts):
    """Each line of each cell and of what it prints, in either tab and in folded parts."""
    parts = [squeezed(text).removesuffix(str(n)) for n, text in enumerate(texts, start=1)]
    text = "".join(parts)
    lines = {line for pre in shown(pages, "pre") for line in pre.get_text().splitlines()}
    assert len(lines) > 2000
    assert max(map(len, lines)) > 100

    def goes_on_overleaf(line):
        """Pypdf may find other things before the rest of a line that a page's end has divided."""
        return any(
            page.endswith(line[:k]) and line[k:] in following
            for page, following in pairwise(parts)
            for k in range(1, len(line))
        )

    missing = {squeezed(line) for line in lines} - {""}
    assert not {line for line in missing if line not in text and not goes_on_overleaf(line)}


def lines_of(codes):
    return {squeezed(line) for code in codes for line in code.get_text().splitlines()}


def test_no_assertion_is_printed(pages, texts):
    asserted = lines_of(code for html in pages.values() for code in html.select(".checked pre"))
    asserted = {line for line in asserted if line.startswith("assert") and len(line) > 25}
    assert len(asserted) > 300
    text = "".join(map(squeezed, texts))
    assert not [line for line in asserted - lines_of(shown(pages, "pre")) if line in text]


def test_each_tab_says_which_framework_it_shows(pages, texts):
    labels = Counter(tag.get_text(strip=True) for tag in shown(pages, ".sd-tab-label"))
    assert labels["PyTorch"] == labels["TensorFlow"] > 50
    lines = Counter(line.strip() for text in texts for line in text.splitlines())
    assert all(lines[label] >= number for label, number in labels.items())


def test_every_picture_is_there_once_with_its_description(pages, elements):
    figures = [node for node in elements if node["/S"] == "/Figure"]
    bare = [node for node in figures if not node.get("/Alt")]
    for node in bare:  # the frame around a picture and its caption: the picture has the words
        assert any(tag["/S"] == "/Figure" and tag.get("/Alt") for tag in tags_in(node["/K"]))
    figures = [node for node in figures if node not in bare]
    printed = Counter(node["/Alt"] for node in figures)
    for alt, number in Counter(image["alt"] for image in shown(pages, "img")).items():
        assert printed[alt] == number, alt


def test_every_formula_is_typeset_and_readable_as_tex(pages, elements, texts):
    tex = Counter(squeezed(tag.get("/Alt", "")) for tag in elements if tag["/S"] == "/Figure")
    formulas = {squeezed(tag.get_text()) for tag in shown(pages, "span.math")}
    assert len(formulas) > 100
    assert not [f for f in formulas if f.removeprefix(r"\(").removesuffix(r"\)") not in tex]
    assert r"\(" not in "".join(texts)


def test_links_lead_into_the_document_or_to_the_web(pdf):
    names, inside = pdf.named_destinations, 0
    for page in pdf.pages:
        for link in page.annotations or []:
            link = link.get_object()
            if "/A" in link:
                assert link["/A"]["/URI"].startswith(("http", "mailto:"))
            else:
                assert link["/Dest"] in names
                inside += 1
    assert inside > 300
