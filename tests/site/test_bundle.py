"""The bundle for readers without a network, tried in a place that has none.

The training notebook is run up to its first call of `fit`; with SAEBOOK_ENVIRONMENTS set, which
`make environments` does, it is run to its end.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import nbformat
import pytest

import saebook

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from make_bundle import build_wheel, make_bundle  # noqa: E402

ISOLATED = ["unshare", "--map-root-user", "--net"]


@pytest.fixture(scope="module")
def bundle(site, tmp_path_factory):
    """The unpacked bundle."""
    folder = tmp_path_factory.mktemp("bundle")
    with ZipFile(make_bundle(folder)) as file:
        file.extractall(folder)
    (unpacked,) = (path for path in folder.iterdir() if path.is_dir())
    return unpacked


def test_the_wheel_is_built_without_a_network(tmp_path, monkeypatch):
    # No index at all, and none of the places that this machine's pip is told to look in.
    for name, value in (
        ("PIP_NO_INDEX", "1"),
        ("PIP_FIND_LINKS", ""),
        ("PIP_CONFIG_FILE", os.devnull),
    ):
        monkeypatch.setenv(name, value)
    assert build_wheel(tmp_path).name.startswith(f"saebook-{saebook.__version__}-")


def test_the_bundle_has_all_its_parts(bundle):
    assert {path.name for path in (bundle / "notebooks").iterdir()} == {
        path.name for path in (ROOT / "notebooks").glob("*.ipynb")
    }
    (wheel,) = bundle.glob("*.whl")
    assert {"saebook/datasets/mnist.npz", "saebook/__init__.py"} <= {*ZipFile(wheel).namelist()}
    licences = {path.name for path in (bundle / "licences").rglob("*") if path.is_file()}
    assert {"code-BSD-3-Clause.txt", "text-and-figures-CC-BY-4.0.txt", "data.md"} <= licences
    assert any("mathjax" in name for name in licences)
    listed = [line[66:] for line in (bundle / "SHA256SUMS").read_text("utf8").splitlines()]
    there = [p.relative_to(bundle).as_posix() for p in bundle.rglob("*") if p.is_file()]
    assert sorted([*listed, "SHA256SUMS"]) == sorted(there)
    assert wheel.name in (bundle / "START-HERE.html").read_text("utf8")


@pytest.mark.browser
def test_the_bundle_is_read_and_run_without_a_network(bundle, chromium):
    if not shutil.which("unshare") or subprocess.run([*ISOLATED, "true"]).returncode:
        pytest.skip("a network namespace cannot be made here")
    cells = nbformat.read(bundle / "notebooks" / "training.ipynb", as_version=4).cells
    if os.environ.get("SAEBOOK_ENVIRONMENTS"):
        n_cells = len(cells)
    else:
        n_cells = 1 + next(i for i, cell in enumerate(cells) if "= fit(" in cell.source)
    reader = Path(__file__).with_name("offline_reader.py")
    command = [*ISOLATED, sys.executable, reader, bundle, chromium, str(n_cells)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "read and run without a network" in done.stdout
