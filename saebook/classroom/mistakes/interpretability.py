"""Known mistakes, chapter interpretability: taking a feature out."""

import numpy as np

from saebook.classroom.mistakes.table import Check

CHECKS = {
    "ablate": Check.of(
        "ablate(h, z, W_dec, j)",
        lambda h, z, W, j: h - z[:, [j]] * W[j],
        lambda rng: [(rng.normal(size=(5, 6)), rng.random((5, 4)), rng.normal(size=(4, 6)), 2)],
        "Ask what the network should do if the feature was silent: nothing may change.",
        error_lost=(
            lambda h, z, W, j: np.where(np.arange(z.shape[1]) == j, 0, z) @ W,
            "the activation was replaced by a reconstruction, so its error is lost too and the "
            "effect is not the feature's alone: subtract the feature's part from h",
        ),
        no_activation=(
            lambda h, z, W, j: h - W[j],
            "the direction is subtracted with amount 1: the amount is the sample's own code",
        ),
        projected_out=(
            lambda h, z, W, j: h - (h @ W[j])[:, None] * W[j] / (W[j] @ W[j]),
            "all that points in this direction is removed, other features' parts included: "
            "subtract z_j times the row",
        ),
        added=(
            lambda h, z, W, j: h + z[:, [j]] * W[j],
            "the feature is added once more: subtract it",
        ),
    ),
}
