"""Let Colab, Binder and the download button give notebooks/NAME.ipynb instead of book/NAME.md.

Neither service can run a Markdown chapter, and a notebook made from one by Jupyter Book would show
MyST's directives as they are written; scripts/export_notebooks.py makes notebooks without them.
"""

import shutil
from pathlib import Path, PurePosixPath


def notebook_of(pagename):
    return f"notebooks/{PurePosixPath(pagename).name}.ipynb"


def launch_notebook(app, pagename, templatename, context, doctree):
    """Point the launch buttons at the notebook; a page without one gets no such buttons."""
    notebook = notebook_of(pagename)
    for group in context.get("header_buttons", []):
        if group.get("label") != "launch-buttons":
            continue
        for button in group["buttons"]:
            if "url" in button:
                button["url"] = button["url"].replace(f"{pagename}.md", notebook)
        if not (Path(app.srcdir) / notebook).exists():
            context["header_buttons"] = [
                other for other in context["header_buttons"] if other is not group
            ]


def offer_notebook(app, exception):
    """Put the notebook where the download button looks for one."""
    for page in app.env.found_docs if exception is None else ():
        notebook = Path(app.srcdir, notebook_of(page))
        download = Path(app.outdir, "_sources", f"{page}.ipynb")
        if notebook.exists() and download.exists():
            shutil.copyfile(notebook, download)


def setup(app):
    # The theme adds its buttons at priority 501.
    app.connect("html-page-context", launch_notebook, priority=502)
    app.connect("build-finished", offer_notebook)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
