"""The book as last built, its pages, and a browser to read them with.

Without a site, or without chromium, the tests are skipped and say why. With SAEBOOK_REQUIRE_SITE=1
that is a failure instead.
"""

import os
import shutil
from pathlib import Path

import pytest
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
    """Every page of the book with its parsed HTML; index.html only leads to the first one."""
    paths = sorted(p for p in site.rglob("*.html") if "_static" not in p.parts)
    paths.remove(site / "index.html")
    return {p: BeautifulSoup(p.read_text("utf8"), "html.parser") for p in paths}


@pytest.fixture(scope="session")
def browser(site):
    need(CHROMIUM, "no chromium found on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def tab(browser):
    """A browser tab with a profile of its own."""
    context = browser.new_context()
    yield context.new_page()
    context.close()
