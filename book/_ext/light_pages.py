"""Make the written pages lighter to fetch: about half their weight, next to nothing of their looks.

- Pictures become WebP without loss, half the size of PNG; a photograph, large even so, with some.
- The theme brings each icon twice, as a script of all icons and as fonts of all icons. The script
  goes; of the fonts, custom.css prefers the ones made here, which hold only the icons in use. The
  lines of its style sheet that name the others go too: a fifth of what a page waits for.
- The search's own scripts and index stay on the search page; elsewhere nothing calls them.
- Scripts wait until the page is there, but for the options that lines of the page itself ask for.
- An id that sphinx-exercise gives to every exercise goes: it may stand on a page once, and nothing
  uses it.
"""

import logging
import re
from pathlib import Path

from fontTools import subset
from PIL import Image

logging.getLogger("fontTools").setLevel(logging.WARNING)  # it reports each table that it drops

ICON_SCRIPT = re.compile(r'\s*<script[^>]* src="[^"]*/fontawesome\.js[^"]*"></script>')
SEARCH_SCRIPTS = re.compile(
    r'\s*<script src="[^"]*(?:searchtools|language_data|searchindex)\.js[^"]*"></script>'
)
BLOCKING_SCRIPT = re.compile(
    r'<script(?=[^>]* src=")(?![^>]*(?:defer|async|documentation_options))'
)
REPEATED_ID = re.compile(r' id="(?:exercise|solution)-content"')
ICON_NAME = re.compile(r"\bfa-([a-z0-9-]+)")
ICON_CODE = re.compile(r'\.fa-([a-z0-9-]+):before\{content:"\\([0-9a-f]+)"')
ICON_RULE = re.compile(r'((?:\.fa-[a-z0-9-]+:before,?)+)\{content:"\\[0-9a-f]+"\}')
OTHER_CODE = re.compile(r'(?<!:before\{)content:"\\(f[0-9a-f]{3})"')
FONTS = ("fa-solid-900", "fa-brands-400")


LARGE = 200_000  # bytes of a picture without loss; only a photograph takes as many


def to_webp(images):
    """Replace PNG files by WebP files."""
    for path in images.glob("*.png"):
        target = path.with_suffix(".webp")
        with Image.open(path) as image:
            image.save(target, lossless=True, method=4)
            if target.stat().st_size > LARGE:
                image.save(target, quality=90, method=4)
        path.unlink()


def subset_fonts(static, names):
    """Fonts of the icons with these names, and of those that a style sheet calls by number."""
    styles = "".join(path.read_text("utf8") for path in static.rglob("*.css"))
    numbers = {number for name, number in ICON_CODE.findall(styles) if name in names}
    codes = [int(number, 16) for number in numbers | {*OTHER_CODE.findall(styles)}]
    (static / "icons").mkdir(exist_ok=True)
    for name in FONTS:
        source = static / "vendor" / "fontawesome" / "webfonts" / f"{name}.ttf"
        options = subset.Options(flavor="woff", recalc_timestamp=False, notdef_outline=True)
        font = subset.load_font(str(source), options)
        subsetter = subset.Subsetter(options)
        subsetter.populate(unicodes=codes)
        subsetter.subset(font)
        subset.save_font(font, str(static / "icons" / f"{name}.woff"), options)


def drop_icon_rules(static, names):
    """Keep of the style sheets' icons those with these names."""
    for path in static.rglob("*.css"):
        text = path.read_text("utf8")
        lighter = ICON_RULE.sub(
            lambda rule: rule[0] if names.intersection(ICON_NAME.findall(rule[1])) else "", text
        )
        if lighter != text:
            path.write_text(lighter, "utf8")


def lighten(app, exception):
    if exception is not None or app.builder.name != "html":
        return
    out = Path(app.outdir)
    to_webp(out / "_images")
    names = set()
    for path in out.rglob("*.html"):
        if "_static" in path.parts:
            continue
        text = path.read_text("utf8")
        names.update(ICON_NAME.findall(text))
        lighter = ICON_SCRIPT.sub("", text)
        if path.name != "search.html":
            lighter = SEARCH_SCRIPTS.sub("", lighter)
        lighter = BLOCKING_SCRIPT.sub("<script defer", lighter)
        lighter = REPEATED_ID.sub("", lighter)
        lighter = re.sub(r'((?:src|href)="[^"]*_images/[^"]*)\.png"', r'\1.webp"', lighter)
        if lighter != text:
            path.write_text(lighter, "utf8")
    subset_fonts(out / "_static", names)
    drop_icon_rules(out / "_static", names)


def setup(app):
    app.connect("build-finished", lighten, priority=900)  # after everything that writes pages
    return {"parallel_read_safe": True, "parallel_write_safe": True}
