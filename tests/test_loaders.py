"""What loaders of both frameworks give: pairs and samples alone, images, 8-bit pixels, nonsense."""

import collections
import pickle
from importlib import import_module

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from saebook import KL, SAEConfig, TopK, TrainConfig, metrics, mnist, weights
from saebook.batches import Shards
from saebook.estimators import SAEDenoiser, SAETransformer
from saebook.start import epoch_batches, epoch_order, init_from_samples

TRAINING = TrainConfig(epochs=2, batch_size=32, learning_rate=1e-2)
DIGITS = mnist(flat=False, dtype="uint8")
PIXELS, LABELS = DIGITS.x_val[:80], DIGITS.y_val[:80]
IMAGES = np.divide(PIXELS, 255, dtype=np.float32)[:, None]  # as from ToTensor
ROWS = IMAGES.reshape(80, 784)
CONFIG = SAEConfig(784, 16, sparsity=KL(0.1, 0.1))


def train(framework, x, dtype="float32", config=CONFIG, training=TRAINING, **options):
    model = framework.SparseAutoencoder(config, dtype=dtype, device="cpu")
    history = framework.fit(model, x, training, progress=False, **options)
    return model, history


def assert_same(found, expected, exact=True):
    """Models and histories, bit for bit or to a relative 1e-12."""
    (model, history), (other, other_history) = found, expected
    check = np.testing.assert_array_equal if exact else np.testing.assert_allclose
    options = {} if exact else {"rtol": 1e-12, "atol": 1e-15}
    for name, value in other.to_numpy().items():
        check(model.to_numpy()[name], value, err_msg=name, **options)
    for name, value in other_history.items():
        check(history[name], value, err_msg=name, **options)


class EpochOrder(torch.utils.data.Sampler):
    """Visits the samples in the order in which `fit` visits an array."""

    def __init__(self, n_samples):
        self.n_samples, self.epoch = n_samples, -1

    def __len__(self):
        return self.n_samples

    def __iter__(self):
        self.epoch += 1
        return iter(epoch_order(self.n_samples, TRAINING.seed, self.epoch).tolist())


def from_torch(images, labels, batch_size=32, workers=0, sampler=None):
    parts = [torch.as_tensor(images)] + ([] if labels is None else [torch.as_tensor(labels)])
    return DataLoader(TensorDataset(*parts), batch_size, sampler=sampler, num_workers=workers)


def from_tf(images, labels, batch_size=32):
    """Channels last, as Keras has them, which in a grey image is the same row."""
    images = np.moveaxis(images, 1, -1)
    pipeline = tf.data.Dataset.from_tensor_slices(images if labels is None else (images, labels))
    halves = (lambda x: x / 2 * 2) if labels is None else (lambda x, y: (x / 2 * 2, y))
    return pipeline.map(halves).batch(batch_size).prefetch(2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("labels", [LABELS, None], ids=["pairs", "samples"])
def test_loaders_pipelines_and_arrays_end_at_the_same_weights(framework, dtype, labels):
    """All in one order; the last batch is of 16. Both frameworks' loaders, for both frameworks."""
    batches = np.split(ROWS, [32, 64])
    assert len(batches[-1]) == 16
    expected = train(framework, batches, dtype)
    for given in (
        from_torch(IMAGES, labels),
        from_torch(IMAGES, labels, workers=2),
        from_tf(IMAGES, labels),
        [*from_torch(IMAGES, labels)],
        [np.split(IMAGES, [32, 64])[i] for i in range(3)],
    ):
        assert_same(train(framework, given, dtype), expected, exact=dtype == "float32")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_in_the_order_of_an_array_is_the_array(framework, dtype, workers):
    expected = train(framework, ROWS[:64], dtype)
    loader = from_torch(IMAGES[:64], LABELS[:64], 32, workers, EpochOrder(64))
    assert_same(train(framework, loader, dtype), expected, exact=dtype == "float32")


class Evenly:
    """Batches of the rows that `fit` takes together from an array."""

    def __init__(self, n_samples):
        self.n_samples, self.epoch = n_samples, -1

    def __iter__(self):
        self.epoch += 1
        batches = epoch_batches(self.n_samples, TRAINING.batch_size, TRAINING.seed, self.epoch)
        yield from (rows.tolist() for rows in batches)  # a loader with workers asks twice to begin

    def __len__(self):
        return -(-self.n_samples // TRAINING.batch_size)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("labels", [LABELS, None], ids=["pairs", "samples"])
def test_loaders_in_the_order_of_an_array_with_a_shorter_batch(framework, dtype, labels):
    """80 samples in batches of 27, 27 and 26: from the array, workers and tf.data the same."""
    expected = train(framework, ROWS, dtype)
    assert [len(rows) for rows in Evenly(80)] == [27, 27, 26]
    parts = [IMAGES] if labels is None else [IMAGES, labels]
    tensors = TensorDataset(*map(torch.as_tensor, parts))
    evenly = Evenly(80)
    pipeline = tf.data.Dataset.from_generator(
        lambda: (tuple(part[rows] for part in parts) for rows in evenly),
        output_signature=tuple(
            tf.TensorSpec((None, *part.shape[1:]), part.dtype) for part in parts
        ),
    )
    for given in (
        DataLoader(tensors, batch_sampler=Evenly(80)),
        DataLoader(tensors, batch_sampler=Evenly(80), num_workers=2),
        pipeline.prefetch(2),
    ):
        assert_same(train(framework, given, dtype), expected, exact=dtype == "float32")


def test_a_list_of_pictures_is_an_array(framework):
    expected = train(framework, PIXELS)
    found = train(framework, PICTURES, x_val=PICTURES)
    assert_same((found[0], {}), (expected[0], {}))
    np.testing.assert_array_equal(
        framework.encode(found[0], PICTURES), framework.encode(found[0], PIXELS)
    )


class Stream(IterableDataset):
    """Samples one after another, of which nobody knows how many."""

    def __iter__(self):
        return zip(IMAGES, LABELS.tolist(), strict=True)


def test_a_loader_without_a_length_or_in_batches_of_one(framework, tmp_path):
    """`x_val`, a checkpoint and reading as well, none of which may ask for the length."""
    expected = train(framework, np.split(ROWS, [30, 60]), x_val=ROWS)
    stream = DataLoader(Stream(), 30)
    path = tmp_path / "stream.safetensors"
    found = train(framework, stream, x_val=stream, checkpoint=path)
    assert_same(found, expected)
    np.testing.assert_array_equal(
        framework.encode(found[0], stream), framework.encode(expected[0], ROWS)
    )
    alone = train(framework, np.split(ROWS[:9], 9))
    assert_same(train(framework, from_torch(IMAGES[:9], LABELS[:9], 1)), alone)
    assert_same(train(framework, from_tf(IMAGES[:9], LABELS[:9], 1)), alone)


def test_a_loader_keeps_its_own_order_size_and_shuffle(framework):
    """What its owner has set counts; `batch_size` of the training does not."""
    seen = []

    def watch(batch, rng):
        seen.append(batch.copy())
        return batch

    generator = torch.Generator().manual_seed(3)
    loader = DataLoader(
        TensorDataset(torch.as_tensor(ROWS)), 30, shuffle=True, generator=generator, drop_last=True
    )
    state = torch.random.get_rng_state()
    train(framework, loader, corruption=watch)
    assert torch.equal(torch.random.get_rng_state(), state)
    expected = torch.Generator().manual_seed(3)
    again = DataLoader(
        TensorDataset(torch.as_tensor(ROWS)), 30, shuffle=True, generator=expected, drop_last=True
    )
    wanted = [batch.numpy() for _ in range(2) for (batch,) in again]
    assert len(seen) == len(wanted) == 4
    for found, batch in zip(seen, wanted, strict=True):
        np.testing.assert_array_equal(found, batch)


def test_8_bit_pixels_are_those_over_255(framework, tmp_path):
    for dtype in ("float32", "float64"):
        assert_same(train(framework, PIXELS, dtype), train(framework, ROWS, dtype))
    np.save(tmp_path / "x.npy", PIXELS)
    expected = train(framework, ROWS)
    file = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert_same(train(framework, file), expected)
    assert_same(train(framework, Shards([PIXELS.reshape(80, 784)])), expected)
    batches = train(framework, np.split(ROWS, [32, 64]))
    assert_same(train(framework, from_torch(PIXELS, LABELS)), batches)
    model = batches[0]
    for read in (framework.encode, framework.reconstruct):
        np.testing.assert_array_equal(
            read(model, PIXELS).reshape(80, -1), read(model, ROWS).reshape(80, -1)
        )
    assert framework.evaluate(model, PIXELS) == framework.evaluate(model, ROWS)
    dark = np.zeros_like(PIXELS)
    assert framework.encode(model, dark).shape == (80, 16)


# Pictures come back as pictures


SHAPES = {"(28, 28)": (28, 28), "(1, 28, 28)": (1, 28, 28), "(28, 28, 1)": (28, 28, 1),
          "colour": (4, 14, 14)}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_model_remembers_the_shape_and_can_undo_it(framework, shape, tmp_path):
    images = ROWS.reshape(-1, *shape)
    found = train(framework, images)
    assert_same(found, train(framework, ROWS))
    model = found[0]
    assert model.image_shape == shape
    rebuilt = framework.reconstruct(model, images)
    assert rebuilt.shape == images.shape
    rows = framework.reconstruct(model, ROWS)
    assert rows.shape == ROWS.shape
    np.testing.assert_array_equal(rebuilt.reshape(80, 784), rows)
    np.testing.assert_array_equal(model.images(rows), rebuilt)
    assert metrics.fvu(images, rebuilt) == metrics.fvu(ROWS, rows)
    path = tmp_path / "model.safetensors"
    weights.save(model, path)
    assert weights.read_image_shape(path) == shape
    for backend in weights.BACKENDS:
        assert weights.load(path, backend, "cpu").image_shape == shape
    copy = pickle.loads(pickle.dumps(model))
    assert copy.image_shape == shape


def test_a_model_of_rows_knows_no_pictures(framework):
    model, _ = train(framework, ROWS)
    assert model.image_shape is None
    with pytest.raises(ValueError, match="must have been trained on images, got one trained on r"):
        model.images(ROWS)
    with pytest.raises(ValueError, match=r"rows must have shape \(n_samples, 784\)"):
        model.images(ROWS[:, :3])


def test_a_checkpoint_and_a_keras_file_know_the_shape(framework, tmp_path):
    path = tmp_path / "run.safetensors"
    model, _ = train(framework, from_torch(IMAGES, LABELS), checkpoint=path)
    assert weights.read_image_shape(path) == (1, 28, 28)
    if framework.__name__.endswith("tensorflow"):
        model.save(tmp_path / "model.keras")
        again = keras.models.load_model(tmp_path / "model.keras")
        assert again.image_shape == (1, 28, 28)


def test_images_of_another_shape_are_refused_where_rows_would_fit(framework):
    """Channels last, or turned: as many numbers, in another order."""
    first = ROWS.reshape(-1, 4, 14, 14)
    last = np.moveaxis(first, 1, -1)
    message = r"must hold images in the shape of those before, \(4, 14, 14\), got \(14, 14, 4\)"
    model, _ = train(framework, first)
    for call in (
        lambda: framework.encode(model, last),
        lambda: framework.reconstruct(model, from_torch(last, None)),
        lambda: framework.evaluate(model, last),
        lambda: framework.fit(model, last, TRAINING, progress=False),
        lambda: train(framework, [first, last]),
        lambda: train(framework, first, x_val=last),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    model, _ = train(framework, IMAGES)
    grey = np.moveaxis(IMAGES, 1, -1)  # an axis of length 1 may lie anywhere
    np.testing.assert_array_equal(framework.encode(model, grey), framework.encode(model, ROWS))
    with pytest.raises(ValueError, match=r"x_hat must have the shape of x, \(80, 4, 14, 14\), got"):
        metrics.fvu(first, last)


# Reading with a loader


def test_codes_of_a_loader_are_in_its_order(framework):
    model, _ = train(framework, ROWS)
    expected = framework.encode(model, ROWS)
    for loader in (from_torch(IMAGES, LABELS), from_tf(IMAGES, LABELS)):
        np.testing.assert_allclose(framework.encode(model, loader), expected, rtol=1e-6)
        found = framework.reconstruct(model, loader)
        assert found.shape in (IMAGES.shape, (80, 28, 28, 1))
        whole = framework.evaluate(model, loader)
        assert whole == framework.evaluate(model, ROWS)
        rows = framework.reconstruct(model, ROWS)
        assert metrics.fvu(loader, rows) == metrics.fvu(ROWS, rows)
        assert metrics.psnr(loader, found) == pytest.approx(metrics.psnr(ROWS, rows))
        _, history = train(framework, ROWS, x_val=loader)
        assert history == train(framework, ROWS, x_val=ROWS)[1]


def test_a_loader_that_shuffles_is_no_place_to_look_codes_up(framework):
    model, _ = train(framework, ROWS)
    rows = framework.reconstruct(model, ROWS)
    shuffled = DataLoader(TensorDataset(torch.as_tensor(ROWS)), 32, shuffle=True)
    pipeline = tf.data.Dataset.from_tensor_slices(ROWS).shuffle(80, seed=0).batch(32)
    for loader in (shuffled, pipeline):
        for call in (
            lambda x=loader: framework.encode(model, x),
            lambda x=loader: framework.reconstruct(model, x),
            lambda x=loader: metrics.fvu(x, rows),
        ):
            with pytest.raises(ValueError, match="the same samples in the same order at every pas"):
                call()
        sums = framework.evaluate(model, loader)  # of which no one has to know the places
        assert sums["fvu"] == pytest.approx(framework.evaluate(model, ROWS)["fvu"], rel=1e-6)


@pytest.mark.parametrize("given", ["pairs", "pipeline", "images", "pixels"])
def test_estimators_take_loaders_and_pictures(given):
    x = {
        "pairs": from_torch(IMAGES, LABELS),
        "pipeline": from_tf(IMAGES, LABELS),
        "images": IMAGES,
        "pixels": PIXELS,
    }[given]
    plain = SAETransformer(8, epochs=2, random_state=0, device="cpu").fit(ROWS)
    found = SAETransformer(8, epochs=2, random_state=0, device="cpu").fit(x)
    for name, value in plain.params_.items():
        np.testing.assert_array_equal(found.params_[name], value)
    z = found.transform(x)
    np.testing.assert_array_equal(z, plain.transform(ROWS))
    shape = {"pixels": (28, 28), "pipeline": (28, 28, 1)}.get(given, (1, 28, 28))
    assert found.image_shape_ == shape
    assert found.inverse_transform(z).shape == (80, *shape)
    assert plain.inverse_transform(z).shape == (80, 784)
    denoiser = SAEDenoiser(n_latents=8, epochs=1, random_state=0, device="cpu").fit(x)
    assert denoiser.transform(x).shape == (80, *shape)
    assert denoiser.transform(ROWS).shape == (80, 784)
    with pytest.raises(ValueError, match=r"X must hold images in shape .*, as in fit, got \(14, 5"):
        found.transform(ROWS.reshape(-1, 14, 56))


def test_a_start_from_samples_takes_them_too():
    config = SAEConfig(784, 16, "relu", "linear", sparsity=TopK(4))
    expected = init_from_samples(config, ROWS)
    for given in (IMAGES, PIXELS, from_torch(IMAGES, LABELS)):
        np.testing.assert_array_equal(init_from_samples(config, given)["W_enc"], expected["W_enc"])


# Whatever a loader can give: the right result, or one sentence


class Yields:
    def __init__(self, *batches):
        self.batches = batches

    def __iter__(self):
        return iter(self.batches)


class Words(Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, number):
        return "seven"


class Pairs(Words):
    def __getitem__(self, number):
        return ROWS[number], 7


class Samples(Words):
    """Of each image and its label, what a function makes of them."""

    def __init__(self, make):
        self.make = make

    def __len__(self):
        return 80

    def __getitem__(self, number):
        return self.make(torch.as_tensor(IMAGES[number]), int(LABELS[number]))


Pair = collections.namedtuple("Pair", "image label")
Turned = collections.namedtuple("Turned", "label image")
PICTURES = [Image.fromarray(image) for image in PIXELS]


def in_turn():
    yield ROWS[:40]
    yield ROWS[40:]


def ragged(images):
    return tf.ragged.constant([image[: 20 + i].tolist() for i, image in enumerate(images)])


HALF = IMAGES[:40]
RIGHT = {
    "labels of words": lambda: Yields((IMAGES[:40], ["seven"] * 40), (IMAGES[40:], ["one"] * 40)),
    "a dict of targets": lambda: Yields((HALF, {"digit": LABELS[:40]}), (IMAGES[40:], {})),
    "target the same": lambda: Yields((HALF, HALF), (IMAGES[40:], IMAGES[40:])),
    "masks behind": lambda: Yields((HALF, HALF[:, 0] > 0), (IMAGES[40:], HALF[:, 0] > 0)),
    "channels last": lambda: Yields(np.moveaxis(HALF, 1, -1), np.moveaxis(IMAGES[40:], 1, -1)),
    "8-bit": lambda: Yields(PIXELS[:40], PIXELS[40:]),
    "8-bit and float": lambda: Yields(PIXELS[:40], IMAGES[40:]),
    "rows and images": lambda: Yields(ROWS[:40], IMAGES[40:]),
    "half precision": lambda: Yields(torch.as_tensor(HALF), torch.as_tensor(IMAGES[40:])),
    "tensors that train": lambda: Yields(
        torch.as_tensor(HALF).clone().requires_grad_(), tf.Variable(IMAGES[40:])
    ),
    "rows in a list": lambda: Yields([*ROWS[:40]], [*ROWS[40:]]),
    "lists of lists": lambda: Yields(ROWS[:40].tolist(), ROWS[40:].tolist()),
    "double precision": lambda: Yields(HALF.astype("d"), IMAGES[40:].astype("d")),
    "pictures of PIL": lambda: Yields(PICTURES[:40], PICTURES[40:]),
    "zipped pictures and labels": lambda: DataLoader(
        TensorDataset(torch.arange(80)),
        40,
        collate_fn=lambda rows: tuple(zip(*((PICTURES[i], LABELS[i]) for (i,) in rows))),  # noqa: B905
    ),
    "zipped tensors and labels": lambda: DataLoader(
        Samples(lambda image, label: (image, label)),
        40,
        collate_fn=lambda pairs: [list(part) for part in zip(*pairs)],  # noqa: B905
    ),
    "named pairs": lambda: DataLoader(Samples(Pair), 40),
    "labels and places": lambda: DataLoader(
        TensorDataset(torch.as_tensor(IMAGES), torch.as_tensor(LABELS), torch.arange(80)), 40
    ),
    "weights of samples": lambda: tf.data.Dataset.from_tensor_slices(
        (IMAGES, LABELS, np.ones(80, "f"))
    ).batch(40),
    "labels as one-hot rows": lambda: Yields(
        (HALF, np.eye(10)[LABELS[:40]]), (IMAGES[40:], np.eye(10)[LABELS[40:]])
    ),
    "as tensorflow_datasets": lambda: tf.data.Dataset.from_tensor_slices(
        (PIXELS[..., None], LABELS.astype(np.int64))
    ).batch(40),
}
WRONG = {
    "labels first": (
        lambda: Yields((LABELS, IMAGES)),
        r"batch 0 of x must be one array, got a tuple of 2 in shapes \(80, 1, 28, 28\), \(80,\); "
        "give the samples alone",
    ),
    "labels first, as tensors": (
        lambda: tf.data.Dataset.from_tensor_slices((LABELS, IMAGES)).batch(32),
        "batch 0 of x must be one array, got a tuple of 2",
    ),
    "one-hot labels first": (
        lambda: Yields((np.eye(10, dtype="f")[LABELS], IMAGES)),
        r"batch 0 of x must have shape \(n_samples, 784\) to suit the model, got \(80, 10\)",
    ),
    "labels alone": (
        lambda: Yields(LABELS.astype("f")),
        r"batch 0 of x must have shape \(n_samples, 784\).* got \(80,\); labels come second",
    ),
    "noisy and clean": (
        lambda: Yields((IMAGES, 1 - IMAGES)),
        "batch 0 of x must hold samples once, got two arrays that differ.* give the clean samples",
    ),
    "fewer labels": (
        lambda: Yields((IMAGES, LABELS[:79])),
        r"batch 0 of x must have a label for each sample, got arrays in shapes .*\(79,\)",
    ),
    "dicts": (
        lambda: Yields({"image": IMAGES, "label": LABELS}),
        "batch 0 of x must be an array, got a dict with the keys image, label; give the samples",
    ),
    "dicts of a pipeline": (
        lambda: tf.data.Dataset.from_tensor_slices({"image": IMAGES}).batch(32),
        "batch 0 of x must be an array, got a dict with the keys image",
    ),
    "strings": (lambda: Yields("seven"), "batch 0 of x must hold real numbers, got an array of <U"),
    "words of a loader": (
        lambda: DataLoader(Words(), 2),
        "batch 0 of x must hold real numbers, got an array of <U5",
    ),
    "words of a pipeline": (
        lambda: tf.data.Dataset.from_tensor_slices(["seven", "one"]).batch(2),
        "batch 0 of x must hold real numbers, got an array of object",
    ),
    "None": (lambda: Yields(None), "batch 0 of x must hold real numbers, got NoneType"),
    "dicts of a loader": (
        lambda: DataLoader(Samples(lambda image, label: {"image": image, "label": label}), 40),
        "batch 0 of x must be an array, got a dict with the keys image, label; give the samples",
    ),
    "two of three arrays are samples": (
        lambda: DataLoader(TensorDataset(*map(torch.as_tensor, (IMAGES, 1 - IMAGES, LABELS))), 40),
        "batch 0 of x must hold samples once, got two arrays that differ",
    ),
    "named pairs, labels first": (
        lambda: DataLoader(Samples(lambda image, label: Turned(label, image)), 40),
        r"batch 0 of x must be one array, got a Turned of 2 in shapes \(40, 1, 28, 28\), \(40,\)",
    ),
    "a class number first": (
        lambda: Yields((7, IMAGES)),
        r"batch 0 of x must be one array, got a tuple of 2 in shapes \(\), \(80, 1, 28, 28\)",
    ),
    "labels alone, as integers": (
        lambda: DataLoader(TensorDataset(torch.as_tensor(LABELS).long()), 40),
        r"batch 0 of x must have shape \(n_samples, 784\) to suit the model, got \(1, 40\)",
    ),
    "class numbers": (
        lambda: Yields(*LABELS.tolist()),
        r"batch 0 of x must have shape \(n_samples, 784\) to suit the model, got \(\)",
    ),
    "pairs in a list": (
        lambda: Yields([(image, 7) for image in IMAGES]),
        "batch 0 of x must be an array of numbers, got list",
    ),
    "a list of pairs": (
        lambda: [(image, 7) for image in IMAGES],
        r"batch 0 of x must be a batch, got \(1, 28, 28\), which|x must be an array .* got list",
    ),
    "pictures that differ": (
        lambda: [*PICTURES[:9], Image.new("L", (20, 28))],
        "x must be an array of numbers, got list",
    ),
    "zipped pictures that differ": (
        lambda: Yields((PICTURES[:1] + [Image.new("L", (20, 28))], [7, 1])),
        r"batch 0 of x must hold samples of one shape, got \(28, 20\), \(28, 28\)",
    ),
    "pairs of pictures in a list": (
        lambda: Yields([(image, image) for image in IMAGES[:2]]),
        r"batch 0 of x must have shape .* got \(2, 2, 1, 28, 28\)",
    ),
    "a pair within a pair": (
        lambda: Yields(((IMAGES,), LABELS)),
        r"batch 0 of x must be one array, got a tuple of 2 in shapes",
    ),
    "several crops": (
        lambda: Yields(np.stack([IMAGES] * 5, 1)),
        r"batch 0 of x must have shape .* got \(80, 5, 1, 28, 28\)",
    ),
    "one for ever": (
        lambda: tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).repeat().batch(40).prefetch(2),
        "x must come to an end, which is that of an epoch, got a _PrefetchDataset that repeats for",
    ),
    "a ragged pipeline": (
        lambda: tf.data.Dataset.from_tensor_slices(
            tf.ragged.constant([row[: 700 + i].tolist() for i, row in enumerate(ROWS[:4])])
        ).ragged_batch(2),
        "batch 0 of x must hold real numbers, got RaggedTensor",
    ),
    "rows that differ in length": (
        lambda: Yields(np.array([ROWS[0], ROWS[1, :20]], object)),
        "got an array of object, as of strings or of rows that differ in length",
    ),
    "complex numbers": (
        lambda: Yields(IMAGES.astype("F")),
        "batch 0 of x must hold real numbers, got an array of complex64",
    ),
    "a function": (lambda: in_turn, "x must hold real numbers, got function"),
    "ragged images": (
        lambda: Yields([IMAGES[0, 0], IMAGES[1, 0, :20]]),
        "batch 0 of x must have a label for each sample, got arrays in shapes",
    ),
    "ragged images with channels": (
        lambda: Yields([IMAGES[0], IMAGES[1, :, :20]]),
        r"batch 0 of x must be a batch, got \(1, 28, 28\), which could be one image as well",
    ),
    "a ragged tensor": (
        lambda: Yields(ragged(IMAGES[:2, 0])),
        "batch 0 of x must hold real numbers, got",
    ),
    "ragged rows": (
        lambda: Yields([ROWS[0], ROWS[1, :20]]),
        r"batch 0 of x must be one array, got a list of 2 in shapes \(20,\), \(784,\)",
    ),
    "8-bit of 0 and 1": (
        lambda: Yields((PIXELS > 99).astype(np.uint8)),
        "batch 0 of x must hold 8-bit pixels from 0 to 255, got uint8 of at most 1",
    ),
    "wider integers": (
        lambda: Yields(PIXELS.astype(np.int64)),
        "batch 0 of x must hold floating-point numbers, got int64; divide 8-bit images by 255",
    ),
    "true and false": (
        lambda: Yields(PIXELS > 99),
        "batch 0 of x must hold floating-point numbers, got bool",
    ),
    "other channels": (
        lambda: Yields(np.repeat(IMAGES, 3, axis=1)),
        r"batch 0 of x must have shape \(n_samples, 784\) .* got \(80, 3, 28, 28\)",
    ),
    "channels last later": (
        lambda: Yields(ROWS.reshape(-1, 4, 14, 14), ROWS.reshape(-1, 14, 14, 4)),
        r"batch 1 of x must hold images in the shape of those before, \(4, 14, 14\)",
    ),
    "samples one by one": (
        lambda: tf.data.Dataset.from_tensor_slices(np.moveaxis(IMAGES, 1, -1)),
        r"got \(28, 28, 1\), one sample alone; the first axis must count the samples",
    ),
    "rows one by one": (
        lambda: DataLoader(torch.as_tensor(ROWS), None),
        r"got \(784,\), one sample alone; the first axis must count the samples",
    ),
    "images one by one": (
        lambda: Yields(*IMAGES),
        r"batch 0 of x must be a batch, got \(1, 28, 28\), which could be one image as well",
    ),
    "nothing": (lambda: Yields(), "x must give at least one batch, got none in epoch 1"),
    "an empty loader": (
        lambda: DataLoader(TensorDataset(torch.as_tensor(ROWS)), 100, drop_last=True),
        "x must give at least one batch, got none",
    ),
    "an empty batch": (
        lambda: Yields(ROWS[:0]),
        "batch 0 of x must hold at least one sample, got shape",
    ),
    "an empty list": (lambda: Yields([]), r"batch 0 of x must have shape .* got \(0,\)"),
    "NaN": (lambda: Yields(ROWS * np.nan), "batch 0 of x must be finite, got NaN"),
    "masked": (lambda: Yields(np.ma.masked_equal(ROWS, 0)), "batch 0 of x must have no masked ent"),
    "a sparse tensor": (
        lambda: Yields(torch.as_tensor(ROWS).to_sparse()),
        "batch 0 of x must be a dense array, got a sparse one",
    ),
    "a data set": (
        Pairs,
        "x must be an array or give batches, got a data set, Pairs; give a DataLoader of it",
    ),
    "used up": (lambda: iter([ROWS]), "x must be an iterable that starts anew in every epoch"),
    "used up, a generator": (in_turn, "x must be an iterable that starts anew in .* got generator"),
    "used up, an iterator of NumPy's": (
        lambda: tf.data.Dataset.from_tensor_slices(ROWS).batch(40).as_numpy_iterator(),
        "x must be an iterable that starts anew in every epoch, .* got NumpyIterator",
    ),
}


@pytest.mark.parametrize("kind", RIGHT)
def test_what_a_loader_may_give(framework, kind):
    assert_same(train(framework, RIGHT[kind]()), train(framework, [ROWS[:40], ROWS[40:]]))


@pytest.mark.parametrize("kind", WRONG)
def test_what_a_loader_may_not_give(framework, kind):
    make, message = WRONG[kind]
    with pytest.raises(ValueError, match=message) as caught:
        train(framework, make())
    text = str(caught.value)
    assert text.count(". ") == 0, text
    assert "\n" not in text


@pytest.mark.parametrize("kind", [k for k in WRONG if k != "nothing" and "used up" not in k])
def test_reading_refuses_the_same(framework, kind):
    model = framework.SparseAutoencoder(CONFIG, device="cpu")
    make, message = WRONG[kind]
    for read in (framework.encode, framework.evaluate):
        with pytest.raises(ValueError, match=message):
            read(model, make())


# Transforms as corruptions


def test_a_module_of_pytorch_or_a_layer_of_keras_is_a_corruption(framework):
    """Drawn from the seed: the same at every call, and no random state is moved."""
    spoilers = {
        "torch": torch.nn.Dropout(0.5),
        "keras": keras.layers.GaussianNoise(0.4, seed=5),
        "several": keras.Sequential(
            [keras.layers.RandomTranslation(0.1, 0.1, seed=1), keras.layers.GaussianNoise(0.1)]
        ),
    }
    images = np.moveaxis(IMAGES, 1, -1)
    clean = train(framework, images)[0].to_numpy()["W_enc"]
    for name, spoil in spoilers.items():
        generator = torch.random.get_rng_state()
        first = train(framework, images, x_val=images[:9], corruption=spoil)
        seeds = [v.numpy() for v in getattr(spoil, "variables", [])]
        assert_same(train(framework, images, x_val=images[:9], corruption=spoil), first)
        assert np.abs(first[0].to_numpy()["W_enc"] - clean).max() > 1e-3, name
        for state, before in zip(getattr(spoil, "variables", []), seeds, strict=True):
            np.testing.assert_array_equal(state.numpy(), before)
        assert torch.equal(torch.random.get_rng_state(), generator)
        other = train(
            framework, images, corruption=spoil, training=TrainConfig(2, 32, 1e-2, seed=1)
        )
        assert np.abs(other[0].to_numpy()["W_enc"] - first[0].to_numpy()["W_enc"]).max() > 1e-4


def test_a_transform_sees_pictures_one_by_one_and_a_layer_all(framework):
    shapes = []

    class Watch(torch.nn.Module):
        def forward(self, x):
            shapes.append(tuple(x.shape))
            return x.mul_(0.5)  # to its own copy

    class Layer(keras.layers.Layer):
        def call(self, x, training=False):
            assert training
            shapes.append(tuple(x.shape))
            return x

    x = IMAGES.copy()
    train(framework, x, training=TrainConfig(1, 40), corruption=Watch())
    assert shapes == [(1, 28, 28)] * 80
    np.testing.assert_array_equal(x, IMAGES)
    shapes.clear()
    train(framework, PIXELS, training=TrainConfig(1, 40), corruption=Layer())
    assert shapes == [(40, 28, 28)] * 2
    with pytest.raises(
        ValueError, match=r"the result of corruption must hold .* got float32 in sh"
    ):
        train(framework, IMAGES, corruption=torch.nn.Flatten(0) and torch.nn.AvgPool2d(2))


def test_frameworks_of_transforms_are_those_of_the_package():
    from saebook.corruption import FRAMEWORKS

    for name in {*FRAMEWORKS.values()}:
        assert callable(import_module(f"saebook.{name}.transform").transformed)
