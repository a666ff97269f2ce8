"""What `fit` trains on: an array in memory, files that stay on disk, or an iterable of batches."""

import operator
import os
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from saebook._types import Array, ArrayLike, Corruption, Samples, Shape, StrPath
from saebook.checks import (
    as_array,
    check_array,
    check_noisy,
    check_samples,
    check_shape,
    image_shape_of,
)
from saebook.config import SAEConfig, TrainConfig
from saebook.corruption import corrupted
from saebook.loaders import checked, is_stream, pieces, samples_alone
from saebook.start import begins_at_samples, chosen, epoch_batches, epoch_order, noise_generator


class Shards:
    """Several files as one array ``(n_samples, n_features)`` of which only what is asked is read.

    Parameters
    ----------
    parts : list of str or path-like, or of arrays (n_rows, n_features)
        Names of ``.npy`` files, or arrays such as `numpy.memmap`.

    Raises
    ------
    ValueError
        If there are none, or they differ in width or dtype.
    """

    def __init__(self, parts: Sequence[StrPath | Array]) -> None:
        self.parts = [
            np.load(part, mmap_mode="r")
            if isinstance(part, str | os.PathLike)
            else (part if isinstance(part, np.memmap) else as_array(part, "parts"))
            for part in parts
        ]
        kinds = sorted({f"{part.dtype} in shape (n, {part.shape[1:]})" for part in self.parts})
        if len(kinds) != 1 or self.parts[0].ndim != 2:
            raise ValueError(
                "parts must be arrays (n_rows, n_features) of one width and one dtype, "
                f"got {', '.join(kinds) or 'none'}."
            )
        self.ends = np.cumsum([len(part) for part in self.parts])
        self.dtype, self.ndim = self.parts[0].dtype, 2
        self.shape = (int(self.ends[-1]), self.parts[0].shape[1])

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Array:
        return np.concatenate(self.parts).astype(dtype or self.dtype, copy=False)

    def __getitem__(self, rows: Array) -> Array:
        """The rows with the numbers ``rows``, in that order."""
        out = np.empty((len(rows), self.shape[1]), self.dtype)
        places = np.searchsorted(self.ends, rows, side="right")
        for number, (part, end) in enumerate(zip(self.parts, self.ends, strict=True)):
            here = places == number
            out[here] = part[rows[here] - (end - len(part))]
        return out


class Batches:
    """The samples, checked, and the order in which training meets them.

    An array is checked as a whole and kept, for the model's device to hold. A `numpy.memmap` and
    `Shards` are read and checked batch by batch in the same order, and an iterable, such as a list
    of arrays or a loader, in its own order; of all these no more than a batch is in memory.

    Parameters
    ----------
    config : SAEConfig
    x : array (n_samples, n_features), or an iterable of such arrays
        As in `fit`.
    dtype : {"float32", "float64"}
    train_config : TrainConfig
    corruption : callable or array, optional
        As in `fit`.
    rank, world_size : int
        Number of this process, from 0, and how many there are that share every batch.
    image_shape : tuple of int, optional
        The shape of the images that the model was trained on before.

    Attributes
    ----------
    array : ndarray or None
        The samples, if they are in memory.
    noisy_too : bool
        Whether batches come with a corrupted copy.
    n_steps : int or None
        Batches of all epochs together; not known of an iterable.
    image_shape : tuple of int or None
        The shape of a sample, if that is an image; of an iterable known from its first batch on.
    """

    x: Any
    array: Array | None
    whole: Array  # the latest batch of all processes together
    even: bool = True  # else the last batch holds what is left over, as up to 0.4.0
    look: Callable[[Array], object] | None = None  # called once, with the first batch
    corruption: Any
    noisy: Array | None

    def __init__(
        self,
        config: SAEConfig,
        x: Samples,
        dtype: str,
        train_config: TrainConfig,
        corruption: Corruption | ArrayLike | None = None,
        rank: int = 0,
        world_size: int = 1,
        image_shape: Shape | None = None,
    ) -> None:
        self.config, self.dtype, self.train_config = config, dtype, train_config
        self.rank, self.world_size = rank, world_size
        self.x, self.array, self.corruption = x, None, corruption
        self.image_shape, self.streamed = image_shape, is_stream(x, "x")
        if self.streamed and isinstance(x, list | tuple):  # here no step has been taken yet
            for number, batch in enumerate(x):
                if hasattr(batch, "shape"):
                    check_shape(batch.shape, config.n_features, f"batch {number} of x")
        if isinstance(x, Iterator) and train_config.epochs > 1:
            raise ValueError(
                "x must be an iterable that starts anew in every epoch, such as a list of batches, "
                f"got {type(x).__name__}, which is used up after the first of "
                f"{train_config.epochs} epochs."
            )
        if isinstance(x, np.memmap | Shards):
            check_array(config, self.x, "x", image_shape)
            self.image_shape = image_shape or image_shape_of(self.x)
        elif not self.streamed:
            array = as_array(x, "x")
            self.x = self.array = check_samples(config, array, "x", dtype, None, image_shape)
            self.image_shape = image_shape or image_shape_of(array)
        batches = None if self.streamed else -(-len(self.x) // train_config.batch_size)
        self.n_steps = None if batches is None else train_config.epochs * batches
        if batches is not None:
            self._share(len(self.x) // batches)  # of the smallest
        if train_config.decay_steps and self.n_steps is None:
            raise ValueError(
                "decay_steps must be 0 when x is an iterable, whose number of steps is not known, "
                f"got {train_config.decay_steps}."
            )
        self.noisy_too, self.noisy = corruption is not None, None
        if corruption is not None and not callable(corruption):
            if self.array is None:
                raise ValueError(
                    "corruption must be a function when x is a memmap or an iterable, "
                    f"got {type(corruption).__name__}."
                )
            self.noisy = check_noisy(corruption, self.array, "corruption")

    def epoch(self, number: int) -> Iterator[tuple[Array, ...]]:
        """Yield each batch of an epoch, counted from 0, in a tuple, with its corrupted copy if any.

        A batch is an array ``(n_rows,)`` of row numbers if the samples are in memory, otherwise it
        is the samples themselves, ``(n_rows, n_features)``. Of several processes each gets its own
        rows of it, one after another.
        """
        noise = noise_generator(self.train_config.seed, number)
        largest = 0
        for batch in self._given() if self.streamed else self._rows(number):
            largest = max(largest, len(batch))
            self.whole = batch
            share = self._share(len(batch))
            if self.look is not None:
                # All of it where what is learned from it must be the same in every process.
                has_l0 = getattr(self.config.sparsity, "l0", None) is not None
                wanted = begins_at_samples(self.config) or has_l0
                clean = self._read(batch if wanted else batch[share])
                self.look(clean if self.array is None else self.array[clean])
                self.look = None
            if self.corruption is None:
                yield (self._read(batch[share]),)
            elif self.noisy is not None:
                yield batch[share], self.noisy[batch[share]]
            else:  # noise for all rows, so that each row's is the same however many processes
                batch = self._read(batch)
                clean = batch if self.array is None else self.array[batch]
                noisy = corrupted(self.corruption, clean, noise, self.image_shape)
                yield batch[share], noisy[share]
        if not largest:
            raise ValueError(f"x must give at least one batch, got none in epoch {number + 1}.")
        if self.streamed and 16 * len(batch) < largest and number == self.rank == 0:
            warnings.warn(
                f"the last batch of x has {len(batch)} rows and the largest {largest}, but each is "
                "a whole step, which can spoil the weights: leave it out (drop_last=True of a "
                "PyTorch loader, drop_remainder=True of tf.data), or choose another batch size.",
                stacklevel=2,
            )

    def some(self, seed: int, first: Array) -> Array:
        """Samples that a new model begins at, the same in every process; of an iterable `first`."""
        if self.streamed:
            return first
        rows = chosen(len(self.x), self.config, seed)
        return self.x[rows] if self.array is not None else self._read(rows)

    def mark(self) -> list[Any]:
        """What tells these samples from others, in a checkpoint: the shape and a checksum.

        That of all samples in memory, of 64 in a file, of the batches at a list's ends. Of a loader
        it is their number, if known: one that shuffles begins each pass with another batch.
        """
        if self.array is not None:
            return [*self.array.shape, zlib.crc32(np.ascontiguousarray(self.array).data)]
        if self.streamed and not isinstance(self.x, list | tuple):
            return [operator.length_hint(self.x)]
        if self.streamed:
            ends = (samples_alone(batch, "x") for batch in (self.x[0], self.x[-1]))
            first, last = (as_array(batch, "x") for batch in ends)
            parts, sizes = [first, last], [len(self.x), *first.shape]
        else:
            places = np.linspace(0, len(self.x) - 1, min(len(self.x), 64)).astype(int)
            parts, sizes = [np.asarray(self.x[places])], [*self.x.shape]
        crc = zlib.crc32(b"".join(part.tobytes() for part in parts))
        return [*sizes, parts[0].dtype.name, crc]

    def _rows(self, number: int) -> list[Array]:
        n, size, seed = len(self.x), self.train_config.batch_size, self.train_config.seed
        if self.even:
            return epoch_batches(n, size, seed, number)
        return np.split(epoch_order(n, seed, number), range(size, n, size))

    def _given(self) -> Iterator[Array]:
        found = pieces(self.x, "x", self.image_shape)
        for rows, shape in checked(self.config, found, self.dtype, self.image_shape):
            self.image_shape = self.image_shape or shape
            yield rows

    def _read(self, batch: Array) -> Array:
        """The samples, where `batch` is row numbers of a file."""
        if self.streamed or self.array is not None:
            return batch
        return check_samples(self.config, self.x[batch], "x", self.dtype, batch, self.image_shape)

    def _share(self, n_rows: int) -> slice:
        if n_rows < self.world_size:
            raise ValueError(
                f"every batch must have a row for each of {self.world_size} processes, got one of "
                f"{n_rows}; choose another batch_size."
            )
        first, last = (n_rows * r // self.world_size for r in (self.rank, self.rank + 1))
        return slice(first, last)


def check_validation_noise(
    corruption: Corruption | ArrayLike | None,
    x_val: Array | None,
    seed: int,
    image_shape: Shape | None = None,
) -> Array | None:
    """The one corrupted copy of the validation samples, or None without corruption or samples."""
    if corruption is None or x_val is None:
        return None
    if not callable(corruption):
        raise ValueError(
            "corruption must be a function when x_val is given, or x_val would stay clean, "
            f"got {type(corruption).__name__}."
        )
    noisy = corrupted(corruption, x_val, noise_generator(seed), image_shape)
    return noisy.copy()  # the function may use its array again
