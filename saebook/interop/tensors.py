"""Tensors of other packages' files: their names and orientation, read, checked and written."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, deserialize

from saebook._types import Array, Params, StrPath
from saebook.checks import check_params
from saebook.config import SAEConfig
from saebook.fields import refuse_unless
from saebook.files import replace_file
from saebook.kinds import L1, BatchTopK, Gated, JumpReLU, TopK, check_threshold
from saebook.parameters import dictionary

# Our name of each tensor, and theirs. One whose name ends in ".weight" is transposed.
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

_TYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "BF16": "<u2"}  # of safetensors


def portable(config: SAEConfig, params: Params, layout: str) -> dict[str, Array]:
    """The parameters in one dtype, the decoder and a threshold among them, or ValueError."""
    params = check_params(config, params)
    kinds = "None, L1, TopK, BatchTopK, JumpReLU or Gated"
    for ok, field, allowed in (
        (type(config.sparsity) in KINDS, "sparsity", kinds),
        (config.activation == "relu", "activation", "'relu'"),
        (config.output == "linear", "output", "'linear'"),
    ):
        refuse_unless(ok, config, field, f"{allowed} in the layout of {layout}")
    dtype = np.float32 if params["W_enc"].dtype == np.float32 else np.float64
    values = {**params, "W_dec": dictionary(config, params)}
    if isinstance(config.sparsity, BatchTopK):
        check_threshold(float(params["threshold"]))
    if isinstance(config.sparsity, JumpReLU):
        values["threshold"] = np.exp(params["log_threshold"], dtype=np.float64)
    return {name: np.array(value, dtype) for name, value in values.items()}


def named(values: dict[str, Array], names: dict[str, str]) -> dict[str, Array]:
    """Tensors under their names and in their orientation, each in one piece of memory."""
    return {
        theirs: np.array(values[ours].T if theirs.endswith(".weight") else values[ours], order="C")
        for ours, theirs in names.items()
    }


def read(path: Path, names: dict[str, str]) -> dict[str, Array]:
    """The tensors of a file as they were before `named`."""
    tensors = _read_torch(path) if path.suffix == ".pt" else _read_safetensors(path)
    if set(tensors) != set(names.values()):
        raise ValueError(
            f"{path} must hold the tensors {', '.join(names.values())}, "
            f"got {', '.join(sorted(tensors))}."
        )
    return {
        ours: tensors[theirs].T if theirs.endswith(".weight") else tensors[theirs]
        for ours, theirs in names.items()
    }


def checked(config: SAEConfig, values: dict[str, Array], dtype: str) -> dict[str, Array]:
    """Parameters of a model, in one dtype, from what a file holds."""
    for name, value in values.items():
        if value.dtype.kind != "f":
            raise ValueError(f"{name} must hold floating-point numbers, got {value.dtype}.")
    with np.errstate(over="ignore"):  # what is too large for the dtype is refused as infinite
        values = {name: np.array(value, dtype, order="C") for name, value in values.items()}
    if isinstance(config.sparsity, JumpReLU):
        theta = values.pop("threshold")
        values["log_threshold"] = np.log(np.maximum(theta, np.finfo(theta.dtype).tiny))
    return check_params(config, values)


def one_of(table: dict[str, Any], name: Any, what: str) -> str:
    """The name, if the table has it, or ValueError."""
    if not isinstance(name, str) or name not in table:
        raise ValueError(f"{what} must be one of {', '.join(table)}, got {name!r}.")
    return name


def write(folder: StrPath, files: dict[str, bytes]) -> None:
    """Write files into a folder, which is made if need be."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        replace_file(Path(folder) / name, content)


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file, or ValueError."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{path} must be a JSON file, got one that cannot be read: {error}"
        ) from None
    if not isinstance(found, dict):
        raise ValueError(f"{path} must hold a JSON object, got {type(found).__name__}.")
    return found


def _read_safetensors(path: Path) -> dict[str, Array]:
    try:
        found = dict(deserialize(path.read_bytes()))
    except SafetensorError as error:
        raise ValueError(
            f"{path} must be a whole safetensors file, got one that cannot be read: {error}."
        ) from None
    types = {tensor["dtype"] for tensor in found.values()}
    if not types <= _TYPES.keys():
        raise ValueError(
            f"{path} must hold tensors of type F16, F32, F64 or BF16, "
            f"got {', '.join(sorted(types))}."
        )
    return {
        name: _widened(np.ndarray(tensor["shape"], _TYPES[tensor["dtype"]], tensor["data"]))
        for name, tensor in found.items()
    }


def _widened(value: Array) -> Array:
    """A bfloat16, which NumPy does not have, is the upper half of a float32."""
    return (value.astype("<u4") << 16).view("<f4") if value.dtype.kind == "u" else value


def _read_torch(path: Path) -> dict[str, Array]:
    torch = torch_or_error()
    with path.open("rb"):
        pass
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)  # unpickles tensors only
        half = (torch.float16, torch.bfloat16)
        return {
            str(name): (value.float() if value.dtype in half else value).detach().numpy()
            for name, value in state.items()
        }
    except Exception as error:  # a damaged file can raise whatever the parsers below raise
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"{path} must be a file of tensors as torch.save writes them, got one that cannot be "
            f"read: {reason}"
        ) from None


def torch_or_error() -> Any:
    """PyTorch, imported only where its file is read or written."""
    try:
        import torch
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ImportError(
            "dictionary_learning keeps weights in a file of PyTorch, which is not installed: "
            "pip install torch."
        ) from error
    return torch
