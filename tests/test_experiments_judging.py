"""Sparse probing and absorption on codes of known truth, and parts of the experiment run again."""

import numpy as np
import pytest

from experiments import judging as experiment
from saebook import pages


@pytest.fixture(scope="module")
def stored():
    return pages.results("judging")


def code(n=400, seed=0):
    """Labels, and a code whose latent 3 says them; latent 1 says them for one sample in two."""
    rng = np.random.default_rng(seed)
    y = rng.random(n) < 0.5
    z = rng.random((n, 6)) * (rng.random((n, 6)) < 0.3)
    z[:, 3] = y * rng.uniform(1, 2, n)
    z[:, 1] = y * (rng.random(n) < 0.5)
    return z, y


def test_a_sparse_probe_reads_the_latent_that_says_the_class():
    (z, y), (z_test, y_test) = code(), code(seed=1)
    assert experiment.ranked(z, y)[0] == 3
    accuracies = experiment.sparse_probing(z, y, z_test, y_test, ks=(1, 2))
    assert accuracies == pytest.approx([1, 1, 1])
    without = experiment.sparse_probing(
        np.delete(z, 3, 1), y, np.delete(z_test, 3, 1), y_test, ks=(1,)
    )
    assert 0.65 < without[0] < 0.85  # the other one says half of them


def test_a_concept_has_the_latents_that_add_to_its_f1():
    z, y = code()
    assert experiment.main_latents(z, y).tolist() == [3]
    z[:, 3] *= np.arange(len(z)) % 2  # each is silent for some
    z[:, 1] = y * (np.arange(len(z)) % 2 == 0)
    assert sorted(experiment.main_latents(z, y)) == [1, 3]


def test_absorption_is_another_latent_in_the_place_of_the_main_one():
    e = np.eye(4)
    D = np.stack([e[0], (e[0] + e[1]) / np.sqrt(2), e[2]])  # parent, parent and child, other
    x = np.stack([e[0], e[0] + e[1], e[0] + e[1], e[0]])
    z = np.array([[1, 0, 0], [0, 1.4, 0], [0.1, 1.3, 0], [0, 0, 1.0]])
    found = experiment.absorption(x, z, D, 2 * e[0], np.array([0]))
    assert found.tolist() == [False, True, False, False]
    little = z * [[1], [0.3], [1], [1]]  # too little to stand for the parent
    assert not experiment.absorption(x, little, D, e[0], np.array([0])).any()
    assert not experiment.absorption(x, z, D, e[0], np.array([0, 1])).any()


def test_children_come_with_their_parents_or_apart():
    for family, (n_parents, n_children) in experiment.FAMILIES.items():
        x, parent, with_child, atoms = experiment.families(family, True, 4_000)
        assert x.shape == (4_000, 64)
        assert atoms.shape == (n_parents, 64)
        assert parent.sum(axis=1).mean() == pytest.approx(1.6, abs=0.1)
        assert with_child.sum() / parent.sum() == pytest.approx(0.5, abs=0.03)
        _, parent, with_child, _ = experiment.families(family, False, 4_000)
        share = 0.5 * experiment.PARENTS_IN_SAMPLE / n_parents
        assert with_child.sum() / parent.sum() == pytest.approx(share, abs=0.03)
        assert n_parents * (1 + n_children) == 64


def test_one_model_of_families_scores_as_stored(stored):
    model = experiment.family_model("L1", "seven children", True)
    found = experiment.family_row(model, "seven children", True)
    expected = stored["families"]["seven children"]["L1"]["together"][0]
    for name in ("silent", "score", "one latent", "linear probe", "fvu"):
        assert found[name] == pytest.approx(expected[name], abs=0.03), name


def test_numbers_without_a_dictionary_are_as_stored(stored):
    data = experiment._runs.digits()
    found = experiment.digit_row(data.x_train, data.x_val)
    assert found == pytest.approx(stored["digits"]["pixels"][0], abs=0.004)
    assert experiment.one_direction() == pytest.approx(stored["one_direction"], abs=0.002)


def test_settings_are_those_of_the_module(stored):
    settings = stored["settings"]
    assert tuple(settings["ks"]) == experiment.KS
    assert tuple(settings["seeds"]) == experiment.SEEDS
    assert [*stored["families"]] == [*experiment.FAMILIES]
    assert {name: len(rows) for name, rows in stored["digits"].items()} == {
        "pixels": 1, "PCA": 1, "samples": 3, "random directions": 3,
    } | dict.fromkeys(experiment.modern.SETTINGS, 3)  # fmt: skip
