"""Layouts beyond the two of `test_interop.py`, any layout by its name, and files that do harm.

Whether the packages themselves compute the same is checked by `tests/interop/check_peers.py`.
"""

import io
import json
import os
import re
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from safetensors.torch import save_file as save_torch

from saebook import L1, BatchTopK, Gated, JumpReLU, SAEConfig, TopK, interop, reference, weights
from saebook.__main__ import main
from saebook.interop import contents, torch_reader
from saebook.parameters import parameter_shapes

PLAIN = SAEConfig(6, 8, "relu", "linear")
TOPK = replace(PLAIN, sparsity=TopK(3))
BATCH = replace(PLAIN, sparsity=BatchTopK(3))
JUMP = replace(PLAIN, sparsity=JumpReLU())
X = np.random.default_rng(0).normal(size=(50, 6))
# For each layout its file, models that it holds, and what its reader has to be told.
WAYS = {
    "saebook": ("m.safetensors", (PLAIN, TOPK, BATCH, JUMP, replace(PLAIN, sparsity=Gated())), {}),
    "saelens": ("folder", (PLAIN, TOPK, BATCH, JUMP), {}),
    "dictionary_learning": ("folder", (PLAIN, TOPK, BATCH, JUMP), {}),
    "sparsify": ("folder", (TOPK,), {}),
    "openmoss": ("folder", (PLAIN, replace(PLAIN, sparsity=L1()), TOPK, BATCH, JUMP), {}),
    "overcomplete": ("m.pt", (PLAIN, TOPK, BATCH, JUMP), {"normalization": "identity"}),
    "openai": ("m.pt", (PLAIN, TOPK), {}),
    "gemma_scope": ("m.npz", (JUMP, BATCH), {}),
    "gemma_scope_2": ("m.safetensors", (JUMP, BATCH), {}),
    "goodfire": ("m.pth", (PLAIN,), {}),
    "linear": ("m.safetensors", (PLAIN,), {}),
    "qwen_scope": ("m.pt", (TOPK,), {}),
}
CASES = [
    (layout, replace(config, pre_bias=pre_bias))
    for layout, (_, configs, _) in WAYS.items()
    for config in configs
    for pre_bias in (False, True)
    if not (layout == "overcomplete" and pre_bias)
]


@pytest.fixture
def in_this_process(monkeypatch):
    """Files of PyTorch are read here, a process for each takes long; others test that process."""

    def run_torch_reader(path):
        tensors, rest = torch_reader.tensors_and_rest(str(path))
        return {"tensors": tensors, "rest": rest}

    monkeypatch.setattr(torch_reader, "limit_memory", lambda size: None)
    monkeypatch.setattr(contents, "run_torch_reader", run_torch_reader)


def random_params(config, dtype="float32"):
    rng = np.random.default_rng(1)
    params = {
        name: 0.5 * rng.normal(size=shape).astype(dtype)
        for name, shape in parameter_shapes(config).items()
    }
    if "threshold" in params:
        params["threshold"] = np.full((), 0.4, dtype)
    return params


def options_of(layout, config):
    """What the reader of a layout has to be told, since its file does not say it."""
    k = {"k": 3} if isinstance(config.sparsity, TopK) else {}
    return {
        "overcomplete": {"normalization": "identity", **k},
        "openai": {"normalized": isinstance(config.sparsity, TopK)},
        "qwen_scope": k,
    }.get(layout, {})


def written(layout, config, folder, dtype="float32"):
    """A model in a layout: its parameters, and where it is."""
    params, path = random_params(config, dtype), folder / WAYS[layout][0]
    if layout == "overcomplete":
        params["b_dec"] *= 0
    more = {"normalized": isinstance(config.sparsity, TopK)} if layout == "openai" else {}
    interop.write(config, params, path, layout, **more)
    return params, path


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("layout", "config"), CASES, ids=str)
def test_a_model_in_a_layout_comes_back_with_its_code(layout, config, dtype, tmp_path):
    params, path = written(layout, config, tmp_path, dtype)
    assert interop.recognize(path) == layout
    found, read = interop.read(path, **options_of(layout, config))
    assert {value.dtype for value in read.values()} == {np.dtype(dtype)}
    wide, narrow = (
        {name: value.astype(np.float64) for name, value in one.items()} for one in (params, read)
    )
    z = reference.encode(config, wide, X)
    assert 0 < (z != 0).mean() < 1
    tolerance = {"rtol": 0, "atol": {"float32": 1e-5, "float64": 1e-12}[dtype]}
    np.testing.assert_allclose(reference.encode(found, narrow, X), z, **tolerance)
    x_hat = reference.decode(config, wide, z)
    np.testing.assert_allclose(reference.decode(found, narrow, z), x_hat, **tolerance)


@pytest.mark.parametrize("layout", WAYS)
def test_what_a_layout_cannot_hold_is_refused_before_anything_is_written(layout, tmp_path):
    path = tmp_path / WAYS[layout][0]
    config = SAEConfig(6, 8, "sigmoid", "linear")
    if layout == "saebook":
        return
    with pytest.raises(
        ValueError, match=r"SAEConfig.(sparsity|activation) must be .* in the layout"
    ):
        interop.write(config, random_params(config), path, layout)
    unlearned = random_params(BATCH) | {"threshold": np.float32(-1)}
    with pytest.raises(ValueError, match=r"must be learned|must be .* in the layout"):
        interop.write(BATCH, unlearned, path, layout)
    assert not [*tmp_path.iterdir()]


def test_layouts_and_options_that_are_not_there_are_refused(tmp_path):
    params, path = written("saelens", TOPK, tmp_path)
    with pytest.raises(ValueError, match=r"layout must be one of saebook, .*got 'npz'"):
        interop.read(path, "npz")
    with pytest.raises(ValueError, match=r"layout saelens must be among none, got k"):
        interop.read(path, k=3)
    with pytest.raises(
        ValueError, match=r"must be among k, threshold, normalization, got normalized"
    ):
        interop.read(path, "overcomplete", normalized=True)
    with pytest.raises(ValueError, match=r"options of the layout openai .* normalized, got k"):
        interop.write(TOPK, params, tmp_path / "m.pt", "openai", k=3)
    with pytest.raises(ValueError, match=r"one of the layouts .*got the files folder"):
        interop.read(tmp_path)
    (tmp_path / "notes.txt").write_text("text")
    with pytest.raises(ValueError, match=r"must be a folder, or end in"):
        interop.read(tmp_path / "notes.txt")
    with pytest.raises(FileNotFoundError):
        interop.read(tmp_path / "none.safetensors")


# What their writers write, in small


def test_what_sparsify_reads_is_there(tmp_path):
    _, path = written("sparsify", TOPK, tmp_path)
    assert json.loads((path / "cfg.json").read_text()) == {
        "activation": "topk",
        "expansion_factor": 1,
        "normalize_decoder": False,
        "num_latents": 8,
        "k": 3,
        "multi_topk": False,
        "skip_connection": False,
        "transcode": False,
        "d_in": 6,
    }
    shapes = {name: v.shape for name, v in load_file(path / "sae.safetensors").items()}
    assert shapes == {
        "encoder.weight": (8, 6),
        "encoder.bias": (8,),
        "W_dec": (8, 6),
        "b_dec": (6,),
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"transcode": True}, "transcode must be False, got True; a transcoder"),
        ({"skip_connection": True}, "skip_connection must be False, got True"),
        ({"activation": "groupmax"}, "activation must be 'topk', got 'groupmax'"),
        ({"d_in": 8}, r"encoder.weight must have shape .*got \(8, 6\), and d_in is 8"),
        ({"k": 9}, "TopK.k must be at most n_latents, which is 8, got 9"),
        ({"k": "3"}, "TopK.k must be an integer of at least 1, got '3'"),
    ],
)
def test_what_is_no_autoencoder_of_sparsify_is_refused(changes, message, tmp_path):
    _, path = written("sparsify", TOPK, tmp_path)
    settings = json.loads((path / "cfg.json").read_text()) | changes
    (path / "cfg.json").write_text(json.dumps(settings))
    refused(path, message)


def test_sparsify_keeps_32_latents_where_its_file_does_not_say(tmp_path):
    config = replace(TOPK, n_latents=40)
    _, path = written("sparsify", config, tmp_path)
    settings = json.loads((path / "cfg.json").read_text())
    del settings["k"]
    (path / "cfg.json").write_text(json.dumps(settings))
    assert interop.read(path)[0].sparsity == TopK(32)


def refused(path, message, **options):
    with pytest.raises(ValueError, match=message) as error:
        interop.read(path, **options)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sae_type": "clt"}, "sae_type must be 'sae', got 'clt'"),
        ({"use_glu_encoder": True}, "use_glu_encoder must be False, got True"),
        ({"act_fn": "batchtopk"}, "act_fn must be 'relu' or 'jumprelu' or 'topk', got 'batchtopk'"),
        ({"norm_activation": "token-wise"}, "norm_activation must be .*got 'token-wise'"),
        (
            {"hook_point_out": "there"},
            "hook_point_out must be hook_point_in, 'samples', got 'there'",
        ),
        ({"d_model": 7}, r"W_E must have shape \(d_model, ...\), \(7, ...\), got \(6, 8\)"),
        (
            {"norm_activation": "dataset-wise"},
            "dataset_average_.* must be a number above 0 .*got none",
        ),
    ],
)
def test_what_is_no_autoencoder_of_llamascopium_is_refused(changes, message, tmp_path):
    _, path = written("openmoss", PLAIN, tmp_path)
    settings = json.loads((path / "config.json").read_text()) | changes
    (path / "config.json").write_text(json.dumps(settings))
    refused(path, message)


@pytest.mark.parametrize("config", [PLAIN, TOPK, JUMP], ids=str)
@pytest.mark.parametrize("ranked", [False, True])
def test_units_and_rows_of_llamascopium(config, ranked, tmp_path):
    """`encode` of its source, on samples scaled to a mean norm of the root of the width."""
    _, path = written("openmoss", config, tmp_path)
    settings = json.loads((path / "config.json").read_text())
    settings |= {"norm_activation": "dataset-wise", "sparsity_include_decoder_norm": ranked}
    (path / "config.json").write_text(json.dumps(settings))
    t = load_file(path / "sae_weights.safetensors")
    save_file(
        t | {"dataset_average_activation_norm.samples": np.float32([4.0])[0:1].reshape(())},
        path / "sae_weights.safetensors",
    )
    factor, norm = np.sqrt(6) / 4, np.linalg.norm(t["W_D"], axis=1)
    a = factor * X @ t["W_E"] + t["b_E"]
    seen = a * norm if ranked else a
    if isinstance(config.sparsity, TopK):
        active = reference.largest(np.maximum(seen, 0), 3)
    else:
        theta = np.exp(t["activation_function.log_jumprelu_threshold"]) if config is JUMP else 0
        active = seen > theta
    z = np.where(active, np.maximum(a, 0), 0)
    found, read = interop.read(path)
    ours = z * norm if ranked and config is TOPK else z
    np.testing.assert_allclose(reference.encode(found, read, X), ours, atol=1e-5)
    np.testing.assert_allclose(
        reference.decode(found, read, ours), (z @ t["W_D"] + t["b_D"]) / factor, atol=1e-5
    )


@pytest.mark.parametrize("n_features", [6, 49, 93, 103])
def test_llamascopium_finds_the_right_width_again(n_features, tmp_path):
    """It cuts off the product of the width and the ratio: 49 * (12 / 49) is not quite 12."""
    for n_latents in (12, 29, 57, 113):
        config = SAEConfig(n_features, n_latents, "relu", "linear")
        interop.to_openmoss(config, random_params(config), tmp_path)
        settings = json.loads((tmp_path / "config.json").read_text())
        assert int(settings["d_model"] * settings["expansion_factor"]) == n_latents


@pytest.mark.usefixtures("in_this_process")
def test_a_dictionary_of_overcomplete_is_normalised_as_it_is_there(tmp_path):
    _, path = written("overcomplete", PLAIN, tmp_path)
    state = torch.load(path, weights_only=True)
    state["dictionary.multiplier"] = torch.tensor(0.5)
    torch.save(state, path)
    D = state["dictionary._weights"].numpy()
    unit = D / np.linalg.norm(D, axis=1, keepdims=True)
    np.testing.assert_allclose(interop.read(path)[1]["W_dec"], unit * np.exp(0.5), rtol=1e-6)
    same = interop.read(path, normalization="identity")[1]["W_dec"]
    np.testing.assert_allclose(same, D * np.exp(0.5), rtol=1e-6)
    found, params = interop.read(path, threshold=0.25)
    assert isinstance(found.sparsity, JumpReLU)
    assert not found.pre_bias  # there is no b_dec to take away, and training should not add one
    np.testing.assert_allclose(np.exp(params["log_threshold"]), 0.25, rtol=1e-6)
    refused(path, "one of k, threshold and thresholds", k=2, threshold=0.1)
    refused(path, "TopK.k must be at most", k=9)
    with pytest.raises(ValueError, match=r"normalization must be 'l2' or 'identity', got 'l1'"):
        interop.read(path, normalization="l1")
    biased = random_params(PLAIN)
    with pytest.raises(ValueError, match=r"params\['b_dec'\] must be 0 in the layout of overcomp"):
        interop.to_overcomplete(PLAIN, biased, tmp_path / "n.pt")


@pytest.mark.usefixtures("in_this_process")
def test_units_of_openai_have_to_be_known(tmp_path):
    _, path = written("openai", TOPK, tmp_path)
    refused(path, "normalized must be True where the file is a TopK model, got False")
    assert interop.read(path, normalized=True)[0].sparsity == TopK(3)
    with pytest.raises(ValueError, match=r"normalized must be False where the model is not a TopK"):
        interop.to_openai(PLAIN, random_params(PLAIN), path, normalized=True)
    with pytest.raises(ValueError, match=r"normalized must be True where the model is a TopK"):
        interop.to_openai(TOPK, random_params(TOPK), path)
    state = torch.load(path, weights_only=True)
    torch.save(state | {"activation": "Swish"}, path)
    refused(path, "activation must be one of ReLU, TopK, got 'Swish'")
    del state["activation_state_dict"]["k"]
    torch.save(state, path)
    refused(path, "TopK.k must be an integer of at least 1, got None", normalized=True)


@pytest.mark.usefixtures("in_this_process")
def test_arrays_alone_say_what_they_are_missing(tmp_path):
    _, path = written("qwen_scope", TOPK, tmp_path)
    refused(path, "TopK.k must be an integer of at least 1, got None")
    _, path = written("linear", PLAIN, tmp_path)
    refused(path, "k must be None in the layout linear, got 3", k=3)
    with pytest.raises(ValueError, match=r"path must end in .npz in the layout gemma_scope"):
        interop.to_arrays(JUMP, random_params(JUMP), tmp_path / "m.pt", "gemma_scope")
    with pytest.raises(ValueError, match=r"layout must be one of gemma_scope, .*got 'gemma'"):
        interop.from_arrays(tmp_path / "m.npz", "gemma")
    t = random_params(JUMP) | {"threshold": np.ones(8, np.float32)}
    del t["log_threshold"]
    np.savez(tmp_path / "m.npz", **t, scaling_factor=np.full(8, 1.1))
    refused(tmp_path / "m.npz", "scaling_factor must be 1, got numbers from 1.1")
    small = {name.replace("W_", "w_"): value for name, value in t.items()}
    save_file(small | {"affine_skip_connection": np.eye(6)}, tmp_path / "m.safetensors")
    refused(tmp_path / "m.safetensors", "got affine_skip_connection, a second way")


# Defaults that a file may leave to its reader


@pytest.mark.parametrize(("architecture", "rescaled"), [("topk", False), ("batchtopk", True)])
def test_saelens_rescales_by_default_where_it_does_and_nowhere_else(
    architecture, rescaled, tmp_path
):
    written("saelens", TOPK, tmp_path)
    path = tmp_path / "folder"
    settings = json.loads((path / "cfg.json").read_text()) | {"architecture": architecture}
    del settings["rescale_acts_by_decoder_norm"]
    (path / "cfg.json").write_text(json.dumps(settings))
    t = load_file(path / "sae_weights.safetensors")
    own = {"topk_threshold": np.full((), 0.4, np.float32)} if architecture == "batchtopk" else {}
    save_file(t | own, path / "sae_weights.safetensors")
    norms = np.linalg.norm(interop.read(path)[1]["W_dec"], axis=1)
    wanted = np.ones(8) if rescaled else np.linalg.norm(t["W_dec"], axis=1)
    np.testing.assert_allclose(norms, wanted, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_threshold_that_does_nothing_becomes_the_smallest_there_is(dtype, tmp_path):
    params = random_params(JUMP, dtype)
    t = {name: params[name] for name in ("W_enc", "b_enc", "W_dec", "b_dec")}
    np.savez(tmp_path / "m.npz", **t, threshold=np.array([0, -3, 0.3, 1, 1, 1, 1, 1], dtype))
    found = interop.read(tmp_path / "m.npz")[1]["log_threshold"]
    smallest = np.log(np.finfo(dtype).tiny)
    np.testing.assert_allclose(found[:3], [smallest, smallest, np.log(0.3)], rtol=1e-6)


def test_a_checkpoint_of_saelens_that_scales_its_samples(tmp_path):
    params, path = written("saelens", PLAIN, tmp_path)
    settings = json.loads((path / "cfg.json").read_text())
    settings["normalize_activations"] = "expected_average_only_in"
    (path / "cfg.json").write_text(json.dumps(settings))
    refused(path, "must be 'none' where there is no activation_scaler.json beside it, got 'exp")
    (path / "activation_scaler.json").write_text('{"scaling_factor": 2.5, "has_whitening": false}')
    found, read = interop.read(path)
    wide = {name: value.astype(np.float64) for name, value in params.items()}
    z = reference.encode(PLAIN, wide, 2.5 * X)
    np.testing.assert_allclose(reference.encode(found, read, X), z, atol=1e-5)
    x_hat = reference.decode(PLAIN, wide, z) / 2.5
    np.testing.assert_allclose(reference.decode(found, read, z), x_hat, atol=1e-5)
    for wrong in ("0", "null", '"2"', "NaN", "true", "1e-300", "1" + 400 * "0"):
        (path / "activation_scaler.json").write_text(f'{{"scaling_factor": {wrong}}}')
        refused(path, "scaling_factor must be a number above 0")
    for wrong, message in (("true", "must be False, got True"), ("1", "must be true or false")):
        text = f'{{"scaling_factor": 2.5, "has_whitening": {wrong}}}'
        (path / "activation_scaler.json").write_text(text)
        refused(path, f"has_whitening {message}")
    for norm, why in (
        ("constant_norm_rescale", "a norm of each sample is no weight"),
        ("covariance_whitening", "read the model that SAELens saves at the end"),
        ("other", "SAELens 6.54.12 has no such setting"),
    ):
        settings["normalize_activations"] = norm
        (path / "cfg.json").write_text(json.dumps(settings))
        refused(path, f"normalize_activations must be .*{norm!r}; {why}")
    settings |= {"normalize_activations": "none", "architecture": "jumprelu_skip_transcoder"}
    (path / "cfg.json").write_text(json.dumps(settings))
    refused(path, "architecture must be that of an autoencoder, got 'jumprelu_skip_transcoder'")


# Hostile and broken files


def arrays(**changes):
    params = random_params(JUMP)
    params["threshold"] = np.exp(params.pop("log_threshold"))
    return params | changes


def test_swapped_axes_cut_files_and_thresholds_that_are_no_numbers(tmp_path):
    path = tmp_path / "m.npz"
    np.savez(path, **arrays(W_enc=arrays()["W_enc"].T.copy()))
    refused(path, r"'b_enc'\] must have shape \(6,\), got \(8,\)")
    np.savez(path, **arrays(W_dec=arrays()["W_dec"].T.copy()))
    refused(path, r"'W_dec'\] must have shape \(8, 6\), got \(6, 8\)")
    np.savez(path, **arrays(threshold=np.full(8, np.nan, np.float32)))
    refused(path, "threshold must be finite, got NaN or infinity")
    np.savez(path, **arrays(W_enc=np.ones(3)))
    refused(path, r"W_enc must be a matrix, got shape \(3,\)")
    np.savez(path, **arrays())
    for size in (0, 10, 300, path.stat().st_size - 5):
        short = tmp_path / "short.npz"
        short.write_bytes(path.read_bytes()[:size])
        refused(short, "must be an .npz file, got one that cannot be read")
    whole = tmp_path / "m.safetensors"
    interop.write(JUMP, random_params(JUMP), whole, "gemma_scope_2")
    for size in (0, 7, 100, whole.stat().st_size - 1):
        short = tmp_path / "short.safetensors"
        short.write_bytes(whole.read_bytes()[:size])
        refused(short, "must be a whole safetensors file")


def refused_by_both_commands(path, message):
    """One sentence, exit status 1, and nothing written."""
    for command in (["inspect", str(path)], ["convert", str(path), f"{path}.out"]):
        found = CliRunner().invoke(main, command)
        assert found.exit_code == 1, found.exception
        assert re.search(message, found.output), found.output
        assert len(found.output.splitlines()) == 1
        assert found.output.isprintable() or found.output.rstrip("\n").isprintable()
    assert not Path(f"{path}.out").exists()


@pytest.mark.parametrize("d_model", [None, "6", 6.5, -6, 10**13, [6], "left out"])
def test_a_bias_that_is_left_out_does_not_ask_for_the_width_that_a_file_claims(d_model, tmp_path):
    _, path = written("openmoss", TOPK, tmp_path)
    t = load_file(path / "sae_weights.safetensors")
    del t["b_D"]
    save_file(t, path / "sae_weights.safetensors")
    settings = json.loads((path / "config.json").read_text()) | {"use_decoder_bias": False}
    (path / "config.json").write_text(json.dumps(settings | {"d_model": 6}))
    assert not interop.read(path)[1]["b_dec"].any()
    settings["d_model"] = d_model
    if d_model == "left out":
        del settings["d_model"]
    (path / "config.json").write_text(json.dumps(settings))
    refused_by_both_commands(path, r"W_E must have shape \(d_model, \.\.\.\), .*got \(6, 8\)")
    save_file({"b_E": t["b_E"]}, path / "sae_weights.safetensors")
    refused_by_both_commands(path, "must hold the tensors W_E, b_E, W_D, got b_E")


@pytest.mark.parametrize(
    ("layout", "name"),
    [
        ("openmoss", "use_decoder_bias"),
        ("openmoss", "sparsity_include_decoder_norm"),
        ("saelens", "rescale_acts_by_decoder_norm"),
        ("saelens", "apply_b_dec_to_input"),
        ("sparsify", "transcode"),
        ("sparsify", "skip_connection"),
    ],
)
def test_a_switch_in_quotes_is_not_taken_for_true(layout, name, tmp_path):
    _, path = written(layout, TOPK, tmp_path)
    described = path / ("config.json" if layout == "openmoss" else "cfg.json")
    described.write_text(json.dumps(json.loads(described.read_text()) | {name: "false"}))
    refused_by_both_commands(path, "must be .*, got 'false'")


@pytest.mark.parametrize(
    ("norm", "got"), [(None, "none"), ([1.0, 2.0], r"shape \(2,\)"), (np.nan, "nan"), (0.0, "0.0")]
)
def test_a_norm_of_the_data_that_is_no_number_is_named(norm, got, tmp_path):
    _, path = written("openmoss", TOPK, tmp_path)
    settings = json.loads((path / "config.json").read_text()) | {"norm_activation": "dataset-wise"}
    (path / "config.json").write_text(json.dumps(settings))
    t = load_file(path / "sae_weights.safetensors")
    if norm is not None:
        t["dataset_average_activation_norm.samples"] = np.array(norm, np.float32)
    save_file(t, path / "sae_weights.safetensors")
    refused_by_both_commands(path, f"above 0 where norm_activation is 'dataset-wise', got {got}")


def test_archives_and_arrays_that_no_publisher_writes(tmp_path):
    path = tmp_path / "m.npz"
    np.savez(path)
    refused_by_both_commands(path, "got the tensors none")
    for value, got in (("x", "<U1"), (np.nan, "numbers from nan"), (2.0, "numbers from 2")):
        np.savez(path, **arrays(), scaling_factor=np.array(value))
        refused_by_both_commands(path, f"scaling_factor must be 1, got {got}")
    np.savez(path, **arrays())
    content = bytearray(path.read_bytes())
    content[content.rindex(b"PK\x01\x02") + 6] = 99  # the version that is needed to unpack it
    path.write_bytes(content)
    refused_by_both_commands(
        path, "must be an .npz file, got one that cannot be read: zip file ver"
    )


def test_names_in_a_file_do_not_break_or_fill_the_message(tmp_path):
    path, one = tmp_path / "m.safetensors", np.ones(1, np.float32)
    save_file({f"\x1b[31m\n{number}": one for number in range(40)}, path)
    refused_by_both_commands(path, r"got the tensors '\\x1b\[31m\\n0', .*, and 28 more")
    params, whole = written("saebook", PLAIN, tmp_path.parent)
    with safe_open(whole, "numpy") as file:
        save_file(params | {"\x1b": one}, path, file.metadata())
    refused_by_both_commands(path, r"got '\\x1b', W_dec, W_enc, b_dec, b_enc\.")
    save_file({"W_enc": one, "b_enc": one, "x" * 500: one}, path)
    with pytest.raises(ValueError, match=r"got W_enc, b_enc, x{57}\.\.\.\.$"):
        interop.read(path, "goodfire")


@pytest.mark.usefixtures("in_this_process")
def test_a_threshold_beyond_all_numbers_is_written_as_the_largest(tmp_path):
    """A latent of llamascopium with a logarithm of 1e30 is never active, there and elsewhere."""
    params, path = written("openmoss", JUMP, tmp_path)
    t = load_file(path / "sae_weights.safetensors")
    name = "activation_function.log_jumprelu_threshold"
    t[name][2] = 1e30
    save_file(t, path / "sae_weights.safetensors")
    config, params = interop.read(path)
    z = reference.encode(config, {n: v.astype(np.float64) for n, v in params.items()}, X)
    assert not z[:, 2].any()
    assert z.any()
    for layout in ("saelens", "dictionary_learning", "overcomplete", "openmoss", "gemma_scope"):
        out = tmp_path / f"{layout}{Path(WAYS[layout][0]).suffix}"
        params["b_dec"] *= layout != "overcomplete"
        interop.write(config, params, out, layout)
        found, read = interop.read(out, **options_of(layout, config))
        again = reference.encode(found, {n: v.astype(np.float64) for n, v in read.items()}, X)
        np.testing.assert_array_equal(again != 0, z != 0)
    found = CliRunner().invoke(main, ["inspect", str(path)])
    assert "3.403e+38 (least, median, most)" in found.output


def test_objects_in_an_npz_file_are_not_unpickled(tmp_path):
    np.savez(tmp_path / "m.npz", **arrays(W_enc=np.array([Harmful(tmp_path / "harm")] * 2)))
    refused(tmp_path / "m.npz", "must be an .npz file of plain arrays")
    assert not (tmp_path / "harm").exists()


class Harmful:
    """What would leave a file behind if it were unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_a_pickle_by_another_name_is_not_unpickled(tmp_path):
    torch.save({"W_enc": Harmful(tmp_path / "harm")}, tmp_path / "m.pt")
    content = (tmp_path / "m.pt").read_bytes()
    for name in ("m.safetensors", "m.npz", "other.pth"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=re.escape(str(tmp_path / name))) as error:
            interop.read(tmp_path / name)
        assert "\n" not in str(error.value)
        with pytest.raises(ValueError, match=r"cannot be read"):
            interop.read(tmp_path / name, {"m.npz": "gemma_scope"}.get(name, "goodfire"))
    assert not (tmp_path / "harm").exists()


def peak_of(read):
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"must") as error:
            read()
        return tracemalloc.get_traced_memory()[1], str(error.value)
    finally:
        tracemalloc.stop()


def test_a_small_file_cannot_ask_for_much_memory(tmp_path):
    """A header of 10 GB, an array of 10 GB in an archive, a JSON file of 10 GB."""
    huge = tmp_path / "m.safetensors"
    with huge.open("wb") as file:
        file.write(struct.pack("<Q", 10 * 2**30))
        file.truncate(10 * 2**30 + 100)  # takes no room on the disk
    peak, said = peak_of(lambda: interop.read(huge))
    assert peak < 2**22
    assert "header too large" in said
    bomb = tmp_path / "m.npz"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as file:
        for name in ("W_enc", "W_dec", "b_enc", "b_dec", "threshold"):
            header = io.BytesIO()
            np.lib.format.write_array_header_1_0(
                header, {"descr": "<f4", "fortran_order": False, "shape": (2**26,)}
            )
            with file.open(f"{name}.npy", "w") as member:
                member.write(header.getvalue())
                for _ in range(64):
                    member.write(bytes(2**20))
    peak, said = peak_of(lambda: interop.read(bomb))
    assert peak < 2**22
    assert "must grow to at most 20 times" in said
    lying = tmp_path / "lying.npz"
    with zipfile.ZipFile(lying, "w") as file:
        for name in ("W_enc", "W_dec", "b_enc", "b_dec", "threshold"):
            file.writestr(f"{name}.npy", header.getvalue())
    peak, said = peak_of(lambda: interop.read(lying))
    assert peak < 2**22
    assert "of shape (67108864,) in 128 bytes" in said
    folder = tmp_path / "folder"
    written("sparsify", TOPK, tmp_path)
    with (folder / "cfg.json").open("ab") as file:
        file.truncate(10 * 2**30)
    peak, said = peak_of(lambda: interop.read(folder))
    assert peak < 2**22
    assert "JSON file of at most" in said


def test_a_file_of_pytorch_is_read_in_a_process_of_its_own(tmp_path, monkeypatch):
    """With what lies around there, a file called torch.py, not taken for PyTorch."""
    (tmp_path / "torch.py").write_text("open('harm', 'w')\nraise SystemExit(7)")
    monkeypatch.chdir(tmp_path)
    _, path = written("openai", PLAIN, tmp_path)
    code = (
        "import sys; from saebook import interop; "
        f"print(interop.read({str(path)!r})[0].n_latents, 'torch' in sys.modules)"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(interop.__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(interop.__file__).parents[2],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "8 False\n", done.stderr
    found, params = interop.read(path)  # and from a folder with a torch.py in it
    assert found == replace(PLAIN, pre_bias=True)
    assert params["W_enc"].dtype == np.float32
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    "form", ["not a zip", "bomb", "view", "shared", "list", "object", "sparse", "harm", "number"]
)
def test_a_file_of_pytorch_that_is_not_what_it_should_be(form, tmp_path):
    path = tmp_path / "m.pt"
    if form == "not a zip":
        torch.save({"a": torch.ones(3)}, path, _use_new_zipfile_serialization=False)
        message = "not a zip file"
    elif form == "bomb":
        torch.save({"a": torch.zeros(2**22)}, tmp_path / "plain.pt")
        with (
            zipfile.ZipFile(tmp_path / "plain.pt") as plain,
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed,
        ):
            for part in plain.infolist():
                packed.writestr(part.filename, plain.read(part))
        message = "it would grow from"
    else:
        held = {
            "view": ({"a": torch.ones(1).expand(2**20, 2**12)}, r"has shape \(1048576, 4096\) in"),
            "shared": (dict.fromkeys(map(str, range(99)), torch.ones(2**16)), "have more than"),
            "harm": ({"a": Harmful(tmp_path / "harm")}, r"text, \S*open; nothing of it was exec"),
            "number": ({"a": 10**5000}, "text, Unsupported operand 139; nothing of it was exec"),
            "list": ([torch.ones(3)], "it holds one list, not tensors by name"),
            "object": ({"a": (1, 2)}, "a is a tuple, neither a tensor nor a number"),
            "sparse": ({"a": torch.eye(3).to_sparse()}, "a is not a plain tensor"),
        }
        torch.save(held[form][0], path)
        message = held[form][1]
    refused(path, message)
    assert not (tmp_path / "harm").exists()


def test_half_precision_is_widened_in_every_file(tmp_path):
    exact = {name: torch.tensor(value) for name, value in arrays().items()}
    small = {name.replace("W_", "w_"): value.bfloat16() for name, value in exact.items()}
    save_torch(small, tmp_path / "m.safetensors")
    _, params = interop.read(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(params["W_enc"], small["w_enc"].float().numpy())
    np.savez(tmp_path / "m.npz", **{n: v.half().numpy() for n, v in exact.items()})
    _, params = interop.read(tmp_path / "m.npz")
    np.testing.assert_array_equal(params["W_enc"], exact["W_enc"].half().float().numpy())
    assert params["W_enc"].dtype == np.float32


def test_weights_written_by_name_are_those_of_save(tmp_path):
    params, path = written("saebook", TOPK, tmp_path)
    found, read = weights.read(path)
    assert found == TOPK
    np.testing.assert_array_equal(read["W_enc"], params["W_enc"])


def test_what_a_file_of_llamascopium_leaves_out_is_as_it_is_there(tmp_path):
    """Ranked by rows, 50 latents, a decoder with a bias, samples scaled for the whole data set."""
    config = replace(TOPK, n_latents=60)
    _, path = written("openmoss", config, tmp_path)
    settings = json.loads((path / "config.json").read_text())
    t = load_file(path / "sae_weights.safetensors")
    norm = np.array(2.0, np.float32)
    save_file(
        t | {"dataset_average_activation_norm.samples": norm}, path / "sae_weights.safetensors"
    )
    for name in ("norm_activation", "sparsity_include_decoder_norm", "top_k", "use_decoder_bias"):
        del settings[name]
    (path / "config.json").write_text(json.dumps(settings))
    found, params = interop.read(path)
    assert found.sparsity == TopK(50)
    factor = np.sqrt(6) / 2
    rows = np.linalg.norm(params["W_dec"], axis=1)
    np.testing.assert_allclose(rows, np.full(60, 1 / factor), rtol=1e-5)
    np.testing.assert_allclose(params["b_dec"], t["b_D"] / factor, rtol=1e-5)
    del settings["act_fn"]
    settings["use_decoder_bias"] = False
    (path / "config.json").write_text(json.dumps(settings))
    save_file(
        {name: value for name, value in t.items() if name != "b_D"}
        | {"dataset_average_activation_norm.samples": norm},
        path / "sae_weights.safetensors",
    )
    found, params = interop.read(path)
    assert found == replace(PLAIN, n_latents=60)
    assert not params["b_dec"].any()
