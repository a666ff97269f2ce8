"""Dictionaries of the transformer: slices of the experiment again, against what is stored."""

import numpy as np
import pytest

from experiments import language_saes as experiment
from saebook import pages
from saebook.start import init_tied


@pytest.fixture(scope="module")
def stored():
    return pages.results("language_saes")


@pytest.mark.parametrize("framework", ["torch", "tensorflow"])
def test_a_training_in_small_gives_what_is_stored(framework, stored):
    found = experiment.small(framework)
    assert found["epochs"] == stored["small"][framework]["epochs"]
    assert found["fvu"] == pytest.approx(stored["small"][framework]["fvu"], abs=0.01)


@pytest.mark.parametrize("name", ["samples", "PCA, the k largest"])
def test_a_dictionary_that_nobody_trained_does_as_stored(name, stored):
    place = experiment.MLP  # where none needs a training beforehand
    x = experiment.activations("train", place)
    dictionary = (
        experiment.Components(x)
        if name.startswith("PCA")
        else experiment.untrained(place, experiment.SEEDS[0])[name]
    )
    row = experiment.measured(dictionary, place)
    row |= experiment.summary(*experiment.named(dictionary, place)[1:])
    for measure, value in stored["found"][place][name][0].items():
        assert row[measure] == pytest.approx(value, abs=0.01, rel=0.01), measure


def test_all_seeds_are_stored(stored):
    n = {experiment.STREAM: 0, experiment.MLP: 0}
    for place, of_place in stored["found"].items():
        for name, rows in of_place.items():
            once = "PCA" in name or not name.startswith(("TopK, 512", "samples", "random", "SAE"))
            assert len(rows) == (1 if once else len(experiment.SEEDS)), name
            n[place] += 1
    assert [*n.values()] == [9, 5]
    assert len(stored["changed"]) == len(stored["untrained"]) == len(experiment.SEEDS)
    assert len(stored["tensorflow"]) == len(stored["transcoders"]) == len(experiment.OF_KINDS)


def test_a_latent_that_is_a_token_has_its_name():
    """One active wherever a token is read, one wherever it was read before, one at random."""
    tokens = experiment.tokens_of("val")[:20]
    held = experiment.names(tokens)
    comma = experiment.bundled()[2].encode(b",")[0]
    active = np.stack(
        [
            tokens[:, 1:].ravel() == comma,
            tokens[:, :-1].ravel() == comma,
            np.random.default_rng(0).random(len(held)) < 0.1,
        ],
        axis=1,
    )
    precision, recall, f1 = experiment.scores(active, held)
    before = experiment.bundled()[0].n_tokens + comma
    assert f1[0].argmax() == comma
    assert f1[1].argmax() == before
    assert [precision[0, comma], recall[0, comma], f1[1, before]] == [1, 1, 1]
    assert f1[2].max() < 0.2


def test_what_follows_a_token_adds_up_to_1():
    of = experiment.bundled()[2].encode(b" of")[0]
    shares = experiment.following(of)
    assert shares.sum() == pytest.approx(1)
    assert shares.argmax() == experiment.bundled()[2].encode(b" the")[0]


def test_a_step_of_no_length_changes_nothing_and_a_splice_of_the_same_neither():
    n = len(experiment.tokens_of("test")) * 127
    shares, at = np.full(2048, 1 / 2048), np.arange(n) < 500
    found = experiment.moved([np.ones(128)], np.zeros(n) + 1e-9, shares, at)
    assert found == pytest.approx([0], abs=1e-5)
    farther = experiment.moved([np.eye(128)[0]], np.full(n, 30.0), shares, at)
    assert abs(farther[0]) > 0.01


def test_best_names_are_chosen_once():
    name, f1 = np.array([5, 5, 7, 9]), np.array([0.8, 0.9, 0.1, 0.95])
    assert experiment.chosen(name, f1).tolist() == [3, 1, 2]


def test_weights_between_transcoders_are_those_through_a_centred_stream():
    rng = np.random.default_rng(0)
    first = {"W_dec": rng.normal(size=(3, 8)) + 5}
    second = {"W_enc": rng.normal(size=(8, 4))}
    x = rng.normal(size=8)
    step = (x + first["W_dec"][1]) - (x + first["W_dec"][1]).mean() - (x - x.mean())
    np.testing.assert_allclose(experiment.read_off(first, second)[1], step @ second["W_enc"])


def test_a_code_that_rebuilds_its_rows_loses_nothing():
    config = experiment.config_of("TopK", 256)
    x = experiment.activations("test", experiment.STREAM)[:200]
    rows = experiment.tied(config, init_tied(config, x, 0)["W_dec"], x)
    assert rows.rebuild(x).shape == x.shape
    assert experiment.Components(x, k=128).rebuild(x) == pytest.approx(x, abs=1e-2)
