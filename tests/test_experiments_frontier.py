"""The models behind the points of "error against active latents"."""

import numpy as np
import pytest

from experiments import frontier as experiment
from experiments import modern
from saebook import pages


@pytest.fixture(scope="module")
def stored():
    return pages.results("frontier")


def test_the_models_are_those_of_the_sweep(stored):
    sweep = pages.results("modern")["sweep"]["torch"]
    assert [*stored["models"]] == [*sweep]
    for kind, models in stored["models"].items():
        assert [*models] == [*sweep[kind]]
        for setting, model in models.items():
            assert model["l0"] == pytest.approx(sweep[kind][setting][0]["l0"], abs=0.02)
            assert model["fvu"] == pytest.approx(sweep[kind][setting][0]["fvu"], abs=2e-4)


def test_what_is_stored_of_a_model_is_what_the_function_makes():
    config, params = modern.untrained(modern.BEGIN["samples"], 8, 0)
    found = experiment.inside(config, params)
    strengths = [strength for _, strength in found["code"]]
    assert strengths == sorted(strengths, reverse=True)
    assert len(strengths) <= 8
    assert len(experiment.unpack_pictures(found["strokes"])) == len(strengths)
    assert len(experiment.unpack_pictures(found["dictionary"])) == experiment.ROWS
    x_hat = experiment.unpack_pictures(found["x_hat"])[0]
    places = [j for j, _ in found["code"]]
    by_hand = strengths @ params["W_dec"][places] + params["b_dec"]
    assert np.abs(x_hat - np.clip(14 * by_hand, 0, 14)).max() < 0.6


def test_pictures_are_packed_to_half_a_level():
    values = np.random.default_rng(0).normal(size=(3, 784))
    levels = experiment.unpack_pictures(experiment.pack_pictures(values, True))
    size = np.abs(values).max(axis=1, keepdims=True)
    np.testing.assert_allclose(levels / 7 * size, values, atol=0.5001 * size.max() / 7)


def test_settings_are_those_of_the_module(stored):
    assert stored["settings"] == {
        "rows": experiment.ROWS,
        "strokes": experiment.STROKES,
        "label": experiment.LABEL,
    }
