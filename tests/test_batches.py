"""Data that fit is given batch by batch: a file larger than memory, a list, a loader."""

import json
import subprocess
import sys
import warnings
import zlib

import ml_dtypes
import numpy as np
import pytest

from saebook import KL, SAEConfig, TrainConfig, parity, reference
from saebook.batches import Batches, Shards
from saebook.corruption import GaussianNoise
from saebook.start import epoch_batches, epoch_order, init_params, noise_generator

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
        size, seed = TRAINING.batch_size, TRAINING.seed
        for rows in epoch_batches(len(self.x), size, seed, self.epoch):
            yield self.make(self.x[rows])


class Generating:
    """Starts anew at every pass, and has no length."""

    def __init__(self, batches):
        self.batches = batches

    def __iter__(self):
        yield from self.batches


def as_memmap(x, tmp_path):
    path = tmp_path / f"{len(list(tmp_path.iterdir()))}.npy"
    np.save(path, x)
    return np.load(path, mmap_mode="r")


def forms(x, tmp_path):
    """The same samples in each form: as one array, and in batches."""
    return {
        "array": x,
        "memmap": as_memmap(x, tmp_path),
        "shards": Shards([as_memmap(x[:9], tmp_path), x[9:]]),
        "list": [x[:32], x[32:]],
        "iterable": Generating([x[:32], x[32:]]),
    }


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
        (lambda x: Generating([]), "x must give at least one batch, got none in epoch 1"),
        (
            lambda x: [x, x[:, :3]],
            r"batch 1 of x must have shape \(n_samples, 12\).* got \(100, 3\)",
        ),
        (lambda x: [x, x * np.nan], "batch 1 of x must be finite"),
        (lambda x: [x, x.astype(int)], "batch 1 of x must hold floating-point numbers"),
        (lambda x: Loader(x, lambda b: (b, 1 - b)), "batch 0 of x must hold samples once"),
    ],
)
def test_wrong_batches_are_refused(framework, x, given, message):
    with pytest.raises(ValueError, match=message):
        train(framework, given(x))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x[:, :3], r"x must have shape \(n_samples, 12\)"),
        (lambda x: (255 * x).astype(np.uint16), "divide 8-bit images by 255"),
        (lambda x: np.where(x > 0.9, np.inf, x), "x must be finite"),
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


@pytest.mark.parametrize("number", [0, 37, 99])
def test_a_bad_sample_is_named_by_the_users_number(framework, x, tmp_path, number):
    """Not by its place in a shuffled batch."""
    x[number, 3] = np.nan
    batch, row = divmod(number, 32) if number < 32 else (1, number - 32)
    in_file = rf"^x must be finite, got NaN or infinity in sample number {number}\."
    in_batch = rf"^batch {batch} of x must be finite, .* the first of them number {row}\."
    message = {
        "array": rf"^x must be finite, .* in 1 sample\(s\), the first of them number {number}\.",
        "memmap": in_file,
        "shards": in_file,
        "list": in_batch,
        "iterable": in_batch,
    }
    for form, given in forms(x, tmp_path).items():
        with pytest.raises(ValueError, match=message[form]):
            train(framework, given)


def test_of_several_bad_samples_in_a_batch_of_a_file_the_first_is_named(x, tmp_path):
    x[[80, 15, 60]] = np.inf
    data = Batches(CONFIG, as_memmap(x, tmp_path), "float32", TrainConfig(batch_size=100))
    with pytest.raises(ValueError, match="sample number 15"):
        next(data.epoch(0))


@pytest.mark.parametrize(("sizes", "told"), [((64, 64, 3), True), ((64, 64, 4), False)])
def test_a_streams_tiny_last_batch_gets_a_word(framework, sizes, told):
    """It is a whole step. Not so of an array, which is divided evenly."""
    x = np.tile(parity.samples(), (2, 1))[: sum(sizes)].astype(np.float32)
    parts = np.split(x, np.cumsum(sizes)[:-1])
    for given in (parts, Generating(parts), x):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            train(framework, given)
        expected = [f"the last batch of x has {sizes[-1]} rows and the largest 64, but each is"]
        assert [str(w.message)[: len(expected[0])] for w in caught] == (
            expected if told and given is not x else []
        )


@pytest.mark.parametrize("n_samples", [1, 31, 32, 33, 64, 65, 95, 1000])
def test_batches_are_as_few_as_allowed_and_equal_to_within_a_row(n_samples):
    batches = epoch_batches(n_samples, 32, 5, 3)
    sizes = [len(rows) for rows in batches]
    assert max(sizes) <= 32
    assert len(sizes) == -(-n_samples // 32)
    assert max(sizes) - min(sizes) <= 1
    np.testing.assert_array_equal(np.concatenate(batches), epoch_order(n_samples, 5, 3))


def test_a_file_may_hold_half_precision(x, tmp_path):
    for dtype in (np.float16, ml_dtypes.bfloat16):
        half = x.astype(dtype)
        path = tmp_path / "half"
        half.tofile(path)
        file = np.memmap(path, dtype, "r", shape=x.shape)
        for given in (file, Shards([file[:9], file[9:]]), Shards([half[:9], half[9:]])):
            data = Batches(CONFIG, given, "float32", TRAINING)
            order = epoch_order(len(x), TRAINING.seed, 0)
            found = np.concatenate([batch for (batch,) in data.epoch(0)])
            np.testing.assert_array_equal(found, half[order].astype(np.float32))
            assert json.dumps(data.mark())


def test_what_the_encoder_sees_is_corrupted_and_the_target_is_not(x, tmp_path):
    """In all forms and every epoch; of several processes, each gets its own rows of both."""

    def flip(batch, rng):
        return 1 - batch + rng.random(batch.shape, dtype=np.float32)

    for form, given in forms(x, tmp_path).items():
        for rank, epoch in ((0, 0), (0, 1), (1, 1)):
            data = Batches(CONFIG, given, "float32", TRAINING, flip, rank, world_size=2)
            noise = noise_generator(TRAINING.seed, epoch)
            rows = epoch_order(len(x), TRAINING.seed, epoch)
            sizes = [25, 25, 25, 25]
            if form in ("list", "iterable"):
                rows, sizes = np.arange(len(x)), [32, 68]
            batches = np.split(x[rows], np.cumsum(sizes)[:-1])
            for (clean, noisy), batch in zip(data.epoch(epoch), batches, strict=True):
                half = slice(len(batch) // 2) if rank == 0 else slice(len(batch) // 2, None)
                clean = x[clean] if form == "array" else clean
                np.testing.assert_array_equal(clean, batch[half])
                np.testing.assert_array_equal(noisy, flip(batch, noise)[half])


def test_of_a_corrupted_array_each_batch_gets_its_own_rows(x):
    data = Batches(CONFIG, x, "float32", TRAINING, 1 - x)
    order = []
    for rows, noisy in data.epoch(0):
        np.testing.assert_array_equal(noisy, 1 - x[rows])
        order.extend(rows)
    np.testing.assert_array_equal(order, epoch_order(len(x), TRAINING.seed, 0))


def test_noise_reaches_the_weights(framework, x, tmp_path):
    clean = train(framework, x)[0]["W_enc"]
    noisy = [train(framework, x, corruption=1 - x)]
    for given in forms(x, tmp_path).values():
        noisy.append(train(framework, given, corruption=lambda batch, rng: 1 - batch))
    for params, _ in noisy:
        assert np.abs(params["W_enc"] - clean).max() > 1e-3


def mark(given, dtype="float32"):
    found = Batches(CONFIG, given, dtype, TrainConfig(epochs=1)).mark()
    assert json.loads(json.dumps(found)) == found
    return found


def test_a_mark_tells_data_from_other_data(x, tmp_path):
    other = x.copy()
    other[0, 0] += 1
    given, again, different = (forms(a, tmp_path) for a in (x, x, other))
    for form in ("array", "memmap", "shards", "list"):
        assert mark(given[form]) == mark(again[form])
        assert mark(given[form]) != mark(different[form])
        assert mark(given[form]) != mark(forms(x[:90], tmp_path)[form])
    assert mark(given["memmap"]) == mark(given["shards"])
    assert mark(given["memmap"])[:3] == [100, 12, "float32"]
    assert mark(given["list"])[:4] == [2, 32, 12, "float32"]


def test_a_mark_of_an_array_is_what_checkpoints_have_always_held(x):
    for dtype in ("float32", "float64"):
        expected = [100, 12, zlib.crc32(x.astype(dtype).tobytes())]
        for given in (x, np.asfortranarray(x), x.tolist()):
            assert mark(given, dtype) == expected


def test_a_mark_of_a_long_file_reads_little_of_it(tmp_path):
    file = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, (100_000, 12))
    read = []

    class Counting(np.memmap):
        def __getitem__(self, rows):
            read.append(len(rows))
            return super().__getitem__(rows)

    before = mark(file.view(Counting))
    assert read == [64]
    file[-1, 0] = 1
    assert mark(file) != before


def test_a_mark_begins_no_pass_over_a_loader(x):
    """The order of one may depend on the number of its passes, or on a global random state."""
    loader = Loader(x)
    assert mark(loader) == [0]
    assert loader.epoch == -1
    batches = iter([x])
    assert mark(batches) == [1]
    assert next(batches) is x


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
