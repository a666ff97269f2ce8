"""A class graded in one run that is killed in the middle: time, memory, and that nothing is lost.

    python benchmarks/classroom.py [--students 200] [--jobs 2] [--course FOLDER]

The class hands in the assignment on superposition: right answers in NumPy and both frameworks,
half-right ones, mistaken ones, empty notebooks, and one that ends its kernel, mixed over the ids.
Grading is killed with all that it started when a bit less than half are done, and begun again by
the same command. What each ought to get is known beforehand; of every kind one is also graded
alone, in a course of its own. Reads /proc, so it needs Linux, and nbgrader (`make assignments`).
"""

import argparse
import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAME = "superposition"
BY_TORCH = {
    "mmcs": """
def mean_max_cosine(planted, learned):
    planted = torch.nn.functional.normalize(planted, dim=1)
    learned = torch.nn.functional.normalize(learned, dim=1)
    return (planted @ learned.T).amax(1).mean()
""",
    "fvu": """
def fvu(x, x_hat):
    return torch.sum((x_hat - x) ** 2) / torch.sum((x - x.mean(0)) ** 2)
""",
}
BY_TENSORFLOW = {
    "mmcs": """
def mean_max_cosine(planted, learned):
    cosines = tf.linalg.matmul(
        tf.math.l2_normalize(planted, 1), tf.math.l2_normalize(learned, 1), transpose_b=True
    )
    return tf.reduce_mean(tf.reduce_max(cosines, axis=1))
""",
    "fvu": """
def fvu(x, x_hat):
    return tf.reduce_sum((x_hat - x) ** 2) / tf.reduce_sum((x - tf.reduce_mean(x, 0)) ** 2)
""",
}
INNER = """
def mean_max_cosine(planted, learned):
    return (planted @ learned.T).max(1).values.mean()
"""
ABOUT_ZERO = """
def fvu(x, x_hat):
    return tf.reduce_sum((x_hat - x) ** 2) / tf.reduce_sum(x**2)
"""
FATAL = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"
# What students of each kind hand in: framework, the cells that are not the model solution's, and
# the points that they get (10 can be had without a person).
KINDS = {
    "right": ("torch", {}, 10),
    "right in PyTorch": ("torch", BY_TORCH, 10),
    "right in TensorFlow": ("tensorflow", BY_TENSORFLOW, 10),
    "half": ("torch", {"number": ("answers['cosine'] = 0", 1), "fault": ("value = None", 1)}, 7),
    "inner products": ("torch", {"mmcs": INNER}, 7),
    "about zero": ("tensorflow", {**BY_TENSORFLOW, "fvu": ABOUT_ZERO}, 8),
    "both": (
        "torch",
        {"mmcs": INNER, "fault": "line, value = None, 0.5", "number": "answers = {}"},
        2,
    ),
    "empty": ("torch", None, 0),
}
ONE = {"ends its kernel": ("torch", {"fvu": FATAL}, 8)}


def notebook(course, student, kind):
    """The release with the answers of a kind filled in."""
    framework, changed, _ = {**KINDS, **ONE}[kind]
    held = json.loads((course / "release" / NAME / f"{NAME}.ipynb").read_text("utf8"))
    solved = json.loads((course / "solution" / NAME / f"{NAME}.ipynb").read_text("utf8"))

    def mark(cell):
        return cell["metadata"].get("nbgrader", {}).get("grade_id")

    solution = {
        mark(cell): "".join(cell["source"])
        for cell in solved["cells"]
        if cell["metadata"].get("nbgrader", {}).get("solution")
    }
    for cell in held["cells"]:
        if "".join(cell["source"]).startswith("STUDENT_ID"):
            cell["source"] = f"STUDENT_ID, FRAMEWORK = {student!r}, {framework!r}"
        elif changed is not None and mark(cell) in solution:
            answer = changed.get(mark(cell), solution[mark(cell)])
            more = isinstance(answer, tuple)
            cell["source"] = f"{solution[mark(cell)]}\n{answer[0]}" if more else answer
    return held


def hand_in(course, who):
    for student, kind in who.items():
        path = course / "submitted" / student / NAME / f"{NAME}.ipynb"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(notebook(course, student, kind)), "utf8")


def make(course):
    command = [sys.executable, ROOT / "scripts/make_assignments.py", NAME, "--course", course]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def family(root):
    """A process and all that it started, by /proc."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found = [root]
    for pid in found:
        found += parents.get(pid, [])
    return found


def taken(pids):
    """Memory of some processes in GB, what they share counted once."""
    total = 0
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += int(re.search(r"^Pss: +(\d+)", text, re.MULTILINE)[1])
    return total / 2**20


def grade(course, *options, kill_after=None):
    """Grade; what was printed, seconds, most memory. Killed as soon as so many are done."""
    command = [sys.executable, ROOT / "scripts/grade_assignments.py", NAME, "--course", course]
    begun = time.monotonic()
    run = subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip
    most, over = [0.0], threading.Event()

    def watch():
        while not over.wait(0.5):
            most[0] = max(most[0], taken(family(run.pid)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    said = []
    for line in run.stdout:
        said.append(line)
        if kill_after and line.startswith(f"{kill_after}/"):
            started = family(run.pid)
            os.killpg(run.pid, signal.SIGKILL)
            time.sleep(5)
            alive = [pid for pid in started[1:] if Path(f"/proc/{pid}").exists()]
            print(f"killed after {kill_after}; of {len(started)} processes {len(alive)} are left")
            break
    over.set()
    watcher.join()
    run.wait()
    return "".join(said), time.monotonic() - begun, most[0]


def points(course):
    with open(course / "grades.csv", newline="", encoding="utf8") as file:
        return {row["student_id"]: float(row["raw_score"]) for row in csv.DictReader(file)}


def graded_alone(course, student, scratch):
    """The points of a submission in a course that has no other."""
    own = Path(scratch, f"alone-{student}")
    make(own)
    held = course / "submitted" / student
    shutil.copytree(held, own / "submitted" / student)
    grade(own, "--jobs=1")
    return points(own)[student]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--students", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--course", type=Path, help="a folder that is not there yet; it is kept")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        course = options.course or Path(scratch, "course")
        ids = [f"s{1000 + 7 * n}" for n in range(options.students)]
        kinds = list(KINDS)
        # a different order in each round, so that no kind sits at one place
        who = {s: kinds[(n + n // len(kinds)) % len(kinds)] for n, s in enumerate(ids)}
        who[ids[len(ids) // 3]] = next(iter(ONE))
        make(course)
        roster = ["student_id,last_name,first_name,email", *(f"{s},,,{s}@x.example" for s in ids)]
        (course / "roster.csv").write_text("\n".join(roster) + "\n")
        hand_in(course, who)
        jobs = f"--jobs={options.jobs}"
        done = int(len(ids) * 0.45)
        _, first, memory = grade(course, jobs, kill_after=done)
        said, second, more = grade(course, jobs)
        kept = re.search(r"(\d+) graded before", said)
        print(f"then taken up: {kept[1] if kept else 0} were graded before")
        print(f"{first:.0f} s and {second:.0f} s, at most {max(memory, more):.1f} GB")
        found = points(course)
        wanted = {student: {**KINDS, **ONE}[kind][2] for student, kind in who.items()}
        wrong = {s: (who[s], found.get(s), wanted[s]) for s in ids if found.get(s) != wanted[s]}
        pages = sum((course / f"feedback/{s}/{NAME}/{NAME}.html").exists() for s in ids)
        print(f"{len(found)} of {len(ids)} have points, {pages} a page; not as expected: {wrong}")
        _, third, _ = grade(course, jobs)
        same = points(course) == found
        print(f"once more, nothing being new: {third:.0f} s; the same points: {same}")
        # the last of each kind, so that half of them come after the kill
        alone = [next(s for s in reversed(ids) if who[s] == kind) for kind in {**KINDS, **ONE}]
        other = {student: graded_alone(course, student, scratch) for student in alone}
        apart = {s: (p, found[s]) for s, p in other.items() if p != found[s]}
        print(f"{len(other)} graded alone; other points than in the class: {apart}")
        lost = bool(wrong or apart or not same or pages != len(ids) or len(found) != len(ids))
    return int(lost)


if __name__ == "__main__":
    sys.exit(main())
