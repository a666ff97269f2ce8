"""The frameworks' own doors: what users of PyTorch and of Keras try first with a model."""

import copy
import pickle
from importlib import import_module

import numpy as np
import pytest

from saebook import KL, L1, AuxK, BatchTopK, SAEConfig, TopK, TrainConfig, parity, reference
from saebook.corruption import GaussianNoise
from saebook.kinds import KINDS
from saebook.start import init_params

EXAMPLES = [None, *(kind for row in KINDS.values() for kind in row)]
X = parity.samples().astype(np.float32)


def trained(framework, kind, **options):
    config = parity.config_of(
        parity.activations_of(kind)[0], "linear", sparsity=kind, pre_bias=True, **options
    )
    model = framework.SparseAutoencoder(config, device="cpu")
    framework.fit(model, X, TrainConfig(epochs=2, batch_size=32))
    return model


def test_a_model_says_what_it_is(framework):
    model = framework.SparseAutoencoder(SAEConfig(4, 3, sparsity=KL()), device="cpu")
    assert repr(model).startswith(
        "SparseAutoencoder(SAEConfig(n_features=4, n_latents=3, activation='sigmoid'"
    )
    assert "KL(rho=0.05, beta=1.0)" in repr(model)
    assert "dtype='float32', device='cpu" in repr(model)


@pytest.mark.parametrize("device", ["gpu", "cuda", "GPU:0"])
def test_gpu_means_the_same_in_both(framework, device):
    try:
        found = str(framework.SparseAutoencoder(SAEConfig(4, 3), device=device).device)
    except ValueError as error:
        assert "device must be 'auto' or one that" in str(error)  # noqa: PT017
    else:
        assert "cpu" not in found


@pytest.mark.parametrize(
    ("names", "expected"), [(["cuda"], "cuda"), (["mps"], "mps"), (["cuda", "mps"], "cuda")]
)
def test_gpu_is_the_first_that_pytorch_has(monkeypatch, names, expected):
    import torch

    from saebook.pytorch.model import pick_device

    monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in names)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in names)
    assert pick_device("gpu") == torch.device(expected)
    assert pick_device("auto") == torch.device(expected)
    if expected == "cuda":
        assert pick_device("gpu:1") == torch.device("cuda:1")
        with pytest.raises(ValueError, match="below cuda:2 here, got 'gpu:2'"):
            pick_device("gpu:2")


def test_tensorflow_names_of_gpus(monkeypatch):
    import tensorflow as tf

    from saebook.tensorflow.model import pick_device

    devices = {"GPU": ["one", "two"], "CPU": ["one"]}
    monkeypatch.setattr(tf.config, "list_logical_devices", devices.get)
    assert pick_device("auto") == pick_device("gpu") == pick_device("/GPU:0") == "gpu:0"
    assert pick_device("cuda:1") == pick_device("GPU:1") == "gpu:1"
    with pytest.raises(ValueError, match=r"\(gpu:0, gpu:1, cpu:0\), got 'gpu:2'"):
        pick_device("gpu:2")


@pytest.mark.parametrize("device", ["gpu:0", "cpu:0"])
def test_tensorflow_keeps_the_samples_on_a_gpu(monkeypatch, device):
    """As `fit` says. On the CPU they are at hand already."""
    from saebook.batches import Batches
    from saebook.tensorflow import SparseAutoencoder

    model = SparseAutoencoder(SAEConfig(12, 8), device="cpu")
    engine = model.engine(TrainConfig())
    moved = []
    monkeypatch.setattr(SparseAutoencoder, "tensor", lambda self, x: moved.append(x))
    model.device = device
    engine.begin(Batches(model.config, X, "float32", TrainConfig()))
    assert len(moved) == (device == "gpu:0")


@pytest.mark.parametrize("corruption", [None, GaussianNoise(0.1)], ids=["clean", "noisy"])
def test_a_step_in_tensorflow_writes_no_inputs_into_messages(monkeypatch, corruption):
    """Where a default is left out, each call of a graph fails first and says with what."""
    from tensorflow.python.framework import ops

    from saebook.tensorflow import SparseAutoencoder, fit

    written = []
    text_of = ops.value_text
    monkeypatch.setattr(ops, "value_text", lambda *a, **b: written.append(a) or text_of(*a, **b))
    model = SparseAutoencoder(SAEConfig(12, 8), device="cpu")
    fit(model, X, TrainConfig(epochs=2, batch_size=32), corruption=corruption, progress=False)
    assert not written
    repr(model.tensor(X))
    assert written  # it is this function that writes


# PyTorch


@pytest.mark.parametrize("kind", EXAMPLES, ids=str)
@pytest.mark.parametrize("tied", [False, True])
def test_pytorch_exports_compiles_maps_and_traces(kind, tied):
    import torch

    from saebook import pytorch

    torch.compiler.reset()  # or so many models are too many for one function
    model, batch = trained(pytorch, kind, tied=tied), torch.as_tensor(X)
    expected = pytorch.reconstruct(model, X)
    for function in (
        torch.export.export(model, (batch,)).module(),
        torch.compile(model, fullgraph=True, backend="eager"),
        torch.func.vmap(lambda row: model(row[None])[0]),
        torch.jit.trace(model, batch),
    ):
        np.testing.assert_allclose(function(batch).detach().numpy(), expected, rtol=1e-5, atol=1e-6)


def test_a_trace_keeps_k_of_equals_as_well():
    """A branch on numbers that were there when it was traced would be baked in."""
    import torch

    from saebook.pytorch import SparseAutoencoder

    model = SparseAutoencoder(SAEConfig(6, 8, "relu", "linear", sparsity=TopK(2)), device="cpu")
    model.from_numpy(model.to_numpy() | {"W_enc": np.eye(6, 8)})

    class Encoder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, x):
            return self.model.encode(x)

    untied = torch.tensor([[6.0, 5, 4, 3, 2, 1]])
    traced = torch.jit.trace(Encoder(), untied)
    exported = torch.export.export(Encoder(), (untied,)).module()
    for function in (traced, exported, model.encode):
        z = function(torch.tensor([[1.0, 1, 1, 1, 0, 0]]))
        assert torch.flatten(torch.nonzero(z[0])).tolist() == [0, 1]


@pytest.mark.parametrize("config", [SAEConfig(12, 8), SAEConfig(12, 40, sparsity=TopK(2))], ids=str)
def test_a_parameter_in_another_order_of_memory_resumes_exactly(config, tmp_path):
    """PyTorch's fused Adam takes memory as it lies."""
    import torch

    from saebook.pytorch import SparseAutoencoder, fit

    def model():
        made = SparseAutoencoder(config, device="cpu")
        made.W_enc = torch.nn.Parameter(made.W_enc.detach().T.contiguous().T)
        assert not made.W_enc.is_contiguous()
        return made

    whole, parts = model(), model()
    fit(whole, X, TrainConfig(epochs=4, batch_size=32))
    path = tmp_path / "run.safetensors"
    fit(model(), X, TrainConfig(epochs=2, batch_size=32), checkpoint=path)
    fit(parts, X, TrainConfig(epochs=4, batch_size=32), checkpoint=path)
    plain = SparseAutoencoder(config, device="cpu")
    fit(plain, X, TrainConfig(epochs=4, batch_size=32))
    for name, value in plain.to_numpy().items():
        np.testing.assert_array_equal(parts.to_numpy()[name], value)
        np.testing.assert_array_equal(whole.to_numpy()[name], value)


# Keras


@pytest.mark.parametrize("kind", EXAMPLES, ids=str)
def test_keras_saves_copies_and_predicts(kind, tmp_path):
    import keras

    from saebook import tensorflow

    model = trained(tensorflow, kind, groups=(2, 6))
    path = tmp_path / "model.keras"
    model.save(path)
    others = keras.models.load_model(path), copy.deepcopy(model), pickle.loads(pickle.dumps(model))
    for other in others:
        assert other.config == model.config
        for name, value in model.to_numpy().items():
            np.testing.assert_array_equal(other.to_numpy()[name], value)
    expected = tensorflow.reconstruct(model, X)
    np.testing.assert_allclose(model.predict(X, verbose=0), expected, rtol=1e-5, atol=1e-6)
    tensorflow.fit(others[1], X, TrainConfig(epochs=1))
    np.testing.assert_array_equal(tensorflow.reconstruct(model, X), expected)  # nothing shared
    again = type(model).from_config(model.get_config())
    assert again.config == model.config


@pytest.mark.parametrize("options", [{}, {"unit_norm": True}, {"groups": (2, 1, 5), "tied": True}])
@pytest.mark.parametrize("kind", EXAMPLES, ids=str)
def test_keras_own_fit_trains_with_all_of_the_loss(kind, options):
    """A step of gradient descent, against the specification's gradient; Keras feeds float32."""
    import keras

    from saebook.tensorflow import SparseAutoencoder

    config = parity.config_of(parity.activations_of(kind)[0], "linear", sparsity=kind, **options)
    model = SparseAutoencoder(config, dtype="float64", device="cpu").from_numpy(
        parity.start(config)
    )
    params, x = model.to_numpy(), parity.samples()
    model.compile(keras.optimizers.SGD(0.01))
    history = model.fit(x, batch_size=100, epochs=1, verbose=0).history
    counted = reference.update_counted(
        config, params, a := reference.preactivation(config, params, x),
        reference.code(kind, config, params, a, training=True),
    )  # fmt: skip
    expected = params | counted
    for name, gradient in reference.gradients(config, params, x).items():
        expected[name] = expected[name] - 0.01 * gradient
    if config.unit_norm:
        expected = reference.normalize_decoder(config, expected)
    for name, value in expected.items():
        assert parity.relative_difference(model.to_numpy()[name], value) < 1e-6, name
    for name in counted:
        np.testing.assert_allclose(model.to_numpy()[name], expected[name], rtol=1e-6)
    loss = reference.loss_terms(config, params, x)["loss"]
    assert history["loss"][0] == pytest.approx(loss, rel=1e-6)


def test_keras_fit_with_a_loss_of_the_users_own_has_the_penalty_beside_it():
    from saebook.tensorflow import SparseAutoencoder

    model = SparseAutoencoder(SAEConfig(12, 8, sparsity=KL(0.1, 0.5)), device="cpu")
    terms = reference.loss_terms(model.config, model.to_numpy(), parity.samples())
    model.compile("sgd", "mse")
    expected = terms["reconstruction"] / 12 + terms["sparsity"]
    found = model.evaluate(X, X, batch_size=100, verbose=0)
    assert found == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match="loss must be None where config has groups, got 'mse'"):
        SparseAutoencoder(SAEConfig(12, 8, groups=(2, 6))).compile("sgd", "mse")


# Numbers that are broken or not learned


def test_nan_is_seen_in_the_code(framework):
    """A pre-activation that overflows must not end as a code of zeros, in any of the three."""
    config = SAEConfig(2, 6, "relu", "linear", sparsity=TopK(2))
    params = init_params(config)
    params["W_enc"][:] = 3e38 * np.array([[1.0], [-1.0]]) * np.ones((1, 6))
    model = framework.SparseAutoencoder(config, device="cpu").from_numpy(params)
    x = np.array([[2.0, 2.0]], np.float32)  # infinity less infinity
    with np.errstate(over="ignore", invalid="ignore"):
        z = framework.encode(model, x)
        expected = reference.encode(config, {n: v.astype("f") for n, v in params.items()}, x)
    for code in (z, expected):  # infinity or NaN, as the processor adds
        assert not np.isfinite(code[0, :2]).any()
        np.testing.assert_array_equal(code[0, 2:], 0)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_nan_is_larger_than_all_numbers(framework, tensor, k):
    a = np.array([[1, np.nan, 3, -1, 2], [5, 4, 3, 2, 1], [0, 9, np.nan, 7, 9]], np.float32)
    expected = reference.largest(a, k)
    assert expected.sum(axis=1).tolist() == [k] * 3
    assert expected[0, 1]
    assert expected[2, 2]
    topk = import_module(f"{framework.__name__}.topk")
    np.testing.assert_array_equal(np.asarray(topk.largest(tensor(a), k)), expected)
    places = np.sort(np.asarray(topk.largest_places(tensor(a), k)))
    np.testing.assert_array_equal(places, [np.flatnonzero(row) for row in expected])


@pytest.mark.parametrize("kind", [BatchTopK(2), BatchTopK(2, AuxK(k=2))], ids=str)
def test_an_unlearned_threshold_is_an_error_or_nan_never_a_code(framework, tensor, kind):
    config = SAEConfig(12, 8, "relu", "linear", sparsity=kind)
    model = framework.SparseAutoencoder(config, device="cpu")
    for read in (framework.encode, framework.reconstruct):
        with pytest.raises(ValueError, match="threshold of a BatchTopK model must be learned"):
            read(model, X)
    if framework.__name__.endswith("pytorch"):
        import torch

        torch.compiler.reset()
        found = torch.compile(model, fullgraph=True, backend="eager")(tensor(X)).detach().numpy()
    else:
        found = model.predict(X, verbose=0)
    assert np.isnan(found).all()
    framework.fit(model, X, TrainConfig(epochs=1))
    assert np.isfinite(framework.encode(model, X)).all()


@pytest.mark.parametrize("mode", ["numerics", "numpy"])
@pytest.mark.parametrize("kind", [TopK(2), TopK(2, AuxK(k=2, dead_after=10)), BatchTopK(2)])
def test_tensorflows_own_search_for_nan_finds_none(mode, kind):
    """In a process of its own: both switches are for good."""
    import subprocess
    import sys

    code = f"""
import numpy as np, tensorflow as tf
from saebook import AuxK, BatchTopK, SAEConfig, TopK, TrainConfig
from saebook.tensorflow import SparseAutoencoder, encode, fit
if {mode!r} == "numerics":
    tf.debugging.enable_check_numerics()
else:
    tf.experimental.numpy.experimental_enable_numpy_behavior()
model = SparseAutoencoder(SAEConfig(12, 64, "relu", "linear", sparsity={kind!r}), device="cpu")
x = np.random.default_rng(0).random((64, 12)).astype("f")
fit(model, x, TrainConfig(epochs=2, batch_size=16), progress=False)
print(encode(model, x).shape)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "(64, 64)", result.stderr[-2000:]


def test_keras_converts_a_model_and_is_told_what_it_cannot_quantise():
    tensorflow = pytest.importorskip("tensorflow")
    model = import_module("saebook.tensorflow").SparseAutoencoder(
        SAEConfig(64, 128, "relu", "linear", sparsity=L1(0.1)), device="cpu"
    )
    file = tensorflow.lite.TFLiteConverter.from_keras_model(model).convert()
    assert len(file) > 4 * model.count_params()
    with pytest.raises(NotImplementedError, match=r"saebook\.export writes a model for LiteRT"):
        model.quantize("int8")
