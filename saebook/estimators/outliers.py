"""Outliers by their reconstruction error."""

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import OutlierMixin
from sklearn.utils import check_random_state

from saebook._types import Array, ArrayLike, Self
from saebook.estimators.base import Scores, with_callbacks


@dataclass(eq=False, repr=False, kw_only=True)
class SAEOutlierDetector(OutlierMixin, Scores):
    """Outliers by their reconstruction error.

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
        Seed of the samples held out, the initial weights and the order of the samples. None draws
        another every time.
    contamination : float in (0, 0.5], default=0.1
        Share of the samples, or of the held-out samples, that is to score as outliers. On clean
        data this is the wanted rate of false alarms.
    validation_fraction : float in (0, 1) or None, default=None
        Share of the samples that sets the threshold and is kept out of training. A model rebuilds
        what it was trained on better than what is new, so a threshold from the training samples
        (None) gives more false alarms on new data than `contamination` says.

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
    offset_ : float
        The threshold on `score_samples`: what scores below is an outlier.

    See Also
    --------
    SAETransformer, SAEDenoiser

    Examples
    --------
    >>> import numpy as np
    >>> from saebook.estimators import SAEOutlierDetector
    >>> X = np.random.default_rng(0).normal(size=(500, 2)) @ np.ones((2, 10))
    >>> detector = SAEOutlierDetector(n_latents=16, epochs=20, random_state=0).fit(X)
    >>> detector.predict(np.vstack([np.ones((1, 10)), 10 * (-1.0) ** np.arange(10)]))
    array([ 1, -1])
    """

    contamination: float = 0.1
    validation_fraction: float | None = None

    @with_callbacks
    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Train on X, most of which should be normal, and set the threshold.

        Parameters
        ----------
        X : array-like (n_samples, n_features), or a loader of such arrays
            Samples of any form that `saebook.training.fit` takes, images among them; a loader is
            read to its end first.
        y : ignored

        Returns
        -------
        self
        """
        X = self._check(X, reset=True)
        if not isinstance(self.contamination, Real) or not 0 < self.contamination <= 0.5:
            raise ValueError(
                f"contamination must be above 0 and at most 0.5, got {self.contamination!r}."
            )
        train = held_out = X
        if self.validation_fraction is not None:
            share = self.validation_fraction
            if not isinstance(share, Real) or not 0 < share < 1:
                raise ValueError(
                    f"validation_fraction must be None or between 0 and 1, got {share!r}."
                )
            n_held_out = int(np.ceil(share * len(X)))
            if n_held_out >= len(X):
                raise ValueError(
                    f"validation_fraction must leave samples to train on, got {share!r} "
                    f"of {len(X)} sample(s)."
                )
            order = check_random_state(self.random_state).permutation(len(X))
            held_out, train = X[order[:n_held_out]], X[order[n_held_out:]]
        self._fit(train)
        self._fold_constant_features(train)
        self.offset_: float = float(np.quantile(self._errors(held_out), self.contamination))
        return self

    def _fold_constant_features(self, X: Array) -> None:
        """Put what constant features add to the code into the bias.

        A feature that is 0 in all of X leaves its encoder weights as they were drawn. New data in
        which it is not 0 would meet them, and a single pixel could change the whole code.
        """
        constant = np.ptp(X, axis=0) == 0
        if not self.config_.tied and constant.any():
            W_enc = self.params_["W_enc"]
            self.params_["b_enc"] = self.params_["b_enc"] + X[0, constant] @ W_enc[constant]
            W_enc[constant] = 0

    def decision_function(self, X: ArrayLike) -> Array:
        """`score_samples` less the threshold: negative for outliers.

        Parameters
        ----------
        X : array-like (n_samples, n_features)

        Returns
        -------
        ndarray (n_samples,)
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X: ArrayLike) -> Array:
        """1 for what looks normal, -1 for outliers.

        Parameters
        ----------
        X : array-like (n_samples, n_features)

        Returns
        -------
        ndarray of int (n_samples,)
        """
        return np.where(self.decision_function(X) < 0, -1, 1)
