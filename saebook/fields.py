"""Rules for the fields of settings: what each may hold, and one sentence where it does not."""

import math
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np


def is_integer(value: object) -> bool:
    """Whether the value counts something; True and False do not."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def _real(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _level(value: Any) -> bool:
    pair = value if isinstance(value, tuple) and len(value) == 2 else (value, value)
    return all(map(_real, pair)) and 0 <= pair[0] <= pair[1]


# What a field may hold, in words, and the test of it.
_RULES: dict[str, Callable[[Any], bool]] = {
    "an integer of at least 1": lambda value: is_integer(value) and value >= 1,
    "an integer of at least 0": lambda value: is_integer(value) and value >= 0,
    "a finite number of at least 0": lambda value: _real(value) and value >= 0,
    "a finite number above 0": lambda value: _real(value) and value > 0,
    "None or a finite number above 0": lambda value: value is None or (_real(value) and value > 0),
    "a number from 0 to below 1": lambda value: _real(value) and 0 <= value < 1,
    "None or a number from 0 to below 1": lambda value: (
        value is None or (_real(value) and 0 <= value < 1)
    ),
    "a number strictly between 0 and 1": lambda value: _real(value) and 0 < value < 1,
    "a number from 0 to 1": lambda value: _real(value) and 0 <= value <= 1,
    "a finite number of at least 0, or a rising pair of them, (low, high)": _level,
    "True or False": lambda value: isinstance(value, bool),
    "'auto', True or False": lambda value: (
        isinstance(value, bool) or (isinstance(value, str) and value == "auto")
    ),
}


def check_fields(owner: object, allowed: str, *fields: str) -> None:
    """Raise ValueError unless each of the owner's fields holds what `allowed` says, a rule.

    NumPy's scalars become Python's numbers, which JSON, and so the file of a model, can hold.
    """
    for field in fields:
        object.__setattr__(owner, field, as_python(getattr(owner, field)))
        refuse_unless(_RULES[allowed](getattr(owner, field)), owner, field, allowed)


def as_python(value: Any) -> Any:
    """NumPy's scalars, also those in a tuple or list, as Python's; everything else as it is."""
    if isinstance(value, tuple | list):
        return type(value)(map(as_python, value))
    return value.item() if isinstance(value, np.generic) else value


def refuse_unless(ok: bool, owner: object, field: str, allowed: str) -> None:
    """Raise ValueError, naming the owner's field, its value and what is allowed, unless `ok`."""
    if not ok:
        value = getattr(owner, field)
        raise ValueError(f"{type(owner).__name__}.{field} must be {allowed}, got {value!r}.")
