"""Known mistakes, chapter backpropagation: the gradients at the output and of the KL penalty."""

from typing import Any

import numpy as np

from saebook import reference
from saebook._types import Array
from saebook.classroom.mistakes.shared import CODE, kl_cases
from saebook.classroom.mistakes.table import Check
from saebook.kinds import KL


def _sigmoid(o: Array) -> Array:
    return 1 / (1 + np.exp(-o))


def _slope(o: Array) -> Array:
    return _sigmoid(o) * (1 - _sigmoid(o))


def _outputs(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [(rng.random((n, d)), 2 * rng.normal(size=(n, d))) for n, d in ((6, 5), (3, 8))]


CHECKS = {
    "output_gradient": Check.of(
        "output_gradient(x, o)",
        lambda x, o: 2 / len(x) * (_sigmoid(o) - x) * _slope(o),
        _outputs,
        "Let the student write the error of one pixel as a chain of three functions of o.",
        small=(np.array([[0.0, 1.0], [0.5, 0.2]]), np.array([[1.0, -1.0], [0.0, 2.0]])),
        no_slope=(
            lambda x, o: 2 / len(x) * (_sigmoid(o) - x),
            "this is the gradient by x_hat: the slope of the sigmoid is missing",
        ),
        cross_entropy=(
            lambda x, o: (_sigmoid(o) - x) / len(x),
            "this is the gradient of the binary cross-entropy: for the squared error neither the 2 "
            "nor the slope of the sigmoid cancels",
        ),
        no_two=(
            lambda x, o: (_sigmoid(o) - x) * _slope(o) / len(x),
            "the factor 2 is missing: this book's squared error has no 1/2 in front of it",
        ),
        no_1_over_n=(
            lambda x, o: 2 * (_sigmoid(o) - x) * _slope(o),
            "your gradient is n_samples times too large: the error is a mean over samples",
        ),
        over_features=(
            lambda x, o: 2 / x.shape[1] * (_sigmoid(o) - x) * _slope(o),
            "you divide by n_features: the error is summed over features and averaged over samples",
        ),
        over_both=(
            lambda x, o: 2 / x.size * (_sigmoid(o) - x) * _slope(o),
            "you divide by n_features too: the error is summed over features",
        ),
        sign=(
            lambda x, o: 2 / len(x) * (x - _sigmoid(o)) * _slope(o),
            "the sign is wrong: where x_hat is above x the error grows with o",
        ),
        slope_of_x=(
            lambda x, o: 2 / len(x) * (_sigmoid(o) - x) * x * (1 - x),
            "the slope of the sigmoid is taken at x: it is x_hat (1 - x_hat)",
        ),
        slope_of_o=(
            lambda x, o: 2 / len(x) * (_sigmoid(o) - x) * o * (1 - o),
            "the slope is written in o: it is x_hat (1 - x_hat)",
        ),
        tanh=(
            lambda x, o: 2 / len(x) * (_sigmoid(o) - x) * (1 - _sigmoid(o) ** 2),
            "1 - x_hat ** 2 is the slope of the hyperbolic tangent: the sigmoid's is x_hat (1 - "
            "x_hat)",
        ),
        not_through=(
            lambda x, o: 2 / len(x) * (o - x),
            "o is compared with x as if it were the output: x_hat is the sigmoid of o",
        ),
        per_feature=(
            lambda x, o: (2 / len(x) * (_sigmoid(o) - x) * _slope(o)).sum(axis=0),
            "the gradients of the samples are added up, as for the bias: one is asked for by every "
            "entry of o",
        ),
    ),
    "kl_gradient": Check.of(
        "kl_gradient(z, rho, beta)",
        lambda z, rho, beta: reference.penalty_gradient(KL(rho, beta), z),
        kl_cases,
        "Let the student change one entry of z by 0.001 and look at how far rho-hat moves.",
        small=(CODE, 0.1, 2.0),
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
        of_activations=(
            lambda z, rho, beta: beta * ((1 - rho) / (1 - z) - rho / z) / len(z),
            "the activation itself stands where rho-hat should: the slope is the same for all "
            "samples of a latent",
        ),
        over_latents=(
            lambda z, rho, beta: len(z) / z.shape[1] * reference.penalty_gradient(KL(rho, beta), z),
            "you divide by n_latents: rho-hat is a mean over samples, so divide by n_samples",
        ),
        over_both=(
            lambda z, rho, beta: reference.penalty_gradient(KL(rho, beta), z) / z.shape[1],
            "you divide by n_latents too: the divergences are summed over latents",
        ),
        exchanged=(
            lambda z, rho, beta: np.broadcast_to(
                beta
                * (np.log(z.mean(axis=0) / rho) - np.log((1 - z.mean(axis=0)) / (1 - rho)))
                / len(z),
                z.shape,
            ),
            "this is the derivative of KL(rho-hat || rho): rho comes first",
        ),
        other_term=(
            lambda z, rho, beta: np.broadcast_to(
                beta * (1 - rho) / (1 - z.mean(axis=0)) / len(z), z.shape
            ),
            "the term of rho is missing in the derivative",
        ),
        terms_added=(
            lambda z, rho, beta: np.broadcast_to(
                beta * ((1 - rho) / (1 - z.mean(axis=0)) + rho / z.mean(axis=0)) / len(z), z.shape
            ),
            "the two terms have opposite signs: at rho-hat = rho the slope is 0",
        ),
    ),
}
