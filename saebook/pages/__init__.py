"""What only the pages of the book need: figures and tables on a page, and stored results."""

import io
import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from saebook.plots import DPI

LARGEST_DRAWING = 100_000  # characters of an SVG file; pixels take less for a cloud of points


def show(figure: Figure, alt: str | None = None) -> None:
    """Display a figure with its description; in a script, show all open figures.

    In a notebook the figure is closed. Its description is the picture's text alternative, and all
    that a notebook stored without pictures keeps of it.

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
    from IPython.display import display

    kind, file = _file(figure)
    plt.close(figure)
    display(
        {kind: file, "text/plain": alt},
        metadata={kind: {"alt": alt, "width": round(100 * figure.get_figwidth())}},
        raw=True,
    )


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
    return Markdown("\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines))


def _in_notebook() -> bool:
    try:
        from IPython import get_ipython
    except ModuleNotFoundError:
        return False
    return hasattr(get_ipython(), "kernel")


def results(name: str) -> dict[str, Any]:
    """What was measured or trained beforehand, as it takes too long for a page.

    By ``make experiments``, ``make bench`` (the name is "speed") and ``make environments``.

    Parameters
    ----------
    name : str
        Of the file, for example "denoising".

    Returns
    -------
    dict
        Its entries; of experiments and of speed also ``run``: date, seconds, versions, machine.

    Raises
    ------
    ValueError
        If there is no such file.
    """
    folder = files("saebook.pages") / "results"
    known = sorted(path.name.removesuffix(".json") for path in folder.iterdir())
    if name not in known:
        raise ValueError(f"name must be one of {', '.join(known)}, got {name!r}.")
    return json.loads((folder / f"{name}.json").read_text("utf8"))
