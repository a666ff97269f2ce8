"""The kinds of sparsity since 2024. The formulas are those of `saebook.modern`."""

from typing import Any

import numpy as np
import tensorflow as tf

from saebook.config import AuxK, BatchTopK, Gated, JumpReLU, TopK
from saebook.modern import THRESHOLD_RATE, check_threshold
from saebook.tensorflow.distributed import all_gather, batch_rows, largest_of_batch
from saebook.tensorflow.losses import sparsity_loss
from saebook.tensorflow.model import ACTIVATIONS, SparseAutoencoder, code, update_kept
from saebook.tensorflow.sparse import largest

# TopK and BatchTopK: dead latents rebuild what the others leave over


def dead_code(aux: AuxK, model: SparseAutoencoder, a: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Code of the largest dead latents, and which they are, both ``(n_samples, n_latents)``."""
    dead = model.silent >= aux.dead_after
    chosen = largest(tf.where(dead, a, -np.inf), aux.k) & dead
    return tf.where(chosen, ACTIVATIONS[model.config.activation](a), 0), chosen


@sparsity_loss.register(TopK)
@sparsity_loss.register(BatchTopK)
def _(
    sparsity: TopK | BatchTopK,
    model: SparseAutoencoder,
    x: tf.Tensor,
    a: tf.Tensor,
    z: tf.Tensor,
    strength: Any,
) -> tf.Tensor:
    if sparsity.aux is None:
        return tf.zeros((), dtype=x.dtype)
    z_dead, chosen = dead_code(sparsity.aux, model, a)
    left = tf.stop_gradient(x - model.decode(z))  # has b_dec in it already
    error = tf.reduce_mean(tf.reduce_sum((left - z_dead @ model.dictionary) ** 2, axis=1))
    return sparsity.aux.weight * tf.cast(tf.reduce_any(chosen), z.dtype) * error


@update_kept.register(TopK)
@update_kept.register(BatchTopK)
def _(sparsity: TopK | BatchTopK, model: SparseAutoencoder, a: tf.Tensor, z: tf.Tensor) -> None:
    if isinstance(sparsity, BatchTopK):
        smallest = tf.reduce_min(all_gather(tf.reduce_min(tf.where(z > 0, z, np.inf))))
        before = model.threshold
        mean = before + THRESHOLD_RATE * (smallest - before)
        after = tf.where(before < 0, smallest, mean)
        model.threshold.assign(tf.where(tf.math.is_finite(smallest), after, before))
    if sparsity.aux is not None:
        in_share = tf.reduce_any(z != 0, axis=0)
        silent = ~tf.reduce_any(all_gather(in_share), axis=0)
        n_rows = tf.cast(batch_rows(z), z.dtype)
        model.silent.assign(tf.where(silent, model.silent + n_rows, 0))


# BatchTopK


@code.register
def _(sparsity: BatchTopK, model: SparseAutoencoder, a: tf.Tensor, training: bool) -> tf.Tensor:
    if training:
        return tf.where(largest_of_batch(a, sparsity.k), tf.nn.relu(a), 0)
    if tf.executing_eagerly():
        check_threshold(float(model.threshold.numpy()))
    return tf.where(a > model.threshold, a, 0)


# JumpReLU. What depends on the threshold only through a step gets the window's slope: a product
# that is 0, with the gradient that is wanted.


def _slope(sparsity: JumpReLU, theta: tf.Tensor, a: tf.Tensor) -> tf.Tensor:
    inside = tf.abs(a - theta) < sparsity.bandwidth / 2
    return tf.cast(inside, a.dtype) / sparsity.bandwidth * (tf.stop_gradient(theta) - theta)


@code.register
def _(sparsity: JumpReLU, model: SparseAutoencoder, a: tf.Tensor, training: bool) -> tf.Tensor:
    theta = tf.exp(model.log_threshold)
    z = tf.where(a > theta, a, 0)
    return z + tf.stop_gradient(theta) * _slope(sparsity, theta, a) if training else z


@sparsity_loss.register
def _(
    sparsity: JumpReLU,
    model: SparseAutoencoder,
    x: tf.Tensor,
    a: tf.Tensor,
    z: tf.Tensor,
    strength: Any,
) -> tf.Tensor:
    theta = tf.exp(model.log_threshold)
    active = tf.cast(a > theta, a.dtype) + _slope(sparsity, theta, a)
    return strength * sparsity.weight * tf.reduce_mean(tf.reduce_sum(active, axis=1))


# Gated


@code.register
def _(sparsity: Gated, model: SparseAutoencoder, a: tf.Tensor, training: bool) -> tf.Tensor:
    magnitude = tf.exp(model.r_mag) * (a - model.b_enc) + model.b_mag
    return tf.where(a > 0, tf.nn.relu(magnitude), 0)


@sparsity_loss.register
def _(
    sparsity: Gated,
    model: SparseAutoencoder,
    x: tf.Tensor,
    a: tf.Tensor,
    z: tf.Tensor,
    strength: Any,
) -> tf.Tensor:
    gate = tf.nn.relu(a)
    error = x - gate @ tf.stop_gradient(model.dictionary) - tf.stop_gradient(model.b_dec)
    penalty = strength * sparsity.weight * tf.reduce_sum(gate, axis=1)
    return tf.reduce_mean(penalty + tf.reduce_sum(error**2, axis=1))
