"""The causal transformer in TensorFlow. `saebook.pytorch.transformer` has the same names."""

import tensorflow as tf

from saebook._types import Array, Params
from saebook.transformer import (
    EPSILON,
    Places,
    Splice,
    TransformerConfig,
    check_parameters,
    init,
)


class Transformer(tf.Module):
    """A model of `saebook.transformer.TransformerConfig`, with parameters of `init`.

    Parameters
    ----------
    config : TransformerConfig
    seed : int
    dtype : {"float32", "float64"}
    """

    def __init__(self, config: TransformerConfig, seed: int = 0, dtype: str = "float32") -> None:
        super().__init__()
        self.config, self.dtype = config, dtype
        self.params = {
            name: tf.Variable(value.astype(dtype), name=name)
            for name, value in init(config, seed).items()
        }

    def from_numpy(self, params: Params) -> "Transformer":
        """Take the values of arrays; the model itself is returned."""
        for name, value in check_parameters(self.config, params).items():
            self.params[name].assign(value)
        return self

    def to_numpy(self) -> dict[str, Array]:
        """The parameters as arrays."""
        return {name: value.numpy() for name, value in self.params.items()}

    def __call__(
        self, tokens: tf.Tensor, splice: Splice | None = None
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Logits ``(n_texts, n, n_tokens)`` of each next token, and the activations by name.

        What `splice` makes of an activation takes its place; see `saebook.transformer.places`.
        """
        at, p = Places(self.config, splice), self.params
        x = at("resid_0", tf.gather(p["W_E"], tokens) + p["W_pos"][: tf.shape(tokens)[1]])
        for layer in range(self.config.n_layers):
            x = x + at(f"attn_out_{layer}", self.attention(layer, norm(x)))
            h = at(f"mlp_in_{layer}", norm(x))
            hidden = tf.nn.relu(h @ p[f"W_in_{layer}"] + p[f"b_in_{layer}"])
            x = x + at(f"mlp_out_{layer}", hidden @ p[f"W_out_{layer}"] + p[f"b_out_{layer}"])
            x = at(f"resid_{layer + 1}", x)
        return at("final", norm(x)) @ p["W_U"], at.found

    def attention(self, layer: int, x: tf.Tensor) -> tf.Tensor:
        """What each token gathers from those up to it, ``(n_texts, n, d_model)``."""
        n, size = tf.shape(x)[1], self.config.d_model // self.config.n_heads
        heads = tf.shape(x)[0], n, self.config.n_heads, size
        q, k, v = (
            tf.transpose(tf.reshape(x @ self.params[f"W_{name}_{layer}"], heads), (0, 2, 1, 3))
            for name in "QKV"
        )
        scores = tf.matmul(q, k, transpose_b=True) / tf.sqrt(tf.cast(size, x.dtype))
        later = tf.linalg.band_part(tf.ones((n, n), x.dtype), -1, 0) == 0
        weights = tf.nn.softmax(tf.where(later, scores.dtype.min, scores))
        mixed = tf.reshape(tf.transpose(weights @ v, (0, 2, 1, 3)), tf.shape(x))
        return mixed @ self.params[f"W_O_{layer}"]


def norm(x: tf.Tensor) -> tf.Tensor:
    """Each row with mean 0 and variance 1."""
    x = x - tf.reduce_mean(x, axis=-1, keepdims=True)
    return x * tf.math.rsqrt(tf.reduce_mean(x**2, axis=-1, keepdims=True) + EPSILON)


def next_token_loss(logits: tf.Tensor, tokens: tf.Tensor) -> tf.Tensor:
    """Cross-entropy of each token but the first, in nats, ``(n_texts, n - 1)``."""
    return tf.nn.sparse_softmax_cross_entropy_with_logits(tokens[:, 1:], logits[:, :-1])
