"""Known mistakes, chapter language_model: a transformer's norm, and a latent turned up."""

import numpy as np

from saebook._types import Array
from saebook.classroom.mistakes.table import Check

EPSILON = 1e-5


def _centred(x: Array) -> Array:
    return x - x.mean(axis=1, keepdims=True)


def _divided(x: Array, mean_square: Array) -> Array:
    return x / np.sqrt(mean_square + EPSILON)


def _norm(x: Array) -> Array:
    return _divided(_centred(x), x.var(axis=1, keepdims=True))


def _streams(rng: np.random.Generator) -> list[tuple[Array]]:
    """Rows with a mean of their own; in the second, so small that epsilon counts."""
    return [(s * (rng.normal(size=(5, 7)) + rng.normal(size=(5, 1))),) for s in (2.0, 2e-3)]


CHECKS = {
    "layer_norm": Check.of(
        "layer_norm(x)",
        _norm,
        _streams,
        "Ask what the next layer can still tell of a row that was twice as long.",
        small=(np.array([[1.0, 3.0], [0.0, -2.0]]),),
        not_centred=(
            lambda x: _divided(x, (x**2).mean(axis=1, keepdims=True)),
            "the mean of each row is still in it: subtract it first",
        ),
        only_centred=(
            _centred,
            "rows are centred and not scaled: divide by the root of the variance",
        ),
        over_tokens=(
            lambda x: _divided(x - x.mean(axis=0), x.var(axis=0)),
            "mean and variance are taken over the tokens: each row has its own, over its features",
        ),
        of_all=(
            lambda x: _divided(x - x.mean(), x.var()),
            "one mean and one variance are taken of all numbers: each row has its own",
        ),
        length_one=(
            lambda x: _divided(_centred(x), (_centred(x) ** 2).sum(axis=1, keepdims=True)),
            "rows come out with length 1: the variance is a mean of squares, and not their sum",
        ),
        no_root=(
            lambda x: _centred(x) / (x.var(axis=1, keepdims=True) + EPSILON),
            "the root is missing: you divide by the variance",
        ),
        unbiased=(
            lambda x: _divided(_centred(x), x.var(axis=1, ddof=1, keepdims=True)),
            "the variance is divided by one less than the number of features: it is a plain mean",
        ),
        no_epsilon=(
            lambda x: _centred(x) / x.std(axis=1, keepdims=True),
            "epsilon is missing: it counts where a row hardly varies",
        ),
        epsilon_outside=(
            lambda x: _centred(x) / (x.std(axis=1, keepdims=True) + EPSILON),
            "epsilon is added to the root: it stands under it",
        ),
        scaled_not_centred=(
            lambda x: x / np.sqrt(x.var(axis=1, keepdims=True) + EPSILON),
            "rows are scaled and not centred: subtract each row's mean",
        ),
    ),
    "steer": Check.of(
        "steer(h, W_enc, W_dec, j, amount)",
        lambda h, W_enc, W_dec, j, amount: h + amount * W_dec[j],
        lambda rng: [
            (rng.normal(size=(4, 6)), rng.normal(size=(6, 6)), rng.normal(size=(6, 6)), 2, 3.0)
        ],
        "Ask which of a latent's two directions the layers behind it ever see.",
        small=(
            np.array([[1.0, 2.0], [3.0, 4.0]]),
            np.array([[0.5, 0.0], [1.0, 2.0]]),
            np.array([[1.0, -1.0], [0.0, 2.0]]),
            0,
            2.0,
        ),
        encoder=(
            lambda h, W_enc, W_dec, j, amount: h + amount * W_enc[:, j],
            "this is the direction that the latent reads: it writes along its row of W_dec",
        ),
        column=(
            lambda h, W_enc, W_dec, j, amount: h + amount * W_dec[:, j],
            "a column of W_dec is taken: a latent's direction is its row",
        ),
        row_of_encoder=(
            lambda h, W_enc, W_dec, j, amount: h + amount * W_enc[j],
            "a row of W_enc belongs to a feature of the stream: take the latent's row of W_dec",
        ),
        unit_direction=(
            lambda h, W_enc, W_dec, j, amount: h + amount * W_dec[j] / np.linalg.norm(W_dec[j]),
            "the row is scaled to norm 1: the amount multiplies the row as it is",
        ),
        replaced=(
            lambda h, W_enc, W_dec, j, amount: np.broadcast_to(amount * W_dec[j], h.shape),
            "the step takes the place of the stream: add it",
        ),
        sign=(
            lambda h, W_enc, W_dec, j, amount: h - amount * W_dec[j],
            "the latent is turned down: add its direction",
        ),
        coordinate=(
            lambda h, W_enc, W_dec, j, amount: h + amount * (np.arange(h.shape[1]) == j),
            "a coordinate of the stream is raised: a latent is a direction, and not an axis",
        ),
        next_latent=(
            lambda h, W_enc, W_dec, j, amount: h + amount * W_dec[j + 1],
            "another latent is taken, the next one: indices count from 0",
        ),
        no_amount=(
            lambda h, W_enc, W_dec, j, amount: h + W_dec[j],
            "the direction is added with amount 1: multiply it by the amount",
        ),
        first_token=(
            lambda h, W_enc, W_dec, j, amount: np.concatenate([h[:1] + amount * W_dec[j], h[1:]]),
            "only the first token's row is changed: all are",
        ),
        last_token=(
            lambda h, W_enc, W_dec, j, amount: np.concatenate([h[:-1], h[-1:] + amount * W_dec[j]]),
            "only the last token's row is changed: all are",
        ),
        all_latents=(
            lambda h, W_enc, W_dec, j, amount: h + amount * W_dec.sum(axis=0),
            "all latents are turned up: only latent j is asked for",
        ),
    ),
}
