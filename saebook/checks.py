"""Checks of arrays that come from a user: one clear sentence for each kind of mistake."""

from collections.abc import Mapping
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from saebook._types import Array, Corruption, Params
from saebook.config import SAEConfig
from saebook.parameters import parameter_shapes


def check_batch_size(batch_size: int) -> None:
    """Raise ValueError unless `batch_size` is a positive integer."""
    if not isinstance(batch_size, Integral) or isinstance(batch_size, bool) or batch_size < 1:
        raise ValueError(f"batch_size must be an integer of at least 1, got {batch_size!r}.")


def check_width(x: Any, width: int, name: str) -> None:
    """Raise ValueError unless ``x``, an array or tensor, has the shape (any, `width`)."""
    if len(x.shape) != 2 or x.shape[1] != width:
        raise ValueError(
            f"{name} must have shape (n_samples, {width}) to suit the model, got {tuple(x.shape)}."
        )


def check_array(config: SAEConfig, x: Array, name: str) -> None:
    """Raise ValueError unless the array ``x`` has a type and a shape to train on; see below."""
    if x.dtype.kind in "iub":
        raise ValueError(
            f"{name} must hold floating-point numbers, got {x.dtype}; divide 8-bit images by 255."
        )
    if x.dtype.kind != "f":
        raise ValueError(f"{name} must hold real numbers, got an array of {x.dtype}.")
    check_width(x, config.n_features, name)
    if len(x) == 0:
        raise ValueError(f"{name} must hold at least one sample, got shape {x.shape}.")


def check_samples(config: SAEConfig, x: ArrayLike, name: str, dtype: DTypeLike) -> Array:
    """The samples as a C-ordered array ``(n_samples, n_features)`` of `dtype`.

    Raises
    ------
    ValueError
        If the array is not numeric, holds integers, is not two-dimensional, is empty, has another
        width than the model, holds NaN or infinity, or leaves [0, 1] where the error is binary
        cross-entropy.
    """
    x = np.asarray(x)
    check_array(config, x, name)
    with np.errstate(over="ignore"):  # a number too large for float32 is reported as infinite
        # writeable, because PyTorch warns of what it could not write to
        x = np.require(x, dtype=dtype, requirements=["C", "W"])
    if not np.isfinite(x).all():
        bad = np.flatnonzero(~np.isfinite(x).all(axis=1))
        raise ValueError(
            f"{name} must be finite, got NaN or infinity in {len(bad)} sample(s), "
            f"the first of them number {bad[0]}."
        )
    if config.reconstruction == "bce" and (x.min() < 0 or x.max() > 1):
        raise ValueError(
            f"{name} must lie in [0, 1] when reconstruction is 'bce', "
            f"got values from {x.min():g} to {x.max():g}."
        )
    return x


def check_validation(config: SAEConfig, x_val: ArrayLike | None, dtype: DTypeLike) -> Array | None:
    """Validation samples as `check_samples` returns them, or None for None.

    Raises
    ------
    ValueError
        As `check_samples`, or if all samples are equal, so that no variance can be explained.
    """
    if x_val is None:
        return None
    x_val = check_samples(config, x_val, "x_val", dtype)
    if (x_val == x_val[0]).all():
        raise ValueError(
            f"x_val must hold at least two different samples, got {len(x_val)} equal one(s)."
        )
    return x_val


def check_noisy(noisy: ArrayLike, x: Array, name: str = "noisy") -> Array:
    """A corrupted copy of the samples ``x``, as an array of their dtype.

    Raises
    ------
    ValueError
        If it has another shape, does not hold floating-point numbers, or holds NaN or infinity.
    """
    noisy = np.asarray(noisy)
    if noisy.shape != x.shape or noisy.dtype.kind != "f":
        raise ValueError(
            f"{name} must hold floating-point numbers in the shape of the clean samples, "
            f"{x.shape}, got {noisy.dtype} in shape {noisy.shape}."
        )
    if not np.isfinite(noisy).all():
        raise ValueError(f"{name} must be finite, got NaN or infinity.")
    return np.ascontiguousarray(noisy, dtype=x.dtype)


def corrupted(corruption: Corruption, x: Array, rng: np.random.Generator) -> Array:
    """What `corruption` makes of the samples ``x``, as `check_noisy` returns it."""
    return check_noisy(corruption(x, rng), x, "the result of corruption")


def check_params(config: SAEConfig, params: Mapping[str, ArrayLike]) -> dict[str, Array]:
    """The parameters as arrays, in the reference's order.

    Raises
    ------
    ValueError
        If a name is missing or unknown, or a shape or value is wrong.
    """
    shapes = parameter_shapes(config)
    if set(params) != set(shapes):
        raise ValueError(f"params must have the keys {list(shapes)}, got {sorted(params)}.")
    arrays = {name: np.asarray(params[name]) for name in shapes}
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise ValueError(f"params[{name!r}] must have shape {shape}, got {arrays[name].shape}.")
        if not np.isfinite(arrays[name]).all():
            raise ValueError(f"params[{name!r}] must be finite, got NaN or infinity.")
    return arrays


def check_finite(loss: float, params: Params, epoch: int) -> None:
    """Raise FloatingPointError if training has left the finite numbers in `epoch`, from 0."""
    broken = [name for name, value in params.items() if not np.isfinite(value).all()]
    if broken or not np.isfinite(loss):
        raise FloatingPointError(
            f"{', '.join(broken) or 'the loss'} stopped being finite in epoch {epoch + 1}; "
            "try a smaller learning_rate."
        )
