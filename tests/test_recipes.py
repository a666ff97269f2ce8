"""Where training begins, and how fast it learns, if nobody says: the same on every floor."""

import dataclasses

import numpy as np
import pytest

from saebook import (
    KL,
    L1,
    BatchTopK,
    Gated,
    JumpReLU,
    SAEConfig,
    TopK,
    TrainConfig,
    metrics,
    reference,
    start,
    weights,
)
from saebook.batches import Shards
from saebook.start import chosen, init_from_samples, init_params
from saebook.sweep import fit_many

N_FEATURES, N_LATENTS = 12, 40
RNG = np.random.default_rng(0)
DIRECTIONS = RNG.normal(size=(20, N_FEATURES))
X = 3 + ((RNG.random((300, 20)) < 0.15) * RNG.random((300, 20))) @ DIRECTIONS
KINDS = [None, TopK(3), BatchTopK(3), L1(0.1), L1(l0=4), JumpReLU(l0=4), Gated(0.1), Gated(l0=4)]
SHORT = TrainConfig(epochs=2, batch_size=64)


def config_of(kind, **options):
    options = {"pre_bias": False} | options
    return SAEConfig(N_FEATURES, N_LATENTS, "relu", "linear", sparsity=kind, **options)


def fvu_of(config, params, x):
    z = reference.encode(config, params, x)
    return metrics.fvu(x, reference.decode(config, params, z))


@pytest.mark.parametrize("options", [{}, {"pre_bias": True}, {"unit_norm": True}, {"tied": True}])
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_new_model_begins_at_samples_on_every_floor(framework, kind, options):
    config = config_of(kind, **options)
    expected = reference.fit(config, None, X, SHORT)
    model = framework.SparseAutoencoder(config, dtype="float64", device="cpu")
    framework.fit(model, X, SHORT, progress=False)
    for name, value in model.to_numpy().items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-8, atol=1e-11, err_msg=name)
    given = reference.fit(config, init_params(config), X, SHORT)
    assert not np.allclose(given["W_enc"], expected["W_enc"], atol=0.05)


def test_weights_that_were_given_are_kept(framework, tmp_path):
    """Given as such, set one by one, read from a file, or trained before."""
    config = config_of(TopK(3))
    still = TrainConfig(epochs=1, batch_size=300, learning_rate=1e-30)

    def moved(model, training=still):
        before = model.to_numpy()["W_enc"]
        framework.fit(model, X, training, progress=False)
        return not np.array_equal(model.to_numpy()["W_enc"], before)

    new, other = (
        framework.SparseAutoencoder(config, seed=3, dtype="float64", device="cpu") for _ in range(2)
    )
    weights.save(new, tmp_path / "new.safetensors")
    assert not moved(
        weights.load(tmp_path / "new.safetensors", framework.__name__.split(".")[1], "cpu")
    )
    assert not moved(other, dataclasses.replace(still, init="given"))
    assert moved(new)
    assert not moved(new)
    given = framework.SparseAutoencoder(config, device="cpu").from_numpy(init_params(config))
    assert not moved(given)
    one = framework.SparseAutoencoder(config, device="cpu")
    one.set_parameter("W_enc", 2 * one.to_numpy()["W_enc"])
    assert not moved(one)


def test_models_that_rebuild_by_a_sigmoid_begin_as_they_were_made(framework):
    still = TrainConfig(epochs=1, batch_size=300, learning_rate=1e-30)
    for config in (
        SAEConfig(N_FEATURES, 5, sparsity=KL()),
        SAEConfig(N_FEATURES, 5, "sigmoid", "linear"),
        SAEConfig(N_FEATURES, 5, "relu", "sigmoid"),
    ):
        model = framework.SparseAutoencoder(config, seed=2, dtype="float64", device="cpu")
        framework.fit(model, X / X.max(), still, progress=False)
        expected = init_params(config, 2)["W_enc"]
        np.testing.assert_array_equal(model.to_numpy()["W_enc"], expected)


def test_other_seeds_begin_at_other_samples(framework):
    found = []
    for seed in (0, 1):
        model = framework.SparseAutoencoder(config_of(TopK(3)), seed=seed, device="cpu")
        framework.fit(model, X, TrainConfig(1, 300, 1e-30), progress=False)
        found.append(model.to_numpy()["W_dec"])
    assert not np.allclose(*found, atol=0.01)


def test_a_stream_begins_at_its_first_batch(framework):
    """Which has fewer samples than there are latents: some are taken twice, a little apart."""
    model = framework.SparseAutoencoder(config_of(TopK(3)), device="cpu")
    x = np.random.default_rng(1).normal(size=(60, N_FEATURES))
    framework.fit(model, [x[:30], x[30:]], TrainConfig(1, learning_rate=1e-30), progress=False)
    params = model.to_numpy()
    np.testing.assert_allclose(params["b_dec"], x[:30].mean(axis=0), rtol=1e-5)
    W = params["W_dec"] / np.linalg.norm(params["W_dec"], axis=1, keepdims=True)
    assert np.triu(W @ W.T, 1).max() < 1 - 1e-6


@pytest.mark.parametrize("scale", [1e-3, 1, 1e3])
@pytest.mark.parametrize("options", [{}, {"unit_norm": True}, {"tied": True}], ids=str)
@pytest.mark.parametrize("kind", [TopK(3), JumpReLU(l0=3), Gated(), L1(), None], ids=str)
def test_the_start_suits_samples_of_any_size(kind, options, scale):
    config = config_of(kind, **options)
    params = init_from_samples(config, scale * X)
    assert fvu_of(config, params, scale * X) < 1  # no worse than the mean sample
    plain = init_from_samples(config, X)
    np.testing.assert_allclose(params["W_enc"], plain["W_enc"], rtol=1e-6)
    np.testing.assert_allclose(params["b_dec"], scale * plain["b_dec"], rtol=1e-6)
    if isinstance(kind, JumpReLU):
        z = reference.encode(config, params, scale * X)
        assert metrics.l0(z) == pytest.approx(3, rel=0.35)


def with_large(*deviations):
    """Samples, and the directions along which these are their deviations; each 1 elsewhere."""
    rng = np.random.default_rng(0)
    directions = np.linalg.qr(rng.normal(size=(N_FEATURES, N_FEATURES)))[0][: len(deviations)]
    rest = rng.normal(size=(300, N_FEATURES))
    rest -= rest @ directions.T @ directions
    scores = np.linalg.qr(rng.normal(size=(300, len(deviations))))[0] * np.sqrt(300)
    return 2 + rest + scores * deviations @ directions, directions


def large_of(config, params):
    """The latents that do not begin as samples, and the product of a latent's two weights."""
    both = np.einsum("fl,lf->l", params["W_enc"], params.get("W_dec", params["W_enc"].T))
    return np.flatnonzero(np.isclose(both, 0.9)), both


@pytest.mark.parametrize(
    "options", [{}, {"unit_norm": True}, {"tied": True}, {"pre_bias": True}], ids=str
)
@pytest.mark.parametrize("kind", [TopK(3), JumpReLU(l0=3), Gated(), L1(), None], ids=str)
def test_either_end_of_a_direction_that_is_most_of_the_samples_has_a_latent(kind, options):
    config = config_of(kind, **options)
    x, (direction,) = with_large(20)
    params = init_from_samples(config, x)
    W = params["W_enc"] / np.linalg.norm(params["W_enc"], axis=0)
    along = direction @ W
    np.testing.assert_allclose(np.abs(along[:2]), 1, atol=0.01)
    np.testing.assert_allclose(W[:, 0], -W[:, 1], rtol=1e-9)
    assert np.abs(along[2:]).max() < 0.1  # of 36 samples in the old way most would be above 0.9
    latents, both = large_of(config, params)
    assert latents.tolist() == [0, 1]  # which nearly rebuild what they measure
    assert both[2:].std() < 1e-9
    z = reference.encode(config, params, x)
    rebuilt = reference.decode(config, params, z) - x.mean(axis=0)
    scores = (x - x.mean(axis=0)) @ W[:, 0]
    far = np.abs(scores) > 5  # of those near 0 TopK and thresholds cut the code
    assert far.sum() > 200
    np.testing.assert_allclose((rebuilt @ W[:, 0])[far], 0.9 * scores[far], atol=1e-6)


@pytest.mark.parametrize(
    ("deviations", "n_latents", "expected"),
    [
        ((), 40, 0),
        ((3,), 40, 0),  # 9 of 20
        ((4,), 40, 1),  # 16 of 27
        ((60, 20), 40, 2),
        ((20, 20), 40, 0),  # neither is more than half; both would be a guess
        ((60, 20), 15, 1),  # an eighth of the latents, rounded down
        ((60, 20), 7, 0),
    ],
)
def test_how_many_directions_have_latents_of_their_own(deviations, n_latents, expected):
    x, _ = with_large(*deviations) if deviations else with_large(1)
    for activation, ends in (("relu", 2), ("linear", 1)):
        config = SAEConfig(N_FEATURES, n_latents, activation, "linear", sparsity=None)
        latents, _ = large_of(config, init_from_samples(config, x))
        assert latents.tolist() == [*range(ends * expected)]


def test_directions_have_no_latents_of_their_own_where_norms_are_fixed_or_nothing_is_left():
    x, _ = with_large(20)
    given = init_from_samples(config_of(TopK(3)), x, norm=0.5)
    np.testing.assert_allclose(np.linalg.norm(given["W_enc"], axis=0), 0.5)
    np.testing.assert_allclose(np.linalg.norm(given["W_dec"], axis=1), 0.5)
    assert (
        large_of(config_of(TopK(3)), init_from_samples(config_of(TopK(3)), x, alike=True))[0].size
        == 0
    )
    fixed = config_of(TopK(3), tied=True, unit_norm=True)
    W = init_from_samples(fixed, x)["W_enc"]
    assert np.abs(np.triu(W.T @ W, 1)).max() < 0.99
    line = np.outer(np.linspace(-1, 1, 50), np.arange(1, N_FEATURES + 1))
    W = init_from_samples(config_of(TopK(3)), line)["W_enc"]
    along = np.arange(1, N_FEATURES + 1) @ W
    np.testing.assert_allclose(
        np.abs(along), np.linalg.norm(line[0]) * np.linalg.norm(W, axis=0), rtol=1e-9
    )  # not what rounding leaves beside the line


def test_the_latents_of_a_direction_are_the_same_on_every_machine():
    """Whatever sign an eigenvector comes with: the end with the largest number above 0 is first."""
    x, _ = with_large(20)
    for samples in (x, -x, x[:, ::-1]):
        first = init_from_samples(config_of(TopK(3)), samples)["W_enc"][:, 0]
        assert first[np.abs(first).argmax()] > 0


def test_samples_with_a_large_direction_are_learned_better_so(framework, monkeypatch):
    x, _ = with_large(20)
    config, found = config_of(TopK(3), pre_bias=True), {}
    for way in ("directions", "samples alone"):
        if way == "samples alone":
            monkeypatch.setattr(start, "_large", lambda x, most: np.empty((0, x.shape[1])))
        model = framework.SparseAutoencoder(config, device="cpu")
        framework.fit(model, x, TrainConfig(20, 32), progress=False)
        found[way] = framework.evaluate(model, x)
    assert found["directions"]["fvu"] < 0.8 * found["samples alone"]["fvu"]
    assert found["directions"]["dead"] <= found["samples alone"]["dead"]


def test_tied_at_unit_norm_does_not_overshoot():
    """Where neither scale can be chosen, samples would be counted many times over."""
    config = config_of(TopK(3), tied=True, unit_norm=True)
    assert fvu_of(config, init_from_samples(config, X), X) < fvu_of(
        config, init_from_samples(config, X, norm=1.0), X
    )


def test_a_training_that_was_cut_off_goes_on_alike(framework, tmp_path):
    config = config_of(L1(l0=4))
    once, twice = (framework.SparseAutoencoder(config, device="cpu") for _ in range(2))
    framework.fit(once, X, TrainConfig(epochs=4, batch_size=64), progress=False)
    place = tmp_path / "run"
    framework.fit(twice, X, SHORT, checkpoint=place, progress=False)
    again = framework.SparseAutoencoder(config, device="cpu")
    training = TrainConfig(epochs=4, batch_size=64)
    framework.fit(again, X, training, checkpoint=place, progress=False)
    for name, value in again.to_numpy().items():
        np.testing.assert_array_equal(value, once.to_numpy()[name])


def test_a_checkpoint_from_before_goes_on_at_its_own_rate(framework, tmp_path):
    """Up to 0.5.0 it was 1e-3 where none was given, beta_2 0.999, and no start was noted."""
    config, place = config_of(TopK(3)), tmp_path / "run"
    old = TrainConfig(epochs=2, batch_size=64, learning_rate=1e-3, init="given")
    framework.fit(framework.SparseAutoencoder(config, device="cpu"), X, old, checkpoint=place)
    read_config, params, adam, notes = weights.read_all(place)
    del notes["training"]["init"]
    weights.write(place, read_config, params, adam, notes)
    found = []
    for training in (TrainConfig(4, 64), TrainConfig(4, 64, 1e-3)):
        model, copy = framework.SparseAutoencoder(config, device="cpu"), tmp_path / "copy"
        copy.write_bytes(place.read_bytes())
        framework.fit(model, X, training, checkpoint=copy, progress=False)
        found.append(model.to_numpy()["W_enc"])
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("kind", [None, L1(0.1), Gated(0.1), JumpReLU(0.01)], ids=str)
def test_several_models_begin_as_one_does(framework, kind):
    config = config_of(kind)
    models = [framework.SparseAutoencoder(config, seed=s, device="cpu") for s in (0, 1)]
    fit_many(models, X, SHORT)
    for seed, model in enumerate(models):
        alone = framework.SparseAutoencoder(config, seed=seed, device="cpu")
        framework.fit(alone, X, SHORT, progress=False)
        for name, value in model.to_numpy().items():
            np.testing.assert_allclose(value, alone.to_numpy()[name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("config", "rate"),
    [
        (SAEConfig(20, 64, sparsity=KL()), 1e-2),
        (SAEConfig(20, 64), 5e-3),
        (SAEConfig(20, 64, "relu", "sigmoid"), 5e-3),
        (SAEConfig(20, 1024), 2.5e-3),
        (SAEConfig(20, 1024, sparsity=KL()), 1e-2),
        (SAEConfig(784, 64, "relu", "linear"), 2e-3),
        (SAEConfig(784, 1024, sparsity=TopK(2)), 2e-3),
        (SAEConfig(784, 4096, sparsity=TopK(2)), 1e-3),
        (SAEConfig(784, 16384, sparsity=L1()), 5e-4),
        (SAEConfig(3136, 1024, sparsity=TopK(2)), 2e-3),
        (SAEConfig(49, 64, sparsity=Gated()), 8e-3),
        (SAEConfig(196, 4096, sparsity=BatchTopK(2)), 2e-3),
        (SAEConfig(2, 64, sparsity=TopK(2)), 2e-2),
    ],
)
def test_the_learning_rate_that_nobody_gave(config, rate):
    assert TrainConfig().settled(config).rate == pytest.approx(rate)
    assert TrainConfig().settled(config).betas == (0.9, 0.95)
    assert TrainConfig(learning_rate=0.5).settled(config).rate == 0.5
    with pytest.raises(AssertionError):
        TrainConfig().learning_rate_at(0, 10)


def test_adam_is_as_usual_where_a_rate_is_given():
    config = SAEConfig(20, 64, sparsity=TopK(2))
    assert TrainConfig(learning_rate=1e-3).betas == (0.9, 0.999)
    assert TrainConfig(learning_rate=1e-3, beta_2=0.9).betas == (0.9, 0.9)
    assert TrainConfig(beta_2=0.99).settled(config).betas == (0.9, 0.99)
    settled = TrainConfig().settled(config)
    assert dataclasses.replace(settled, learning_rate=1e-3).betas == (0.9, 0.95)
    with pytest.raises(AssertionError):
        _ = TrainConfig().betas


@pytest.mark.parametrize("sparsity", [KL(0.1, 0.1), L1(0.1), None], ids=str)
def test_a_short_mean_of_squares_pays_off(framework, sparsity):
    """The reason for it, on data that decided nothing: planted features, 240 steps."""
    config, errors = SAEConfig(N_FEATURES, N_LATENTS, sparsity=sparsity), []
    samples = (X - X.min()) / np.ptp(X)  # in [0, 1], as a sigmoid rebuilds no others
    for beta_2 in (None, 0.999):
        model = framework.SparseAutoencoder(config, device="cpu")
        training = TrainConfig(epochs=48, batch_size=64, beta_2=beta_2)
        history = framework.fit(model, samples, training, progress=False)
        errors.append(history["loss"][-1])
    assert errors[0] < errors[1]


def test_no_latent_is_dead_that_a_random_start_would_lose(framework):
    """The reason for all of it, on data that decided nothing: planted features, 240 steps."""
    config, training = config_of(TopK(2)), TrainConfig(epochs=48, batch_size=64)
    dead, errors = [], []
    for init in ("auto", "given"):
        model = framework.SparseAutoencoder(config, device="cpu")
        history = framework.fit(
            model, X, dataclasses.replace(training, init=init), X, progress=False
        )
        dead.append(history["val_dead"][-1])
        errors.append(history["val_fvu"][-1])
    assert dead[0] < dead[1]
    assert errors[0] < errors[1]


def test_where_a_model_begins_is_its_seeds_own_among_many_samples(framework):
    """Of more samples than are looked at, every seed looks at others; files give the same."""
    x = np.random.default_rng(3).normal(size=(2000, N_FEATURES)).astype(np.float32)
    config, still = config_of(TopK(3)), TrainConfig(1, 2000, 1e-30)
    for seed in (0, 1):
        expected = init_from_samples(config, x[chosen(len(x), config, seed)], seed)["W_dec"]
        for given in (x, Shards([x[:700], x[700:]])):
            model = framework.SparseAutoencoder(config, seed=seed, device="cpu")
            framework.fit(model, given, still, progress=False)
            np.testing.assert_allclose(model.to_numpy()["W_dec"], expected, rtol=1e-5, atol=1e-6)
