"""Outliers by their distance from what an autoencoder rebuilds and from training samples."""

from dataclasses import dataclass
from hashlib import blake2b
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import OutlierMixin
from sklearn.neighbors import NearestNeighbors

from saebook import inference
from saebook._types import Array, ArrayLike, Params, Self
from saebook.config import SAEConfig
from saebook.estimators.base import SAE, with_callbacks
from saebook.estimators.training import LARGE, array
from saebook.metrics import reconstruction_error
from saebook.parameters import shifted_biases

MOST = 10_000  # training samples among which neighbours are sought


@dataclass(eq=False, repr=False, kw_only=True)
class SAEOutlierDetector(OutlierMixin, SAE):
    """Outliers by two distances: from their reconstruction, and from the nearest training samples.

    The score is the negative sum of both: the root of the squared reconstruction error, and the
    mean distance from the five nearest training samples. The first sees what breaks the rules that
    all samples follow, the second what follows them to where no sample was. A sample of the
    training data gets the score that it had when it was held out, so that `contamination` of them,
    and about as many of new clean samples, are outliers.

    Parameters
    ----------
    n_latents : int or "auto", default="auto"
        Width of the code; "auto" is 64.
    sparsity : {"auto"}, a kind such as KL, L1 or BatchTopK, or None, default="auto"
        Kind of sparsity. "auto" keeps one latent in eight of each sample, ``TopK(n_latents / 8)``,
        rounded up. None is a plain autoencoder.
    activation : {"relu", "linear", "sigmoid"}, default="relu"
    output : {"linear", "sigmoid"}, default="linear"
    reconstruction : {"squared_error", "bce"}, default="squared_error"
    tied : bool, default=True
    unit_norm : bool, default=False
    weight_decay : float, default=0.0
        These describe the model, as in `saebook.config.SAEConfig`.
    scale : {"auto", "common", "features"} or None, default="auto"
        What samples, less their mean, are divided by before the model sees them: "common", one
        standard deviation for all; "features", each feature's own.
        "auto" is "features" if one feature's range is more than ten times the median's, as where
        units differ, else "common". None leaves samples as they are, and
        so does "auto" if the output is a sigmoid.
    epochs : int or "auto", default="auto"
        Passes over the samples. "auto" is as many as make 300 steps, and at least 10, but no
        more than were best for a fifth of the samples, which a first training did not see;
        the learning rate then falls over the second half.
    batch_size : int, default=128
    learning_rate : float, default=2e-3
        These describe the training, as in `saebook.config.TrainConfig`.
    backend : {"pytorch", "tensorflow"}, default="pytorch"
        The framework that trains.
    device : str, default="auto"
        Where it trains, as in ``SparseAutoencoder``.
    random_state : int, RandomState instance or None, default=None
        Seed of the samples held out, the initial weights and the order of the samples. None draws
        another every time.
    contamination : float in (0, 0.5], default=0.1
        Share of the samples that is to score as outliers. On clean data this is the wanted rate of
        false alarms.
    validation_fraction : {"auto"}, float in (0, 1) or None, default="auto"
        What sets the threshold. A model knows what it was trained on better than what is new, so
        scores of training samples (None) give more false alarms on new data than `contamination`
        says. "auto" gives each sample the score of a model that was trained on four fifths of the
        others; from 5,000 samples on, as with a number, that share is kept out of training and
        neighbours and sets the threshold, a fifth of them.
    n_neighbors : int >= 0, default=5
        Training samples to which the distance is measured; 0 leaves the reconstruction alone.

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
    neighbors_ : sklearn.neighbors.NearestNeighbors or None
        The scaled training samples, at most 10,000 of them.
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
    >>> detector = SAEOutlierDetector(random_state=0).fit(X)
    >>> detector.predict(np.vstack([np.ones((1, 10)), 10 * (-1.0) ** np.arange(10)]))
    array([ 1, -1])
    """

    contamination: float = 0.1
    validation_fraction: float | str | None = "auto"
    n_neighbors: int = 5

    _width: ClassVar[int] = 64
    _kept: ClassVar[int] = 8
    _steps: ClassVar[int] = 300

    @with_callbacks
    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Train on X, most of which should be normal, and set the threshold.

        Parameters
        ----------
        X : array-like (n_samples, n_features), or a loader of such arrays
            Samples of any form that ``fit`` takes, images among them; a loader is
            read to its end first.
        y : ignored

        Returns
        -------
        self
        """
        given, X = X, self._check(X, reset=True)
        self._check_settings(len(X))
        config, seed, scaled = self._begin(X)
        x = scaled.apply(X)
        order = np.random.default_rng(seed).permutation(len(x))
        share: Any = self.validation_fraction or 0.0
        parts: list[Array] = []
        if share == "auto":
            share = 0.2 if len(x) >= LARGE else 0.0
            parts = [] if share else np.array_split(order, min(5, len(x)))
        held, rest = np.split(order, [int(np.ceil(share * len(x)))])
        scores, epochs = self._held_out_scores(config, seed, x, parts)
        near = self._neighbours(x[rest], seed)
        ready: dict[str, Any] = {
            "scaling_": scaled,
            "neighbors_": near,
            "offset_": 0.0,
            "_known": {},
        }
        self._fit(config, seed, x[rest], ready, (given, None), epochs)
        self._fold_constant_features(x[rest])
        if len(held):
            scores[held] = _scores(config, self.params_, near, x[held])
        known = np.flatnonzero(np.isfinite(scores))
        if len(known):
            scores = scores[known] * scaled.unit
            self._known = dict(zip(map(_mark, X[known]), scores.tolist(), strict=True))
        else:
            scores = self._scores(X)
        self.offset_: float = float(np.quantile(scores, self.contamination))
        return self

    def _check_settings(self, n_samples: int) -> None:
        if not isinstance(self.contamination, Real) or not 0 < self.contamination <= 0.5:
            raise ValueError(
                f"contamination must be above 0 and at most 0.5, got {self.contamination!r}."
            )
        neighbours = self.n_neighbors
        if not isinstance(neighbours, Integral) or neighbours < 0:
            raise ValueError(f"n_neighbors must be an integer of at least 0, got {neighbours!r}.")
        share: Any = self.validation_fraction
        if share is None or (isinstance(share, str) and share == "auto"):
            return
        if not isinstance(share, Real) or not 0 < share < 1:
            raise ValueError(
                f"validation_fraction must be 'auto', None or between 0 and 1, got {share!r}."
            )
        if np.ceil(float(share) * n_samples) >= n_samples:
            raise ValueError(
                f"validation_fraction must leave samples to train on, got {share!r} "
                f"of {n_samples} sample(s)."
            )

    def _held_out_scores(
        self, config: SAEConfig, seed: int, x: Array, parts: list[Array]
    ) -> tuple[Array, int | None]:
        """Score of each scaled sample by a model that has not seen it, NaN where there is none.

        The second value is the number of epochs after which training should stop, if that was to be
        found.
        """
        scores, epochs = np.full(len(x), np.nan), []
        for held in parts:
            rest = np.setdiff1d(np.arange(len(x)), held)
            if not len(rest):  # a single sample
                continue
            data, held_out = array(config, seed, x[rest]), (x[held], None)
            trained = self._train(config, seed, data, held_out if self._automatic else None)
            near = self._neighbours(x[rest], seed)
            scores[held] = _scores(config, trained.model.to_numpy(), near, x[held])
            epochs.append(trained.epochs)
        return scores, int(np.median(epochs)) if epochs and self._automatic else None

    def _neighbours(self, x: Array, seed: int) -> NearestNeighbors | None:
        """What finds the nearest of the scaled training samples, of a part if there are many."""
        if not self.n_neighbors:
            return None
        rows = np.random.default_rng(seed).permutation(len(x))[:MOST]
        return NearestNeighbors(n_neighbors=min(self.n_neighbors, len(rows))).fit(x[rows])

    def _fold_constant_features(self, x: Array) -> None:
        """Put what constant features add to the code into the bias.

        A feature that is 0 in all of x leaves its encoder weights as they were drawn. New data in
        which it is not 0 would meet them, and a single pixel could change the whole code.
        """
        constant = np.ptp(x, axis=0) == 0
        if not self.config_.tied and constant.any():
            W_enc = self.params_["W_enc"]
            seen = x[0] - self.params_["b_dec"] if self.config_.pre_bias else x[0]
            self.params_ |= shifted_biases(self.params_, seen[constant] @ W_enc[constant])
            W_enc[constant] = 0

    def _scores(self, X: Array) -> Array:
        scores = np.empty(len(X))
        for rows in inference.blocks(self.config_, len(X)):
            x = self.scaling_.apply(X[rows])
            scores[rows] = _scores(self.config_, self.params_, self.neighbors_, x)
        scores *= self.scaling_.unit
        if self._known:
            found = [self._known.get(_mark(row)) for row in X]
            seen = [number for number, score in enumerate(found) if score is not None]
            scores[seen] = [found[number] for number in seen]
        return scores

    def score_samples(self, X: ArrayLike) -> Array:
        """Negative distance from what is normal: larger is more normal.

        Parameters
        ----------
        X : array-like (n_samples, n_features)

        Returns
        -------
        ndarray (n_samples,)
            In units of the data; where features were scaled one by one, in theirs.
        """
        return self._scores(self._check(X, reset=False))

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


def _scores(config: SAEConfig, params: Params, near: NearestNeighbors | None, x: Array) -> Array:
    """Negative sum of the two distances, of scaled samples."""
    _, _, _, x_hat = zip(*inference.rebuilt(config, params, x), strict=True)
    distances = np.sqrt(reconstruction_error(x, np.concatenate(x_hat)))
    return -distances if near is None else -distances - near.kneighbors(x)[0].mean(axis=1)


def _mark(row: Array) -> bytes:
    """What tells a sample from others; -0 is 0."""
    return blake2b((row + 0.0).tobytes(), digest_size=16).digest()
