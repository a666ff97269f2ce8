"""Known mistakes, chapter anomaly detection: scores, threshold and their measure."""

from collections.abc import Callable
from typing import Any

import numpy as np

from saebook._types import Array
from saebook.classroom.mistakes.shared import CODE, X_HAT, X, pairs, sum_of_squares
from saebook.classroom.mistakes.table import Check


def _auroc(normal: Array, anomalous: Array, tie: float = 0.5) -> float:
    higher = anomalous[:, None] > normal
    return float(np.mean(higher + tie * (anomalous[:, None] == normal)))


def _best(scores: Array, labels: Array, measure: Callable[[Array, Array], float]) -> float:
    """The test score that serves best as a threshold."""
    candidates = np.sort(scores)
    return candidates[np.argmax([measure(scores > t, labels == 1) for t in candidates])]


def _accuracy(alarm: Array, anomaly: Array) -> float:
    return float(np.mean(alarm == anomaly))


def _f1(alarm: Array, anomaly: Array) -> float:
    return float(2 * (alarm & anomaly).sum() / (alarm.sum() + anomaly.sum()))


def _difference(alarm: Array, anomaly: Array) -> float:
    return float(alarm[anomaly].mean() - alarm[~anomaly].mean())


def _as_good_as_the_best(measure: Callable[[Array, Array], float]) -> Callable[..., bool]:
    """Whether a threshold is one of those, between two scores too, that serve best."""

    def seen(found: Array, clean: Array, scores: Array, labels: Array, rate: float) -> bool:
        top = measure(scores > _best(scores, labels, measure), labels == 1)
        near = (found * (1 - 1e-6), found * (1 + 1e-6))  # 32 bits round
        reached = [measure(scores > threshold, labels == 1) for threshold in near]
        return found.shape == () and max(reached) > top - 1e-9

    return seen


# Anomalies (1) among normal samples (0), in the order of their scores: the thresholds with the best
# accuracy, F1 and difference of rates are far apart, and there is only one of each.
ORDER = "000000010011110010000100011011"


def _threshold_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    cases = []
    for rate in (0.1, 0.05):
        shuffled = rng.permutation(len(ORDER))
        scores = 1 + 1.5 * np.sort(rng.gamma(3, size=len(ORDER)))[shuffled]
        labels = np.array(list(ORDER), dtype=int)[shuffled]
        cases.append((rng.gamma(2, size=101), scores, labels, rate))
    return cases


CHECKS = {
    "anomaly_scores": Check.of(
        "anomaly_scores(x, x_hat, z)",
        lambda x, y, z: sum_of_squares(x, y),
        lambda rng: [(*pairs(rng)[0], np.maximum(rng.normal(size=(6, 7)), 0))],
        "Ask for the shape of the answer before any formula.",
        small=(X, X_HAT, CODE),
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
        absolute=(
            lambda x, y, z: np.abs(y - x).sum(axis=1),
            "absolute differences are summed where squared ones are asked for",
        ),
        root=(
            lambda x, y, z: np.sqrt(sum_of_squares(x, y)),
            "a root is taken: the score is the squared distance",
        ),
        largest=(
            lambda x, y, z: ((y - x) ** 2).max(axis=1),
            "only the worst feature counts: sum over features",
        ),
        sign=(
            lambda x, y, z: -sum_of_squares(x, y),
            "the sign is wrong: what is rebuilt worse has the larger score",
        ),
        size_of_code=(
            lambda x, y, z: np.abs(z).sum(axis=1),
            "this is the size of the code: the score is the error of the reconstruction",
        ),
    ),
    "choose_threshold": Check.of(
        "choose_threshold(clean_scores, test_scores, test_labels, rate)",
        lambda clean, scores, labels, rate: np.quantile(clean, 1 - rate),
        _threshold_cases,
        "Ask on which day, before or after the test data arrive, the threshold is written down.",
        small=(np.arange(11.0), np.array([2.0, 9.5, 12.0]), np.array([0, 1, 1]), 0.2),
        pooled=(
            lambda clean, scores, labels, rate: np.quantile(np.r_[clean, scores], 1 - rate),
            "the quantile is of clean and test scores together: use the clean ones alone",
        ),
        three_deviations=(
            lambda clean, scores, labels, rate: clean.mean() + 3 * clean.std(),
            "mean plus three deviations has a rate of its own: take the quantile for the rate "
            "that is asked for",
        ),
        share_of_largest=(
            lambda clean, scores, labels, rate: (1 - rate) * clean.max(),
            "a share of the largest score is no quantile: a share of the samples has to exceed it",
        ),
        percent=(
            lambda clean, scores, labels, rate: np.percentile(clean, 1 - rate),
            "np.percentile takes per cent: with a share, use np.quantile",
        ),
        rate_itself=(
            lambda clean, scores, labels, rate: 1 - rate,
            "the quantile's order is returned: the threshold is a score",
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
        test_labels=(
            lambda clean, scores, labels, rate: _best(scores, labels, _accuracy),
            "the threshold was chosen for accuracy on the test labels: they are looked at once, "
            "to report; use the clean scores",
            None,
            _as_good_as_the_best(_accuracy),
        ),
        best_f1=(
            lambda clean, scores, labels, rate: _best(scores, labels, _f1),
            "the threshold was chosen for F1 on the test labels: they are looked at once, to "
            "report; use the clean scores",
            None,
            _as_good_as_the_best(_f1),
        ),
        best_difference=(
            lambda clean, scores, labels, rate: _best(scores, labels, _difference),
            "the threshold was chosen on the test labels, for the difference of the two rates: "
            "use the clean scores",
            None,
            _as_good_as_the_best(_difference),
        ),
    ),
    "detect": Check.of(
        "detect(scores, threshold)",
        lambda scores, threshold: scores > threshold,
        lambda rng: [
            (np.r_[rng.gamma(2, size=20), 2.0, 0.5, 4.0], 2.0),
            (np.r_[rng.gamma(2, size=20) + 1, 2.5], 2.5),
        ],
        "Ask what an operator is to do with the answer for image number 17.",
        small=(np.array([0.5, 2.0, 3.0]), 2.0),
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
        at_threshold=(
            lambda scores, threshold: scores >= threshold,
            "a score equal to the threshold is no alarm: it has to be above",
        ),
        indices=(
            lambda scores, threshold: np.flatnonzero(scores > threshold),
            "your answer holds the numbers of the samples: give True or False for each",
        ),
        own_mean=(
            lambda scores, threshold: scores > scores.mean(),
            "scores are compared with their own mean: compare them with the threshold",
        ),
        margin=(
            lambda scores, threshold: scores - threshold,
            "your answer says by how much: give True where it is above 0",
        ),
        kept=(
            lambda scores, threshold: np.where(scores > threshold, scores, 0),
            "your answer holds scores: give True or False",
        ),
    ),
    "auroc": Check.of(
        "auroc(normal, anomalous)",
        _auroc,
        lambda rng: [(rng.integers(0, 6, 15).astype(float), rng.integers(2, 9, 12).astype(float))],
        "Ask what a detector scores that gives every sample the same score.",
        small=(np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0])),
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
        ties_left_out=(
            lambda normal, anomalous: (
                _auroc(normal, anomalous, 0) / (1 - np.mean(anomalous[:, None] == normal))
            ),
            "pairs of equal scores are left out: they count one half",
        ),
        pairs_counted=(
            lambda normal, anomalous: _auroc(normal, anomalous) * len(normal) * len(anomalous),
            "you count pairs: divide by their number",
        ),
        per_anomaly=(
            lambda normal, anomalous: _auroc(normal, anomalous) * len(normal),
            "you divide by the number of anomalies alone: divide by the number of pairs",
        ),
        above_the_mean=(
            lambda normal, anomalous: np.mean(anomalous > normal.mean()),
            "anomalies are compared with the mean normal score: compare every pair",
        ),
        above_all=(
            lambda normal, anomalous: np.mean(anomalous > normal.max()),
            "an anomaly counts only above all normal samples: every pair counts",
        ),
        of_means=(
            lambda normal, anomalous: anomalous.mean() - normal.mean(),
            "this is the difference of the means: count pairs",
        ),
    ),
}
