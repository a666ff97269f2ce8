"""Checks of arrays that come from a user: one clear sentence for each kind of mistake."""

import math
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from saebook._types import Array, Params, Shape
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


def as_array(x: Any, name: str) -> Array:
    """An array of any framework, a table or a list, as a NumPy array: what every door calls.

    The numbers are not copied where NumPy can read them in place. Half precision becomes float32,
    which holds all such numbers; other types stay, be they floating-point or not.

    Raises
    ------
    ValueError
        If entries are masked, the array is sparse, a list holds arrays that are not rows, such as
        samples and labels, it is a dict or a data set, or NumPy cannot read it.
    """
    kind = type(x)
    if isinstance(x, Mapping):
        raise ValueError(
            f"{name} must be an array, got a {kind.__name__} with the keys "
            f"{', '.join(map(str, x))}; give the samples alone."
        )
    if any(base.__module__.startswith("torch.utils.data") for base in kind.__mro__):
        raise ValueError(
            f"{name} must be an array or give batches, got a data set, {kind.__name__}; give a "
            "DataLoader of it."
        )
    if np.ma.is_masked(x):
        raise ValueError(f"{name} must have no masked entries, got {np.ma.count_masked(x)}.")
    if hasattr(kind, "nnz") or "sparse" in str(getattr(x, "layout", "")):
        raise ValueError(f"{name} must be a dense array, got a sparse one, {kind.__name__}.")
    if isinstance(x, list | tuple) and any(hasattr(part, "__array__") for part in x):
        x = [as_array(part, name) for part in x]
        if len(x) == 1 and x[0].ndim > 1:  # from a loader of a ``TensorDataset(x)``
            return x[0]
        if x[0].ndim > 1 or len({part.shape for part in x}) > 1:
            shapes = ", ".join(sorted({str(part.shape) for part in x}))
            raise ValueError(
                f"{name} must be one array, got a {kind.__name__} of {len(x)} in shapes {shapes}; "
                "give the samples alone; a loader may give labels behind them."
            )
    try:
        if hasattr(kind, "detach"):  # PyTorch's
            x = x.detach().cpu()
            x = x.float() if x.is_floating_point() and x.element_size() < 4 else x
        elif hasattr(kind, "__dlpack__") and not hasattr(kind, "__array__"):
            x = np.from_dlpack(x)
        array = np.asarray(x)
        if (
            array.dtype.kind == "O" and array.ndim == 2 and hasattr(kind, "iloc")
        ):  # pandas, nullable
            array = np.column_stack([np.asarray(column) for _, column in x.items()])
    except (TypeError, ValueError, RuntimeError, BufferError) as error:
        raise ValueError(f"{name} must be an array of numbers, got {kind.__name__}.") from error
    half = "float" in array.dtype.name and array.dtype.itemsize < 4
    return array.astype(np.float32) if half else array


def image_shape_of(x: Array) -> Shape | None:
    """The shape of each sample, ``x.shape[1:]``, if that is more than a row of numbers."""
    return tuple(map(int, x.shape[1:])) if x.ndim > 2 else None


def same_images(shape: Sequence[int], other: Sequence[int]) -> bool:
    """Whether two shapes of a sample differ in no axis but such of length 1, as of grey."""
    return [n for n in shape if n != 1] == [n for n in other if n != 1]


def as_rows(x: Array, name: str) -> Array:
    """Samples of any shape as rows, in C order: the last axis runs fastest.

    Unsigned 8-bit pixels become float32 in [0, 1], divided by 255 as `saebook.mnist` and
    torchvision's ``ToTensor`` do.

    Raises
    ------
    ValueError
        If 8-bit numbers go up to 1 and no further, so that they are hardly pixels of 0 to 255.
    """
    if x.ndim > 2:
        x = x.reshape(len(x), math.prod(x.shape[1:]))
    if x.dtype != np.uint8 or x.ndim < 2:
        return x
    if x.size and x.max() == 1:
        raise ValueError(
            f"{name} must hold 8-bit pixels from 0 to 255, got uint8 of at most 1; give such "
            "numbers in floating point."
        )
    return np.divide(x, 255, dtype=np.float32)


def as_floats(x: Any, name: str) -> Array:
    """The array as `as_array` returns it, if it holds floating-point numbers."""
    array = as_array(x, name)
    check_floats(array, name)
    return array


def check_floats(x: Any, name: str) -> None:
    """Raise ValueError unless the array ``x`` holds floating-point numbers."""
    if x.dtype.kind in "iub":
        raise ValueError(
            f"{name} must hold floating-point numbers, got {x.dtype}; divide 8-bit images by 255."
        )
    if "float" not in x.dtype.name:  # of bfloat16 and its kin NumPy knows the name alone
        found = f"an array of {x.dtype}"
        if x.dtype.kind == "O":  # NumPy wraps whatever it does not know
            found += ", as of strings or of rows that differ in length"
            found = found if x.ndim else type(x.item()).__name__
        raise ValueError(f"{name} must hold real numbers, got {found}.")


def check_model_dtype(dtype: DTypeLike) -> None:
    """Raise ValueError unless a model can have parameters of this type."""
    if str(dtype) not in ("float32", "float64"):
        raise ValueError(f"model must be of dtype float32 or float64, got {dtype}.")


def check_shape(
    shape: Sequence[int], width: int, name: str, image_shape: Shape | None = None
) -> None:
    """Raise ValueError unless samples of this shape make rows of `width`, as those before did."""
    shape = tuple(shape)
    if len(shape) < 2 or math.prod(shape[1:]) != width:
        hint = ""
        if math.prod(shape) == width:
            hint = ", one sample alone; the first axis must count the samples"
        elif len(shape) == 1:
            hint = "; labels come second, if at all"
        raise ValueError(
            f"{name} must have shape (n_samples, {width}) to suit the model, got {shape}{hint}."
        )
    if len(shape) > 2 and image_shape and not same_images(shape[1:], image_shape):
        raise ValueError(
            f"{name} must hold images in the shape of those before, {image_shape}, got {shape[1:]}."
        )


def check_array(config: SAEConfig, x: Any, name: str, image_shape: Shape | None = None) -> None:
    """Raise ValueError unless the array ``x`` has a type and a shape to train on; see below."""
    if x.dtype.kind not in "iub":
        check_floats(x, name)
    check_shape(x.shape, config.n_features, name, image_shape)
    if x.dtype != np.uint8:  # what is said of integers speaks of images, which have their shape
        check_floats(x, name)
    if len(x) == 0:
        raise ValueError(f"{name} must hold at least one sample, got shape {x.shape}.")


def check_samples(
    config: SAEConfig,
    x: ArrayLike,
    name: str,
    dtype: DTypeLike,
    numbers: Array | None = None,
    image_shape: Shape | None = None,
) -> Array:
    """The samples as a C-ordered array ``(n_samples, n_features)`` of `dtype`, to be read only.

    `numbers` are those by which the user knows the samples, if these are a part of the whole;
    `image_shape` is the shape of images that came before, if any did.

    Raises
    ------
    ValueError
        If the array is not numeric, holds integers that are not 8-bit pixels, is empty, has another
        width than the model or images of another shape than those before, holds NaN or infinity, or
        leaves [0, 1] where the error is binary cross-entropy; or if no model can have this `dtype`.
    """
    check_model_dtype(dtype)
    x = as_array(x, name)
    check_array(config, x, name, image_shape)
    x = _ready(as_rows(x, name), dtype)
    if not np.isfinite(x).all():
        bad = np.flatnonzero(~np.isfinite(x).all(axis=1))
        where = f"{len(bad)} sample(s), the first of them number {bad[0]}"
        if numbers is not None:  # there may be more elsewhere
            where = f"sample number {numbers[bad].min()}"
        raise ValueError(f"{name} must be finite, got NaN or infinity in {where}.")
    if config.reconstruction == "bce" and (x.min() < 0 or x.max() > 1):
        raise ValueError(
            f"{name} must lie in [0, 1] when reconstruction is 'bce', "
            f"got values from {x.min():g} to {x.max():g}."
        )
    return x


def _ready(x: Array, dtype: DTypeLike) -> Array:
    with np.errstate(over="ignore"):  # a number too large for float32 is reported as infinite
        x = np.require(x, dtype=dtype, requirements=["C", "A"])
    return x if x.flags.writeable else np.asarray(_Lent(x))


class _Lent:
    """A read-only array's memory as if it were not: PyTorch warns of what it cannot write to."""

    def __init__(self, x: Array) -> None:
        self.x = x  # kept, since the memory is its own
        place = (x.__array_interface__["data"][0], False)
        self.__array_interface__ = x.__array_interface__ | {"data": place}


def check_different(x_val: Array) -> None:
    """Raise ValueError if all samples are equal, so that no variance can be explained."""
    if (x_val == x_val[0]).all():
        raise ValueError(
            f"x_val must hold at least two different samples, got {len(x_val)} equal one(s)."
        )


def check_noisy(noisy: ArrayLike, x: Array, name: str = "noisy") -> Array:
    """A corrupted copy of the samples ``x``, as an array of their dtype.

    Raises
    ------
    ValueError
        If it has another shape, does not hold floating-point numbers, or holds NaN or infinity.
    """
    noisy = as_rows(as_array(noisy, name), name)
    if noisy.shape != x.shape or noisy.dtype.kind != "f":
        raise ValueError(
            f"{name} must hold floating-point numbers in the shape of the clean samples, "
            f"{x.shape}, got {noisy.dtype} in shape {noisy.shape}."
        )
    noisy = _ready(noisy, x.dtype)
    if not np.isfinite(noisy).all():
        raise ValueError(f"{name} must be finite, got NaN or infinity.")
    return noisy


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
    arrays = {name: as_array(params[name], f"params[{name!r}]") for name in shapes}
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
