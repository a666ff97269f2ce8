"""The findings: each says what it is about, runs alone, and is in the table."""

import os
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "findings"
SCRIPTS = sorted(FOLDER.glob("*.sh"))


def test_every_finding_is_in_the_table_and_nothing_else():
    rows = re.findall(r"^\| `(\w+\.sh)` \|", (FOLDER / "README.md").read_text("utf8"), re.MULTILINE)
    assert rows == [path.name for path in SCRIPTS]
    assert len(SCRIPTS) >= 9


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_finding_runs_alone_with_exact_versions_and_says_what_it_found(path):
    text = path.read_text("utf8")
    assert os.access(path, os.X_OK)
    for label in ("# Versions: ", "# Expected: ", "# Observed: ", "# Fails if that has changed."):
        assert f"\n{label}" in text
    assert "saebook" not in text
    assert "\nset -euo pipefail\n" in text
    assert "mktemp -d" in text
    assert "assert " in text
    named = re.search(r"# Versions: (.*?)\n# Expected", text, re.DOTALL)[1]
    for package, version in re.findall(r"([\w-]+)==([\w.]+)", text):
        if package.replace("-", " ").split()[0] in named:
            assert version in named, package
