"""Keep a formula and the punctuation around it on one line: browsers break beside a picture."""

import re

from docutils import nodes

AFTER = re.compile(r"[,.;:!?)\]’”'-]+")
BEFORE = re.compile(r"[(\[‘“]+$")


def keep_together(app, doctree, docname):
    for formula in list(doctree.findall(nodes.math)):
        parent = formula.parent
        place = parent.index(formula)
        kept = [formula]
        if place and isinstance(parent[place - 1], nodes.Text):
            text = parent[place - 1]
            if found := BEFORE.search(text):
                parent[place - 1] = nodes.Text(text[: found.start()])
                kept.insert(0, nodes.Text(found[0]))
        if place + 1 < len(parent) and isinstance(parent[place + 1], nodes.Text):
            text = parent[place + 1]
            if found := AFTER.match(text):
                parent[place + 1] = nodes.Text(text[found.end() :])
                kept.append(nodes.Text(found[0]))
        if len(kept) > 1:
            parent[place] = nodes.inline("", "", *kept, classes=["unbroken"])


def setup(app):
    app.connect("doctree-resolved", keep_together)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
