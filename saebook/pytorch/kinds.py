"""What each kind of sparsity makes of a pre-activation and adds to the loss, in PyTorch.

The formulas are those of the classes of the same name in `saebook.reference.kinds`; autograd does
the gradients. The kinds that choose by rank are in `saebook.pytorch.topk`.
"""

from typing import Any

import torch
from torch import Tensor

from saebook.kinds import FEWEST, L0_RATE, NEAR
from saebook.model import Kind
from saebook.pytorch.distributed import batch_mean


class Priced(Kind):
    def count(self, a: Tensor, z: Tensor) -> None:
        if self.sparsity.l0 is not None:
            active = batch_mean(torch.sum((z > 0).to(z.dtype), dim=1, keepdim=True))[0]
            off = torch.log(active / self.sparsity.l0)  # -inf where none is active
            self.model.price.mul_(torch.exp(L0_RATE * torch.clamp(off, -2, 2)))


class L1(Priced):
    def penalty(self, z: Tensor) -> Tensor:
        return self.sparsity.weight * torch.mean(torch.sum(torch.abs(z), dim=1))


class KL(Kind):
    def penalty(self, z: Tensor) -> Tensor:
        rho, eps = self.sparsity.rho, torch.finfo(z.dtype).eps
        rho_hat = torch.clamp(batch_mean(z), eps, 1 - eps)
        kl = rho * torch.log(rho / rho_hat) + (1 - rho) * torch.log((1 - rho) / (1 - rho_hat))
        return self.sparsity.beta * torch.sum(kl)


class JumpReLU(Priced):
    def slope(self, theta: Tensor, a: Tensor) -> Tensor:
        """0, with the slope that the window puts in the place of that of a step."""
        width = theta.detach() if self.sparsity.bandwidth is None else self.sparsity.bandwidth
        inside = torch.abs(a - theta) < width / 2
        return inside.to(a.dtype) / width * (theta.detach() - theta)

    def code(self, a: Tensor, training: bool) -> Tensor:
        theta = torch.exp(self.model.log_threshold)
        z = torch.where(a > theta, a, 0)
        return z + theta.detach() * self.slope(theta, a) if training else z

    def loss(self, x: Tensor, a: Tensor, z: Tensor, strength: Any) -> Tensor:
        theta = torch.exp(self.model.log_threshold)
        active = torch.sum((a > theta).to(a.dtype) + self.slope(theta, a), dim=1, keepdim=True)
        if self.sparsity.l0 is None:
            return strength * self.sparsity.weight * torch.mean(active)
        off = batch_mean(active)[0] / self.sparsity.l0 - 1
        return strength * self.sparsity.weight * off**2

    def count(self, a: Tensor, z: Tensor) -> None:
        if self.sparsity.l0 is not None:
            counts = [torch.sum((code > 0).to(z.dtype), dim=1) for code in (z, a)]
            active, positive = batch_mean(torch.stack(counts, dim=1))
            wanted = torch.clamp(positive, FEWEST, self.sparsity.l0)
            off = torch.clamp(torch.log(torch.clamp(active, FEWEST) / wanted), -2, 2)
            far = torch.sign(off) * torch.clamp(torch.abs(off) - NEAR, 0)
            self.model.log_threshold.add_(L0_RATE * far)


class Gated(Priced):
    def code(self, a: Tensor, training: bool) -> Tensor:
        scale = torch.exp(self.model.r_mag)
        magnitude = scale * (a - self.model.b_enc) + self.model.b_mag
        return torch.where(a > 0, torch.relu(magnitude), 0)

    def loss(self, x: Tensor, a: Tensor, z: Tensor, strength: Any) -> Tensor:
        gate = torch.relu(a)
        error = x - gate @ self.model.dictionary.detach() - self.model.b_dec.detach()
        price = strength * self.sparsity.weight * torch.sum(gate, dim=1)
        return torch.mean(price + torch.sum(error**2, dim=1))
