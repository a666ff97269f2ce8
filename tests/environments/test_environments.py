"""Notebooks, top to bottom, in a copy of Colab and in a copy of Binder.

Installing the copies and running all notebooks takes an hour, so `make environments` asks for it:
SAEBOOK_ENVIRONMENTS names the notebooks ("training"), or is "all".

Binder's copy has what environment.yml lists, in the same versions as there: what computes is
installed by pip with constraints.txt. (The newest JupyterLab and IPython kernel come from conda
there and from pip here.) It has 2 GB of memory: a memory cgroup kills a kernel that asks for more,
and where none can be made (that needs root on Linux) RLIMIT_DATA refuses it to each process. What
each notebook used at most is printed, and kept in the file that SAEBOOK_MEASURED names: for
`make environments` the one that the page "How this copy was built" reads.

Colab's copy has the frameworks but not the package, which its notebooks' first cell installs, from
this working tree. It shows that this cell works and that nothing else is missing, but **not with
Colab's versions**: those are Google's, they change from week to week, and no notebook can pin them
without tearing down what is already loaded. Here they are those of constraints.txt.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from datetime import datetime, timezone
from pathlib import Path

import nbformat
import psutil
import pytest
import yaml
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

import saebook

ROOT = Path(__file__).resolve().parents[2]
CAP = 2 * 2**30  # what mybinder.org gives a session
ALLOWED = 1.6e9  # leaves the rest to JupyterLab itself
WANTED = os.environ.get("SAEBOOK_ENVIRONMENTS", "").split()
MEASURED = Path(os.environ.get("SAEBOOK_MEASURED", ROOT / "_build" / "environments.json"))
ALL = sorted((ROOT / "notebooks").glob("*.ipynb"))
NOTEBOOKS = [path for path in ALL if {"all", path.stem} & {*WANTED}]

pytestmark = pytest.mark.skipif(
    not WANTED, reason="takes long: `make environments`, or SAEBOOK_ENVIRONMENTS=training"
)


def pip(python, *arguments, cwd=ROOT):
    subprocess.run([python, "-m", "pip", "--quiet", *arguments], check=True, cwd=cwd)


def make_environment(folder, repository):
    """A virtual environment made from the repository's environment.yml, as conda would."""
    packages = yaml.safe_load((repository / "environment.yml").read_text("utf8"))["dependencies"]
    by_pip = next(package["pip"] for package in packages if isinstance(package, dict))
    by_conda = [name for name in packages if isinstance(name, str)]
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    pip(
        python,
        "install",
        *(name for name in by_conda if name.split("=")[0] not in ("python", "pip")),
    )
    # As conda does, in a file beside environment.yml. This machine's pip knows where packages are.
    listed = repository / "condaenv.requirements.txt"
    listed.write_text("\n".join(line for line in by_pip if "index-url" not in line), "utf8")
    pip(python, "install", "--upgrade", "-r", listed.name, cwd=repository)
    listed.unlink()
    # There PyTorch and torchvision are both of the index for processors; see the script.
    (site,) = (folder / "lib").glob("python*/site-packages")
    shutil.copy(repository / "scripts" / "torchvision_operators.py", site)
    (site / "torchvision_operators.pth").write_text("import torchvision_operators\n")
    return python


@pytest.fixture(scope="module")
def folder():
    """Not pytest's own temporary folder, of which it keeps the last three: these are 3 GB each."""
    with tempfile.TemporaryDirectory(prefix="saebook-environments-") as name:
        yield Path(name)


@pytest.fixture(scope="module")
def repository(folder):
    """The working tree, copied into a repository with the tag that the first cell names."""
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
            shutil.copy(ROOT / name, copy / name)
    for command in (
        ["init", "--quiet"],
        ["add", "--all"],
        ["commit", "--quiet", "--message=The working tree"],
        ["tag", f"v{saebook.__version__}"],
    ):
        subprocess.run([*git, *command], cwd=copy, check=True)
    return copy


@pytest.fixture(scope="module")
def binder(folder, repository):
    return make_environment(folder / "binder", repository)


@pytest.fixture(scope="module")
def colab_machine(folder, repository):
    """Frameworks and the usual packages; `google.colab` is loaded, as there."""
    python = make_environment(folder / "colab", repository)
    pip(python, "uninstall", "--yes", "saebook")
    (site,) = (folder / "colab" / "lib").glob("python*/site-packages")
    (site / "colab.pth").write_text(
        "import sys, types; sys.modules['google.colab'] = types.ModuleType('google.colab')\n"
    )
    return python


@pytest.fixture
def colab(colab_machine, folder):
    """Every notebook finds the package missing, not only the first."""
    missing = subprocess.run(
        [colab_machine, "-c", "import saebook"], cwd=folder, capture_output=True
    )
    assert b"No module named 'saebook'" in missing.stderr
    yield colab_machine
    pip(colab_machine, "uninstall", "--yes", "saebook")


def memory_group():
    """A new control group that holds its processes to CAP bytes; None where none can be made.

    It lies inside this process's own, so that what holds for that still holds. (In version 2 of
    cgroups a group with processes has no inner groups, unless it is the outermost.)
    """
    own = dict(
        line.split(":", 2)[1:] for line in Path("/proc/self/cgroup").read_text().splitlines()
    )
    for root, name, limit in (
        ("/sys/fs/cgroup/memory", own.get("memory"), "memory.limit_in_bytes"),
        ("/sys/fs/cgroup", own.get(""), "memory.max"),
    ):
        if name is None:
            continue
        group = Path(root + name) / f"saebook-{os.getpid()}"
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
def limit():
    """Shell commands after which a process and its children have no more than CAP bytes."""
    if sys.platform != "linux":
        pytest.skip("a limit on memory that holds needs Linux")
    group = memory_group()
    if group is None:
        yield f"ulimit -d {CAP // 1024}"
        return
    yield f"echo $$ > {group}/cgroup.procs"
    while (group / "cgroup.procs").read_text():  # a kernel is gone a moment after it was told to go
        time.sleep(0.1)
    group.rmdir()


def of_all_processes(manager, finished):
    """The most that a kernel and the processes it started held together; sampled, in bytes.

    Libraries that they share are counted once.
    """
    peak = 0
    while not finished.wait(0.5):
        total = 0
        try:
            kernel = psutil.Process(manager.provisioner.pid)
            if started := kernel.children(recursive=True):
                total = sum(process.memory_full_info().pss for process in (kernel, *started))
        except (AttributeError, psutil.Error):  # not there yet, or no longer
            continue
        peak = max(peak, total)
    return peak


def run(path, command, tmp_path, env=None, limit="true", cwd=None):
    """Run a notebook with a Python; return the most memory it had at a time, in bytes.

    The kernel's own peak is exact; what it and its child processes have together is sampled.
    """
    kernel = tmp_path / "kernels" / "copy"
    kernel.mkdir(parents=True)
    start = f'{limit} && exec {command} -m ipykernel_launcher -f "$0"'
    spec = {"argv": ["sh", "-c", start, "{connection_file}"], "display_name": "", "env": env or {}}
    (kernel / "kernel.json").write_text(json.dumps(spec))
    kernels = KernelSpecManager(kernel_dirs=[str(kernel.parent)], ensure_native_kernel=False)
    manager = AsyncKernelManager(kernel_name="copy", kernel_spec_manager=kernels)
    notebook = nbformat.read(path, as_version=4)
    own_peak = "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    notebook.cells.append(nbformat.v4.new_code_cell(own_peak))
    if cwd is None:
        cwd = tmp_path / "elsewhere"
        cwd.mkdir()
    client = NotebookClient(
        notebook, km=manager, timeout=3600, resources={"metadata": {"path": str(cwd)}}
    )
    finished, peaks = threading.Event(), []
    watcher = threading.Thread(target=lambda: peaks.append(of_all_processes(manager, finished)))
    watcher.start()
    try:
        client.execute(cleanup_kc=True)  # ends the kernel, although it is not the client's own
    finally:
        finished.set()
        watcher.join()
    return max(1024 * int(notebook.cells[-1].outputs[0].text), *peaks)


def keep(name, peak):
    """Put a notebook's figures into the file of all; not its time, which is the machine's."""
    measured = json.loads(MEASURED.read_text("utf8")) if MEASURED.exists() else {}
    pins = dict(re.findall(r"^([\w-]+)==(\S+)", (ROOT / "constraints.txt").read_text("utf8"), re.M))
    measured[name] = {
        "peak_bytes": peak,
        "versions": f"PyTorch {pins['torch']}, TensorFlow {pins['tensorflow']}",
        "date": datetime.now(timezone.utc).date().isoformat(),
    }
    there = {path.stem for path in ALL}
    measured = {name: figures for name, figures in sorted(measured.items()) if name in there}
    MEASURED.parent.mkdir(exist_ok=True)
    partial = MEASURED.with_suffix(".partial")
    partial.write_text(json.dumps(measured, indent=1) + "\n", "utf8")
    os.replace(partial, MEASURED)


@pytest.fixture
def report(capsys):
    def report(text):
        with capsys.disabled():
            print("\n" + text, flush=True)

    return report


def test_the_names_are_those_of_notebooks():
    assert {*WANTED} <= {"all", *(path.stem for path in ALL)}


def test_the_memory_limit_is_real(binder, limit, tmp_path):
    """A kernel that asks for more than Binder gives dies, or is refused it."""
    path = tmp_path / "greedy.ipynb"
    greedy = nbformat.v4.new_code_cell(f"import numpy; numpy.ones({CAP} // 8 + 1)")
    nbformat.write(nbformat.v4.new_notebook(cells=[greedy]), path)
    with pytest.raises((DeadKernelError, CellExecutionError), match=r"died|Unable to allocate"):
        run(path, binder, tmp_path, limit=limit)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_binder_runs_it_in_its_memory(path, binder, repository, limit, tmp_path, report):
    begun = time.monotonic()
    start_file = repository / "start"  # through which Binder starts everything, if there is one
    command = f"{start_file if start_file.exists() else ''} {binder}"
    peak = run(path, command, tmp_path, limit=limit, cwd=repository / "notebooks")
    seconds = time.monotonic() - begun
    report(f"Binder, {path.stem}: peak {peak / 1e9:.2f} GB, {seconds:.0f} s, held by `{limit}`")
    keep(path.stem, peak)
    assert peak < ALLOWED


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_colab_installs_the_package_and_runs_it(path, colab, repository, tmp_path, report):
    # git itself fetches from here what it is asked to fetch from there.
    config = yaml.safe_load((ROOT / "_config.yml").read_text("utf8"))["repository"]
    env = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{repository.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": config["url"],
    }
    begun = time.monotonic()
    peak = run(path, colab, tmp_path, env)
    report(f"Colab, {path.stem}: peak {peak / 1e9:.2f} GB, {time.monotonic() - begun:.0f} s")
