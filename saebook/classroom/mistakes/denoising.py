"""Known mistakes, chapter denoising: noise, the loss, its measure; see denoising_epochs too."""

from typing import Any

import numpy as np

from saebook import metrics
from saebook._types import Array
from saebook.classroom.mistakes.shared import X_HAT, X, pairs, sum_of_squares
from saebook.classroom.mistakes.table import Check


def _psnr(clean: Array, restored: Array) -> Array:
    return -10 * np.log10(np.mean((clean - restored) ** 2, axis=1))


def _stretched(x: Any) -> Any:
    """1.6 x - 0.3"""
    return 1.6 * x - 0.3


def _spread(rng: np.random.Generator) -> Array:
    """Noise in which no kind of clipping is without an effect."""
    noise = rng.normal(size=(5, 6))
    noise[0, :2], noise[1, :2] = [-6, 6], [-1, 1]
    return noise


CHECKS = {
    "corrupt": Check.of(
        "corrupt(x, sigma, noise)",
        lambda x, sigma, noise: np.clip(x + sigma * noise, 0, 1),
        lambda rng: [(rng.random((5, 6)), s, _spread(rng)) for s in (0.4, 0.7)],
        "Ask for the mean of a black pixel before and after clipping.",
        small=(X, 0.5, np.array([[-4.0, 1.0, -2.0], [0.5, 2.0, -1.0]])),
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
        lower_only=(
            lambda x, sigma, noise: np.maximum(x + sigma * noise, 0),
            "the result is cut off at 0 only: white has an end too, at 1",
        ),
        upper_only=(
            lambda x, sigma, noise: np.minimum(x + sigma * noise, 1),
            "the result is cut off at 1 only: black has an end too, at 0",
        ),
        subtracted=(
            lambda x, sigma, noise: np.clip(x - sigma * noise, 0, 1),
            "the noise is subtracted: add it",
        ),
        no_sigma=(
            lambda x, sigma, noise: np.clip(x + noise, 0, 1),
            "sigma is missing: it is the factor of the noise",
        ),
        mixed=(
            lambda x, sigma, noise: np.clip((1 - sigma) * x + sigma * noise, 0, 1),
            "the image is weakened as the noise is added: it stays as it is",
        ),
        folded=(
            lambda x, sigma, noise: np.clip(np.abs(x + sigma * noise), 0, 1),
            "negative pixels are folded back: they become 0",
        ),
        stretched=(
            lambda x, sigma, noise: (
                (x + sigma * noise - (x + sigma * noise).min()) / np.ptp(x + sigma * noise)
            ),
            "the result is stretched to the range 0 to 1: cut it off instead",
        ),
        wrapped=(
            lambda x, sigma, noise: (x + sigma * noise) % 1,
            "the result wraps around at 0 and 1: cut it off",
        ),
    ),
    "denoising_loss": Check.of(
        "denoising_loss(reconstruct, clean, noisy)",
        lambda f, clean, noisy: sum_of_squares(clean, f(noisy)).mean(),
        lambda rng: [
            (_stretched, c, c + 0.4 * rng.normal(size=c.shape))
            for c in (rng.random((5, 6)), rng.random((3, 9)))
        ],
        "Ask which picture the program could be shown so that its loss is 0.",
        small=(_stretched, X, np.clip(X_HAT, 0, 1)),
        by=(2,),
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
        clipped=(
            lambda f, clean, noisy: sum_of_squares(clean, np.clip(f(noisy), 0, 1)).mean(),
            "the reconstruction is cut off at 0 and 1: where it leaves them its gradient is then "
            "0, and it stays outside",
        ),
        sum_over_samples=(
            lambda f, clean, noisy: sum_of_squares(clean, f(noisy)).sum(),
            "your value is the right one times n_samples: take the mean over samples",
        ),
        half=(
            lambda f, clean, noisy: sum_of_squares(clean, f(noisy)).mean() / 2,
            "your value is half of the right one: this book's loss has no factor 1/2",
        ),
        twice=(
            lambda f, clean, noisy: sum_of_squares(clean, f(f(noisy))).mean(),
            "the model is run on its own output: once is enough",
        ),
        clipped_input=(
            lambda f, clean, noisy: sum_of_squares(clean, f(np.clip(noisy, 0, 1))).mean(),
            "the noisy image is cut off at 0 and 1 first: it goes into the model as it comes",
        ),
        noise_as_target=(
            lambda f, clean, noisy: sum_of_squares(noisy - clean, f(noisy)).mean(),
            "the target is the noise: `reconstruct` gives an image",
        ),
        noisy_itself=(
            lambda f, clean, noisy: sum_of_squares(clean, noisy).mean(),
            "the noisy image is compared with the clean one: the model does not occur",
        ),
        absolute=(
            lambda f, clean, noisy: np.abs(f(noisy) - clean).sum(axis=1).mean(),
            "absolute differences are summed where squared ones are asked for",
        ),
        both_targets=(
            lambda f, clean, noisy: (
                sum_of_squares(clean, f(noisy)).mean() + sum_of_squares(noisy, f(noisy)).mean()
            ),
            "the noisy image is a target too: compare with the clean one alone",
        ),
    ),
    "psnr": Check.of(
        "psnr(clean, restored)",
        metrics.psnr,
        pairs,
        "Ask by how many decibels an image gains when its squared error falls to a tenth.",
        small=(X, X_HAT),
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
        own_peak=(
            lambda x, y: (_psnr(x, np.clip(y, 0, 1)) + 20 * np.log10(x.max(axis=1))).mean(),
            "the peak is taken from each image: it is the largest value that a pixel can have, 1",
        ),
        common_peak=(
            lambda x, y: metrics.psnr(x, y) + 20 * np.log10(x.max()),
            "the peak is taken from the images: it is the largest value that a pixel can have, 1",
        ),
        natural=(
            lambda x, y: metrics.psnr(x, y) * np.log(10),
            "the logarithm is the natural one: decibels take that of base 10",
        ),
        no_factor=(
            lambda x, y: metrics.psnr(x, y) / 10,
            "the factor 10 is missing: this is in bels",
        ),
        sign=(
            lambda x, y: -metrics.psnr(x, y),
            "the sign is wrong: a smaller error has a larger PSNR",
        ),
        each_image=(
            lambda x, y: _psnr(x, np.clip(y, 0, 1)),
            "you have one value per image: the mean over images is missing",
        ),
        of_pixels=(
            lambda x, y: np.mean(-10 * np.log10((x - np.clip(y, 0, 1)) ** 2)),
            "the logarithm is taken of each pixel's error: of the mean over the pixels of an image",
        ),
        absolute=(
            lambda x, y: np.mean(-10 * np.log10(np.abs(x - np.clip(y, 0, 1)).mean(axis=1))),
            "absolute errors are averaged where squared ones are asked for",
        ),
    ),
}
