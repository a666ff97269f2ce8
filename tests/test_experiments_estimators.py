"""The experiment that holds the estimators, as they come, to what is simple."""

import numpy as np
import pytest

from experiments import estimators as experiment


def test_sets_for_judging_were_not_used_to_choose():
    assert not set(experiment.CHOOSING) & set(experiment.JUDGING)
    assert len(experiment.JUDGING) >= 10


def test_a_set_that_comes_with_the_package():
    """In decibels; the linear filter is what the denoiser corrects."""
    linear, found = experiment.measure("denoiser", "fashion_mnist", "raw", experiment.SEEDS[:1])[0]
    assert found > linear - 0.3


def test_gain_is_zero_for_what_is_left_as_it_was():
    x = np.random.default_rng(0).normal(size=(20, 3))
    assert experiment.gain(x, x + 1, x + 1) == 0
    assert experiment.gain(x, x + 1, x + 0.1) == pytest.approx(20)
