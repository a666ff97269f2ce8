"""Right functions and inputs that the checks of several chapters use."""

from typing import Any

import numpy as np

from saebook import reference
from saebook._types import Array
from saebook.kinds import KL


def sum_of_squares(x: Array, x_hat: Array) -> Array:
    """Squared error of each sample."""
    return ((x_hat - x) ** 2).sum(axis=1)


def unit_rows(W: Array) -> Array:
    """W with each row scaled to norm 1."""
    return W / np.linalg.norm(W, axis=1, keepdims=True)


def kl_penalty(z: Array, rho: float, beta: float) -> float:
    """The penalty of `KL`."""
    return reference.penalty(KL(rho, beta), z)


def codes(rng: np.random.Generator, *shape: int) -> Array:
    """A code in [0, 1] that no logarithm fails on."""
    return rng.uniform(0.02, 0.6, shape)


def kl_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    """Codes with a target and a weight."""
    return [(codes(rng, 7, 5), 0.05, 3.0), (codes(rng, 4, 9), 0.2, 0.5)]


def pairs(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    """Samples and reconstructions, some of which leave [0, 1]."""
    return [(rng.random((n, d)), rng.uniform(-0.3, 1.3, (n, d))) for n, d in ((6, 5), (3, 8))]


# Small inputs, to be shown where no known mistake fits.
X = np.array([[0.0, 1.0, 0.5], [0.2, 0.6, 0.0]])
X_HAT = np.array([[0.1, 1.2, 0.5], [0.2, 0.4, -0.3]])
CODE = np.array([[0.1, 0.4], [0.3, 0.2]])
SIGNED = np.array([[1.0, -2.0, 0.0], [0.5, 0.0, 0.0]])
