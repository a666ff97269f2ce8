"""Weights to start from, made of the training samples."""

from dataclasses import replace

import numpy as np

from saebook._types import Array
from saebook.config import SAEConfig
from saebook.kinds import L1, BatchTopK, TopK
from saebook.start import begins_at_samples, init_from_samples

KINDS = (type(None), TopK, BatchTopK, L1)


def from_samples(config: SAEConfig, x: Array, seed: int) -> dict[str, Array] | None:
    """As `saebook.start.init_from_samples`; None where that does not fit.

    Encoder and decoder have the same norm here and all latents begin as samples, as the estimators
    were compared.
    Where TopK keeps at least half of the latents they begin `in_pairs`.

    Parameters
    ----------
    config : SAEConfig
        With a linear output, a code by ReLU or linear, and a kind that has no thresholds of its own
        that would have to fit.
    x : array (n_samples, n_features)
    seed : int >= 0
    """
    fits = begins_at_samples(config) and type(config.sparsity) in KINDS
    if not fits or not np.ptp(x, axis=0).any():
        return None
    params = _pairs(config, x, seed) if in_pairs(config) else _alike(config, x, seed)
    if not config.tied and not config.unit_norm:
        for name, factor in (("W_enc", 0.5), ("b_enc", 0.5), ("W_dec", 2.0)):
            params[name] *= factor
    return params


def in_pairs(config: SAEConfig) -> bool:
    """Whether latents begin in pairs of opposite directions.

    One of each pair is active, so that none of the active ones is cut, and what the directions
    measure is linear in the code.
    """
    kind = config.sparsity
    whole = isinstance(kind, TopK) and 2 * kind.k >= config.n_latents > 1
    return whole and config.activation == "relu"


def _alike(config: SAEConfig, x: Array, seed: int) -> dict[str, Array]:
    return init_from_samples(config, x, seed, alike=True)


def _pairs(config: SAEConfig, x: Array, seed: int) -> dict[str, Array]:
    """Of a linear model of half as many latents, the same function where their number is even."""
    n_pairs, n_latents = -(-config.n_latents // 2), config.n_latents
    half = replace(config, n_latents=n_pairs, activation="linear", sparsity=None)
    params = _alike(half, x, seed)
    for name, axis in (("W_enc", 1), ("b_enc", 0), ("W_dec", 0)):
        if name in params:
            both = np.concatenate([params[name], -params[name]], axis)
            params[name] = np.take(both, np.arange(n_latents), axis)
    return params
