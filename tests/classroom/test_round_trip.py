"""From the sources to grades: what students get, what is submitted, and what is made of it.

nbgrader has an environment of its own, `make .venv-nbgrader`; without it the tests that need it are
skipped, or fail where SAEBOOK_REQUIRE_NBGRADER says that it has to be there.
"""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import make_assignments as make  # noqa: E402

PYTHON = Path(os.environ.get("SAEBOOK_NBGRADER", make.NBGRADER))
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text("utf8"))
CHAPTERS = [
    Path(chapter["file"]).name
    for part in TOC["parts"]
    if part.get("numbered")
    for chapter in part["chapters"]
]


def test_every_chapter_has_an_assignment():
    assert make.names() == sorted(CHAPTERS)


@pytest.mark.parametrize("name", make.names())
def test_what_a_source_must_have(name):
    asked, cells = make.questions(name), make.source(name).cells
    assert [q["kind"] for q in asked].count("number") == 1
    assert [q["kind"] for q in asked].count("written") == 1
    assert [q["kind"] for q in asked].count("code") >= 2
    headings = re.findall(r"^## (\d+)\. (.*)\n\n\*(\d+) points?, (\d+) minutes, (\w+)[.;]",
                          "\n".join(c.source for c in cells), re.MULTILINE)  # fmt: skip
    assert headings == [
        (str(n), q["title"], str(q["points"]), str(q["minutes"]), q["difficulty"])
        for n, q in enumerate(asked, 1)
    ]
    for question in asked:
        assert question["difficulty"] in ("easy", "medium", "hard")
        assert 5 <= question["minutes"] <= 20
        assert question["objective"]
    for cell in cells:
        own = cell.metadata.get("nbgrader", {})
        if own.get("grade") and own["solution"]:
            rubric = re.findall(r"^- (\d) ", cell.source.partition("**Rubric**")[2], re.MULTILINE)
            assert sum(map(int, rubric)) == own["points"]
        elif own.get("grade"):
            assert "### BEGIN HIDDEN TESTS" in cell.source


RUN_CELLS = """
import json, sys, time, os
sys.stdout = open(os.devnull, "w")
results, framework = {}, sys.argv[1]
for path in sys.argv[2:]:
    begun, names, failed = time.process_time(), {}, {}
    for cell in json.load(open(path))["cells"]:
        if cell["cell_type"] != "code":
            continue
        source = "".join(cell["source"])
        if source.startswith("STUDENT_ID"):
            source = f"STUDENT_ID, FRAMEWORK = 'ann', '{framework}'"
        try:
            exec(compile(source.replace("%pip", "pass  #"), path, "exec"), names)
        except Exception as error:
            own = cell["metadata"].get("nbgrader", {}).get("grade_id", source[:40])
            failed[own] = f"{type(error).__name__}: {error}"
    results[path] = {"failed": failed, "seconds": time.process_time() - begun}
sys.__stdout__.write(json.dumps(results))
"""


def run_cells(framework, paths):
    """For each notebook, the cells that fail when all are run, and the processor seconds."""
    result = subprocess.run(
        [sys.executable, "-c", RUN_CELLS, framework, *map(str, paths)],
        capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-2000:]
    return {Path(path).stem: entry for path, entry in json.loads(result.stdout).items()}


@pytest.mark.parametrize("framework", ["torch", "tensorflow"])
def test_the_solutions_pass_their_own_tests(framework, tmp_path):
    make.write_sources(tmp_path, make.names())
    ran = run_cells(framework, sorted(tmp_path.glob("source/*/*.ipynb")))
    assert {name: entry["failed"] for name, entry in ran.items()} == {n: {} for n in make.names()}
    for name, entry in ran.items():
        print(f"{framework:<10} {name:<20} {entry['seconds']:.1f} s")
        assert entry["seconds"] < 20


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A course folder with every assignment released."""
    if not PYTHON.exists():
        message = "nbgrader is not installed; `make assignments` installs it"
        assert not os.environ.get("SAEBOOK_REQUIRE_NBGRADER"), message
        pytest.skip(message)
    folder = tmp_path_factory.mktemp("course")
    arguments = ["--course", str(folder), "--nbgrader", str(PYTHON)]
    assert make.main(arguments) == 0
    config = (folder / "nbgrader_config.py").read_text()
    (folder / "nbgrader_config.py").write_text(config.replace("timeout = 30 ", "timeout = 12 "))
    return folder


def test_the_release_gives_nothing_away_and_scores_nothing(course):
    paths = sorted(course.glob("release/*/*.ipynb"))
    assert [path.stem for path in paths] == make.names()
    for path in paths:
        text = path.read_text()
        for secret in ("BEGIN SOLUTION", "HIDDEN TESTS", "Rubric", "seed=2026", "check_number("):
            assert secret not in text, (path, secret)
        first = nbformat.read(path, 4).cells[1].source
        assert 'if "google.colab" in sys.modules:\n    %pip install' in first
    for name, entry in run_cells("torch", paths).items():
        tests = {
            cell.metadata.nbgrader.grade_id
            for cell in make.source(name).cells
            if cell.metadata.get("nbgrader", {}).get("locked")
        }
        # nothing else fails but the cell that asks for the number
        assert set(entry["failed"]) == tests | {"number"}, entry["failed"]


# Submissions


def submission(course, name, student, framework="torch", changed=None, without=()):
    """The release with the reference solution filled in, apart from the cells of `changed`."""
    solved = {
        cell.metadata.nbgrader.grade_id: cell.source
        for cell in make.source(name).cells
        if cell.metadata.get("nbgrader", {}).get("solution")
    } | (changed or {})
    notebook = nbformat.read(course / "release" / name / f"{name}.ipynb", 4)
    for cell in notebook.cells:
        if cell.source.startswith("STUDENT_ID"):
            cell.source = f'STUDENT_ID = "{student}"\nFRAMEWORK = "{framework}"'
        own = cell.metadata.get("nbgrader", {}).get("grade_id")
        cell.source = solved.get(own, cell.source)
    notebook.cells = [
        cell
        for cell in notebook.cells
        if cell.metadata.get("nbgrader", {}).get("grade_id") not in without
    ]
    return write(course, name, student, notebook)


def write(course, name, student, notebook):
    path = course / "submitted" / student / name / f"{name}.ipynb"
    path.parent.mkdir(parents=True)
    nbformat.write(notebook, path)
    return path


def grade(course, name, **environment):
    """Grade all submissions; the points of each student, how each run ended, what was printed."""
    result = subprocess.run(
        [sys.executable, ROOT / "scripts" / "grade_assignments.py", name, "--course", course,
         "--nbgrader", PYTHON, "--limit", "60"],
        capture_output=True, text=True, check=False, env={**os.environ, **environment},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-2000:]
    table = result.stdout.partition("how it ended\n")[2]
    print(result.stdout)
    rows = re.findall(r"^(\S+) +(\S+) +(\S+) +(.*)$", table, re.MULTILINE)
    return {s: float(p) for s, p, _, _ in rows}, {s: e for s, _, _, e in rows}, result.stdout


def feedback(course, name, student):
    page = (course / "feedback" / student / name / f"{name}.html").read_text("utf8")
    assert not re.search(r"<(script|link|img|iframe)[^>]*https?://", page)
    assert "@import" not in page
    return re.sub(r"<[^>]+>|&#39;|&quot;", "", page).replace("&gt;", ">")


AVERAGED = """
def kl_penalty(z, rho, beta):
    rho_hat = z.mean(dim=0)
    kl = rho * torch.log(rho / rho_hat) + (1 - rho) * torch.log((1 - rho) / (1 - rho_hat))
    return beta * kl.mean()
"""
NOISY_TARGET = """
def denoising_loss(reconstruct, clean, noisy):
    return tf.reduce_mean(tf.reduce_sum((reconstruct(noisy) - noisy) ** 2, axis=1))
"""
ONCE = """
def noisy_epochs(x, sigma, epochs, rng):
    return [x + sigma * rng.standard_normal(x.shape)] * epochs
"""


def test_right_blank_and_wrong_answers(course):
    submission(course, "denoising", "ann")
    submission(course, "denoising", "bob", "tensorflow")
    write(
        course, "denoising", "blank", nbformat.read(course / "release/denoising/denoising.ipynb", 4)
    )
    submission(course, "denoising", "wrong-loss", "tensorflow", {"loss": NOISY_TARGET})
    submission(
        course, "denoising", "wrong-two", "torch", {"epochs": ONCE, "number": "answer = 0.0"}
    )
    points, ended, _ = grade(course, "denoising")
    assert points == {"ann": 11, "bob": 11, "blank": 0, "wrong-loss": 8, "wrong-two": 7}
    assert set(ended.values()) == {"graded"}

    assert "the target is the noisy image" in feedback(course, "denoising", "wrong-loss")
    assert "the noise is drawn once and serves every epoch" in feedback(
        course, "denoising", "wrong-two"
    )
    assert "Without clipping the mean would not move" in feedback(course, "denoising", "wrong-two")
    assert "corrupt: not written yet" in feedback(course, "denoising", "blank")
    with open(course / "grades.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["assignment"] == "denoising"]
    assert {row["student_id"]: float(row["raw_score"]) for row in rows} == points
    assert {float(row["max_score"]) for row in rows} == {14}


def test_hostile_submissions_end_clearly_and_the_rest_is_graded(course, tmp_path):
    outside = [
        course / "spoiled",
        ROOT / "spoiled",
        tmp_path / "spoiled",
        Path("/tmp/spoiled"),
        Path("/dev/shm/spoiled"),
        Path("/proc/sys/kernel/spoiled"),
    ]
    steal = f"""
import json
for part in ("source", "solution"):
    path = {str(course)!r} + f"/{{part}}/theory/theory.ipynb"
    for cell in json.load(open(path))["cells"]:
        if "def kl_penalty" in "".join(cell["source"]):
            exec("".join(cell["source"]))
"""
    vandal = "import os\n" + "".join(
        f"try: open({str(path)!r}, 'w').write('x')\nexcept OSError: pass\n" for path in outside
    )
    stubborn = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass"
    shoot = "import os, signal\nos.kill(-1, signal.SIGKILL)"
    number = "answer = 784 * 0.123 / 456"
    solutions = ("kl", "kl_gradient", "l1", "number", "written")
    tests = ("test_kl", "test_guard", "test_kl_gradient", "test_l1", "test_number")

    submission(course, "theory", "a-averaged", changed={"kl": AVERAGED})
    submission(course, "theory", "b-loop", changed={"kl": "while True: pass"})
    submission(course, "theory", "c-stubborn", changed={"kl": stubborn})
    submission(course, "theory", "d-memory", changed={"kl": "np.ones(10**12)"})
    submission(
        course, "theory", "e-hoard", changed={"kl": "x = [np.ones(10**7) for _ in range(10**5)]"}
    )
    submission(course, "theory", "f-deleted-tests", without=tests)
    submission(course, "theory", "g-missing-cells", without=(*solutions, *tests))
    submission(course, "theory", "h-thief", changed={"kl": steal})
    submission(course, "theory", "i-vandal", changed={"l1": vandal})
    submission(course, "theory", "j-killer", changed={"kl": shoot})
    submission(course, "theory", "k-quitter", changed={"kl": "import os; os._exit(0)"})
    submission(course, "theory", "l-copied", changed={"number": number})
    submission(course, "theory", "m-no-notebook").write_text("{ not JSON")
    submission(course, "theory", "z-honest")
    points, ended, said = grade(course, "theory", SAEBOOK_MEMORY=str(4 * 2**30))

    # 11 points are given automatically: 3 and 1 for kl_penalty, 3, 2, and 2 for the number
    assert points["z-honest"] == 11
    assert points["a-averaged"] == 7
    assert "the KL is summed over latents, not averaged" in feedback(course, "theory", "a-averaged")
    assert points["b-loop"] == 7
    assert ended["b-loop"] == "graded, a cell ran out of time"
    assert ended["c-stubborn"].startswith("stopped")
    assert points["c-stubborn"] == 0
    assert points["d-memory"] == points["e-hoard"] == 7
    assert "MemoryError" in feedback(course, "theory", "e-hoard")
    assert points["f-deleted-tests"] == 11
    assert points["g-missing-cells"] == 0
    assert ended["g-missing-cells"] == "stopped: cells that nbgrader needs were deleted"
    assert ended["k-quitter"].startswith("stopped")
    assert points["l-copied"] == 9
    assert ended["m-no-notebook"].startswith("stopped")
    if "containment: full" in said:
        assert points["h-thief"] == 7
        assert "FileNotFoundError" in feedback(course, "theory", "h-thief")
        assert points["i-vandal"] == 9
        assert [path for path in outside if path.exists()] == []
    else:
        pytest.skip("this system gives no namespaces: reading and writing were not contained")
