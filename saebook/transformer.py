"""A causal transformer in the small: what it is, its parameters, and the file that holds it.

``saebook.reference.transformer`` says what it computes; `saebook.pytorch.transformer` and
`saebook.tensorflow.transformer` compute it.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from saebook._types import Array, ArrayLike, Params, Shape, StrPath
from saebook.files import check_writable, replace_file
from saebook.tokens import Tokenizer

EPSILON = 1e-5  # what keeps the norm of a constant row from being a division by zero
Splice = Mapping[str, Callable[[Any], Any]]


@dataclasses.dataclass(frozen=True)
class TransformerConfig:
    """A decoder-only transformer: pre-norm, learned positions, an MLP of ReLUs.

    The norm has no gain and no bias of its own: those of other models are part of the matrix that
    follows, and so they are here.

    Parameters
    ----------
    n_tokens : int
        How many tokens there are.
    context : int
        How many tokens it sees at most.
    n_layers, d_model, n_heads, d_mlp : int
        Layers; width of the residual stream; heads of attention; hidden units of an MLP.

    Raises
    ------
    ValueError
        If a number is below 1, or `n_heads` does not divide `d_model`.
    """

    n_tokens: int
    context: int = 128
    n_layers: int = 4
    d_model: int = 128
    n_heads: int = 4
    d_mlp: int = 512

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if type(value) is not int or value < 1:
                raise ValueError(f"{field.name} must be an integer of at least 1, got {value!r}.")
        if self.d_model % self.n_heads:
            raise ValueError(f"n_heads must divide d_model, {self.d_model}, got {self.n_heads}.")


def shapes(config: TransformerConfig) -> dict[str, Shape]:
    """Names and shapes of the parameters, in order."""
    d, m = config.d_model, config.d_mlp
    found: dict[str, Shape] = {"W_E": (config.n_tokens, d), "W_pos": (config.context, d)}
    for layer in range(config.n_layers):
        found |= {f"W_{name}_{layer}": (d, d) for name in "QKVO"}
        found |= {f"W_in_{layer}": (d, m), f"b_in_{layer}": (m,)}
        found |= {f"W_out_{layer}": (m, d), f"b_out_{layer}": (d,)}
    return found | {"W_U": (d, config.n_tokens)}


def places(config: TransformerConfig) -> list[str]:
    """Names of the activations, in the order in which they are computed.

    Each has a row of `d_model` numbers for each token. ``resid_0`` is what the first layer reads
    and ``resid_1`` what it leaves; ``attn_out_0`` and ``mlp_out_0`` are what its two parts add on
    the way; ``mlp_in_0`` is the residual stream after the norm, as its MLP reads it; ``final`` is
    what the unembedding reads.
    """
    parts = ("attn_out", "mlp_in", "mlp_out")
    layers = range(config.n_layers)
    found = [(*(f"{part}_{layer}" for part in parts), f"resid_{layer + 1}") for layer in layers]
    return ["resid_0", *chain.from_iterable(found), "final"]


def init(config: TransformerConfig, seed: int = 0) -> dict[str, Array]:
    """Parameters to begin with, float64: normal, and smaller for what is added layer by layer."""
    rng, params = np.random.default_rng(seed), {}
    for name, shape in shapes(config).items():
        added = name.startswith(("W_O", "W_out"))
        scale = shape[0] ** -0.5 / (2 * config.n_layers) ** (0.5 * added)
        scale = {"W_E": 0.1, "W_pos": 0.02}.get(name, scale)
        params[name] = np.zeros(shape) if len(shape) == 1 else scale * rng.normal(size=shape)
    return params


class Places:
    """The activations of one call, by name, and what is put in the place of some.

    Parameters
    ----------
    config : TransformerConfig
    splice : mapping of str to function
        For the name of an activation, what is to be made of its tensor before the model goes on.

    Raises
    ------
    ValueError
        If there is no activation of such a name.
    """

    def __init__(self, config: TransformerConfig, splice: Splice | None) -> None:
        self.splice, self.found = splice or {}, dict[str, Any]()
        if unknown := sorted(set(self.splice) - set(places(config))):
            raise ValueError(
                f"splice must name activations among {', '.join(places(config))}, "
                f"got {', '.join(unknown)}."
            )

    def __call__(self, name: str, value: Any) -> Any:
        self.found[name] = self.splice[name](value) if name in self.splice else value
        return self.found[name]


def check_tokens(config: TransformerConfig, tokens: ArrayLike) -> Array:
    """Tokens as an array ``(n_texts, n)`` of int32.

    Raises
    ------
    ValueError
        If they are not whole numbers below `n_tokens` in two dimensions, or longer than `context`.
    """
    found = np.asarray(tokens)
    if found.ndim != 2 or not 1 <= found.shape[1] <= config.context or found.dtype.kind not in "iu":
        raise ValueError(
            f"tokens must be whole numbers in shape (n_texts, n), n from 1 to {config.context}, "
            f"got {found.dtype} in shape {found.shape}."
        )
    if found.size and not 0 <= found.min() <= found.max() < config.n_tokens:
        raise ValueError(
            f"tokens must lie in 0 to {config.n_tokens - 1}, got {found.min()} to {found.max()}."
        )
    return found.astype(np.int32)


def check_parameters(config: TransformerConfig, params: Params) -> dict[str, Array]:
    """The parameters as arrays, in order.

    Raises
    ------
    ValueError
        If a name is missing or unknown, a shape is wrong, or a number is not finite.
    """
    wanted = shapes(config)
    if set(params) != set(wanted):
        raise ValueError(f"params must have the keys {list(wanted)}, got {sorted(params)}.")
    arrays = {name: np.asarray(params[name]) for name in wanted}
    for name, shape in wanted.items():
        if arrays[name].shape != shape:
            raise ValueError(f"params[{name!r}] must have shape {shape}, got {arrays[name].shape}.")
        if not np.isfinite(arrays[name]).all():
            raise ValueError(f"params[{name!r}] must be finite, got NaN or infinity.")
    return arrays


def write(
    path: StrPath,
    config: TransformerConfig,
    params: Params,
    tokenizer: Tokenizer,
    recipe: dict[str, Any],
) -> None:
    """Write a model with its tokenizer to a file, whole or not at all.

    Parameters
    ----------
    path : str or path-like
    config : TransformerConfig
    params : dict of str to ndarray
        Written as float32.
    tokenizer : Tokenizer
    recipe : dict
        What JSON can hold: corpus, licence, how it was trained, how good it is.

    Raises
    ------
    ValueError
        If the parameters do not fit the description.
    OSError
        If the file cannot be written. What was there stays.
    """
    check_writable(path)
    tensors = {n: v.astype(np.float32) for n, v in check_parameters(config, params).items()}
    header = {"transformer": dataclasses.asdict(config), "recipe": recipe}
    joins = {"joins": tokenizer.joins.astype(np.int32)}
    replace_file(path, to_bytes(tensors | joins, {"saebook": json.dumps(header)}))


def read(path: StrPath) -> tuple[TransformerConfig, dict[str, Array], Tokenizer, dict[str, Any]]:
    """What `write` wrote: description, parameters (float32), tokenizer and recipe.

    Raises
    ------
    ValueError
        If the file is damaged, or is not one of a transformer.
    OSError
        If the file cannot be read.
    """
    with Path(path).open("rb"):
        pass  # a missing or forbidden file gets the system's own clear error
    try:
        with safe_open(Path(path), framework="numpy") as file:
            header = json.loads((file.metadata() or {}).get("saebook", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        config = TransformerConfig(**header["transformer"])
        tokenizer = Tokenizer(tensors.pop("joins"))
        if len(tokenizer.pieces) != config.n_tokens:
            raise ValueError(f"joins must make {config.n_tokens} tokens")
        return config, check_parameters(config, tensors), tokenizer, header["recipe"]
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} must be a whole file of a transformer, got: {error}") from None
