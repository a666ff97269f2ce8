"""The specification itself, against calculus and against numbers worked out by hand."""

import dataclasses

import numpy as np
import pytest

from saebook import KL, L1, Gated, JumpReLU, SAEConfig, TopK, TrainConfig, parity, reference
from saebook.parameters import counted_names
from saebook.start import epoch_order, init_from_samples, init_params

# Where a step or a stopped gradient is at work the loss is not what is differentiated: test_modern.
FROZEN = (JumpReLU, Gated)


def central_differences(config, params, x, noisy=None, step=1e-5):
    """Gradient of the loss by moving one parameter at a time."""
    grads = {}
    for name, value in params.items():
        if name in counted_names(config):
            continue
        grads[name] = np.zeros_like(value)
        for index in np.ndindex(value.shape):
            losses = []
            for sign in (1, -1):
                moved = value.copy()
                moved[index] += sign * step
                terms = reference.loss_terms(config, {**params, name: moved}, x, noisy)
                losses.append(terms["loss"])
            grads[name][index] = (losses[0] - losses[1]) / (2 * step)
    return grads


@pytest.mark.parametrize(
    "config", [c for c in parity.configs() if type(c.sparsity) not in FROZEN], ids=str
)
def test_gradients_agree_with_central_differences(config):
    groups, kind = config.groups and (1, 3), config.sparsity
    if getattr(kind, "l0", None):
        kind = dataclasses.replace(kind, l0=2.0)
    config = dataclasses.replace(config, n_features=5, n_latents=4, groups=groups, sparsity=kind)
    rng = np.random.default_rng(3)
    params = {k: v + 0.1 * rng.normal(size=v.shape) for k, v in init_params(config, 4).items()}
    x = rng.random((6, 5))
    found = reference.gradients(config, params, x)
    expected = central_differences(config, params, x)
    assert list(found) == list(expected)
    for name in found:
        assert parity.relative_difference(found[name], expected[name]) < 1e-8, name


def test_kl_and_its_gradient_by_hand():
    z = np.array([[0.2, 0.5], [0.4, 0.5]])  # rho_hat = 0.3, 0.5
    kind = KL(rho=0.5, beta=2.0)
    expected = 2 * (0.5 * np.log(0.5 / 0.3) + 0.5 * np.log(0.5 / 0.7))
    assert reference.penalty(kind, z) == pytest.approx(expected, rel=1e-14)
    slope = 2 * (-0.5 / 0.3 + 0.5 / 0.7) / 2
    np.testing.assert_allclose(reference.penalty_gradient(kind, z), [[slope, 0]] * 2, rtol=1e-13)


def test_kl_is_zero_at_rho_and_pays_nothing_for_a_constant_unit():
    assert reference.penalty(KL(rho=0.1), np.full((7, 3), 0.1)) == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_kl_of_a_saturated_code_is_finite(value):
    z = np.full((5, 2), value)
    assert np.isfinite(reference.penalty(KL(), z))
    assert np.all(np.isfinite(reference.penalty_gradient(KL(), z)))


def test_l1_is_a_sum_over_latents_and_a_mean_over_samples():
    z = np.array([[1.0, -2.0, 0.0], [0.0, 0.0, 4.0]])
    assert reference.penalty(L1(0.5), z) == pytest.approx(0.5 * (3 + 4) / 2)
    np.testing.assert_array_equal(
        reference.penalty_gradient(L1(0.5), z), 0.25 * np.array([[1, -1, 0], [0, 0, 1]])
    )


def test_squared_error_is_a_sum_over_features_and_a_mean_over_samples():
    config = SAEConfig(3, 1, output="linear")
    x = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 1.0]])
    assert reference.reconstruction_loss(config, np.zeros((2, 3)), x) == pytest.approx((14 + 1) / 2)


def test_bce_of_large_logits_neither_overflows_nor_loses_the_sample():
    config = SAEConfig(2, 1, reconstruction="bce")
    o = np.array([[800.0, -800.0]])
    assert reference.reconstruction_loss(config, o, np.array([[1.0, 0.0]])) == 0
    assert reference.reconstruction_loss(config, o, np.array([[0.0, 0.0]])) == 800


def test_weight_decay_counts_weights_and_not_biases():
    config = SAEConfig(3, 2, weight_decay=0.1)
    params = {name: np.ones(shape) for name, shape in reference.parameter_shapes(config).items()}
    assert reference.loss_terms(config, params, np.ones((1, 3)))["weight_decay"] == pytest.approx(
        1.2
    )
    tied = dataclasses.replace(config, tied=True)
    del params["W_dec"]
    assert reference.loss_terms(tied, params, np.ones((1, 3)))["weight_decay"] == pytest.approx(0.6)


def test_topk_keeps_the_largest_and_of_equals_the_first():
    config = SAEConfig(5, 5, activation="linear", sparsity=TopK(2))
    a = np.array([[1.0, 3, 2, 3, 3], [-1, -2, -3, -4, -5], [0, 0, 0, 0, 0]])
    expected = [[0, 3, 0, 3, 0], [-1, -2, 0, 0, 0], [0, 0, 0, 0, 0]]
    np.testing.assert_array_equal(reference.code(config.sparsity, config, {}, a, True), expected)
    relu = dataclasses.replace(config, activation="relu")
    np.testing.assert_array_equal(reference.code(relu.sparsity, relu, {}, a, True)[1], 0)
    slopes = reference.code_gradient(config.sparsity, config, {}, a, np.ones_like(a))["a"]
    np.testing.assert_array_equal(slopes[2], [1, 1, 0, 0, 0])


def test_the_gradient_of_a_denoising_loss():
    """The encoder sees the noisy samples, the error is taken against the clean ones."""
    config, rng = SAEConfig(5, 4, sparsity=KL(0.1, 0.5)), np.random.default_rng(0)
    x, noisy, params = rng.random((6, 5)), rng.random((6, 5)), init_params(config, 1)
    found = reference.gradients(config, params, x, noisy)
    expected = central_differences(config, params, x, noisy)
    for name in params:
        assert parity.relative_difference(found[name], expected[name]) < 1e-8, name
    assert (
        parity.relative_difference(reference.gradients(config, params, x)["W_enc"], found["W_enc"])
        > 0.1
    )


def test_unit_norm_scales_dictionary_rows_at_the_start_and_after_training():
    for tied in (False, True):
        config = SAEConfig(6, 4, unit_norm=True, tied=tied)
        params = init_params(config, 0)
        trained = reference.fit(
            config, params, np.random.default_rng(0).random((9, 6)), TrainConfig(epochs=2)
        )
        for p in (params, trained):
            norms = np.linalg.norm(reference.dictionary(config, p), axis=1)
            np.testing.assert_allclose(norms, 1, rtol=1e-14)
        assert not np.allclose(trained["W_enc"], params["W_enc"])


def test_a_dictionary_row_of_zeros_stays_zero_when_normalised():
    config = SAEConfig(3, 2, unit_norm=True)
    params = {**init_params(config), "W_dec": np.array([[0.0, 0, 0], [0, 3, 4]])}
    normed = reference.normalize_decoder(config, params)["W_dec"]
    np.testing.assert_allclose(normed, [[0, 0, 0], [0, 0.6, 0.8]])


def test_adam_first_step_is_the_learning_rate_whatever_the_gradient():
    params = {"w": np.array([1.0, 1.0, 1.0])}
    optimizer = reference.Adam(params, TrainConfig(learning_rate=0.1, epsilon=1e-30))
    stepped = optimizer.step(params, {"w": np.array([1e-6, -3.0, 50.0])})
    np.testing.assert_allclose(stepped["w"], [0.9, 1.1, 0.9])


def test_epoch_order_visits_every_sample_once_and_depends_on_seed_and_epoch_alone():
    orders = {
        (seed, epoch): tuple(epoch_order(50, seed, epoch)) for seed in (0, 1) for epoch in (0, 1, 2)
    }
    assert all(sorted(order) == list(range(50)) for order in orders.values())
    assert len(set(orders.values())) == len(orders)
    assert tuple(epoch_order(50, 1, 2)) == orders[1, 2]


def test_initial_weights_and_the_first_order_come_from_different_streams():
    """NumPy seeds (7,) and (7, 0) alike; the weights must not repeat the shuffling's numbers."""
    assert np.random.default_rng(7).random() == np.random.default_rng([7, 0]).random()
    order = epoch_order(1000, 7, 0)
    assert not np.array_equal(order, np.random.default_rng(7).permutation(1000))


@pytest.mark.parametrize("unit_norm", [False, True])
@pytest.mark.parametrize("tied", [False, True])
def test_latents_that_begin_at_samples(tied, unit_norm):
    x = np.random.default_rng(0).random((50, 6))
    config = SAEConfig(6, 20, "relu", "linear", tied=tied, unit_norm=unit_norm)
    params = init_from_samples(config, x, seed=1, norm=0.3)
    assert {k: v.shape for k, v in params.items()} == reference.parameter_shapes(config)
    W_dec, centred = reference.dictionary(config, params), x - x.mean(axis=0)
    np.testing.assert_allclose(np.linalg.norm(W_dec, axis=1), 1.0 if unit_norm else 0.3)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    cosines = (W_dec / np.linalg.norm(W_dec, axis=1, keepdims=True)) @ unit.T
    np.testing.assert_allclose(cosines.max(axis=1), 1)  # each latent is a sample,
    assert len(np.unique(cosines.argmax(axis=1))) == 20  # and no two are the same one
    np.testing.assert_allclose(
        reference.preactivation(config, params, x), centred @ W_dec.T, atol=1e-12
    )
    again = init_from_samples(config, x, seed=1, norm=0.3)
    assert all(np.array_equal(again[name], params[name]) for name in params)


def test_a_sample_that_is_the_mean_gives_a_latent_of_zeros():
    config = SAEConfig(3, 4, "relu", "linear", tied=True)
    params = init_from_samples(config, [[0, 0, 0], [1, 1, 1], [2, 2, 2.0], [1, 1, 1]], norm=1)
    assert np.count_nonzero(params["W_enc"].any(axis=0)) == 2


@pytest.mark.parametrize(
    ("options", "x", "message"),
    [
        ({"output": "sigmoid"}, np.ones((9, 6)), "config must have output='linear'"),
        ({}, np.ones((3, 6)), "x must hold different samples, got 3 equal ones"),
        ({}, np.ones((0, 6)), r"n_samples >= 1, 6\), got \(0, 6\)"),
        ({}, np.ones((9, 5)), r"got \(9, 5\)"),
        ({}, np.ones(6), r"got \(6,\)"),
    ],
)
def test_what_latents_cannot_begin_at(options, x, message):
    config = SAEConfig(6, 4, activation="relu", **{"output": "linear", **options})
    with pytest.raises(ValueError, match=message):
        init_from_samples(config, x)
