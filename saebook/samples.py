"""Samples from files: NumPy's `.npy` and `.npz`, and folders of images."""

import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from saebook._types import Array, StrPath

IMAGES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"}


def read_samples(path: StrPath, key: str | None = None) -> Array:
    """Samples ``(n_samples, n_features)`` as floating-point numbers.

    Parameters
    ----------
    path : str or path-like
        A ``.npy`` file, which is memory-mapped where its numbers can stay as they are; a ``.npz``
        file; or a folder of images of one size, see `read_images`. Axes after the first become
        one. Unsigned 8-bit numbers are divided by 255.
    key : str, optional
        Which array of a ``.npz`` file; needed where it holds several, beside one called ``names``.

    Raises
    ------
    ValueError
        If the file is damaged or of another kind, holds Python objects, signed integers, integers
        of more than 8 bits or no samples; if images differ in size or cannot be read.
    OSError
        If the file cannot be read.
    """
    return read_named(path, key)[0]


def read_named(
    path: StrPath, key: str | None = None
) -> tuple[Array, tuple[int, int] | None, list[str] | None]:
    """Samples as from `read_samples`, their height and width, and their names.

    Height and width are None unless each sample is an image or a matrix; names are None except for
    images of a folder.
    """
    path = Path(path)
    if path.is_dir():
        return read_images(path)
    if path.suffix not in (".npy", ".npz"):
        raise ValueError(f"path must be a .npy or .npz file or a folder of images, got {path}.")
    with path.open("rb"):
        pass  # a missing or forbidden file gets the system's own clear error
    try:
        x = _member(path, key) if path.suffix == ".npz" else np.load(path, mmap_mode="r")
        if not isinstance(x, np.ndarray):
            raise ValueError("an entry is not in NumPy's format")
    except _WrongKey:
        raise
    except Exception as error:  # NumPy lets through whatever its parsers raise: fuzzing found seven
        raise ValueError(
            f"{path} must be a whole {path.suffix} file of numbers, got one that cannot be read: "
            f"{_reason(error)}"
        ) from None
    if x.ndim < 2 or x.size == 0:
        raise ValueError(
            f"{path} must hold samples with features, (n_samples, ...), got shape {x.shape}."
        )
    if x.dtype != np.uint8 and x.dtype.kind != "f":
        raise ValueError(
            f"{path} must hold floating-point or unsigned 8-bit numbers, got {x.dtype}."
        )
    shape = x.shape[1:] if x.ndim == 3 and min(x.shape[1:]) > 1 else None
    x = x.reshape(len(x), -1)
    if x.dtype == np.uint8:
        return np.divide(x, 255, dtype=np.float32), shape, None
    wide = x.dtype.newbyteorder("=") == np.float64
    return x.astype(np.float64 if wide else np.float32, copy=False), shape, None


class _WrongKey(ValueError):
    """Told from the errors of a damaged file."""


def _member(path: Path, key: str | None) -> Array:
    with np.load(path, allow_pickle=False) as arrays:
        samples = [name for name in arrays.files if name != "names"]  # what the samples are called
        if key is None and len(samples) == 1:
            key = samples[0]
        if key not in arrays.files:
            raise _WrongKey(
                f"{path} holds several arrays, or none: key (--key) must be one of "
                f"{', '.join(samples) or 'none at all'}, got {key!r}."
            )
        return arrays[key]


def _reason(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def read_images(folder: StrPath) -> tuple[Array, tuple[int, int], list[str]]:
    """Images of a folder: pixels in [0, 1], size, names.

    Each is turned as its EXIF orientation says, laid on white where it is transparent, and made
    grey; from 16 bits it is divided by 65535. Floating-point pixels must lie in [0, 1]; 32-bit
    integers, whose range no file tells, are refused. Of a file of several pictures (TIFF, GIF,
    WebP, PNG) all are read; of a JPEG the first, for the others are previews of it.

    Parameters
    ----------
    folder : str or path-like

    Returns
    -------
    ndarray (n_images, height * width) of float32
    (int, int)
        Height and width.
    list of str
        Names in the order of the rows: those of the files, part2 before part10, and for a picture
        of several its number from 1 behind it, as in ``stack.tif#3``.

    Raises
    ------
    ValueError
        If there is no image, one cannot be read or is too large to be meant, or sizes differ.
    """
    folder = Path(folder)
    paths = sorted((path for path in folder.iterdir() if path.suffix.lower() in IMAGES), key=_order)
    if not paths:
        raise ValueError(f"{folder} must hold images ({', '.join(sorted(IMAGES))}), got none.")
    images: list[Array] = []
    names: list[str] = []
    for path in paths:
        try:
            pages = list(_pages(path))
        except Exception as error:  # Pillow lets through whatever its parsers raise
            raise ValueError(
                f"{path} must be an image, got one that cannot be read: {_reason(error)}"
            ) from None
        for number, pixels in enumerate(pages, start=1):
            names.append(path.name if len(pages) == 1 else f"{path.name}#{number}")
            images.append(pixels)
            if pixels.shape != images[0].shape:
                raise ValueError(
                    f"{folder} must hold images of one size, got {names[0]} with "
                    f"{images[0].shape} and {names[-1]} with {pixels.shape}."
                )
    return np.stack(images).reshape(len(images), -1), images[0].shape, names


def _order(path: Path) -> tuple[list[Any], str]:
    """What to sort by so that numbers in names count as numbers."""
    parts = re.split(r"(\d+)", path.name)
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], path.name


def _pages(path: Path) -> Iterator[Array]:
    """Every picture in a file."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        # By its name, Pillow 13 maps a TIFF file into memory and garbles one that has to be turned.
        with path.open("rb") as file, Image.open(file) as image:
            several = image.format not in ("JPEG", "MPO")
            for number in range(getattr(image, "n_frames", 1) if several else 1):
                image.seek(number)
                yield _grey(image)


def _grey(image: Any) -> Array:
    """A picture as shown, upright and on white, in grey from 0 to 1."""
    from PIL import Image, ImageOps

    tags = getattr(image, "tag_v2", {})  # of TIFF; what follows loses them
    image = ImageOps.exif_transpose(image)
    clear = image.info.get("transparency")
    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or clear is not None:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        return np.divide(np.asarray(image.convert("L")), 255, dtype=np.float32)
    pixels = np.asarray(image)
    top = 1 if image.mode == "F" else 2 ** tags.get(258, (16,))[0] - 1  # 258: bits, 12 or 16
    if (image.mode == "I" and tags) or not (pixels.min() >= 0 and pixels.max() <= top):
        raise ValueError(
            "pixels must be of 8 or 16 bits, or floating-point numbers in [0, 1], got "
            f"{pixels.dtype} from {pixels.min():g} to {pixels.max():g}"
        )
    grey = np.divide(pixels, top, dtype=np.float32)
    if tags.get(262) == 0:  # white is 0, which Pillow heeds up to 8 bits only
        grey = 1 - grey
    return grey if clear is None else np.where(pixels == clear, np.float32(1), grey)


def write_images(folder: StrPath, x: Array, shape: tuple[int, int], names: Sequence[str]) -> None:
    """Write rows of pixels in [0, 1] as PNG files into a new folder.

    A file has the stem of its name, ``a.png`` for ``a.jpg``; where two would share it, all have
    their whole names, as ``a.jpg.png``. Nothing is overwritten.
    """
    from PIL import Image

    folder = Path(folder)
    pixels = np.rint(255 * np.clip(x, 0, 1)).astype(np.uint8).reshape(len(names), *shape)
    stems = [Path(name).stem for name in names]
    if len({stem.casefold() for stem in stems}) < len(stems):  # some systems do not tell a from A
        stems = [Path(name).name for name in names]
    folder.mkdir(parents=True)
    for image, stem in zip(pixels, stems, strict=True):
        with (folder / f"{stem}.png").open("xb") as file:
            Image.fromarray(image).save(file, "PNG")
