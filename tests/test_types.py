"""The package's types hold, and reach those who use it."""

import importlib.util
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("mypy") is None, reason="mypy is not installed"
)

# What is right and, after it, what is not, each with the words of mypy's complaint.
USER = """
import numpy as np
from saebook import KL, SAEConfig, TrainConfig, metrics, mnist, reference
from saebook.start import init_params
from saebook.corruption import GaussianNoise

x = mnist().x_train.astype(float)
config = SAEConfig(784, 3, sparsity=KL(rho=0.1))
params = init_params(config)
params = reference.fit(config, params, x, TrainConfig(epochs=3), GaussianNoise())
z = reference.encode(config, params, x)
total: float = metrics.l0(z) + reference.loss_terms(config, params, x)["loss"]
"""
MISTAKES = {
    'TrainConfig(epochs="3")': '"epochs" to "TrainConfig" has incompatible type "str"',
    'SAEConfig("784", 3)': '"SAEConfig" has incompatible type "str"; expected "int"',
    "SAEConfig(784, 3, sparsity=0.1)": '"sparsity" to "SAEConfig" has incompatible type "float"',
    "reference.encode(params, config, x)": '"encode" has incompatible type "dict[str, ',
    "metrics.fvu(x, x).mean()": '"float" has no attribute "mean"',
}


def mypy(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "mypy", *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_types_of_the_package_hold():
    result = mypy()
    assert result.returncode == 0, result.stdout + result.stderr


def test_types_reach_users(tmp_path):
    assert (files("saebook") / "py.typed").is_file()  # without it mypy ignores an installed package
    right, wrong = tmp_path / "right.py", tmp_path / "wrong.py"
    right.write_text(USER)
    wrong.write_text(USER + "\n".join(MISTAKES))
    result = mypy(str(right))
    assert result.returncode == 0, result.stdout + result.stderr
    result = mypy(str(wrong))
    errors = [line for line in result.stdout.splitlines() if ": error: " in line]
    first = USER.count("\n") + 1
    for number, (mistake, complaint) in enumerate(MISTAKES.items(), start=first):
        found = [line for line in errors if f"wrong.py:{number}: " in line]
        assert any(complaint in line for line in found), (mistake, result.stdout)
