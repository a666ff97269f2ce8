"""Known mistakes, chapter training: the loss as a whole, and a step."""

import numpy as np

from saebook._types import Array
from saebook.classroom.mistakes.shared import (
    CODE,
    X_HAT,
    X,
    codes,
    kl_penalty,
    pairs,
    sum_of_squares,
    unit_rows,
)
from saebook.classroom.mistakes.table import Check


def _loss(x: Array, y: Array, z: Array, rho: float, beta: float) -> float:
    return sum_of_squares(x, y).mean() + kl_penalty(z, rho, beta)


def _reversed(rho_hat: Array, rho: float) -> float:
    return float(
        (rho_hat * np.log(rho_hat / rho) + (1 - rho_hat) * np.log((1 - rho_hat) / (1 - rho))).sum()
    )


CHECKS = {
    "total_loss": Check.of(
        "total_loss(x, x_hat, z, rho, beta)",
        _loss,
        lambda rng: [(*pairs(rng)[0], codes(rng, 6, 7), 0.05, 3.0)],
        "Have both terms printed for an untrained model, and ask which one will be served.",
        small=(X, X_HAT, CODE, 0.1, 2.0),
        by=(1, 2),
        code_cut_off=(
            _loss,
            "the value is right, but no gradient reaches z: the penalty stands in the loss and "
            "trains nothing",
            (2,),
        ),
        error_cut_off=(
            _loss,
            "the value is right, but no gradient reaches x_hat: the reconstruction is not trained",
            (1,),
        ),
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
        half_error=(
            lambda x, y, z, rho, beta: sum_of_squares(x, y).mean() / 2 + kl_penalty(z, rho, beta),
            "the error has a factor 1/2: this book's has none, so beta would weigh twice as much",
        ),
        error_over_batch=(
            lambda x, y, z, rho, beta: sum_of_squares(x, y).sum() + kl_penalty(z, rho, beta),
            "the error is summed over samples: average it, or beta weighs less in a larger batch",
        ),
        subtracted=(
            lambda x, y, z, rho, beta: sum_of_squares(x, y).mean() - kl_penalty(z, rho, beta),
            "the penalty is subtracted: it is paid, so add it",
        ),
        exchanged=(
            lambda x, y, z, rho, beta: (
                sum_of_squares(x, y).mean() + beta * _reversed(z.mean(axis=0), rho)
            ),
            "rho and rho-hat are exchanged in the penalty: it is KL(rho || rho-hat)",
        ),
        both_averaged=(
            lambda x, y, z, rho, beta: (
                ((y - x) ** 2).mean() + kl_penalty(z, rho, beta) / z.shape[1]
            ),
            "error and penalty are averaged over their widths: another balance than the sums, "
            "unless both widths are the same",
        ),
        penalty_alone=(
            lambda x, y, z, rho, beta: kl_penalty(z, rho, beta),
            "the error of the reconstruction is missing: a constant code would do",
        ),
        averaged=(
            lambda x, y, z, rho, beta: _loss(x, y, z, rho, beta) / 2,
            "your value is half of the right one: the terms are added, not averaged",
        ),
        divided_by_beta=(
            lambda x, y, z, rho, beta: sum_of_squares(x, y).mean() + kl_penalty(z, rho, 1 / beta),
            "the penalty is divided by beta: multiply",
        ),
    ),
    "unit_norm_step": Check.of(
        "unit_norm_step(W_dec, gradient, learning_rate)",
        lambda W, g, rate: unit_rows(W - rate * g),
        lambda rng: [
            (
                unit_rows(rng.normal(size=(4, 6))) * [[0.2], [1], [2], [3]],
                rng.normal(size=(4, 6)) * [[0.2], [1], [1], [1]],
                0.3,
            )
        ],
        "Ask for the norms of the rows just before the next forward pass.",
        small=(np.array([[0.6, 0.8], [1.0, 0.0]]), np.array([[1.0, -1.0], [0.0, 2.0]]), 0.1),
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
        squared_norm=(
            lambda W, g, rate: (W - rate * g) / ((W - rate * g) ** 2).sum(axis=1, keepdims=True),
            "the rows are divided by the square of their norm: the root is missing",
        ),
        sum_of_sizes=(
            lambda W, g, rate: (W - rate * g) / np.abs(W - rate * g).sum(axis=1, keepdims=True),
            "the rows are divided by the sum of their entries' sizes: take the Euclidean norm",
        ),
        longer_only=(
            lambda W, g, rate: (
                (W - rate * g) / np.maximum(np.linalg.norm(W - rate * g, axis=1, keepdims=True), 1)
            ),
            "only rows longer than 1 are scaled: shorter ones have to get norm 1 too",
        ),
        no_rate=(
            lambda W, g, rate: unit_rows(W - g),
            "the learning rate is missing: it scales the gradient",
        ),
        gradient_scaled=(
            lambda W, g, rate: unit_rows(W - rate * unit_rows(g)),
            "the gradient's rows are scaled to norm 1: scale those of W_dec, after the step",
        ),
        no_step=(
            lambda W, g, rate: unit_rows(W),
            "the step is missing: the rows are only scaled",
        ),
        mean_square=(
            lambda W, g, rate: (
                (W - rate * g) / np.sqrt(((W - rate * g) ** 2).mean(axis=1, keepdims=True))
            ),
            "the squares are averaged where they should be summed: the norm is then the root of "
            "n_features, not 1",
        ),
    ),
}
