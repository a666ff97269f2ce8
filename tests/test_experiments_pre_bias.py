"""The stored experiment on samples far from 0, a slice of it computed again."""

import warnings

import numpy as np
import pytest

from experiments import pre_bias as experiment
from saebook import doubts, pages


@pytest.fixture(scope="module")
def stored():
    return pages.results("pre_bias")


def test_all_of_it_is_stored(stored):
    assert stored["settings"] == {
        "l0": experiment.L0,
        "n_latents": experiment.N_LATENTS,
        "n_samples": experiment.N_SAMPLES,
        "epochs": experiment.EPOCHS,
    }
    sets = experiment.sets(100)
    assert [*stored["table"]] == [*sets]
    for row in stored["table"].values():
        assert len(row) == 1 + 2 * len(experiment.KINDS)
        for key, runs in row.items():
            assert key == "away" or len(runs) == len(experiment.SEEDS)


def test_patches_that_begin_alike_are_stored_and_come_again(stored):
    """The control: without latents of its own for what they have in common."""
    x, x_val = experiment.sets()["patches"]
    patches = stored["patches"]
    assert patches["largest_share"] == round(experiment.largest_share(x), 3)
    assert patches["alike"].keys() == experiment.KINDS.keys()
    assert {len(runs) for runs in patches["alike"].values()} == {len(experiment.SEEDS)}
    found = experiment.train("TopK", True, x, x_val, 0, alike=True)
    then = patches["alike"]["TopK"][0]
    assert found["fvu"] == pytest.approx(then["fvu"], rel=0.1)
    assert abs(found["dead"] - then["dead"]) < 20
    apart = experiment.train("TopK", True, x, x_val, 0)
    assert apart["fvu"] < 0.95 * found["fvu"]
    assert apart["dead"] < 0.6 * found["dead"]


def test_only_the_distance_of_the_digits_changes():
    sets = experiment.sets(500)
    near, moved = sets["digits + 0"], sets["digits + 0.8"]
    for a, b in zip(near, moved, strict=True):
        np.testing.assert_allclose(a + np.float32(0.8), b)
    away = [experiment.away(x) for x, _ in sets.values()]
    assert away[0] < 1
    assert min(away[1:]) > 1.9
    assert away[2] > doubts.FAR  # fit warns of half of the moved digits


def test_patches_are_pieces_of_photographs():
    found = experiment.patches(50)
    assert found.shape == (50, 144)
    assert found.min() >= 0
    assert found.max() <= 1
    np.testing.assert_array_equal(found, experiment.patches(50))
    edges = np.abs(np.diff(found.reshape(50, 12, 12), axis=2)).mean()
    assert edges < 0.5 * np.abs(found - found[::-1]).mean()  # neighbours are alike


@pytest.mark.parametrize("pre_bias", [False, True])
def test_a_slice_is_as_stored(stored, pre_bias):
    x, x_val = experiment.sets()["digits + 0.4"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = experiment.train("TopK", pre_bias, x, x_val, 0)
    then = stored["table"]["digits + 0.4"][f"TopK, {'with' if pre_bias else 'without'}"][0]
    assert found["fvu"] == pytest.approx(then["fvu"], rel=0.05)
    assert abs(found["dead"] - then["dead"]) < 12
