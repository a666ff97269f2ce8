"""The layout of overcomplete: the ``state_dict`` of a model with its linear encoder."""

from pathlib import Path
from typing import Any

import numpy as np

from saebook._types import Array, Params, StrPath
from saebook.config import SAEConfig
from saebook.interop import tensors
from saebook.interop.contents import read_tensors
from saebook.kinds import L1, BatchTopK, JumpReLU, Sparsity, TopK

_NAMES = {
    "W_enc": "encoder.final_block.0.weight",
    "b_enc": "encoder.final_block.0.bias",
    "W_dec": "dictionary._weights",
    "multiplier": "dictionary.multiplier",
}
_THRESHOLDS = {**_NAMES, "log_threshold": "thresholds"}
_BOUND = 1e-8  # what overcomplete adds to a norm


def to_overcomplete(config: SAEConfig, params: Params, path: StrPath) -> None:
    """Write a model as overcomplete's ``SAE``, ``TopKSAE`` or ``JumpSAE`` loads it.

    The file is for ``load_state_dict``. Make theirs with
    ``dictionary_params={"normalization": "identity"}`` and, for TopK, ``top_k=k``,
    which the file does not hold; then its code is the same. A model with a row of another norm than
    1 would be changed by the default, ``"l2"``. BatchTopK becomes a ``JumpSAE`` with the learned
    threshold, since a ``BatchTopKSAE`` does not keep its own in the file.

    Parameters
    ----------
    config : SAEConfig
        With none, L1, TopK, BatchTopK or JumpReLU, a ReLU code and a linear output.
    params : dict of str to ndarray
        As from ``model.to_numpy``. ``b_dec`` must be 0 and is then not in the file: overcomplete's
        dictionary has no bias.
    path : str or path-like
        The file to write, by habit ``name.pt``; it needs PyTorch.

    Raises
    ------
    ValueError
        If overcomplete has no such model, or a parameter is wrong.
    ImportError
        If PyTorch is not installed.
    OSError
        If the file cannot be written.
    """
    kinds = (type(None), L1, TopK, BatchTopK, JumpReLU)
    values = tensors.portable(config, params, "overcomplete", kinds)
    if values["b_dec"].any():
        raise ValueError(
            "params['b_dec'] must be 0 in the layout of overcomplete, whose dictionary has no "
            f"bias, got numbers of size up to {np.abs(values['b_dec']).max():.3g}."
        )
    tensors.as_jumprelu(config, values)
    values["multiplier"] = np.zeros((), values["W_enc"].dtype)  # a logarithm
    names = _NAMES
    if "threshold" in values:
        names = _THRESHOLDS
        with np.errstate(divide="ignore"):
            theta = np.maximum(values["threshold"], np.finfo(values["threshold"].dtype).tiny)
        # They keep what is equal to the threshold, too.
        values["log_threshold"] = np.log(np.nextafter(theta, np.inf, dtype=theta.dtype))
    tensors.write_torch(path, tensors.named(values, names))


def from_overcomplete(
    path: StrPath, k: int | None = None, threshold: float | None = None, normalization: str = "l2"
) -> tuple[SAEConfig, dict[str, Array]]:
    """Read the ``state_dict`` of a model of overcomplete that has its linear encoder.

    Parameters
    ----------
    path : str or path-like
        What ``torch.save(model.state_dict(), path)`` wrote, read with PyTorch and as tensors only.
    k : int, optional
        ``top_k`` of a ``TopKSAE``, which is not in the file.
    threshold : float, optional
        ``running_threshold`` of a ``BatchTopKSAE``, which is not in the file either. The model that
        is read is a JumpReLU.
    normalization : {"l2", "identity"}
        That of its dictionary; "l2" is the default there.

    Returns
    -------
    SAEConfig
        With JumpReLU where the file has thresholds or one is given, with TopK where k is, else
        without sparsity.
    dict of str to ndarray
        For ``model.from_numpy``, with a ``b_dec`` of 0. float64 if all tensors are, else float32.

    Raises
    ------
    ValueError
        If the file is damaged, or the model is of a kind that is not here.
    ImportError
        If PyTorch is not installed.
    OSError
        If the file cannot be read.
    """
    if normalization not in ("l2", "identity"):
        raise ValueError(f"normalization must be 'l2' or 'identity', got {normalization!r}.")
    path = Path(path)
    found, rest = read_tensors(path)
    jumps = "thresholds" in found
    if (k is not None) + (threshold is not None) + jumps > 1:
        raise ValueError(
            f"{path}: a model has one of k, threshold and thresholds in the file, got k={k}, "
            f"threshold={threshold}, and {'some' if jumps else 'none'} in the file."
        )
    values: dict[str, Any] = tensors.picked(path, found | rest, _THRESHOLDS if jumps else _NAMES)
    dtype = tensors.dtype_of(values)
    try:
        shape = tensors.widths(values)
        multiplier = values.pop("multiplier")
        if multiplier.shape != () or not np.isfinite(multiplier):
            raise ValueError(f"dictionary.multiplier must be a finite number, got {multiplier}.")
        D = values["W_dec"]
        if normalization == "l2" and D.ndim == 2:
            D = D / (np.linalg.norm(D, axis=1, keepdims=True) + _BOUND)
        with np.errstate(over="ignore"):  # what is too large is refused as infinite
            values["W_dec"] = (D * np.exp(multiplier)).astype(D.dtype)
        values["b_dec"] = np.zeros(shape[0], dtype)
        sparsity: Sparsity | None = None if k is None else TopK(k)
        if jumps or threshold is not None:
            sparsity = JumpReLU()
        if threshold is not None:
            # They keep what is equal to the threshold, too.
            below = np.nextafter(np.float32(threshold), np.float32(-np.inf))
            values["threshold"] = np.full(shape[1], below, dtype)
        config = SAEConfig(*shape, "relu", "linear", sparsity=sparsity, pre_bias=False)
        return config, tensors.checked(config, values, dtype)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
