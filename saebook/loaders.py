"""What loaders yield: pairs of samples and labels, pictures, one batch after another."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from saebook._types import Array, Shape
from saebook.checks import as_array, as_rows, check_shape, image_shape_of


def is_stream(x: Any, name: str) -> bool:
    """Whether ``x`` gives batches one after another: no array or table, no list of rows."""
    if isinstance(x, list | tuple):
        first = f"batch 0 of {name}"
        return bool(x) and as_array(samples_alone(x[0], first), first).ndim >= 2
    whole = any(hasattr(type(x), known) for known in ("__array__", "__dlpack__", "nnz", "keys"))
    return isinstance(x, Iterable) and not whole


def samples_alone(batch: Any, name: str) -> Any:
    """The samples of a batch, which come first where it is a list or tuple of samples and labels.

    Raises
    ------
    ValueError
        If there are not as many labels as samples, or a second array of samples differs from the
        first, so that one of them would be lost.
    """
    if not isinstance(batch, list | tuple) or not batch or not hasattr(batch[0], "shape"):
        return batch
    first, shape = batch[0], tuple(batch[0].shape)
    if len(shape) < 2:  # rows, or labels first
        return batch
    for other in batch[1:]:
        other_shape = tuple(getattr(other, "shape", ()))
        if other_shape and other_shape[0] != shape[0]:
            raise ValueError(
                f"{name} must have a label for each sample, got arrays in shapes {shape} and "
                f"{other_shape}."
            )
        same = other_shape == shape
        if same and not np.array_equal(as_array(first, name), as_array(other, name)):
            raise ValueError(
                f"{name} must hold samples once, got two arrays that differ, both in shape "
                f"{shape}; give the clean samples, and what spoils them as corruption."
            )
    return first


def pieces(x: Any, name: str, image_shape: Shape | None = None) -> Iterator[tuple[str, Array]]:
    """Each batch of samples, as an array of any shape, and what to call it in an error.

    `image_shape` is that of images before.

    Raises
    ------
    ValueError
        As `samples_alone` and `as_array`, or if a first batch could also be a single image.
    """
    for number, batch in enumerate(x):
        part = f"batch {number} of {name}"
        array = as_array(samples_alone(batch, part), part)
        image_shape = image_shape or image_shape_of(array)
        if number == 0 and array.ndim == 3 and len(array) == 1 and len(image_shape or ()) != 3:
            raise ValueError(
                f"{part} must be a batch, got {array.shape}, which could be one image as well; "
                "give images with an axis for their channels, (n_samples, 1, height, width)."
            )
        yield part, array


def is_loader(x: Any, name: str) -> bool:
    """Whether ``x`` is a stream that is read where one array is wanted; a list is not."""
    return not isinstance(x, list | tuple) and is_stream(x, name)


def in_order(x: Any, name: str, image_shape: Shape | None = None) -> Iterator[tuple[str, Array]]:
    """Each piece of an array or a loader, for results that must be known by their places.

    Raises
    ------
    ValueError
        As `pieces`, or if a second pass over a loader begins with other samples.
    """
    if not is_loader(x, name):
        yield name, as_array(x, name)
        return
    found = pieces(x, name, image_shape)
    first = next(found, None)
    if first is None:
        raise ValueError(f"{name} must give at least one batch, got none.")
    if not isinstance(x, Iterator):  # which has no second pass
        again = next(pieces(x, name, image_shape), None)
        if again is None or again[1].tobytes() != first[1].tobytes():
            raise ValueError(
                f"{name} must give the same samples in the same order at every pass, so that "
                f"results are known by their places, got a {type(x).__name__} that shuffles or "
                "changes them."
            )
    yield first
    yield from found


def whole(x: Any, name: str, ordered: bool = False) -> tuple[Array, Shape | None]:
    """All samples of a loader as rows, or else the array itself; and the shape of an image.

    `ordered` says that places count, as in `in_order`.

    Raises
    ------
    ValueError
        As `pieces`, or if batches differ in their width or in the shape of their images.
    """
    if not is_loader(x, name):
        array = as_array(x, name)
        return array, image_shape_of(array)
    parts: list[Array] = []
    shape: Shape | None = None
    for part, array in in_order(x, name) if ordered else pieces(x, name):
        rows = as_rows(array, part)
        check_shape(array.shape, parts[0].shape[1] if parts else rows.shape[-1], part, shape)
        shape = shape or image_shape_of(array)
        parts.append(rows)
    if not parts:
        raise ValueError(f"{name} must give at least one batch, got none.")
    return np.concatenate(parts), shape
