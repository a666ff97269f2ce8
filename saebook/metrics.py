"""Measures of reconstruction and of sparsity, in NumPy.

Samples ``x`` and reconstructions may have any form that ``fit`` takes: images of one
shape, unsigned 8-bit pixels, a loader that gives them in the same order at every pass.

Sparsity has two senses. Per sample (population): few latents are active for one sample; measure
along ``axis=1`` of a code ``(n_samples, n_latents)``. Per latent (lifetime): it is active for
few samples; measure along ``axis=0``.
"""

from typing import Any

import numpy as np

from saebook._types import Array, ArrayLike, Samples
from saebook.checks import as_array, as_floats, same_images
from saebook.loaders import whole


def _matrix(a: ArrayLike, name: str) -> Array:
    a = as_floats(a, name)
    if a.ndim != 2 or a.size == 0:
        raise ValueError(f"{name} must be a non-empty two-dimensional array, got shape {a.shape}.")
    if not np.isfinite(a).all():
        raise ValueError(f"{name} must be finite, got NaN or infinity.")
    return a


def _pair(x: Any, x_hat: Any) -> tuple[Array, Array]:
    """Samples and reconstructions as rows, from all forms that ``fit`` takes."""
    (x, shape), (x_hat, other) = (whole(a, n, True) for a, n in ((x, "x"), (x_hat, "x_hat")))
    x, x_hat = _matrix(x, "x"), _matrix(x_hat, "x_hat")
    if x.shape != x_hat.shape or (shape and other and not same_images(shape, other)):
        shapes = shape or x.shape[1:], other or x_hat.shape[1:]
        raise ValueError(
            f"x_hat must have the shape of x, {(len(x), *shapes[0])}, "
            f"got {(len(x_hat), *shapes[1])}."
        )
    return x, x_hat


def _scale(a: Array, axis: int | None = None) -> Array:
    """Powers of two that bring the largest entry, or that of each row or column, to about 1.

    Squares then neither overflow nor vanish, and no digit of them changes.
    """
    largest = np.maximum(a.max(axis, keepdims=True), -a.min(axis, keepdims=True))
    return np.ldexp(1.0, np.minimum(-np.frexp(largest.astype(np.float64))[1], 1023))


def reconstruction_error(x: Samples, x_hat: Samples) -> Array:
    """Squared error of each sample, summed over features.

    ``x, x_hat (n_samples, n_features)``; returns ``(n_samples,)``.
    """
    return _squared_errors(*_pair(x, x_hat))


def _squared_errors(x: Array, x_hat: Array, scale: Array | float = 1.0) -> Array:
    sums = np.empty(len(x))
    for start in range(0, len(x), 1024):  # copies of all samples at once would need much memory
        rows = slice(start, start + 1024)
        error = np.subtract(x[rows], x_hat[rows], dtype=np.float64)
        error *= scale
        sums[rows] = np.einsum("ij,ij->i", error, error)
    return sums


def fvu(x: Samples, x_hat: Samples) -> float:
    """Fraction of variance unexplained: squared error over squared distance from the mean sample.

    Both sums run over the whole array, so that the mean sample scores 1 and a perfect
    reconstruction 0, however the data were cut into batches.

    Parameters
    ----------
    x, x_hat : array (n_samples, n_features)

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If the shapes differ, or all samples are equal, so that there is no variance to explain.
    """
    x, x_hat = _pair(x, x_hat)
    if (x == x[0]).all():
        raise ValueError(f"x must hold at least two different samples, got {len(x)} equal one(s).")
    scale, mean = _scale(x), np.broadcast_to(x.mean(axis=0, dtype=np.float64), x.shape)
    errors, distances = (_squared_errors(x, other, scale) for other in (x_hat, mean))
    return float(errors.sum() / distances.sum())


def l0(z: ArrayLike, threshold: float = 0.0) -> float:
    """Mean number of active latents per sample: those whose size is above a threshold.

    Parameters
    ----------
    z : array (n_samples, n_latents)
    threshold : float
        Sigmoid codes are never 0: give `SAEConfig.active_above`.

    Returns
    -------
    float
    """
    return float((np.abs(_matrix(z, "z")) > threshold).sum(axis=1).mean())


def dead_features(z: ArrayLike, threshold: float = 0.0) -> Array:
    """Which latents, ``(n_latents,)``, are active for no sample at all; arguments as for `l0`."""
    return ~np.any(np.abs(_matrix(z, "z")) > threshold, axis=0)


def hoyer(z: ArrayLike, axis: int) -> Array:
    r"""Hoyer's sparseness: 0 if all entries are equal in size, 1 if one alone is not zero.

    .. math:: \frac{\sqrt n - \|z\|_1 / \|z\|_2}{\sqrt n - 1}

    Hoyer (2004), section 3.1.

    Parameters
    ----------
    z : array (n_samples, n_latents)
    axis : {0, 1}
        1 for the sparseness of each sample's code, 0 for that of each latent over the samples.

    Returns
    -------
    ndarray (n_samples,) or (n_latents,)
        NaN where all entries are zero: silence is neither sparse nor dense.
    """
    z = np.abs(_matrix(z, "z"))
    n, z = _length(z, axis), z * _scale(z, axis)
    norm = np.sqrt((z**2).sum(axis=axis))
    ratio = np.divide(z.sum(axis=axis), norm, out=np.full(norm.shape, np.nan), where=norm > 0)
    return np.clip((np.sqrt(n) - ratio) / (np.sqrt(n) - 1), 0, 1)  # rounding may leave the range


def treves_rolls(z: ArrayLike, axis: int) -> Array:
    r"""Sparseness after Treves & Rolls (1991), on the scale of Vinje & Gallant (2000).

    .. math:: \frac{1 - a}{1 - 1/n}, \qquad a = \frac{(\sum z / n)^2}{\sum z^2 / n}

    0 if all entries are equal, 1 if one alone is not zero. For non-negative codes.

    Parameters and return value are those of `hoyer`.
    """
    z = _matrix(z, "z")
    n = _length(z, axis)
    if z.min() < 0:
        raise ValueError(f"z must not be negative for treves_rolls, got {z.min():g}.")
    z = z * _scale(z, axis)
    power = (z**2).mean(axis=axis)
    a = np.divide(z.mean(axis=axis) ** 2, power, out=np.full(power.shape, np.nan), where=power > 0)
    return np.clip((1 - a) / (1 - 1 / n), 0, 1)


def _length(z: Array, axis: int) -> int:
    if axis not in (0, 1):
        raise ValueError(f"axis must be 0 (per latent) or 1 (per sample), got {axis!r}.")
    if z.shape[axis] < 2:
        raise ValueError(
            f"z must have at least 2 entries along axis {axis} to be sparse or not, "
            f"got shape {z.shape}."
        )
    return z.shape[axis]


def max_cosines(rows: ArrayLike, others: ArrayLike) -> Array:
    """For each row, the largest cosine with any of the other rows, ``(n_rows,)``.

    Its mean, "mean max cosine similarity" (Sharkey et al. 2022), says how well `others` cover
    `rows`: with planted features first it is what was found of them, with the dictionary first how
    much of the dictionary is real. In few dimensions random rows score far above 0, too.

    Parameters
    ----------
    rows : array (n_rows, n_features)
    others : array (n_others, n_features)
    """
    return _cosines(rows, others).max(axis=1)


def matched_cosines(rows: ArrayLike, others: ArrayLike) -> Array:
    """Cosines of the rows paired one to one, so that their sum is the largest possible.

    No row may serve twice, as it may in `max_cosines`. The pairs are found by SciPy's solver of the
    assignment problem (the Hungarian method); there are ``min(n_rows, n_others)``.

    Parameters
    ----------
    rows : array (n_rows, n_features)
    others : array (n_others, n_features)
    """
    from scipy.optimize import linear_sum_assignment  # comes with scikit-learn

    cosines = _cosines(rows, others)
    return cosines[linear_sum_assignment(cosines, maximize=True)]


def _cosines(rows: ArrayLike, others: ArrayLike) -> Array:
    rows, others = _matrix(rows, "rows"), _matrix(others, "others")
    if rows.shape[1] != others.shape[1]:
        raise ValueError(
            f"others must have as many columns as rows, {rows.shape[1]}, got {others.shape[1]}."
        )
    tiny = np.finfo(np.float64).tiny  # a row of zeros has cosine 0 with everything
    unit, unit_others = (
        a / np.maximum(np.linalg.norm(a, axis=1, keepdims=True), tiny)
        for a in (a * _scale(a, axis=1) for a in (rows, others))
    )
    return np.clip(unit @ unit_others.T, -1, 1)


def psnr(x: Samples, x_hat: Samples) -> float:
    """Peak signal-to-noise ratio of images in [0, 1], in decibels: the mean over the images.

    Reconstructions are clipped to [0, 1] first, as a picture on a screen would be.

    Parameters
    ----------
    x, x_hat : array (n_samples, n_features)
        Clean images and their reconstructions.

    Returns
    -------
    float
        Infinite if an image is rebuilt exactly.
    """
    x, x_hat = _pair(x, x_hat)
    error = _squared_errors(x, np.clip(x_hat, 0, 1)) / x.shape[1]
    with np.errstate(divide="ignore"):
        return float(np.mean(-10 * np.log10(error)))


def ssim(x: Samples, x_hat: Samples, shape: tuple[int, int] = (28, 28)) -> float:
    """Structural similarity of images in [0, 1] (Wang et al. 2004): the mean over the images.

    A Gaussian window of standard deviation 1.5 pixels and constants 0.01 and 0.03, as in the paper;
    reconstructions are clipped to [0, 1] first. Computed by scikit-image.

    Parameters
    ----------
    x, x_hat : array (n_samples, n_features)
    shape : (int, int)
        Height and width of an image; their product is ``n_features``.

    Returns
    -------
    float
        1 for equal images.
    """
    from skimage.metrics import structural_similarity  # not needed by the rest of the package

    x, x_hat = _pair(x, x_hat)
    if np.prod(shape) != x.shape[1]:
        raise ValueError(f"shape must multiply to {x.shape[1]}, the features, got {shape}.")
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    pairs = zip(x.reshape(-1, *shape), np.clip(x_hat, 0, 1).reshape(-1, *shape), strict=True)
    return float(np.mean([structural_similarity(a, b, data_range=1, **settings) for a, b in pairs]))


def false_alarms_at(detection: float, normal: ArrayLike, anomalous: ArrayLike) -> float:
    """Share of normal samples that score above the threshold which detects a share of anomalies.

    "FPR at 95 % TPR" is ``false_alarms_at(0.95, ...)``. It describes a score; a threshold to work
    with has to come from clean validation scores.

    Parameters
    ----------
    detection : float in (0, 1]
        Share of the anomalies that must be detected.
    normal, anomalous : array (n_samples,)
        Scores, larger for what looks anomalous.

    Returns
    -------
    float
    """
    normal = as_array(normal, "normal").astype(float)
    anomalous = as_array(anomalous, "anomalous").astype(float)
    if not 0 < detection <= 1:
        raise ValueError(f"detection must be above 0 and at most 1, got {detection!r}.")
    for name, scores in (("normal", normal), ("anomalous", anomalous)):
        if scores.ndim != 1 or scores.size == 0 or not np.isfinite(scores).all():
            raise ValueError(
                f"{name} must be a non-empty one-dimensional array of finite scores, "
                f"got shape {scores.shape}."
            )
    needed = max(1, int(np.ceil(detection * len(anomalous) - 1e-9)))  # 0.1 * 30 is above 3
    threshold = np.sort(anomalous)[-needed]
    return float(np.mean(normal >= threshold))
