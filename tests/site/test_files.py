"""The built site, read as files: links, pictures, launch buttons."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

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


def test_every_picture_has_a_text_alternative(pages):
    pictures = [(page, img) for page, html in pages.items() for img in html.find_all("img")]
    assert pictures
    silent = [
        (page.name, img["src"])
        for page, img in pictures
        if not img.get("alt") or img["alt"].endswith((".png", ".svg", ".jpeg"))
    ]
    assert not silent


def test_launch_buttons_open_notebooks_that_exist(pages):
    chapters = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    launched = {"colab.research.google.com": set(), "mybinder.org": set()}
    for html in pages.values():
        for link in html.find_all("a", href=True):
            host = urlsplit(link["href"]).netloc
            if host in launched:
                notebook = unquote(link["href"]).rpartition("notebooks/")[2]
                assert (ROOT / "notebooks" / notebook).is_file(), link["href"]
                launched[host].add(notebook.removesuffix(".ipynb"))
    assert all(names == chapters for names in launched.values())


def test_the_download_button_gives_the_same_notebook(pages):
    for page, html in pages.items():
        for link in html.find_all("a", href=lambda href: href and href.endswith(".ipynb")):
            notebook = ROOT / "notebooks" / link["href"].rpartition("/")[2]
            if not urlsplit(link["href"]).netloc and notebook.exists():
                assert (page.parent / link["href"]).read_bytes() == notebook.read_bytes()


def test_no_page_shows_unprocessed_source(pages):
    for page, html in pages.items():
        article = html.find("article")
        if article is None:
            continue
        for code in article.find_all(["pre", "code", "script"]):
            code.decompose()
        text = article.get_text()
        for raw in ("$$", ":::", "{ref}", "{cite", "{eq}", "{doc}", "Traceback (most recent"):
            assert raw not in text, f"{page.name} shows {raw}"


def test_no_cell_complains(pages):
    """A warning on a page names paths of the machine that built it, and worries the reader."""
    complaints = {page.name: html.select(".output.stderr") for page, html in pages.items()}
    assert not {name: [c.get_text() for c in found] for name, found in complaints.items() if found}
