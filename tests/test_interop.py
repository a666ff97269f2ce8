"""The layouts of SAELens and dictionary_learning, without those packages.

Their encoders are written out again here, a line for each class, from their sources. Whether the
packages themselves agree is checked by `tests/interop/check_peers.py`.
"""

import json
import subprocess
import sys
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from safetensors.torch import save_file as save_torch

from saebook import (
    KL,
    L1,
    AuxK,
    BatchTopK,
    Gated,
    JumpReLU,
    SAEConfig,
    TopK,
    interop,
    metrics,
    reference,
)
from saebook.interop import contents, torch_reader
from saebook.kinds import KINDS, Sparsity
from saebook.start import init_params


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    """Files of PyTorch are read here, a process for each takes long; others test that process."""

    def run_torch_reader(path):
        try:
            tensors, rest = torch_reader.tensors_and_rest(str(path))
        except Exception as error:
            return {"error": (str(error) or type(error).__name__).splitlines()[0]}
        return {"tensors": tensors, "rest": rest}

    monkeypatch.setattr(torch_reader, "limit_memory", lambda size: None)
    monkeypatch.setattr(contents, "run_torch_reader", run_torch_reader)


CONFIGS = [
    SAEConfig(6, 8, "relu", "linear"),
    SAEConfig(6, 8, "relu", "linear", sparsity=L1(0.1), tied=True),
    SAEConfig(6, 8, "relu", "linear", sparsity=TopK(3, AuxK(2))),
    SAEConfig(6, 8, "relu", "linear", sparsity=BatchTopK(3), unit_norm=True),
    SAEConfig(6, 8, "relu", "linear", sparsity=BatchTopK(3, AuxK(2)), groups=(1, 3, 4)),
    SAEConfig(6, 8, "relu", "linear", sparsity=JumpReLU(0.1)),
    SAEConfig(6, 8, "relu", "linear", sparsity=Gated(0.1)),
    SAEConfig(6, 8, "relu", "linear", sparsity=Gated(0.1), tied=True),
]
CONFIGS = [replace(config, pre_bias=either) for either in (False, True) for config in CONFIGS]
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
X = np.random.default_rng(0).normal(size=(50, 6))


def random_params(config, dtype="float64"):
    rng = np.random.default_rng(1)
    params = {
        name: 0.5 * rng.normal(size=shape).astype(dtype)
        for name, shape in reference.parameter_shapes(config).items()
    }
    if "threshold" in params:
        params["threshold"] = np.full((), 0.4, dtype)
    return params


def relu(a):
    return np.maximum(a, 0)


def keep_largest(a, k):
    return np.where(reference.largest(a, k), a, 0)


def saelens_code(settings, t, x):
    """What `encode` of SAELens's class for inference does."""
    a = (x - settings["apply_b_dec_to_input"] * t["b_dec"]) @ t["W_enc"]
    return {
        "standard": lambda: relu(a + t["b_enc"]),
        "topk": lambda: relu(keep_largest(a + t["b_enc"], settings["k"])),
        "jumprelu": lambda: relu(a + t["b_enc"]) * (a + t["b_enc"] > t["threshold"]),
        "gated": lambda: (a + t["b_gate"] > 0) * relu(a * np.exp(t["r_mag"]) + t["b_mag"]),
    }[settings["architecture"]]()


def dictionary_learning_code(trainer, t, x):
    """What `encode` of dictionary_learning's class does by default."""
    W = t["W_enc"].T if "W_enc" in t else t["encoder.weight"]
    bias = t.get("b_dec", t.get("bias", t.get("decoder_bias", 0)))
    a, raw = (x - bias) @ W.T, x @ W.T
    b, theta = t.get("encoder.bias", t.get("b_enc")), t.get("threshold")
    return {
        "AutoEncoder": lambda: relu(a + b),
        "AutoEncoderNew": lambda: relu(raw + b),
        "AutoEncoderTopK": lambda: keep_largest(relu(a + b), trainer["k"]),
        "BatchTopKSAE": lambda: relu(a + b) * (relu(a + b) > theta),
        "MatryoshkaBatchTopKSAE": lambda: relu(a + b) * (relu(a + b) > theta),
        "JumpReluAutoEncoder": lambda: relu((raw + b) * (raw + b > theta)),
        "GatedAutoEncoder": lambda: (
            (a + t["gate_bias"] > 0) * relu(np.exp(t["r_mag"]) * a + t["mag_bias"])
        ),
    }[trainer["dict_class"]]()


def read_dictionary_learning(folder):
    state = torch.load(folder / "ae.pt", weights_only=True)
    trainer = json.loads((folder / "config.json").read_text())["trainer"]
    return trainer, {name: value.numpy() for name, value in state.items()}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_saelens_computes_the_same_code_and_it_comes_back(config, dtype, tmp_path):
    params = random_params(config, dtype)
    z, x_hat = code_and_reconstruction(config, params)
    interop.to_saelens(config, params, tmp_path / "new" / "model")
    settings = json.loads((tmp_path / "new/model/cfg.json").read_text())
    tensors = load_file(tmp_path / "new/model/sae_weights.safetensors")
    assert settings["dtype"] == dtype
    close(saelens_code(settings, tensors, X), z, dtype)
    close(z @ tensors["W_dec"] + tensors["b_dec"], x_hat, dtype)
    found, read = interop.from_saelens(tmp_path / "new" / "model")
    assert {value.dtype for value in read.values()} == {np.dtype(dtype)}
    same_model(found, read, z, x_hat, dtype)
    assert found.pre_bias == config.pre_bias
    assert type(found.sparsity) is {L1: type(None), BatchTopK: JumpReLU}.get(
        type(config.sparsity), type(config.sparsity)
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_dictionary_learning_computes_the_same_code_and_it_comes_back(config, dtype, tmp_path):
    params = random_params(config, dtype)
    z, x_hat = code_and_reconstruction(config, params)
    interop.to_dictionary_learning(config, params, tmp_path)
    trainer, t = read_dictionary_learning(tmp_path)
    close(dictionary_learning_code(trainer, t, X), z, dtype)
    D = t["W_dec"] if "W_dec" in t else t["decoder.weight"].T
    b = next(t[name] for name in ("b_dec", "decoder.bias", "decoder_bias") if name in t)
    close(z @ D + b, x_hat, dtype)
    found, read = interop.from_dictionary_learning(tmp_path)
    assert {value.dtype for value in read.values()} == {np.dtype(dtype)}
    same_model(found, read, z, x_hat, dtype)
    assert found.groups == config.groups
    assert type(found.sparsity) is {L1: type(None)}.get(
        type(config.sparsity), type(config.sparsity)
    )
    if isinstance(config.sparsity, TopK | BatchTopK):
        assert found.sparsity.k == config.sparsity.k


def code_and_reconstruction(config, params):
    wide = {name: value.astype(np.float64) for name, value in params.items()}
    z = reference.encode(config, wide, X)
    assert 0 < (z != 0).mean() < 1
    return z, reference.decode(config, wide, z)


def close(found, wanted, dtype):
    np.testing.assert_allclose(found, wanted, rtol=0, atol=TOLERANCE[dtype])


def same_model(found, params, z, x_hat, dtype):
    close(reference.encode(found, params, X), z, dtype)
    close(reference.decode(found, params, z), x_hat, dtype)


def test_what_saelens_reads_is_there(tmp_path):
    config = CONFIGS[2]
    interop.to_saelens(config, random_params(config, "float32"), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "cfg.json",
        "sae_weights.safetensors",
    ]
    assert json.loads((tmp_path / "cfg.json").read_text()) == {
        "d_in": 6,
        "d_sae": 8,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": False,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {"sae_lens_version": "6.54.12"},
        "architecture": "topk",
        "k": 3,
        "rescale_acts_by_decoder_norm": False,
    }
    tensors = load_file(tmp_path / "sae_weights.safetensors")
    assert {name: value.shape for name, value in tensors.items()} == {
        "W_enc": (6, 8),
        "b_enc": (8,),
        "W_dec": (8, 6),
        "b_dec": (6,),
    }


def test_what_dictionary_learning_reads_is_there(tmp_path):
    config = CONFIGS[4]
    interop.to_dictionary_learning(config, random_params(config, "float32"), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ae.pt", "config.json"]
    trainer, tensors = read_dictionary_learning(tmp_path)
    assert trainer == {
        "dict_class": "MatryoshkaBatchTopKSAE",
        "activation_dim": 6,
        "dict_size": 8,
        "k": 3,
    }
    assert {name: (value.shape, value.dtype) for name, value in tensors.items()} == {
        "W_enc": ((6, 8), np.float32),
        "b_enc": ((8,), np.float32),
        "W_dec": ((8, 6), np.float32),
        "b_dec": ((6,), np.float32),
        "threshold": ((), np.float32),
        "k": ((), np.int32),
        "group_sizes": ((3,), np.int64),
    }


@pytest.mark.parametrize("nested", [False, True])
def test_batchtopk_becomes_jumprelu_in_saelens_and_says_what_it_was(nested, tmp_path):
    config = CONFIGS[4 if nested else 3]
    interop.to_saelens(config, random_params(config), tmp_path)
    settings = json.loads((tmp_path / "cfg.json").read_text())
    tensors = load_file(tmp_path / "sae_weights.safetensors")
    np.testing.assert_array_equal(tensors["threshold"], np.full(8, 0.4))
    assert settings["architecture"] == "jumprelu"
    widths = {"matryoshka_widths": [1, 4, 8]} if nested else {}
    assert settings["metadata"] == {
        "sae_lens_version": "6.54.12",
        "training_architecture": "matryoshka_batchtopk" if nested else "batchtopk",
        "training_architecture_details": {"k": 3, **widths},
    }


@dataclass(frozen=True)
class Custom(Sparsity):
    """A kind that nobody else knows."""


@pytest.mark.parametrize("write", [interop.to_saelens, interop.to_dictionary_learning])
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"activation": "sigmoid", "sparsity": KL()}, "SAEConfig.sparsity must be None, L1, .*KL"),
        ({"sparsity": Custom()}, "SAEConfig.sparsity must be None, L1, .*Custom"),
        ({"activation": "sigmoid", "sparsity": None}, "activation must be 'relu' .*'sigmoid'"),
        ({"activation": "linear", "sparsity": TopK(2)}, "activation must be 'relu' .*'linear'"),
        ({"output": "sigmoid", "sparsity": TopK(2)}, "output must be 'linear' .*'sigmoid'"),
    ],
)
def test_what_a_layout_cannot_express_is_refused(write, fields, message, tmp_path, monkeypatch):
    monkeypatch.setitem(KINDS, Custom, ())
    config = SAEConfig(6, 8, **{"activation": "relu", "output": "linear", **fields})
    with pytest.raises(ValueError, match=message) as error:
        write(config, init_params(config), tmp_path)
    assert "\n" not in str(error.value)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("write", [interop.to_saelens, interop.to_dictionary_learning])
def test_wrong_parameters_and_unlearned_thresholds_are_refused(write, tmp_path):
    config = CONFIGS[3]
    params = init_params(config)
    with pytest.raises(ValueError, match="threshold of a BatchTopK model must be learned"):
        write(config, params, tmp_path)
    with pytest.raises(ValueError, match=r"b_enc.* must be finite"):
        write(config, {**params, "b_enc": np.full(8, np.nan)}, tmp_path)
    assert not any(tmp_path.iterdir())


def saelens_folder(folder, tensors=None, metadata=None, **settings):
    """A folder of SAELens, with parts of it exchanged."""
    config = CONFIGS[0]
    interop.to_saelens(config, random_params(config, "float32"), folder)
    described = json.loads((folder / "cfg.json").read_text()) | settings
    described["metadata"] = {"sae_lens_version": "6.54.12"} if metadata is None else metadata
    (folder / "cfg.json").write_text(json.dumps(described))
    if tensors is not None:
        save_file(tensors, folder / "sae_weights.safetensors")
    return load_file(folder / "sae_weights.safetensors")


def plain(**changes):
    return random_params(CONFIGS[0], "float32") | changes


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"architecture": "temporal"}, "architecture must be one of standard, topk, .*'temporal'"),
        ({"architecture": ["topk"]}, "architecture must be one of"),
        ({"architecture": None}, "architecture must be one of .*None"),
        ({"metadata": {}}, "sae_lens_version must be 6 or later, got None"),
        ({"metadata": []}, "sae_lens_version must be 6 or later, got None"),
        ({"metadata": {"sae_lens_version": "5.10.1"}}, "6 or later, got '5.10.1'"),
        ({"normalize_activations": "layer_norm"}, "normalize_activations must be 'none'"),
        ({"reshape_activations": "hook_z"}, "reshape_activations must be 'none', got 'hook_z'"),
        ({"architecture": "topk"}, "TopK.k must be an integer of at least 1, got None"),
        ({"architecture": "topk", "k": 2.5}, "TopK.k must be .* got 2.5"),
        ({"architecture": "topk", "k": 9}, "TopK.k must be at most n_latents, which is 8, got 9"),
        ({"architecture": "gated"}, "must hold the tensors W_enc, b_gate, .*got W_dec, W_enc"),
        ({"d_in": None}, r"W_enc must have shape \(d_in, d_sae\), \(None, 8\), got \(6, 8\)"),
        ({"d_sae": 10**12}, r"W_enc must have shape .*1000000000000\), got \(6, 8\)"),
        ({"apply_b_dec_to_input": "yes"}, "pre_bias must be 'auto', True or False, got 'yes'"),
        ({"tensors": plain(scaling_factor=np.ones(8))}, "must hold the tensors .*scaling_factor"),
        ({"tensors": plain(b_enc=np.zeros((8, 1)))}, r"b_enc.* must have shape \(8,\), got"),
        ({"tensors": plain(b_enc=np.full(8, np.inf))}, "b_enc.* must be finite"),
        ({"tensors": plain(b_enc=np.full(8, 1e300))}, "b_enc.* must be finite"),
        ({"tensors": plain(b_enc=np.zeros(8, int))}, "type F16, F32, F64 or BF16, got F32, I64"),
        (
            {
                "architecture": "matryoshka_batchtopk",
                "k": 2,
                "tensors": plain(topk_threshold=np.ones(())),
                "matryoshka_widths": [2, "4"],
            },
            "matryoshka_widths must be a list of integers",
        ),
        (
            {
                "architecture": "matryoshka_batchtopk",
                "k": 2,
                "tensors": plain(topk_threshold=np.ones(())),
                "matryoshka_widths": [4, 2],
            },
            "groups must be None or positive integers",
        ),
    ],
)
def test_what_is_not_a_model_of_saelens_is_refused(parts, message, tmp_path):
    saelens_folder(tmp_path, **parts)
    refused(interop.from_saelens, tmp_path, message)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("cfg.json", b"{", "must be a JSON file"),
        ("cfg.json", b"\xff", "must be a JSON file"),
        ("cfg.json", b"[" * 100_000, "must be a JSON file"),
        ("cfg.json", b"[]", "must hold a JSON object, got list"),
        ("sae_weights.safetensors", b"", "must be a whole safetensors file"),
        ("sae_weights.safetensors", b"x" * 100, "must be a whole safetensors file"),
    ],
)
def test_damaged_files_of_saelens_are_refused(name, content, message, tmp_path):
    saelens_folder(tmp_path)
    (tmp_path / name).write_bytes(content)
    refused(interop.from_saelens, tmp_path, message)
    (tmp_path / name).unlink()
    with pytest.raises(FileNotFoundError, match=name):
        interop.from_saelens(tmp_path)


def refused(read, folder, message):
    with pytest.raises(ValueError, match=message) as error:
        read(folder)
    assert str(folder) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("architecture", ["topk", "batchtopk", "matryoshka_batchtopk"])
@pytest.mark.parametrize("rescaled", [False, True])
def test_training_checkpoints_of_saelens_and_codes_scaled_by_the_decoder(
    architecture, rescaled, tmp_path
):
    own = {} if architecture == "topk" else {"topk_threshold": np.full((), 0.4)}  # float64 there
    settings = {"architecture": architecture, "k": 3.0, "matryoshka_widths": [1, 4]}
    t = saelens_folder(
        tmp_path,
        tensors=plain(**own),
        rescale_acts_by_decoder_norm=rescaled,
        apply_b_dec_to_input=True,
        **settings,
    )
    config, params = interop.from_saelens(tmp_path)
    norm = np.linalg.norm(t["W_dec"], axis=1) if rescaled else 1
    a = ((X - t["b_dec"]) @ t["W_enc"] + t["b_enc"]) * norm
    z = relu(keep_largest(a, 3)) if architecture == "topk" else np.where(a > 0.4, a, 0)
    close(reference.encode(config, params, X), z, "float32")
    close(reference.decode(config, params, z), (z / norm) @ t["W_dec"] + t["b_dec"], "float32")
    assert config.sparsity == (TopK(3) if architecture == "topk" else BatchTopK(3))
    assert config.groups == ((1, 3, 4) if architecture == "matryoshka_batchtopk" else None)


def test_a_latent_without_a_direction_is_silent_where_codes_are_scaled(tmp_path):
    """Pre-activation times norm 0: a pruned latent counts as dead, as it does in SAELens."""
    changed = plain(b_enc=np.full(8, 5, np.float32))
    changed["W_dec"][3] = 0
    settings = {"architecture": "topk", "k": 8, "rescale_acts_by_decoder_norm": True}
    saelens_folder(tmp_path, tensors=changed, **settings)
    config, params = interop.from_saelens(tmp_path)
    z = reference.encode(config, params, X)
    assert np.flatnonzero(metrics.dead_features(z)).tolist() == [3]
    np.testing.assert_array_equal(params["W_dec"][3], 0)


@pytest.mark.parametrize(("k", "read"), [(1.5, 2), (0.25, 1), (7.5, 8)])
def test_batchtopk_of_saelens_may_keep_a_fractional_average(k, read, tmp_path):
    settings = {"architecture": "batchtopk", "k": k, "rescale_acts_by_decoder_norm": False}
    t = saelens_folder(tmp_path, tensors=plain(topk_threshold=np.full((), 0.4)), **settings)
    config, params = interop.from_saelens(tmp_path)
    assert config.sparsity == BatchTopK(read)
    a = X @ t["W_enc"] + t["b_enc"]
    close(reference.encode(config, params, X), np.where(a > 0.4, a, 0), "float32")


@pytest.mark.parametrize("k", [-0.5, 0.0, 8.5, np.inf, np.nan])
def test_no_average_that_a_batch_cannot_have(k, tmp_path):
    saelens_folder(
        tmp_path, tensors=plain(topk_threshold=np.ones(())), architecture="batchtopk", k=k
    )
    refused(interop.from_saelens, tmp_path, "BatchTopK.k must be")


def test_thresholds_that_do_nothing_are_read_as_such(tmp_path):
    threshold = np.array([0, -1, 0.3, 0, 0, 0, 0, 0], np.float32)
    t = saelens_folder(tmp_path, tensors=plain(threshold=threshold), architecture="jumprelu")
    config, params = interop.from_saelens(tmp_path)
    a = X @ t["W_enc"] + t["b_enc"]
    close(reference.encode(config, params, X), relu(a) * (a > threshold), "float32")


def test_half_precision_is_read_as_float32(tmp_path):
    saelens_folder(tmp_path, tensors={n: v.astype(np.float16) for n, v in plain().items()})
    params = interop.from_saelens(tmp_path)[1]
    np.testing.assert_array_equal(params["W_enc"], plain()["W_enc"].astype(np.float16))
    assert params["W_enc"].dtype == np.float32
    dictionary_learning_folder(tmp_path, cast=torch.bfloat16)
    params = interop.from_dictionary_learning(tmp_path)[1]
    np.testing.assert_allclose(params["W_enc"], plain()["W_enc"], rtol=1e-2)
    assert params["W_enc"].dtype == np.float32


@pytest.mark.parametrize("mixed", [False, True])
def test_bfloat16_of_saelens_is_read_as_float32(mixed, tmp_path):
    """Bit for bit, as PyTorch widens it; thresholds are sometimes kept in float32 beside it."""
    exact = {n: torch.tensor(v) for n, v in plain(threshold=np.full(8, 0.3, np.float32)).items()}
    exact["b_enc"][:4] = torch.tensor([0.0, -0.0, 3e38, 1e-40])
    theirs = {n: v if mixed and n == "threshold" else v.bfloat16() for n, v in exact.items()}
    saelens_folder(tmp_path, architecture="jumprelu", dtype="bfloat16")
    save_torch(theirs, tmp_path / "sae_weights.safetensors")
    config, params = interop.from_saelens(tmp_path)
    assert config == SAEConfig(6, 8, "relu", "linear", sparsity=JumpReLU(), pre_bias=False)
    for name in ("W_enc", "b_enc", "W_dec", "b_dec"):
        assert params[name].dtype == np.float32
        np.testing.assert_array_equal(params[name], theirs[name].float().numpy())
    np.testing.assert_array_equal(
        params["log_threshold"], np.log(theirs["threshold"].float().numpy())
    )


def dictionary_learning_folder(folder, state=None, cast=torch.float32, **trainer):
    """A folder of dictionary_learning, with parts of it exchanged."""
    W_enc, b_enc, W_dec, b_dec = map(torch.as_tensor, plain().values())
    made = {"encoder.weight": W_enc.T, "encoder.bias": b_enc, "decoder.weight": W_dec.T}
    made = {name: value.to(cast) for name, value in {**made, "bias": b_dec}.items()}
    torch.save(made | (state or {}), folder / "ae.pt")
    described = {"trainer": {"dict_class": "AutoEncoder", **trainer}}
    (folder / "config.json").write_text(json.dumps(described))
    return made


def test_the_plain_autoencoder_of_dictionary_learning(tmp_path):
    t = {name: value.numpy() for name, value in dictionary_learning_folder(tmp_path).items()}
    config, params = interop.from_dictionary_learning(tmp_path)
    z = dictionary_learning_code({"dict_class": "AutoEncoder"}, t, X)
    close(reference.encode(config, params, X), z, "float32")
    assert config == SAEConfig(6, 8, "relu", "linear", pre_bias=True)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"dict_class": "IdentityDict"}, "dict_class must be one of AutoEncoder, .*'IdentityDict'"),
        ({"dict_class": None}, "dict_class must be one of AutoEncoder, .*None"),
        ({"dict_class": "GatedAutoEncoder"}, "must hold the tensors encoder.weight, gate_bias"),
        ({"state": {"more": torch.ones(1)}}, "must hold the tensors .*more"),
        ({"state": {7: torch.ones(1)}}, "must hold the tensors .*7"),
        ({"state": {"bias": torch.full((6,), torch.nan)}}, "b_dec.* must be finite"),
        ({"state": {"bias": torch.ones(5)}}, r"b_dec.* must have shape \(6,\), got \(5,\)"),
        ({"state": {"bias": torch.ones(6, dtype=int)}}, "b_dec must hold floating-point numbers"),
        ({"state": {"bias": torch.ones(6) * 1j}}, "bias must hold floating-point .*complex64"),
        ({"state": {"bias": "text"}}, "must be a file of tensors"),
        ({"state": {"encoder.weight": torch.ones(6)}}, r"W_enc must be a matrix, got shape \(6,\)"),
    ],
)
def test_what_is_not_a_model_of_dictionary_learning_is_refused(parts, message, tmp_path):
    dictionary_learning_folder(tmp_path, **parts)
    refused(interop.from_dictionary_learning, tmp_path, message)


@pytest.mark.parametrize(
    ("k", "described", "message"),
    [
        (torch.tensor(3), 4, "k of ae.pt must be that of config.json, 4, got 3"),
        (torch.tensor(9), 9, "TopK.k must be at most n_latents, which is 8, got 9"),
        (torch.tensor([3]), [3], r"TopK.k must be an integer of at least 1, got \[3\]"),
    ],
)
def test_a_wrong_k_of_dictionary_learning_is_refused(k, described, message, tmp_path):
    config = CONFIGS[2]
    interop.to_dictionary_learning(config, random_params(config), tmp_path)
    state = torch.load(tmp_path / "ae.pt", weights_only=True)
    torch.save(state | {"k": k}, tmp_path / "ae.pt")
    settings = json.loads((tmp_path / "config.json").read_text())
    settings["trainer"]["k"] = described
    (tmp_path / "config.json").write_text(json.dumps(settings))
    refused(interop.from_dictionary_learning, tmp_path, message)


class Harmful:
    """What would leave a file behind if it were unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_nothing_in_a_file_of_dictionary_learning_is_executed(tmp_path):
    dictionary_learning_folder(tmp_path)
    torch.save({"bias": Harmful(tmp_path / "harm")}, tmp_path / "ae.pt")
    refused(interop.from_dictionary_learning, tmp_path, "must be a file of tensors")
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("content", [b"", b"x" * 100, b"PK\x03\x04" + b"x" * 100])
def test_damaged_files_of_dictionary_learning_are_refused(content, tmp_path):
    dictionary_learning_folder(tmp_path)
    (tmp_path / "ae.pt").write_bytes(content)
    refused(interop.from_dictionary_learning, tmp_path, "must be a file of tensors")
    (tmp_path / "ae.pt").unlink()
    with pytest.raises(FileNotFoundError, match=r"ae\.pt"):
        interop.from_dictionary_learning(tmp_path)
    (tmp_path / "config.json").write_text('{"trainer": 7}')
    refused(interop.from_dictionary_learning, tmp_path, "trainer must be a JSON object, got 7")


def test_saelens_needs_no_framework_and_dictionary_learning_says_what_it_needs(tmp_path):
    saelens_folder(tmp_path)
    code = f"""
import sys
sys.modules["torch"] = None  # an import of it fails
from saebook import interop
config, params = interop.from_saelens({str(tmp_path)!r})
interop.to_saelens(config, params, {str(tmp_path)!r})
try:
    interop.to_dictionary_learning(config, params, {str(tmp_path)!r})
except ImportError as error:
    print(error)
print("tensorflow" in sys.modules)
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert "pip install torch" in result.stdout, result.stderr
    assert result.stdout.endswith("False\n")
