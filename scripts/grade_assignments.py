"""Grade what students submitted, one after another, and write feedback and grades.

    python scripts/grade_assignments.py NAME [--course FOLDER] [--contain full|weak]

Submissions lie in COURSE/submitted/STUDENT/NAME/NAME.ipynb, as nbgrader has it.
scripts/assignment_submission.py makes of each what nbgrader can grade; it is run by nbgrader in a
process of its own, whose kernel scripts/assignment_kernel.py contains, under a limit of time. What
this system cannot contain is said before anything is run, and grading goes on only when it is asked
for with --contain=weak. A cell that ends its kernel, or cannot be interrupted, is left out and the
rest run again, so that it costs its own question. Whatever one submission does, the next is graded
all the same. Afterwards COURSE/feedback/ has a page for each student, which needs no network, and
COURSE/grades.csv the points; the table that is printed says for every student how the run ended.
"""

import argparse
import csv
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import assignment_cells
import assignment_submission
from make_assignments import COURSE, NBGRADER, ROOT, environment

# What nbconvert's page would fetch: MathJax and its like. The assignments have no formulas in TeX.
OUTSIDE = re.compile(
    r"<script[^>]*\bsrc=[\"']https?://[^>]*>\s*</script>|<link[^>]*https?://[^>]*>"
)
MATHJAX = re.compile(r"<!-- Load mathjax -->.*?<!-- End of mathjax configuration -->", re.DOTALL)
# How many cells of a submission are left out, one after another, because they ended its kernel. An
# assignment asks at most five questions that are run.
LEFT_OUT = 5
# nbgrader takes 0.3 GB itself; the rest is for what a submission prints, and keeps it from more.
NBGRADER_MEMORY, NBGRADER_FILE = 4 * 2**30, 256 * 2**20
# nbgrader takes names of students' folders for patterns: [1] in one would be a 1. This does not.
FOUND = """\
import glob
import os
from nbgrader.converters.base import BaseConverter

c = get_config()


def find(self):
    folders = self._format_source(self.coursedir.assignment_id, "*")
    books = {f: glob.glob(os.path.join(glob.escape(f), "*.ipynb")) for f in glob.glob(folders)}
    self.notebooks, self.assignments = [], {f: found for f, found in books.items() if found}


BaseConverter.init_notebooks = find
"""
# nbgrader's settings for one submission, which is alone in its folder. When a cell begins, that is
# written down here, outside of the kernel: if nothing is heard of it again, this is the one. A cell
# that was interrupted may have gigabytes to give back before it answers: 2 seconds for a list of 6
# GB, 20 on a busy machine. (4 are usual.)
SETTINGS = """\
import json

c.CourseDirectory.submitted_directory = {submitted!r}
c.AsyncKernelManager.transport, c.AsyncKernelManager.ip = "ipc", {address!r}
c.Execute.iopub_timeout = 20


def begins(cell, cell_index):
    with open({progress!r}, "w") as file:
        label = {labels!r}.get(cell.get("id"), "a cell")
        json.dump({{"label": label, "source": cell["source"]}}, file)


c.Execute.on_cell_execute = begins
"""


def modest():
    """nbgrader's own process must not fill the machine with what it is sent."""
    import resource

    for limit, most in (
        (resource.RLIMIT_AS, NBGRADER_MEMORY),
        (resource.RLIMIT_FSIZE, NBGRADER_FILE),
    ):
        try:
            resource.setrlimit(limit, (most, resource.getrlimit(limit)[1]))
        except ValueError:
            pass  # it is set lower already, or this system does not know it


def run(arguments, folder, nbgrader, limit, extra=None):
    """Run nbgrader; its exit status (None if it took too long), and what it said."""
    process = subprocess.Popen(
        [nbgrader, "-m", "nbgrader", *arguments],
        cwd=folder,
        env={**environment(folder, nbgrader), **(extra or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        errors="replace",
        start_new_session=True,
        preexec_fn=modest,
    )
    try:
        said = process.communicate(timeout=limit)[0]
        return process.returncode, said
    except subprocess.TimeoutExpired:
        return None, ""
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()


def attempt(folder, name, submitted, place, labels, refused, options, limit, student):
    """Let nbgrader grade a submission once; its status, its words, and the last cell that began."""
    place.mkdir()
    sockets, settings = place / "sockets", place / "settings"
    sockets.mkdir(mode=0o700)
    settings.mkdir()
    progress = place / "progress.json"
    words = {"submitted": str(submitted), "progress": str(progress), "labels": labels}
    text = FOUND + SETTINGS.format(**words, address=str(sockets / "kernel"))
    (settings / "nbgrader_config.py").write_text(text, "utf8")
    hide = [folder, ROOT / "assignments", ROOT / "tests", ROOT / "scripts", ROOT / ".git"]
    extra = {
        "SAEBOOK_STUDENT_ID": student,
        "SAEBOOK_CONTAIN": options.contain,
        "SAEBOOK_SCRATCH": str(place),
        "SAEBOOK_HIDE": json.dumps([str(path) for path in hide]),
        "SAEBOOK_REFUSED": ",".join(refused),
        "JUPYTER_RUNTIME_DIR": str(sockets),
        "JUPYTER_CONFIG_DIR": str(settings),
    }
    status, said = run(
        ["autograde", name, "--create", "--force"], folder, options.nbgrader, limit, extra
    )
    begun = json.loads(progress.read_text("utf8")) if progress.exists() else None
    return status, said, begun


def short_place():
    """Where sockets can lie: their whole address must be shorter than 108 characters."""
    usual = tempfile.gettempdir()
    return usual if len(usual) < 30 else "/tmp"


def grade(folder, name, student, options):
    """Autograde one submission; in words, how that ended."""
    try:
        student.encode("utf-8")
    except UnicodeEncodeError:
        return "stopped: the folder's name is not UTF-8"
    submission = folder / "submitted" / student / name
    begun_at, left_out = time.monotonic(), {}
    with tempfile.TemporaryDirectory(prefix="grading-", dir=short_place()) as place:
        place = Path(place)
        (place / "submitted").mkdir(mode=0o700)
        try:
            labels, remarks = assignment_submission.prepare(
                submission,
                name,
                folder / "release" / name / f"{name}.ipynb",
                place / "submitted" / student / name,
            )
        except (assignment_submission.Unusable, OSError) as error:
            return f"stopped: {error}"
        while True:
            left = options.limit - (time.monotonic() - begun_at)
            status, said, cell = attempt(
                folder, name, place / "submitted", place / f"{len(left_out)}",
                labels, list(left_out), options, left, student,
            )  # fmt: skip
            if status == 0 and result(folder, name, student).exists():
                break
            if status is None:
                where = f", the last at {cell['label']}" if cell else ""
                return f"stopped: it took more than {options.limit} seconds{where}"
            if cell is None or not by_its_kernel(said):
                return "stopped: " + reason(said)
            mark = assignment_cells.fingerprint(cell["source"])
            if mark in left_out or len(left_out) == LEFT_OUT:
                return f"stopped: {cell['label']} ended its kernel again"
            left_out[mark] = cell["label"]
    notes = [f"{label} ended its kernel, and was left out" for label in left_out.values()]
    notes += [f"{label} ran out of time" for label in out_of_time(folder, name, student, labels)]
    return "; ".join(["graded", *notes, *remarks])


def result(folder, name, student):
    """nbgrader's own copy of a submission, which is there once it is graded."""
    return folder / "autograded" / student / name / f"{name}.ipynb"


def out_of_time(folder, name, student, labels):
    """The cells of a graded submission that were interrupted."""
    cells = json.loads(result(folder, name, student).read_text("utf8"))["cells"]
    return [
        labels.get(cell.get("id"), "a cell")
        for cell in cells
        if any(output.get("ename") == "CellTimeoutError" for output in cell.get("outputs", []))
    ]


def by_its_kernel(said):
    """Whether nbgrader gave up because of the kernel."""
    return any(word in said for word in ("DeadKernelError", "Kernel died", "CellTimeoutError"))


def reason(said):
    """The line of nbgrader's log that says most about a failure."""
    if "Kernel died" in said or "DeadKernelError" in said:
        return "its kernel died before the first cell"
    errors = [
        line for line in said.splitlines() if re.match(r"\S*(Error|Exception)\b", line.strip())
    ]
    return errors[-1].strip()[:100] if errors else "nbgrader gave no reason"


def give_feedback(folder, name, nbgrader, limit):
    """Let nbgrader write the feedback pages of all who were graded."""
    with tempfile.TemporaryDirectory(prefix="feedback-") as settings:
        Path(settings, "nbgrader_config.py").write_text(FOUND, "utf8")
        extra = {"JUPYTER_CONFIG_DIR": settings}
        run(["generate_feedback", name, "--force"], folder, nbgrader, limit, extra)
    offline(folder, name)


def offline(folder, name):
    """Take out of the feedback pages what they would fetch from elsewhere."""
    for page in folder.glob(f"feedback/*/{glob.escape(name)}/*.html"):
        os.chmod(page, 0o644)
        text = page.read_text("utf8")
        page.write_text(OUTSIDE.sub("", MATHJAX.sub("", text)), "utf8")


def points(folder, name, failed, nbgrader):
    """What the gradebook has: a row for each student and assignment, and what is not graded."""
    order = {"gradebook": str(folder / "gradebook.db"), "assignment": name, "failed": failed}
    read = subprocess.run(
        [nbgrader, ROOT / "scripts" / "assignment_points.py"],
        cwd=folder,
        env=environment(folder, nbgrader),
        input=json.dumps(order),
        capture_output=True,
        text=True,
        check=False,
    )
    if read.returncode:
        sys.exit(f"the gradebook of {folder} could not be read:\n{read.stderr[-2000:]}")
    return json.loads(read.stdout)


def write_grades(path, entries):
    """nbgrader's table of all points, but with names quoted where they hold a comma."""
    with open(path, "w", newline="", encoding="utf8") as file:
        table = csv.DictWriter(file, list(entries[0]["row"]))
        table.writeheader()
        table.writerows(entry["row"] for entry in entries)


def printable(text):
    """A name or a sentence on one line, whatever is in it."""
    return "".join(c if c.isprintable() else "?" for c in text)


def submissions(folder, name):
    """The students who handed something in, and of whom not even the folder is right."""
    students, strays = [], {}
    for path in sorted((folder / "submitted").glob("*")):
        if path.name.startswith(".") or not path.is_dir():
            continue
        if os.path.lexists(path / name):
            students.append(path.name)
        elif stray := sorted(p.name for p in path.glob("*.ipynb") if p.name.startswith(name)):
            students.append(path.name)
            wrong = f"{', '.join(stray)} lies in {path.name}, and should in {path.name}/{name}"
            strays[path.name] = f"stopped: {wrong}"
    return students, strays


def contained(wanted):
    """What is contained, as a sentence; ends the run where that is less than what was asked for."""
    probe = [sys.executable, ROOT / "scripts" / "assignment_kernel.py", "--probe"]
    lacks = json.loads(subprocess.run(probe, capture_output=True, text=True, check=True).stdout)
    if lacks and wanted == "full":
        sys.exit(
            f"containment: this system does not give {'; nor '.join(lacks)}.\nNothing was run. "
            "With --contain=weak it is run all the same: a submission can then read and write what "
            "you can, and use the network; only limits hold, and your environment is hidden."
        )
    if wanted == "weak":
        return "weak: files, processes and the network are not contained"
    return "full" if os.geteuid() == 0 else "full, under your own user id"


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("assignment", help="an assignment's name, for example: theory")
    parser.add_argument("--course", type=Path, default=COURSE, help="the course folder")
    parser.add_argument("--nbgrader", type=Path, default=NBGRADER, help="nbgrader's Python")
    parser.add_argument("--limit", type=int, default=300, help="seconds for a submission")
    parser.add_argument(
        "--contain",
        choices=("full", "weak"),
        default="full",
        help="weak: go on where this system cannot contain submissions",
    )
    options = parser.parse_args(arguments)
    options.nbgrader = options.nbgrader.absolute()  # not resolved: it is a link in its environment
    folder, name = options.course.resolve(), options.assignment
    if not (folder / "release" / name / f"{name}.ipynb").is_file():
        parser.error(f"no assignment {name} in {folder / 'release'}; make assignments writes it")
    if glob.has_magic(str(folder)):
        parser.error(f"nbgrader takes *, ? and [ in a course folder's name for patterns: {folder}")
    students, strays = submissions(folder, name)
    if not students:
        parser.error(f"nothing was submitted for {name} in {folder / 'submitted'}")

    print(f"containment: {contained(options.contain)}", flush=True)
    ended = {}
    for student in students:
        # what was graded before must not pass for the result of this run
        for part in ("autograded", "feedback"):
            shutil.rmtree(folder / part / student / name, ignore_errors=True)
        ended[student] = strays.get(student) or grade(folder, name, student, options)
        print(f"{printable(student):<24} {printable(ended[student])}", flush=True)
    give_feedback(folder, name, options.nbgrader, 60 * len(students))

    failed = [student for student in students if not ended[student].startswith("graded")]
    named = [student for student in failed if student.isprintable()]
    entries = points(folder, name, named, options.nbgrader)
    write_grades(folder / "grades.csv", entries)
    rows = {e["row"]["student_id"]: e for e in entries if e["row"]["assignment"] == name}
    print(f"\n{'student':<24} {'points':>6}  of     how it ended")
    for student in students:
        entry = rows.get(student, {"row": {}, "ungraded": []})
        if student not in failed:
            if entry["ungraded"] is None or entry["ungraded"]:
                lacking = ", ".join(entry["ungraded"] or ["all"])
                ended[student] += f"; the gradebook has no points for: {lacking}"
            if not (folder / "feedback" / student / name / f"{name}.html").exists():
                ended[student] += "; no feedback page could be made"
        score, of = (float(entry["row"].get(key) or 0) for key in ("raw_score", "max_score"))
        print(f"{printable(student):<24} {score:>6g}  {of:<5g}  {printable(ended[student])}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
