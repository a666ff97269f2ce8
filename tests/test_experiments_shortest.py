"""The stored experiment on the shortest call, a slice of it computed again."""

import numpy as np
import pytest

from experiments import shortest as experiment
from saebook import TrainConfig, pages


@pytest.fixture(scope="module")
def stored():
    return pages.results("shortest")


def test_all_of_it_is_stored(stored):
    rows = {
        f"{kind}, {name}"
        for name in ("digits", "clothes", "patches", "language")
        for kind in experiment.KINDS
    }
    assert {*stored["table"]} == rows - {"none, language", "KL, language"}
    for key, row in stored["table"].items():
        assert {*row["tried"]} == {*experiment.settings()}
        assert len(row["shortest"]) == len(row["its"]) == len(experiment.SEEDS)
        allowed = [
            run["error"]
            for run in row["tried"].values()
            if experiment.counts(key.split(",")[0], run)
        ]
        assert row["tried"][row["best"]]["error"] == min(allowed)


def test_other_settings_are_other_settings():
    names = experiment.settings()
    assert len({str(others) for others in names.values()}) == len(names)
    assert ({}, 1, False) not in names.values()


def test_the_seed_that_chose_is_not_compared():
    row = {
        "shortest": [{"error": 9.0}, {"error": 2.0}, {"error": 4.0}],
        "its": [{"error": 1.0}, {"error": 1.0}, {"error": 2.0}],
    }
    assert experiment.ratio(row) == 2


def test_the_shortest_call_has_no_settings(monkeypatch):
    """The rate that is passed on is the one that `fit` would have taken."""
    seen = []
    monkeypatch.setattr(experiment, "fit", lambda model, x, given, **_: seen.append((model, given)))
    monkeypatch.setattr(experiment, "evaluate", lambda *_: {"fvu": 0, "l0": 0, "dead": 0})
    x = np.random.default_rng(0).random((50, 12), np.float32)
    experiment.train("TopK", x, x, 0, {})
    model, given = seen[0]
    assert given == TrainConfig(experiment.EPOCHS).settled(model.config)


def test_a_slice_is_as_stored(stored):
    x, x_val = experiment.sets()["patches"]
    for kind in ("BatchTopK", "JumpReLU"):
        found = experiment.train(kind, x, x_val, 1, {})
        then = stored["table"][f"{kind}, patches"]["shortest"][1]
        assert found["error"] == pytest.approx(then["error"], rel=0.15)
        assert found["l0"] == pytest.approx(experiment.L0, rel=0.1)
