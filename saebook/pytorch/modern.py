"""The kinds of sparsity since 2024. The formulas are those of `saebook.modern`."""

from typing import Any

import torch

from saebook.config import AuxK, BatchTopK, Gated, JumpReLU, TopK
from saebook.modern import THRESHOLD_RATE, check_threshold
from saebook.pytorch.distributed import all_gather, batch_rows, largest_of_batch
from saebook.pytorch.losses import sparsity_loss
from saebook.pytorch.model import ACTIVATIONS, SparseAutoencoder, code, update_kept
from saebook.pytorch.sparse import largest

# TopK and BatchTopK: dead latents rebuild what the others leave over


def dead_code(
    aux: AuxK, model: SparseAutoencoder, a: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Code of the largest dead latents, and which they are, both ``(n_samples, n_latents)``."""
    dead = model.silent >= aux.dead_after
    chosen = largest(torch.where(dead, a, -torch.inf), aux.k) & dead
    return torch.where(chosen, ACTIVATIONS[model.config.activation](a), 0), chosen


@sparsity_loss.register(TopK)
@sparsity_loss.register(BatchTopK)
def _(
    sparsity: TopK | BatchTopK,
    model: SparseAutoencoder,
    x: torch.Tensor,
    a: torch.Tensor,
    z: torch.Tensor,
    strength: Any,
) -> torch.Tensor:
    if sparsity.aux is None:
        return torch.zeros((), dtype=x.dtype, device=x.device)
    z_dead, chosen = dead_code(sparsity.aux, model, a)
    left = (x - model.decode(z)).detach()  # has b_dec in it already
    error = torch.mean(torch.sum((left - z_dead @ model.dictionary) ** 2, dim=1))
    return sparsity.aux.weight * torch.any(chosen).to(z.dtype) * error


@update_kept.register(TopK)
@update_kept.register(BatchTopK)
@torch.no_grad()
def _(
    sparsity: TopK | BatchTopK, model: SparseAutoencoder, a: torch.Tensor, z: torch.Tensor
) -> None:
    if isinstance(sparsity, BatchTopK):
        smallest = torch.min(all_gather(torch.min(torch.where(z > 0, z, torch.inf))))
        before = model.threshold
        mean = before + THRESHOLD_RATE * (smallest - before)
        after = torch.where(before < 0, smallest, mean)
        model.threshold.copy_(torch.where(torch.isfinite(smallest), after, before))
    if sparsity.aux is not None:
        in_share = torch.any(z != 0, dim=0)
        silent = ~torch.any(all_gather(in_share), dim=0)
        model.silent.copy_(torch.where(silent, model.silent + batch_rows(z), 0))


# BatchTopK


@code.register
def _(
    sparsity: BatchTopK, model: SparseAutoencoder, a: torch.Tensor, training: bool
) -> torch.Tensor:
    if training:
        return torch.where(largest_of_batch(a, sparsity.k), torch.relu(a), 0)
    check_threshold(float(model.threshold))
    return torch.where(a > model.threshold, a, 0)


# JumpReLU. What depends on the threshold only through a step gets the window's slope: a product
# that is 0, with the gradient that is wanted.


def _slope(sparsity: JumpReLU, theta: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
    inside = torch.abs(a - theta) < sparsity.bandwidth / 2
    return inside.to(a.dtype) / sparsity.bandwidth * (theta.detach() - theta)


@code.register
def _(
    sparsity: JumpReLU, model: SparseAutoencoder, a: torch.Tensor, training: bool
) -> torch.Tensor:
    theta = torch.exp(model.log_threshold)
    z = torch.where(a > theta, a, 0)
    return z + theta.detach() * _slope(sparsity, theta, a) if training else z


@sparsity_loss.register
def _(
    sparsity: JumpReLU,
    model: SparseAutoencoder,
    x: torch.Tensor,
    a: torch.Tensor,
    z: torch.Tensor,
    strength: Any,
) -> torch.Tensor:
    theta = torch.exp(model.log_threshold)
    active = (a > theta).to(a.dtype) + _slope(sparsity, theta, a)
    return strength * sparsity.weight * torch.mean(torch.sum(active, dim=1))


# Gated


@code.register
def _(sparsity: Gated, model: SparseAutoencoder, a: torch.Tensor, training: bool) -> torch.Tensor:
    magnitude = torch.exp(model.r_mag) * (a - model.b_enc) + model.b_mag
    return torch.where(a > 0, torch.relu(magnitude), 0)


@sparsity_loss.register
def _(
    sparsity: Gated,
    model: SparseAutoencoder,
    x: torch.Tensor,
    a: torch.Tensor,
    z: torch.Tensor,
    strength: Any,
) -> torch.Tensor:
    gate = torch.relu(a)
    error = x - gate @ model.dictionary.detach() - model.b_dec.detach()
    penalty = strength * sparsity.weight * torch.sum(gate, dim=1)
    return torch.mean(penalty + torch.sum(error**2, dim=1))
