"""What a link of the book leads to, for assets/previews.js to show where the link stands.

Equations, references, exercises, tables and figures as they are; functions, sections and pages by
their first paragraph. All of it is one script, since a page opened from a file may load that, and
no other page; it is fetched when the first link is pointed at.
"""

import json
from pathlib import Path
from urllib.parse import unquote

from bs4 import BeautifulSoup, SoupStrainer

WHOLE = ".citation, .math, .exercise, table, figure"


def first_paragraph(place):
    found = place.find_next("p")
    while found is not None and "launch-badges" in found.get("class", []):
        found = found.find_next("p")
    return found.decode_contents() if found else ""


def preview(place):
    """The HTML that stands for a place, without ids and links of its own."""
    if place.name == "dt":  # a function or class of the package
        name = place.select_one(".descname").get_text()
        html = f"<p><code>{name}</code></p><p>{first_paragraph(place.find_next('dd'))}</p>"
    elif place.css.match(WHOLE):
        html = str(place)
    else:
        heading = place if place.name == "h1" else place.find_next(["h1", "h2", "h3"])
        title = "".join(heading.find_all(string=True, recursive=False))
        html = f"<p><strong>{title}</strong></p><p>{first_paragraph(heading)}</p>"
    soup = BeautifulSoup(html, "html.parser")
    for link in soup.select("a"):
        link.unwrap()
    for tag in soup.select(".headerlink, .label, .toggle-button, .math span.eqno"):
        tag.decompose()
    for tag in soup.find_all(id=True):
        del tag["id"]
    for tag in soup.select(".dropdown"):
        tag["class"].remove("dropdown")
    return str(soup)


def collect(folder):
    """The preview of each place in a folder of pages to which one of them links."""
    only = SoupStrainer("article")
    pages = {
        path.name: BeautifulSoup(path.read_text("utf8"), "html.parser", parse_only=only)
        for path in folder.glob("*.html")
    }
    places = {}
    for name, page in pages.items():
        if page.h1:
            places[name] = page.h1
        for place in page.find_all(id=True):
            places.setdefault(f"{name}#{place['id']}", place)
    linked = {
        f"{name}{address}" if address.startswith("#") else address.removesuffix("#")
        for name, page in pages.items()
        for link in page.select("a.reference.internal[href]")
        for address in [unquote(link["href"])]
    }
    return {address: preview(places[address]) for address in sorted(linked & places.keys())}


def write_previews(app, exception):
    if exception is None and app.builder.name == "html":
        out = Path(app.outdir)
        found = json.dumps(collect(out / "book"), ensure_ascii=False, separators=(",", ":"))
        (out / "_static" / "previews-data.js").write_text(f"saebookPreviews = {found};\n", "utf8")


def setup(app):
    app.add_js_file("previews.js", defer="defer")
    app.connect("build-finished", write_previews, priority=950)  # after light_pages
    return {"parallel_read_safe": True, "parallel_write_safe": True}
