"""Figures of dictionaries, samples and trainings, each with a description of what it shows.

A function returns a matplotlib figure whose description is ``figure.alt``; `saebook.pages.show`
displays both.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from saebook import _renamed
from saebook._types import Array, ArrayLike

# Okabe & Ito's palette: distinct for colour-blind readers. Black is left out for dark pages' sake.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
TEN_COLORS = (*COLORS, "#000000", "#882255", "#44AA99", "#666633")  # one for each digit
DPI = 144  # of the pictures' files; a page shows 100 pixels to the inch, a phone's screen has more
WIDTH = 6.4  # inches, about a page's column
STYLE: dict[Any, Any] = {
    "axes.grid": True,
    "axes.prop_cycle": plt.cycler(color=COLORS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "figure.dpi": 100,
    "font.size": 11,
    "grid.alpha": 0.3,
    "lines.linewidth": 2,
}


def subplots(n_rows: int = 1, n_columns: int = 1, **options: Any) -> tuple[Any, Any]:
    """`matplotlib.pyplot.subplots` in the book's style."""
    with plt.rc_context(STYLE):
        return plt.subplots(n_rows, n_columns, **options)


def _pictures(images: ArrayLike, shape: tuple[int, int]) -> Array:
    """Rows or pictures as pictures, ``(n, height, width)`` of grey or ``(n, height, width, 3)``."""
    images = np.asarray(images, dtype=float)
    if images.ndim == 2 and images.shape[1] == shape[0] * shape[1]:
        return images.reshape(-1, *shape)
    if images.ndim == 3:
        return images
    if images.ndim == 4 and images.shape[1] in (1, 3):  # channels first, as PyTorch has them
        images = np.moveaxis(images, 1, -1)
    if images.ndim == 4 and images.shape[-1] in (1, 3):
        return images[..., 0] if images.shape[-1] == 1 else images
    raise ValueError(
        f"images must have shape (n_images, {shape[0] * shape[1]}) for tiles of {shape}, or be "
        f"pictures of one channel or three, got {images.shape}."
    )


def _tiles(images: Array, n_columns: int, limit: tuple[float, float], cmap: str) -> tuple[Any, Any]:
    """Pictures as one array of tiles, framed by one pixel of NaN, in a bare axis.

    Each of their pixels is drawn as equally many pixels of the figure's file, so that it is crisp.
    """
    tall, wide, *channels = images.shape[1:]
    n_rows = -(-len(images) // n_columns)
    height, width = tall + 1, wide + 1
    frame = (n_rows * height - 1, n_columns * width - 1)
    canvas = np.full((*frame, *channels), 1.0 if channels else np.nan)
    for index, image in enumerate(images):
        top, left = index // n_columns * height, index % n_columns * width
        if channels:  # matplotlib knows no limits for colours
            image = ((image - limit[0]) / (limit[1] - limit[0])).clip(0, 1)
        canvas[top : top + tall, left : left + wide] = image
    scale = max(1, round(WIDTH * DPI / canvas.shape[1])) / DPI
    size = (scale * canvas.shape[1], scale * canvas.shape[0])
    figure, axis = subplots(figsize=size, layout="none")
    axis.set_position((0, 0, 1, 1))
    axis.imshow(canvas, cmap=cmap, vmin=limit[0], vmax=limit[1], interpolation="nearest")
    axis.set_axis_off()
    return figure, axis


def dictionary(atoms: ArrayLike, n_columns: int = 16, shape: tuple[int, int] = (28, 28)) -> Figure:
    """Dictionary rows as pictures, each on its own scale: orange adds ink, purple takes it away.

    Of pictures in colour, grey is 0, and each channel is added or taken away by itself.

    Parameters
    ----------
    atoms : array (n_atoms, n_features)
        Rows of the decoder's weights (or of a transposed encoder); or pictures, of any size, in
        grey or colour, as a model's ``images`` makes them of rows.
    n_columns : int
        Pictures side by side.
    shape : (int, int)
        Height and width in pixels of a picture that is a row; their product is ``n_features``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    pictures = _pictures(atoms, shape)
    largest = np.abs(pictures).max(axis=tuple(range(1, pictures.ndim)), keepdims=True)
    scaled = np.divide(pictures, largest, out=np.zeros_like(pictures), where=largest > 0)
    figure, _ = _tiles(scaled, n_columns, (-1, 1), "PuOr_r")
    meaning = "orange pixels add ink, purple ones take it away"
    figure.alt = (
        f"{len(pictures)} dictionary rows as {pictures.shape[1]} by {pictures.shape[2]} pictures "
        f"in {n_columns} columns; {'grey is 0' if pictures.ndim == 4 else meaning}."
    )
    return figure


def reconstructions(rows: Mapping[str, Array], shape: tuple[int, int] = (28, 28)) -> Figure:
    """Samples beside what models made of them, one row of pictures for each.

    Parameters
    ----------
    rows : dict of str to array (n_images, n_features)
        The label of each row and its images in [0, 1], for example ``{"input": x, "KL": x_hat}``;
        or pictures, of any size, in grey or colour, as `reconstruct` gives them of pictures.
    shape : (int, int)
        Height and width in pixels of a picture that is a row.

    Returns
    -------
    matplotlib.figure.Figure
    """
    n_images = len(next(iter(rows.values())))
    if any(len(images) != n_images for images in rows.values()):
        lengths = {label: len(images) for label, images in rows.items()}
        raise ValueError(f"rows must hold equally many images, got {lengths}.")
    pictures = [_pictures(images, shape) for images in rows.values()]
    if len({part.shape for part in pictures}) > 1:
        shapes = {label: part.shape for label, part in zip(rows, pictures, strict=True)}
        raise ValueError(f"rows must hold pictures of one shape, got {shapes}.")
    tall = pictures[0].shape[1]
    figure, axis = _tiles(np.concatenate(pictures), n_images, (0, 1), "gray_r")
    axis.set_axis_on()
    axis.grid(False)
    axis.spines[:].set_visible(False)
    axis.set_xticks([])
    axis.set_yticks([tall / 2 + (tall + 1) * row for row in range(len(rows))], list(rows))
    axis.tick_params(length=0)
    # Room for the labels at the left, again in whole pixels of the file.
    width, height = figure.get_size_inches()
    room = np.ceil(-axis.get_tightbbox().x0 / figure.dpi * DPI + 4) / DPI
    figure.set_size_inches(width + room, height)
    axis.set_position((room / (width + room), 0, width / (width + room), 1))
    figure.alt = f"Rows of {n_images} pictures each, from the top: {', '.join(rows)}."
    return figure


def curves(
    series: Mapping[str, Sequence[float] | Array],
    x: Sequence[float] | Array | None = None,
    x_label: str = "epoch",
    y_label: str = "",
    log: bool = False,
) -> Figure:
    """Lines over epochs (or over `x`), told apart by colour and by dash pattern.

    Parameters
    ----------
    series : dict of str to sequence of float
        The label of each line and its values.
    x : sequence of float, optional
        Where the values stand; by default 1, 2, 3, ...
    x_label, y_label : str
    log : bool
        Whether the vertical axis is logarithmic.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axis = subplots(figsize=(6.4, 3.8))
    dashes = ((), (4, 2), (1, 1.5), (6, 2, 1, 2))
    spans = []
    for index, (label, values) in enumerate(series.items()):
        values = np.asarray(values, dtype=float)
        positions = np.arange(1, len(values) + 1) if x is None else x
        axis.plot(positions, values, label=label, dashes=dashes[index % len(dashes)])
        spans.append(f"{label} from {values[0]:.2g} to {values[-1]:.2g}")
    axis.set(xlabel=x_label, ylabel=y_label, yscale="log" if log else "linear")
    axis.legend(frameon=False)
    figure.alt = f"Lines of {y_label or 'values'} over {x_label}: {'; '.join(spans)}."
    return figure


def sparsity_histograms(codes: Mapping[str, ArrayLike], measure: Callable[..., Array]) -> Figure:
    """How sparse codes are in both senses: per sample on the left, per latent on the right.

    Parameters
    ----------
    codes : dict of str to array (n_samples, n_latents)
        The label of each code and the code.
    measure : callable
        `saebook.metrics.hoyer` or `saebook.metrics.treves_rolls`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = subplots(1, 2, figsize=(6.4, 3.4), sharex=True)
    means = []
    for axis, along, unit in zip(axes, (1, 0), ("sample", "latent"), strict=True):
        for label, z in codes.items():
            values = measure(z, axis=along)
            values = np.clip(values[np.isfinite(values)], 0, 1)  # 1 + rounding is 1
            axis.hist(
                values, bins=np.linspace(0, 1, 41), density=True, histtype="step", label=label, lw=2
            )
            means.append(f"{label} {values.mean():.2f} per {unit}")
        axis.set(title=f"per {unit}", xlabel=f"sparseness ({measure.__name__})")
    axes[0].set_ylabel("density")
    axes[0].legend(frameon=False)
    figure.alt = f"Histograms of {measure.__name__} sparseness; means: {', '.join(means)}."
    return figure


__getattr__ = _renamed.names_of(__name__)
