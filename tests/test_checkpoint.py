"""Training that is interrupted goes on as if it had not been."""

import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from saebook import KL, SAEConfig, TrainConfig, parity, training, weights
from saebook.corruption import GaussianNoise
from tests.conftest import FRAMEWORKS

CONFIG = SAEConfig(12, 8, sparsity=KL(rho=0.1, beta=0.1))
TRAINING = TrainConfig(epochs=6, batch_size=32, learning_rate=1e-2)


@pytest.fixture
def x():
    return parity.samples().astype(np.float32)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.safetensors"


def train(framework, x, epochs=TRAINING.epochs, config=CONFIG, seed=0, **options):
    model = framework.SparseAutoencoder(config, seed=seed, device="cpu")
    training = dataclasses.replace(TRAINING, **options.pop("training", {}), epochs=epochs)
    history = framework.fit(model, x, training, **options)
    return model.to_numpy(), history


@pytest.mark.parametrize(
    "options", [{}, {"corruption": GaussianNoise(0.1)}], ids=["plain", "noisy"]
)
def test_in_two_parts_as_in_one(framework, x, path, options):
    options["x_val"] = x[:30]
    whole, history = train(framework, x, **options)
    train(framework, x, epochs=2, checkpoint=path, **options)
    parts, continued = train(framework, x, checkpoint=path, **options)
    for name, value in whole.items():
        np.testing.assert_array_equal(parts[name], value)
    assert continued == history
    again, done = train(framework, x, checkpoint=path, **options)  # nothing left to do
    np.testing.assert_array_equal(again["W_enc"], whole["W_enc"])
    assert done == history


def test_a_checkpoint_is_a_weights_file_for_either_framework(framework, x, path):
    trained, _ = train(framework, x, checkpoint=path)
    for name in FRAMEWORKS:
        found = weights.load(path, name, device="cpu").to_numpy()
        np.testing.assert_array_equal(found["W_enc"], trained["W_enc"])


def test_a_training_begun_in_one_framework_ends_in_the_other(x, path):
    from saebook import pytorch, tensorflow

    whole, _ = train(pytorch, x)
    train(pytorch, x, epochs=3, checkpoint=path)
    mixed, _ = train(tensorflow, x, checkpoint=path)
    for name, value in whole.items():
        assert parity.relative_difference(mixed[name], value) < 1e-5


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"training": {"learning_rate": 0.02}}, "learning_rate: 0.01, got 0.02"),
        ({"training": {"seed": 1}}, "train_config.seed: 0, got 1"),
        ({"seed": 5}, "model"),
        ({"config": dataclasses.replace(CONFIG, weight_decay=0.1)}, "config"),
        ({"x_val": 0.5 + np.eye(12) / 3}, "x_val"),
        ({"corruption": GaussianNoise(0.2)}, "corruption"),
    ],
)
def test_another_trainings_file_is_refused(framework, x, path, options, name):
    train(framework, x, epochs=1, checkpoint=path)
    content = path.read_bytes()
    with pytest.raises(ValueError, match=f"checkpoint must belong to this training, .*{name}"):
        train(framework, x, checkpoint=path, **options)
    with pytest.raises(ValueError, match="with another x: "):
        train(framework, x[:50], checkpoint=path)
    assert path.read_bytes() == content


def test_what_is_no_checkpoint_is_refused_and_stays(framework, x, path):
    weights.save(framework.SparseAutoencoder(CONFIG, device="cpu"), path)
    with pytest.raises(ValueError, match="checkpoint must be a file that fit has written"):
        train(framework, x, checkpoint=path)
    train(framework, x, epochs=1, checkpoint=path.with_name("other"))
    config, params, adam, notes = weights.read_all(path.with_name("other"))
    for wrong in (
        (adam | {"adam.m.W_enc": np.zeros(3)}, notes),
        (adam | {"adam.t": np.array(np.nan)}, notes),
        ({}, notes),
        (adam, {**notes, "training": None}),
        (adam, {**notes, "epochs": -1}),
        (adam, {**notes, "history": [1]}),
    ):
        weights.write(path, config, params, *wrong)
        with pytest.raises(ValueError, match="checkpoint must be a file that fit has written"):
            train(framework, x, checkpoint=path)


def test_after_epoch_can_stop_and_the_file_has_what_was_trained(framework, x, path):
    seen = []

    def enough(number, row):
        seen.append((number, row["loss"]))
        return number == 3

    _, history = train(framework, x, checkpoint=path, after_epoch=enough)
    assert seen == list(enumerate(history["loss"], start=1))
    assert len(seen) == weights.read_all(path)[3]["epochs"] == 3
    # It has ended: the same script, started again, does not train past its end.
    again, history = train(framework, x, checkpoint=path, after_epoch=enough)
    assert len(seen) == len(history["loss"]) == 3
    np.testing.assert_array_equal(again["W_enc"], weights.read(path)[1]["W_enc"])


def other(x, rng):
    return x + rng.normal(size=x.shape).astype(x.dtype)


def another(x, rng):
    return 0.5 * other(x, rng)


def test_a_function_and_an_array_of_noise_are_told_apart(framework, x, path):
    """By name the one, by its numbers the other: either would end at other weights."""
    train(framework, x, epochs=1, checkpoint=path, corruption=other)
    with pytest.raises(ValueError, match="another corruption: 'other', got 'another'"):
        train(framework, x, checkpoint=path, corruption=another)
    train(framework, x, checkpoint=path, corruption=other)
    path.unlink()
    train(framework, x, epochs=1, checkpoint=path, corruption=x + 0.1)
    with pytest.raises(ValueError, match="another corruption: "):
        train(framework, x, checkpoint=path, corruption=x + 0.2)
    train(framework, x, checkpoint=path, corruption=x + 0.1)


@pytest.mark.parametrize("form", ["memmap", "shards", "list", "loader"])
def test_other_data_that_are_not_in_memory_are_told_apart(framework, x, path, tmp_path, form):
    from saebook.batches import Shards

    def given(x, name):
        np.save(tmp_path / f"{name}.npy", x)
        file = tmp_path / f"{name}.npy"
        if form == "memmap":
            return np.load(file, mmap_mode="r")
        batches = [x[:50], x[50:]] if name == "one" or form == "list" else [x[:50], x[50:], x[:1]]
        return (
            Shards([file]) if form == "shards" else batches if form == "list" else Loader(batches)
        )

    class Loader:
        def __init__(self, batches):
            self.batches = batches

        def __iter__(self):
            yield from self.batches

        def __len__(self):
            return len(self.batches)

    train(framework, given(x, "one"), epochs=1, checkpoint=path)
    with pytest.raises(ValueError, match="with another x: "):
        train(framework, given(x + 0.1, "two"), checkpoint=path)
    _, history = train(framework, given(x, "one"), checkpoint=path)
    assert len(history["loss"]) == TRAINING.epochs


def test_a_file_of_0_3_0_that_kept_nothing_of_such_data_goes_on(framework, x, path):
    batches = [x[:50], x[50:]]
    train(framework, batches, epochs=1, checkpoint=path)
    config, params, adam, notes = weights.read_all(path)
    notes["training"]["x"] = None
    weights.write(path, config, params, adam, notes)
    _, history = train(framework, batches, checkpoint=path)
    assert len(history["loss"]) == TRAINING.epochs


def test_the_place_for_the_file_is_looked_at_before_the_first_step(framework, x, tmp_path):
    def never(number, row):
        raise AssertionError("it has trained")

    for path in (tmp_path / "none" / "run", tmp_path):
        with pytest.raises(OSError, match=r"in a folder that is there|must be a file"):
            train(framework, x, checkpoint=path, after_epoch=never)


# Killed at any moment: 25 times in each framework, by a signal that no program can catch, after a
# random number of epochs and a random part of a moment more.

VICTIM = """
import sys
from importlib import import_module
from saebook import SAEConfig, TopK, TrainConfig, parity
name, path = sys.argv[1:]
package = import_module("saebook." + name)
if name == "pytorch":
    import_module("torch").set_num_threads(1)
config = SAEConfig(12, 8, "linear", "linear", sparsity=TopK(2))
model = package.SparseAutoencoder(config, device="cpu")
training = TrainConfig(epochs=400, batch_size=20)
tell = lambda number, row: print(number, flush=True)
package.fit(model, parity.samples(), training, checkpoint=path, progress=False, after_epoch=tell)
"""


KILLS = 25 if os.environ.get("SAEBOOK_ALL") else 10


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_killed_again_and_again_it_ends_at_the_same_weights(name, tmp_path):
    def start(path):
        command = [sys.executable, "-c", VICTIM, name, path]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    whole, path = tmp_path / "whole", tmp_path / "killed"
    assert start(whole).communicate()[0].split()[-1] == "400"
    chance, found = random.Random(0), []
    for _ in range(KILLS):
        process = start(path)
        for _ in range(chance.randint(1, 10)):
            assert process.stdout.readline()
        time.sleep(chance.uniform(0, 0.01))
        process.kill()
        assert process.wait() == -signal.SIGKILL
        found.append(weights.read_all(path)[3]["epochs"])  # what it left is a whole file
    assert found == sorted(set(found))
    assert found[-1] < 400
    assert start(path).communicate()[0].split()[0] == str(found[-1] + 1)
    ended, expected = weights.read_all(path), weights.read_all(whole)
    for one, other in zip(ended[1:3], expected[1:3], strict=True):
        assert {k: v.tobytes() for k, v in one.items()} == {
            k: v.tobytes() for k, v in other.items()
        }
    assert json.dumps(ended[3]) == json.dumps(expected[3])


def test_a_figure_that_came_later_has_nan_for_the_epochs_before(framework, x, path, monkeypatch):
    train(framework, x, epochs=2, checkpoint=path, x_val=x[:30])
    monkeypatch.setitem(training.MEASURES, "largest", lambda x, x_hat, z, above: float(z.max()))
    _, history = train(framework, x, epochs=4, checkpoint=path, x_val=x[:30])
    assert np.isnan(history["val_largest"]).tolist() == [True, True, False, False]
    monkeypatch.delitem(training.MEASURES, "largest")
    _, history = train(framework, x, epochs=5, checkpoint=path, x_val=x[:30])
    assert {len(values) for values in history.values()} == {5}
    assert np.isnan(history["val_largest"][-1])


def test_other_validation_samples_of_the_same_shape_are_another_training(framework, x, path):
    train(framework, x, epochs=1, checkpoint=path, x_val=x[:30])
    with pytest.raises(ValueError, match=r"checkpoint must belong to this training, .* x_val: "):
        train(framework, x, epochs=2, checkpoint=path, x_val=x[30:60])
