"""Dashboards: their numbers against the specification, their refusals, what lies in the folder."""

import base64
import io
import json
import re
import subprocess
import sys
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from saebook import SAEConfig, TopK, dashboard, inference, metrics, mnist, pages, reference
from saebook.dashboard import write_dashboard
from saebook.parameters import dictionary
from saebook.start import init_from_samples, init_params
from tests.conftest import FRAMEWORKS

RELU = SAEConfig(3, 3, "relu", "linear")
EYE = {name: np.eye(3) for name in ("W_enc", "W_dec")} | {
    n: np.zeros(3) for n in ("b_enc", "b_dec")
}
DIGITS = SAEConfig(784, 40, "linear", "linear", sparsity=TopK(5), tied=True)


def data_of(folder, name):
    text = (folder / "data" / f"{name}.js").read_text("ascii")
    return json.loads(re.fullmatch(r"saebookDashboard\.data\((.*)\);\n", text, re.DOTALL)[1])


def latents_of(folder):
    files = sorted(folder.glob("data/latents-*.js"), key=lambda p: int(p.stem.split("-")[1]))
    return [latent for file in files for latent in data_of(folder, file.stem)]


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of a few samples, so that there are many."""
    monkeypatch.setattr(inference, "BLOCK", 50)


# Numbers


@pytest.mark.usefixtures("small_blocks")
def test_densities_histograms_and_examples_of_samples_made_by_hand(tmp_path):
    """With weights of 1 the code is the sample, cut off at 0."""
    x = np.array([[0.0, 2.0, -1.0], [4.0, 0.5, -1.0], [1.0, 2.0, -5.0], [0.0, -9.0, -1.0]])
    x = np.repeat(x, 10, axis=0)
    write_dashboard(tmp_path / "new", (RELU, EYE), x, n_examples=3)
    whole, latents = data_of(tmp_path / "new", "index"), latents_of(tmp_path / "new")
    assert whole["density"] == [0.5, 0.75, 0]
    assert whole["largest"] == [4, 2, 0]
    assert (whole["l0"], whole["n_samples"], whole["unit"]) == (1.25, 40, "samples")
    assert whole["fvu"] == pytest.approx(metrics.fvu(x, x.clip(0)), rel=1e-6)
    found = [[(e["sample"], e["value"]) for e in latent["examples"]] for latent in latents]
    assert found == [[(10, 4), (11, 4), (12, 4)], [(0, 2), (1, 2), (2, 2)], []]
    counts = np.array([latent["counts"] for latent in latents])
    n = counts.shape[1]
    assert [(latent["low"], latent["high"]) for latent in latents] == [(0, 4), (0, 2), (0, 0)]
    for j, values in enumerate([[1] * 10 + [4] * 10, [2] * 20 + [0.5] * 10]):
        expected = np.histogram(values, n, (0, whole["largest"][j]))[0]
        np.testing.assert_array_equal(counts[j], expected)
    assert not counts[2].any()


@pytest.mark.usefixtures("small_blocks")
def test_a_negative_activation_counts_by_its_size(tmp_path):
    config = replace(RELU, activation="linear")
    x = np.array([[1.0, 0.0, 2.0], [-3.0, 0.0, 2.0], [2.0, 0.0, 2.0]])
    write_dashboard(tmp_path / "new", (config, EYE), x)
    whole, latents = data_of(tmp_path / "new", "index"), latents_of(tmp_path / "new")
    assert [(e["sample"], e["value"]) for e in latents[0]["examples"]] == [(1, -3), (2, 2), (0, 1)]
    assert (latents[0]["low"], latents[0]["high"]) == (-3, 2)
    assert sum(latents[0]["counts"]) == 3
    assert whole["largest"] == [-3, 0, 2]


def test_a_sigmoid_is_active_above_a_half(tmp_path):
    x = np.array([[1.0, -1.0, 0.0], [2.0, -1.0, 1.0]])
    write_dashboard(tmp_path / "new", (replace(RELU, activation="sigmoid"), EYE), x)
    assert data_of(tmp_path / "new", "index")["density"] == [1, 0, 0.5]


@pytest.fixture(scope="module")
def digits():
    return mnist().x_val[:600]


@pytest.mark.usefixtures("small_blocks")
def test_numbers_are_those_of_the_reference(framework, tmp_path, digits, monkeypatch):
    monkeypatch.setattr(inference, "BLOCK", 100 * 784)
    model = framework.SparseAutoencoder(DIGITS, device="cpu")
    model.from_numpy(init_from_samples(DIGITS, mnist().x_train))
    page = write_dashboard(tmp_path / "new", model, digits, image_shape=(28, 28))
    assert page == tmp_path / "new" / "index.html"
    params = {name: value.astype(np.float64) for name, value in model.to_numpy().items()}
    x = digits.astype(np.float64)
    z = reference.encode(DIGITS, params, x)
    whole, latents = data_of(tmp_path / "new", "index"), latents_of(tmp_path / "new")
    x_hat = reference.decode(DIGITS, params, z)
    assert whole["fvu"] == pytest.approx(metrics.fvu(x, x_hat), abs=1e-5)
    assert whole["l0"] == pytest.approx(metrics.l0(z), abs=1e-2)  # close calls of float32
    np.testing.assert_allclose(whole["density"], (z != 0).mean(axis=0), atol=2 / len(x))
    for j, latent in enumerate(latents):
        values = [e["value"] for e in latent["examples"]]
        samples = [e["sample"] for e in latent["examples"]]
        np.testing.assert_allclose(values, z[samples, j], atol=1e-5)
        strongest = -np.sort(-np.abs(z[:, j]))[: len(values)]
        np.testing.assert_allclose(np.abs(values), strongest, atol=1e-5)
    assert len(latents) == 40


def test_both_frameworks_write_the_same(tmp_path, digits):
    from importlib import import_module

    if len(FRAMEWORKS) < 2:
        pytest.skip("one framework is installed")
    params = init_from_samples(DIGITS, mnist().x_train)
    for name in FRAMEWORKS:
        model = import_module(f"saebook.{name}").SparseAutoencoder(DIGITS, device="cpu")
        model.from_numpy(params)
        write_dashboard(tmp_path / name, model, digits.reshape(-1, 28, 28))
    one, other = (
        {p.relative_to(tmp_path / n): p.read_bytes() for p in (tmp_path / n).rglob("*.*")}
        for n in FRAMEWORKS
    )
    assert one == other
    assert len(one) > 10


# Pictures


def tiles_of(path, shape):
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB") if image.mode == "P" else image)
    rows, columns = pixels.shape[0] // shape[0], pixels.shape[1] // shape[1]
    return pixels.reshape(rows, shape[0], columns, shape[1], *pixels.shape[2:]).swapaxes(1, 2)


def test_pictures_are_the_samples_and_the_rows(tmp_path, digits):
    params = init_from_samples(DIGITS, mnist().x_train)
    pixels = np.round(255 * digits).astype(np.uint8).reshape(-1, 28, 28)  # bytes of any framework
    write_dashboard(tmp_path / "new", (DIGITS, params), pixels, n_examples=4)
    whole, latents = data_of(tmp_path / "new", "index"), latents_of(tmp_path / "new")
    assert (whole["tile"], whole["rows"], whole["unit"]) == ([28, 28], True, "images")
    tiles = tiles_of(tmp_path / "new" / "data" / "examples-1.png", (28, 28))
    assert tiles.shape == (8, 4, 28, 28)
    for j in range(8, 16):
        for place, example in enumerate(latents[j]["examples"]):
            np.testing.assert_array_equal(tiles[j - 8, place], 255 - pixels[example["sample"]])
    rows = tiles_of(tmp_path / "new" / "data" / "rows-4.png", (28, 28))[0].astype(int)
    assert rows.shape == (8, 28, 28, 3)
    row = dictionary(DIGITS, params)[35].reshape(28, 28)
    red, blue = rows[3][..., 0], rows[3][..., 2]
    strong = np.abs(row) > 0.3 * np.abs(row).max()
    np.testing.assert_array_equal((red > blue)[strong], (row > 0)[strong])


@pytest.mark.parametrize("shape", [(4, 5, 3), (3, 4, 5)])
def test_pictures_in_colour(tmp_path, shape):
    config = SAEConfig(60, 8, "relu", "linear")
    x = np.random.default_rng(0).random((20, *shape)).astype(np.float32)
    write_dashboard(tmp_path / "new", (config, init_params(config)), x, n_examples=2)
    example = next(e for e in (latent["examples"] for latent in latents_of(tmp_path / "new")) if e)
    tiles = tiles_of(tmp_path / "new" / "data" / "examples-0.png", (4, 5))
    sample = x[example[0]["sample"]]
    sample = np.moveaxis(sample, 0, -1) if shape[0] == 3 else sample
    np.testing.assert_array_equal(
        next(t[0] for t in tiles if (t[0] != 255).any()), np.round(255 * sample)
    )


def test_pictures_of_what_the_samples_were_made_of(tmp_path):
    x = np.abs(np.random.default_rng(0).normal(size=(20, 3)))
    images = np.linspace(0, 1, 20 * 6).reshape(20, 2, 3)
    write_dashboard(tmp_path / "new", (RELU, EYE), x, images=images, n_examples=2)
    whole, latents = data_of(tmp_path / "new", "index"), latents_of(tmp_path / "new")
    assert (whole["rows"], whole["unit"], whole["tile"]) == (False, "images", [2, 3])
    tiles = tiles_of(tmp_path / "new" / "data" / "examples-0.png", (2, 3))
    first = images[latents[1]["examples"][0]["sample"]]
    np.testing.assert_array_equal(tiles[1, 0], np.round(255 * (1 - first)))
    assert not (tmp_path / "new" / "data" / "rows-0.png").exists()


# Tokens

WORDS = ["the", " cat", " sat", "\n", " “on”", "."]


def text(n_sequences=30, length=9):
    """Activations of 3 features, of which one says that the token is a cat."""
    tokens = np.random.default_rng(0).integers(0, len(WORDS), (n_sequences, length))
    x = np.random.default_rng(1).normal(size=(n_sequences, length, 3))
    x[..., 0] = np.where(tokens == 1, 1 + np.abs(x[..., 0]), 0)
    return tokens, x


@pytest.mark.usefixtures("small_blocks")
def test_tokens_with_their_contexts(framework, tmp_path):
    """What the chapter on a language model calls: a model, activations, tokens, effects."""
    tokens, x = text()
    model = framework.SparseAutoencoder(RELU, device="cpu", dtype="float64")
    model.from_numpy(EYE)
    effects = np.arange(18.0).reshape(3, 6)
    folder = tmp_path / "words"
    write_dashboard(
        folder, model, x, tokens=tokens, vocabulary=WORDS, effects=effects, names={0: "a cat"},
        n_examples=5, context=2,
    )  # fmt: skip
    whole, latents = data_of(folder, "index"), latents_of(folder)
    z = x.clip(0)
    assert (whole["unit"], whole["n_samples"]) == ("tokens", 270)
    np.testing.assert_allclose(whole["density"], (z > 0).mean(axis=(0, 1)), rtol=1e-6)
    for j, latent in enumerate(latents):
        best = np.argsort(-z[..., j].max(axis=1))[:5]  # one of each sequence
        assert [e["sequence"] for e in latent["examples"]] == best.tolist()
        for e in latent["examples"]:
            row, position = z[e["sequence"], :, j], e["position"]
            assert position == row.argmax()
            window = slice(max(0, position - 2), position + 3)
            np.testing.assert_allclose(e["values"], row[window], rtol=1e-6)
            assert e["tokens"] == [WORDS[t] for t in tokens[e["sequence"], window]]
            assert e["values"][e["peak"]] == e["value"]
    assert whole["names"] == ["a cat", "", ""]
    for names, opens in (({2: "dog", 1: "cat"}, 2), ({}, None), (["a", "b", "c"], None)):
        write_dashboard(folder, model, x, tokens=tokens, vocabulary=WORDS, names=names)
        assert data_of(folder, "index")["opens"] == opens
    assert whole["words"][0] == "cat"
    assert latents[1]["effects"] == [[word, 6 + i] for i, word in enumerate(WORDS)]


@pytest.mark.parametrize("length", [1, 9])
def test_sequences_in_any_order_in_memory(tmp_path, length):
    tokens, x = text(length=length)
    for name, array in (("plain", x), ("turned", np.asfortranarray(x)), ("part", x[::-1][::-1])):
        write_dashboard(tmp_path / name, (RELU, EYE), array, tokens=tokens, vocabulary=WORDS)
    files = [
        (tmp_path / n / "data" / "latents-0.js").read_text() for n in ("plain", "turned", "part")
    ]
    assert len(set(files)) == 1
    assert data_of(tmp_path / "plain", "index")["n_samples"] == 30 * length


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("left", [True, False])
def test_what_fills_short_sequences_is_left_out(tmp_path, left):
    """The same numbers as of the texts one by one, and nothing of what lies beside them.

    With these biases a row of zeros, as which the rest is encoded, has active latents too.
    """
    params = EYE | {"b_enc": EYE["b_enc"] + 0.5, "b_dec": EYE["b_dec"] + 0.25}
    tokens, x = text()
    lengths = 3 + np.arange(len(tokens)) % 7  # of 9
    mask = np.arange(9) < lengths[:, None]
    mask = mask[:, ::-1] if left else mask
    filled = np.where(mask[..., None], x, np.nan)
    write_dashboard(
        tmp_path / "new", (RELU, params), filled, tokens=np.where(mask, tokens, -100),
        vocabulary=WORDS, mask=mask.astype(np.int64), n_examples=30, context=8,
    )  # fmt: skip
    whole, latents = data_of(tmp_path / "new", "index"), latents_of(tmp_path / "new")
    rows = x[mask]
    z = (rows + 0.5).clip(0)
    assert whole["n_samples"] == len(rows) == mask.sum()
    np.testing.assert_allclose(whole["density"], (z > 0).mean(axis=0), rtol=1e-6)
    assert whole["l0"] == pytest.approx((z > 0).sum(axis=1).mean(), rel=1e-6)
    assert whole["fvu"] == pytest.approx(metrics.fvu(rows, z + 0.25), rel=1e-6)
    for j, latent in enumerate(latents):
        assert sum(latent["counts"]) == (z[:, j] > 0).sum()
        for e in latent["examples"]:
            of = mask[e["sequence"]]
            assert e["tokens"] == [WORDS[t] for t in tokens[e["sequence"]][of]]
            np.testing.assert_allclose(
                e["values"], (x[e["sequence"], of, j] + 0.5).clip(0), rtol=1e-6
            )
            assert e["values"][e["peak"]] == e["value"] == max(e["values"])


def test_equal_samples_are_seen_behind_what_fills_a_sequence(tmp_path):
    tokens, x = text()
    mask = np.arange(x.shape[1]) > 0
    with pytest.raises(ValueError, match="at least two different samples"):
        write_dashboard(
            tmp_path / "new", (RELU, EYE), np.where(mask[:, None], np.ones_like(x), x),
            tokens=tokens, vocabulary=WORDS, mask=np.broadcast_to(mask, tokens.shape),
        )  # fmt: skip


def test_a_mask_of_ones_changes_nothing(tmp_path):
    tokens, x = text()
    for name, mask in (("plain", None), ("ones", np.ones(tokens.shape, bool))):
        write_dashboard(tmp_path / name, (RELU, EYE), x, tokens=tokens, vocabulary=WORDS, mask=mask)
    for file in ("index", "latents-0"):
        assert data_of(tmp_path / "plain", file) == data_of(tmp_path / "ones", file)


def test_no_sequence_is_refused(tmp_path):
    with pytest.raises(ValueError, match="x must hold at least one sample"):
        write_dashboard(
            tmp_path / "new", (RELU, EYE), np.zeros((0, 4, 3)), tokens=np.zeros((0, 4), int),
            vocabulary=WORDS,
        )  # fmt: skip


def test_images_stand_for_samples_that_were_images_themselves(framework, tmp_path):
    """A model that remembers the shape of its samples may show other pictures for them."""
    config = SAEConfig(6, 4, "relu", "linear")
    model = framework.SparseAutoencoder(config, device="cpu")
    model.image_shape = (2, 3)
    x = np.random.default_rng(0).random((20, 6), np.float32)
    write_dashboard(tmp_path / "own", model, x)
    assert data_of(tmp_path / "own", "index")["tile"] == [2, 3]
    write_dashboard(tmp_path / "other", model, x, images=np.zeros((20, 4, 4)))
    assert data_of(tmp_path / "other", "index")["tile"] == [4, 4]


def test_tokens_as_text_and_many_classes(tmp_path):
    tokens, x = text()
    texts = np.array(WORDS, object)[tokens].tolist()
    effects = np.random.default_rng(2).normal(size=(3, 1000)).astype(np.float32)
    classes = [f"word {i}" for i in range(1000)]
    write_dashboard(
        tmp_path / "new", (RELU, EYE), x, tokens=texts, effects=effects, class_names=classes
    )
    shown = latents_of(tmp_path / "new")[2]["effects"]
    order = np.argsort(-effects[2])
    assert [name for name, _ in shown] == [classes[c] for c in (*order[:8], *order[-8:])]
    np.testing.assert_allclose(
        [value for _, value in shown], effects[2][[*order[:8], *order[-8:]]], 1e-6
    )
    assert data_of(tmp_path / "new", "index")["words"][2].endswith(f"word {order[2]}")


# Refusals

X = np.abs(np.random.default_rng(0).normal(size=(10, 3)))
NAN = np.where(np.arange(30).reshape(10, 3) == 22, np.nan, X)
TOKENS, TEXT = text(10, 4)
REFUSED = {
    "model": ({"model": "m.safetensors"}, "model must be a SparseAutoencoder or a pair"),
    "params": ({"model": (RELU, {})}, "params must have the keys"),
    "width": ({"x": X[:, :2]}, r"x must have shape \(n_samples, 3\).*got \(10, 2\)"),
    "NaN": ({"x": NAN}, "x must be finite, got NaN or infinity in sample number 7"),
    "equal": (
        {"x": np.full((5, 3), 0.1)},
        "x must hold at least two different samples, got 5",
    ),
    "image_shape": ({"image_shape": (2, 2)}, r"image_shape must be .* of 3 numbers, got \(2, 2\)"),
    "one number": ({"image_shape": 3}, "image_shape must be .* got 3"),
    "images": ({"images": X}, r"images must have shape \(10, height, width\).*got \(10, 3\)"),
    "images' NaN": ({"images": np.full((10, 2, 2), np.nan)}, "images must be finite"),
    "both": ({"images": np.zeros((10, 2, 2)), "image_shape": (1, 3)}, "without image_shape"),
    "x and tokens": ({"tokens": TOKENS}, r"x must have shape \(n_sequences, length, 3\) with"),
    "tokens": (
        {"x": TEXT, "tokens": TOKENS[:, 1:], "vocabulary": WORDS},
        r"tokens must have the shape of x, \(10, 4\), got \(10, 3\)",
    ),
    "ragged": (
        {"x": TEXT, "tokens": [["a"], ["a", "b"]]},
        "tokens must be sequences of one length",
    ),
    "numbers alone": ({"x": TEXT, "tokens": TOKENS}, "tokens must be text unless a vocabulary"),
    "no token": (
        {"x": TEXT, "tokens": TOKENS + 1, "vocabulary": WORDS},
        "tokens must be numbers in the vocabulary, from 0 to 5, got 1 to 6",
    ),
    "vocabulary": ({"vocabulary": WORDS}, "vocabulary must be given together with tokens"),
    "mask alone": ({"mask": TOKENS > 0}, "mask must be given together with tokens"),
    "mask": (
        {"x": TEXT, "tokens": TOKENS, "vocabulary": WORDS, "mask": TOKENS[:, 1:] > 0},
        r"mask must have the shape of tokens, \(10, 4\), got \(10, 3\)",
    ),
    "no mask": (
        {"x": TEXT, "tokens": TOKENS, "vocabulary": WORDS, "mask": 2 + TOKENS},
        "mask must be of True and False, or of 1 and 0",
    ),
    "ragged mask": (
        {"x": TEXT, "tokens": TOKENS, "vocabulary": WORDS, "mask": [[1], [1, 0]]},
        r"mask must have shape \(10, 4\), got rows that differ",
    ),
    "nothing left": (
        {"x": TEXT, "tokens": TOKENS, "vocabulary": WORDS, "mask": 0 * TOKENS},
        "mask must leave at least one token, got none",
    ),
    "no text": (
        {"x": TEXT, "tokens": TOKENS, "vocabulary": [1, 2]},
        "vocabulary must be a sequence of str, got 1 in it",
    ),
    "tokens and pictures": (
        {"x": TEXT, "tokens": TOKENS, "vocabulary": WORDS, "image_shape": (1, 3)},
        "tokens must be given without image_shape and images",
    ),
    "effects": ({"effects": np.zeros((2, 3))}, r"effects must have shape \(3, n_classes\), got"),
    "infinite": ({"effects": np.full((3, 2), np.inf)}, "effects must be finite.*for latent 0"),
    "classes": (
        {"effects": np.zeros((3, 2)), "class_names": ["a"]},
        "class_names must be 2, as in effects, got 1",
    ),
    "classes alone": ({"class_names": ["a"]}, "class_names must be given together with effects"),
    "names": ({"names": ["a", "b"]}, "names must be 3, one for a latent, got 2"),
    "no latent": ({"names": {3: "a"}}, "names must have latents from 0 to 2 as keys, got 3"),
    "n_examples": ({"n_examples": 0}, "n_examples must be an integer of at least 1, got 0"),
    "context": ({"context": 1.5}, "context must be an integer of at least 0, got 1.5"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_mistake_is_refused_before_anything_is_written(name, tmp_path):
    given, message = REFUSED[name]
    given = {"model": (RELU, EYE), "x": X, **given}
    with pytest.raises(ValueError, match=message) as error:
        write_dashboard(tmp_path / "new", **given)
    assert "\n" not in str(error.value)
    assert not [*tmp_path.iterdir()]


def test_nothing_that_a_user_made_is_touched(tmp_path):
    folder = tmp_path / "mine"
    (folder / "data").mkdir(parents=True)
    write_dashboard(folder, (RELU, EYE), X)  # an empty folder is no one's
    write_dashboard(folder, (RELU, EYE), X, title="again")
    assert "<h1>again</h1>" in (folder / "index.html").read_text("utf8")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    for name in ("notes.txt", "data/notes.js"):
        (folder / name).write_text("mine")
        with pytest.raises(FileExistsError, match=rf"folder must be new .* in which {name} lies"):
            write_dashboard(folder, (RELU, EYE), X)
        assert (folder / name).read_text() == "mine"
        (folder / name).unlink()
    (folder / "index.html").write_text("<h1>My page</h1>")
    with pytest.raises(FileExistsError):
        write_dashboard(folder, (RELU, EYE), X)
    assert (folder / "index.html").read_text() == "<h1>My page</h1>"
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(FileExistsError, match="folder must be a new folder"):
        write_dashboard(file, (RELU, EYE), X)
    with pytest.raises(FileNotFoundError, match="folder must lie in a folder that is there"):
        write_dashboard(tmp_path / "no" / "new", (RELU, EYE), X)


def test_a_failure_leaves_the_old_folder(tmp_path, monkeypatch):
    folder = tmp_path / "new"
    write_dashboard(folder, (RELU, EYE), X, title="first")

    def fail(*arguments):
        raise OSError("the disk is full")

    monkeypatch.setattr(dashboard.folders, "write_data", fail)
    with pytest.raises(OSError, match="disk is full"):
        write_dashboard(folder, (RELU, EYE), X, title="second")
    assert "first" in (folder / "index.html").read_text("utf8")
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_the_folder_names_no_other_place(tmp_path):
    tokens, x = text()
    write_dashboard(
        tmp_path / "new", (RELU, EYE), x, tokens=tokens, vocabulary=WORDS, title="<b>&amp;"
    )
    for path in (tmp_path / "new").rglob("*.*"):
        assert not re.search(r"//[\w.]", path.read_bytes().decode("latin-1")), path
    page = (tmp_path / "new" / "index.html").read_text("utf8")
    assert "<h1>&lt;b&gt;&amp;amp;</h1>" in page
    assert re.findall(r'(?:src|href)="([^"]*)"', page) == [
        "data:,", "dashboard.css", "dashboard.js",
    ]  # fmt: skip


def test_samples_on_disk_are_read_in_blocks(tmp_path, monkeypatch):
    """Not all of them, nor all their codes, are in memory at once."""
    import tracemalloc

    config = SAEConfig(256, 64, "relu", "linear")
    x = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, (60_000, 256))
    for start in range(0, len(x), 10_000):
        x[start : start + 10_000] = np.random.default_rng(start).normal(size=(10_000, 256))
    monkeypatch.setattr(inference, "BLOCK", 2**18)
    params = init_params(config)
    tracemalloc.start()
    write_dashboard(tmp_path / "new", (config, params), np.load(tmp_path / "x.npy", "r"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6 < x.nbytes / 3


SHOWN = """
import sys
from IPython.testing.globalipapp import start_ipython
start_ipython().kernel = None  # what a notebook's shell has
from IPython.utils.capture import capture_output
from saebook import pages
with capture_output() as out:
    pages.dashboard(sys.argv[1])
(output,) = out.outputs
sys.stdout.write(output.data.pop("text/plain") + "|" + output.metadata[pages.GLUED]["folder"])
assert not output.data
"""


def test_a_page_of_the_book_gets_the_folder_and_a_notebook_a_line(tmp_path, capsys):
    page = write_dashboard(tmp_path / "look", (RELU, EYE), X)
    pages.dashboard(page)
    line = "look/index.html: open it in a browser."
    assert capsys.readouterr().out == f"{line}\n"
    command = [sys.executable, "-c", SHOWN, str(page)]
    said, _, packed = subprocess.run(command, capture_output=True, text=True).stdout.partition("|")
    assert said == line
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(packed))) as archive:
        assert archive.read("look/index.html") == page.read_bytes()
        assert "look/data/index.js" in archive.namelist()
