"""Checks for assignments: a wrong answer is told which mistake would give just that value.

`check` runs a student's function, in NumPy, PyTorch or TensorFlow, on random inputs. If its values
are not the right ones but those of a known mistake, it says which; the table of them is
``saebook.classroom.mistakes``. `variant` gives every student numbers of their own.
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from saebook import parity
from saebook._types import Array
from saebook.classroom.mistakes import CHECKS, Check, Mistake

__all__ = [
    "CHECKS",
    "Check",
    "CheckFailed",
    "Mistake",
    "check",
    "check_number",
    "student",
    "variant",
]

FRAMEWORKS = ("numpy", "torch", "tensorflow")
RTOL = 5e-4  # students compute in 32 bits


class CheckFailed(AssertionError):
    """An answer that is not right; the message names the likely mistake."""


class _Raised(NamedTuple):
    error: Exception


def _tensor(value: Any, framework: str, watched: bool = False) -> Any:
    if not isinstance(value, np.ndarray) or framework == "numpy":
        return value
    value = value.astype(np.float32) if value.dtype.kind == "f" else value
    if framework == "torch":
        return import_module("torch").tensor(value, requires_grad=watched)
    return import_module("tensorflow").constant(value)


def _array(value: Any) -> Array:
    if isinstance(value, list | tuple):
        return np.stack([_array(entry) for entry in value])
    value = value.detach() if hasattr(value, "detach") else value
    return np.asarray(value)


def _gradient(
    function: Callable[..., Any], args: tuple[Any, ...], by: int, framework: str
) -> Array:
    tensors = [_tensor(value, framework, watched=True) for value in args]
    if framework == "torch":
        torch = import_module("torch")
        value = function(*tensors)
        if not value.requires_grad:
            raise ValueError("the result is cut off from all arguments; detach the target alone")
        found = torch.autograd.grad(value, tensors[by], allow_unused=True)[0]
    else:
        with import_module("tensorflow").GradientTape() as tape:
            tape.watch(tensors[by])
            value = function(*tensors)
        found = tape.gradient(value, tensors[by])
    return np.zeros(args[by].shape) if found is None else _array(found)


def _outcome(function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    with np.errstate(all="ignore"):
        try:
            return _array(function(*args))
        except ValueError as error:
            return _Raised(error)


def _same(found: Any, expected: Any) -> bool:
    if isinstance(found, _Raised) or isinstance(expected, _Raised):
        return isinstance(found, _Raised) and isinstance(expected, _Raised)
    if found.shape != expected.shape or (found.dtype.kind == "b") != (expected.dtype.kind == "b"):
        return False
    if found.dtype.kind not in "fiub":
        return False
    scale = np.max(np.abs(expected), initial=0.0, where=np.isfinite(expected))
    return bool(np.allclose(found, expected, rtol=RTOL, atol=1e-5 * scale, equal_nan=True))


def _plain(found: Any, expected: Any) -> str:
    if isinstance(expected, _Raised):
        return "it must raise ValueError for the last of the inputs tried, and did not"
    if isinstance(found, _Raised):
        return f"it raised {type(found.error).__name__}: {found.error}"
    if found.shape != expected.shape:
        return f"its result must have shape {expected.shape}, got {found.shape}"
    if expected.dtype.kind == "b":
        return f"its result must hold True and False, got {found.dtype} or other entries"
    if found.dtype.kind not in "fiub":
        return f"its result must hold numbers, got {found.dtype}"
    if not np.isfinite(found).all():
        return "its result holds NaN or infinity"
    off = parity.relative_difference(found, expected)
    return f"its result is off by {off:.2g}, relative, and is none of the usual mistakes"


def check(name: str, function: Callable[..., Any], framework: str = "numpy", seed: int = 0) -> None:
    """Hold a student's function to the right one on random inputs; print that it is right.

    Parameters
    ----------
    name : str
        An entry of `CHECKS`.
    function : callable
        Takes the arguments that the entry's signature names: arrays of the framework (32 bits; 64
        in NumPy), and numbers. What it returns may be an array of any framework.
    framework : {"numpy", "torch", "tensorflow"}
    seed : int
        Seed of the inputs.

    Raises
    ------
    CheckFailed
        If it is not right: a sentence that names the likely mistake, or else how far off it is.
    ValueError
        If there is no such check or framework.
    """
    if name not in CHECKS:
        raise ValueError(f"name must be one of {', '.join(CHECKS)}, got {name!r}.")
    if framework not in FRAMEWORKS:
        raise ValueError(f"framework must be one of {', '.join(FRAMEWORKS)}, got {framework!r}.")
    entry = CHECKS[name]
    if entry.by is not None and framework == "numpy":
        raise ValueError(f"framework must be one that differentiates for {name}, got 'numpy'.")
    title = entry.signature.partition("(")[0]

    def cases() -> list[tuple[Any, ...]]:  # anew each time, since some hold the generator itself
        return entry.cases(np.random.default_rng(seed))

    try:
        found = [_answer(entry, function, args, framework) for args in cases()]
    except NotImplementedError:
        raise CheckFailed(f"{title}: not written yet.") from None
    except Exception as error:
        raise CheckFailed(f"{title}: it stopped with {type(error).__name__}: {error}") from error
    expected = [_outcome(entry.right, args) for args in cases()]
    wrong = [pair for pair in zip(found, expected, strict=True) if not _same(*pair)]
    if not wrong:
        print(f"{title}: right")
        return
    for mistake in entry.mistakes:
        likely = [_outcome(mistake.wrong, args) for args in cases()]
        if all(_same(*pair) for pair in zip(found, likely, strict=True)):
            raise CheckFailed(f"{title}: {mistake.message}.")
    raise CheckFailed(f"{title}: {_plain(*wrong[0])}.")


def _answer(entry: Check, function: Callable[..., Any], args: Any, framework: str) -> Any:
    if entry.by is not None:
        return _gradient(function, args, entry.by, framework)
    return _outcome(function, tuple(_tensor(value, framework) for value in args))


def check_number(
    answer: Any, right: float, mistakes: Mapping[str, float] | None = None, rtol: float = 0.01
) -> None:
    """Hold a number to the right one; `mistakes` maps a sentence to the value it would give.

    Raises
    ------
    CheckFailed
        If it is not right.
    """
    if answer is None or answer is ...:
        raise CheckFailed("The number is not filled in yet.")
    value = _array(answer)
    if value.shape != () or value.dtype.kind not in "fiu" or not np.isfinite(value):
        raise CheckFailed(f"The answer must be one finite number, got {answer!r}.")
    if np.isclose(value, right, rtol=rtol, atol=0):
        print("the number is right")
        return
    for message, wrong in (mistakes or {}).items():
        if np.isclose(value, wrong, rtol=rtol, atol=0):
            raise CheckFailed(f"{message}.")
    raise CheckFailed("The number is not right.")


def student(typed: str) -> str:
    """The student's id: the one typed or, while grading, the one the submission came from.

    The grader names it in the environment, as SAEBOOK_STUDENT_ID, so that nobody's answers fit
    another's numbers.
    """
    known = (os.environ.get("SAEBOOK_STUDENT_ID") or typed).strip().lower()
    if not known:
        raise ValueError("STUDENT_ID must be the id you are registered with, got an empty string.")
    return known


def variant(student_id: str, assignment: str, course: str = "saebook") -> np.random.Generator:
    """The generator of a student's own numbers in an assignment: the same for the grader."""
    key = f"{course}/{assignment}/{student(student_id)}".encode()
    return np.random.default_rng(int.from_bytes(hashlib.sha256(key).digest()[:8], "big"))
