"""Checks for assignments: a wrong answer is told which mistake would give just that value.

`check` runs a student's function, in NumPy, PyTorch or TensorFlow, on random inputs. If its values,
or its gradients where it is to be trained, are not the right ones but those of a known mistake, it
says which; the table of them is ``saebook.classroom.mistakes``. `variant` gives every student
numbers of their own, `program` a program of their own with a fault in it.
"""

import hashlib
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from saebook.classroom.checking import CheckFailed, check, marks
from saebook.classroom.mistakes import CHECKS, Check, Mistake
from saebook.classroom.outcomes import array
from saebook.classroom.programs import Program, program

__all__ = [
    "CHECKS",
    "Check",
    "CheckFailed",
    "Mistake",
    "Program",
    "check",
    "check_number",
    "check_numbers",
    "marks",
    "program",
    "student",
    "variant",
]


def check_number(
    answer: Any, right: float, mistakes: Mapping[str, float] | None = None, rtol: float = 0.01
) -> None:
    """Hold a number to the right one; `mistakes` maps a sentence to the value it would give.

    Raises
    ------
    CheckFailed
        If it is not right.
    """
    if fault := _number_fault(answer, right, mistakes, rtol):
        raise CheckFailed(fault)
    print("the number is right")


def check_numbers(
    answers: Any,
    questions: Mapping[str, tuple[float, float, Mapping[str, float]]],
    rtol: float = 0.01,
) -> float:
    """Points for several numbers, each of which counts by itself; prints what each one gets.

    Parameters
    ----------
    answers : mapping of str to float
        What a student answered, by name.
    questions : mapping of str to tuple
        For each name what it is worth, the right number, and wrong ones by the sentences that name
        their mistakes.
    rtol : float
        By how much, relative to the right number, an answer may be off.
    """
    reached = 0.0
    for name, (worth, right, mistakes) in questions.items():
        given = answers.get(name) if isinstance(answers, Mapping) else None
        fault = _number_fault(given, right, mistakes, rtol)
        got = 0 if fault else worth
        reached += got
        print(f"{name}: {fault or 'right'} ({got:g} of {worth:g})")
    return int(reached) if reached == int(reached) else reached


def _number_fault(
    answer: Any, right: float, mistakes: Mapping[str, float] | None, rtol: float
) -> str | None:
    if answer is None or answer is ...:
        return "The number is not filled in yet."
    try:
        value = array(answer)
    except Exception:
        value = np.array(str(answer))
    if value.shape != () or value.dtype.kind not in "fiu" or not np.isfinite(value):
        return f"The answer must be one finite number, got {answer!r}."
    if np.isclose(value, right, rtol=rtol, atol=0):
        return None
    for message, wrong in (mistakes or {}).items():
        if np.isclose(value, wrong, rtol=rtol, atol=0):
            return f"{message}."
    return "The number is not right."


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
