"""The model: a plain `torch.nn.Module`."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import nn

from saebook import kinds
from saebook._types import Array
from saebook.config import SAEConfig, TrainConfig
from saebook.model import Autoencoder, check_dtype
from saebook.parameters import counted_names
from saebook.pytorch.kinds import KL, L1, Gated, JumpReLU, Kind
from saebook.pytorch.loss import reconstruction_loss, weight_decay_loss
from saebook.pytorch.topk import BatchTopK, SparseCode, TopK
from saebook.start import init_params


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
    kind, _, index = str(device).lower().removeprefix("/").partition(":")
    kind = found[0] if kind == "gpu" and found[0] != "cpu" else kind
    if kind not in found or not (index == "" or index.isdigit()):
        raise ValueError(
            f"device must be 'auto' or one that PyTorch finds here ({', '.join(found)}), "
            f"got {device!r}."
        )
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"device must be below cuda:{torch.cuda.device_count()} here, got {device!r}."
        )
    return torch.device(f"{kind}:{index}" if index else kind)


def unit_norm(weight: torch.Tensor, axis: int) -> torch.Tensor:
    """The weight, with Euclidean norm 1 along an axis; zeros stay zeros."""
    norm = torch.sqrt(torch.sum(weight**2, dim=axis, keepdim=True))
    return weight / torch.clamp(norm, min=torch.finfo(weight.dtype).tiny)


class SparseAutoencoder(Autoencoder, nn.Module):
    """A sparse autoencoder as a `torch.nn.Module`; see `saebook.model.Autoencoder`.

    Parameters
    ----------
    config : SAEConfig
        Sizes, functions and objective.
    seed : int >= 0
        Seed of the initial weights, which are the same in every framework.
    dtype : {"float32", "float64"}
    device : str
        "auto" (CUDA, then MPS, then CPU), "cpu", "gpu" (CUDA or MPS), "cuda", "cuda:1", "mps".

    Raises
    ------
    ValueError
        If the dtype or the device is not to be had.
    """

    functions: ClassVar = {"sigmoid": torch.sigmoid, "relu": torch.relu, "linear": lambda a: a}
    kinds: ClassVar[Mapping[type, Any]] = {
        type(None): Kind,
        kinds.L1: L1,
        kinds.KL: KL,
        kinds.TopK: TopK,
        kinds.BatchTopK: BatchTopK,
        kinds.JumpReLU: JumpReLU,
        kinds.Gated: Gated,
    }
    reconstruction_loss = reconstruction_loss
    weight_decay_loss = weight_decay_loss

    def __init__(
        self, config: SAEConfig, seed: int = 0, dtype: str = "float32", device: str = "auto"
    ) -> None:
        super().__init__()
        check_dtype(dtype)
        place = pick_device(device)
        if place.type == "mps" and dtype == "float64":
            raise ValueError("dtype must be 'float32' on Apple's MPS, got 'float64'.")
        self.config, self.product_dtype = config, None
        for name, value in init_params(config, seed).items():
            tensor = torch.tensor(value, dtype=getattr(torch, dtype), device=place)
            if name in counted_names(config):
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
    def dictionary(self) -> torch.Tensor:  # type: ignore[override]
        """Decoder weights ``(n_latents, n_features)``, one row per latent."""
        return self.W_enc.T if self.config.tied else self.W_dec

    @property
    def encoder_bias(self) -> torch.Tensor:  # type: ignore[override]
        """``b_enc`` with the pre-bias folded in; that costs a vector and no copy of the batch."""
        return self.b_enc - self.b_dec @ self.W_enc if self.config.pre_bias else self.b_enc

    def affine(
        self, x: torch.Tensor | SparseCode, weight: torch.Tensor, bias: torch.Tensor
    ) -> torch.Tensor:
        if isinstance(x, SparseCode):
            return x @ weight + bias
        if self.product_dtype is None:
            return torch.addmm(bias, x, weight)
        product = x.to(self.product_dtype) @ weight.to(self.product_dtype)
        return product.to(bias.dtype) + bias

    def split(
        self, tensor: torch.Tensor, sizes: Sequence[int], axis: int
    ) -> Sequence[torch.Tensor]:
        return torch.split(tensor, list(sizes), dim=axis)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Reconstruction ``x_hat`` of a tensor ``x``, both ``(n_samples, n_features)``."""
        return self.rebuild(x)

    @torch.no_grad()
    def normalize_decoder(self) -> None:
        weight, axis = (self.W_enc, 0) if self.config.tied else (self.W_dec, 1)
        weight.copy_(unit_norm(weight, axis))

    def tensor(self, x: Array) -> torch.Tensor:
        return torch.as_tensor(x, device=self.device)

    def array(self, tensor: torch.Tensor) -> Array:
        return tensor.detach().cpu().numpy()

    def reading(self) -> torch.no_grad:
        return torch.no_grad()

    @torch.no_grad()
    def set_parameter(self, name: str, value: Array) -> None:
        parameter = getattr(self, name)
        parameter.copy_(torch.as_tensor(value, dtype=parameter.dtype))

    def engine(self, train_config: TrainConfig) -> Any:
        from saebook.pytorch.engine import Engine  # which imports this module

        return Engine(self, train_config)

    def sweep_engine(self, models: Any, numbers: Any, train_config: TrainConfig) -> Any:
        from saebook.pytorch.sweep import SweepEngine

        return SweepEngine(models, numbers, train_config)
