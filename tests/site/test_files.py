"""The built site, read as files: links, pictures, launch buttons, what other programs read."""

import re
import struct
from collections import Counter
from pathlib import Path
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import nbformat
import pytest
from bs4 import BeautifulSoup
from fontTools.ttLib import TTFont

ROOT = Path(__file__).resolve().parents[2]

LINKS = {"a": "href", "link": "href", "img": "src", "script": "src", "iframe": "src"}


def test_every_internal_link_leads_somewhere(pages):
    anchors = {page: {tag["id"] for tag in html.find_all(id=True)} for page, html in pages.items()}
    broken = []
    for page, html in pages.items():
        for tag in html.find_all(list(LINKS)):
            url = urlsplit(tag.get(LINKS[tag.name], ""))
            if url.scheme or url.netloc:
                continue
            target = (page.parent / unquote(url.path)).resolve() if url.path else page
            anchor = unquote(url.fragment)
            if not target.exists() or (anchor and anchor not in anchors.get(target, {anchor})):
                broken.append(f"{page.name}: {url.geturl()}")
    assert not broken


def test_the_page_for_lost_readers_works_at_any_depth(site, address):
    """Its own links start at the root of the host, and lead to files of the site."""
    html = BeautifulSoup((site / "404.html").read_text("utf8"), "html.parser")
    for tag in html.find_all(list(LINKS)):
        url = urlsplit(tag.get(LINKS[tag.name], ""))
        if url.path and not url.netloc:
            assert url.path.startswith(address.path), tag
            assert (site / unquote(url.path.removeprefix(address.path))).is_file(), tag


def test_the_sitemap_lists_every_page_at_its_public_address(site, pages, address):
    tree = ElementTree.parse(site / "sitemap.xml")
    listed = [loc.text for loc in tree.iter("{http://www.sitemaps.org/schemas/sitemap/0.9}loc")]
    written = {p.relative_to(site).as_posix() for p in pages} - {"search.html"}
    assert sorted(listed) == sorted(address.geturl() + name for name in written)


def test_every_page_introduces_itself(site, pages, address):
    """A description of its own, and a title, an address and a picture for whoever links to it."""
    seen = set()
    for page, html in pages.items():
        if page.name == "search.html":
            continue
        meta = {
            tag.get("name") or tag.get("property"): tag["content"]
            for tag in html.find_all("meta", content=True)
        }
        assert 50 <= len(meta["description"]) <= 200, page.name
        assert meta["description"] == meta["og:description"]
        assert meta["description"] not in seen
        seen.add(meta["description"])
        assert meta["og:title"]
        assert html.title.text.endswith(meta["og:site_name"])
        assert meta["og:url"] == address.geturl() + page.relative_to(site).as_posix()
        assert html.find("link", rel="canonical")["href"] == meta["og:url"]
        card = site / meta["og:image"].removeprefix(address.geturl())
        assert struct.unpack(">II", card.read_bytes()[16:24]) == (1200, 630)
        assert meta["og:image:alt"]


def test_every_picture_has_a_text_alternative(pages):
    pictures = [(page, img) for page, html in pages.items() for img in html.find_all("img")]
    assert pictures
    silent = [
        (page.name, img["src"])
        for page, img in pictures
        if not img.get("alt") or img["alt"].endswith((".png", ".svg", ".jpeg"))
    ]
    assert not silent


def test_every_figure_has_a_caption_and_a_number(pages):
    pictures = [
        (page, picture)
        for page, html in pages.items()
        for picture in html.select(".cell_output img, .interactive img")
    ]
    assert len(pictures) > 45
    bare = []
    for page, picture in pictures:
        caption = picture.find_parent("figure") and picture.find_parent("figure").figcaption
        number = caption and caption.select_one(".caption-number")
        text = caption and caption.select_one(".caption-text")
        if not (number and re.search(r"\d", number.get_text()) and len(text.get_text()) > 20):
            bare.append((page.name, picture["alt"]))
    assert not bare


NUMBER = re.compile(r"\d")
DRAWINGS = ("Four codes as matrices", "Forward, from left to right: x, a, z, o")  # of no data


def test_every_figure_offers_its_numbers_in_words(pages):
    """What a code cell draws: numbers in its description, or a table or printed numbers near by.

    Near by: in the same section of the page, not in one of its subsections.
    """
    silent = []
    for page, html in pages.items():
        for picture in html.select(".cell_output img"):
            if picture["alt"].startswith(DRAWINGS):
                continue
            section = picture.find_parent("section")
            words = [picture["alt"]]
            for part in section.select("table, .cell_output pre"):
                if part.find_parent("section") is section:
                    words.append(part.get_text())
            if not any(NUMBER.search(text) for text in words):
                silent.append((page.name, picture["alt"]))
    assert not silent


def test_assertions_stand_behind_one_mark_for_each_section(pages):
    """And none is lost: as many as the sources have."""
    assertion = re.compile(r"^:tags: \[[^\]]*hide-cell", re.MULTILINE)
    for page, html in pages.items():
        marks = html.select("details.checked")
        assert len({id(mark.find_parent("section")) for mark in marks}) == len(marks)
        cells = html.select(".tag_hide-cell")
        assert len(cells) == len(html.select("details.checked .tag_hide-cell"))
        assert all(cell.pre for cell in cells)
        source = ROOT / "book" / f"{page.stem}.md"
        if source.exists():
            assert len(cells) == len(assertion.findall(source.read_text("utf8"))), page.name
        assert not [s for s in html.select("details.hide summary") if "content" in s.get_text()]


def test_the_front_page_has_a_card_for_each_chapter_that_says_what_the_chapter_says(site, pages):
    book = site / "book"
    cards = pages[book / "intro.html"].select(".chapter-card")
    assert {f"{path.stem}.html" for path in (ROOT / "notebooks").glob("*.ipynb")} == {
        card.select_one(".title a")["href"] for card in cards
    }
    for card in cards:
        chapter = pages[book / card.select_one(".title a")["href"]].article
        question = next(p for p in card.find_all("p") if not p.get("class")).get_text()
        assert question.endswith("?")
        assert " ".join(question.split()) in " ".join(chapter.get_text().split())
        summary = chapter.find(id=re.compile("^summary"))
        said = " ".join(card.select_one(".result").get_text().split())
        assert said in " ".join(summary.get_text().split())
        minutes = " ".join(card.select_one(".minutes").get_text().split())
        assert minutes in " ".join(chapter.get_text().split())
        for picture in card.find_all("img"):
            assert picture["alt"] in {img["alt"] for img in chapter.select(".cell_output img")}
    assert sum(bool(card.img) for card in cards) >= 8


@pytest.mark.parametrize("place", [".dropdown-launch-buttons a", ".launch-badges a"])
def test_launch_buttons_and_badges_open_notebooks_that_exist(pages, place):
    chapters = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    launched = {"colab.research.google.com": set(), "mybinder.org": set()}
    for page, html in pages.items():
        for link in html.select(place):
            notebook = unquote(link["href"]).rpartition("notebooks/")[2]
            assert (ROOT / "notebooks" / notebook).is_file(), link["href"]
            assert notebook == f"{page.stem}.ipynb"
            launched[urlsplit(link["href"]).netloc].add(page.stem)
    assert all(names == chapters for names in launched.values())


def test_the_download_button_gives_the_same_notebook_with_pictures(pages):
    """The cells of the repository's notebook, and as many pictures as the page has from them."""
    seen = 0
    for page, html in pages.items():
        for link in html.find_all("a", href=lambda href: href and href.endswith(".ipynb")):
            notebook = ROOT / "notebooks" / link["href"].rpartition("/")[2]
            if urlsplit(link["href"]).netloc or not notebook.exists():
                continue
            offered = nbformat.read(page.parent / link["href"], 4)
            outputs = [output for cell in offered.cells for output in cell.get("outputs", [])]
            drawn = [
                output.data.pop(mime)
                for output in outputs
                for mime in [*output.get("data", {})]
                if mime.startswith("image/") and output.metadata.pop(mime, None) is not None
            ]
            assert len(drawn) == len(html.select(".cell_output figure img")), page.name
            assert offered == nbformat.read(notebook, 4), page.name
            seen += len(drawn)
    assert seen > 40


def test_figures_have_the_same_numbers_in_notebooks(pages):
    for page, html in pages.items():
        for figure in html.select(".interactive figure"):
            notebook = ROOT / "notebooks" / f"{page.stem}.ipynb"
            if notebook.exists():
                number = figure.select_one(".caption-number").get_text(strip=True)
                assert f"*{number}." in notebook.read_text("utf8"), page.name


def test_the_icon_fonts_have_every_icon_in_use(site, pages):
    styles = (site / "_static" / "styles" / "pydata-sphinx-theme.css").read_text("utf8")
    codes = dict(re.findall(r'\.fa-([a-z0-9-]+):before\{content:"\\([0-9a-f]+)"', styles))
    fonts = [TTFont(path).getBestCmap() for path in (site / "_static" / "icons").iterdir()]
    used = {
        name.removeprefix("fa-")
        for html in pages.values()
        for icon in html.select("i.fa-solid, i.fas, i.fab")
        for name in icon["class"]
    } & {*codes}
    assert {"rocket", "github", "moon"} <= used
    assert not [name for name in used if not any(int(codes[name], 16) in f for f in fonts)]


def test_no_script_keeps_the_page_from_being_drawn(pages):
    """Each that is waited for is another journey to the server before anything is seen."""
    for page, html in pages.items():
        files = [script["src"] for script in html.select("script[src]:not([defer], [async])")]
        assert [Path(file).name.partition(".")[0] for file in files] == ["documentation_options"], (
            page.name
        )


def test_no_id_stands_twice_on_a_page(pages):
    for page, html in pages.items():
        ids = Counter(tag["id"] for tag in html.select("[id]"))
        assert not {name for name, number in ids.items() if number > 1}, page.name


def test_the_interface_shows_each_signature_once_and_describes_all(pages):
    (html,) = (html for page, html in pages.items() if page.name == "api.html")
    for entry in html.select("dl.py"):
        signatures = [dt.get_text() for dt in entry.find_all("dt", class_="sig", recursive=False)]
        assert len(set(signatures)) == len(signatures)
    for guessed in ("(*args, **kwargs)", "Alias for field"):
        assert guessed not in html.get_text()


def test_no_page_shows_unprocessed_source(pages):
    for page, html in pages.items():
        if html.find("article") is None:
            continue
        texts = html.find("article").find_all(string=True)
        text = "".join(text for text in texts if not text.find_parent(["pre", "code", "script"]))
        for raw in ("$$", ":::", "{ref}", "{cite", "{eq}", "{doc}", "Traceback (most recent"):
            assert raw not in text, f"{page.name} shows {raw}"


def test_no_cell_complains(pages):
    """A warning on a page names paths of the machine that built it, and worries the reader."""
    complaints = {page.name: html.select(".output.stderr") for page, html in pages.items()}
    assert not {name: [c.get_text() for c in found] for name, found in complaints.items() if found}
