"""A wider dictionary that goes on from a narrow one.

Early in training a wide dictionary costs what a wide one does and learns what a narrow one would:
most of its latents are idle still. So a narrow one may train first, and be widened for the rest.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from saebook import reference
from saebook._types import Array, Params, Samples
from saebook.checks import check_array, check_samples
from saebook.config import SAEConfig
from saebook.fields import is_integer
from saebook.inference import encode
from saebook.kinds import JumpReLU, Ranked
from saebook.loaders import whole
from saebook.parameters import dictionary, own_start
from saebook.start import begins_at_samples

LOOKED_AT = 1024  # samples that say how readily a new latent is active
SHARE = 1 / 512  # of these samples, for which it is; with 1/64 the error rises by up to a half


def widened(model: Any, n_latents: int, x: Samples, seed: int = 0) -> Any:
    """A model with more latents, the first of which are those of a trained model.

    The others begin at what the model leaves of training samples, ``x - x_hat``: directions that
    its dictionary lacks. Their weights are as long as those of its own latents at the median, and
    their biases let each be active for one sample in 512. So the wider model begins with about the
    error of the narrow one, and its new latents can learn from the first step on. ``fit`` trains it
    from there.

    Parameters
    ----------
    model : saebook.pytorch.SparseAutoencoder or saebook.tensorflow.SparseAutoencoder
        Of either framework, trained, with a linear output and no sigmoid. It stays as it is.
    n_latents : int
        Latents of the wider model, more than `model` has. If these are in groups, the new ones are
        one group more.
    x : array (n_samples, n_features), or an iterable of such arrays
        Training samples; a few thousand are enough.
    seed : int >= 0
        Seed of a local generator that chooses among the samples.

    Returns
    -------
    saebook.pytorch.SparseAutoencoder or saebook.tensorflow.SparseAutoencoder
        A new model, of the same framework, dtype and device.

    Raises
    ------
    ValueError
        If `n_latents` is not larger than the model's, the model has a sigmoid, or `x` does not suit
        the model.
    """
    narrow, params = model.config, model.to_numpy()
    if not begins_at_samples(narrow):
        raise ValueError(
            "model must have a linear output and a code without sigmoids to be widened, got "
            f"activation {narrow.activation!r} and output {narrow.output!r}."
        )
    if not is_integer(n_latents) or n_latents <= narrow.n_latents:
        raise ValueError(
            f"n_latents must be an integer above {narrow.n_latents}, the model's own, "
            f"got {n_latents!r}."
        )
    n_new = int(n_latents) - narrow.n_latents
    groups = narrow.groups and (*narrow.groups, n_new)
    config = replace(narrow, n_latents=int(n_latents), groups=groups)
    rng, x = np.random.default_rng(seed), whole(x, "x")[0]
    check_array(narrow, x, "x")
    left, some = (
        check_samples(narrow, x[rows], "x", model.dtype, rows)
        for rows in (_some(rng, len(x), n_new), _some(rng, len(x), min(LOOKED_AT, len(x))))
    )
    found = type(model)(config, model.seed or 0, model.dtype, model.device)
    found.from_numpy(_joined(narrow, config, params, _directions(narrow, params, left), some))
    found.image_shape = model.image_shape
    return found


def _some(rng: np.random.Generator, n_samples: int, n_rows: int) -> Array:
    """Row numbers, none twice if there are enough, in rising order, as files like it."""
    return np.sort(rng.choice(n_samples, n_rows, replace=n_rows > n_samples))


def _directions(config: SAEConfig, params: Params, x: Array) -> Array:
    """What a model leaves of samples, each scaled to norm 1."""
    left = x - reference.decode(config, params, encode(config, params, x))
    return left / np.maximum(np.linalg.norm(left, axis=1, keepdims=True), np.finfo(left.dtype).tiny)


def _joined(
    narrow: SAEConfig, config: SAEConfig, params: Params, rows: Array, x: Array
) -> dict[str, Array]:
    """Parameters of the wider model, of which ``rows (n_new, n_features)`` are new directions."""
    lengths = np.linalg.norm(params["W_enc"], axis=0)
    its = np.linalg.norm(dictionary(narrow, params), axis=1)
    W_enc = np.median(lengths) * rows.T
    a = (x - params["b_dec"] if narrow.pre_bias else x) @ W_enc
    b_enc = -np.quantile(a - _bar(narrow, params, x)[:, None], 1 - SHARE, axis=0)
    new = own_start(config) | {"W_enc": W_enc, "b_enc": b_enc, "W_dec": np.median(its) * rows}
    if "log_threshold" in params:
        new["log_threshold"] = np.full(config.n_latents, np.median(params["log_threshold"]))
    if "b_mag" in params:  # both halves of Gated begin alike
        new["b_mag"] = b_enc
    places = np.arange(-len(b_enc), 0)
    return {
        name: value
        if name == "b_dec" or not value.ndim
        else np.concatenate([value, new[name].take(places, axis)], axis)
        for name, value in params.items()
        for axis in [1 if name == "W_enc" else 0]
    }


def _bar(config: SAEConfig, params: Params, x: Array) -> Array:
    """What a pre-activation must exceed for its latent to be active, for each sample."""
    if isinstance(config.sparsity, JumpReLU):
        return np.full(len(x), np.exp(np.median(params["log_threshold"])))
    if not isinstance(config.sparsity, Ranked):
        return np.zeros(len(x))
    a = reference.preactivation(config, params, x)
    lowest = np.where(encode(config, params, x) > 0, a, np.inf).min(axis=1)
    return np.where(np.isfinite(lowest), lowest, 0)
