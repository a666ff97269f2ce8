"""Pictures of a dashboard: tiles of samples and of dictionary rows, many in one PNG file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from saebook._types import Array, Shape
from saebook.checks import as_array, check_floats, image_shape_of

BLOCK = 2**14  # pictures looked at in one go
LEVELS = 32  # of colour in a dictionary row: a list shows many, and is to be light


class Pictures:
    """Pictures ``(n_samples, ...)`` of one shape, and how they become tiles.

    Parameters
    ----------
    images : array (n_samples, ...)
    shape : tuple of int
        Of one of them: ``(height, width)``, or with an axis of 1 or 3 colours, first or last.
    name : str
        The argument that they come from.
    """

    def __init__(self, images: Array, shape: Shape, name: str) -> None:
        self.images, self.shape = images, shape
        self.low, self.high = _range(images, name)
        one = self._arranged(images[:1])
        self.tile = [one.shape[1], one.shape[2]]  #: height and width
        self.grey = one.ndim == 3

    @classmethod
    def of(cls, x: Array, image_shape: Sequence[int] | None, images: Any) -> "Pictures | None":
        """Those given as `images`, or the samples themselves if they are known to be pictures."""
        if images is not None:
            if image_shape is not None:
                raise ValueError("images must be given without image_shape, got both.")
            images = as_array(images, "images")
            if images.ndim < 3 or len(images) != len(x) or not _is_picture(images.shape[1:]):
                raise ValueError(
                    f"images must have shape ({len(x)}, height, width) or "
                    f"({len(x)}, height, width, 3), got {images.shape}."
                )
            return cls(images, images.shape[1:], "images")
        shape = image_shape if image_shape is not None else image_shape_of(x)
        if shape is None:
            return None
        try:
            shape = tuple(int(n) for n in shape)
        except (TypeError, ValueError):
            shape = ()
        if not _is_picture(shape) or np.prod(shape) != np.prod(x.shape[1:]):
            raise ValueError(
                f"image_shape must be (height, width) or (height, width, 3) of "
                f"{np.prod(x.shape[1:])} numbers, got {image_shape or shape!r}."
            )
        return cls(x, shape, "x")

    def _arranged(self, images: Array) -> Array:
        """Rows or pictures as ``(n, height, width)`` of grey or ``(n, height, width, 3)``."""
        images = images.reshape(len(images), *self.shape)
        if images.ndim == 4 and images.shape[-1] not in (1, 3):  # channels first, as in PyTorch
            images = np.moveaxis(images, 1, -1)
        return images[..., 0] if images.ndim == 4 and images.shape[-1] == 1 else images

    def write_examples(self, path: Path, places: Array) -> None:
        """A row of tiles for each latent; ``places (n_latents, n_examples)``, -1 stays empty."""
        chosen = self.images[np.maximum(places, 0).reshape(-1)]
        tiles = self._arranged(chosen).astype(np.float64)
        tiles = (tiles - self.low) / (self.high - self.low)
        tiles = 1 - tiles if self.grey else tiles
        tiles[places.reshape(-1) < 0] = 1
        _write(path, tiles, places.shape[1])

    def write_rows(self, path: Path, rows: Array) -> None:
        """One row of tiles; orange adds, purple takes away, as in `saebook.plots.dictionary`."""
        from matplotlib import colormaps

        tiles = self._arranged(rows).astype(np.float64)
        largest = np.abs(tiles).max(axis=tuple(range(1, tiles.ndim)), keepdims=True)
        tiles = (1 + np.divide(tiles, largest, out=np.zeros_like(tiles), where=largest > 0)) / 2
        if not self.grey:
            _write(path, tiles, len(rows))
            return
        palette = colormaps["PuOr_r"](np.arange(256), bytes=True)[:, :3]
        _write(path, np.round(tiles * LEVELS) / LEVELS, len(rows), palette)


def _is_picture(shape: Sequence[int]) -> bool:
    return len(shape) == 2 or (len(shape) == 3 and (shape[-1] in (1, 3) or shape[0] in (1, 3)))


def _range(images: Array, name: str) -> tuple[float, float]:
    """What is drawn as black and white: 0 and 255 of bytes, 0 and 1, or the least and the most."""
    if images.dtype == np.uint8:
        return 0.0, 255.0
    check_floats(images, name)
    low, high = 0.0, 1.0
    for start in range(0, len(images), BLOCK):
        block = images[start : start + BLOCK]
        if not np.isfinite(block).all():
            raise ValueError(f"{name} must be finite, got NaN or infinity.")
        low, high = min(low, float(block.min())), max(high, float(block.max()))
    return low, high


def _write(path: Path, tiles: Array, n_columns: int, palette: Array | None = None) -> None:
    """Tiles ``(n, height, width)`` or ``(n, height, width, 3)`` in [0, 1], row by row."""
    n_rows = len(tiles) // n_columns
    _, tall, wide, *colours = tiles.shape
    grid = tiles.reshape(n_rows, n_columns, tall, wide, *colours).swapaxes(1, 2)
    grid = grid.reshape(n_rows * tall, n_columns * wide, *colours)
    pixels = np.round(255 * grid.clip(0, 1)).astype(np.uint8)
    image = Image.fromarray(pixels)
    if palette is not None:
        image.putpalette(palette.tobytes())
    image.save(path, optimize=True)
