"""Known mistakes, chapter denoising: noise, the loss and its measure."""

import numpy as np

from saebook import metrics
from saebook._types import Array
from saebook.classroom.mistakes.shared import pairs, sum_of_squares
from saebook.classroom.mistakes.table import Check


def _psnr(clean: Array, restored: Array) -> Array:
    return -10 * np.log10(np.mean((clean - restored) ** 2, axis=1))


def _noisy(x: Array, sigma: float, epochs: int, rng: np.random.Generator) -> Array:
    return np.stack([x + sigma * rng.standard_normal(x.shape) for _ in range(epochs)])


def _noisy_rows(x: Array, sigma: float, epochs: int, rng: np.random.Generator) -> Array:
    return np.stack([x + sigma * rng.standard_normal(x.shape[1:]) for _ in range(epochs)])


CHECKS = {
    "corrupt": Check.of(
        "corrupt(x, sigma, noise)",
        lambda x, sigma, noise: np.clip(x + sigma * noise, 0, 1),
        lambda rng: [(rng.random((5, 6)), s, rng.normal(size=(5, 6))) for s in (0.4, 0.7)],
        "Ask for the mean of a black pixel before and after clipping.",
        not_clipped=(
            lambda x, sigma, noise: x + sigma * noise,
            "the result is not cut off at 0 and 1, as a stored image would be",
        ),
        clip_minus_one=(
            lambda x, sigma, noise: np.clip(x + sigma * noise, -1, 1),
            "the result is cut off at -1 and 1: pixels lie between 0 and 1",
        ),
        noise_clipped=(
            lambda x, sigma, noise: x + np.clip(sigma * noise, 0, 1),
            "the noise is clipped, not the sum: add first, then clip",
        ),
        variance=(
            lambda x, sigma, noise: np.clip(x + sigma**2 * noise, 0, 1),
            "sigma is used as a variance: it is the standard deviation, a factor of the noise",
        ),
        multiplied=(
            lambda x, sigma, noise: np.clip(x + sigma * noise * x, 0, 1),
            "the noise is multiplied by the image: it is added, on black pixels too",
        ),
    ),
    "denoising_loss": Check.of(
        "denoising_loss(reconstruct, clean, noisy)",
        lambda f, clean, noisy: sum_of_squares(clean, f(noisy)).mean(),
        lambda rng: [
            (lambda x: 0.5 * x + 0.1, c, np.clip(c + 0.4 * rng.normal(size=c.shape), 0, 1))
            for c in (rng.random((5, 6)), rng.random((3, 9)))
        ],
        "Ask which picture the program could be shown so that its loss is 0.",
        noisy_target=(
            lambda f, clean, noisy: sum_of_squares(noisy, f(noisy)).mean(),
            "the target is the noisy image: the model learns to keep the noise; compare with the "
            "clean one",
        ),
        clean_input=(
            lambda f, clean, noisy: sum_of_squares(clean, f(clean)).mean(),
            "the encoder is given the clean image: it never sees noise, and learns to copy",
        ),
        exchanged=(
            lambda f, clean, noisy: sum_of_squares(noisy, f(clean)).mean(),
            "clean and noisy are exchanged: noisy goes in, clean is the target",
        ),
        mean_over_features=(
            lambda f, clean, noisy: ((f(noisy) - clean) ** 2).mean(),
            "your value is the right one divided by n_features: sum over features",
        ),
    ),
    "noisy_epochs": Check.of(
        "noisy_epochs(x, sigma, epochs, rng)",
        lambda x, sigma, epochs, rng: _noisy(x, sigma, epochs, rng),
        lambda rng: [(rng.random((4, 5)), 0.4, 3, rng)],
        "Ask how many different pictures the model has seen after ten epochs.",
        drawn_once=(
            lambda x, sigma, epochs, rng: np.stack([_noisy(x, sigma, 1, rng)[0]] * epochs),
            "the noise is drawn once and serves every epoch: the model learns these copies by "
            "heart; draw it anew in each epoch",
        ),
        same_for_all_samples=(
            lambda x, sigma, epochs, rng: _noisy_rows(x, sigma, epochs, rng),
            "all samples of an epoch share one noise pattern: every pixel of every sample has its "
            "own",
        ),
        accumulated=(
            lambda x, sigma, epochs, rng: (
                x + np.cumsum(_noisy(np.zeros_like(x), sigma, epochs, rng), axis=0)
            ),
            "the noise piles up from epoch to epoch: start from the clean samples each time",
        ),
    ),
    "psnr": Check.of(
        "psnr(clean, restored)",
        metrics.psnr,
        pairs,
        "Ask by how many decibels an image gains when its squared error falls to a tenth.",
        mean_error_first=(
            lambda x, y: -10 * np.log10(np.mean((x - np.clip(y, 0, 1)) ** 2)),
            "the errors are averaged over images before the logarithm: take the decibels of each "
            "image, then their mean",
        ),
        not_clipped=(
            lambda x, y: _psnr(x, y).mean(),
            "values outside [0, 1] count as errors that no screen would show: clip first",
        ),
        factor_20=(
            lambda x, y: 2 * metrics.psnr(x, y),
            "the factor is 20, which belongs to amplitudes: a squared error takes 10",
        ),
        peak_255=(
            lambda x, y: metrics.psnr(x, y) + 20 * np.log10(255),
            "the peak is taken as 255: these pixels lie in [0, 1], so it is 1",
        ),
        sum_of_pixels=(
            lambda x, y: metrics.psnr(x, y) - 10 * np.log10(x.shape[1]),
            "the squared errors of the pixels are summed: PSNR takes their mean",
        ),
    ),
}
