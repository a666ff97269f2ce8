"""The kinds since 2024: identities between them, gradients by formula, and others' known mistakes.

A mistake that some published library makes has a test here that names it.
"""

import dataclasses

import numpy as np
import pytest

from saebook import (
    L1,
    AuxK,
    BatchTopK,
    Gated,
    JumpReLU,
    SAEConfig,
    TopK,
    TrainConfig,
    data,
    metrics,
    parity,
    reference,
)
from saebook.checkpoint import Checkpoint
from saebook.kinds import THRESHOLD_RATE
from saebook.start import geometric_median, init_from_samples, init_params, init_tied

RNG = np.random.default_rng(0)
X = RNG.random((40, 6))


def config_of(sparsity=None, **options):
    return SAEConfig(6, 5, "relu", "linear", sparsity=sparsity, **{"pre_bias": False} | options)


def random_params(config, seed=1):
    """Parameters none of which is 0, as after some training."""
    rng = np.random.default_rng(seed)
    params = {
        name: value + 0.3 * rng.normal(size=value.shape)
        for name, value in init_params(config, seed).items()
    }
    if "threshold" in params:
        params["threshold"] = np.array(0.4)
    if "silent" in params:
        params["silent"] = np.array([0.0, 90, 0, 90, 90])
    return params


def model_of(framework, config, params=None):
    model = framework.SparseAutoencoder(config, dtype="float64", device="cpu")
    return model.from_numpy(random_params(config) if params is None else params)


# Identities


@pytest.mark.parametrize("tied", [False, True])
def test_a_gated_model_is_a_jumprelu_model(tied):
    """Rajamanoharan et al. (2024a): theta = b_mag - e^r b_gate, where that is positive."""
    gated = config_of(Gated(), tied=tied)
    params = random_params(gated)
    scale = np.exp(params["r_mag"])
    params["b_mag"] = scale * params["b_enc"] + np.linspace(0.05, 0.5, 5)
    jump = {
        "W_enc": params["W_enc"] * scale,
        "b_enc": params["b_mag"],
        "W_dec": reference.dictionary(gated, params),
        "b_dec": params["b_dec"],
        "log_threshold": np.log(params["b_mag"] - scale * params["b_enc"]),
    }
    z = reference.encode(gated, params, X)
    assert 0.1 < (z > 0).mean() < 0.9
    np.testing.assert_allclose(reference.encode(config_of(JumpReLU()), jump, X), z, rtol=1e-12)


@pytest.mark.parametrize("kind", [TopK(5), BatchTopK(5)])
def test_topk_of_all_latents_is_the_plain_relu_model(framework, kind):
    plain, params = config_of(), init_params(config_of(), 1)
    own = {"threshold": np.array(0.0)} if isinstance(kind, BatchTopK) else {}
    found = []
    for config, more in ((plain, {}), (config_of(kind), own)):
        model = model_of(framework, config, params | more)
        np.testing.assert_array_equal(framework.encode(model, X) >= 0, True)
        framework.fit(model, X, TrainConfig(epochs=3, batch_size=16))
        found.append(model.to_numpy())
    for name in params:
        np.testing.assert_array_equal(found[0][name], found[1][name])


@pytest.mark.parametrize("kind", [None, L1(0.1), TopK(2), BatchTopK(2), JumpReLU(), Gated()])
def test_matryoshka_of_one_group_is_its_base(framework, kind):
    found = []
    for groups in (None, (5,)):
        config = config_of(kind, groups=groups)
        model = model_of(framework, config)
        framework.fit(model, X, TrainConfig(epochs=2, batch_size=16))
        found.append(model.to_numpy())
        grads = reference.gradients(config, random_params(config), X)
        found[-1] |= {f"d_{name}": gradient for name, gradient in grads.items()}
    for name in found[0]:
        np.testing.assert_allclose(found[0][name], found[1][name], rtol=1e-12, atol=1e-14)


def test_the_error_of_nested_groups_is_the_sum_over_prefixes():
    config = config_of(groups=(1, 3, 1))
    params = random_params(config)
    z = reference.encode(config, params, X)
    expected = 0
    for m in (1, 4, 5):
        x_hat = z[:, :m] @ params["W_dec"][:m] + params["b_dec"]
        expected += ((X - x_hat) ** 2).sum(axis=1).mean()
    assert reference.loss_terms(config, params, X)["reconstruction"] == pytest.approx(expected)


def test_l1_shrinks_by_half_its_weight_and_topk_does_not():
    """With one unit-norm atom that is in a sample c times, the best code is c - weight / 2."""
    c, weight = 3.0, 0.8
    atom = np.full((1, 4), 0.5)
    x = c * atom
    config = SAEConfig(4, 1, "relu", "linear", sparsity=L1(weight))
    for kind, best in ((L1(weight), c - weight / 2), (TopK(1), c)):
        config = dataclasses.replace(config, sparsity=kind)
        params = {
            "W_enc": np.zeros((4, 1)),
            "b_enc": np.array([best]),
            "W_dec": atom,
            "b_dec": np.zeros(4),
        }
        assert reference.gradients(config, params, x)["b_enc"] == pytest.approx(0, abs=1e-14)


# Gradients by formula


def jump_gradients(framework, a, theta, bandwidth):
    """d z / d theta and d L0 / d theta of one latent with one pre-activation."""
    config = SAEConfig(1, 1, "relu", "linear", sparsity=JumpReLU(1.0, bandwidth, theta))
    params = init_params(config)
    params |= {"W_enc": np.zeros((1, 1)), "b_enc": np.array([a])}
    # with W_dec = 1, b_dec = 0 and x = z - 1/2 the error's slope is d_z = 1
    z = a * (a > theta)
    params |= {"W_dec": np.ones((1, 1)), "b_dec": np.zeros(1)}
    x = np.array([[z - 0.5]])
    found = []
    for weight in (0.0, 1.0):
        kind = dataclasses.replace(config.sparsity, weight=weight)
        weighted = dataclasses.replace(config, sparsity=kind)
        if framework is None:
            grads = reference.gradients(weighted, params, x)
        else:
            grads = framework.gradients(model_of(framework, weighted, params), tensor(framework, x))
        found.append(grads["log_threshold"][0] / theta)
    return found[0], found[1] - found[0]


def tensor(framework, x):
    return parity._tensor(framework.__name__.removeprefix("saebook."), x)


@pytest.mark.parametrize("a", [0.52, 0.48])
def test_jumprelu_straight_through_inside_the_window(framework, a):
    for where in (None, framework):
        np.testing.assert_allclose(jump_gradients(where, a, 0.5, 0.1), [-5, -10], rtol=1e-10)


@pytest.mark.parametrize("a", [0.56, 0.44, -0.5])
def test_jumprelu_straight_through_outside_the_window(framework, a):
    for where in (None, framework):
        assert jump_gradients(where, a, 0.5, 0.1) == (0, 0)


def test_jumprelu_looks_at_the_preactivation_and_not_at_its_relu(framework):
    """Mistake: a window over ReLU(a). Every silent latent then lies at 0, within it."""
    for where in (None, framework):
        assert jump_gradients(where, a=-0.5, theta=0.02, bandwidth=0.1) == (0, 0)
        d_z, _ = jump_gradients(where, a=-0.02, theta=0.02, bandwidth=0.1)
        assert d_z == pytest.approx(-0.2)


def frozen_loss(config, params, at):
    """The loss in which what the kind holds fixed is computed from the parameters `at`."""
    a = reference.preactivation(config, params, X)
    z = reference.code(config.sparsity, config, params, a, True)
    loss = reference.loss_terms(config, params, X)
    rest = loss["reconstruction"] + loss["weight_decay"]
    if isinstance(config.sparsity, Gated):
        gate = np.maximum(a, 0)
        error = X - gate @ reference.dictionary(config, at) - at["b_dec"]
        return rest + (config.sparsity.weight * gate.sum(1) + (error**2).sum(1)).mean()
    if isinstance(config.sparsity, JumpReLU):
        return rest + loss["sparsity"]
    aux, z_at = config.sparsity.aux, training_code(config, at)
    left = X - reference.decode(config, at, z_at)
    dead = np.flatnonzero(at["silent"] >= aux.dead_after)
    z_dead = np.zeros_like(z)
    for row, values in enumerate(a[:, dead]):
        chosen = dead[np.argsort(-values)[: aux.k]]
        z_dead[row, chosen] = np.maximum(a[row, chosen], 0)
    error = left - z_dead @ reference.dictionary(config, params)
    return rest + aux.weight * (error**2).sum(1).mean()


def training_code(config, params):
    a = reference.preactivation(config, params, X)
    return reference.code(config.sparsity, config, params, a, True)


@pytest.mark.parametrize(
    "kind", [TopK(2, AuxK(2, 0.7, 80)), BatchTopK(2, AuxK(1, 0.7, 80)), JumpReLU(), Gated(0.3)]
)
@pytest.mark.parametrize("options", [{}, {"tied": True}, {"pre_bias": True, "groups": (2, 3)}])
def test_gradients_where_something_is_held_fixed(kind, options):
    """By central differences. JumpReLU's threshold apart: the loss does not depend on it."""
    config = config_of(kind, weight_decay=0.01, **options)
    params = random_params(config)
    found = reference.gradients(config, params, X)
    found.pop("log_threshold", None)
    for name, gradient in found.items():
        expected = np.zeros_like(gradient)
        for index in np.ndindex(gradient.shape):
            losses = []
            for sign in (1, -1):
                moved = params[name].copy()
                moved[index] += sign * 1e-6
                losses.append(frozen_loss(config, {**params, name: moved}, params))
            expected[index] = (losses[0] - losses[1]) / 2e-6
        assert parity.relative_difference(gradient, expected) < 1e-7, name


# BatchTopK


def test_batchtopk_keeps_k_per_sample_on_average_in_training():
    config = config_of(BatchTopK(2))
    a = np.abs(RNG.normal(size=(30, 5)))
    z = reference.code(config.sparsity, config, random_params(config), a, True)
    assert (z > 0).sum() == 2 * 30
    assert len({*(z > 0).sum(axis=1)}) > 1
    assert z[z > 0].min() > a[z == 0].max()


def test_a_trained_batchtopk_model_does_not_look_at_the_batch(framework):
    """Mistake: the largest of the batch at inference, so that a code depends on its neighbours."""
    model = model_of(framework, config_of(BatchTopK(2)))
    framework.fit(model, X, TrainConfig(epochs=3, batch_size=16))
    together = framework.encode(model, X)
    alone = np.concatenate([framework.encode(model, X[i : i + 1]) for i in range(len(X))])
    np.testing.assert_allclose(together, alone, rtol=1e-12)
    params = model.to_numpy()
    a = reference.preactivation(model.config, params, X)
    # In training it does look, or the test above would say nothing.
    in_batch, by_itself = (
        np.concatenate(
            [
                reference.code(model.config.sparsity, model.config, params, part, True)
                for part in np.split(a, n_parts)
            ]
        )
        for n_parts in (1, len(a))
    )
    assert ((in_batch > 0) != (by_itself > 0)).any()


def test_batchtopks_threshold_is_the_running_mean_of_the_smallest_kept(framework):
    config = config_of(BatchTopK(2))
    start = init_params(config, 1)
    assert start["threshold"] == -1
    model = model_of(framework, config, start)
    smallest = []
    for epoch in range(3):
        z = training_code(config, model.to_numpy())
        smallest.append(z[z > 0].min())
        framework.fit(model, X, TrainConfig(epochs=1, batch_size=len(X), seed=epoch))
    expected = smallest[0]
    for value in smallest[1:]:
        expected += THRESHOLD_RATE * (value - expected)
    assert model.to_numpy()["threshold"] == pytest.approx(expected, rel=1e-12)


def test_batchtopk_encodes_as_many_latents_as_it_trained_with_after_few_steps(framework):
    """20 steps. With a mean that forgets slowly, `encode` gave 3.5 latents of 8."""
    x = data.planted_features(1000, 64, 128, (3, 5), 0).x.astype(np.float32)
    found = []
    for seed in range(3):
        config = SAEConfig(64, 128, "relu", "linear", sparsity=BatchTopK(8))
        model = framework.SparseAutoencoder(config, seed, device="cpu")
        framework.fit(model, x, TrainConfig(epochs=5, learning_rate=3e-3, seed=seed))
        found.append(metrics.l0(framework.encode(model, x)))
    assert np.mean(found) == pytest.approx(8, abs=1)


def test_what_is_exactly_at_batchtopks_threshold_is_silent(framework):
    """Bussmann et al. (2024): what exceeds it is kept."""
    config = config_of(BatchTopK(2))
    params = random_params(config) | {"W_enc": np.eye(6, 5), "b_enc": np.zeros(5)}
    model = model_of(framework, config, params | {"threshold": np.array(0.5)})
    x = np.array([[0.25, 0.5, 0.75, 0.0, 1.0, 0.0]])
    z = [[0, 0, 0.75, 0, 1.0]]
    np.testing.assert_array_equal(framework.encode(model, x), z)
    np.testing.assert_array_equal(reference.encode(config, model.to_numpy(), x), z)


def test_a_threshold_that_was_never_learned_is_an_error(framework):
    config = config_of(BatchTopK(2))
    message = r"threshold of a BatchTopK model must be learned .*, got -1, .* fit first\.\Z"
    model = model_of(framework, config, init_params(config))
    for function in (framework.encode, framework.reconstruct, framework.evaluate):
        with pytest.raises(ValueError, match=message):
            function(model, X)
    with pytest.raises(ValueError, match=message):
        reference.encode(config, init_params(config), X)


def test_a_batch_of_silence_leaves_the_threshold_alone(framework):
    config = config_of(BatchTopK(2))
    params = random_params(config) | {"b_enc": np.full(5, -100.0)}
    model = model_of(framework, config, params)
    framework.fit(model, X, TrainConfig(epochs=1))
    assert model.to_numpy()["threshold"] == params["threshold"]


# Dead latents


def aux_gradients(framework, kind, params):
    """Gradients of the AuxK term alone: with it less without it."""
    found = []
    for aux in (kind.aux, dataclasses.replace(kind.aux, weight=0.0)):
        config = config_of(dataclasses.replace(kind, aux=aux))
        model = model_of(framework, config, params)
        found.append(framework.gradients(model, tensor(framework, X)))
    return {name: found[0][name] - found[1][name] for name in found[0]}


@pytest.mark.parametrize("kind", [TopK(2, AuxK(2, 0.7, 80)), BatchTopK(2, AuxK(2, 0.7, 80))])
def test_auxk_reaches_the_dead_latents_and_nothing_else(framework, kind):
    """Mistakes: no gradient for the encoder; a target that is not fixed; b_dec added once more."""
    params = random_params(config_of(kind))
    grads = aux_gradients(framework, kind, params)
    dead = params["silent"] >= 80
    assert (np.abs(grads["W_enc"]).sum(axis=0) > 0).tolist() == dead.tolist()
    assert (np.abs(grads["W_dec"]).sum(axis=1) > 0).tolist() == dead.tolist()
    np.testing.assert_array_equal(grads["b_enc"] != 0, dead)
    np.testing.assert_allclose(grads["b_dec"], 0, atol=1e-15)


def test_the_aux_error_of_a_dead_latent_by_hand(framework):
    """What is left, x - x_hat, has b_dec in it once; the dead latents' sum has it not at all."""
    kind = TopK(1, AuxK(1, 2.0, 10))
    config = SAEConfig(2, 2, "relu", "linear", sparsity=kind)
    params = {
        "W_enc": np.zeros((2, 2)),
        "b_enc": np.array([3.0, 1.0]),
        "W_dec": np.array([[1.0, 0.0], [0.0, 1.0]]),
        "b_dec": np.array([0.0, 0.5]),
        "silent": np.array([0.0, 10.0]),
    }
    x = np.array([[3.0, 2.0]])  # x_hat = (3, 0.5), left (0, 1.5), dead code 1: error 0.5
    terms = framework.loss_terms(model_of(framework, config, params), tensor(framework, x))
    assert parity._number(terms["sparsity"]) == pytest.approx(2 * 0.5**2)
    assert reference.loss_terms(config, params, x)["sparsity"] == pytest.approx(2 * 0.5**2)


def test_without_a_dead_latent_auxk_costs_nothing(framework):
    kind = TopK(2, AuxK(2, 0.7, 100))
    model = model_of(framework, config_of(kind))
    assert parity._number(framework.loss_terms(model, tensor(framework, X))["sparsity"]) == 0


def test_silence_is_counted_in_samples_and_ends_with_a_sign_of_life(framework):
    config = config_of(TopK(1, AuxK(1, 0.0, 80)))
    params = random_params(config) | {"silent": np.full(5, 7.0)}
    model = model_of(framework, config, params)
    framework.fit(model, X, TrainConfig(epochs=1, batch_size=len(X), learning_rate=1e-9))
    fired = (training_code(config, params) != 0).any(axis=0)
    assert 0 < fired.sum() < 5
    np.testing.assert_array_equal(model.to_numpy()["silent"], np.where(fired, 0, 7.0 + len(X)))


def test_auxk_brings_dead_latents_back(framework):
    x = data.planted_features(600, 12, 30, (2, 3)).x
    dead = {}
    for aux in (None, AuxK(8, 0.5, 600)):
        config = SAEConfig(12, 60, sparsity=TopK(3, aux), unit_norm=True, pre_bias=False)
        model = framework.SparseAutoencoder(config, seed=0, device="cpu")
        params = model.to_numpy()
        params["b_enc"][:30] = 2.0  # far ahead of the others
        history = framework.fit(
            model.from_numpy(params), x, TrainConfig(epochs=25, batch_size=60, learning_rate=1e-2)
        )
        dead[aux] = history["dead"][-1]
    without, with_aux = dead.values()
    assert without >= 20
    assert with_aux < without / 2


# The decoder's norm, schedules, starts


@pytest.mark.parametrize("kind", [TopK(2), BatchTopK(2), JumpReLU(), Gated()])
def test_the_decoder_has_unit_norm_after_every_step(framework, kind):
    """Mistake: norms restored before the step, so that a saved model has others."""
    model = model_of(framework, config_of(kind, unit_norm=True))
    framework.fit(model, X, TrainConfig(epochs=1, batch_size=7, learning_rate=0.1))
    np.testing.assert_allclose(np.linalg.norm(model.to_numpy()["W_dec"], axis=1), 1, rtol=1e-12)


def test_rates_rise_in_equal_parts_and_fall_to_the_last_step():
    c = TrainConfig(learning_rate=1.0, warmup_steps=4, decay_steps=5, sparsity_warmup_steps=2)
    rates = [c.learning_rate_at(step, 12) for step in range(12)]
    np.testing.assert_allclose(
        rates, [0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2], rtol=1e-12
    )
    assert [c.strength_at(step) for step in range(4)] == [0.5, 1, 1, 1]
    plain = TrainConfig(learning_rate=0.3)
    assert {plain.learning_rate_at(step, 9) for step in range(9)} == {0.3}
    assert plain.strength_at(0) == 1


@pytest.mark.parametrize("kind", [L1(0.3), JumpReLU(0.3), Gated(0.3), TopK(2)])
def test_schedules_are_the_references(framework, kind):
    train = TrainConfig(
        epochs=4, batch_size=16, warmup_steps=5, decay_steps=6, sparsity_warmup_steps=7
    )
    config = config_of(kind)
    params = random_params(config)
    expected = reference.fit(config, params, X, train)
    model = model_of(framework, config, params)
    framework.fit(model, X, train)
    for name, value in model.to_numpy().items():
        assert parity.relative_difference(value, expected[name]) < 1e-11, name
    plain = reference.fit(config, params, X, TrainConfig(epochs=4, batch_size=16))
    assert parity.relative_difference(plain["W_enc"], expected["W_enc"]) > 1e-5


def test_decay_needs_a_known_number_of_steps(framework):
    model = model_of(framework, config_of())
    with pytest.raises(ValueError, match=r"decay_steps must be 0 when x is an iterable.*got 3\."):
        framework.fit(model, [X[:20], X[20:]], TrainConfig(epochs=2, decay_steps=3))


@pytest.mark.parametrize(
    "kind", [TopK(2, AuxK(2, 0.7, 30)), BatchTopK(2, AuxK(2, 0.7, 30)), JumpReLU(), Gated()]
)
def test_training_goes_on_from_a_checkpoint_as_if_it_had_never_stopped(framework, kind, tmp_path):
    """Thresholds, counts of silence, and the places in the schedules included."""
    train = TrainConfig(epochs=5, batch_size=16, warmup_steps=4, decay_steps=8)
    config, path = config_of(kind), tmp_path / "run.safetensors"
    whole = model_of(framework, config)
    framework.fit(whole, X, train)

    def interrupt(epoch, row):
        if epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        framework.fit(model_of(framework, config), X, train, checkpoint=path, after_epoch=interrupt)
    resumed = model_of(framework, config)
    framework.fit(resumed, X, train, checkpoint=Checkpoint(path))
    for name, value in whole.to_numpy().items():
        np.testing.assert_array_equal(resumed.to_numpy()[name], value)
    longer = dataclasses.replace(train, epochs=6)  # its decay would have begun later
    other = model_of(framework, config)
    with pytest.raises(ValueError, match="begun with another epochs"):
        framework.fit(other, X, longer, checkpoint=path)


def test_the_geometric_median_is_not_dragged_away():
    corner = np.array([[0.0, 0], [1, 0], [0, 1], [1, 1]])
    np.testing.assert_allclose(geometric_median(corner), [0.5, 0.5], atol=1e-8)
    far = np.concatenate([np.repeat(corner, 5, axis=0), [[1000.0, 1000.0]]])
    assert np.linalg.norm(geometric_median(far) - 0.5) < 0.2
    assert np.linalg.norm(far.mean(axis=0) - 0.5) > 50
    rng = np.random.default_rng(0)
    x, median = rng.normal(size=(50, 3)), None
    median = geometric_median(x)
    here = np.linalg.norm(x - median, axis=1).mean()
    for step in 1e-3 * rng.normal(size=(20, 3)):
        assert np.linalg.norm(x - median - step, axis=1).mean() > here


@pytest.mark.parametrize("pre_bias", [False, True])
@pytest.mark.parametrize("kind", [TopK(2, AuxK(1)), JumpReLU(), BatchTopK(2)])
def test_the_tied_start(kind, pre_bias):
    config = config_of(kind, pre_bias=pre_bias)
    params = init_tied(config, X, seed=3)
    assert {k: np.shape(v) for k, v in params.items()} == reference.parameter_shapes(config)
    np.testing.assert_allclose(np.linalg.norm(params["W_dec"], axis=1), 1)
    np.testing.assert_array_equal(params["W_enc"], params["W_dec"].T)
    centred = X - geometric_median(X)
    np.testing.assert_allclose(
        reference.preactivation(config, params, X), centred @ params["W_enc"], atol=1e-12
    )


def test_the_tied_start_refuses_what_it_cannot_begin():
    with pytest.raises(ValueError, match="output='linear' to begin so, got 'sigmoid'"):
        init_tied(SAEConfig(6, 5), X)
    with pytest.raises(ValueError, match=r"x must have shape \(n_samples >= 1, 6\), got \(3, 2\)"):
        init_tied(config_of(), np.ones((3, 2)))


def test_the_start_at_samples_with_a_pre_bias():
    config = config_of(TopK(2), pre_bias=True)
    params = init_from_samples(config, X)
    assert not params["b_enc"].any()
    a = reference.preactivation(config, params, X)
    np.testing.assert_allclose(a, (X - X.mean(axis=0)) @ params["W_enc"])


def test_a_pre_bias_is_folded_into_the_bias_exactly(framework):
    config = config_of(L1(0.1), pre_bias=True)
    params = random_params(config)
    model = model_of(framework, config, params)
    folded = params | {"b_enc": params["b_enc"] - params["b_dec"] @ params["W_enc"]}
    plain = model_of(framework, dataclasses.replace(config, pre_bias=False), folded)
    np.testing.assert_allclose(framework.encode(model, X), framework.encode(plain, X), rtol=1e-12)


@pytest.mark.parametrize("kind", [TopK(2), TopK(3), BatchTopK(1), BatchTopK(2)])
def test_of_equal_preactivations_the_first_are_kept(framework, kind):
    """Which one a framework's own top-k takes is not defined."""
    config = config_of(kind)
    a = np.array([[1.0, 3, 2, 3, 3], [3, 3, 3, 3, 3], [0, 0, 0, 0, 0], [2, 1, 2, 1, 2]])
    expected = reference.code(kind, config, {}, a, True)
    assert (expected > 0).sum() < (a > 0).sum()
    z = model_of(framework, config).code(tensor(framework, a), training=True)
    np.testing.assert_array_equal(np.asarray(z.detach() if hasattr(z, "detach") else z), expected)
