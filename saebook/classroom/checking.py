"""Checks of functions that students write, and what is said about a wrong one."""

import contextlib
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from saebook._types import Array
from saebook.classroom.mistakes import CHECKS, Check, Mistake
from saebook.classroom.outcomes import (
    Borrowed,
    Outcome,
    Yields,
    differences,
    of_student,
    of_table,
    same,
    same_values,
)

FRAMEWORKS = ("numpy", "torch", "tensorflow")


class CheckFailed(AssertionError):
    """An answer that is not right; the message names the likely mistake."""


def check(name: str, function: Callable[..., Any], framework: str = "numpy", seed: int = 0) -> None:
    """Hold a student's function to the right one on random inputs; print that it is right.

    Values are compared and, where the result is to be trained, gradients too.

    Parameters
    ----------
    name : str
        An entry of `CHECKS`.
    function : callable
        Takes the arguments that the entry's signature names: arrays of the framework (32 bits; 64
        in NumPy), and numbers. What it returns may be an array of any framework, but for a result
        that is to be trained: gradients have to pass through it.
    framework : {"numpy", "torch", "tensorflow"}
    seed : int
        Seed of the inputs.

    Raises
    ------
    CheckFailed
        If it is not right: a sentence that names the likely mistake, or else three lines, what it
        gave for a small input, what is expected, and the input.
    ValueError
        If there is no such check or framework, or the framework does not differentiate and the
        result is to be trained.
    """
    entry = _entry(name, framework)
    fault = _fault(entry, function, framework, seed)
    if fault:
        raise CheckFailed(f"{entry.title}: {fault}")
    print(f"{entry.title}: right")


def marks(
    points: Mapping[str, float], names: Mapping[str, Any], framework: str = "numpy", seed: int = 0
) -> float:
    """Points for several functions, each of which counts by itself; prints what each one gets.

    The last line of a test cell: nbgrader takes the number that a cell ends with for its points.

    Parameters
    ----------
    points : mapping of str to float
        What each check, an entry of `CHECKS`, is worth.
    names : mapping of str to object
        Where the functions are found by their names: ``globals()``.
    framework, seed
        As in `check`.
    """
    reached = 0.0
    for name, worth in points.items():
        entry = _entry(name, framework)
        if callable(names.get(entry.title)):
            fault = _fault(entry, names[entry.title], framework, seed)
        else:
            fault = "there is no function of this name."
        got = 0 if fault else worth
        reached += got
        print(f"{entry.title}: {fault or 'right'} ({got:g} of {worth:g})")
    return int(reached) if reached == int(reached) else reached


def _entry(name: str, framework: str) -> Check:
    if name not in CHECKS:
        raise ValueError(f"name must be one of {', '.join(CHECKS)}, got {name!r}.")
    if framework not in FRAMEWORKS:
        raise ValueError(f"framework must be one of {', '.join(FRAMEWORKS)}, got {framework!r}.")
    if CHECKS[name].by and framework == "numpy":
        raise ValueError(
            f"framework must be one that differentiates for {name}, since its result is trained, "
            "got 'numpy'."
        )
    return CHECKS[name]


def _fault(entry: Check, function: Callable[..., Any], framework: str, seed: int) -> str | None:
    """What is wrong with a function, None if nothing is."""

    def cases() -> list[tuple[Any, ...]]:  # anew each time, since some hold the generator itself
        return entry.cases(np.random.default_rng(seed))

    def run(args: tuple[Any, ...]) -> Outcome:
        return of_student(function, args, entry.by, framework)

    # nbgrader gives nothing for a cell that writes to stderr, as warnings do
    with warnings.catch_warnings(), contextlib.redirect_stderr(sys.stdout):
        warnings.simplefilter("ignore")
        try:
            found = [run(args) for args in cases()]
            expected = [of_table(entry.right, args) for args in cases()]
            pairs = list(zip(found, expected, strict=True))
            wrong = [i for i, pair in enumerate(pairs) if not same_values(*pair)]
            slopes = _Slopes(entry, cases(), found)
            if not wrong and slopes.fit(entry.right, entry.cuts):
                return None
            for mistake in entry.mistakes:
                right_value = mistake.wrong is entry.right
                if right_value != bool(wrong) and _made(mistake, found, cases(), slopes, entry):
                    return f"{mistake.message}."
            if wrong:
                small = _arguments(entry, entry.small), _arguments(entry, entry.small)
                outcomes = run(small[0]), of_table(entry.right, small[1])
                if not same_values(*outcomes):
                    return _told(entry, *outcomes, _shown(entry))
                return _told(entry, *pairs[wrong[0]], _named(entry, cases()[wrong[0]], seed))
            return slopes.told()
        except NotImplementedError:
            return "not written yet."
        except Borrowed as error:
            return f"it calls {error}: write it yourself, with NumPy or your framework."


def _made(
    mistake: Mistake,
    found: list[Outcome],
    cases: list[tuple[Any, ...]],
    slopes: "_Slopes",
    entry: Check,
) -> bool:
    if mistake.seen is not None:
        values = [outcome.value for outcome in found]
        return all(
            value is not None and mistake.seen(value, *args)
            for value, args in zip(values, cases, strict=True)
        )
    likely = [of_table(mistake.wrong, args) for args in cases]
    if not all(same_values(*pair) for pair in zip(found, likely, strict=True)):
        return False
    # a wrong value says enough; of right ones the gradient is looked at
    return mistake.cuts is None or slopes.fit(mistake.wrong, mistake.cuts)


class _Slopes:
    """The gradients of a student's function, beside those of the functions of the table."""

    def __init__(self, entry: Check, cases: list[tuple[Any, ...]], found: list[Outcome]):
        self.entry, self.cases, self.found = entry, cases, found

    def expected(self, function: Callable[..., Any], case: int, index: int) -> Array:
        shape = self.found[case].value.shape  # type: ignore[union-attr]
        return differences(function, self.cases[case], index, shape)

    def fit(self, function: Callable[..., Any], cuts: tuple[int, ...]) -> bool:
        """Whether they are those of a function, 0 for the arguments that it cuts off."""
        for case, outcome in enumerate(self.found):
            for gradient, index in zip(outcome.gradients, self.entry.by, strict=False):
                wanted = self.expected(function, case, index) if index not in cuts else 0 * gradient
                if not same(gradient, wanted):
                    return False
        return True

    def told(self) -> str:
        """Of a right value with a wrong gradient: by which argument, and what it is."""
        for case, outcome in enumerate(self.found):
            for gradient, index in zip(outcome.gradients, self.entry.by, strict=False):
                wanted = self.expected(self.entry.right, case, index)
                wanted = 0 * wanted if index in self.entry.cuts else wanted
                if same(gradient, wanted):
                    continue
                name = self.entry.arguments[index]
                if not gradient.any():
                    return f"the value is right, but no gradient reaches {name}."
                place = np.unravel_index(np.argmax(np.abs(gradient - wanted)), wanted.shape)
                where = f"{name}[{', '.join(map(str, place))}]"
                return (
                    f"the value is right, but its gradient by {where} is {gradient[place]:.4g}\n"
                    f"expected: {wanted[place]:.4g}\n"
                    f"input: number {case} of this check's"
                )
        raise AssertionError("the gradients are right")


def _arguments(entry: Check, small: tuple[Any, ...]) -> tuple[Any, ...]:
    """A small input, its generator made anew."""
    return tuple(np.random.default_rng(0) if v is np.random.default_rng else v for v in small)


def _text(value: Any) -> str:
    if isinstance(value, np.ndarray):
        text = np.array2string(value, precision=4, suppress_small=True, separator=", ")
        return " ".join(text.split())
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value))}]"
    if value is np.random.default_rng:
        return "numpy.random.default_rng(0)"
    return getattr(value, "__doc__", "") if callable(value) else f"{value}"


def _shown(entry: Check) -> str:
    pairs = zip(entry.arguments, entry.small, strict=True)
    return ", ".join(f"{name} = {_text(value)}" for name, value in pairs)


def _named(entry: Check, args: tuple[Any, ...], seed: int) -> str:
    pairs = zip(entry.arguments, args, strict=True)
    told = [
        f"{n} of shape {v.shape}" if isinstance(v, np.ndarray) and v.ndim else f"{n} = {_text(v)}"
        for n, v in pairs
    ]
    return f"random, from seed {seed}: {', '.join(told)}"


def _told(entry: Check, found: Outcome, expected: Outcome, given: str) -> str:
    """Three lines where no known mistake fits, the one that helps most first."""
    wanted = (
        f"it must raise {type(expected.error).__name__}"
        if expected.error is not None
        else _text(expected.value)
    )
    return f"{_got(found, expected)}\nexpected: {wanted}\ninput: {given}"


def _got(found: Outcome, expected: Outcome) -> str:
    if isinstance(found.error, Yields):
        return str(found.error)
    if found.error is not None:
        return f"it stopped with {type(found.error).__name__}: {found.error}"
    value, right = found.value, expected.value
    assert value is not None
    if right is None:
        return f"it must raise {type(expected.error).__name__}, and returned {_text(value)}"
    if value.dtype.kind not in "fiub":
        return f"its result must hold numbers, got {value.dtype}"
    if value.shape != right.shape:
        return f"its result must have shape {right.shape}, got {value.shape}"
    if right.dtype.kind == "b" and value.dtype.kind != "b":
        return f"its result must hold True and False, got {value.dtype}"
    if value.dtype.kind == "b" and right.dtype.kind != "b":
        return "its result must hold numbers, got True and False"
    if not np.isfinite(value).all():
        return f"its result holds NaN or infinity: {_text(value)}"
    return f"got {_text(value)}, which is none of the usual mistakes"
