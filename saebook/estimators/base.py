"""Parameters and training, the same for all three estimators."""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, replace
from importlib import import_module
from typing import Any, TypeVar

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from saebook import reference
from saebook._types import Array, Corruption, Samples, Self, Shape
from saebook.checkpoint import Checkpoint
from saebook.checks import same_images
from saebook.config import SAEConfig, TrainConfig
from saebook.kinds import Sparsity, TopK
from saebook.loaders import whole
from saebook.metrics import reconstruction_error
from saebook.parameters import dictionary
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


@dataclass(eq=False, repr=False)
class SAE(CallbackSupportMixin, BaseEstimator):
    """Parameters and training, the same for all three.

    A dataclass, whose ``__init__`` is what scikit-learn asks for: a signature with all parameters
    that only assigns them. Comparison and repr stay scikit-learn's.
    """

    n_latents: int = 64
    _: KW_ONLY
    sparsity: Sparsity | str | None = "auto"
    activation: str = "relu"
    output: str = "linear"
    reconstruction: str = "squared_error"
    tied: bool = True
    unit_norm: bool = False
    weight_decay: float = 0.0
    epochs: int = 50
    batch_size: int = 128
    learning_rate: float = 3e-3
    backend: str = "pytorch"
    device: str = "auto"
    random_state: int | np.random.RandomState | None = None

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
            config = replace(config, sparsity=TopK(-(-config.n_latents // 8)))
        return config

    def _train_config(self, seed: int, epochs: int) -> TrainConfig:
        return TrainConfig(epochs, self.batch_size, self.learning_rate, seed=seed)

    def _check(self, X: Samples, reset: bool) -> Array:
        """X as rows: samples to train on where `reset`, or such as were trained on."""
        return self._rows(X, reset)[0]

    def _rows(self, X: Samples, reset: bool) -> tuple[Array, Shape | None]:
        """The same, and the shape of a sample if that is an image; `reset` remembers it."""
        if not reset:
            check_is_fitted(self)
        given, shape = whole(X, "X", ordered=not reset)
        known = None if reset else getattr(self, "image_shape_", None)
        if shape and known and not same_images(shape, known):
            raise ValueError(f"X must hold images in shape {known}, as in fit, got {shape}.")
        array = check_array(given, dtype=(np.float64, np.float32), estimator=self, input_name="X")
        named = X if hasattr(X, "columns") else array
        validate_data(self, named, reset=reset, skip_check_array=True)  # names, number of features
        if reset:
            self.image_shape_ = shape
        return array, shape

    def _fit(
        self,
        X: Array,
        corruption: Corruption | Array | None = None,
        epochs: int | None = None,
        told: tuple[Any, Any] | None = None,
    ) -> Self:
        """Train a new model on X, already checked, and keep what it learned in NumPy.

        `told` is what scikit-learn's callbacks are told of: the user's own X and y.
        """
        if self.backend not in BACKENDS:
            raise ValueError(f"backend must be 'pytorch' or 'tensorflow', got {self.backend!r}.")
        config = self._config(X.shape[1])
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        package = import_module(f"saebook.{self.backend}")
        model = package.SparseAutoencoder(config, seed, str(X.dtype), self.device)
        state = Checkpoint()
        package.fit(
            model,
            in_shape(X, self.image_shape_),
            self._train_config(seed, epochs or self.epochs),
            corruption=corruption,
            checkpoint=state,
            progress=False,
            after_epoch=None if epochs else self._epoch_hook(model, *(told or (X, None))),
        )
        self._keep(model, state, seed)
        return self

    def _keep(self, model: Any, state: Checkpoint, seed: int) -> None:
        self.config_, self.params_ = model.config, model.to_numpy()
        self.components_ = dictionary(self.config_, self.params_)
        self.history_, self.n_iter_ = state.history, state.epochs
        self._seed, self._adam = seed, state.adam

    def _epoch_hook(
        self, model: Any, X: Samples, y: Any
    ) -> Callable[[int, dict[str, float]], bool] | None:
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
            now = {"config_": model.config, "params_": model.to_numpy()}
            now["components_"] = dictionary(now["config_"], now["params_"])
            given = {"estimator": self, "X": X, "y": y, "reconstruction_attributes": now}
            stop = contexts.pop(number).call_on_fit_task_end(**given)
            if stop or number == self.epochs:
                root.call_on_fit_task_end(**given)
            else:
                begin(number + 1)
            return stop

        return after_epoch

    def _reconstruct(self, X: Array) -> Array:
        z = reference.encode(self.config_, self.params_, X)
        return reference.decode(self.config_, self.params_, z)


def in_shape(rows: Array, shape: Shape | None) -> Array:
    """Rows as images, where there is a shape of images."""
    return rows.reshape(-1, *shape) if shape else rows


class Scores(SAE):
    """How well samples are rebuilt."""

    def _errors(self, X: Array) -> Array:
        return -reconstruction_error(X, self._reconstruct(X))

    def score_samples(self, X: Samples) -> Array:
        """Negative squared reconstruction error of each sample: larger is better rebuilt.

        Parameters
        ----------
        X : array-like (n_samples, n_features)

        Returns
        -------
        ndarray (n_samples,)
        """
        return self._errors(self._check(X, reset=False))


class Transforms(TransformerMixin, SAE):
    """What gives back the dtype that it is given."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
