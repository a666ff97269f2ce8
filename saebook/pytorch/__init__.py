"""The sparse autoencoder in PyTorch. `saebook.tensorflow` has the same names."""

try:
    import torch  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise ImportError(
        "saebook.pytorch needs PyTorch, which is not installed: pip install 'saebook[torch]'."
    ) from error

from saebook.pytorch import modern  # noqa: F401  (its kinds register themselves)
from saebook.pytorch.losses import gradients, loss_terms
from saebook.pytorch.model import SparseAutoencoder
from saebook.pytorch.training import encode, evaluate, fit, reconstruct

__all__ = [
    "SparseAutoencoder",
    "encode",
    "evaluate",
    "fit",
    "gradients",
    "loss_terms",
    "reconstruct",
]
