"""More known mistakes, made on purpose, and what they are made of; see answers.py for `xp`."""

import numpy as np
from scipy.optimize import linear_sum_assignment

from tests.classroom.answers import cosines, found_again, one_latent


def pairs_of(a, **options):
    return linear_sum_assignment(np.asarray(a), **options)


def share(xp, values, t):
    return xp.mean(xp.float(values > t))


def at(xp, a, pairs):
    return np.asarray(a)[pairs]


def of_pairs(likeness, **options):
    """The share among pairs that are made by something else than cosines."""

    def answer(xp, p, q, t):
        pairs = pairs_of(likeness(xp, p, q), **({"maximize": True} | options))
        return np.mean(at(xp, cosines(xp, p, q), pairs) > t)

    return answer


def greedy(xp, p, q, t):
    left = np.array(cosines(xp, p, q))
    found = 0
    for _ in range(min(left.shape)):
        i, j = divmod(int(left.argmax()), left.shape[1])
        found += left[i, j] > t
        left[i, :] = left[:, j] = -2
    return found / min(left.shape)


def best_values(likeness):
    """The share among pairs whose likeness, which is no cosine, is taken for one."""

    def answer(xp, p, q, t):
        a = np.asarray(likeness(xp, p, q))
        return np.mean(a[pairs_of(a, maximize=True)] > t)

    return answer


def probe(**changed):
    return lambda xp, *args: one_latent(*map(np.asarray, args), **changed)


def on_other_samples(order):
    return lambda xp, *args: one_latent(*(np.asarray(args[i]) for i in order))


def best_on_test(xp, z, y, z_test, y_test):
    z, y, z_test, y_test = map(np.asarray, (z, y, z_test, y_test))
    columns = [(z[:, j : j + 1], y, z_test[:, j : j + 1], y_test) for j in range(z.shape[1])]
    return max(one_latent(*args) for args in columns)


def threshold_of_test(xp, z, y, z_test, y_test):
    z, y, z_test, y_test = map(np.asarray, (z, y, z_test, y_test))
    gap = z[y].mean(0) - z[~y].mean(0)
    j = np.abs(gap).argmax()
    middle = (z_test[y_test].mean(0)[j] + z_test[~y_test].mean(0)[j]) / 2
    return np.mean(((z_test[:, j] > middle) == (gap[j] > 0)) == y_test)


def ratio_of_means(a, b):
    return np.abs(np.log(a) - np.log(np.maximum(b, 1e-12)))


LAST = {
    "share_found_again": {
        "nearest": lambda xp, p, q, t: share(xp, xp.max(cosines(xp, p, q), 1), t),
        "nearest_of_others": lambda xp, p, q, t: share(xp, xp.max(cosines(xp, p, q), 0), t),
        "greedy": greedy,
        "sign_ignored": best_values(lambda xp, p, q: xp.abs(cosines(xp, p, q))),
        "squares_paired": of_pairs(lambda xp, p, q: cosines(xp, p, q) ** 2),
        "not_normalised": best_values(lambda xp, p, q: p @ xp.T(q)),
        "paired_by_products": of_pairs(lambda xp, p, q: p @ xp.T(q)),
        "smallest_sum": of_pairs(cosines, maximize=False),
        "same_place": lambda xp, p, q, t: np.mean(
            np.diagonal(np.asarray(cosines(xp, p, q[: p.shape[0]]))) > t
        ),
        "number": lambda xp, p, q, t: found_again(xp, p, q, t) * p.shape[0],
        "mean_cosine": lambda xp, p, q, t: np.mean(
            at(xp, cosines(xp, p, q), pairs_of(cosines(xp, p, q), maximize=True))
        ),
        "below": lambda xp, p, q, t: 1 - found_again(xp, p, q, t),
        "all_cosines": lambda xp, p, q, t: share(xp, cosines(xp, p, q), t),
    },
    "probe_one_latent": {
        "chosen_on_test": on_other_samples((2, 3, 2, 3)),
        "best_on_test": best_on_test,
        "threshold_of_test": threshold_of_test,
        "on_training": on_other_samples((0, 1, 0, 1)),
        "signed": probe(rank=lambda a, b: a - b),
        "always_above": probe(sides=1),
        "loudest": probe(rank=lambda a, b: a),
        "ratio": probe(rank=ratio_of_means),
        "first_latent": probe(rank=lambda a, b: -np.arange(len(a))),
        "mean_of_class": probe(middle=lambda a, b: a),
        "mean_of_others": probe(middle=lambda a, b: b),
        "active": probe(middle=lambda a, b: 0),
        "errors": lambda xp, *args: 1 - one_latent(*map(np.asarray, args)),
        "number": lambda xp, *args: len(args[3]) * one_latent(*map(np.asarray, args)),
    },
}
