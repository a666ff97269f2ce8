"""What is drawn before training: weights to start from, the order of samples, and noise.

All of it is made once, in NumPy, from local generators: both frameworks start from the same numbers
and see the same batches. Global random states are neither read nor changed.
"""

from typing import Any

import numpy as np

from saebook._types import Array, Params, Samples
from saebook.config import SAEConfig
from saebook.kinds import JumpReLU, Priced
from saebook.loaders import whole
from saebook.parameters import normalize_decoder, own_start, parameter_shapes


def init_params(config: SAEConfig, seed: int = 0) -> dict[str, Array]:
    """Initial parameters: Glorot uniform weights (Glorot & Bengio 2010), zero biases.

    What a kind of sparsity has of its own starts as `saebook.kinds` says. All is made here once, in
    NumPy, so that both frameworks start from the same numbers.

    Parameters
    ----------
    config : SAEConfig
    seed : int >= 0
        Seed of a local generator; global random state is neither read nor changed.

    Returns
    -------
    dict of str to ndarray of float64
    """
    rng = np.random.default_rng(seed)
    limit = np.sqrt(6 / (config.n_features + config.n_latents))
    params = {
        name: rng.uniform(-limit, limit, shape) if name in ("W_enc", "W_dec") else np.zeros(shape)
        for name, shape in parameter_shapes(config).items()
    } | own_start(config)
    return normalize_decoder(config, params) if config.unit_norm else params


def init_from_samples(
    config: SAEConfig, x: Samples, seed: int = 0, norm: float | None = None, alike: bool = False
) -> dict[str, Array]:
    """Initial parameters whose latents begin as training samples, less the mean sample.

    A latent that begins as a stroke of a real image answers to many images from the first step;
    from random weights, TopK leaves latents that are never among the k largest, and these never
    learn. The encoder is a multiple of the decoder's transpose and its bias answers to
    ``x - b_dec``, as with the tied start and pre-bias of Gao et al. (2024), appendix A.

    A direction with over half of the samples' variance (patches' brightness, a language model's
    largest dimension) has a latent for either end, which nearly rebuild it; others begin as samples
    less it. Then the same of what is left, up to an eighth of the latents, unless norms are fixed.

    Parameters
    ----------
    config : SAEConfig
        With a linear output, as ``b_dec`` is the mean sample.
    x : array (n_samples, n_features)
        Training samples. Where there are fewer than latents, some are taken more than once, with a
        little noise to tell them apart.
    seed : int >= 0
        Seed of a local generator that chooses the samples.
    norm : float > 0, optional
        Norm of each latent's weights in the encoder and, unless that is kept at unit norm, in the
        decoder. By default both are such that the samples are rebuilt with the least error, which
        suits samples of any size, and the encoder's four times the decoder's: what Adam adds in a
        step then counts for less in the encoder, and fewer latents die. Where decoder and encoder
        are tied at unit norm neither can be chosen; directions are random then.
    alike : bool, default=False
        Whether all latents begin as samples, whatever these have in common.

    Returns
    -------
    dict of str to ndarray
        For ``model.from_numpy``.

    Raises
    ------
    ValueError
        If the output is not linear, `x` has the wrong shape, or all samples are equal.
    """
    x = _rows(config, x)
    mean = x.mean(axis=0, dtype=np.float64)
    rng = np.random.default_rng(seed)
    n_rows = min(config.n_latents, len(x))
    rows = x[rng.choice(len(x), n_rows, replace=False)[np.arange(config.n_latents) % n_rows]] - mean
    some = x[rng.permutation(len(x))[:FITTED]] - mean
    spread = np.sqrt((some**2).mean())
    if not spread > 0:
        raise ValueError(f"x must hold different samples, got {len(x)} equal ones.")
    rows[n_rows:] += 0.1 * spread * rng.normal(size=rows[n_rows:].shape)
    fixed = norm is not None or (config.tied and config.unit_norm)
    if fixed and norm is None:
        rows = rng.normal(size=rows.shape)
    large = _large(some, 0 if fixed or alike else config.n_latents // 8)
    rows = rows - rows @ large.T @ large
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    W = (rows / np.where(length > 0, length, 1)).T
    if config.activation != "linear":  # a code of one sign
        large = np.concatenate([large, -large])
    W[:, : len(large)] = 0
    gain = np.full(config.n_latents, _gain(config, some @ W, some, W))
    # Were all of it rebuilt, its first gradients would be rounding, which Adam makes steps of.
    W[:, : len(large)], gain[: len(large)] = large.T, 0.9
    if norm is not None or config.tied:
        encoder = decoder = 1.0 if config.unit_norm else norm or np.sqrt(gain)
    else:
        decoder = 1.0 if config.unit_norm else np.sqrt(gain) / 2
        encoder = gain / decoder
    params = _tied_start(config, encoder * W, mean)
    if not config.tied:
        params["W_dec"] = (decoder * W).T
    if isinstance(config.sparsity, JumpReLU) and config.sparsity.threshold is None:
        a, kept = some @ params["W_enc"], _kept(config)
        lowest = np.partition(a, -kept, axis=1)[:, -kept].mean()
        params["log_threshold"][:] = np.log(max(lowest, np.finfo(float).tiny))
    return params


FITTED = 512  # samples by which the scale of a start is chosen


def _kept(config: SAEConfig) -> int:
    """How many latents of a sample are to be active at the start; 0 for all above 0."""
    kind, n = config.sparsity, config.n_latents
    wanted = getattr(kind, "k", None) or getattr(kind, "l0", None) or 0
    if isinstance(kind, JumpReLU):
        wanted = wanted or n / 8
    return min(n, max(1, round(wanted))) if wanted else 0


def _large(x: Array, most: int) -> Array:
    """Unit vectors ``(n <= most, n_features)``, each with over half of what is left; not all."""
    values, vectors = np.linalg.eigh(x @ x.T)
    values, left = np.maximum(values[::-1], 0), np.maximum(values, 0).cumsum()[::-1]
    n = 0
    while n < min(most, len(x) - 1) and 2 * values[n] > left[n] and left[n + 1] > 1e-6 * left[0]:
        n += 1
    found = vectors.T[::-1][:n] @ x
    ends = np.take_along_axis(found, np.abs(found).argmax(axis=1, keepdims=True), axis=1)
    return found / np.linalg.norm(found, axis=1, keepdims=True) * np.sign(ends)


def _gain(config: SAEConfig, a: Array, x: Array, W: Array) -> float:
    """The factor by which codes made of ``a = x @ W`` rebuild ``x`` with the least error."""
    z = a if config.activation == "linear" else np.maximum(a, 0)
    kept = _kept(config)
    if kept:
        z = np.where(a >= np.partition(a, -kept, axis=1)[:, [-kept]], z, 0)
    rebuilt = z @ W.T
    return float(max((x * rebuilt).sum() / max((rebuilt**2).sum(), np.finfo(float).tiny), 0)) or 1.0


def init_tied(config: SAEConfig, x: Samples, seed: int = 0) -> dict[str, Array]:
    """Initial parameters of Gao et al. (2024), appendix A: random directions, a transposed encoder.

    The dictionary's rows are random and of norm 1, the encoder is their transpose, ``b_dec`` is the
    geometric median of the samples, and the encoder's bias answers to ``x - b_dec``.

    Parameters
    ----------
    config : SAEConfig
        With a linear output, as ``b_dec`` is a sample's place.
    x : array (n_samples, n_features)
        Training samples; a few thousand are enough.
    seed : int >= 0
        Seed of a local generator that draws the directions.

    Returns
    -------
    dict of str to ndarray
        For ``model.from_numpy``.

    Raises
    ------
    ValueError
        If the output is not linear, or `x` has the wrong shape.
    """
    x = _rows(config, x)
    W_enc = np.random.default_rng(seed).normal(size=(config.n_features, config.n_latents))
    return _tied_start(config, W_enc / np.linalg.norm(W_enc, axis=0), geometric_median(x))


def _rows(config: SAEConfig, x: Samples) -> Array:
    x = whole(x, "x")[0]
    if config.output != "linear":
        raise ValueError(f"config must have output='linear' to begin so, got {config.output!r}.")
    if x.ndim != 2 or x.shape[1] != config.n_features or len(x) == 0:
        raise ValueError(f"x must have shape (n_samples >= 1, {config.n_features}), got {x.shape}.")
    return x


def _tied_start(config: SAEConfig, W_enc: Array, b_dec: Array) -> dict[str, Array]:
    b_enc = np.zeros(config.n_latents) if config.pre_bias else -b_dec @ W_enc
    params = {"W_enc": W_enc, "b_enc": b_enc, "W_dec": W_enc.T.copy(), "b_dec": b_dec}
    params |= own_start(config)
    if "b_mag" in params:
        params["b_mag"] = b_enc.copy()
    return {name: params[name] for name in parameter_shapes(config)}


def begins_at_samples(config: SAEConfig) -> bool:
    """Whether a new model does, as in `init_from_samples`: one that rebuilds without a sigmoid."""
    return config.output == "linear" and config.activation != "sigmoid"


def chosen(n_samples: int, config: SAEConfig, seed: int = 0) -> Array:
    """Row numbers of the samples that a new model begins at, in rising order, as files like it."""
    n_wanted = max(config.n_latents, FITTED)
    rows = np.random.default_rng(seed).permutation(n_samples)[:n_wanted]
    return np.sort(rows)


def is_new(config: SAEConfig, params: Params, seed: int) -> bool:
    """Whether parameters are still those of `init_params`."""
    return all(
        np.array_equal(params[name], value.astype(params[name].dtype))
        for name, value in init_params(config, seed).items()
    )


def begun(
    config: SAEConfig, params: Params, first: Array, x: Array | None = None, seed: int = 0
) -> dict[str, Array]:
    """Parameters that begin from data, where no training has begun before.

    That is the price of a wanted L0, from the first batch; and all, if there are samples ``x`` to
    begin at.
    """
    kind, found = config.sparsity, {}
    if x is not None and np.ptp(x, axis=0).any():
        found = init_from_samples(config, x, seed)
    if not isinstance(kind, Priced) or kind.l0 is None:
        return found
    if params["price"] == np.asarray(kind.weight, params["price"].dtype):
        found["price"] = np.array(kind.first_price(first))
    return found


def begin_at_data(model: Any, data: Any, first: Array) -> None:
    """Set what a model that is new begins with from its data, whose first batch is ``first``.

    `data` are what ``fit`` makes of its samples: a ``Batches``.
    """
    params, seed, x = model.to_numpy(), model.seed or 0, None
    may = data.train_config.init == "auto" and begins_at_samples(model.config)
    if may and model.seed is not None and is_new(model.config, params, seed):
        x = data.some(seed, first)
    for name, value in begun(model.config, params, first, x, seed).items():
        model.set_parameter(name, value)


def geometric_median(x: Array, n_iterations: int = 100) -> Array:
    """The point ``(n_features,)`` with the smallest mean distance from the samples ``x``.

    Unlike the mean it is not dragged away by a few far samples. Weiszfeld's iteration: a mean
    weighted by the inverse of the distances, until it stands still.
    """
    median = x.mean(axis=0, dtype=np.float64)
    for _ in range(n_iterations):
        distance = np.linalg.norm(x - median, axis=1)
        weight = 1 / np.maximum(distance, 1e-12)
        before, median = median, weight @ x / weight.sum()
        if np.allclose(median, before, rtol=0, atol=1e-9):
            break
    return median


def epoch_order(n_samples: int, seed: int, epoch: int) -> Array:
    """Order in which the samples are visited in one epoch, a permutation ``(n_samples,)``.

    It depends on the seed and the number of the epoch alone, so that training can resume at any
    epoch without replaying the ones before. The 1 keeps epoch 0 off the seed of `init_params`:
    NumPy's seed sequences (seed,) and (seed, 0) are the same.
    """
    return np.random.default_rng([seed, epoch + 1]).permutation(n_samples)


def epoch_batches(n_samples: int, batch_size: int, seed: int, epoch: int) -> list[Array]:
    """Row numbers of each batch of one epoch: the order of `epoch_order`, divided.

    There are as few batches as `batch_size` allows, and they are equal to within one row. Were the
    last one what is left over, its few rows would move the weights as far as a whole batch does: of
    1,025 digits in batches of 256 the last, of a single row, raised the validation FVU after 40
    epochs from 0.34 to 0.48.
    """
    n_batches = -(-n_samples // batch_size)
    return np.array_split(epoch_order(n_samples, seed, epoch), n_batches)


def noise_generator(seed: int, epoch: int = -1) -> np.random.Generator:
    """The generator of an epoch's corruption, or of the validation samples' for epoch -1.

    Like `epoch_order` it depends on the seed and the number of the epoch alone; the last 1 keeps it
    off the numbers that shuffle.
    """
    return np.random.default_rng([seed, epoch + 1, 1])
