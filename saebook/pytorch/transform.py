"""A transform of torchvision, or another module of PyTorch, as a corruption."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from saebook._types import Array


def transformed(transform: Callable[[Any], Any], x: Array, seed: int) -> Array:
    """What the transform makes of each sample, with PyTorch's generator at `seed` meanwhile."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return np.stack([transform(sample).detach().numpy() for sample in torch.as_tensor(x)])
