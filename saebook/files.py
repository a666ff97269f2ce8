"""Files written whole or not at all."""

import os
from pathlib import Path

from saebook._types import StrPath


def replace_file(path: StrPath, content: bytes) -> None:
    """Write bytes to a file beside the one named, then put it in its place.

    Killed at any moment, this leaves the old file or the new one, whole. What a killed process
    leaves half written has the name of the file with ``.partial`` behind it.
    """
    path = Path(path)
    partial = path.with_name(f"{path.name}.partial")
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
