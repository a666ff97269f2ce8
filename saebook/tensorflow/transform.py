"""A preprocessing layer of Keras as a corruption."""

from typing import Any

import numpy as np

from saebook._types import Array


def transformed(layer: Any, x: Array, seed: int) -> Array:
    """What the layer makes of samples in training, with its random state at `seed` meanwhile."""
    states = [variable for variable in layer.variables if "seed_generator" in variable.path]
    before = [state.numpy() for state in states]
    try:
        for number, state in enumerate(states):
            state.assign(np.array([seed, number]))
        return np.array(layer(x, training=True))
    finally:
        for state, value in zip(states, before, strict=True):
            state.assign(value)
