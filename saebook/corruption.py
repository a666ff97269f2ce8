"""Ways to spoil samples, for denoising autoencoders: `fit` takes one as its ``corruption``.

A corruption is called with clean samples ``(n_samples, n_features)`` in [0, 1] and a NumPy
`Generator`, and returns a spoiled copy of the same shape and dtype. Any function that does is one.
So is a transform of torchvision or a preprocessing layer of Keras, which `corrupted` calls.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from saebook._types import Array, Corruption, Shape
from saebook.checks import as_floats, check_noisy
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


# The framework that a transform belongs to, by the package that its class comes from.
FRAMEWORKS = {"torch": "pytorch", "torchvision": "pytorch", "keras": "tensorflow"}


def corrupted(
    corruption: Corruption, x: Array, rng: np.random.Generator, image_shape: Shape | None = None
) -> Array:
    """What `corruption` makes of a copy of the samples ``x``, as `check_noisy` returns it.

    A copy, because the function may write to what it gets, and ``x`` is the target. A transform of
    torchvision, or any other of PyTorch's modules, gets each sample by itself, as in a data set; a
    layer of Keras gets them all together, in training. Both see samples of `image_shape`, and
    draw their noise anew from `rng`: neither the framework's random state nor the layer's changes.
    """
    packages = {base.__module__.partition(".")[0] for base in type(corruption).__mro__}
    framework = next((FRAMEWORKS[name] for name in FRAMEWORKS if name in packages), None)
    if framework is None:
        return check_noisy(corruption(x.copy(), rng), x, "the result of corruption")
    transformed = import_module(f"saebook.{framework}.transform").transformed
    images = x.reshape(-1, *image_shape) if image_shape else x
    noisy = transformed(corruption, images.copy(), int(rng.integers(2**31)))
    return check_noisy(noisy, x, "the result of corruption")
