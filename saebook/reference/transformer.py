"""The specification of the causal transformer, in float64 NumPy."""

import numpy as np

from saebook._types import Array, Params
from saebook.transformer import EPSILON, Places, Splice, TransformerConfig


def norm(x: Array) -> Array:
    """Each row with mean 0 and variance 1, but for `EPSILON`."""
    x = x - x.mean(axis=-1, keepdims=True)
    return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + EPSILON)


def log_softmax(x: Array) -> Array:
    """Logarithms of probabilities along the last axis."""
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def attention(config: TransformerConfig, params: Params, layer: int, x: Array) -> Array:
    """What each token gathers from those up to it: ``(n_texts, n, d_model)``, as `x` is."""
    n, size = x.shape[1], config.d_model // config.n_heads
    gathered = np.empty_like(x)
    later = np.triu(np.ones((n, n), dtype=bool), k=1)
    for head in range(config.n_heads):
        columns = slice(head * size, (head + 1) * size)
        q, k, v = (x @ params[f"W_{name}_{layer}"][:, columns] for name in "QKV")
        scores = np.where(later, -np.inf, q @ k.swapaxes(1, 2) / np.sqrt(size))
        gathered[..., columns] = np.exp(log_softmax(scores)) @ v
    return gathered @ params[f"W_O_{layer}"]


def forward(
    config: TransformerConfig, params: Params, tokens: Array, splice: Splice | None = None
) -> tuple[Array, dict[str, Array]]:
    """Logits of each next token, and the activations by name.

    Parameters
    ----------
    config : TransformerConfig
    params : dict of str to ndarray
        Shapes as in `saebook.transformer.shapes`.
    tokens : ndarray (n_texts, n)
    splice : mapping of str to function, optional
        What is to be made of an activation before the model goes on.

    Returns
    -------
    logits : ndarray (n_texts, n, n_tokens)
    activations : dict of str to ndarray (n_texts, n, d_model)
        Names as in `saebook.transformer.places`.

    Raises
    ------
    ValueError
        If `splice` names an activation that is none.
    """
    at = Places(config, splice)
    x = at("resid_0", params["W_E"][tokens] + params["W_pos"][: tokens.shape[1]])
    for layer in range(config.n_layers):
        x = x + at(f"attn_out_{layer}", attention(config, params, layer, norm(x)))
        h = at(f"mlp_in_{layer}", norm(x))
        hidden = np.maximum(h @ params[f"W_in_{layer}"] + params[f"b_in_{layer}"], 0)
        x = x + at(f"mlp_out_{layer}", hidden @ params[f"W_out_{layer}"] + params[f"b_out_{layer}"])
        x = at(f"resid_{layer + 1}", x)
    return at("final", norm(x)) @ params["W_U"], at.found


def next_token_loss(logits: Array, tokens: Array) -> Array:
    """Cross-entropy of each token but the first, in nats, ``(n_texts, n - 1)``."""
    return -np.take_along_axis(log_softmax(logits[:, :-1]), tokens[:, 1:, None], axis=-1)[..., 0]
