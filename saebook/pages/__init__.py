"""What only the pages of the book need: figures and tables on a page, and stored results."""

import io
from collections.abc import Sequence
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from saebook.pages.stored import results, source
from saebook.plots import DPI

__all__ = ["results", "show", "table"]

LARGEST_DRAWING = 100_000  # characters of an SVG file; pixels take less for a cloud of points


def show(figure: Figure, alt: str | None = None) -> None:
    """Display a figure with its description; in a script, show all open figures.

    In a notebook the figure is closed. Its description is the picture's text alternative, and all
    that a notebook stored without pictures keeps of it. In a cell that looks into stored
    `saebook.pages.results`, a line below says which.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    alt : str, optional
        What the figure shows, in a sentence or two; by default ``figure.alt``.

    Raises
    ------
    ValueError
        If there is no description.
    """
    alt = alt or getattr(figure, "alt", None)
    if not alt:
        raise ValueError("alt must describe what the figure shows, got nothing.")
    if not _in_notebook():
        plt.show()
        return
    from IPython.display import Markdown, display

    kind, file = _file(figure)
    plt.close(figure)
    display(
        {kind: file, "text/plain": alt},
        metadata={kind: {"alt": alt, "width": round(100 * figure.get_figwidth())}},
        raw=True,
    )
    if line := source():
        display(Markdown(line))


def _file(figure: Figure) -> tuple[str, str | bytes]:
    """MIME type and contents of a figure's file: a drawing, sharp at any size, if that is small.

    No program, version or time is in it: the same figure makes the same file.
    """
    drawing = io.StringIO()
    with plt.rc_context({"svg.hashsalt": "saebook"}):
        figure.savefig(drawing, format="svg", metadata={"Creator": None, "Date": None})
    has_pixels = any(axis.images for axis in figure.axes)
    if not has_pixels and len(drawing.getvalue()) <= LARGEST_DRAWING:
        return "image/svg+xml", drawing.getvalue()
    pixels = io.BytesIO()
    figure.savefig(pixels, format="png", dpi=DPI, metadata={"Software": None})
    return "image/png", pixels.getvalue()


def table(header: Sequence[object], *rows: Sequence[object]) -> Any:
    """A table in Markdown, which pages and notebooks draw alike.

    In a cell that looks into stored `saebook.pages.results`, a line below says which.

    Parameters
    ----------
    header : sequence
        The heads of the columns.
    *rows : sequence
        The cells of each row, as many as there are heads.

    Returns
    -------
    IPython.display.Markdown

    Raises
    ------
    ValueError
        If a row has more or fewer cells than the header.
    """
    from IPython.display import Markdown

    if lengths := {len(row) for row in rows} - {len(header)}:
        raise ValueError(
            f"rows must have {len(header)} cells, as the header has, got {sorted(lengths)}."
        )
    lines = [header, ["---"] * len(header), *rows]
    text = "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
    return Markdown("\n\n".join(filter(None, (text, source()))))


def _in_notebook() -> bool:
    try:
        from IPython import get_ipython
    except ModuleNotFoundError:
        return False
    return hasattr(get_ipython(), "kernel")
