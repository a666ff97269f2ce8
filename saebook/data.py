"""Bundled data sets, as NumPy arrays, without a network."""

import hashlib
import io
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np

MNIST_SHA256 = "06af5dfe73b70e3bc1c36439982b18a8d76803db9b544f6fdf838a37fbb01b64"
N_VALIDATION = 5_000


class Split(NamedTuple):
    """Images and labels of a data set, in three parts that share no image."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_val: np.ndarray
    y_val: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


@lru_cache(maxsize=1)
def _bundled(name, sha256):
    """The arrays of a bundled ``.npz`` file, read-only, after its checksum was compared."""
    content = (files("saebook") / "datasets" / name).read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise OSError(
            f"{name} must have the SHA-256 checksum {sha256}, got {found}: "
            "the file is damaged; install saebook again."
        )
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        arrays = dict(arrays)
    for array in arrays.values():
        array.setflags(write=False)  # the cache hands the same arrays to everybody
    return arrays


def mnist(flat=True, dtype="float32"):
    """All 70,000 handwritten digits of MNIST (LeCun et al. 1998; CC BY-SA 3.0).

    The last 5,000 of the 60,000 training images are kept apart for validation: choose settings and
    thresholds with them, and look at the test images once, to report.

    Parameters
    ----------
    flat : bool
        Whether an image is a row of 784 pixels; otherwise it is 28 x 28.
    dtype : {"float32", "uint8"}
        float32 pixels lie in [0, 1], uint8 pixels in 0 to 255. 0 is the background.

    Returns
    -------
    Split
        ``x_train (55000, 784)``, ``y_train (55000,)``, ``x_val (5000, 784)``, ``y_val``,
        ``x_test (10000, 784)``, ``y_test``; labels are uint8 from 0 to 9.

    Raises
    ------
    ValueError
        If the dtype is another.
    OSError
        If the bundled file does not have its checksum.
    """
    if dtype not in ("float32", "uint8"):
        raise ValueError(f"dtype must be 'float32' or 'uint8', got {dtype!r}.")
    arrays = _bundled("mnist.npz", MNIST_SHA256)

    def images(x):
        x = x.reshape(len(x), -1) if flat else x
        # 32-bit division by 255 gives the same numbers as rounding the exact quotients
        return np.divide(x, 255, dtype=np.float32) if dtype == "float32" else x.copy()

    x, y = arrays["x_train"], arrays["y_train"]
    return Split(
        images(x[:-N_VALIDATION]),
        y[:-N_VALIDATION].copy(),
        images(x[-N_VALIDATION:]),
        y[-N_VALIDATION:].copy(),
        images(arrays["x_test"]),
        arrays["y_test"].copy(),
    )
