"""The code of the pages, in the width that a page shows without scrolling."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from format_cells import CELL, with_formatted_cells  # noqa: E402

PAGES = [page for page in sorted((ROOT / "book").glob("*.md")) if "```" in page.read_text("utf8")]
WIDTH = int(re.search(r"^line-length = (\d+)", (ROOT / "book" / "ruff.toml").read_text(), re.M)[1])
# What a page shows in a box that scrolls: cells, and examples of other programs and shells.
BLOCK = re.compile(r"^(`{3,})(?:python|bash|text)\n(.*?)^\1$", re.DOTALL | re.MULTILINE)


def wide(page):
    """The lines of code of a page that are too wide to be shown whole."""
    code = [match["code"] for match in CELL.finditer(page) if match["code"] is not None]
    code += [match[2] for match in BLOCK.finditer(page)]
    return [line for block in code for line in block.splitlines() if len(line) > WIDTH]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_code_is_formatted_and_fits(page):
    text = page.read_text("utf8")
    assert with_formatted_cells(text) == text, "run `make format`"
    assert wide(text) == []


def tables_without_caption(page):
    """The `pages.table` calls of a page's cells that do not tell their result."""
    calls = [
        node
        for match in CELL.finditer(page)
        if match["code"] is not None
        for node in ast.walk(ast.parse(match["code"]))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pages.table"
    ]
    return [
        ast.unparse(call)[:80] for call in calls if "caption" not in [k.arg for k in call.keywords]
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_every_table_has_a_caption(page):
    assert tables_without_caption(page.read_text("utf8")) == []


def test_a_table_without_a_caption_is_found():
    cell = '```{code-cell} python\npages.table(["a"], ["x"]%s)\n```\n'
    assert tables_without_caption(cell % "") == ["pages.table(['a'], ['x'])"]
    assert tables_without_caption(cell % ', caption="It wins."') == []


def bound(tree):
    """The names that a cell binds."""
    names = set()
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(a.asname or a.name).split(".")[0] for a in node.names}
        elif isinstance(node, ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            named = (n for n in ast.walk(node) if isinstance(n, ast.Name))
            names |= {n.id for n in named if isinstance(n.ctx, ast.Store)}
    return names


def read(tree):
    return {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


def taken_over(page):
    """Functions of a PyTorch tab that call what a TensorFlow tab has put in its place since."""
    cells = [
        (ast.parse(match["code"]), "tab-torch" in match[0], "tab-tf" in match[0])
        for match in CELL.finditer(page)
        if match["code"] is not None
    ]
    found = []
    for place, (cell, torch, _) in enumerate(cells):
        for function in cell.body if torch else ():
            if not isinstance(function, ast.FunctionDef):
                continue
            own, lost = read(function) & bound(cell) - {function.name}, set()
            for later, torch_too, tf in cells[place + 1 :]:
                if function.name in bound(later):
                    break
                lost |= own & bound(later) if tf else set()
                if lost and not torch_too and function.name in read(later):
                    found.append((function.name, sorted(lost)))
                    break
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_a_function_of_one_framework_keeps_to_it(page):
    assert taken_over(page.read_text("utf8")) == []


def test_a_name_taken_over_is_found():
    tab = "```{code-cell} python\n:tags: [tab-%s]\nfrom saebook.%s import fit\n%s```\n"
    torch, tf = (
        tab % ("torch", "pytorch", "def run():\n    fit()\n"),
        tab % ("tf", "tensorflow", ""),
    )
    use = "```{code-cell} python\nrun()\n```\n"
    assert taken_over(torch + tf + use) == [("run", ["fit"])]
    assert taken_over(torch + use + tf) == taken_over(torch + tf) == []


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda p: p.stem)
def test_columns_that_cells_print_fit(path):
    """A sentence is wrapped; columns are not."""
    printed = [
        line
        for cell in nbformat.read(path, 4).cells
        for output in cell.get("outputs", [])
        for line in output.get("text", "").splitlines()
    ]
    assert [line for line in printed if len(line) > WIDTH and "  " in line] == []


LONG = f'print("{"x" * 40}", "{"y" * 40}")'
PAGE = f"# Page\n\n```{{code-cell}} python\n:tags: [hide-input]\n\n{LONG}\n```\n\nText.\n"


def test_the_formatter_wraps_a_cell_and_leaves_the_rest_alone():
    assert wide(PAGE) == [LONG]
    new = with_formatted_cells(PAGE)
    assert wide(new) == []
    assert new.startswith(PAGE.partition("print")[0])
    assert new.endswith("\n)\n```\n\nText.\n")
    assert with_formatted_cells(new) == new
    example = f"````md\n{PAGE}````\n"  # how a page is written: shown, not run
    assert with_formatted_cells(example) == example
    assert wide("```bash\n" + "x" * (WIDTH + 1) + "\n```\n")


def test_a_cell_that_is_not_python_is_named():
    with pytest.raises(SystemExit, match="Expected an expression"):
        with_formatted_cells("```{code-cell} python\nif\n```\n")


def test_ruff_itself_leaves_cells_alone():
    """The day it does not, scripts/format_cells.py can go."""
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", "book/page.md", "-"]
    done = subprocess.run(command, input=PAGE, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == PAGE
