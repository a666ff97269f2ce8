"""Known mistakes, chapter judging: two dictionaries side by side, and a probe of one latent."""

from typing import Any

import numpy as np

from saebook._types import Array
from saebook.classroom.mistakes.shared import unit_rows
from saebook.classroom.mistakes.table import Check, Function


def _cosines(rows: Array, others: Array) -> Array:
    return unit_rows(rows) @ unit_rows(others).T


def _pairs(likeness: Array, most: bool = True) -> tuple[Array, Array]:
    from scipy.optimize import linear_sum_assignment  # comes with scikit-learn

    return linear_sum_assignment(likeness, maximize=most)


def _paired(likeness: Array) -> Array:
    return likeness[_pairs(likeness)]


def _share(rows: Array, others: Array, threshold: float) -> float:
    return float(np.mean(_paired(_cosines(rows, others)) > threshold))


def _one_by_one(likeness: Array) -> Array:
    """The best pair of all, then the best of what is left, and so on."""
    left, found = likeness.copy(), []
    for _ in range(min(left.shape)):
        i, j = np.unravel_index(np.argmax(left), left.shape)
        found.append(left[i, j])
        left[i], left[:, j] = -np.inf, -np.inf
    return np.array(found)


def _of_pairs(cosines: Array, paired: tuple[Array, Array], threshold: float) -> float:
    return float(np.mean(cosines[paired] > threshold))


def _dictionaries(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    """Of few features, so that many rows want the same partner; lengths differ."""
    made = []
    for n, more, d, threshold in ((30, 0, 4, 0.85), (26, 5, 3, 0.9), (34, 3, 4, 0.75)):
        rows, others = rng.normal(size=(n, d)), rng.normal(size=(n + more, d))
        others[: n // 2] = rows[: n // 2] + 0.3 * rng.normal(size=(n // 2, d))
        others[n // 3 : n // 2] *= -1
        lengths = rng.uniform(0.5, 2, n), rng.uniform(0.5, 2, n + more)
        made.append((rows * lengths[0][:, None], rng.permutation(others) * lengths[1][:, None],
                     threshold))  # fmt: skip
    return made


def _probe(
    z: Array,
    y: Array,
    z_test: Array,
    y_test: Array,
    place: Function = lambda mean, other: (mean + other) / 2,
    distance: Function = lambda mean, other: np.abs(mean - other),
    signed: bool = True,
) -> float:
    """Accuracy on the test samples of one latent and a threshold, both from the others."""
    mean, other = z[y].mean(axis=0), z[~y].mean(axis=0)
    j = np.argmax(distance(mean, other))
    above = z_test[:, j] > place(mean[j], other[j])
    return np.mean((above if mean[j] > other[j] or not signed else ~above) == y_test)


def _threshold_of_test(z: Array, y: Array, z_test: Array, y_test: Array) -> float:
    j = np.argmax(np.abs(z[y].mean(axis=0) - z[~y].mean(axis=0)))
    mean, other = z[y, j].mean(), z[~y, j].mean()
    above = z_test[:, j] > (z_test[y_test, j].mean() + z_test[~y_test, j].mean()) / 2
    return np.mean((above if mean > other else ~above) == y_test)


def _best_on_test(z: Array, y: Array, z_test: Array, y_test: Array) -> float:
    latents = range(z.shape[1])
    return max(_probe(z[:, [j]], y, z_test[:, [j]], y_test) for j in latents)


def _probed(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    """Few codes to learn from; of several latents that tell a little, 1 is off and 3 just loud."""
    made = []
    for off, on, m in ((2.0, 0.9, 8), (0.8, 1.5, 6), (1.2, 1.1, 7), (2.0, 0.9, 7), (1.1, 1.2, 8)):
        both: list[Array] = []
        for size in (15, 101):
            y = np.arange(size) % 5 < 2
            z = np.maximum(rng.normal(size=(size, m)) + rng.normal(0, 0.4, m), 0)
            z[:, 1] = np.maximum(2.2 - off * y + 1.1 * rng.normal(size=size), 0)
            z[:, 2] = np.maximum(0.5 + on * y + 0.9 * rng.normal(size=size), 0)
            z[:, 4] = np.maximum(1.2 + 1.1 * y + 1.2 * rng.normal(size=size), 0)
            z[:, 5] = np.maximum(0.2 + 1.0 * y + 1.0 * rng.normal(size=size), 0)
            z[:, 3] = 3 * rng.random(size) + 4
            both += [z, y]
        made.append(tuple(both))
    return made


CHECKS = {
    "share_found_again": Check.of(
        "share_found_again(rows, others, threshold)",
        _share,
        _dictionaries,
        "Ask what two dictionaries share of which one holds a single row of the other many times.",
        small=(
            np.array([[1.0, 0.0], [3.0, 1.0]]),
            np.array([[2.0, 1.0], [0.0, 4.0]]),
            0.8,
        ),
        nearest=(
            lambda rows, others, t: np.mean(_cosines(rows, others).max(axis=1) > t),
            "each row has its nearest, whoever else has it already: pair the rows one to one",
        ),
        nearest_of_others=(
            lambda rows, others, t: np.mean(_cosines(rows, others).max(axis=0) > t),
            "each of the other rows has its nearest, whoever has it already: pair them one to one",
        ),
        greedy=(
            lambda rows, others, t: np.mean(_one_by_one(_cosines(rows, others)) > t),
            "the best pair is taken first, then the best of the rest: the sum of all cosines is to "
            "be as large as it can be",
        ),
        sign_ignored=(
            lambda rows, others, t: np.mean(_paired(np.abs(_cosines(rows, others))) > t),
            "the sign is ignored: a row that points the other way is another row",
        ),
        squares_paired=(
            lambda rows, others, t: _of_pairs(
                _cosines(rows, others), _pairs(_cosines(rows, others) ** 2), t
            ),
            "rows are paired by squared cosines: those that point the other way take partners away",
        ),
        not_normalised=(
            lambda rows, others, t: np.mean(_paired(rows @ others.T) > t),
            "inner products are not cosines: divide by the norms of both rows",
        ),
        paired_by_products=(
            lambda rows, others, t: _of_pairs(_cosines(rows, others), _pairs(rows @ others.T), t),
            "rows are paired by their inner products: long rows come first; pair them by cosines",
        ),
        smallest_sum=(
            lambda rows, others, t: _of_pairs(
                _cosines(rows, others), _pairs(_cosines(rows, others), most=False), t
            ),
            "the sum of the cosines is made as small as it can be: the solver takes costs, unless "
            "it is told to maximise",
        ),
        same_place=(
            lambda rows, others, t: _of_pairs(
                _cosines(rows, others), (np.arange(len(rows)), np.arange(len(rows))), t
            ),
            "row 0 is compared with row 0, and so on: the order of the rows says nothing",
        ),
        number=(
            lambda rows, others, t: np.sum(_paired(_cosines(rows, others)) > t),
            "this is the number of pairs above the threshold: divide by the number of pairs",
        ),
        mean_cosine=(
            lambda rows, others, t: np.mean(_paired(_cosines(rows, others))),
            "this is the mean cosine of the pairs: the share above the threshold is asked for",
        ),
        below=(
            lambda rows, others, t: 1 - _share(rows, others, t),
            "this is the share that is not found again: take the pairs above the threshold",
        ),
        all_cosines=(
            lambda rows, others, t: np.mean(_cosines(rows, others) > t),
            "all cosines are counted: each row has one partner",
        ),
    ),
    "probe_one_latent": Check.of(
        "probe_one_latent(z, y, z_test, y_test)",
        _probe,
        _probed,
        "Ask which numbers of the result somebody could still change after seeing the test labels.",
        small=(
            np.array([[0.0, 2.0], [1.0, 0.5], [0.0, 3.0], [0.5, 0.0]]),
            np.array([False, True, False, True]),
            np.array([[0.0, 1.5], [2.0, 0.5], [0.0, 0.25]]),
            np.array([False, True, False]),
        ),
        chosen_on_test=(
            lambda z, y, z_test, y_test: _probe(z_test, y_test, z_test, y_test),
            "latent and threshold are chosen on the samples that are counted: choose them on z, y",
        ),
        best_on_test=(
            _best_on_test,
            "the latent is the one that does best on the test samples: choose it on z and y alone",
        ),
        threshold_of_test=(
            _threshold_of_test,
            "the threshold is that of the test samples: take the means of z",
        ),
        on_training=(
            lambda z, y, z_test, y_test: _probe(z, y, z, y),
            "this is the accuracy on the samples that the probe was made from: count on z_test",
        ),
        signed=(
            lambda z, y, z_test, y_test: _probe(
                z, y, z_test, y_test, distance=lambda mean, other: mean - other
            ),
            "only latents that the class switches on are looked at: one that it switches off tells "
            "as much",
        ),
        always_above=(
            lambda z, y, z_test, y_test: _probe(z, y, z_test, y_test, signed=False),
            "above the threshold is taken for the class always: where its mean is the lower one, "
            "it is below",
        ),
        loudest=(
            lambda z, y, z_test, y_test: _probe(
                z, y, z_test, y_test, distance=lambda mean, other: mean
            ),
            "the latent with the largest mean for the class is taken: it may be as large for the "
            "others",
        ),
        ratio=(
            lambda z, y, z_test, y_test: _probe(
                z,
                y,
                z_test,
                y_test,
                distance=lambda mean, other: np.abs(np.log(mean / np.maximum(other, 1e-12))),
            ),
            "latents are ranked by the ratio of the means: take their difference",
        ),
        first_latent=(
            lambda z, y, z_test, y_test: _probe(z[:, :1], y, z_test[:, :1], y_test),
            "the first latent is taken: take the one whose means differ most",
        ),
        mean_of_class=(
            lambda z, y, z_test, y_test: _probe(
                z, y, z_test, y_test, place=lambda mean, other: mean
            ),
            "the threshold is the mean of the class: it lies halfway between the two means",
        ),
        mean_of_others=(
            lambda z, y, z_test, y_test: _probe(
                z, y, z_test, y_test, place=lambda mean, other: other
            ),
            "the threshold is the mean of the others: it lies halfway between the two means",
        ),
        active=(
            lambda z, y, z_test, y_test: _probe(
                z, y, z_test, y_test, place=lambda mean, other: 0.0
            ),
            "the threshold is 0: it lies halfway between the two means",
        ),
        errors=(
            lambda z, y, z_test, y_test: 1 - _probe(z, y, z_test, y_test),
            "this is the share of errors: the accuracy is asked for",
        ),
        number=(
            lambda z, y, z_test, y_test: len(y_test) * _probe(z, y, z_test, y_test),
            "this is the number of samples that are right: divide by how many there are",
        ),
    ),
}
