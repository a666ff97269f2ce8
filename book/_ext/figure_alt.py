"""Give every picture of the book a text alternative, every figure and table of a cell its caption.

A code cell passes both along with the figure, see ``saebook.pages.show``:
``display(figure, metadata={"image/png": {"alt": "...", "caption": "...", "text": 15.3}})``.
MyST-NB reads only width and height from there. What lacks one of them is a warning. ``text`` is the
height of the smallest letters in pixels; it goes on as a class, for custom.css and for a test. The
Markdown of a table with a caption begins with it, see ``saebook.pages.table``.
"""

from docutils import nodes
from myst_nb.core.render import NbElementRenderer
from sphinx.util import logging

logger = logging.getLogger(__name__)


def with_words(render_image):
    """Wrap MyST-NB's image renderer: copy the words from the output's metadata."""

    def render(self, data):
        images = render_image(self, data)
        said = data.output_metadata.get(data.mime_type, {})
        for image in images:
            image.attributes.update({k: said[k] for k in ("alt", "caption") if said.get(k)})
            if said.get("text"):
                image["classes"].append(f"text-{10 * said['text']:.0f}")
        return images

    return render


def with_title(render_markdown):
    """Wrap MyST-NB's Markdown renderer: the line above a table becomes its caption."""

    def render(self, data):
        made = render_markdown(self, data)
        captioned = data.output_metadata.get(data.mime_type, {}).get("caption")
        if captioned and isinstance(made[0], nodes.paragraph):
            (line,), table = made[0].children, made[1]
            table.insert(0, nodes.title("", "", *line.children))
            made = made[1:]
        return made

    return render


def is_drawn(node):
    """Whether a picture is the output of a code cell."""
    while node is not None and node.get("nb_element") != "cell_code_output":
        node = node.parent
    return node is not None


def add_captions(app, doctree):
    """Make figures of cells' pictures, which Sphinx numbers; warn of what has no words."""
    number = 0
    for image in list(doctree.findall(nodes.image)):
        if not image.get("alt"):
            logger.warning("image without alt text", location=image, type="figure_alt")
        if caption := image.attributes.pop("caption", None):
            number += 1
            figure = nodes.figure("", ids=[f"figure-{number}"])
            image.replace_self(figure)
            figure += [image, nodes.caption("", caption)]
        elif is_drawn(image):
            logger.warning("figure without caption", location=image, type="figure_alt")


def setup(app):
    NbElementRenderer.render_image = with_words(NbElementRenderer.render_image)
    NbElementRenderer.render_markdown = with_title(NbElementRenderer.render_markdown)
    app.connect("doctree-read", add_captions)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
