"""Bundled data sets and a user's own copies of others, as NumPy arrays, without a network."""

import hashlib
import io
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np

from saebook import _renamed
from saebook._types import Array, Params, StrPath
from saebook.files import replace_file
from saebook.idx import find, idx_bytes, read_idx

MNIST_SHA256 = "06af5dfe73b70e3bc1c36439982b18a8d76803db9b544f6fdf838a37fbb01b64"
FASHION_MNIST_SHA256 = "85cc4e3a7edcf7da06bfc8437d4fc0831f9cf035c115eb538f5318dc995a22af"
FASHION = (
    "T-shirt", "trouser", "pullover", "dress", "coat",
    "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip


class Split(NamedTuple):
    """Images and labels of a data set, in three parts that share no image."""

    x_train: Array  #: images ``(n_samples, 784)``, or ``(n_samples, 28, 28)``
    y_train: Array  #: their labels ``(n_samples,)``, uint8
    x_val: Array  #: images to choose settings and thresholds with
    y_val: Array  #: their labels
    x_test: Array  #: images to look at once, to report
    y_test: Array  #: their labels


def bundled(name: str, sha256: str) -> Params:
    """The arrays of a bundled ``.npz`` file, after its checksum was compared.

    Read anew each time, in half a second: kept, they would take 55 MB for as long as Python runs.
    """
    content = (files("saebook") / "datasets" / name).read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise OSError(
            f"{name} must have the SHA-256 checksum {sha256}, got {found}: "
            "the file is damaged; install saebook again."
        )
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return dict(arrays)


def _split(arrays: Params, n_validation: int, flat: bool, dtype: str) -> Split:
    if dtype not in ("float32", "uint8"):
        raise ValueError(f"dtype must be 'float32' or 'uint8', got {dtype!r}.")

    def images(x: Array) -> Array:
        x = x.reshape(len(x), -1) if flat else x
        # 32-bit division by 255 gives the same numbers as rounding the exact quotients
        return np.divide(x, 255, dtype=np.float32) if dtype == "float32" else x

    x, y = arrays["x_train"], arrays["y_train"]
    return Split(
        images(x[:-n_validation]),
        y[:-n_validation],
        images(x[-n_validation:]),
        y[-n_validation:],
        images(arrays["x_test"]),
        arrays["y_test"],
    )


def mnist(flat: bool = True, dtype: str = "float32") -> Split:
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
    return _split(bundled("mnist.npz", MNIST_SHA256), 5_000, flat, dtype)


def fashion_mnist(flat: bool = True, dtype: str = "float32") -> Split:
    """Pictures of clothing, made to take MNIST's place (Xiao, Rasul & Vollgraf 2017; MIT licence).

    Here for what is *not* a digit. All 10,000 test images are bundled and the first 20,000 of the
    60,000 training images, of which the last 2,000 are kept apart for validation.

    Parameters
    ----------
    flat, dtype
        As for `mnist`.

    Returns
    -------
    Split
        ``x_train (18000, 784)``, ``y_train (18000,)``, ``x_val (2000, 784)``, ``y_val``,
        ``x_test (10000, 784)``, ``y_test``; labels are uint8, the positions in `FASHION`.

    See Also
    --------
    own_copy : All 60,000 training images, from files of your own.
    """
    return _split(bundled("fashion_mnist.npz", FASHION_MNIST_SHA256), 2_000, flat, dtype)


KEYS = ("x_train", "y_train", "x_test", "y_test")


def own_copy(
    path: StrPath,
    part: str | None = None,
    n_validation: int = 5_000,
    flat: bool = True,
    dtype: str = "float32",
) -> Split:
    """MNIST or a set made after it, such as Fashion-MNIST, KMNIST or EMNIST, from your own files.

    Parameters
    ----------
    path : str or path-like
        A folder with the four IDX files, gzipped or not: theirs, that of torchvision, such as
        ``data/FashionMNIST``, or its root. Or an ``.npz`` file with the arrays ``x_train``,
        ``y_train``, ``x_test`` and ``y_test``, such as Keras keeps.
    part : str, optional
        Which set, where the folder holds several: the beginning of its files' names, as in
        ``"emnist-letters"``, or the name of its folder.
    n_validation : int >= 1
        How many of the last training images to keep apart for validation.
    flat, dtype
        As for `mnist`.

    Returns
    -------
    Split
        Images as they are in the file. EMNIST's lie on their side: ``x_train.swapaxes(1, 2)``.

    Raises
    ------
    ValueError
        If a file is missing, damaged or of another kind, images and labels do not go together, or a
        setting is not allowed.
    OSError
        If a file cannot be read.
    """
    path = Path(path)
    if path.is_dir():
        arrays: Params = {name: read_idx(file) for name, file in find(path, part).items()}
    else:
        arrays = _of_npz(path)
    for split in ("train", "test"):
        x, y = arrays[f"x_{split}"], arrays[f"y_{split}"]
        if x.ndim != 3 or y.shape != x.shape[:1] or {x.dtype, y.dtype} != {np.dtype(np.uint8)}:
            raise ValueError(
                f"{path} must hold images (n, height, width) with a label for each, all of uint8, "
                f"got {x.dtype} {x.shape} and {y.dtype} {y.shape} to {split}."
            )
    if arrays["x_train"].shape[1:] != arrays["x_test"].shape[1:]:
        sizes = arrays["x_train"].shape[1:], arrays["x_test"].shape[1:]
        raise ValueError(f"{path} must hold images of one size, got {sizes[0]} and {sizes[1]}.")
    if not isinstance(n_validation, int) or not 1 <= n_validation < len(arrays["x_train"]):
        raise ValueError(
            "n_validation must be at least 1 and leave images to train on, of "
            f"{len(arrays['x_train'])}, got {n_validation!r}."
        )
    return _split(arrays, n_validation, flat, dtype)


def _of_npz(path: Path) -> Params:
    with path.open("rb"):
        pass  # a missing or forbidden file gets the system's own clear error
    try:
        with np.load(path, allow_pickle=False) as found:
            return {name: found[name] for name in KEYS}
    except Exception as error:  # NumPy lets through whatever its parsers raise
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"{path} must be a folder of IDX files or a whole .npz file with {', '.join(KEYS)}, "
            f"got one that cannot be read: {reason}"
        ) from None


def write_mnist(folder: StrPath, form: str = "torchvision") -> Path:
    """Write the bundled digits to where a library looks for them, so that it needs no network.

    The arrays are those of the original files, byte for byte; a file that has them already stays.

    Parameters
    ----------
    folder : str or path-like
        Made if it is not there.
    form : {"torchvision", "npz"}
        "torchvision" writes the four IDX files to ``folder/MNIST/raw``, for
        ``torchvision.datasets.MNIST(folder, download=False)``; "npz" writes ``folder/mnist.npz``,
        with the names and arrays of Keras's file, for `numpy.load` to read. (Keras's ``load_data``
        takes no file but the one of its checksum; out of its own folder it deletes another.)

    Returns
    -------
    pathlib.Path
        The folder or file that has the digits.

    Raises ValueError for another form, or a file of that name with something else in it.
    """
    if form not in ("torchvision", "npz"):
        raise ValueError(f"form must be 'torchvision' or 'npz', got {form!r}.")
    arrays = bundled("mnist.npz", MNIST_SHA256)
    if form == "npz":
        place = Path(folder) / "mnist.npz"
        makers = {place: (files("saebook") / "datasets" / "mnist.npz").read_bytes}
    else:
        place = Path(folder) / "MNIST" / "raw"
        makers = {
            place / f"{split}-{kind}": partial(idx_bytes, arrays[f"{letter}_{name}"])
            for split, name in (("train", "train"), ("t10k", "test"))
            for kind, letter in (("images-idx3-ubyte", "x"), ("labels-idx1-ubyte", "y"))
        }
    for path, make in makers.items():  # all are looked at before one is written
        if path.exists() and path.read_bytes() != make():
            raise ValueError(f"folder must be free for {path}, got another file of that name.")
    place.parent.mkdir(parents=True, exist_ok=True)
    for path, make in makers.items():
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            replace_file(path, make())
    return place


class Planted(NamedTuple):
    """Samples, their codes, and the planted directions, all float32."""

    x: Array  #: samples ``z @ atoms``, ``(n_samples, n_features)``
    z: Array  #: codes ``(n_samples, n_atoms)``, for the most part 0
    atoms: Array  #: directions ``(n_atoms, n_features)``, of norm 1


def planted_features(
    n_samples: int = 20_000,
    n_features: int = 128,
    n_atoms: int = 512,
    active: tuple[int, int] = (5, 8),
    seed: int = 0,
) -> Planted:
    """Samples that are sums of a few of many random directions, more than there are dimensions.

    Each sample holds from ``active[0]`` to ``active[1]`` atoms, all counts and all atoms equally
    often, each times a number between 0.5 and 1.5.

    Parameters
    ----------
    n_samples, n_features, n_atoms : int >= 1
    active : (int, int)
        Fewest and most atoms of a sample, from 1 to `n_atoms`.
    seed : int >= 0
        Seed of a local generator.

    Returns
    -------
    Planted

    Raises
    ------
    ValueError
        If a number is not allowed.
    """
    for name, value in (("n_samples", n_samples), ("n_features", n_features), ("n_atoms", n_atoms)):
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be an integer of at least 1, got {value!r}.")
    if not 1 <= active[0] <= active[1] <= n_atoms:
        raise ValueError(f"active must rise within 1 to {n_atoms}, the atoms, got {active!r}.")
    rng = np.random.default_rng(seed)
    atoms = rng.normal(size=(n_atoms, n_features))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    count = rng.integers(active[0], active[1], size=n_samples, endpoint=True)
    # The atoms with the smallest of as many random numbers are a random choice of them.
    rank = rng.random((n_samples, n_atoms), dtype=np.float32).argsort(axis=1).argsort(axis=1)
    z = np.where(rank < count[:, None], rng.uniform(0.5, 1.5, (n_samples, n_atoms)), 0)
    z, atoms = z.astype(np.float32), atoms.astype(np.float32)
    return Planted(z @ atoms, z, atoms)


__getattr__ = _renamed.names_of(__name__)
