"""A slice of the planted features experiments, run again, against the stored numbers."""

import numpy as np
import pytest

from experiments import superposition as experiment
from saebook import pages


@pytest.fixture(scope="module")
def stored():
    return pages.results("superposition")


@pytest.mark.parametrize("framework", ["torch", "tensorflow"])
def test_topk_with_auxk(framework, stored):
    setting, seed = stored["chosen"]["TopK + AuxK"], experiment.SEEDS[0]
    found = experiment.judge(experiment.train("TopK + AuxK", setting, seed, framework), seed)
    expected = (
        stored["found"]["TopK + AuxK"][0]
        if framework == "torch"
        else stored["tensorflow"]["TopK + AuxK"]
    )
    # A hundredth is a fraction of what AuxK adds.
    for measure in ("found", "real", "matched", "fvu"):
        assert found[measure] == pytest.approx(expected[measure], abs=0.01)


def test_a_larger_price_finds_as_stored(stored):
    setting, seed = experiment.BEYOND["L1"][1], experiment.SEEDS[0]
    found = experiment.judge(experiment.train("L1", setting, seed), seed)
    expected = stored["beyond"]["L1"][str(setting)]["test"]
    for measure in ("found", "real", "fvu"):
        assert found[measure] == pytest.approx(expected[measure], abs=0.01)
    assert {*stored["beyond"]} == {*experiment.BEYOND}
    assert {*stored["longer"]} == {kind for kind in experiment.KINDS if "AuxK" not in kind}
    assert stored["settings"]["longer"] == experiment.LONGER


def test_baselines(stored):
    seed = experiment.SEEDS[0]
    found = experiment.baselines(seed)
    for name, row in stored["baselines"][str(seed)].items():
        assert found[name] == pytest.approx(row, abs=0.001)


def test_settings_are_chosen_without_the_planted_features(stored):
    for kind, rows in stored["tried"].items():
        assert all(set(row) == {"l0", "fvu"} for row in rows.values())
        assert str(stored["chosen"][kind]) == experiment.choose(rows)
    rows = stored["dictionary_learning"]["tried"]
    assert str(stored["dictionary_learning"]["chosen"]) == experiment.choose(rows)


def test_too_dense_settings_are_chosen_only_where_all_are():
    dense, sparse = {"l0": 20.0, "fvu": 0.1}, {"l0": 7.0, "fvu": 0.2}
    assert experiment.choose({"a": dense, "b": sparse}) == "b"
    assert experiment.choose({"a": dense, "b": {"l0": 19.0, "fvu": 0.3}}) == "b"


def test_dimensions_of_known_arrangements():
    angles = 2 * np.pi * np.arange(5) / 5
    pentagon = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    cross = np.array([[1, 0], [-1, 0], [0, 1], [0, -1], [0, 0]])
    orthogonal = np.array([[1, 0], [0, 1], [0, 0], [0, 0], [0, 0]])
    W = np.stack([orthogonal, cross, pentagon])
    for name, D in zip(experiment.ARRANGEMENTS, experiment.dimensions(W), strict=True):
        np.testing.assert_allclose(D, experiment.ARRANGEMENTS[name], atol=1e-12)
    found = experiment.arrangements(W[:, None])
    assert found == {
        name: [int(index == place) for place in range(3)]
        for index, name in enumerate(experiment.ARRANGEMENTS)
    }


def test_the_sparser_the_more_features_share_two_dimensions(stored):
    W = experiment.toy(shares=(1.0, 0.05), starts=10, steps=2_000)
    found = experiment.arrangements(W)
    assert found["pentagon"][0] == 0
    assert found["pentagon"][1] >= 8
    assert stored["toy"]["pentagon"][0] == 0
