"""Known mistakes, chapter superposition: planted features."""

import numpy as np

from saebook import metrics
from saebook.classroom.mistakes.shared import unit_rows
from saebook.classroom.mistakes.table import Check

CHECKS = {
    "mean_max_cosine": Check.of(
        "mean_max_cosine(planted, learned)",
        lambda planted, learned: metrics.max_cosines(planted, learned).mean(),
        lambda rng: [
            (unit_rows(rng.normal(size=(4, 6))), rng.normal(size=(9, 6)) * 2),
            (rng.normal(size=(3, 5)) * 3, rng.normal(size=(4, 5))),
        ],
        "Ask what a dictionary scores that holds one planted feature a hundred times.",
        small=(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[3.0, 4.0], [-2.0, 0.0]])),
        other_direction=(
            lambda planted, learned: metrics.max_cosines(learned, planted).mean(),
            "this is the other direction, the mean over learned rows: it says how much of the "
            "dictionary is real, not how many planted features were found",
        ),
        not_normalised=(
            lambda planted, learned: (planted @ learned.T).max(axis=1).mean(),
            "inner products are not cosines: divide by the norms of both rows",
        ),
        absolute=(
            lambda planted, learned: (
                np.abs(unit_rows(planted) @ unit_rows(learned).T).max(axis=1).mean()
            ),
            "the sign is dropped: a feature that points the other way is not found",
        ),
        mean_of_all=(
            lambda planted, learned: (unit_rows(planted) @ unit_rows(learned).T).mean(),
            "all pairs are averaged: take each planted feature's best match, then the mean",
        ),
        best_of_all=(
            lambda planted, learned: metrics.max_cosines(planted, learned).max(),
            "the best pair of all is taken: take the best of each planted row, then the mean",
        ),
        worst=(
            lambda planted, learned: metrics.max_cosines(planted, learned).min(),
            "the worst planted row is taken: take the mean over planted rows",
        ),
        each_planted=(
            lambda planted, learned: metrics.max_cosines(planted, learned),
            "you have one cosine per planted row: the mean is missing",
        ),
        total=(
            lambda planted, learned: metrics.max_cosines(planted, learned).sum(),
            "the cosines are summed: take their mean",
        ),
        learned_not_scaled=(
            lambda planted, learned: (unit_rows(planted) @ learned.T).max(axis=1).mean(),
            "the learned rows are not divided by their norms",
        ),
        planted_not_scaled=(
            lambda planted, learned: (planted @ unit_rows(learned).T).max(axis=1).mean(),
            "the planted rows are not divided by their norms",
        ),
        smallest=(
            lambda planted, learned: (unit_rows(planted) @ unit_rows(learned).T).min(axis=1).mean(),
            "the smallest cosine of each planted row is taken: take the largest",
        ),
        squared=(
            lambda planted, learned: (metrics.max_cosines(planted, learned) ** 2).mean(),
            "the cosines are squared: take them as they are",
        ),
        columns=(
            lambda planted, learned: (
                (
                    (planted / np.linalg.norm(planted, axis=0))
                    @ (learned / np.linalg.norm(learned, axis=0)).T
                )
                .max(axis=1)
                .mean()
            ),
            "the norms are those of columns: a direction is a row",
        ),
    ),
}
