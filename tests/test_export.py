"""Models as files of other runtimes, run there: every kind, every part, exact ties.

ONNX Runtime is among what is tested everywhere. LiteRT is tested where it is installed.
"""

import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from saebook import (
    KL,
    L1,
    BatchTopK,
    Gated,
    JumpReLU,
    SAEConfig,
    TopK,
    export,
    interop,
    reference,
)
from saebook.__main__ import main
from saebook.kinds import KINDS
from saebook.parameters import parameter_shapes

ENDINGS = {
    ".onnx": ("onnx", "onnxruntime"),
    ".tflite": ("ai_edge_litert", "tensorflow"),
    "": ("tensorflow",),
}
CONFIGS = [
    SAEConfig(6, 12, "relu", "linear"),
    SAEConfig(6, 12, "linear", "linear"),
    SAEConfig(6, 12, "relu", "linear", sparsity=L1(0.1), tied=True, pre_bias=True),
    SAEConfig(6, 12, "sigmoid", "sigmoid", reconstruction="bce", sparsity=KL()),
    SAEConfig(6, 12, "relu", "linear", sparsity=TopK(3), pre_bias=True),
    SAEConfig(6, 12, "linear", "linear", sparsity=TopK(3), tied=True, pre_bias=False),
    SAEConfig(6, 12, "relu", "linear", sparsity=BatchTopK(3), pre_bias=False),
    SAEConfig(6, 12, "relu", "linear", sparsity=BatchTopK(3), groups=(4, 8), pre_bias=True),
    SAEConfig(6, 12, "relu", "linear", sparsity=JumpReLU(), pre_bias=True),
    SAEConfig(6, 12, "relu", "linear", sparsity=Gated(), pre_bias=True),
]


@pytest.fixture(params=ENDINGS, ids=lambda ending: ending or "saved_model")
def ending(request):
    missing = [name for name in ENDINGS[request.param] if find_spec(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed: see saebook.export.EXTRAS")
    return request.param


def random_params(config, dtype="float32"):
    rng = np.random.default_rng(1)
    params = {
        name: 0.5 * rng.normal(size=shape).astype(dtype)
        for name, shape in parameter_shapes(config).items()
    }
    if "threshold" in params:
        params["threshold"] = np.full((), 0.4, dtype)
    return params


def whole_params(config):
    """Small whole numbers, with which all runtimes compute exactly, and pairs of equal latents."""
    rng = np.random.default_rng(2)
    params = {
        name: rng.integers(-2, 3, shape).astype(np.float32)
        for name, shape in parameter_shapes(config).items()
    }
    for name, axis in (("W_enc", 1), ("b_enc", 0)):
        half = np.take(params[name], range(6), axis)
        params[name] = np.concatenate([half, half], axis)
    if "threshold" in params:
        params["threshold"] = np.float32(2)
    if "log_threshold" in params:  # exp of it is 1
        params["log_threshold"] = np.zeros(12, np.float32)
    if "r_mag" in params:
        params["r_mag"] = np.zeros(12, np.float32)
    return params


def test_every_kind_is_here():
    assert {type(config.sparsity) for config in CONFIGS} == {type(None), *KINDS}


@pytest.mark.parametrize("part", export.PARTS)
@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_a_runtime_computes_the_same(config, part, ending, tmp_path):
    path, params = tmp_path / f"model{ending}", random_params(config)
    export.export(config, params, path, part)
    found = export.check(config, params, path, part=part)
    assert found.n_samples == 256
    gaps = {"z": found.codes, "x_hat": found.reconstructions}
    for name, gap in gaps.items():
        assert (gap < 1e-5) == (name in export.PARTS[part]), name  # NaN where there is none
    assert part == "decoder" or found.same_active == 1
    for n_samples in (1, 7):  # any number of samples
        width = config.n_latents if part == "decoder" else config.n_features
        given = np.ones((n_samples, width), np.float32)
        assert {
            name: len(value) for name, value in export.run(path, given).items()
        } == dict.fromkeys(export.PARTS[part], n_samples)


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_of_equal_latents_a_runtime_keeps_the_same(config, ending, tmp_path):
    x = np.random.default_rng(3).integers(-2, 3, (200, 6)).astype(np.float32)
    path, params = tmp_path / f"model{ending}", whole_params(config)
    z = reference.encode(config, params, x)
    if isinstance(config.sparsity, TopK):
        a = reference.preactivation(config, params, x)
        kth = -np.sort(-a, axis=1)[:, 2:4]
        assert (kth[:, 0] == kth[:, 1]).mean() > 0.2  # ties at the border there are
    export.export(config, params, path, "encoder")
    tolerance = 1e-6 if config.activation == "sigmoid" else 0
    np.testing.assert_allclose(export.run(path, x)["z"], z, rtol=0, atol=tolerance)


def test_a_file_runs_by_the_names_that_the_page_gives_without_saebook(ending, tmp_path):
    page = Path(__file__).resolve().parents[1] / "book" / "in_and_out.md"
    program = page.read_text("utf8").split("% begin run\n")[1].split("```")[1]
    samples, *parts = program.removeprefix("python").strip().split("\n\n")
    needed = {".onnx": "onnxruntime", ".tflite": "ai_edge_litert.interpreter", "": "tensorflow"}
    part = dict(zip(needed, parts, strict=True))[ending]
    config = replace(CONFIGS[4], n_features=64)
    params = random_params(config)
    export.export(config, params, tmp_path / ("saved_model" if ending == "" else f"model{ending}"))
    code = f"import numpy as np, {needed[ending]}\n{samples}\n{part}\nnp.savez('out.npz', x=x, z=z)"
    code += "\nimport sys; assert not [name for name in sys.modules if 'saebook' in name]"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "out.npz") as found:
        np.testing.assert_allclose(
            found["z"], reference.encode(config, params, found["x"]), atol=1e-5
        )


def test_a_model_in_float64_is_written_in_it_or_refused(ending, tmp_path):
    path = tmp_path / f"model{ending}"
    for config in CONFIGS:
        params = random_params(config, "float64")
        if ending == ".tflite":
            with pytest.raises(ValueError, match=r"params must be of dtype float32 for .*float64"):
                export.export(config, params, path)
            continue
        path = tmp_path / f"model{CONFIGS.index(config)}{ending}"
        export.export(config, params, path)
        found = export.check(config, params, path)
        assert max(found.codes, found.reconstructions) < 1e-12


def test_the_check_sees_another_model(ending, tmp_path):
    config, path = CONFIGS[4], tmp_path / f"model{ending}"
    params = random_params(config)
    export.export(config, params, path)
    other = params | {"b_enc": params["b_enc"] + np.float32(0.3) * np.arange(12, dtype=np.float32)}
    found = export.check(config, other, path)
    assert found.codes > 0.1
    assert found.reconstructions > 0.1
    assert found.same_active < 0.9


def test_what_cannot_be_kept_is_refused_before_anything_is_written(tmp_path):
    config = CONFIGS[6]
    unlearned = random_params(config) | {"threshold": np.float32(-1)}
    for name, params, part, message in (
        ("m.onnx", unlearned, "both", "threshold of a BatchTopK model must be learned"),
        ("m.pb", random_params(config), "both", r"path must end in .onnx or .tflite, or be"),
        ("m.onnx", random_params(config), "half", "part must be one of encoder, decoder, both"),
        ("m.onnx", {}, "both", "params must have the keys"),
    ):
        with pytest.raises(ValueError, match=message):
            export.export(config, params, tmp_path / name, part)
    with pytest.raises(FileNotFoundError):
        export.run(tmp_path / "m.onnx", np.ones((1, 6), np.float32))
    assert not [*tmp_path.iterdir()]


def test_what_is_there_stays(ending, tmp_path):
    path, params = tmp_path / f"model{ending}", random_params(CONFIGS[0])
    if ending:
        path.write_bytes(b"no model")
        with pytest.raises(ValueError, match=r"must be an? (ONNX file|file of LiteRT), got"):
            export.run(path, np.ones((1, 6), np.float32))
        with pytest.raises(FileNotFoundError, match="in a folder that is there"):
            export.export(CONFIGS[0], params, tmp_path / "none" / path.name)
        return
    path.mkdir()
    with pytest.raises(ValueError, match="must be a SavedModel"):
        export.run(path, np.ones((1, 6), np.float32))
    with pytest.raises(FileExistsError, match="must be a folder that is not there yet"):
        export.export(CONFIGS[0], params, path)
    assert not [*path.iterdir()]


def test_what_is_not_installed_is_named(tmp_path):
    code = (
        "import sys; sys.modules['onnx'] = sys.modules['tensorflow'] = None\n"
        "import numpy as np; from saebook import SAEConfig, export\n"
        "from saebook.start import init_params\n"
        "config = SAEConfig(2, 2)\n"
        "params = {n: v.astype('f4') for n, v in init_params(config).items()}\n"
        "for name in ('m.onnx', 'm.tflite'):\n"
        "    try:\n        export.export(config, params, name)\n"
        "    except ImportError as error:\n        print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, env=_paths()
    )
    assert done.stdout.splitlines() == [
        "onnx is not installed: pip install onnx onnxruntime.",
        "tensorflow is not installed: pip install tensorflow.",
    ], done.stderr


def _paths():
    return os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}


# The commands


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = replace(CONFIGS[4], groups=(5, 7))
    interop.write(config, random_params(config), "m.safetensors")
    return config


def test_convert_and_inspect(model):
    done = run("convert", "m.safetensors", "lens", "--to", "saelens")
    assert done.output == "lens: 6 features, 12 latents, saebook to saelens\n"
    done = run("convert", "lens", "back.safetensors")
    assert done.output == "back.safetensors: 6 features, 12 latents, saelens to saebook\n"
    config, params = interop.read("back.safetensors")
    assert config == replace(model, groups=None)
    np.testing.assert_array_equal(params["W_enc"], random_params(model)["W_enc"])
    said = run("inspect", "m.safetensors").output
    norms = np.linalg.norm(params["W_dec"], axis=1)
    for line in (
        "layout          saebook",
        "kind            TopK",
        "widths          6 features, 12 latents",
        "code            relu, (x - b_dec) @ W_enc + b_enc",
        "k               3",
        "groups          5, 7",
        f"rows            norms {norms.min():.4g}, {np.median(norms):.4g}, {norms.max():.4g}",
        "dead rows       0 of 12 without a direction",
        f"parameters      {6 * 12 * 2 + 12 + 6} of float32",
    ):
        assert line in said


def test_a_dictionary_of_overcomplete_is_read_as_its_model_has_it(model):
    """What is written for it has rows of any norm, and says so nowhere."""
    config = replace(CONFIGS[1], activation="relu")
    params = random_params(config) | {"b_dec": np.zeros(6, np.float32)}
    interop.write(config, params, "m.pt", "overcomplete")
    said = run("inspect", "m.pt", "--normalization", "identity").output
    norms = np.linalg.norm(params["W_dec"], axis=1)
    assert f"rows            norms {norms.min():.4g}, {np.median(norms):.4g}" in said
    assert "rows            norms 1, 1, 1" in run("inspect", "m.pt").output
    run("convert", "m.pt", "back.safetensors", "--normalization", "identity")
    np.testing.assert_array_equal(interop.read("back.safetensors")[1]["W_dec"], params["W_dec"])


def test_inspect_tells_thresholds_and_rows_without_a_direction(model):
    config = CONFIGS[8]
    params = random_params(config)
    params["W_dec"][2] = 0
    params["W_enc"][:, 5] = 0
    interop.write(config, params, "jump", "saelens")
    said = run("inspect", "jump").output
    theta = np.exp(params["log_threshold"])
    assert f"thresholds      {theta.min():.4g}, {np.median(theta):.4g}, {theta.max():.4g}" in said
    assert "dead rows       2 of 12 without a direction" in said
    assert "layout          saelens" in said
    config = CONFIGS[6]
    interop.write(config, random_params(config) | {"threshold": np.float32(-1)}, "b.safetensors")
    assert "threshold       not learned" in run("inspect", "b.safetensors").output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("convert", "m.safetensors", "m.safetensors"), "out must be a free name, got m.saf"),
        (("convert", "m.safetensors", "n", "--to", "goodfire"), "path must end in .pt or .pth or"),
        (("convert", "m.safetensors", "n.npz", "--to", "gemma_scope"), "sparsity must be JumpReLU"),
        (("convert", "m.safetensors", "n", "--k", "3"), "options of the layout saebook must be"),
        (("inspect", "x.npy"), "must be a folder, or end in"),
        (("export", "m.safetensors", "-o", "m.pb"), "path must end in .onnx or .tflite"),
        (("export", "m.safetensors", "-o", "m.safetensors"), "out must be a free name"),
    ],
)
def test_mistakes_get_one_sentence_and_leave_nothing(model, arguments, message):
    np.save("x.npy", np.ones((3, 6)))
    done = run(*arguments)
    assert done.exit_code != 0
    assert message in done.output.replace("\n", " ")
    assert "Traceback" not in done.output
    assert sorted(path.name for path in Path().iterdir()) == ["m.safetensors", "x.npy"]


def test_export_says_how_well_it_went(model, ending):
    np.save("x.npy", np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32))
    done = run("export", "m.safetensors", "-o", f"out{ending}", "--data", "x.npy")
    assert done.exit_code == 0, done.output
    assert "largest difference in 40 samples" in done.output
    assert "the same latents active in 100.0% of samples" in done.output
    done = run("export", "m.safetensors", "-o", f"dec{ending}", "--part", "decoder")
    assert "reconstructions" in done.output
    assert "codes" not in done.output
