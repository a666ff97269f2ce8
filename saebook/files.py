"""Files written whole or not at all, to places looked at before the work is done."""

import contextlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from saebook import _renamed
from saebook._types import StrPath


def check_writable(path: StrPath) -> None:
    """Raise OSError, in one sentence, where `replace_file` could not write.

    To be called before the work whose result goes there. A file that is there may be replaced; a
    folder or a device may not.
    """
    path, partial = Path(path), _partial(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path} must lie in a folder that is there, got {path.parent}.")
    try:
        with contextlib.suppress(FileNotFoundError):
            os.lstat(partial)  # a name may be too long
        kinds = [place for place in (path, partial) if place.exists() and not place.is_file()]
        with tempfile.TemporaryFile(dir=path.parent):
            pass  # asked of the system, since permissions alone do not say it
    except OSError as error:
        raise type(error)(f"{path} must be writable, got: {error.strerror}.") from None
    if kinds:
        raise IsADirectoryError(f"{path} must be a file, got {kinds[0]}, a folder or a device.")


def replace_file(path: StrPath, content: bytes | memoryview) -> None:
    """Write bytes to a file beside the one named, then put it in its place.

    Killed at any moment, this leaves the old file or the new one, whole. What a killed process
    leaves half written has the name of the file with ``.partial`` behind it.
    """
    path, partial = Path(path), _partial(path)
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OSError(
            error.errno, f"{path} could not be written ({error.strerror}); what was there stays"
        ) from error


def _partial(path: StrPath) -> Path:
    return Path(f"{Path(path)}.partial")


__getattr__ = _renamed.names_of(__name__)


def shown(names: Iterable[str]) -> str:
    """Names from a file as they may stand in a message: a dozen, in one line, of any length."""
    found = sorted(names)
    cut = [name if len(name) <= 60 else f"{name[:57]}..." for name in found[:12]]
    plain = [name if name.isprintable() else ascii(name) for name in cut]
    more = [f"and {len(found) - 12} more"] if len(found) > 12 else []
    return ", ".join(plain + more) or "none"
