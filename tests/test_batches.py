"""Data that fit is given batch by batch: a file larger than memory, a list, a loader."""

import subprocess
import sys

import numpy as np
import pytest

from saebook import KL, SAEConfig, TrainConfig, parity, reference
from saebook.corruption import GaussianNoise
from saebook.start import epoch_order, init_params

CONFIG = SAEConfig(12, 8, sparsity=KL(rho=0.1, beta=0.1))
TRAINING = TrainConfig(epochs=3, batch_size=32, learning_rate=1e-2)


@pytest.fixture
def x():
    return parity.samples().astype(np.float32)


def train(framework, x, **options):
    model = framework.SparseAutoencoder(CONFIG, device="cpu")
    history = framework.fit(model, x, TRAINING, **options)
    return model.to_numpy(), history


class Loader:
    """Gives the batches of an epoch in the order in which fit would visit the array."""

    def __init__(self, x, make=np.asarray):
        self.x, self.make, self.epoch = x, make, -1

    def __iter__(self):
        self.epoch += 1
        order = epoch_order(len(self.x), TRAINING.seed, self.epoch)
        for start in range(0, len(self.x), TRAINING.batch_size):
            yield self.make(self.x[order[start : start + TRAINING.batch_size]])


def as_memmap(x, tmp_path):
    np.save(tmp_path / "x.npy", x)
    return np.load(tmp_path / "x.npy", mmap_mode="r")


@pytest.mark.parametrize(
    "options", [{}, {"corruption": GaussianNoise(0.1)}], ids=["plain", "noisy"]
)
def test_the_same_batches_give_the_same_weights(framework, tensor, x, tmp_path, options):
    expected, history = train(framework, x, **options)
    for given in (as_memmap(x, tmp_path), Loader(x), Loader(x, tensor)):
        found, figures = train(framework, given, **options)
        for name, value in expected.items():
            np.testing.assert_array_equal(found[name], value)
        assert figures == history


def test_a_list_of_batches_is_taken_in_its_order(framework, x):
    batches = [x[:40], x[40:]]
    found, history = train(framework, batches)
    params = init_params(CONFIG)
    adam = reference.Adam(params, TRAINING)
    for _ in range(TRAINING.epochs):
        for batch in batches:
            params = adam.step(params, reference.gradients(CONFIG, params, batch.astype(float)))
    for name, value in params.items():
        assert parity.relative_difference(found[name], value) < 1e-5
    assert len(history["loss"]) == TRAINING.epochs


def test_a_list_of_rows_is_an_array(framework, x):
    np.testing.assert_array_equal(
        train(framework, x.tolist())[0]["W_enc"], train(framework, x)[0]["W_enc"]
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda x: (batch for batch in [x]), "x must be an iterable that starts anew .*generator"),
        (lambda x: iter([x]), "x must be an iterable that starts anew in every epoch"),
        (lambda x: Loader(x[:0]), "x must give at least one batch, got none in epoch 1"),
        (
            lambda x: [x, x[:, :3]],
            r"a batch of x must have shape \(n_samples, 12\).* got \(100, 3\)",
        ),
        (lambda x: [x, x * np.nan], "a batch of x must be finite"),
        (lambda x: [x, x.astype(int)], "a batch of x must hold floating-point numbers"),
        (lambda x: Loader(x, lambda batch: (batch, batch)), "a batch of x must have shape"),
    ],
)
def test_wrong_batches_are_refused(framework, x, given, message):
    with pytest.raises(ValueError, match=message):
        train(framework, given(x))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x[:, :3], r"x must have shape \(n_samples, 12\)"),
        (lambda x: (255 * x).astype(np.uint8), "divide 8-bit images by 255"),
        (lambda x: np.where(x > 0.9, np.inf, x), "a batch of x must be finite"),
    ],
)
def test_wrong_files_are_refused(framework, x, tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        train(framework, as_memmap(change(x), tmp_path))


def test_one_noisy_copy_of_everything(framework, x):
    """An array as corruption is the same in every epoch, and belongs to its rows."""
    noisy = x + np.float32(0.1) * np.random.default_rng(0).standard_normal(
        x.shape, dtype=np.float32
    )
    pairs = {row.tobytes(): other for row, other in zip(x, noisy, strict=True)}
    found, _ = train(framework, x, corruption=noisy)
    looked_up, _ = train(
        framework, x, corruption=lambda batch, rng: np.stack([pairs[r.tobytes()] for r in batch])
    )
    np.testing.assert_array_equal(found["W_enc"], looked_up["W_enc"])
    with pytest.raises(ValueError, match="corruption must be a function when x_val is given"):
        train(framework, x, corruption=noisy, x_val=x)
    with pytest.raises(ValueError, match="corruption must be a function when x is a memmap or"):
        train(framework, [x], corruption=noisy)
    with pytest.raises(
        ValueError, match="corruption must hold floating-point numbers in the shape"
    ):
        train(framework, x, corruption=noisy[:3])


STREAM = """
import sys
from importlib import import_module
import numpy as np
from saebook import SAEConfig, TrainConfig
name, path = sys.argv[1:]
package = import_module("saebook." + name)

def anonymous():  # memory that is not a file's, in MB
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon")) / 1024

model = package.SparseAutoencoder(SAEConfig(1000, 8), device="cpu")
training = TrainConfig(epochs=1, batch_size=1000)
package.fit(model, np.zeros((2000, 1000), np.float32), training)  # what the framework takes anyway
before = anonymous()
package.fit(model, np.load(path, mmap_mode="r"), training)
print(anonymous() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("name", ["pytorch", "tensorflow"])
def test_memory_does_not_grow_with_the_file(name, tmp_path):
    """A file of 400 MB, of which a batch has 4."""
    path = tmp_path / "x.npy"
    file = np.lib.format.open_memmap(path, "w+", np.float32, (100_000, 1_000))
    file[::1000] = 0.5  # the rest is a hole: nothing to write, nothing to read
    file.flush()
    run = subprocess.run(
        [sys.executable, "-c", STREAM, name, path], capture_output=True, text=True, check=True
    )
    assert float(run.stdout) < 60
