"""Make the assignments of assignments/NAME/NAME.md: what students get, and what instructors keep.

    python scripts/make_assignments.py [NAME ...]    (without names: all)

Into course/, which is a course folder of nbgrader (scripts/assignment_course.py has its parts):

    release/    for students: without solutions, hidden tests and model answers
    solution/   for instructors: with all of them
    source/     what both are made from
    gradebook.db, nbgrader_config.py    what grades submissions, see scripts/grade_assignments.py
    roster.csv, due.csv                 to be filled in: who takes part, and until when

An assignment that someone has handed in already is left as it is, unless --again asks for it: it
has to be graded as it was handed out. A source says only what differs from cell to cell. Filled in
here are nbgrader's other fields and the first cells, which say how to install, run and hand in,
install the package on Colab, and hold the student's id and framework.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import assignment_course
import drop_stale_build
import jupytext
import nbformat
import yaml

import saebook

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "assignments"
COURSE = assignment_course.COURSE
NBGRADER = ROOT / ".venv-nbgrader" / "bin" / "python"

COLAB_CELL = """\
# On Google Colab, install the book's package; elsewhere this cell does nothing.
import sys

if "google.colab" in sys.modules:
    %pip install --quiet "saebook[chapters] @ git+{url}@{tag}"
"""
STUDENT_CELL = """\
STUDENT_ID = ""  # the id you are registered with; your numbers are made from it
FRAMEWORK = "torch"  # or "tensorflow"; "numpy" where nothing is trained or differentiated
"""
HOW_TO = """\
**Install.** On Colab there is nothing to do: the first cell installs what is needed. On a machine
of your own you need Python 3.10 to 3.13, and in an environment of its own

    pip install notebook "saebook[chapters,torch] @ git+{url}@{tag}"

with `tensorflow` in place of `torch` if that is your framework; one of the two is enough.

**Run.** Write your id and your framework into the second cell of code, and your answers into the
cells that are there; you may add others, but do not copy or delete those. Run a cell with
Shift-Enter; the cell below an answer checks it and says what is wrong. Before you hand in, restart
the kernel and run all cells from the top.

**Hand in** this one file, under its name `{name}.ipynb` (on Colab: *File, Download, Download
.ipynb*), where your course collects it.
"""
CONFIG = """\
# Written anew by scripts/make_assignments.py and scripts/grade_assignments.py. Settings of your own
# go into own_config.py beside this file.
import os
import re
import subprocess

import bleach
from jinja2 import pass_context
from nbconvert.exporters import HTMLExporter

here = os.path.dirname(os.path.abspath(__file__))
c = get_config()
c.CourseDirectory.course_id = "saebook"
# several submissions are graded at a time: each waits for its turn to write
c.CourseDirectory.db_url = f"sqlite:///{here}/gradebook.db?timeout=120"
c.IncludeHeaderFooter.header = ""
# Seconds for a cell, by the clock: for one that waits. One that computes is stopped after 30 s
# of processor time (scripts/assignment_cells.py), so that a busy machine costs nobody points.
c.Execute.timeout = 120
c.Execute.startup_timeout = 120
c.OverwriteCells.add_missing_cells = True  # a test that was deleted is put back
c.LimitOutput.max_lines = 200
c.LimitOutput.max_traceback = 30
# What students wrote or printed must not run in the browser of who reads it, nor fetch anything.
# nbconvert's own cleaning knows no paragraphs, and nbgrader's templates do not ask for it where
# they show an answer.
TAGS = {
    *"a abbr b blockquote br caption code del dd div dl dt em figcaption figure h1 h2 h3".split(),
    *"h4 h5 h6 hr i img kbd li ol p pre q s samp small span strong sub sup table tbody td".split(),
    *"tfoot th thead tr u ul".split(),
}


def allowed(tag, name, value):
    if name == "src":
        return value.startswith("data:image/")
    return name in ("alt", "class", "colspan", "href", "id", "rowspan", "scope", "title")


def clean(html):
    html = html.decode() if isinstance(html, bytes) else str(html)
    html = re.sub(r"(?is)<(script|style)\\b.*?(</\\1\\s*>|\\Z)", "", html)
    return bleach.clean(
        html, TAGS, allowed, protocols={"http", "https", "mailto", "data"}, strip=True
    )


c.HTMLExporter.sanitize_html = True
c.HTMLExporter.filters = {"clean_html": clean}
if not hasattr(HTMLExporter, "uncleaned"):
    HTMLExporter.uncleaned = HTMLExporter.markdown2html
    HTMLExporter.markdown2html = pass_context(
        lambda self, context, source: clean(self.uncleaned(context, source))
    )

# nbgrader's own way to autograde runs a submission in any kernel called python3, uncontained. The
# button of Formgrader goes the way of scripts/grade_assignments.py instead; the command refuses.
if "SAEBOOK_GRADING" not in os.environ:
    from nbgrader.apps.api import NbGraderAPI
    from nbgrader.converters import Autograde
    from nbgrader.converters.base import NbGraderException

    def autograde(self, assignment_id, student_id, force=True, create=True):
        command = [*@COMMAND@, assignment_id, "--course", here, "--student", student_id, "--again"]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            text=True, errors="replace",
        )
        if done.returncode == 0:
            return {"success": True, "log": done.stdout}
        return {"success": False, "error": done.stdout, "log": done.stdout}

    def refuse(self):
        said = "would run submissions uncontained, without the package; use make grade NAME=..."
        self.log.error("nbgrader autograde %s", said)
        raise NbGraderException(said)

    NbGraderAPI.autograde = autograde
    Autograde.start = refuse

if os.path.exists(os.path.join(here, "own_config.py")):
    with open(os.path.join(here, "own_config.py")) as file:
        exec(file.read())
"""
# What generates all releases in one process of nbgrader's.
GENERATE = """\
import sys

from nbgrader.apps.api import NbGraderAPI
from nbgrader.apps.baseapp import NbGrader

app = NbGrader()
app.load_config_file()
api = NbGraderAPI(config=app.config)
for name in sys.argv[1:]:
    result = api.generate_assignment(name, force=True, create=True)
    if not result["success"]:
        said = result.get("log", "")[-3000:]
        sys.exit(f"nbgrader could not make the assignment {name}:\\n{said}")
"""
# What is asked by the test cells that do not test functions.
KINDS = {"test_number": "number", "test_fault": "fault", "test_curve": "curve"}
# What nbgrader wants to be told of every cell of its own.
DEFAULTS = {"schema_version": 3, "grade": False, "solution": False, "locked": False, "task": False}


def names(sources=SOURCES):
    """The assignments that there are."""
    return sorted(path.stem for path in sources.glob("*/*.md") if path.stem == path.parent.name)


def source(name, sources=SOURCES):
    """An assignment as a notebook of nbgrader's format, with solutions and hidden tests."""
    repository = yaml.safe_load((ROOT / "_config.yml").read_text("utf8"))["repository"]
    told = {**repository, "tag": f"v{saebook.__version__}", "name": name}
    first = [COLAB_CELL.format(**told), STUDENT_CELL]
    cells = [nbformat.v4.new_code_cell(text.strip()) for text in first]
    for cell in jupytext.read(sources / name / f"{name}.md").cells:
        own = cell.metadata.get("nbgrader")
        if own is not None:
            test = own.get("grade", False) and not own.get("solution", False)
            cell.metadata["nbgrader"] = {**DEFAULTS, "locked": test, **own}
        cells.append(cell)
    for number, cell in enumerate(cells):
        cell["id"] = f"{name.replace('_', '-')}-{number}"
    title, *rest = cells[2].source.split("\n")
    cells[2].source = "\n".join(rest).strip()
    title = f"{title}\n\n{HOW_TO.format(**told).strip()}"
    cells.insert(0, nbformat.v4.new_markdown_cell(title, id=f"{name.replace('_', '-')}-title"))
    metadata = {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python"},
    }
    return nbformat.v4.new_notebook(cells=cells, metadata=metadata)


def questions(name, sources=SOURCES):
    """What is asked in an assignment: title, points, minutes, difficulty, objective, kind."""
    found = []
    for cell in source(name, sources).cells:
        if "question" in cell.metadata:
            own = cell.metadata["nbgrader"]
            kind = KINDS.get(own["grade_id"], "code")
            kind = "written" if own["solution"] else kind
            found.append({**cell.metadata["question"], "points": own["points"], "kind": kind})
    return found


def course(folder, python=sys.executable, nbgrader=NBGRADER):
    """Lay out a course folder: nbgrader's settings, and a kernel in the package's Python."""
    folder.mkdir(parents=True, exist_ok=True)
    here = Path(__file__).parent
    command = [python, here / "grade_assignments.py", "--nbgrader", Path(nbgrader).absolute()]
    config = CONFIG.replace("@COMMAND@", repr([str(part) for part in command]))
    (folder / "nbgrader_config.py").write_text(config, "utf8")
    kernel = folder / ".jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True, exist_ok=True)
    argv = [str(python), str(here / "assignment_kernel.py"), "{connection_file}"]
    spec = {"argv": argv, "display_name": "Python 3", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(spec))


def tables(folder, chosen):
    """Begin the tables that a person fills in; a row for each assignment that has none yet."""
    roster, due = folder / "roster.csv", folder / "due.csv"
    if not roster.exists():
        roster.write_text(",".join(assignment_course.ROSTER) + "\n", "utf8")
    if not due.exists():
        due.write_text("assignment,due\n", "utf8")
    known = {row.get("assignment") for row in assignment_course.read_csv(due)[0]}
    with open(due, "a", newline="", encoding="utf8") as file:
        rows = [[name, ""] for name in chosen if name not in known]
        csv.writer(file, lineterminator="\n").writerows(rows)


def write_sources(folder, chosen, sources=SOURCES):
    """Write the notebooks with solutions: nbgrader's source, and the same for instructors."""
    for name in chosen:
        notebook = source(name, sources)
        for part in ("source", "solution"):
            path = folder / part / name / f"{name}.ipynb"
            path.parent.mkdir(parents=True, exist_ok=True)
            nbformat.write(notebook, path)


def environment(folder, nbgrader=NBGRADER):
    """Environment variables for nbgrader: where the kernel is found, and nothing of the user's."""
    return {
        **os.environ,
        "PATH": f"{Path(nbgrader).parent}{os.pathsep}{os.environ['PATH']}",  # it calls alembic
        "JUPYTER_PATH": str(folder / ".jupyter"),
        "JUPYTER_CONFIG_DIR": str(folder / ".jupyter"),
        "PYTHONWARNINGS": "ignore",
    }


def generate(folder, chosen, nbgrader=NBGRADER):
    """Let nbgrader make the students' release of each assignment, and note it in the gradebook."""
    result = subprocess.run(
        [nbgrader, "-c", GENERATE, *chosen],
        cwd=folder,
        env=environment(folder, nbgrader),
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        sys.exit(result.stderr[-3000:])


def handed_in(folder, name):
    """Whether someone has handed in this assignment already."""
    return any(folder.glob(f"submitted/*/{name}"))


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("assignment", nargs="*", help="an assignment's name, for example: theory")
    parser.add_argument("--course", type=Path, default=COURSE, help="the course folder to write")
    parser.add_argument(
        "--sources", type=Path, default=SOURCES, help="a folder of your own with NAME/NAME.md in it"
    )
    parser.add_argument("--nbgrader", type=Path, default=NBGRADER, help="nbgrader's Python")
    parser.add_argument(
        "--again", action="store_true", help="also make those anew that someone has handed in"
    )
    options = parser.parse_args(arguments)
    options.nbgrader = options.nbgrader.absolute()  # which runs in the course, a link not resolved
    sources = options.sources.resolve()
    there = names(sources)
    if not there:
        parser.error(f"no NAME/NAME.md in {sources}")
    if unknown := set(options.assignment) - set(there):
        parser.error(f"no assignment {', '.join(unknown)}; there are: {', '.join(there)}")
    if options.course == COURSE:
        drop_stale_build.rescue(ROOT)
    chosen, folder = options.assignment or there, options.course.resolve()
    course(folder, nbgrader=options.nbgrader)
    left = [name for name in chosen if handed_in(folder, name) and not options.again]
    chosen = [name for name in chosen if name not in left]
    if chosen:
        assignment_course.backup(folder)
        write_sources(folder, chosen, sources)
        generate(folder, chosen, options.nbgrader)
    tables(folder, chosen)
    for name in chosen:
        asked = questions(name, sources)
        points, minutes = (sum(q[key] for q in asked) for key in ("points", "minutes"))
        print(f"{name:<20} {len(asked)} questions, {points} points, {minutes} minutes")
    for name in left:
        print(f"{name:<20} left as it is: it was handed in by students; --again makes it anew")
    print(f"For students: {folder / 'release'}\nFor instructors: {folder / 'solution'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
