"""What students do to notebooks, and what is made of it before nbgrader sees them."""

import copy
import json
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import assignment_submission as submission  # noqa: E402
import grade_assignments  # noqa: E402
import make_assignments as make  # noqa: E402

NAME = "notation"


@pytest.fixture
def release(tmp_path):
    """The notebook that was handed out, as a file; with solutions, which changes nothing."""
    path = tmp_path / "release.ipynb"
    path.write_text(json.dumps(make.source(NAME)))
    return path


def handed_in(release):
    return json.loads(release.read_text())


def submit(tmp_path, notebook, file=f"{NAME}.ipynb", encoding="utf8"):
    path = tmp_path / "submitted" / "ann" / NAME / file
    path.parent.mkdir(parents=True, exist_ok=True)
    text = notebook if isinstance(notebook, str) else json.dumps(notebook)
    path.write_text(text, encoding)
    return path


def prepare(tmp_path, release):
    target = tmp_path / "prepared"
    folder = tmp_path / "submitted" / "ann" / NAME
    _, remarks = submission.prepare(folder, NAME, release, target)
    return json.loads((target / f"{NAME}.ipynb").read_text()), remarks


def marks(notebook):
    own = [cell["metadata"].get("nbgrader", {}).get("grade_id") for cell in notebook["cells"]]
    return [name for name in own if name]


def source(notebook, name):
    for cell in notebook["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("grade_id") == name:
            return cell["source"]
    raise KeyError(name)


def where(notebook, name):
    own = [c["metadata"].get("nbgrader", {}).get("grade_id") for c in notebook["cells"]]
    return own.index(name)


def test_an_untouched_notebook_stays_as_it_is(tmp_path, release):
    notebook = handed_in(release)
    submit(tmp_path, notebook)
    prepared, remarks = prepare(tmp_path, release)
    assert remarks == []
    assert [c["source"] for c in prepared["cells"]] == [c["source"] for c in notebook["cells"]]
    assert marks(prepared) == marks(notebook)


@pytest.mark.parametrize("after", [False, True])
def test_a_copied_cell_is_set_aside(tmp_path, release, after):
    notebook = handed_in(release)
    name = marks(notebook)[0]
    index = where(notebook, name)
    again = {**copy.deepcopy(notebook["cells"][index]), "id": "again", "source": "# a first try"}
    notebook["cells"].insert(index + after, again)
    submit(tmp_path, notebook)
    prepared, remarks = prepare(tmp_path, release)
    kept = index + 1 + (not after)
    assert remarks == [
        f"notation.ipynb has the cell {name} 2 times, as {index + 1} and {index + 2}: {kept} counts"
    ]
    assert source(prepared, name) == source(handed_in(release), name)
    assert marks(prepared) == marks(handed_in(release))
    assert "# a first try" in [cell["source"] for cell in prepared["cells"]]  # it still runs


def test_marks_that_an_editor_dropped_are_put_back(tmp_path, release):
    notebook = handed_in(release)
    for cell in notebook["cells"]:
        cell["metadata"] = {}
        del cell["id"]
    # answers, so that their texts are others than those that were handed out
    for name in marks(handed_in(release)):
        cell = notebook["cells"][where(handed_in(release), name)]
        if not name.startswith("test"):
            cell["source"] = cell["source"].replace("### BEGIN SOLUTION", "# mine") + "\n"
            if cell["cell_type"] == "markdown":
                cell["source"] = "An answer in words."
    notebook["nbformat_minor"] = 4
    submit(tmp_path, notebook)
    prepared, remarks = prepare(tmp_path, release)
    assert marks(prepared) == marks(handed_in(release))
    assert source(prepared, "written") == "An answer in words."
    assert len(remarks) == 1
    assert remarks[0].startswith("notation.ipynb has lost nbgrader's marks of ")


def test_a_missing_answer_costs_only_itself(tmp_path, release):
    notebook = handed_in(release)
    name = marks(notebook)[0]
    del notebook["cells"][where(notebook, name)]
    submit(tmp_path, notebook)
    prepared, remarks = prepare(tmp_path, release)
    assert marks(prepared) == marks(handed_in(release))
    assert source(prepared, name) == f"# The cell {name} was not in what was handed in."
    assert remarks == [f"notation.ipynb lacks {name}: no points"]


@pytest.mark.parametrize("ids", [True, False])
def test_a_cell_that_was_handed_out_plain_is_no_lost_test(tmp_path, ids):
    """Between the test of a fault and the next answer stands the cell that prints the curve."""
    release = tmp_path / "release.ipynb"
    release.write_text(json.dumps(make.source("backpropagation")))
    notebook = handed_in(release)
    del notebook["cells"][where(notebook, "test_fault")]
    if not ids:  # as an editor leaves it that gives new ones
        for number, cell in enumerate(notebook["cells"]):
            cell["id"] = f"new-{number}"
    submit(tmp_path, notebook)
    prepared, remarks = prepare(tmp_path, release)
    assert remarks == ["notation.ipynb lacks test_fault: put back"]
    assert source(prepared, "test_fault") == source(handed_in(release), "test_fault")
    printed = [cell for cell in prepared["cells"] if "classroom.curve(" in cell["source"]]
    assert "nbgrader" not in printed[0]["metadata"]


def test_tags_and_outputs_do_not_reach_nbgrader(tmp_path, release):
    notebook = handed_in(release)
    for cell in notebook["cells"]:
        cell["metadata"]["tags"] = ["skip-execution", "raises-exception"]
        if cell["cell_type"] == "code":
            cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x"}]
    submit(tmp_path, notebook)
    prepared, _ = prepare(tmp_path, release)
    assert not any("tags" in cell["metadata"] for cell in prepared["cells"])
    assert not any(cell.get("outputs") for cell in prepared["cells"])


def test_a_notebook_of_another_name_is_found_where_there_is_no_doubt(tmp_path, release):
    submit(tmp_path, handed_in(release), f"unpacked/{NAME} (1).IPYNB")
    submit(tmp_path, "{", f".ipynb_checkpoints/{NAME}-checkpoint.ipynb")
    submit(tmp_path, make.source("theory"), "theory.ipynb")
    submit(tmp_path, "a,b\n1,2\n", "data/table.csv")
    prepared, remarks = prepare(tmp_path, release)
    assert marks(prepared) == marks(handed_in(release))
    assert remarks == [
        "no notation.ipynb, graded was unpacked/notation (1).IPYNB",
        "not graded: theory.ipynb",
    ]
    files = {str(p.relative_to(tmp_path / "prepared")) for p in (tmp_path / "prepared").rglob("*")}
    assert files == {"notation.ipynb", "data", "data/table.csv"}


def test_which_of_two_notebooks_is_not_guessed(tmp_path, release):
    submit(tmp_path, handed_in(release), "final.ipynb")
    submit(tmp_path, handed_in(release), "final2.ipynb")
    with pytest.raises(submission.Unusable, match=r"which of these is it: final\.ipynb, final2"):
        prepare(tmp_path, release)
    submit(tmp_path, handed_in(release))
    assert prepare(tmp_path, release)[1] == ["not graded: final.ipynb, final2.ipynb"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "notation.ipynb is empty"),
        ('{"cells": [', "notation.ipynb is no notebook: Expecting value"),
        ('{\n<<<<<<< HEAD\n"cells": []}', "it holds the marks of a conflict in git"),
        ("[" * 100_000, "notation.ipynb is no notebook: its JSON is nested too deeply"),
        ('{"cells": 1}', "notation.ipynb is no notebook: it has no list of cells"),
        ("[]", "notation.ipynb is no notebook: it has no list of cells"),
        ('{"cells": [{"cell_type": "code"}]}', "none of the cells that were handed out"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, release, text, said):
    submit(tmp_path, text)
    with pytest.raises(submission.Unusable, match=said):
        prepare(tmp_path, release)


def test_no_notebook_at_all(tmp_path, release):
    submit(tmp_path, "see my mail", "readme.txt")
    with pytest.raises(submission.Unusable, match=r"no notebook, notation\.ipynb should be there"):
        prepare(tmp_path, release)


def test_damaged_cells_are_left_out_and_named(tmp_path, release):
    notebook = handed_in(release)
    notebook["cells"] += [None, {"cell_type": "code", "source": 3}, {"cell_type": "odd"}]
    notebook["cells"][-4]["id"] = notebook["cells"][0]["id"] = "twice"
    notebook["cells"][0]["metadata"] = None
    submit(tmp_path, notebook)
    prepared, remarks = prepare(tmp_path, release)
    last = len(notebook["cells"])
    assert remarks == [
        f"cell {n} of notation.ipynb is damaged and was left out" for n in range(last - 2, last + 1)
    ]
    assert marks(prepared) == marks(handed_in(release))
    assert len({cell["id"] for cell in prepared["cells"]}) == len(prepared["cells"])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_encodings_of_windows_are_read(tmp_path, release, encoding):
    submit(tmp_path, handed_in(release), encoding=encoding)
    assert prepare(tmp_path, release)[1] == []


def test_links_are_not_followed(tmp_path, release):
    secret = tmp_path / "secret"
    secret.write_text("a key")
    path = submit(tmp_path, handed_in(release))
    path.with_name("data.csv").symlink_to(secret)
    prepare(tmp_path, release)
    assert not (tmp_path / "prepared" / "data.csv").exists()
    path.unlink()
    path.symlink_to(release)
    with pytest.raises(submission.Unusable, match=r"notation\.ipynb is a link"):
        prepare(tmp_path, release)


def test_too_many_files_are_not_taken_along(tmp_path, release, monkeypatch):
    monkeypatch.setattr(submission, "FILES", 2)
    submit(tmp_path, handed_in(release))
    for number in range(7):
        submit(tmp_path, "x", f"{number}.txt")
    assert prepare(tmp_path, release)[1] == [
        "too much to take along: 2.txt, 3.txt, 4.txt and 2 more"
    ]


def test_names_are_printed_on_one_line():
    assert grade_assignments.printable("a\nb\x1b") == "a?b?"


def test_a_run_that_takes_too_long_is_ended_with_what_it_started(tmp_path):
    """nbgrader's place is taken by a script that starts a kernel's launcher and hangs."""
    launcher = tmp_path / "launcher.py"
    launcher.write_text(
        f"import os, sys, time; sys.path.insert(0, {str(ROOT / 'scripts')!r})\n"
        "import assignment_kernel; assignment_kernel.outlived_by_nobody()\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(60)\n"
    )
    hangs = tmp_path / "nbgrader"
    hangs.write_text(
        f"#!{sys.executable}\nimport subprocess, sys\n"
        f"subprocess.run([sys.executable, {str(launcher)!r}], start_new_session=True)\n"
    )
    hangs.chmod(0o755)
    assert grade_assignments.run([], tmp_path, hangs, 3) == (None, "")
    pid = int((tmp_path / "pid").read_text())
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists() or "Z" in state(pid):
            return
        time.sleep(0.05)
    raise AssertionError(f"{pid} goes on: {state(pid)}")


def state(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "Z"
