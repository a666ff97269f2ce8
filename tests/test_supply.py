"""What comes from elsewhere is named exactly: actions of the workflows, packages on Binder."""

import re
from importlib.metadata import distributions
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
# A tag can be moved to other code, a commit cannot; the comment says which version it is.
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")


def uses(text):
    """What stands behind each `uses:`, with its comment."""
    return re.findall(r"^[\s-]*uses:\s*(.+?)\s*$", text, re.MULTILINE)


def test_there_are_workflows():
    assert WORKFLOWS


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_by_commit_with_its_version_beside_it(path):
    text = path.read_text("utf8")
    jobs = yaml.safe_load(text)["jobs"].values()
    steps = [step["uses"] for job in jobs for step in job["steps"] if "uses" in step]
    assert [used.split()[0] for used in uses(text)] == steps  # the search overlooks none
    assert [used for used in uses(text) if not PINNED.fullmatch(used)] == []


def test_an_action_has_the_same_commit_everywhere():
    commits = {}
    for path in WORKFLOWS:
        for used in uses(path.read_text("utf8")):
            commits.setdefault(used.split("@")[0], set()).add(used)
    assert {name: found for name, found in commits.items() if len(found) > 1} == {}


@pytest.mark.parametrize(
    "used",
    [
        "actions/checkout@v6",
        "actions/checkout@main # v6.0.2",
        "actions/checkout@de0fac2e4500dabe0009e67214ff5f5447ce83dd",
        "actions/checkout@de0fac2 # v6.0.2",
    ],
)
def test_what_is_not_pinned_is_found(used):
    assert uses(f"      - uses: {used}\n") == [used]
    assert not PINNED.fullmatch(used)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_that_installs_takes_pytorch_without_cuda(path):
    workflow = yaml.safe_load(path.read_text("utf8"))
    runs = [
        step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step
    ]
    if any("make" in run or ".ci/run" in run for run in runs):
        assert workflow["env"]["PIP_EXTRA_INDEX_URL"].endswith("/whl/cpu")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_what_is_cached_is_where_pip_keeps_its_downloads(path):
    workflow = yaml.safe_load(path.read_text("utf8"))
    for job in workflow["jobs"].values():
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/cache@"):
                assert step["with"]["path"] == "${{ env.PIP_CACHE_DIR }}"
                assert workflow["env"]["PIP_CACHE_DIR"].startswith("/root/")


def test_binder_gets_the_versions_that_are_tested():
    packages = yaml.safe_load((ROOT / "environment.yml").read_text("utf8"))["dependencies"]
    by_conda = {name.split("=")[0] for name in packages if isinstance(name, str)}
    assert by_conda == {"python", "pip", "ipykernel", "jupyterlab"}  # nothing that computes
    (by_pip,) = (package["pip"] for package in packages if isinstance(package, dict))
    assert "-c constraints.txt" in by_pip
    pins = set(
        re.findall(r"^([\w-]+)==", (ROOT / "constraints.txt").read_text("utf8"), re.MULTILINE)
    )
    wanted = {re.match(r"[\w-]+", line)[0] for line in by_pip if not line.startswith("-")}
    project = re.search(
        r"^dependencies = \[(.*?)^\]", (ROOT / "pyproject.toml").read_text("utf8"), re.S | re.M
    )[1]
    wanted |= {re.match(r"[\w-]+", name)[0] for name in re.findall(r'"(.*?)"', project)}
    assert wanted
    assert wanted <= pins


@pytest.mark.parametrize(
    ("environment", "pins"),
    [(".venv", "constraints.txt"), (".venv-nbgrader", "assignments/requirements.txt")],
)
def test_what_is_pinned_can_be_installed_by_any_python_3_11(environment, pins):
    """Debian 12 has 3.11.2; soupsieve, for one, asks for 3.11.5 from 3.0.2 on."""
    places = [str(path) for path in (ROOT / environment).glob("lib/python*/site-packages")]
    if not places:
        pytest.skip(f"{environment} is not there")
    text = (ROOT / pins).read_text("utf8")
    pinned = {name.lower() for name in re.findall(r"^([\w.-]+)==", text, re.MULTILINE)}
    asked = {
        found.name.lower(): found.metadata["Requires-Python"] or ""
        for found in distributions(path=places)
    }
    assert len(pinned & asked.keys()) > 50
    late = [name for name in pinned & asked.keys() if "3.11.0" not in SpecifierSet(asked[name])]
    assert late == []
