"""The specification of the kinds of sparsity since 2024, beside `saebook.reference`.

Each kind has its code and what it adds to the loss, with gradients by hand. A step function has no
gradient to speak of; where a kind puts another in its place, the formula here is the definition.
"""

import numpy as np

from saebook._types import Array, Params
from saebook.config import AuxK, BatchTopK, Gated, JumpReLU, SAEConfig, TopK
from saebook.reference import (
    FUNCTIONS,
    code,
    code_gradient,
    decode,
    dictionary,
    largest,
    own_params,
    sparsity_gradient,
    sparsity_loss,
    update_kept,
)

THRESHOLD_RATE = (
    0.01  # weight of the newest batch in the running mean that is BatchTopK's threshold
)


# TopK and BatchTopK: dead latents rebuild what the others leave over


@own_params.register(TopK)
@own_params.register(BatchTopK)
def _(sparsity: TopK | BatchTopK, config: SAEConfig) -> dict[str, Array]:
    own = {"threshold": np.full((), -1.0)} if isinstance(sparsity, BatchTopK) else {}
    return own | ({"silent": np.zeros(config.n_latents)} if sparsity.aux else {})


def _dead_code(aux: AuxK, config: SAEConfig, params: Params, a: Array) -> tuple[Array, Array]:
    """Code of the largest dead latents, and which they are, both ``(n_samples, n_latents)``."""
    dead = params["silent"] >= aux.dead_after
    chosen = largest(np.where(dead, a, -np.inf), aux.k) & dead
    return np.where(chosen, FUNCTIONS[config.activation][0](a), 0), chosen


@sparsity_loss.register(TopK)
@sparsity_loss.register(BatchTopK)
def _(
    sparsity: TopK | BatchTopK,
    config: SAEConfig,
    params: Params,
    x: Array,
    a: Array,
    z: Array,
    strength: float,
) -> float:
    if sparsity.aux is None:
        return z.dtype.type(0)
    z_dead, chosen = _dead_code(sparsity.aux, config, params, a)
    left = x - decode(config, params, z)  # has b_dec in it already
    error = left - z_dead @ dictionary(config, params)
    return sparsity.aux.weight * chosen.any() * (error**2).sum(axis=1).mean()


@sparsity_gradient.register(TopK)
@sparsity_gradient.register(BatchTopK)
def _(
    sparsity: TopK | BatchTopK,
    config: SAEConfig,
    params: Params,
    x: Array,
    a: Array,
    z: Array,
    strength: float,
) -> dict[str, Array]:
    if sparsity.aux is None:
        return {}
    z_dead, chosen = _dead_code(sparsity.aux, config, params, a)
    D = dictionary(config, params)
    function, slope = FUNCTIONS[config.activation]
    left = x - decode(config, params, z)  # a target: nothing flows through it
    d_left = -2 * sparsity.aux.weight * chosen.any() * (left - z_dead @ D) / len(x)
    return {
        "W_dec": z_dead.T @ d_left,
        "a": np.where(chosen, slope(function(a)) * (d_left @ D.T), 0),
    }


@update_kept.register(TopK)
@update_kept.register(BatchTopK)
def _(
    sparsity: TopK | BatchTopK, config: SAEConfig, params: Params, a: Array, z: Array
) -> dict[str, Array]:
    kept = {}
    if isinstance(sparsity, BatchTopK) and (z > 0).any():
        smallest, before = z[z > 0].min(), params["threshold"]
        mean = before + THRESHOLD_RATE * (smallest - before)
        kept["threshold"] = np.asarray(smallest if before < 0 else mean)
    if sparsity.aux is not None:
        kept["silent"] = np.where((z != 0).any(axis=0), 0, params["silent"] + len(z))
    return kept


# BatchTopK


@code.register
def _(sparsity: BatchTopK, config: SAEConfig, params: Params, a: Array, training: bool) -> Array:
    if training:
        return np.where(_largest_of_batch(a, sparsity.k), np.maximum(a, 0), 0)
    check_threshold(float(params["threshold"]))
    return np.where(a > params["threshold"], a, 0)


@code_gradient.register
def _(
    sparsity: BatchTopK, config: SAEConfig, params: Params, a: Array, d_z: Array
) -> dict[str, Array]:
    return {"a": np.where(_largest_of_batch(a, sparsity.k) & (a > 0), d_z, 0)}


def _largest_of_batch(a: Array, k: int) -> Array:
    return largest(a.reshape(1, -1), k * len(a)).reshape(a.shape)


def check_threshold(threshold: float) -> None:
    """Raise ValueError if the threshold of a BatchTopK model has never been learned."""
    if threshold < 0:
        raise ValueError(
            "threshold of a BatchTopK model must be learned before single samples are encoded, got "
            f"{threshold:g}, which is where it starts; train the model with fit first."
        )


# JumpReLU


@own_params.register
def _(sparsity: JumpReLU, config: SAEConfig) -> dict[str, Array]:
    return {"log_threshold": np.full(config.n_latents, np.log(sparsity.threshold))}


@code.register
def _(sparsity: JumpReLU, config: SAEConfig, params: Params, a: Array, training: bool) -> Array:
    return np.where(a > np.exp(params["log_threshold"]), a, 0)


def _window(sparsity: JumpReLU, theta: Array, a: Array) -> Array:
    """1/bandwidth within half a bandwidth of the threshold, on either side, and 0 elsewhere."""
    return (np.abs(a - theta) < sparsity.bandwidth / 2) / sparsity.bandwidth


@code_gradient.register
def _(
    sparsity: JumpReLU, config: SAEConfig, params: Params, a: Array, d_z: Array
) -> dict[str, Array]:
    theta = np.exp(params["log_threshold"])
    d_theta = (-theta * _window(sparsity, theta, a) * d_z).sum(axis=0)
    return {"a": np.where(a > theta, d_z, 0), "log_threshold": theta * d_theta}


@sparsity_loss.register
def _(
    sparsity: JumpReLU,
    config: SAEConfig,
    params: Params,
    x: Array,
    a: Array,
    z: Array,
    strength: float,
) -> float:
    active = a > np.exp(params["log_threshold"])
    return strength * sparsity.weight * active.sum(axis=1).mean()


@sparsity_gradient.register
def _(
    sparsity: JumpReLU,
    config: SAEConfig,
    params: Params,
    x: Array,
    a: Array,
    z: Array,
    strength: float,
) -> dict[str, Array]:
    theta = np.exp(params["log_threshold"])
    d_theta = -strength * sparsity.weight * _window(sparsity, theta, a).mean(axis=0)
    return {"log_threshold": theta * d_theta}


# Gated


@own_params.register
def _(sparsity: Gated, config: SAEConfig) -> dict[str, Array]:
    return {"r_mag": np.zeros(config.n_latents), "b_mag": np.zeros(config.n_latents)}


def _magnitude(params: Params, a: Array) -> Array:
    return np.exp(params["r_mag"]) * (a - params["b_enc"]) + params["b_mag"]


@code.register
def _(sparsity: Gated, config: SAEConfig, params: Params, a: Array, training: bool) -> Array:
    return np.where(a > 0, np.maximum(_magnitude(params, a), 0), 0)


@code_gradient.register
def _(sparsity: Gated, config: SAEConfig, params: Params, a: Array, d_z: Array) -> dict[str, Array]:
    scale = np.exp(params["r_mag"])
    d_magnitude = np.where((a > 0) & (_magnitude(params, a) > 0), d_z, 0)
    return {
        "a": scale * d_magnitude,
        "b_enc": -scale * d_magnitude.sum(axis=0),  # the magnitude does not depend on it
        "r_mag": scale * ((a - params["b_enc"]) * d_magnitude).sum(axis=0),
        "b_mag": d_magnitude.sum(axis=0),
    }


@sparsity_loss.register
def _(
    sparsity: Gated,
    config: SAEConfig,
    params: Params,
    x: Array,
    a: Array,
    z: Array,
    strength: float,
) -> float:
    gate = np.maximum(a, 0)
    error = x - gate @ dictionary(config, params) - params["b_dec"]
    return (strength * sparsity.weight * gate.sum(axis=1) + (error**2).sum(axis=1)).mean()


@sparsity_gradient.register
def _(
    sparsity: Gated,
    config: SAEConfig,
    params: Params,
    x: Array,
    a: Array,
    z: Array,
    strength: float,
) -> dict[str, Array]:
    D = dictionary(config, params)  # frozen here: only the gate learns from this term
    error = x - np.maximum(a, 0) @ D - params["b_dec"]
    return {"a": np.where(a > 0, strength * sparsity.weight - 2 * error @ D.T, 0) / len(x)}
