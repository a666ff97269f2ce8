"""Several models trained at once: the same batches, the same results as one after the other."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from saebook._types import ArrayLike
from saebook.batches import Batches
from saebook.checks import check_finite
from saebook.config import TrainConfig
from saebook.sweep import check_models, with_numbers
from saebook.tensorflow.adam import Adam
from saebook.tensorflow.losses import loss_terms
from saebook.tensorflow.model import SparseAutoencoder, unit_norm
from saebook.tensorflow.sparse import active_counts


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


def fit_many(
    models: Sequence[SparseAutoencoder], x: ArrayLike, train_config: TrainConfig = TrainConfig()
) -> list[dict[str, list[float]]]:
    """Train several models in place, all on the same batches, as `fit` would one by one.

    They may differ in their weights, and so in their seeds, and in the numbers of their kind of
    sparsity, such as ``rho`` and ``beta``. Their products are done together, which takes less time
    the smaller the models are.

    Parameters
    ----------
    models : sequence of models
        Of the same sizes, dtype and device. Not TopK nor BatchTopK.
    x : array (n_samples, n_features)
        Training samples.
    train_config : TrainConfig

    Returns
    -------
    list of dict of str to list of float
        The history of each model; see `fit`.

    Raises
    ------
    ValueError
        If models differ in more than they may, their kind of sparsity chooses by rank, the array
        does not suit them, or mixed precision is asked for.
    FloatingPointError
        If the loss or a parameter of a model stops being finite.
    """
    numbers = check_models(models)
    if train_config.mixed_precision:
        raise ValueError("train_config.mixed_precision must be False for several models, got True.")
    config, device = models[0].config, models[0].device
    data = Batches(config, x, models[0].dtype, train_config)
    samples = np.asarray(data.array)
    varied = {name: tf.convert_to_tensor(value) for name, value in numbers.items()}
    names = [v.name for v in models[0].trainable_variables]
    with tf.device(device):
        params = [
            tf.Variable(tf.stack([getattr(m, name).numpy() for m in models]), name=name)
            for name in names
        ]
        fired = tf.Variable(tf.zeros((len(models), config.n_latents), models[0].dtype))
        sums = tf.Variable(tf.zeros((len(models), 5), models[0].dtype))
    optimizer = Adam(params, train_config)
    objective = _Objective(models[0])
    decoder, axis = ("W_enc", 1) if config.tied else ("W_dec", 2)
    histories: list[dict[str, list[float]]] = [{} for _ in models]

    def values_of(batch: tf.Tensor, strength: tf.Tensor) -> Any:
        def one(given: Any) -> Any:
            return objective(given[0], batch, strength, given[1])

        return tf.vectorized_map(one, ([tf.convert_to_tensor(p) for p in params], varied))

    number = tf.TensorSpec([], tf.float64)

    @tf.function(
        input_signature=[
            number,
            number,
            tf.TensorSpec([None, config.n_features], models[0].dtype),
        ],
        autograph=False,
    )
    def step(rate: tf.Tensor, strength: tf.Tensor, batch: tf.Tensor) -> None:
        with tf.device(device):
            with tf.GradientTape() as tape:
                terms, counts = values_of(batch, tf.cast(strength, models[0].dtype))
                loss = tf.reduce_sum(terms[:, 3])
            optimizer.step(tape.gradient(loss, params), rate)
            if config.unit_norm:
                weight = params[names.index(decoder)]
                weight.assign(unit_norm(weight, axis))
            n_rows = tf.cast(tf.shape(batch)[0], models[0].dtype)
            active = tf.reduce_sum(counts, axis=1, keepdims=True) / n_rows
            sums.assign_add(n_rows * tf.concat([terms, active], axis=1))
            fired.assign_add(counts)

    n_steps = 0
    for epoch in range(train_config.epochs):
        fired.assign(tf.zeros_like(fired))
        sums.assign(tf.zeros_like(sums))
        n_samples = 0
        for (rows,) in data.epoch(epoch):
            rate = tf.constant(train_config.learning_rate_at(n_steps, data.n_steps), tf.float64)
            strength = tf.constant(train_config.strength_at(n_steps), tf.float64)
            step(rate, strength, tf.constant(samples[rows]))
            n_samples += len(rows)
            n_steps += 1
        for i, (model, history) in enumerate(zip(models, histories, strict=True)):
            found = {name: p[i].numpy() for name, p in zip(names, params, strict=True)}
            keys = ("reconstruction", "sparsity", "weight_decay", "loss", "l0")
            row = dict(zip(keys, (sums[i] / n_samples).numpy().tolist(), strict=True))
            row["dead"] = int(np.sum(fired[i].numpy() == 0))
            check_finite(row["loss"], found, epoch)
            for name, value in row.items():
                history.setdefault(name, []).append(value)
            model.from_numpy(found)
    return histories
