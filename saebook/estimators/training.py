"""What the estimators train on, and when they stop."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from saebook._types import Array, Corruption, Params, Samples
from saebook.checkpoint import Checkpoint
from saebook.config import SAEConfig
from saebook.estimators.start import from_samples

# Samples kept out of training, and what the encoder sees of them (None: the samples).
HeldOut = tuple[Array, Array | None]

LARGE = 5000  # samples from which a part of them says as much as cross-fitting
PATIENCE = 10  # looks at the held-out loss without a new smallest one, after which training ends
GAIN = 0.999  # of the smallest loss so far, from which a smaller one counts as new


@dataclass
class Data:
    """Samples in units of the model, or batches of them; see `saebook.training.fit`."""

    x: Samples
    n_samples: int
    dtype: DTypeLike
    start: Params | None
    corruption: Corruption | None = None


def array(config: SAEConfig, seed: int, x: Array, corruption: Corruption | None = None) -> Data:
    """Samples in memory, and weights that start from them."""
    return Data(x, len(x), x.dtype, from_samples(config, x, seed), corruption)


@dataclass
class Trained:
    """A trained model, how training went, and the epochs after which its weights were taken."""

    model: Any
    state: Checkpoint
    epochs: int


class Best:
    """The weights with the smallest loss on held-out samples.

    Parameters
    ----------
    package : module
        `saebook.pytorch` or `saebook.tensorflow`.
    model : SparseAutoencoder
    held_out : (array, array or None)
    every : int
        Epochs between two looks.
    """

    def __init__(self, package: Any, model: Any, held_out: HeldOut, every: int) -> None:
        self.package, self.model, self.held_out, self.every = package, model, held_out, every
        self.loss, self.epoch, self.looks = np.inf, 1, 0
        self.params = model.to_numpy()

    def look(self, epoch: int) -> bool:
        """Whether training should end."""
        if epoch % self.every:
            return False
        loss = self.package.evaluate(self.model, *self.held_out)["loss"]
        self.looks += 1
        if loss < GAIN * self.loss:
            self.loss, self.epoch, self.looks = loss, epoch, 0
            self.params = self.model.to_numpy()
        return self.looks >= PATIENCE

    def take(self) -> int:
        """Set the model to these weights, and return the epoch after which it had them."""
        self.model.from_numpy(self.params)
        return self.epoch


def hold_out(n_samples: int, seed: int) -> tuple[Array, Array] | None:
    """Numbers of samples to train on, and of a fifth, at most 2,000, to look at; None for few."""
    if n_samples < 10:
        return None
    order = np.random.default_rng(seed).permutation(n_samples)
    n_held = min(n_samples // 5, 2000)
    return order[n_held:], order[:n_held]
