"""Known mistakes, chapter denoising: what the model sees in each epoch."""

from typing import Any

import numpy as np

from saebook._types import Array
from saebook.classroom.mistakes.shared import X
from saebook.classroom.mistakes.table import Check


def _noisy(x: Array, sigma: float, epochs: int, rng: np.random.Generator) -> Array:
    return np.stack([x + sigma * rng.standard_normal(x.shape) for _ in range(epochs)])


def _all_the_same(found: Array, x: Array, sigma: float, epochs: int, rng: Any) -> bool:
    shown = found.shape == (epochs, *x.shape) and not np.allclose(found[0], x)
    return bool(shown and np.allclose(found, found[:1]))


def _noisy_rows(x: Array, sigma: float, epochs: int, rng: np.random.Generator) -> Array:
    return np.stack([x + sigma * rng.standard_normal(x.shape[1:]) for _ in range(epochs)])


CHECKS = {
    "noisy_epochs": Check.of(
        "noisy_epochs(x, sigma, epochs, rng)",
        lambda x, sigma, epochs, rng: _noisy(x, sigma, epochs, rng),
        lambda rng: [(rng.random((4, 5)), 0.4, 3, rng)],
        "Ask how many different pictures the model has seen after ten epochs.",
        small=(X, 0.4, 2, np.random.default_rng),
        drawn_once=(
            lambda x, sigma, epochs, rng: np.stack([_noisy(x, sigma, 1, rng)[0]] * epochs),
            "the noise is drawn once and serves every epoch: the model learns these copies by "
            "heart; draw it anew in each epoch",
        ),
        piled_in_place=(
            lambda x, sigma, epochs, rng: np.stack(
                [x + np.sum(_noisy(np.zeros_like(x), sigma, epochs, rng), axis=0)] * epochs
            ),
            "all epochs are one and the same array, to which noise is added in place: make a new "
            "one for each epoch",
        ),
        written_over=(
            lambda x, sigma, epochs, rng: np.stack([_noisy(x, sigma, epochs, rng)[-1]] * epochs),
            "all epochs are one and the same array, written over each time, and show the last "
            "noise: make a new one for each epoch",
        ),
        same_for_all_samples=(
            lambda x, sigma, epochs, rng: _noisy_rows(x, sigma, epochs, rng),
            "all samples of an epoch share one noise pattern: every pixel of every sample has its "
            "own",
        ),
        accumulated=(
            lambda x, sigma, epochs, rng: (
                x + np.cumsum(_noisy(np.zeros_like(x), sigma, epochs, rng), axis=0)
            ),
            "the noise piles up from epoch to epoch: start from the clean samples each time",
        ),
        seeded_anew=(
            lambda x, sigma, epochs, rng: np.stack(
                [_noisy(x, sigma, 1, np.random.default_rng(0))[0]] * epochs
            ),
            "every epoch shows the same noise, and it is not drawn from `rng`: a generator that is "
            "made or seeded anew in every epoch begins anew; draw from the one that is given",
            None,
            _all_the_same,
        ),
        not_spoiled=(
            lambda x, sigma, epochs, rng: np.stack([x] * epochs),
            "the epochs show the clean samples: the noise is missing",
        ),
        uniform=(
            lambda x, sigma, epochs, rng: np.stack(
                [x + sigma * rng.random(x.shape) for _ in range(epochs)]
            ),
            "the noise is uniform in [0, 1), which is brighter everywhere: draw it from the "
            "standard normal distribution",
        ),
        variance=(
            lambda x, sigma, epochs, rng: _noisy(x, sigma**2, epochs, rng),
            "sigma is used as a variance: it is the standard deviation, a factor of the noise",
        ),
        clipped=(
            lambda x, sigma, epochs, rng: np.clip(_noisy(x, sigma, epochs, rng), 0, 1),
            "the copies are cut off at 0 and 1: here they are asked for as they are",
        ),
        noise_alone=(
            lambda x, sigma, epochs, rng: _noisy(np.zeros_like(x), sigma, epochs, rng),
            "this is the noise alone: add the samples",
        ),
        one_number=(
            lambda x, sigma, epochs, rng: np.stack(
                [x + sigma * rng.standard_normal() for _ in range(epochs)]
            ),
            "one number is drawn for an epoch: every pixel of every sample has its own",
        ),
        one_less=(
            lambda x, sigma, epochs, rng: _noisy(x, sigma, epochs - 1, rng),
            "there is one epoch too few",
        ),
    ),
}
