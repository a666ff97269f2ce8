"""A wanted L0 in place of a price: it is reached, on data of any scale, and remembered."""

import numpy as np
import pytest
import torch

from saebook import KL, L1, Gated, JumpReLU, SAEConfig, TopK, TrainConfig, reference, weights
from saebook.kinds import L0_RATE, NEAR
from saebook.start import init_params
from saebook.sweep import fit_many

N_FEATURES, N_LATENTS = 32, 64


def planted(n_samples, seed):
    """Sums of some five out of 64 directions."""
    directions = np.random.default_rng(0).normal(size=(N_LATENTS, N_FEATURES))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    rng = np.random.default_rng([1, seed])
    active = rng.random((n_samples, N_LATENTS)) < 0.08
    return (active * rng.random(active.shape) @ directions).astype(np.float32)


X, X_VAL = planted(2048, 0), planted(2048, 1)
TRAINING = TrainConfig(epochs=200, batch_size=256, learning_rate=3e-3)  # 1,600 steps


@pytest.mark.parametrize(
    ("kind", "scale"),
    [
        (L1(l0=6), 1),
        (L1(l0=15), 100),  # the price that suits is 100 times as large
        (Gated(l0=6), 1),
        (Gated(l0=15), 30),
        (JumpReLU(l0=6), 1),
        (JumpReLU(bandwidth=1.0, threshold=1.0, l0=15), 10),
    ],
    ids=str,
)
def test_as_many_latents_are_active_as_are_wanted(framework, kind, scale):
    config = SAEConfig(N_FEATURES, N_LATENTS, sparsity=kind, unit_norm=True)
    model = framework.SparseAutoencoder(config, device="cpu")
    history = framework.fit(model, scale * X, TRAINING, progress=False)
    found = framework.evaluate(model, scale * X_VAL)
    assert history["l0"][-1] == pytest.approx(kind.l0, rel=0.1)
    assert found["l0"] == pytest.approx(kind.l0, rel=0.1)
    assert float(model.to_numpy()["price"]) != kind.weight


def test_the_price_moves_by_a_share_of_the_logarithm():
    config = SAEConfig(4, 8, sparsity=L1(0.5, l0=2.0))
    params = init_params(config) | {"price": np.array(3.0)}
    z = np.zeros((5, 8))
    for n_active, off in ((2, 0), (3, np.log(1.5)), (1, np.log(0.5)), (8, np.log(4)), (0, -2)):
        z[:] = np.arange(8) < n_active
        price = reference.update_counted(config, params, z, z)["price"]
        assert price == pytest.approx(3 * np.exp(L0_RATE * off), rel=1e-12)
    # A loss at a price of 3 is that of a model with a weight of 3.
    x = np.random.default_rng(0).random((5, 4))
    fixed = SAEConfig(4, 8, sparsity=L1(3.0))
    plain = {name: value for name, value in params.items() if name != "price"}
    assert reference.loss_terms(config, params, x) == pytest.approx(
        reference.loss_terms(fixed, plain, x)
    )


@pytest.mark.parametrize(
    ("a", "off"),
    [
        ([[5, 5, 1, -1], [5, 1, 1, -1]], np.log(1.5 / 2) + NEAR),  # 2 are wanted
        ([[5, 5, 5, -1], [5, 5, 5, 5]], np.log(3.5 / 2) - NEAR),
        ([[5, 5, 5, -1]] + 20 * [[5, 5, -1, -1]], 0),  # near enough
        ([[1, 1, 1, 1]], -2 + NEAR),  # none
        ([[5, 1, -1, -1], [5, -1, -1, -1]], np.log(1 / 1.5) + NEAR),  # no more than 1.5 are above 0
        ([[5, -1, -1, -1]], 0),
        ([[-1, -1, -1, -1]], 0),
    ],
)
def test_the_thresholds_of_jump_relu_move_together(framework, tensor, a, off):
    config = SAEConfig(4, 4, sparsity=JumpReLU(l0=2.0))
    params, a = init_params(config), np.array(a, float)
    params["log_threshold"] = np.log([2.0, 2.0, 3.0, 4.0])
    z = np.where(a > 2, a, 0)  # as all thresholds here have it
    expected = params["log_threshold"] + L0_RATE * off
    counted = reference.update_counted(config, params, a, z)
    np.testing.assert_allclose(counted["log_threshold"], expected, rtol=1e-12)
    model = framework.SparseAutoencoder(config, dtype="float64", device="cpu")
    model.from_numpy(params)
    with torch.no_grad():
        model.kind.count(tensor(a), tensor(z))
    np.testing.assert_allclose(model.to_numpy()["log_threshold"], expected, rtol=1e-12)


@pytest.mark.parametrize("scale", [0.01, 1, 100])
def test_jump_relu_has_its_latents_within_some_hundred_steps(framework, scale):
    """A gradient alone left half of those that were wanted, after as many."""
    config = SAEConfig(N_FEATURES, N_LATENTS, sparsity=JumpReLU(l0=6))
    model = framework.SparseAutoencoder(config, device="cpu")
    history = framework.fit(model, scale * X, TrainConfig(epochs=40), progress=False)  # 320 steps
    assert history["l0"][-1] == pytest.approx(6, rel=0.1)


def test_thresholds_stay_where_fewer_latents_are_above_0_than_are_wanted(framework):
    """They would fall until their exponentials are 0, and the window's width with them."""
    config = SAEConfig(N_FEATURES, N_LATENTS, sparsity=JumpReLU(l0=60))
    model = framework.SparseAutoencoder(config, device="cpu")
    params = model.to_numpy()
    params["b_enc"][8:] = -100.0  # eight are left
    model.from_numpy(params)
    training = TrainConfig(epochs=1500, batch_size=256, learning_rate=1e-4, init="given")
    with pytest.warns(UserWarning, match="l0=60 was not reached"):
        framework.fit(model, X[:256], training, progress=False)
    lowest = model.to_numpy()["log_threshold"].min()
    assert -12 < lowest < np.log(0.1)


def test_both_frameworks_and_the_reference_train_alike():
    from saebook import pytorch, tensorflow

    for kind in (L1(l0=6), Gated(l0=6), JumpReLU(bandwidth=1.0, threshold=0.05, l0=6)):
        config = SAEConfig(N_FEATURES, 16, sparsity=kind, unit_norm=True)
        training = TrainConfig(epochs=3, batch_size=64, init="given")
        x = X[:256].astype(np.float64)
        expected = reference.fit(config, init_params(config), x, training)
        assert expected["price"] != kind.weight
        for framework in (pytorch, tensorflow):
            model = framework.SparseAutoencoder(config, dtype="float64", device="cpu")
            framework.fit(model, x, training, progress=False)
            for name, value in model.to_numpy().items():
                np.testing.assert_allclose(value, expected[name], rtol=1e-9, atol=1e-12)


def test_training_goes_on_from_the_price_that_was_found(framework, tmp_path):
    config = SAEConfig(N_FEATURES, 16, sparsity=L1(l0=4))
    once, twice = (framework.SparseAutoencoder(config, device="cpu") for _ in range(2))
    framework.fit(once, X, TrainConfig(epochs=4), progress=False)
    place = tmp_path / "run"
    framework.fit(twice, X, TrainConfig(epochs=2), checkpoint=place, progress=False)
    model = framework.SparseAutoencoder(config, device="cpu")
    framework.fit(model, X, TrainConfig(epochs=4), checkpoint=place, progress=False)
    assert model.to_numpy()["price"] == once.to_numpy()["price"]
    weights.save(model, tmp_path / "model.safetensors")
    config, params = weights.read(tmp_path / "model.safetensors")
    assert config.sparsity == L1(l0=4)
    assert params["price"] == once.to_numpy()["price"]
    price = float(params["price"])
    framework.fit(model, X, TrainConfig(epochs=1), progress=False)  # and not from the beginning
    assert float(model.to_numpy()["price"]) == pytest.approx(price, rel=0.2)


def test_a_file_of_a_given_price_is_as_before(tmp_path):
    settings = weights.config_to_dict(SAEConfig(4, 3, sparsity=L1(0.3)))
    assert settings["sparsity"] == {"kind": "L1", "weight": 0.3}
    assert weights.config_from_dict(settings).sparsity == L1(0.3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: L1(l0=0), "L1.l0 must be a finite number above 0, got 0"),
        (lambda: Gated(l0=True), "Gated.l0 must be a finite number above 0, got True"),
        (lambda: JumpReLU(0.0, l0=3), "JumpReLU.weight must be above 0, to start from, where l0"),
        (lambda: SAEConfig(9, 8, sparsity=L1(l0=8)), "L1.l0 must be below n_latents, which is 8"),
        (
            lambda: SAEConfig(9, 8, "sigmoid", sparsity=L1(l0=2)),
            "activation must be 'relu' when L1.l0 is set",
        ),
    ],
)
def test_what_cannot_be_wanted_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
    for kind in (KL, TopK):
        with pytest.raises(TypeError):
            kind(l0=3)


def test_a_sweep_has_no_moving_prices(framework):
    models = [
        framework.SparseAutoencoder(SAEConfig(4, 8, sparsity=L1(l0=l0)), device="cpu")
        for l0 in (2, 3)
    ]
    with pytest.raises(ValueError, match="models must have prices that stay, got L1"):
        fit_many(models, X[:8, :4])
