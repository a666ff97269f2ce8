"""Where results are written: looked at before, replaced whole."""

import os
from pathlib import Path

import pytest

from saebook import files


def test_a_file_is_on_the_disk_before_it_takes_the_old_one_s_place(tmp_path, monkeypatch):
    """Or a crash of the machine may leave an empty file under the name of the old one."""
    path = tmp_path / "a"
    path.write_bytes(b"old")
    steps = []
    fsync, replace = os.fsync, os.replace

    def synced(number):
        steps.append(("fsync", os.fstat(number).st_size))
        fsync(number)

    def replaced(source, target):
        steps.append(("replace", Path(source).stat().st_size, path.read_bytes()))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    files.replace_file(path, b"newer")
    assert steps == [("fsync", 5), ("replace", 5, b"old")]
    assert [(found.name, found.read_bytes()) for found in tmp_path.iterdir()] == [("a", b"newer")]


def test_places_that_can_be_written_to_are_left_as_they_are(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "b.partial").write_bytes(b"half")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for name in ("a", "b", "new"):
        files.check_writable(tmp_path / name)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("none/a", FileNotFoundError, "none/a must lie in a folder that is there, got .*none"),
        ("file/a", FileNotFoundError, "file/a must lie in a folder that is there, got .*file"),
        ("folder", IsADirectoryError, "folder must be a file, got .*folder, a folder or"),
        ("b", IsADirectoryError, r"b must be a file, got .*b\.partial, a folder or"),
        ("/dev/null", IsADirectoryError, "/dev/null must be a file, .*or a device"),
        ("", IsADirectoryError, "must be a file"),
        (250 * "a", OSError, "must be writable, got: "),
    ],
)
def test_places_that_cannot_be_written_to(tmp_path, monkeypatch, name, error, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "b.partial").mkdir()
    with pytest.raises(error, match=message) as found:
        files.check_writable(name)
    assert "\n" not in str(found.value)
    assert "Errno" not in str(found.value)


def test_the_system_is_asked_whether_a_folder_can_be_written_to(tmp_path, monkeypatch):
    def refused(dir):
        raise PermissionError(13, "Permission denied", str(dir))

    monkeypatch.setattr(files.tempfile, "TemporaryFile", refused)
    with pytest.raises(PermissionError, match=r"a must be writable, got: Permission denied\."):
        files.check_writable(tmp_path / "a")
