"""What users bring: arrays of other frameworks, tables, half precision, functions that write."""

import warnings
from types import SimpleNamespace

import ml_dtypes
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import tensorflow as tf
import torch
from torch.utils.data import DataLoader, TensorDataset

from saebook import SAEConfig, TopK, TrainConfig, metrics
from saebook.batches import Batches, Shards
from saebook.checks import as_array, check_noisy, check_params, check_samples
from saebook.corruption import GaussianNoise, Masking, SaltAndPepper

CONFIG = SAEConfig(6, 8, "relu", "linear", sparsity=TopK(2))
TRAINING = TrainConfig(epochs=2, batch_size=16)
# Of few binary digits, so that half precision holds them.
X = (np.random.default_rng(0).integers(0, 64, (40, 6)) / 64).astype(np.float32)
MASKED = np.ma.masked_equal(X, X[3, 3])
NAMES = list("abcdef")


class OnlyDLPack:
    """Such as arrays of the array API that offer nothing else."""

    def __init__(self, x):
        self.x = x

    def __dlpack__(self, **options):
        return self.x.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.x.__dlpack_device__()


KINDS = {
    "lists": lambda x: np.array(x.tolist(), np.float32),
    "rows": list,
    "rows of torch": lambda x: list(torch.tensor(x).requires_grad_()),
    "torch": torch.tensor,
    "torch that trains": lambda x: torch.tensor(x, requires_grad=True),
    "torch, strided": lambda x: torch.tensor(x.T.copy()).T,
    "torch float16": lambda x: torch.tensor(x).half(),
    "torch bfloat16": lambda x: torch.tensor(x).bfloat16().requires_grad_(),
    "tensorflow": tf.constant,
    "tensorflow variable": tf.Variable,
    "tensorflow bfloat16": lambda x: tf.cast(x, tf.bfloat16),
    "float16": lambda x: x.astype(np.float16),
    "bfloat16": lambda x: x.astype(ml_dtypes.bfloat16),
    "rows of bfloat16": lambda x: list(x.astype(ml_dtypes.bfloat16)),
    "big-endian": lambda x: x.astype(">f4"),
    "Fortran's order": np.asfortranarray,
    "backwards": lambda x: x[::-1].copy()[::-1],
    "nothing masked": np.ma.asarray,
    "dlpack": OnlyDLPack,
    "pandas": lambda x: pd.DataFrame(x, columns=NAMES),
    "pandas, one name twice": lambda x: pd.DataFrame(x, columns=list("aabcde"), dtype="Float32"),
    "polars": lambda x: pytest.importorskip("polars").DataFrame(x, schema=NAMES),
    "pyarrow": lambda x: pytest.importorskip("pyarrow").table(dict(zip(NAMES, x.T, strict=True))),
    "pandas of pyarrow": lambda x: (
        pytest.importorskip("pyarrow") and pd.DataFrame(x).astype("float32[pyarrow]")
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_float32_and_narrower_come_as_float32(kind):
    found = as_array(KINDS[kind](X), "x")
    assert found.dtype.name == "float32"
    np.testing.assert_array_equal(found, X)
    data = Batches(CONFIG, KINDS[kind](X), "float32", TRAINING)
    np.testing.assert_array_equal(data.array, X)


def test_what_is_no_half_precision_keeps_its_type_and_its_place():
    for dtype in (np.float64, np.int64, np.uint8, np.complex64, object):
        assert as_array(X.astype(dtype), "x").dtype == dtype
    assert as_array(X, "x") is X
    assert as_array(torch.tensor(X.tolist(), dtype=torch.float64), "x").dtype == np.float64
    tensor = torch.tensor(X)
    assert np.shares_memory(as_array(tensor, "x"), tensor.numpy())


@pytest.mark.parametrize("package", ["pandas", "polars", "pyarrow"])
def test_a_table_of_words_is_refused(package):
    make = {"pandas": "DataFrame", "polars": "DataFrame", "pyarrow": "table"}[package]
    table = getattr(pytest.importorskip(package), make)({"a": [1.0, 2.0], "b": ["one", "two"]})
    with pytest.raises(ValueError, match=r"x must hold real numbers, got an array of object"):
        check_samples(CONFIG, table, "x", "float32")


def doors(framework):
    """Each way in, as a function of what comes in, which returns arrays."""
    model = framework.SparseAutoencoder(CONFIG, device="cpu")

    def fit(x, **options):
        model = framework.SparseAutoencoder(CONFIG, device="cpu")
        history = framework.fit(model, x, TRAINING, progress=False, **options)
        return [*model.to_numpy().values(), *history.values()]

    return {
        "x": fit,
        "batch 0 of x": lambda x: fit([x]),
        "batch 0 of x,": lambda x: fit(SimpleIterable([x])),
        "parts": lambda x: fit(Shards([x])),
        "x_val": lambda x: fit(X, x_val=x),
        "corruption": lambda x: fit(X, corruption=x),
        "the result of corruption": lambda x: fit(SimpleIterable([X]), corruption=lambda *_: x),
        "x ": lambda x: [framework.encode(model, x)],
        "x  ": lambda x: [framework.reconstruct(model, x)],
        "x   ": lambda x: list(framework.evaluate(model, x).values()),
        "noisy": lambda x: list(framework.evaluate(model, X + 1, x).values()),
    }


class SimpleIterable:
    def __init__(self, batches):
        self.batches = batches

    def __iter__(self):
        return iter(self.batches)


DOORS = list(doors(SimpleNamespace(SparseAutoencoder=lambda *_, **__: None)))


@pytest.mark.parametrize("door", DOORS)
def test_every_door_takes_tensors_and_half_precision(framework, door):
    enter = doors(framework)[door]
    expected = enter(X)
    kinds = ["torch bfloat16", "tensorflow bfloat16", "bfloat16", "float16", "pandas", "backwards"]
    for kind in kinds:
        for found, value in zip(enter(KINDS[kind](X)), expected, strict=True):
            np.testing.assert_array_equal(found, value, err_msg=kind)


WRONG = {
    "masked": (lambda: MASKED, r"must have no masked entries, got \d+\."),
    "masked rows": (lambda: list(MASKED), r"must have no masked entries, got \d+\."),
    "sparse": (lambda: scipy.sparse.csr_array(X), "must be a dense array, got a sparse one, csr_"),
    "sparse tensor": (lambda: torch.tensor(X).to_sparse_csr(), "must be a dense .* Tensor"),
    "objects": (lambda: X.astype(object), "must hold .* numbers.* got .*object"),
    "complex": (lambda: X + 1j, "must hold .* numbers.* got .*complex64"),
    "integers": (lambda: torch.tensor(X).int(), "must hold floating-point numbers.* got int32"),
    "pair": (lambda: (X, X[:, 0]), r"must be one array, got a tuple of 2 in shapes \(40, 6\), \(4"),
    "pair of one shape": (lambda: [X, X], r"must be one array, got a list of 2 in shapes \(40, 6"),
    "no values": (lambda: pd.DataFrame(X).astype("Float32").where(X > 0), "must be finite, got"),
    "meta tensor": (lambda: torch.empty(40, 6, device="meta"), "must be an array of numbers"),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("kind", WRONG)
def test_every_door_refuses_in_one_sentence(framework, door, kind):
    make, message = WRONG[kind]
    wrong = make()
    if door in ("x", "batch 0 of x", "batch 0 of x,") and kind.startswith("pair"):
        pytest.skip("batches, and batches with labels: tests/test_loaders.py")
    with pytest.raises(ValueError, match=message) as caught:
        doors(framework)[door](wrong)
    name = "(parts|x)" if door == "parts" else door.strip(" ,")
    assert caught.match(rf"^(batch 0 of )?{name} must ")


def test_metrics_and_parameters_come_through_the_same_door():
    tensor = KINDS["torch bfloat16"](X)
    assert metrics.fvu(tensor, KINDS["tensorflow"](X + 1)) == metrics.fvu(X, X + 1)
    assert metrics.false_alarms_at(0.5, tensor[:, 0], list(tensor[:, 1])) == (
        metrics.false_alarms_at(0.5, X[:, 0], X[:, 1])
    )
    scores = pd.Series(X[:, 0], dtype="object")
    assert metrics.false_alarms_at(0.5, scores, X[0]) == metrics.false_alarms_at(0.5, X[:, 0], X[0])
    for call in (metrics.l0, lambda z: metrics.false_alarms_at(0.5, z[:, 3], X[0])):
        with pytest.raises(ValueError, match="must have no masked entries"):
            call(MASKED)
    params = {"W_enc": X[:8].T, "b_enc": X[0, [0] * 8], "W_dec": X[:8], "b_dec": X[0]}
    for kind in ("torch bfloat16", "bfloat16", "tensorflow"):
        found = check_params(CONFIG, {name: KINDS[kind](value) for name, value in params.items()})
        for name, value in params.items():
            np.testing.assert_array_equal(found[name], value)
    with pytest.raises(ValueError, match=r"params\['W_dec'\] must have no masked entries"):
        check_params(CONFIG, params | {"W_dec": MASKED[:8]})


@pytest.mark.parametrize("corruption", [GaussianNoise(0.2), SaltAndPepper(0.2), Masking(0.2)])
def test_a_corruption_is_a_door_too(corruption):
    expected = corruption(X, np.random.default_rng(0))
    found = corruption(KINDS["torch bfloat16"](X), np.random.default_rng(0))
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.float32
    with pytest.raises(ValueError, match="x must hold floating-point numbers, got uint8"):
        corruption((255 * X).astype(np.uint8), np.random.default_rng(0))


@pytest.mark.parametrize("kind", ["half", "bfloat16"])
def test_a_model_in_half_precision_is_refused(kind):
    from saebook import pytorch

    model = getattr(pytorch.SparseAutoencoder(CONFIG, device="cpu"), kind)()
    before = model.b_dec.detach().clone()
    for call in (
        lambda: pytorch.fit(model, X, TRAINING),
        lambda: pytorch.fit(model, [X], TRAINING),
        lambda: pytorch.encode(model, X),
    ):
        with pytest.raises(ValueError, match=r"float32 or float64, got b?float16"):
            call()
    assert torch.equal(model.b_dec, before)


def test_loaders_with_and_without_labels(framework):
    x, labels = torch.tensor(X), torch.arange(len(X))

    def train(given):
        model = framework.SparseAutoencoder(CONFIG, device="cpu")
        framework.fit(model, given, TRAINING, progress=False)
        return model.to_numpy()["W_enc"]

    expected = train(DataLoader(x, 16))
    for alone in (DataLoader(TensorDataset(x), 16), list(DataLoader(TensorDataset(x), 16))):
        np.testing.assert_array_equal(train(alone), expected)
    np.testing.assert_array_equal(train(tf.data.Dataset.from_tensor_slices(X).batch(16)), expected)
    for pairs in (
        DataLoader(TensorDataset(x, labels), 16),
        DataLoader(TensorDataset(x, x), 16),
        [*DataLoader(TensorDataset(x, labels), 16)],
        tf.data.Dataset.from_tensor_slices((X, labels.numpy())).batch(16),
    ):
        np.testing.assert_array_equal(train(pairs), expected)


def test_a_wrong_array_in_a_list_is_refused_before_the_first_step(framework):
    model = framework.SparseAutoencoder(CONFIG, device="cpu")
    before = model.to_numpy()
    with pytest.raises(ValueError, match=r"^batch 1 of x must have shape .* got \(40,\)"):
        framework.fit(model, (X, np.arange(40)), TRAINING, progress=False)
    for name, value in model.to_numpy().items():
        np.testing.assert_array_equal(value, before[name])


def as_memmap(path, x=X):
    np.save(path / "x.npy", x)
    return np.load(path / "x.npy", mmap_mode="r+")


FORMS = {
    "array": lambda x, path: x,
    "tensor": lambda x, path: torch.as_tensor(x),
    "memmap": lambda x, path: as_memmap(path, x),
    "shards": lambda x, path: Shards([as_memmap(path, x)]),
    "list": lambda x, path: [x[:16], x[16:]],
    "tensors": lambda x, path: SimpleIterable([torch.as_tensor(x[:16]), torch.as_tensor(x[16:])]),
}


def spoil(batch, rng):
    return batch * (rng.random(batch.shape, dtype=batch.dtype) > 0.3)


def spoil_in_place(batch, rng):
    batch *= rng.random(batch.shape, dtype=batch.dtype) > 0.3
    return batch


@pytest.mark.parametrize("form", FORMS)
def test_a_function_may_write_to_what_it_gets(framework, tmp_path, form):
    """Neither the targets nor anything of the user's may change by it."""
    found = []
    for corruption in (spoil, spoil_in_place):
        x, x_val = X.copy(), X[:7].copy()
        given = FORMS[form](x, tmp_path)
        model = framework.SparseAutoencoder(CONFIG, device="cpu")

        rows = []

        def after_epoch(number, row, rows=rows):
            rows.append(dict(row))
            row.clear()  # as rude as the corruption

        history = framework.fit(
            model, given, TRAINING, x_val, corruption, after_epoch=after_epoch, progress=False
        )
        assert history == {name: [row[name] for row in rows] for name in rows[0]}
        np.testing.assert_array_equal(x, X)
        np.testing.assert_array_equal(x_val, X[:7])
        if form in ("memmap", "shards"):
            np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), X)
        found.append([*model.to_numpy().values(), *history.values()])
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_function_may_use_its_result_again(framework):
    """The noisy validation samples are kept, in an array that is not the function's."""
    buffer = np.empty_like(X[:16])

    def reuse(batch, rng):
        if len(batch) < len(buffer):
            return spoil(batch, rng)
        buffer[:] = spoil(batch, rng)
        return buffer

    histories = []
    for corruption in (reuse, spoil):
        model = framework.SparseAutoencoder(CONFIG, device="cpu")
        histories.append(
            framework.fit(model, X, TRAINING, X[:16], corruption, progress=False)["val_loss"]
        )
    assert histories[0] == histories[1]


def test_read_only_arrays_are_trained_on_in_place_and_without_a_warning(framework, tmp_path):
    x, noisy = X**2, X[::-1] ** 2  # nearer to 0, or it would be warned of
    for array in (x, noisy):
        array.setflags(write=False)
    model = framework.SparseAutoencoder(CONFIG, device="cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        torch.set_warn_always(True)
        try:
            framework.fit(model, x, TRAINING, corruption=noisy, progress=False)
            framework.fit(model, x, TRAINING, x_val=x, corruption=lambda *_: _[0], progress=False)
            framework.fit(model, [x], TRAINING, corruption=lambda *_: noisy, progress=False)
            framework.evaluate(model, x, noisy)
            framework.encode(model, np.broadcast_to(x[0], (3, 6)))
            framework.reconstruct(model, x)
        finally:
            torch.set_warn_always(False)
    np.testing.assert_array_equal(x, X**2)
    assert not x.flags.writeable


@pytest.mark.parametrize("writeable", [True, False])
def test_an_array_as_it_should_be_is_not_copied(writeable):
    x = X.copy()
    x.setflags(write=writeable)
    for found in (
        check_samples(CONFIG, x, "x", "float32"),
        check_noisy(x, X),
        Batches(CONFIG, x, "float32", TRAINING).array,
        Batches(CONFIG, torch.as_tensor(X), "float32", TRAINING).array,
    ):
        assert np.shares_memory(found, x) or np.shares_memory(found, X)
        assert found.flags.writeable  # or PyTorch would warn
    found = check_samples(CONFIG, X[:3].copy(), "x", "float32")
    np.testing.assert_array_equal(found, X[:3])  # nothing but the result keeps the memory


def test_training_never_writes_to_the_users_arrays(framework):
    for options in ({}, {"x_val": X[:9]}, {"corruption": X[::-1].copy()}):
        x = X.copy()
        model = framework.SparseAutoencoder(CONFIG, device="cpu")
        framework.fit(model, x, TRAINING, progress=False, **options)
        framework.evaluate(model, x)
        framework.encode(model, x)
        framework.reconstruct(model, x)
        np.testing.assert_array_equal(x, X)
