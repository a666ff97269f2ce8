"""Samples from files: NumPy's `.npy` and `.npz`, and folders of images."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from saebook._types import Array, StrPath

IMAGES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"}


def read_samples(path: StrPath, key: str | None = None) -> Array:
    """Samples ``(n_samples, n_features)`` as floating-point numbers.

    Parameters
    ----------
    path : str or path-like
        A ``.npy`` file, which is memory-mapped where its numbers can stay as they are; a ``.npz``
        file; or a folder of images of one size, taken as grey and in the order of their names.
        Axes after the first become one. 8-bit numbers are divided by 255.
    key : str, optional
        Which array of a ``.npz`` file; needed where it holds several.

    Raises
    ------
    ValueError
        If the file is damaged or of another kind, holds Python objects, integers of more than 8
        bits or no samples; if images differ in size.
    OSError
        If the file cannot be read.
    """
    path = Path(path)
    if path.is_dir():
        return read_images(path)[0]
    if path.suffix not in (".npy", ".npz"):
        raise ValueError(f"path must be a .npy or .npz file or a folder of images, got {path}.")
    with path.open("rb"):
        pass  # a missing or forbidden file gets the system's own clear error
    try:
        x = _member(path, key) if path.suffix == ".npz" else np.load(path, mmap_mode="r")
        if not isinstance(x, np.ndarray):
            raise ValueError("an entry is not in NumPy's format")
    except Exception as error:  # NumPy lets through whatever its parsers raise: fuzzing found seven
        reason = str(error) or type(error).__name__
        raise ValueError(
            f"{path} must be a whole {path.suffix} file of numbers, got one that cannot be read: "
            f"{reason.splitlines()[0]}"
        ) from None
    if x.ndim < 2 or x.size == 0:
        raise ValueError(
            f"{path} must hold samples with features, (n_samples, ...), got shape {x.shape}."
        )
    x = x.reshape(len(x), -1)
    if x.dtype == np.uint8:
        return np.divide(x, 255, dtype=np.float32)
    if x.dtype.kind != "f":
        raise ValueError(f"{path} must hold floating-point or 8-bit numbers, got {x.dtype}.")
    return x if x.dtype in (np.float32, np.float64) else x.astype(np.float32)


def _member(path: Path, key: str | None) -> Array:
    with np.load(path, allow_pickle=False) as arrays:
        names = list(arrays.files)
        if key is None and len(names) == 1:
            key = names[0]
        if key not in names:
            raise ValueError(f"key must be one of {', '.join(names) or 'none at all'}, got {key!r}")
        return arrays[key]


def read_images(folder: StrPath) -> tuple[Array, tuple[int, int], list[str]]:
    """Images of a folder: pixels in [0, 1], size, names.

    Parameters
    ----------
    folder : str or path-like

    Returns
    -------
    ndarray (n_images, height * width) of float32
    (int, int)
        Height and width.
    list of str
        The files' names, sorted: the order of the rows.

    Raises
    ------
    ValueError
        If there is no image, one cannot be read, or sizes differ.
    """
    from PIL import Image, UnidentifiedImageError

    folder = Path(folder)
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGES)
    if not paths:
        raise ValueError(f"{folder} must hold images ({', '.join(sorted(IMAGES))}), got none.")
    images: list[Array] = []
    for path in paths:
        try:
            with Image.open(path) as image:
                pixels = np.asarray(image.convert("L"))
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
            raise ValueError(
                f"{path} must be an image, got one that cannot be read: {error}"
            ) from None
        if images and pixels.shape != images[0].shape:
            raise ValueError(
                f"{folder} must hold images of one size, got {paths[0].name} with "
                f"{images[0].shape} and {path.name} with {pixels.shape}."
            )
        images.append(pixels)
    x = np.divide(np.stack(images).reshape(len(images), -1), 255, dtype=np.float32)
    return x, images[0].shape, [path.name for path in paths]


def write_images(folder: StrPath, x: Array, shape: tuple[int, int], names: Iterable[str]) -> None:
    """Write rows of pixels in [0, 1] as PNG files under the stems of `names` into a new folder."""
    from PIL import Image

    folder = Path(folder)
    folder.mkdir(parents=True)
    for row, name in zip(np.clip(x, 0, 1), names, strict=True):
        pixels = np.rint(255 * row).astype(np.uint8).reshape(shape)
        Image.fromarray(pixels).save(folder / f"{Path(name).stem}.png")
