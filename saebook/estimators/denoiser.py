"""Noise taken out of samples, by a linear filter and an autoencoder that corrects it."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from sklearn.base import OneToOneFeatureMixin
from sklearn.utils.validation import check_array

from saebook import inference, reference
from saebook._types import Array, ArrayLike, Corruption, Self
from saebook.checks import as_array, as_rows
from saebook.config import SAEConfig
from saebook.corruption import GaussianNoise
from saebook.estimators.base import Transforms, in_shape, with_callbacks
from saebook.estimators.filters import Filter, Pairs, Residuals, learn_filter, within
from saebook.estimators.start import from_samples
from saebook.estimators.training import Data, hold_out
from saebook.start import noise_generator


@dataclass(eq=False, repr=False, kw_only=True)
class SAEDenoiser(OneToOneFeatureMixin, Transforms):
    """Noise taken out of samples, by a linear filter and an autoencoder that corrects it.

    The filter is the linear one of least mean squared error (Wiener 1949). The autoencoder learns
    what it leaves over. How much of that is added is decided on a fifth of the samples, kept aside:
    as much as lowers their error most, and nothing unless the error falls by more than its standard
    error. So the estimator is about as good as the filter where it cannot be better.

    Parameters
    ----------
    n_latents : int or "auto", default="auto"
        Width of the code; "auto" is 256.
    sparsity : {"auto"}, a kind such as KL, L1 or BatchTopK, or None, default="auto"
        Kind of sparsity. "auto" keeps all that the ReLU leaves. None is a plain autoencoder.
    activation : {"relu", "linear", "sigmoid"}, default="relu"
    output : {"linear"}, default="linear"
    reconstruction : {"squared_error"}, default="squared_error"
    tied : bool, default=False
    unit_norm : bool, default=False
    weight_decay : float, default=0.0
        These describe the model, as in `saebook.config.SAEConfig`.
    scale : {"auto", "common", "features"} or None, default="auto"
        What samples, less their mean, are divided by before the model sees them: "common", one
        standard deviation for all; "features", each feature's own.
        "auto" is "common", since noise has one size. None leaves samples as they are.
    epochs : int or "auto", default="auto"
        Passes over the samples. "auto" is as many as make 1000 steps, and at least 10, but no
        more than were best for a fifth of the samples, which a first training did not see.
    batch_size : int, default=128
    learning_rate : float, default=2e-3
        These describe the training, as in `saebook.config.TrainConfig`.
    backend : {"pytorch", "tensorflow"}, default="pytorch"
        The framework that trains.
    device : str, default="auto"
        Where it trains, as in ``SparseAutoencoder``.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial weights, the order of the samples and the noise. None draws another
        every time.
    corruption : {"auto"}, callable or None, default="auto"
        What spoils the clean samples in training, anew in every epoch; see `saebook.corruption`.
        "auto" is normal noise of half the standard deviation of all the training data. None trains
        on pairs: `fit` then takes the noisy samples and the clean ones.

    Attributes
    ----------
    params_ : dict of str to ndarray
        ``W_enc (n_features, n_latents)``, ``b_enc (n_latents,)``, ``b_dec (n_features,)`` and,
        unless tied, ``W_dec (n_latents, n_features)``; float32 for float32 data, else float64.
    config_ : SAEConfig
    scaling_ : object
        ``mean (n_features,)`` and ``scale (n_features,)``, by which samples are scaled.
    history_ : dict of str to list of float
        What ``fit`` of the framework returned: a value for each epoch.
    n_iter_ : int
        Epochs trained.
    image_shape_ : tuple of int or None
        The shape of a sample, if `fit` was given images.
    n_features_in_ : int
    feature_names_in_ : ndarray of str, where the data had names
    filter_ : ndarray (n_features, n_features)
    filter_offset_ : ndarray (n_features,)
        The linear filter, in units of the model: ``x @ filter_ + filter_offset_``.
    correction_ : float in [0, 1]
        How much of the correction is added; 0 where it did not help and the filter works alone.

    See Also
    --------
    SAETransformer, SAEOutlierDetector

    Examples
    --------
    >>> import numpy as np
    >>> from saebook.estimators import SAEDenoiser
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(1000, 2)) @ rng.normal(size=(2, 20))
    >>> denoiser = SAEDenoiser(epochs=20, random_state=0).fit(X)
    >>> noisy = X + rng.normal(size=X.shape)
    >>> bool(np.mean((denoiser.transform(noisy) - X) ** 2) < 0.5 * np.mean((noisy - X) ** 2))
    True
    """

    tied: bool = False
    corruption: Corruption | str | None = "auto"

    _kept: ClassVar[int] = 0
    _steps: ClassVar[int] = 1000

    @with_callbacks
    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> Self:
        """Train to rebuild clean samples from noisy ones.

        Parameters
        ----------
        X : array-like (n_samples, n_features), or a loader of such arrays
            Samples of any form that ``fit`` takes, images among them; a loader is
            read to its end first. Clean samples; with ``corruption=None`` the noisy ones.
        y : array-like (n_samples, n_features), optional
            With ``corruption=None`` the clean samples; ignored otherwise.

        Returns
        -------
        self
        """
        given, X = (X, y), self._check(X, reset=True)
        pairs = self._pairs(X, y)
        clean = pairs.clean
        config, seed, scaled = self._begin(clean, scale="common")
        if config.output != "linear":
            raise ValueError(f"output must be 'linear', as a correction is, got {config.output!r}.")
        strength, epochs = 0.0, None
        if (parts := hold_out(len(clean), seed)) is not None:
            rest, held = (pairs.part(rows) for rows in parts)
            left = Residuals(rest, scaled, learn_filter(rest, scaled, seed), seed, self.batch_size)
            rows = np.arange(len(held.clean)).repeat(-(-1000 // len(held.clean)))
            target, seen = left.of(held).batch(rows, noise_generator(seed))
            seen = within(seen, left.farthest)
            held_out = (target, seen) if self._automatic else None
            trained = self._train(config, seed, self._data(config, seed, left), held_out)
            epochs = trained.epochs if self._automatic else None
            rebuilt = inference.rebuilt(config, trained.model.to_numpy(), seen)
            strength = worth(target, np.concatenate([x_hat for *_, x_hat in rebuilt]), rows)
        linear = learn_filter(pairs, scaled, seed)
        left = Residuals(pairs, scaled, linear, seed, self.batch_size)
        ready = {
            "scaling_": scaled,
            "filter_": linear.matrix,
            "filter_offset_": linear.offset,
            "correction_": strength,
            "_units": (*left.units, left.farthest),
        }
        hook = self._hook(ready, given, epochs)
        self._keep(
            self._train(config, seed, self._data(config, seed, left), None, epochs, hook), ready
        )
        return self

    def _pairs(self, X: Array, y: ArrayLike | None) -> Pairs:
        """Clean samples and their noise."""
        if self.corruption is None:
            if y is None:
                raise ValueError("y must hold the clean samples when corruption is None, got None.")
            given = as_rows(as_array(y, "y"), "y")
            clean = check_array(given, dtype=X.dtype, input_name="y")
            if clean.shape != X.shape:
                raise ValueError(
                    f"y must hold a clean sample for each noisy one, {X.shape}, got {clean.shape}."
                )
            return Pairs(clean, X)
        if isinstance(self.corruption, str) and self.corruption == "auto":
            return Pairs(X, GaussianNoise(0.5 * float(X.std(dtype=np.float64)), clip=False))
        if not callable(self.corruption):
            raise ValueError(
                f"corruption must be 'auto', None or a function, got {self.corruption!r}."
            )
        return Pairs(X, self.corruption, self.image_shape_)

    def _data(self, config: SAEConfig, seed: int, left: Residuals) -> Data:
        """Residuals to train on; at the start nothing is added to the filter."""
        start = from_samples(config, left.seen, seed)
        if start is not None and not config.tied:
            start |= {"W_dec": np.zeros_like(start["W_dec"]), "b_dec": np.zeros(config.n_features)}
        elif config.tied:
            start = None
        clean = left.pairs.clean
        return Data(left, len(clean), clean.dtype, start, left)

    def transform(self, X: ArrayLike) -> Array:
        """X without its noise.

        Parameters
        ----------
        X : array-like (n_samples, n_features)

        Returns
        -------
        ndarray (n_samples, n_features), or of images in their shape
        """
        X, shape = self._rows(X, reset=False)
        clean = np.empty_like(X)
        linear, dtype = Filter(self.filter_, self.filter_offset_), self.filter_.dtype.type
        seen_unit, unit, farthest = self._units
        for rows in inference.blocks(self.config_, len(X)):
            x = linear(self.scaling_.apply(X[rows]))
            if self.correction_ > 0:
                seen = within(x / dtype(seen_unit), farthest)
                z = inference.encode(self.config_, self.params_, seen)
                added = reference.decode(self.config_, self.params_, z)
                x = x + dtype(self.correction_ * unit) * added
            clean[rows] = self.scaling_.undo(x)
        return in_shape(clean, shape)


def worth(target: Array, correction: Array, rows: Array) -> float:
    """How much of a correction to add, from 0 to 1, by the targets of samples kept aside.

    0 unless the error of the samples falls by more than its standard error; `rows` says which of
    the targets are of one sample.
    """
    strength = float((target * correction).sum() / max((correction**2).sum(), 1e-300))
    strength = min(max(strength, 0.0), 1.0)
    gain = (target**2 - (target - strength * correction) ** 2).sum(axis=1)
    gain = np.bincount(rows, gain) / np.bincount(rows)
    enough = len(gain) > 1 and gain.mean() > gain.std(ddof=1) / np.sqrt(len(gain))
    return strength if enough else 0.0
