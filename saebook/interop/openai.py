"""The layout of OpenAI's sparse_autoencoder: its ``state_dict``, in one file."""

from pathlib import Path

import numpy as np

from saebook._types import Array, Params, StrPath
from saebook.config import SAEConfig
from saebook.interop import tensors
from saebook.interop.contents import read_tensors
from saebook.kinds import L1, Sparsity, TopK

_NAMES = {
    "W_enc": "encoder.weight",
    "b_enc": "latent_bias",
    "W_dec": "decoder.weight",
    "b_dec": "pre_bias",
}
_COUNTED = {  # of latents, while training; a model without them is not loaded
    "stats_last_nonzero": (0, np.int64),
    "latents_activation_frequency": (1, np.float32),
    "latents_mean_square": (0, np.float32),
}
_K, _AFTER = "activation_state_dict.k", "activation_state_dict.postact_fn"


def to_openai(config: SAEConfig, params: Params, path: StrPath, normalized: bool = False) -> None:
    """Write a model as ``Autoencoder.from_state_dict`` of OpenAI's sparse_autoencoder reads it.

    That function normalises every sample of a TopK model, and of no other. So a TopK model can be
    written only if that is what it was trained on: see ``normalized``.

    Parameters
    ----------
    config : SAEConfig
        With none, L1 or TopK, a ReLU code and a linear output.
    params : dict of str to ndarray
        As from ``model.to_numpy``.
    path : str or path-like
        The file to write, by habit ``name.pt``; it needs PyTorch.
    normalized : bool
        Whether the model's samples have mean 0 and standard deviation 1 each, as those of TopK
        models have there: ``(x - mean) / (std + 1e-5)``, with n - 1 in the variance.

    Raises
    ------
    ValueError
        If sparse_autoencoder has no such model, or a parameter is wrong.
    ImportError
        If PyTorch is not installed.
    OSError
        If the file cannot be written.
    """
    values = tensors.portable(config, params, "sparse_autoencoder", (type(None), L1, TopK))
    _check_units(isinstance(config.sparsity, TopK), normalized, "the model")
    tensors.move_pre_bias(values, True, config)
    state: dict[str, object] = dict(tensors.named(values, _NAMES))
    for name, (start, dtype) in _COUNTED.items():
        state[name] = np.full(config.n_latents, start, dtype)
    state["activation"] = "ReLU"
    if isinstance(config.sparsity, TopK):
        state["activation"] = "TopK"
        state["activation_state_dict"] = {"k": config.sparsity.k, "postact_fn": "ReLU"}
    else:
        state["activation_state_dict"] = {}
    tensors.write_torch(path, state)


def from_openai(path: StrPath, normalized: bool = False) -> tuple[SAEConfig, dict[str, Array]]:
    """Read a model of OpenAI's sparse_autoencoder.

    Parameters
    ----------
    path : str or path-like
        What ``torch.save(autoencoder.state_dict(), path)`` wrote, read with PyTorch and as tensors
        only.
    normalized : bool
        To be True for a TopK model, and no other: it says that you know the model's units. Its
        samples are to be normalised first, ``(x - mean) / (std + 1e-5)``, each by its own mean and
        standard deviation (with n - 1), and its reconstructions are in the same units.

    Returns
    -------
    SAEConfig
        Without sparsity, or with TopK.
    dict of str to ndarray
        For ``model.from_numpy``. float64 if all weights are, else float32.

    Raises
    ------
    ValueError
        If the file is damaged, or the model is of a kind that is not here.
    ImportError
        If PyTorch is not installed.
    OSError
        If the file cannot be read.
    """
    path = Path(path)
    found, rest = read_tensors(path)
    # An older file may have no name in it; theirs is then a ReLU.
    kind = tensors.one_of(("ReLU", "TopK"), rest.get("activation", "ReLU"), f"{path}: activation")
    for name in _COUNTED:
        found.pop(name, None)
    # PyTorch's own walk through the parts of a model adds the settings of TopK a second time.
    known = {"activation", _K, _AFTER, "activation.k", "activation.postact_fn"}
    strange = {name: value for name, value in rest.items() if name not in known}
    values = tensors.picked(path, found | strange, _NAMES)
    try:
        _check_units(kind == "TopK", normalized, "the file")
        sparsity: Sparsity | None = None
        if kind == "TopK":
            if rest.get(_AFTER) not in ("ReLU", "Identity"):
                raise ValueError(f"postact_fn must be ReLU or Identity, got {rest.get(_AFTER)!r}.")
            sparsity = TopK(rest.get(_K))  # type: ignore[arg-type]
        activation = "linear" if rest.get(_AFTER) == "Identity" else "relu"
        config = SAEConfig(
            *tensors.widths(values), activation, "linear", sparsity=sparsity, pre_bias=True
        )
        return config, tensors.checked(config, values, tensors.dtype_of(values))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _check_units(topk: bool, normalized: bool, what: str) -> None:
    if topk != normalized:
        raise ValueError(
            f"normalized must be {topk} where {what} is {'' if topk else 'not '}a TopK model, "
            f"got {normalized}; sparse_autoencoder normalises the samples of TopK models alone."
        )
