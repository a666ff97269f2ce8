"""The loss, term by term. The formulas are those of `saebook.reference`."""

from functools import singledispatch
from typing import Any

import numpy as np
import tensorflow as tf

from saebook._types import Array
from saebook.config import KL, L1, Sparsity, TopK
from saebook.tensorflow.model import SparseAutoencoder


@singledispatch
def penalty(sparsity: Sparsity | None, z: tf.Tensor) -> tf.Tensor:
    """Sparsity term of the loss for codes ``z (n_samples, n_latents)``, a scalar."""
    raise TypeError(f"sparsity must be a kind of sparsity or None, got {sparsity!r}.")


@penalty.register(type(None))
@penalty.register(TopK)
def _(sparsity: TopK | None, z: tf.Tensor) -> tf.Tensor:
    return tf.zeros((), dtype=z.dtype)


@penalty.register
def _(sparsity: L1, z: tf.Tensor) -> tf.Tensor:
    return sparsity.weight * tf.reduce_mean(tf.reduce_sum(tf.abs(z), axis=1))


@penalty.register
def _(sparsity: KL, z: tf.Tensor) -> tf.Tensor:
    rho, eps = sparsity.rho, np.finfo(z.dtype.as_numpy_dtype).eps
    rho_hat = tf.clip_by_value(tf.reduce_mean(z, axis=0), eps, 1 - eps)
    kl = rho * tf.math.log(rho / rho_hat) + (1 - rho) * tf.math.log((1 - rho) / (1 - rho_hat))
    return sparsity.beta * tf.reduce_sum(kl)


def reconstruction_loss(model: SparseAutoencoder, z: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """Mean over samples of the error of decoding ``z``, summed over features, a scalar."""
    if model.config.reconstruction == "bce":
        logits = model.decode_logits(z)
        error = tf.nn.sigmoid_cross_entropy_with_logits(labels=x, logits=logits)
    else:
        error = (model.decode(z) - x) ** 2
    return tf.reduce_mean(tf.reduce_sum(error, axis=1))


def loss_terms(
    model: SparseAutoencoder, x: tf.Tensor, z: tf.Tensor | None = None
) -> dict[str, tf.Tensor]:
    """Every term of the loss and their sum, for one batch.

    Parameters
    ----------
    model : SparseAutoencoder
    x : tensor (n_samples, n_features)
    z : tensor (n_samples, n_latents), optional
        Code of ``x``, if it is computed already.

    Returns
    -------
    dict of str to scalar tensor
        ``reconstruction``, ``sparsity``, ``weight_decay`` and their sum ``loss``.
    """
    z = model.encode(x) if z is None else z
    weights = [model.W_enc] if model.config.tied else [model.W_enc, model.W_dec]
    terms: dict[str, Any] = {
        "reconstruction": reconstruction_loss(model, z, x),
        "sparsity": penalty(model.config.sparsity, z),
        "weight_decay": model.config.weight_decay * sum(tf.reduce_sum(w**2) for w in weights),
    }
    return {**terms, "loss": sum(terms.values())}


def gradients(model: SparseAutoencoder, x: tf.Tensor) -> dict[str, Array]:
    """Gradient of the loss with respect to every parameter, for one batch, in NumPy.

    Parameters
    ----------
    model : SparseAutoencoder
    x : tensor (n_samples, n_features)

    Returns
    -------
    dict of str to ndarray
        Names, order and shapes are those of `SparseAutoencoder.to_numpy`.
    """
    variables = {v.name: v for v in model.trainable_variables}
    with tf.GradientTape() as tape:
        loss = loss_terms(model, x)["loss"]
    found = tape.gradient(loss, list(variables.values()))
    return {name: g.numpy() for name, g in zip(variables, found, strict=True)}
