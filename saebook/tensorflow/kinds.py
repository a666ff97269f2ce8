"""What each kind of sparsity makes of a pre-activation and adds to the loss, in TensorFlow.

As in `saebook.pytorch.kinds`, line by line; the kinds that choose by rank are in
`saebook.tensorflow.topk`.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from saebook.tensorflow.distributed import batch_mean


class Kind:
    """The plain autoencoder, and what a kind of sparsity has that does not override it."""

    def __init__(self, sparsity: Any, model: Any) -> None:
        self.sparsity, self.model = sparsity, model

    def activation(self, a: tf.Tensor) -> tf.Tensor:
        """The model's own function of a pre-activation."""
        return self.model.functions[self.model.config.activation](a)

    def code(self, a: tf.Tensor, training: bool) -> tf.Tensor:
        """Code of a pre-activation, both ``(n_samples, n_latents)``."""
        return self.activation(a)

    def penalty(self, z: tf.Tensor) -> tf.Tensor:
        """Penalty on codes, a scalar."""
        return tf.zeros((), dtype=z.dtype)

    def loss(self, x: tf.Tensor, a: tf.Tensor, z: tf.Tensor, strength: Any) -> tf.Tensor:
        """All that the kind adds to the loss, if that is more than its penalty."""
        return strength * self.penalty(z)

    def count(self, a: tf.Tensor, z: tf.Tensor) -> None:
        """Update in place, after a step, the parameters that the kind counts."""


class L1(Kind):
    """A price for the size of every entry of the code."""

    def penalty(self, z: tf.Tensor) -> tf.Tensor:
        return self.sparsity.weight * tf.reduce_mean(tf.reduce_sum(tf.abs(z), axis=1))


class KL(Kind):
    """A price for mean activations that are not rho."""

    def penalty(self, z: tf.Tensor) -> tf.Tensor:
        rho, eps = self.sparsity.rho, np.finfo(z.dtype.as_numpy_dtype).eps
        rho_hat = tf.clip_by_value(batch_mean(z), eps, 1 - eps)
        kl = rho * tf.math.log(rho / rho_hat) + (1 - rho) * tf.math.log((1 - rho) / (1 - rho_hat))
        return self.sparsity.beta * tf.reduce_sum(kl)


class JumpReLU(Kind):
    """What is above a learned threshold, and a price for each latent that is.

    What depends on the threshold only through a step gets the window's slope: a product that is 0,
    with the gradient that is wanted.
    """

    def slope(self, theta: tf.Tensor, a: tf.Tensor) -> tf.Tensor:
        """0, with the gradient of the window with respect to the threshold."""
        inside = tf.cast(tf.abs(a - theta) < self.sparsity.bandwidth / 2, a.dtype)
        return inside / self.sparsity.bandwidth * (tf.stop_gradient(theta) - theta)

    def code(self, a: tf.Tensor, training: bool) -> tf.Tensor:
        theta = tf.exp(self.model.log_threshold)
        z = tf.where(a > theta, a, 0)
        return z + tf.stop_gradient(theta) * self.slope(theta, a) if training else z

    def loss(self, x: tf.Tensor, a: tf.Tensor, z: tf.Tensor, strength: Any) -> tf.Tensor:
        theta = tf.exp(self.model.log_threshold)
        active = tf.cast(a > theta, a.dtype) + self.slope(theta, a)
        return strength * self.sparsity.weight * tf.reduce_mean(tf.reduce_sum(active, axis=1))


class Gated(Kind):
    """A gate that says which latents are active, and a magnitude that says how strongly."""

    def code(self, a: tf.Tensor, training: bool) -> tf.Tensor:
        model = self.model
        magnitude = tf.exp(model.r_mag) * (a - model.b_enc) + model.b_mag
        return tf.where(a > 0, tf.nn.relu(magnitude), 0)

    def loss(self, x: tf.Tensor, a: tf.Tensor, z: tf.Tensor, strength: Any) -> tf.Tensor:
        gate = tf.nn.relu(a)
        frozen = tf.stop_gradient(self.model.dictionary), tf.stop_gradient(self.model.b_dec)
        error = x - gate @ frozen[0] - frozen[1]
        price = strength * self.sparsity.weight * tf.reduce_sum(gate, axis=1)
        return tf.reduce_mean(price + tf.reduce_sum(error**2, axis=1))
