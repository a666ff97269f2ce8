"""What an entry of the table is made of."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Function = Callable[..., Any]
Cases = Callable[[np.random.Generator], list[tuple[Any, ...]]]

CUT_OFF = (
    "the value is right, but no gradient comes through to what is trained, and nothing would be "
    "learned: .item(), float(), .numpy(), np.asarray, .detach() and torch.no_grad() all cut it off"
)


class Mistake(NamedTuple):
    """A function that makes a known mistake, and the sentence that names it."""

    name: str  #: of the mistake, for the tests
    wrong: Function  #: makes it
    message: str  #: names it to the student
    cuts: tuple[int, ...] | None = None  #: arguments that no gradient reaches
    #: tells it from the result and the arguments, where its values cannot be foretold
    seen: Function | None = None


class Check(NamedTuple):
    """What is asked for, the right function, inputs for it, and the known mistakes."""

    signature: str  #: of the function that is asked for
    right: Function  #: the right one
    cases: Cases  #: draws its inputs
    mistakes: tuple[Mistake, ...]  #: that are recognised
    talk: str  #: for teachers: a question that leads a student to the point
    small: tuple[Any, ...]  #: an input small enough to be shown
    by: tuple[int, ...] = ()  #: the arguments with respect to which gradients are compared
    cuts: tuple[int, ...] = ()  #: those of them that no gradient may reach

    @property
    def title(self) -> str:
        """Name of the function that is asked for."""
        return self.signature.partition("(")[0]

    @property
    def arguments(self) -> list[str]:
        """Names of its arguments."""
        return self.signature.partition("(")[2].rstrip(")").split(", ")

    @classmethod
    def of(
        cls,
        signature: str,
        right: Function,
        cases: Cases,
        talk: str,
        /,
        small: tuple[Any, ...],
        by: tuple[int, ...] = (),
        cuts: tuple[int, ...] = (),
        **mistakes: tuple[Any, ...],
    ) -> "Check":
        """A check as the table is written, each mistake as ``name=(wrong, message)``.

        A third entry are the arguments that the mistake cuts off from the gradient, a fourth is
        `Mistake.seen`. Where gradients are compared, that everything is cut off is added.
        """
        made = [Mistake(name, *mistake) for name, mistake in mistakes.items()]
        if by:
            made.append(Mistake("cut_off", right, CUT_OFF, by))
        return cls(signature, right, cases, tuple(made), talk, small, by, cuts)
