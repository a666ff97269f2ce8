"""Parameters and training, the same for all three estimators."""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, replace
from importlib import import_module
from math import ceil
from typing import Any, ClassVar, TypeVar

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from saebook import inference
from saebook._types import Array, Samples, Self, Shape
from saebook.checkpoint import Checkpoint
from saebook.checks import same_images
from saebook.config import SAEConfig, TrainConfig
from saebook.estimators import scaling
from saebook.estimators.training import Best, Data, HeldOut, Trained, array, hold_out
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

    n_latents: int | str = "auto"
    _: KW_ONLY
    sparsity: Sparsity | str | None = "auto"
    activation: str = "relu"
    output: str = "linear"
    reconstruction: str = "squared_error"
    tied: bool = True
    unit_norm: bool = False
    weight_decay: float = 0.0
    scale: str | None = "auto"
    epochs: int | str = "auto"
    batch_size: int = 128
    learning_rate: float = 2e-3
    backend: str = "pytorch"
    device: str = "auto"
    random_state: int | np.random.RandomState | None = None

    # Of "auto": the width and what it is at most for each feature, one latent in how many is kept
    # (0: all) and how many at most, and steps of training.
    _width: ClassVar[int] = 256
    _per_feature: ClassVar[int] = 256
    _kept: ClassVar[int] = 4
    _most: ClassVar[float] = np.inf
    _steps: ClassVar[int] = 800

    def _config(self, n_features: int) -> SAEConfig:
        automatic = isinstance(self.sparsity, str)
        if automatic and self.sparsity != "auto":
            wanted = "'auto', None or a kind of sparsity such as TopK(k)"
            raise ValueError(f"sparsity must be {wanted}, got {self.sparsity!r}.")
        n_latents: Any = self.n_latents
        if isinstance(n_latents, str) and n_latents == "auto":
            n_latents = int(np.clip(self._per_feature * n_features, 16, self._width))
        config = SAEConfig(
            n_features,
            n_latents,
            self.activation,
            self.output,
            self.reconstruction,
            None if isinstance(self.sparsity, str) else self.sparsity,
            self.tied,
            self.unit_norm,
            self.weight_decay,
            pre_bias=False,  # the scaling takes the mean from the samples, if there is one
        )
        if automatic and self._kept:
            kept = min(config.n_latents / self._kept, self._most)
            config = replace(config, sparsity=TopK(ceil(kept)))
        return replace(config, pre_bias="auto") if self.scale is None else config

    def _begin(self, X: Array, scale: str | None = None) -> tuple[SAEConfig, int, scaling.Scaling]:
        """The model's description, the seed, and the units of the samples X.

        All parameters are sound then. `scale` is what "auto" means, if that does not depend on X.
        """
        if self.backend not in BACKENDS:
            raise ValueError(f"backend must be 'pytorch' or 'tensorflow', got {self.backend!r}.")
        config = self._config(X.shape[1])
        self._train_config(0, 1 if self._automatic else self.epochs)
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        given = self.scale
        if config.output == "sigmoid":  # which rebuilds samples in [0, 1] alone
            if given not in ("auto", None):
                raise ValueError(
                    f"scale must be 'auto' or None when output is 'sigmoid', got {given!r}."
                )
            given = None
        elif scale and isinstance(given, str) and given == "auto":
            given = scale
        return config, seed, scaling.learn(X, given, type(self).__name__)

    @property
    def _automatic(self) -> bool:
        return isinstance(self.epochs, str) and self.epochs == "auto"

    def _train_config(self, seed: int, epochs: Any, n_decay: int = 0) -> TrainConfig:
        size, rate = self.batch_size, self.learning_rate
        return TrainConfig(epochs, size, rate, seed=seed, decay_steps=n_decay, init="given")

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

    def _train(
        self,
        config: SAEConfig,
        seed: int,
        data: Data,
        held_out: HeldOut | None = None,
        epochs: int | None = None,
        hook: Callable[[Any, int, bool], bool] | None = None,
        decay: bool = True,
    ) -> Trained:
        """A trained model, and how training went.

        With `held_out` the weights are those with the smallest loss on these, and training ends
        when it has long not fallen. `epochs` is their number where that is known. With `decay` the
        learning rate falls over the second half, if the number of epochs was not given by the user.
        """
        package = import_module(f"saebook.{self.backend}")
        model = package.SparseAutoencoder(config, seed, str(data.dtype), self.device)
        if data.start is not None:
            model.from_numpy(data.start)
        n_batches = -(-data.n_samples // self.batch_size)
        n_epochs: Any = epochs or self.epochs
        if self._automatic and epochs is None:
            n_epochs = max(-(-self._steps // n_batches), 10)
        decay = decay and self._automatic and isinstance(data.x, np.ndarray)
        n_decay = n_epochs * n_batches // 2 if decay else 0
        best = None
        if held_out is not None and (held_out[0] != held_out[0][0]).any():
            best = Best(package, model, held_out, -(-50 // n_batches))
        state = Checkpoint()

        def after_epoch(number: int, row: dict[str, float]) -> bool:
            stop = best is not None and best.look(number)
            return stop or (hook is not None and hook(model, number, number == n_epochs))

        package.fit(
            model,
            data.x,
            self._train_config(seed, n_epochs, n_decay),
            corruption=data.corruption,
            checkpoint=state,
            progress=False,
            after_epoch=after_epoch,
        )
        return Trained(model, state, n_epochs if best is None else best.take())

    def _fit(
        self,
        config: SAEConfig,
        seed: int,
        x: Array,
        ready: dict[str, Any],
        told: tuple[Any, Any],
        epochs: int | None = None,
    ) -> Self:
        """Train a new model on scaled samples x, and keep what it learned in NumPy.

        If their number is automatic, a first training, without a part of the samples, finds after
        how many epochs to stop. `ready` is what else was learned, by name; `told` is what
        scikit-learn's callbacks are told of: the user's own X and y.
        """
        parts = hold_out(len(x), seed)
        if epochs is None and self._automatic and parts is not None:
            rest, held = parts
            epochs = self._train(config, seed, array(config, seed, x[rest]), (x[held], None)).epochs
        hook = self._hook(ready, told, epochs)
        ready = {**ready, "_seed": seed}
        self._keep(self._train(config, seed, array(config, seed, x), None, epochs, hook), ready)
        return self

    def _keep(self, trained: Trained, ready: dict[str, Any] | None = None) -> None:
        for name, value in {**self._learned(trained.model), **(ready or {})}.items():
            setattr(self, name, value)
        self.history_, self.n_iter_ = trained.state.history, trained.state.epochs
        self._adam = trained.state.adam

    @staticmethod
    def _learned(model: Any) -> dict[str, Any]:
        return {"config_": model.config, "params_": model.to_numpy()}

    @property
    def components_(self) -> Array:
        """The dictionary in units of the data ``(n_latents, n_features)``."""
        check_is_fitted(self)
        return np.asarray(dictionary(self.config_, self.params_) * self.scaling_.scale)

    def _hook(
        self, ready: dict[str, Any], told: tuple[Any, Any], epochs: int | None
    ) -> Callable[[Any, int, bool], bool] | None:
        """What tells scikit-learn's callbacks of each epoch, or None if there are none."""
        if not getattr(self, "_skl_callbacks", None):
            return None
        X, y = told
        root = self._init_callback_context(max_subtasks=epochs or self.epochs)
        root.call_on_fit_task_begin(estimator=self, X=X)
        contexts: dict[int, Any] = {}

        def begin(number: int) -> None:
            contexts[number] = root.subcontext(task_name="epoch")
            contexts[number].call_on_fit_task_begin(estimator=self, X=X)

        begin(1)

        def after_epoch(model: Any, number: int, last: bool) -> bool:
            now = {**self._learned(model), **ready}
            given = {"estimator": self, "X": X, "y": y, "reconstruction_attributes": now}
            stop = contexts.pop(number).call_on_fit_task_end(**given)
            if stop or last:
                root.call_on_fit_task_end(**given)
            else:
                begin(number + 1)
            return stop

        return after_epoch

    def _errors(self, X: Array) -> Array:
        """Squared error of each sample, in units of the data where all features share one."""
        errors = np.empty(len(X))
        scaled = self.scaling_.apply
        for rows, x, _, x_hat in inference.rebuilt(self.config_, self.params_, X, scaled):
            errors[rows] = reconstruction_error(x, x_hat)
        return errors * self.scaling_.unit**2


def in_shape(rows: Array, shape: Shape | None) -> Array:
    """Rows as images, where there is a shape of images."""
    return rows.reshape(-1, *shape) if shape else rows


class Scores(SAE):
    """How well samples are rebuilt."""

    def score_samples(self, X: Samples) -> Array:
        """Negative squared reconstruction error of each sample: larger is better rebuilt.

        Parameters
        ----------
        X : array-like (n_samples, n_features)

        Returns
        -------
        ndarray (n_samples,)
            In units of the data; where features were scaled one by one, in theirs.
        """
        return -self._errors(self._check(X, reset=False))


class Transforms(TransformerMixin, SAE):
    """What gives back the dtype that it is given."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
