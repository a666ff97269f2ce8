"""Known mistakes, chapter scaling: a mean over a batch that lies in several processes."""

from typing import Any

import numpy as np

from saebook._types import Array
from saebook.classroom.mistakes.shared import CODE, codes
from saebook.classroom.mistakes.table import Check


def _kl(rho: float, rho_hat: Array) -> float:
    terms = rho * np.log(rho / rho_hat) + (1 - rho) * np.log((1 - rho) / (1 - rho_hat))
    return float(terms.sum())


def _reversed(rho: float, rho_hat: Array) -> float:
    terms = rho_hat * np.log(rho_hat / rho) + (1 - rho_hat) * np.log((1 - rho_hat) / (1 - rho))
    return float(terms.sum())


def _each(shares: list[Array], rho: float) -> Array:
    return np.array([_kl(rho, z.mean(axis=0)) for z in shares])


def _means(shares: list[Array]) -> list[Array]:
    return [z.mean(axis=0) for z in shares]


def _shares(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    """Odd numbers of shares and of rows, so that a median is one of them in every framework.

    No place has the same rank among the penalties in both cases, and neither the first nor the last
    is the least, the middle or the greatest: so a choice among penalties is not taken for a place.
    """
    made = []
    for rows, order in (((6, 2, 3, 5, 1), (1, 4, 2, 0, 3)), ((1, 5, 2, 4, 3), (3, 0, 4, 2, 1))):
        drawn = [codes(rng, n, 4) ** p for n, p in zip(rows, (1, 2, 3, 4, 2), strict=True)]
        ordered = sorted(drawn, key=lambda z: _kl(0.1, z.mean(axis=0)))
        made.append(([ordered[i] for i in order], 0.1))
    return made


CHECKS = {
    "kl_of_batch": Check.of(
        "kl_of_batch(shares, rho)",
        lambda shares, rho: _kl(rho, np.concatenate(shares).mean(axis=0)),
        _shares,
        "Ask for the penalty of two processes with one row each, and of one process with both.",
        small=([CODE, np.array([[0.5, 0.1]])], 0.1),
        by=(0,),
        mean_of_penalties=(
            lambda shares, rho: _each(shares, rho).mean(),
            "this is the mean of the shares' penalties: the mean of the rows comes before the "
            "logarithm",
        ),
        weighted_penalties=(
            lambda shares, rho: np.average(_each(shares, rho), weights=[len(z) for z in shares]),
            "this is the mean of the shares' penalties, by rows: the mean of the rows comes before "
            "the logarithm",
        ),
        sum_of_penalties=(
            lambda shares, rho: _each(shares, rho).sum(),
            "this is the sum of the shares' penalties: one penalty is taken of the whole batch",
        ),
        mean_of_means=(
            lambda shares, rho: _kl(rho, np.mean(_means(shares), axis=0)),
            "this is the penalty of the mean of the shares' means: a share counts by its rows",
        ),
        median_of_rows=(
            lambda shares, rho: _kl(rho, np.median(np.concatenate(shares), axis=0)),
            "this is the penalty of the median of the rows: rho-hat is their mean",
        ),
        median_of_means=(
            lambda shares, rho: _kl(rho, np.median(_means(shares), axis=0)),
            "this is the penalty of the median of the shares' means: rho-hat is the mean of all "
            "rows",
        ),
        median_of_penalties=(
            lambda shares, rho: np.median(_each(shares, rho)),
            "this is the median of the shares' penalties: the mean of all rows comes before the "
            "logarithm",
        ),
        greatest_penalty=(
            lambda shares, rho: _each(shares, rho).max(),
            "this is the greatest of the shares' penalties: one penalty is taken of the whole "
            "batch",
        ),
        first_share=(
            lambda shares, rho: _each(shares, rho)[0],
            "this is the penalty of the first share alone",
        ),
        last_share=(
            lambda shares, rho: _each(shares, rho)[-1],
            "this is the penalty of the last share alone",
        ),
        over_latents=(
            lambda shares, rho: _kl(rho, np.concatenate(shares).mean(axis=0)) / shares[0].shape[1],
            "your value is the right one divided by n_latents: the KL is summed over latents",
        ),
        exchanged=(
            lambda shares, rho: _reversed(rho, np.concatenate(shares).mean(axis=0)),
            "rho and rho-hat are exchanged: it is KL(rho || rho-hat)",
        ),
        times_processes=(
            lambda shares, rho: len(shares) * _kl(rho, np.concatenate(shares).mean(axis=0)),
            "your value is the right one times the number of processes: all of them compute the "
            "same penalty, and it counts once",
        ),
    ),
}
