"""Known mistakes, chapter theory: the penalties and their gradients."""

from typing import Any

import numpy as np

from saebook import reference
from saebook._types import Array
from saebook.classroom.mistakes.shared import codes, kl_penalty
from saebook.classroom.mistakes.table import Check
from saebook.kinds import KL, L1


def _kl(rho: float, rho_hat: Array) -> Array:
    return rho * np.log(rho / rho_hat) + (1 - rho) * np.log((1 - rho) / (1 - rho_hat))


def _guarded(z: Array, rho: float, beta: float) -> float:
    if not ((z >= 0) & (z <= 1)).all():
        raise ValueError("z must lie in [0, 1]")
    return kl_penalty(z, rho, beta)


def _kl_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [(codes(rng, 7, 5), 0.05, 3.0), (codes(rng, 4, 9), 0.2, 0.5)]


def _signed(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [(rng.normal(size=(6, 5)), 0.7), (rng.normal(size=(3, 8)), 2.5)]


def _with_zeros(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    z = rng.normal(size=(6, 5))
    return [(rng.normal(size=(4, 3)), 0.7), (np.where(z < -0.8, 0, z), 0.7), (np.zeros((2, 3)), 2)]


CHECKS = {
    "kl_penalty": Check.of(
        "kl_penalty(z, rho, beta)",
        kl_penalty,
        _kl_cases,
        "Let a code of two samples and three latents be worked out on paper, one axis at a time.",
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
    ),
    "kl_guard": Check.of(
        "kl_penalty(z, rho, beta)",
        _guarded,
        lambda rng: [(codes(rng, 5, 4), 0.05, 1.0), (rng.uniform(-0.9, 0.4, (5, 4)), 0.05, 1.0)],
        "Ask what probability a mean activation of -0.3 would be.",
        nan=(
            lambda z, rho, beta: beta * _kl(rho, z.mean(axis=0)).sum(),
            "codes outside [0, 1] went into the logarithm and gave NaN: a linear code has no "
            "Bernoulli divergence, so raise ValueError",
        ),
        absolute=(
            lambda z, rho, beta: beta * _kl(rho, np.abs(z.mean(axis=0))).sum(),
            "the sign of the code is thrown away to please the logarithm: raise ValueError for "
            "codes outside [0, 1]",
        ),
        clipped=(
            lambda z, rho, beta: beta * _kl(rho, np.clip(z.mean(axis=0), 1e-6, 1 - 1e-6)).sum(),
            "clipping hides that the code is not in [0, 1], and its gradient is 0: raise "
            "ValueError",
        ),
    ),
    "kl_gradient": Check.of(
        "kl_gradient(z, rho, beta)",
        lambda z, rho, beta: reference.penalty_gradient(KL(rho, beta), z),
        _kl_cases,
        "Let the student change one entry of z by 0.001 and look at how far rho-hat moves.",
        no_1_over_n=(
            lambda z, rho, beta: len(z) * reference.penalty_gradient(KL(rho, beta), z),
            "your gradient is n_samples times too large: each activation enters rho-hat with "
            "1/n_samples",
        ),
        per_latent=(
            lambda z, rho, beta: len(z) * reference.penalty_gradient(KL(rho, beta), z)[0],
            "this is the gradient by rho-hat, one number per latent: one is asked for by every "
            "entry of z, so divide by n_samples and give it the shape of z",
        ),
        sign=(
            lambda z, rho, beta: -reference.penalty_gradient(KL(rho, beta), z),
            "the sign is wrong: where rho-hat is above rho the gradient is positive",
        ),
        one_term=(
            lambda z, rho, beta: np.broadcast_to(-beta * rho / z.mean(axis=0) / len(z), z.shape),
            "the term of 1 - rho is missing in the derivative",
        ),
        no_beta=(
            lambda z, rho, beta: reference.penalty_gradient(KL(rho, 1.0), z),
            "beta is missing in the gradient",
        ),
    ),
    "l1_penalty": Check.of(
        "l1_penalty(z, weight)",
        lambda z, weight: reference.penalty(L1(weight), z),
        _signed,
        "Ask whether a wider dictionary of which the same few latents are active should cost less.",
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
    ),
    "l1_gradient": Check.of(
        "l1_gradient(z, weight)",
        lambda z, weight: reference.penalty_gradient(L1(weight), z),
        _with_zeros,
        "Draw |z| and ask for the slope left of 0, right of 0, and at 0.",
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
    ),
}
