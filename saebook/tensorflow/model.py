"""The model: a plain `keras.Model`."""

from collections.abc import Callable, Mapping
from functools import singledispatch

import keras
import numpy as np
import tensorflow as tf

from saebook._types import Array, ArrayLike, Self
from saebook.checks import check_params, check_width
from saebook.config import SAEConfig, Sparsity, TopK
from saebook.reference import KEPT, init_params, parameter_shapes
from saebook.tensorflow.sparse import SparseCode, encode_sparse, largest

ACTIVATIONS: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {
    "sigmoid": tf.sigmoid,
    "relu": tf.nn.relu,
    "linear": lambda a: a,
}


def pick_device(device: str = "auto") -> str:
    """The device called `device`: "auto" takes the first GPU, then the CPU.

    Raises
    ------
    ValueError
        If the device is unknown or this machine does not have it.
    """
    found = [
        f"{kind.lower()}:{index}"
        for kind in ("GPU", "CPU")
        for index, _ in enumerate(tf.config.list_logical_devices(kind))
    ]
    if device == "auto":
        return found[0]
    name = str(device).lower().removeprefix("/").replace("cuda", "gpu")
    name = name if ":" in name else f"{name}:0"
    if name not in found:
        raise ValueError(
            f"device must be 'auto' or one that TensorFlow finds here ({', '.join(found)}), "
            f"got {device!r}."
        )
    return name


@singledispatch
def code(
    sparsity: Sparsity | None, model: "SparseAutoencoder", a: tf.Tensor, training: bool
) -> tf.Tensor:
    """Code of a pre-activation. A kind of sparsity that makes its own code registers here."""
    return ACTIVATIONS[model.config.activation](a)


@singledispatch
def update_kept(
    sparsity: Sparsity | None, model: "SparseAutoencoder", a: tf.Tensor, z: tf.Tensor
) -> None:
    """Update what a kind keeps count of, in place, after a step. One that does registers here."""


def unit_norm(weight: tf.Tensor, axis: int) -> tf.Tensor:
    """The weight, with Euclidean norm 1 along an axis; zeros stay zeros."""
    norm = tf.sqrt(tf.reduce_sum(weight**2, axis=axis, keepdims=True))
    return weight / tf.maximum(norm, np.finfo(norm.dtype.as_numpy_dtype).tiny)


@code.register(TopK)
def _(sparsity: TopK, model: "SparseAutoencoder", a: tf.Tensor, training: bool) -> tf.Tensor:
    return tf.where(largest(a, sparsity.k), ACTIVATIONS[model.config.activation](a), 0)


class SparseAutoencoder(keras.Model):
    """One hidden layer: ``z = f(x W_enc + b_enc)``, ``x_hat = g(z W_dec + b_dec)``.

    Parameters
    ----------
    config : SAEConfig
        Sizes, functions f and g, and the objective.
    seed : int >= 0
        Seed of the initial weights, which are the same in every framework.
    dtype : {"float32", "float64"}
    device : str
        "auto" (the first GPU, then the CPU), "cpu", "gpu" or "cuda", "gpu:1".

    Attributes
    ----------
    W_enc, b_enc, W_dec, b_dec : keras.Variable
        Shapes ``(n_features, n_latents)``, ``(n_latents,)``, ``(n_latents, n_features)``,
        ``(n_features,)``. A tied model has no ``W_dec``; read `dictionary`. Some kinds of sparsity
        have more: ``log_threshold``, ``r_mag``, ``b_mag``, and ``threshold`` and ``silent``, which
        training counts and no gradient moves.

    Raises
    ------
    ValueError
        If the dtype or the device is not to be had.

    Notes
    -----
    `to_numpy` and `from_numpy` carry the parameters from model to model, and between frameworks.
    Keras's own ``model.save`` does not know `SAEConfig` and refuses.
    """

    W_enc: keras.Variable
    b_enc: keras.Variable
    W_dec: keras.Variable
    b_dec: keras.Variable
    log_threshold: keras.Variable
    r_mag: keras.Variable
    b_mag: keras.Variable
    threshold: keras.Variable
    silent: keras.Variable
    product_dtype: tf.DType | None

    def __init__(
        self, config: SAEConfig, seed: int = 0, dtype: str = "float32", device: str = "auto"
    ) -> None:
        if dtype not in ("float32", "float64"):
            raise ValueError(f"dtype must be 'float32' or 'float64', got {dtype!r}.")
        super().__init__(dtype=dtype)
        self.config = config
        self.device = pick_device(device)
        self.product_dtype = None  # dtype of matrix products, if not the parameters' own
        with tf.device(self.device):
            for name, value in init_params(config, seed).items():
                # "zeros" because Keras's default draws its seed from Python's global random state
                variable = self.add_weight(
                    shape=value.shape, name=name, initializer="zeros", trainable=name not in KEPT
                )
                variable.assign(value)
                setattr(self, name, variable)
        self.built = True

    @property
    def dictionary(self) -> tf.Tensor:
        """Decoder weights ``(n_latents, n_features)``, one row per latent."""
        return tf.transpose(self.W_enc) if self.config.tied else self.W_dec

    @property
    def encoder_bias(self) -> tf.Tensor:
        """``b_enc`` with the pre-bias folded in; that costs a vector and no copy of the batch."""
        if not self.config.pre_bias:
            return self.b_enc
        return self.b_enc - tf.linalg.matvec(self.W_enc, self.b_dec, transpose_a=True)

    def _affine(self, x: tf.Tensor | SparseCode, weight: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
        if isinstance(x, SparseCode):
            return x @ weight + bias
        if self.product_dtype is None:
            return tf.matmul(x, weight) + bias
        product = tf.matmul(tf.cast(x, self.product_dtype), tf.cast(weight, self.product_dtype))
        return tf.cast(product, bias.dtype) + bias

    def preactivation(self, x: tf.Tensor) -> tf.Tensor:
        """Encoder pre-activation ``a (n_samples, n_latents)`` of ``x (n_samples, n_features)``."""
        check_width(x, self.config.n_features, "x")
        return self._affine(x, self.W_enc, self.encoder_bias)

    @tf.autograph.experimental.do_not_convert  # AutoGraph cannot follow singledispatch, and warns
    def code(self, a: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Code ``z (n_samples, n_latents)`` of a pre-activation.

        `training` says whether the samples are a batch to learn from, for kinds of sparsity that
        then look at all of it.
        """
        return code(self.config.sparsity, self, a, training)

    def sparse_code(self, x: tf.Tensor) -> tuple[tf.Tensor, SparseCode]:
        """`preactivation` of what TopK keeps of ``x``, ``(n_samples, k)``, and its `code`."""
        check_width(x, self.config.n_features, "x")
        assert isinstance(self.config.sparsity, TopK)
        a, places = encode_sparse(x, self.W_enc, self.encoder_bias, self.config.sparsity.k)
        z = ACTIVATIONS[self.config.activation](a)
        return a, SparseCode(z, places, self.config.n_latents)

    def encode(self, x: tf.Tensor) -> tf.Tensor:
        """Code ``z (n_samples, n_latents)`` of a tensor ``x (n_samples, n_features)``."""
        return self.code(self.preactivation(x))

    def decode_logits(self, z: tf.Tensor) -> tf.Tensor:
        """Decoder pre-activation ``(n_samples, n_features)`` of a code."""
        check_width(z, self.config.n_latents, "z")
        return self._affine(z, self.dictionary, self.b_dec)

    def nested_logits(self, z: tf.Tensor) -> list[tf.Tensor]:
        """Decoder pre-activations from the first group of latents, the first two, ... and all."""
        if self.config.groups is None:
            return [self.decode_logits(z)]
        groups, found = list(self.config.groups), []
        logits: tf.Tensor = self.b_dec
        for part, rows in zip(
            tf.split(z, groups, axis=1), tf.split(self.dictionary, groups), strict=True
        ):
            logits = self._affine(part, rows, logits)
            found.append(logits)
        return found

    def decode(self, z: tf.Tensor) -> tf.Tensor:
        """Reconstruction ``x_hat (n_samples, n_features)`` of a code."""
        return ACTIVATIONS[self.config.output](self.decode_logits(z))

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Reconstruction ``x_hat`` of a tensor ``x``, both ``(n_samples, n_features)``."""
        return self.decode(self.encode(x))

    def normalize_decoder(self) -> None:
        """Scale every dictionary row to Euclidean norm 1, in place."""
        weight, axis = (self.W_enc, 0) if self.config.tied else (self.W_dec, 1)
        weight.assign(unit_norm(weight, axis))

    def to_numpy(self) -> dict[str, Array]:
        """Copy of the parameters: dict of name to NumPy array, in the reference's order."""
        return {
            name: np.array(getattr(self, name).numpy()) for name in parameter_shapes(self.config)
        }

    def from_numpy(self, params: Mapping[str, ArrayLike]) -> Self:
        """Set the parameters from a dict of name to array, and return the model.

        Raises
        ------
        ValueError
            If a name is missing or unknown, or an array has the wrong shape or is not finite.
        """
        for name, value in check_params(self.config, params).items():
            getattr(self, name).assign(value)
        return self
