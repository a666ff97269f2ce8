"""The parameters of a model, by name: their shapes, which of them are trained, the dictionary."""

import numpy as np

from saebook._types import Array, Params
from saebook.config import SAEConfig


def parameter_shapes(config: SAEConfig) -> dict[str, tuple[int, ...]]:
    """Shapes of the parameters.

    Returns
    -------
    dict of str to tuple
        ``W_enc (n_features, n_latents)``, ``b_enc (n_latents,)``, ``W_dec (n_latents, n_features)``
        unless tied, ``b_dec (n_features,)``, and then what the kind of sparsity has of its own.
    """
    shapes: dict[str, tuple[int, ...]] = {
        "W_enc": (config.n_features, config.n_latents),
        "b_enc": (config.n_latents,),
        "W_dec": (config.n_latents, config.n_features),
        "b_dec": (config.n_features,),
    }
    if config.tied:
        del shapes["W_dec"]
    return shapes | {name: value.shape for name, value in own_start(config).items()}


def own_start(config: SAEConfig) -> dict[str, Array]:
    """Parameters that the kind of sparsity has of its own, as they start."""
    kind = config.sparsity
    return {} if kind is None else kind.trained(config) | kind.counted(config)


def counted_names(config: SAEConfig) -> tuple[str, ...]:
    """Names of the parameters that no gradient moves: training counts or averages them."""
    return () if config.sparsity is None else tuple(config.sparsity.counted(config))


def dictionary(config: SAEConfig, params: Params) -> Array:
    """Decoder weights ``(n_latents, n_features)``, one row per latent."""
    return params["W_enc"].T if config.tied else params["W_dec"]


def row_axis(config: SAEConfig) -> tuple[str, int]:
    """The parameter that holds the dictionary, and the axis along which a row of it lies."""
    return ("W_enc", 0) if config.tied else ("W_dec", 1)


def normalize_decoder(config: SAEConfig, params: Params) -> dict[str, Array]:
    """Copy of the parameters with every dictionary row scaled to Euclidean norm 1."""
    name, axis = row_axis(config)
    norm = np.linalg.norm(params[name], axis=axis, keepdims=True)
    return {**params, name: params[name] / np.maximum(norm, np.finfo(norm.dtype).tiny)}


def shifted_biases(params: Params, shift: Array) -> dict[str, Array]:
    """Encoder biases to which ``shift (n_latents,)`` is added, which the product then lacks."""
    dtype = params["b_enc"].dtype
    found = {"b_enc": params["b_enc"] + shift}
    if "b_mag" in params:  # of Gated, whose other half sees the product times a scale
        found["b_mag"] = params["b_mag"] + np.exp(params["r_mag"]) * shift
    return {name: value.astype(dtype) for name, value in found.items()}
