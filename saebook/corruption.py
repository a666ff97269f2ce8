"""Ways to spoil samples, for denoising autoencoders: `fit` takes one as its ``corruption``.

A corruption is called with clean samples ``(n_samples, n_features)`` in [0, 1] and a NumPy
`Generator`, and returns a spoiled copy of the same shape and dtype. Any function that does is one.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from saebook._types import Array
from saebook.checks import as_floats
from saebook.fields import check_fields


@dataclass(frozen=True)
class GaussianNoise:
    """Independent normal noise on every feature.

    Parameters
    ----------
    sigma : float >= 0, or a pair of them
        Standard deviation; of a pair ``(low, high)`` one is drawn, uniformly, for each sample.
    clip : bool
        Whether the result is cut off at 0 and 1, as a stored image would be. On a black background
        this lifts the mean, by 0.4 ``sigma``.
    """

    sigma: float | tuple[float, float] = 0.4
    clip: bool = True

    def __post_init__(self) -> None:
        allowed = "a finite number of at least 0, or a rising pair of them, (low, high)"
        check_fields(self, allowed, "sigma")
        check_fields(self, "True or False", "clip")

    def __call__(self, x: Array, rng: np.random.Generator) -> Array:
        x = as_floats(x, "x")
        sigma: Any = self.sigma
        if isinstance(self.sigma, tuple):
            sigma = rng.uniform(*self.sigma, size=(len(x), 1))
        # NumPy's float64, which a measured sigma is, would make the result float64 too.
        noisy = x + np.asarray(sigma, x.dtype) * rng.standard_normal(x.shape, dtype=x.dtype)
        return np.clip(noisy, 0, 1, out=noisy) if self.clip else noisy


@dataclass(frozen=True)
class SaltAndPepper:
    """Each feature is lost with probability `amount`, and becomes 0 or 1 with equal chances.

    Parameters
    ----------
    amount : float in [0, 1]
    """

    amount: float = 0.3

    def __post_init__(self) -> None:
        check_fields(self, "a number from 0 to 1", "amount")

    def __call__(self, x: Array, rng: np.random.Generator) -> Array:
        x = as_floats(x, "x")
        u = rng.random(x.shape, dtype=x.dtype)
        return np.where(u < self.amount / 2, 0, np.where(u < self.amount, 1, x)).astype(x.dtype)


@dataclass(frozen=True)
class Masking:
    """Each feature is lost with probability `amount`, and becomes 0 (Vincent et al. 2008).

    Parameters
    ----------
    amount : float in [0, 1]
    """

    amount: float = 0.5

    def __post_init__(self) -> None:
        check_fields(self, "a number from 0 to 1", "amount")

    def __call__(self, x: Array, rng: np.random.Generator) -> Array:
        x = as_floats(x, "x")
        return x * (rng.random(x.shape, dtype=x.dtype) >= self.amount)
