"""The model and its objective: forward pass, loss and gradient of a batch."""

import numpy as np

from saebook._types import Array, Params
from saebook.checks import check_width
from saebook.config import SAEConfig
from saebook.kinds import Sparsity, classes_of
from saebook.parameters import counted_names, dictionary
from saebook.reference import kinds, topk
from saebook.reference.functions import FUNCTIONS
from saebook.reference.kinds import Kind

KINDS: dict[type, type[Kind]] = classes_of(Kind, kinds, topk)


def kind_of(sparsity: Sparsity | None, config: SAEConfig) -> Kind:
    """The formulas of a kind of sparsity, in a model described by `config`."""
    if type(sparsity) not in KINDS:
        raise TypeError(f"sparsity must be a kind of sparsity or None, got {sparsity!r}.")
    return KINDS[type(sparsity)](sparsity, config)


def code(
    sparsity: Sparsity | None, config: SAEConfig, params: Params, a: Array, training: bool
) -> Array:
    """Code ``z`` of a pre-activation ``a``, both ``(n_samples, n_latents)``.

    `training` says whether the samples are a batch to learn from, for kinds that then look at all
    of it.
    """
    check_width(a, config.n_latents, "a")
    return kind_of(sparsity, config).code(params, a, training)


def code_gradient(
    sparsity: Sparsity | None, config: SAEConfig, params: Params, a: Array, d_z: Array
) -> dict[str, Array]:
    """Gradients through `code` in training, from that with respect to the code ``z``.

    Returns
    -------
    dict of str to ndarray
        With respect to the pre-activation, ``a (n_samples, n_latents)``, and to each parameter that
        `code` reads.
    """
    return kind_of(sparsity, config).code_gradient(params, a, d_z)


def penalty(sparsity: Sparsity | None, z: Array) -> float:
    """Penalty on codes ``z (n_samples, n_latents)``, a scalar, of a kind that reads them alone."""
    check_width(z, z.shape[-1], "z")
    return kind_of(sparsity, SAEConfig(1, z.shape[1])).penalty(z)


def penalty_gradient(sparsity: Sparsity | None, z: Array) -> Array:
    """Gradient of `penalty` with respect to every entry of the code, ``(n_samples, n_latents)``."""
    check_width(z, z.shape[-1], "z")
    return kind_of(sparsity, SAEConfig(1, z.shape[1])).penalty_gradient(z)


def update_counted(config: SAEConfig, params: Params, a: Array, z: Array) -> dict[str, Array]:
    """The parameters that a kind moves without a gradient after a batch, those that change."""
    return kind_of(config.sparsity, config).count(params, a, z)


def preactivation(config: SAEConfig, params: Params, x: Array) -> Array:
    """Encoder pre-activation ``a (n_samples, n_latents)`` of the samples."""
    check_width(x, config.n_features, "x")
    seen = x - params["b_dec"] if config.pre_bias else x
    return seen @ params["W_enc"] + params["b_enc"]


def encode(config: SAEConfig, params: Params, x: Array) -> Array:
    """Code ``z (n_samples, n_latents)`` of the samples ``x (n_samples, n_features)``."""
    return code(config.sparsity, config, params, preactivation(config, params, x), training=False)


def decode_logits(config: SAEConfig, params: Params, z: Array) -> Array:
    """Decoder pre-activation ``o (n_samples, n_features)`` of the codes."""
    check_width(z, config.n_latents, "z")
    return z @ dictionary(config, params) + params["b_dec"]


def prefixes(config: SAEConfig) -> list[int]:
    """How many latents each reconstruction of a Matryoshka dictionary is made of; else all."""
    return np.cumsum(config.groups or (config.n_latents,)).tolist()


def decode(config: SAEConfig, params: Params, z: Array) -> Array:
    """Reconstruction ``x_hat (n_samples, n_features)`` of the codes."""
    return FUNCTIONS[config.output][0](decode_logits(config, params, z))


def reconstruction_loss(config: SAEConfig, o: Array, x: Array) -> float:
    """Mean over samples of the error summed over features; ``o`` is the decoder pre-activation."""
    if config.reconstruction == "bce":
        error = np.maximum(o, 0) - o * x + np.log1p(np.exp(-np.abs(o)))
    else:
        error = (FUNCTIONS[config.output][0](o) - x) ** 2
    return error.sum(axis=1).mean()


def loss_terms(
    config: SAEConfig,
    params: Params,
    x: Array,
    noisy: Array | None = None,
    strength: float = 1.0,
) -> dict[str, float]:
    """Every term of the loss of a training batch, and their sum.

    Parameters
    ----------
    config : SAEConfig
    params : dict of str to ndarray
    x : array (n_samples, n_features)
        The samples to rebuild.
    noisy : array (n_samples, n_features), optional
        What the encoder sees instead of ``x``: a denoising autoencoder (Vincent et al. 2008).
    strength : float
        Share of the sparsity penalty's weight that counts.

    Returns
    -------
    dict of str to float
        ``reconstruction``, ``sparsity``, ``weight_decay`` and their sum ``loss``.
    """
    a = preactivation(config, params, x if noisy is None else noisy)
    z = code(config.sparsity, config, params, a, training=True)
    D = dictionary(config, params)
    kind = kind_of(config.sparsity, config)
    terms = {
        "reconstruction": sum(
            reconstruction_loss(config, z[:, :m] @ D[:m] + params["b_dec"], x)
            for m in prefixes(config)
        ),
        "sparsity": kind.loss(params, x, a, z, kind.strength(params, strength)),
        "weight_decay": config.weight_decay
        * sum((params[name] ** 2).sum() for name in ("W_enc", "W_dec") if name in params),
    }
    return {**terms, "loss": sum(terms.values())}


def gradients(
    config: SAEConfig,
    params: Params,
    x: Array,
    noisy: Array | None = None,
    strength: float = 1.0,
) -> dict[str, Array]:
    """Gradient of the loss with respect to every trained parameter, by back-propagation.

    The derivation is in the chapter on backpropagation. Arguments are those of `loss_terms`;
    returns a dict with the keys and shapes of `params`, those apart that a kind of sparsity counts.
    """
    n, x_in = len(x), x if noisy is None else noisy
    a = preactivation(config, params, x_in)
    z = code(config.sparsity, config, params, a, training=True)
    D = dictionary(config, params)
    d_z, d_D, d_b_dec = np.zeros_like(z), np.zeros_like(D), np.zeros_like(params["b_dec"])
    for m in prefixes(config):
        x_hat = FUNCTIONS[config.output][0](z[:, :m] @ D[:m] + params["b_dec"])
        if config.reconstruction == "bce":
            d_o = (x_hat - x) / n  # the sigmoid's slope cancels against the logarithm's
        else:
            d_o = 2 * (x_hat - x) / n * FUNCTIONS[config.output][1](x_hat)
        d_z[:, :m] += d_o @ D[:m].T
        d_D[:m] += z[:, :m].T @ d_o
        d_b_dec += d_o.sum(axis=0)
    kind = kind_of(config.sparsity, config)
    added = kind.loss_gradient(params, x, a, z, kind.strength(params, strength))
    d_z += added.pop("z", 0)
    through = kind.code_gradient(params, a, d_z)
    d_a = through.pop("a") + added.pop("a", 0)
    seen = x_in - params["b_dec"] if config.pre_bias else x_in
    if config.pre_bias:
        d_b_dec -= params["W_enc"] @ d_a.sum(axis=0)
    grads = {"W_enc": seen.T @ d_a, "b_enc": d_a.sum(axis=0), "W_dec": d_D, "b_dec": d_b_dec}
    for name, gradient in (*added.items(), *through.items()):
        grads[name] = grads.get(name, 0) + gradient
    if config.tied:
        grads["W_enc"] += grads.pop("W_dec").T
    for name in ("W_enc", "W_dec"):
        if name in grads:
            grads[name] += 2 * config.weight_decay * params[name]
    return {name: grads[name] for name in params if name not in counted_names(config)}
