"""What each kind of sparsity makes of a pre-activation and adds to the loss, in TensorFlow.

As in `saebook.pytorch.kinds`, line by line. The kinds that choose by rank are in
`saebook.tensorflow.topk`.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from saebook.kinds import FEWEST, L0_RATE, NEAR
from saebook.model import Kind
from saebook.tensorflow.distributed import batch_mean


class Priced(Kind):
    def count(self, a: tf.Tensor, z: tf.Tensor) -> None:
        if self.sparsity.l0 is not None:
            active = batch_mean(tf.reduce_sum(tf.cast(z > 0, z.dtype), axis=1, keepdims=True))[0]
            off = tf.math.log(active / self.sparsity.l0)  # -inf where none is active
            factor = tf.exp(L0_RATE * tf.clip_by_value(off, -2, 2))
            self.model.price.assign(self.model.price * factor)


class L1(Priced):
    def penalty(self, z: tf.Tensor) -> tf.Tensor:
        return self.sparsity.weight * tf.reduce_mean(tf.reduce_sum(tf.abs(z), axis=1))


class KL(Kind):
    def penalty(self, z: tf.Tensor) -> tf.Tensor:
        rho, eps = self.sparsity.rho, np.finfo(z.dtype.as_numpy_dtype).eps
        rho_hat = tf.clip_by_value(batch_mean(z), eps, 1 - eps)
        kl = rho * tf.math.log(rho / rho_hat) + (1 - rho) * tf.math.log((1 - rho) / (1 - rho_hat))
        return self.sparsity.beta * tf.reduce_sum(kl)


class JumpReLU(Priced):
    def slope(self, theta: tf.Tensor, a: tf.Tensor) -> tf.Tensor:
        """0, with the slope that the window puts in the place of that of a step."""
        given = self.sparsity.bandwidth
        width = tf.stop_gradient(theta) if given is None else given
        inside = tf.cast(tf.abs(a - theta) < width / 2, a.dtype)
        return inside / width * (tf.stop_gradient(theta) - theta)

    def code(self, a: tf.Tensor, training: bool) -> tf.Tensor:
        theta = tf.exp(self.model.log_threshold)
        z = tf.where(a > theta, a, 0)
        return z + tf.stop_gradient(theta) * self.slope(theta, a) if training else z

    def loss(self, x: tf.Tensor, a: tf.Tensor, z: tf.Tensor, strength: Any) -> tf.Tensor:
        theta = tf.exp(self.model.log_threshold)
        above = tf.cast(a > theta, a.dtype) + self.slope(theta, a)
        active = tf.reduce_sum(above, axis=1, keepdims=True)
        if self.sparsity.l0 is None:
            return strength * self.sparsity.weight * tf.reduce_mean(active)
        off = batch_mean(active)[0] / self.sparsity.l0 - 1
        return strength * self.sparsity.weight * off**2

    def count(self, a: tf.Tensor, z: tf.Tensor) -> None:
        if self.sparsity.l0 is not None:
            counts = [tf.reduce_sum(tf.cast(code > 0, z.dtype), axis=1) for code in (z, a)]
            active, positive = tf.unstack(batch_mean(tf.stack(counts, axis=1)), num=2)
            wanted = tf.clip_by_value(positive, FEWEST, self.sparsity.l0)
            off = tf.clip_by_value(tf.math.log(tf.maximum(active, FEWEST) / wanted), -2, 2)
            far = tf.sign(off) * tf.maximum(tf.abs(off) - NEAR, 0)
            self.model.log_threshold.assign(self.model.log_threshold + L0_RATE * far)


class Gated(Priced):
    def code(self, a: tf.Tensor, training: bool) -> tf.Tensor:
        scale = tf.exp(self.model.r_mag)
        magnitude = scale * (a - self.model.b_enc) + self.model.b_mag
        return tf.where(a > 0, tf.nn.relu(magnitude), 0)

    def loss(self, x: tf.Tensor, a: tf.Tensor, z: tf.Tensor, strength: Any) -> tf.Tensor:
        gate = tf.nn.relu(a)
        D, b_dec = tf.stop_gradient(self.model.dictionary), tf.stop_gradient(self.model.b_dec)
        price = strength * self.sparsity.weight * tf.reduce_sum(gate, axis=1)
        return tf.reduce_mean(price + tf.reduce_sum((x - gate @ D - b_dec) ** 2, axis=1))
