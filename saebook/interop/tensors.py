"""Tensors of other packages' files: their names and orientation, checked, and written."""

import io
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from saebook._types import Array, Params, StrPath
from saebook.checks import check_params
from saebook.config import SAEConfig
from saebook.fields import refuse_unless
from saebook.files import check_writable, replace_file, shown
from saebook.interop.contents import read_tensors
from saebook.kinds import L1, BatchTopK, Gated, JumpReLU, TopK, check_threshold
from saebook.parameters import dictionary, shifted_biases

# Our name of each tensor, and theirs. One whose name ends in ".weight" lies the other way in their
# file; so does one with ".T" behind its name, which the file does not have.
PLAIN = {name: name for name in ("W_enc", "b_enc", "W_dec", "b_dec")}
THRESHOLD = {**PLAIN, "threshold": "threshold"}
# The kinds that can be written, as SAELens and as dictionary_learning call them.
KINDS: dict[type, tuple[str, str]] = {
    type(None): ("standard", "AutoEncoderNew"),
    L1: ("standard", "AutoEncoderNew"),
    TopK: ("topk", "AutoEncoderTopK"),
    BatchTopK: ("jumprelu", "BatchTopKSAE"),
    JumpReLU: ("jumprelu", "JumpReluAutoEncoder"),
    Gated: ("gated", "GatedAutoEncoder"),
}


def portable(
    config: SAEConfig, params: Params, layout: str, kinds: Collection[type] = KINDS
) -> dict[str, Array]:
    """The parameters in one dtype, the decoder and a threshold among them, or ValueError.

    `kinds` are those that the layout can hold.
    """
    params = check_params(config, params)
    names = ["None" if kind is type(None) else kind.__name__ for kind in kinds]
    for ok, field, allowed in (
        (type(config.sparsity) in kinds, "sparsity", " or ".join([", ".join(names[:-1]), names[-1]])
         if len(names) > 1 else names[0]),
        (config.activation == "relu", "activation", "'relu'"),
        (config.output == "linear", "output", "'linear'"),
    ):  # fmt: skip
        refuse_unless(ok, config, field, f"{allowed} in the layout of {layout}")
    dtype = np.float32 if params["W_enc"].dtype == np.float32 else np.float64
    values = {**params, "W_dec": dictionary(config, params)}
    if isinstance(config.sparsity, BatchTopK):
        check_threshold(float(params["threshold"]))
    if isinstance(config.sparsity, JumpReLU):
        values["threshold"] = np.exp(largest_log(params["log_threshold"]), dtype=np.float64)
    return {name: np.array(value, dtype) for name, value in values.items()}


def as_jumprelu(config: SAEConfig, values: dict[str, Array]) -> None:
    """Give a BatchTopK model its learned threshold for every latent, in place."""
    if isinstance(config.sparsity, BatchTopK):
        values["threshold"] = np.full(config.n_latents, values["threshold"])


def move_pre_bias(values: dict[str, Array], wanted: bool, config: SAEConfig) -> None:
    """Shift a model's encoder biases, in place, so that they answer to ``x - b_dec``, or ``x``."""
    if wanted == config.pre_bias:
        return
    shift = values["b_dec"].astype(np.float64) @ values["W_enc"]
    values |= shifted_biases(values, shift if wanted else -shift)


def largest_log(log_threshold: Array) -> Array:
    """Thresholds cut off at the largest number there is: such a latent is never active."""
    dtype = log_threshold.dtype
    most = np.nextafter(np.log(np.finfo(dtype).max), 0, dtype=dtype)
    return np.where(np.isfinite(log_threshold), np.minimum(log_threshold, most), log_threshold)


def scale_to_unit_rows(values: dict[str, Array]) -> None:
    """Move the norms of the decoder's rows into the encoder, in place.

    The code is then larger by the norm, and the reconstruction the same. A row of norm 0 stays, and
    its latent is silent.
    """
    norm = np.linalg.norm(values["W_dec"], axis=1)
    values["W_enc"], values["b_enc"] = values["W_enc"] * norm, values["b_enc"] * norm
    values["W_dec"] = values["W_dec"] / np.maximum(norm, np.finfo(norm.dtype).tiny)[:, None]


def named(values: dict[str, Array], names: dict[str, str]) -> dict[str, Array]:
    """Tensors under their names and in their orientation, each in one piece of memory."""
    return {
        _key(theirs): np.array(values[ours].T if _turned(theirs) else values[ours], order="C")
        for ours, theirs in names.items()
    }


def read(path: Path, names: dict[str, str]) -> dict[str, Array]:
    """The tensors of a file as they were before `named`, no more and no fewer."""
    tensors, rest = read_tensors(path)
    return picked(path, tensors | rest, names)


def picked(path: Path, tensors: dict[str, Any], names: dict[str, str]) -> dict[str, Array]:
    """Tensors under our names and in our orientation, if they are those and no others."""
    wanted = {_key(theirs) for theirs in names.values()}
    if set(tensors) != wanted:
        raise ValueError(
            f"{path} must hold the tensors {', '.join(map(_key, names.values()))}, "
            f"got {shown(tensors)}."
        )
    for name, value in tensors.items():
        if not isinstance(value, np.ndarray):
            raise ValueError(
                f"{path} must be a file of tensors, got {value!r:.60} under the name {name}."
            )
    return {
        ours: tensors[_key(theirs)].T if _turned(theirs) else tensors[_key(theirs)]
        for ours, theirs in names.items()
    }


def _key(theirs: str) -> str:
    return theirs.removesuffix(".T")


def _turned(theirs: str) -> bool:
    return theirs.endswith((".weight", ".T"))


def checked(config: SAEConfig, values: dict[str, Array], dtype: str) -> dict[str, Array]:
    """Parameters of a model, in one dtype, from what a file holds."""
    for name, value in values.items():
        if value.dtype.kind != "f":
            raise ValueError(f"{name} must hold floating-point numbers, got {value.dtype}.")
    with np.errstate(over="ignore"):  # what is too large for the dtype is refused as infinite
        values = {name: np.array(value, dtype, order="C") for name, value in values.items()}
    if isinstance(config.sparsity, JumpReLU) and "threshold" in values:
        theta = values.pop("threshold")
        if not np.isfinite(theta).all():
            raise ValueError("threshold must be finite, got NaN or infinity.")
        values["log_threshold"] = np.log(np.maximum(theta, np.finfo(theta.dtype).tiny))
    if "log_threshold" in values:
        values["log_threshold"] = largest_log(values["log_threshold"])
    return check_params(config, values)


def widths(values: dict[str, Array]) -> tuple[int, int]:
    """``(n_features, n_latents)``, the shape of the encoder's weights, or ValueError."""
    shape = values["W_enc"].shape
    if len(shape) != 2:
        raise ValueError(f"W_enc must be a matrix, got shape {shape}.")
    return shape[0], shape[1]


def dtype_of(values: dict[str, Array]) -> str:
    """float64 if all floating-point tensors are, else float32."""
    floats = {value.dtype for value in values.values() if value.dtype.kind == "f"}
    return "float64" if floats == {np.dtype("float64")} else "float32"


def one_of(table: Collection[str], name: Any, what: str) -> str:
    """The name, if the table has it, or ValueError."""
    if not isinstance(name, str) or name not in table:
        raise ValueError(f"{what} must be one of {', '.join(table)}, got {name!r}.")
    return name


def write(folder: StrPath, files: dict[str, bytes]) -> None:
    """Write files into a folder, which is made if need be."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        replace_file(Path(folder) / name, content)


def torch_bytes(state: dict[str, Any]) -> bytes:
    """A file of PyTorch; arrays become tensors, and everything else stays."""
    torch, content = torch_or_error(), io.BytesIO()
    torch.save(
        {
            name: torch.from_numpy(value) if isinstance(value, np.ndarray) else value
            for name, value in state.items()
        },
        content,
    )
    return content.getvalue()


def write_torch(path: StrPath, state: dict[str, Any]) -> None:
    """Write a file of PyTorch, whole or not at all."""
    check_writable(path)
    replace_file(path, torch_bytes(state))


def torch_or_error() -> Any:
    """PyTorch, imported only where its file is written."""
    try:
        import torch
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ImportError(
            "this layout keeps weights in a file of PyTorch, which is not installed: "
            "pip install torch."
        ) from error
    return torch
