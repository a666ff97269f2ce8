"""Layouts that are arrays in one file and no more, as their publishers describe them."""

import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors.numpy import save as to_bytes

from saebook._types import Array, Params, StrPath
from saebook.config import SAEConfig
from saebook.files import check_writable, replace_file
from saebook.interop import tensors
from saebook.interop.contents import read_tensors
from saebook.kinds import L1, BatchTopK, JumpReLU, Sparsity, TopK


class Layout(NamedTuple):
    """Names of tensors, kinds that can be written, and the kind that is read."""

    names: dict[str, str]
    kinds: tuple[type, ...]
    kind: type
    endings: tuple[str, ...]


_RELU, _JUMP = (type(None), L1), (JumpReLU, BatchTopK)
_LINEAR = {
    "W_enc": "encoder.weight",
    "b_enc": "encoder.bias",
    "W_dec": "decoder.weight",
    "b_dec": "decoder.bias",
}
_FILES = (".pt", ".pth", ".safetensors")
LAYOUTS = {
    # Gemma Scope (Lieberum et al. 2024), params.npz. SAELens 6.54.12 loads all of these; this one
    # with its gemma_2_sae_huggingface_loader.
    "gemma_scope": Layout(tensors.THRESHOLD, _JUMP, JumpReLU, (".npz",)),
    # Gemma Scope 2, params.safetensors: gemma_3_sae_huggingface_loader.
    "gemma_scope_2": Layout(
        {**tensors.THRESHOLD, "W_enc": "w_enc", "W_dec": "w_dec"},
        _JUMP,
        JumpReLU,
        (".safetensors",),
    ),
    # Goodfire's of Llama 3: get_goodfire_huggingface_loader.
    "goodfire": Layout(
        {name: theirs.replace("er.", "er_linear.") for name, theirs in _LINEAR.items()},
        _RELU,
        type(None),
        _FILES,
    ),
    # Linear layers called encoder and decoder, as in the DeepSeek R1 models of qresearch:
    # deepseek_r1_sae_huggingface_loader.
    "linear": Layout(_LINEAR, _RELU, type(None), _FILES),
    # Qwen Scope, layer0.sae.pt, k in the repository's name: qwen_scope_sae_huggingface_loader.
    "qwen_scope": Layout(
        {**tensors.PLAIN, "W_enc": "W_enc.T", "W_dec": "W_dec.T"}, (TopK,), TopK, _FILES
    ),
}


def to_arrays(config: SAEConfig, params: Params, path: StrPath, layout: str) -> None:
    """Write a model as arrays in one file, under the names of a layout.

    None of these layouts takes the decoder's bias from the input: where the model does, the
    encoder's bias is shifted so that the code stays. A BatchTopK becomes a JumpReLU with its
    learned threshold.

    Parameters
    ----------
    config : SAEConfig
        With a ReLU code and a linear output, and JumpReLU or BatchTopK in "gemma_scope" (``.npz``)
        and "gemma_scope_2" (``.safetensors``), TopK in "qwen_scope", none or L1 in "goodfire" and
        "linear" (these three ``.pt``, ``.pth`` or ``.safetensors``).
    params : dict of str to ndarray
        As from ``model.to_numpy``.
    path : str or path-like
    layout : {"gemma_scope", "gemma_scope_2", "goodfire", "linear", "qwen_scope"}

    Raises
    ------
    ValueError
        If the layout has no such model, a parameter is wrong, a BatchTopK threshold has not been
        learned, or the name of the file has another ending.
    ImportError
        If PyTorch is needed and not installed.
    OSError
        If the file cannot be written.
    """
    found = LAYOUTS[tensors.one_of(LAYOUTS, layout, "layout")]
    path = _checked_path(path, layout, found)
    values = tensors.portable(config, params, layout, found.kinds)
    tensors.move_pre_bias(values, False, config)
    tensors.as_jumprelu(config, values)
    theirs = tensors.named(values, found.names)
    if path.suffix in (".pt", ".pth"):
        tensors.write_torch(path, theirs)
        return
    check_writable(path)
    replace_file(path, to_bytes(theirs) if path.suffix == ".safetensors" else _npz(theirs))


def from_arrays(
    path: StrPath, layout: str, k: int | None = None
) -> tuple[SAEConfig, dict[str, Array]]:
    """Read a model from arrays in one file, under the names of a layout.

    Parameters
    ----------
    path : str or path-like
        A file ``.npz`` or ``.safetensors``, or ``.pt`` or ``.pth``, which is read with PyTorch and
        as tensors only.
    layout : {"gemma_scope", "gemma_scope_2", "goodfire", "linear", "qwen_scope"}
    k : int, optional
        Latents per sample in "qwen_scope", whose file does not say it.

    Returns
    -------
    SAEConfig
    dict of str to ndarray
        For ``model.from_numpy``. float64 if all tensors are, else float32.

    Raises
    ------
    ValueError
        If the file is damaged, or is not of this layout.
    ImportError
        If PyTorch is needed and not installed.
    OSError
        If the file cannot be read.
    """
    found = LAYOUTS[tensors.one_of(LAYOUTS, layout, "layout")]
    path = _checked_path(path, layout, found)
    arrays, rest = read_tensors(path)
    if found.kind is JumpReLU and "affine_skip_connection" in arrays:
        raise ValueError(
            f"{path} must be an autoencoder, got affine_skip_connection, a second way from input "
            "to output that a transcoder has."
        )
    scale = arrays.pop("scaling_factor", np.ones(1)) if layout == "gemma_scope" else np.ones(1)
    if scale.dtype.kind not in "fiu" or not np.allclose(scale, 1):
        got = f"numbers from {scale.min():.3g}" if scale.dtype.kind in "fiu" else scale.dtype
        raise ValueError(f"{path}: scaling_factor must be 1, got {got}.")
    values = tensors.picked(path, arrays | rest, found.names)
    try:
        kind: Sparsity | None = None
        if found.kind is TopK:
            kind = TopK(k)  # type: ignore[arg-type]
        elif k is not None:
            raise ValueError(f"k must be None in the layout {layout}, got {k!r}.")
        elif found.kind is JumpReLU:
            kind = JumpReLU()
        config = SAEConfig(*tensors.widths(values), "relu", "linear", sparsity=kind, pre_bias=False)
        return config, tensors.checked(config, values, tensors.dtype_of(values))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _checked_path(path: StrPath, layout: str, found: Layout) -> Path:
    if Path(path).suffix not in found.endings:
        raise ValueError(
            f"path must end in {' or '.join(found.endings)} in the layout {layout}, got {path}."
        )
    return Path(path)


def _npz(values: dict[str, Array]) -> bytes:
    content = io.BytesIO()
    plain: Any = values  # so that no name of an array is taken for an option
    np.savez(content, **plain)
    return content.getvalue()
