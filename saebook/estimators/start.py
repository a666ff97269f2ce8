"""Weights to start from, made of the training samples."""

import numpy as np

from saebook._types import Array
from saebook.config import SAEConfig
from saebook.inference import encode
from saebook.kinds import L1, BatchTopK, TopK
from saebook.parameters import own_start, parameter_shapes

KINDS = (type(None), TopK, BatchTopK, L1)


def from_samples(config: SAEConfig, x: Array, seed: int) -> dict[str, Array] | None:
    """Latents that begin as training samples less their mean; None where that does not fit.

    The encoder is the decoder's transpose and its bias answers to ``x`` less the mean. The norm of
    all latents is the one with which the samples are rebuilt best. Where there are fewer samples
    than latents, some are taken twice, with a little noise to tell them apart.

    Parameters
    ----------
    config : SAEConfig
        With a linear output, a code by ReLU or linear, and a kind that has no thresholds of its own
        that would have to fit.
    x : array (n_samples, n_features)
    seed : int >= 0
    """
    fits = config.output == "linear" and config.activation != "sigmoid"
    mean = x.mean(axis=0, dtype=np.float64)
    rng = np.random.default_rng(seed)
    some = x[rng.permutation(len(x))[: max(config.n_latents, 512)]] - mean
    spread = np.sqrt((some**2).mean())
    if not fits or type(config.sparsity) not in KINDS or not spread > 0:
        return None
    rows = some[np.arange(config.n_latents) % len(some)]
    rows[len(some) :] += 0.1 * spread * rng.normal(size=rows[len(some) :].shape)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    W = (rows / np.where(length > 0, length, 1)).T
    k = getattr(config.sparsity, "k", None)
    as_trained = SAEConfig(
        W.shape[0], W.shape[1], config.activation, sparsity=None if k is None else TopK(k)
    )
    params = {"W_enc": W, "b_enc": np.zeros(config.n_latents), "b_dec": np.zeros(len(W))}
    rebuilt = encode(as_trained, params, some) @ W.T
    norm = 1.0 if config.unit_norm else np.sqrt(max((some * rebuilt).sum(), 0) / (rebuilt**2).sum())
    W = W * (norm or 1.0)
    b_enc = np.zeros(config.n_latents) if config.pre_bias else -mean @ W
    params = {"W_enc": W, "b_enc": b_enc, "W_dec": W.T.copy(), "b_dec": mean} | own_start(config)
    return {name: params[name] for name in parameter_shapes(config)}
