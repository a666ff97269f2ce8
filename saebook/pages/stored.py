"""Stored results, and the line that says so under a table or figure that shows them."""

import json
from collections.abc import ItemsView, ValuesView
from importlib.resources import files
from typing import Any

TARGETS = {  # of make; every other result is one of `make experiments`
    "environments": "environments",
    "interop": "interop",
    "runtimes": "runtimes",
    "speed": "bench",
}
_dates: dict[str, str] = {}  # of the results read so far
_read: dict[str, object] = {}  # the cell in which each was last looked into


class Stored(dict[str, Any]):
    """A part of a stored result, which notes the cell in which it is looked into."""

    name = ""

    def note(self) -> None:
        _read[self.name] = _cell()

    def __getitem__(self, key: str) -> Any:
        self.note()
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self.note()
        return super().get(key, default)

    def items(self) -> ItemsView[str, Any]:  # type: ignore[override]
        self.note()
        return super().items()

    def values(self) -> ValuesView[Any]:  # type: ignore[override]
        self.note()
        return super().values()


def results(name: str) -> dict[str, Any]:
    """What was measured or trained beforehand, as it takes too long for a page.

    By ``make experiments``, ``make bench`` (the name is "speed") and ``make environments``. A
    `saebook.pages.table` or a figure of `saebook.pages.show` in a cell that looks into it says that
    it is stored.

    Parameters
    ----------
    name : str
        Of the file, for example "denoising".

    Returns
    -------
    dict
        Its entries; of experiments and of speed also ``run``: date, seconds, versions, machine.

    Raises
    ------
    ValueError
        If there is no such file.
    """
    folder = files("saebook.pages") / "results"
    known = sorted(path.name.removesuffix(".json") for path in folder.iterdir())
    if name not in known:
        raise ValueError(f"name must be one of {', '.join(known)}, got {name!r}.")

    def part(pairs: dict[str, Any]) -> Stored:
        found = Stored(pairs)
        found.name = name
        return found

    found = json.loads((folder / f"{name}.json").read_text("utf8"), object_hook=part)
    _dates[name] = dict.get(dict.get(found, "run", {}), "date", "")
    return found


def source() -> str:
    """Markdown that names the stored results looked into in this cell, or nothing."""
    cell = _cell()
    if cell is None:
        return ""
    named = [
        ", ".join(filter(None, (f"`make {TARGETS.get(name, 'experiments')}`", name, _dates[name])))
        for name, seen in _read.items()
        if seen == cell
    ]
    return f"*Stored, not computed with this page: {'; '.join(named)}.*" if named else ""


def _cell() -> object:
    """What the cell that is running was asked with; None outside of notebooks.

    Its number would not do: where no history is kept, as nbval has it, all cells have the same.
    """
    try:
        from IPython import get_ipython
    except ModuleNotFoundError:
        return None
    shell = get_ipython()
    return shell.get_parent()["header"]["msg_id"] if hasattr(shell, "get_parent") else None
