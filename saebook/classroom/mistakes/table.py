"""What an entry of the table is made of."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Function = Callable[..., Any]
Cases = Callable[[np.random.Generator], list[tuple[Any, ...]]]


class Mistake(NamedTuple):
    """A function that makes a known mistake, and the sentence that names it."""

    name: str  #: of the mistake, for the tests
    wrong: Function  #: makes it
    message: str  #: names it to the student


class Check(NamedTuple):
    """What is asked for, the right function, inputs for it, and the known mistakes."""

    signature: str  #: of the function that is asked for
    right: Function  #: the right one
    cases: Cases  #: draws its inputs
    mistakes: tuple[Mistake, ...]  #: that are recognised
    talk: str  #: for teachers: a question that leads a student to the point
    by: int | None = None  #: the argument with respect to which gradients are compared, if they are

    @classmethod
    def of(
        cls,
        signature: str,
        right: Function,
        cases: Cases,
        talk: str,
        /,
        by: int | None = None,
        **mistakes: tuple[Function, str],
    ) -> "Check":
        """A check as the table is written, each mistake as ``name=(wrong, message)``."""
        made = tuple(Mistake(name, *mistake) for name, mistake in mistakes.items())
        return cls(signature, right, cases, made, talk, by)
