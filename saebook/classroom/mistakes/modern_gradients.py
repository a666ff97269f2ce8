"""Known mistakes, chapter modern: the gradient of a threshold, and the loss of dead latents."""

from typing import Any

import numpy as np

from saebook import reference
from saebook._types import Array
from saebook.classroom.mistakes.shared import CODE, X_HAT, X, sum_of_squares
from saebook.classroom.mistakes.table import Check
from saebook.config import SAEConfig
from saebook.kinds import JumpReLU


def _theta_gradient(a: Array, theta: Array, d_z: Array, bandwidth: float) -> Array:
    config = SAEConfig(1, a.shape[1], "relu", sparsity=JumpReLU(bandwidth=bandwidth))
    given = {"log_threshold": np.log(theta)}
    d_log = reference.code_gradient(config.sparsity, config, given, a, d_z)["log_threshold"]
    return d_log / theta


def _window(a: Array, theta: Array, d_z: Array, bandwidth: float, is_open: Array) -> Array:
    return -(theta * is_open / bandwidth * d_z).sum(axis=0)


def _auxk(x: Array, y: Array, z: Array, W: Array, b: Array) -> float:
    return (_left(x, y, z, W) ** 2).sum(axis=1).mean()


def _left(x: Array, x_hat: Array, z_dead: Array, W_dec: Array) -> Array:
    return x - x_hat - z_dead @ W_dec


def _threshold_gradient_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    theta = rng.uniform(0.3, 0.8, 4)
    a = theta + rng.choice([-0.35, -0.2, -0.1, 0.1, 0.2, 0.35], (24, 4))
    return [(a, theta, rng.normal(size=(24, 4)), 0.5)]


def _aux_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    x, x_hat = rng.normal(size=(5, 4)), rng.normal(size=(5, 4))
    return [(x, x_hat, rng.random((5, 3)), rng.normal(size=(3, 4)), rng.normal(size=4))]


CHECKS = {
    "jumprelu_gradient": Check.of(
        "jumprelu_gradient(a, theta, d_z, bandwidth)",
        _theta_gradient,
        _threshold_gradient_cases,
        "Ask for the area under the window, and what it stands in for.",
        small=(
            np.array([[0.5, 0.4], [0.2, 0.9]]),
            np.array([0.4, 0.5]),
            np.array([[1.0, 2.0], [3.0, 4.0]]),
            0.5,
        ),
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
            "your gradient is 0 everywhere, and nothing would be learned: that is the derivative "
            "of the step itself, or a window that never opens; it is open within half a bandwidth "
            "of the threshold",
        ),
        wide_and_flat=(
            lambda a, theta, d_z, e: _theta_gradient(a, theta, d_z, 2 * e),
            "the window is twice as wide and half as high as it should be: it reaches half of the "
            "bandwidth to each side, with the height 1 / bandwidth",
        ),
        half_window=(
            lambda a, theta, d_z, e: _window(a, theta, d_z, e, (a > theta) & (a < theta + e / 2)),
            "only the half of the window above the threshold is used",
        ),
        half_window_below=(
            lambda a, theta, d_z, e: _window(a, theta, d_z, e, (a < theta) & (a > theta - e / 2)),
            "only the half of the window below the threshold is used",
        ),
        pre_activation=(
            lambda a, theta, d_z, e: _window(a, a, d_z, e, np.abs(a - theta) < e / 2),
            "the pre-activation stands where theta should: the jump is as high as the threshold",
        ),
        of_logarithm=(
            lambda a, theta, d_z, e: theta * _theta_gradient(a, theta, d_z, e),
            "this is the gradient by the logarithm of theta: one factor theta less",
        ),
        about_zero=(
            lambda a, theta, d_z, e: _window(a, theta, d_z, e, np.abs(a) < e / 2),
            "the window lies around 0: it lies around the threshold",
        ),
        outside=(
            lambda a, theta, d_z, e: _window(a, theta, d_z, e, np.abs(a - theta) >= e / 2),
            "the window is the wrong way round: it is open near the threshold",
        ),
        active_ones=(
            lambda a, theta, d_z, e: _window(a, theta, d_z, e, a > theta),
            "all that is active counts: only what lies within half a bandwidth of the threshold "
            "does",
        ),
        per_sample=(
            lambda a, theta, d_z, e: -theta * (np.abs(a - theta) < e / 2) / e * d_z,
            "you have a gradient for every sample: sum over samples",
        ),
        no_d_z=(
            lambda a, theta, d_z, e: _theta_gradient(a, theta, np.ones_like(d_z), e),
            "d_z is missing: the chain rule takes the gradient of the loss along",
        ),
    ),
    "auxk_loss": Check.of(
        "auxk_loss(x, x_hat, z_dead, W_dec, b_dec)",
        _auxk,
        _aux_cases,
        "Ask what would be left over if the live latents rebuilt the sample perfectly, and in "
        "which two ways the two sides of the difference can come closer.",
        small=(X, X_HAT, CODE, np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]), np.array([0.1, 0, 0])),
        by=(1, 2, 3),
        cuts=(1,),
        not_detached=(
            _auxk,
            "the target is not detached: what the live latents leave over is a fixed target, and "
            "no gradient may reach x_hat through it",
            (),
        ),
        code_detached=(
            _auxk,
            "the dead latents' code is detached: their encoder is never brought back",
            (1, 2),
        ),
        decoder_detached=(
            _auxk,
            "W_dec is detached: the dead latents' directions are never moved",
            (1, 3),
        ),
        wrong_side_detached=(
            _auxk,
            "the wrong side is detached: the target x - x_hat is fixed, and the dead latents learn",
            (2, 3),
        ),
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
        half=(
            lambda x, y, z, W, b: _auxk(x, y, z, W, b) / 2,
            "your value is half of the right one: this book's loss has no factor 1/2",
        ),
        sum_over_samples=(
            lambda x, y, z, W, b: len(x) * _auxk(x, y, z, W, b),
            "your value is the right one times n_samples: take the mean over samples",
        ),
        sign_of_target=(
            lambda x, y, z, W, b: _auxk(y, x, z, W, b),
            "the target is x_hat - x: what is left over is x - x_hat",
        ),
        b_dec_added_back=(
            lambda x, y, z, W, b: ((_left(x, y, z, W) + b) ** 2).sum(axis=1).mean(),
            "b_dec is in the target, as if x_hat had none: it has, so it is left over nowhere",
        ),
        error_alone=(
            lambda x, y, z, W, b: sum_of_squares(x, y).mean(),
            "the dead latents do not occur: this is the error of the live ones",
        ),
        target_is_x_hat=(
            lambda x, y, z, W, b: sum_of_squares(y, z @ W).mean(),
            "the dead latents rebuild x_hat: their target is what is left, x - x_hat",
        ),
    ),
}
