"""Settings that cannot work with the samples at hand: one warning, before the first step."""

import re
import warnings

import numpy as np
import pytest

from saebook import KL, L1, Gated, JumpReLU, SAEConfig, TopK, TrainConfig, mnist
from saebook.data import planted_features
from saebook.start import init_params
from saebook.sweep import fit_many

DIGITS = mnist().x_train[:256]
PLANTED = planted_features(256, 32, 128, (3, 5), 0).x
TRAINING = TrainConfig(epochs=1, batch_size=64)


def told(framework, x, sparsity, training=TRAINING, **options):
    options = {"activation": "relu", "output": "linear"} | options
    config = SAEConfig(x.shape[1], 16, sparsity=sparsity, **options)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        framework.fit(framework.SparseAutoencoder(config, device="cpu"), x, training)
    return [str(warning.message) for warning in caught]


@pytest.mark.parametrize(
    ("x", "sparsity", "options"),
    [
        (DIGITS, KL(0.05, 1.0), {"activation": "sigmoid", "output": "sigmoid"}),
        ((DIGITS - 0.13) / 0.31, KL(0.05, 1.0), {"activation": "sigmoid"}),
        (DIGITS, L1(1.0), {}),
        (DIGITS, JumpReLU(), {}),
        (DIGITS, Gated(), {}),
        (PLANTED, L1(0.01), {}),
        (PLANTED, JumpReLU(), {}),
        (PLANTED * 100, TopK(4), {}),  # a rank has no scale
        (PLANTED * 100, None, {}),
        (PLANTED * 100, L1(0.0), {}),
        (DIGITS + 0.15, TopK(4), {}),
        (DIGITS + 4, TopK(4), {}),
        (DIGITS / 2 + 0.5, None, {"output": "sigmoid", "activation": "sigmoid"}),
        (np.ones_like(DIGITS), None, {}),
    ],
)
def test_what_can_work_gets_no_word(framework, x, sparsity, options):
    assert told(framework, x.astype(np.float32), sparsity, **options) == []


@pytest.mark.parametrize(
    ("x", "sparsity", "options", "beginning"),
    [
        (DIGITS * 255, KL(0.05, 1.0), {"activation": "sigmoid"}, "activation='sigmoid' does not"),
        (
            DIGITS + 0.4,
            TopK(4),
            {"pre_bias": False},
            "pre_bias=False .* is 4.* times their var.*True",
        ),
        (DIGITS + 0.4, None, {"activation": "linear"}, "pre_bias=False does not suit samples so"),
        (DIGITS * 255, None, {"activation": "sigmoid"}, "activation='sigmoid' does not suit"),
        (DIGITS * 255, None, {"output": "sigmoid"}, "output='sigmoid' rebuilds numbers between"),
        (DIGITS - 0.5, None, {"output": "sigmoid"}, "output='sigmoid' rebuilds numbers between"),
        (PLANTED * 100, L1(0.1), {}, "sparsity.weight has a scale, .* no effect .* from 0.2 to"),
        (PLANTED * 100, Gated(), {}, "sparsity.weight has a scale, .* no effect"),
        (PLANTED / 100, L1(0.1), {}, "sparsity.weight has a scale, .* no latent active"),
        (PLANTED * 100, JumpReLU(), {}, "sparsity.weight has a scale, .* no effect .* can work.$"),
        (PLANTED, JumpReLU(bandwidth=0.001), {}, "sparsity.bandwidth must suit"),
        (PLANTED, JumpReLU(threshold=2.0, bandwidth=0.01), {}, "sparsity.bandwidth must suit"),
        (PLANTED, JumpReLU(1.0, 0.001, 0.1), {}, "sparsity.bandwidth must suit"),
    ],
)
def test_what_cannot_work_gets_one_warning(framework, x, sparsity, options, beginning):
    found = told(framework, x.astype(np.float32), sparsity, **options)
    assert len(found) == 1
    assert re.match(beginning, found[0]), found


def test_a_threshold_that_the_steps_cannot_reach_is_told_of(framework):
    """240 steps of 1e-3 take 0.01 to 0.013; at 1e-2 they take it to 0.11, among the codes."""
    x, kind = PLANTED.astype(np.float32), JumpReLU(1.0, 0.05, 0.01)
    (found,) = told(framework, x, kind, TrainConfig(60, 64, 1e-3, init="given"))
    assert found.startswith("sparsity.threshold must be within reach: in 240 steps at 0.001 it can")
    assert "0.013 at most" in found
    assert told(framework, x, kind, TrainConfig(60, 64, 1e-2, init="given")) == []
    assert told(framework, x, kind, TrainConfig(2, 64, 1e-3, init="given")) == []  # a trial


def test_all_latents_dead_after_an_epoch_are_told_of(framework):
    training = TrainConfig(epochs=3, batch_size=64, learning_rate=1e-3, init="given")
    found = told(framework, PLANTED.astype(np.float32), JumpReLU(0.01, 1.0, 5.0), training)
    silent = [said for said in found if "was active for any sample of the first epoch" in said]
    assert len(silent) == 1
    assert silent[0].startswith("none of the 16 latents")


@pytest.mark.parametrize(("epochs", "words"), [(60, 1), (2, 0)])  # 240 steps, and a trial
def test_a_wanted_l0_that_was_not_reached_is_told_of(framework, epochs, words, tmp_path):
    """Once all is done and kept, so that a user who makes warnings errors has lost nothing."""
    config = SAEConfig(PLANTED.shape[1], 16, sparsity=L1(l0=3))
    model = framework.SparseAutoencoder(config, device="cpu")
    training = TrainConfig(epochs, -(-len(PLANTED) // 4), learning_rate=1e-6)
    run = tmp_path / "run.safetensors"
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        framework.fit(model, PLANTED.astype(np.float32), training, checkpoint=run, progress=False)
    said = [str(word.message) for word in found if "was not reached" in str(word.message)]
    assert len(said) == words
    assert all(word.startswith("sparsity.l0=3 was not reached: in the last epoch") for word in said)
    assert run.exists()


def test_a_stream_and_several_models_at_once_are_told_too(framework):
    config = SAEConfig(784, 16, output="linear", sparsity=KL(0.05, 1.0))
    x = DIGITS * np.float32(255)
    with pytest.warns(UserWarning, match="activation='sigmoid' does not suit"):
        framework.fit(framework.SparseAutoencoder(config, device="cpu"), [x[:128], x[128:]])
    models = [framework.SparseAutoencoder(config, seed, device="cpu") for seed in (0, 1)]
    with pytest.warns(UserWarning, match="activation='sigmoid' does not suit"):
        fit_many(models, x, TRAINING)


def test_the_word_comes_before_the_first_step(framework):
    """A user who makes warnings errors has lost nothing."""
    config = SAEConfig(784, 16, output="linear", sparsity=KL(0.05, 1.0))
    model = framework.SparseAutoencoder(config, device="cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="before the first step"):
            framework.fit(model, DIGITS * np.float32(255), TRAINING)
    start = init_params(config)["W_enc"].astype(np.float32)
    np.testing.assert_array_equal(model.to_numpy()["W_enc"], start)


def test_far_from_0_a_pre_bias_keeps_latents_alive(framework):
    found = {}
    for offset in (0.0, 0.4):
        x = mnist().x_train[:4096] + np.float32(offset)
        for pre_bias in (False, True):
            config = SAEConfig(784, 256, sparsity=TopK(16), pre_bias=pre_bias)
            model = framework.SparseAutoencoder(config, device="cpu")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                framework.fit(model, x, TrainConfig(epochs=5), progress=False)
            found[offset, pre_bias] = framework.evaluate(model, x)
    far, near = found[0.4, False], found[0.0, False]
    assert far["dead"] > near["dead"] + 10
    assert far["fvu"] > 1.05 * found[0.4, True]["fvu"]
    assert found[0.4, True]["dead"] < 5
    assert found[0.4, True]["fvu"] == pytest.approx(found[0.0, True]["fvu"], rel=0.02)
