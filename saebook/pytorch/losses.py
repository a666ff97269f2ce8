"""The loss, term by term. The formulas are those of `saebook.reference`."""

from functools import singledispatch
from typing import Any

import torch
import torch.nn.functional as F

from saebook._types import Array
from saebook.config import KL, L1, Sparsity
from saebook.pytorch.distributed import batch_mean
from saebook.pytorch.model import ACTIVATIONS, SparseAutoencoder


@singledispatch
def penalty(sparsity: Sparsity | None, z: torch.Tensor) -> torch.Tensor:
    """Penalty on codes ``z (n_samples, n_latents)``, a scalar, of a kind that has one."""
    raise TypeError(f"sparsity must be a kind of sparsity or None, got {sparsity!r}.")


@penalty.register(type(None))
def _(sparsity: None, z: torch.Tensor) -> torch.Tensor:
    return torch.zeros((), dtype=z.dtype, device=z.device)


@penalty.register
def _(sparsity: L1, z: torch.Tensor) -> torch.Tensor:
    return sparsity.weight * torch.mean(torch.sum(torch.abs(z), dim=1))


@penalty.register
def _(sparsity: KL, z: torch.Tensor) -> torch.Tensor:
    rho, eps = sparsity.rho, torch.finfo(z.dtype).eps
    rho_hat = torch.clamp(batch_mean(z), eps, 1 - eps)
    kl = rho * torch.log(rho / rho_hat) + (1 - rho) * torch.log((1 - rho) / (1 - rho_hat))
    return sparsity.beta * torch.sum(kl)


@singledispatch
def sparsity_loss(
    sparsity: Sparsity | None,
    model: SparseAutoencoder,
    x: torch.Tensor,
    a: torch.Tensor,
    z: torch.Tensor,
    strength: Any,
) -> torch.Tensor:
    """All that a kind of sparsity adds to the loss: its penalty times `strength`, a scalar.

    A kind that adds something that depends on more than the code registers here.
    """
    return strength * penalty(sparsity, z)


def reconstruction_loss(model: SparseAutoencoder, z: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Mean over samples of the error of decoding ``z``, summed over features, a scalar.

    For a Matryoshka dictionary the sum of these, over the reconstructions from all its prefixes.
    """
    total: Any = 0
    for logits in model.nested_logits(z):
        if model.config.reconstruction == "bce":
            error = F.binary_cross_entropy_with_logits(logits, x, reduction="none")
        else:
            x_hat = ACTIVATIONS[model.config.output](logits)
            error = F.mse_loss(x_hat, x, reduction="none")
        total += torch.mean(torch.sum(error, dim=1))
    return total


def weight_decay_loss(model: SparseAutoencoder) -> torch.Tensor:
    """Sum of the squared weights times their decay, a scalar."""
    if model.config.weight_decay == 0:  # several passes over all weights, for nothing
        return torch.zeros((), dtype=model.b_dec.dtype, device=model.device)
    squares = torch.sum(model.W_enc**2)
    if not model.config.tied:
        squares = squares + torch.sum(model.W_dec**2)
    return model.config.weight_decay * squares


def loss_terms(
    model: SparseAutoencoder,
    x: torch.Tensor,
    a: torch.Tensor | None = None,
    z: torch.Tensor | None = None,
    strength: Any = 1.0,
) -> dict[str, torch.Tensor]:
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
    terms: dict[str, Any] = {
        "reconstruction": reconstruction_loss(model, z, x),
        "sparsity": sparsity_loss(model.config.sparsity, model, x, a, z, strength),
        "weight_decay": weight_decay_loss(model),
    }
    return {**terms, "loss": sum(terms.values())}


def gradients(model: SparseAutoencoder, x: torch.Tensor) -> dict[str, Array]:
    """Gradient of the loss with respect to every trained parameter, for one batch, in NumPy.

    Parameters
    ----------
    model : SparseAutoencoder
    x : tensor (n_samples, n_features)

    Returns
    -------
    dict of str to ndarray
        Names, order and shapes are those of `SparseAutoencoder.to_numpy`, without what no gradient
        moves (``saebook.reference.KEPT``).
    """
    variables = dict(model.named_parameters())
    found = torch.autograd.grad(loss_terms(model, x)["loss"], list(variables.values()))
    return {name: g.cpu().numpy() for name, g in zip(variables, found, strict=True)}
