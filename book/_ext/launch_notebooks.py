"""Point the Colab and Binder buttons at notebooks/NAME.ipynb instead of book/NAME.md.

Neither service can run a Markdown chapter; scripts/export_notebooks.py writes the notebooks.
"""

from pathlib import Path, PurePosixPath


def use_notebook(app, pagename, templatename, context, doctree):
    notebook = f"notebooks/{PurePosixPath(pagename).name}.ipynb"
    for group in context.get("header_buttons", []):
        if group.get("label") != "launch-buttons":
            continue
        for button in group["buttons"]:
            if "url" in button:
                button["url"] = button["url"].replace(f"{pagename}.md", notebook)
        if not (Path(app.srcdir) / notebook).exists():
            context["header_buttons"] = [g for g in context["header_buttons"] if g is not group]


def setup(app):
    app.connect(
        "html-page-context", use_notebook, priority=502
    )  # the theme adds its buttons at 501
    return {"parallel_read_safe": True, "parallel_write_safe": True}
