"""For nbval: drawings are pictures, and what a notebook gave is what its page may show.

A page and its notebook hold the same cells. Where SAEBOOK_PAGES names the execution cache of the
book, each notebook that passed leaves its outputs there, pictures included, and `make book` has no
need to run the page again.
"""

import os
from collections import defaultdict
from pathlib import Path

import nbformat
import pytest

DONE = defaultdict(list)  # the cells of each notebook that have run
FAILED = set()


def pytest_collection_modifyitems(items):
    for notebook in {item.parent for item in items}:
        notebook.skip_compare += ("image/svg+xml",)  # nbval compares no pictures


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if not report.passed:
        FAILED.add(item.parent)
    return report


def pytest_runtest_teardown(item, nextitem):
    DONE[item.parent].append(item)
    if nextitem is None or nextitem.parent is not item.parent:
        cells = DONE.pop(item.parent)
        if os.environ.get("SAEBOOK_PAGES") and item.parent not in FAILED:
            keep(cells, item.path, Path(os.environ["SAEBOOK_PAGES"]))


def keep(ran, path, cache):
    """Put the outputs of a notebook's cells into the cache, as those of the page it is made of."""
    from jupyter_cache import get_cache
    from jupyter_cache.cache.main import CacheBundleIn
    from myst_nb.core.read import myst_nb_reader_plugin

    page = path.parents[1] / "book" / f"{path.stem}.md"
    notebook = myst_nb_reader_plugin(str(page))
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    # The notebook's first cell installs the package on Colab, and no page has it.
    for number, (cell, item) in enumerate(zip(cells, ran[1:], strict=True), 1):
        assert cell.source == item.cell.source, f"{path} is not made of {page}"
        cell.outputs = nbformat.from_dict(item.test_outputs)
        cell.execution_count = number
    notebook.metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
    bundle = CacheBundleIn(notebook, str(page))
    get_cache(cache).cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
