"""TopK's code in training as its few values and their places, with products that skip the zeros.

Of the five matrix products of a step only the encoder's then has to be dense. The numbers are those
of the dense way, up to rounding.
"""

import warnings
from typing import Any, NamedTuple

import torch

from saebook.config import SAEConfig, TopK

LATENTS_PER_KEPT = 16  # with 8 the dense products were as fast or faster on two cores

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # PyTorch says, once, that its CSR tensors are in beta
    torch.zeros((1, 1)).to_sparse_csr()


def largest(a: torch.Tensor, k: int) -> torch.Tensor:
    """Whether an entry is among the `k` largest of its row; the first of equals goes first."""
    values = torch.topk(a, min(k + 1, a.shape[1]), dim=1).values
    smallest = values[:, k - 1 : k]
    # Which of equal entries a framework's own top-k takes is not defined: the first ones, here.
    # That matters only where the next one equals the last; to ask that would make a GPU wait.
    if a.device.type == "cpu" and not torch.any(values[:, k:] == smallest):
        return a >= smallest
    above, equal = a > smallest, a == smallest
    room = k - torch.sum(above, dim=1, keepdim=True)
    return above | (equal & (torch.cumsum(equal, dim=1) <= room))


def largest_places(a: torch.Tensor, k: int) -> torch.Tensor:
    """Columns of the `k` largest of each row, ``(n_rows, k)``; the first of equals goes first."""
    values, places = torch.topk(a, min(k + 1, a.shape[1]), dim=1)
    if torch.any(values[:, k:] == values[:, k - 1 : k]):
        places = torch.topk(largest(a, k).to(a.dtype), k, dim=1).indices
    return places[:, :k].contiguous()


def _csr(values: torch.Tensor, places: torch.Tensor, n_columns: int) -> torch.Tensor:
    n_rows, k = places.shape
    starts = torch.arange(0, n_rows * k + 1, k)
    return torch.sparse_csr_tensor(
        starts, places.flatten(), values.flatten(), (n_rows, n_columns), check_invariants=False
    )


def _transposed_product(z: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """``z.T @ b``, into memory that is not set to zero and copied first, as ``@`` does."""
    out = b.new_empty(z.shape[1], b.shape[1])
    return torch.addmm(out, z.t().to_sparse_csr(), b, beta=0.0, out=out)


class _Encode(torch.autograd.Function):
    """Largest pre-activations of each sample and their places; the others get no gradient."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, k: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        a = torch.addmm(bias, x, weight)
        places = largest_places(a, k)
        ctx.save_for_backward(x, places)
        ctx.mark_non_differentiable(places)
        ctx.n_latents = len(bias)
        return torch.gather(a, 1, places), places

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor, _: Any) -> tuple[torch.Tensor | None, ...]:
        x, places = ctx.saved_tensors
        to_weight = _transposed_product(_csr(grad, places, ctx.n_latents), x).t()
        to_bias = torch.zeros(ctx.n_latents, dtype=grad.dtype)
        return None, to_weight, to_bias.index_add_(0, places.flatten(), grad.flatten()), None


class _Decode(torch.autograd.Function):
    """Product of a code and a dictionary ``(n_latents, n_features)``."""

    @staticmethod
    def forward(
        ctx: Any, values: torch.Tensor, places: torch.Tensor, weight: torch.Tensor
    ) -> torch.Tensor:
        ctx.save_for_backward(values, places, weight)
        return _csr(values, places, len(weight)) @ weight

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        values, places, weight = ctx.saved_tensors
        z = _csr(values, places, len(weight))
        to_values = torch.sparse.sampled_addmm(z, grad, weight.t(), beta=0.0).values()
        return to_values.reshape(values.shape), None, _transposed_product(z, grad)


class SparseCode(NamedTuple):
    """A code ``(n_samples, n_latents)`` of which `k` entries in a row are not known to be zero.

    Its product with a matrix ``(n_latents, n_features)`` is a tensor ``(n_samples, n_features)``.
    """

    values: torch.Tensor  # (n_samples, k)
    places: torch.Tensor  # (n_samples, k)
    n_latents: int

    @property
    def shape(self) -> tuple[int, int]:
        """``(n_samples, n_latents)``."""
        return len(self.places), self.n_latents

    def __matmul__(self, weight: torch.Tensor) -> torch.Tensor:
        return _Decode.apply(self.values, self.places, weight)


def encode_sparse(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, k: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The `k` largest of each row of ``x @ weight + bias``, and their columns, ``(n_rows, k)``."""
    return _Encode.apply(x, weight, bias, k)


def pays(config: SAEConfig, device: torch.device) -> bool:
    """Whether training on a device is faster with a `SparseCode`."""
    return (
        isinstance(config.sparsity, TopK)
        and config.sparsity.aux is None  # looks at all pre-activations
        and config.groups is None
        and config.sparsity.k * LATENTS_PER_KEPT <= config.n_latents
        and device.type == "cpu"
        and torch.backends.mkl.is_available()  # whose sparse products these are
    )


def active_counts(z: torch.Tensor | SparseCode, above: float) -> torch.Tensor:
    """In how many samples each latent is larger than `above` in size, ``(n_latents,)``."""
    if isinstance(z, SparseCode):
        active = (torch.abs(z.values) > above).to(z.values.dtype)
        counts = torch.zeros(z.n_latents, dtype=active.dtype)
        return counts.index_add_(0, z.places.flatten(), active.flatten())
    # As floating-point numbers, which PyTorch sums several times as fast as booleans.
    return torch.sum((torch.abs(z) > above).to(z.dtype), dim=0)
