"""The layout of llamascopium, of OpenMOSS: ``config.json`` and ``sae_weights.safetensors``."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save as to_bytes

from saebook._types import Array, Params, StrPath
from saebook.config import SAEConfig
from saebook.interop import tensors
from saebook.interop.contents import flag, read_json, read_tensors
from saebook.kinds import L1, BatchTopK, JumpReLU, Sparsity, TopK

_NAMES = {"W_enc": "W_E", "b_enc": "b_E", "W_dec": "W_D", "b_dec": "b_D"}
_LOG = {**_NAMES, "log_threshold": "activation_function.log_jumprelu_threshold"}
_NORM = "dataset_average_activation_norm."
_KINDS = (type(None), L1, TopK, BatchTopK, JumpReLU)


def to_openmoss(
    config: SAEConfig, params: Params, folder: StrPath, hook_point: str = "samples"
) -> None:
    """Write a model as ``SparseAutoEncoder.from_pretrained`` of llamascopium reads it.

    ``folder/sae_weights.safetensors`` and ``folder/config.json``; the folder is made if need be. A
    BatchTopK model becomes a JumpReLU with its learned threshold. The decoder's bias is not taken
    from the input there: the encoder's is shifted so that the code stays.

    Parameters
    ----------
    config : SAEConfig
        With none, L1, TopK, BatchTopK or JumpReLU, a ReLU code and a linear output.
    params : dict of str to ndarray
        As from ``model.to_numpy``.
    folder : str or path-like
    hook_point : str
        What llamascopium calls the place of a network that the samples come from.

    Raises
    ------
    ValueError
        If llamascopium has no such model, a parameter is wrong, or a BatchTopK threshold has not
        been learned.
    OSError
        If a file cannot be written.
    """
    values = tensors.portable(config, params, "llamascopium", _KINDS)
    tensors.move_pre_bias(values, False, config)
    tensors.as_jumprelu(config, values)
    names, act_fn = _NAMES, "topk" if isinstance(config.sparsity, TopK) else "relu"
    if "threshold" in values:
        names, act_fn = _LOG, "jumprelu"
        tiny = np.finfo(values["threshold"].dtype).tiny
        values["log_threshold"] = np.log(np.maximum(values["threshold"], tiny))
    settings = {
        "sae_type": "sae",
        "hook_point_in": hook_point,
        "hook_point_out": hook_point,
        "use_glu_encoder": False,
        "d_model": config.n_features,
        "expansion_factor": _expansion(config),
        "use_decoder_bias": True,
        "act_fn": act_fn,
        "norm_activation": "inference",
        "sparsity_include_decoder_norm": False,
        "top_k": config.sparsity.k if isinstance(config.sparsity, TopK) else 50,
    }
    files = {
        "sae_weights.safetensors": to_bytes(tensors.named(values, names)),
        "config.json": json.dumps(settings, indent=4).encode(),
    }
    tensors.write(folder, files)


def from_openmoss(folder: StrPath) -> tuple[SAEConfig, dict[str, Array]]:
    """Read a sparse autoencoder that llamascopium wrote.

    The code is that of its ``encode`` on its ``normalize_activations`` of the samples, where that
    is a factor for the whole data set; the factor is then in the weights. A TopK that ranks by the
    size of the decoder's rows (``sparsity_include_decoder_norm``) is read with rows of one norm,
    and a code that is theirs times the norm of each latent's row.

    Parameters
    ----------
    folder : str or path-like
        With ``config.json`` and ``sae_weights.safetensors``.

    Returns
    -------
    SAEConfig
        Without sparsity, with TopK, or with JumpReLU.
    dict of str to ndarray
        For ``model.from_numpy``. float64 if all tensors are, else float32.

    Raises
    ------
    ValueError
        If a file is damaged, or the model is of a kind that is not here: a transcoder, a gated
        encoder, samples normalised one by one, or BatchTopK, which has no threshold there.
    OSError
        If a file cannot be read.
    """
    path = Path(folder) / "config.json"
    settings = read_json(path)
    _check_kind(path, settings)
    weights = path.with_name("sae_weights.safetensors")
    found, _ = read_tensors(weights)
    norms = {name: found.pop(name) for name in [*found] if name.startswith(_NORM)}
    jumps = settings.get("act_fn", "relu") == "jumprelu"
    names = dict(_LOG if jumps else _NAMES)
    biased = flag(path, settings, "use_decoder_bias", True)
    if not biased:
        del names["b_dec"]
    values = tensors.picked(weights, found, names)
    ranked = flag(path, settings, "sparsity_include_decoder_norm", True)
    dtype = tensors.dtype_of(values)
    try:
        shape = tensors.widths(values)
        if settings.get("d_model") != shape[0]:
            raise ValueError(
                f"W_E must have shape (d_model, ...), ({settings.get('d_model')!r}, ...), "
                f"got {shape}."
            )
        if not biased:
            values["b_dec"] = np.zeros(shape[0], dtype)
        kind: Sparsity | None = None
        if settings.get("act_fn", "relu") == "topk":
            kind = TopK(settings.get("top_k", 50))
        elif jumps:
            kind = JumpReLU()
        config = SAEConfig(*shape, "relu", "linear", sparsity=kind, pre_bias=False)
        params = tensors.checked(config, values, dtype)
        if ranked:
            _rank_by_rows(kind, params)  # by the rows in the file
        if settings.get("norm_activation", "dataset-wise") == "dataset-wise":
            factor = _factor(norms, settings)
            params["W_enc"] = params["W_enc"] * params["W_enc"].dtype.type(factor)
            for name in ("W_dec", "b_dec"):
                params[name] = params[name] / params[name].dtype.type(factor)
        return config, params
    except ValueError as error:
        raise ValueError(f"{path.parent}: {error}") from None


def _check_kind(path: Path, settings: dict[str, Any]) -> None:
    for field, default, allowed, why in (
        ("sae_type", None, ("sae",), "other kinds of dictionaries read several places"),
        ("use_glu_encoder", False, (False,), "its second encoder has no equal here"),
        (
            "act_fn",
            "relu",
            ("relu", "jumprelu", "topk"),
            "of a batch it keeps the largest even in use; make a jumprelu of it there first",
        ),
        (
            "norm_activation",
            "dataset-wise",
            ("dataset-wise", "inference"),
            "a norm of each sample or batch is no weight",
        ),
    ):
        if settings.get(field, default) not in allowed:
            names = " or ".join(map(repr, allowed))
            raise ValueError(
                f"{path}: {field} must be {names}, got {settings.get(field)!r}; {why}."
            )
    if settings.get("hook_point_in") != settings.get("hook_point_out"):
        raise ValueError(
            f"{path}: hook_point_out must be hook_point_in, {settings.get('hook_point_in')!r}, got "
            f"{settings.get('hook_point_out')!r}; a transcoder is no autoencoder."
        )


def _expansion(config: SAEConfig) -> float:
    """A ratio of the widths that comes out as the right one when they cut off its product."""
    ratio = config.n_latents / config.n_features
    while int(config.n_features * ratio) < config.n_latents:
        ratio = math.nextafter(ratio, math.inf)
    return ratio


def _factor(norms: dict[str, Array], settings: dict[str, Any]) -> float:
    """What llamascopium multiplies samples by: their mean norm becomes the root of the width."""
    name = f"{_NORM}{settings.get('hook_point_in')}"
    found = norms.get(name)
    norm = math.nan if found is None or found.shape != () else float(found)
    if not 0 < norm < math.inf:
        got = "none" if found is None else f"shape {found.shape}" if found.shape else norm
        raise ValueError(
            f"{name} must be a number above 0 where norm_activation is 'dataset-wise', got {got}."
        )
    return math.sqrt(settings["d_model"]) / norm


def _rank_by_rows(kind: Sparsity | None, params: dict[str, Array]) -> None:
    """Thresholds and ranks that answer to a latent's size times the norm of its row, in place."""
    if isinstance(kind, TopK):
        tensors.scale_to_unit_rows(params)
    elif isinstance(kind, JumpReLU):
        norm = np.linalg.norm(params["W_dec"], axis=1)
        with np.errstate(divide="ignore"):  # a latent without a row is never above its threshold
            moved = params["log_threshold"] - np.log(norm)
        most = np.finfo(norm.dtype).max  # for one that is infinite
        params["log_threshold"] = tensors.largest_log(np.minimum(moved, most))
