"""Let Colab, Binder and the download button give notebooks/NAME.ipynb instead of book/NAME.md.

Neither service can run a Markdown chapter, and a notebook made from one by Jupyter Book would show
MyST's directives as they are written; scripts/export_notebooks.py makes notebooks without them.
The links of the launch menu also stand under the title of each chapter, as badges.

The notebooks of the repository hold no pictures, which would swell every change. Those that the
site offers have the pictures of its pages.
"""

from html import escape
from pathlib import Path, PurePosixPath

import nbformat
from jupyter_cache import get_cache
from myst_nb.core.read import myst_nb_reader_plugin


def notebook_of(pagename):
    return f"notebooks/{PurePosixPath(pagename).name}.ipynb"


def badges(links, pathto):
    """A paragraph of badges, from the launch menu's own links and their names there."""
    pictures = "\n".join(
        f'<a href="{escape(url)}"><img alt="Open in {name}" height="20" '
        f'src="{pathto(f"_static/badge-{name.lower()}.svg", 1)}"/></a>'
        for name, url in links
    )
    return f'\n<p class="launch-badges">\n{pictures}\n</p>'


def launch_notebook(app, pagename, templatename, context, doctree):
    """Point the launch buttons at the notebook; a page without one gets no such buttons."""
    notebook = notebook_of(pagename)
    for group in context.get("header_buttons", []):
        if group.get("label") != "launch-buttons":
            continue
        if not (Path(app.srcdir) / notebook).exists():
            context["header_buttons"].remove(group)
            return
        for button in group["buttons"]:
            button["url"] = button["url"].replace(f"{pagename}.md", notebook)
        links = [(button["text"], button["url"]) for button in group["buttons"]]
        context["body"] = context["body"].replace(
            "</h1>", "</h1>" + badges(links, context["pathto"]), 1
        )
        return


def add_pictures(notebook, page):
    """Give a notebook's cells the pictures that the same cells have drawn for a page."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"][1:]  # not Colab's
    for cell, drawn in zip(cells, (c for c in page.cells if c.cell_type == "code"), strict=True):
        for output, picture in zip(cell.outputs, drawn.outputs, strict=False):
            for mime in picture.get("data", {}):
                if mime.startswith("image/") and "data" in output:
                    output.data[mime] = picture.data[mime]
                    output.metadata[mime] = picture.metadata.get(mime, {})
    return notebook


def offer_notebook(app, exception):
    """Put the notebook, with pictures, where the download button looks for one."""
    for page in app.env.found_docs if exception is None else ():
        notebook = Path(app.srcdir, notebook_of(page))
        download = Path(app.outdir, "_sources", f"{page}.ipynb")
        if notebook.exists() and download.exists():
            source = str(Path(app.srcdir, f"{page}.md"))
            cache = get_cache(app.config.nb_execution_cache_path or ".jupyter_cache")
            drawn = cache.get_cache_bundle(
                cache.match_cache_notebook(myst_nb_reader_plugin(source)).pk
            ).nb
            nbformat.write(add_pictures(nbformat.read(notebook, 4), drawn), download)


def setup(app):
    # The theme adds its buttons at priority 501.
    app.connect("html-page-context", launch_notebook, priority=502)
    app.connect("build-finished", offer_notebook)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
