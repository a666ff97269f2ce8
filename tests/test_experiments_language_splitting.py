"""Splitting and absorption in dictionaries of the transformer: rules on codes of known truth."""

import numpy as np
import pytest

from experiments import language_splitting as experiment
from saebook import pages


@pytest.fixture(scope="module")
def stored():
    return pages.results("language_splitting")


class Planted:
    """Directions, and a code that says of each row which of them it holds."""

    def __init__(self, directions, z):
        self.directions, self.mean, self.z = np.array(directions, float), 0, np.array(z, float)

    def encode(self, x):
        return self.z


def test_a_latent_goes_into_those_near_it_that_fire_where_it_does():
    rng = np.random.default_rng(0)
    first, second = rng.random((2, 400)) < 0.3
    half = rng.random(400) < 0.5
    narrow = Planted(np.eye(6)[:3], np.stack([first, second, first & False], axis=1))
    near = np.eye(6)[0] + [0, 0, 0, 0.5, 0, 0], np.eye(6)[0] - [0, 0, 0, 0.5, 0, 0]
    far = np.eye(6)[0] + [0, 0, 0, 0, 3, 0]
    wide = Planted(
        [*near, far, np.eye(6)[1], np.eye(6)[2]],
        np.stack([first & half, first & ~half, first, ~second, second], axis=1),
    )
    origin, counted, _ = experiment.origins(narrow, wide, None)
    assert origin.tolist() == [0, 0, -1, -1, -1]  # too far; active elsewhere; of a silent one
    assert [on.tolist() for on in counted] == [[True, True, False], [True] * 5]
    found = experiment.splitting(narrow, wide, None)
    assert found == {
        "narrow": 2, "wide": 5, "parts": [1, 0, 1, 0], "most": 2, "from one": 0.4, "covered": 1.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("piece", "letter"), [(b" The", "t"), (b"and", "a"), (b" ", ""), (b"1", ""), (b"\xc3", "")]
)
def test_the_first_letter_of_a_token(piece, letter):
    assert experiment.first_letter(piece) == letter


@pytest.mark.parametrize("kind", ["token", "letter"])
def test_concepts_are_those_that_are_most_frequent(kind, stored):
    names, rows = experiment.concepts(kind)
    pieces = experiment.saes.bundled()[2].pieces
    shown = [pieces[v].decode("utf8", "replace") if kind == "token" else str(v) for v in names]
    assert shown == stored["concepts"][kind]
    counts = [train.sum() for train, _ in rows]
    assert counts == sorted(counts, reverse=True)
    assert min(test.sum() for _, test in rows) >= experiment.LEAST_TEST
    assert not np.logical_and.reduce([test for _, test in rows[:2]]).any()
    for (taken, new, _, _), (train, test) in zip(experiment.probes(kind), rows, strict=True):
        assert train[taken].mean() == test[new].mean() == 0.5


def test_components_have_two_sides():
    x = experiment.saes.activations("test", experiment.STREAM)[:300]
    sides, components = experiment.TwoSided(x), experiment.saes.Components(x)
    z = sides.encode(x)
    assert z.min() == 0
    np.testing.assert_allclose(z @ sides.directions + sides.mean, components.rebuild(x), atol=1e-4)


def test_what_nobody_trained_is_scored_as_stored(stored):
    x = experiment.saes.activations("train", experiment.STREAM)
    found = experiment.summary(experiment.TwoSided(x))
    for kind, row in stored["absorption"]["PCA, the k largest"][0].items():
        assert found[kind] == pytest.approx(row, abs=0.01), kind


def test_all_seeds_and_widths_are_stored(stored):
    n = len(stored["settings"]["seeds"])
    for name, rows in (stored["absorption"] | stored["splitting"]).items():
        assert len(rows) == (1 if "PCA" in name else n), name
    for of_seed, rows in zip(stored["gathered"], stored["splitting"]["samples, 1024"], strict=True):
        assert of_seed[0]["samples"] == rows["most"]
    for rows in stored["splitting"].values():
        assert all(sum(row["parts"]) == row["narrow"] for row in rows)
    assert stored["settings"]["widths"] == list(experiment.WIDTHS)
