"""The model: a plain `keras.Model`."""

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from saebook._types import Array
from saebook.config import SAEConfig
from saebook.kinds import classes_of
from saebook.model import Autoencoder, Kind, check_dtype, loss_terms
from saebook.parameters import counted_names, row_axis
from saebook.start import init_params
from saebook.tensorflow import kinds, loss, topk
from saebook.weights import config_from_dict, config_to_dict


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

    ``device`` is "auto" (the first GPU, then the CPU), "cpu", "gpu" or "cuda", or "gpu:1".
    """

    functions: ClassVar = {"sigmoid": tf.sigmoid, "relu": tf.nn.relu, "linear": lambda a: a}
    kinds: ClassVar = classes_of(Kind, kinds, topk)
    framework = "tensorflow"
    mean_error = loss.mean_error
    sum_of_squares = staticmethod(loss.sum_of_squares)
    gradients = loss.gradients
    unit_norm = staticmethod(unit_norm)

    def __init__(
        self, config: SAEConfig, seed: int = 0, dtype: str = "float32", device: str = "auto"
    ) -> None:
        check_dtype(dtype)
        super().__init__(dtype=dtype)
        self.config, self.seed, self.product_dtype = config, seed, None
        self.device = pick_device(device)
        decoder, axis = row_axis(config)
        # For Keras's own optimisers; ours leaves it to the engine.
        norms = {decoder: partial(unit_norm, axis=axis)} if config.unit_norm else {}
        with tf.device(self.device):
            for name, value in init_params(config, seed).items():
                trained = name not in counted_names(config)
                # "zeros" because Keras's default draws its seed from Python's global random state
                variable = self.add_weight(
                    value.shape, "zeros", trainable=trained, name=name, constraint=norms.get(name)
                )
                variable.assign(value)
                setattr(self, name, variable)
        self.build((None, config.n_features))

    def build(self, input_shape: Any) -> None:
        """Nothing is left to make; Keras notes the shape, without which it exports no model."""
        self.built = True

    def quantize(self, mode: str, **options: Any) -> None:
        """Refused: Keras 3.15 quantises its own layers, and would look for them here for ever."""
        raise NotImplementedError(
            f"quantize({mode!r}) needs layers of Keras's, which this model has none of; "
            "saebook.export writes a model for LiteRT."
        )

    @property
    def dictionary(self) -> tf.Tensor:
        return tf.transpose(self.W_enc) if self.config.tied else self.W_dec

    @property
    def encoder_bias(self) -> tf.Tensor:
        if not self.config.pre_bias:
            return self.b_enc
        return self.b_enc - tf.linalg.matvec(self.W_enc, self.b_dec, transpose_a=True)

    def addmm(self, x: tf.Tensor, weight: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
        return tf.matmul(x, weight) + bias

    def cast(self, tensor: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
        return tf.cast(tensor, dtype)

    def split(self, tensor: tf.Tensor, sizes: Sequence[int], axis: int) -> Sequence[tf.Tensor]:
        return tf.split(tensor, list(sizes), axis=axis)

    def zero(self) -> tf.Tensor:
        return tf.zeros((), dtype=self.dtype)

    def compile(self, optimizer: Any = "adam", loss: Any = None, **options: Any) -> None:
        """Prepare Keras's own ``fit``, for all of the model's loss where `loss` is None.

        With a loss of the user's, sparsity and weight decay are added to it. It is slower than
        `saebook.tensorflow.fit`, and Keras's Adam is another than PyTorch's.
        """
        if loss is not None and self.config.groups:
            raise ValueError(f"loss must be None where config has groups, got {loss!r}.")
        super().compile(optimizer, loss, **options)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> tf.Tensor:
        """What Keras's own training and ``evaluate`` minimise and report; see `compile`."""
        x = tf.cast(x, self.dtype)
        a = self.preactivation(x)
        z = self.code(a, training)
        terms = loss_terms(self, x, a, z)
        if training:
            self.kind.count(a, z)
        if self.loss is None:
            return terms["loss"]
        given = super().compute_loss(x, y, y_pred, sample_weight, training)
        return given + terms["sparsity"] + terms["weight_decay"]

    def get_config(self) -> dict[str, Any]:
        """What Keras stores of a model, and copies it by; the device is chosen anew."""
        shape = self.image_shape and list(self.image_shape)
        settings = config_to_dict(self.config)
        return {"config": settings, "dtype": self.dtype, "image_shape": shape}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "SparseAutoencoder":
        """The model that `get_config` described, with new weights."""
        model = cls(config_from_dict(config["config"]), dtype=config["dtype"])
        shape = config.get("image_shape")  # not in a file of 0.4.0
        model.image_shape = shape and tuple(shape)
        return model

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Reconstruction ``x_hat`` of a tensor ``x``, both ``(n_samples, n_features)``."""
        return self.rebuild(x)

    def tensor(self, x: Array) -> tf.Tensor:
        with tf.device(self.device):
            return tf.convert_to_tensor(x)

    def array(self, tensor: tf.Tensor) -> Array:
        return tensor.numpy()

    def reading(self) -> Any:
        return tf.device(self.device)

    def set_parameter(self, name: str, value: Array) -> None:
        getattr(self, name).assign(value)
