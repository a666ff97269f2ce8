"""The loss, term by term. The formulas are those of `saebook.reference`."""

from functools import singledispatch
from typing import Any

import numpy as np
import tensorflow as tf

from saebook._types import Array
from saebook.config import KL, L1, Sparsity
from saebook.tensorflow.distributed import batch_mean
from saebook.tensorflow.model import ACTIVATIONS, SparseAutoencoder


@singledispatch
def penalty(sparsity: Sparsity | None, z: tf.Tensor) -> tf.Tensor:
    """Penalty on codes ``z (n_samples, n_latents)``, a scalar, of a kind that has one."""
    raise TypeError(f"sparsity must be a kind of sparsity or None, got {sparsity!r}.")


@penalty.register(type(None))
def _(sparsity: None, z: tf.Tensor) -> tf.Tensor:
    return tf.zeros((), dtype=z.dtype)


@penalty.register
def _(sparsity: L1, z: tf.Tensor) -> tf.Tensor:
    return sparsity.weight * tf.reduce_mean(tf.reduce_sum(tf.abs(z), axis=1))


@penalty.register
def _(sparsity: KL, z: tf.Tensor) -> tf.Tensor:
    rho, eps = sparsity.rho, np.finfo(z.dtype.as_numpy_dtype).eps
    rho_hat = tf.clip_by_value(batch_mean(z), eps, 1 - eps)
    kl = rho * tf.math.log(rho / rho_hat) + (1 - rho) * tf.math.log((1 - rho) / (1 - rho_hat))
    return sparsity.beta * tf.reduce_sum(kl)


@singledispatch
def sparsity_loss(
    sparsity: Sparsity | None,
    model: SparseAutoencoder,
    x: tf.Tensor,
    a: tf.Tensor,
    z: tf.Tensor,
    strength: Any,
) -> tf.Tensor:
    """All that a kind of sparsity adds to the loss: its penalty times `strength`, a scalar.

    A kind that adds something that depends on more than the code registers here.
    """
    return strength * penalty(sparsity, z)


def reconstruction_loss(model: SparseAutoencoder, z: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """Mean over samples of the error of decoding ``z``, summed over features, a scalar.

    For a Matryoshka dictionary the sum of these, over the reconstructions from all its prefixes.
    """
    total: Any = 0
    for logits in model.nested_logits(z):
        if model.config.reconstruction == "bce":
            error = tf.nn.sigmoid_cross_entropy_with_logits(labels=x, logits=logits)
        else:
            x_hat = ACTIVATIONS[model.config.output](logits)
            error = tf.math.squared_difference(x_hat, x)
        total += tf.reduce_mean(tf.reduce_sum(error, axis=1))
    return total


def weight_decay_loss(model: SparseAutoencoder) -> tf.Tensor:
    """Sum of the squared weights times their decay, a scalar."""
    if model.config.weight_decay == 0:  # several passes over all weights, for nothing
        return tf.zeros((), model.dtype)
    squares = tf.reduce_sum(model.W_enc**2)
    if not model.config.tied:
        squares = squares + tf.reduce_sum(model.W_dec**2)
    return model.config.weight_decay * squares


def loss_terms(
    model: SparseAutoencoder,
    x: tf.Tensor,
    a: tf.Tensor | None = None,
    z: tf.Tensor | None = None,
    strength: Any = 1.0,
) -> dict[str, tf.Tensor]:
    """Every term of the loss of a training batch, and their sum.

    Parameters
    ----------
    model : SparseAutoencoder
    x : tensor (n_samples, n_features)
        The samples to rebuild.
    a, z : tensor (n_samples, n_latents), optional
        Pre-activation and code, if they are computed already, or are those of something else than
        ``x``; by default those of ``x`` in training.
    strength : float or scalar tensor
        Share of the sparsity penalty's weight that counts.

    Returns
    -------
    dict of str to scalar tensor
        ``reconstruction``, ``sparsity``, ``weight_decay`` and their sum ``loss``.
    """
    a = model.preactivation(x) if a is None else a
    z = model.code(a, training=True) if z is None else z
    terms: dict[str, Any] = {
        "reconstruction": reconstruction_loss(model, z, x),
        "sparsity": sparsity_loss(model.config.sparsity, model, x, a, z, strength),
        "weight_decay": weight_decay_loss(model),
    }
    return {**terms, "loss": sum(terms.values())}


def gradients(model: SparseAutoencoder, x: tf.Tensor) -> dict[str, Array]:
    """Gradient of the loss with respect to every trained parameter, for one batch, in NumPy.

    Parameters
    ----------
    model : SparseAutoencoder
    x : tensor (n_samples, n_features)

    Returns
    -------
    dict of str to ndarray
        Names, order and shapes are those of `SparseAutoencoder.to_numpy`, without what no gradient
        moves (``saebook.reference.KEPT``).
    """
    variables = {v.name: v for v in model.trainable_variables}
    with tf.GradientTape() as tape:
        loss = loss_terms(model, x)["loss"]
    found = tape.gradient(loss, list(variables.values()))
    return {name: g.numpy() for name, g in zip(variables, found, strict=True)}
