"""Give every picture of the book a text alternative, or say which one has none.

A code cell passes the text along with the figure:
``display(figure, metadata={"image/png": {"alt": "..."}})``.
MyST-NB reads only width and height from there, so this extension adds ``alt``.
"""

from docutils import nodes
from myst_nb.core.render import NbElementRenderer
from sphinx.util import logging

logger = logging.getLogger(__name__)


def with_alt(render_image):
    """Wrap MyST-NB's image renderer: copy ``alt`` from the output's metadata."""

    def render(self, data):
        images = render_image(self, data)
        alt = data.output_metadata.get(data.mime_type, {}).get("alt")
        for image in images:
            if alt:
                image["alt"] = alt
        return images

    return render


def warn_without_alt(app, doctree):
    """Make a missing text alternative fail a build that treats warnings as errors."""
    for image in doctree.findall(nodes.image):
        if not image.get("alt"):
            logger.warning("image without alt text", location=image, type="figure_alt")


def setup(app):
    NbElementRenderer.render_image = with_alt(NbElementRenderer.render_image)
    app.connect("doctree-read", warn_without_alt)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
