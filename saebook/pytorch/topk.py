"""The kinds that choose by rank, in PyTorch: TopK, BatchTopK, and AuxK for their dead latents.

Where few latents are kept, training knows TopK's code as its values and their places, and skips the
zeros: of the five matrix products of a step only the encoder's then has to be dense. The numbers
are those of the dense way, up to rounding.
"""

import warnings
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from saebook.kinds import THRESHOLD_RATE, check_threshold
from saebook.model import Kind, SparseCode
from saebook.pytorch import distributed

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # PyTorch says, once, that its CSR tensors are in beta
    torch.zeros((1, 1)).to_sparse_csr()


def _number(value: Tensor) -> float | None:
    """A scalar; None in code that is exported, compiled, traced or mapped, and must not branch."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing():
        return None
    try:
        return float(value)
    except RuntimeError:  # within torch.func.vmap
        return None


def _any(mask: Tensor) -> bool:
    """Whether an entry is True; also where that is not known, or would make a GPU wait."""
    return mask.device.type != "cpu" or _number(torch.any(mask)) != 0


def largest(a: Tensor, k: int) -> Tensor:
    """Whether an entry is among the `k` largest of its row; the first of equals goes first.

    NaN is larger than all numbers, so that it is seen in the code.
    """
    values = torch.topk(a, min(k + 1, a.shape[1]), dim=1).values
    smallest = values[:, k - 1 : k]
    # Which of equal entries a framework's own top-k takes is not defined: the first ones, here.
    # That matters only where the next one equals the last.
    if not _any((values[:, k:] == smallest) | torch.isnan(values[:, :1])):
        return a >= smallest
    a, smallest = (torch.where(torch.isnan(v), torch.inf, v) for v in (a, smallest))
    above, equal = a > smallest, a == smallest
    room = k - torch.sum(above, dim=1, keepdim=True)
    return above | (equal & (torch.cumsum(equal, dim=1) <= room))


def largest_places(a: Tensor, k: int) -> Tensor:
    """Columns of the `k` largest of each row, ``(n_rows, k)``; the first of equals goes first."""
    values, places = torch.topk(a, min(k + 1, a.shape[1]), dim=1)
    if _any(values[:, k:] == values[:, k - 1 : k]):
        places = torch.topk(largest(a, k).to(a.dtype), k, dim=1).indices
    # In rising order, as the format of sparse rows asks for, though nothing here checks it.
    return torch.sort(places[:, :k], dim=1).values


def _csr(values: Tensor, places: Tensor, n_columns: int) -> Tensor:
    n_rows, k = places.shape
    starts = torch.arange(0, n_rows * k + 1, k)
    return torch.sparse_csr_tensor(
        starts, places.flatten(), values.flatten(), (n_rows, n_columns), check_invariants=False
    )


def _transposed_product(z: Tensor, b: Tensor) -> Tensor:
    """``z.T @ b``, into memory that is not set to zero and copied first, as ``@`` does."""
    out = b.new_empty(z.shape[1], b.shape[1])
    return torch.addmm(out, z.t().to_sparse_csr(), b, beta=0.0, out=out)


class _Encode(torch.autograd.Function):
    """Largest pre-activations of each sample and their places; the others get no gradient."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, shift: Tensor | None, weight: Tensor, bias: Tensor, k: int
    ) -> tuple[Tensor, Tensor]:
        x = x if shift is None else x - shift
        a = torch.addmm(bias, x, weight)
        places = largest_places(a, k)
        ctx.save_for_backward(x, places, None if shift is None else weight)
        ctx.mark_non_differentiable(places)
        ctx.n_latents = len(bias)
        return torch.gather(a, 1, places), places

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Any) -> tuple[Tensor | None, ...]:
        x, places, weight = ctx.saved_tensors
        to_weight = _transposed_product(_csr(grad, places, ctx.n_latents), x).t()
        to_bias = torch.zeros(ctx.n_latents, dtype=grad.dtype)
        to_bias.index_add_(0, places.flatten(), grad.flatten())
        to_shift = None if weight is None else -(weight @ to_bias)
        return None, to_shift, to_weight, to_bias, None


class _Decode(torch.autograd.Function):
    """Product of a code and a dictionary ``(n_latents, n_features)``."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, places: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(values, places, weight)
        # Several times as fast as a product of a CSR matrix.
        return embedding_bag(places, weight, per_sample_weights=values, mode="sum")

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        values, places, weight = ctx.saved_tensors
        z = _csr(values, places, len(weight))
        to_values = torch.sparse.sampled_addmm(z, grad, weight.t(), beta=0.0).values()
        return to_values.reshape(values.shape), None, _transposed_product(z, grad)


def encode_sparse(
    x: Tensor, shift: Tensor | None, weight: Tensor, bias: Tensor, k: int
) -> tuple[Tensor, Tensor]:
    """The `k` largest of each row of ``(x - shift) @ weight + bias``, and their columns.

    Both ``(n_rows, k)``. A shift folded into the bias would cost a dense gradient of the weight.
    """
    return _Encode.apply(x, shift, weight, bias, k)


def has_products(device: torch.device) -> bool:
    """Whether there are products on a device that skip zeros: those of MKL."""
    return device.type == "cpu" and torch.backends.mkl.is_available()


def active_counts(z: Tensor | SparseCode, above: float) -> Tensor:
    """In how many samples each latent is larger than `above` in size, ``(n_latents,)``."""
    if isinstance(z, SparseCode):
        active = (torch.abs(z.values) > above).to(z.values.dtype)
        counts = torch.zeros(z.n_latents, dtype=active.dtype)
        return counts.index_add_(0, z.places.flatten(), active.flatten())
    # As floating-point numbers, which PyTorch sums several times as fast as booleans.
    return torch.sum((torch.abs(z) > above).to(z.dtype), dim=0)


class TopK(Kind):
    """The k largest pre-activations of each sample; dead latents rebuild what these leave over."""

    def kept(self, a: Tensor) -> Tensor:
        """Which latents are kept in training, ``(n_samples, n_latents)``."""
        return largest(a, self.sparsity.k)

    def code(self, a: Tensor, training: bool) -> Tensor:
        return torch.where(self.kept(a), self.activation(a), 0)

    def sparse_code(self, x: Tensor) -> tuple[Tensor, SparseCode]:
        """The pre-activations that are kept of samples, ``(n_samples, k)``, and their code."""
        model = self.model
        shift = model.b_dec if model.config.pre_bias else None
        a, places = encode_sparse(x, shift, model.W_enc, model.b_enc, self.sparsity.k)
        n_latents = model.config.n_latents
        return a, SparseCode(self.activation(a), places, n_latents, _Decode.apply)

    def dead_code(self, a: Tensor) -> tuple[Tensor, Tensor]:
        """Code of the largest dead latents, and which they are, ``(n_samples, n_latents)``."""
        dead = self.model.silent >= self.sparsity.aux.dead_after
        lowest = torch.finfo(a.dtype).min
        chosen = largest(torch.where(dead, a, lowest), self.sparsity.aux.k) & dead
        return torch.where(chosen, self.activation(a), 0), chosen

    def loss(self, x: Tensor, a: Tensor, z: Any, strength: Any) -> Tensor:
        if self.sparsity.aux is None:
            return self.model.zero()
        z_dead, chosen = self.dead_code(a)
        left = (x - self.model.decode(z)).detach()  # has b_dec in it already
        error = torch.mean(torch.sum((left - z_dead @ self.model.dictionary) ** 2, dim=1))
        return self.sparsity.aux.weight * torch.any(chosen).to(z.dtype) * error

    def count(self, a: Tensor, z: Any) -> None:
        if self.sparsity.aux is not None:
            in_share = torch.any(z != 0, dim=0)
            silent = ~torch.any(distributed.all_gather(in_share), dim=0)
            before = self.model.silent
            before.copy_(torch.where(silent, before + distributed.batch_rows(z), 0))


def largest_of_batch(a: Tensor, k: int) -> Tensor:
    """Whether an entry of this process's share is among the `k` per row largest of the batch.

    The first of equals goes first, as in `largest`.
    """
    row = torch.reshape(a, (1, -1))
    n_kept = k * len(a)
    if distributed.sharing():
        # Each process's best, as many as could be kept at all, and where the best of those are.
        total = k * int(distributed.batch_rows(a))
        best = torch.full((total,), -torch.inf, dtype=a.dtype, device=a.device)
        values = torch.topk(row.detach()[0], min(total, a.numel())).values
        best[: len(values)] = values
        kept = largest(distributed.all_gather(best).reshape(1, -1), total)
        n_kept = int(torch.sum(kept.reshape(distributed.world_size(), -1)[distributed.rank()]))
        if n_kept == 0:
            return torch.zeros_like(a, dtype=torch.bool)
    return torch.reshape(largest(row, n_kept), a.shape)


class BatchTopK(TopK):
    """The largest pre-activations of a batch; afterwards those above a learned threshold."""

    def kept(self, a: Tensor) -> Tensor:
        return largest_of_batch(a, self.sparsity.k)

    def code(self, a: Tensor, training: bool) -> Tensor:
        if training:
            return super().code(a, training)
        threshold = self.model.threshold
        if (known := _number(threshold)) is not None:
            check_threshold(known)
            return torch.where(a > threshold, a, 0)
        # Where no error can be raised, a threshold that is not learned makes NaN.
        return torch.where(a > threshold, a, 0) + torch.sqrt(torch.clamp(threshold, max=0))

    def count(self, a: Tensor, z: Tensor) -> None:
        super().count(a, z)
        smallest = torch.min(distributed.all_gather(torch.min(torch.where(z > 0, z, torch.inf))))
        before = self.model.threshold
        mean = before + THRESHOLD_RATE * (smallest - before)
        after = torch.where(before < 0, smallest, mean)
        before.copy_(torch.where(torch.isfinite(smallest), after, before))
