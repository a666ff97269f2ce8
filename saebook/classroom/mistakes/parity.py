"""Known mistakes, chapter parity: Adam's step, and differences."""

import numpy as np

from saebook import parity
from saebook._types import Array
from saebook.classroom.mistakes.table import Check


def _adam(g: Array, m: Array, v: Array, t: int, place: str = "outside") -> Array:
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
    m_hat, v_hat = m / (1 - 0.9**t), v / (1 - 0.999**t)
    if place == "before":
        return m_hat * np.sqrt(1 - 0.999**t) / (np.sqrt(v) + 1e-8)
    return m_hat / (np.sqrt(v_hat + 1e-8) if place == "inside" else np.sqrt(v_hat) + 1e-8)


CHECKS = {
    "adam_update": Check.of(
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
        "Ask for the first update of a weight whose gradient is 1e-8, in both forms.",
        small=(np.array([0.1, -2.0]), np.array([0.0, 1.0]), np.array([0.01, 4.0]), 2),
        epsilon_before_correction=(
            lambda g, m, v, t: _adam(g, m, v, t, "before"),
            "epsilon is added before the root is bias-corrected, as Keras does: correct v first, "
            "take the root, then add epsilon",
        ),
        epsilon_inside=(
            lambda g, m, v, t: _adam(g, m, v, t, "inside"),
            "epsilon is added under the root: it comes outside",
        ),
        no_correction=(
            lambda g, m, v, t: (0.9 * m + 0.1 * g) / (np.sqrt(0.999 * v + 0.001 * g**2) + 1e-8),
            "the bias correction is missing: both means start at 0, so divide by 1 - beta^t",
        ),
        t_minus_1=(
            lambda g, m, v, t: (
                (0.9 * m + 0.1 * g)
                / (1 - 0.9 ** (t - 1))
                / (np.sqrt((0.999 * v + 0.001 * g**2) / (1 - 0.999 ** (t - 1))) + 1e-8)
            ),
            "t counts the steps from 1, and you correct as if it were one less",
        ),
        means_not_updated=(
            lambda g, m, v, t: m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8),
            "the means are used as they were before the step: put the gradient in first",
        ),
        betas_exchanged=(
            lambda g, m, v, t: (
                (0.999 * m + 0.001 * g)
                / (1 - 0.999**t)
                / (np.sqrt((0.9 * v + 0.1 * g**2) / (1 - 0.9**t)) + 1e-8)
            ),
            "the two rates are exchanged: 0.9 is for the mean, 0.999 for the mean square",
        ),
        same_beta=(
            lambda g, m, v, t: (
                (0.9 * m + 0.1 * g)
                / (1 - 0.9**t)
                / (np.sqrt((0.9 * v + 0.1 * g**2) / (1 - 0.9**t)) + 1e-8)
            ),
            "both means forget at 0.9: that of the squares forgets at 0.999",
        ),
        no_root=(
            lambda g, m, v, t: (
                (0.9 * m + 0.1 * g)
                / (1 - 0.9**t)
                / ((0.999 * v + 0.001 * g**2) / (1 - 0.999**t) + 1e-8)
            ),
            "the root is missing: v is a mean of squares",
        ),
        no_epsilon=(
            lambda g, m, v, t: (
                (0.9 * m + 0.1 * g)
                / (1 - 0.9**t)
                / np.sqrt((0.999 * v + 0.001 * g**2) / (1 - 0.999**t))
            ),
            "epsilon is missing: it counts where gradients are as small as it",
        ),
        only_mean_corrected=(
            lambda g, m, v, t: (
                (0.9 * m + 0.1 * g) / (1 - 0.9**t) / (np.sqrt(0.999 * v + 0.001 * g**2) + 1e-8)
            ),
            "only the mean is corrected for its start at 0: the mean square starts there too",
        ),
        only_square_corrected=(
            lambda g, m, v, t: (
                (0.9 * m + 0.1 * g) / (np.sqrt((0.999 * v + 0.001 * g**2) / (1 - 0.999**t)) + 1e-8)
            ),
            "only the mean square is corrected for its start at 0: the mean starts there too",
        ),
        sum_for_mean=(
            lambda g, m, v, t: (
                (0.9 * m + g)
                / (1 - 0.9**t)
                / (np.sqrt((0.999 * v + 0.001 * g**2) / (1 - 0.999**t)) + 1e-8)
            ),
            "the gradient goes into the mean with factor 1: it is 0.1, so that it is a mean",
        ),
        sign=(
            lambda g, m, v, t: -_adam(g, m, v, t),
            "the sign is wrong: what is asked for is subtracted",
        ),
    ),
    "relative_difference": Check.of(
        "relative_difference(a, b)",
        parity.relative_difference,
        lambda rng: [(rng.normal(size=(3, 4)), rng.normal(size=(3, 4)) * s) for s in (1, 50)],
        "Ask whether 0.001 is a large difference, and what one has to know to say so.",
        small=(np.array([[1.0, 2.0]]), np.array([[0.0, 2.0]])),
        absolute=(
            lambda a, b: np.linalg.norm(a - b),
            "your value is an absolute difference: divide by the norm of b",
        ),
        over_a=(
            lambda a, b: np.linalg.norm(a - b) / np.linalg.norm(a),
            "you divide by the norm of a: the reference is b",
        ),
        entrywise=(
            lambda a, b: np.mean(np.abs(a - b) / np.abs(b)),
            "the mean of entrywise ratios is ruled by the entries next to 0: compare norms",
        ),
        squared=(
            lambda a, b: ((a - b) ** 2).sum() / (b**2).sum(),
            "your value is the square of the right one: the roots are missing",
        ),
        sum_of_sizes=(
            lambda a, b: np.abs(a - b).sum() / np.abs(b).sum(),
            "sums of sizes are compared: take Euclidean norms",
        ),
        largest=(
            lambda a, b: np.abs(a - b).max() / np.abs(b).max(),
            "the largest entries are compared: take Euclidean norms",
        ),
        of_norms=(
            lambda a, b: np.abs(np.linalg.norm(a) - np.linalg.norm(b)) / np.linalg.norm(b),
            "the difference of the norms is taken: take the norm of the difference",
        ),
        root_missing_below=(
            lambda a, b: np.linalg.norm(a - b) / (b**2).sum(),
            "the root is missing below the line: divide by the norm of b",
        ),
    ),
}
