"""Activations of another network as files on disk, to train on more of them than memory holds."""

import io
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from saebook._types import Array, StrPath
from saebook.batches import Shards
from saebook.checks import as_array, check_floats
from saebook.files import check_writable, replace_file

RECORD, FORMAT = "activations.json", "saebook.activations"
DTYPES = ("float16", "float32", "float64")


def store_activations(
    folder: StrPath,
    batches: Iterable[Any],
    read: Callable[[Any], Any],
    rows_per_file: int = 65_536,
    dtype: str = "float32",
) -> Shards:
    """Write what a network says of each batch into files, and give them as one array.

    A run that was cut off goes on where it was when called again, and so does one to which batches
    are added: those whose rows are in a finished file are passed over without running the network.
    The first is run again, to see that it gives the same.

    Parameters
    ----------
    folder : str or path-like
        A folder that is empty, not there yet, or from such a run.
    batches : iterable
        What the network is run on, in the same order at every call.
    read : function
        From a batch to activations ``(n_rows, n_features)`` or ``(n_sequences, n_positions,
        n_features)``, such as `saebook.pytorch.activations.layer` and
        `saebook.tensorflow.activations.layer` make for a network.
    rows_per_file : int
        A file ends with the first batch that fills it.
    dtype : {"float16", "float32", "float64"}
        Of the numbers on disk.

    Returns
    -------
    Shards
        ``(n_rows, n_features)``, to give to ``fit`` as it is; rows are in the order of the batches.

    Raises
    ------
    ValueError
        If the folder holds something else, the rows of another layer, network or text, or of
        another `dtype`; if a batch gives something that is not finite numbers of one width, or more
        than `dtype` can hold; or if there are no batches.
    OSError
        If the folder cannot be written.
    """
    if dtype not in DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}.")
    if not isinstance(rows_per_file, int | np.integer) or rows_per_file < 1:
        raise ValueError(f"rows_per_file must be an integer of at least 1, got {rows_per_file!r}.")
    folder = Path(folder)
    record = _record(folder, dtype)
    folder.mkdir(parents=True, exist_ok=True)
    check_writable(folder / RECORD)
    _note(folder, record)
    for rows, n_batches in _files(folder, batches, read, rows_per_file, record):
        name = f"part-{len(record['files']):05}.npy"
        content = io.BytesIO()
        np.save(content, rows, allow_pickle=False)
        replace_file(folder / name, content.getbuffer())
        record["files"].append({"name": name, "rows": len(rows), "batches": n_batches})
        _note(folder, record)
    if not record["files"]:
        raise ValueError("batches must give at least one row of activations, got none.")
    return Shards([folder / part["name"] for part in record["files"]])


def _note(folder: Path, record: dict[str, Any]) -> None:
    replace_file(folder / RECORD, json.dumps(record, indent=1).encode())


def _record(folder: Path, dtype: str) -> dict[str, Any]:
    """What a run before has noted in the folder, or the beginning of such notes."""
    path = folder / RECORD
    if not path.exists():
        others = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
        if others:
            raise ValueError(
                f"folder must be empty or from a run before, got {folder} with {others[0]!r}"
                f"{' and others' if len(others) > 1 else ''} and no {RECORD}."
            )
        return {"format": FORMAT, "version": 1, "dtype": dtype, "files": []}
    try:
        record = json.loads(path.read_text("utf8"))
        known = record["format"] == FORMAT and record["version"] == 1
        files = [(part["name"], part["rows"], part["batches"]) for part in record["files"]]
    except (ValueError, KeyError, TypeError):
        known = False
    if not known or any(Path(name).name != name for name, *_ in files):
        raise ValueError(f"folder must be from a run of this version, got another {path}.")
    if record["dtype"] != dtype:
        raise ValueError(
            f"dtype must be that of the files in {folder}, {record['dtype']}, got {dtype}."
        )
    for name, n_rows, _ in files:
        if not (folder / name).exists() or len(np.load(folder / name, mmap_mode="r")) != n_rows:
            raise ValueError(f"folder must be complete, but {name} in {folder} is not.")
    return record


def _files(
    folder: Path,
    batches: Iterable[Any],
    read: Callable[[Any], Any],
    rows_per_file: int,
    record: dict[str, Any],
) -> Iterator[tuple[Array, int]]:
    """Rows for each further file, and the number of batches up to its end."""
    done = record["files"][-1]["batches"] if record["files"] else 0
    before = np.load(folder / record["files"][0]["name"], mmap_mode="r") if done else None
    width = before.shape[1] if before is not None else None
    waiting: list[Array] = []
    number = -1
    for number, batch in enumerate(batches):
        if 0 < number < done:
            continue
        rows = _rows(read(batch), f"activations of batch {number}", record["dtype"], width)
        width = rows.shape[1]
        if number == 0 and before is not None:
            _check_same(rows, before, folder)
            continue
        waiting.append(rows)
        if sum(map(len, waiting)) >= rows_per_file:
            yield np.concatenate(waiting), number + 1
            waiting = []
    if number + 1 < done:
        raise ValueError(
            f"batches must be those of the run before, got {number + 1} where {folder} has {done}."
        )
    if waiting:
        yield np.concatenate(waiting), number + 1


def _rows(found: Any, name: str, dtype: str, width: int | None) -> Array:
    """Activations as rows on which one can train."""
    found = as_array(found, name)
    check_floats(found, name)
    if found.ndim not in (2, 3) or width not in (None, found.shape[-1]):
        wide = width or "n_features"
        raise ValueError(
            f"{name} must have shape (n_rows, {wide}) or (n_sequences, n_positions, {wide}), "
            f"got {found.shape}."
        )
    found = found.reshape(-1, found.shape[-1])
    if not np.isfinite(found).all():
        raise ValueError(f"{name} must be finite, got NaN or infinity.")
    largest = float(np.abs(found).max(initial=0))
    if largest > float(np.finfo(dtype).max):
        raise ValueError(f"{name} must fit into {dtype}, got numbers up to {largest:.3g}.")
    return found.astype(dtype)


def _check_same(rows: Array, before: Array, folder: Path) -> None:
    """Raise ValueError unless the first batch gives the rows that the first file begins with."""
    kept = np.asarray(before[: len(rows)], float)
    off = np.abs(rows[: len(kept)] - kept).max(initial=0)  # to rounding, which threads may change
    if len(rows) > len(before) or off > 2e-3 * np.abs(kept).max(initial=0):
        raise ValueError(
            f"batches and read must be those of the run before, but the first batch does not give "
            f"the first rows in {folder}; use another folder for another layer, network or text."
        )
