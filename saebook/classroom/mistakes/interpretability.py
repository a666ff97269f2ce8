"""Known mistakes, chapter interpretability: taking a feature out."""

import numpy as np

from saebook.classroom.mistakes.table import Check

CHECKS = {
    "ablate": Check.of(
        "ablate(h, z, W_dec, j)",
        lambda h, z, W, j: h - z[:, [j]] * W[j],
        lambda rng: [(rng.normal(size=(6, 6)), rng.random((6, 6)), rng.normal(size=(6, 6)), 2)],
        "Ask what the network should do if the feature was silent: nothing may change.",
        small=(
            np.array([[1.0, 2.0], [3.0, 4.0]]),
            np.array([[0.5, 0.0], [1.0, 2.0]]),
            np.array([[1.0, -1.0], [0.0, 2.0]]),
            0,
        ),
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
        column=(
            lambda h, z, W, j: h - z[:, [j]] * W[:, j],
            "a column of W_dec is taken: a latent's direction is its row",
        ),
        coordinate=(
            lambda h, z, W, j: np.where(np.arange(h.shape[1]) == j, 0, h),
            "a coordinate of the layer is set to 0: a latent is a direction, and not an axis",
        ),
        alone=(
            lambda h, z, W, j: z[:, [j]] * W[j],
            "this is the latent's part: subtract it from h",
        ),
        all_latents=(
            lambda h, z, W, j: h - z @ W,
            "the parts of all latents are subtracted: only that of latent j is asked for",
        ),
        mean_amount=(
            lambda h, z, W, j: h - z[:, j].mean() * W[j],
            "the mean amount is subtracted from all samples: each has its own",
        ),
        to_the_mean=(
            lambda h, z, W, j: h - (z[:, [j]] - z[:, j].mean()) * W[j],
            "the latent is set to its mean: take all of its part away",
        ),
        unit_direction=(
            lambda h, z, W, j: h - z[:, [j]] * W[j] / np.linalg.norm(W[j]),
            "the row is scaled to norm 1: its part is the code times the row as it is",
        ),
        next_latent=(
            lambda h, z, W, j: h - z[:, [j + 1]] * W[j + 1],
            "another latent is taken, the next one: indices count from 0",
        ),
        code_of_sample=(
            lambda h, z, W, j: h - z[j][:, None] * W[j],
            "the code of sample j is taken: latent j is a column of z",
        ),
    ),
}
