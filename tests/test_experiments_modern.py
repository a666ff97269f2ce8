"""A slice of the modern kinds' experiments, run again, against the stored numbers."""

import pytest

from experiments import modern as experiment
from saebook import pages


@pytest.fixture(scope="module")
def stored():
    return pages.results("modern")


@pytest.mark.parametrize("framework", ["torch", "tensorflow"])
@pytest.mark.parametrize("kind", ["JumpReLU", "BatchTopK"])
def test_one_setting(kind, framework, stored):
    setting = experiment.KINDS[kind][1][1]
    found = experiment.measure(kind, setting, 0, framework)
    expected = stored["sweep"][framework][kind][str(setting)][0]
    assert found["fvu"] == pytest.approx(expected["fvu"], abs=0.004)
    assert found["l0"] == pytest.approx(expected["l0"], rel=0.03)
    assert found["scale"] == pytest.approx(expected["scale"], abs=0.02)


def test_kl_with_the_largest_latents_kept(stored):
    found, expected = experiment.kl(0.3), stored["kl"]["torch"]["0.3"]
    assert found["mean"] == pytest.approx(expected["mean"], abs=0.005)
    assert found["kept"]["16"] == pytest.approx(expected["kept"]["16"], abs=0.01)


def test_dead_latents_of_the_first_epochs(stored):
    for start in ("random", "samples"):
        found, expected = experiment.dead(start, epochs=2), stored["dead"]["torch"][start][0]
        assert found["dead"] == pytest.approx(expected["dead"][:2], abs=20)
        assert found["fvu"] == pytest.approx(expected["fvu"][:2], abs=0.01)


def test_all_settings_and_seeds_are_stored(stored):
    for framework, n_seeds in (("torch", 3), ("tensorflow", 1)):
        for kind, (_, settings) in experiment.KINDS.items():
            rows = stored["sweep"][framework][kind]
            assert list(rows) == [str(setting) for setting in settings]
            assert all(len(of_seeds) == n_seeds for of_seeds in rows.values())
        assert list(stored["dead"][framework]) == list(experiment.STARTS)
