"""The sparse autoencoder in TensorFlow. `saebook.pytorch` has the same names."""

try:
    import tensorflow as tf
except ModuleNotFoundError as error:
    if error.name != "tensorflow":
        raise
    raise ImportError(
        "saebook.tensorflow needs TensorFlow, which is not installed: pip install tensorflow."
    ) from error

import keras

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        "saebook.tensorflow needs Keras to run on TensorFlow, but KERAS_BACKEND chose "
        f"{keras.backend.backend()!r}; unset it or set KERAS_BACKEND=tensorflow."
    )

# TensorFlow would round float32 factors to 10 bits on recent GPUs, and PyTorch would not.
tf.config.experimental.enable_tensor_float_32_execution(False)

for _gpu in tf.config.list_physical_devices("GPU"):
    try:
        tf.config.experimental.set_memory_growth(_gpu, True)  # take memory as it is needed
    except RuntimeError:
        pass  # the GPU is in use already, and its memory policy can no longer be chosen

from saebook import _renamed
from saebook.model import gradients, loss_terms
from saebook.tensorflow.model import SparseAutoencoder
from saebook.training import encode, evaluate, fit, reconstruct

__all__ = [
    "SparseAutoencoder",
    "encode",
    "evaluate",
    "fit",
    "gradients",
    "loss_terms",
    "reconstruct",
]

__getattr__ = _renamed.modules_of(__name__)
