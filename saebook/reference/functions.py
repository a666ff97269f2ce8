"""The functions that make a code or a reconstruction, each with its slope."""

from collections.abc import Callable

import numpy as np

from saebook._types import Array


def sigmoid(a: Array) -> Array:
    """Logistic function, without overflow for large negative arguments."""
    return np.where(a >= 0, 1, np.exp(-np.abs(a))) / (1 + np.exp(-np.abs(a)))


# Each entry: the function of the pre-activation, and its derivative written in the output.
FUNCTIONS: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "sigmoid": (sigmoid, lambda z: z * (1 - z)),
    "relu": (lambda a: np.maximum(a, 0), lambda z: (z > 0).astype(z.dtype)),
    "linear": (lambda a: a, np.ones_like),
}
