"""The sparse autoencoder in PyTorch. `saebook.tensorflow` has the same names."""

try:
    import torch  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise ImportError(
        "saebook.pytorch needs PyTorch, which is not installed: pip install torch."
    ) from error

from saebook import _renamed
from saebook.model import gradients, loss_terms
from saebook.pytorch.model import SparseAutoencoder
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
