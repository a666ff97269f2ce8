"""Format the code of the pages with ruff, at the width of book/ruff.toml, which a page shows whole.

    python scripts/format_cells.py           write book/*.md anew
    python scripts/format_cells.py --check   only say which pages would change, by exit status too

Ruff by itself leaves executed cells alone: it takes blocks marked ``python``, not ``{code-cell}``.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

ROOT = Path(__file__).resolve().parent.parent
# A cell, without its options; or an example of how a page is written, which holds no cells.
CELL = re.compile(
    r"^(`{3,})(?:\{code-cell\}[^\n]*\n(?::[^\n]*\n)*\n*(?P<code>.*?)|md\n.*?)^\1$",
    re.DOTALL | re.MULTILINE,
)


def formatted(sources):
    """Sources of cells as ruff writes them."""
    notebook = nbformat.writes(new_notebook(cells=[new_code_cell(source) for source in sources]))
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", "book/cells.ipynb", "-"]
    done = subprocess.run(command, input=notebook, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise SystemExit(done.stderr)
    return [cell.source for cell in nbformat.reads(done.stdout, 4).cells]


def with_formatted_cells(page):
    """The text of a page, with its cells formatted."""
    found = [
        (match.span("code"), match["code"].rstrip("\n"))
        for match in CELL.finditer(page)
        if match["code"] is not None
    ]
    parts, end = [], 0
    for ((start, stop), _), new in zip(found, formatted([old for _, old in found]), strict=True):
        parts += [page[end:start], new, "\n"]
        end = stop
    return "".join([*parts, page[end:]])


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only say which pages would change")
    options = parser.parse_args(arguments)
    changed = []
    for path in sorted(ROOT.glob("book/*.md")):
        page = path.read_text("utf8")
        if "{code-cell}" in page and (new := with_formatted_cells(page)) != page:
            changed.append(path.relative_to(ROOT))
            if not options.check:
                path.write_text(new, "utf8")
    for name in changed:
        print(name, "would be formatted" if options.check else "formatted")
    return 1 if options.check and changed else 0


if __name__ == "__main__":
    sys.exit(main())
