"""Run an assignment's notebook and say of each question whether the visible tests pass.

    python run_checks.py NOTEBOOK

For a student's repository. These are the tests that students have; the points come from others.
"""

import re
import sys

import nbformat
from nbclient import NotebookClient


def main(path):
    notebook = nbformat.read(path, 4)
    NotebookClient(notebook, timeout=600, allow_errors=True, kernel_name="python3").execute()
    failed, question = 0, ""
    for cell in notebook.cells:
        heading = re.search(r"^## (.*)$", cell.source, re.MULTILINE)
        question = heading[1] if cell.cell_type == "markdown" and heading else question
        own = cell.metadata.get("nbgrader", {})
        if cell.cell_type != "code" or not own.get("grade"):
            continue
        errors = [o for o in cell.outputs if o.output_type == "error"]
        failed += bool(errors)
        said = f"{errors[0].ename}: {errors[0].evalue}" if errors else "passes the visible tests"
        print(f"{question}: {said}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
