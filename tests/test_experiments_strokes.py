"""The stored strokes of the front page."""

import base64

import numpy as np
import pytest

from experiments import strokes as experiment
from saebook import TrainConfig, mnist, pages


@pytest.fixture(scope="module")
def stored():
    return pages.results("strokes")


def test_the_stored_model_is_as_good_as_stored(stored):
    params, config = experiment.params_of(stored["model"]), experiment.config_of()
    assert experiment.measure(config, params, mnist().x_val) == stored["validation"]


def test_settings_are_those_of_the_module(stored):
    assert stored["settings"] == {
        "n_latents": experiment.N_LATENTS,
        "k": experiment.K,
        "training": experiment.TRAINING,
    }


def test_the_digits_are_the_first_of_their_label(stored):
    raw = mnist(dtype="uint8")
    digits = np.frombuffer(base64.b64decode(stored["digits"]), "u1").reshape(10, 784)
    for label, digit in enumerate(digits):
        np.testing.assert_array_equal(digit, raw.x_val[raw.y_val == label][0])


@pytest.mark.parametrize("framework", ["torch", "tensorflow"])
def test_a_model_is_stored_to_half_a_step_of_its_scale(framework):
    config, x = experiment.config_of(16, 4), mnist().x_val[:500]
    params = experiment.train(config, x, TrainConfig(epochs=1), framework)
    stored = experiment.stored_model(params)
    again = experiment.params_of(stored)
    for name, atol in (("W_enc", 0.5001 * stored["scale"]), ("b_enc", 1e-6), ("b_dec", 1e-6)):
        np.testing.assert_allclose(again[name], params[name], atol=atol)
