"""Serve MathJax from the site itself, so that formulas are typeset without a network.

The package sphinx-mathjax-offline carries MathJax 3 (Apache License 2.0), 24 MB of it. One file is
enough: all of TeX, with SVG output, which needs no fonts.
"""

from importlib.resources import files
from pathlib import Path

from sphinx.util.fileutil import copy_asset_file

FILE = "mathjax/tex-svg-full.js"


def copy_mathjax(app, exception):
    if exception is None and app.builder.format == "html":
        target = Path(app.outdir, "_static", FILE)
        target.parent.mkdir(parents=True, exist_ok=True)
        copy_asset_file(str(files("sphinx-mathjax-offline") / "static" / FILE), str(target.parent))


def setup(app):
    app.config.mathjax_path = FILE
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
