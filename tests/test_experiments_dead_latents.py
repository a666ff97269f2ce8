"""The first epochs of the experiment with dead latents, run again, against the stored numbers."""

import pytest

from experiments import dead_latents as experiment
from saebook import pages


@pytest.fixture(scope="module")
def stored():
    return pages.results("dead_latents")


def test_dead_latents_of_the_first_epochs(stored):
    for start in ("random", "samples"):
        found, expected = experiment.dead(start, epochs=2), stored["torch"][start][0]
        assert found["dead"] == pytest.approx(expected["dead"][:2], abs=20)
        assert found["fvu"] == pytest.approx(expected["fvu"][:2], abs=0.01)


def test_all_starts_and_seeds_are_stored(stored):
    for framework, n_seeds in (("torch", 3), ("tensorflow", 1)):
        assert list(stored[framework]) == list(experiment.STARTS)
        assert all(len(runs) == n_seeds for runs in stored[framework].values())
        for runs in stored[framework].values():
            assert all(len(run["dead"]) == experiment.TRAINING["epochs"] for run in runs)
