"""What a link of the book leads to, for assets/previews.js to show where the link stands.

Equations, references, exercises, tables and figures as they are; functions, sections and pages by
their first paragraph. All of it is one script, since a page opened from a file may load that, and
no other page; it is fetched when the first link is pointed at.
"""

import json
from html import escape
from pathlib import Path
from urllib.parse import unquote

from articles import article, classes
from bs4 import BeautifulSoup
from lxml import html

WHOLE = f"self::table or self::figure or {classes('citation', 'math', 'exercise')}"


def after(place, condition):
    """The first element for which a condition of XPath holds, in a place or behind it."""
    found = place.xpath(f"(descendant::*[{condition}] | following::*[{condition}])[1]")
    return found[0] if found else None


def first_paragraph(place):
    found = after(place, f"self::p and not({classes('launch-badges')})")
    return (
        "" if found is None else escape(found.text or "", quote=False) + "".join(map(code, found))
    )


def code(element, **options):
    return html.tostring(element, encoding="unicode", **options)


def preview(place):
    """The HTML that stands for a place, without ids and links of its own."""
    if place.tag == "dt":  # a function or class of the package
        name = place.xpath(f"string(.//*[{classes('descname')}])")
        found = f"<p><code>{name}</code></p><p>{first_paragraph(after(place, 'self::dd'))}</p>"
    elif place.xpath(f"boolean({WHOLE})"):
        found = code(place, with_tail=False)
    else:
        heading = place if place.tag == "h1" else after(place, "self::h1 or self::h2 or self::h3")
        title = "".join(heading.xpath("text()"))
        found = f"<p><strong>{title}</strong></p><p>{first_paragraph(heading)}</p>"
    soup = BeautifulSoup(found, "html.parser")
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
    read = {path.name: article(path) for path in folder.glob("*.html")}
    pages = {name: page for name, page in read.items() if page is not None}
    places = {}
    for name, page in pages.items():
        for heading in page.xpath(".//h1[1]"):
            places.setdefault(name, heading)
        for place in page.xpath(".//*[@id]"):
            places.setdefault(f"{name}#{place.get('id')}", place)
    linked = {
        f"{name}{address}" if address.startswith("#") else address.removesuffix("#")
        for name, page in pages.items()
        for link in page.xpath(
            f".//a[@href and ({classes('reference')}) and ({classes('internal')})]"
        )
        for address in [unquote(link.get("href"))]
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
