"""One quiet mark for each section's assertions, in place of a bar for each cell that holds some.

A cell tagged ``hide-cell`` holds what the text says to what the page computes. In the notebook it
stays where it is. On the page a section's cells of this kind stand together at its end, behind one
mark that opens them; on paper there are none.
"""

from docutils import nodes
from sphinx.util.docutils import SphinxTranslator


class Checked(nodes.Element):
    """The assertions of a section."""


def visit(self: SphinxTranslator, node: Checked):
    self.body.append(
        '<details class="checked">\n<summary title="The assertions that hold this section to what '
        'its page computes">checked</summary>\n'
    )


def depart(self: SphinxTranslator, node: Checked):
    self.body.append("</details>\n")


def is_assertion(node):
    return isinstance(node, nodes.container) and node.get("hide_mode") == "all"


def gather(app, doctree):
    """Move the assertions of each section behind what it says, before its subsections."""
    sections = {}
    for cell in doctree.findall(is_assertion):
        section = cell.parent
        while not isinstance(section, nodes.section):
            section = section.parent
        sections.setdefault(section, []).append(cell)
    for section, cells in sections.items():
        for cell in cells:
            cell.parent.remove(cell)
            del cell["hide_mode"]
        inner = section.next_node(nodes.section, descend=True)
        mark = Checked("", *cells)
        if inner is not None and inner.parent is section:
            section.insert(section.index(inner), mark)
        else:
            section.append(mark)


def leave_out(app, doctree, docname):
    """Paper, and every other form of the book than its pages, does without."""
    if app.builder.name != "html":
        for mark in list(doctree.findall(Checked)):
            mark.parent.remove(mark)


def setup(app):
    app.add_node(Checked, html=(visit, depart))
    app.connect("doctree-read", gather)
    app.connect("doctree-resolved", leave_out)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
