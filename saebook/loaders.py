"""What loaders yield: pairs of samples and labels, pictures, one batch after another."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from saebook._types import Array, Shape
from saebook.checks import (
    as_array,
    as_rows,
    check_floats,
    check_samples,
    check_shape,
    image_shape_of,
)
from saebook.config import SAEConfig


def is_stream(x: Any, name: str) -> bool:
    """Whether ``x`` gives batches, one after another: no array, table, list of rows or pictures."""
    if isinstance(x, list | tuple):
        if x and hasattr(x[0], "__array_interface__") and not hasattr(x[0], "shape"):
            return False  # pictures of PIL, each a sample
        first = f"batch 0 of {name}"
        return bool(x) and as_array(samples_alone(x[0], first), first).ndim >= 2
    whole = any(hasattr(type(x), known) for known in ("__array__", "__dlpack__", "nnz", "keys"))
    return isinstance(x, Iterable) and not whole


def _zipped(batch: Any, name: str) -> Any:
    """A list of samples and one of labels, as ``zip(*pairs)`` gives them, with the samples stacked.

    Anything else stays as it is.
    """
    if len(batch) != 2 or not all(isinstance(part, list | tuple) and part for part in batch):
        return batch
    first, labels = batch
    pictures = any(hasattr(first[0], known) for known in ("__array__", "__array_interface__"))
    if not pictures or len(first) != len(labels) or np.ndim(labels[0]):
        return batch
    arrays = [as_array(sample, name) for sample in first]
    if len(shapes := {array.shape for array in arrays}) > 1:
        listed = ", ".join(map(str, sorted(shapes)))
        raise ValueError(f"{name} must hold samples of one shape, got {listed}.")
    return np.stack(arrays), labels


def samples_alone(batch: Any, name: str) -> Any:
    """The samples of a batch, which come first where it is a list or tuple of samples and labels.

    Either may be a list itself, as where a loader's ``collate_fn`` zips its samples.

    Raises
    ------
    ValueError
        If there are not as many labels as samples, samples of a list differ in shape, or a second
        array of samples differs from the first, so that one of them would be lost.
    """
    if not isinstance(batch, list | tuple) or not batch:
        return batch
    batch = _zipped(batch, name)
    if not hasattr(batch[0], "shape"):
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
        As `samples_alone` and `as_array`, if a first batch could also be a single image, or if a
        pipeline of tf.data says that it never ends.
    """
    cardinality = getattr(x, "cardinality", None)  # of tf.data, where -1 stands for infinite
    if callable(cardinality) and int(cardinality()) == -1:
        raise ValueError(
            f"{name} must come to an end, which is that of an epoch, got a {type(x).__name__} that "
            "repeats for ever; leave out repeat()."
        )
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


def pieces_of(
    x: Any, name: str, image_shape: Shape | None = None, ordered: bool = False
) -> Iterator[tuple[str, Array]]:
    """The batches of a loader, or the one array, for doors that read and do not train.

    `ordered` says that results will be known by their places.

    Raises
    ------
    ValueError
        As `pieces`, or if a loader has no batches, or places count and a second pass over it begins
        with other samples.
    """
    if not is_loader(x, name):
        yield name, as_array(x, name)
        return
    found = pieces(x, name, image_shape)
    first = next(found, None)
    if first is None:
        raise ValueError(f"{name} must give at least one batch, got none.")
    if ordered and not isinstance(x, Iterator) and first[1].dtype.kind in "fu":
        again = next(pieces(x, name, image_shape), None)  # an iterator has no second pass
        if again is None or again[1].tobytes() != first[1].tobytes():
            raise ValueError(
                f"{name} must give the same samples in the same order at every pass, so that "
                f"results are known by their places, got a {type(x).__name__} that shuffles or "
                "changes them."
            )
    yield first
    yield from found


def checked(
    config: SAEConfig,
    parts: Iterable[tuple[str, Array]],
    dtype: DTypeLike,
    image_shape: Shape | None = None,
) -> Iterator[tuple[Array, Shape | None]]:
    """Rows of each piece, as `check_samples` returns them, and the shape of the images in it."""
    for name, piece in parts:
        rows = check_samples(config, piece, name, dtype, None, image_shape)
        shape = image_shape_of(piece)
        image_shape = image_shape or shape
        yield rows, shape


def joined(parts: Iterable[tuple[Array, Shape | None]]) -> tuple[Array, Shape | None]:
    """Arrays below each other, and the first shape."""
    rows, shapes = zip(*parts, strict=True)
    return rows[0] if len(rows) == 1 else np.concatenate(rows), shapes[0]


def whole(x: Any, name: str, ordered: bool = False) -> tuple[Array, Shape | None]:
    """All samples of an array or a loader as rows, and the shape of an image, without a model.

    Raises
    ------
    ValueError
        As `pieces_of`, or if batches differ in their width or in the shape of their images.
    """
    if not is_loader(x, name):
        array = as_array(x, name)
        return as_rows(array, name), image_shape_of(array)
    parts: list[tuple[Array, Shape | None]] = []
    for part, array in pieces_of(x, name, None, ordered):
        rows, (first, shape) = as_rows(array, part), parts[0] if parts else (None, None)
        check_floats(rows, part)
        if array.ndim < 2:
            raise ValueError(f"{part} must have shape (n_samples, ...), got {array.shape}.")
        width = rows.shape[1] if first is None else first.shape[1]
        check_shape(array.shape, width, part, shape)
        parts.append((rows, image_shape_of(array)))
    return joined(parts)
