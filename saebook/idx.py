"""IDX files, in which MNIST and the sets made after it are kept, and where libraries keep them.

The format is described on MNIST's own page (LeCun, Cortes & Burges): two zero bytes, a byte for the
type, one for the number of axes, their lengths as big-endian 32-bit integers, the numbers in C
order.
"""

import gzip
import math
import re
import struct
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from saebook._types import Array, StrPath

UINT8 = 8  # the format's number for it, the one type that images and labels have
NAME = re.compile(
    r"(?P<part>.*?)-?(?P<split>train|t10k|test)-(?P<kind>images|labels)[.-]idx[13]-ubyte(\.gz)?"
)
# Where the files may lie below a folder: in it, as torchvision has them, or below its root.
PLACES = (".", "raw", "*/raw")


def read_idx(path: StrPath) -> Array:
    """The array in an IDX file of unsigned 8-bit numbers, gzipped or not, whatever its name.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    ndarray of uint8

    Raises
    ------
    ValueError
        If it is no such file, holds another type, is cut off, damaged, empty, or goes on too long.
    OSError
        If the file cannot be read.
    """
    path = Path(path)
    with path.open("rb") as raw:
        zipped = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        try:
            return _read(gzip.GzipFile(fileobj=raw).read if zipped else raw.read)
        except (ValueError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"{path} must be a whole IDX file, got {error}.") from None


def _read(read: Callable[[int], bytes]) -> Array:
    head = read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or not 1 <= head[3] <= 4:
        raise ValueError(f"one that begins with {head.hex(' ') or 'nothing'}, not 00 00 08")
    if head[2] != UINT8:
        raise ValueError(f"numbers of type 0x{head[2]:02x}, not 0x08, unsigned 8-bit")
    sizes = read(4 * head[3])
    if len(sizes) < 4 * head[3]:
        raise ValueError(f"one that ends after {4 + len(sizes)} bytes, within its header")
    shape = struct.unpack(f">{head[3]}I", sizes)
    wanted, content = math.prod(shape), bytearray()
    if wanted == 0:
        raise ValueError(f"none in shape {shape}")
    while len(content) <= wanted and (chunk := read(2**20)):  # no more than there is
        content += chunk
    if len(content) != wanted:
        found = f"{len(content)}" if len(content) < wanted else "more"
        raise ValueError(f"{found} numbers for shape {shape}, which needs {wanted}")
    return np.frombuffer(content, np.uint8).reshape(shape)


def idx_bytes(x: Array) -> bytes:
    """The content of an IDX file with the array, of uint8."""
    return struct.pack(f">4B{x.ndim}I", 0, 0, UINT8, x.ndim, *x.shape) + x.tobytes()


def find(folder: StrPath, part: str | None = None) -> dict[str, Path]:
    """The four files of a data set in a folder, by the names of their arrays, as ``x_train``.

    Raises
    ------
    ValueError
        If there are none, one is missing, or there are several sets and `part` names none of them.
    """
    folder = Path(folder)
    for place in PLACES:
        found: dict[tuple[Path, str], dict[str, Path]] = {}
        for path in sorted(folder.glob(f"{place}/*-ubyte*"), reverse=True):  # the unzipped win
            if match := NAME.fullmatch(path.name):
                split = "train" if match["split"] == "train" else "test"
                key = f"{'x' if match['kind'] == 'images' else 'y'}_{split}"
                found.setdefault((path.parent, match["part"]), {})[key] = path
        if found:
            return _one_of(folder, found, part)
    raise ValueError(f"{folder} must hold IDX files such as train-images-idx3-ubyte, got none.")


def _one_of(
    folder: Path, found: dict[tuple[Path, str], dict[str, Path]], part: str | None
) -> dict[str, Path]:
    places = {key: key[0].parent if key[0].name == "raw" else key[0] for key in found}
    names = {key: key[1] or places[key].resolve().name for key in found}
    wanted = [key for key in found if part in (None, names[key])]
    if len(wanted) != 1:
        raise ValueError(
            f"{folder} must hold one data set, or part must name one, got "
            f"{', '.join(sorted(names.values()))} and part={part!r}."
        )
    files = found[wanted[0]]
    _all_there(folder, files)
    return files


def _all_there(folder: Path, files: Iterable[str]) -> None:
    if missing := {"x_train", "y_train", "x_test", "y_test"} - {*files}:
        words = {"x": "images", "y": "labels", "train": "training", "test": "test"}
        listed = (" ".join(words[word] for word in reversed(name.split("_"))) for name in missing)
        raise ValueError(
            f"{folder} must hold all four files, got none of {', '.join(sorted(listed))}."
        )
