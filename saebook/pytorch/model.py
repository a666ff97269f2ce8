"""The model: a plain `torch.nn.Module`."""

from collections.abc import Callable, Mapping
from functools import singledispatch

import torch
from torch import nn

from saebook._types import Array, ArrayLike, Self
from saebook.checks import check_params, check_width
from saebook.config import SAEConfig, Sparsity, TopK
from saebook.pytorch.sparse import SparseCode, encode_sparse, largest
from saebook.reference import KEPT, init_params, parameter_shapes

ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "linear": lambda a: a,
}


def pick_device(device: str = "auto") -> torch.device:
    """The device called `device`: "auto" takes CUDA, then Apple's MPS, then the CPU.

    Raises
    ------
    ValueError
        If the device is unknown or this machine does not have it.
    """
    found = [
        name
        for name, present in (
            ("cuda", torch.cuda.is_available()),
            ("mps", torch.backends.mps.is_available()),
            ("cpu", True),
        )
        if present
    ]
    if device == "auto":
        return torch.device(found[0])
    kind, _, index = str(device).partition(":")
    if kind not in found or not (index == "" or index.isdigit()):
        raise ValueError(
            f"device must be 'auto' or one that PyTorch finds here ({', '.join(found)}), "
            f"got {device!r}."
        )
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"device must be below cuda:{torch.cuda.device_count()} here, got {device!r}."
        )
    return torch.device(device)


@singledispatch
def code(
    sparsity: Sparsity | None, model: "SparseAutoencoder", a: torch.Tensor, training: bool
) -> torch.Tensor:
    """Code of a pre-activation. A kind of sparsity that makes its own code registers here."""
    return ACTIVATIONS[model.config.activation](a)


@singledispatch
def update_kept(
    sparsity: Sparsity | None, model: "SparseAutoencoder", a: torch.Tensor, z: torch.Tensor
) -> None:
    """Update what a kind keeps count of, in place, after a step. One that does registers here."""


def unit_norm(weight: torch.Tensor, axis: int) -> torch.Tensor:
    """The weight, with Euclidean norm 1 along an axis; zeros stay zeros."""
    norm = torch.sqrt(torch.sum(weight**2, dim=axis, keepdim=True))
    return weight / torch.clamp(norm, min=torch.finfo(weight.dtype).tiny)


@code.register(TopK)
def _(sparsity: TopK, model: "SparseAutoencoder", a: torch.Tensor, training: bool) -> torch.Tensor:
    return torch.where(largest(a, sparsity.k), ACTIVATIONS[model.config.activation](a), 0)


class SparseAutoencoder(nn.Module):
    """One hidden layer: ``z = f(x W_enc + b_enc)``, ``x_hat = g(z W_dec + b_dec)``.

    Parameters
    ----------
    config : SAEConfig
        Sizes, functions f and g, and the objective.
    seed : int >= 0
        Seed of the initial weights, which are the same in every framework.
    dtype : {"float32", "float64"}
    device : str
        "auto" (CUDA, then MPS, then CPU), "cpu", "cuda", "cuda:1", "mps".

    Attributes
    ----------
    W_enc, b_enc, W_dec, b_dec : torch.nn.Parameter
        Shapes ``(n_features, n_latents)``, ``(n_latents,)``, ``(n_latents, n_features)``,
        ``(n_features,)``. A tied model has no ``W_dec``; read `dictionary`. Some kinds of sparsity
        have more: ``log_threshold``, ``r_mag``, ``b_mag``, and ``threshold`` and ``silent``, which
        training counts and no gradient moves.

    Raises
    ------
    ValueError
        If the dtype or the device is not to be had.
    """

    W_enc: nn.Parameter
    b_enc: nn.Parameter
    W_dec: nn.Parameter
    b_dec: nn.Parameter
    log_threshold: nn.Parameter
    r_mag: nn.Parameter
    b_mag: nn.Parameter
    threshold: torch.Tensor
    silent: torch.Tensor
    product_dtype: torch.dtype | None

    def __init__(
        self, config: SAEConfig, seed: int = 0, dtype: str = "float32", device: str = "auto"
    ) -> None:
        super().__init__()
        if dtype not in ("float32", "float64"):
            raise ValueError(f"dtype must be 'float32' or 'float64', got {dtype!r}.")
        place = pick_device(device)
        if place.type == "mps" and dtype == "float64":
            raise ValueError("dtype must be 'float32' on Apple's MPS, got 'float64'.")
        self.config = config
        self.product_dtype = None  # dtype of matrix products, if not the parameters' own
        for name, value in init_params(config, seed).items():
            tensor = torch.tensor(value, dtype=getattr(torch, dtype), device=place)
            if name in KEPT:
                self.register_buffer(name, tensor)
            else:
                self.register_parameter(name, nn.Parameter(tensor))

    @property
    def dtype(self) -> str:
        """Name of the parameters' dtype, "float32" or "float64"."""
        return str(self.b_dec.dtype).removeprefix("torch.")

    @property
    def device(self) -> torch.device:
        """Where the parameters live."""
        return self.b_dec.device

    @property
    def dictionary(self) -> torch.Tensor:
        """Decoder weights ``(n_latents, n_features)``, one row per latent."""
        return self.W_enc.T if self.config.tied else self.W_dec

    @property
    def encoder_bias(self) -> torch.Tensor:
        """``b_enc`` with the pre-bias folded in; that costs a vector and no copy of the batch."""
        return self.b_enc - self.b_dec @ self.W_enc if self.config.pre_bias else self.b_enc

    def _affine(
        self, x: torch.Tensor | SparseCode, weight: torch.Tensor, bias: torch.Tensor
    ) -> torch.Tensor:
        if isinstance(x, SparseCode):
            return x @ weight + bias
        if self.product_dtype is None:
            return torch.addmm(bias, x, weight)
        product = x.to(self.product_dtype) @ weight.to(self.product_dtype)
        return product.to(bias.dtype) + bias

    def preactivation(self, x: torch.Tensor) -> torch.Tensor:
        """Encoder pre-activation ``a (n_samples, n_latents)`` of ``x (n_samples, n_features)``."""
        check_width(x, self.config.n_features, "x")
        return self._affine(x, self.W_enc, self.encoder_bias)

    def code(self, a: torch.Tensor, training: bool = False) -> torch.Tensor:
        """Code ``z (n_samples, n_latents)`` of a pre-activation.

        `training` says whether the samples are a batch to learn from, for kinds of sparsity that
        then look at all of it.
        """
        return code(self.config.sparsity, self, a, training)

    def sparse_code(self, x: torch.Tensor) -> tuple[torch.Tensor, SparseCode]:
        """`preactivation` of what TopK keeps of ``x``, ``(n_samples, k)``, and its `code`."""
        check_width(x, self.config.n_features, "x")
        assert isinstance(self.config.sparsity, TopK)
        a, places = encode_sparse(x, self.W_enc, self.encoder_bias, self.config.sparsity.k)
        z = ACTIVATIONS[self.config.activation](a)
        return a, SparseCode(z, places, self.config.n_latents)

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Code ``z (n_samples, n_latents)`` of a tensor ``x (n_samples, n_features)``."""
        return self.code(self.preactivation(x))

    def decode_logits(self, z: torch.Tensor) -> torch.Tensor:
        """Decoder pre-activation ``(n_samples, n_features)`` of a code."""
        check_width(z, self.config.n_latents, "z")
        return self._affine(z, self.dictionary, self.b_dec)

    def nested_logits(self, z: torch.Tensor) -> list[torch.Tensor]:
        """Decoder pre-activations from the first group of latents, the first two, ... and all."""
        if self.config.groups is None:
            return [self.decode_logits(z)]
        groups, found = list(self.config.groups), []
        logits: torch.Tensor = self.b_dec
        for part, rows in zip(
            torch.split(z, groups, dim=1), torch.split(self.dictionary, groups), strict=True
        ):
            logits = self._affine(part, rows, logits)
            found.append(logits)
        return found

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Reconstruction ``x_hat (n_samples, n_features)`` of a code."""
        return ACTIVATIONS[self.config.output](self.decode_logits(z))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Reconstruction ``x_hat`` of a tensor ``x``, both ``(n_samples, n_features)``."""
        return self.decode(self.encode(x))

    @torch.no_grad()
    def normalize_decoder(self) -> None:
        """Scale every dictionary row to Euclidean norm 1, in place."""
        weight, axis = (self.W_enc, 0) if self.config.tied else (self.W_dec, 1)
        weight.copy_(unit_norm(weight, axis))

    def to_numpy(self) -> dict[str, Array]:
        """Copy of the parameters: dict of name to NumPy array, in the reference's order."""
        found = {name: getattr(self, name).detach() for name in parameter_shapes(self.config)}
        return {name: value.cpu().numpy().copy() for name, value in found.items()}

    @torch.no_grad()
    def from_numpy(self, params: Mapping[str, ArrayLike]) -> Self:
        """Set the parameters from a dict of name to array, and return the model.

        Raises
        ------
        ValueError
            If a name is missing or unknown, or an array has the wrong shape or is not finite.
        """
        for name, value in check_params(self.config, params).items():
            parameter = getattr(self, name)
            parameter.copy_(torch.as_tensor(value, dtype=parameter.dtype))
        return self
