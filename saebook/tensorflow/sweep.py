"""What training several models at once does in TensorFlow: one model's loss, mapped over all."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from saebook import sweep
from saebook._types import Array
from saebook.batches import Batches
from saebook.config import TrainConfig
from saebook.sweep import fit_many
from saebook.tensorflow.adam import Adam
from saebook.tensorflow.engine import NUMBER
from saebook.tensorflow.topk import active_counts

__all__ = ["SweepEngine", "fit_many"]


class SweepEngine(sweep.SweepEngine):
    """Parameters of all models as one variable each, and Keras's scope for one model's loss."""

    def __init__(
        self, models: Sequence[Any], numbers: Mapping[str, Array], train_config: TrainConfig
    ) -> None:
        super().__init__(models, numbers)
        self.dtype, self.device = self.model.dtype, self.model.device
        shape = len(models), self.config.n_latents
        with tf.device(self.device):
            self.params = {
                v.name: tf.Variable(
                    tf.stack([getattr(m, v.name).numpy() for m in models]), name=v.name
                )
                for v in self.model.trainable_variables
            }
            self.fired = tf.Variable(tf.zeros(shape, self.dtype))
            self.sums = tf.Variable(tf.zeros((len(models), 5), self.dtype))
        self.optimizer = Adam(list(self.params.values()), train_config)

    def begin(self, data: Batches) -> None:
        self.samples: Any = data.array
        signature = [NUMBER, NUMBER, tf.TensorSpec([None, self.config.n_features], self.dtype)]
        self.learn = tf.function(self._learn, input_signature=signature, autograph=False)

    def begin_epoch(self) -> None:
        self.fired.assign(tf.zeros_like(self.fired))
        self.sums.assign(tf.zeros_like(self.sums))

    def step(self, rate: float, strength: float, batch: Array) -> None:
        numbers = tf.constant(rate, tf.float64), tf.constant(strength, tf.float64)
        self.learn(*numbers, tf.constant(self.samples[batch]))

    def _learn(self, rate: tf.Tensor, strength: tf.Tensor, x: tf.Tensor) -> None:
        share = tf.cast(strength, self.dtype)

        def one(given: Any) -> Any:
            state = list(zip(self.model.trainable_variables, given[0], strict=True))
            with keras.StatelessScope(state_mapping=state):
                terms, z = self.one_model(x, share, given[1])
            return tf.stack(terms), active_counts(z, self.config.active_above)

        with tf.device(self.device):
            params = list(self.params.values())
            with tf.GradientTape() as tape:
                values = [tf.convert_to_tensor(p) for p in params]
                terms, counts = tf.vectorized_map(one, (values, self.varied))
                loss = tf.reduce_sum(terms[:, 3])
            self.optimizer.step(tape.gradient(loss, params), rate)
            if self.config.unit_norm:
                name, axis = self.rows
                self.params[name].assign(self.model.unit_norm(self.params[name], axis))
            n_rows = tf.cast(tf.shape(x)[0], self.dtype)
            active = tf.reduce_sum(counts, axis=1, keepdims=True) / n_rows
            self.sums.assign_add(n_rows * tf.concat([terms, active], axis=1))
            self.fired.assign_add(counts)

    def end_epoch(self, n_samples: int) -> tuple[Array, Array]:
        return (self.sums / n_samples).numpy(), (self.fired > 0).numpy()

    def to_numpy(self) -> dict[str, Array]:
        """Parameters of all models, with a first axis for the models."""
        return {name: value.numpy() for name, value in self.params.items()}
