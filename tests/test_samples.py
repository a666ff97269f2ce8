"""Samples from files, and what is refused there."""

import io
import pickle
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from saebook import samples

X = np.random.default_rng(0).random((5, 4, 3)).astype(np.float32)


def test_npy_is_flattened_and_mapped(tmp_path):
    np.save(tmp_path / "x.npy", X)
    found = samples.read_samples(tmp_path / "x.npy")
    assert isinstance(found, np.memmap)
    np.testing.assert_array_equal(found, X.reshape(5, 12))


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.uint8])
def test_numbers_that_are_not_float32(tmp_path, dtype):
    x = (255 * X).astype(dtype) if dtype == np.uint8 else X.astype(dtype)
    np.savez(tmp_path / "x.npz", x)
    found = samples.read_samples(tmp_path / "x.npz")
    assert found.dtype == (np.float64 if dtype == np.float64 else np.float32)
    np.testing.assert_allclose(found, X.reshape(5, 12), atol=1 / 255)


def test_one_of_several_arrays(tmp_path):
    np.savez(tmp_path / "x.npz", train=X, test=X[:2])
    assert samples.read_samples(tmp_path / "x.npz", "test").shape == (2, 12)
    with pytest.raises(ValueError, match="key must be one of train, test, got None"):
        samples.read_samples(tmp_path / "x.npz")
    with pytest.raises(ValueError, match="key must be one of train, test, got 'val'"):
        samples.read_samples(tmp_path / "x.npz", "val")


def test_images_there_and_back(tmp_path):
    pixels = (255 * X).astype(np.uint8)
    (tmp_path / "in").mkdir()
    for number, image in enumerate(pixels):
        Image.fromarray(image).convert("RGB").save(tmp_path / "in" / f"{number}.png")
    (tmp_path / "in" / "notes.txt").write_text("not an image")
    x, shape, names = samples.read_images(tmp_path / "in")
    assert (shape, names[0]) == ((4, 3), "0.png")
    np.testing.assert_array_equal(np.rint(255 * x), pixels.reshape(5, 12))
    samples.write_images(tmp_path / "out", x, shape, names)
    np.testing.assert_array_equal(samples.read_samples(tmp_path / "out"), x)


def npy(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def npz_with(name, content):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, content)
    return file.getvalue()


HUGE = npy(X).replace(b"(5, 4, 3), }" + b" " * 6, b"(9999999, 99), }")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.npy", b"", "must be a whole .npy file of numbers"),
        ("x.npy", npy(X)[:-7], "must be a whole .npy file"),
        ("x.npy", HUGE, "must be a whole .npy file"),
        ("x.npy", pickle.dumps(X), "must be a whole .npy file"),
        ("x.npy", npy(np.array([{}], dtype=object), allow_pickle=True), "must be a whole .npy"),
        ("x.npy", npy(X.ravel()), r"must hold samples with features, .*got shape \(60,\)"),
        ("x.npy", npy(X[:0]), r"must hold samples with features, .*got shape \(0, 4, 3\)"),
        ("x.npy", npy(np.arange(6).reshape(2, 3)), "floating-point or 8-bit numbers, got int64"),
        ("x.npy", npy(X.astype(complex)), "floating-point or 8-bit numbers, got complex"),
        ("x.npy", npy(np.array([["a"]])), "floating-point or 8-bit numbers, got <U1"),
        ("x.npz", b"PK", "must be a whole .npz file"),
        ("x.npz", npz_with("a.npy", b"nothing"), "must be a whole .npz file"),
        ("x.npz", npz_with("a.npy", HUGE), "must be a whole .npz file"),
        ("x.csv", b"1,2", "path must be a .npy or .npz file or a folder of images"),
    ],
)
def test_wrong_files_are_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        samples.read_samples(tmp_path / name)
    assert "\n" not in str(error.value)


def test_wrong_folders_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"must hold images .*got none"):
        samples.read_samples(tmp_path)
    (tmp_path / "a.png").write_bytes(b"not an image")
    with pytest.raises(ValueError, match=r"a\.png must be an image"):
        samples.read_samples(tmp_path)
    Image.new("L", (4, 4)).save(tmp_path / "a.png")
    Image.new("L", (4, 5)).save(tmp_path / "b.png")
    with pytest.raises(ValueError, match=r"one size, got a\.png with \(4, 4\) and b\.png with \(5"):
        samples.read_samples(tmp_path)
    with pytest.raises(FileNotFoundError):
        samples.read_samples(tmp_path / "none.npy")


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(["npy", "npz"]),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=6),
    st.floats(0, 1),
)
def test_whatever_bytes_are_changed_the_reader_reads_or_refuses(
    tmp_path_factory, kind, changes, cut
):
    content = bytearray(npy(X) if kind == "npy" else npz_with("a.npy", npy(X)))
    for position, byte in changes:
        content[int(position * (len(content) - 1))] = byte
    if cut < 0.2:
        content = content[: int(5 * cut * len(content))]
    path = tmp_path_factory.getbasetemp() / f"fuzzed.{kind}"
    path.write_bytes(content)
    try:
        found = samples.read_samples(path)
    except ValueError as error:
        assert "must" in str(error)  # noqa: PT017
    else:
        assert found.ndim == 2
        assert found.dtype.kind == "f"
