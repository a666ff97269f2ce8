"""What training several models at once does in TensorFlow: one model's loss, mapped over all."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from saebook._types import Array
from saebook.batches import Batches
from saebook.config import TrainConfig
from saebook.model import loss_terms
from saebook.sweep import fit_many, with_numbers
from saebook.tensorflow.adam import Adam
from saebook.tensorflow.engine import NUMBER
from saebook.tensorflow.model import SparseAutoencoder, unit_norm
from saebook.tensorflow.topk import active_counts

__all__ = ["SweepEngine", "fit_many"]


class _Objective:
    """Loss terms and counts of active latents, as a function of a model's parameters."""

    def __init__(self, model: SparseAutoencoder) -> None:
        self.model, self.config = model, model.config

    def __call__(
        self, values: Sequence[tf.Tensor], x: tf.Tensor, strength: Any, numbers: dict[str, Any]
    ) -> Any:
        self.model.config = with_numbers(self.config, numbers)
        try:
            state = zip(self.model.trainable_variables, values, strict=True)
            with keras.StatelessScope(state_mapping=list(state)):
                a = self.model.preactivation(x)
                z = self.model.code(a, training=True)
                terms = loss_terms(self.model, x, a, z, strength)
        finally:
            self.model.config = self.config
        return tf.stack(list(terms.values())), active_counts(z, self.config.active_above)


class SweepEngine:
    """The training of several models; see `saebook.training.Engine`."""

    def __init__(
        self,
        models: Sequence[SparseAutoencoder],
        numbers: Mapping[str, Array],
        train_config: TrainConfig,
    ) -> None:
        first = models[0]
        self.config, self.dtype, self.device = first.config, first.dtype, first.device
        self.varied = {name: first.tensor(value) for name, value in numbers.items()}
        self.names = [v.name for v in first.trainable_variables]
        stacked = {n: tf.stack([getattr(m, n).numpy() for m in models]) for n in self.names}
        with tf.device(self.device):
            self.params = [tf.Variable(value, name=name) for name, value in stacked.items()]
            self.fired = tf.Variable(tf.zeros((len(models), self.config.n_latents), self.dtype))
            self.sums = tf.Variable(tf.zeros((len(models), 5), self.dtype))
        self.optimizer = Adam(self.params, train_config)
        self.objective = _Objective(first)

    def begin(self, data: Batches) -> None:
        self.samples: Any = data.array
        rows = tf.TensorSpec([None, self.config.n_features], self.dtype)
        self.learn = tf.function(
            self._learn, input_signature=[NUMBER, NUMBER, rows], autograph=False
        )

    def begin_epoch(self) -> None:
        self.fired.assign(tf.zeros_like(self.fired))
        self.sums.assign(tf.zeros_like(self.sums))

    def step(self, rate: float, strength: float, batch: Array) -> None:
        numbers = tf.constant(rate, tf.float64), tf.constant(strength, tf.float64)
        self.learn(*numbers, tf.constant(self.samples[batch]))

    def _learn(self, rate: tf.Tensor, strength: tf.Tensor, x: tf.Tensor) -> None:
        def one(given: Any) -> Any:
            return self.objective(given[0], x, tf.cast(strength, self.dtype), given[1])

        with tf.device(self.device):
            with tf.GradientTape() as tape:
                values = [tf.convert_to_tensor(p) for p in self.params]
                terms, counts = tf.vectorized_map(one, (values, self.varied))
                loss = tf.reduce_sum(terms[:, 3])
            self.optimizer.step(tape.gradient(loss, self.params), rate)
            if self.config.unit_norm:
                name, axis = ("W_enc", 1) if self.config.tied else ("W_dec", 2)
                weight = self.params[self.names.index(name)]
                weight.assign(unit_norm(weight, axis))
            n_rows = tf.cast(tf.shape(x)[0], self.dtype)
            active = tf.reduce_sum(counts, axis=1, keepdims=True) / n_rows
            self.sums.assign_add(n_rows * tf.concat([terms, active], axis=1))
            self.fired.assign_add(counts)

    def end_epoch(self, n_samples: int) -> tuple[Array, Array]:
        return (self.sums / n_samples).numpy(), (self.fired > 0).numpy()

    def stop(self) -> None:
        pass

    def to_numpy(self) -> dict[str, Array]:
        """Parameters of all models, with a first axis for the models."""
        return {name: p.numpy() for name, p in zip(self.names, self.params, strict=True)}
