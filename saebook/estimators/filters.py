"""The linear filter of least squared error, and what it leaves over for an autoencoder."""

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import RidgeCV

from saebook._types import Array, Corruption, Shape
from saebook.corruption import GaussianNoise, corrupted
from saebook.estimators.scaling import Scaling
from saebook.start import epoch_order, noise_generator

MOST = 10_000  # samples from which a filter is learned by regression


@dataclass(frozen=True)
class Pairs:
    """Clean samples and how they are spoiled, in units of the data.

    Parameters
    ----------
    clean : array (n_samples, n_features)
    noise : callable, or array (n_samples, n_features)
        As ``fit`` takes it.
    image_shape : tuple of int, optional
        The shape in which `noise` sees a sample, where it is a transform of images.
    """

    clean: Array
    noise: Corruption | Array
    image_shape: Shape | None = None

    def part(self, rows: Array) -> "Pairs":
        """Those with the numbers `rows`."""
        noise = self.noise if callable(self.noise) else self.noise[rows]
        return Pairs(self.clean[rows], noise, self.image_shape)

    def noisy(self, rows: Array, rng: np.random.Generator) -> Array:
        """A noisy copy of the samples with the numbers `rows`."""
        if callable(self.noise):
            return corrupted(self.noise, self.clean[rows], rng, self.image_shape)
        return self.noise[rows]


@dataclass(frozen=True, eq=False)
class Filter:
    """``x @ matrix + offset`` of noisy samples, in units of the model."""

    matrix: Array
    offset: Array

    def __call__(self, x: Array) -> Array:
        return np.asarray(x @ self.matrix + self.offset)


def learn_filter(pairs: Pairs, scaled: Scaling, seed: int) -> Filter:
    """The linear minimum mean square error filter of noisy samples.

    For normal noise of one size it follows from the covariance of the clean samples (Wiener 1949);
    otherwise it is a ridge regression of clean on noisy samples, its price chosen by leaving one
    out.
    """
    noise, dtype = pairs.noise, pairs.clean.dtype
    if isinstance(noise, GaussianNoise) and not noise.clip and not isinstance(noise.sigma, tuple):
        x = scaled.apply(pairs.clean).astype(np.float64)
        mean = x.mean(axis=0)
        covariance = (x - mean).T @ (x - mean) / len(x)
        spoiled = covariance + np.diag((noise.sigma / scaled.scale.astype(np.float64)) ** 2)
        matrix = np.linalg.pinv(spoiled, hermitian=True) @ covariance
        return Filter(matrix.astype(dtype), (mean - mean @ matrix).astype(dtype))
    rows = epoch_order(len(pairs.clean), seed, 0)[:MOST]
    noisy = scaled.apply(pairs.noisy(rows, noise_generator(seed)))
    ridge = RidgeCV(alphas=len(rows) * np.logspace(-6, 0, 13))
    ridge.fit(noisy.astype(np.float64), scaled.apply(pairs.clean[rows]).astype(np.float64))
    matrix = ridge.coef_.reshape(noisy.shape[1], -1).T
    return Filter(matrix.astype(dtype), np.ravel(ridge.intercept_).astype(dtype))


class Residuals:
    """What a filter leaves over of clean samples, batch by batch, with new noise in every epoch.

    To `fit` it is both: the batches of an epoch, and the corruption, which says what the encoder
    sees of the batch just given. That is what the filter made of the noisy samples.

    Parameters
    ----------
    pairs : Pairs
    scaled : Scaling
    linear : Filter
    seed : int
    batch_size : int

    Attributes
    ----------
    units : (float, float)
        Roots of the mean squares of what the encoder sees and of what is to be rebuilt; both are
        divided by theirs.
    farthest : float
        The largest norm of what the encoder sees, in its unit.
    """

    def __init__(
        self, pairs: Pairs, scaled: Scaling, linear: Filter, seed: int, batch_size: int
    ) -> None:
        self.pairs, self.scaled, self.linear = pairs, scaled, linear
        self.seed, self.batch_size, self.number = seed, batch_size, 0
        self.units: tuple[float, float] = (1.0, 1.0)
        rows = np.resize(epoch_order(len(pairs.clean), seed, 0), 1000)
        target, self.seen = self.batch(rows, noise_generator(seed))
        seen_unit, unit = (float(np.sqrt((a**2).mean())) or 1.0 for a in (self.seen, target))
        self.units = seen_unit, unit
        self.seen = self.seen / self.seen.dtype.type(self.units[0])
        self.farthest = float(np.linalg.norm(self.seen, axis=1).max())

    def batch(self, rows: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        """What is to be rebuilt, and what the encoder sees, both ``(n_rows, n_features)``."""
        dtype = self.pairs.clean.dtype.type
        clean = self.scaled.apply(self.pairs.clean[rows])
        filtered = self.linear(self.scaled.apply(self.pairs.noisy(rows, rng)))
        return (clean - filtered) / dtype(self.units[1]), filtered / dtype(self.units[0])

    def of(self, pairs: Pairs) -> "Residuals":
        """The same of other samples, such as were kept aside."""
        other = copy(self)
        other.pairs = pairs
        return other

    def __iter__(self) -> Iterator[Array]:
        n_samples, number = len(self.pairs.clean), self.number
        self.number += 1
        rng = noise_generator(self.seed, number)
        order = epoch_order(n_samples, self.seed, number)
        for rows in np.array_split(order, -(-n_samples // self.batch_size)):
            target, self.seen = self.batch(rows, rng)
            yield target

    def __call__(self, batch: Array, rng: np.random.Generator) -> Array:
        return self.seen


def within(seen: Array, farthest: float) -> Array:
    """Samples drawn in to a norm: far from what it has seen an autoencoder guesses wildly."""
    norm = np.linalg.norm(seen, axis=1, keepdims=True)
    return np.asarray(seen * np.minimum(1, farthest / np.maximum(norm, 1e-30)).astype(seen.dtype))
