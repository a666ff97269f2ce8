"""Models of SAELens and of dictionary_learning: their folders, read and written.

What makes the code and the reconstruction is carried over. What only training uses is not in those
folders: weights of penalties, `AuxK` and its counts, unit norm, weight decay; `groups` are where
the layout has a place for them. A model that is read has the defaults there, and no `L1`.
"""

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from saebook._types import Array, Params, StrPath
from saebook.checks import check_params
from saebook.config import (
    L1,
    BatchTopK,
    Gated,
    JumpReLU,
    SAEConfig,
    Sparsity,
    TopK,
    refuse_unless,
)
from saebook.files import replace_file
from saebook.modern import check_threshold
from saebook.reference import dictionary

SAELENS_VERSION = "6.54.12"  # whose layout this is

# Our name of each tensor, and theirs. One whose name ends in ".weight" is transposed.
_PLAIN = {name: name for name in ("W_enc", "b_enc", "W_dec", "b_dec")}
_THRESHOLD = {**_PLAIN, "threshold": "threshold"}
_LINEAR = {**_PLAIN, "W_enc": "encoder.weight", "b_enc": "encoder.bias", "W_dec": "decoder.weight"}
SAELENS: dict[str, dict[str, str]] = {
    "standard": _PLAIN,
    "topk": _PLAIN,
    "jumprelu": _THRESHOLD,
    "gated": {**_PLAIN, "b_enc": "b_gate", "r_mag": "r_mag", "b_mag": "b_mag"},
    # Training checkpoints only: SAELens makes "jumprelu" of both when training ends.
    "batchtopk": {**_PLAIN, "threshold": "topk_threshold"},
    "matryoshka_batchtopk": {**_PLAIN, "threshold": "topk_threshold"},
}
DICTIONARY_LEARNING: dict[str, dict[str, str]] = {
    "AutoEncoder": {**_LINEAR, "b_dec": "bias"},
    "AutoEncoderNew": {**_LINEAR, "b_dec": "decoder.bias"},
    "AutoEncoderTopK": {**_LINEAR, "k": "k", "threshold": "threshold"},
    "BatchTopKSAE": {**_LINEAR, "k": "k", "threshold": "threshold"},
    "MatryoshkaBatchTopKSAE": {**_THRESHOLD, "k": "k", "groups": "group_sizes"},
    "JumpReluAutoEncoder": _THRESHOLD,
    "GatedAutoEncoder": {
        **_LINEAR,
        "b_enc": "gate_bias",
        "b_dec": "decoder_bias",
        "r_mag": "r_mag",
        "b_mag": "mag_bias",
    },
}
_NO_PRE_BIAS = ("AutoEncoderNew", "JumpReluAutoEncoder")  # the others subtract theirs from x

# The kinds that can be written, as SAELens and as dictionary_learning call them.
_KINDS: dict[type, tuple[str, str]] = {
    type(None): ("standard", "AutoEncoderNew"),
    L1: ("standard", "AutoEncoderNew"),
    TopK: ("topk", "AutoEncoderTopK"),
    BatchTopK: ("jumprelu", "BatchTopKSAE"),
    JumpReLU: ("jumprelu", "JumpReluAutoEncoder"),
    Gated: ("gated", "GatedAutoEncoder"),
}
_SAELENS_KINDS: dict[str, Any] = {
    "standard": None,
    "topk": TopK,
    "jumprelu": JumpReLU,
    "gated": Gated,
    "batchtopk": BatchTopK,
    "matryoshka_batchtopk": BatchTopK,
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
    values = _portable(config, params, "SAELens")
    architecture, sparsity = _KINDS[type(config.sparsity)][0], config.sparsity
    metadata: dict[str, Any] = {"sae_lens_version": SAELENS_VERSION}
    if isinstance(sparsity, BatchTopK):
        values["threshold"] = np.full(config.n_latents, values["threshold"])
        nested = {"matryoshka_widths": np.cumsum(config.groups).tolist()} if config.groups else {}
        metadata["training_architecture"] = "matryoshka_batchtopk" if nested else "batchtopk"
        metadata["training_architecture_details"] = {"k": sparsity.k, **nested}
    tensors = _named(values, SAELENS[architecture])
    settings: dict[str, Any] = {
        "d_in": config.n_features,
        "d_sae": config.n_latents,
        "dtype": str(tensors["W_enc"].dtype),
        "device": "cpu",
        "apply_b_dec_to_input": config.pre_bias,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": metadata,
        "architecture": architecture,
    }
    if isinstance(sparsity, TopK):
        settings |= {"k": sparsity.k, "rescale_acts_by_decoder_norm": False}
    folder = _made(folder)
    replace_file(folder / "sae_weights.safetensors", to_bytes(tensors))
    replace_file(folder / "cfg.json", json.dumps(settings, indent=2).encode())


def from_saelens(folder: StrPath) -> tuple[SAEConfig, dict[str, Array]]:
    """Read a model that SAELens 6 or later wrote, with ``save_model`` or while training.

    The code is that of SAELens. If it multiplies the code by the decoder's norms
    (``rescale_acts_by_decoder_norm``), the encoder here does, and the decoder has norm 1.

    Parameters
    ----------
    folder : str or path-like
        With ``cfg.json`` and ``sae_weights.safetensors``.

    Returns
    -------
    SAEConfig
    dict of str to ndarray
        For ``model.from_numpy``. float64 if SAELens computes in it, else
        float32. A threshold that is not positive does nothing and becomes the smallest positive
        one.

    Raises
    ------
    ValueError
        If a file is damaged, or the model is of a kind that is not here.
    OSError
        If a file cannot be read.
    """
    path = Path(folder) / "cfg.json"
    settings = _read_json(path)
    architecture = _one_of(SAELENS, settings.get("architecture"), f"{path}: architecture")
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
    values = _read(path.with_name("sae_weights.safetensors"), SAELENS[architecture])
    precise = str(settings.get("dtype")).endswith("float64")
    kind, k = _SAELENS_KINDS[architecture], settings.get("k")
    k = int(k) if isinstance(k, float) and k.is_integer() else k  # BatchTopK may have 32.0 there
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
        params = _checked(config, values, "float64" if precise else "float32")
    except ValueError as error:
        raise ValueError(f"{path.parent}: {error}") from None
    if kind in (TopK, BatchTopK) and settings.get(
        "rescale_acts_by_decoder_norm", kind is BatchTopK
    ):
        norm = np.maximum(np.linalg.norm(params["W_dec"], axis=1), 1e-8)  # SAELens' bound
        params["W_enc"], params["b_enc"] = params["W_enc"] * norm, params["b_enc"] * norm
        params["W_dec"] = params["W_dec"] / norm[:, None]
    return config, params


def to_dictionary_learning(config: SAEConfig, params: Params, folder: StrPath) -> None:
    """Write a model as ``load_dictionary`` of dictionary_learning reads it.

    ``folder/ae.pt``, which needs PyTorch, and ``folder/config.json``; the folder is made if need
    be. Some classes there take the decoder's bias from the input and some do not: the biases of
    the encoder are shifted so that the code stays what it is.

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
        If dictionary_learning has no such model, a parameter is wrong, or a BatchTopK threshold
        has not been learned.
    ImportError
        If PyTorch is not installed.
    OSError
        If a file cannot be written.
    """
    torch = _torch()
    values = _portable(config, params, "dictionary_learning")
    sparsity, name = config.sparsity, _KINDS[type(config.sparsity)][1]
    if isinstance(sparsity, BatchTopK) and config.groups:
        name, values["groups"] = "MatryoshkaBatchTopKSAE", np.array(config.groups)
    trainer = {
        "dict_class": name,
        "activation_dim": config.n_features,
        "dict_size": config.n_latents,
    }
    if isinstance(sparsity, TopK | BatchTopK):
        trainer["k"], values["k"] = sparsity.k, np.array(sparsity.k, dtype=np.int32)
    if isinstance(sparsity, TopK):
        values["threshold"] = np.full((), -1.0, values["b_enc"].dtype)  # not learned, not read
    _move_pre_bias(values, name not in _NO_PRE_BIAS, config.pre_bias)
    tensors = _named(values, DICTIONARY_LEARNING[name])
    content = io.BytesIO()
    torch.save({key: torch.from_numpy(value) for key, value in tensors.items()}, content)
    folder = _made(folder)
    replace_file(folder / "ae.pt", content.getvalue())
    replace_file(folder / "config.json", json.dumps({"trainer": trainer}, indent=2).encode())


def from_dictionary_learning(folder: StrPath) -> tuple[SAEConfig, dict[str, Array]]:
    """Read a model that dictionary_learning wrote.

    Its ``load_dictionary`` scales an ``AutoEncoder`` to a decoder of norm 1; here it is as in the
    file.

    Parameters
    ----------
    folder : str or path-like
        With ``config.json`` and ``ae.pt``, which is read with PyTorch and as tensors only.

    Returns
    -------
    SAEConfig
    dict of str to ndarray
        For ``model.from_numpy``. float64 if all tensors are, else float32. A
        threshold that is not positive does nothing and becomes the smallest positive one.

    Raises
    ------
    ValueError
        If a file is damaged, or the model is of a kind that is not here.
    ImportError
        If PyTorch is not installed.
    OSError
        If a file cannot be read.
    """
    path = Path(folder) / "config.json"
    trainer = _read_json(path).get("trainer")
    if not isinstance(trainer, dict):
        raise ValueError(f"{path}: trainer must be a JSON object, got {trainer!r}.")
    name = _one_of(DICTIONARY_LEARNING, trainer.get("dict_class"), f"{path}: trainer.dict_class")
    values = _read(path.with_name("ae.pt"), DICTIONARY_LEARNING[name])
    floats = {value.dtype for value in values.values() if value.dtype.kind == "f"}
    try:
        sparsity: Sparsity | None = None
        if "k" in values:
            k = values.pop("k").tolist()
            if trainer.get("k", k) != k:
                raise ValueError(
                    f"k of ae.pt must be that of config.json, {trainer['k']!r}, got {k!r}."
                )
            sparsity = TopK(k) if name == "AutoEncoderTopK" else BatchTopK(k)
        elif name in ("JumpReluAutoEncoder", "GatedAutoEncoder"):
            sparsity = JumpReLU() if name == "JumpReluAutoEncoder" else Gated()
        if name == "AutoEncoderTopK":
            del values["threshold"]  # another way to encode there, which is not the default
        groups = values.pop("groups", None)
        shape = values["W_enc"].shape
        if len(shape) != 2:
            raise ValueError(f"W_enc must be a matrix, got shape {shape}.")
        config = SAEConfig(
            shape[0],
            shape[1],
            "relu",
            "linear",
            sparsity=sparsity,
            pre_bias=name not in _NO_PRE_BIAS,
            groups=None if groups is None else tuple(groups.ravel().tolist()),
        )
        precise = floats == {np.dtype("float64")}
        return config, _checked(config, values, "float64" if precise else "float32")
    except ValueError as error:
        raise ValueError(f"{path.parent}: {error}") from None


def _portable(config: SAEConfig, params: Params, layout: str) -> dict[str, Array]:
    """The parameters in one dtype, the decoder and a threshold among them, or ValueError."""
    params = check_params(config, params)
    for ok, field, allowed in (
        (
            type(config.sparsity) in _KINDS,
            "sparsity",
            "None, L1, TopK, BatchTopK, JumpReLU or Gated",
        ),
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


def _move_pre_bias(values: dict[str, Array], wanted: bool, there: bool) -> None:
    """Shift the encoder's biases, in place, so that they answer to ``x - b_dec``, or to ``x``."""
    if wanted == there:
        return
    shift = values["b_dec"].astype(np.float64) @ values["W_enc"]
    shift = shift if wanted else -shift
    dtype = values["b_enc"].dtype
    values["b_enc"] = (values["b_enc"] + shift).astype(dtype)
    if "b_mag" in values:
        values["b_mag"] = (values["b_mag"] + np.exp(values["r_mag"]) * shift).astype(dtype)


def _named(values: dict[str, Array], names: dict[str, str]) -> dict[str, Array]:
    """Tensors under their names and in their orientation, each in one piece of memory."""
    return {
        theirs: np.array(values[ours].T if theirs.endswith(".weight") else values[ours], order="C")
        for ours, theirs in names.items()
    }


def _read(path: Path, names: dict[str, str]) -> dict[str, Array]:
    """The tensors of a file as they were before `_named`."""
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


def _checked(config: SAEConfig, values: dict[str, Array], dtype: str) -> dict[str, Array]:
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


def _differences(widths: Any, n_latents: int) -> tuple[int, ...]:
    """Sizes of the groups of latents, from the width up to each; SAELens adds the last one."""
    if not isinstance(widths, list) or not all(isinstance(width, int) for width in widths):
        raise ValueError(f"matryoshka_widths must be a list of integers, got {widths!r}.")
    widths = widths if widths[-1:] == [n_latents] else [*widths, n_latents]
    return tuple(width - before for before, width in zip([0, *widths], widths, strict=False))


def _one_of(table: dict[str, Any], name: Any, what: str) -> str:
    if not isinstance(name, str) or name not in table:
        raise ValueError(f"{what} must be one of {', '.join(table)}, got {name!r}.")
    return name


def _made(folder: StrPath) -> Path:
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _read_json(path: Path) -> dict[str, Any]:
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
    with path.open("rb"):
        pass  # a missing or forbidden file gets the system's own clear error
    try:
        with safe_open(path, framework="numpy") as file:
            names = list(file.keys())
            types = {file.get_slice(name).get_dtype() for name in names}
            if not types <= {"F16", "F32", "F64"}:
                raise ValueError(
                    f"{path} must hold tensors of type F16, F32 or F64, "
                    f"got {', '.join(sorted(types))}."
                )
            return {name: file.get_tensor(name) for name in names}
    except SafetensorError as error:
        raise ValueError(
            f"{path} must be a whole safetensors file, got one that cannot be read: {error}."
        ) from None


def _read_torch(path: Path) -> dict[str, Array]:
    torch = _torch()
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


def _torch() -> Any:
    try:
        import torch
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ImportError(
            "dictionary_learning keeps weights in a file of PyTorch, which is not installed: "
            "pip install 'saebook[torch]'."
        ) from error
    return torch
