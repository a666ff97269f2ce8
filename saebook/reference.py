"""The specification: every formula in float64 NumPy, with gradients derived by hand.

`saebook.pytorch` and `saebook.tensorflow` are held to these functions by `saebook.parity`. The code
favours being read beside the theory chapter over being fast; train with a framework instead.

Names: ``a`` encoder pre-activation, ``z`` code, ``o`` decoder pre-activation (logits), ``x_hat``
reconstruction; ``d_a`` is the gradient of the loss with respect to ``a``, and so on.
"""

from collections.abc import Callable
from functools import singledispatch

import numpy as np

from saebook._types import Array, ArrayLike, Corruption, Params
from saebook.config import KL, L1, SAEConfig, Sparsity, TopK, TrainConfig


def parameter_shapes(config: SAEConfig) -> dict[str, tuple[int, ...]]:
    """Shapes of the trained parameters.

    Returns
    -------
    dict of str to tuple
        ``W_enc (n_features, n_latents)``, ``b_enc (n_latents,)``, ``W_dec (n_latents, n_features)``
        unless tied, ``b_dec (n_features,)``, and then what the kind of sparsity has of its own.
    """
    shapes: dict[str, tuple[int, ...]] = {
        "W_enc": (config.n_features, config.n_latents),
        "b_enc": (config.n_latents,),
        "W_dec": (config.n_latents, config.n_features),
        "b_dec": (config.n_features,),
    }
    if config.tied:
        del shapes["W_dec"]
    own = own_params(config.sparsity, config)
    return shapes | {name: value.shape for name, value in own.items()}


@singledispatch
def own_params(sparsity: Sparsity | None, config: SAEConfig) -> dict[str, Array]:
    """Parameters that a kind of sparsity has of its own, as they start; those of ``KEPT`` included.

    A kind that has some registers here.
    """
    return {}


# Parameters that no gradient moves: what a model has counted, or averaged, while it was trained.
KEPT = ("threshold", "silent")


def init_params(config: SAEConfig, seed: int = 0) -> dict[str, Array]:
    """Initial parameters: Glorot uniform weights (Glorot & Bengio 2010), zero biases.

    What a kind of sparsity has of its own starts as `own_params` says. All is made here once, in
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
    } | own_params(config.sparsity, config)
    return normalize_decoder(config, params) if config.unit_norm else params


def init_from_samples(
    config: SAEConfig, x: ArrayLike, seed: int = 0, norm: float = 0.5
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
    x = np.asarray(x)
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


def init_tied(config: SAEConfig, x: ArrayLike, seed: int = 0) -> dict[str, Array]:
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
    x = np.asarray(x)
    if config.output != "linear":
        raise ValueError(f"config must have output='linear' to begin so, got {config.output!r}.")
    if x.ndim != 2 or x.shape[1] != config.n_features or len(x) == 0:
        raise ValueError(f"x must have shape (n_samples >= 1, {config.n_features}), got {x.shape}.")
    W_enc = np.random.default_rng(seed).normal(size=(config.n_features, config.n_latents))
    return _tied_start(config, W_enc / np.linalg.norm(W_enc, axis=0), geometric_median(x))


def _tied_start(config: SAEConfig, W_enc: Array, b_dec: Array) -> dict[str, Array]:
    b_enc = np.zeros(config.n_latents) if config.pre_bias else -b_dec @ W_enc
    params = {"W_enc": W_enc, "b_enc": b_enc, "W_dec": W_enc.T.copy(), "b_dec": b_dec}
    params |= own_params(config.sparsity, config)
    return {name: params[name] for name in parameter_shapes(config)}


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


def noise_generator(seed: int, epoch: int = -1) -> np.random.Generator:
    """The generator of an epoch's corruption, or of the validation samples' for epoch -1.

    Like `epoch_order` it depends on the seed and the number of the epoch alone; the last 1 keeps it
    off the numbers that shuffle.
    """
    return np.random.default_rng([seed, epoch + 1, 1])


def dictionary(config: SAEConfig, params: Params) -> Array:
    """Decoder weights ``(n_latents, n_features)``, one row per latent."""
    return params["W_enc"].T if config.tied else params["W_dec"]


def normalize_decoder(config: SAEConfig, params: Params) -> dict[str, Array]:
    """Copy of the parameters with every dictionary row scaled to Euclidean norm 1."""
    name, axis = ("W_enc", 0) if config.tied else ("W_dec", 1)
    norm = np.linalg.norm(params[name], axis=axis, keepdims=True)
    return {**params, name: params[name] / np.maximum(norm, np.finfo(norm.dtype).tiny)}


def sigmoid(a: Array) -> Array:
    """Logistic function, without overflow for large negative arguments."""
    return np.where(a >= 0, 1, np.exp(-np.abs(a))) / (1 + np.exp(-np.abs(a)))


# Each entry: the function of the pre-activation, and its derivative written in the output.
FUNCTIONS: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "sigmoid": (sigmoid, lambda z: z * (1 - z)),
    "relu": (lambda a: np.maximum(a, 0), lambda z: (z > 0).astype(z.dtype)),
    "linear": (lambda a: a, np.ones_like),
}


@singledispatch
def code(
    sparsity: Sparsity | None, config: SAEConfig, params: Params, a: Array, training: bool
) -> Array:
    """Code of a pre-activation. A kind of sparsity that makes its own code registers here.

    `training` says whether the samples are a batch to learn from, for kinds that then look at all
    of it.
    """
    return FUNCTIONS[config.activation][0](a)


@singledispatch
def code_gradient(
    sparsity: Sparsity | None, config: SAEConfig, params: Params, a: Array, d_z: Array
) -> dict[str, Array]:
    """Gradients through `code` in training, from that with respect to the code ``z``.

    Returns
    -------
    dict of str to ndarray
        With respect to the pre-activation, ``a (n_samples, n_latents)``, and to each parameter that
        `code` reads.
    """
    function, slope = FUNCTIONS[config.activation]
    return {"a": d_z * slope(function(a))}


def largest(a: Array, k: int) -> Array:
    """Whether an entry is among the `k` largest of its row; the first of equals goes first."""
    mask = np.zeros(a.shape, dtype=bool)
    np.put_along_axis(mask, np.argsort(-a, axis=1, kind="stable")[:, :k], True, axis=1)
    return mask


@code.register
def _(sparsity: TopK, config: SAEConfig, params: Params, a: Array, training: bool) -> Array:
    return np.where(largest(a, sparsity.k), FUNCTIONS[config.activation][0](a), 0)


@code_gradient.register
def _(sparsity: TopK, config: SAEConfig, params: Params, a: Array, d_z: Array) -> dict[str, Array]:
    function, slope = FUNCTIONS[config.activation]
    return {"a": np.where(largest(a, sparsity.k), d_z * slope(function(a)), 0)}


def preactivation(config: SAEConfig, params: Params, x: Array) -> Array:
    """Encoder pre-activation ``a (n_samples, n_latents)`` of the samples."""
    seen = x - params["b_dec"] if config.pre_bias else x
    return seen @ params["W_enc"] + params["b_enc"]


def encode(config: SAEConfig, params: Params, x: Array) -> Array:
    """Code ``z (n_samples, n_latents)`` of the samples ``x (n_samples, n_features)``."""
    return code(config.sparsity, config, params, preactivation(config, params, x), training=False)


def decode_logits(config: SAEConfig, params: Params, z: Array) -> Array:
    """Decoder pre-activation ``o (n_samples, n_features)`` of the codes."""
    return z @ dictionary(config, params) + params["b_dec"]


def prefixes(config: SAEConfig) -> list[int]:
    """How many latents each reconstruction of a Matryoshka dictionary is made of; else all."""
    return np.cumsum(config.groups or (config.n_latents,)).tolist()


def decode(config: SAEConfig, params: Params, z: Array) -> Array:
    """Reconstruction ``x_hat (n_samples, n_features)`` of the codes."""
    return FUNCTIONS[config.output][0](decode_logits(config, params, z))


def clipped_rho_hat(z: Array) -> Array:
    """Mean activation of each latent over the batch, ``(n_latents,)``, kept off 0 and 1.

    A saturated latent has a mean of exactly 0 or 1 in floating point, and the logarithm of 0
    turns the loss into infinity and the gradients into NaN.
    """
    eps = np.finfo(z.dtype).eps
    return np.clip(z.mean(axis=0), eps, 1 - eps)


@singledispatch
def penalty(sparsity: Sparsity | None, z: Array) -> float:
    """Penalty on codes ``z (n_samples, n_latents)``, a scalar, of a kind that has one."""
    raise TypeError(f"sparsity must be a kind of sparsity or None, got {sparsity!r}.")


@singledispatch
def penalty_gradient(sparsity: Sparsity | None, z: Array) -> Array:
    """Gradient of `penalty` with respect to every entry of the code, ``(n_samples, n_latents)``."""
    raise TypeError(f"sparsity must be a kind of sparsity or None, got {sparsity!r}.")


@penalty.register(type(None))
def _(sparsity: None, z: Array) -> float:
    return z.dtype.type(0)


@penalty_gradient.register(type(None))
def _(sparsity: None, z: Array) -> Array:
    return np.zeros_like(z)


@penalty.register
def _(sparsity: L1, z: Array) -> float:
    return sparsity.weight * np.abs(z).sum(axis=1).mean()


@penalty_gradient.register
def _(sparsity: L1, z: Array) -> Array:
    return sparsity.weight * np.sign(z) / len(z)


@penalty.register
def _(sparsity: KL, z: Array) -> float:
    rho, rho_hat = sparsity.rho, clipped_rho_hat(z)
    kl = rho * np.log(rho / rho_hat) + (1 - rho) * np.log((1 - rho) / (1 - rho_hat))
    return sparsity.beta * kl.sum()


@penalty_gradient.register
def _(sparsity: KL, z: Array) -> Array:
    rho, rho_hat = sparsity.rho, clipped_rho_hat(z)
    d_rho_hat = np.where(rho_hat == z.mean(axis=0), (1 - rho) / (1 - rho_hat) - rho / rho_hat, 0)
    return sparsity.beta * np.broadcast_to(d_rho_hat / len(z), z.shape)


@singledispatch
def sparsity_loss(
    sparsity: Sparsity | None,
    config: SAEConfig,
    params: Params,
    x: Array,
    a: Array,
    z: Array,
    strength: float,
) -> float:
    """All that a kind of sparsity adds to the loss: its penalty times `strength`.

    A kind that adds something that depends on more than the code registers here.
    """
    return strength * penalty(sparsity, z)


@singledispatch
def sparsity_gradient(
    sparsity: Sparsity | None,
    config: SAEConfig,
    params: Params,
    x: Array,
    a: Array,
    z: Array,
    strength: float,
) -> dict[str, Array]:
    """Gradients of `sparsity_loss` with respect to ``z``, ``a`` and parameters, as far as any."""
    return {"z": strength * penalty_gradient(sparsity, z)}


@singledispatch
def update_kept(
    sparsity: Sparsity | None, config: SAEConfig, params: Params, a: Array, z: Array
) -> dict[str, Array]:
    """The parameters of ``KEPT`` after a step on a batch, those that change."""
    return {}


def reconstruction_loss(config: SAEConfig, o: Array, x: Array) -> float:
    """Mean over samples of the error summed over features; ``o`` is the decoder pre-activation."""
    if config.reconstruction == "bce":
        error = np.maximum(o, 0) - o * x + np.log1p(np.exp(-np.abs(o)))
    else:
        error = (FUNCTIONS[config.output][0](o) - x) ** 2
    return error.sum(axis=1).mean()


def loss_terms(
    config: SAEConfig,
    params: Params,
    x: Array,
    noisy: Array | None = None,
    strength: float = 1.0,
) -> dict[str, float]:
    """Every term of the loss of a training batch, and their sum.

    Parameters
    ----------
    config : SAEConfig
    params : dict of str to ndarray
    x : array (n_samples, n_features)
        The samples to rebuild.
    noisy : array (n_samples, n_features), optional
        What the encoder sees instead of ``x``: a denoising autoencoder (Vincent et al. 2008).
    strength : float
        Share of the sparsity penalty's weight that counts.

    Returns
    -------
    dict of str to float
        ``reconstruction``, ``sparsity``, ``weight_decay`` and their sum ``loss``.
    """
    a = preactivation(config, params, x if noisy is None else noisy)
    z = code(config.sparsity, config, params, a, training=True)
    D = dictionary(config, params)
    terms = {
        "reconstruction": sum(
            reconstruction_loss(config, z[:, :m] @ D[:m] + params["b_dec"], x)
            for m in prefixes(config)
        ),
        "sparsity": sparsity_loss(config.sparsity, config, params, x, a, z, strength),
        "weight_decay": config.weight_decay
        * sum((params[name] ** 2).sum() for name in ("W_enc", "W_dec") if name in params),
    }
    return {**terms, "loss": sum(terms.values())}


def gradients(
    config: SAEConfig,
    params: Params,
    x: Array,
    noisy: Array | None = None,
    strength: float = 1.0,
) -> dict[str, Array]:
    """Gradient of the loss with respect to every trained parameter, by back-propagation.

    The derivation is in the theory chapter. Arguments are those of `loss_terms`; returns a dict
    with the keys and shapes of `params`, those of ``KEPT`` apart.
    """
    n, x_in = len(x), x if noisy is None else noisy
    a = preactivation(config, params, x_in)
    z = code(config.sparsity, config, params, a, training=True)
    D = dictionary(config, params)
    d_z, d_D, d_b_dec = np.zeros_like(z), np.zeros_like(D), np.zeros_like(params["b_dec"])
    for m in prefixes(config):
        x_hat = FUNCTIONS[config.output][0](z[:, :m] @ D[:m] + params["b_dec"])
        if config.reconstruction == "bce":
            d_o = (x_hat - x) / n  # the sigmoid's slope cancels against the logarithm's
        else:
            d_o = 2 * (x_hat - x) / n * FUNCTIONS[config.output][1](x_hat)
        d_z[:, :m] += d_o @ D[:m].T
        d_D[:m] += z[:, :m].T @ d_o
        d_b_dec += d_o.sum(axis=0)
    added = sparsity_gradient(config.sparsity, config, params, x, a, z, strength)
    d_z += added.pop("z", 0)
    through = code_gradient(config.sparsity, config, params, a, d_z)
    d_a = through.pop("a") + added.pop("a", 0)
    seen = x_in - params["b_dec"] if config.pre_bias else x_in
    if config.pre_bias:
        d_b_dec -= params["W_enc"] @ d_a.sum(axis=0)
    grads = {"W_enc": seen.T @ d_a, "b_enc": d_a.sum(axis=0), "W_dec": d_D, "b_dec": d_b_dec}
    for name, gradient in (*added.items(), *through.items()):
        grads[name] = grads.get(name, 0) + gradient
    if config.tied:
        grads["W_enc"] += grads.pop("W_dec").T
    for name in ("W_enc", "W_dec"):
        if name in grads:
            grads[name] += 2 * config.weight_decay * params[name]
    return {name: grads[name] for name in params if name not in KEPT}


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
        rate = c.learning_rate if learning_rate is None else learning_rate
        for name, g in grads.items():
            self.m[name] = c.beta_1 * self.m[name] + (1 - c.beta_1) * g
            self.v[name] = c.beta_2 * self.v[name] + (1 - c.beta_2) * g**2
            m_hat = self.m[name] / (1 - c.beta_1**self.t)
            v_hat = self.v[name] / (1 - c.beta_2**self.t)
            updated[name] = params[name] - rate * m_hat / (np.sqrt(v_hat) + c.epsilon)
        return updated


def fit(
    config: SAEConfig,
    params: Params,
    x: ArrayLike,
    train_config: TrainConfig = TrainConfig(),
    corruption: Corruption | None = None,
) -> dict[str, Array]:
    """Parameters after training on ``x (n_samples, n_features)``, batch by batch.

    A corruption, a function of a batch and a generator, makes what the encoder sees of each batch.
    """
    optimizer, x = Adam(params, train_config), np.asarray(x, dtype=np.float64)
    n_steps = train_config.epochs * -(-len(x) // train_config.batch_size)
    for epoch in range(train_config.epochs):
        order = epoch_order(len(x), train_config.seed, epoch)
        noise = noise_generator(train_config.seed, epoch)
        for start in range(0, len(x), train_config.batch_size):
            batch = x[order[start : start + train_config.batch_size]]
            noisy = None if corruption is None else corruption(batch, noise)
            rate = train_config.learning_rate_at(optimizer.t, n_steps)
            strength = train_config.strength_at(optimizer.t)
            a = preactivation(config, params, batch if noisy is None else noisy)
            z = code(config.sparsity, config, params, a, training=True)
            kept = update_kept(config.sparsity, config, params, a, z)
            grads = gradients(config, params, batch, noisy, strength)
            params = {**optimizer.step(params, grads, rate), **kept}
            if config.unit_norm:
                params = normalize_decoder(config, params)
    return dict(params)
