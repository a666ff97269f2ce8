"""Photograph the interactive parts of the built pages: what stands for them where no script runs.

    python scripts/picture_parts.py [PART ...]

Writes book/assets/interactive/PART.png. Build the book before, and again after.
"""

import sys
from pathlib import Path

from bs4 import BeautifulSoup
from make_pdf import find_browser
from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
READY = {  # what a part should have come to
    "train": "box => box.interactive.step >= 1000",
    "toy": "box => box.interactive.step >= 3000",
}


def parts():
    """Each part with its page."""
    for page in sorted((ROOT / "_build" / "html" / "book").glob("*.html")):
        for box in BeautifulSoup(page.read_text("utf8"), "html.parser").select(".interactive"):
            yield next(c[5:] for c in box["class"] if c.startswith("part-")), page


def main():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        for part, page in parts():
            if sys.argv[1:] and part not in sys.argv[1:]:
                continue
            tab = browser.new_page(
                color_scheme="light",
                reduced_motion="reduce",
                viewport={"width": 1000, "height": 1600},  # as high as the highest part
            )
            tab.goto(page.as_uri())
            box = tab.locator(f".part-{part}")
            box.scroll_into_view_if_needed()
            tab.locator(f".part-{part}.started").wait_for()
            if part == "train":
                box.get_by_role("button", name="Start", exact=True).click()
            if part in READY:
                tab.wait_for_function(READY[part], arg=box.element_handle(), timeout=120_000)
            target = ROOT / "book" / "assets" / "interactive" / f"{part}.png"
            box.locator(".live").screenshot(path=target)
            with Image.open(target) as picture:  # 256 colours are enough, for half the bytes
                picture.convert("RGB").quantize(256).save(target, optimize=True)
            print(target.relative_to(ROOT), f"{target.stat().st_size / 1e3:.0f} kB")
            tab.close()
        browser.close()


if __name__ == "__main__":
    main()
