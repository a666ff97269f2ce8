"""Known mistakes, chapter theory: the KL penalty, and the codes that it is defined for."""

from typing import Any

import numpy as np

from saebook._types import Array
from saebook.classroom.mistakes.shared import CODE, codes, kl_cases, kl_penalty
from saebook.classroom.mistakes.table import Check


def _kl(rho: float, rho_hat: Array) -> Array:
    return rho * np.log(rho / rho_hat) + (1 - rho) * np.log((1 - rho) / (1 - rho_hat))


def _guarded(z: Array, rho: float, beta: float) -> float:
    if not ((z >= 0) & (z <= 1)).all():
        raise ValueError("z must lie in [0, 1]")
    return kl_penalty(z, rho, beta)


def _refuse(refused: Any, kind: type[Exception] = ValueError) -> Any:
    def penalty(z: Array, rho: float, beta: float) -> float:
        if refused(z):
            raise kind("z must lie in [0, 1]")
        return beta * _kl(rho, z.mean(axis=0)).sum()

    return penalty


def _hidden(found: Array, z: Array, rho: float, beta: float) -> bool:
    """Whether there is a number where the formula gives none, and elsewhere what it gives."""
    expected = beta * _kl(rho, z.mean(axis=0)).sum()
    if np.isfinite(expected):
        return found.shape == () and bool(np.isclose(found, expected, rtol=1e-3))
    return found.shape == () and bool(np.isfinite(found))


def _guard_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    """Good codes, one with a 0 and a 1 in it; and codes with one bad entry, and with many."""
    edge, low, high = codes(rng, 5, 4), codes(rng, 5, 4), codes(rng, 5, 4)
    edge[0, 0], edge[1, 1] = 0, 1
    low[2, 1], high[3, 2] = -0.01, 1.2
    bad, column = rng.uniform(-0.9, -0.1, (5, 4)), codes(rng, 5, 4)
    mixed = rng.uniform(-0.9, 0.4, (5, 4))
    mixed[0] = 0.5
    column[:, 0] *= -0.1
    tried = (codes(rng, 5, 4), edge, low, high, column, bad, mixed, 1 - bad)
    return [(z, 0.05, 1.0) for z in tried]


CHECKS = {
    "kl_penalty": Check.of(
        "kl_penalty(z, rho, beta)",
        kl_penalty,
        kl_cases,
        "Let a code of two samples and three latents be worked out on paper, one axis at a time.",
        small=(CODE, 0.1, 2.0),
        by=(0,),
        averaged_over_latents=(
            lambda z, rho, beta: beta * _kl(rho, z.mean(axis=0)).mean(),
            "your value is the right one divided by n_latents: the KL is summed over latents, not "
            "averaged",
        ),
        per_sample=(
            lambda z, rho, beta: beta * _kl(rho, z).sum(axis=1).mean(),
            "the divergence is taken of every single activation and averaged afterwards: rho-hat "
            "is the mean over the batch, and comes first",
        ),
        mean_over_latents=(
            lambda z, rho, beta: beta * _kl(rho, z.mean(axis=1)).sum(),
            "rho-hat is the mean along the wrong axis: average a latent over the samples (axis "
            "0), not a sample over its latents",
        ),
        one_mean=(
            lambda z, rho, beta: beta * _kl(rho, z.mean()),
            "rho-hat is a single number: every latent has a mean activation of its own",
        ),
        exchanged=(
            lambda z, rho, beta: beta * _kl(z.mean(axis=0), np.asarray(rho)).sum(),
            "rho and rho-hat are exchanged: it is KL(rho || rho-hat), with rho in front of the "
            "logarithm",
        ),
        one_term=(
            lambda z, rho, beta: beta * (rho * np.log(rho / z.mean(axis=0))).sum(),
            "the term with 1 - rho is missing: a Bernoulli divergence has two terms",
        ),
        no_beta=(
            lambda z, rho, beta: _kl(rho, z.mean(axis=0)).sum(),
            "beta is missing: the penalty is the divergence times beta",
        ),
        log2=(
            lambda z, rho, beta: kl_penalty(z, rho, beta) / np.log(2),
            "the logarithm has base 2: use the natural logarithm",
        ),
        half=(
            lambda z, rho, beta: kl_penalty(z, rho, beta) / 2,
            "your value is half of the right one: this book's penalty has no factor 1/2",
        ),
        sign=(
            lambda z, rho, beta: -kl_penalty(z, rho, beta),
            "the sign is wrong: a divergence is never negative",
        ),
        log10=(
            lambda z, rho, beta: kl_penalty(z, rho, beta) / np.log(10),
            "the logarithm has base 10: use the natural logarithm",
        ),
        squared=(
            lambda z, rho, beta: beta * ((z.mean(axis=0) - rho) ** 2).sum(),
            "the squared distance of rho-hat from rho is taken: the divergence has logarithms",
        ),
        times_samples=(
            lambda z, rho, beta: len(z) * kl_penalty(z, rho, beta),
            "your value is the right one times n_samples: the divergence is of means, taken once",
        ),
        other_term=(
            lambda z, rho, beta: (
                beta * ((1 - rho) * np.log((1 - rho) / (1 - z.mean(axis=0)))).sum()
            ),
            "the term with rho is missing: a Bernoulli divergence has two terms",
        ),
        cross_entropy=(
            lambda z, rho, beta: (
                -beta
                * (rho * np.log(z.mean(axis=0)) + (1 - rho) * np.log(1 - z.mean(axis=0))).sum()
            ),
            "this is the cross-entropy: it is not 0 where rho-hat is rho",
        ),
        upside_down=(
            lambda z, rho, beta: (
                beta
                * (
                    rho * np.log(z.mean(axis=0) / rho)
                    + (1 - rho) * np.log((1 - rho) / (1 - z.mean(axis=0)))
                ).sum()
            ),
            "the fraction in the first logarithm is upside down: it is rho / rho-hat",
        ),
        per_latent=(
            lambda z, rho, beta: beta * _kl(rho, z.mean(axis=0)),
            "you have one divergence per latent: sum them",
        ),
    ),
    "kl_guard": Check.of(
        "kl_penalty(z, rho, beta)",
        _guarded,
        _guard_cases,
        "Ask what probability a mean activation of -0.3 would be.",
        small=(np.array([[0.1, 0.4], [0.3, -0.2]]), 0.1, 2.0),
        edges_refused=(
            _refuse(lambda z: not ((z > 0) & (z < 1)).all()),
            "activations of exactly 0 or 1 are refused: they are in [0, 1]",
        ),
        mean_alone=(
            _refuse(lambda z: not ((z.mean(axis=0) >= 0) & (z.mean(axis=0) <= 1)).all()),
            "only the mean is looked at: one activation outside [0, 1] is enough, though the mean "
            "lies inside",
        ),
        one_mean=(
            _refuse(lambda z: not 0 <= z.mean() <= 1),
            "only the mean of the whole code is looked at: look at every activation",
        ),
        negative_only=(
            _refuse(lambda z: (z < 0).any()),
            "only negative activations are refused: those above 1 are no probabilities either",
        ),
        above_one_only=(
            _refuse(lambda z: (z > 1).any()),
            "only activations above 1 are refused: negative ones are no probabilities either",
        ),
        all_outside=(
            _refuse(lambda z: ((z < 0) | (z > 1)).all()),
            "a code is refused only if every activation is outside: one is enough",
        ),
        another_error=(
            _refuse(lambda z: not ((z >= 0) & (z <= 1)).all(), AssertionError),
            "a bad code raises AssertionError: ValueError is asked for, which a caller can tell "
            "from a fault in the program",
        ),
        everything_refused=(
            _refuse(lambda z: True),
            "good codes are refused too: in [0, 1] the penalty has a value",
        ),
        nan=(
            lambda z, rho, beta: beta * _kl(rho, z.mean(axis=0)).sum(),
            "codes outside [0, 1] are not refused, and give NaN or a number that means nothing: "
            "raise ValueError",
        ),
        absolute=(
            lambda z, rho, beta: beta * _kl(rho, np.abs(z.mean(axis=0))).sum(),
            "the sign of the code is thrown away to please the logarithm: raise ValueError for "
            "codes outside [0, 1]",
        ),
        clipped=(
            lambda z, rho, beta: beta * _kl(rho, np.clip(z.mean(axis=0), 1e-6, 1 - 1e-6)).sum(),
            "something is clipped or replaced so that a number comes out: that hides that the code "
            "is not in [0, 1]; raise ValueError",
            None,
            _hidden,
        ),
    ),
}
