"""The terms of the loss that every model has, in TensorFlow; `saebook.model.loss_terms` adds up."""

from typing import Any

import tensorflow as tf

from saebook._types import Array
from saebook.model import loss_terms


def reconstruction_loss(model: Any, z: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """As in PyTorch: mean over samples of the sum over features, summed over all prefixes."""
    total: Any = 0
    for logits in model.nested_logits(z):
        if model.config.reconstruction == "bce":
            error = tf.nn.sigmoid_cross_entropy_with_logits(labels=x, logits=logits)
        else:
            error = tf.math.squared_difference(model.functions[model.config.output](logits), x)
        total += tf.reduce_mean(tf.reduce_sum(error, axis=1))
    return total


def weight_decay_loss(model: Any) -> tf.Tensor:
    """Sum of the squared weights times their decay, a scalar; no passes over them for nothing."""
    if model.config.weight_decay == 0:
        return tf.zeros((), model.dtype)
    squares = tf.reduce_sum(model.W_enc**2)
    if not model.config.tied:
        squares = squares + tf.reduce_sum(model.W_dec**2)
    return model.config.weight_decay * squares


def gradients(model: Any, x: tf.Tensor) -> dict[str, Array]:
    """Gradient of the loss with respect to every trained parameter, for one batch, in NumPy.

    Parameters
    ----------
    model : SparseAutoencoder
    x : tensor (n_samples, n_features)

    Returns
    -------
    dict of str to ndarray
        Names, order and shapes are those of `SparseAutoencoder.to_numpy`, without what no gradient
        moves.
    """
    variables = {v.name: v for v in model.trainable_variables}
    with tf.GradientTape() as tape:
        loss = loss_terms(model, x)["loss"]
    found = tape.gradient(loss, list(variables.values()))
    return {name: g.numpy() for name, g in zip(variables, found, strict=True)}
