"""Out of Python: a model as a file of another runtime, and whether that computes the same.

``.onnx`` runs in ONNX Runtime, ``.tflite`` in LiteRT, a folder ``saved_model/`` in TensorFlow
without saebook. Each has a free number of samples and takes and gives arrays by name: ``x``, ``z``
and ``x_hat``. What is needed is optional: the extras ``onnx`` and ``litert``.
"""

from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from saebook import reference
from saebook._types import Array, ArrayLike, Params, StrPath
from saebook.checks import check_params, check_samples
from saebook.config import SAEConfig
from saebook.kinds import BatchTopK, check_threshold

PARTS = {"encoder": ("z",), "decoder": ("x_hat",), "both": ("z", "x_hat")}  # and what each gives
# For each ending the module that writes it, and whether the runtime computes in float64.
RUNTIMES = {".onnx": ("onnx_file", True), ".tflite": ("tf_file", False), "": ("tf_file", True)}
# What to install for each extra of saebook, by the packages' own names.
EXTRAS = {
    "onnx": "onnx onnxruntime",
    "tensorflow": "tensorflow",
    "litert": "tensorflow ai-edge-litert",
}

__all__ = ["Difference", "check", "export", "run"]


class Difference(NamedTuple):
    """What `check` finds, over all samples; NaN for what the file does not compute."""

    runtime: str  #: its name and version
    n_samples: int  #: as many were compared
    codes: float  #: largest difference of an entry of a code
    reconstructions: float  #: the same of reconstructions
    same_active: float  #: share of samples whose active latents are the same


def export(config: SAEConfig, params: Params, path: StrPath, part: str = "both") -> None:
    """Write a model as a file of another runtime.

    Parameters
    ----------
    config : SAEConfig
    params : dict of str to ndarray
        As from ``model.to_numpy``, float32 or, for ONNX and a SavedModel, float64.
    path : str or path-like
        ``name.onnx``, ``name.tflite``, or the name of a folder that is not there yet.
    part : {"both", "encoder", "decoder"}
        Samples to codes and reconstructions, samples to codes, or codes to reconstructions.

    Raises
    ------
    ValueError
        If the name or the part is not one of these, a parameter is wrong, a BatchTopK threshold has
        not been learned, or the model is of float64 and the runtime is not.
    ImportError
        If the packages that write the file are not installed.
    OSError
        If the file cannot be written.
    """
    module = _module(path)
    params = _checked(config, params, path, part)
    module.write(config, params, Path(path), part)


def run(path: StrPath, given: Array) -> dict[str, Array]:
    """What the file gives for samples, or for codes where it is a decoder, in its runtime.

    Parameters
    ----------
    path : str or path-like
        What `export` wrote.
    given : array (n_samples, n_features) or (n_samples, n_latents)

    Returns
    -------
    dict of str to ndarray
        ``z`` and ``x_hat``, as far as the file has them.

    Raises
    ------
    ValueError
        If the file is not one of these.
    ImportError
        If the runtime is not installed.
    OSError
        If the file is not there.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"{path} must be a file or folder that is there.")
    return _module(path).run(Path(path), given)


def check(
    config: SAEConfig,
    params: Params,
    path: StrPath,
    x: ArrayLike | None = None,
    part: str = "both",
) -> Difference:
    """Run a written file in its runtime and compare it with the specification, in NumPy.

    Parameters
    ----------
    config : SAEConfig
    params : dict of str to ndarray
        Those of the model that was written.
    path : str or path-like
    x : array (n_samples, n_features), optional
        By default 256 samples from a normal distribution, from [0, 1] for binary cross-entropy.
    part : {"both", "encoder", "decoder"}

    Returns
    -------
    Difference

    Raises
    ------
    ValueError, ImportError, OSError
        As `export` and `run` do.
    """
    params = _checked(config, params, path, part)
    dtype = params["W_enc"].dtype
    if x is None:
        rng = np.random.default_rng(0)
        shape = (256, config.n_features)
        x = rng.uniform(size=shape) if config.reconstruction == "bce" else rng.normal(size=shape)
    x = check_samples(config, x, "x", dtype)
    wide = {name: np.asarray(value, np.float64) for name, value in params.items()}
    z = reference.encode(config, wide, x.astype(np.float64))
    x_hat = reference.decode(config, wide, z)
    found = run(path, z.astype(dtype) if part == "decoder" else x)
    gap = {"z": np.nan, "x_hat": np.nan}
    for name, value in (("z", z), ("x_hat", x_hat)):
        if name in PARTS[part]:
            gap[name] = float(np.abs(found[name] - value).max())
    same = np.nan
    if "z" in found:
        above = config.active_above
        same = float(((np.abs(found["z"]) > above) == (np.abs(z) > above)).all(axis=1).mean())
    return Difference(_module(path).RUNTIME(path), len(x), gap["z"], gap["x_hat"], same)


def _module(path: StrPath) -> Any:
    ending = Path(path).suffix
    if ending not in RUNTIMES:
        raise ValueError(
            f"path must end in .onnx or .tflite, or be a folder without an ending, got {path}."
        )
    return import_module(f"saebook.export.{RUNTIMES[ending][0]}")


def _checked(config: SAEConfig, params: Params, path: StrPath, part: str) -> dict[str, Array]:
    if part not in PARTS:
        raise ValueError(f"part must be one of {', '.join(PARTS)}, got {part!r}.")
    params = check_params(config, params)
    dtype = str(params["W_enc"].dtype)
    if dtype not in ("float32", "float64"):
        raise ValueError(f"params must be of dtype float32 or float64, got {dtype}.")
    if dtype == "float64" and not RUNTIMES[Path(path).suffix][1]:
        raise ValueError(
            f"params must be of dtype float32 for {path}, whose runtime computes in no other, got "
            "float64; convert them first if that is precise enough."
        )
    if isinstance(config.sparsity, BatchTopK) and part != "decoder":
        check_threshold(float(params["threshold"]))
    return params


def needed(name: str, extra: str) -> Any:
    """A package of an optional extra, or ImportError that says which."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.split(".")[0]:
            raise
        raise ImportError(f"{name} is not installed: pip install {EXTRAS[extra]}.") from None
