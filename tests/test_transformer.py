"""The causal transformer: its ledger, its splices, its file, its tokens."""

from importlib import import_module

import numpy as np
import pytest

from saebook import SAEConfig, TopK, TrainConfig, metrics, reference
from saebook.parity import relative_difference
from saebook.reference import transformer as specification
from saebook.start import init_params
from saebook.tokens import Tokenizer
from saebook.transformer import TransformerConfig, init, places, read, shapes, write
from tests.conftest import FRAMEWORKS

CONFIG = TransformerConfig(n_tokens=40, context=12, n_layers=2, d_model=16, n_heads=4, d_mlp=24)
RNG = np.random.default_rng(0)
TOKENS = RNG.integers(0, 40, (3, 12)).astype(np.int32)
TOLERANCE = 1e-12


@pytest.fixture
def params():
    found = init(CONFIG, seed=1)
    rng = np.random.default_rng(2)
    return {name: value + 0.1 * rng.normal(size=value.shape) for name, value in found.items()}


def model_of(name, params):
    return (
        import_module(f"saebook.{name}.transformer")
        .Transformer(CONFIG, dtype="float64")
        .from_numpy(params)
    )


def called(name, params, tokens=TOKENS, splice=None, slope=False):
    """Logits, activations, mean loss, and its gradient by name, in NumPy."""
    module, model = import_module(f"saebook.{name}.transformer"), model_of(name, params)
    if name == "pytorch":
        import torch

        tokens = torch.tensor(tokens)
        logits, found = model(tokens, splice)
        loss = module.next_token_loss(logits, tokens).mean()
        loss.backward()
        gradient = {key: value.grad.numpy() for key, value in model.named_parameters()}
        numpy = lambda value: value.detach().numpy()  # noqa: E731
    else:
        import tensorflow as tf

        tokens = tf.constant(tokens)
        with tf.GradientTape() as tape:
            logits, found = model(tokens, splice)
            loss = tf.reduce_mean(module.next_token_loss(logits, tokens))
        gradient = tape.gradient(loss, model.params)
        gradient = {key: tf.convert_to_tensor(value).numpy() for key, value in gradient.items()}
        numpy = lambda value: value.numpy()  # noqa: E731
    found = {key: numpy(value) for key, value in found.items()}
    return numpy(logits), found, float(numpy(loss)), gradient


def mean_loss(params, tokens=TOKENS):
    logits, _ = specification.forward(CONFIG, params, tokens)
    return specification.next_token_loss(logits, tokens).mean()


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_logits_residual_streams_and_loss_are_those_of_the_specification(name, params):
    logits, found, loss, _ = called(name, params)
    expected, activations = specification.forward(CONFIG, params, TOKENS)
    assert relative_difference(logits, expected) < TOLERANCE
    assert list(found) == list(activations) == places(CONFIG)
    for place, value in activations.items():
        assert value.shape == (3, 12, 16)
        assert relative_difference(found[place], value) < TOLERANCE, place
    assert loss == pytest.approx(mean_loss(params), rel=TOLERANCE)


@pytest.mark.skipif(len(FRAMEWORKS) < 2, reason="needs both frameworks")
def test_gradients_of_the_frameworks_are_equal(params):
    of_torch, of_tensorflow = (called(name, params)[3] for name in FRAMEWORKS)
    assert list(of_torch) == [*shapes(CONFIG)]
    for name, gradient in of_torch.items():
        assert relative_difference(of_tensorflow[name], gradient) < TOLERANCE, name


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_gradients_are_the_slopes_of_the_specification(name, params):
    """Along a random direction for each parameter, by central differences."""
    rng, step = np.random.default_rng(3), 1e-6
    for key, gradient in called(name, params)[3].items():
        direction = rng.normal(size=gradient.shape)
        sides = [
            mean_loss(params | {key: params[key] + sign * step * direction}) for sign in (1, -1)
        ]
        slope = (sides[0] - sides[1]) / (2 * step)
        assert np.sum(gradient * direction) == pytest.approx(slope, rel=1e-6, abs=1e-9), key


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_later_token_changes_nothing_before_it(name, params):
    changed = TOKENS.copy()
    changed[:, 7] = (changed[:, 7] + 1) % 40
    before, after = (called(name, params, tokens)[0] for tokens in (TOKENS, changed))
    np.testing.assert_array_equal(before[:, :7], after[:, :7])
    assert np.abs(before[:, 7:] - after[:, 7:]).min() > 0


@pytest.mark.parametrize("place", places(CONFIG))
@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_splice_takes_the_place_of_an_activation(name, place, params):
    logits, found, _, _ = called(name, params, splice={place: lambda value: value**3})
    expected, activations = specification.forward(
        CONFIG, params, TOKENS, {place: lambda value: value**3}
    )
    assert relative_difference(logits, expected) < TOLERANCE
    assert relative_difference(logits, called(name, params)[0]) > 1e-3
    assert relative_difference(found[place], activations[place]) < TOLERANCE


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_an_unknown_place_is_named(name, params):
    with pytest.raises(ValueError, match=r"splice must name activations among resid_0.*got resid"):
        called(name, params, splice={"residual": lambda value: value})


def test_a_description_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="n_heads must divide d_model, 16, got 3"):
        TransformerConfig(40, d_model=16, n_heads=3)
    with pytest.raises(ValueError, match="n_layers must be an integer of at least 1, got 0"):
        TransformerConfig(40, n_layers=0)


# Tokens

TEXT = b'\0the cat sat on the mat, the  cats\nsat: aaa aaaa 1984 \xe2\x80\x94 that is "that".\n\n'


def test_tokens_are_bytes_and_joins_of_them_and_give_the_text_back():
    tokenizer = Tokenizer.learn(4 * TEXT, 280)
    assert tokenizer.pieces[256] == b"at"  # six times in each
    assert b" that" in tokenizer.pieces
    tokens = tokenizer.encode(TEXT)
    assert tokenizer.decode(tokens) == TEXT
    assert len(tokens) < 0.8 * len(TEXT)
    assert tokens.max() < 280
    assert Tokenizer([]).encode(b"ab").tolist() == [97, 98]
    assert len(tokenizer.encode(b"")) == 0


def test_a_text_has_the_tokens_that_its_pieces_have_alone():
    tokenizer = Tokenizer.learn(TEXT, 275)
    both = [*tokenizer.encode(b"the cats"), *tokenizer.encode(b" sat on")]
    assert tokenizer.encode(b"the cats sat on").tolist() == both


def test_three_alike_are_joined_from_the_left():
    assert Tokenizer([[97, 97]]).encode(b"aaa").tolist() == [256, 97]
    assert Tokenizer([[97, 97], [256, 256]]).encode(b"aaaaa").tolist() == [257, 97]


def test_what_cannot_be_joined_is_refused():
    with pytest.raises(ValueError, match="n_tokens must be at most 258 for this text, got 300"):
        Tokenizer.learn(b"abc", 300)
    with pytest.raises(ValueError, match="n_tokens must be at least 256"):
        Tokenizer.learn(b"abc", 200)
    with pytest.raises(ValueError, match="joins must each name two earlier tokens"):
        Tokenizer([[256, 97]])


# The file


def test_a_file_gives_back_what_was_written(params, tmp_path):
    path, tokenizer = tmp_path / "model.safetensors", Tokenizer.learn(4 * TEXT, 280)
    config = TransformerConfig(280, 12, 2, 16, 4, 24)
    params = init(config)
    write(path, config, params, tokenizer, {"corpus": "a cat"})
    found = read(path)
    assert found[0] == config
    assert found[3] == {"corpus": "a cat"}
    np.testing.assert_array_equal(found[2].joins, tokenizer.joins)
    for name, value in params.items():
        np.testing.assert_array_equal(found[1][name], value.astype(np.float32))


def test_what_is_no_such_file_is_refused_in_a_sentence(params, tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"must be a whole file of a transformer, got"):
        read(path)
    with pytest.raises(ValueError, match="params must have the keys"):
        write(path, CONFIG, {}, Tokenizer([]), {})
    assert path.read_bytes() == b"nothing"


# The transcoder: a code of what an MLP reads, from which what it adds is rebuilt


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_transcoder_has_the_loss_and_the_gradients_of_the_specification(name, params):
    """The samples and the code's inputs are different places of the transformer."""
    _, found = specification.forward(CONFIG, params, TOKENS)
    inputs, x = (found[place].reshape(-1, 16) for place in ("mlp_in_1", "mlp_out_1"))
    config = SAEConfig(16, 24, sparsity=TopK(5), unit_norm=True)
    start = init_params(config, seed=4)
    package = import_module(f"saebook.{name}")
    model = package.SparseAutoencoder(config, dtype="float64", device="cpu").from_numpy(start)

    def terms():
        a = model.preactivation(model.tensor(inputs))
        return package.loss_terms(model, model.tensor(x), a, model.code(a, training=True))

    if name == "pytorch":
        of_framework = terms()
        of_framework["loss"].backward()
        gradient = {key: value.grad.numpy() for key, value in model.named_parameters()}
    else:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            of_framework = terms()
        gradient = tape.gradient(
            of_framework["loss"], {key: getattr(model, key) for key in model.to_numpy()}
        )
        gradient = {key: value.numpy() for key, value in gradient.items()}
    expected = reference.loss_terms(config, start, x, inputs)
    loss = float(
        model.array(of_framework["loss"].detach() if name == "pytorch" else of_framework["loss"])
    )
    assert loss == pytest.approx(expected["loss"], rel=TOLERANCE)
    for key, value in reference.gradients(config, start, x, inputs).items():
        assert relative_difference(gradient[key], value) < TOLERANCE, key


def test_fit_trains_a_transcoder(framework):
    """Codes of one place rebuild another, which those of the other place's own mean do not."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(400, 6)).astype(np.float32)
    x = np.maximum(inputs @ rng.normal(size=(6, 6)), 0).astype(np.float32)
    config = SAEConfig(6, 24, sparsity=TopK(8))
    model = framework.SparseAutoencoder(config, device="cpu")
    settings = TrainConfig(epochs=40, batch_size=50, learning_rate=5e-3)
    framework.fit(model, x, settings, corruption=inputs)
    assert framework.evaluate(model, x, inputs)["fvu"] < 0.2
    assert metrics.fvu(x, framework.reconstruct(model, x)) > 0.5
