"""The weights file: either framework reads what the other wrote, and refuses anything else."""

import dataclasses
import json
import resource
import struct
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save as to_bytes
from safetensors.numpy import save_file

from saebook import (
    KL,
    L1,
    AuxK,
    BatchTopK,
    Gated,
    JumpReLU,
    SAEConfig,
    TopK,
    TrainConfig,
    parity,
    reference,
    weights,
)
from saebook.start import init_params
from tests.conftest import FRAMEWORKS

CONFIGS = [
    SAEConfig(6, 4, sparsity=KL(rho=0.1, beta=0.3)),
    SAEConfig(6, 4, "relu", "linear", sparsity=L1(0.1), tied=True, unit_norm=True),
    SAEConfig(6, 4, "linear", "linear", sparsity=TopK(2), weight_decay=1e-3),
    SAEConfig(6, 4, "sigmoid", "sigmoid", "bce"),
    SAEConfig(6, 4, "relu", "linear", sparsity=TopK(2, AuxK(1, 0.1, 30)), pre_bias=True),
    SAEConfig(6, 4, "relu", "linear", sparsity=BatchTopK(2), groups=(1, 3)),
    SAEConfig(6, 4, "relu", "linear", sparsity=JumpReLU(0.1), unit_norm=True),
    SAEConfig(6, 4, "relu", "linear", sparsity=Gated(0.1), tied=True),
]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("reader", FRAMEWORKS)
@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_round_trip_between_frameworks_bit_for_bit(framework, reader, config, dtype, path):
    x = np.random.default_rng(0).random((20, 6))
    model = framework.SparseAutoencoder(config, seed=3, dtype=dtype, device="cpu")
    framework.fit(model, x, TrainConfig(epochs=2))
    weights.save(model, path)
    found = weights.load(path, reader, device="cpu")
    assert found.config == config
    assert type(found).__module__ == f"saebook.{reader}.model"
    assert str(found.dtype) == dtype
    for name, value in model.to_numpy().items():
        np.testing.assert_array_equal(found.to_numpy()[name], value)
        assert found.to_numpy()[name].dtype == dtype
    package = __import__(f"saebook.{reader}", fromlist=["encode"])
    np.testing.assert_allclose(
        package.encode(found, x), framework.encode(model, x), rtol=1e-6, atol=1e-6
    )


def write(path, params=None, metadata=None, **changes):
    """A file like those of `weights.save`, with parts of it exchanged."""
    params = init_params(CONFIGS[0]) if params is None else params
    header = {"version": 2, "config": changed(), "training": None} | changes
    save_file(params, path, {"saebook": json.dumps(header)} if metadata is None else metadata)


def changed(**fields):
    return weights.config_to_dict(CONFIGS[0]) | fields


def params(**changes):
    return init_params(CONFIGS[0]) | changes


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"metadata": {}}, "must be a file of saebook"),
        ({"metadata": {"format": "pt"}}, "must be a file of saebook"),
        ({"metadata": {"saebook": "{"}}, "must describe a model"),
        ({"metadata": {"saebook": "[" * 100_000}}, "must describe a model"),
        ({"metadata": {"saebook": "7"}}, "header must have the fields version, .*, got 7"),
        ({"more": 1}, "header must have the fields version, config, training, got .*more"),
        ({"version": 3}, "version must be 1 or 2, got 3"),
        ({"version": None}, "version must be 1 or 2, got None"),
        ({"config": None}, "config must have the fields .*, got None"),
        ({"config": []}, "config must have the fields"),
        ({"config": {}}, r"config must have the fields n_features, .*, got \[\]"),
        ({"config": changed(n_hidden=3)}, "config must have the fields .*n_hidden"),
        ({"config": changed(n_latents=0)}, "n_latents must be an integer of at least 1, got 0"),
        ({"config": changed(n_latents=10**12)}, "must hold W_enc in shape"),
        (
            {
                "config": changed(
                    n_latents=10**12,
                    activation="relu",
                    output="linear",
                    sparsity={"kind": "Gated", "weight": 1},
                )
            },
            "must hold W_enc in shape",
        ),
        ({"config": changed(activation="exec")}, "activation must be one of"),
        ({"config": changed(activation=["relu"])}, "activation must be one of"),
        ({"config": changed(weight_decay=float("nan"))}, "weight_decay must be a finite number"),
        ({"config": changed(sparsity="KL")}, "of a kind among .*KL"),
        (
            {"config": changed(sparsity={"kind": "os.system"})},
            "of a kind among .*KL, L1, .*os.system",
        ),
        ({"config": changed(sparsity={"kind": ["KL"]})}, "of a kind among .*KL, L1"),
        ({"config": changed(sparsity={"kind": "KL", "rho": 2, "beta": 1})}, "KL.rho must be"),
        ({"config": changed(sparsity={"kind": "KL", "rho": 0.1})}, "KL must have the fields rho"),
        (
            {"config": changed(sparsity={"kind": "TopK", "k": 2, "aux": {"k": 1}})},
            "aux must have the fields k, weight, dead_after",
        ),
        ({"config": changed(groups=[1, 1])}, "groups must be None or positive integers that add"),
        ({"config": changed(tied=True)}, "must hold the tensors W_enc, b_enc, b_dec, got"),
        ({"params": {"W_enc": np.zeros((6, 4))}}, "must hold the tensors .*, got W_enc"),
        ({"params": params(more=np.zeros(1))}, "must hold the tensors .*more"),
        ({"params": params(b_enc=np.zeros(5))}, r"must hold b_enc in shape \(4,\), got \(5,\)"),
        ({"params": params(b_enc=np.zeros((4, 1)))}, r"b_enc in shape \(4,\), got \(4, 1\)"),
        ({"params": params(b_enc=np.full(4, np.nan))}, "b_enc.* must be finite"),
        ({"params": params(b_enc=np.zeros(4, np.float32))}, "tensors of one type, F32 or F64"),
        ({"params": {k: v.astype(np.float16) for k, v in params().items()}}, "F64, got .*F16"),
        ({"params": {k: v.astype(np.int64) for k, v in params().items()}}, "F64, got .*I64"),
    ],
)
def test_what_is_not_a_weights_file_is_refused(path, parts, message):
    write(path, **parts)
    with pytest.raises(ValueError, match=message) as error:
        weights.read(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("config", CONFIGS[:4], ids=str)
def test_files_of_version_1_can_still_be_read(config, path):
    config = dataclasses.replace(config, pre_bias=False)
    fields = weights.config_to_dict(config)
    for later in ("pre_bias", "groups"):
        del fields[later]
    if isinstance(config.sparsity, TopK):
        del fields["sparsity"]["aux"]
    write(path, init_params(config), version=1, config=fields)
    found, params = weights.read(path)
    assert found == config
    assert set(params) == set(reference.parameter_shapes(config))


def header(fields):
    text = json.dumps(fields).encode()
    return struct.pack("<Q", len(text)) + text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04 not this one",
        b"\x80\x04\x95 a pickle",
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 10**9) + b"{}",
        header({"W_enc": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}),
        header(
            {
                "W_enc": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
                "b_enc": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]},
            }
        )
        + bytes(12),
        header({"W_enc": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 8]}}) + bytes(8),
        header({"W_enc": {"dtype": "Z99", "shape": [2], "data_offsets": [0, 8]}}) + bytes(8),
    ],
    ids=["empty", "zip", "pickle", "huge", "large", "short", "overlap", "lie", "type"],
)
def test_damaged_and_hostile_files_are_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(ValueError, match="must be a whole safetensors file"):
        weights.read(path)


def test_the_same_model_makes_the_same_file(path):
    config, params = CONFIGS[0], init_params(CONFIGS[0])
    weights.write(path, config, params)
    first = path.read_bytes()
    weights.write(path, config, dict(reversed(params.items())))
    assert path.read_bytes() == first


def test_a_cut_file_is_refused_wherever_it_is_cut(path):
    write(path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 37):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="must be a whole safetensors file"):
            weights.read(path)


GOOD = to_bytes(
    init_params(CONFIGS[0]),
    {"saebook": json.dumps({"version": 1, "config": changed(), "training": None})},
)


@settings(max_examples=500, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=6)
)
def test_whatever_bytes_are_changed_the_reader_reads_or_refuses(tmp_path_factory, changes):
    content = bytearray(GOOD)
    for position, byte in changes:
        content[position] = byte
    path = tmp_path_factory.getbasetemp() / "fuzzed.safetensors"
    path.write_bytes(content)
    try:
        config, found = weights.read(path)
    except ValueError as error:
        assert str(path) in str(error)  # noqa: PT017
    else:
        assert all(np.isfinite(value).all() for value in found.values())
        assert {k: v.shape for k, v in found.items()} == reference.parameter_shapes(config)


def test_missing_files_and_unknown_backends(path):
    with pytest.raises(FileNotFoundError):
        weights.read(path)
    with pytest.raises(IsADirectoryError):
        weights.read(path.parent)
    with pytest.raises(ValueError, match="backend must be 'pytorch' or 'tensorflow', got 'jax'"):
        weights.load(path, "jax")


FULL = """
import resource, signal, sys
from saebook import SAEConfig, weights
from saebook.start import init_params
config = SAEConfig(60, 40)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
weights.write(sys.argv[1], config, init_params(config, 0))
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    weights.write(sys.argv[1], config, init_params(config, 1))
except OSError as error:
    print(error)
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="needs a limit on file sizes")
def test_where_the_disk_is_full_the_old_file_stays(path):
    """A limit on the size of files stands in for the disk's end: an error at the same call."""
    run = subprocess.run(
        [sys.executable, "-c", FULL, path], capture_output=True, text=True, check=True
    )
    assert "could not be written" in run.stdout
    assert "what was there stays" in run.stdout
    config = SAEConfig(60, 40)
    expected = init_params(config, 0)
    found = weights.read(path)[1]
    assert parity.relative_difference(found["W_enc"], expected["W_enc"]) == 0
    assert [p.name for p in path.parent.iterdir()] == [path.name]


ORDERS = {
    "C": lambda p: np.asarray(p, order="C"),
    "Fortran": lambda p: np.asarray(p, order="F"),
    "strided": lambda p: np.repeat(p, 2, axis=0)[::2] if p.ndim else p,
    "reversed": lambda p: p[..., ::-1].copy()[..., ::-1] if p.ndim else p,
    "read-only": lambda p: np.frombuffer(p.tobytes(), p.dtype).reshape(p.shape),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_a_written_file_holds_the_numbers_however_they_lie(path, config, order, dtype):
    given = {k: np.asarray(v, dtype) for k, v in init_params(config, 1).items()}
    laid = {name: ORDERS[order](value) for name, value in given.items()}
    moments = {"adam.t": np.array(3), "adam.m.W_enc": laid["W_enc"], "adam.v.b_enc": laid["b_enc"]}
    weights.write(path, config, laid, moments, {"epochs": 1})
    _, found, adam, _ = weights.read_all(path)
    for name, value in given.items():
        assert found[name].dtype == dtype
        np.testing.assert_array_equal(found[name], value)
    np.testing.assert_array_equal(adam["adam.m.W_enc"], given["W_enc"])
    weights.write(path, config, laid)
    mixed = path.read_bytes()
    weights.write(path, config, given)
    assert path.read_bytes() == mixed


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (params(b_enc=np.zeros(4, np.float32)), "of float32 or all .*'b_enc': 'float32'"),
        ({k: v.astype(np.int64) for k, v in params().items()}, "'W_enc': 'int64'"),
        ({k: v.astype(">f8") for k, v in params().items()}, "'W_enc': '>f8'"),
        ({k: v.astype(complex) for k, v in params().items()}, "'W_enc': 'complex128'"),
        (params(b_enc=np.full(4, np.nan)), "b_enc.* must be finite"),
        (params(b_enc=np.zeros(5)), r"b_enc.* must have shape \(4,\), got \(5,\)"),
        (params(more=np.zeros(1)), "must have the keys .*more"),
        ({"W_enc": np.zeros((6, 4))}, "must have the keys .*b_enc"),
    ],
)
def test_what_could_not_be_read_is_not_written(path, given, message):
    with pytest.raises(ValueError, match=message):
        weights.write(path, CONFIGS[0], given)
    assert list(path.parent.iterdir()) == []


def test_the_optimiser_s_tensors_belong_to_a_checkpoint(path):
    adam = {"adam.t": np.array(3)}
    for extra, notes in ((adam, None), ({"t": np.array(3)}, {"epochs": 1})):
        with pytest.raises(ValueError, match="extra must have notes and be called adam"):
            weights.write(path, CONFIGS[0], params(), extra, notes)
    write(path, params(**adam))
    with pytest.raises(ValueError, match=r"must hold the tensors W_enc, .*got .*adam\.t"):
        weights.read(path)
    write(path, params(**adam), training={})
    assert set(weights.read(path)[1]) == set(params())


def test_a_file_may_know_the_shape_of_its_images(path):
    weights.write(path, CONFIGS[0], params())
    plain = path.read_bytes()
    assert b"image_shape" not in plain
    assert weights.read_image_shape(path) is None
    weights.write(path, CONFIGS[0], params(), image_shape=(2, 3))
    assert weights.read_image_shape(path) == (2, 3)
    np.testing.assert_array_equal(weights.read(path)[1]["W_enc"], params()["W_enc"])
    weights.write(path, CONFIGS[0], params(), image_shape=(1, 2, 3))
    assert weights.read_image_shape(path) == (1, 2, 3)
    for shape in (None, [6], [2, 4], [-2, -3], [2.0, 3], [True, 6], "23", [1, 2, 4], {}):
        write(path, image_shape=shape)
        for read in (weights.read, weights.read_image_shape):
            with pytest.raises(ValueError, match="image_shape must be two or more positive") as e:
                read(path)
            assert str(path) in str(e.value)
    path.unlink()
    with pytest.raises(ValueError, match=r"whose product is n_features, 6, got \[2, 4\]"):
        weights.write(path, CONFIGS[0], params(), image_shape=(2, 4))
    assert not path.exists()


def test_files_are_byte_for_byte_those_of_version_2(path):
    given = {name: np.zeros_like(value) for name, value in params().items()}
    weights.write(path, CONFIGS[0], given)
    text = json.dumps({"version": 2, "config": changed(), "training": None})
    assert path.read_bytes() == to_bytes(given, {"saebook": text})
    assert list(changed()) == [field.name for field in dataclasses.fields(SAEConfig)]


@dataclasses.dataclass(frozen=True)
class SteeperKL(KL):
    """Not among the kinds that a file can name."""


@dataclasses.dataclass(frozen=True)
class OtherAux(AuxK):
    """Would be read as `AuxK`."""


def test_what_would_be_read_as_another_model_is_refused(path):
    """A configuration may refuse it already."""
    for make in (
        lambda: SAEConfig(6, 4, sparsity=SteeperKL()),
        lambda: SAEConfig(6, 4, "relu", "linear", sparsity=TopK(2, OtherAux(1))),
    ):
        with pytest.raises(ValueError, match=r"SteeperKL|OtherAux"):
            weights.write(path, make(), params())
        assert not path.exists()
    config = SAEConfig(np.int64(6), np.int64(4), weight_decay=np.float32(0.1))
    weights.write(path, config, params())
    assert weights.read(path)[0] == config


def test_a_missing_folder_is_named_in_one_sentence(framework, tmp_path):
    model = framework.SparseAutoencoder(CONFIGS[0], device="cpu")
    with pytest.raises(FileNotFoundError, match="none/m must lie in a folder that is there") as e:
        weights.save(model, tmp_path / "none" / "m")
    assert "Errno" not in str(e.value)


def test_half_precision_is_written_as_float32(path):
    """Which holds all such numbers, and which the file can hold."""
    half = {name: value.astype(np.float16) for name, value in params().items()}
    weights.write(path, CONFIGS[0], half)
    for name, value in weights.read(path)[1].items():
        assert value.dtype == np.float32
        np.testing.assert_array_equal(value, half[name])
