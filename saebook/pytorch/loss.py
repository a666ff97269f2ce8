"""The terms of the loss that every model has, in PyTorch; `saebook.model.loss_terms` adds up."""

from typing import Any

import torch
import torch.nn.functional as F

from saebook._types import Array
from saebook.model import loss_terms


def reconstruction_loss(model: Any, z: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Mean over samples of the error of decoding ``z``, summed over features, a scalar.

    For a Matryoshka dictionary the sum of these, over the reconstructions from all its prefixes.
    """
    total: Any = 0
    for logits in model.nested_logits(z):
        if model.config.reconstruction == "bce":
            error = F.binary_cross_entropy_with_logits(logits, x, reduction="none")
        else:
            x_hat = model.functions[model.config.output](logits)
            error = F.mse_loss(x_hat, x, reduction="none")
        total += torch.mean(torch.sum(error, dim=1))
    return total


def weight_decay_loss(model: Any) -> torch.Tensor:
    """Sum of the squared weights times their decay, a scalar."""
    if model.config.weight_decay == 0:  # several passes over all weights, for nothing
        return torch.zeros((), dtype=model.b_dec.dtype, device=model.device)
    squares = torch.sum(model.W_enc**2)
    if not model.config.tied:
        squares = squares + torch.sum(model.W_dec**2)
    return model.config.weight_decay * squares


def gradients(model: Any, x: torch.Tensor) -> dict[str, Array]:
    """Gradient of the loss with respect to every trained parameter, for one batch, in NumPy.

    Parameters
    ----------
    model : SparseAutoencoder
    x : tensor (n_samples, n_features)

    Returns
    -------
    dict of str to ndarray
        Names, order and shapes are those of `SparseAutoencoder.to_numpy`, without what no gradient
        moves.
    """
    variables = dict(model.named_parameters())
    found = torch.autograd.grad(loss_terms(model, x)["loss"], list(variables.values()))
    return {name: g.cpu().numpy() for name, g in zip(variables, found, strict=True)}
