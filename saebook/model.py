"""What a sparse autoencoder is in either framework: `saebook.pytorch` and `saebook.tensorflow`."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar

import numpy as np

from saebook._types import Array, ArrayLike, Self
from saebook.checks import check_params, check_width
from saebook.config import SAEConfig, TrainConfig
from saebook.parameters import parameter_shapes

DTYPES = ("float32", "float64")


class Autoencoder:
    """One hidden layer: ``z = f(x W_enc + b_enc)``, ``x_hat = g(z W_dec + b_dec)``.

    The part of both frameworks' ``SparseAutoencoder`` that is the same in both. Samples, codes and
    reconstructions are tensors of the framework here; `saebook.training` has functions for arrays.

    Attributes
    ----------
    config : SAEConfig
        Sizes, functions f and g, and the objective.
    dtype : str
        Name of the parameters' dtype, "float32" or "float64".
    device
        Where the parameters live.
    W_enc, b_enc, W_dec, b_dec
        Parameters of shapes ``(n_features, n_latents)``, ``(n_latents,)``,
        ``(n_latents, n_features)``, ``(n_features,)``. A tied model has no ``W_dec``; read
        ``dictionary``. Some kinds of sparsity have more: ``log_threshold``, ``r_mag``, ``b_mag``,
        and ``threshold`` and ``silent``, which training counts and no gradient moves.
    dictionary
        Decoder weights ``(n_latents, n_features)``, one row per latent.
    """

    config: SAEConfig
    product_dtype: Any  # of matrix products, if not the parameters' own
    b_dec: Any
    dictionary: Any
    encoder_bias: Any
    W_enc: Any
    kinds: ClassVar[Mapping[type, Any]]  # the framework's class for each kind of sparsity
    functions: ClassVar[Mapping[str, Callable[[Any], Any]]]  # f and g by name

    # What a framework says in its own words

    def affine(self, x: Any, weight: Any, bias: Any) -> Any:
        """``x @ weight + bias``, the product in `product_dtype`."""
        raise NotImplementedError

    def split(self, tensor: Any, sizes: Sequence[int], axis: int) -> Sequence[Any]:
        """Parts of a tensor."""
        raise NotImplementedError

    def normalize_decoder(self) -> None:
        """Scale every dictionary row to Euclidean norm 1, in place."""
        raise NotImplementedError

    def tensor(self, x: Array) -> Any:
        """An array as a tensor on the model's device."""
        raise NotImplementedError

    def array(self, tensor: Any) -> Array:
        """A tensor as an array, which may share its memory."""
        raise NotImplementedError

    def reading(self) -> AbstractContextManager[Any]:
        """The context in which a model is used without being trained."""
        raise NotImplementedError

    def set_parameter(self, name: str, value: Array) -> None:
        """Copy an array into a parameter."""
        raise NotImplementedError

    def engine(self, train_config: TrainConfig) -> Any:
        """What trains this model in its framework, for `saebook.training.fit`."""
        raise NotImplementedError

    def sweep_engine(self, models: Any, numbers: Any, train_config: TrainConfig) -> Any:
        """What trains several models in their framework, for `saebook.sweep.fit_many`."""
        raise NotImplementedError

    # What is the same in both

    def __repr__(self) -> str:
        name = type(self).__name__
        return f"{name}({self.config!r}, dtype={self.dtype!r}, device={str(self.device)!r})"

    @property
    def kind(self) -> Any:
        """The model's kind of sparsity: its code, its loss, what it counts."""
        return kind_of(type(self), self.config.sparsity)(self.config.sparsity, self)

    def preactivation(self, x: Any) -> Any:
        """Encoder pre-activation ``a (n_samples, n_latents)`` of ``x (n_samples, n_features)``."""
        check_width(x, self.config.n_features, "x")
        return self.affine(x, self.W_enc, self.encoder_bias)

    def code(self, a: Any, training: bool = False) -> Any:
        """Code ``z (n_samples, n_latents)`` of a pre-activation.

        `training` says whether the samples are a batch to learn from, for kinds of sparsity that
        then look at all of it.
        """
        return self.kind.code(a, training)

    def encode(self, x: Any) -> Any:
        """Code ``z (n_samples, n_latents)`` of a tensor ``x (n_samples, n_features)``."""
        return self.code(self.preactivation(x))

    def decode_logits(self, z: Any) -> Any:
        """Decoder pre-activation ``(n_samples, n_features)`` of a code."""
        check_width(z, self.config.n_latents, "z")
        return self.affine(z, self.dictionary, self.b_dec)

    def nested_logits(self, z: Any) -> list[Any]:
        """Decoder pre-activations from the first group of latents, the first two, ... and all."""
        if self.config.groups is None:
            return [self.decode_logits(z)]
        found, logits = [], self.b_dec
        parts = self.split(z, self.config.groups, 1)
        rows = self.split(self.dictionary, self.config.groups, 0)
        for part, some_rows in zip(parts, rows, strict=True):
            logits = self.affine(part, some_rows, logits)
            found.append(logits)
        return found

    def decode(self, z: Any) -> Any:
        """Reconstruction ``x_hat (n_samples, n_features)`` of a code."""
        return self.functions[self.config.output](self.decode_logits(z))

    def rebuild(self, x: Any) -> Any:
        """Reconstruction ``x_hat`` of a tensor ``x``, both ``(n_samples, n_features)``."""
        return self.decode(self.encode(x))

    def to_numpy(self) -> dict[str, Array]:
        """Copy of the parameters: dict of name to NumPy array, in the reference's order."""
        names = parameter_shapes(self.config)
        return {name: np.array(self.array(getattr(self, name))) for name in names}

    def from_numpy(self, params: Mapping[str, ArrayLike]) -> Self:
        """Set the parameters from a dict of name to array, and return the model.

        Raises
        ------
        ValueError
            If a name is missing or unknown, or an array has the wrong shape or is not finite.
        """
        for name, value in check_params(self.config, params).items():
            self.set_parameter(name, value)
        return self


def kind_of(model: type[Autoencoder], sparsity: Any) -> Any:
    """The class that a framework's models have for a kind of sparsity, or TypeError."""
    if type(sparsity) not in model.kinds:
        raise TypeError(
            f"sparsity must be a kind that {model.__module__} has a class for, got {sparsity!r}."
        )
    return model.kinds[type(sparsity)]


def check_dtype(dtype: str) -> None:
    """Raise ValueError unless models can have the dtype."""
    if dtype not in DTYPES:
        raise ValueError(f"dtype must be 'float32' or 'float64', got {dtype!r}.")


def loss_terms(
    model: Any, x: Any, a: Any | None = None, z: Any | None = None, strength: Any = 1.0
) -> dict[str, Any]:
    """Every term of the loss of a training batch, and their sum.

    Parameters
    ----------
    model : SparseAutoencoder
    x : tensor (n_samples, n_features)
        The samples to rebuild.
    a, z : tensor (n_samples, n_latents), optional
        Pre-activation and code, if they are computed already, or are those of something else than
        ``x``; by default those of ``x`` in training.
    strength : float or scalar tensor
        Share of the sparsity penalty's weight that counts.

    Returns
    -------
    dict of str to scalar tensor
        ``reconstruction``, ``sparsity``, ``weight_decay`` and their sum ``loss``.
    """
    a = model.preactivation(x) if a is None else a
    z = model.code(a, training=True) if z is None else z
    terms = {
        "reconstruction": model.reconstruction_loss(z, x),
        "sparsity": model.kind.loss(x, a, z, strength),
        "weight_decay": model.weight_decay_loss(),
    }
    return {**terms, "loss": sum(terms.values())}
