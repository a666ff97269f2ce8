"""What a framework does for the loop of `saebook.training`, and how several processes agree."""

import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

import numpy as np

from saebook._types import Array
from saebook.batches import Batches
from saebook.config import TrainConfig
from saebook.model import has_sparse_code, loss_terms


class Engine(ABC):
    """A training of one model, in which a framework says the rest in its own words.

    Parameters
    ----------
    model : SparseAutoencoder
    train_config : TrainConfig
        Settled. A checkpoint may have others, which `fit` puts in its place before `begin`.
    processes : module
        The framework's ``distributed``: several processes may train together.
    sparse : bool
        Whether the code in training is a `saebook.model.SparseCode`, if that is enough.
    """

    optimizer: Any

    def __init__(self, model: Any, train_config: TrainConfig, processes: Any, sparse: bool) -> None:
        self.model, self.train_config, self.processes = model, train_config, processes
        self.rank, self.world_size = processes.rank(), processes.world_size()
        self.mixed = train_config.mixed_precision
        self.sparse = sparse and has_sparse_code(model.config) and not self.mixed

    @abstractmethod
    def begin(self, data: Batches) -> None:
        """Take the samples to the device, if they are in memory."""

    @abstractmethod
    def begin_epoch(self) -> None:
        """Forget the sums of the epoch before."""

    @abstractmethod
    def step(self, rate: float, strength: float, batch: Array, *noisy: Array) -> None:
        """Train on a batch of `Batches.epoch`, at a learning rate and a strength of the penalty."""

    @abstractmethod
    def end_epoch(self, n_samples: int) -> tuple[Array, Array]:
        """Means of `FIGURES`, ``(5,)``, and which latents fired, ``(n_latents,)``.

        Of several models at once, both have a row for each.
        """

    def stop(self) -> None:
        """Leave the model as it was but for its weights."""
        self.model.product_dtype = None

    def gather(self, numbers: Sequence[int]) -> Array:
        """Whole numbers of all processes, ``(n_processes, n_numbers)``, once all have called."""
        return self.processes.gather_numbers(numbers, self.model.device)

    def forward(self, x: Any, noisy: Any, strength: Any) -> tuple[Any, Any, dict[str, Any]]:
        """Pre-activation, code, and terms of the loss of a batch."""
        seen = x if noisy is None else noisy
        if self.sparse:
            a, z = self.model.kind.sparse_code(seen)
        else:
            a = self.model.preactivation(seen)
            z = self.model.code(a, training=True)
        return a, z, loss_terms(self.model, x, a, z, strength)

    def settle(self, a: Any, z: Any) -> None:
        """What follows a step: the kind counts, and the dictionary gets its norm back."""
        self.model.kind.count(a, z)
        if self.model.config.unit_norm:
            self.model.normalize_decoder()

    def in_all(self, function: Callable[[], Any]) -> Any:
        """What a function returns, once it has in all processes; RuntimeError if one failed."""
        if self.world_size == 1:
            return function()
        failure, found = None, None
        try:
            found = function()
        except Exception as error:
            failure = error
        failed = self.gather([failure is not None])[:, 0]
        if failure:
            raise failure
        if failed.any():
            first = np.flatnonzero(failed)[0]
            raise RuntimeError(f"training ends, because process {first} failed.")
        return found


def agreed(engine: Any, data: Batches, epoch: int) -> Iterator[tuple[Array, ...]]:
    """The batches of an epoch; of several processes, once all have one, and the same.

    A process that has none, or that has failed, would leave the others waiting for it.
    """
    batches = data.epoch(epoch)
    if engine.world_size == 1:
        yield from batches
        return
    if data.array is not None and not callable(data.corruption):
        yield engine.in_all(lambda: next(batches))  # in which a warning may be an error
        yield from batches
        return
    for number in count():
        batch = engine.in_all(lambda: next(batches, None))
        crc = zlib.crc32(np.ascontiguousarray(data.whole).data) if batch and data.streamed else 0
        there, marks_found = engine.gather([batch is not None, crc]).T
        if not there.any():
            return
        if not there.all():
            raise ValueError(
                f"x must give equally many batches in every process, got {number} in some and more "
                f"in others in epoch {epoch + 1}."
            )
        if np.ptp(marks_found):
            raise ValueError(
                "x must give the same batches in every process, each of which takes its share of "
                f"them, got different ones as number {number} of epoch {epoch + 1}; leave out what "
                "divides them already, such as a DistributedSampler."
            )
        assert batch is not None
        yield batch
