"""The layout of sparsify, of EleutherAI: ``cfg.json`` and ``sae.safetensors``."""

import json
from pathlib import Path

from safetensors.numpy import save as to_bytes

from saebook._types import Array, Params, StrPath
from saebook.config import SAEConfig
from saebook.interop import tensors
from saebook.interop.contents import read_json
from saebook.kinds import TopK

_NAMES = {**tensors.PLAIN, "W_enc": "encoder.weight", "b_enc": "encoder.bias"}


def to_sparsify(config: SAEConfig, params: Params, folder: StrPath) -> None:
    """Write a TopK model as ``SparseCoder.load_from_disk`` of sparsify reads it.

    ``folder/sae.safetensors`` and ``folder/cfg.json``; the folder is made if need be. sparsify
    takes the decoder's bias from the input: the encoder's is shifted so that the code stays.

    Parameters
    ----------
    config : SAEConfig
        With TopK, a ReLU code and a linear output.
    params : dict of str to ndarray
        As from ``model.to_numpy``.
    folder : str or path-like

    Raises
    ------
    ValueError
        If sparsify has no such model, or a parameter is wrong.
    OSError
        If a file cannot be written.
    """
    values = tensors.portable(config, params, "sparsify", (TopK,))
    tensors.move_pre_bias(values, True, config)
    settings = {
        "activation": "topk",
        "expansion_factor": max(1, config.n_latents // config.n_features),
        "normalize_decoder": False,
        "num_latents": config.n_latents,
        "k": config.sparsity.k,  # type: ignore[union-attr]
        "multi_topk": False,
        "skip_connection": False,
        "transcode": False,
        "d_in": config.n_features,
    }
    files = {
        "sae.safetensors": to_bytes(tensors.named(values, _NAMES)),
        "cfg.json": json.dumps(settings, indent=2).encode(),
    }
    tensors.write(folder, files)


def from_sparsify(folder: StrPath) -> tuple[SAEConfig, dict[str, Array]]:
    """Read a model that sparsify wrote.

    Parameters
    ----------
    folder : str or path-like
        With ``cfg.json`` and ``sae.safetensors``.

    Returns
    -------
    SAEConfig
        With TopK.
    dict of str to ndarray
        For ``model.from_numpy``. float64 if all tensors are, else float32.

    Raises
    ------
    ValueError
        If a file is damaged, or the model is a transcoder, has a skip connection or another
        activation than "topk".
    OSError
        If a file cannot be read.
    """
    path = Path(folder) / "cfg.json"
    settings = read_json(path)
    for field, wanted, what in (
        ("transcode", False, "a transcoder reads one place of a network and writes another"),
        ("skip_connection", False, "a skip connection is a second way from input to output"),
        ("activation", "topk", "the largest of each group is another code"),
    ):
        if settings.get(field, wanted) != wanted:
            raise ValueError(
                f"{path}: {field} must be {wanted!r}, got {settings[field]!r}; {what}."
            )
    values = tensors.read(path.with_name("sae.safetensors"), _NAMES)
    try:
        shape = tensors.widths(values)
        if settings.get("d_in") != shape[0]:
            raise ValueError(
                f"encoder.weight must have shape (num_latents, d_in), got {shape[::-1]}, and d_in "
                f"is {settings.get('d_in')!r}."
            )
        config = SAEConfig(
            *shape, "relu", "linear", sparsity=TopK(settings.get("k", 32)), pre_bias=True
        )
        return config, tensors.checked(config, values, tensors.dtype_of(values))
    except ValueError as error:
        raise ValueError(f"{path.parent}: {error}") from None
