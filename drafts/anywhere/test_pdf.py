"""The book as one PDF, as `make pdf` has last printed it: nothing lost, nothing cut off."""

from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PDF = ROOT / "_build" / "pdf" / "saebook.pdf"


@pytest.fixture(scope="module")
def pdf():
    if not PDF.exists():
        pytest.skip("there is no PDF: run `make pdf` first")
    from pypdf import PdfReader

    return PdfReader(PDF)


@pytest.fixture(scope="module")
def texts(pdf):
    """What each page says."""
    return [page.extract_text() for page in pdf.pages]


def squeezed(text):
    """Without white space, of which a printed line's wrapping adds some."""
    return "".join(text.split())


def titles(outline):
    for entry in outline:
        if isinstance(entry, list):
            yield from titles(entry)
        else:
            yield squeezed(entry.title)


def chapters():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text("utf8"))
    files = [toc["root"], *(c["file"] for part in toc["parts"] for c in part["chapters"])]
    return [ROOT / f"{file}.md" for file in files]


def test_it_is_tagged_and_says_what_it_is(pdf):
    assert pdf.trailer["/Root"]["/MarkInfo"]["/Marked"]
    assert "/StructTreeRoot" in pdf.trailer["/Root"]
    assert pdf.trailer["/Root"]["/Lang"].startswith("en")
    assert "Sparse autoencoders" in pdf.metadata.title


def test_the_outline_has_every_chapter(pdf):
    found = " ".join(titles(pdf.outline))
    for path in chapters():
        lines = path.read_text("utf8").splitlines()
        title = next(line for line in lines if line.startswith("# ")).removeprefix("# ")
        assert squeezed(title) in found


def test_no_page_is_blank_and_all_have_their_number(texts):
    for number, text in enumerate(texts, start=1):
        assert len(text.strip()) > 5, f"page {number}"
        assert str(number) in text.split()[-1] or str(number) in text.split()[0], f"page {number}"


def test_all_code_is_there_of_both_frameworks_and_in_full(pages, texts):
    """Each line of each cell, from the pages, in either tab and in folded parts, to its end."""
    text = squeezed("".join(texts))
    lines = {
        line
        for html in pages.values()
        for code in html.select("article .cell_input pre")
        for line in code.get_text().splitlines()
    }
    longest = sorted(lines, key=len, reverse=True)[:300]
    assert len(longest[-1]) > 60
    assert not [line for line in longest if squeezed(line) not in text]
    assert "fromsaebook.pytorchimport" in text
    assert "fromsaebook.tensorflowimport" in text
