"""One file for a trained model: safetensors with a header, the same from either framework.

The page "The weights file" of the book gives the layout. A file is data: nothing in it is executed,
and everything in it is checked before a model is made of it.
"""

import dataclasses
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from saebook._types import Array, Params, Shape, StrPath
from saebook.checks import check_model_dtype, check_params
from saebook.config import SAEConfig
from saebook.files import check_writable, replace_file, shown
from saebook.kinds import KINDS, AuxK, Priced
from saebook.model import Autoencoder
from saebook.parameters import parameter_shapes

VERSION = 2
BACKENDS = ("pytorch", "tensorflow")
DTYPES = {"F32": "float32", "F64": "float64"}


def save(model: Autoencoder, path: StrPath, image_shape: Sequence[int] | None = None) -> None:
    """Write a model of either framework to a file, all of it or nothing.

    Parameters
    ----------
    model : saebook.pytorch.SparseAutoencoder or saebook.tensorflow.SparseAutoencoder
    path : str or path-like
        The file to write, by habit ``name.safetensors``. What was there before is replaced only by
        a whole new file.
    image_shape : sequence of int, optional
        Shape of a sample, where the samples are images, such as their height and width; by default
        the model's own ``image_shape``. Kept for `load` and `read_image_shape`.

    Raises
    ------
    ValueError
        If the description or the parameters are such as `read` would refuse.
    OSError
        If the file cannot be written, for example on a full disk. What was there stays.
    """
    check_model_dtype(model.dtype)
    write(path, model.config, model.to_numpy(), image_shape=image_shape or model.image_shape)


def load(path: StrPath, backend: str, device: str = "auto") -> Any:
    """The model in a file, for either framework, whichever wrote it.

    Parameters
    ----------
    path : str or path-like
    backend : {"pytorch", "tensorflow"}
    device : str
        As in ``SparseAutoencoder``.

    Returns
    -------
    saebook.pytorch.SparseAutoencoder or saebook.tensorflow.SparseAutoencoder
        With the file's dtype and the same numbers, bit for bit.

    Raises
    ------
    ValueError
        If the backend is unknown, or the file is not what it should be; see `read`.
    OSError
        If the file cannot be read.
    ImportError
        If the framework is not installed.
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend must be 'pytorch' or 'tensorflow', got {backend!r}.")
    with _opened(path) as (_, _, _, shape):
        config, params = read(path)
    package = import_module(f"saebook.{backend}")
    dtype = str(params["W_enc"].dtype)
    model = package.SparseAutoencoder(config, dtype=dtype, device=device)
    model.image_shape = shape
    return model.from_numpy(params)


def read(path: StrPath) -> tuple[SAEConfig, dict[str, Array]]:
    """The description and the parameters in a file, in NumPy; no framework is needed.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    SAEConfig
    dict of str to ndarray
        As from ``SparseAutoencoder.to_numpy``.

    Raises
    ------
    ValueError
        If the file is damaged, is not a weights file of saebook, or has another version; if its
        description is not allowed; if a tensor is missing, unknown, not finite, or has the wrong
        shape or type.
    OSError
        If the file cannot be read.
    """
    config, params, _, _ = read_all(path)
    return config, params


def read_image_shape(path: StrPath) -> Shape | None:
    """Shape of the images that the model in a file was trained on, None if not known.

    Raises ValueError and OSError as `read` does.
    """
    with _opened(path) as (_, _, _, shape):
        return shape


def write(
    path: StrPath,
    config: SAEConfig,
    params: Params,
    extra: Params | None = None,
    notes: Any = None,
    image_shape: Sequence[int] | None = None,
) -> None:
    """Write parameters, further tensors and notes (a value for JSON) to a file, atomically.

    What `read_all` would refuse is refused here, before anything is written.
    """
    check_writable(path)
    header = {"version": VERSION, "config": config_to_dict(config), "training": notes}
    if image_shape is not None:
        header["image_shape"] = list(_checked_shape(config, list(image_shape)))
    params = check_params(config, params)
    dtypes = {name: str(value.dtype) for name, value in params.items()}
    if len(set(dtypes.values())) > 1 or not set(dtypes.values()) <= set(DTYPES.values()):
        raise ValueError(f"params must be all of float32 or all of float64, got {dtypes}.")
    extra = extra or {}
    if extra and (notes is None or not all(name.startswith("adam.") for name in extra)):
        raise ValueError(f"extra must have notes and be called adam.*, got {[*extra]}, {notes}.")
    # The library writes memory as it lies, whatever the strides say.
    tensors = {name: np.asarray(value, order="C") for name, value in {**params, **extra}.items()}
    # One entry, because the library writes several in an order that changes from run to run.
    replace_file(path, to_bytes(tensors, {"saebook": json.dumps(header)}))


def read_all(path: StrPath) -> tuple[SAEConfig, dict[str, Array], dict[str, Array], Any]:
    """What `write` wrote: description, parameters, further tensors, notes (or None)."""
    with _opened(path) as (file, config, notes, _):
        names = set(file.keys())
        # First of all: to know the shapes of a kind's own parameters costs memory for every latent.
        size = (config.n_features, config.n_latents)
        found = tuple(file.get_slice("W_enc").get_shape()) if "W_enc" in names else "no W_enc"
        if found != size:
            raise ValueError(f"{path} must hold W_enc in shape {size}, got {found}.")
        shapes = parameter_shapes(config)
        extra = {name for name in names if name.startswith("adam.")} if notes is not None else set()
        if names - extra != set(shapes):
            raise ValueError(
                f"{path} must hold the tensors {', '.join(shapes)}, got {shown(names)}."
            )
        dtypes = set()
        for name, shape in shapes.items():  # before anything of that size is read
            entry = file.get_slice(name)
            dtypes.add(entry.get_dtype())
            if tuple(entry.get_shape()) != shape:
                raise ValueError(
                    f"{path} must hold {name} in shape {shape}, got {tuple(entry.get_shape())}."
                )
        if len(dtypes) > 1 or not dtypes <= set(DTYPES):
            raise ValueError(
                f"{path} must hold tensors of one type, F32 or F64, got {sorted(dtypes)}."
            )
        params = {name: file.get_tensor(name) for name in shapes}
        try:
            params = check_params(config, params)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        return config, params, {name: file.get_tensor(name) for name in sorted(extra)}, notes


@contextmanager
def _opened(path: StrPath) -> Iterator[tuple[Any, SAEConfig, Any, Shape | None]]:
    """The file, and what its header says: description, notes, shape of images."""
    with Path(path).open("rb"):
        pass  # a missing or forbidden file gets the system's own clear error
    try:
        with safe_open(Path(path), framework="numpy") as file:
            yield file, *_header(path, (file.metadata() or {}).get("saebook"))
    except SafetensorError as error:
        raise ValueError(
            f"{path} must be a whole safetensors file, got one that cannot be read: {error}."
        ) from None


def _header(path: StrPath, text: str | None) -> tuple[SAEConfig, Any, Shape | None]:
    if text is None:
        raise ValueError(f"{path} must be a file of saebook, got one without its header.")
    try:
        header = json.loads(text)
        wanted = ("version", "config", "training")
        optional = ("image_shape",) if isinstance(header, dict) and "image_shape" in header else ()
        header = _fields(wanted + optional, header, "header")
        if header["version"] == 1:
            header["config"] = _since_version_1(header["config"])
        elif header["version"] != VERSION:
            raise ValueError(f"version must be 1 or {VERSION}, got {header['version']!r}")
        config = config_from_dict(header["config"])
        shape = _checked_shape(config, header["image_shape"]) if optional else None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} must describe a model that is allowed, got: {error}") from None
    return config, header["training"], shape


def _checked_shape(config: SAEConfig, shape: Any) -> Shape:
    """The shape of an image, or ValueError."""
    sound = isinstance(shape, list) and len(shape) >= 2 and all(type(n) is int for n in shape)
    if not sound or min(shape) < 1 or math.prod(shape) != config.n_features:
        raise ValueError(
            "image_shape must be two or more positive integers whose product is n_features, "
            f"{config.n_features}, got {shape!r}."
        )
    return tuple(shape)


def config_to_dict(config: SAEConfig) -> dict[str, Any]:
    """A description as a dict for JSON; the kind of sparsity is named by its class."""
    settings = dataclasses.asdict(config)
    settings["groups"] = config.groups and list(config.groups)  # JSON has no tuples
    if config.sparsity is not None:
        settings["sparsity"] = {"kind": type(config.sparsity).__name__, **settings["sparsity"]}
        if settings["sparsity"].get("l0", 0) is None:  # as versions before 0.5.0 have it
            del settings["sparsity"]["l0"]
    return settings


def _since_version_1(config: Any) -> Any:
    """The description in a file of version 1, with what later versions added to it."""
    if not isinstance(config, dict):
        return config
    config = {**config, "pre_bias": False, "groups": None}
    if isinstance(config.get("sparsity"), dict) and config["sparsity"].get("kind") == "TopK":
        config["sparsity"] = {**config["sparsity"], "aux": None}
    return config


def config_from_dict(settings: Any) -> SAEConfig:
    """The `SAEConfig` that `config_to_dict` took apart.

    Raises
    ------
    ValueError
        If a field is missing, unknown or not allowed, or the kind of sparsity is unknown.
    """
    settings = _fields(_names(SAEConfig), settings, "config")
    sparsity = settings["sparsity"]
    if sparsity is not None:
        kinds = {kind.__name__: kind for kind in KINDS}
        name = sparsity.get("kind") if isinstance(sparsity, dict) else None
        if not isinstance(name, str) or name not in kinds:
            raise ValueError(
                f"sparsity must be of a kind among {', '.join(sorted(kinds))}, got {sparsity!r}."
            )
        rest = {key: value for key, value in sparsity.items() if key != "kind"}
        if issubclass(kinds[name], Priced):
            rest.setdefault("l0", None)
        rest = _fields(_names(kinds[name]), rest, f"sparsity {name}")
        if rest.get("aux") is not None:
            rest["aux"] = AuxK(**_fields(_names(AuxK), rest["aux"], "aux"))
        settings["sparsity"] = kinds[name](**rest)
    return SAEConfig(**settings)


def _names(owner: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(owner)]


def _fields(wanted: Sequence[str], settings: Any, name: str) -> dict[str, Any]:
    found = sorted(settings) if isinstance(settings, dict) else settings
    if found != sorted(wanted):
        raise ValueError(f"{name} must have the fields {', '.join(wanted)}, got {found!r}.")
    return dict(settings)
