"""A course as a lecturer has it: nothing lost, one command, pages, tables, buttons, downloads.

The assignment is the one of the guide, a question of one's own: it needs no framework and so takes
little time. What needs nbgrader is skipped without it, as in test_round_trip.py.
"""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
import zipfile
from pathlib import Path

import nbformat
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import assignment_course  # noqa: E402
import assignment_kernel as kernel  # noqa: E402
import assignment_pages  # noqa: E402
import assignment_tables  # noqa: E402
import collect_assignments  # noqa: E402
import grade_assignments  # noqa: E402
import make_assignments as make  # noqa: E402

from saebook import classroom  # noqa: E402

PYTHON = Path(os.environ.get("SAEBOOK_NBGRADER", make.NBGRADER))
NAME = "silent"
CONTAIN = "weak" if kernel.missing() else "full"


def mark(cell):
    return cell.metadata.get("nbgrader", {}).get("grade_id")


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """The assignment that the guide shows, as a lecturer would save it."""
    page = (ROOT / "book" / "instructors.md").read_text("utf8")
    shown = re.search(r"^````md\n(.*?)^````$", page, re.DOTALL | re.MULTILINE)[1]
    folder = tmp_path_factory.mktemp("my_assignments")
    (folder / NAME).mkdir()
    (folder / NAME / f"{NAME}.md").write_text(shown, "utf8")
    return folder


@pytest.fixture(scope="module")
def released(sources, tmp_path_factory):
    """A course with that assignment, made as the guide says."""
    if not PYTHON.exists():
        message = "nbgrader is not installed; `make assignments` installs it"
        assert not os.environ.get("SAEBOOK_REQUIRE_NBGRADER"), message
        pytest.skip(message)
    folder = tmp_path_factory.mktemp("own") / "course"
    arguments = ["--course", str(folder), "--nbgrader", str(PYTHON), "--sources", str(sources)]
    assert make.main(arguments) == 0
    return folder


@pytest.fixture
def course(released, tmp_path):
    """A copy of it for a test."""
    folder = tmp_path / "course"
    shutil.copytree(released, folder)
    return folder


def notebook(course, student, changed=None, extra=()):
    """The release with the right answers filled in, apart from the cells of `changed`."""
    source = nbformat.read(course / "source" / NAME / f"{NAME}.ipynb", 4)
    solved = {mark(c): c.source for c in source.cells if mark(c) and not mark(c).startswith("test")}
    solved |= {"written": "It gets no gradient."} | (changed or {})
    result = nbformat.read(course / "release" / NAME / f"{NAME}.ipynb", 4)
    for cell in result.cells:
        if cell.source.startswith("STUDENT_ID"):
            cell.source = f'STUDENT_ID = {student!r}  # mine\nFRAMEWORK = "numpy"'
        cell.source = solved.get(mark(cell), cell.source)
    result.cells += [nbformat.v4.new_code_cell(source) for source in extra]
    return result


def submit(course, student, *arguments, typed=None, file=f"{NAME}.ipynb", **changes):
    path = course / "submitted" / student / NAME / file
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook(course, typed or student, *arguments, **changes), path)
    return path


def command(course, *options):
    return [
        sys.executable, ROOT / "scripts" / "grade_assignments.py", NAME, "--course", course,
        "--nbgrader", PYTHON, f"--contain={CONTAIN}", *options,
    ]  # fmt: skip


def grade(course, *options):
    """Grade; the points of each student, how each run ended, and what was printed."""
    result = subprocess.run(
        command(course, *options), capture_output=True, text=True, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout[-1000:] + result.stderr[-2000:]
    print(result.stdout)
    table = result.stdout.partition("how it ended\n")[2]
    rows = re.findall(r"^(.{24}) +(\S+)  (\S+) +(.*)$", table, re.MULTILINE)
    points = {student.strip(): float(got) for student, got, _, _ in rows}
    return points, {student.strip(): ended for student, _, _, ended in rows}, result.stdout


def page(course, student):
    return (course / "feedback" / student / NAME / f"{NAME}.html").read_text("utf8")


def table(path):
    with open(path, newline="", encoding="utf8") as file:
        return list(csv.DictReader(file))


# Nothing is lost


@pytest.fixture
def repository(tmp_path):
    """What the make targets that build and clean need of a repository, and a course in it."""
    root = tmp_path / "repository"
    for name in ("Makefile", "pyproject.toml", "requirements.txt", "constraints.txt"):
        root.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, root)
    (root / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "drop_stale_build.py", root / "scripts")
    (root / "saebook").mkdir()
    (root / "book" / "_ext").mkdir(parents=True)
    (root / "_build" / "html").mkdir(parents=True)
    return root


def make_target(root, target):
    """Run a make target with the programs that build replaced by nothing."""
    variables = [f"PY={sys.executable}", "ENV=", "BUILD=true", "RUN_PAGES=true"]
    return subprocess.run(
        ["make", target, *variables], cwd=root, capture_output=True, text=True, check=False,
        env={**os.environ, "MAKEFLAGS": ""},
    )  # fmt: skip


def fill(course):
    """What a graded course holds, some of it with names that cleaning looks for."""
    for inner in (
        "gradebook.db", "submitted/ann/silent/__pycache__/helper.pyc", "feedback/ann/silent.html",
        "submitted/ann/silent/_build/x", "backups/a.zip", "roster.csv", "submitted/.coverage",
    ):  # fmt: skip
        (course / inner).parent.mkdir(parents=True, exist_ok=True)
        (course / inner).write_bytes(os.urandom(100))
    return assignment_course.digest(course)


def test_building_and_cleaning_leave_a_course_as_it_is(repository):
    before = fill(repository / "course")
    for target in ("clean", "book", "book-force"):
        (repository / "_build" / "html").mkdir(parents=True, exist_ok=True)
        (repository / "saebook" / "changed.py").write_text(target)  # as a pulled change does
        done = make_target(repository, target)
        assert done.returncode == 0, done.stderr
        assert not (repository / "_build" / "html").exists()
        assert assignment_course.digest(repository / "course") == before


@pytest.mark.parametrize("target", ["clean", "book", "book-force"])
def test_a_course_of_an_older_version_is_moved_out_of_the_build(repository, target):
    old = repository / "_build" / "assignments"
    fill(old)
    files = {p.relative_to(old): p.read_bytes() for p in old.rglob("*") if p.is_file()}
    done = make_target(repository, target)
    assert done.returncode == 0, done.stderr
    assert "was moved to" in done.stdout
    course = repository / "course"
    assert {
        p.relative_to(course): p.read_bytes() for p in course.rglob("*") if p.is_file()
    } == files

    fill(old)  # and where there are two, nothing is removed
    (repository / "saebook" / "changed.py").write_text("anew")
    done = make_target(repository, target)
    assert done.returncode != 0
    assert "another in" in done.stderr
    assert (old / "gradebook.db").exists()


def test_no_tool_looks_into_a_course():
    assert "/course/" in (ROOT / ".gitignore").read_text().splitlines()
    config = yaml.safe_load((ROOT / "_config.yml").read_text("utf8"))
    assert "course" in config["exclude_patterns"]
    ruff = (ROOT / "pyproject.toml").read_text("utf8")
    assert 'extend-exclude = ["notebooks", "course"]' in ruff


# One command: points, pages, tables


STEAL = """
print("<script>alert(1)</script>", In[-4:])
import saebook
print(saebook.__file__)
from IPython.display import HTML
HTML("<script>alert(2)</script><b onclick='alert(3)'>bold</b>")
"""
COMMA = 'Muñoz "Pepe", Ana'


def test_one_command_grades_exports_and_makes_pages(course):
    (course / "roster.csv").write_text(
        "student_id;last_name;first_name;email\n"  # with semicolons, as many spreadsheets write
        'ana;"Muñoz ""Pepe"", de";Ana;ana@uni.example\n'
        "Bob;O'Neil;Bob;bob@uni.example\nlazy;Late;Lazy;\n",
        "utf-8-sig",
    )
    submit(course, "ana", typed="ANA@uni.example")
    submit(course, "bob", {"silent": "def silent(z):\n    return np.mean(z == 0)"})
    warn = "import warnings\ndef silent(z):\n    warnings.warn('old'); sys.stderr.write('x')\n"
    submit(course, COMMA, {"silent": "import sys\n" + warn + "    return np.mean(~z.any(axis=0))"})
    thief = submit(course, "thief", {"written": "<script>alert(4)</script> none"}, [STEAL])
    thief.rename(thief.with_name(f"Copy of {NAME} (1).ipynb"))
    bobs = classroom.variant("bob", NAME)
    number = {"number": f"answer = {int(bobs.choice([64, 96, 128])) - int(bobs.integers(5, 60))}"}
    stranger = submit(course, "dora", number, typed="bob")
    submitted = assignment_course.digest(course / "submitted")
    points, ended, said = grade(course, "--lms=canvas")

    assert points == {"ana": 3, "bob": 1, COMMA: 3, "thief": 3, "dora": 2}
    assert ended["ana"] == ended["bob"] == ended[COMMA] == "graded"
    assert ended["thief"] == f"graded; no {NAME}.ipynb, graded was Copy of {NAME} (1).ipynb"
    assert (
        "STUDENT_ID is 'bob', the id of another student; graded with the numbers of 'dora'"
        in (ended["dora"])
    )
    assert "written of 5" in said
    assert "Not in roster.csv" in said
    assert assignment_course.digest(course / "submitted") == submitted
    rows = {row["student_id"]: row for row in table(course / "grades.csv")}
    assert rows["ana"]["last_name"] == 'Muñoz "Pepe", de'
    assert (rows["ana"]["raw_score"], rows["ana"]["pending"]) == ("3.0", "written")
    assert (rows["lazy"]["handed_in"], rows["bob"]["handed_in"]) == ("no", "yes")
    canvas = {row["SIS User ID"]: row for row in table(course / "canvas.csv")}
    assert canvas["ana"]["Student"] == 'Muñoz "Pepe", de, Ana'
    assert canvas["ana"]["Silent"] == ""  # still to be read

    # students' pages: no hidden test, no path, no model answer, nothing that runs
    assert "one of four latents is silent, got 0.5" in page(course, "bob")
    # what is not read yet has no points, rather than none
    assert len(re.findall("not read yet", page(course, "ana"))) == 2
    assert "Score so far: 3.0 / 5.0" in page(course, "ana")
    for student in points:
        text = re.sub(r"<[^>]+>", "", page(course, student))
        for secret in ("default_rng(0)", "HIDDEN", "3 / 8", "check_number(", "Rubric", str(ROOT),
                       str(course), "site-packages"):  # fmt: skip
            assert secret not in text, (student, secret)
        assert "<script>alert" not in page(course, student)
        assert "<b onclick" not in page(course, student)
        assert "<em>2 points, 5 minutes, easy.</em>" in page(course, student)  # text as text
    # the marker's copy has the rubric, right below the answer
    graded = nbformat.read(course / "autograded" / "bob" / NAME / f"{NAME}.ipynb", 4)
    place = [mark(cell) for cell in graded.cells].index("written")
    assert "**Rubric**" in graded.cells[place + 1].source

    # the date has passed: the model answer, and nothing is run again
    with open(course / "due.csv", "w") as file:
        file.write(f"assignment,due\n{NAME},2020-01-01 12:00\n")
    stranger.unlink()
    submit(course, "dora")
    points, _, said = grade(course, "--lms=moodle")
    assert points["dora"] == 3
    assert f"{NAME}: 4 graded before" in said
    for student in points:
        assert "how it is marked" in page(course, student)
        assert "default_rng(0)" not in re.sub(r"<[^>]+>", "", page(course, student))
    assert {row["ID number"] for row in table(course / "moodle.csv")} == {*points, "lazy"}
    backups = sorted((course / "backups").glob("*.zip"))
    assert len(backups) == 2
    with zipfile.ZipFile(backups[-1]) as archive:
        assert f"submitted/bob/{NAME}/{NAME}.ipynb" in archive.namelist()
        assert archive.read("roster.csv") == (course / "roster.csv").read_bytes()
        assert archive.read("gradebook.db")[:15] == b"SQLite format 3"


def test_a_killed_grading_is_taken_up_where_it_was(course):
    for student in ("a", "b", "c", "d"):
        submit(course, student)
    submitted = assignment_course.digest(course / "submitted")
    process = subprocess.Popen(
        command(course, "--jobs=2"), stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    for line in process.stdout:
        if line.startswith("1/4"):
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    begun = course / "submitted"
    for _ in range(100):  # what it had started ends with it
        if not running(str(course)):
            break
        time.sleep(0.1)
    assert running(str(course)) == []
    points, ended, said = grade(course, "--jobs=2")
    assert re.search(rf"{NAME}: [123] graded before and not changed since", said)
    assert points == dict.fromkeys("abcd", 3)
    assert set(ended.values()) == {"graded"}
    assert assignment_course.digest(begun) == submitted
    assert all("Silent latents" in page(course, student) for student in points)


def running(words):
    """The processes whose command line or folder has these words."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            said = (path / "cmdline").read_bytes().decode(errors="replace")
            if words in said or words in os.readlink(path / "cwd"):
                found.append(said)
        except OSError:
            continue
    return found


def test_two_gradings_of_a_course_do_not_run_at_a_time(course):
    submit(course, "ann")
    with assignment_course.locked(course):
        result = subprocess.run(command(course), capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert f"the course is being graded by process {os.getpid()}" in result.stderr


def test_what_was_handed_in_is_not_made_anew(course, sources, capsys):
    submit(course, "ann")
    before = assignment_course.digest(course / "release", course / "source")
    arguments = ["--course", str(course), "--nbgrader", str(PYTHON), "--sources", str(sources)]
    assert make.main(arguments) == 0
    assert "left as it is" in capsys.readouterr().out
    assert assignment_course.digest(course / "release", course / "source") == before


# nbgrader's own pages


def call(port, path, data=None, method=None):
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", None if data is None else json.dumps(data).encode(),
        {"Authorization": "token t", "Content-Type": "application/json"}, method=method,
    )  # fmt: skip
    with urllib.request.urlopen(request, timeout=120) as answer:
        return answer.read().decode()


@pytest.fixture
def formgrader(course):
    """nbgrader's pages for a course with one submission, served as `make formgrader` does."""
    submit(course, "ann", {"written": "It may wake. <script>alert(5)</script>"}, ["print(1 + 1)"])
    grade(course)
    own = {**make.environment(course, PYTHON), "SAEBOOK_CONTAIN": CONTAIN}
    own.pop("SAEBOOK_GRADING", None)
    port = 20000 + os.getpid() % 20000
    with open(course.parent / "server.log", "w") as log:
        server = subprocess.Popen(
            [PYTHON, "-m", "jupyter", "server", "--ServerApp.ip=127.0.0.1", f"--port={port}",
             "--ServerApp.port_retries=0", "--no-browser", "--IdentityProvider.token=t",
             "--allow-root"],
            cwd=course, env=own, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        for _ in range(300):
            try:
                call(port, "/formgrader/api/assignments")
                break
            except OSError:
                time.sleep(0.2)
        yield course, port
    finally:
        server.terminate()
        server.wait()


def test_points_by_hand_and_the_button_of_formgrader(formgrader):
    course, port = formgrader
    [one] = json.loads(call(port, f"/formgrader/api/submitted_notebooks/{NAME}/{NAME}"))
    shown = call(port, f"/formgrader/submissions/{one['id']}/")
    assert "For the marker" in shown
    assert "other samples may differ" in shown
    assert "<script>alert(5)" not in shown
    grades = json.loads(call(port, f"/formgrader/api/grades?submission_id={one['id']}"))
    written = next(g for g in grades if g["name"] == "written")
    assert written["needs_manual_grade"]
    call(port, f"/formgrader/api/grade/{written['id']}", {"manual_score": 1.5}, "PUT")
    comments = json.loads(call(port, f"/formgrader/api/comments?submission_id={one['id']}"))
    comment = next(c for c in comments if c["name"] == "written")
    call(port, f"/formgrader/api/comment/{comment['id']}", {"manual_comment": "Good."}, "PUT")

    # the button: the same way as make grade, contained, with the package
    answer = json.loads(call(port, f"/formgrader/api/submission/{NAME}/ann/autograde", {}))
    assert answer["success"], answer
    assert f"containment: {CONTAIN}" in answer["log"]
    points, _, said = grade(course, "--lms=moodle")
    assert points == {"ann": 4.5}
    assert "1 graded before" in said
    assert "To be read" not in said  # the answer has not changed since it was read
    assert "<p>Good.</p>" in page(course, "ann")
    assert "not read yet" not in page(course, "ann")
    assert [row["Silent"] for row in table(course / "moodle.csv")] == ["4.5"]

    # another answer has to be read again, and keeps its points meanwhile
    submit(course, "ann", {"written": "Something else."})
    points, _, said = grade(course, "--lms=moodle")
    assert points == {"ann": 4.5}
    assert "written of 1" in said
    assert [row["Silent"] for row in table(course / "moodle.csv")] == [""]

    (course / "submitted" / "ann" / NAME / f"{NAME}.ipynb").write_text("{")
    answer = json.loads(call(port, f"/formgrader/api/submission/{NAME}/ann/autograde", {}))
    assert not answer["success"]
    assert "is no notebook" in answer["error"]


def test_the_command_of_nbgrader_refuses(course):
    submit(course, "ann")
    result = subprocess.run(
        [PYTHON, "-m", "nbgrader", "autograde", NAME], cwd=course, capture_output=True, text=True,
        check=False, env=make.environment(course, PYTHON),
    )  # fmt: skip
    assert result.returncode != 0
    assert "make grade NAME=" in result.stderr
    assert not (course / "autograded").exists()


# A hub, repositories


def test_an_assignment_goes_out_and_comes_back_by_the_exchange(course, tmp_path):
    text = (ROOT / "assignments" / "jupyterhub" / "nbgrader_config.py").read_text("utf8")
    (tmp_path / "exchange").mkdir(mode=0o777)
    (tmp_path / "exchange").chmod(0o777)
    changed = text.replace("/srv/nbgrader/exchange", str(tmp_path / "exchange"))
    assert changed != text
    settings, home = tmp_path / "etc", tmp_path / "home"
    settings.mkdir()
    home.mkdir()
    (settings / "nbgrader_config.py").write_text(changed)

    def nbgrader(where, *arguments):
        own = {**make.environment(course, PYTHON), "JUPYTER_CONFIG_DIR": str(settings)}
        own["HOME"] = str(home)
        done = subprocess.run(
            [PYTHON, "-m", "nbgrader", *arguments], cwd=where, env=own, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    nbgrader(course, "release_assignment", NAME)
    nbgrader(home, "fetch_assignment", NAME, "--course=saebook")
    fetched = home / NAME / f"{NAME}.ipynb"
    assert fetched.read_bytes() == (course / "release" / NAME / f"{NAME}.ipynb").read_bytes()
    nbgrader(home, "submit", NAME, "--course=saebook")
    nbgrader(course, "collect", NAME)
    [collected] = (course / "submitted").glob(f"*/{NAME}")
    assert {"timestamp.txt", f"{NAME}.ipynb"} <= {path.name for path in collected.iterdir()}


def test_settings_of_the_hub_are_settings():
    """Each is one that JupyterHub has; those of its classes that are named here."""
    text = (ROOT / "assignments" / "jupyterhub" / "jupyterhub_config.py").read_text("utf8")

    class Config(dict):
        def __getattr__(self, name):
            return self.setdefault(name, Config())

        __setattr__ = dict.__setitem__

    found = Config()
    exec(compile(text, "jupyterhub_config.py", "exec"), {"get_config": lambda: found})
    assert found["Spawner"]["default_url"] == "/lab"
    assert not {"CONFIGPROXY_AUTH_TOKEN", "JUPYTERHUB_CRYPT_KEY"} & {*found["Spawner"]["env_keep"]}


def test_steps_of_the_workflow_run(released, tmp_path):
    text = (ROOT / "assignments" / "github" / "checks.yml").read_text("utf8")
    repository = yaml.safe_load((ROOT / "_config.yml").read_text("utf8"))["repository"]["url"]
    version = make.saebook.__version__
    assert f"git+{repository}@v{version}" in text
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {"contents": "read"}
    steps = workflow["jobs"]["checks"]["steps"]
    for step in steps:
        assert re.search(r"@[0-9a-f]{40}$", step.get("uses", "@" + "0" * 40))
    [checks] = [step["run"] for step in steps if step.get("name") == "Checks"]
    shutil.copy(ROOT / "assignments" / "github" / "run_checks.py", tmp_path)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    def run():
        return subprocess.run(
            ["bash", "-e", "-c", checks], cwd=tmp_path, capture_output=True, text=True,
            env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}, check=False,
        )  # fmt: skip

    nbformat.write(notebook(released, "ann"), tmp_path / f"{NAME}.ipynb")
    done = run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1. Silent latents: passes the visible tests" in done.stdout
    wrong = {"silent": "def silent(z):\n    return 1.0"}
    nbformat.write(notebook(released, "ann", wrong), tmp_path / f"{NAME}.ipynb")
    done = run()
    assert done.returncode == 1
    assert "1. Silent latents: AssertionError: one of four latents is silent" in done.stdout
    assert "2. How many are left: passes" in done.stdout


# Rosters and downloads


ROSTERS = {
    "own": "student_id,last_name,first_name,email\nann,Example,Ann,ann@x.example\n",
    "canvas": (
        "Student,ID,SIS User ID,SIS Login ID,Section,Silent (4711)\n"
        "    Points Possible,,,,,5\n"
        '"Example, Ann",90210,u1,ann,A,\n'
    ),
    "moodle": (
        "First name,Last name,ID number,Email address,Assignment: Silent (Real)\n"
        "Ann,Example,ann,ann@x.example,-\n"
    ),
    "github": "identifier,github_username,github_id,name\nann,annex,7,Ann Example\n",
}


@pytest.mark.parametrize("kind", ROSTERS)
def test_rosters_of_platforms_are_read(tmp_path, kind):
    (tmp_path / "roster.csv").write_text(ROSTERS[kind], "utf8")
    roster = assignment_course.roster(tmp_path)
    assert list(roster) == ["ann"]
    assert (roster["ann"]["first_name"], roster["ann"]["last_name"]) == ("Ann", "Example")


def entry(score, pending=()):
    row = {"student_id": "ann", "assignment": NAME, "score": score, "max_score": 5.0}
    return {"row": row, "grades": [], "pending": list(pending)}


def test_tables_of_platforms_keep_their_own_columns(tmp_path):
    (tmp_path / "roster.csv").write_text(ROSTERS["canvas"], "utf8")
    roster = assignment_course.roster(tmp_path)
    assignment_tables.write_lms(tmp_path, "canvas", {(NAME, "ann"): entry(4.5)}, roster)
    assert (tmp_path / "canvas.csv").read_text("utf8").splitlines() == [
        "Student,ID,SIS User ID,SIS Login ID,Section,Silent (4711)",
        "    Points Possible,,,,,5",
        '"Example, Ann",90210,u1,ann,A,4.5',
    ]
    (tmp_path / "roster.csv").write_text(ROSTERS["moodle"], "utf8")
    roster = assignment_course.roster(tmp_path)
    assignment_tables.write_lms(tmp_path, "moodle", {(NAME, "ann"): entry(3, ["written"])}, roster)
    [row] = table(tmp_path / "moodle.csv")
    assert row["Assignment: Silent (Real)"] == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("student_id\nann\nANN\n", "line 3 of roster.csv has the id 'ann' again"),
        ("last_name\nExample\n", "line 2 of roster.csv has no id"),
        ("student_id\n../x\n", "cannot be the name of a folder"),
    ],
)
def test_a_faulty_roster_is_named(tmp_path, text, said):
    (tmp_path / "roster.csv").write_text(text)
    with pytest.raises(assignment_course.Faulty, match=re.escape(said)):
        assignment_course.roster(tmp_path)


def test_dates(tmp_path):
    (tmp_path / "due.csv").write_text("assignment,due\na,2020-01-01 12:00\nb,\nc,2999-01-01\n")
    assert [assignment_course.passed(tmp_path, name) for name in "abcd"] == [True] + [False] * 3
    (tmp_path / "due.csv").write_text("assignment,due\na,1.12.2026\n")
    with pytest.raises(assignment_course.Faulty, match=r"line 2 of due\.csv: a date is written"):
        assignment_course.due(tmp_path)


PEOPLE = """student_id,last_name,first_name,email,github
ann,Example,Ann,ann@x.example,annex
zoe1,Müller-Lüdenscheid,Zoë,z@x.example,
kim1,Kim,Lee,k1@x.example,
kim2,Kim,Lee,k2@x.example,
"""


@pytest.mark.parametrize(
    ("path", "whose"),
    [
        ("Ann Example_123_assignsubmission_file/silent.ipynb", "ann"),  # Moodle
        ("Zoë Müller-Lüdenscheid_9_assignsubmission_file_silent.ipynb", "zoe1"),
        ("mullerludenscheidzoe_LATE_12_34_silent-1.ipynb", "zoe1"),  # Canvas
        ("exampleann_12_34_Copy of silent (1).ipynb", "ann"),
        ("silent-annex/silent.ipynb", "ann"),  # GitHub Classroom
        ("ANN/Copy of silent.ipynb", "ann"),
        ("silent_kim2.ipynb", "kim2"),
        ("Lee Kim_77_assignsubmission_file/silent.ipynb", None),  # two of that name
        ("Joanna Example_5_assignsubmission_file/silent.ipynb", None),
        ("silent.ipynb", None),
    ],
)
def test_whose_a_download_is(tmp_path, path, whose):
    (tmp_path / "roster.csv").write_text(PEOPLE, "utf8")
    file = tmp_path / "down" / path
    file.parent.mkdir(parents=True)
    file.write_text("{}")
    roster = assignment_course.roster(tmp_path)
    mine, remarks = collect_assignments.sort(tmp_path / "down", NAME, roster)
    assert list(mine) == ([whose] if whose else [])
    assert len(remarks) == (0 if whose else 1)


def test_downloads_are_collected_and_nothing_is_overwritten(tmp_path, capsys):
    course = tmp_path / "course"
    (course / "release" / NAME).mkdir(parents=True)
    (course / "roster.csv").write_text(PEOPLE, "utf8")
    download = tmp_path / "submissions.zip"
    arguments = [NAME, str(download), "--course", str(course)]

    def offer(**files):
        with zipfile.ZipFile(download, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)

    offer(**{"Ann Example_1_assignsubmission_file/silent.ipynb": "1", "../zoe1.ipynb": "x"})
    assert collect_assignments.main(arguments) == 0
    held = course / "submitted" / "ann" / NAME / "silent.ipynb"
    assert held.read_text() == "1"
    assert "nothing from 3 of 4: kim1, kim2, zoe1" in capsys.readouterr().out
    offer(**{
        "Ann Example_1_assignsubmission_file/silent.ipynb": "2",
        "Ann Example_1_assignsubmission_file/data/x.csv": "3",
        "Nobody_2_assignsubmission_file/silent.ipynb": "4",
    })  # fmt: skip
    assert collect_assignments.main(arguments) == 0
    assert held.read_text() == "2"
    assert (held.parent / "data" / "x.csv").read_text() == "3"
    assert [p.read_text() for p in course.glob("earlier/silent/ann/*/silent.ipynb")] == ["1"]
    assert "silent.ipynb is of nobody in roster.csv" in capsys.readouterr().out


# Pieces


def test_a_traceback_shows_the_cells_of_a_student_alone():
    error = {
        "output_type": "error", "ename": "CheckFailed", "evalue": "f: no",
        "traceback": [
            "\x1b[31m----\x1b[39m", "\x1b[31mCheckFailed\x1b[39m Traceback (most recent call last)",
            "\x1b[36mCell\x1b[39m\x1b[36m \x1b[39m\x1b[32mIn[7]\x1b[39m\x1b[32m, line 3\x1b[39m\n"
            "\x1b[32m      2\x1b[39m assert right == 3 / 8",
            "\x1b[36mFile \x1b[39m\x1b[32m/home/x/lib/numpy/core.py:3\x1b[39m, in mean",
            "Cell In[4], line 2\n      2 return mine", "CheckFailed: f: no in /home/x/y.py",
        ],
    }  # fmt: skip
    shown = "\n".join(assignment_pages.cleaned(error, {7}, set(), {"/home/x/": ""})["traceback"])
    assert "return mine" in shown
    assert shown.endswith("CheckFailed: f: no in y.py")
    for secret in ("3 / 8", "numpy", "/home/x"):
        assert secret not in shown


@pytest.mark.parametrize(("answer", "way"), [("y", "weak"), ("", None), (None, None)])
def test_what_is_not_contained_is_asked_before_anything_runs(monkeypatch, capsys, answer, way):
    lacks = subprocess.CompletedProcess([], 0, json.dumps(["a network of its own"]))
    monkeypatch.setattr(grade_assignments.subprocess, "run", lambda *_, **__: lacks)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: answer is not None, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: answer)
    if way:
        assert grade_assignments.contained("full")[1] == way
        assert "does not give a network of its own" in capsys.readouterr().out
        return
    with pytest.raises(SystemExit) as left:
        grade_assignments.contained("full")
    assert ("--contain=weak" in str(left.value)) == (answer is None)
    assert "Nothing was run" in str(left.value)


SHELL = """
import sys, time
from IPython.core.interactiveshell import InteractiveShell
import assignment_cells
shell = InteractiveShell()
assignment_cells.stop_loops(shell)
tries = "while True:\\n  try:\\n    while True: pass\\n  except Exception: pass"
for cell in ("import time; time.sleep(1.5)", "while True: pass", tries, "1 + 1"):
    error = shell.run_cell(cell).error_in_exec
    print("ENDED", type(error).__name__, file=sys.__stdout__)
"""


def test_a_cell_is_stopped_by_the_time_that_it_computes():
    """Not by the clock: on a busy machine honest answers would lose their points."""
    own = {**os.environ, "SAEBOOK_CELL_SECONDS": "0.5", "PYTHONPATH": str(ROOT / "scripts")}
    done = subprocess.run(
        [sys.executable, "-c", SHELL], env=own, capture_output=True, text=True, check=True,
        timeout=300,
    )  # fmt: skip
    ended = re.findall(r"ENDED (\w+)", done.stdout)
    assert ended == ["NoneType", "CellTimeoutError", "CellTimeoutError", "NoneType"]


def test_a_busy_machine_grades_fewer_at_a_time(monkeypatch):
    monkeypatch.setattr(
        grade_assignments.os, "sched_getaffinity", lambda _: {1, 2, 3}, raising=False
    )
    monkeypatch.setattr(Path, "read_text", lambda *_: "MemAvailable:   9000000 kB")
    assert grade_assignments.at_a_time() == 2
    monkeypatch.setattr(Path, "read_text", lambda *_: "MemAvailable: 99000000 kB")
    assert grade_assignments.at_a_time() == 3
