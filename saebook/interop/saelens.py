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
from saebook.interop.contents import flag, read_json
from saebook.kinds import BatchTopK, Gated, JumpReLU, TopK

SAELENS_VERSION = "6.54.12"  # whose layout this is

SCALER = "activation_scaler.json"  # beside a checkpoint: the units in which SAELens trains
_TRAINED = {**tensors.PLAIN, "threshold": "topk_threshold"}
_EACH = "a norm of each sample is no weight"
_OF_NORMS = {  # why other values of normalize_activations are refused
    "layer_norm": _EACH,
    "constant_norm_rescale": _EACH,
    "covariance_whitening": "read the model that SAELens saves at the end of the training",
}
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
        tensors.as_jumprelu(config, values)
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
    threshold that it has learned, and k is for training on. A checkpoint of a training that scales
    its samples is read with the factor in the weights, as SAELens has it in the end.

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
    settings = read_json(path)
    if "transcoder" in str(settings.get("architecture")):
        raise ValueError(
            f"{path}: architecture must be that of an autoencoder, got "
            f"{settings['architecture']!r}, which reads one place of a network and writes another."
        )
    architecture = tensors.one_of(SAELENS, settings.get("architecture"), f"{path}: architecture")
    metadata = settings.get("metadata")
    version = metadata.get("sae_lens_version") if isinstance(metadata, dict) else None
    if not re.match(r"[6-9]|\d\d", str(version)):
        raise ValueError(
            f"{path}: metadata.sae_lens_version must be 6 or later, got {version!r}; load the "
            "model with SAELens and save it anew."
        )
    factor = _input_factor(path, settings)
    kind, names = SAELENS[architecture]
    rescaled = kind in (TopK, BatchTopK) and flag(
        path, settings, "rescale_acts_by_decoder_norm", kind is BatchTopK
    )
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
        if factor != 1:
            values["W_enc"] = values["W_enc"] * factor
            values["W_dec"], values["b_dec"] = values["W_dec"] / factor, values["b_dec"] / factor
            if rescaled and kind is BatchTopK:
                values["threshold"] = values["threshold"] / factor
        params = tensors.checked(config, values, "float64" if precise else "float32")
    except ValueError as error:
        raise ValueError(f"{path.parent}: {error}") from None
    if rescaled:
        tensors.scale_to_unit_rows(params)
    return config, params


def _input_factor(path: Path, settings: dict[str, Any]) -> float:
    """What samples are multiplied by before they reach the weights, or ValueError."""
    if settings.get("reshape_activations", "none") != "none":
        raise ValueError(
            f"{path}: reshape_activations must be 'none', got {settings['reshape_activations']!r}."
        )
    norm, scaler = settings.get("normalize_activations", "none"), path.with_name(SCALER)
    if norm == "none":
        return 1.0
    if norm != "expected_average_only_in":
        why = _OF_NORMS.get(str(norm), f"SAELens {SAELENS_VERSION} has no such setting")
        raise ValueError(
            f"{path}: normalize_activations must be 'none' or 'expected_average_only_in', got "
            f"{norm!r}; {why}."
        )
    if not scaler.is_file():
        raise ValueError(
            f"{path}: normalize_activations must be 'none' where there is no {SCALER} beside it, "
            f"got {norm!r}; read a checkpoint with it, or the model that SAELens saves at the end "
            "of the training."
        )
    scaled = read_json(scaler)
    if flag(scaler, scaled, "has_whitening", False):
        raise ValueError(
            f"{scaler}: has_whitening must be False, got True; read the model that SAELens saves "
            "at the end of the training."
        )
    factor = scaled.get("scaling_factor")
    least, most = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)
    number = isinstance(factor, int | float) and not isinstance(factor, bool)
    if factor is None or not number or not least <= factor <= most:
        raise ValueError(
            f"{scaler}: scaling_factor must be a number above 0 that float32 holds, "
            f"got {factor!r:.60}."
        )
    return float(factor)


def _differences(widths: Any, n_latents: int) -> tuple[int, ...]:
    """Sizes of the groups of latents, from the width up to each; SAELens adds the last one."""
    if not isinstance(widths, list) or not all(isinstance(width, int) for width in widths):
        raise ValueError(f"matryoshka_widths must be a list of integers, got {widths!r}.")
    widths = widths if widths[-1:] == [n_latents] else [*widths, n_latents]
    return tuple(width - before for before, width in zip([0, *widths], widths, strict=False))
