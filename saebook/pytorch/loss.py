"""What the loss of every model is made of, in PyTorch; `saebook.model.loss_terms` adds it up."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from saebook.model import loss_terms


def mean_error(model: Any, logits: Tensor, x: Tensor) -> Tensor:
    """Mean over samples of the error of decoder pre-activations, summed over features."""
    if model.config.reconstruction == "bce":
        error = F.binary_cross_entropy_with_logits(logits, x, reduction="none")
    else:
        x_hat = model.functions[model.config.output](logits)
        error = F.mse_loss(x_hat, x, reduction="none")
    return torch.mean(torch.sum(error, dim=1))


def sum_of_squares(weight: Tensor) -> Tensor:
    """A scalar."""
    return torch.sum(weight**2)


def gradients(model: Any, x: Tensor) -> dict[str, Tensor]:
    """Gradient of the loss of a batch with respect to every trained parameter, by name."""
    variables = dict(model.named_parameters())
    found = torch.autograd.grad(loss_terms(model, x)["loss"], list(variables.values()))
    return dict(zip(variables, found, strict=True))
