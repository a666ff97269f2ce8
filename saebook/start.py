"""What is drawn before training: weights to start from, the order of samples, and noise.

All of it is made once, in NumPy, from local generators: both frameworks start from the same numbers
and see the same batches. Global random states are neither read nor changed.
"""

import numpy as np

from saebook._types import Array, Params, Samples
from saebook.config import SAEConfig
from saebook.kinds import Priced
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
    config: SAEConfig, x: Samples, seed: int = 0, norm: float = 0.5
) -> dict[str, Array]:
    """Initial parameters whose latents begin as training samples, less the mean sample.

    A latent that begins as a stroke of a real image answers to many images from the first step;
    from random weights, TopK leaves latents that are never among the k largest, and these never
    learn. The encoder is the decoder's transpose and its bias answers to ``x - b_dec``, as with the
    tied start and pre-bias of Gao et al. (2024), appendix A.

    Parameters
    ----------
    config : SAEConfig
        With a linear output, as ``b_dec`` is the mean sample.
    x : array (n_samples, n_features)
        Training samples, at least ``n_latents`` of them.
    seed : int >= 0
        Seed of a local generator that chooses the samples.
    norm : float > 0
        Norm of each latent's weights; 1 whatever is given if the decoder is kept at unit norm.

    Returns
    -------
    dict of str to ndarray
        For ``model.from_numpy``.

    Raises
    ------
    ValueError
        If the output is not linear, or `x` has the wrong shape or too few samples.
    """
    x = whole(x, "x")[0]
    if config.output != "linear":
        raise ValueError(
            f"config must have output='linear' to begin at samples, got {config.output!r}."
        )
    if x.ndim != 2 or x.shape[1] != config.n_features or len(x) < config.n_latents:
        raise ValueError(
            f"x must have shape (n_samples >= {config.n_latents}, {config.n_features}), a sample "
            f"for each latent, got {x.shape}."
        )
    mean = x.mean(axis=0)
    rows = np.random.default_rng(seed).choice(len(x), config.n_latents, replace=False)
    W_enc = (x[rows] - mean).T
    length = np.linalg.norm(W_enc, axis=0)
    W_enc *= (1.0 if config.unit_norm else norm) / np.where(length > 0, length, 1)
    return _tied_start(config, W_enc, mean)


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
    x = whole(x, "x")[0]
    if config.output != "linear":
        raise ValueError(f"config must have output='linear' to begin so, got {config.output!r}.")
    if x.ndim != 2 or x.shape[1] != config.n_features or len(x) == 0:
        raise ValueError(f"x must have shape (n_samples >= 1, {config.n_features}), got {x.shape}.")
    W_enc = np.random.default_rng(seed).normal(size=(config.n_features, config.n_latents))
    return _tied_start(config, W_enc / np.linalg.norm(W_enc, axis=0), geometric_median(x))


def _tied_start(config: SAEConfig, W_enc: Array, b_dec: Array) -> dict[str, Array]:
    b_enc = np.zeros(config.n_latents) if config.pre_bias else -b_dec @ W_enc
    params = {"W_enc": W_enc, "b_enc": b_enc, "W_dec": W_enc.T.copy(), "b_dec": b_dec}
    params |= own_start(config)
    return {name: params[name] for name in parameter_shapes(config)}


def begun(config: SAEConfig, params: Params, x: Array) -> dict[str, Array]:
    """Parameters that begin from the first batch ``x``, where no training has begun before.

    That is the price of a wanted L0.
    """
    kind = config.sparsity
    if not isinstance(kind, Priced) or kind.l0 is None:
        return {}
    fresh = params["price"] == np.asarray(kind.weight, params["price"].dtype)
    return {"price": np.array(kind.first_price(x))} if fresh else {}


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
