"""Show neighbouring code cells tagged ``tab-torch`` and ``tab-tf`` as one set of tabs.

MyST-NB does not execute cells that are written inside a tab. So they stay ordinary cells, one after
the other, in the notebook and in the kernel; only the page changes. All sets of a page switch
together, and sphinx-design remembers the choice from page to page.
"""

from docutils import nodes

LABELS = {"tab-torch": "PyTorch", "tab-tf": "TensorFlow"}


def framework_of(node):
    """The framework tag of a code cell, None for everything else."""
    if isinstance(node, nodes.container) and node.get("nb_element") == "cell_code":
        tags = node["cell_metadata"].get("tags", [])
        return next((tag for tag in tags if tag in LABELS), None)
    return None


def component(name, *children, **attributes):
    """A node as sphinx-design's own directives make it; its transform writes the HTML."""
    return nodes.container(
        "", *children, is_div=True, design_component=name, classes=[f"sd-{name}"], **attributes
    )


def tab_set(cells):
    """One tab per framework; several cells of one framework share a tab."""
    items = []
    for tag in dict.fromkeys(map(framework_of, cells)):
        label = nodes.rubric(
            LABELS[tag], LABELS[tag], classes=["sd-tab-label"], sync_id=tag, sync_group="framework"
        )
        content = component("tab-content", *(cell for cell in cells if framework_of(cell) == tag))
        items.append(component("tab-item", label, content, selected=False))
    return component("tab-set", *items)


def runs(children):
    """Split children into lists: neighbouring tagged cells together, everything else alone.

    A framework that comes back after the other one starts a new list.
    """
    run = []
    for child in children:
        tag = framework_of(child)
        tags = [framework_of(cell) for cell in run]
        if run and (tag is None or tags[-1] is None or (tag in tags and tag != tags[-1])):
            yield run
            run = []
        run.append(child)
    if run:
        yield run


def group_cells(app, doctree):
    """Replace every run that holds both frameworks by a tab set."""
    parents = dict.fromkeys(node.parent for node in doctree.findall(framework_of))
    for parent in parents:
        grouped = []
        for run in runs(parent.children):
            both = len(set(map(framework_of, run))) > 1
            grouped.extend([tab_set(run)] if both else run)
        parent.children = []  # detach first, so that docutils gives every child its new parent
        parent.extend(grouped)


def setup(app):
    app.connect("doctree-read", group_cells)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
