"""`make chapter` begins a page that the other tests let through."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.classroom.test_exercises import exercises, faults

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from export_notebooks import convert  # noqa: E402
from new_chapter import begin  # noqa: E402
from plain_markdown import Book  # noqa: E402


@pytest.fixture
def root(tmp_path):
    for name in ("_toc.yml", "_config.yml", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "book", tmp_path / "book", ignore=shutil.ignore_patterns("_ext"))
    return tmp_path


def test_it_is_in_the_contents_and_in_the_form_that_tests_ask_for(root):
    before = yaml.safe_load((root / "_toc.yml").read_text("utf8"))["parts"]
    page = begin(root, "trial", "A trial").read_text("utf8")
    chapters, appendix = yaml.safe_load((root / "_toc.yml").read_text("utf8"))["parts"]
    assert chapters["chapters"] == [*before[0]["chapters"], {"file": "book/trial"}]
    assert appendix == before[1]
    assert len(exercises(page)) == 1
    assert list(faults(page)) == []
    notebook = convert(Book(root), "book/trial")  # which refuses what it cannot convert
    assert len([cell for cell in notebook.cells if cell.cell_type == "code"]) == 7
    style = [sys.executable, "-m", "ruff", "format", "--check", "book/trial.md"]
    assert subprocess.run(style, cwd=root, check=False).returncode == 0


def test_what_is_there_is_not_written_over(root):
    before = (root / "book" / "theory.md").read_bytes()
    for name, message in (("theory", "theory.md is there"), ("A page", "must be lower-case")):
        with pytest.raises(SystemExit, match=message):
            begin(root, name, "Anything")
    assert (root / "book" / "theory.md").read_bytes() == before
