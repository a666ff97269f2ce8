"""Training in several processes; as in `saebook.pytorch.distributed`, where more is said."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy as np
import tensorflow as tf

from saebook._types import Array


def world_size() -> int:
    """Processes that train together: 1 outside the scope of a strategy."""
    if not tf.distribute.has_strategy():
        return 1
    strategy = tf.distribute.get_strategy()
    devices = strategy.extended.worker_devices
    if len(devices) > 1:
        raise ValueError(
            "the strategy must have one device in each process, such as "
            "tf.distribute.MultiWorkerMirroredStrategy where each process sees one GPU or none, "
            f"got {type(strategy).__name__} with {len(devices)}."
        )
    return strategy.num_replicas_in_sync


def rank() -> int:
    here = together(lambda: tf.distribute.get_replica_context().replica_id_in_sync_group)
    return int(here()) if world_size() > 1 else 0


def together(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, run as the strategy's: only in it do the others of this module speak."""
    if world_size() == 1:
        return function

    @wraps(function)
    def wrapped(*args: Any) -> Any:
        return tf.distribute.get_strategy().run(function, args)

    return wrapped


def sharing() -> Any:
    context = tf.distribute.get_replica_context()
    return context if context and context.num_replicas_in_sync > 1 else None


def all_reduce(value: tf.Tensor) -> tf.Tensor:
    context = sharing()
    return context.all_reduce("SUM", value) if context else value


def all_gather(value: tf.Tensor) -> tf.Tensor:
    context = sharing()
    if not context:
        return value[None]
    if value.dtype == tf.bool:  # which cannot be gathered
        return tf.cast(all_gather(tf.cast(value, tf.int32)), tf.bool)
    return context.all_gather(value[None], axis=0)


def average(values: Sequence[tf.Tensor], n_rows: tf.Tensor) -> list[tf.Tensor]:
    """Means over the whole batch, each share of which counts by its rows, in one message."""
    if not sharing():
        return list(values)
    rows = tf.cast(n_rows, values[0].dtype)
    total = all_reduce(
        tf.concat([*(rows * tf.reshape(value, [-1]) for value in values), [rows]], axis=0)
    )
    # Sizes as they are when it runs: of a sparse product TensorFlow does not know them before.
    parts = tf.split(total[:-1] / total[-1], [tf.size(value) for value in values])
    return [tf.reshape(part, tf.shape(value)) for part, value in zip(parts, values, strict=True)]


def batch_rows(z: tf.Tensor) -> tf.Tensor:
    return all_reduce(tf.shape(z)[0])


def batch_mean(z: tf.Tensor) -> tf.Tensor:
    """Mean over the whole batch of each column; its gradient is that of the share's mean."""
    mean = tf.reduce_mean(z, axis=0)
    if not sharing():
        return mean
    (whole,) = average([mean], tf.shape(z)[0])
    return mean + tf.stop_gradient(whole - mean)


def of_all(sums: tf.Variable, fired: tf.Variable, n_samples: int) -> tuple[Array, Array]:
    if world_size() == 1:
        return (sums / n_samples).numpy(), fired.numpy()

    def counted() -> tuple[tf.Tensor, ...]:
        total = tf.cast(all_reduce(tf.constant(n_samples)), sums.dtype)
        n_fired = all_reduce(tf.cast(fired, tf.int32))
        return all_reduce(tf.convert_to_tensor(sums)) / total, n_fired > 0

    means, all_fired = together(counted)()
    return means.numpy(), all_fired.numpy()


def gather_numbers(numbers: Sequence[int], device: str) -> Array:
    # A row for each process: to gather them would have TensorFlow trace a function every time.
    own = np.eye(world_size(), dtype=np.int64)[:, [rank()]] * list(numbers)
    return together(all_reduce)(tf.constant(own)).numpy()
