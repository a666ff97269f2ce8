"""Make of what a student handed in the one notebook that nbgrader can grade.

nbgrader expects NAME/NAME.ipynb with every cell of its own exactly once, and gives a whole
submission 0 points, with an error of its own, where a student copied a cell, renamed the file or
used an editor that drops what it does not know. Here the notebook is found, read and held against
what was handed out: every cell of nbgrader's ends up in it once, with the marks that it was handed
out with; all other cells are ordinary ones. What had to be done about it is said in `remarks`, with
the file and the cell. What students handed in is only read, never changed.
"""

import ast
import copy
import json
import os
import re
import shutil
from pathlib import Path

import nbformat

# A notebook, and files with it, in bytes, and how many files: a notebook with many pictures has a
# few MB, and what a submission may hold has to fit into the folder that its kernel gets.
LARGEST, FILES = 64 * 2**20, 1000
ALTOGETHER = 128 * 2**20


class Unusable(Exception):
    """What was handed in cannot be graded; the sentence says why."""


def files(folder):
    """The plain files of a submission: no links, nothing in hidden folders such as checkpoints."""
    found = []
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths = [Path(here, name) for name in sorted(names) if not name.startswith(".")]
        found += [path for path in paths if path.is_file() and not path.is_symlink()]
    return found


def find(folder, name, release):
    """The notebook to grade, and remarks; `release` is the notebook that was handed out."""
    if folder.is_symlink() or not folder.is_dir():
        raise Unusable(f"{folder.name} is no folder")
    notebooks = [path for path in files(folder) if path.suffix.lower() == ".ipynb"]
    shown = {path: str(path.relative_to(folder)) for path in notebooks}
    expected = folder / f"{name}.ipynb"
    if expected in notebooks:
        others = [shown[path] for path in notebooks if path != expected]
        return expected, [f"not graded: {', '.join(others)}"] if others else []
    if expected.is_symlink():
        raise Unusable(f"{name}.ipynb is a link, which is not followed")
    if not notebooks:
        raise Unusable(f"there is no notebook, {name}.ipynb should be there")
    chosen = [path for path in notebooks if belongs(path, release)]
    listed = ", ".join(shown.values())
    if len(chosen) > 1:
        raise Unusable(f"no {name}.ipynb, and which of these is it: {listed}?")
    if not chosen:
        raise Unusable(f"no {name}.ipynb, and nothing else holds its cells: {listed}")
    others = [shown[path] for path in notebooks if path != chosen[0]]
    remarks = [f"no {name}.ipynb, graded was {shown[chosen[0]]}"]
    return chosen[0], remarks + ([f"not graded: {', '.join(others)}"] if others else [])


def belongs(path, release):
    """Whether a notebook of another name is this assignment: most of its graded cells are there."""
    try:
        cells, _ = read(path)
    except Unusable:
        return False
    wanted = graded(release)
    return 2 * len(match(cells, wanted)[0]) > len(wanted)


def read(path):
    """The cells of a notebook, put in order one by one, and remarks."""
    file = path.name
    if path.stat().st_size > LARGEST:
        raise Unusable(f"{file} is larger than {LARGEST // 2**20} MB")
    data = path.read_bytes()
    if not data.strip():
        raise Unusable(f"{file} is empty")
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        notebook = json.loads(data.decode(encoding))
    except RecursionError:
        raise Unusable(f"{file} is no notebook: its JSON is nested too deeply") from None
    except ValueError as error:
        marks = ": it holds the marks of a conflict in git" if b"\n<<<<<<< " in data else ""
        raise Unusable(f"{file} is no notebook{marks or f': {error}'}") from None
    if isinstance(notebook, dict) and notebook.get("nbformat") in (2, 3):
        try:
            notebook = nbformat.convert(nbformat.from_dict(notebook), 4)
        except Exception as error:  # what a damaged one raises there is not limited
            raise Unusable(f"{file} is an old notebook that cannot be read: {error}") from None
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise Unusable(f"{file} is no notebook: it has no list of cells")
    cells, remarks, used = [], [], set()
    for number, cell in enumerate(notebook["cells"], 1):
        clean = tidy(cell, number, used)
        if clean is None:
            remarks.append(f"cell {number} of {file} is damaged and was left out")
        else:
            cells.append(clean)
    return cells, remarks


def tidy(cell, number, used):
    """A cell with what a cell needs and nothing else; None if it is none."""
    if not isinstance(cell, dict) or cell.get("cell_type") not in ("code", "markdown", "raw"):
        return None
    source = cell.get("source", "")
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if not isinstance(source, str):
        return None
    # JSON can hold halves of characters, which no file can
    source = source.encode("utf-8", "replace").decode("utf-8")
    # Of a cell's metadata only nbgrader's mark is kept: a tag can keep a test from being run.
    metadata = cell.get("metadata")
    own = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    mark = own.get("grade_id") if isinstance(own, dict) else None
    name = cell.get("id")
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) or name in used:
        name = f"submitted-{number}"
    used.add(name)
    clean = {
        "cell_type": cell["cell_type"],
        "id": name,
        "metadata": {},
        "source": source,
        "mark": mark if isinstance(mark, str) else None,
        "number": number,
    }
    if clean["cell_type"] == "code":
        clean |= {"outputs": [], "execution_count": None}
    elif isinstance(cell.get("attachments"), dict):
        clean["attachments"] = cell["attachments"]
    return clean


def graded(notebook):
    """The cells of a released notebook that nbgrader knows, by their names, in order."""
    cells = [cell for cell in notebook["cells"] if "nbgrader" in cell["metadata"]]
    return {cell["metadata"]["nbgrader"]["grade_id"]: cell for cell in cells}


def plain(notebook):
    """The ids and texts of its other cells: none of them is one that lost its mark."""
    cells = [cell for cell in notebook["cells"] if "nbgrader" not in cell["metadata"]]
    texts = {"".join(cell["source"]).strip() for cell in cells}
    return {cell["id"] for cell in cells if "id" in cell}, texts


def defined(source):
    """The functions and classes that a cell defines, whether it parses or not."""
    try:
        return {node.name for node in ast.parse(source).body if hasattr(node, "name")}
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set(re.findall(r"^(?:def|class) +(\w+)", source, re.MULTILINE))


def match(cells, wanted, others=((), ())):
    """Which cell is which of those handed out: {name: index}, {name: indices of its copies}.

    By nbgrader's mark; where an editor dropped it by the cell's id, by an unchanged text, by the
    function that is defined in it, and last by its place between two that were found.
    """
    found, copies = {}, {}
    for name, handed_out in wanted.items():
        same = [index for index, cell in enumerate(cells) if cell["mark"] == name]
        if len(same) > 1:
            # a copy gets another id; where that does not tell, the last one is run last
            original = [index for index in same if cells[index]["id"] == handed_out["id"]]
            answer = [i for i in same if cells[i]["cell_type"] == handed_out["cell_type"]]
            found[name] = (original or answer or same)[-1]
            copies[name] = same
        elif same:
            found[name] = same[0]

    def look(test, last=False):
        taken = set(found.values()) | {i for several in copies.values() for i in several}
        for name, handed_out in wanted.items():
            if name in found:
                continue
            fit = [
                index
                for index, cell in enumerate(cells)
                if index not in taken
                and cell["mark"] not in wanted
                and cell["id"] not in others[0]
                and cell["source"].strip() not in others[1]
                and test(name, handed_out, index)
            ]
            if len(fit) == 1 or (fit and last):
                found[name] = fit[-1]
                taken.add(fit[-1])

    def alike(index, handed_out):
        return cells[index]["cell_type"] == handed_out["cell_type"]

    def text(source):
        return "".join(source).strip()

    look(lambda _, cell, i: alike(i, cell) and cells[i]["id"] == cell["id"])
    look(lambda _, cell, i: alike(i, cell) and cells[i]["source"].strip() == text(cell["source"]))
    look(
        lambda _, cell, i: (
            alike(i, cell) and bool(defined(text(cell["source"])) & defined(cells[i]["source"]))
        ),
        last=True,
    )
    names = list(wanted)

    def between(name, handed_out, index):
        place = names.index(name)
        before, after = names[:place][-1:], names[place + 1 :][:1]
        if not all(other in found for other in (*before, *after)):
            return False
        low = found[before[0]] if before else -1
        high = found[after[0]] if after else len(cells)
        # a heading is the question, not its answer
        question = re.search(r"^## ", cells[index]["source"], re.MULTILINE)
        return low < index < high and alike(index, handed_out) and not question

    look(between)
    return found, copies


def align(cells, release, file):
    """The notebook for nbgrader, made of a student's cells; what to call each; remarks."""
    wanted = graded(release)
    found, copies = match(cells, wanted, plain(release))
    if not found:
        raise Unusable(f"{file} holds none of the cells that were handed out")
    remarks = []
    for name, several in copies.items():
        numbers = [cells[index]["number"] for index in several]
        listed = f"{', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"
        kept = cells[found[name]]["number"]
        times = f"{len(several)} times, as {listed}"
        remarks.append(f"{file} has the cell {name} {times}: {kept} counts")
    lost = [name for name, index in found.items() if cells[index]["mark"] != name]
    if lost:
        remarks.append(f"{file} has lost nbgrader's marks of {', '.join(lost)}: put back")
    result = copy.deepcopy(cells)
    for name, index in found.items():
        own = wanted[name]["metadata"]["nbgrader"]
        result[index]["metadata"] = {"nbgrader": copy.deepcopy(own)}
        if result[index]["cell_type"] != wanted[name]["cell_type"]:
            retype(result[index], wanted[name]["cell_type"])
    # What is missing comes behind what was before it, so that other questions keep their points: a
    # test as it was, an answer as an empty cell.
    absent, previous = {True: [], False: []}, None
    for name, cell in wanted.items():
        if name in found:
            previous = next(c for c in result if c["metadata"] and same(c, name))
            continue
        answer = cell["metadata"]["nbgrader"]["solution"]
        blank = copy.deepcopy(cell)
        if answer and cell["cell_type"] == "code":
            blank["source"] = f"# The cell {name} was not in what was handed in."
        blank["id"] = f"missing-{len(result)}"
        place = 0 if previous is None else result.index(previous) + 1
        if not answer:
            # whatever a student wrote for this test comes before the next cell of nbgrader's
            while place < len(result) and not result[place]["metadata"]:
                place += 1
        result.insert(place, blank)
        previous = blank
        absent[answer].append(name)
    for answer, what in ((True, "no points"), (False, "put back")):
        if absent[answer]:
            remarks.append(f"{file} lacks {', '.join(absent[answer])}: {what}")
    labels = {}
    for cell in result:
        name = cell["metadata"].get("nbgrader", {}).get("grade_id")
        number = cell.pop("number", None)
        labels[cell["id"]] = f"the cell {name} of {file}" if name else f"cell {number} of {file}"
        cell.pop("mark", None)
    metadata = release["metadata"]
    notebook = {"cells": result, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return notebook, labels, remarks


def same(cell, name):
    return cell["metadata"].get("nbgrader", {}).get("grade_id") == name


def typed_id(cells):
    """What a student wrote for STUDENT_ID; empty where there is nothing to be read."""
    for cell in cells:
        if cell["cell_type"] != "code" or "STUDENT_ID" not in cell["source"]:
            continue
        found = re.search(r"^STUDENT_ID\s*=(.*)$", cell["source"], re.MULTILINE)
        try:
            typed = ast.literal_eval(found[1].partition("#")[0].strip()) if found else None
        except (SyntaxError, ValueError):
            continue
        if isinstance(typed, (str, int)):
            return str(typed).strip()
    return ""


def retype(cell, kind):
    """Make a cell one of another kind."""
    cell["cell_type"] = kind
    for field in ("outputs", "execution_count", "attachments"):
        cell.pop(field, None)
    if kind == "code":
        cell |= {"outputs": [], "execution_count": None}


def copy_files(folder, target):
    """Copy what lies beside the notebook, data for example, where it is plain and not too much."""
    held, count, left = 0, 0, []
    for path in files(folder):
        if path.suffix.lower() == ".ipynb":
            continue
        held, count = held + path.stat().st_size, count + 1
        if held > ALTOGETHER or count > FILES:
            left.append(str(path.relative_to(folder)))
            continue
        place = target / path.relative_to(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
    more = f" and {len(left) - 3} more" if len(left) > 3 else ""
    return [f"too much to take along: {', '.join(left[:3])}{more}"] if left else []


def prepare(folder, name, release, target):
    """Write what nbgrader is to grade of the submission in `folder` to `target`.

    What to call each of its cells, by the cell's id, and remarks."""
    release = json.loads(Path(release).read_text("utf8"))
    path, remarks = find(Path(folder), name, release)
    cells, damaged = read(path)
    notebook, labels, changed = align(cells, release, path.name)
    target.mkdir(parents=True)
    remarks += damaged + changed + copy_files(Path(folder), target)
    (target / f"{name}.ipynb").write_text(json.dumps(notebook), "utf8")
    return labels, remarks
