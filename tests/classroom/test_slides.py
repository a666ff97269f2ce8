"""Slides say what the chapter's page says, and fetch nothing."""

import re
import sys
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import make_slides  # noqa: E402

PAGE = """
<article><section><h1>Sparse<a class="headerlink">#</a></h1><p>What is it?</p>
<section><h2>Loss</h2><p>It is small.</p>
<div class="math"><span class="eqno">(1)</span>\\[a &lt; b\\]</div>
<img src="../_images/one.png" alt="a curve"><div class="dropdown"><p>Hidden.</p></div>
<div class="cell"><table class="t" id="a"><tr><td>FVU</td></tr></table>
<table>{rows}</table>
<details class="dropdown"><table><tr><td>no</td></tr></table></details></div></section>
<section><h2>Exercises</h2><p>Do it.</p></section></section></article>
""".replace("{rows}", 17 * "<tr><td>long</td></tr>")


def test_a_deck(tmp_path, monkeypatch):
    site, images = tmp_path / "html", tmp_path / "images"
    for folder in (site / "book", site / "_images", images):
        folder.mkdir(parents=True)
    (site / "book" / "one.html").write_text(PAGE)
    (site / "_images" / "one.png").write_bytes(b"picture")
    monkeypatch.setattr(make_slides, "SITE", site)
    slides = BeautifulSoup(make_slides.deck("one", images), "html.parser").find_all("section")
    assert [slide.h2.text for slide in slides] == ["Sparse", "Loss", "Loss", "Loss"]
    assert slides[0].aside.text.strip() == "What is it?"
    assert slides[1].div.text == "\\[a < b\\]"
    assert slides[1].aside.text.strip() == "It is small."
    assert slides[2].img["alt"] == "a curve"
    assert (images / slides[2].img["src"].removeprefix("images/")).read_bytes() == b"picture"
    assert slides[3].table.attrs == {}
    assert slides[3].table.text == "FVU"


PAGES = sorted((make_slides.SITE / "book").glob("*.html"))
CHAPTERS = [path for path in PAGES if (ROOT / "notebooks" / f"{path.stem}.ipynb").exists()]


@pytest.mark.skipif(not CHAPTERS, reason="the book is not built; run `make book`")
def test_every_chapter_has_slides_with_notes(tmp_path):
    for path in CHAPTERS:
        text = make_slides.deck(path.stem, tmp_path)
        soup = BeautifulSoup(text, "html.parser")
        assert len(soup.find_all("section")) >= 4
        notes = [note for note in soup.find_all("aside") if note.text.strip()]
        assert len(notes) >= 3
        assert not re.search(r"<(script|link|img|iframe)[^>]*(src|href)=.https?:", text)
        for image in soup.find_all("img"):
            assert len(image["alt"]) > 10, image
