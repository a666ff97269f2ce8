"""Notebooks, top to bottom, in a copy of Colab and in a copy of Binder.

Installing the copies and running all notebooks takes long, so `make environments` asks for it:
SAEBOOK_ENVIRONMENTS names the notebooks ("training"), or is "all". Colab's copy has the frameworks
but not the package, and its notebooks' first cell installs that from this working tree. Binder's
has what environment.yml lists, installed by pip, with 2 GB of memory for a notebook's kernel: a
memory cgroup kills a kernel that asks for more. What each kernel used at most is printed, and kept
in notebooks/measured.json, which book/execution.md shows.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

import nbformat
import pytest
import yaml
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError

ROOT = Path(__file__).resolve().parents[2]
GIB = 2**30
CAP = 2 * GIB  # what mybinder.org gives a session
ALLOWED = 1.6 * GIB  # leaves the rest to JupyterLab itself
WANTED = os.environ.get("SAEBOOK_ENVIRONMENTS", "").split()
MEASURED = ROOT / "notebooks" / "measured.json"
NOTEBOOKS = [p for p in sorted((ROOT / "notebooks").glob("*.ipynb")) if {"all", p.stem} & {*WANTED}]

pytestmark = pytest.mark.skipif(
    not NOTEBOOKS, reason="takes long: `make environments`, or SAEBOOK_ENVIRONMENTS=training"
)

# What conda-forge calls differently from pip.
PIP_NAMES = {
    "matplotlib-base": "matplotlib",
    "pytorch-cpu": "torch",
    "tensorflow-cpu": "tensorflow-cpu"
    if sys.platform == "linux" and os.uname().machine == "x86_64"
    else "tensorflow",
}


def binder_requirements():
    """What environment.yml asks of conda, in pip's words; conda's part first, then pip's."""
    packages = yaml.safe_load((ROOT / "environment.yml").read_text("utf8"))["dependencies"]
    by_pip = next(package["pip"] for package in packages if isinstance(package, dict))
    by_conda = []
    for package in packages:
        if isinstance(package, str):
            name, version = re.fullmatch(r"([\w-]+)(.*)", package).groups()
            if name not in ("python", "pip"):
                by_conda.append(PIP_NAMES.get(name, name) + version)
    return by_conda, [re.sub(r"^-e \.$", f"--editable={ROOT}", package) for package in by_pip]


def make_environment(folder, *installations):
    """A virtual environment with what pip is asked for, in the versions of constraints.txt."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet"]
    for arguments in installations:
        subprocess.run([*pip, "-c", ROOT / "constraints.txt", *arguments], check=True)
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def folder():
    """Not pytest's own temporary folder, of which it keeps the last three: these are 3 GB each."""
    with tempfile.TemporaryDirectory(prefix="saebook-environments-") as name:
        yield Path(name)


@pytest.fixture(scope="module")
def binder(folder):
    return make_environment(folder / "binder", *binder_requirements())


@pytest.fixture(scope="module")
def colab(folder):
    """Frameworks and the usual packages, but no saebook; `google.colab` is loaded, as there."""
    by_conda, _ = binder_requirements()
    python = make_environment(folder / "colab", by_conda)
    (site,) = (folder / "colab" / "lib").glob("python*/site-packages")
    (site / "colab.pth").write_text(
        "import sys, types; sys.modules['google.colab'] = types.ModuleType('google.colab')\n"
    )
    missing = subprocess.run([python, "-c", "import saebook"], cwd=folder, capture_output=True)
    assert b"No module named 'saebook'" in missing.stderr
    return python


@pytest.fixture(scope="module")
def repository(folder):
    """The working tree as a repository with the one branch that the first cell names."""
    copy = folder / "repository"
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost"]
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, files.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, copy / name)
    config = yaml.safe_load((ROOT / "_config.yml").read_text("utf8"))["repository"]
    for command in (
        ["init", "--quiet", f"--initial-branch={config['branch']}"],
        ["add", "--all"],
        ["commit", "--quiet", "--message=The working tree"],
    ):
        subprocess.run([*git, *command], cwd=copy, check=True)
    # git itself fetches from here what it is asked to fetch from there.
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{copy.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": config["url"],
    }


def new_group():
    """A control group that holds its processes to CAP bytes; None where that is not allowed."""
    for parent, limit in (
        (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
        (Path("/sys/fs/cgroup"), "memory.max"),
    ):
        group = parent / f"saebook-{os.getpid()}"
        try:
            group.mkdir()
            (group / limit).write_text(str(CAP))
        except OSError:
            if group.exists():
                group.rmdir()
        else:
            return group
    return None


@pytest.fixture
def memory_group():
    group = new_group()
    if group is None:
        pytest.skip("no memory cgroup can be made here: that needs root and the controller")
    yield group
    while (group / "cgroup.procs").read_text():  # a kernel is gone a moment after it was told to go
        time.sleep(0.1)
    group.rmdir()


def run(path, python, folder, env, group=None):
    """Run a notebook in an empty folder; return the peak resident memory of its kernel in bytes."""
    kernel = folder / "kernels" / "copy"
    kernel.mkdir(parents=True)
    join = f"echo $$ > {group}/cgroup.procs; " if group else ""
    start = f'{join}exec "{python}" -m ipykernel_launcher -f "$0"'
    spec = {"argv": ["sh", "-c", start, "{connection_file}"], "display_name": "", "env": env}
    (kernel / "kernel.json").write_text(json.dumps(spec))
    kernels = KernelSpecManager(kernel_dirs=[str(kernel.parent)], ensure_native_kernel=False)
    notebook = nbformat.read(path, as_version=4)
    peak = "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    notebook.cells.append(nbformat.v4.new_code_cell(peak))
    (folder / "work").mkdir()
    NotebookClient(
        notebook,
        km=AsyncKernelManager(kernel_name="copy", kernel_spec_manager=kernels),
        timeout=3600,
        resources={"metadata": {"path": str(folder / "work")}},
    ).execute()
    return 1024 * int(notebook.cells[-1].outputs[0].text)


def keep(name, peak, seconds):
    """Put a notebook's figures into the file that the book shows."""
    measured = json.loads(MEASURED.read_text("utf8")) if MEASURED.exists() else {}
    pins = dict(re.findall(r"^([\w-]+)==(\S+)", (ROOT / "constraints.txt").read_text("utf8"), re.M))
    measured[name] = {
        "peak_bytes": peak,
        "seconds": seconds,
        "versions": f"PyTorch {pins['torch']}, TensorFlow {pins['tensorflow']}",
        "date": f"{datetime.now(timezone.utc):%d %B %Y}",
    }
    MEASURED.write_text(json.dumps(dict(sorted(measured.items())), indent=1) + "\n", "utf8")


@pytest.fixture
def report(capsys):
    def report(text):
        with capsys.disabled():
            print("\n" + text, flush=True)

    return report


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_binder_runs_it_in_its_memory(path, binder, memory_group, tmp_path, report):
    start = time.monotonic()
    peak = run(path, binder, tmp_path, {}, memory_group)
    seconds = round(time.monotonic() - start)
    report(f"Binder, {path.stem}: peak {peak / 1e9:.2f} GB, {seconds} s")
    keep(path.stem, peak, seconds)
    assert peak < ALLOWED


def test_the_memory_limit_is_real(binder, memory_group, tmp_path):
    """A kernel that asks for more than Binder gives dies."""
    path = tmp_path / "greedy.ipynb"
    greedy = nbformat.v4.new_code_cell(f"import numpy; numpy.ones({CAP} // 8 + 1)")
    nbformat.write(nbformat.v4.new_notebook(cells=[greedy]), path)
    with pytest.raises(DeadKernelError):
        run(path, binder, tmp_path, {}, memory_group)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_colab_installs_the_package_and_runs_it(path, colab, repository, tmp_path, report):
    start = time.monotonic()
    peak = run(path, colab, tmp_path, repository)
    report(f"Colab, {path.stem}: peak {peak / 1e9:.2f} GB, {time.monotonic() - start:.0f} s")
