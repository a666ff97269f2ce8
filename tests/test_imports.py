"""What an import costs, and what happens where a framework is missing."""

import subprocess
import sys

import pytest

FRAMEWORKS = {"pytorch": ("torch", "torch"), "tensorflow": ("tensorflow", "tensorflow")}

# Stands in for an environment in which some packages are not installed.
HIDE = """
import importlib.machinery, sys
class Without(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, *rest):
        return None if name.partition(".")[0] in {hidden!r} else super().find_spec(name, *rest)
sys.meta_path[sys.meta_path.index(importlib.machinery.PathFinder)] = Without
"""


def run(code, hidden=()):
    code = HIDE.format(hidden=list(hidden)) + code
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_importing_the_package_loads_no_framework_and_no_plotting():
    result = run(
        "import saebook, saebook.reference, saebook.metrics\n"
        "heavy = {'torch', 'tensorflow', 'keras', 'matplotlib', 'IPython'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert result.stdout.strip() == "[]", result.stderr


def test_public_names_exist():
    result = run("import saebook\nfor name in saebook.__all__: getattr(saebook, name)")
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_missing_framework_is_named_with_the_extra_to_install(name):
    module, extra = FRAMEWORKS[name]
    result = run(f"import saebook.{name}", hidden=[module])
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: saebook." + name)
    assert last.endswith(f"pip install {extra}.")


WORK = """
import numpy as np, saebook
from saebook.{name} import SparseAutoencoder, encode, fit, reconstruct
x = np.random.default_rng(0).random((50, 6))
model = SparseAutoencoder(saebook.SAEConfig(6, 3, sparsity=saebook.KL()), device="cpu")
history = fit(model, x, saebook.TrainConfig(epochs=2), x_val=x)
assert encode(model, x).shape == (50, 3) and reconstruct(model, x).shape == x.shape
assert len(history["val_fvu"]) == 2
import saebook.plots, saebook.parity
print("works")
"""


@pytest.mark.parametrize(("name", "missing"), [("pytorch", "tensorflow"), ("tensorflow", "torch")])
def test_one_framework_is_enough_for_everything_of_that_framework(name, missing):
    hidden = [missing, *(["keras"] if missing == "tensorflow" else [])]
    result = run(WORK.format(name=name), hidden)
    assert result.stdout.strip() == "works", result.stderr


def test_keras_on_another_backend_is_refused_with_the_way_out():
    result = run("import os; os.environ['KERAS_BACKEND'] = 'torch'\nimport saebook.tensorflow")
    assert "ImportError: saebook.tensorflow needs Keras to run on TensorFlow" in result.stderr
    assert "KERAS_BACKEND=tensorflow" in result.stderr


def test_a_broken_installation_is_not_called_a_missing_one():
    """A package that PyTorch itself misses must be named, not PyTorch."""
    code = """
class Broken:
    def find_spec(self, name, path=None, target=None):
        if name == 'torch':
            raise ModuleNotFoundError('No module named needed_by_torch', name='needed_by_torch')
sys.meta_path.insert(0, Broken())
import saebook.pytorch
"""
    assert "No module named needed_by_torch" in run(code).stderr.strip().splitlines()[-1]
