"""The book as last built, its pages, a web server for them, and a browser to read them with.

Without a site, or without chromium, the tests are skipped and say why. With SAEBOOK_REQUIRE_SITE=1
that is a failure instead.
"""

import gzip
import mimetypes
import os
import shutil
import threading
from contextlib import suppress
from functools import cache, partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "_build" / "html"
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


def need(present, reason):
    if not present:
        (pytest.fail if os.environ.get("SAEBOOK_REQUIRE_SITE") else pytest.skip)(reason)


@pytest.fixture(scope="session")
def site():
    need((SITE / "index.html").exists(), "the book is not built: run `make book` first")
    return SITE


@pytest.fixture(scope="session")
def pages(site):
    """Every page of the book with its parsed HTML.

    index.html only leads to the first one, and 404.html stands nowhere: a host shows it at every
    address that does not exist.
    """
    paths = sorted(p for p in site.rglob("*.html") if "_static" not in p.parts)
    paths = [p for p in paths if p not in (site / "index.html", site / "404.html")]
    return {p: BeautifulSoup(p.read_text("utf8"), "html.parser") for p in paths}


@cache
def compressed(path):
    return gzip.compress(path.read_bytes())


class Host(BaseHTTPRequestHandler):
    """Serves a folder under a prefix, text compressed, as hosts of static pages do."""

    protocol_version = "HTTP/1.1"

    def __init__(self, folder, prefix, *arguments):
        self.folder, self.prefix = folder, prefix
        super().__init__(*arguments)

    def do_GET(self):
        name = unquote(urlsplit(self.path).path)
        path = self.folder / name.removeprefix(self.prefix)
        status = 200
        if not name.startswith(self.prefix) or not path.is_file():
            status, path = 404, self.folder / "404.html"
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        textual = kind.startswith("text/") or kind.endswith(("javascript", "json", "xml"))
        body = compressed(path) if textual else path.read_bytes()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if textual:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        self.wfile.write(body)

    def handle(self):
        with suppress(ConnectionError):  # a tab that is closed may leave requests behind
            super().handle()

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="session")
def host(site, address):
    """The address of the site on a server of its own, at the path where it is published."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Host, site, address.path))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}{address.path}"
    server.shutdown()


@pytest.fixture(scope="session")
def address():
    """Where the site is published, in parts."""
    return urlsplit(yaml.safe_load((ROOT / "_config.yml").read_text("utf8"))["html"]["baseurl"])


@pytest.fixture(scope="session")
def chromium():
    """The path of the browser."""
    need(CHROMIUM, "no chromium found on this machine")
    return CHROMIUM


@pytest.fixture(scope="session")
def browser(chromium):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def tab(browser):
    """A browser tab with a profile of its own."""
    context = browser.new_context()
    yield context.new_page()
    context.close()
