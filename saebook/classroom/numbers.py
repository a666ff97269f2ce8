"""Checks of numbers that students work out, measure or predict."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from saebook.classroom.checking import CheckFailed
from saebook.classroom.curves import Change, Curve
from saebook.classroom.outcomes import array
from saebook.classroom.programs import Program

# How far apart wrong numbers have to be from the right one and from each other, in tolerances, for
# their mistakes to be told.
APART = 2.5


def check_number(
    answer: Any, right: float, mistakes: Mapping[str, float] | None = None, rtol: float = 0.01
) -> None:
    """Hold a number to the right one; `mistakes` maps a sentence to the value it would give.

    A mistake whose value is next to the right one or to that of another mistake is not told.

    Raises
    ------
    CheckFailed
        If it is not right.
    """
    if fault := _fault(answer, right, mistakes or {}, rtol):
        raise CheckFailed(fault)
    print("the number is right")


def check_numbers(
    answers: Any,
    questions: Mapping[str, tuple[float, float, Mapping[str, float]]],
    rtol: float = 0.01,
) -> float:
    """Points for several numbers, each of which counts by itself; prints what each one gets.

    The last line of a test cell: nbgrader takes the number that a cell ends with for its points.

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
        fault = _fault(given, right, mistakes, rtol)
        got = 0 if fault else worth
        reached += got
        print(f"{name}: {fault or 'right'} ({got:g} of {worth:g})")
    return int(reached) if reached == int(reached) else reached


def check_filled(answers: Mapping[str, Any]) -> None:
    """Say which answers are still missing.

    Raises
    ------
    CheckFailed
        If all of them are.
    """
    missing = [name for name, value in answers.items() if value is None or value is ...]
    if len(missing) == len(answers):
        raise CheckFailed(f"Not filled in yet: {', '.join(missing)}.")
    print(f"not filled in yet: {', '.join(missing)}" if missing else "all is filled in")


def check_fault(given: Program, key: str, line: Any, value: Any, rtol: float = 1e-3) -> float:
    """Points for a fault found in a program: 1 for the line, 2 for what the mended program gives.

    Parameters
    ----------
    given : Program
        The student's program.
    key : str
        Which versions of each line are wrong; see `Program.mended`.
    line, value : object
        What the student answered: the number of the line, and the result of the mended program.
    rtol : float
        By how much, relative to the right value, the answer may be off.
    """
    place, right = given.mended(key)
    as_it_is = {"This is what the program gives as it is": given.run()}
    return check_numbers(
        {"line": line, "value": value},
        {"line": (1, place, {}), "value": (2, right, as_it_is)},
        rtol,
    )


def check_curve(
    given: Curve,
    changes: Sequence[Change],
    shapes: Sequence[str],
    cause: Any,
    missing: Any,
    rtol: float = 1e-3,
) -> float:
    """Points for a wrong curve: 1 for the mistake that made it, 2 for the number left out.

    Parameters
    ----------
    given : Curve
        The student's curve.
    changes : sequence of (int, str)
        For each mistake the number of the right program's line that it changes, and the wrong line.
    shapes : sequence of str
        For each mistake a sentence that says what a curve would look like.
    cause, missing : object
        What the student answered: the number of the mistake, and the number that is left out.
    rtol : float
        By how much, relative to the right value, the answer may be off.
    """
    place, right = given.explained(changes)
    left_out = np.isnan(given.rows)
    others = {
        f"This is what mistake {number} would give": float(given.change(*change).rows[left_out][0])
        for number, change in enumerate(changes, 1)
        if number != place
    }
    as_it_should_be = float(given.right().rows[left_out][0])
    return check_numbers(
        {"cause": cause, "missing": missing},
        {
            "cause": (1, place, {s: i for i, s in enumerate(shapes, 1) if i != place}),
            "missing": (
                2,
                right,
                {"This is what the right program gives": as_it_should_be, **others},
            ),
        },
        rtol,
    )


def told(right: float, mistakes: Mapping[str, float], rtol: float) -> dict[str, float]:
    """Of the mistakes those whose values are told apart, from the right one and from each other."""
    values = [(None, right), *mistakes.items()]

    def near(a: float, b: float) -> bool:
        return bool(np.isclose(a, b, rtol=APART * rtol, atol=0) or a == b)

    return {
        message: value
        for message, value in mistakes.items()
        if np.isfinite(value)
        and not any(near(value, other) for name, other in values if name != message)
    }


def _fault(answer: Any, right: float, mistakes: Mapping[str, float], rtol: float) -> str | None:
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
    for message, wrong in told(right, mistakes, rtol).items():
        if np.isclose(value, wrong, rtol=rtol, atol=0):
            return f"{message}."
    return "The number is not right."
