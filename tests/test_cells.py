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
    """The names that it reads and does not bind itself, as a function does its arguments."""
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    own = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    own |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    return {node.id for node in names} - (own if isinstance(tree, ast.FunctionDef) else set())


def taken_over(page):
    """Functions of one framework's tab, used when the other's has taken a name that they read."""
    owners, functions, found = {}, {}, []
    for match in CELL.finditer(page):
        if match["code"] is None:
            continue
        cell = ast.parse(match["code"])
        names = bound(cell)
        tab = next((tab for tab in ("tab-torch", "tab-tf") if tab in match[0]), None)
        owners |= dict.fromkeys(names, tab)
        for name in read(cell) & functions.keys() - names:
            own_tab, own = functions[name]
            if lost := sorted(n for n in own if owners[n] not in (own_tab, None)):
                found.append((name, lost))
        functions |= {
            node.name: (tab, {n for n in read(node) if tab and owners.get(n) == tab} - {node.name})
            for node in cell.body
            if isinstance(node, ast.FunctionDef)
        }
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
    assert taken_over(torch + tf + tab % ("torch", "pytorch", "run()\n")) == []  # fit is back
    earlier = tab % ("tf", "tensorflow", "") + "```{code-cell} python\n:tags: [tab-tf]\n"
    earlier += "def run():\n    fit()\n```\n"
    assert taken_over(earlier + tab % ("torch", "pytorch", "") + use) == [("run", ["fit"])]


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
