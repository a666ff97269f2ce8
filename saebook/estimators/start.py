"""Weights to start from, made of the training samples."""

import numpy as np

from saebook._types import Array
from saebook.config import SAEConfig
from saebook.kinds import L1, BatchTopK, TopK
from saebook.start import begins_at_samples, init_from_samples

KINDS = (type(None), TopK, BatchTopK, L1)


def from_samples(config: SAEConfig, x: Array, seed: int) -> dict[str, Array] | None:
    """As `saebook.start.init_from_samples`; None where that does not fit.

    Encoder and decoder have the same norm here, the one with which the estimators were compared.

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
    params = init_from_samples(config, x, seed)
    if not config.tied and not config.unit_norm:
        for name, factor in (("W_enc", 0.5), ("b_enc", 0.5), ("W_dec", 2.0)):
            params[name] *= factor
    return params
