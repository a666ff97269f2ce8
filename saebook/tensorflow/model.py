"""The model: a plain `keras.Model`."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from saebook import kinds
from saebook._types import Array
from saebook.config import SAEConfig, TrainConfig
from saebook.model import Autoencoder, check_dtype
from saebook.parameters import counted_names
from saebook.start import init_params
from saebook.tensorflow.kinds import KL, L1, Gated, JumpReLU, Kind
from saebook.tensorflow.loss import reconstruction_loss, weight_decay_loss
from saebook.tensorflow.topk import BatchTopK, SparseCode, TopK


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


def unit_norm(weight: tf.Tensor, axis: int) -> tf.Tensor:
    """The weight, with Euclidean norm 1 along an axis; zeros stay zeros."""
    norm = tf.sqrt(tf.reduce_sum(weight**2, axis=axis, keepdims=True))
    return weight / tf.maximum(norm, np.finfo(norm.dtype.as_numpy_dtype).tiny)


@keras.saving.register_keras_serializable("saebook")
class SparseAutoencoder(Autoencoder, keras.Model):
    """A sparse autoencoder as a `keras.Model`; see `saebook.model.Autoencoder`.

    Parameters
    ----------
    config : SAEConfig
        Sizes, functions and objective; a dict where Keras reads a model that it has saved.
    seed : int >= 0
        Seed of the initial weights, which are the same in every framework.
    dtype : {"float32", "float64"}
    device : str
        "auto" (the first GPU, then the CPU), "cpu", "gpu" or "cuda", "gpu:1".

    Raises
    ------
    ValueError
        If the dtype or the device is not to be had.
    """

    functions: ClassVar = {"sigmoid": tf.sigmoid, "relu": tf.nn.relu, "linear": lambda a: a}
    kinds: ClassVar[Mapping[type, Any]] = {
        type(None): Kind,
        kinds.L1: L1,
        kinds.KL: KL,
        kinds.TopK: TopK,
        kinds.BatchTopK: BatchTopK,
        kinds.JumpReLU: JumpReLU,
        kinds.Gated: Gated,
    }
    reconstruction_loss = reconstruction_loss
    weight_decay_loss = weight_decay_loss

    def __init__(
        self, config: SAEConfig, seed: int = 0, dtype: str = "float32", device: str = "auto"
    ) -> None:
        check_dtype(dtype)
        super().__init__(dtype=dtype)
        self.config, self.product_dtype = config, None
        self.device = pick_device(device)
        with tf.device(self.device):
            for name, value in init_params(config, seed).items():
                trained = name not in counted_names(config)
                # "zeros" because Keras's default draws its seed from Python's global random state
                variable = self.add_weight(value.shape, "zeros", trainable=trained, name=name)
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

    def affine(self, x: tf.Tensor | SparseCode, weight: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
        if isinstance(x, SparseCode):
            return x @ weight + bias
        if self.product_dtype is None:
            return tf.matmul(x, weight) + bias
        product = tf.matmul(tf.cast(x, self.product_dtype), tf.cast(weight, self.product_dtype))
        return tf.cast(product, bias.dtype) + bias

    def split(self, tensor: tf.Tensor, sizes: Sequence[int], axis: int) -> Sequence[tf.Tensor]:
        return tf.split(tensor, list(sizes), axis=axis)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Reconstruction ``x_hat`` of a tensor ``x``, both ``(n_samples, n_features)``."""
        return self.rebuild(x)

    def normalize_decoder(self) -> None:
        weight, axis = (self.W_enc, 0) if self.config.tied else (self.W_dec, 1)
        weight.assign(unit_norm(weight, axis))

    def tensor(self, x: Array) -> tf.Tensor:
        with tf.device(self.device):
            return tf.convert_to_tensor(x)

    def array(self, tensor: tf.Tensor) -> Array:
        return tensor.numpy()

    def reading(self) -> Any:
        return tf.device(self.device)

    def set_parameter(self, name: str, value: Array) -> None:
        getattr(self, name).assign(value)

    def engine(self, train_config: TrainConfig) -> Any:
        from saebook.tensorflow.engine import Engine  # which imports this module

        return Engine(self, train_config)

    def sweep_engine(self, models: Any, numbers: Any, train_config: TrainConfig) -> Any:
        from saebook.tensorflow.sweep import SweepEngine

        return SweepEngine(models, numbers, train_config)
