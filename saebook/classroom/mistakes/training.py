"""Known mistakes, chapter training: the loss as a whole, and a step."""

import numpy as np

from saebook.classroom.mistakes.shared import codes, kl_penalty, pairs, sum_of_squares, unit_rows
from saebook.classroom.mistakes.table import Check

CHECKS = {
    "total_loss": Check.of(
        "total_loss(x, x_hat, z, rho, beta)",
        lambda x, y, z, rho, beta: sum_of_squares(x, y).mean() + kl_penalty(z, rho, beta),
        lambda rng: [(*pairs(rng)[0], codes(rng, 6, 7), 0.05, 3.0)],
        "Have both terms printed for an untrained model, and ask which one will be served.",
        mean_error_beside_summed_penalty=(
            lambda x, y, z, rho, beta: ((y - x) ** 2).mean() + kl_penalty(z, rho, beta),
            "the error is averaged over features while the penalty is summed over latents: the "
            "penalty then rules, and every image is rebuilt as the mean",
        ),
        no_beta=(
            lambda x, y, z, rho, beta: sum_of_squares(x, y).mean() + kl_penalty(z, rho, 1.0),
            "the penalty goes in without beta",
        ),
        no_penalty=(
            lambda x, y, z, rho, beta: sum_of_squares(x, y).mean(),
            "the penalty is not added: this is the loss of a plain autoencoder",
        ),
        beta_on_all=(
            lambda x, y, z, rho, beta: (
                beta * (sum_of_squares(x, y).mean() + kl_penalty(z, rho, 1.0))
            ),
            "beta multiplies the whole loss: it weighs the penalty against the error",
        ),
        mean_penalty=(
            lambda x, y, z, rho, beta: (
                sum_of_squares(x, y).mean() + kl_penalty(z, rho, beta) / z.shape[1]
            ),
            "the KL is averaged over latents: sum it, as the error is summed over features",
        ),
    ),
    "unit_norm_step": Check.of(
        "unit_norm_step(W_dec, gradient, learning_rate)",
        lambda W, g, rate: unit_rows(W - rate * g),
        lambda rng: [(unit_rows(rng.normal(size=(4, 6))) * 1.5, rng.normal(size=(4, 6)), 0.3)],
        "Ask for the norms of the rows just before the next forward pass.",
        before=(
            lambda W, g, rate: unit_rows(W) - rate * g,
            "the rows are scaled before the step and leave it with another norm: scale them after "
            "the step",
        ),
        free=(
            lambda W, g, rate: W - rate * g,
            "the norm is left free: under L1 the code then shrinks while the decoder grows, and "
            "the penalty is escaped",
        ),
        axis=(
            lambda W, g, rate: (W - rate * g) / np.linalg.norm(W - rate * g, axis=0),
            "the norm is taken along the wrong axis: a latent's direction is a row of W_dec, so "
            "sum over axis 1",
        ),
        whole_matrix=(
            lambda W, g, rate: (W - rate * g) / np.linalg.norm(W - rate * g),
            "one norm of the whole matrix is used: every row has its own",
        ),
        ascent=(
            lambda W, g, rate: unit_rows(W + rate * g),
            "the step goes up the gradient: subtract it",
        ),
    ),
}
