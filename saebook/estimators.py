"""scikit-learn's faces of the sparse autoencoder: transformer, outlier detector, denoiser.

Training runs in PyTorch or TensorFlow. What is fitted is NumPy, and so is all that a fitted
estimator computes: it can be pickled, and used, where neither framework is installed.
"""

import dataclasses
from collections.abc import Callable
from importlib import import_module
from numbers import Real
from typing import Any, TypeVar

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    OneToOneFeatureMixin,
    OutlierMixin,
    TransformerMixin,
)
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from saebook import reference
from saebook._types import Array, ArrayLike, Corruption, Model, Self
from saebook.checkpoint import Checkpoint, State
from saebook.config import SAEConfig, Sparsity, TopK, TrainConfig
from saebook.corruption import GaussianNoise
from saebook.metrics import reconstruction_error
from saebook.weights import BACKENDS

_T = TypeVar("_T")

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn before 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in for the callbacks that this scikit-learn does not have."""

    def with_callbacks(method: _T) -> _T:
        """The method itself."""
        return method


_PARAMETERS = """
    Parameters
    ----------
    n_latents : int, default=64
        Width of the code.
    sparsity : {{"auto"}}, a kind such as KL, L1 or BatchTopK, or None, default="auto"
        Kind of sparsity. "auto" keeps one latent in eight of each sample: ``TopK(n_latents / 8)``,
        rounded up. None is a plain autoencoder.
    activation : {{"relu", "linear", "sigmoid"}}, default="relu"
    output : {{"linear", "sigmoid"}}, default="linear"
    reconstruction : {{"squared_error", "bce"}}, default="squared_error"
    tied : bool, default=True
    unit_norm : bool, default=False
    weight_decay : float, default=0.0
        These describe the model, as in `saebook.config.SAEConfig`.
    epochs : int, default=50
    batch_size : int, default=128
    learning_rate : float, default=3e-3
        These describe the training, as in `saebook.config.TrainConfig`.{more}
    backend : {{"pytorch", "tensorflow"}}, default="pytorch"
        The framework that trains.
    device : str, default="auto"
        Where it trains, as in ``SparseAutoencoder``.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial weights, the order of the samples and the noise. None draws another
        every time.

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
    n_features_in_ : int
    feature_names_in_ : ndarray of str, where the data had names"""


def _documented(more: str = "", more_attributes: str = "") -> Callable[[type[_T]], type[_T]]:
    def decorate(cls: type[_T]) -> type[_T]:
        cls.__doc__ = (cls.__doc__ or "").replace(
            "{parameters}", _PARAMETERS.format(more=more).strip() + more_attributes
        )
        return cls

    return decorate


class _SAE(CallbackSupportMixin, BaseEstimator):
    """Parameters and training, the same for all three."""

    def __init__(
        self,
        n_latents: int = 64,
        *,
        sparsity: Sparsity | str | None = "auto",
        activation: str = "relu",
        output: str = "linear",
        reconstruction: str = "squared_error",
        tied: bool = True,
        unit_norm: bool = False,
        weight_decay: float = 0.0,
        epochs: int = 50,
        batch_size: int = 128,
        learning_rate: float = 3e-3,
        backend: str = "pytorch",
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_latents = n_latents
        self.sparsity = sparsity
        self.activation = activation
        self.output = output
        self.reconstruction = reconstruction
        self.tied = tied
        self.unit_norm = unit_norm
        self.weight_decay = weight_decay
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.backend = backend
        self.device = device
        self.random_state = random_state

    def _config(self, n_features: int) -> SAEConfig:
        automatic = isinstance(self.sparsity, str)
        if automatic and self.sparsity != "auto":
            raise ValueError(
                "sparsity must be 'auto', None or a kind of sparsity such as TopK(k), "
                f"got {self.sparsity!r}."
            )
        config = SAEConfig(
            n_features,
            self.n_latents,
            self.activation,
            self.output,
            self.reconstruction,
            None if isinstance(self.sparsity, str) else self.sparsity,
            self.tied,
            self.unit_norm,
            self.weight_decay,
        )
        if automatic:
            config = dataclasses.replace(config, sparsity=TopK(-(-config.n_latents // 8)))
        return config

    def _train_config(self, seed: int, epochs: int) -> TrainConfig:
        return TrainConfig(epochs, self.batch_size, self.learning_rate, seed=seed)

    def _check(self, X: ArrayLike, reset: bool) -> Array:
        return validate_data(self, X, reset=reset, dtype=(np.float64, np.float32))

    def _fit(
        self, X: Array, corruption: Corruption | Array | None = None, epochs: int | None = None
    ) -> Self:
        """Train a new model on X, already checked, and keep what it learned in NumPy."""
        if self.backend not in BACKENDS:
            raise ValueError(f"backend must be 'pytorch' or 'tensorflow', got {self.backend!r}.")
        config = self._config(X.shape[1])
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        package = import_module(f"saebook.{self.backend}")
        model = package.SparseAutoencoder(config, seed, str(X.dtype), self.device)
        state = Checkpoint()
        package.fit(
            model,
            X,
            self._train_config(seed, epochs or self.epochs),
            corruption=corruption,
            checkpoint=state,
            progress=False,
            after_epoch=None if epochs else self._epoch_hook(X),
        )
        self._keep(model, state, seed)
        return self

    def _keep(self, model: Model, state: State, seed: int) -> None:
        self.config_, self.params_ = model.config, model.to_numpy()
        self.components_ = reference.dictionary(self.config_, self.params_)
        self.history_, self.n_iter_ = state.history, state.epochs
        self._seed, self._adam = seed, state.adam

    def _epoch_hook(self, X: Array) -> Callable[[int, dict[str, float]], bool] | None:
        """What tells scikit-learn's callbacks of each epoch, or None if there are none."""
        if not getattr(self, "_skl_callbacks", None):
            return None
        root = self._init_callback_context(max_subtasks=self.epochs)
        root.call_on_fit_task_begin(estimator=self, X=X)
        contexts: dict[int, Any] = {}

        def begin(number: int) -> None:
            contexts[number] = root.subcontext(task_name="epoch")
            contexts[number].call_on_fit_task_begin(estimator=self, X=X)

        begin(1)

        def after_epoch(number: int, row: dict[str, float]) -> bool:
            stop = contexts.pop(number).call_on_fit_task_end(estimator=self, X=X, metadata=row)
            if stop or number == self.epochs:
                root.call_on_fit_task_end(estimator=self, X=X)
            else:
                begin(number + 1)
            return stop

        return after_epoch

    def _reconstruct(self, X: Array) -> Array:
        z = reference.encode(self.config_, self.params_, X)
        return reference.decode(self.config_, self.params_, z)

    def _errors(self, X: Array) -> Array:
        return -reconstruction_error(X, self._reconstruct(X))


class _Transformer(TransformerMixin, _SAE):
    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


@_documented()
class SAETransformer(ClassNamePrefixFeaturesOutMixin, _Transformer):
    """Sparse codes as features.

    {parameters}

    See Also
    --------
    SAEOutlierDetector, SAEDenoiser

    Notes
    -----
    The data are taken as they are: put a scaler before it in a pipeline where features have
    different units. The kinds KL and "bce" need ``activation="sigmoid"`` and data in [0, 1].

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from saebook.estimators import SAETransformer
    >>> X = load_digits().data / 16
    >>> sae = SAETransformer(n_latents=32, epochs=5, random_state=0).fit(X)
    >>> Z = sae.transform(X)
    >>> Z.shape, int((Z > 0).sum(axis=1).max())
    ((1797, 32), 4)
    """

    @with_callbacks
    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Train on X.

        Parameters
        ----------
        X : array-like (n_samples, n_features)
        y : ignored

        Returns
        -------
        self
        """
        return self._fit(self._check(X, reset=True))

    def partial_fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Go on training for one pass over X, weights and optimiser as the last call left them.

        Parameters
        ----------
        X : array-like (n_samples, n_features)
        y : ignored

        Returns
        -------
        self
        """
        first = not hasattr(self, "params_")
        X = self._check(X, reset=first)
        if first:
            return self._fit(X, epochs=1)
        package = import_module(f"saebook.{self.backend}")
        dtype = self.params_["W_enc"].dtype
        model = package.SparseAutoencoder(self.config_, self._seed, str(dtype), self.device)
        model.from_numpy(self.params_)
        state = Checkpoint()
        state.epochs, state.history, state.adam = self.n_iter_, self.history_, self._adam
        train_config = self._train_config(self._seed, self.n_iter_ + 1)
        package.fit(model, X.astype(dtype), train_config, checkpoint=state, progress=False)
        self._keep(model, state, self._seed)
        return self

    def transform(self, X: ArrayLike) -> Array:
        """Codes of X.

        Parameters
        ----------
        X : array-like (n_samples, n_features)

        Returns
        -------
        ndarray (n_samples, n_latents)
        """
        check_is_fitted(self)
        return reference.encode(self.config_, self.params_, self._check(X, reset=False))

    def inverse_transform(self, X: ArrayLike) -> Array:
        """Reconstructions from codes.

        Parameters
        ----------
        X : array-like (n_samples, n_latents)

        Returns
        -------
        ndarray (n_samples, n_features)
        """
        check_is_fitted(self)
        z = check_array(X, dtype=(np.float64, np.float32), input_name="X")
        if z.shape[1] != self.config_.n_latents:
            raise ValueError(
                f"X must have shape (n_samples, {self.config_.n_latents}), got {z.shape}."
            )
        return reference.decode(self.config_, self.params_, z)

    def score_samples(self, X: ArrayLike) -> Array:
        """Negative squared reconstruction error of each sample: larger is better rebuilt.

        Parameters
        ----------
        X : array-like (n_samples, n_features)

        Returns
        -------
        ndarray (n_samples,)
        """
        check_is_fitted(self)
        return self._errors(self._check(X, reset=False))

    def score(self, X: ArrayLike, y: Any = None) -> float:
        """Mean of `score_samples`, so that a search over parameters maximises it.

        Parameters
        ----------
        X : array-like (n_samples, n_features)
        y : ignored

        Returns
        -------
        float
        """
        return float(self.score_samples(X).mean())

    @property
    def _n_features_out(self) -> int:
        return self.config_.n_latents


_DETECTOR_MORE = """
    contamination : float in (0, 0.5], default=0.1
        Share of the samples, or of the held-out samples, that is to score as outliers. On clean
        data this is the wanted rate of false alarms.
    validation_fraction : float in (0, 1) or None, default=None
        Share of the samples that sets the threshold and is kept out of training. A model rebuilds
        what it was trained on better than what is new, so a threshold from the training samples
        (None) gives more false alarms on new data than `contamination` says."""

_DETECTOR_ATTRIBUTES = """
    offset_ : float
        The threshold on `score_samples`: what scores below is an outlier."""


@_documented(_DETECTOR_MORE, _DETECTOR_ATTRIBUTES)
class SAEOutlierDetector(OutlierMixin, _SAE):
    """Outliers by their reconstruction error.

    {parameters}

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

    offset_: float

    def __init__(
        self,
        n_latents: int = 64,
        *,
        sparsity: Sparsity | str | None = "auto",
        activation: str = "relu",
        output: str = "linear",
        reconstruction: str = "squared_error",
        tied: bool = True,
        unit_norm: bool = False,
        weight_decay: float = 0.0,
        epochs: int = 50,
        batch_size: int = 128,
        learning_rate: float = 3e-3,
        contamination: float = 0.1,
        validation_fraction: float | None = None,
        backend: str = "pytorch",
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        super().__init__(
            n_latents,
            sparsity=sparsity,
            activation=activation,
            output=output,
            reconstruction=reconstruction,
            tied=tied,
            unit_norm=unit_norm,
            weight_decay=weight_decay,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            backend=backend,
            device=device,
            random_state=random_state,
        )
        self.contamination = contamination
        self.validation_fraction = validation_fraction

    @with_callbacks
    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Train on X, most of which should be normal, and set the threshold.

        Parameters
        ----------
        X : array-like (n_samples, n_features)
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
        self.offset_ = float(np.quantile(self._errors(held_out), self.contamination))
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

    def score_samples(self, X: ArrayLike) -> Array:
        """Negative squared reconstruction error of each sample: larger is more normal.

        Parameters
        ----------
        X : array-like (n_samples, n_features)

        Returns
        -------
        ndarray (n_samples,)
        """
        check_is_fitted(self)
        return self._errors(self._check(X, reset=False))

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


_DENOISER_MORE = """
    corruption : {{"auto"}}, callable or None, default="auto"
        What spoils the clean samples in training, anew in every epoch; see `saebook.corruption`.
        "auto" is normal noise of half the standard deviation of all the training data. None trains
        on pairs: `fit` then takes the noisy samples and the clean ones."""


@_documented(_DENOISER_MORE.replace("{{", "{").replace("}}", "}"))
class SAEDenoiser(OneToOneFeatureMixin, _Transformer):
    """Noise taken out of samples.

    {parameters}

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

    def __init__(
        self,
        n_latents: int = 64,
        *,
        sparsity: Sparsity | str | None = "auto",
        activation: str = "relu",
        output: str = "linear",
        reconstruction: str = "squared_error",
        tied: bool = True,
        unit_norm: bool = False,
        weight_decay: float = 0.0,
        epochs: int = 50,
        batch_size: int = 128,
        learning_rate: float = 3e-3,
        corruption: Corruption | str | None = "auto",
        backend: str = "pytorch",
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        super().__init__(
            n_latents,
            sparsity=sparsity,
            activation=activation,
            output=output,
            reconstruction=reconstruction,
            tied=tied,
            unit_norm=unit_norm,
            weight_decay=weight_decay,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            backend=backend,
            device=device,
            random_state=random_state,
        )
        self.corruption = corruption

    @with_callbacks
    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> Self:
        """Train to rebuild clean samples from noisy ones.

        Parameters
        ----------
        X : array-like (n_samples, n_features)
            Clean samples; with ``corruption=None`` the noisy ones.
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
            clean = check_array(y, dtype=X.dtype, input_name="y")
            if clean.shape != X.shape:
                raise ValueError(
                    f"y must hold a clean sample for each noisy one, {X.shape}, got {clean.shape}."
                )
            return self._fit(clean, corruption=X)
        if isinstance(self.corruption, str) and self.corruption == "auto":
            return self._fit(X, GaussianNoise(0.5 * float(X.std()), clip=False))
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
        ndarray (n_samples, n_features)
        """
        check_is_fitted(self)
        return self._reconstruct(self._check(X, reset=False))
