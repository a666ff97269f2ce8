"""The optimiser: the Adam that PyTorch has and Keras has not."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from saebook._types import Array, Params
from saebook.config import TrainConfig


class Adam:
    """Adam as in Kingma & Ba (2015), Algorithm 1, and `torch.optim.Adam`.

    `keras.optimizers.Adam` adds epsilon to the root of the uncorrected second moment, and so does
    TensorFlow's fused update, which it is made of. Given epsilon times the root's own correction,
    that update computes the algorithm's formula exactly.

    Parameters
    ----------
    variables : list of keras.Variable or tf.Variable
    train_config : TrainConfig
    """

    def __init__(self, variables: Sequence[Any], train_config: TrainConfig) -> None:
        self.names = [v.name for v in variables]
        self.variables = [v.value if isinstance(v, keras.Variable) else v for v in variables]
        self.m = [tf.Variable(tf.zeros_like(v)) for v in self.variables]
        self.v = [tf.Variable(tf.zeros_like(v)) for v in self.variables]
        self.config, self.t = train_config, tf.Variable(0.0, dtype=tf.float64)

    def step(self, gradients: Sequence[tf.Tensor], learning_rate: tf.Tensor) -> None:
        """Update the variables in place."""
        c, t, dtype = self.config, self.t.assign_add(1.0), self.variables[0].dtype
        # The betas as the kernel sees them: rounding 0.999 to float32 moves 1 - 0.999 by 1e-5.
        beta_1, beta_2 = (float(dtype.as_numpy_dtype(beta)) for beta in c.betas)
        root = tf.sqrt(1 - beta_2**t)
        for variable, m, v, gradient in zip(self.variables, self.m, self.v, gradients, strict=True):
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=m.handle,
                v=v.handle,
                beta1_power=tf.zeros((), dtype),  # the corrections are in lr and epsilon
                beta2_power=tf.zeros((), dtype),
                lr=tf.cast(learning_rate * root / (1 - beta_1**t), dtype),
                beta1=tf.constant(beta_1, dtype),
                beta2=tf.constant(beta_2, dtype),
                epsilon=tf.cast(c.epsilon * root, dtype),
                grad=gradient,
            )

    def to_numpy(self) -> dict[str, Array]:
        found = {"t": np.array(self.t.numpy())}
        for name, m, v in zip(self.names, self.m, self.v, strict=True):
            found |= {f"m.{name}": m.numpy().copy(), f"v.{name}": v.numpy().copy()}
        return found

    def from_numpy(self, state: Params) -> None:
        self.t.assign(state["t"])
        for name, m, v in zip(self.names, self.m, self.v, strict=True):
            m.assign(state[f"m.{name}"])
            v.assign(state[f"v.{name}"])
