"""What `fit` trains on: an array in memory, a memory-mapped file, or an iterable of batches."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from saebook._types import Array, ArrayLike, Corruption, Samples
from saebook.checks import check_array, check_noisy, check_samples, corrupted
from saebook.config import SAEConfig, TrainConfig
from saebook.reference import epoch_order, noise_generator


class Batches:
    """The samples, checked, and the order in which training meets them.

    An array is checked as a whole and kept, for the model's device to hold. A `numpy.memmap` is
    read and checked batch by batch in the same order, and an iterable, such as a list of arrays or
    a loader, in its own order; of both no more than a batch is in memory.

    Parameters
    ----------
    config : SAEConfig
    x : array (n_samples, n_features), or an iterable of such arrays
    dtype : {"float32", "float64"}
    train_config : TrainConfig
    corruption : callable or array, optional
        As in `fit`.

    Attributes
    ----------
    array : ndarray or None
        The samples, if they are in memory.
    noisy_too : bool
        Whether batches come with a corrupted copy.
    n_steps : int or None
        Batches of all epochs together; not known of an iterable.
    """

    x: Any
    array: Array | None
    corruption: Any
    noisy: Array | None

    def __init__(
        self,
        config: SAEConfig,
        x: Samples,
        dtype: str,
        train_config: TrainConfig,
        corruption: Corruption | ArrayLike | None = None,
    ) -> None:
        self.config, self.dtype, self.train_config = config, dtype, train_config
        self.x, self.array, self.corruption = x, None, corruption
        self.streamed = isinstance(x, Iterator) or (
            isinstance(x, list | tuple) and len(x) > 0 and np.ndim(x[0]) == 2
        )
        self.streamed |= isinstance(x, Iterable) and not (
            isinstance(x, list | tuple) or hasattr(x, "__array__")
        )
        if isinstance(x, Iterator) and train_config.epochs > 1:
            raise ValueError(
                "x must be an iterable that starts anew in every epoch, such as a list of batches, "
                f"got {type(x).__name__}, which is used up after the first of "
                f"{train_config.epochs} epochs."
            )
        if isinstance(x, np.memmap):
            check_array(config, x, "x")
        elif not self.streamed:
            self.array = check_samples(config, self.x, "x", dtype)
        batches = None if self.streamed else -(-len(self.x) // train_config.batch_size)
        self.n_steps = None if batches is None else train_config.epochs * batches
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
        is the samples themselves, ``(n_rows, n_features)``.
        """
        noise = noise_generator(self.train_config.seed, number)
        n_batches = 0
        for batch in self._given() if self.streamed else self._rows(number):
            n_batches += 1
            if self.corruption is None:
                yield (batch,)
            elif self.noisy is not None:
                yield batch, self.noisy[batch]
            else:
                clean = batch if self.array is None else self.array[batch]
                yield batch, corrupted(self.corruption, clean, noise)
        if not n_batches:
            raise ValueError(f"x must give at least one batch, got none in epoch {number + 1}.")

    def _rows(self, number: int) -> Iterator[Array]:
        order = epoch_order(len(self.x), self.train_config.seed, number)
        for start in range(0, len(order), self.train_config.batch_size):
            rows = order[start : start + self.train_config.batch_size]
            yield rows if self.array is not None else self._checked(self.x[rows])

    def _given(self) -> Iterator[Array]:
        for batch in self.x:
            yield self._checked(batch)

    def _checked(self, batch: ArrayLike) -> Array:
        return check_samples(self.config, batch, "a batch of x", self.dtype)


def check_validation_noise(
    corruption: Corruption | ArrayLike | None, x_val: Array | None, seed: int
) -> Array | None:
    """The one corrupted copy of the validation samples, or None without corruption or samples."""
    if corruption is None or x_val is None:
        return None
    if not callable(corruption):
        raise ValueError(
            "corruption must be a function when x_val is given, or x_val would stay clean, "
            f"got {type(corruption).__name__}."
        )
    return corrupted(corruption, x_val, noise_generator(seed))
