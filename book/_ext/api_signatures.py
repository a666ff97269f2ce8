"""Signatures on the page of the interface: what a caller gives, and each once."""

import inspect

from sphinx import addnodes
from sphinx.util.inspect import stringify_signature


def of_init(app, what, name, obj, options, signature, returns):
    """Of a Keras model autodoc shows what ``__new__`` takes, which is anything."""
    if what == "class" and signature == "(*args, **kwargs)":
        shown = {"show_annotation": False, "show_return_annotation": False}
        return stringify_signature(inspect.signature(obj), **shown), returns
    return None


def each_once(app, doctree):
    """Autodoc repeats a signature for each kind of sparsity that a function has a version for."""
    for description in doctree.findall(addnodes.desc):
        shown = set()
        for child in list(description.children):
            if isinstance(child, addnodes.desc_signature):
                if child.astext() in shown:
                    description.remove(child)
                shown.add(child.astext())


def setup(app):
    app.connect("autodoc-process-signature", of_init)
    app.connect("doctree-read", each_once)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
