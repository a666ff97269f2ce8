"""The estimators as they come, on a slice of the sets, against the stored numbers."""

import numpy as np
import pytest

from experiments import estimators as experiment
from saebook import pages


@pytest.fixture(scope="module")
def stored():
    return pages.results("estimators")


# Decibels, and percent of a few hundred samples: what another order of additions may move.
@pytest.mark.parametrize(("estimator", "within"), [("denoiser", 0.1), ("detector", 0.5)])
def test_a_set_that_comes_with_the_package(estimator, within, stored):
    found = experiment.measure(estimator, "fashion_mnist", "raw", experiment.SEEDS[:1])
    expected = stored["judged"][estimator]["raw"]["fashion_mnist"][0]
    np.testing.assert_allclose(found[0], expected, atol=within)


def test_components_and_codes(stored):
    found = experiment.measure("transformer", "fashion_mnist", "raw", experiment.SEEDS[:1])
    expected = stored["judged"]["transformer"]["raw"]["fashion_mnist"][0]
    np.testing.assert_allclose(found[0], expected, atol=2)


def test_what_the_defaults_were_judged_by(stored):
    """On sets that were not used to choose them."""
    assert not {*experiment.CHOOSING, *experiment.MORE} & set(experiment.JUDGING)
    ahead = {
        (estimator, units): np.array(
            [np.subtract(*np.mean(pairs, axis=0)[::-1]) for pairs in sets.values()]
        )
        for estimator, found in stored["judged"].items()
        for units, sets in found.items()
    }
    assert all(len(differences) >= 10 for differences in ahead.values())
    for units in experiment.UNITS:
        assert ahead["denoiser", units].mean() > 0.5
        assert ahead["denoiser", units].min() > -0.3
        assert ahead["detector", units].mean() > -0.3
        assert ahead["transformer", units].mean() > 4
    behind = {
        units: {
            name: round(float(difference), 1)
            for name, difference in zip(
                experiment.JUDGING, ahead["transformer", units], strict=True
            )
            if difference < 0
        }
        for units in experiment.UNITS
    }
    assert behind["standardised"] == {"texture": -0.6}
    # Of components in raw units a classifier sees the large ones more than their share.
    assert behind["raw"] == {"segment": -1.7, "spambase": -0.7}
    tried = stored["chosen_on"]["transformer"]
    chosen, narrower, fewer, quarter, every, apart = (
        tried[str(options)][1] for options in experiment.TRIED["transformer"]
    )
    assert quarter < chosen - 0.6  # and as good as no limit at all
    assert apart < chosen - 0.3
    for as_good in (narrower, fewer, every):
        assert abs(as_good - chosen) < 0.2


def test_codes_and_components_with_a_penalty_that_suits_either(stored):
    """What the transformer's notes say."""
    found = stored["penalty_chosen"]
    assert found.keys() == set(experiment.JUDGING)
    ahead = {name: np.subtract(*np.mean(pairs, axis=0)[::-1]) for name, pairs in found.items()}
    assert 3.5 < np.mean([*ahead.values()]) < 4.5
    assert {name for name in ahead if ahead[name] < 0} == {"spambase", "texture"}
    assert round(-min(ahead.values()), 1) == 1.8


def test_gain_is_zero_for_what_is_left_as_it_was():
    x = np.random.default_rng(0).normal(size=(20, 3))
    assert experiment.gain(x, x + 1, x + 1) == 0
    assert experiment.gain(x, x + 1, x + 0.1) == pytest.approx(20)
