"""Known mistakes, chapter modern: the kinds since 2024."""

from typing import Any

import numpy as np

from saebook import reference
from saebook._types import Array
from saebook.classroom.mistakes.table import Check
from saebook.config import SAEConfig
from saebook.kinds import BatchTopK, JumpReLU


def _topk(a: Array, k: int) -> Array:
    return np.where(reference.largest(a, k), np.maximum(a, 0), 0)


def _batch_topk(a: Array, k: int) -> Array:
    config = SAEConfig(1, a.shape[1], "relu", sparsity=BatchTopK(k))
    return reference.code(config.sparsity, config, {}, a, training=True)


def _theta_gradient(a: Array, theta: Array, d_z: Array, bandwidth: float) -> Array:
    config = SAEConfig(1, a.shape[1], "relu", sparsity=JumpReLU(bandwidth=bandwidth))
    given = {"log_threshold": np.log(theta)}
    d_log = reference.code_gradient(config.sparsity, config, given, a, d_z)["log_threshold"]
    return d_log / theta


def _left(x: Array, x_hat: Array, z_dead: Array, W_dec: Array) -> Array:
    return x - x_hat - z_dead @ W_dec


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


CHECKS = {
    "topk": Check.of(
        "topk(a, k)",
        _topk,
        _topk_cases,
        "Give a row of six numbers, two of them equal, and ask for the code with k = 2.",
        absolute=(
            lambda a, k: np.where(reference.largest(np.abs(a), k), np.maximum(a, 0), 0),
            "the largest in absolute value are kept: TopK keeps the largest, and a very negative "
            "pre-activation is a very silent latent",
        ),
        over_batch=(
            lambda a, k: np.where(
                reference.largest(a.reshape(1, -1), k).reshape(a.shape), np.maximum(a, 0), 0
            ),
            "the k largest are taken of the whole batch: take k for each sample",
        ),
        batch_topk=(
            _batch_topk,
            "k per sample are kept only on average: this is BatchTopK; TopK keeps k of each sample",
        ),
        ties_kept=(
            lambda a, k: np.where(a >= -np.sort(-a, axis=1)[:, k - 1 : k], np.maximum(a, 0), 0),
            "where several are as large as the k-th, all of them are kept: more than k are then "
            "active; keep those with the lowest indices",
        ),
        ties_last=(
            lambda a, k: np.where(reference.largest(a[:, ::-1], k)[:, ::-1], np.maximum(a, 0), 0),
            "of equal pre-activations the last is kept: the rule is the lowest index, so that "
            "frameworks agree",
        ),
        no_relu=(
            lambda a, k: np.where(reference.largest(a, k), a, 0),
            "negative pre-activations among the k largest are passed on: ReLU makes them 0",
        ),
        mask=(
            lambda a, k: reference.largest(a, k),
            "your answer says which latents are kept: return their values",
        ),
    ),
    "batch_topk_inference": Check.of(
        "batch_topk_inference(a, threshold, k)",
        lambda a, threshold, k: np.where(a > threshold, a, 0),
        lambda rng: [(rng.normal(size=(6, 8)), t, 2) for t in (0.4, 1.1)],
        "Ask for the code of one image alone, and of the same image among brighter ones.",
        batch=(
            lambda a, threshold, k: _batch_topk(a, k),
            "the batch decides which latents are kept: at inference the learned threshold does, "
            "so that a sample's code does not depend on its neighbours",
        ),
        per_sample=(
            lambda a, threshold, k: _topk(a, k),
            "k latents per sample are kept: at inference it is what exceeds the threshold",
        ),
        shifted=(
            lambda a, threshold, k: np.maximum(a - threshold, 0),
            "the threshold is subtracted: what exceeds it is passed on unchanged",
        ),
        relu=(
            lambda a, threshold, k: np.maximum(a, 0),
            "the threshold is not used: all positive pre-activations pass",
        ),
    ),
    "jumprelu": Check.of(
        "jumprelu(a, theta)",
        lambda a, theta: np.where(a > theta, a, 0),
        lambda rng: [(rng.normal(size=(6, 5)), rng.uniform(0.1, 0.6, 5))],
        "Have the function drawn, and ask for its value just above the threshold.",
        shifted=(
            lambda a, theta: np.maximum(a - theta, 0),
            "this is a shifted ReLU, a - theta: a JumpReLU jumps from 0 to the value itself",
        ),
        relu=(lambda a, theta: np.maximum(a, 0), "the threshold is not used: this is a plain ReLU"),
        gate=(
            lambda a, theta: a > theta,
            "this is the gate, 0 or 1: multiply it by the pre-activation",
        ),
    ),
    "jumprelu_gradient": Check.of(
        "jumprelu_gradient(a, theta, d_z, bandwidth)",
        _theta_gradient,
        _threshold_gradient_cases,
        "Ask for the area under the window, and what it stands in for.",
        no_1_over_bandwidth=(
            lambda a, theta, d_z, e: e * _theta_gradient(a, theta, d_z, e),
            "the window must have area 1, so its height is 1 / bandwidth: your scale is wrong by "
            "the bandwidth",
        ),
        window_too_wide=(
            lambda a, theta, d_z, e: 2 * _theta_gradient(a, theta, d_z, 2 * e),
            "the window is twice as wide as the bandwidth: it reaches half of it to each side",
        ),
        no_theta=(
            lambda a, theta, d_z, e: _theta_gradient(a, theta, d_z, e) / theta,
            "the height of the jump, theta, is missing as a factor",
        ),
        sign=(
            lambda a, theta, d_z, e: -_theta_gradient(a, theta, d_z, e),
            "the sign is wrong: a higher threshold takes latents away",
        ),
        mean=(
            lambda a, theta, d_z, e: _theta_gradient(a, theta, d_z, e) / len(a),
            "the gradient is summed over samples: d_z has the 1/n_samples of the loss already",
        ),
        exact_step=(
            lambda a, theta, d_z, e: np.zeros_like(theta),
            "the derivative of the step itself is 0 everywhere, and nothing would be learned: use "
            "the window around the threshold",
        ),
    ),
    "auxk_loss": Check.of(
        "auxk_loss(x, x_hat, z_dead, W_dec, b_dec)",
        lambda x, y, z, W, b: (_left(x, y, z, W) ** 2).sum(axis=1).mean(),
        _aux_cases,
        "Ask what would be left over if the live latents rebuilt the sample perfectly.",
        b_dec_twice=(
            lambda x, y, z, W, b: ((_left(x, y, z, W) - b) ** 2).sum(axis=1).mean(),
            "b_dec is added twice: the reconstruction contains it, so what is left has none",
        ),
        rebuilds_input=(
            lambda x, y, z, W, b: ((x - z @ W) ** 2).sum(axis=1).mean(),
            "the dead latents rebuild the whole input: their target is what is left, x - x_hat",
        ),
        mean_over_features=(
            lambda x, y, z, W, b: (_left(x, y, z, W) ** 2).mean(),
            "your value is the right one divided by n_features: sum over features",
        ),
    ),
    "auxk_detached": Check.of(
        "auxk_loss(x, x_hat, z_dead, W_dec, b_dec)",
        lambda x, y, z, W, b: np.zeros_like(y),
        _aux_cases,
        "Ask in which two ways the two sides of the difference can come closer.",
        by=1,
        not_detached=(
            lambda x, y, z, W, b: -2 * _left(x, y, z, W) / len(x),
            "the target is not detached: what the live latents leave over is a fixed target, and "
            "no gradient may reach x_hat through it",
        ),
    ),
}
