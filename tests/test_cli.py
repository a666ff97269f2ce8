"""The command line, as a person who writes no Python meets it."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from saebook import (
    KL,
    L1,
    BatchTopK,
    SAEConfig,
    TopK,
    TrainConfig,
    fashion_mnist,
    reference,
    samples,
    weights,
)
from saebook.__main__ import main
from saebook.corruption import GaussianNoise
from saebook.metrics import reconstruction_error
from saebook.start import init_params


@pytest.fixture(scope="module")
def x():
    return fashion_mnist().x_val[:300]


@pytest.fixture
def folder(tmp_path, monkeypatch, x):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", x)
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


SMALL = ("--latents", 32, "--k", 8, "--epochs", 3, "--device", "cpu")


@pytest.mark.parametrize("backend", ["pytorch", "tensorflow"])
def test_train_then_encode_then_detect(folder, backend):
    done = run("train", "x.npy", "-o", "m.safetensors", *SMALL, "--backend", backend)
    assert done.exit_code == 0, done.output
    assert "300 samples of 784 features, 32 latents" in done.output
    assert not (folder / "m.safetensors.checkpoint").exists()

    assert run("encode", "m.safetensors", "x.npy", "-o", "z.npy").output == "z.npy: 300 x 32\n"
    model = weights.load("m.safetensors", backend, device="cpu")
    package = __import__(f"saebook.{backend}", fromlist=["encode"])
    np.testing.assert_allclose(np.load("z.npy"), package.encode(model, np.load("x.npy")), atol=1e-5)

    np.save("odd.npy", np.vstack([np.load("x.npy")[:20], np.ones((2, 784), np.float32)]))
    found = run("detect", "m.safetensors", "odd.npy", "--clean", "x.npy", "-o", "scores.csv")
    assert found.exit_code == 0
    assert {"20", "21"} <= {line.split("\t")[0] for line in found.stdout.splitlines()}
    assert "of 22 samples above" in found.stderr
    rows = (folder / "scores.csv").read_text().splitlines()
    assert rows[0] == "sample,score,anomalous"
    assert len(rows) == 23
    assert rows[-1].endswith(",1")


@pytest.mark.parametrize("kind", ["topk", "batchtopk", "kl", "l1", "none"])
def test_every_kind_trains_and_encodes(folder, kind):
    done = run("train", "x.npy", "-o", "m", *SMALL, "--kind", kind)
    assert done.exit_code == 0, done.output
    found = type(weights.read("m")[0].sparsity).__name__.lower()
    assert found == kind.replace("none", "nonetype")
    assert run("encode", "m", "x.npy", "-o", "z.npy").output == "z.npy: 300 x 32\n"


@pytest.mark.parametrize(
    ("options", "sparsity", "training", "noise"),
    [
        ("--kind l1 --l1 0.7", L1(0.7), {}, 0),
        ("--kind l1 --l0 9", L1(0.1, l0=9.0), {}, 0),
        ("--kind kl --rho 0.2 --beta 3", KL(0.2, 3.0), {}, 0),
        ("--kind batchtopk --k 3", BatchTopK(3), {}, 0),
        ("--k 3 --noise 0.3", TopK(3), {}, 0.3),
        ("--k 3 --seed 5", TopK(3), {"seed": 5}, 0),
        ("--k 3 --epochs 3", TopK(3), {"epochs": 3}, 0),
        ("--k 3 --batch-size 50", TopK(3), {"batch_size": 50}, 0),
        ("--k 3 --learning-rate 0.02", TopK(3), {"learning_rate": 0.02}, 0),
    ],
)
def test_every_option_trains_as_the_package_does(folder, x, options, sparsity, training, noise):
    pytorch = pytest.importorskip("saebook.pytorch")
    always = ("--latents", 16, "--epochs", 2, "--device", "cpu")
    done = run("train", "x.npy", "-o", "m", *always, *options.split())
    assert done.exit_code == 0, done.output
    kind = type(sparsity)
    activation = "sigmoid" if kind is KL else "relu"
    config = SAEConfig(
        784,
        16,
        activation,
        "linear",
        sparsity=sparsity,
        tied=kind is not KL,
        unit_norm=kind is L1,
    )
    training = TrainConfig(**({"epochs": 2} | training))
    model = pytorch.SparseAutoencoder(config, training.seed, "float32", "cpu")
    corruption = GaussianNoise(noise, clip=False) if noise else None
    pytorch.fit(model, x, training, corruption=corruption)
    found, params = weights.read("m")
    assert found == config
    for name, value in model.to_numpy().items():
        np.testing.assert_array_equal(params[name], value)


@pytest.mark.parametrize("false_alarms", [None, 0.1, 0.5])
def test_detect_draws_the_line_at_the_share_asked_for(folder, x, false_alarms):
    config = SAEConfig(784, 8, "relu", "linear", sparsity=TopK(2))
    params = init_params(config, 0)
    weights.write("m", config, params)
    np.save("data.npy", np.float64(x[:100] + np.linspace(0, 0.5, 100)[:, None]))
    share = [] if false_alarms is None else ["--false-alarms", false_alarms]
    done = run("detect", "m", "data.npy", "--clean", "x.npy", "-o", "s.csv", *share)
    errors = []
    for data in (np.load("data.npy"), x.astype(np.float64)):
        z = reference.encode(config, params, data)
        errors.append(reconstruction_error(data, reference.decode(config, params, z)))
    threshold = np.quantile(errors[1], 1 - (false_alarms or 0.01))
    expected = np.flatnonzero(errors[0] > threshold)
    assert 0 < len(expected) < 100
    assert done.stderr == f"{len(expected)} of 100 samples above {threshold:.6g}\n"
    assert done.stdout == "".join(f"{row}\t{errors[0][row]:.6g}\n" for row in expected)
    with open("s.csv", newline="") as file:
        rows = list(csv.reader(file))[1:]
    assert rows == [
        [str(row), f"{error:.6g}", str(int(error > threshold))]
        for row, error in enumerate(errors[0])
    ]


def images(folder, names, size=(4, 6), seed=0):
    """A folder of noise."""
    rng = np.random.default_rng(seed)
    folder.mkdir()
    for name in names:
        Image.fromarray(rng.integers(0, 256, size, dtype=np.uint8)).save(folder / name)


TINY = ("--latents", 8, "--k", 2, "--epochs", 1, "--device", "cpu")


def test_results_keep_the_names_of_their_images(folder):
    images(folder / "clean", [f"part{number}.png" for number in range(1, 13)])
    images(folder / "in", ["part10.png", "part2.jpg", "part2.png"], seed=1)
    Image.new("L", (6, 4), 255).save(folder / "in" / "part10.png")
    assert run("train", "clean", "-o", "m", *TINY).exit_code == 0

    done = run("detect", "m", "in", "--clean", "clean", "-o", "s.csv", "--false-alarms", 0.5)
    assert "part10.png" in [line.split("\t")[0] for line in done.stdout.splitlines()]
    with open("s.csv", newline="") as file:
        names = [row[0] for row in csv.reader(file)]
    assert names == ["sample", "part2.jpg", "part2.png", "part10.png"]

    assert run("denoise", "m", "in", "-o", "out-0.5").output == "out-0.5: 3 images\n"
    written = samples.read_images("out-0.5")
    assert written[2] == ["part2.jpg.png", "part2.png.png", "part10.png.png"]
    assert run("denoise", "m", "in", "-o", "x_hat.npy").exit_code == 0
    rebuilt = np.load("x_hat.npy")
    np.testing.assert_array_equal(written[0], np.rint(255 * rebuilt.clip(0, 1)) / np.float32(255))

    assert run("encode", "m", "in", "-o", "z.npz").exit_code == 0
    assert run("encode", "m", "in", "-o", "z.npy").exit_code == 0
    with np.load("z.npz") as arrays:
        assert arrays["names"].tolist() == ["part2.jpg", "part2.png", "part10.png"]
    np.testing.assert_array_equal(samples.read_samples("z.npz"), np.load("z.npy"))


def test_a_model_knows_the_size_of_its_images(folder):
    images(folder / "tall", ["a.png", "b.png"], (6, 4))
    images(folder / "wide", ["a.png", "b.png"], (4, 6))
    assert run("train", "tall", "-o", "m", *TINY).exit_code == 0
    assert weights.read_image_shape("m") == (6, 4)
    np.save("wide.npy", np.ones((2, 4, 6)))
    for data in ("wide", "wide.npy"):
        for command in (
            ("encode", "m", data, "-o", "z.npy"),
            ("denoise", "m", data, "-o", "out"),
            ("detect", "m", data, "--clean", "tall"),
            ("detect", "m", "tall", "--clean", data),
        ):
            done = run(*command)
            assert done.exit_code == 1
            assert f"{data} must hold images of 6 x 4 pixels" in done.output
    np.save("flat.npy", samples.read_samples("tall"))
    assert run("denoise", "m", "flat.npy", "-o", "out").output == "out: 2 images\n"
    assert samples.read_images("out")[1:] == ((6, 4), ["0.png", "1.png"])

    assert run("train", "flat.npy", "-o", "n", *TINY).exit_code == 0
    assert weights.read_image_shape("n") is None
    done = run("denoise", "n", "flat.npy", "-o", "other")
    assert (done.exit_code, (folder / "other").exists()) == (2, False)
    assert "out must end in .npy or .npz for DATA of no images, got other" in done.output


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_the_row_number_is_that_of_the_file(folder, bad):
    x = np.random.default_rng(0).random((9000, 4))
    np.save("good.npy", x)
    x[5000, 3] = x[8000, 1] = bad
    np.save("bad.npy", x)
    config = SAEConfig(4, 2)
    params = init_params(config)
    weights.write("m", config, {name: p.astype(np.float32) for name, p in params.items()})
    for command in (
        ("encode", "m", "bad.npy", "-o", "z.npy"),
        ("denoise", "m", "bad.npy", "-o", "z.npy"),
        ("detect", "m", "good.npy", "--clean", "bad.npy"),
    ):
        done = run(*command)
        assert done.exit_code == 1
        assert "bad.npy must be finite, got NaN or infinity first in sample number 5000." in (
            done.output
        )
    np.save("wide.npy", np.ones((9000, 5)))
    done = run("encode", "m", "wide.npy", "-o", "z.npy")
    assert "wide.npy must have shape (n_samples, 4) to suit the model, got (9000, 5)" in done.output


@pytest.mark.parametrize(
    ("command", "right"),
    [
        (("train", "x.npy"), "n.safetensors"),
        (("encode", "m", "x.npy"), "z.npy"),
        (("denoise", "m", "x.npy"), "z.npz"),
        (("denoise", "m", "in"), "out"),
        (("detect", "m", "x.npy", "--clean", "x.npy"), "s.csv"),
    ],
)
def test_the_place_for_results_is_looked_at_before_the_work(folder, monkeypatch, command, right):
    config = SAEConfig(24, 2)
    weights.write("m", config, init_params(config))
    np.save("x.npy", np.ones((3, 24)))
    images(folder / "in", ["a.png"])
    before = sorted(folder.rglob("*"))

    def refused(*arguments):
        raise AssertionError("the work had begun")

    with monkeypatch.context() as patch:
        patch.setattr(samples, "read_named", refused)
        patch.setattr(weights, "read", refused)
        for out, status, message in [
            (f"none/{right}", 1, f"none/{right} must lie in a folder that is there, got none"),
            ("r.txt", 2, "out must end in ."),
            (250 * "a" + Path(right).suffix, 1, "must be writable, got: File name too long"),
        ]:
            done = run(*command, "-o", out)
            assert (done.exit_code, done.exception.__class__) == (status, SystemExit), done.output
            assert message in done.output
        assert sorted(folder.rglob("*")) == before
        (folder / right).write_text("kept")
        done = run(*command, "-o", right)
        assert done.exit_code == 2
        assert f"got {right}, which is there; --overwrite replaces a file" in done.output
    assert (folder / right).read_text() == "kept"
    done = run(*command, "-o", right, "--overwrite", *(TINY if command[0] == "train" else ()))
    if right == "out":
        assert "out must be a folder that is not there yet" in done.output
    else:
        assert done.exit_code == 0, done.output
        assert (folder / right).read_bytes() != b"kept"
    (folder / right).unlink()
    (folder / right).mkdir()
    done = run(*command, "-o", right, "--overwrite")
    assert (done.exit_code, "a folder or a device" in done.output) == (1, True), done.output


def test_denoise_a_folder_of_images(folder, x):
    (folder / "in").mkdir()
    for number, row in enumerate(x[:3]):
        pixels = np.rint(255 * row).astype(np.uint8).reshape(28, 28)
        Image.fromarray(pixels).save(folder / "in" / f"{number}.jpg")
    assert run("train", "in", "-o", "m", *SMALL, "--noise", 0.2).exit_code == 0
    assert run("denoise", "m", "in", "-o", "out").output == "out: 3 images\n"
    assert sorted(p.name for p in (folder / "out").iterdir()) == ["0.png", "1.png", "2.png"]
    again = run("denoise", "m", "in", "-o", "out")
    assert again.exit_code == 2
    assert "out must be a free name, got out, which is there" in again.output


def test_the_same_command_goes_on_where_it_was_interrupted(folder, monkeypatch):
    assert run("train", "x.npy", "-o", "whole", *SMALL).exit_code == 0
    end_epoch = "saebook.checkpoint.Checkpoint.end_epoch"
    original = __import__("saebook.checkpoint", fromlist=["x"]).Checkpoint.end_epoch

    def interrupted(self, *arguments):
        original(self, *arguments)
        if self.epochs == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(end_epoch, interrupted)
        assert run("train", "x.npy", "-o", "m", *SMALL).exit_code == 1
    assert not (folder / "m").exists()
    assert (folder / "m.checkpoint").exists()
    assert run("train", "x.npy", "-o", "m", *SMALL).exit_code == 0
    assert (folder / "m").read_bytes() == (folder / "whole").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["encode", "none", "x.npy", "-o", "z"], 2, "'none' does not exist"),
        (["encode", "x.npy", "x.npy", "-o", "z.npy"], 1, "must be a whole safetensors file"),
        (["train", "x.npy"], 2, "Missing option '-o'"),
        (["train", "x.npy", "-o", "m", "--kind", "dense"], 2, "'dense' is not one of"),
        (["train", "x.npy", "-o", "m", "--epochs", "0"], 1, "epochs must be an integer"),
        (["train", "x.npy", "-o", "m", "--k", "999"], 1, "TopK.k must be at most n_latents"),
        (["train", "x.npy", "-o", "m", "--l0", "9"], 1, "--l0 needs a --kind with a price, l1"),
        (["train", "x.npy", "-o", "m", "--device", "gpu9"], 1, "device must be 'auto' or"),
        (["train", "x.npy", "-o", "none/m", *SMALL], 1, "must lie in a folder that is there"),
        (["train", "x.npy", "-o", ""], 1, "must be a file"),
        (["walk"], 2, "No such command 'walk'"),
    ],
)
def test_mistakes_get_one_line_and_a_status(folder, arguments, status, message):
    done = run(*arguments)
    assert done.exit_code == status
    assert message in done.output
    assert "Traceback" not in done.output


def test_help_and_version():
    assert run("--version").output.startswith("saebook, version ")
    for command in ([], ["train"], ["encode"], ["denoise"], ["detect"], ["doctor"]):
        done = run(*command, "--help")
        assert done.exit_code == 0
        assert "Usage:" in done.output


def test_doctor_as_a_process():
    done = subprocess.run(
        [sys.executable, "-m", "saebook", "doctor"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("all well\n")
    assert done.stdout.count("agrees with the NumPy reference") == 2
    assert done.stdout.count("checksum right") == 2


def test_doctor_says_what_is_wrong(monkeypatch):
    from saebook import data, doctor

    monkeypatch.setattr(data, "MNIST_SHA256", "0" * 64)
    monkeypatch.setattr(doctor, "_self_test", lambda name: float("nan"))
    done = run("doctor")
    assert done.exit_code == 1
    assert "MNIST: WRONG: mnist.npz must have the SHA-256" in done.output
    assert done.output.count("WRONG: differs from the NumPy reference") == 2
    assert done.output.endswith("3 thing(s) wrong\n")


def test_dashboard_of_a_model_and_its_samples(folder):
    assert run("train", "x.npy", "-o", "m.safetensors", *SMALL).exit_code == 0
    done = run("dashboard", "m.safetensors", "x.npy", "-o", "look", "--title", "Clothes")
    assert done.output == f"{Path('look', 'index.html')}: 32 latents, 300 samples\n"
    assert "<h1>Clothes</h1>" in Path("look/index.html").read_text("utf8")
    assert '"tile":null' in Path("look/data/index.js").read_text()
    np.save("images.npy", np.load("x.npy").reshape(-1, 28, 28))
    assert run("dashboard", "m.safetensors", "images.npy", "-o", "look").exit_code == 0
    assert '"tile":[28,28]' in Path("look/data/index.js").read_text()
    Path("look/notes.txt").touch()
    refused = run("dashboard", "m.safetensors", "x.npy", "-o", "look")
    assert refused.exit_code == 1
    assert "folder must be new" in refused.output
    assert refused.output.count("\n") == 1
