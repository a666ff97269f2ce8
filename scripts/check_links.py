"""Ask every address outside the site that a page links to, and report: _build/links.md.

    python scripts/check_links.py [FOLDER]

FOLDER is the built site. The links inside the site are checked by tests/site, without a network.
An address that is gone (404, 410, no such host) makes the exit status 1. A refusal, as publishers
send to programs (403, 429), or an unavailable server is reported, and left to a person.
"""

import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urldefrag

import requests
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parent.parent
HEADERS = {"User-Agent": "Mozilla/5.0 (link check of the saebook site)"}
# The repository's page for a new issue and its editor want a login: they say nothing about links.
NOT_ASKED = ("/edit/", "/issues/new")
GOOD, GONE, OPEN = "good", "gone", "to be looked at"


def external_links(site):
    """Each address outside the site, without its anchor, and the pages that link to it."""
    links = defaultdict(set)
    for page in sorted(site.rglob("*.html")):
        html = BeautifulSoup(page.read_text("utf8"), "html.parser")
        for link in html.find_all("a", href=lambda href: href and href.startswith("http")):
            address = urldefrag(link["href"]).url
            if not any(part in address for part in NOT_ASKED):
                links[address].add(page.relative_to(site).as_posix())
    return links


def ask(address):
    """What has become of an address: a verdict and its reason."""
    try:
        # Not HEAD: some servers refuse that. The body is not read.
        with requests.get(address, headers=HEADERS, timeout=20, stream=True) as answer:
            code = answer.status_code
    except requests.ConnectionError as error:
        unknown = "NameResolutionError" in repr(error)
        return (GONE, "no such host") if unknown else (OPEN, "no connection")
    except requests.RequestException as error:
        return OPEN, type(error).__name__
    if code in (404, 410):
        return GONE, str(code)
    return (GOOD if code < 400 else OPEN), str(code)


def check(site):
    """The report's rows, worst first: verdict, reason, address, pages."""
    links = external_links(site)
    with ThreadPoolExecutor(8) as pool:
        answers = dict(zip(links, pool.map(ask, links), strict=True))
    rows = [(*answers[address], address, sorted(links[address])) for address in links]
    return sorted(rows, key=lambda row: ([GONE, OPEN, GOOD].index(row[0]), row[2]))


def main(arguments):
    site = Path(arguments[0]) if arguments else ROOT / "_build" / "html"
    if not any(site.glob("**/*.html")):
        sys.exit(f"There are no pages in {site}: run `make book` first.")
    rows = check(site)
    lines = ["| verdict | answer | address | pages |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {verdict} | {why} | {address} | {', '.join(pages)} |"
        for verdict, why, address, pages in rows
    ]
    report = site.parent / "links.md"
    report.write_text("\n".join(lines) + "\n", encoding="utf-8")
    for verdict, why, address, pages in rows:
        if verdict != GOOD:
            print(f"{verdict}: {address} ({why}), on {', '.join(pages)}")
    n_gone = sum(row[0] == GONE for row in rows)
    print(f"{len(rows)} addresses, {n_gone} gone; the list of all is {report}")
    return 1 if n_gone else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
