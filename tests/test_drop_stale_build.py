"""A page may never show the output of a package that is no longer there."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "drop_stale_build.py"


@pytest.fixture
def drop_stale_build():
    spec = importlib.util.spec_from_file_location("drop_stale_build", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.drop_stale_build


@pytest.fixture
def root(tmp_path):
    """A repository with a built book, fingerprinted."""
    (tmp_path / "saebook" / "pytorch").mkdir(parents=True)
    (tmp_path / "saebook" / "pytorch" / "model.py").write_text("a = 1\n")
    for name in ("pyproject.toml", "requirements.txt", "constraints.txt"):
        (tmp_path / name).write_text(name)
    return tmp_path


def test_an_unchanged_package_keeps_its_build(root, drop_stale_build):
    assert drop_stale_build(root)
    (root / "_build" / "page").touch()
    assert not drop_stale_build(root)
    assert (root / "_build" / "page").exists()


@pytest.mark.parametrize("change", ["edit", "add", "remove", "rename", "pin"])
def test_a_changed_package_drops_the_build(root, drop_stale_build, change):
    drop_stale_build(root)
    (root / "_build" / "page").touch()
    model = root / "saebook" / "pytorch" / "model.py"
    if change == "edit":
        model.write_text("a = 2\n")
    elif change == "add":
        (root / "saebook" / "new.py").touch()
    elif change == "remove":
        model.unlink()
    elif change == "rename":
        model.rename(model.with_name("other.py"))
    else:
        (root / "constraints.txt").write_text("numpy==2.0.0")
    assert drop_stale_build(root)
    assert not (root / "_build" / "page").exists()


def test_a_build_without_a_fingerprint_is_not_trusted(root, drop_stale_build):
    (root / "_build").mkdir()
    (root / "_build" / "page").touch()
    assert drop_stale_build(root)
    assert not (root / "_build" / "page").exists()


def test_compiled_files_do_not_count(root, drop_stale_build):
    drop_stale_build(root)
    (root / "saebook" / "__pycache__").mkdir()
    (root / "saebook" / "__pycache__" / "model.cpython-311.pyc").touch()
    assert not drop_stale_build(root)
