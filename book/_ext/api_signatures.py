"""Signatures on the page of the interface: what a caller gives."""

import inspect

from sphinx.util.inspect import stringify_signature


def of_init(app, what, name, obj, options, signature, returns):
    """Of a Keras model autodoc shows what ``__new__`` takes, which is anything."""
    if what == "class" and signature == "(*args, **kwargs)":
        shown = {"show_annotation": False, "show_return_annotation": False}
        return stringify_signature(inspect.signature(obj), **shown), returns
    return None


def setup(app):
    app.connect("autodoc-process-signature", of_init)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
