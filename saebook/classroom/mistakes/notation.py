"""Known mistakes, chapter notation: measures and the loss."""

from typing import Any

import numpy as np

from saebook import metrics
from saebook.classroom.mistakes.shared import SIGNED, X_HAT, X, pairs, sum_of_squares
from saebook.classroom.mistakes.table import Check


def _silent(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    z = np.maximum(rng.normal(size=(40, 6)), 0)
    z[:, 0] += 0.5  # active for every sample
    z[:, 1] = 0
    z[:, 4] = 0
    z[3, 4] = 0.02  # seldom and weak, but alive
    z[:2, 5] = [1, -1]  # alive, although their sum is 0
    z[2:, 5] = 0
    return [(z,), (-z,)]


CHECKS = {
    "reconstruction_loss": Check.of(
        "reconstruction_loss(x, x_hat)",
        lambda x, y: sum_of_squares(x, y).mean(),
        pairs,
        "Ask: if an image had four times as many pixels, should the error of an image grow?",
        small=(X, X_HAT),
        by=(1,),
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
        squared_sum=(
            lambda x, y: ((y - x).sum(axis=1) ** 2).mean(),
            "differences are summed before they are squared, so that they cancel: square first",
        ),
        clipped=(
            lambda x, y: sum_of_squares(x, np.clip(y, 0, 1)).mean(),
            "x_hat is cut off at 0 and 1 first: the loss compares what the model gives",
        ),
        per_sample=(
            sum_of_squares,
            "you have one error per sample: the mean over samples is missing",
        ),
        sum_of_means=(
            lambda x, y: ((y - x) ** 2).mean(axis=1).sum(),
            "sum and mean are exchanged: sum over features, mean over samples",
        ),
        signed=(
            lambda x, y: (y - x).sum(axis=1).mean(),
            "nothing is squared: differences of opposite sign cancel",
        ),
    ),
    "l0": Check.of(
        "l0(z)",
        lambda z: metrics.l0(z),
        lambda rng: [(np.where(rng.random((9, 6)) < 0.6, 0, rng.normal(size=(9, 6))),)],
        "Ask: what should L0 be if the same code is given with 100 silent latents more?",
        small=(SIGNED,),
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
        zeros=(
            lambda z: (z == 0).sum(axis=1).mean(),
            "you count the latents that are 0: L0 counts those that are not",
        ),
        per_latent=(
            lambda z: (z != 0).sum(axis=0).mean(),
            "your value is the mean number of samples per latent: count the latents of a sample",
        ),
        each_sample=(
            lambda z: (z != 0).sum(axis=1),
            "you have one count per sample: the mean over samples is missing",
        ),
        once_active=(
            lambda z: (z != 0).any(axis=0).sum(),
            "you count the latents that are active for any sample: count those of each sample",
        ),
    ),
    "dead_latents": Check.of(
        "dead_latents(z)",
        lambda z: metrics.dead_features(z),
        _silent,
        "Ask for a latent that fires once in a thousand images: is it useless?",
        small=(SIGNED,),
        small_mean=(
            lambda z: np.abs(z.mean(axis=0)) < 1e-2,
            "a small mean is not death: a latent is dead if it is active for no sample at all",
        ),
        small_signed_mean=(
            lambda z: z.mean(axis=0) < 1e-2,
            "a mean below a bound is not death, and a negative one less so: a latent is dead if "
            "it is 0 for every sample",
        ),
        mean_is_zero=(
            lambda z: np.abs(z.sum(axis=0)) < 1e-9,
            "activations of opposite sign cancel in a mean: look at every one of them",
        ),
        alive=(
            lambda z: (z != 0).any(axis=0),
            "your mask is the other way round: it is True where a latent is alive",
        ),
        indices=(
            lambda z: np.flatnonzero((z == 0).all(axis=0)),
            "you give the numbers of the dead latents: give True or False for each latent",
        ),
        count=(
            lambda z: (z == 0).all(axis=0).sum(),
            "you give how many are dead: give True or False for each latent",
        ),
        never_all=(
            lambda z: (z == 0).all(axis=0) | (z != 0).all(axis=0),
            "a latent that is active for every sample is not dead",
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
        small=(X, X_HAT),
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
        mean_squared_error=(
            lambda x, y: ((y - x) ** 2).mean(),
            "this is the mean squared error: divide by the variance of the data",
        ),
        error_per_sample=(
            lambda x, y: sum_of_squares(x, y).mean(),
            "this is the squared error of a sample: divide by what the mean sample leaves",
        ),
        root=(
            lambda x, y: np.sqrt(metrics.fvu(x, y)),
            "a root is taken: variance is made of squares",
        ),
        inverted=(
            lambda x, y: 1 / metrics.fvu(x, y),
            "the fraction is upside down: the error stands above",
        ),
        per_feature=(
            lambda x, y: (
                ((y - x) ** 2).sum(axis=0) / ((x - x.mean(axis=0)) ** 2).sum(axis=0)
            ).mean(),
            "you average one ratio per feature: both sums run over the whole data, and are "
            "divided once",
        ),
        about_own_mean=(
            lambda x, y: ((y - x) ** 2).sum() / ((x - x.mean(axis=1, keepdims=True)) ** 2).sum(),
            "the mean is taken along the wrong axis: it is the mean sample, one number per feature",
        ),
        about_x_hat=(
            lambda x, y: ((y - x) ** 2).sum() / ((y - y.mean(axis=0)) ** 2).sum(),
            "the denominator is the variance of x_hat: it is that of the data",
        ),
    ),
}
