"""Training in NumPy: Adam, and a loop that is read rather than run for long."""

import numpy as np

from saebook._types import Array, ArrayLike, Corruption, Params
from saebook.checks import as_array
from saebook.config import SAEConfig, TrainConfig
from saebook.parameters import normalize_decoder
from saebook.reference.model import code, gradients, preactivation, update_counted
from saebook.start import (
    begins_at_samples,
    begun,
    chosen,
    epoch_batches,
    init_params,
    noise_generator,
)


class Adam:
    """Adam as PyTorch defines it: epsilon is added after the bias correction of the root.

    Keras adds epsilon before that correction, which is another optimiser for the first few thousand
    steps; see Kingma & Ba (2015), Algorithm 1, for the form used here.
    """

    def __init__(self, params: Params, train_config: TrainConfig) -> None:
        self.config, self.t = train_config, 0
        self.m = {name: np.zeros_like(value) for name, value in params.items()}
        self.v = {name: np.zeros_like(value) for name, value in params.items()}

    def step(
        self, params: Params, grads: Params, learning_rate: float | None = None
    ) -> dict[str, Array]:
        """Return the parameters after one update, by default at the configured learning rate."""
        c, self.t, updated = self.config, self.t + 1, dict(params)
        rate = c.rate if learning_rate is None else learning_rate
        beta_1, beta_2 = c.betas
        for name, g in grads.items():
            self.m[name] = beta_1 * self.m[name] + (1 - beta_1) * g
            self.v[name] = beta_2 * self.v[name] + (1 - beta_2) * g**2
            m_hat = self.m[name] / (1 - beta_1**self.t)
            v_hat = self.v[name] / (1 - beta_2**self.t)
            updated[name] = params[name] - rate * m_hat / (np.sqrt(v_hat) + c.epsilon)
        return updated


def fit(
    config: SAEConfig,
    params: Params | None,
    x: ArrayLike,
    train_config: TrainConfig = TrainConfig(),
    corruption: Corruption | None = None,
) -> dict[str, Array]:
    """Parameters after training on ``x (n_samples, n_features)``, batch by batch.

    It begins at `params`, or, if None are given, where a new model of seed 0 begins. A corruption,
    a function of a batch and a generator, makes what the encoder sees of each batch.
    """
    x, train_config = as_array(x, "x").astype(np.float64), train_config.settled(config)
    some = None
    if params is None:
        params = init_params(config)
        if train_config.init == "auto" and begins_at_samples(config):
            some = x[chosen(len(x), config)]
    optimizer = Adam(params, train_config)
    n_steps = train_config.epochs * -(-len(x) // train_config.batch_size)
    for epoch in range(train_config.epochs):
        noise = noise_generator(train_config.seed, epoch)
        for rows in epoch_batches(len(x), train_config.batch_size, train_config.seed, epoch):
            batch = x[rows]
            noisy = None if corruption is None else corruption(batch.copy(), noise)
            rate = train_config.learning_rate_at(optimizer.t, n_steps)
            strength = train_config.strength_at(optimizer.t)
            if optimizer.t == 0:
                params = {**params, **begun(config, params, batch, some)}
            a = preactivation(config, params, batch if noisy is None else noisy)
            z = code(config.sparsity, config, params, a, training=True)
            counted = update_counted(config, params, a, z)
            grads = gradients(config, params, batch, noisy, strength)
            params = optimizer.step({**params, **counted}, grads, rate)
            if config.unit_norm:
                params = normalize_decoder(config, params)
    return dict(params)
