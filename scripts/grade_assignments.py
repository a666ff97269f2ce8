"""Grade what students submitted, make their feedback pages, and write tables of the points.

    python scripts/grade_assignments.py NAME [NAME ...] [--course FOLDER] [--lms canvas|moodle]

Submissions lie in COURSE/submitted/STUDENT/NAME/NAME.ipynb, as nbgrader has it.
scripts/assignment_submission.py makes of each what nbgrader can grade; it is run by nbgrader in a
process of its own, whose kernel scripts/assignment_kernel.py contains, under a limit of time. What
this system cannot contain is said before anything is run, and grading goes on only when it is asked
for with --contain=weak. A cell that ends its kernel, or cannot be interrupted, is left out and the
rest run again, so that it costs its own question. Whatever one submission does, the next is graded
all the same; as many are run at a time as there are processor cores and memory for.

The course is backed up first. A submission that was graded before and has not changed since is not
run again, unless --again asks for it: so a run that was killed is taken up by the same command, and
after points were given by hand the same command writes them into pages and tables. Afterwards
COURSE/feedback/ has a page for each student, which needs no network, COURSE/grades.csv the points,
and with --lms a table for a learning platform; the table that is printed says for every student how
the run ended.
"""

import argparse
import concurrent.futures
import ctypes
import glob
import hashlib
import json
import multiprocessing
import os
import re
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unicodedata
from pathlib import Path

import assignment_cells
import assignment_course
import assignment_pages
import assignment_submission
import assignment_tables
import drop_stale_build
import make_assignments
from make_assignments import COURSE, NBGRADER, ROOT, environment

# What nbconvert's page would fetch: MathJax and its like. The assignments have no formulas in TeX.
OUTSIDE = re.compile(
    r"<script[^>]*\bsrc=[\"']https?://[^>]*>\s*</script>|<link[^>]*https?://[^>]*>"
)
MATHJAX = re.compile(r"<!-- Load mathjax -->.*?<!-- End of mathjax configuration -->", re.DOTALL)
# How many cells of a submission are left out, one after another, because they ended its kernel. An
# assignment asks at most seven questions that are run.
LEFT_OUT = 7
# nbgrader takes 0.3 GB itself; the rest is for what a submission prints, and keeps it from more.
NBGRADER_MEMORY, NBGRADER_FILE = 4 * 2**30, 256 * 2**20
# What is counted for a submission when it is decided how many run at a time: an honest one takes
# less than 1.5 GB with both frameworks, one that fills its memory up to assignment_kernel.MEMORY.
ONE_KERNEL = 4 * 2**30
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


def dies_with_its_parent():
    """Have this process ended when the one that started it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def modest():
    """nbgrader's own process must not fill the machine with what it is sent, nor outlive us."""
    dies_with_its_parent()
    for limit, most in (
        (resource.RLIMIT_AS, NBGRADER_MEMORY),
        (resource.RLIMIT_FSIZE, NBGRADER_FILE),
    ):
        try:
            resource.setrlimit(limit, (most, resource.getrlimit(limit)[1]))
        except ValueError:
            pass  # it is set lower already, or this system does not know it


SERVER = None  # nbgrader, started once for each process that grades


def run(arguments, folder, nbgrader, limit, extra=None):
    """Run nbgrader; its exit status (None if it took too long), and what it said."""
    global SERVER
    if SERVER is None:
        SERVER = subprocess.Popen(
            [nbgrader, ROOT / "scripts" / "assignment_nbgrader.py"],
            env={**environment(folder, nbgrader), "SAEBOOK_GRADING": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=modest,
        )
    order = {
        "arguments": arguments,
        "folder": str(folder),
        "environment": {
            **environment(folder, nbgrader), "SAEBOOK_GRADING": "1", **(extra or {})
        },
        "limit": limit,
    }  # fmt: skip
    try:
        SERVER.stdin.write(json.dumps(order) + "\n")
        SERVER.stdin.flush()
        # it keeps the limit itself; it is ended where it does not even answer
        if not select.select([SERVER.stdout], [], [], limit + 10)[0]:
            raise OSError("no answer")
        answer = json.loads(SERVER.stdout.readline())
        return answer["status"], answer["said"]
    except (OSError, ValueError):
        stop_server()
        return None, ""


def stop_server():
    global SERVER
    if SERVER is not None:
        try:
            os.killpg(SERVER.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        SERVER.wait()
        SERVER = None


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
        **shared_out(options),
    }
    status, said = run(
        ["autograde", name, "--create", "--force"], folder, options.nbgrader, limit, extra
    )
    begun = json.loads(progress.read_text("utf8")) if progress.exists() else None
    return status, said, begun


def shared_out(options):
    """Threads and memory for one kernel of several that run at a time."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = str(max(1, cores // options.jobs))
    names = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"]
    names += ["TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"]
    return {name: os.environ.get(name, threads) for name in names} if options.jobs > 1 else {}


def at_a_time():
    """How many submissions to run at a time: for each a core, and the memory it may take."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        said = Path("/proc/meminfo").read_text()
        free = int(re.search(r"MemAvailable: +(\d+)", said)[1]) * 1024
    except (OSError, TypeError):
        return min(cores, 2)
    return max(1, min(cores, int(free // ONE_KERNEL)))


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
        prepared = place / "submitted" / student / name / f"{name}.ipynb"
        identity, said = whose(student, prepared, options.roster)
        remarks += said
        while True:
            left = options.limit - (time.monotonic() - begun_at)
            status, said, cell = attempt(
                folder, name, place / "submitted", place / f"{len(left_out)}",
                labels, list(left_out), options, left, identity,
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


def whose(student, notebook, roster):
    """The id that a submission's own numbers are made from, and a remark where there is doubt.

    It is that of the folder, unless the student typed another that the roster knows as his own."""
    typed = assignment_submission.typed_id(json.loads(notebook.read_text("utf8"))["cells"])
    folder = unicodedata.normalize("NFC", student).strip().lower()
    meant = unicodedata.normalize("NFC", typed).strip().lower()
    if not meant or meant in (folder, *roster.get(folder, {"known": ()})["known"]):
        return typed or student, []
    other = ", the id of another student" if meant in roster else ""
    return student, [
        f"STUDENT_ID is {typed!r}{other}; graded with the numbers of {student!r}, the folder's name"
    ]


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


def give_feedback(folder, name, pages, options):
    """Let nbgrader write feedback pages; `pages` has for each student a notebook that is made to be
    shown, and the questions that nobody has read yet. Returns those who have a page now."""
    with tempfile.TemporaryDirectory(prefix="feedback-") as place:
        for student, (notebook, _) in pages.items():
            path = Path(place, "autograded", student, name, f"{name}.ipynb")
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps(notebook), "utf8")
        settings = Path(place, "settings")
        settings.mkdir()
        shown = str(Path(place, "autograded"))
        text = f"{FOUND}\nc.CourseDirectory.autograded_directory = {shown!r}\n"
        (settings / "nbgrader_config.py").write_text(text, "utf8")
        extra = {"JUPYTER_CONFIG_DIR": str(settings)}
        arguments = ["generate_feedback", name, "--force"]
        run(arguments, folder, options.nbgrader, 60 * (1 + len(pages)), extra)
    return [s for s, (_, pending) in pages.items() if finish(folder, name, s, pending)]


def finish(folder, name, student, pending):
    """Take out of a feedback page what it would fetch, and the zeros of what is not read yet."""
    page = folder / "feedback" / student / name / f"{name}.html"
    if not page.exists():
        return False
    os.chmod(page, 0o644)
    text = OUTSIDE.sub("", MATHJAX.sub("", page.read_text("utf8")))
    for question in map(re.escape, pending):
        text = re.sub(
            rf'(<a href="#{question}">[^<]*</a>) \(Score: [^)]*\)', r"\1 (not read yet)", text
        )
        text = re.sub(
            rf'(<a name="{question}"></a>.*?)Score: [\d.]+ (/ [\d.]+)',
            r"\1not read yet \2", text, count=1, flags=re.DOTALL,
        )  # fmt: skip
    if pending:
        so_far = r"\1Score so far: \2"
        text = re.sub(r"(<h4>[^<]*\()Score: ([\d.]+ / [\d.]+\)</h4>)", so_far, text, count=1)
    page.write_text(text, "utf8")
    return True


def feedback(folder, name, students, entries, pool, options):
    """Make anew those feedback pages whose notebook, points or comments have changed."""
    source = json.loads((folder / "source" / name / f"{name}.ipynb").read_text("utf8"))
    passed = assignment_course.passed(folder, name)
    folders = {
        f"{prefix}{os.sep}": ""
        for path in (folder, ROOT, Path(sys.prefix), Path(sys.base_prefix), Path.home())
        for prefix in (str(path), str(path.resolve()))
        if prefix != os.sep
    }
    folders |= {"/tmp/submission/": "", "lib/python3.11/site-packages/": ""}
    settings = [path.read_text("utf8") for path in sorted(folder.glob("*_config.py"))]
    wanted, marks = {}, {}
    for student in students:
        if not result(folder, name, student).exists():
            continue
        graded = json.loads(result(folder, name, student).read_text("utf8"))
        page = assignment_pages.for_student(graded, source, passed, folders)
        entry = entries[student]
        shown = [page, entry["grades"], entry["row"]["score"], entry["pending"], settings]
        told = json.dumps(shown)
        marks[student] = hashlib.sha256(told.encode()).hexdigest()
        known = assignment_course.read_record(folder, name, student).get("feedback")
        made = folder / "feedback" / student / name / f"{name}.html"
        if marks[student] != known or not made.exists():
            wanted[student] = page, entry["pending"]
    several = sorted(wanted)
    # a dozen for a process: what is done is kept if grading is killed, and it takes 2 s to start
    size = max(1, min(12, -(-len(several) // options.jobs)))
    slices = [several[k : k + size] for k in range(0, len(several), size)]
    futures = [
        pool.submit(give_feedback, folder, name, {s: wanted[s] for s in part}, options)
        for part in slices
    ]
    for future in concurrent.futures.as_completed(futures):
        for student in future.result():
            record = assignment_course.read_record(folder, name, student)
            record["feedback"] = marks[student]
            assignment_course.write_record(folder, name, student, record)
    return len(several)


def points(folder, nbgrader, **order):
    """What the gradebook has, after what the order asks for; see scripts/assignment_points.py."""
    read = subprocess.run(
        [nbgrader, ROOT / "scripts" / "assignment_points.py"],
        cwd=folder,
        env={**environment(folder, nbgrader), "SAEBOOK_GRADING": "1"},
        input=json.dumps({"gradebook": str(folder / "gradebook.db"), **order}),
        capture_output=True,
        text=True,
        check=False,
    )
    if read.returncode:
        sys.exit(f"the gradebook of {folder} could not be read:\n{read.stderr[-2000:]}")
    return json.loads(read.stdout)


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
    """What is contained, as a sentence, and the way to go; ends the run where it is not agreed."""
    probe = [sys.executable, ROOT / "scripts" / "assignment_kernel.py", "--probe"]
    lacks = json.loads(subprocess.run(probe, capture_output=True, text=True, check=True).stdout)
    if lacks and wanted == "full":
        said = f"containment: this system does not give {'; nor '.join(lacks)}."
        means = (
            "a submission can then read and write what you can, and use the network; only limits "
            "hold, and your environment is hidden."
        )
        if not sys.stdin.isatty():
            sys.exit(
                f"{said}\nNothing was run. With --contain=weak it is run all the same: {means}"
            )
        print(f"{said}\nIt can be run all the same: {means}")
        if input("Run it? [y/N] ").strip().lower() not in ("y", "yes"):
            sys.exit("Nothing was run.")
        wanted = "weak"
    if wanted == "weak":
        return "weak: files, processes and the network are not contained", "weak"
    return "full" if os.geteuid() == 0 else "full, under your own user id", "full"


# Answers that a person has read, and that need not be read again


def answers(folder, name, student, questions):
    """A number for the text of each answer, as it was graded last."""
    path = result(folder, name, student)
    if not questions or not path.exists():
        return {}
    cells = json.loads(path.read_text("utf8"))["cells"]
    texts = {assignment_pages.own(c).get("grade_id"): assignment_pages.text(c) for c in cells}
    return {q: assignment_cells.fingerprint(texts[q]) for q in questions if q in texts}


def grade_anew(folder, name, student, stray, of, read, options):
    """Grade one submission, and note for which one the points are; in words, how that ended."""
    before = assignment_course.read_record(folder, name, student).get("settled", {})
    settled = {**before, **answers(folder, name, student, read)}
    # from here on, until all is written, this student counts as not graded
    assignment_course.write_record(folder, name, student, {"settled": settled})
    for part in ("autograded", "feedback"):
        shutil.rmtree(folder / part / student / name, ignore_errors=True)
    ended = stray or grade(folder, name, student, options)
    path = result(folder, name, student)
    if ended.startswith("graded"):
        source = json.loads((folder / "source" / name / f"{name}.ipynb").read_text("utf8"))
        notebook = json.loads(path.read_text("utf8"))
        path.chmod(0o644)
        path.write_text(json.dumps(assignment_pages.for_marker(notebook, source)), "utf8")
        record = {"of": of, "ended": ended, "settled": settled}
        assignment_course.write_record(folder, name, student, record)
    return ended


def asked(folder, name, options):
    """The students whose submissions are to be looked at."""
    students = submissions(folder, name)[0]
    return [s for s in students if not options.student or s in options.student]


def grade_all(folder, name, entries, pool, options):
    """Grade what is new or changed of an assignment; how it ended, for each student."""
    strays = submissions(folder, name)[1]
    students = asked(folder, name, options)
    if options.student and (missing := set(options.student) - set(students)):
        raise assignment_course.Faulty(f"nothing of {name} from {', '.join(sorted(missing))}")
    if not students:
        where = folder / "submitted"
        raise assignment_course.Faulty(f"nothing was submitted for {name} in {where}")
    ended, futures = {}, {}
    for student in students:
        of = assignment_course.digest(
            folder / "submitted" / student / name,
            folder / "source" / name,
            folder / "release" / name,
        )
        record = assignment_course.read_record(folder, name, student)
        done = record.get("of") == of and result(folder, name, student).exists()
        if done and not options.again:
            ended[student] = record["ended"]
            continue
        read = entries.get((name, student), {}).get("read", [])
        job = (folder, name, student, strays.get(student), of, read, options)
        futures[pool.submit(grade_anew, *job)] = student
    kept = len(ended)
    if kept:
        print(f"{name}: {kept} graded before and not changed since (--again runs them too)")
    for number, future in enumerate(concurrent.futures.as_completed(futures), 1):
        student = futures[future]
        try:
            ended[student] = future.result()
        except Exception as error:
            ended[student] = f"stopped: {type(error).__name__}: {error}"
        shown = f"{printable(student):<24} {printable(ended[student])}"
        print(f"{number}/{len(futures)} {shown}", flush=True)
    return {student: ended[student] for student in students}, set(futures.values())


def show(name, ended, entries, folder):
    """Print the points of an assignment, and how each run ended."""
    print(f"\n{name}\n{'student':<24} {'points':>6}  of     how it ended")
    for student, said in ended.items():
        entry = entries.get((name, student), {"row": {}, "ungraded": []})
        if said.startswith("graded"):
            if entry["ungraded"] is None or entry["ungraded"]:
                lacking = ", ".join(entry["ungraded"] or ["all"])
                said += f"; the gradebook has no points for: {lacking}"
            if not (folder / "feedback" / student / name / f"{name}.html").exists():
                said += "; no feedback page could be made"
        score, of = (float(entry["row"].get(key) or 0) for key in ("raw_score", "max_score"))
        print(f"{printable(student):<24} {score:>6g}  {of:<5g}  {printable(said)}")
    pending = [q for (n, s), e in entries.items() if n == name and s in ended for q in e["pending"]]
    if pending:
        count = ", ".join(f"{q} of {pending.count(q)}" for q in dict.fromkeys(pending))
        print(f"To be read by a person, and not in the points yet: {count}.")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("assignment", nargs="+", help="an assignment's name, for example: theory")
    parser.add_argument("--course", type=Path, default=COURSE, help="the course folder")
    parser.add_argument("--nbgrader", type=Path, default=NBGRADER, help="nbgrader's Python")
    parser.add_argument("--limit", type=int, default=1800, help="seconds for a submission")
    parser.add_argument("--jobs", type=int, help="how many at a time; as many as there are cores")
    parser.add_argument("--student", action="append", help="only this one; may be given again")
    parser.add_argument("--again", action="store_true", help="also what has not changed since")
    parser.add_argument(
        "--lms", choices=assignment_tables.LMS, help="also write a table for a learning platform"
    )
    parser.add_argument(
        "--contain",
        choices=("full", "weak"),
        default=os.environ.get("SAEBOOK_CONTAIN", "full"),
        help="weak: go on where this system cannot contain submissions",
    )
    options = parser.parse_args(arguments)
    options.nbgrader = options.nbgrader.absolute()  # not resolved: it is a link in its environment
    options.jobs = max(1, options.jobs or at_a_time())
    if options.course == COURSE:
        drop_stale_build.rescue(ROOT)
    folder = options.course.resolve()
    for name in options.assignment:
        if not (folder / "release" / name / f"{name}.ipynb").is_file():
            parser.error(f"no assignment {name} in {folder / 'release'}; make assignments makes it")
    if glob.has_magic(str(folder)):
        parser.error(f"nbgrader takes *, ? and [ in a course folder's name for patterns: {folder}")
    try:
        with assignment_course.locked(folder):
            return grade_course(folder, options)
    except assignment_course.Faulty as error:
        parser.error(str(error))


def grade_course(folder, options):
    options.roster = assignment_course.roster(folder)
    dates = {name: date.isoformat() for name, date in assignment_course.due(folder).items()}
    people = {
        student: {key: entry[key] for key in ("last_name", "first_name", "email")}
        for student, entry in options.roster.items()
    }
    said, options.contain = contained(options.contain)
    print(f"containment: {said}", flush=True)
    print(f"at a time: {options.jobs}", flush=True)
    make_assignments.course(folder, nbgrader=options.nbgrader)
    if kept := assignment_course.backup(folder):
        print(f"backed up: {kept}", flush=True)
    entries = points(folder, options.nbgrader, students=people, due=dates)
    entries = {(e["row"]["assignment"], e["row"]["student_id"]): e for e in entries}

    # each process starts nbgrader once: no more of them than there is work for
    most = max(len(asked(folder, name, options)) for name in options.assignment)
    options.jobs = max(1, min(options.jobs, most))
    fork = multiprocessing.get_context("fork")
    ended, failed, settled = {}, {}, {}
    with concurrent.futures.ProcessPoolExecutor(options.jobs, fork, dies_with_its_parent) as pool:
        for name in options.assignment:
            ended[name], anew = grade_all(folder, name, entries, pool, options)
            failed[name] = [
                student
                for student, how in ended[name].items()
                if not how.startswith("graded") and student.isprintable()
            ]
            settled[name] = {}
            for student in anew:
                before = assignment_course.read_record(folder, name, student).get("settled", {})
                now = answers(folder, name, student, before)
                settled[name][student] = [q for q in now if now[q] == before[q]]
        entries = points(folder, options.nbgrader, failed=failed, settled=settled)
        entries = {(e["row"]["assignment"], e["row"]["student_id"]): e for e in entries}
        for name in options.assignment:
            graded = {s: entries[name, s] for s, how in ended[name].items() if how[0] == "g"}
            feedback(folder, name, list(graded), graded, pool, options)

    assignment_tables.write_grades(folder, entries)
    for name in options.assignment:
        show(name, ended[name], entries, folder)
    strangers = {s for how in ended.values() for s in how} - set(options.roster)
    if options.roster and strangers:
        print(f"Not in roster.csv: {', '.join(map(printable, sorted(strangers)))}.")
    if options.lms:
        path = assignment_tables.write_lms(folder, options.lms, entries, options.roster)
        print(
            f"For {options.lms.capitalize()}: {path}; what is to be read yet is left empty there."
        )
    stopped = any(not how.startswith("graded") for all_ in ended.values() for how in all_.values())
    return 1 if options.student and stopped else 0


if __name__ == "__main__":
    sys.exit(main())
