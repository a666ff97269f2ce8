"""From the sources to grades: what students get, what is submitted, and what is made of it.

nbgrader has an environment of its own, `make .venv-nbgrader`; without it the tests that need it are
skipped, or fail where SAEBOOK_REQUIRE_NBGRADER says that it has to be there.
"""

import copy
import csv
import ctypes
import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import assignment_kernel as kernel  # noqa: E402
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
    assert [q["kind"] for q in asked].count("fault") == 1
    # a wrong curve is explained in words as well
    curves = [q["kind"] for q in asked].count("curve")
    assert [q["kind"] for q in asked].count("written") == 1 + curves
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
# one framework has to do: the other is as if it were not installed
import importlib.machinery
absent = {"torch": "tensorflow", "tensorflow": "torch"}[framework]
found = importlib.machinery.PathFinder.find_spec
importlib.machinery.PathFinder.find_spec = classmethod(
    lambda _, name, *rest: None if name == absent else found(name, *rest)
)
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
    arguments = ["--course", str(folder), "--nbgrader", os.path.relpath(PYTHON)]
    assert make.main(arguments) == 0
    timeout = 'int(os.environ.get("SAEBOOK_TEST_TIMEOUT", 20))'
    own = f"c.Execute.timeout = {timeout}\nc.Execute.iopub_timeout = 6\n"
    (folder / "own_config.py").write_text(own)
    return folder


def test_the_release_gives_nothing_away_and_scores_nothing(course):
    paths = sorted(course.glob("release/*/*.ipynb"))
    assert [path.stem for path in paths] == make.names()
    for path in paths:
        text = path.read_text()
        for secret in (
            "BEGIN SOLUTION",
            "HIDDEN TESTS",
            "Rubric",
            "seed=2026",
            "check_number",
            "check_fault",
            "check_curve",
            "explained(",
            "mended(",
        ):
            assert secret not in text, (path, secret)
        first = nbformat.read(path, 4).cells[1].source
        assert 'if "google.colab" in sys.modules:\n    %pip install' in first
    for name, entry in run_cells("torch", paths).items():
        tests = {
            cell.metadata.nbgrader.grade_id
            for cell in make.source(name).cells
            # where several functions count by themselves, the cell ends with their points
            if cell.metadata.get("nbgrader", {}).get("locked")
            and "classroom.marks(" not in cell.source
        }
        # nothing else fails but the cells that ask for numbers
        numbers = {"number", "fault"} | ({"curve"} if "test_curve" in tests else set())
        assert set(entry["failed"]) == tests | numbers, entry["failed"]


# Submissions


def mark(cell):
    """nbgrader's name of a cell."""
    return cell.metadata.get("nbgrader", {}).get("grade_id")


def notebook(course, name, student, framework="torch", changed=None, without=()):
    """The release with the reference solution filled in, apart from the cells of `changed`."""
    solved = {
        mark(cell): cell.source
        for cell in make.source(name).cells
        if cell.metadata.get("nbgrader", {}).get("solution")
    } | (changed or {})
    result = nbformat.read(course / "release" / name / f"{name}.ipynb", 4)
    for cell in result.cells:
        if cell.source.startswith("STUDENT_ID"):
            cell.source = f'STUDENT_ID = "{student}"\nFRAMEWORK = "{framework}"'
        cell.source = solved.get(mark(cell), cell.source)
    result.cells = [cell for cell in result.cells if mark(cell) not in without]
    return result


def submission(course, name, student, *arguments, **changes):
    return write(course, name, student, notebook(course, name, student, *arguments, **changes))


def write(course, name, student, notebook):
    path = course / "submitted" / student / name / f"{name}.ipynb"
    path.parent.mkdir(parents=True)
    nbformat.write(notebook, path)
    return path


def grade(course, name, *options, before=(), **environment):
    """Grade all submissions; the points of each student, how each run ended, what was printed."""
    result = subprocess.run(
        [*before, sys.executable, ROOT / "scripts" / "grade_assignments.py", name, *options,
         "--course", course, "--nbgrader", PYTHON, "--limit", "200"],
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        env={**os.environ, "SAEBOOK_CELL_SECONDS": "12", **environment},
    )  # fmt: skip
    assert result.returncode == 0, result.stdout[-1000:] + result.stderr[-2000:]
    table = result.stdout.partition("how it ended\n")[2]
    print(result.stdout)
    rows = re.findall(r"^(.{24}) +(\S+)  (\S+) +(.*)$", table, re.MULTILINE)
    rows = [(student.strip(), *rest) for student, *rest in rows]
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
        course,
        "denoising",
        "wrong-two",
        "torch",
        {"epochs": ONCE, "number": "answers = {'shift': 0.0}"},
    )
    found = next(c.source for c in make.source("denoising").cells if mark(c) == "fault")
    submission(course, "denoising", "half", changed={"fault": f"{found}\nvalue = None"})
    points, ended, _ = grade(course, "denoising")
    assert points == {
        "ann": 16,
        "bob": 16,
        "blank": 0,
        "wrong-loss": 14,
        "wrong-two": 12,
        "half": 14,
    }
    assert set(ended.values()) == {"graded"}

    assert "the target is the noisy image" in feedback(course, "denoising", "wrong-loss")
    assert "the noise is drawn once and serves every epoch" in feedback(
        course, "denoising", "wrong-two"
    )
    assert "The mean would not move without clipping" in feedback(course, "denoising", "wrong-two")
    assert "corrupt: not written yet" in feedback(course, "denoising", "blank")
    with open(course / "grades.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["assignment"] == "denoising"]
    assert {row["student_id"]: float(row["raw_score"]) for row in rows} == points
    assert {float(row["max_score"]) for row in rows} == {21}


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
    stubborn = "import signal\n" + "".join(
        f"signal.signal(signal.{name}, signal.SIG_IGN)\n" for name in ("SIGINT", "SIGPROF")
    )
    stubborn += "while True: pass"
    shoot = "import os, signal\nos.kill(-1, signal.SIGKILL)"
    number = "answers = {'penalty': 784 * 0.123 / 456}"
    solutions = ("kl", "l1", "l1_gradient", "number", "fault", "written")
    tests = ("test_kl", "test_guard", "test_l1", "test_number", "test_fault")

    submission(course, "theory", "a-averaged", changed={"kl": AVERAGED})
    submission(course, "theory", "b-loop", changed={"kl": "while True: pass"})
    submission(course, "theory", "c-stubborn", changed={"kl": stubborn})
    hoard = "x = [np.ones(10**7) for _ in range(10**5)]"
    submission(course, "theory", "d-memory", changed={"kl": hoard, "l1": "np.ones(10**12)"})
    submission(course, "theory", "f-deleted-tests", changed={"number": number}, without=tests)
    submission(course, "theory", "g-missing-cells", without=(*solutions, *tests))
    submission(course, "theory", "h-thief", changed={"kl": steal, "l1": vandal})
    submission(course, "theory", "j-killer", changed={"kl": shoot, "l1": "import os; os._exit(0)"})
    submission(course, "theory", "m-no-notebook").write_text("{ not JSON")
    submission(course, "theory", "z-honest")
    points, ended, said = grade(course, "theory", SAEBOOK_MEMORY=str(4 * 2**30))

    # 11 points are given automatically: 2 and 1 for kl_penalty, 1 and 1, 3 for numbers, 3
    assert points["z-honest"] == 11
    assert points["a-averaged"] == 8
    assert "the KL is summed over latents, not averaged" in feedback(course, "theory", "a-averaged")
    assert points["b-loop"] == 8
    assert ended["b-loop"] == "graded; the cell kl of theory.ipynb ran out of time"
    left_out = "of theory.ipynb ended its kernel, and was left out"
    assert points["c-stubborn"] == 8
    assert ended["c-stubborn"] == f"graded; the cell kl {left_out}"
    assert "so it is not run again" in feedback(course, "theory", "c-stubborn")
    assert points["d-memory"] == 7
    assert "MemoryError" in feedback(course, "theory", "d-memory")
    assert points["f-deleted-tests"] == 8
    assert ended["f-deleted-tests"] == f"graded; theory.ipynb lacks {', '.join(tests)}: put back"
    assert points["g-missing-cells"] == 0
    nothing = "theory.ipynb holds none of the cells that were handed out"
    assert ended["g-missing-cells"] == f"stopped: {nothing}"
    assert ended["j-killer"].endswith(f"the cell l1 {left_out}")
    assert ended["m-no-notebook"].startswith("stopped: theory.ipynb is no notebook: Expecting")
    if "containment: full" in said:
        assert points["h-thief"] == 7
        assert "FileNotFoundError" in feedback(course, "theory", "h-thief")
        assert [path for path in outside if path.exists()] == []
        assert points["j-killer"] == 7
    else:
        pytest.skip("this system gives no namespaces: reading and writing were not contained")


def test_habits_of_honest_students_cost_nothing(course):
    name = "notation"
    odd = "\u00fcnal, o'brien [1]"
    changed = notebook(course, name, odd)
    place = next(i for i, c in enumerate(changed.cells) if mark(c) and "def " in c.source)
    again = copy.deepcopy(changed.cells[place])
    again.update(id="again", source="# my first try, kept for myself")
    changed.cells.insert(place, again)
    write(course, name, odd, changed)

    changed = notebook(course, name, "renamed")
    for cell in changed.cells:
        cell.metadata = {}  # as an editor leaves it that does not know nbgrader
    old = write(course, name, "renamed", changed)
    (old.parent / ".ipynb_checkpoints").mkdir()
    (old.parent / ".ipynb_checkpoints" / f"{name}-checkpoint.ipynb").write_text("{")
    old.rename(old.with_name(f"{name} (1).ipynb"))

    changed = notebook(course, name, "careless")
    for source in ("l = []\nwhile True: l.append(1)", "while True: print('on')"):
        changed.cells.insert(5, nbformat.v4.new_code_cell(source))
    write(course, name, "careless", changed)

    (course / "submitted" / "stray").mkdir(parents=True)
    (course / "submitted" / "stray" / f"{name}.ipynb").write_text("{}")
    # kernels with 4 GB: what is tried here takes less long to fill them
    points, ended, _ = grade(course, name, SAEBOOK_MEMORY=str(4 * 2**30))
    assert points == {odd: 9, "renamed": 9, "careless": 9, "stray": 0}
    assert re.fullmatch(
        r"graded; notation.ipynb has the cell \w+ 2 times, as \d+ and \d+: \d+ counts", ended[odd]
    )
    assert "no notation.ipynb, graded was notation (1).ipynb" in ended["renamed"]
    assert "printed more than" in feedback(course, name, "careless")
    assert ended["stray"].startswith("stopped: notation.ipynb lies in stray, and should in stray/")
    with open(course / "grades.csv", newline="", encoding="utf8") as file:
        rows = [row for row in csv.DictReader(file) if row["assignment"] == name]
    scores = {row["student_id"]: float(row["raw_score"]) for row in rows}
    assert {student: scores[student] for student in points} == points
    assert {float(row["max_score"]) for row in rows} == {11}


# What a submission can reach. A probe only asks whether it could; nothing is taken or spoiled.

PROBE = """
import json, os, resource, socket, subprocess, sys, tempfile, time

def can(what):
    try:
        return what() is not False
    except (OSError, MemoryError, RuntimeError):
        return False

def processes():
    allowed, started = resource.getrlimit(resource.RLIMIT_NPROC)[0], []
    try:
        for _ in range(min(allowed, 200) + 3):
            started.append(subprocess.Popen(["sleep", "20"]))
    finally:
        for process in started:
            process.kill(); process.wait()

def many_files():
    with tempfile.TemporaryDirectory() as folder:
        for number in range(5000):
            open(os.path.join(folder, str(number)), "w").close()

def large_file(size=65):
    with tempfile.TemporaryFile() as file:
        for _ in range(size):
            file.write(bytes(2**20))
        file.flush()

def large_files():
    with tempfile.TemporaryDirectory() as folder:
        for number in range(6):
            with open(os.path.join(folder, str(number)), "wb") as file:
                for _ in range(50):
                    file.write(bytes(2**20))

def much_memory_in_all():
    hold = "x = b'x' * (900 * 2**20); import time; time.sleep(20)"
    held = [subprocess.Popen([sys.executable, "-c", hold]) for _ in range(3)]
    for _ in range(50):
        time.sleep(0.2)
        if any(process.poll() is not None for process in held):
            break
    ended = [process.poll() for process in held]
    for process in held:
        process.kill(); process.wait()
    return ended == [None] * 3

def more_time():
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (10**6, 10**6))
    except ValueError:
        return False

def other_processes():
    return len([p for p in os.listdir("/proc") if p.isdigit()]) > 20

print("PROBE" + json.dumps({
    "variable": "SAEBOOK_TEST_TOKEN" in os.environ,
    "variable of another process": can(lambda: b"SAEBOOK_TEST_TOKEN" in b"".join(
        open(f"/proc/{p}/environ", "rb").read() for p in os.listdir("/proc")
        if p.isdigit() and os.access(f"/proc/{p}/environ", os.R_OK))),
    "private file": can(lambda: open(SECRET).close()),
    "password hashes": os.access("/etc/shadow", os.R_OK),
    "home": can(lambda: sorted(os.listdir(HOME)) == LISTED),
    "more time": can(more_time),
    "course": can(lambda: os.listdir(COURSE)),
    "package, to write": can(lambda: open(PACKAGE, "a").close()),
    "sockets, to write": can(lambda: open("/run/sockets/probe", "w").close()),
    "connection": can(lambda: socket.create_connection(("127.0.0.1", PORT), timeout=2).close()),
    "other processes": other_processes(),
    "too many processes": can(processes),
    "too many files": can(many_files),
    "too large a file": can(large_file),
    "too large files": can(large_files),
    "a file": can(lambda: large_file(1)),
    "too much memory": can(lambda: bytearray(4 * 2**30)),
    "too much memory in all": can(much_memory_in_all),
    "processor seconds": resource.getrlimit(resource.RLIMIT_CPU)[1],
    "key of the session": can(lambda: b"saebook-test" in open("/proc/keys", "rb").read()),
    "rights": [line.split()[1] for line in open("/proc/self/status") if line.startswith("CapEff")],
    "user": os.getuid(),
}))
"""
NOTHING = {
    "variable", "variable of another process", "private file", "password hashes", "course",
    "home", "more time",
    "package, to write", "sockets, to write", "connection", "other processes",
    "too many processes", "too many files", "too large a file", "too large files",
    "too much memory", "too much memory in all", "key of the session",
}  # fmt: skip


def add_key():
    """Put a key into the ring of this session, as a login with tickets has it."""
    numbers = {"x86_64": (250, 248), "aarch64": (219, 217)}.get(platform.machine())
    if sys.platform == "linux" and numbers:
        call = ctypes.CDLL(None).syscall
        call(numbers[0], 1, None)  # a new ring, which ends with this process
        added = call(numbers[1], b"user", b"saebook-test", b"x", ctypes.c_size_t(1), -3)
        # some systems forbid keys altogether
        assert added == -1 or b"saebook-test" in Path("/proc/keys").read_bytes()


def probe(course, secret, *options, before=(), **environment):
    """Submit the probe and grade it; what it could do, its points, and what grading printed."""
    name, student = "notation", f"probe-{len(list(course.glob('submitted/probe-*')))}"
    shutil.rmtree(course / "submitted", ignore_errors=True)
    home = course.parent if before else Path.home()  # see AS_NOBODY
    add_key()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        told = {
            "SECRET": str(secret),
            "COURSE": str(course / "source"),
            "PACKAGE": str(ROOT / "saebook" / "__init__.py"),
            "PORT": listener.getsockname()[1],
            "HOME": str(home),
            "LISTED": sorted(os.listdir(home)),
        }
        asked = "".join(f"{key} = {value!r}\n" for key, value in told.items()) + PROBE
        changed = notebook(course, name, student)
        changed.cells.insert(1, nbformat.v4.new_code_cell(asked))
        write(course, name, student, changed)
        if before:
            subprocess.run(["chown", "-R", "nobody", course], check=True)
        points, _, said = grade(
            course, name, *options, before=before, SAEBOOK_TEST_TOKEN="a token",
            SAEBOOK_MEMORY=str(2 * 2**30), SAEBOOK_PROCESSES="64",
            SAEBOOK_CELL_SECONDS="60", SAEBOOK_TEST_TIMEOUT="120", **environment,
        )  # fmt: skip
        listener.settimeout(0.1)
        try:
            listener.accept()[0].close()
            reached = True
        except TimeoutError:
            reached = False
    graded = nbformat.read(course / "autograded" / student / name / f"{name}.ipynb", 4)
    text = "".join(o.get("text", "") for c in graded.cells for o in c.get("outputs", []))
    could = json.loads(text.partition("PROBE")[2].splitlines()[0])
    assert could["connection"] == reached
    return could, points[student], said


def full_or_skip():
    lacks = kernel.missing()
    if lacks:
        assert not os.environ.get("SAEBOOK_REQUIRE_NBGRADER"), lacks
        pytest.skip(f"this system does not give {lacks}")


def check_probe(could, points, said):
    assert "containment: full" in said
    assert {what for what in NOTHING if could[what]} == set()
    assert could["a file"]
    assert could["processor seconds"] == kernel.LIMITS["RLIMIT_CPU"]
    assert could["rights"] == ["0" * 16]
    assert points == 9  # nor do the limits cost an honest answer anything


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "token"
    path.touch(mode=0o600)
    path.write_text("a token")
    return path


@pytest.mark.skipif(os.geteuid() != 0, reason="this is what root's grading contains")
def test_a_submission_graded_by_root_reaches_nothing(course, secret):
    full_or_skip()
    could, points, said = probe(course, secret)
    check_probe(could, points, said)
    assert could["user"] in kernel.STRANGERS or could["user"] == 65534


# As root, become nobody. Where Python lies in a folder that is closed to others, root's home for
# example, a mount namespace of its own shows that user Python alone out of it.
AS_NOBODY = """
set -e
if [ -n "$1" ]; then
    aside=$(mktemp -d)
    mount --rbind "$2" "$aside"
    mount -t tmpfs -o mode=755 tmpfs "$1"
    mkdir -p "$2"
    mount --rbind "$aside" "$2"
fi
home=$3
shift 3
export HOME="$home" USER=nobody LOGNAME=nobody
exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
"""


@pytest.fixture
def ordinary(course):
    """A copy of the course for an ordinary user, and what runs a command as that user."""
    if os.geteuid() != 0:
        yield course, ()
        return
    base = Path(sys.base_prefix).resolve()
    closed = [p for p in reversed(base.parents) if not p.stat().st_mode & 0o001][:1]
    with tempfile.TemporaryDirectory(prefix="course-", dir="/tmp") as place:
        folder = Path(place, "course")
        shutil.copytree(course, folder)
        os.chmod(place, 0o755)
        before = ["unshare", "--mount", "sh", "-c", AS_NOBODY, "sh", *(closed or [""]), base, place]
        yield folder, before


def test_a_submission_graded_by_an_ordinary_user_reaches_nothing(ordinary, secret):
    full_or_skip()
    folder, before = ordinary
    if before:
        secret = Path(shutil.copy(secret, folder.parent / "token"))
        secret.chmod(0o600)
        shutil.chown(secret, "nobody")
        shutil.chown(folder.parent, "nobody")
    could, points, said = probe(folder, secret, before=before)
    check_probe(could, points, said)
    assert "under your own user id" in said


def test_what_cannot_be_contained_is_said_and_must_be_asked_for(course, secret, tmp_path):
    (tmp_path / "empty").mkdir()
    submission(course, "denoising", "nobody-yet")
    refused = subprocess.run(
        [sys.executable, ROOT / "scripts" / "grade_assignments.py", "denoising", "--course", course,
         "--nbgrader", PYTHON],
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        env={**os.environ, "PATH": str(tmp_path / "empty")},
    )  # fmt: skip
    assert refused.returncode == 1
    assert "does not give the programs unshare, setpriv" in refused.stderr
    assert "--contain=weak" in refused.stderr
    assert not (course / "autograded" / "nobody-yet").exists()

    could, points, said = probe(course, secret, "--contain=weak")
    assert "containment: weak: files, processes and the network are not contained" in said
    assert points == 9
    for what in ("variable", "too large a file", "too much memory"):
        assert not could[what], what
    assert could["processor seconds"] == kernel.LIMITS["RLIMIT_CPU"]
    # and here, where they are open, the probe finds them so
    for what in ("connection", "too many files", "too large files", "too much memory in all"):
        assert could[what], what
