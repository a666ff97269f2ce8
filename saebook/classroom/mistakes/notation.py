"""Known mistakes, chapter notation: measures and the loss."""

from typing import Any

import numpy as np

from saebook import metrics
from saebook.classroom.mistakes.shared import pairs, sum_of_squares
from saebook.classroom.mistakes.table import Check


def _silent(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    z = np.maximum(rng.normal(size=(40, 6)), 0)
    z[:, 1] = 0
    z[:, 4] = 0
    z[3, 4] = 0.02  # seldom and weak, but alive
    return [(z,), (-z,)]


CHECKS = {
    "reconstruction_loss": Check.of(
        "reconstruction_loss(x, x_hat)",
        lambda x, y: sum_of_squares(x, y).mean(),
        pairs,
        "Ask: if an image had four times as many pixels, should the error of an image grow?",
        mean_over_features=(
            lambda x, y: ((y - x) ** 2).mean(),
            "your value is the right one divided by n_features: the squared error is summed over "
            "features and averaged over samples only",
        ),
        sum_over_samples=(
            lambda x, y: ((y - x) ** 2).sum(),
            "your value is the right one times n_samples: sum over features, then take the mean "
            "over samples",
        ),
        half=(
            lambda x, y: sum_of_squares(x, y).mean() / 2,
            "your value is half of the right one: this book's loss has no factor 1/2",
        ),
        root=(
            lambda x, y: np.sqrt(sum_of_squares(x, y)).mean(),
            "a root is taken: the loss is the squared distance, not the distance",
        ),
        absolute=(
            lambda x, y: np.abs(y - x).sum(axis=1).mean(),
            "absolute differences are summed where squared ones are asked for",
        ),
    ),
    "l0": Check.of(
        "l0(z)",
        lambda z: metrics.l0(z),
        lambda rng: [(np.where(rng.random((9, 6)) < 0.6, 0, rng.normal(size=(9, 6))),)],
        "Ask: what should L0 be if the same code is given with 100 silent latents more?",
        share=(
            lambda z: (z != 0).mean(),
            "your value is the share of active latents: L0 is their number, so the count is not "
            "divided by n_latents",
        ),
        total=(
            lambda z: (z != 0).sum(),
            "your value counts the whole batch: take the mean over samples",
        ),
        positive_only=(
            lambda z: (z > 0).sum(axis=1).mean(),
            "negative latents are active too: count what is not 0",
        ),
        l1=(
            lambda z: np.abs(z).sum(axis=1).mean(),
            "your value is the L1 norm, which measures size: L0 counts",
        ),
    ),
    "dead_latents": Check.of(
        "dead_latents(z)",
        lambda z: metrics.dead_features(z),
        _silent,
        "Ask for a latent that fires once in a thousand images: is it useless?",
        small_mean=(
            lambda z: np.abs(z.mean(axis=0)) < 1e-2,
            "a small mean is not death: a latent is dead if it is active for no sample at all",
        ),
        silent_once=(
            lambda z: (z == 0).any(axis=0),
            "silent for one sample is not dead: it must be silent for all of them",
        ),
        per_sample=(
            lambda z: (z == 0).all(axis=1),
            "you look along the latents of a sample: look along the samples of a latent",
        ),
        not_positive=(
            lambda z: ~(z > 0).any(axis=0),
            "a latent that is only ever negative is active: dead means 0 for every sample",
        ),
    ),
    "fvu": Check.of(
        "fvu(x, x_hat)",
        lambda x, y: metrics.fvu(x, y),
        pairs,
        "Ask what the mean image scores, for every size of batch.",
        about_zero=(
            lambda x, y: ((y - x) ** 2).sum() / (x**2).sum(),
            "the denominator is measured from zero: the variance is about the mean sample, so "
            "that the mean predictor scores 1",
        ),
        mean_of_ratios=(
            lambda x, y: (sum_of_squares(x, y) / ((x - x.mean(axis=0)) ** 2).sum(axis=1)).mean(),
            "you average one ratio per sample: both sums run over the whole data, and are divided "
            "once",
        ),
        one_mean=(
            lambda x, y: ((y - x) ** 2).sum() / ((x - x.mean()) ** 2).sum(),
            "one mean is taken over all features: each feature has its own",
        ),
        explained=(
            lambda x, y: 1 - metrics.fvu(x, y),
            "your value is the explained share, 1 - FVU",
        ),
    ),
}
