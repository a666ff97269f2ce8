"""Several models trained at once, against the same models trained one by one."""

from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest

from saebook import KL, L1, BatchTopK, Gated, JumpReLU, SAEConfig, TopK, TrainConfig, parity

TRAINING = TrainConfig(epochs=3, batch_size=32, decay_steps=4, sparsity_warmup_steps=3)
RELU = {"activation": "relu", "output": "linear"}
SWEEPS = {
    "rho": [SAEConfig(12, 8, sparsity=KL(rho, 0.1)) for rho in (0.05, 0.1, 0.2)],
    "beta and rho": [SAEConfig(12, 8, sparsity=KL(0.3 - b, b)) for b in (0.05, 0.1, 0.2)],
    "close": [SAEConfig(12, 8, sparsity=KL(0.1, b)) for b in (1.0, 1.001)],
    "seeds": [SAEConfig(12, 8, **RELU)] * 3,
    "weight": [SAEConfig(12, 8, sparsity=L1(w), unit_norm=True, **RELU) for w in (0.1, 0.2)],
    "tied": [SAEConfig(12, 8, sparsity=L1(w), unit_norm=True, tied=True, **RELU) for w in (0, 0.2)],
    "JumpReLU": [
        SAEConfig(12, 8, sparsity=JumpReLU(weight=w), pre_bias=False, **RELU) for w in (0.1, 0.2)
    ],
    "Gated": [SAEConfig(12, 8, sparsity=Gated(weight=w), **RELU) for w in (0.1, 0.2)],
    "Matryoshka": [SAEConfig(12, 8, sparsity=L1(w), groups=(2, 6), **RELU) for w in (0.1, 0.2)],
}


@pytest.fixture
def fit_many(framework):
    return import_module(f"{framework.__name__}.sweep").fit_many


def models_of(framework, configs, dtype="float64"):
    return [
        framework.SparseAutoencoder(config, seed=seed, dtype=dtype, device="cpu")
        for seed, config in enumerate(configs)
    ]


@pytest.mark.parametrize("name", SWEEPS)
def test_together_as_one_by_one(framework, fit_many, name):
    x = parity.samples()
    together, alone = (models_of(framework, SWEEPS[name]) for _ in range(2))
    # At the rate of 784 features: with the larger one of twelve, rounding grows beyond 1e-12.
    training = TRAINING.settled(replace(together[0].config, n_features=784))
    histories = fit_many(together, x, training)
    for model, other, history in zip(together, alone, histories, strict=True):
        expected = framework.fit(other, x, training)
        assert set(history) == set(expected)
        for key, values in expected.items():
            np.testing.assert_allclose(history[key], values, rtol=1e-11, err_msg=key)
        for key, value in other.to_numpy().items():
            assert parity.relative_difference(model.to_numpy()[key], value) < 1e-12, key
        assert model.config == other.config


def test_weights_of_a_single_precision(framework, fit_many):
    x = parity.samples().astype(np.float32)
    together, alone = (models_of(framework, SWEEPS["rho"], "float32") for _ in range(2))
    fit_many(together, x, TRAINING)
    for model, other in zip(together, alone, strict=True):
        framework.fit(other, x, TRAINING)
        for key, value in other.to_numpy().items():
            assert parity.relative_difference(model.to_numpy()[key], value) < 1e-5, key


@pytest.mark.parametrize(
    ("configs", "message"),
    [
        ([], "at least one model"),
        ([SAEConfig(12, 8, sparsity=TopK(2), **RELU)], "without ranks, got TopK"),
        ([SAEConfig(12, 8, sparsity=BatchTopK(2), **RELU)], "without ranks, got BatchTopK"),
        ([SAEConfig(12, 8), SAEConfig(12, 9)], "must differ in weights and sparsity alone"),
        ([SAEConfig(12, 8, sparsity=KL()), SAEConfig(12, 8)], "the same kind of sparsity"),
        (
            [SAEConfig(12, 8, sparsity=JumpReLU(0.1, width)) for width in (None, 0.2)],
            r"must all give bandwidth, or none of them, got \[None, 0\.2\]",
        ),
    ],
)
def test_models_that_do_not_go_together(framework, fit_many, configs, message):
    with pytest.raises(ValueError, match=message):
        fit_many(models_of(framework, configs), parity.samples(), TRAINING)


def test_the_same_model_twice(framework, fit_many):
    (model,) = models_of(framework, [SAEConfig(12, 8)])
    with pytest.raises(ValueError, match="the same one twice"):
        fit_many([model, model], parity.samples(), TRAINING)


def test_data_that_are_not_in_memory_are_refused(framework, fit_many):
    x = parity.samples()
    with pytest.raises(ValueError, match=r"array in memory .*, got list"):
        fit_many(models_of(framework, SWEEPS["seeds"]), [x, x], TrainConfig(epochs=1))


def test_no_mixed_precision(framework, fit_many):
    training = TrainConfig(mixed_precision=True)
    with pytest.raises(ValueError, match="mixed_precision must be False"):
        fit_many(models_of(framework, [SAEConfig(12, 8)]), parity.samples(), training)


def test_a_model_that_diverges_is_an_error(framework, fit_many):
    x = parity.samples().astype(np.float32)
    models = models_of(framework, SWEEPS["seeds"], "float32")
    with np.errstate(over="ignore"), pytest.raises(FloatingPointError):
        fit_many(models, x, TrainConfig(epochs=2, learning_rate=1e20))
