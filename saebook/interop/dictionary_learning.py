"""The layout of dictionary_learning: ``config.json`` and ``ae.pt``, a file of PyTorch."""

import io
import json
from pathlib import Path

import numpy as np

from saebook._types import Array, Params, StrPath
from saebook.config import SAEConfig
from saebook.interop import tensors
from saebook.kinds import BatchTopK, Gated, JumpReLU, Sparsity, TopK

_LINEAR = {
    **tensors.PLAIN,
    "W_enc": "encoder.weight",
    "b_enc": "encoder.bias",
    "W_dec": "decoder.weight",
}
# For each class, our name of each tensor, and theirs.
DICTIONARY_LEARNING: dict[str, dict[str, str]] = {
    "AutoEncoder": {**_LINEAR, "b_dec": "bias"},
    "AutoEncoderNew": {**_LINEAR, "b_dec": "decoder.bias"},
    "AutoEncoderTopK": {**_LINEAR, "k": "k", "threshold": "threshold"},
    "BatchTopKSAE": {**_LINEAR, "k": "k", "threshold": "threshold"},
    "MatryoshkaBatchTopKSAE": {**tensors.THRESHOLD, "k": "k", "groups": "group_sizes"},
    "JumpReluAutoEncoder": tensors.THRESHOLD,
    "GatedAutoEncoder": {
        **_LINEAR,
        "b_enc": "gate_bias",
        "b_dec": "decoder_bias",
        "r_mag": "r_mag",
        "b_mag": "mag_bias",
    },
}
_NO_PRE_BIAS = ("AutoEncoderNew", "JumpReluAutoEncoder")  # the others subtract theirs from x


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
    torch = tensors.torch_or_error()
    values = tensors.portable(config, params, "dictionary_learning")
    sparsity, name = config.sparsity, tensors.KINDS[type(config.sparsity)][1]
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
    theirs = tensors.named(values, DICTIONARY_LEARNING[name])
    content = io.BytesIO()
    torch.save({key: torch.from_numpy(value) for key, value in theirs.items()}, content)
    described = json.dumps({"trainer": trainer}, indent=2).encode()
    tensors.write(folder, {"ae.pt": content.getvalue(), "config.json": described})


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
        For ``model.from_numpy``. float64 if all tensors are, else float32. A threshold that is not
        positive does nothing and becomes the smallest positive one.

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
    trainer = tensors.read_json(path).get("trainer")
    if not isinstance(trainer, dict):
        raise ValueError(f"{path}: trainer must be a JSON object, got {trainer!r}.")
    name = tensors.one_of(
        DICTIONARY_LEARNING, trainer.get("dict_class"), f"{path}: trainer.dict_class"
    )
    values = tensors.read(path.with_name("ae.pt"), DICTIONARY_LEARNING[name])
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
        return config, tensors.checked(config, values, "float64" if precise else "float32")
    except ValueError as error:
        raise ValueError(f"{path.parent}: {error}") from None


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
