"""Let the single page, from which the PDF is printed, hold all that the pages hold.

sphinx-exercise registers its nodes for the builder "singlehtml" by name. Sphinx then takes that
builder to have handlers of its own, and forgets those that other extensions registered for "html".
"""


def share_handlers(app):
    handlers = app.registry.translation_handlers
    if "singlehtml" in handlers:
        handlers["singlehtml"] = {**handlers.get("html", {}), **handlers["singlehtml"]}


def setup(app):
    app.connect("builder-inited", share_handlers)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
