"""The transformer's text and training: slices of it again, against the stored numbers."""

import itertools

import numpy as np
import pytest

from experiments import language_model as experiment
from saebook import pages
from saebook.pytorch.transformer import Transformer
from saebook.texts import addresses, language_model


@pytest.fixture(scope="module")
def stored():
    return pages.results("language_model")


@pytest.fixture(scope="module")
def bundled():
    config, params, tokenizer, recipe = language_model()
    return Transformer(config).from_numpy(params), tokenizer, recipe


def test_a_training_in_small_gives_what_is_stored(stored, bundled):
    found = experiment.small(bundled[1])
    assert list(found) == list(stored["small"])
    for name, value in stored["small"].items():
        assert found[name] == pytest.approx(value, abs=0.01), name


def test_the_bundled_model_predicts_as_stored(stored, bundled):
    model, tokenizer, recipe = bundled
    assert model.config == experiment.CONFIG
    stated = recipe["bits per byte of validation text"]
    assert stated == stored["bits_per_byte"]["val"]["transformer"]
    found = experiment.of_the_first(model, tokenizer, tokenizer.encode(addresses().val))
    assert found == pytest.approx(stored["of the first"], abs=1e-3)


@pytest.mark.parametrize("part", ["val", "test"])
def test_the_transformer_predicts_better_than_all_else(stored, part):
    found = stored["bits_per_byte"][part]
    others = {name: value for name, value in found.items() if name != "transformer"}
    assert set(others) == {"2-gram", "3-gram", "4-gram", "5-gram", "xz", "gzip"}
    assert found["transformer"] < min(others.values()) - 0.01


def test_no_address_is_in_two_parts_and_none_is_left_out():
    texts = {str(number): b"%d" % number for number in range(233)}
    parts = experiment.split(texts)
    assert [len(parts[name]) for name in ("train", "val", "test")] == [209, 12, 12]
    assert sorted(itertools.chain(*parts.values()), key=int) == [*texts]


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_probabilities_of_an_n_gram_add_up_to_1(order):
    tokens = (30 * np.random.default_rng(0).random(400) ** 3).astype(int)
    for context in (tokens[:4], [29, 29, 29, 28]):
        rows = [np.append(context, token) for token in range(30)]
        nats = [experiment.kneser_ney(tokens, row, 30, order)[-1] for row in rows]
        assert np.exp(-np.array(nats)).sum() == pytest.approx(1)


def test_an_n_gram_knows_what_it_has_seen():
    """One token is any of ten; the next follows from it, but for one in a hundred."""
    rng = np.random.default_rng(0)
    tokens = np.stack([rng.integers(0, 10, 3_000)] * 2, axis=1).ravel()
    tokens[1::2] = (tokens[1::2] + 1 + (rng.random(3_000) < 0.01)) % 10
    nats = experiment.kneser_ney(tokens[:5_000], tokens[5_000:], 10, 3)
    free, bound = np.median(nats[::2]), np.median(nats[1::2])  # from the third of them on
    assert free == pytest.approx(np.log(10), abs=0.3)
    assert bound < 0.3


def test_the_rate_rises_stays_and_falls():
    shares = [experiment.rate_at(step, 1_000) for step in range(1_001)]
    assert shares[0] == pytest.approx(1 / experiment.WARM_UP)
    assert set(shares[experiment.WARM_UP : 600]) == {1}
    assert shares[1_000] == 0
    assert np.diff(shares[600:]).max() < 0
