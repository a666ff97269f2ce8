"""The causal transformer in PyTorch. `saebook.tensorflow.transformer` has the same names."""

import torch
from torch.nn import functional as F

from saebook._types import Array, Params
from saebook.transformer import (
    EPSILON,
    Places,
    Splice,
    TransformerConfig,
    check_parameters,
    init,
)


class Transformer(torch.nn.Module):
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
        for name, value in init(config, seed).items():
            self.register_parameter(name, torch.nn.Parameter(torch.tensor(value.astype(dtype))))

    def from_numpy(self, params: Params) -> "Transformer":
        """Take the values of arrays; the model itself is returned."""
        with torch.no_grad():
            for name, value in check_parameters(self.config, params).items():
                self.get_parameter(name).copy_(torch.tensor(value))
        return self

    def to_numpy(self) -> dict[str, Array]:
        """The parameters as arrays."""
        return {name: value.detach().numpy().copy() for name, value in self.named_parameters()}

    def forward(
        self, tokens: torch.Tensor, splice: Splice | None = None
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Logits ``(n_texts, n, n_tokens)`` of each next token, and the activations by name.

        What `splice` makes of an activation takes its place; see `saebook.transformer.places`.
        """
        at, p = Places(self.config, splice), self.get_parameter
        x = at("resid_0", F.embedding(tokens, p("W_E")) + p("W_pos")[: tokens.shape[1]])
        for layer in range(self.config.n_layers):
            x = x + at(f"attn_out_{layer}", self.attention(layer, norm(x)))
            h = at(f"mlp_in_{layer}", norm(x))
            hidden = torch.relu(h @ p(f"W_in_{layer}") + p(f"b_in_{layer}"))
            x = x + at(f"mlp_out_{layer}", hidden @ p(f"W_out_{layer}") + p(f"b_out_{layer}"))
            x = at(f"resid_{layer + 1}", x)
        return at("final", norm(x)) @ p("W_U"), at.found

    def attention(self, layer: int, x: torch.Tensor) -> torch.Tensor:
        """What each token gathers from those up to it, ``(n_texts, n, d_model)``."""
        n, size = x.shape[1], self.config.d_model // self.config.n_heads
        heads = len(x), n, self.config.n_heads, size
        q, k, v = (
            (x @ self.get_parameter(f"W_{name}_{layer}")).view(heads).transpose(1, 2)
            for name in "QKV"
        )
        scores = q @ k.mT / size**0.5
        later = torch.ones((n, n), dtype=torch.bool, device=x.device).triu(1)
        weights = torch.softmax(scores.masked_fill(later, -torch.inf), dim=-1)
        mixed = (weights.to(v.dtype) @ v).transpose(1, 2).flatten(2)
        return mixed @ self.get_parameter(f"W_O_{layer}")


def norm(x: torch.Tensor) -> torch.Tensor:
    """Each row with mean 0 and variance 1."""
    return F.layer_norm(x, x.shape[-1:], eps=EPSILON)


def next_token_loss(logits: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of each token but the first, in nats, ``(n_texts, n - 1)``."""
    rows = logits[:, :-1].flatten(0, 1)  # along the last axis: twice as fast
    return F.cross_entropy(rows, tokens[:, 1:].flatten().long(), reduction="none").view(
        len(tokens), -1
    )
