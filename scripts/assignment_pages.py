"""What of a graded submission is shown to whom: the marker's copy, and the student's page.

nbgrader's graded notebook holds the hidden tests, and tracebacks show their lines, with the right
answers in them, and folders of the machine that graded. A marker sees them, and beside each written
answer its model answer with the rubric. A student's page has neither; once the date of the
assignment has passed, it has the model answers of written questions with their rubrics.
"""

import re

HIDDEN = re.compile(
    r"^[ \t]*### BEGIN HIDDEN TESTS.*?(?:^[ \t]*### END HIDDEN TESTS[^\n]*(?:\n|\Z)|\Z)",
    re.DOTALL | re.MULTILINE,
)
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
# A frame of a traceback as IPython writes it: in a cell, or in a file.
FRAME = re.compile(r"(?:Cell In\s*\[(\d+)\]|Input In \[(\d+)\]|<ipython-input-(\d+)|File )")
RUBRIC = "saebook-rubric"  # the mark of cells that are added here


def own(cell):
    return cell["metadata"].get("nbgrader", {})


def text(cell):
    return "".join(cell["source"])


def is_written(cell):
    return cell["cell_type"] == "markdown" and own(cell).get("grade") and own(cell).get("solution")


def is_test(cell):
    return cell["cell_type"] == "code" and own(cell).get("grade") and not own(cell).get("solution")


def with_rubrics(cells, source, heading):
    """The cells, and behind each written answer the model answer with its rubric."""
    models = {own(cell)["grade_id"]: text(cell) for cell in source["cells"] if is_written(cell)}
    result = []
    for cell in cells:
        if RUBRIC in cell["metadata"]:
            continue
        result.append(cell)
        model = models.get(own(cell).get("grade_id"))
        if model is not None and is_written(cell):
            result.append(
                {
                    "cell_type": "markdown",
                    "id": f"rubric-{len(result)}",
                    "metadata": {RUBRIC: True},
                    "source": f"**{heading}**\n\n{model}",
                }
            )
    return result


def for_marker(notebook, source):
    """The graded notebook with the rubric beside each written answer."""
    heading = "For the marker: model answer and rubric. Not on the student's page."
    return {**notebook, "cells": with_rubrics(notebook["cells"], source, heading)}


def for_student(notebook, source, passed, folders):
    """The graded notebook without what a student must not see; `folders` maps paths to names."""
    tests = {cell.get("execution_count") for cell in notebook["cells"] if is_test(cell)}
    cells = [cell for cell in notebook["cells"] if RUBRIC not in cell["metadata"]]
    secrets = [text(cell) for cell in source["cells"] if is_test(cell)]
    lines = {
        line.strip()
        for secret in secrets
        for block in HIDDEN.findall(secret)
        for line in block.splitlines()
        if len(line.strip()) > 12
    }
    lines -= {line.strip() for secret in secrets for line in HIDDEN.sub("", secret).splitlines()}
    result = []
    for cell in cells:
        cell = {**cell}
        if is_test(cell):
            cell["source"] = HIDDEN.sub("", text(cell)).rstrip()
        if cell["cell_type"] == "code":
            cell["outputs"] = [
                cleaned(output, tests, lines, folders) for output in cell.get("outputs", [])
            ]
        result.append(cell)
    if passed:
        result = with_rubrics(result, source, "Model answer, and how it is marked")
    return {**notebook, "cells": result}


def cleaned(output, tests, lines, folders):
    """An output without the lines of hidden tests and without folders of this machine."""

    def clean(value):
        value = "".join(value) if isinstance(value, list) else value
        if not isinstance(value, str):
            return value
        for path, name in folders.items():
            value = value.replace(path, name)
        if any(line in value for line in lines):
            # escaped, as in the repr of a list of cells, a line may hold several
            value = "\n".join(
                "(a line of the tests)" if any(line in shown for line in lines) else shown
                for shown in value.split("\n")
            )
        return value

    output = {**output}
    if output["output_type"] == "stream":
        output["text"] = clean(output["text"])
    elif output["output_type"] == "error":
        frames = [COLOURS.sub("", "".join(frame)) for frame in output.get("traceback", [])]
        kept = []
        for frame in frames:
            found = FRAME.match(frame)
            number = next((n for n in found.groups() if n), None) if found else None
            if found and (number is None or int(number) in tests):
                continue  # a frame in a test, in the package or in a library
            kept.append(clean(frame))
        output["evalue"] = clean(output.get("evalue", ""))
        output["traceback"] = kept or [f"{output['ename']}: {output['evalue']}"]
    elif "data" in output:
        output["data"] = {
            kind: clean(value) if kind.startswith("text/") else value
            for kind, value in output["data"].items()
        }
    return output
