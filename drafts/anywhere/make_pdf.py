"""Print the whole book as one PDF: _build/pdf/saebook.pdf.

    python scripts/make_pdf.py

Jupyter Book writes all pages as one, and chromium prints that: tagged, with an outline, with page
numbers, both frameworks' code, and all folded parts open (book/assets/custom.css, "Paper").
"""

import shutil
import subprocess
import sys
from pathlib import Path

import yaml
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FOOTER = """
<div style="width: 100%; font: 8px sans-serif; color: #555; text-align: center">
  <span class="pageNumber"></span>
</div>"""
MARGIN = {"top": "16mm", "bottom": "18mm", "left": "18mm", "right": "18mm"}


def find_browser():
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        sys.exit(f"make pdf needs a browser, none of {', '.join(BROWSERS)} was found.")
    return browser


def build_single_page():
    """All pages as one, from what has been executed for `make book`."""
    folder = ROOT / "_build" / "singlehtml"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "_static").mkdir(parents=True)  # else the theme's logo becomes a file of that name
    jupyter_book = Path(sys.executable).with_name("jupyter-book")
    command = [jupyter_book, "build", ROOT, "--builder", "singlehtml", "-W", "-n", "--keep-going"]
    subprocess.run(command, check=True)
    root = yaml.safe_load((ROOT / "_toc.yml").read_text("utf8"))["root"]
    return folder / f"{root}.html"  # index.html only leads there


def print_page(page, target):
    """Print a page once its formulas are typeset and its pictures are there."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        tab = browser.new_context(color_scheme="light", reduced_motion="reduce").new_page()
        tab.set_default_timeout(600_000)  # a book of formulas takes a slow machine a minute
        tab.goto(page.as_uri())
        tab.evaluate("() => window.MathJax.startup.promise")
        tab.evaluate("""() => Promise.all([...document.images].map(image => {
            image.loading = "eager";
            return image.decode().catch(() => null);  // the dark one of a pair is not shown
        }))""")
        target.parent.mkdir(parents=True, exist_ok=True)
        tab.pdf(
            path=target,
            format="A4",
            margin=MARGIN,
            print_background=True,
            tagged=True,
            outline=True,
            display_header_footer=True,
            header_template="<span></span>",
            footer_template=FOOTER,
        )
        browser.close()


def main():
    target = ROOT / "_build" / "pdf" / "saebook.pdf"
    print_page(build_single_page(), target)
    print(f"{target.relative_to(ROOT)}: {target.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
