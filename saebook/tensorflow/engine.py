"""What training does in TensorFlow's own words; the loop over epochs is `saebook.training.fit`."""

from typing import Any

import tensorflow as tf

from saebook import engine
from saebook._types import Array
from saebook.batches import Batches
from saebook.config import TrainConfig
from saebook.tensorflow import distributed
from saebook.tensorflow.adam import Adam
from saebook.tensorflow.model import SparseAutoencoder
from saebook.tensorflow.topk import active_counts

NUMBER = tf.TensorSpec([], tf.float64)


class Engine(engine.Engine):
    """A step as one graph, and variables for the sums, which stay on the device."""

    def __init__(self, model: SparseAutoencoder, train_config: TrainConfig) -> None:
        super().__init__(model, train_config, distributed, sparse="cpu" in model.device)
        with tf.device(model.device):
            self.fired = tf.Variable(tf.zeros(model.config.n_latents, dtype=tf.bool))
            self.sums = tf.Variable(tf.zeros(5, dtype=model.dtype))

    def begin(self, data: Batches) -> None:
        with tf.device(self.model.device):
            self.optimizer = Adam(self.model.trainable_variables, self.train_config)
        self.samples = data.array
        # On the CPU the array is at hand already, and TensorFlow would take two copies of it.
        away = data.array is not None and "cpu" not in self.model.device
        self.resident = self.model.tensor(data.array) if away else None
        rows = tf.TensorSpec([None, self.model.config.n_features], self.model.dtype)
        signature = [NUMBER, NUMBER] + [rows] * (1 + data.noisy_too)
        # Without AutoGraph: there is no control flow to convert.
        shared = distributed.together(self._learn)
        self.learn = tf.function(shared, input_signature=signature, autograph=False)
        self.traced: Any = None

    def begin_epoch(self) -> None:
        self.fired.assign(tf.zeros_like(self.fired))
        self.sums.assign(tf.zeros_like(self.sums))
        self.model.product_dtype = tf.bfloat16 if self.mixed else None
        if self.traced is None:  # before any call, which would warn of every new trace
            self.traced = self.learn.get_concrete_function()

    def step(self, rate: float, strength: float, batch: Array, *noisy: Array) -> None:
        with tf.device(self.model.device):
            if self.resident is not None:
                given = tf.gather(self.resident, batch)
            else:
                given = tf.constant(batch if self.samples is None else self.samples[batch])
            numbers = tf.constant(rate, tf.float64), tf.constant(strength, tf.float64)
            # All arguments, the one with a default too: a graph that lacks one says so in a message
            # that prints all inputs, keeps it to itself, and tries another way to bind them.
            self.traced(*numbers, given, *(map(tf.constant, noisy) if noisy else (None,)))

    def _learn(
        self, rate: tf.Tensor, strength: tf.Tensor, x: tf.Tensor, noisy: tf.Tensor | None = None
    ) -> None:
        model = self.model
        with tf.device(model.device):
            with tf.GradientTape() as tape:
                a, z, terms = self.forward(x, noisy, tf.cast(strength, model.dtype))
            gradients = tape.gradient(terms["loss"], model.trainable_variables)
            self.optimizer.step(distributed.average(gradients, tf.shape(x)[0]), rate)
            self.settle(a, z)
            n_rows = tf.cast(tf.shape(x)[0], model.dtype)
            counts = active_counts(z, model.config.active_above)
            self.fired.assign(self.fired | (counts > 0))
            figures = [*terms.values(), tf.reduce_sum(counts) / n_rows]
            self.sums.assign_add(n_rows * tf.stack(figures))

    def end_epoch(self, n_samples: int) -> tuple[Array, Array]:
        self.stop()
        return distributed.of_all(self.sums, self.fired, n_samples)
