"""Checks for assignments: a wrong answer is told which mistake would give just that value.

`check` runs a student's function, in NumPy, PyTorch or TensorFlow, on random inputs. If its values,
or its gradients where it is to be trained, are not the right ones but those of a known mistake, it
says which; the table of them is ``saebook.classroom.mistakes``. `variant` gives every student
numbers of their own, `program` a program of their own with a fault in it, and `curve` the curve of
a training that went wrong.
"""

import hashlib
import os

import numpy as np

from saebook.classroom.checking import CheckFailed, check, marks
from saebook.classroom.curves import Curve, curve
from saebook.classroom.mistakes import CHECKS, Check, Mistake
from saebook.classroom.numbers import (
    check_curve,
    check_fault,
    check_filled,
    check_number,
    check_numbers,
)
from saebook.classroom.programs import Program, program

__all__ = [
    "CHECKS",
    "Check",
    "CheckFailed",
    "Curve",
    "Mistake",
    "Program",
    "check",
    "check_curve",
    "check_fault",
    "check_filled",
    "check_number",
    "check_numbers",
    "curve",
    "marks",
    "program",
    "student",
    "variant",
]


def student(typed: str) -> str:
    """The student's id: the one typed or, while grading, the one the submission came from.

    The grader names it in the environment, as SAEBOOK_STUDENT_ID, so that nobody's answers fit
    another's numbers.
    """
    known = (os.environ.get("SAEBOOK_STUDENT_ID") or typed).strip().lower()
    if not known:
        raise ValueError("STUDENT_ID must be the id you are registered with, got an empty string.")
    return known


def variant(student_id: str, assignment: str) -> np.random.Generator:
    """The generator of a student's own numbers in an assignment: the same for the grader.

    There is no secret in it: the same notebook draws every student's numbers, without a network.
    """
    key = f"saebook/{assignment}/{student(student_id)}".encode()
    return np.random.default_rng(int.from_bytes(hashlib.sha256(key).digest()[:8], "big"))
