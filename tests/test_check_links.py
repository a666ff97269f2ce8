"""The check of links that leave the site, with a server of our own in place of the web."""

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

import check_links


class Web(BaseHTTPRequestHandler):
    """Answers /404 with 404, and so on."""

    def do_GET(self):
        self.send_response(int(self.path.strip("/")))
        self.end_headers()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def web():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Web)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture
def site(tmp_path, web):
    def write(name, *links):
        anchors = "".join(f'<a href="{link}">x</a>' for link in links)
        (tmp_path / "html").mkdir(exist_ok=True)
        (tmp_path / "html" / name).write_text(anchors, encoding="utf-8")

    write("one.html", f"{web}/200#part", "two.html", f"{web}/403", f"{web}/500/edit/one")
    write("two.html", f"{web}/200", "mailto:nobody@example.org")
    return write, tmp_path / "html"


def test_links_inside_are_left_alone_and_pages_are_named(site, web):
    assert check_links.external_links(site[1]) == {
        f"{web}/200": {"one.html", "two.html"},
        f"{web}/403": {"one.html"},
    }


def test_refusals_are_reported_and_do_not_fail(site, web, capsys):
    assert check_links.main([str(site[1])]) == 0
    assert f"to be looked at: {web}/403 (403), on one.html" in capsys.readouterr().out
    report = (site[1].parent / "links.md").read_text("utf8")
    assert f"| good | 200 | {web}/200 | one.html, two.html |" in report


def test_what_is_gone_fails(site, web, capsys):
    write, folder = site
    write("three.html", f"{web}/404", "http://nobody.invalid/")
    assert check_links.main([str(folder)]) == 1
    printed = capsys.readouterr().out
    assert f"gone: {web}/404 (404), on three.html" in printed
    assert "gone: http://nobody.invalid/ (no such host), on three.html" in printed


def test_a_site_that_is_not_built_is_said(tmp_path):
    with pytest.raises(SystemExit, match=r"There are no pages in .*run `make book` first"):
        check_links.main([str(tmp_path)])
