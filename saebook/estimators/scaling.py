"""Units of the samples: what the estimators take from them and divide them by, and what cannot be.

Learned from the training samples and stored, so that new samples are treated alike.
"""

import warnings
from dataclasses import dataclass

import numpy as np

from saebook._types import Array

SCALES = ("auto", "common", "features", None)
APART = 10.0  # times the median feature's range, from which the largest would drown the others


@dataclass(frozen=True, eq=False)
class Scaling:
    """Samples less ``mean (n_features,)``, divided by ``scale (n_features,)``."""

    mean: Array
    scale: Array

    @property
    def unit(self) -> float:
        """What the model's unit is in the data, 1 if features have different ones."""
        return float(self.scale[0]) if (self.scale == self.scale[0]).all() else 1.0

    def apply(self, X: Array) -> Array:
        """Samples in the units of the model."""
        return np.asarray((X - self.mean) / self.scale)

    def undo(self, x: Array) -> Array:
        """Samples in the units of the data."""
        return np.asarray(x * self.scale + self.mean)


def learn(X: Array, scale: str | None, name: str) -> Scaling:
    """The scaling of training samples; `name` is the estimator's, for the warnings.

    Parameters
    ----------
    X : array (n_samples, n_features)
    scale : {"auto", "common", "features", None}
        "features" divides each feature by its standard deviation, "common" all by one, the root of
        their mean variance. "auto" is "features" if one feature's range is more than ten times the
        median's, as where units differ, and "common" otherwise, as for pixels, of which those that
        hardly vary should not be blown up. None leaves the samples as they are.
    """
    if not (scale is None or isinstance(scale, str)) or scale not in SCALES:
        raise ValueError(f"scale must be 'auto', 'common', 'features' or None, got {scale!r}.")
    mean, deviation = X.mean(axis=0, dtype=np.float64), X.std(axis=0, dtype=np.float64)
    varies = np.ptp(X, axis=0) > 0
    if len(X) == 1:
        _warn(f"{name} has one sample to learn from: it cannot tell what is usual.")
    elif not varies.any():
        _warn(f"{name} has {len(X)} equal samples to learn from: it cannot tell what is usual.")
    apart = units_differ(X)
    if apart and scale in (None, "common"):
        _warn(
            f"{name} with scale={scale!r} sees little but the features of the largest range, more "
            f"than {APART:g} times the median's; scale='features' treats all alike."
        )
    sizes = np.ones(X.shape[1])
    if scale is None:
        mean = np.zeros(X.shape[1])
    elif scale == "features" or (scale == "auto" and apart):
        sizes = np.where(varies & (deviation > 0), deviation, 1.0)
    elif varies.any():
        sizes *= np.sqrt((deviation[varies] ** 2).mean()) or 1.0
    return Scaling(mean.astype(X.dtype), sizes.astype(X.dtype))


def units_differ(X: Array) -> bool:
    """Whether the range of one feature is more than ten times that of the median feature."""
    ranges = np.ptp(X, axis=0)
    ranges = ranges[ranges > 0]
    return bool(len(ranges) and ranges.max() > APART * np.median(ranges))


def _warn(message: str) -> None:
    warnings.warn(message, UserWarning, stacklevel=2)
