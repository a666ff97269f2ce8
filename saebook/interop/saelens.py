"""The layout of SAELens: ``cfg.json`` and ``sae_weights.safetensors``."""

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save as to_bytes

from saebook._types import Array, Params, StrPath
from saebook.config import SAEConfig
from saebook.interop import tensors
from saebook.kinds import BatchTopK, Gated, JumpReLU, TopK

SAELENS_VERSION = "6.54.12"  # whose layout this is

_TRAINED = {**tensors.PLAIN, "threshold": "topk_threshold"}
# For each architecture its kind, and our name of each tensor with theirs.
SAELENS: dict[str, tuple[Any, dict[str, str]]] = {
    "standard": (None, tensors.PLAIN),
    "topk": (TopK, tensors.PLAIN),
    "jumprelu": (JumpReLU, tensors.THRESHOLD),
    "gated": (Gated, {**tensors.PLAIN, "b_enc": "b_gate", "r_mag": "r_mag", "b_mag": "b_mag"}),
    # Training checkpoints only: SAELens makes "jumprelu" of both when training ends.
    "batchtopk": (BatchTopK, _TRAINED),
    "matryoshka_batchtopk": (BatchTopK, _TRAINED),
}


def to_saelens(config: SAEConfig, params: Params, folder: StrPath) -> None:
    """Write a model as ``SAE.load_from_disk`` of SAELens reads it.

    ``folder/sae_weights.safetensors`` and ``folder/cfg.json``; the folder is made if need be. A
    BatchTopK model becomes a "jumprelu" with its learned threshold, as SAELens itself makes it.

    Parameters
    ----------
    config : SAEConfig
        With a ReLU code, which TopK and the others may thin out, and a linear output.
    params : dict of str to ndarray
        As from ``model.to_numpy``.
    folder : str or path-like

    Raises
    ------
    ValueError
        If SAELens has no such model, a parameter is wrong, or a BatchTopK threshold has not been
        learned.
    OSError
        If a file cannot be written.
    """
    values = tensors.portable(config, params, "SAELens")
    architecture, sparsity = tensors.KINDS[type(config.sparsity)][0], config.sparsity
    metadata: dict[str, Any] = {"sae_lens_version": SAELENS_VERSION}
    if isinstance(sparsity, BatchTopK):
        values["threshold"] = np.full(config.n_latents, values["threshold"])
        nested = {"matryoshka_widths": np.cumsum(config.groups).tolist()} if config.groups else {}
        metadata["training_architecture"] = "matryoshka_batchtopk" if nested else "batchtopk"
        metadata["training_architecture_details"] = {"k": sparsity.k, **nested}
    theirs = tensors.named(values, SAELENS[architecture][1])
    settings: dict[str, Any] = {
        "d_in": config.n_features,
        "d_sae": config.n_latents,
        "dtype": str(theirs["W_enc"].dtype),
        "device": "cpu",
        "apply_b_dec_to_input": config.pre_bias,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": metadata,
        "architecture": architecture,
    }
    if isinstance(sparsity, TopK):
        settings |= {"k": sparsity.k, "rescale_acts_by_decoder_norm": False}
    described = json.dumps(settings, indent=2).encode()
    tensors.write(folder, {"sae_weights.safetensors": to_bytes(theirs), "cfg.json": described})


def from_saelens(folder: StrPath) -> tuple[SAEConfig, dict[str, Array]]:
    """Read a model that SAELens 6 or later wrote, with ``save_model`` or while training.

    The code is that of SAELens. If it multiplies the code by the decoder's norms
    (``rescale_acts_by_decoder_norm``), the encoder here does, and the decoder has norm 1, or 0. A
    BatchTopK that keeps 1.5 latents on average is read as one that keeps 2: its code is made by the
    threshold that it has learned, and k is for training on.

    Parameters
    ----------
    folder : str or path-like
        With ``cfg.json`` and ``sae_weights.safetensors``.

    Returns
    -------
    SAEConfig
    dict of str to ndarray
        For ``model.from_numpy``. float64 if SAELens computes in it, else float32. A threshold that
        is not positive does nothing and becomes the smallest positive one.

    Raises
    ------
    ValueError
        If a file is damaged, or the model is of a kind that is not here.
    OSError
        If a file cannot be read.
    """
    path = Path(folder) / "cfg.json"
    settings = tensors.read_json(path)
    architecture = tensors.one_of(SAELENS, settings.get("architecture"), f"{path}: architecture")
    metadata = settings.get("metadata")
    version = metadata.get("sae_lens_version") if isinstance(metadata, dict) else None
    if not re.match(r"[6-9]|\d\d", str(version)):
        raise ValueError(
            f"{path}: metadata.sae_lens_version must be 6 or later, got {version!r}; load the "
            "model with SAELens and save it anew."
        )
    for field in ("normalize_activations", "reshape_activations"):
        if settings.get(field, "none") != "none":
            raise ValueError(f"{path}: {field} must be 'none', got {settings[field]!r}.")
    kind, names = SAELENS[architecture]
    values = tensors.read(path.with_name("sae_weights.safetensors"), names)
    precise = str(settings.get("dtype")).endswith("float64")
    k = settings.get("k")
    # BatchTopK may have 32.0 or 1.5 there: an average, for training alone.
    if isinstance(k, float) and (k.is_integer() or (kind is BatchTopK and 0 < k < math.inf)):
        k = math.ceil(k)
    try:
        shape, described = values["W_enc"].shape, (settings.get("d_in"), settings.get("d_sae"))
        if (*shape,) != described:
            raise ValueError(f"W_enc must have shape (d_in, d_sae), {described}, got {shape}.")
        groups = None
        if architecture == "matryoshka_batchtopk":
            groups = _differences(settings.get("matryoshka_widths"), shape[1])
        config = SAEConfig(
            shape[0],
            shape[1],
            "relu",
            "linear",
            sparsity=kind and (kind(k) if kind in (TopK, BatchTopK) else kind()),
            pre_bias=settings.get("apply_b_dec_to_input", True),
            groups=groups,
        )
        params = tensors.checked(config, values, "float64" if precise else "float32")
    except ValueError as error:
        raise ValueError(f"{path.parent}: {error}") from None
    if kind in (TopK, BatchTopK) and settings.get(
        "rescale_acts_by_decoder_norm", kind is BatchTopK
    ):
        norm = np.linalg.norm(params["W_dec"], axis=1)  # 0 for a latent that was pruned
        params["W_enc"], params["b_enc"] = params["W_enc"] * norm, params["b_enc"] * norm
        params["W_dec"] = params["W_dec"] / np.maximum(norm, 1e-8)[:, None]  # SAELens' bound
    return config, params


def _differences(widths: Any, n_latents: int) -> tuple[int, ...]:
    """Sizes of the groups of latents, from the width up to each; SAELens adds the last one."""
    if not isinstance(widths, list) or not all(isinstance(width, int) for width in widths):
        raise ValueError(f"matryoshka_widths must be a list of integers, got {widths!r}.")
    widths = widths if widths[-1:] == [n_latents] else [*widths, n_latents]
    return tuple(width - before for before, width in zip([0, *widths], widths, strict=False))
