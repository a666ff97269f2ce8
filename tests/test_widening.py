"""A narrow dictionary that becomes a wider one."""

from importlib import import_module

import numpy as np
import pytest

from saebook import (
    KL,
    L1,
    AuxK,
    BatchTopK,
    Gated,
    JumpReLU,
    SAEConfig,
    TopK,
    TrainConfig,
    metrics,
    widening,
)
from saebook.widening import widened
from tests.conftest import FRAMEWORKS

RNG = np.random.default_rng(0)
DIRECTIONS = RNG.normal(size=(60, 16))
X = ((RNG.random((3000, 60)) < 0.06) * RNG.random((3000, 60))) @ DIRECTIONS + 1
X = X.astype(np.float32)
KINDS = [L1(0.1), TopK(3), BatchTopK(3), JumpReLU(l0=3), Gated(l0=3), TopK(3, AuxK(4))]


def trained(framework, kind=None, n_latents=20, **options):
    config = SAEConfig(16, n_latents, "relu", "linear", sparsity=kind, **options)
    model = framework.SparseAutoencoder(config, device="cpu")
    framework.fit(model, X, TrainConfig(epochs=15, batch_size=64), progress=False)
    return model


def fvu(framework, model):
    return metrics.fvu(X, framework.reconstruct(model, X))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_wider_model_rebuilds_as_well_and_all_its_latents_can_learn(framework, kind):
    narrow = trained(framework, kind)
    before = narrow.to_numpy()
    wide = widened(narrow, 60, X)
    assert wide.config == SAEConfig(16, 60, "relu", "linear", sparsity=kind)
    assert type(wide) is type(narrow)
    more = fvu(framework, wide) - fvu(framework, narrow)
    assert more < 0.02
    active = framework.encode(wide, X)[:, 20:] > 0
    assert active.any(axis=0).mean() > 0.9
    assert active.mean() < 8 * widening.SHARE
    for name, value in narrow.to_numpy().items():
        np.testing.assert_array_equal(value, before[name])
        first = wide.to_numpy()[name]
        if name == "W_enc":
            first = first[:, :20]
        elif value.ndim and name != "b_dec":
            first = first[:20]
        np.testing.assert_array_equal(first, value)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", [TopK(3), JumpReLU(l0=3)], ids=str)
def test_more_latents_rebuild_better(framework, kind):
    """Than the narrow model after as many updates more."""
    narrow = trained(framework, kind)
    wide = widened(narrow, 60, X)
    for model in (narrow, wide):
        framework.fit(model, X, TrainConfig(epochs=15, batch_size=64), progress=False)
    assert fvu(framework, wide) < 0.92 * fvu(framework, narrow)


def test_both_frameworks_widen_alike():
    found = []
    for name in FRAMEWORKS:
        framework = import_module(f"saebook.{name}")
        config = SAEConfig(16, 20, sparsity=TopK(3))
        model = framework.SparseAutoencoder(config, dtype="float64", device="cpu")
        found.append(widened(model, 50, X, seed=3).to_numpy())
        assert {value.dtype for value in found[-1].values()} == {np.dtype("float64")}
    for name, value in found[0].items():
        np.testing.assert_allclose(value, found[1][name], rtol=1e-9, atol=1e-12)
    other = widened(model, 50, X, seed=4).to_numpy()
    assert not np.allclose(other["W_enc"], found[0]["W_enc"])


@pytest.mark.parametrize(
    "options",
    [{"tied": True}, {"unit_norm": True}, {"pre_bias": False}, {"groups": (8, 12)}],
    ids=str,
)
def test_options_of_the_model_stay(framework, options):
    narrow = trained(framework, TopK(3), **options)
    wide = widened(narrow, 50, X)
    options = options | ({"groups": (8, 12, 30)} if "groups" in options else {})
    assert wide.config == SAEConfig(16, 50, "relu", "linear", sparsity=TopK(3), **options)
    if options.get("unit_norm"):
        norms = np.linalg.norm(wide.to_numpy()["W_dec"], axis=1)
        np.testing.assert_allclose(norms, 1, rtol=1e-5)
    assert fvu(framework, wide) < 1.15 * fvu(framework, narrow)


def test_new_directions_are_what_is_left(framework):
    """A dictionary that can rebuild all but one direction gets that one."""
    config = SAEConfig(3, 2, "relu", "linear", sparsity=TopK(2), pre_bias=False)
    model = framework.SparseAutoencoder(config, device="cpu")
    eye = np.eye(3, dtype=np.float32)
    model.from_numpy(
        {"W_enc": eye[:, :2], "b_enc": np.zeros(2), "W_dec": eye[:2], "b_dec": np.zeros(3)}
    )
    x = RNG.random((500, 3)).astype(np.float32)
    wide = widened(model, 4, x).to_numpy()
    np.testing.assert_allclose(wide["W_dec"][2:], np.tile(eye[2], (2, 1)), atol=1e-6)
    np.testing.assert_allclose(wide["W_enc"][:, 2:].T, np.tile(eye[2], (2, 1)), atol=1e-6)


def test_fewer_samples_than_latents_and_images_do(framework):
    config = SAEConfig(16, 20, sparsity=TopK(3))
    model = framework.SparseAutoencoder(config, device="cpu")
    images = X[:30].reshape(30, 4, 4)
    framework.fit(model, images, TrainConfig(epochs=1), progress=False)
    wide = widened(model, 100, images)
    assert wide.image_shape == (4, 4)
    assert np.isfinite(framework.reconstruct(wide, images)).all()


def test_training_goes_on_where_it_stands(framework):
    """`fit` does not begin the wider model at samples anew."""
    wide = widened(trained(framework, TopK(3)), 50, X)
    before = fvu(framework, wide)
    framework.fit(wide, X, TrainConfig(1, 3000, learning_rate=1e-6), progress=False)
    assert fvu(framework, wide) == pytest.approx(before, rel=1e-2)


@pytest.mark.parametrize(
    ("config", "n_latents", "x", "words"),
    [
        (SAEConfig(16, 20, sparsity=KL()), 40, X, "model must have a linear output"),
        (SAEConfig(16, 20, sparsity=TopK(3)), 20, X, "n_latents must be an integer above 20"),
        (SAEConfig(16, 20, sparsity=TopK(3)), 40.5, X, "n_latents must be an integer above 20"),
        (SAEConfig(16, 20, sparsity=TopK(3)), 40, X[:, :4], "x must have shape"),
        (SAEConfig(16, 20, sparsity=TopK(3)), 40, X[:0], "x must hold at least one sample"),
        (SAEConfig(16, 20, sparsity=TopK(3)), 40, X * np.nan, "x must be finite"),
    ],
)
def test_what_does_not_suit_is_named(framework, config, n_latents, x, words):
    model = framework.SparseAutoencoder(config, device="cpu")
    with pytest.raises(ValueError, match=words):
        widened(model, n_latents, x)
