"""Known mistakes, chapter superposition: planted features."""

import numpy as np

from saebook import metrics
from saebook.classroom.mistakes.shared import unit_rows
from saebook.classroom.mistakes.table import Check

CHECKS = {
    "mean_max_cosine": Check.of(
        "mean_max_cosine(planted, learned)",
        lambda planted, learned: metrics.max_cosines(planted, learned).mean(),
        lambda rng: [(unit_rows(rng.normal(size=(4, 6))), rng.normal(size=(9, 6)) * 2)],
        "Ask what a dictionary scores that holds one planted feature a hundred times.",
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
    ),
}
