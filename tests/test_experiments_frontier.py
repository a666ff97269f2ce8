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
    """Another run of the same trainings: equal up to what rounding does to a training."""
    sweep = pages.results("modern")["sweep"]["torch"]
    for kind, models in stored["models"].items():
        assert [*models] == [*sweep[kind]]
        for setting, model in models.items():
            assert model["l0"] == pytest.approx(sweep[kind][setting][0]["l0"], abs=0.6)
            assert model["fvu"] == pytest.approx(sweep[kind][setting][0]["fvu"], abs=0.006)


def test_one_model_run_again_is_as_stored(stored):
    again, model = experiment.inside("TopK", 8), stored["models"]["TopK"]["8"]
    assert again["fvu"] == pytest.approx(model["fvu"], abs=0.006)
    assert len(again["code"]) == len(model["code"]) <= 8
    pictures = [experiment.unpack_pictures(m["x_hat"]) for m in (again, model)]
    assert np.abs(pictures[0].astype(int) - pictures[1]).mean() < 0.2


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
    assert [*stored["models"]] == [*modern.KINDS]
