"""What a sparse autoencoder is in either framework: `saebook.pytorch` and `saebook.tensorflow`."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from importlib import import_module
from typing import Any, ClassVar, NamedTuple

import numpy as np

from saebook._types import Array, ArrayLike, Self, Shape
from saebook.checks import as_array, check_params, check_width
from saebook.config import SAEConfig, TrainConfig
from saebook.kinds import TopK
from saebook.parameters import parameter_shapes, row_axis

DTYPES = ("float32", "float64")
LATENTS_PER_KEPT = 16  # with 8 the dense products were as fast or faster on two cores


class Kind:
    """The plain autoencoder, and what a kind of sparsity has that does not override it.

    A framework has a class for each kind, of the same name, and from these two arguments.

    Parameters
    ----------
    sparsity : Sparsity or None
        The settings.
    model : SparseAutoencoder
    """

    def __init__(self, sparsity: Any, model: Any) -> None:
        self.sparsity, self.model = sparsity, model

    def activation(self, a: Any) -> Any:
        """The model's own function of a pre-activation."""
        return self.model.functions[self.model.config.activation](a)

    def code(self, a: Any, training: bool) -> Any:
        """Code of a pre-activation, both ``(n_samples, n_latents)``."""
        return self.activation(a)

    def penalty(self, z: Any) -> Any:
        """Penalty on codes, a scalar."""
        return self.model.zero()

    def loss(self, x: Any, a: Any, z: Any, strength: Any) -> Any:
        """All that the kind adds to the loss, if that is more than its penalty."""
        return strength * self.penalty(z)

    def strength(self, share: Any) -> Any:
        """The share of the penalty's weight that counts, on the way to a wanted L0 too."""
        wanted = getattr(self.sparsity, "l0", None)
        return share if wanted is None else share * (self.model.price / self.sparsity.weight)

    def count(self, a: Any, z: Any) -> None:
        """Update in place, after a step, the parameters that the kind counts."""


class SparseCode(NamedTuple):
    """A code ``(n_samples, n_latents)`` of which `k` entries in a row are not known to be zero.

    Its product with a matrix ``(n_latents, n_features)`` is a tensor ``(n_samples, n_features)``.
    """

    values: Any  #: (n_samples, k)
    places: Any  #: their columns, (n_samples, k)
    n_latents: int
    times: Callable[[Any, Any, Any], Any]  #: the framework's product, which skips the zeros

    @property
    def shape(self) -> tuple[int, int]:
        """``(n_samples, n_latents)``."""
        return self.places.shape[0], self.n_latents

    def __matmul__(self, weight: Any) -> Any:
        return self.times(self.values, self.places, weight)


def has_sparse_code(config: SAEConfig, training: bool = True) -> bool:
    """Whether a `SparseCode` is all that is needed, and so short that it saves time."""
    kind = config.sparsity
    if not isinstance(kind, TopK) or kind.k * LATENTS_PER_KEPT > config.n_latents:
        return False
    return not training or (kind.aux is None and config.groups is None)  # which look at all


class Autoencoder:
    """One hidden layer: ``z = f(x W_enc + b_enc)``, ``x_hat = g(z W_dec + b_dec)``.

    The part of both frameworks' ``SparseAutoencoder`` that is the same in both. Samples, codes and
    reconstructions are tensors of the framework here; ``fit`` and its like take arrays.

    Parameters
    ----------
    config : SAEConfig
        Sizes, functions f and g, and the objective.
    seed : int >= 0
        Seed of the initial weights, which are the same in every framework.
    dtype : {"float32", "float64"}
        That of the parameters.
    device : str
        Where they live: "auto" (a GPU if there is one), "cpu", "gpu", or a framework's own name.

    Attributes
    ----------
    W_enc, b_enc, W_dec, b_dec
        Parameters of shapes ``(n_features, n_latents)``, ``(n_latents,)``,
        ``(n_latents, n_features)``, ``(n_features,)``. A tied model has no ``W_dec``; read
        ``dictionary``. Some kinds of sparsity have more: ``log_threshold``, ``r_mag``, ``b_mag``;
        ``price``, ``threshold`` and ``silent`` are counted in training, and no gradient moves them.
    dictionary
        Decoder weights ``(n_latents, n_features)``, one row per latent.
    image_shape : tuple of int or None
        The shape of the images that it was trained on, where their product is ``n_features``.

    Raises
    ------
    ValueError
        If the dtype or the device is not to be had.
    """

    config: SAEConfig
    product_dtype: Any  # of matrix products, if not the parameters' own
    dtype: Any
    device: Any
    W_enc: Any
    b_dec: Any
    seed: int | None  # of its own weights; None where others were given
    image_shape: Shape | None = None
    kinds: ClassVar[dict[type, type[Kind]]]  # the framework's class for each kind of sparsity
    functions: ClassVar[dict[str, Callable[[Any], Any]]]  # f and g by name
    framework: ClassVar[str]  # the name of its folder

    # What a framework says in its own words: tensors in and out, but for `tensor` and `array`.
    dictionary: Any
    encoder_bias: Any  # ``b_enc`` with the pre-bias folded in, which saves a copy of the batch
    addmm: Callable[..., Any]  # x, weight, bias: x @ weight + bias
    cast: Callable[..., Any]  # to a dtype
    split: Callable[..., Any]  # tensor, sizes, axis: its parts
    zero: Callable[[], Any]  # the scalar
    mean_error: Callable[..., Any]  # logits, x: mean over samples of the sum over features
    sum_of_squares: Callable[..., Any]
    gradients: Callable[..., dict[str, Any]]  # of the loss of samples, by name
    unit_norm: Callable[..., Any]  # weight, axis: with Euclidean norm 1 along it
    tensor: Callable[[Array], Any]  # on the model's device
    array: Callable[[Any], Array]  # which may share the tensor's memory
    reading: Callable[[], AbstractContextManager[Any]]  # in which nothing is trained
    set_parameter: Callable[[str, Array], None]

    def __repr__(self) -> str:
        name = type(self).__name__
        return f"{name}({self.config!r}, dtype={self.dtype!r}, device={str(self.device)!r})"

    @property
    def kind(self) -> Any:
        """The model's kind of sparsity: its code, its loss, what it counts."""
        return self.kinds[type(self.config.sparsity)](self.config.sparsity, self)

    def engine(self, train_config: TrainConfig) -> Any:
        """What trains the model, for `saebook.training.fit`."""
        module = import_module(f"saebook.{self.framework}.engine")
        return module.Engine(self, train_config.settled(self.config))

    def affine(self, x: Any, weight: Any, bias: Any) -> Any:
        """``x @ weight + bias``, the product in ``product_dtype``; ``x`` may be a `SparseCode`."""
        if isinstance(x, SparseCode):
            return x @ weight + bias
        if self.product_dtype is None:
            return self.addmm(x, weight, bias)
        product = self.cast(x, self.product_dtype) @ self.cast(weight, self.product_dtype)
        return self.cast(product, bias.dtype) + bias

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

    def normalize_decoder(self) -> None:
        """Scale every dictionary row to Euclidean norm 1, in place."""
        name, axis = row_axis(self.config)
        self.set_parameter(name, self.unit_norm(getattr(self, name), axis))

    def images(self, rows: ArrayLike) -> Array:
        """Rows ``(n_rows, n_features)``, such as the dictionary, as ``(n_rows, *image_shape)``."""
        array = as_array(rows, "rows")
        check_width(array, self.config.n_features, "rows")
        if self.image_shape is None:
            raise ValueError("model must have been trained on images, got one trained on rows.")
        return array.reshape(-1, *self.image_shape)

    def to_numpy(self) -> dict[str, Array]:
        """Copy of the parameters: dict of name to NumPy array, in the reference's order."""
        return {n: np.array(self.array(getattr(self, n))) for n in parameter_shapes(self.config)}

    def from_numpy(self, params: Mapping[str, ArrayLike]) -> Self:
        """Set the parameters from a dict of name to array, and return the model.

        Raises
        ------
        ValueError
            If a name is missing or unknown, or an array has the wrong shape or is not finite.
        """
        for name, value in check_params(self.config, params).items():
            self.set_parameter(name, value)
        self.seed = None
        return self


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
        "reconstruction": sum(model.mean_error(logits, x) for logits in model.nested_logits(z)),
        "sparsity": model.kind.loss(x, a, z, model.kind.strength(strength)),
        "weight_decay": model.zero(),
    }
    if model.config.weight_decay:  # several passes over all weights
        weights = [model.W_enc] if model.config.tied else [model.W_enc, model.W_dec]
        terms["weight_decay"] = model.config.weight_decay * sum(map(model.sum_of_squares, weights))
    return {**terms, "loss": sum(terms.values())}


def gradients(model: Any, x: Any) -> dict[str, Array]:
    """Gradient of the loss with respect to every trained parameter, for one batch, in NumPy.

    Parameters
    ----------
    model : SparseAutoencoder
    x : tensor (n_samples, n_features)

    Returns
    -------
    dict of str to ndarray
        Names, order and shapes are those of ``model.to_numpy``, without what no gradient moves.
    """
    return {name: model.array(gradient) for name, gradient in model.gradients(x).items()}
