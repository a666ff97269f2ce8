"""Make the assignments of assignments/NAME/NAME.md: what students get, and what instructors keep.

    python scripts/make_assignments.py [NAME ...]    (without names: all)

Into _build/assignments/, which is a course folder of nbgrader:

    release/    for students: without solutions, hidden tests and model answers
    solution/   for instructors: with all of them
    source/     what both are made from
    gradebook.db, nbgrader_config.py    what grades submissions, see scripts/grade_assignments.py

A source says only what differs from cell to cell. Filled in here are nbgrader's other fields and
the first two cells, which install the package on Colab and hold the student's id and framework.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import yaml

import saebook

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "assignments"
COURSE = ROOT / "_build" / "assignments"
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
CONFIG = """\
# Written by scripts/make_assignments.py.
c = get_config()
c.CourseDirectory.course_id = "saebook"
c.IncludeHeaderFooter.header = ""
c.Execute.timeout = 30  # seconds for a cell
c.Execute.startup_timeout = 120
c.OverwriteCells.add_missing_cells = True  # a test that was deleted is put back
c.LimitOutput.max_lines = 200
c.LimitOutput.max_traceback = 30
"""
# What nbgrader wants to be told of every cell of its own.
DEFAULTS = {"schema_version": 3, "grade": False, "solution": False, "locked": False, "task": False}


def names():
    """The assignments that there are."""
    return sorted(path.stem for path in SOURCES.glob("*/*.md") if path.stem == path.parent.name)


def source(name):
    """An assignment as a notebook of nbgrader's format, with solutions and hidden tests."""
    repository = yaml.safe_load((ROOT / "_config.yml").read_text("utf8"))["repository"]
    first = [COLAB_CELL.format(**repository, tag=f"v{saebook.__version__}"), STUDENT_CELL]
    cells = [nbformat.v4.new_code_cell(text.strip()) for text in first]
    for cell in jupytext.read(SOURCES / name / f"{name}.md").cells:
        own = cell.metadata.get("nbgrader")
        if own is not None:
            test = own.get("grade", False) and not own.get("solution", False)
            cell.metadata["nbgrader"] = {**DEFAULTS, "locked": test, **own}
        cells.append(cell)
    for number, cell in enumerate(cells):
        cell["id"] = f"{name.replace('_', '-')}-{number}"
    title, *rest = cells[2].source.split("\n")
    cells[2].source = "\n".join(rest).strip()
    cells.insert(0, nbformat.v4.new_markdown_cell(title, id=f"{name.replace('_', '-')}-title"))
    metadata = {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python"},
    }
    return nbformat.v4.new_notebook(cells=cells, metadata=metadata)


def questions(name):
    """What is asked in an assignment: title, points, minutes, difficulty, objective, kind."""
    found = []
    for cell in source(name).cells:
        if "question" in cell.metadata:
            own = cell.metadata["nbgrader"]
            kind = {"test_number": "number", "test_fault": "fault"}.get(own["grade_id"], "code")
            kind = "written" if own["solution"] else kind
            found.append({**cell.metadata["question"], "points": own["points"], "kind": kind})
    return found


def course(folder, python=sys.executable):
    """Lay out a course folder: nbgrader's settings, and a kernel in the package's Python."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nbgrader_config.py").write_text(CONFIG)
    kernel = folder / ".jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True, exist_ok=True)
    launcher = Path(__file__).with_name("assignment_kernel.py")
    argv = [str(python), str(launcher), "{connection_file}"]
    spec = {"argv": argv, "display_name": "Python 3", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(spec))


def write_sources(folder, chosen):
    """Write the notebooks with solutions: nbgrader's source, and the same for instructors."""
    for name in chosen:
        notebook = source(name)
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
    for name in chosen:
        result = subprocess.run(
            [nbgrader, "-m", "nbgrader", "generate_assignment", name, "--create", "--force"],
            cwd=folder,
            env=environment(folder, nbgrader),
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            sys.exit(f"nbgrader could not make the assignment {name}:\n{result.stderr[-3000:]}")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("assignment", nargs="*", help="an assignment's name, for example: theory")
    parser.add_argument("--course", type=Path, default=COURSE, help="the course folder to write")
    parser.add_argument("--nbgrader", type=Path, default=NBGRADER, help="nbgrader's Python")
    options = parser.parse_args(arguments)
    if unknown := set(options.assignment) - set(names()):
        parser.error(f"no assignment {', '.join(unknown)}; there are: {', '.join(names())}")
    chosen, folder = options.assignment or names(), options.course.resolve()
    course(folder)
    write_sources(folder, chosen)
    generate(folder, chosen, options.nbgrader)
    for name in chosen:
        asked = questions(name)
        points, minutes = (sum(q[key] for q in asked) for key in ("points", "minutes"))
        print(f"{name:<20} {len(asked)} questions, {points} points, {minutes} minutes")
    print(f"For students: {folder / 'release'}\nFor instructors: {folder / 'solution'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
