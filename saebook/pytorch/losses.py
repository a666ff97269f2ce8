"""The loss, term by term. The formulas are those of `saebook.reference`."""

from functools import singledispatch
from typing import Any

import torch
import torch.nn.functional as F

from saebook._types import Array
from saebook.config import KL, L1, Sparsity, TopK
from saebook.pytorch.model import SparseAutoencoder


@singledispatch
def penalty(sparsity: Sparsity | None, z: torch.Tensor) -> torch.Tensor:
    """Sparsity term of the loss for codes ``z (n_samples, n_latents)``, a scalar."""
    raise TypeError(f"sparsity must be a kind of sparsity or None, got {sparsity!r}.")


@penalty.register(type(None))
@penalty.register(TopK)
def _(sparsity: TopK | None, z: torch.Tensor) -> torch.Tensor:
    return torch.zeros((), dtype=z.dtype, device=z.device)


@penalty.register
def _(sparsity: L1, z: torch.Tensor) -> torch.Tensor:
    return sparsity.weight * torch.mean(torch.sum(torch.abs(z), dim=1))


@penalty.register
def _(sparsity: KL, z: torch.Tensor) -> torch.Tensor:
    rho, eps = sparsity.rho, torch.finfo(z.dtype).eps
    rho_hat = torch.clamp(torch.mean(z, dim=0), eps, 1 - eps)
    kl = rho * torch.log(rho / rho_hat) + (1 - rho) * torch.log((1 - rho) / (1 - rho_hat))
    return sparsity.beta * torch.sum(kl)


def reconstruction_loss(model: SparseAutoencoder, z: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Mean over samples of the error of decoding ``z``, summed over features, a scalar."""
    if model.config.reconstruction == "bce":
        logits = model.decode_logits(z)
        error = F.binary_cross_entropy_with_logits(logits, x, reduction="none")
    else:
        error = (model.decode(z) - x) ** 2
    return torch.mean(torch.sum(error, dim=1))


def loss_terms(
    model: SparseAutoencoder, x: torch.Tensor, z: torch.Tensor | None = None
) -> dict[str, torch.Tensor]:
    """Every term of the loss and their sum, for one batch.

    Parameters
    ----------
    model : SparseAutoencoder
    x : tensor (n_samples, n_features)
    z : tensor (n_samples, n_latents), optional
        Code of ``x``, if it is computed already.

    Returns
    -------
    dict of str to scalar tensor
        ``reconstruction``, ``sparsity``, ``weight_decay`` and their sum ``loss``.
    """
    z = model.encode(x) if z is None else z
    weights = [model.W_enc] if model.config.tied else [model.W_enc, model.W_dec]
    terms: dict[str, Any] = {
        "reconstruction": reconstruction_loss(model, z, x),
        "sparsity": penalty(model.config.sparsity, z),
        "weight_decay": model.config.weight_decay * sum(torch.sum(w**2) for w in weights),
    }
    return {**terms, "loss": sum(terms.values())}


def gradients(model: SparseAutoencoder, x: torch.Tensor) -> dict[str, Array]:
    """Gradient of the loss with respect to every parameter, for one batch, in NumPy.

    Parameters
    ----------
    model : SparseAutoencoder
    x : tensor (n_samples, n_features)

    Returns
    -------
    dict of str to ndarray
        Names, order and shapes are those of `SparseAutoencoder.to_numpy`.
    """
    variables = dict(model.named_parameters())
    found = torch.autograd.grad(loss_terms(model, x)["loss"], list(variables.values()))
    return {name: g.cpu().numpy() for name, g in zip(variables, found, strict=True)}
