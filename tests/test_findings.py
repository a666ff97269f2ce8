"""The findings: each says what it is about, runs alone, and is in the table."""

import os
import re
from importlib.util import module_from_spec, spec_from_file_location
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


def test_the_tables_of_in_and_out_are_those_of_the_stored_results():
    scripts = Path(__file__).resolve().parent.parent / "scripts"
    spec = spec_from_file_location("write_tables", scripts / "write_tables.py")
    write_tables = module_from_spec(spec)
    spec.loader.exec_module(write_tables)
    text = write_tables.PAGE.read_text("utf8")
    assert write_tables.with_tables(text) == text
    rows = write_tables.rows_of("interop")
    assert len({row["package"] for row in rows}) >= 6
    assert len({(row["package"], row["architecture"]) for row in rows}) >= 25
    assert max(row[key] for row in rows for key in ("codes", "reconstructions")) <= 1e-5
    for row in write_tables.rows_of("runtimes"):
        for gap in ("encoder_z", "decoder_x_hat", "both_z", "both_x_hat"):
            assert row[gap] <= 1e-5
        assert row["encoder_same"] == row["both_same"] == row["ties"] == 1
    with pytest.raises(ValueError, match="must have one place for the table layouts, got 0"):
        write_tables.with_tables(text.replace("% end layouts", ""))
