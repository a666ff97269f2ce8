"""The kinds that choose by rank, in TensorFlow: TopK, BatchTopK, and AuxK for dead latents.

Where few latents are kept, training knows TopK's code as its values and their places, and skips the
zeros, as in `saebook.pytorch.topk`.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from saebook.kinds import THRESHOLD_RATE, check_threshold
from saebook.model import Kind, SparseCode
from saebook.tensorflow import distributed


def largest(a: tf.Tensor, k: int | tf.Tensor) -> tf.Tensor:
    """Whether an entry is among the `k` largest of its row; the first of equals goes first."""
    places = largest_places(a, k)
    ones = tf.ones_like(places, dtype=tf.bool)
    return _scatter(ones, places, tf.shape(a))


def largest_places(a: tf.Tensor, k: int | tf.Tensor) -> tf.Tensor:
    """Columns of the `k` largest of each row, ``(n_rows, k)``; the first of equals goes first."""
    # It takes the first of equals, says its documentation; of NaN it says nothing, and passes it
    # over or not. Larger than all numbers, as in PyTorch, it is seen in the code.
    a = tf.convert_to_tensor(a)
    # Where Python can look at a number, a sum that is not NaN saves two passes over all of them.
    if not tf.executing_eagerly() or tf.math.is_nan(tf.reduce_sum(a)):
        a = tf.where(tf.math.is_nan(a), a.dtype.max, a)
    return tf.math.top_k(a, k).indices


def _entries(places: tf.Tensor) -> tf.Tensor:
    """Row and column of each place, ``(n_rows * k, 2)``."""
    n_rows, k = tf.shape(places)[0], tf.shape(places)[1]
    rows = tf.repeat(tf.range(n_rows), k)
    return tf.stack([rows, tf.reshape(places, [-1])], axis=1)


def _scatter(values: tf.Tensor, places: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    return tf.scatter_nd(_entries(places), tf.reshape(values, [-1]), shape)


def _csr(values: tf.Tensor, places: tf.Tensor, n_columns: int) -> tf.Tensor:
    shape = [tf.shape(places, tf.int64)[0], n_columns]
    entries = tf.cast(_entries(places), tf.int64)
    z = tf.sparse.reorder(tf.SparseTensor(entries, tf.reshape(values, [-1]), shape))
    return tf.raw_ops.SparseTensorToCSRSparseMatrix(
        indices=z.indices, values=z.values, dense_shape=z.dense_shape
    )


def _transposed_product(z: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """``z.T @ b``, in half the time that the product takes with ``transpose_a``."""
    transposed = tf.raw_ops.SparseMatrixTranspose(input=z, type=b.dtype)
    return tf.raw_ops.SparseMatrixMatMul(a=transposed, b=b)


def _chosen(grad: tf.Tensor, weight: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    """The entries of ``grad @ weight.T`` at `places`: in each row the first, the second, ..."""

    def column(place: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(grad * tf.gather(weight, place), axis=1)

    return tf.transpose(tf.map_fn(column, tf.transpose(places), fn_output_signature=grad.dtype))


@tf.custom_gradient
def _encode(
    x: tf.Tensor, shift: tf.Tensor, weight: tf.Tensor, bias: tf.Tensor, k: tf.Tensor
) -> tuple[tuple[tf.Tensor, tf.Tensor], Callable[..., Any]]:
    """Largest pre-activations of each sample and their places; the others get no gradient."""
    x = x - shift
    a = tf.matmul(x, weight) + bias
    n_latents = weight.shape[1]
    places = largest_places(a, k)

    def backward(grad: tf.Tensor, _: Any) -> tuple[tf.Tensor | None, ...]:
        to_weight = tf.transpose(_transposed_product(_csr(grad, places, n_latents), x))
        flat = tf.reshape(places, [-1])
        to_bias = tf.math.unsorted_segment_sum(tf.reshape(grad, [-1]), flat, n_latents)
        return None, -tf.linalg.matvec(weight, to_bias), to_weight, to_bias, None

    return (tf.gather(a, places, batch_dims=1), places), backward


@tf.custom_gradient
def _decode(
    values: tf.Tensor, places: tf.Tensor, weight: tf.Tensor
) -> tuple[tf.Tensor, Callable[..., Any]]:
    """Product of a code and a dictionary ``(n_latents, n_features)``."""
    z = _csr(values, places, weight.shape[0])

    def backward(grad: tf.Tensor) -> tuple[tf.Tensor | None, ...]:
        return _chosen(grad, weight, places), None, _transposed_product(z, grad)

    return tf.raw_ops.SparseMatrixMatMul(a=z, b=weight), backward


def encode_sparse(
    x: tf.Tensor, shift: tf.Tensor | None, weight: tf.Tensor, bias: tf.Tensor, k: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """The `k` largest of each row of ``(x - shift) @ weight + bias``, and their columns.

    Both ``(n_rows, k)``. A shift folded into the bias would cost a dense gradient of the weight.
    """
    shift = tf.zeros((), x.dtype) if shift is None else tf.convert_to_tensor(shift)
    return _encode(x, shift, tf.convert_to_tensor(weight), tf.convert_to_tensor(bias), k)


def active_counts(z: tf.Tensor | SparseCode, above: float) -> tf.Tensor:
    """In how many samples each latent is larger than `above` in size, ``(n_latents,)``."""
    if isinstance(z, SparseCode):
        active = tf.cast(tf.abs(z.values) > above, z.values.dtype)
        flat = tf.reshape(z.places, [-1])
        return tf.math.unsorted_segment_sum(tf.reshape(active, [-1]), flat, z.n_latents)
    return tf.reduce_sum(tf.cast(tf.abs(z) > above, z.dtype), axis=0)


class TopK(Kind):
    """The k largest pre-activations of each sample; dead latents rebuild what these leave over."""

    def kept(self, a: tf.Tensor) -> tf.Tensor:
        """Which latents are kept in training, ``(n_samples, n_latents)``."""
        return largest(a, self.sparsity.k)

    def code(self, a: tf.Tensor, training: bool) -> tf.Tensor:
        return tf.where(self.kept(a), self.activation(a), 0)

    def sparse_code(self, x: tf.Tensor) -> tuple[tf.Tensor, SparseCode]:
        """The pre-activations that are kept of samples, ``(n_samples, k)``, and their code."""
        model = self.model
        shift = model.b_dec if model.config.pre_bias else None
        a, places = encode_sparse(x, shift, model.W_enc, model.b_enc, self.sparsity.k)
        return a, SparseCode(self.activation(a), places, model.config.n_latents, _decode)

    def dead_code(self, a: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Code of the largest dead latents, and which they are, ``(n_samples, n_latents)``."""
        dead = tf.convert_to_tensor(self.model.silent) >= self.sparsity.aux.dead_after
        # Not -infinity, of which TensorFlow's own search for NaN and infinity would complain.
        chosen = largest(tf.where(dead, a, a.dtype.min), self.sparsity.aux.k) & dead
        return tf.where(chosen, self.activation(a), 0), chosen

    def loss(self, x: tf.Tensor, a: tf.Tensor, z: Any, strength: Any) -> tf.Tensor:
        if self.sparsity.aux is None:
            return self.model.zero()
        z_dead, chosen = self.dead_code(a)
        left = tf.stop_gradient(x - self.model.decode(z))  # has b_dec in it already
        error = tf.reduce_mean(tf.reduce_sum((left - z_dead @ self.model.dictionary) ** 2, axis=1))
        return self.sparsity.aux.weight * tf.cast(tf.reduce_any(chosen), z.dtype) * error

    def count(self, a: tf.Tensor, z: Any) -> None:
        if self.sparsity.aux is not None:
            in_share = tf.reduce_any(z != 0, axis=0)
            silent = ~tf.reduce_any(distributed.all_gather(in_share), axis=0)
            after = self.model.silent + tf.cast(distributed.batch_rows(z), z.dtype)
            self.model.silent.assign(tf.where(silent, after, 0))


def largest_of_batch(a: tf.Tensor, k: int) -> tf.Tensor:
    """As in PyTorch: whether an entry is among the `k` per row largest of the whole batch."""
    row = tf.reshape(a, (1, -1))
    n_kept = k * tf.shape(a)[0]
    context = distributed.sharing()
    if context:
        # Each process's best, as many as could be kept at all, and where the best of those are.
        total = k * distributed.batch_rows(a)
        values = tf.math.top_k(row[0], tf.minimum(total, tf.size(a))).values
        missing = tf.fill([total - tf.size(values)], tf.constant(a.dtype.min, a.dtype))
        best = distributed.all_gather(tf.concat([values, missing], axis=0))
        kept = tf.reshape(largest(tf.reshape(best, (1, -1)), total), tf.shape(best))
        here = kept[context.replica_id_in_sync_group]
        n_kept = tf.reduce_sum(tf.cast(here, tf.int32))
    return tf.reshape(largest(row, n_kept), tf.shape(a))


class BatchTopK(TopK):
    """The largest pre-activations of a batch; afterwards those above a learned threshold."""

    def kept(self, a: tf.Tensor) -> tf.Tensor:
        return largest_of_batch(a, self.sparsity.k)

    def code(self, a: tf.Tensor, training: bool) -> tf.Tensor:
        if training:
            return super().code(a, training)
        threshold = tf.convert_to_tensor(self.model.threshold)
        z = tf.where(a > threshold, a, 0)
        if tf.executing_eagerly():
            check_threshold(float(threshold))
            return z
        # Where no error can be raised, a threshold that is not learned makes NaN.
        return z + tf.sqrt(tf.minimum(threshold, 0))

    def count(self, a: tf.Tensor, z: tf.Tensor) -> None:
        super().count(a, z)
        none = z.dtype.max
        smallest = tf.reduce_min(distributed.all_gather(tf.reduce_min(tf.where(z > 0, z, none))))
        before = tf.convert_to_tensor(self.model.threshold)
        mean = before + THRESHOLD_RATE * (smallest - before)
        after = tf.where(before < 0, smallest, mean)
        self.model.threshold.assign(tf.where(smallest < none, after, before))
