"""The stored experiment on dictionaries that are narrow first, a slice of it computed again."""

import numpy as np
import pytest

from experiments import widening as experiment
from saebook import pages


@pytest.fixture(scope="module")
def stored():
    return pages.results("widening")


def test_all_of_it_is_stored(stored):
    rows = {
        f"{kind}, {name}" for name in ("digits", "clothes", "patches") for kind in experiment.KINDS
    }
    assert {*stored["table"]} == rows
    for row in stored["table"].values():
        assert {*row} == {*experiment.WAYS}
        assert {len(runs) for runs in row.values()} == {len(experiment.SEEDS)}


def test_the_ways_differ_in_nothing_but_the_way(monkeypatch):
    """Updates, rates and orders; the rate of the narrow model is that of its width."""
    seen = []
    monkeypatch.setattr(
        experiment,
        "fit",
        lambda model, x, given, **_: seen.append((model.config.n_latents, given.epochs)),
    )
    monkeypatch.setattr(experiment, "figures", lambda *_: {})
    x = np.random.default_rng(0).random((50, 12), np.float32)
    found = {}
    for way in experiment.WAYS:
        seen.clear()
        experiment.train("TopK", x, x, way, 0)
        found[way] = [*seen]
    assert found == {
        "wide": [(1024, 6)],
        "interrupted": [(1024, 2), (1024, 4)],
        "narrow first": [(256, 2), (1024, 4)],
    }


def test_a_slice_is_as_stored(stored):
    x, x_val = experiment.sets()["patches"]
    for way in ("wide", "narrow first"):
        found = experiment.train("TopK", x, x_val, way, 1)
        then = stored["table"]["TopK, patches"][way][1]
        assert found["fvu"] == pytest.approx(then["fvu"], rel=0.15)
        assert found["l0"] == pytest.approx(16, rel=0.1)
