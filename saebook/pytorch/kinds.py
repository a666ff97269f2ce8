"""What each kind of sparsity makes of a pre-activation and adds to the loss, in PyTorch.

The formulas are those of the classes of the same name in `saebook.reference.kinds`; autograd does
the gradients. The kinds that choose by rank are in `saebook.pytorch.topk`.
"""

from typing import Any

import torch

from saebook.pytorch.distributed import batch_mean


class Kind:
    """The plain autoencoder, and what a kind of sparsity has that does not override it."""

    def __init__(self, sparsity: Any, model: Any) -> None:
        self.sparsity, self.model = sparsity, model

    def activation(self, a: torch.Tensor) -> torch.Tensor:
        """The model's own function of a pre-activation."""
        return self.model.functions[self.model.config.activation](a)

    def code(self, a: torch.Tensor, training: bool) -> torch.Tensor:
        """Code of a pre-activation, both ``(n_samples, n_latents)``."""
        return self.activation(a)

    def penalty(self, z: torch.Tensor) -> torch.Tensor:
        """Penalty on codes, a scalar."""
        return torch.zeros((), dtype=z.dtype, device=z.device)

    def loss(
        self, x: torch.Tensor, a: torch.Tensor, z: torch.Tensor, strength: Any
    ) -> torch.Tensor:
        """All that the kind adds to the loss, if that is more than its penalty."""
        return strength * self.penalty(z)

    def count(self, a: torch.Tensor, z: torch.Tensor) -> None:
        """Update in place, after a step, the parameters that the kind counts."""


class L1(Kind):
    """A price for the size of every entry of the code."""

    def penalty(self, z: torch.Tensor) -> torch.Tensor:
        return self.sparsity.weight * torch.mean(torch.sum(torch.abs(z), dim=1))


class KL(Kind):
    """A price for mean activations that are not rho."""

    def penalty(self, z: torch.Tensor) -> torch.Tensor:
        rho, eps = self.sparsity.rho, torch.finfo(z.dtype).eps
        rho_hat = torch.clamp(batch_mean(z), eps, 1 - eps)
        kl = rho * torch.log(rho / rho_hat) + (1 - rho) * torch.log((1 - rho) / (1 - rho_hat))
        return self.sparsity.beta * torch.sum(kl)


class JumpReLU(Kind):
    """What is above a learned threshold, and a price for each latent that is.

    What depends on the threshold only through a step gets the window's slope: a product that is 0,
    with the gradient that is wanted.
    """

    def slope(self, theta: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
        """0, with the gradient of the window with respect to the threshold."""
        inside = torch.abs(a - theta) < self.sparsity.bandwidth / 2
        return inside.to(a.dtype) / self.sparsity.bandwidth * (theta.detach() - theta)

    def code(self, a: torch.Tensor, training: bool) -> torch.Tensor:
        theta = torch.exp(self.model.log_threshold)
        z = torch.where(a > theta, a, 0)
        return z + theta.detach() * self.slope(theta, a) if training else z

    def loss(
        self, x: torch.Tensor, a: torch.Tensor, z: torch.Tensor, strength: Any
    ) -> torch.Tensor:
        theta = torch.exp(self.model.log_threshold)
        active = (a > theta).to(a.dtype) + self.slope(theta, a)
        return strength * self.sparsity.weight * torch.mean(torch.sum(active, dim=1))


class Gated(Kind):
    """A gate that says which latents are active, and a magnitude that says how strongly."""

    def code(self, a: torch.Tensor, training: bool) -> torch.Tensor:
        model = self.model
        magnitude = torch.exp(model.r_mag) * (a - model.b_enc) + model.b_mag
        return torch.where(a > 0, torch.relu(magnitude), 0)

    def loss(
        self, x: torch.Tensor, a: torch.Tensor, z: torch.Tensor, strength: Any
    ) -> torch.Tensor:
        gate = torch.relu(a)
        error = x - gate @ self.model.dictionary.detach() - self.model.b_dec.detach()
        price = strength * self.sparsity.weight * torch.sum(gate, dim=1)
        return torch.mean(price + torch.sum(error**2, dim=1))
