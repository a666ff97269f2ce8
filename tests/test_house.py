"""The house itself: who imports whom, what is there at once, and what the version before left."""

import ast
import subprocess
import sys
import warnings
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import saebook
from saebook import KL, AuxK, BatchTopK, SAEConfig, TrainConfig, _renamed, kinds, parity, weights
from tests.conftest import FRAMEWORKS

PACKAGE = Path(saebook.__file__).parent
OLD = Path(__file__).parent / "written_by_0_3_0"
CONFIGS = {
    "kl": SAEConfig(12, 8, sparsity=KL(0.1, 0.5)),
    "batchtopk": SAEConfig(
        12, 8, "relu", "linear",
        sparsity=BatchTopK(2, AuxK(k=2, dead_after=100)), pre_bias=True, groups=(2, 6),
    ),
}  # fmt: skip


def imports(path):
    """The modules of the package that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return {name for name in found if name and name.startswith("saebook")}


def everything_behind(module):
    """A module of the package and all that it imports, directly or not."""
    seen, todo = set(), [module]
    while todo:
        name = todo.pop()
        path = PACKAGE.parent / name.replace(".", "/")
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if name not in seen and path.exists() and name != "saebook":
            seen.add(name)
            todo += imports(path)
    return seen


@pytest.mark.parametrize("module", ["training", "sweep", "pytorch.engine", "tensorflow.engine"])
def test_training_does_not_import_the_specification(module):
    behind = everything_behind(f"saebook.{module}")
    assert "saebook.batches" in behind  # or the search finds nothing at all
    assert not [name for name in behind if name.startswith("saebook.reference")]


def test_neither_framework_imports_the_other():
    for name, other in zip(FRAMEWORKS, reversed(FRAMEWORKS), strict=True):
        for path in (PACKAGE / name).glob("*.py"):
            assert f"saebook.{other}" not in imports(path), path


def test_every_file_is_read_in_one_sitting():
    for path in PACKAGE.rglob("*.py"):
        lines = len(path.read_text("utf8").splitlines())
        if path.name == "kinds.py" and path.parent == PACKAGE:
            continue  # the table of kinds, which grows by the description of each
        assert lines <= 300, f"{path.relative_to(PACKAGE)} has {lines} lines"


def test_functions_and_classes_have_names_that_one_can_search():
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                assert node.name != "_", f"{path.relative_to(PACKAGE)}:{node.lineno}"


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_every_kind_has_a_class_of_its_name_on_every_floor(name):
    floors = import_module(f"saebook.{name}").SparseAutoencoder.kinds, saebook.reference.model.KINDS
    for table in floors:
        assert set(table) == {type(None), *kinds.KINDS}
        for kind, formulas in table.items():
            assert kind is type(None) or formulas.__name__ == kind.__name__


def test_modules_are_there_after_import_saebook_and_load_when_used():
    code = (
        "import saebook, sys; assert 'saebook.interop' not in sys.modules; "
        "saebook.interop.to_saelens; saebook.metrics.fvu; saebook.kinds.KL; "
        "assert {'metrics', 'pytorch', 'KL'} <= set(dir(saebook)); print('torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "False", result.stderr
    with pytest.raises(AttributeError, match="'saebook' has no attribute 'metric'"):
        _ = saebook.metric


# The version before


def old_names():
    for module, names in _renamed.NAMES.items():
        yield from ((module, name) for name in names)


@pytest.mark.parametrize(("module", "name"), [*old_names()])
def test_a_name_that_has_moved_works_with_a_warning(module, name):
    place = _renamed.NAMES[module][name]
    with pytest.warns(FutureWarning, match=rf"{module}\.{name} is now {place}\.{name}"):
        found = getattr(import_module(module), name)
    assert found is getattr(import_module(place), name)
    with pytest.raises(AttributeError, match="no attribute 'never'"):
        _ = import_module(module).never


MODULES = {
    "saebook.modern": ("check_threshold", "THRESHOLD_RATE"),
    "saebook.pytorch.losses": ("loss_terms", "gradients"),
    "saebook.pytorch.sparse": ("largest", "SparseCode"),
    "saebook.pytorch.training": ("fit", "evaluate", "encode", "reconstruct"),
    "saebook.tensorflow.losses": ("loss_terms", "gradients"),
    "saebook.tensorflow.modern": ("BatchTopK", "JumpReLU"),
    "saebook.tensorflow.sparse": ("largest", "SparseCode"),
    "saebook.tensorflow.training": ("fit", "evaluate", "encode", "reconstruct"),
}


@pytest.mark.parametrize("module", MODULES)
def test_a_module_that_is_gone_is_imported_with_a_warning(module):
    sys.modules.pop(module, None)
    with pytest.warns(FutureWarning, match=f"{module} is now saebook"):
        found = import_module(module)
    for name in MODULES[module]:
        assert getattr(found, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'never'"):
        _ = found.never


@pytest.mark.parametrize("name", CONFIGS)
def test_files_of_0_3_0_are_read(framework, name):
    config, params = weights.read(OLD / f"{name}.safetensors")
    assert config == CONFIGS[name]
    model = weights.load(
        OLD / f"{name}.safetensors", framework.__name__.removeprefix("saebook."), device="cpu"
    )
    for key, value in params.items():
        np.testing.assert_array_equal(model.to_numpy()[key], value)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_training_begun_by_0_3_0_goes_on_to_its_weights(framework, name, tmp_path):
    path = tmp_path / "run.safetensors"
    path.write_bytes((OLD / f"{name}-checkpoint.safetensors").read_bytes())
    x = parity.samples().astype(np.float32)
    model = framework.SparseAutoencoder(CONFIGS[name], seed=3, device="cpu")
    training = TrainConfig(epochs=6, batch_size=32, learning_rate=1e-2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = framework.fit(model, x, training, x_val=x[:30], checkpoint=path)
    assert len(history["val_fvu"]) == 6
    with np.load(OLD / f"{name}-after-6.npz") as expected:
        for key, value in expected.items():
            if key != "threshold":  # a running mean that forgot its first value more slowly then
                assert parity.relative_difference(model.to_numpy()[key], value) < 1e-5, key
