"""A slice of the interpretability experiments, run again, against the stored numbers."""

import numpy as np
import pytest

from experiments import interpretability as experiment
from saebook import pages


@pytest.fixture(scope="module")
def stored():
    return pages.results("interpretability")


@pytest.fixture(scope="module")
def network():
    return experiment.network_of("torch", experiment.SEEDS[0])


def test_all_was_run(stored):
    assert list(stored["settings"]["seeds"]) == list(experiment.SEEDS)
    for framework in experiment.FRAMEWORKS:
        assert [*stored[framework]] == [str(seed) for seed in experiment.SEEDS]
        for row in stored[framework].values():
            assert [*row["found"]] == list(experiment.DICTIONARIES)
            # No dictionary is read with more latents than another; fewer where few are positive.
            assert all(0 < of["l0"] < experiment.K + 0.01 for of in row["found"].values())  # ties


@pytest.mark.parametrize("name", ["samples", "PCA"])
def test_controls_that_nobody_trained(name, network, stored):
    seed = experiment.SEEDS[0]
    expected = stored["torch"][str(seed)]["found"][name]
    found = experiment.judge(network, experiment.dictionary(network, name, seed), seed)
    # Another processor rounds otherwise in the classifier's training, and a name more or less
    # shifts the means over all of them.
    assert found["named"] == pytest.approx(expected["named"], abs=12)
    for measure, apart in (("fvu", 0.02), ("recovered", 0.02), ("off", 0.6), ("up", 0.6)):
        if measure in expected:
            assert found[measure] == pytest.approx(expected[measure], abs=apart)
    for k, f1 in expected["f1"].items():
        assert found["f1"][k] == pytest.approx(f1, abs=0.04)


def test_training_begins_as_stored(network, stored):
    """Two epochs of a training without decay: its curve is that of the stored one."""
    seed = experiment.SEEDS[0]
    curve = experiment.trained(network, seed, epochs=2, decay=0).curve
    assert curve == pytest.approx(stored["torch"][str(seed)]["curves"]["trained"][:2], abs=0.01)


def test_training_was_flat(stored):
    """Twice as many epochs take less than a twentieth off the FVU, and move no conclusion."""
    short, long = (stored["torch"]["0"]["found"]["trained"], stored["twice as long"]["found"])
    assert 0.95 * short["fvu"] < long["fvu"] < short["fvu"]
    samples = stored["torch"]["0"]["found"]["samples"]
    for measure in ("named", "precision", "off", "up"):
        assert samples[measure] > max(short[measure], long[measure])


def test_a_frozen_decoder_stays_as_it_began(network):
    small = network._replace(h=network.h[:2_000])
    for framework in experiment.FRAMEWORKS:
        made = experiment.trained(small._replace(framework=framework), 0, epochs=1, frozen=True)
        free = experiment.trained(small._replace(framework=framework), 0, epochs=1)
        start = np.random.default_rng(0).normal(size=(256, experiment.WIDTH)).T
        start /= np.linalg.norm(start, axis=1, keepdims=True)
        np.testing.assert_allclose(made.rows, start, atol=1e-6)
        assert np.abs(free.rows - start).max() > 1e-3


# Measures, where the answer is known


def test_names_follow_the_rule():
    y = np.repeat(np.arange(10), 20)
    code = np.zeros((200, 3))
    code[:20, 0] = 1  # zeros alone: named
    code[:, 1] = 1  # all alike: not
    code[20:30, 2] = 1  # ones alone, but too seldom
    assert experiment.names(code, y, often=15) == {0: 0}
    assert experiment.names(code, y, often=5) == {0: 0, 2: 1}
    code[20:25, 0] = 1
    assert experiment.precision(code, y, {0: 0}) == 20 / 25


def test_the_largest_are_kept_where_they_are_positive():
    a = np.array([[3.0, 1.0, 2.0, -5.0], [-1.0, -2.0, 4.0, -3.0]])
    assert experiment.largest(a, 2).tolist() == [[3, 0, 2, 0], [0, 0, 4, 0]]


def test_a_probe_of_a_perfect_column_is_perfect():
    y = np.tile(np.arange(10), 30)
    z = np.eye(10)[y]
    assert experiment.probes(z, y, z, y)["1"] == 1
    assert experiment.probes(np.ones((300, 10)), y, np.ones((300, 10)), y)["1"] == 0


def test_margins_of_all_names_add_up_to_nothing():
    change = np.random.default_rng(0).normal(size=(4, 10))
    assert np.allclose(sum(experiment.margin(change, c) for c in range(10)), 0)
