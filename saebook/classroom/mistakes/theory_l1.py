"""Known mistakes, chapter theory: the L1 penalty and its gradient."""

from typing import Any

import numpy as np

from saebook import reference
from saebook.classroom.mistakes.shared import SIGNED
from saebook.classroom.mistakes.table import Check
from saebook.kinds import L1


def _signed(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [(rng.normal(size=(6, 5)), 0.7), (rng.normal(size=(3, 8)), 2.5)]


def _with_zeros(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    z = rng.normal(size=(6, 5))
    return [(rng.normal(size=(4, 3)), 0.7), (np.where(z < -0.8, 0, z), 0.7), (np.zeros((2, 3)), 2)]


CHECKS = {
    "l1_penalty": Check.of(
        "l1_penalty(z, weight)",
        lambda z, weight: reference.penalty(L1(weight), z),
        _signed,
        "Ask whether a wider dictionary of which the same few latents are active should cost less.",
        small=(SIGNED, 0.5),
        by=(0,),
        mean_over_latents=(
            lambda z, weight: weight * np.abs(z).mean(),
            "your value is the right one divided by n_latents: sum over latents, average over "
            "samples",
        ),
        no_abs=(
            lambda z, weight: weight * z.sum(axis=1).mean(),
            "the sizes are missing: without abs, positive and negative codes cancel",
        ),
        sum_over_samples=(
            lambda z, weight: weight * np.abs(z).sum(),
            "your value is the right one times n_samples: take the mean over samples",
        ),
        squared=(
            lambda z, weight: weight * (z**2).sum(axis=1).mean(),
            "squares are summed: that is an L2 penalty, which shrinks and makes nothing 0",
        ),
        no_weight=(
            lambda z, weight: np.abs(z).sum(axis=1).mean(),
            "the weight of the penalty is missing",
        ),
        relu=(
            lambda z, weight: weight * np.maximum(z, 0).sum(axis=1).mean(),
            "negative codes cost nothing: take their size too",
        ),
        l2=(
            lambda z, weight: weight * np.sqrt((z**2).sum(axis=1)).mean(),
            "this is the Euclidean norm of each code: sum sizes, without squares and root",
        ),
        per_sample=(
            lambda z, weight: weight * np.abs(z).sum(axis=1),
            "you have one penalty per sample: the mean over samples is missing",
        ),
        half=(
            lambda z, weight: weight * np.abs(z).sum(axis=1).mean() / 2,
            "your value is half of the right one: this book's penalty has no factor 1/2",
        ),
        exchanged=(
            lambda z, weight: weight * np.abs(z).mean(axis=1).sum(),
            "sum and mean are exchanged: sum over latents, mean over samples",
        ),
        counted=(
            lambda z, weight: weight * (z != 0).sum(axis=1).mean(),
            "active latents are counted: that is L0, whose gradient is 0; sum their sizes",
        ),
    ),
    "l1_gradient": Check.of(
        "l1_gradient(z, weight)",
        lambda z, weight: reference.penalty_gradient(L1(weight), z),
        _with_zeros,
        "Draw |z| and ask for the slope left of 0, right of 0, and at 0.",
        small=(SIGNED, 0.5),
        one_at_zero=(
            lambda z, weight: weight * np.where(z >= 0, 1, -1) / len(z),
            "the gradient at 0 must be 0: a silent latent would be pushed although it costs "
            "nothing",
        ),
        no_1_over_n=(
            lambda z, weight: weight * np.sign(z),
            "your gradient is n_samples times too large: the penalty is a mean over samples",
        ),
        positive_only=(
            lambda z, weight: weight * (z > 0) / len(z),
            "negative codes have the gradient -weight / n_samples, not 0",
        ),
        no_weight=(
            lambda z, weight: np.sign(z) / len(z),
            "the weight of the penalty is missing in the gradient",
        ),
        over_latents=(
            lambda z, weight: weight * np.sign(z) / z.shape[1],
            "you divide by n_latents: sizes are summed over latents and averaged over samples",
        ),
        over_both=(
            lambda z, weight: weight * np.sign(z) / z.size,
            "you divide by n_latents too: sizes are summed over latents",
        ),
        of_squares=(
            lambda z, weight: weight * 2 * z / len(z),
            "this is the gradient of the squares: that of a size does not depend on the size",
        ),
        value=(
            lambda z, weight: weight * z / len(z),
            "the code itself stands where its sign should",
        ),
        sign=(
            lambda z, weight: -weight * np.sign(z) / len(z),
            "the sign is wrong: a larger size costs more",
        ),
        no_sign=(
            lambda z, weight: np.full(z.shape, weight / len(z)),
            "the slope is taken as 1 everywhere: left of 0 it is -1, and at 0 it is set to 0",
        ),
    ),
}
