"""The layout of dictionary_learning: ``config.json`` and ``ae.pt``, a file of PyTorch."""

import json
from pathlib import Path

import numpy as np

from saebook._types import Array, Params, StrPath
from saebook.config import SAEConfig
from saebook.interop import tensors
from saebook.interop.contents import read_json
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
    tensors.torch_or_error()  # before anything is made
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
    tensors.move_pre_bias(values, name not in _NO_PRE_BIAS, config)
    theirs = tensors.named(values, DICTIONARY_LEARNING[name])
    described = json.dumps({"trainer": trainer}, indent=2).encode()
    tensors.write(folder, {"ae.pt": tensors.torch_bytes(theirs), "config.json": described})


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
    trainer = read_json(path).get("trainer")
    if not isinstance(trainer, dict):
        raise ValueError(f"{path}: trainer must be a JSON object, got {trainer!r}.")
    name = tensors.one_of(
        DICTIONARY_LEARNING, trainer.get("dict_class"), f"{path}: trainer.dict_class"
    )
    values = tensors.read(path.with_name("ae.pt"), DICTIONARY_LEARNING[name])
    dtype = tensors.dtype_of(values)
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
        config = SAEConfig(
            *tensors.widths(values),
            "relu",
            "linear",
            sparsity=sparsity,
            pre_bias=name not in _NO_PRE_BIAS,
            groups=None if groups is None else tuple(groups.ravel().tolist()),
        )
        return config, tensors.checked(config, values, dtype)
    except ValueError as error:
        raise ValueError(f"{path.parent}: {error}") from None
