"""Answers put into the cells of an assignment, and the points that its tests give, in one process.

As nbgrader has it: an error gives nothing, a number at a cell's end is its points, and anything
else gives all of them.
"""

import ast
import contextlib
import io
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import make_assignments  # noqa: E402


@cache
def cells(name):
    """The code cells of an assignment, each with nbgrader's metadata."""
    return [
        (cell.source, cell.metadata.get("nbgrader", {}))
        for cell in make_assignments.source(name).cells
        if cell.cell_type == "code" and "google.colab" not in cell.source
    ]


def execute(source, names):
    """Run a cell; the value it ends with, as a notebook shows it."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names) if last else None


class Paper:
    """An assignment of one student with these answers, by the names of their cells.

    A cell without an answer holds a stub; `only` names the test cells that are run.
    """

    def __init__(self, name, student, framework="torch", answers=None, only=None):
        self.names, self.points, self.said = {}, {}, {}
        for source, own in cells(name):
            part, tested = own.get("grade_id"), own.get("grade")
            if source.startswith("STUDENT_ID"):
                source = f"STUDENT_ID, FRAMEWORK = {student!r}, {framework!r}"
            elif own.get("solution"):
                stub = source.partition("### BEGIN SOLUTION")[0].rstrip()
                stub += "\n    raise NotImplementedError" if stub.startswith("def") else ""
                source = (answers or {}).get(part, stub)
            elif tested and only is not None and part not in only:
                continue
            output = io.StringIO()
            with contextlib.redirect_stdout(output):
                try:
                    value = execute(source, self.names)
                except Exception as error:
                    if not tested:
                        raise
                    print(error)
                    value = 0
            if tested:
                full = own["points"]
                self.points[part] = value if isinstance(value, int | float) else full
                self.said[part] = output.getvalue()
