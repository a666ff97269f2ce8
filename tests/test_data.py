"""The bundled data sets."""

import socket

import numpy as np
import pytest

from saebook import data, fashion_mnist, mnist


@pytest.fixture(scope="module")
def digits():
    return mnist(dtype="uint8")


def test_sizes_and_types(digits):
    assert [len(part) for part in digits] == [55_000] * 2 + [5_000] * 2 + [10_000] * 2
    assert all(part.dtype == np.uint8 for part in digits)
    assert digits.x_train.shape[1:] == (784,)
    assert mnist(flat=False, dtype="uint8").x_val.shape == (5_000, 28, 28)


def test_floats_are_the_bytes_over_255(digits):
    floats = mnist()
    assert floats.x_train.dtype == np.float32
    assert floats.x_train.flags.c_contiguous
    assert (floats.x_test.min(), floats.x_test.max()) == (0, 1)
    np.testing.assert_array_equal(np.rint(255 * floats.x_val), digits.x_val)
    np.testing.assert_array_equal(floats.y_test, digits.y_test)
    every_byte = np.arange(256) / 255
    np.testing.assert_array_equal(np.unique(floats.x_train), every_byte.astype(np.float32))


def test_no_image_is_in_two_parts(digits):
    parts = [
        {image.tobytes() for image in x} for x in (digits.x_train, digits.x_val, digits.x_test)
    ]
    assert [len(part) for part in parts] == [55_000, 5_000, 10_000]
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]


def test_the_labels_are_those_of_the_original_files(digits):
    """Counts of the digits 0 to 9 as published with the data set."""
    train = np.bincount(np.concatenate([digits.y_train, digits.y_val]))
    assert train.tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    test = np.bincount(digits.y_test)
    assert test.tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_fashion_mnist_has_every_test_image_and_a_third_of_the_training_images():
    fashion = fashion_mnist(dtype="uint8")
    assert [len(part) for part in fashion] == [18_000] * 2 + [2_000] * 2 + [10_000] * 2
    assert np.bincount(fashion.y_test).tolist() == [1_000] * 10 == [1_000] * len(data.FASHION)
    assert np.bincount(np.concatenate([fashion.y_train, fashion.y_val])).sum() == 20_000
    assert not {x.tobytes() for x in fashion.x_train} & {x.tobytes() for x in fashion.x_val}
    assert fashion_mnist().x_val.dtype == np.float32
    # The first image of the training set is an ankle boot, as the data set's own page shows it.
    assert data.FASHION[fashion.y_train[0]] == "ankle boot"


def test_what_a_user_changes_stays_his(digits):
    first = mnist(dtype="uint8")
    first.x_test[:] = 0
    first.y_test[:] = 0
    np.testing.assert_array_equal(mnist(dtype="uint8").x_test, digits.x_test)
    np.testing.assert_array_equal(mnist().y_test, digits.y_test)


def test_no_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("the data set asked for the network")

    monkeypatch.setattr(socket, "socket", refuse)
    assert len(mnist(dtype="uint8").x_test) == 10_000


def test_a_damaged_file_is_refused():
    with pytest.raises(
        OSError, match=r"mnist\.npz must have the SHA-256 checksum 00, got 06af5dfe"
    ):
        data.bundled("mnist.npz", "00")


@pytest.mark.parametrize("dtype", ["float64", "int", None, 8])
def test_another_dtype_is_refused(dtype):
    with pytest.raises(ValueError, match="dtype must be 'float32' or 'uint8', got"):
        mnist(dtype=dtype)


def test_planted_features_are_what_they_say():
    found = data.planted_features(2000, 16, 40, (2, 4), seed=1)
    np.testing.assert_allclose(found.x, found.z @ found.atoms, rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found.atoms, axis=1), 1, rtol=1e-6)
    count = (found.z > 0).sum(axis=1)
    assert {*count} == {2, 3, 4}
    assert found.z[found.z > 0].min() >= 0.5
    assert found.z.max() <= 1.5
    share = (found.z > 0).mean(axis=0) * 40 / 3  # each atom in as many samples
    assert 0.75 < share.min() < 1 < share.max() < 1.25
    again = data.planted_features(2000, 16, 40, (2, 4), seed=1)
    assert all(np.array_equal(a, b) for a, b in zip(found, again, strict=True))
    assert not np.allclose(data.planted_features(9, 16, 40, (2, 4), 2).atoms, found.atoms)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_samples": 0}, "n_samples must be an integer of at least 1, got 0"),
        ({"n_atoms": 2.0}, r"n_atoms must be an integer of at least 1, got 2\.0"),
        ({"n_atoms": 6}, r"active must rise within 1 to 6, the atoms, got \(5, 8\)"),
        ({"active": (0, 3)}, r"got \(0, 3\)"),
        ({"active": (4, 3)}, r"got \(4, 3\)"),
    ],
)
def test_what_cannot_be_planted(options, message):
    with pytest.raises(ValueError, match=message):
        data.planted_features(**options)
