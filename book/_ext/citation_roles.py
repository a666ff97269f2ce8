"""Mark bibliography entries as items of their list.

docutils gives them the role doc-biblioentry, which WAI-ARIA has since deprecated.
"""


def replace_role(app, pagename, templatename, context, doctree):
    if "body" in context:
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')


def setup(app):
    app.connect("html-page-context", replace_role)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
