"""Grade what students submitted, one after another, and write feedback and grades.

    python scripts/grade_assignments.py NAME [--course FOLDER]

Submissions lie in COURSE/submitted/STUDENT/NAME/NAME.ipynb, as nbgrader has it. Each is run by
nbgrader in a process of its own, in which scripts/assignment_kernel.py contains it as far as the
system allows, under a limit of time. Whatever one submission does, the next is graded all the same.
Afterwards COURSE/feedback/ has a page for each student, which needs no network, COURSE/grades.csv
the points, and the table that is printed says for every student how the run ended.
"""

import argparse
import csv
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from make_assignments import COURSE, NBGRADER, ROOT, environment

# What nbconvert's page would fetch: MathJax and its like. The assignments have no formulas in TeX.
OUTSIDE = re.compile(
    r"<script[^>]*\bsrc=[\"']https?://[^>]*>\s*</script>|<link[^>]*https?://[^>]*>"
)
MATHJAX = re.compile(r"<!-- Load mathjax -->.*?<!-- End of mathjax configuration -->", re.DOTALL)


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


def grade(folder, name, student, nbgrader, limit):
    """Autograde one submission; in words, how that ended."""
    with tempfile.TemporaryDirectory(prefix="grading-") as place:
        scratch, runtime = Path(place, "scratch"), Path(place, "runtime")
        scratch.mkdir()
        runtime.mkdir(mode=0o700)
        hide = [folder, ROOT / "assignments", ROOT / "tests" / "classroom", ROOT / ".git"]
        extra = {
            "SAEBOOK_STUDENT_ID": student,
            "SAEBOOK_SCRATCH": str(scratch),
            "SAEBOOK_HIDE": os.pathsep.join(map(str, hide)),
            "JUPYTER_RUNTIME_DIR": str(runtime),
        }
        arguments = ["autograde", name, f"--student={student}", "--create", "--force"]
        status, said = run(arguments, folder, nbgrader, limit, extra)
    if status is None:
        return f"stopped: it took more than {limit} seconds"
    if status:
        return "stopped: " + reason(said)
    return "graded" + (", a cell ran out of time" if "Timeout waiting for" in said else "")


def reason(said):
    """The line of nbgrader's log that says most about a failure."""
    for words, meaning in (
        ("Kernel died", "its kernel died"),
        ("DeadKernelError", "its kernel died"),
        ("add_missing_grade_cells", "cells that nbgrader needs were deleted"),
        ("JSON", "the file is no notebook"),
        ("notebook was edited", "the file is no notebook"),
    ):
        if words in said:
            return meaning
    errors = [
        line for line in said.splitlines() if re.match(r"\S*(Error|Exception)\b", line.strip())
    ]
    return errors[-1].strip()[:100] if errors else "nbgrader gave no reason"


def offline(folder, name):
    """Take out of the feedback pages what they would fetch from elsewhere."""
    for page in folder.glob(f"feedback/*/{name}/*.html"):
        os.chmod(page, 0o644)
        text = page.read_text("utf8")
        page.write_text(OUTSIDE.sub("", MATHJAX.sub("", text)), "utf8")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("assignment", help="an assignment's name, for example: theory")
    parser.add_argument("--course", type=Path, default=COURSE, help="the course folder")
    parser.add_argument("--nbgrader", type=Path, default=NBGRADER, help="nbgrader's Python")
    parser.add_argument("--limit", type=int, default=300, help="seconds for a submission")
    options = parser.parse_args(arguments)
    folder, name = options.course.resolve(), options.assignment
    students = sorted(path.parent.name for path in folder.glob(f"submitted/*/{name}"))
    if not students:
        parser.error(f"nothing was submitted for {name} in {folder / 'submitted'}")

    probe = [sys.executable, ROOT / "scripts" / "assignment_kernel.py", "--probe"]
    kept = subprocess.run(probe, capture_output=True, text=True, check=True).stdout.strip()
    print(f"containment: {kept}", flush=True)
    ended = {}
    for student in students:
        # what was graded before must not pass for the result of this run
        shutil.rmtree(folder / "autograded" / student / name, ignore_errors=True)
        ended[student] = grade(folder, name, student, options.nbgrader, options.limit)
        print(f"{student:<24} {ended[student]}", flush=True)
    run(["generate_feedback", name, "--force"], folder, options.nbgrader, 60 * len(students))
    for student in students:
        page = folder / "feedback" / student / name / f"{name}.html"
        if ended[student].startswith("graded") and not page.exists():
            ended[student] += "; no feedback page could be made"
    offline(folder, name)
    run(["export"], folder, options.nbgrader, 120)

    with open(folder / "grades.csv", newline="") as file:
        rows = {r["student_id"]: r for r in csv.DictReader(file) if r["assignment"] == name}
    print(f"\n{'student':<24} {'points':>6}  of     how it ended")
    for student in students:
        row = rows.get(student, {})
        points = float(row.get("raw_score") or 0) if ended[student].startswith("graded") else 0.0
        print(
            f"{student:<24} {points:>6g}  {float(row.get('max_score') or 0):<5g}  {ended[student]}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
