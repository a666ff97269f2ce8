"""The first epochs of the experiment with dead latents, run again, against the stored numbers."""

import os

import pytest

from experiments import _runs
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


@pytest.mark.skipif(not os.environ.get("SAEBOOK_ALL"), reason="takes minutes: SAEBOOK_ALL=1")
def test_dead_latents_at_the_end_of_training(stored):
    found, expected = experiment.until_flat("tied"), stored["until_flat"]["tied"][0]
    assert found["dead"] == pytest.approx(expected["dead"], abs=20)
    assert found["fvu"] == pytest.approx(expected["fvu"], abs=0.005)


def test_trainings_until_flat_are_stored_with_their_epochs(stored):
    assert list(stored["until_flat"]) == list(experiment.STARTS)
    for runs in stored["until_flat"].values():
        assert len(runs) == len(experiment.SEEDS)
        # A stage has at least one epoch more than those over which the error must be flat.
        assert all(min(run["epochs"]) > _runs.PATIENCE for run in runs)
        assert all(max(run["epochs"]) < _runs.CAP for run in runs)
