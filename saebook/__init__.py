"""Sparse autoencoders, the same in NumPy, PyTorch and TensorFlow.

``import saebook`` loads neither framework; import from `saebook.pytorch` or `saebook.tensorflow`.
"""

from saebook import modern  # noqa: F401  (its kinds of sparsity register themselves)
from saebook.config import (
    KL,
    L1,
    AuxK,
    BatchTopK,
    Gated,
    JumpReLU,
    SAEConfig,
    TopK,
    TrainConfig,
)
from saebook.data import fashion_mnist, mnist

__version__ = "0.3.0"
__all__ = [
    "KL",
    "L1",
    "AuxK",
    "BatchTopK",
    "Gated",
    "JumpReLU",
    "SAEConfig",
    "TopK",
    "TrainConfig",
    "fashion_mnist",
    "mnist",
]
