"""Known mistakes, chapter anomaly detection: scores, threshold and their measure."""

from typing import Any

import numpy as np

from saebook._types import Array
from saebook.classroom.mistakes.shared import pairs, sum_of_squares
from saebook.classroom.mistakes.table import Check


def _auroc(normal: Array, anomalous: Array, tie: float = 0.5) -> float:
    higher = anomalous[:, None] > normal
    return float(np.mean(higher + tie * (anomalous[:, None] == normal)))


def _most_accurate(scores: Array, labels: Array) -> float:
    candidates = np.sort(scores)
    return candidates[np.argmax([np.mean((scores > t) == (labels == 1)) for t in candidates])]


def _threshold_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    labels = np.repeat([0, 1], 30)
    return [
        (rng.gamma(2, size=101), np.r_[rng.gamma(3, size=30), 4 + rng.gamma(3, size=30)], labels, r)
        for r in (0.1, 0.05)
    ]


CHECKS = {
    "anomaly_scores": Check.of(
        "anomaly_scores(x, x_hat, z)",
        lambda x, y, z: sum_of_squares(x, y),
        lambda rng: [(*pairs(rng)[0], np.maximum(rng.normal(size=(6, 7)), 0))],
        "Ask for the shape of the answer before any formula.",
        scalar=(
            lambda x, y, z: sum_of_squares(x, y).mean(),
            "your answer is one number for all samples: a score is needed for each of them",
        ),
        with_penalty=(
            lambda x, y, z: sum_of_squares(x, y) + np.abs(z).sum(axis=1),
            "the sparsity penalty is in the score: it says how busy the code is, not how badly "
            "the sample was rebuilt",
        ),
        mean_over_features=(
            lambda x, y, z: ((y - x) ** 2).mean(axis=1),
            "your scores are the right ones divided by n_features: they rank the same, but do not "
            "fit a threshold of summed errors",
        ),
        per_feature=(
            lambda x, y, z: ((y - x) ** 2).sum(axis=0),
            "you have one score per feature: sum over features (axis 1), keep the samples",
        ),
        signed=(
            lambda x, y, z: (y - x).sum(axis=1),
            "errors of different sign cancel: square them first",
        ),
    ),
    "choose_threshold": Check.of(
        "choose_threshold(clean_scores, test_scores, test_labels, rate)",
        lambda clean, scores, labels, rate: np.quantile(clean, 1 - rate),
        _threshold_cases,
        "Ask on which day, before or after the test data arrive, the threshold is written down.",
        test_labels=(
            lambda clean, scores, labels, rate: _most_accurate(scores, labels),
            "the threshold was chosen for accuracy on the test labels: they are looked at once, "
            "to report; use the clean scores",
        ),
        test_normals=(
            lambda clean, scores, labels, rate: np.quantile(scores[labels == 0], 1 - rate),
            "the quantile is of the normal test samples, which only the test labels point out: "
            "use the clean scores",
        ),
        test_scores=(
            lambda clean, scores, labels, rate: np.quantile(scores, 1 - rate),
            "the quantile is of the test scores, anomalies included: use the clean scores",
        ),
        two_deviations=(
            lambda clean, scores, labels, rate: clean.mean() + 2 * clean.std(),
            "mean plus two deviations gives the wanted rate only if scores are normally "
            "distributed: take the quantile",
        ),
        single_number=(
            lambda clean, scores, labels, rate: clean.mean(),
            "the scores were averaged to one number first, whose deviation is 0: the threshold is "
            "then the mean, and about half of the clean samples lie above it",
        ),
        wrong_tail=(
            lambda clean, scores, labels, rate: np.quantile(clean, rate),
            "the quantile is from the wrong end: a share of `rate` lies above the threshold",
        ),
        largest=(
            lambda clean, scores, labels, rate: clean.max(),
            "the largest clean score allows no false alarm at all and depends on one sample: take "
            "the quantile at 1 - rate",
        ),
    ),
    "detect": Check.of(
        "detect(scores, threshold)",
        lambda scores, threshold: scores > threshold,
        lambda rng: [(rng.gamma(2, size=20), 2.0), (rng.gamma(2, size=20) + 1, 2.5)],
        "Ask what an operator is to do with the answer for image number 17.",
        scalar=(
            lambda scores, threshold: scores.mean() > threshold,
            "one average was compared with the threshold: compare each score, and return one "
            "truth value per sample",
        ),
        below=(
            lambda scores, threshold: scores < threshold,
            "the comparison is the wrong way round: anomalies score above the threshold",
        ),
        count=(
            lambda scores, threshold: (scores > threshold).sum(),
            "your answer is how many there are: say which samples they are",
        ),
    ),
    "auroc": Check.of(
        "auroc(normal, anomalous)",
        _auroc,
        lambda rng: [(rng.integers(0, 6, 15).astype(float), rng.integers(2, 9, 12).astype(float))],
        "Ask what a detector scores that gives every sample the same score.",
        exchanged=(
            lambda normal, anomalous: 1 - _auroc(normal, anomalous),
            "your value is 1 minus the right one: an anomaly should score above a normal sample, "
            "and the roles or the sign are exchanged",
        ),
        ties_lost=(
            lambda normal, anomalous: _auroc(normal, anomalous, 0),
            "ties count as lost: equal scores count one half",
        ),
        ties_won=(
            lambda normal, anomalous: _auroc(normal, anomalous, 1),
            "ties count as won: equal scores count one half",
        ),
    ),
}
