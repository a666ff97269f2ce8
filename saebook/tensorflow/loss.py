"""What the loss of every model is made of, in TensorFlow; `saebook.model.loss_terms` adds it up."""

from typing import Any

import tensorflow as tf

from saebook.model import loss_terms


def mean_error(model: Any, logits: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """Mean over samples of the error of decoder pre-activations, summed over features."""
    if model.config.reconstruction == "bce":
        error = tf.nn.sigmoid_cross_entropy_with_logits(labels=x, logits=logits)
    else:
        error = tf.math.squared_difference(model.functions[model.config.output](logits), x)
    return tf.reduce_mean(tf.reduce_sum(error, axis=1))


def sum_of_squares(weight: Any) -> tf.Tensor:
    """A scalar."""
    return tf.reduce_sum(weight**2)


def gradients(model: Any, x: tf.Tensor) -> dict[str, tf.Tensor]:
    """Gradient of the loss of a batch with respect to every trained parameter, by name."""
    with tf.GradientTape() as tape:
        loss = loss_terms(model, x)["loss"]
    return tape.gradient(loss, {v.name: v for v in model.trainable_variables})
