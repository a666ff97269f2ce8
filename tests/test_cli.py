"""The command line, as a person who writes no Python meets it."""

import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from saebook import fashion_mnist, weights
from saebook.__main__ import main


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
    assert "a folder that is not there yet" in again.output


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
        (["encode", "x.npy", "x.npy", "-o", "z"], 1, "must be a whole safetensors file"),
        (["train", "x.npy"], 2, "Missing option '-o'"),
        (["train", "x.npy", "-o", "m", "--kind", "l2"], 2, "'l2' is not one of"),
        (["train", "x.npy", "-o", "m", "--epochs", "0"], 1, "epochs must be an integer"),
        (["train", "x.npy", "-o", "m", "--k", "999"], 1, "TopK.k must be at most n_latents"),
        (["train", "x.npy", "-o", "m", "--device", "gpu9"], 1, "device must be 'auto' or"),
        (["train", "x.npy", "-o", "none/m", *SMALL], 1, "could not be written"),
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
