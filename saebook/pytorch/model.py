"""The model: a plain `torch.nn.Module`."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from saebook._types import Array
from saebook.config import SAEConfig
from saebook.kinds import classes_of
from saebook.model import Autoencoder, Kind, check_dtype
from saebook.parameters import counted_names
from saebook.pytorch import kinds, loss, topk
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


def unit_norm(weight: Tensor, axis: int) -> Tensor:
    """The weight, with Euclidean norm 1 along an axis; zeros stay zeros."""
    norm = torch.sqrt(torch.sum(weight**2, dim=axis, keepdim=True))
    return weight / torch.clamp(norm, min=torch.finfo(weight.dtype).tiny)


class SparseAutoencoder(Autoencoder, nn.Module):
    """A sparse autoencoder as a `torch.nn.Module`; see `saebook.model.Autoencoder`.

    ``device`` is "auto" (CUDA, then MPS, then CPU), "cpu", "gpu" (CUDA or MPS), "cuda", "cuda:1" or
    "mps".
    """

    functions: ClassVar = {"sigmoid": torch.sigmoid, "relu": torch.relu, "linear": lambda a: a}
    kinds: ClassVar = classes_of(Kind, kinds, topk)
    framework = "pytorch"
    mean_error = loss.mean_error
    sum_of_squares = staticmethod(loss.sum_of_squares)
    gradients = loss.gradients
    unit_norm = staticmethod(unit_norm)

    def __init__(
        self, config: SAEConfig, seed: int = 0, dtype: str = "float32", device: str = "auto"
    ) -> None:
        super().__init__()
        check_dtype(dtype)
        place = pick_device(device)
        if place.type == "mps" and dtype == "float64":
            raise ValueError("dtype must be 'float32' on Apple's MPS, got 'float64'.")
        self.config, self.seed, self.product_dtype = config, seed, None
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
    def dictionary(self) -> Any:
        return self.W_enc.T if self.config.tied else self.W_dec

    @property
    def encoder_bias(self) -> Any:
        return self.b_enc - self.b_dec @ self.W_enc if self.config.pre_bias else self.b_enc

    def addmm(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return torch.addmm(bias, x, weight)

    def cast(self, tensor: Tensor, dtype: torch.dtype) -> Tensor:
        return tensor.to(dtype)

    def split(self, tensor: Tensor, sizes: Sequence[int], axis: int) -> Sequence[Tensor]:
        return torch.split(tensor, list(sizes), dim=axis)

    def zero(self) -> Tensor:
        return torch.zeros((), dtype=self.b_dec.dtype, device=self.device)

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruction ``x_hat`` of a tensor ``x``, both ``(n_samples, n_features)``."""
        return self.rebuild(x)

    def tensor(self, x: Array) -> Tensor:
        return torch.as_tensor(x, device=self.device)

    def array(self, tensor: Tensor) -> Array:
        return tensor.detach().cpu().numpy()

    def reading(self) -> torch.no_grad:
        return torch.no_grad()

    @torch.no_grad()
    def set_parameter(self, name: str, value: Array) -> None:
        parameter = getattr(self, name)
        parameter.copy_(torch.as_tensor(value, dtype=parameter.dtype))
