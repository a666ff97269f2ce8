"""The folder of a dashboard, written whole or not at all."""

import contextlib
import html
import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from saebook._types import StrPath

PAGE = ("index.html", "dashboard.css", "dashboard.js")
OURS = re.compile(r"data/(index\.js|latents-\d+\.js|(examples|rows)-\d+\.png)")
MARK = '<meta name="generator" content="saebook.dashboard">'


def check_place(folder: StrPath) -> Path:
    """Raise OSError, in one sentence, where a dashboard must not or cannot be written."""
    folder = Path(folder)
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise FileExistsError(f"folder must be a new folder, got {folder}, a file or a link.")
    if not folder.parent.is_dir():
        raise FileNotFoundError(
            f"folder must lie in a folder that is there, got {folder} in {folder.parent}."
        )
    if folder.exists():
        names = sorted(
            path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()
        )
        foreign = [name for name in names if name not in PAGE and not OURS.fullmatch(name)]
        page = folder / "index.html"
        if names and not foreign and not (page.is_file() and MARK in page.read_text("utf8")):
            foreign = names
        if foreign:
            raise FileExistsError(
                f"folder must be new or hold nothing but a dashboard, got {folder}, in which "
                f"{foreign[0]} lies."
            )
    return folder


@contextlib.contextmanager
def written_whole(folder: Path, title: str) -> Iterator[Path]:
    """A place for files of data beside the page; when all are there, they take their place."""
    try:
        beside = Path(tempfile.mkdtemp(prefix=f"{folder.name}.partial-", dir=folder.parent))
    except OSError as error:
        raise type(error)(f"folder must be writable, got {folder}: {error.strerror}.") from None
    draft, old = beside / "new", beside / "old"
    try:
        (draft / "data").mkdir(parents=True)
        for name in PAGE:
            shutil.copyfile(Path(__file__).with_name(name), draft / name)
        page = (draft / "index.html").read_text("utf8")
        (draft / "index.html").write_text(page.replace("TITLE", html.escape(title)), "utf8")
        yield draft / "data"
        if folder.exists():
            folder.rename(old)
        draft.rename(folder)
    finally:
        if old.exists() and not folder.exists():
            old.rename(folder)
        shutil.rmtree(beside, ignore_errors=True)


def write_data(path: Path, value: Any) -> None:
    """A value as a script, since a page opened from a disk may load those but not read JSON."""
    text = json.dumps(value, separators=(",", ":"))
    path.write_text(f"saebookDashboard.data({text});\n", "ascii")
