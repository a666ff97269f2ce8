"""The real torchvision and Keras, on data that the package wrote, without a network."""

import gzip
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import torch
from PIL import Image
from torch.utils.data import DataLoader, Subset

from saebook import KL, SAEConfig, TopK, TrainConfig, metrics, mnist, plots
from saebook.data import own_copy, write_mnist
from saebook.estimators import SAEDenoiser
from saebook.idx import idx_bytes, read_idx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))
import torchvision_operators  # noqa: F401  the schemas of nms and qnms, where they are missing
from torchvision import datasets, transforms
from torchvision.transforms import v2

CONFIG = SAEConfig(784, 16, sparsity=KL(0.1, 0.1))
TRAINING = TrainConfig(epochs=2, batch_size=64, learning_rate=1e-2)
ORIGINAL = mnist(flat=False, dtype="uint8")


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    connect = socket.socket.connect

    def refuse(self, address):
        assert self.family == socket.AF_UNIX, f"something asked for the network: {address}"
        return connect(self, address)  # as the workers of a loader do

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    assert write_mnist(folder) == folder / "MNIST" / "raw"
    write_mnist(folder, "npz")
    return folder


def whole(split):
    return np.concatenate([ORIGINAL.x_train, ORIGINAL.x_val]) if split else ORIGINAL.x_test


# The loading lines of the source document, as today's libraries spell them


def test_torchvision_finds_the_digits(root):
    """Also where they ask for a download, which finds that nothing is missing."""
    for train in (True, False):
        for download in (True, False):
            data = datasets.MNIST(
                root=root, train=train, download=download, transform=transforms.ToTensor()
            )
            np.testing.assert_array_equal(data.data.numpy(), whole(train))
    labels = np.concatenate([ORIGINAL.y_train, ORIGINAL.y_val])
    train = datasets.MNIST(root=root, train=True, download=True, transform=transforms.ToTensor())
    np.testing.assert_array_equal(train.targets.numpy(), labels)
    loader = torch.utils.data.DataLoader(train, batch_size=64, shuffle=True)
    inputs, _ = next(iter(loader))
    assert inputs.shape == (64, 1, 28, 28)


def test_keras_arrays_are_in_the_other_form(root):
    """What `keras.datasets.mnist.load_data` reads from its file."""
    with np.load(root / "mnist.npz", allow_pickle=False) as f:
        x_train, y_train = f["x_train"], f["y_train"]
        x_test, y_test = f["x_test"], f["y_test"]
    np.testing.assert_array_equal(x_train, whole(True))
    np.testing.assert_array_equal(x_test, ORIGINAL.x_test)
    assert (y_train.dtype, y_test.dtype) == (np.uint8, np.uint8)


def trained(framework, x, **options):
    model = framework.SparseAutoencoder(CONFIG, device="cpu")
    history = framework.fit(model, x, TRAINING, progress=False, **options)
    return model, history


@pytest.mark.parametrize("workers", [0, 2])
def test_a_torchvision_loader_trains_as_the_array(framework, root, workers):
    data = datasets.MNIST(root, train=True, download=False, transform=transforms.ToTensor())
    loader = DataLoader(Subset(data, range(200)), 64, num_workers=workers)
    rows = ORIGINAL.x_train[:200].reshape(200, 784) / np.float32(255)
    found, history = trained(framework, loader, x_val=loader)
    expected, other = trained(framework, np.split(rows, [64, 128, 192]), x_val=rows)
    for name, value in expected.to_numpy().items():
        np.testing.assert_array_equal(found.to_numpy()[name], value)
    assert history == other
    pictures = framework.reconstruct(found, loader)
    assert pictures.shape == (200, 1, 28, 28)
    assert metrics.fvu(loader, pictures) == pytest.approx(history["val_fvu"][-1])


def test_keras_lines_train_as_the_array(framework, root):
    with np.load(root / "mnist.npz") as f:
        x_train, y_train = f["x_train"][:200], f["y_train"][:200]
    floats = x_train.astype("float32") / 255.0
    pipeline = (
        tf.data.Dataset.from_tensor_slices((x_train[..., None], y_train))
        .map(lambda image, label: (tf.cast(image, tf.float32) / 255.0, label))
        .batch(64)
        .prefetch(tf.data.AUTOTUNE)
    )
    expected, _ = trained(framework, np.split(floats, [64, 128, 192]))
    for given in (pipeline, np.split(x_train, [64, 128, 192])):
        found, _ = trained(framework, given)
        for name, value in expected.to_numpy().items():
            np.testing.assert_array_equal(found.to_numpy()[name], value)
    assert framework.reconstruct(found, x_train).shape == (200, 28, 28)


def test_a_torchvision_data_set_itself_is_refused_with_the_way_out(framework, root):
    data = datasets.MNIST(root, train=False, transform=transforms.ToTensor())
    for call in (lambda: trained(framework, data), lambda: SAEDenoiser().fit(data)):
        with pytest.raises(ValueError, match=r"got a data set, MNIST; give a DataLoader of it\.$"):
            call()


@pytest.mark.parametrize(
    "noise",
    [
        v2.GaussianNoise(sigma=0.4),
        transforms.RandomErasing(p=1.0),
        transforms.Compose([transforms.RandomAffine(10), v2.GaussianNoise(sigma=0.1)]),
    ],
    ids=["noise", "erasing", "several"],
)
def test_a_torchvision_transform_is_a_corruption(framework, noise):
    x = ORIGINAL.x_val[:100, None]
    clean, _ = trained(framework, x)
    state = torch.random.get_rng_state()
    found, history = trained(framework, x, corruption=noise, x_val=x)
    again, same = trained(framework, x, corruption=noise, x_val=x)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert history == same
    for name, value in found.to_numpy().items():
        np.testing.assert_array_equal(again.to_numpy()[name], value)
    difference = np.abs(found.to_numpy()["W_enc"] - clean.to_numpy()["W_enc"]).max()
    assert difference > 1e-3
    assert history["reconstruction"] != trained(framework, x)[1]["reconstruction"]


# Own copies


def small():
    """Two small sets in the form of MNIST's."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (250, 28, 28), dtype=np.uint8)
    y = rng.integers(0, 10, 250, dtype=np.uint8)
    return x[:200], y[:200], x[200:], y[200:]


def idx_files(x_train, y_train, x_test, y_test, prefix="", test="t10k"):
    return {
        f"{prefix}train-images-idx3-ubyte": x_train,
        f"{prefix}train-labels-idx1-ubyte": y_train,
        f"{prefix}{test}-images-idx3-ubyte": x_test,
        f"{prefix}{test}-labels-idx1-ubyte": y_test,
    }


def write(folder, files, zipped=False):
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in files.items():
        content = idx_bytes(array)
        path = folder / (f"{name}.gz" if zipped else name)
        path.write_bytes(gzip.compress(content, 1) if zipped else content)
    return folder


def same(found, arrays):
    x_train, y_train, x_test, y_test = arrays
    np.testing.assert_array_equal(np.concatenate([found.x_train, found.x_val]), x_train)
    np.testing.assert_array_equal(np.concatenate([found.y_train, found.y_val]), y_train)
    np.testing.assert_array_equal(found.x_test, x_test)
    np.testing.assert_array_equal(found.y_test, y_test)


@pytest.mark.parametrize("place", [".", "raw", "FashionMNIST/raw"])
@pytest.mark.parametrize("zipped", [True, False])
def test_own_files_are_found_where_people_have_them(tmp_path, place, zipped):
    write(tmp_path / place, idx_files(*small()), zipped)
    same(own_copy(tmp_path, n_validation=20, flat=False, dtype="uint8"), small())


def test_other_spellings_and_sets_of_emnist(tmp_path):
    x_train, *rest = small()
    letters = (255 - x_train, *rest)
    write(tmp_path, idx_files(*letters, "emnist-letters-", "test"), zipped=True)
    write(tmp_path, idx_files(*small(), "emnist-digits-", "test"))
    options = {"n_validation": 20, "flat": False, "dtype": "uint8"}
    same(own_copy(tmp_path, "emnist-letters", **options), letters)
    same(own_copy(tmp_path, "emnist-digits", **options), small())
    message = r"part must name one, got emnist-digits, emnist-letters and part="
    for part in (None, "emnist-balanced"):
        with pytest.raises(ValueError, match=message):
            own_copy(tmp_path, part, **options)
    dotted = tmp_path / "dotted"
    write(dotted, {k.replace("-idx", ".idx"): v for k, v in idx_files(*small()).items()})
    same(own_copy(dotted, **options), small())


def test_letters_of_emnist_are_torchvisions_and_stand_up(tmp_path):
    """Numbered from 1 to 26, and on their side in the file."""
    x_train, _, x_test, _ = small()
    y_train, y_test = (np.arange(n, dtype=np.uint8) % 26 + 1 for n in (200, 50))
    letters = (np.ascontiguousarray(x_train.swapaxes(1, 2)), y_train, x_test, y_test)
    write(tmp_path / "EMNIST" / "raw", idx_files(*letters, "emnist-letters-", "test"))
    found = own_copy(tmp_path, n_validation=20, flat=False, dtype="uint8")
    np.testing.assert_array_equal(found.x_train.swapaxes(1, 2), x_train[:180])
    assert (found.y_train.min(), found.y_train.max()) == (1, 26)
    data = datasets.EMNIST(tmp_path, split="letters", train=True)
    np.testing.assert_array_equal(data.data.numpy()[:180], found.x_train)
    np.testing.assert_array_equal(data.targets.numpy()[:180], found.y_train)


def test_keras_reads_fashion_mnist_from_the_same_files(tmp_path):
    """It asks for no checksum of these, so that its loading line needs no network."""
    folder = write(tmp_path / "datasets" / "fashion-mnist", idx_files(*small()), zipped=True)
    same(own_copy(folder, n_validation=20, flat=False, dtype="uint8"), small())
    lines = (
        "import keras, numpy as np; "
        "(x_train, y_train), (x_test, y_test) = keras.datasets.fashion_mnist.load_data(); "
        "np.savez('read.npz', x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)"
    )
    env = os.environ | {"KERAS_HOME": str(tmp_path), "https_proxy": "http://127.0.0.1:9"}
    subprocess.run([sys.executable, "-c", lines], cwd=tmp_path, env=env, check=True)
    same(own_copy(tmp_path / "read.npz", n_validation=20, flat=False, dtype="uint8"), small())


def test_a_folder_of_pictures_in_colour(framework, tmp_path):
    """From files to pictures again, of a size and with channels that no digit has."""
    rng = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        for number in range(10):
            pixels = rng.integers(0, 256, (20, 18 + number, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / label / f"{number}.png")
    same_size = transforms.Compose([transforms.Resize((16, 12)), transforms.ToTensor()])
    loader = DataLoader(datasets.ImageFolder(tmp_path, transform=same_size), batch_size=8)
    model = framework.SparseAutoencoder(SAEConfig(3 * 16 * 12, 8, sparsity=TopK(2)), device="cpu")
    framework.fit(model, loader, TRAINING, progress=False)
    assert model.image_shape == (3, 16, 12)
    pictures = framework.reconstruct(model, loader)
    assert pictures.shape == (20, 3, 16, 12)
    figure = plots.reconstructions({"input": next(iter(loader))[0], "rebuilt": pictures[:8]})
    assert figure.axes[0].images[0].get_array().shape == (2 * 16 + 1, 8 * 12 + 7, 3)
    assert plots.dictionary(model.images(model.to_numpy()["W_dec"])).alt.startswith("8 dictionary")
    unlike = datasets.ImageFolder(tmp_path, transform=transforms.ToTensor())
    message = r"batch 0 of x must have shape \(n_samples, 576\) .* got \(1, 3, 20, 18\)"
    with pytest.raises(ValueError, match=message):
        framework.fit(model, DataLoader(unlike, 1), TRAINING, progress=False)


def test_all_of_fashion_mnists_form_and_torchvisions_reading(tmp_path):
    """60,000 images, whose pixels the test draws; torchvision reads the same from that place."""
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 256, (60_000, 28, 28), np.uint8), rng.integers(0, 10, 60_000, np.uint8)
    write(tmp_path / "FashionMNIST" / "raw", idx_files(x, y, x[:10_000], y[:10_000]))
    found = own_copy(tmp_path, dtype="uint8")
    assert [len(part) for part in found] == [55_000] * 2 + [5_000] * 2 + [10_000] * 2
    np.testing.assert_array_equal(found.x_val.reshape(-1, 28, 28), x[55_000:])
    data = datasets.FashionMNIST(tmp_path, train=True, download=False)
    np.testing.assert_array_equal(data.data.numpy()[:55_000], found.x_train.reshape(-1, 28, 28))
    floats = own_copy(tmp_path, n_validation=59_000)
    np.testing.assert_array_equal(floats.x_train, x[:1000].reshape(1000, -1) / np.float32(255))


def test_an_npz_file_like_keras_own(tmp_path, root):
    path = tmp_path / "mine.npz"
    np.savez_compressed(path, **dict(zip(("x_train", "y_train", "x_test", "y_test"), small())))  # noqa: B905
    same(own_copy(path, n_validation=20, flat=False, dtype="uint8"), small())
    digits = own_copy(root / "mnist.npz", dtype="uint8")
    for found, expected in zip(digits, mnist(dtype="uint8"), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_what_is_written_is_read_again_and_never_overwritten(root, tmp_path):
    digits = own_copy(root, "MNIST")
    for found, expected in zip(digits, mnist(), strict=True):
        np.testing.assert_array_equal(found, expected)
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*ubyte")}
    assert len(before) == 4
    write_mnist(root)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    (folder / "t10k-labels-idx1-ubyte").write_bytes(b"mine")
    with pytest.raises(
        ValueError, match=r"folder must be free for .*t10k-labels-idx1-ubyte, got an"
    ):
        write_mnist(tmp_path)
    assert [path.name for path in folder.iterdir()] == ["t10k-labels-idx1-ubyte"]
    with pytest.raises(ValueError, match="form must be 'torchvision' or 'npz', got 'keras'"):
        write_mnist(tmp_path, "keras")


def header(*sizes, kind=8, zeros=b"\0\0"):
    return zeros + bytes([kind, len(sizes)]) + struct.pack(f">{len(sizes)}I", *sizes)


BROKEN = {
    "nothing": (b"", r"one that begins with nothing, not 00 00 08\.$"),
    "a picture": (b"\x89PNG\r\n\x1a\n", "one that begins with 89 50 4e 47, not 00 00 08"),
    "no axes": (b"\0\0\x08\0", "one that begins with 00 00 08 00"),
    "floats": (header(2, 2, kind=0x0D) + bytes(16), "numbers of type 0x0d, not 0x08, unsigned 8"),
    "half a header": (header(2, 2, 2)[:9], "one that ends after 9 bytes, within its header"),
    "cut off": (header(2, 3) + bytes(5), r"5 numbers for shape \(2, 3\), which needs 6"),
    "too long": (header(2, 3) + bytes(9), r"more numbers for shape \(2, 3\), which needs 6"),
    "empty": (header(0, 28, 28), r"none in shape \(0, 28, 28\)"),
    "beyond all memory": (header(*[2**32 - 1] * 3) + bytes(9), "9 numbers for shape"),
    "gzip, cut off": (gzip.compress(header(2, 3) + bytes(6))[:-9], "must be a whole IDX file"),
    "gzip, damaged": (gzip.compress(bytes(99))[:12] + b"\xff" * 30, "must be a whole IDX file"),
    "gzip of a picture": (gzip.compress(b"\x89PNG"), "one that begins with 89 50 4e 47"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_idx_file_gets_one_sentence(tmp_path, kind):
    content, message = BROKEN[kind]
    folder = write(tmp_path / "raw", idx_files(*small()))
    path = folder / "train-images-idx3-ubyte"
    path.write_bytes(content)
    for call in (lambda: read_idx(path), lambda: own_copy(tmp_path)):
        with pytest.raises(ValueError, match=message) as caught:
            call()
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_what_does_not_go_together(tmp_path):
    x_train, y_train, x_test, y_test = small()
    wrong = {
        r"a label for each.*\(200, 28, 28\) and uint8 \(199,\) to train": (y_train[1:], x_test),
        r"images \(n, height, width\).*got uint8 \(200, 28, 28\) and uint8 \(200, 1\)": (
            y_train[:, None], x_test
        ),
        r"images of one size, got \(28, 28\) and \(14, 56\)": (
            y_train, x_test.reshape(-1, 14, 56)
        ),
    }  # fmt: skip
    for number, (message, (labels, images)) in enumerate(wrong.items()):
        folder = write(tmp_path / str(number), idx_files(x_train, labels, images, y_test))
        with pytest.raises(ValueError, match=message):
            own_copy(folder, n_validation=20)
    for n_validation in (0, 200, 2.0):
        with pytest.raises(ValueError, match=r"n_validation must be at least 1 and leave images"):
            own_copy(write(tmp_path / "whole", idx_files(*small())), n_validation=n_validation)
    (tmp_path / "whole" / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(ValueError, match="must hold all four files, got none of test labels"):
        own_copy(tmp_path / "whole")
    with pytest.raises(ValueError, match="must hold IDX files such as train-images-idx3-ubyte"):
        own_copy(tmp_path / "whole" / "..")
    (tmp_path / "x.npz").write_bytes(b"PK no")
    with pytest.raises(ValueError, match=r"x\.npz must be a folder of IDX files or a whole \.npz"):
        own_copy(tmp_path / "x.npz")
    with pytest.raises(OSError, match="No such file"):
        own_copy(tmp_path / "none.npz")
