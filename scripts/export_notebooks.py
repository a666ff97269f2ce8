"""Write notebooks/NAME.ipynb, for Colab and Binder, from the chapters book/NAME.md.

    python scripts/export_notebooks.py [NAME ...]  convert and execute (without names: all chapters)
    python scripts/export_notebooks.py --check     only say what is out of date, by exit status too

Text outputs are kept, for nbval to compare; pictures and dashboards are not, they would swell every
change.
"""

import argparse
import hashlib
import os
import re
import sys
from collections import Counter
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from plain_markdown import Book

import saebook
from saebook.pages import GLUED, results

ROOT = Path(__file__).resolve().parent.parent

# A tag and not a branch: what was published goes on working when the branch has moved on.
TAG = f"v{saebook.__version__}"
COLAB_CELL = """\
# Written by scripts/export_notebooks.py from {page}.md: edit that file, not this notebook.
# On Google Colab, install the book's package; elsewhere this cell does nothing.
import sys

if "google.colab" in sys.modules:
    %pip install --quiet "saebook[chapters] @ git+{repository}@{tag}"
"""


def chapters_with_code(book):
    """The path of each notebook to write, with the page that it comes from."""
    return {
        book.root / "notebooks" / f"{Path(page).name}.ipynb": page
        for page in book.chapters
        if "{code-cell}" in book.path(page).read_text("utf8")
    }


def convert(book, page):
    """The chapter as a notebook that has not been executed."""
    first = COLAB_CELL.format(page=page, repository=book.repository, tag=TAG)
    cells = [nbformat.v4.new_code_cell(first.strip())]
    for cell in jupytext.read(book.path(page)).cells:
        if cell.cell_type == "markdown":
            cell.source = book.convert(cell.source, page)
            cell.metadata = nbformat.NotebookNode()
        elif not cell.source.strip():
            raise ValueError(f"{page}.md has a code cell with nothing in it.")
        if cell.source:
            cells.append(cell)
    seen = Counter()
    for cell in cells:
        # From what the cell says, not from where it is: a new cell leaves the others' ids alone.
        key = f"{page}:{cell.cell_type}:{cell.source}"
        seen[key] += 1
        cell["id"] = hashlib.sha1(f"{key}:{seen[key]}".encode()).hexdigest()[:8]
    metadata = {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python"},
    }
    return nbformat.v4.new_notebook(cells=cells, metadata=metadata)


def execute(notebook, folder):
    """Run all cells in a folder; of what they give, keep text."""
    metadata = notebook.metadata.copy()
    resources = {"metadata": {"path": str(folder)}}
    # Streams arrive in pieces, cut where chance has it; in one piece they are the same every time.
    client = NotebookClient(
        notebook, timeout=1800, record_timing=False, coalesce_streams=True, resources=resources
    )
    client.execute()
    notebook.metadata = metadata  # without the version of Python
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            for bundle in (output.get("data", {}), output.get("metadata", {})):
                for mime in [mime for mime in bundle if mime.startswith(("image/", GLUED))]:
                    del bundle[mime]


def source_of(notebook):
    """What a chapter and its notebook must agree on."""
    return [(cell.id, cell.cell_type, cell.source, cell.metadata) for cell in notebook.cells]


def dates_passed(notebook):
    """The stored results that the outputs name with another date than the results have now."""
    for line in re.findall(r"\*Stored, not computed with this page: .*?\.\*", str(notebook.cells)):
        for name, date in re.findall(r"`make \w+`, (\w+)(?:, ([^;*]*\d))?", line):
            if date != results(name).get("run", {}).get("date", ""):
                yield f"{name} is no longer of {date}"


def out_of_date(book):
    """Each notebook that does not say what its chapter and the stored results say: the reason."""
    wanted = chapters_with_code(book)
    for path in sorted({*wanted, *book.root.glob("notebooks/*.ipynb")}):
        if path not in wanted:
            yield path, "has no chapter"
        elif not path.exists():
            yield path, "is missing"
        elif source_of(found := nbformat.read(path, 4)) != source_of(convert(book, wanted[path])):
            yield path, f"differs from {wanted[path]}.md"
        elif passed := next(dates_passed(found), None):
            yield path, f"shows stored results that have changed: {passed}"


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("chapter", nargs="*", help="a chapter's name, for example: theory")
    parser.add_argument("--check", action="store_true", help="only say what is out of date")
    options = parser.parse_args(arguments)
    book = Book(ROOT)
    if options.check:
        stale = list(out_of_date(book))
        for path, reason in stale:
            print(path.relative_to(ROOT), reason)
        return 1 if stale else 0

    # TensorFlow's log lines carry the time of day.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    notebooks = {path.stem: (path, page) for path, page in chapters_with_code(book).items()}
    if unknown := set(options.chapter) - set(notebooks):
        parser.error(f"no chapter {', '.join(unknown)}; there are: {', '.join(notebooks)}")
    for name in options.chapter or notebooks:
        path, page = notebooks[name]
        notebook = convert(book, page)
        path.parent.mkdir(exist_ok=True)
        execute(notebook, path.parent)
        nbformat.write(notebook, path)
        print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
