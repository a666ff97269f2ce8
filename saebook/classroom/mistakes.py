"""The table of known mistakes: for each thing that an assignment asks for, what goes wrong with it.

The right functions are the package's own, `saebook.reference` and `saebook.metrics`, where it has
them. The wrong ones are here to be recognised by their values.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from saebook import metrics, modern, parity, reference
from saebook._types import Array
from saebook.config import KL, L1, BatchTopK, JumpReLU, SAEConfig


class Mistake(NamedTuple):
    """A function that makes a known mistake, and the sentence that names it."""

    name: str  #: of the mistake, for the tests
    wrong: Callable[..., Any]  #: makes it
    message: str  #: names it to the student


class Check(NamedTuple):
    """What is asked for, the right function, inputs for it, and the known mistakes."""

    signature: str  #: of the function that is asked for
    right: Callable[..., Any]  #: the right one
    cases: Callable[[np.random.Generator], list[tuple[Any, ...]]]  #: draws its inputs
    mistakes: tuple[Mistake, ...]  #: that are recognised
    talk: str  #: for teachers: a question that leads a student to the point
    by: int | None = None  #: the argument with respect to which gradients are compared, if they are


# Right functions that the package does not have in this form


def _kl(rho: float, rho_hat: Array) -> Array:
    return rho * np.log(rho / rho_hat) + (1 - rho) * np.log((1 - rho) / (1 - rho_hat))


def _penalty(z: Array, rho: float, beta: float) -> float:
    return reference.penalty(KL(rho, beta), z)


def _guarded(z: Array, rho: float, beta: float) -> float:
    if not ((z >= 0) & (z <= 1)).all():
        raise ValueError("z must lie in [0, 1]")
    return _penalty(z, rho, beta)


def _sum_of_squares(x: Array, x_hat: Array) -> Array:
    return ((x_hat - x) ** 2).sum(axis=1)


def _rows(W: Array) -> Array:
    return W / np.linalg.norm(W, axis=1, keepdims=True)


def _auroc(normal: Array, anomalous: Array, tie: float = 0.5) -> float:
    higher = anomalous[:, None] > normal
    return float(np.mean(higher + tie * (anomalous[:, None] == normal)))


def _most_accurate(scores: Array, labels: Array) -> float:
    candidates = np.sort(scores)
    return candidates[np.argmax([np.mean((scores > t) == (labels == 1)) for t in candidates])]


def _pca(fit: Array, centre: Array, test: Array, k: int, shift: Array) -> Array:
    axes = np.linalg.svd(fit - centre, full_matrices=False)[2][:k]
    return (test - shift) @ axes.T @ axes + shift


def _psnr(clean: Array, restored: Array) -> Array:
    return -10 * np.log10(np.mean((clean - restored) ** 2, axis=1))


def _noisy(x: Array, sigma: float, epochs: int, rng: np.random.Generator) -> Array:
    return np.stack([x + sigma * rng.standard_normal(x.shape) for _ in range(epochs)])


def _noisy_rows(x: Array, sigma: float, epochs: int, rng: np.random.Generator) -> Array:
    return np.stack([x + sigma * rng.standard_normal(x.shape[1:]) for _ in range(epochs)])


def _adam(g: Array, m: Array, v: Array, t: int, place: str = "outside") -> Array:
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
    m_hat, v_hat = m / (1 - 0.9**t), v / (1 - 0.999**t)
    if place == "before":
        return m_hat * np.sqrt(1 - 0.999**t) / (np.sqrt(v) + 1e-8)
    return m_hat / (np.sqrt(v_hat + 1e-8) if place == "inside" else np.sqrt(v_hat) + 1e-8)


def _topk(a: Array, k: int) -> Array:
    return np.where(reference.largest(a, k), np.maximum(a, 0), 0)


def _batch_topk(a: Array, k: int) -> Array:
    config = SAEConfig(1, a.shape[1], "relu", sparsity=BatchTopK(k))
    return reference.code(config.sparsity, config, {}, a, training=True)


def _theta_gradient(a: Array, theta: Array, d_z: Array, bandwidth: float) -> Array:
    kind = JumpReLU(bandwidth=bandwidth)
    return (-theta * modern._window(kind, theta, a) * d_z).sum(axis=0)


def _left(x: Array, x_hat: Array, z_dead: Array, W_dec: Array) -> Array:
    return x - x_hat - z_dead @ W_dec


# Inputs


def _codes(rng: np.random.Generator, *shape: int) -> Array:
    return rng.uniform(0.02, 0.6, shape)


def _kl_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [(_codes(rng, 7, 5), 0.05, 3.0), (_codes(rng, 4, 9), 0.2, 0.5)]


def _signed(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [(rng.normal(size=(6, 5)), 0.7), (rng.normal(size=(3, 8)), 2.5)]


def _with_zeros(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    z = rng.normal(size=(6, 5))
    return [(rng.normal(size=(4, 3)), 0.7), (np.where(z < -0.8, 0, z), 0.7), (np.zeros((2, 3)), 2)]


def _pairs(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [(rng.random((n, d)), rng.uniform(-0.3, 1.3, (n, d))) for n, d in ((6, 5), (3, 8))]


def _threshold_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    labels = np.repeat([0, 1], 30)
    return [
        (rng.gamma(2, size=101), np.r_[rng.gamma(3, size=30), 4 + rng.gamma(3, size=30)], labels, r)
        for r in (0.1, 0.05)
    ]


def _topk_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    tied = np.array([[1.0, 3, 1, 1, 0.5, -4], [2, 2, 2, 2, -5, 1]])
    few = np.array([[-2.0, 0.5, -1, -3, -0.25, -6]])
    return [(rng.normal(size=(5, 8)), 3), (tied, 2), (few, 3)]


def _threshold_gradient_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    theta = rng.uniform(0.3, 0.8, 4)
    a = theta + rng.choice([-0.35, -0.1, 0.1, 0.35], (12, 4))
    return [(a, theta, rng.normal(size=(12, 4)), 0.5)]


def _aux_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    x, x_hat = rng.normal(size=(5, 4)), rng.normal(size=(5, 4))
    return [(x, x_hat, rng.random((5, 3)), rng.normal(size=(3, 4)), rng.normal(size=4))]


def _silent(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    z = np.maximum(rng.normal(size=(40, 6)), 0)
    z[:, 1] = 0
    z[:, 4] = 0
    z[3, 4] = 0.02  # seldom and weak, but alive
    return [(z,), (-z,)]


def _M(name: str, message: str, wrong: Callable[..., Any]) -> Mistake:
    return Mistake(name, wrong, message)


CHECKS: dict[str, Check] = {
    "reconstruction_loss": Check(
        "reconstruction_loss(x, x_hat)",
        lambda x, y: _sum_of_squares(x, y).mean(),
        _pairs,
        (
            _M(
                "mean_over_features",
                "your value is the right one divided by n_features: the squared error is summed "
                "over features and averaged over samples only",
                lambda x, y: ((y - x) ** 2).mean(),
            ),
            _M(
                "sum_over_samples",
                "your value is the right one times n_samples: sum over features, then take the "
                "mean over samples",
                lambda x, y: ((y - x) ** 2).sum(),
            ),
            _M(
                "half",
                "your value is half of the right one: this book's loss has no factor 1/2",
                lambda x, y: _sum_of_squares(x, y).mean() / 2,
            ),
            _M(
                "root",
                "a root is taken: the loss is the squared distance, not the distance",
                lambda x, y: np.sqrt(_sum_of_squares(x, y)).mean(),
            ),
            _M(
                "absolute",
                "absolute differences are summed where squared ones are asked for",
                lambda x, y: np.abs(y - x).sum(axis=1).mean(),
            ),
        ),
        "Ask: if an image had four times as many pixels, should the error of an image grow?",
    ),
    "l0": Check(
        "l0(z)",
        lambda z: metrics.l0(z),
        lambda rng: [(np.where(rng.random((9, 6)) < 0.6, 0, rng.normal(size=(9, 6))),)],
        (
            _M(
                "share",
                "your value is the share of active latents: L0 is their number, so the count is "
                "not divided by n_latents",
                lambda z: (z != 0).mean(),
            ),
            _M(
                "total",
                "your value counts the whole batch: take the mean over samples",
                lambda z: (z != 0).sum(),
            ),
            _M(
                "positive_only",
                "negative latents are active too: count what is not 0",
                lambda z: (z > 0).sum(axis=1).mean(),
            ),
            _M(
                "l1",
                "your value is the L1 norm, which measures size: L0 counts",
                lambda z: np.abs(z).sum(axis=1).mean(),
            ),
        ),
        "Ask: what should L0 be if the same code is given with 100 silent latents more?",
    ),
    "dead_latents": Check(
        "dead_latents(z)",
        lambda z: metrics.dead_features(z),
        _silent,
        (
            _M(
                "small_mean",
                "a small mean is not death: a latent is dead if it is active for no sample at all",
                lambda z: np.abs(z.mean(axis=0)) < 1e-2,
            ),
            _M(
                "silent_once",
                "silent for one sample is not dead: it must be silent for all of them",
                lambda z: (z == 0).any(axis=0),
            ),
            _M(
                "per_sample",
                "you look along the latents of a sample: look along the samples of a latent",
                lambda z: (z == 0).all(axis=1),
            ),
            _M(
                "not_positive",
                "a latent that is only ever negative is active: dead means 0 for every sample",
                lambda z: ~(z > 0).any(axis=0),
            ),
        ),
        "Ask for a latent that fires once in a thousand images: is it useless?",
    ),
    "fvu": Check(
        "fvu(x, x_hat)",
        lambda x, y: metrics.fvu(x, y),
        _pairs,
        (
            _M(
                "about_zero",
                "the denominator is measured from zero: the variance is about the mean sample, "
                "so that the mean predictor scores 1",
                lambda x, y: ((y - x) ** 2).sum() / (x**2).sum(),
            ),
            _M(
                "mean_of_ratios",
                "you average one ratio per sample: both sums run over the whole data, and are "
                "divided once",
                lambda x, y: (
                    _sum_of_squares(x, y) / ((x - x.mean(axis=0)) ** 2).sum(axis=1)
                ).mean(),
            ),
            _M(
                "one_mean",
                "one mean is taken over all features: each feature has its own",
                lambda x, y: ((y - x) ** 2).sum() / ((x - x.mean()) ** 2).sum(),
            ),
            _M(
                "explained",
                "your value is the explained share, 1 - FVU",
                lambda x, y: 1 - metrics.fvu(x, y),
            ),
        ),
        "Ask what the mean image scores, for every size of batch.",
    ),
    "kl_penalty": Check(
        "kl_penalty(z, rho, beta)",
        _penalty,
        _kl_cases,
        (
            _M(
                "averaged_over_latents",
                "your value is the right one divided by n_latents: the KL is summed over latents, "
                "not averaged",
                lambda z, rho, beta: beta * _kl(rho, z.mean(axis=0)).mean(),
            ),
            _M(
                "per_sample",
                "the divergence is taken of every single activation and averaged afterwards: "
                "rho-hat is the mean over the batch, and comes first",
                lambda z, rho, beta: beta * _kl(rho, z).sum(axis=1).mean(),
            ),
            _M(
                "mean_over_latents",
                "rho-hat is the mean along the wrong axis: average a latent over the samples "
                "(axis 0), not a sample over its latents",
                lambda z, rho, beta: beta * _kl(rho, z.mean(axis=1)).sum(),
            ),
            _M(
                "one_mean",
                "rho-hat is a single number: every latent has a mean activation of its own",
                lambda z, rho, beta: beta * _kl(rho, z.mean()),
            ),
            _M(
                "exchanged",
                "rho and rho-hat are exchanged: it is KL(rho || rho-hat), with rho in front of the "
                "logarithm",
                lambda z, rho, beta: beta * _kl(z.mean(axis=0), np.asarray(rho)).sum(),
            ),
            _M(
                "one_term",
                "the term with 1 - rho is missing: a Bernoulli divergence has two terms",
                lambda z, rho, beta: beta * (rho * np.log(rho / z.mean(axis=0))).sum(),
            ),
            _M(
                "no_beta",
                "beta is missing: the penalty is the divergence times beta",
                lambda z, rho, beta: _kl(rho, z.mean(axis=0)).sum(),
            ),
            _M(
                "log2",
                "the logarithm has base 2: use the natural logarithm",
                lambda z, rho, beta: _penalty(z, rho, beta) / np.log(2),
            ),
            _M(
                "half",
                "your value is half of the right one: this book's penalty has no factor 1/2",
                lambda z, rho, beta: _penalty(z, rho, beta) / 2,
            ),
            _M(
                "sign",
                "the sign is wrong: a divergence is never negative",
                lambda z, rho, beta: -_penalty(z, rho, beta),
            ),
        ),
        "Let a code of two samples and three latents be worked out on paper, one axis at a time.",
    ),
    "kl_guard": Check(
        "kl_penalty(z, rho, beta)",
        _guarded,
        lambda rng: [(_codes(rng, 5, 4), 0.05, 1.0), (rng.uniform(-0.9, 0.4, (5, 4)), 0.05, 1.0)],
        (
            _M(
                "nan",
                "codes outside [0, 1] went into the logarithm and gave NaN: a linear code has no "
                "Bernoulli divergence, so raise ValueError",
                lambda z, rho, beta: beta * _kl(rho, z.mean(axis=0)).sum(),
            ),
            _M(
                "absolute",
                "the sign of the code is thrown away to please the logarithm: raise ValueError "
                "for codes outside [0, 1]",
                lambda z, rho, beta: beta * _kl(rho, np.abs(z.mean(axis=0))).sum(),
            ),
            _M(
                "clipped",
                "clipping hides that the code is not in [0, 1], and its gradient is 0: raise "
                "ValueError",
                lambda z, rho, beta: beta * _kl(rho, np.clip(z.mean(axis=0), 1e-6, 1 - 1e-6)).sum(),
            ),
        ),
        "Ask what probability a mean activation of -0.3 would be.",
    ),
    "kl_gradient": Check(
        "kl_gradient(z, rho, beta)",
        lambda z, rho, beta: reference.penalty_gradient(KL(rho, beta), z),
        _kl_cases,
        (
            _M(
                "no_1_over_n",
                "your gradient is n_samples times too large: each activation enters rho-hat with "
                "1/n_samples",
                lambda z, rho, beta: len(z) * reference.penalty_gradient(KL(rho, beta), z),
            ),
            _M(
                "per_latent",
                "this is the gradient by rho-hat, one number per latent: one is asked for by every "
                "entry of z, so divide by n_samples and give it the shape of z",
                lambda z, rho, beta: len(z) * reference.penalty_gradient(KL(rho, beta), z)[0],
            ),
            _M(
                "sign",
                "the sign is wrong: where rho-hat is above rho the gradient is positive",
                lambda z, rho, beta: -reference.penalty_gradient(KL(rho, beta), z),
            ),
            _M(
                "one_term",
                "the term of 1 - rho is missing in the derivative",
                lambda z, rho, beta: np.broadcast_to(
                    -beta * rho / z.mean(axis=0) / len(z), z.shape
                ),
            ),
            _M(
                "no_beta",
                "beta is missing in the gradient",
                lambda z, rho, beta: reference.penalty_gradient(KL(rho, 1.0), z),
            ),
        ),
        "Let the student change one entry of z by 0.001 and look at how far rho-hat moves.",
    ),
    "l1_penalty": Check(
        "l1_penalty(z, weight)",
        lambda z, weight: reference.penalty(L1(weight), z),
        _signed,
        (
            _M(
                "mean_over_latents",
                "your value is the right one divided by n_latents: sum over latents, average over "
                "samples",
                lambda z, weight: weight * np.abs(z).mean(),
            ),
            _M(
                "no_abs",
                "the sizes are missing: without abs, positive and negative codes cancel",
                lambda z, weight: weight * z.sum(axis=1).mean(),
            ),
            _M(
                "sum_over_samples",
                "your value is the right one times n_samples: take the mean over samples",
                lambda z, weight: weight * np.abs(z).sum(),
            ),
            _M(
                "squared",
                "squares are summed: that is an L2 penalty, which shrinks and makes nothing 0",
                lambda z, weight: weight * (z**2).sum(axis=1).mean(),
            ),
            _M(
                "no_weight",
                "the weight of the penalty is missing",
                lambda z, weight: np.abs(z).sum(axis=1).mean(),
            ),
        ),
        "Ask whether a wider dictionary of which the same few latents are active should cost less.",
    ),
    "l1_gradient": Check(
        "l1_gradient(z, weight)",
        lambda z, weight: reference.penalty_gradient(L1(weight), z),
        _with_zeros,
        (
            _M(
                "one_at_zero",
                "the gradient at 0 must be 0: a silent latent would be pushed although it costs "
                "nothing",
                lambda z, weight: weight * np.where(z >= 0, 1, -1) / len(z),
            ),
            _M(
                "no_1_over_n",
                "your gradient is n_samples times too large: the penalty is a mean over samples",
                lambda z, weight: weight * np.sign(z),
            ),
            _M(
                "positive_only",
                "negative codes have the gradient -weight / n_samples, not 0",
                lambda z, weight: weight * (z > 0) / len(z),
            ),
        ),
        "Draw |z| and ask for the slope left of 0, right of 0, and at 0.",
    ),
    "total_loss": Check(
        "total_loss(x, x_hat, z, rho, beta)",
        lambda x, y, z, rho, beta: _sum_of_squares(x, y).mean() + _penalty(z, rho, beta),
        lambda rng: [(*_pairs(rng)[0], _codes(rng, 6, 7), 0.05, 3.0)],
        (
            _M(
                "mean_error_beside_summed_penalty",
                "the error is averaged over features while the penalty is summed over latents: the "
                "penalty then rules, and every image is rebuilt as the mean",
                lambda x, y, z, rho, beta: ((y - x) ** 2).mean() + _penalty(z, rho, beta),
            ),
            _M(
                "no_beta",
                "the penalty goes in without beta",
                lambda x, y, z, rho, beta: _sum_of_squares(x, y).mean() + _penalty(z, rho, 1.0),
            ),
            _M(
                "no_penalty",
                "the penalty is not added: this is the loss of a plain autoencoder",
                lambda x, y, z, rho, beta: _sum_of_squares(x, y).mean(),
            ),
            _M(
                "beta_on_all",
                "beta multiplies the whole loss: it weighs the penalty against the error",
                lambda x, y, z, rho, beta: (
                    beta * (_sum_of_squares(x, y).mean() + _penalty(z, rho, 1.0))
                ),
            ),
            _M(
                "mean_penalty",
                "the KL is averaged over latents: sum it, as the error is summed over features",
                lambda x, y, z, rho, beta: (
                    _sum_of_squares(x, y).mean() + _penalty(z, rho, beta) / z.shape[1]
                ),
            ),
        ),
        "Have both terms printed for an untrained model, and ask which one will be served.",
    ),
    "unit_norm_step": Check(
        "unit_norm_step(W_dec, gradient, learning_rate)",
        lambda W, g, rate: _rows(W - rate * g),
        lambda rng: [(_rows(rng.normal(size=(4, 6))) * 1.5, rng.normal(size=(4, 6)), 0.3)],
        (
            _M(
                "before",
                "the rows are scaled before the step and leave it with another norm: scale them "
                "after the step",
                lambda W, g, rate: _rows(W) - rate * g,
            ),
            _M(
                "free",
                "the norm is left free: under L1 the code then shrinks while the decoder grows, "
                "and the penalty is escaped",
                lambda W, g, rate: W - rate * g,
            ),
            _M(
                "axis",
                "the norm is taken along the wrong axis: a latent's direction is a row of W_dec, "
                "so sum over axis 1",
                lambda W, g, rate: (W - rate * g) / np.linalg.norm(W - rate * g, axis=0),
            ),
            _M(
                "whole_matrix",
                "one norm of the whole matrix is used: every row has its own",
                lambda W, g, rate: (W - rate * g) / np.linalg.norm(W - rate * g),
            ),
            _M(
                "ascent",
                "the step goes up the gradient: subtract it",
                lambda W, g, rate: _rows(W + rate * g),
            ),
        ),
        "Ask for the norms of the rows just before the next forward pass.",
    ),
    "adam_update": Check(
        "adam_update(g, m, v, t)",
        _adam,
        lambda rng: [
            (
                rng.normal(size=6) * s,
                rng.normal(size=6) * s,
                (rng.normal(size=6) * s) ** 2 * 0.01,
                3,
            )
            for s in (1.0, 1e-7)
        ],
        (
            _M(
                "epsilon_before_correction",
                "epsilon is added before the root is bias-corrected, as Keras does: correct v "
                "first, take the root, then add epsilon",
                lambda g, m, v, t: _adam(g, m, v, t, "before"),
            ),
            _M(
                "epsilon_inside",
                "epsilon is added under the root: it comes outside",
                lambda g, m, v, t: _adam(g, m, v, t, "inside"),
            ),
            _M(
                "no_correction",
                "the bias correction is missing: both means start at 0, so divide by 1 - beta^t",
                lambda g, m, v, t: (0.9 * m + 0.1 * g) / (np.sqrt(0.999 * v + 0.001 * g**2) + 1e-8),
            ),
            _M(
                "t_minus_1",
                "t counts the steps from 1, and you correct as if it were one less",
                lambda g, m, v, t: (
                    (0.9 * m + 0.1 * g)
                    / (1 - 0.9 ** (t - 1))
                    / (np.sqrt((0.999 * v + 0.001 * g**2) / (1 - 0.999 ** (t - 1))) + 1e-8)
                ),
            ),
        ),
        "Ask for the first update of a weight whose gradient is 1e-8, in both forms.",
    ),
    "relative_difference": Check(
        "relative_difference(a, b)",
        parity.relative_difference,
        lambda rng: [(rng.normal(size=(3, 4)), rng.normal(size=(3, 4)) * s) for s in (1, 50)],
        (
            _M(
                "absolute",
                "your value is an absolute difference: divide by the norm of b",
                lambda a, b: np.linalg.norm(a - b),
            ),
            _M(
                "over_a",
                "you divide by the norm of a: the reference is b",
                lambda a, b: np.linalg.norm(a - b) / np.linalg.norm(a),
            ),
            _M(
                "entrywise",
                "the mean of entrywise ratios is ruled by the entries next to 0: compare norms",
                lambda a, b: np.mean(np.abs(a - b) / np.abs(b)),
            ),
        ),
        "Ask whether 0.001 is a large difference, and what one has to know to say so.",
    ),
    "standardise": Check(
        "standardise(train, test)",
        lambda train, test: (test - train.mean(axis=0)) / train.std(axis=0),
        lambda rng: [(rng.normal(size=(30, 4)) * [1, 2, 3, 4] + 1, rng.normal(size=(9, 4)))],
        (
            _M(
                "test_statistics",
                "mean and standard deviation come from the test data: a model is frozen before the "
                "test, so take both from the training data",
                lambda train, test: (test - test.mean(axis=0)) / test.std(axis=0),
            ),
            _M(
                "both",
                "training and test data are pooled: nothing may be learned from the test data",
                lambda train, test: (
                    (test - np.r_[train, test].mean(axis=0)) / np.r_[train, test].std(axis=0)
                ),
            ),
            _M(
                "variance",
                "you divide by the variance: divide by its root",
                lambda train, test: (test - train.mean(axis=0)) / train.var(axis=0),
            ),
            _M(
                "one_for_all",
                "one mean and one deviation serve all features: every feature has its own",
                lambda train, test: (test - train.mean()) / train.std(),
            ),
            _M(
                "centre_only",
                "the mean is taken off, but the scale is left",
                lambda train, test: test - train.mean(axis=0),
            ),
        ),
        "Ask how the model would treat a single test image that arrives alone.",
    ),
    "pca_reconstruct": Check(
        "pca_reconstruct(train, test, k)",
        lambda train, test, k: _pca(train, train.mean(axis=0), test, k, train.mean(axis=0)),
        lambda rng: [
            (rng.normal(size=(30, 5)) @ rng.normal(size=(5, 5)) + 2, rng.normal(size=(9, 5)), 2)
        ],
        (
            _M(
                "fitted_on_test",
                "the components are fitted to the test data, which flatters the baseline: fit them "
                "to the training data",
                lambda train, test, k: _pca(test, test.mean(axis=0), test, k, test.mean(axis=0)),
            ),
            _M(
                "not_centred",
                "the mean is not taken off: the first component then only points to the mean",
                lambda train, test, k: _pca(train, np.zeros(train.shape[1]), test, k, np.zeros(1)),
            ),
            _M(
                "test_mean",
                "the components are right, but the mean that is taken off is the test data's",
                lambda train, test, k: _pca(train, train.mean(axis=0), test, k, test.mean(axis=0)),
            ),
        ),
        "Ask which numbers of the baseline were known before the test data were opened.",
    ),
    "anomaly_scores": Check(
        "anomaly_scores(x, x_hat, z)",
        lambda x, y, z: _sum_of_squares(x, y),
        lambda rng: [(*_pairs(rng)[0], np.maximum(rng.normal(size=(6, 7)), 0))],
        (
            _M(
                "scalar",
                "your answer is one number for all samples: a score is needed for each of them",
                lambda x, y, z: _sum_of_squares(x, y).mean(),
            ),
            _M(
                "with_penalty",
                "the sparsity penalty is in the score: it says how busy the code is, not how badly "
                "the sample was rebuilt",
                lambda x, y, z: _sum_of_squares(x, y) + np.abs(z).sum(axis=1),
            ),
            _M(
                "mean_over_features",
                "your scores are the right ones divided by n_features: they rank the same, but do "
                "not fit a threshold of summed errors",
                lambda x, y, z: ((y - x) ** 2).mean(axis=1),
            ),
            _M(
                "per_feature",
                "you have one score per feature: sum over features (axis 1), keep the samples",
                lambda x, y, z: ((y - x) ** 2).sum(axis=0),
            ),
            _M(
                "signed",
                "errors of different sign cancel: square them first",
                lambda x, y, z: (y - x).sum(axis=1),
            ),
        ),
        "Ask for the shape of the answer before any formula.",
    ),
    "choose_threshold": Check(
        "choose_threshold(clean_scores, test_scores, test_labels, rate)",
        lambda clean, scores, labels, rate: np.quantile(clean, 1 - rate),
        _threshold_cases,
        (
            _M(
                "test_labels",
                "the threshold was chosen for accuracy on the test labels: they are looked at "
                "once, to report; use the clean scores",
                lambda clean, scores, labels, rate: _most_accurate(scores, labels),
            ),
            _M(
                "test_normals",
                "the quantile is of the normal test samples, which only the test labels point out: "
                "use the clean scores",
                lambda clean, scores, labels, rate: np.quantile(scores[labels == 0], 1 - rate),
            ),
            _M(
                "test_scores",
                "the quantile is of the test scores, anomalies included: use the clean scores",
                lambda clean, scores, labels, rate: np.quantile(scores, 1 - rate),
            ),
            _M(
                "two_deviations",
                "mean plus two deviations gives the wanted rate only if scores are normally "
                "distributed: take the quantile",
                lambda clean, scores, labels, rate: clean.mean() + 2 * clean.std(),
            ),
            _M(
                "single_number",
                "the scores were averaged to one number first, whose deviation is 0: the threshold "
                "is then the mean, and about half of the clean samples lie above it",
                lambda clean, scores, labels, rate: clean.mean(),
            ),
            _M(
                "wrong_tail",
                "the quantile is from the wrong end: a share of `rate` lies above the threshold",
                lambda clean, scores, labels, rate: np.quantile(clean, rate),
            ),
            _M(
                "largest",
                "the largest clean score allows no false alarm at all and depends on one sample: "
                "take the quantile at 1 - rate",
                lambda clean, scores, labels, rate: clean.max(),
            ),
        ),
        "Ask on which day, before or after the test data arrive, the threshold is written down.",
    ),
    "detect": Check(
        "detect(scores, threshold)",
        lambda scores, threshold: scores > threshold,
        lambda rng: [(rng.gamma(2, size=20), 2.0), (rng.gamma(2, size=20) + 1, 2.5)],
        (
            _M(
                "scalar",
                "one average was compared with the threshold: compare each score, and return one "
                "truth value per sample",
                lambda scores, threshold: scores.mean() > threshold,
            ),
            _M(
                "below",
                "the comparison is the wrong way round: anomalies score above the threshold",
                lambda scores, threshold: scores < threshold,
            ),
            _M(
                "count",
                "your answer is how many there are: say which samples they are",
                lambda scores, threshold: (scores > threshold).sum(),
            ),
        ),
        "Ask what an operator is to do with the answer for image number 17.",
    ),
    "auroc": Check(
        "auroc(normal, anomalous)",
        _auroc,
        lambda rng: [(rng.integers(0, 6, 15).astype(float), rng.integers(2, 9, 12).astype(float))],
        (
            _M(
                "exchanged",
                "your value is 1 minus the right one: an anomaly should score above a normal "
                "sample, and the roles or the sign are exchanged",
                lambda normal, anomalous: 1 - _auroc(normal, anomalous),
            ),
            _M(
                "ties_lost",
                "ties count as lost: equal scores count one half",
                lambda normal, anomalous: _auroc(normal, anomalous, 0),
            ),
            _M(
                "ties_won",
                "ties count as won: equal scores count one half",
                lambda normal, anomalous: _auroc(normal, anomalous, 1),
            ),
        ),
        "Ask what a detector scores that gives every sample the same score.",
    ),
    "corrupt": Check(
        "corrupt(x, sigma, noise)",
        lambda x, sigma, noise: np.clip(x + sigma * noise, 0, 1),
        lambda rng: [(rng.random((5, 6)), s, rng.normal(size=(5, 6))) for s in (0.4, 0.7)],
        (
            _M(
                "not_clipped",
                "the result is not cut off at 0 and 1, as a stored image would be",
                lambda x, sigma, noise: x + sigma * noise,
            ),
            _M(
                "clip_minus_one",
                "the result is cut off at -1 and 1: pixels lie between 0 and 1",
                lambda x, sigma, noise: np.clip(x + sigma * noise, -1, 1),
            ),
            _M(
                "noise_clipped",
                "the noise is clipped, not the sum: add first, then clip",
                lambda x, sigma, noise: x + np.clip(sigma * noise, 0, 1),
            ),
            _M(
                "variance",
                "sigma is used as a variance: it is the standard deviation, a factor of the noise",
                lambda x, sigma, noise: np.clip(x + sigma**2 * noise, 0, 1),
            ),
            _M(
                "multiplied",
                "the noise is multiplied by the image: it is added, on black pixels too",
                lambda x, sigma, noise: np.clip(x + sigma * noise * x, 0, 1),
            ),
        ),
        "Ask for the mean of a black pixel before and after clipping.",
    ),
    "denoising_loss": Check(
        "denoising_loss(reconstruct, clean, noisy)",
        lambda f, clean, noisy: _sum_of_squares(clean, f(noisy)).mean(),
        lambda rng: [
            (lambda x: 0.5 * x + 0.1, c, np.clip(c + 0.4 * rng.normal(size=c.shape), 0, 1))
            for c in (rng.random((5, 6)), rng.random((3, 9)))
        ],
        (
            _M(
                "noisy_target",
                "the target is the noisy image: the model learns to keep the noise; compare with "
                "the clean one",
                lambda f, clean, noisy: _sum_of_squares(noisy, f(noisy)).mean(),
            ),
            _M(
                "clean_input",
                "the encoder is given the clean image: it never sees noise, and learns to copy",
                lambda f, clean, noisy: _sum_of_squares(clean, f(clean)).mean(),
            ),
            _M(
                "exchanged",
                "clean and noisy are exchanged: noisy goes in, clean is the target",
                lambda f, clean, noisy: _sum_of_squares(noisy, f(clean)).mean(),
            ),
            _M(
                "mean_over_features",
                "your value is the right one divided by n_features: sum over features",
                lambda f, clean, noisy: ((f(noisy) - clean) ** 2).mean(),
            ),
        ),
        "Ask which picture the program could be shown so that its loss is 0.",
    ),
    "noisy_epochs": Check(
        "noisy_epochs(x, sigma, epochs, rng)",
        lambda x, sigma, epochs, rng: _noisy(x, sigma, epochs, rng),
        lambda rng: [(rng.random((4, 5)), 0.4, 3, rng)],
        (
            _M(
                "drawn_once",
                "the noise is drawn once and serves every epoch: the model learns these copies by "
                "heart; draw it anew in each epoch",
                lambda x, sigma, epochs, rng: np.stack([_noisy(x, sigma, 1, rng)[0]] * epochs),
            ),
            _M(
                "same_for_all_samples",
                "all samples of an epoch share one noise pattern: every pixel of every sample has "
                "its own",
                lambda x, sigma, epochs, rng: _noisy_rows(x, sigma, epochs, rng),
            ),
            _M(
                "accumulated",
                "the noise piles up from epoch to epoch: start from the clean samples each time",
                lambda x, sigma, epochs, rng: (
                    x + np.cumsum(_noisy(np.zeros_like(x), sigma, epochs, rng), axis=0)
                ),
            ),
        ),
        "Ask how many different pictures the model has seen after ten epochs.",
    ),
    "psnr": Check(
        "psnr(clean, restored)",
        metrics.psnr,
        _pairs,
        (
            _M(
                "mean_error_first",
                "the errors are averaged over images before the logarithm: take the decibels of "
                "each image, then their mean",
                lambda x, y: -10 * np.log10(np.mean((x - np.clip(y, 0, 1)) ** 2)),
            ),
            _M(
                "not_clipped",
                "values outside [0, 1] count as errors that no screen would show: clip first",
                lambda x, y: _psnr(x, y).mean(),
            ),
            _M(
                "factor_20",
                "the factor is 20, which belongs to amplitudes: a squared error takes 10",
                lambda x, y: 2 * metrics.psnr(x, y),
            ),
            _M(
                "peak_255",
                "the peak is taken as 255: these pixels lie in [0, 1], so it is 1",
                lambda x, y: metrics.psnr(x, y) + 20 * np.log10(255),
            ),
            _M(
                "sum_of_pixels",
                "the squared errors of the pixels are summed: PSNR takes their mean",
                lambda x, y: metrics.psnr(x, y) - 10 * np.log10(x.shape[1]),
            ),
        ),
        "Ask by how many decibels an image gains when its squared error falls to a tenth.",
    ),
    "topk": Check(
        "topk(a, k)",
        _topk,
        _topk_cases,
        (
            _M(
                "absolute",
                "the largest in absolute value are kept: TopK keeps the largest, and a very "
                "negative pre-activation is a very silent latent",
                lambda a, k: np.where(reference.largest(np.abs(a), k), np.maximum(a, 0), 0),
            ),
            _M(
                "over_batch",
                "the k largest are taken of the whole batch: take k for each sample",
                lambda a, k: np.where(
                    reference.largest(a.reshape(1, -1), k).reshape(a.shape), np.maximum(a, 0), 0
                ),
            ),
            _M(
                "batch_topk",
                "k per sample are kept only on average: this is BatchTopK; TopK keeps k of each "
                "sample",
                _batch_topk,
            ),
            _M(
                "ties_kept",
                "where several are as large as the k-th, all of them are kept: more than k are "
                "then active; keep those with the lowest indices",
                lambda a, k: np.where(a >= -np.sort(-a, axis=1)[:, k - 1 : k], np.maximum(a, 0), 0),
            ),
            _M(
                "ties_last",
                "of equal pre-activations the last is kept: the rule is the lowest index, so that "
                "frameworks agree",
                lambda a, k: np.where(
                    reference.largest(a[:, ::-1], k)[:, ::-1], np.maximum(a, 0), 0
                ),
            ),
            _M(
                "no_relu",
                "negative pre-activations among the k largest are passed on: ReLU makes them 0",
                lambda a, k: np.where(reference.largest(a, k), a, 0),
            ),
            _M(
                "mask",
                "your answer says which latents are kept: return their values",
                lambda a, k: reference.largest(a, k),
            ),
        ),
        "Give a row of six numbers, two of them equal, and ask for the code with k = 2.",
    ),
    "batch_topk_inference": Check(
        "batch_topk_inference(a, threshold, k)",
        lambda a, threshold, k: np.where(a > threshold, a, 0),
        lambda rng: [(rng.normal(size=(6, 8)), t, 2) for t in (0.4, 1.1)],
        (
            _M(
                "batch",
                "the batch decides which latents are kept: at inference the learned threshold "
                "does, so that a sample's code does not depend on its neighbours",
                lambda a, threshold, k: _batch_topk(a, k),
            ),
            _M(
                "per_sample",
                "k latents per sample are kept: at inference it is what exceeds the threshold",
                lambda a, threshold, k: _topk(a, k),
            ),
            _M(
                "shifted",
                "the threshold is subtracted: what exceeds it is passed on unchanged",
                lambda a, threshold, k: np.maximum(a - threshold, 0),
            ),
            _M(
                "relu",
                "the threshold is not used: all positive pre-activations pass",
                lambda a, threshold, k: np.maximum(a, 0),
            ),
        ),
        "Ask for the code of one image alone, and of the same image among brighter ones.",
    ),
    "jumprelu": Check(
        "jumprelu(a, theta)",
        lambda a, theta: np.where(a > theta, a, 0),
        lambda rng: [(rng.normal(size=(6, 5)), rng.uniform(0.1, 0.6, 5))],
        (
            _M(
                "shifted",
                "this is a shifted ReLU, a - theta: a JumpReLU jumps from 0 to the value itself",
                lambda a, theta: np.maximum(a - theta, 0),
            ),
            _M(
                "relu",
                "the threshold is not used: this is a plain ReLU",
                lambda a, theta: np.maximum(a, 0),
            ),
            _M(
                "gate",
                "this is the gate, 0 or 1: multiply it by the pre-activation",
                lambda a, theta: a > theta,
            ),
        ),
        "Have the function drawn, and ask for its value just above the threshold.",
    ),
    "jumprelu_gradient": Check(
        "jumprelu_gradient(a, theta, d_z, bandwidth)",
        _theta_gradient,
        _threshold_gradient_cases,
        (
            _M(
                "no_1_over_bandwidth",
                "the window must have area 1, so its height is 1 / bandwidth: your scale is wrong "
                "by the bandwidth",
                lambda a, theta, d_z, e: e * _theta_gradient(a, theta, d_z, e),
            ),
            _M(
                "window_too_wide",
                "the window is twice as wide as the bandwidth: it reaches half of it to each side",
                lambda a, theta, d_z, e: 2 * _theta_gradient(a, theta, d_z, 2 * e),
            ),
            _M(
                "no_theta",
                "the height of the jump, theta, is missing as a factor",
                lambda a, theta, d_z, e: _theta_gradient(a, theta, d_z, e) / theta,
            ),
            _M(
                "sign",
                "the sign is wrong: a higher threshold takes latents away",
                lambda a, theta, d_z, e: -_theta_gradient(a, theta, d_z, e),
            ),
            _M(
                "mean",
                "the gradient is summed over samples: d_z has the 1/n_samples of the loss already",
                lambda a, theta, d_z, e: _theta_gradient(a, theta, d_z, e) / len(a),
            ),
            _M(
                "exact_step",
                "the derivative of the step itself is 0 everywhere, and nothing would be learned: "
                "use the window around the threshold",
                lambda a, theta, d_z, e: np.zeros_like(theta),
            ),
        ),
        "Ask for the area under the window, and what it stands in for.",
    ),
    "auxk_loss": Check(
        "auxk_loss(x, x_hat, z_dead, W_dec, b_dec)",
        lambda x, y, z, W, b: (_left(x, y, z, W) ** 2).sum(axis=1).mean(),
        _aux_cases,
        (
            _M(
                "b_dec_twice",
                "b_dec is added twice: the reconstruction contains it, so what is left has none",
                lambda x, y, z, W, b: ((_left(x, y, z, W) - b) ** 2).sum(axis=1).mean(),
            ),
            _M(
                "rebuilds_input",
                "the dead latents rebuild the whole input: their target is what is left, x - x_hat",
                lambda x, y, z, W, b: ((x - z @ W) ** 2).sum(axis=1).mean(),
            ),
            _M(
                "mean_over_features",
                "your value is the right one divided by n_features: sum over features",
                lambda x, y, z, W, b: (_left(x, y, z, W) ** 2).mean(),
            ),
        ),
        "Ask what would be left over if the live latents rebuilt the sample perfectly.",
    ),
    "auxk_detached": Check(
        "auxk_loss(x, x_hat, z_dead, W_dec, b_dec)",
        lambda x, y, z, W, b: np.zeros_like(y),
        _aux_cases,
        (
            _M(
                "not_detached",
                "the target is not detached: what the live latents leave over is a fixed target, "
                "and no gradient may reach x_hat through it",
                lambda x, y, z, W, b: -2 * _left(x, y, z, W) / len(x),
            ),
        ),
        "Ask in which two ways the two sides of the difference can come closer.",
        by=1,
    ),
    "mean_max_cosine": Check(
        "mean_max_cosine(planted, learned)",
        lambda planted, learned: metrics.max_cosines(planted, learned).mean(),
        lambda rng: [(_rows(rng.normal(size=(4, 6))), rng.normal(size=(9, 6)) * 2)],
        (
            _M(
                "other_direction",
                "this is the other direction, the mean over learned rows: it says how much of the "
                "dictionary is real, not how many planted features were found",
                lambda planted, learned: metrics.max_cosines(learned, planted).mean(),
            ),
            _M(
                "not_normalised",
                "inner products are not cosines: divide by the norms of both rows",
                lambda planted, learned: (planted @ learned.T).max(axis=1).mean(),
            ),
            _M(
                "absolute",
                "the sign is dropped: a feature that points the other way is not found",
                lambda planted, learned: (
                    np.abs(_rows(planted) @ _rows(learned).T).max(axis=1).mean()
                ),
            ),
            _M(
                "mean_of_all",
                "all pairs are averaged: take each planted feature's best match, then the mean",
                lambda planted, learned: (_rows(planted) @ _rows(learned).T).mean(),
            ),
        ),
        "Ask what a dictionary scores that holds one planted feature a hundred times.",
    ),
    "ablate": Check(
        "ablate(h, z, W_dec, j)",
        lambda h, z, W, j: h - z[:, [j]] * W[j],
        lambda rng: [(rng.normal(size=(5, 6)), rng.random((5, 4)), rng.normal(size=(4, 6)), 2)],
        (
            _M(
                "error_lost",
                "the activation was replaced by a reconstruction, so its error is lost too and the "
                "effect is not the feature's alone: subtract the feature's part from h",
                lambda h, z, W, j: np.where(np.arange(z.shape[1]) == j, 0, z) @ W,
            ),
            _M(
                "no_activation",
                "the direction is subtracted with amount 1: the amount is the sample's own code",
                lambda h, z, W, j: h - W[j],
            ),
            _M(
                "projected_out",
                "all that points in this direction is removed, other features' parts included: "
                "subtract z_j times the row",
                lambda h, z, W, j: h - (h @ W[j])[:, None] * W[j] / (W[j] @ W[j]),
            ),
            _M(
                "added",
                "the feature is added once more: subtract it",
                lambda h, z, W, j: h + z[:, [j]] * W[j],
            ),
        ),
        "Ask what the network should do if the feature was silent: nothing may change.",
    ),
}
