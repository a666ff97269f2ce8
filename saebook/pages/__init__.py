"""What only the pages of the book need: figures and tables on a page, and stored results."""

import base64
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.text import Text

from saebook._types import StrPath
from saebook.pages.stored import results, source
from saebook.plots import DPI

__all__ = ["dashboard", "results", "show", "table"]

GLUED = "scrapbook"  # metadata of an output that MyST-NB leaves in a file of its own

LARGEST_DRAWING = 100_000  # characters of an SVG file; pixels take less for a cloud of points


def show(figure: Figure, alt: str | None = None, caption: str = "") -> None:
    """Display a figure with its description; in a script, show all open figures.

    In a notebook the figure is closed. Its description is the picture's text alternative, and all
    that a notebook stored without pictures keeps of it. In a cell that looks into stored
    `saebook.pages.results`, a line below says which.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    alt : str, optional
        What the figure shows, in a sentence or two; by default ``figure.alt``.
    caption : str, optional
        The result that the figure shows, in a sentence; a page prints it below, with a number.

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
    seen: dict[str, Any] = {"alt": alt, "width": round(100 * figure.get_figwidth())}
    seen |= {"caption": caption} if caption else {}
    seen |= {"text": size} if (size := _smallest_text(figure)) else {}
    text = "\n".join(filter(None, (caption, alt)))
    display({kind: file, "text/plain": text}, metadata={kind: seen}, raw=True)
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


def _smallest_text(figure: Figure) -> float:
    """Height in pixels of the smallest letters of a figure, where a page shows it whole; or 0."""
    texts = [
        text
        for axis in figure.axes
        for text in (axis.findobj(Text) if axis.axison else [axis.title, *axis.texts])
        if text.get_text().strip() and text.get_visible()
    ]
    return round(min((float(text.get_fontsize()) for text in texts), default=0) * 100 / 72, 1)


def table(header: Sequence[object], *rows: Sequence[object], caption: str = "") -> Any:
    """A table in Markdown, which pages and notebooks draw alike.

    In a cell that looks into stored `saebook.pages.results`, a line below says which.

    Parameters
    ----------
    header : sequence
        The heads of the columns.
    *rows : sequence
        The cells of each row, as many as there are heads.
    caption : str, optional
        The result that the table shows, in a sentence of Markdown; it stands above the table, on a
        page with a number.

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
    parts = (f"*{caption}*" if caption else "", text, source())
    return Markdown(
        "\n\n".join(filter(None, parts)), metadata={"caption": True} if caption else None
    )


def dashboard(page: StrPath) -> None:
    """Say where a dashboard is; a page of the book shows it by the name of its folder.

    Parameters
    ----------
    page : path
        What `saebook.dashboard.write_dashboard` returned.
    """
    folder = Path(page).parent
    text = f"{folder.name}/{Path(page).name}: open it in a browser."
    if not _in_notebook():
        print(text)
        return
    from IPython.display import display

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*.*")):
            archive.write(path, path.relative_to(folder.parent).as_posix())
    content = base64.b64encode(packed.getvalue()).decode()
    glued = {"name": f"dashboard-{folder.name}", "mime_prefix": "", "folder": content}
    display({"text/plain": text}, metadata={GLUED: glued}, raw=True)


def _in_notebook() -> bool:
    try:
        from IPython import get_ipython
    except ModuleNotFoundError:
        return False
    return hasattr(get_ipython(), "kernel")
