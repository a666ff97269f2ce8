"""The parity ledger: how far each framework is from the float64 NumPy reference.

Four quantities are compared, for every combination of options: the reconstruction (``forward``),
each term of the ``loss``, each parameter's ``gradient``, and all parameters after 500 steps of
training with ``fit`` (``weights``).

The samples come in two groups, and every latent starts out for one and against the other, so that
no pre-activation comes near 0. At 0 a ReLU and the L1 penalty have a kink, where rounding decides
on which side a sample falls, and two correct programs part by far more than rounding. For the same
reason half of TopK's latents start far ahead of the others, so that rounding does not choose.
"""

import warnings
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from importlib import import_module
from itertools import chain, product
from typing import Any

import numpy as np

from saebook import reference
from saebook._types import Array, ArrayLike
from saebook.config import SAEConfig, TrainConfig
from saebook.kinds import KINDS, KL, L1, BatchTopK, JumpReLU, Ranked, Sparsity, TopK
from saebook.start import init_params

FRAMEWORKS = ("pytorch", "tensorflow")
TOLERANCE = {"float64": 1e-12, "float32": 1e-5}
QUANTITIES = ("forward", "loss", "gradient", "weights")
N_SAMPLES, N_FEATURES, N_LATENTS = 100, 12, 8
TRAINING = TrainConfig(epochs=125, batch_size=32, learning_rate=1e-4, seed=1)  # 500 steps


def samples() -> Array:
    """The ledger's data: ``(100, 12)`` numbers in [0, 1); each sample is bright in one half."""
    x = 0.3 * np.random.default_rng(0).random((N_SAMPLES, N_FEATURES))
    return x + 0.7 * _halves(N_SAMPLES)


def start(config: SAEConfig) -> dict[str, Array]:
    """The ledger's initial parameters: half of `init_params`, and a half to lean to."""
    params = init_params(config, seed=2)
    params["W_enc"] = 0.5 * params["W_enc"] + 0.3 * (2 * _halves(N_LATENTS) - 1).T
    if isinstance(config.sparsity, Ranked):
        params["b_enc"][: N_LATENTS // 2] = 2.0
        if isinstance(config.sparsity, BatchTopK):
            params["threshold"] += 1 + 2.45  # learned, and clear of the samples on both sides
        if config.sparsity.aux:  # the others are dead, and as far apart
            params["b_enc"][N_LATENTS // 2 :] = 0.9, -0.3, 0.2, -2.2
            params["silent"][N_LATENTS // 2 :] = config.sparsity.aux.dead_after
    if isinstance(config.sparsity, JumpReLU):  # all within the window; the last latent above it
        params["b_enc"] += 0.5
        params["b_enc"][-1] += 5.0
    return reference.normalize_decoder(config, params) if config.unit_norm else params


def _halves(n: int) -> Array:
    """1 in one half of the features and 0 in the other; every third row has the first half."""
    rows, features = np.arange(n)[:, None], np.arange(N_FEATURES)
    return ((rows % 3 == 0) == (features < N_FEATURES // 2)).astype(float)


CLASSIC = (None, KINDS[L1][0], *KINDS[KL], TopK(2))


def configs() -> list[SAEConfig]:
    """The configurations that are compared: `classic` ones and `modern` ones."""
    return [*classic(), *modern()]


def config_of(activation: str, *rest: Any, **options: Any) -> SAEConfig:
    """A model of the ledger's size."""
    return SAEConfig(N_FEATURES, N_LATENTS, activation, *rest, **options)


def activations_of(kind: Sparsity | None) -> tuple[str, ...]:
    """The functions that may make its code."""
    if getattr(kind, "l0", None):
        return ("relu",)
    return kind.activations if kind else Sparsity.activations


def classic() -> list[SAEConfig]:
    """All allowed combinations of the classic kinds of sparsity and the options they know."""
    outputs = (("linear", "squared_error"), ("sigmoid", "squared_error"), ("sigmoid", "bce"))
    switches = (False, True), (False, True), (0.0, 0.01)
    return [
        config_of(activation, output, error, kind, tied, unit_norm, weight_decay, pre_bias=False)
        for kind, activation, (output, error), tied, unit_norm, weight_decay in product(
            CLASSIC, ("sigmoid", "relu", "linear"), outputs, *switches
        )
        if activation in activations_of(kind)
    ]


def modern() -> list[SAEConfig]:
    """Every other row of ``saebook.kinds.KINDS``, alone and with a pre-bias and nested groups.

    With the decoder free, of unit norm, and tied; the classic kinds only with pre-bias and groups.
    """
    decoders = (False, False), (False, True), (True, False)
    options = (False, None), (True, (2, 1, 5))
    return [
        config_of(
            activation, "linear", sparsity=kind,
            tied=tied, unit_norm=unit_norm, pre_bias=pre_bias, groups=groups,
        )
        for kind in sorted(chain(*KINDS.values()), key=lambda kind: kind in CLASSIC)
        for activation in activations_of(kind)[: 1 if kind in CLASSIC else None]
        for (tied, unit_norm), (pre_bias, groups) in product(decoders, options)
        if groups or kind not in CLASSIC
    ]  # fmt: skip


def relative_difference(a: ArrayLike, b: ArrayLike) -> float:
    """Euclidean norm of ``a - b`` over that of ``b``; 0 if the two are equal, zeros included."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.shape != b.shape:
        raise ValueError(f"a must have the shape of b, {b.shape}, got {a.shape}.")
    distance = np.linalg.norm(a - b)
    return float(distance / np.linalg.norm(b)) if distance else 0.0


def _worst(found: Mapping[str, ArrayLike], expected: Mapping[str, ArrayLike]) -> float:
    if list(found) != list(expected):
        raise ValueError(f"found must have the keys {list(expected)}, got {list(found)}.")
    # NumPy's maximum, because Python's loses a NaN
    return float(np.max([relative_difference(found[name], expected[name]) for name in expected]))


def compare(
    framework: str,
    config: SAEConfig,
    dtype: str = "float64",
    train_config: TrainConfig | None = TRAINING,
) -> dict[str, float]:
    """Relative differences of one framework from the reference, for one configuration.

    Parameters
    ----------
    framework : {"pytorch", "tensorflow"}
    config : SAEConfig
    dtype : {"float64", "float32"}
    train_config : TrainConfig or None
        None leaves the training out, and ``weights`` with it.

    Returns
    -------
    dict of str to float
        The largest relative difference of each of the four `QUANTITIES`.
    """
    with _on_cpu(framework):
        return _compare(
            import_module(f"saebook.{framework}"), framework, config, dtype, train_config
        )


def _compare(
    package: Any, framework: str, config: SAEConfig, dtype: str, train_config: TrainConfig | None
) -> dict[str, float]:
    model = package.SparseAutoencoder(config, dtype=dtype, device="cpu").from_numpy(start(config))
    x = samples().astype(dtype)
    batch = _tensor(framework, x)
    found = {
        "forward": {"x_hat": package.reconstruct(model, x)},
        "loss": {name: _number(term) for name, term in package.loss_terms(model, batch).items()},
        "gradient": package.gradients(model, batch),
    }
    if train_config is not None:
        with warnings.catch_warnings():  # so short a training need not lead anywhere
            warnings.simplefilter("ignore", UserWarning)
            package.fit(model, x, train_config)
        found["weights"] = model.to_numpy()
    expected = _expected(config, train_config)
    return {name: _worst(found[name], expected[name]) for name in found}


@lru_cache(maxsize=512)
def _expected(config: SAEConfig, train_config: TrainConfig | None) -> dict[str, Any]:
    x, params = samples(), start(config)
    return {
        "forward": {"x_hat": reference.decode(config, params, reference.encode(config, params, x))},
        "loss": reference.loss_terms(config, params, x),
        "gradient": reference.gradients(config, params, x),
        "weights": train_config and reference.fit(config, params, x, train_config),
    }


def _on_cpu(framework: str) -> AbstractContextManager[Any]:
    """TensorFlow computes on a GPU what nobody tells it to compute elsewhere."""
    return (
        import_module("tensorflow").device("cpu:0") if framework == "tensorflow" else nullcontext()
    )


def _tensor(framework: str, x: Array) -> Any:
    if framework == "pytorch":
        return import_module("torch").as_tensor(x)
    return import_module("tensorflow").convert_to_tensor(x)


def _number(scalar: Any) -> float:
    return float(scalar.detach() if hasattr(scalar, "detach") else scalar)
