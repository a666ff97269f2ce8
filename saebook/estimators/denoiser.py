"""Noise taken out of samples."""

from dataclasses import dataclass

import numpy as np
from sklearn.base import OneToOneFeatureMixin
from sklearn.utils.validation import check_array

from saebook._types import Array, ArrayLike, Corruption, Self
from saebook.checks import as_array, as_rows
from saebook.corruption import GaussianNoise
from saebook.estimators.base import Transforms, in_shape, with_callbacks


@dataclass(eq=False, repr=False, kw_only=True)
class SAEDenoiser(OneToOneFeatureMixin, Transforms):
    """Noise taken out of samples.

    Parameters
    ----------
    n_latents : int, default=64
        Width of the code.
    sparsity : {"auto"}, a kind such as KL, L1 or BatchTopK, or None, default="auto"
        Kind of sparsity. "auto" keeps one latent in eight of each sample: ``TopK(n_latents / 8)``,
        rounded up. None is a plain autoencoder.
    activation : {"relu", "linear", "sigmoid"}, default="relu"
    output : {"linear", "sigmoid"}, default="linear"
    reconstruction : {"squared_error", "bce"}, default="squared_error"
    tied : bool, default=True
    unit_norm : bool, default=False
    weight_decay : float, default=0.0
        These describe the model, as in `saebook.config.SAEConfig`.
    epochs : int, default=50
    batch_size : int, default=128
    learning_rate : float, default=3e-3
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
    components_ : ndarray (n_latents, n_features)
        The dictionary: what each latent adds to the reconstruction.
    config_ : SAEConfig
    history_ : dict of str to list of float
        What ``fit`` of the framework returned: a value for each epoch.
    n_iter_ : int
        Epochs trained.
    image_shape_ : tuple of int or None
        The shape of a sample, if `fit` was given images.
    n_features_in_ : int
    feature_names_in_ : ndarray of str, where the data had names

    See Also
    --------
    SAETransformer, SAEOutlierDetector

    Examples
    --------
    >>> import numpy as np
    >>> from saebook.estimators import SAEDenoiser
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(1000, 2)) @ rng.normal(size=(2, 20))
    >>> denoiser = SAEDenoiser(n_latents=32, epochs=20, random_state=0).fit(X)
    >>> noisy = X + rng.normal(size=X.shape)
    >>> bool(np.mean((denoiser.transform(noisy) - X) ** 2) < 0.5 * np.mean((noisy - X) ** 2))
    True
    """

    corruption: Corruption | str | None = "auto"

    @with_callbacks
    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> Self:
        """Train to rebuild clean samples from noisy ones.

        Parameters
        ----------
        X : array-like (n_samples, n_features), or a loader of such arrays
            Samples of any form that `saebook.training.fit` takes, images among them; a loader is
            read to its end first. Clean samples; with ``corruption=None`` the noisy ones.
        y : array-like (n_samples, n_features), optional
            With ``corruption=None`` the clean samples; ignored otherwise.

        Returns
        -------
        self
        """
        X = self._check(X, reset=True)
        if self.corruption is None:
            if y is None:
                raise ValueError("y must hold the clean samples when corruption is None, got None.")
            given = as_rows(as_array(y, "y"), "y")
            clean = check_array(given, dtype=X.dtype, input_name="y")
            if clean.shape != X.shape:
                raise ValueError(
                    f"y must hold a clean sample for each noisy one, {X.shape}, got {clean.shape}."
                )
            return self._fit(clean, corruption=X, told=(X, clean))
        if isinstance(self.corruption, str) and self.corruption == "auto":
            return self._fit(X, GaussianNoise(0.5 * float(X.std(dtype=np.float64)), clip=False))
        if not callable(self.corruption):
            raise ValueError(
                f"corruption must be 'auto', None or a function, got {self.corruption!r}."
            )
        return self._fit(X, self.corruption)

    def transform(self, X: ArrayLike) -> Array:
        """X without its noise.

        Parameters
        ----------
        X : array-like (n_samples, n_features)

        Returns
        -------
        ndarray (n_samples, n_features), or of images in their shape
        """
        rows, shape = self._rows(X, reset=False)
        return in_shape(self._reconstruct(rows), shape)
