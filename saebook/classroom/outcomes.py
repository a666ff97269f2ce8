"""What a function gives for an input: its value, its gradients, or the error it raised."""

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from saebook._types import Array

RTOL = 5e-4  # students compute in 32 bits
STEP = 1e-5  # of the central differences; with 64 bits their error is about 1e-10


# What is at work without being called: this module, and what every import asks for old names.
UNASKED = (__name__, "saebook._renamed")


class Borrowed(BaseException):
    """A function that a student is asked to write calls the package's own."""


class Yields(TypeError):
    """A generator, where a list of results is asked for."""


class Outcome(NamedTuple):
    """What came out of one input."""

    value: Array | None = None
    gradients: tuple[Array, ...] = ()
    error: Exception | None = None


def tensor(value: Any, framework: str, watched: bool = False) -> Any:
    """An array, or a list of arrays, in 32 bits of a framework; anything else as it is."""
    if isinstance(value, list):
        return [tensor(entry, framework, watched) for entry in value]
    if not isinstance(value, np.ndarray) or framework == "numpy":
        return value.copy() if isinstance(value, np.ndarray) else value
    value = value.astype(np.float32) if value.dtype.kind == "f" else value
    if framework == "torch":
        return import_module("torch").tensor(value, requires_grad=watched)
    return import_module("tensorflow").constant(value)


def array(value: Any) -> Array:
    """What a function returned, of whatever framework, as an array."""
    if isinstance(value, list | tuple):
        return np.stack([array(entry) for entry in value])
    if inspect.isgenerator(value):
        raise Yields("it yields its results one by one: gather them, and return the list")
    value = value.detach() if hasattr(value, "detach") else value
    return np.asarray(value)


def weights(shape: tuple[int, ...]) -> Array:
    """The factors by which entries are summed where a result has several: all of them differ."""
    return np.cos(np.arange(np.prod(shape, dtype=int))).reshape(shape) if shape else np.ones(())


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@contextmanager
def written_by_hand(given: tuple[Any, ...]) -> Iterator[None]:
    """Raise `Borrowed` where something of the package is called, but for what was given."""
    allowed = {value.__code__ for value in given if hasattr(value, "__code__")}

    def watch(frame: Any, event: str, arg: Any) -> None:
        module = frame.f_globals.get("__name__", "")
        ours = module.partition(".")[0] == "saebook" and module not in UNASKED
        if event == "call" and ours and frame.f_code not in allowed:
            raise Borrowed(f"{module}.{frame.f_code.co_name}")

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(before)


def of_student(
    function: Callable[..., Any], args: tuple[Any, ...], by: tuple[int, ...], framework: str
) -> Outcome:
    """What a student's function gives in its framework; `by` as in `Check`."""
    given = tuple(tensor(v, framework, i in by) for i, v in enumerate(args))
    try:
        with np.errstate(all="ignore"):
            if not by:
                with written_by_hand(given):
                    value = function(*given)
                return Outcome(array(value))
            if framework == "tensorflow":
                return _by_tape(function, given, by)
            return _by_autograd(function, given, by, args)
    except (Borrowed, NotImplementedError):
        raise
    except Exception as error:
        return Outcome(error=error)


def _gathered(found: list[Any], given: tuple[Any, ...], by: tuple[int, ...]) -> tuple[Array, ...]:
    """Gradients as arrays, one for each argument of `by`, 0 where there is none."""
    left, result = iter(found), []
    for index in by:
        parts = [(next(left), entry) for entry in _listed(given[index])]
        result.append(
            np.concatenate(
                [np.zeros(e.shape) if g is None else array(g).reshape(e.shape) for g, e in parts]
            )
            if isinstance(given[index], list)
            else (np.zeros(parts[0][1].shape) if parts[0][0] is None else array(parts[0][0]))
        )
    return tuple(result)


def _by_autograd(
    function: Callable[..., Any],
    given: tuple[Any, ...],
    by: tuple[int, ...],
    args: tuple[Any, ...],
) -> Outcome:
    torch = import_module("torch")
    leaves = [leaf for index in by for leaf in _listed(given[index])]
    try:
        with written_by_hand(given):
            value = function(*given)
    except RuntimeError as error:
        if "requires grad" not in str(error):
            raise
        # it leaves the framework, as TensorFlow's tensors do without a word: cut off
        with written_by_hand(given):
            value = function(*(tensor(v, "torch") for v in args))
    found: list[Any] = [None] * len(leaves)
    if isinstance(value, torch.Tensor) and value.requires_grad:
        seen = torch.tensor(weights(tuple(value.shape)), dtype=value.dtype)
        found = list(torch.autograd.grad((value * seen).sum(), leaves, allow_unused=True))
    return Outcome(array(value), _gathered(found, given, by))


def _by_tape(function: Callable[..., Any], given: tuple[Any, ...], by: tuple[int, ...]) -> Outcome:
    tf = import_module("tensorflow")
    leaves = [leaf for index in by for leaf in _listed(given[index])]
    with tf.GradientTape() as tape:
        tape.watch(leaves)
        with written_by_hand(given):
            value = function(*given)
        total = None
        if tf.is_tensor(value) and value.dtype.is_floating:
            total = tf.reduce_sum(value * tf.cast(weights(tuple(value.shape)), value.dtype))
    found = [None] * len(leaves) if total is None else tape.gradient(total, leaves)
    return Outcome(array(value), _gathered(found, given, by))


def of_table(function: Callable[..., Any], args: tuple[Any, ...]) -> Outcome:
    """The value that a function of the table gives, or its error."""
    with np.errstate(all="ignore"):
        try:
            return Outcome(array(function(*args)))
        except Exception as error:
            return Outcome(error=error)


def differences(
    function: Callable[..., Any], args: tuple[Any, ...], index: int, shape: tuple[int, ...]
) -> Array:
    """Gradient of a function of the table by one argument, by central differences."""
    seen = weights(shape)

    def total(parts: list[Array]) -> float:
        changed = parts if isinstance(args[index], list) else parts[0]
        value = array(function(*args[:index], changed, *args[index + 1 :]))
        return float((value * seen).sum())

    found = []
    for number, part in enumerate(_listed(args[index])):
        gradient = np.zeros(part.shape)
        for place in np.ndindex(part.shape):
            sides = []
            for step in (STEP, -STEP):
                moved = [p.copy() for p in _listed(args[index])]
                moved[number][place] += step
                sides.append(total(moved))
            gradient[place] = (sides[0] - sides[1]) / (2 * STEP)
        found.append(gradient)
    return np.concatenate(found) if isinstance(args[index], list) else found[0]


def same(found: Array, expected: Array) -> bool:
    """Whether two results are the same, to the digits that 32 bits have."""
    if found.shape != expected.shape or (found.dtype.kind == "b") != (expected.dtype.kind == "b"):
        return False
    if found.dtype.kind not in "fiub":
        return False
    finite = expected.dtype.kind != "f" or np.isfinite(expected)
    scale = np.max(np.abs(expected), initial=0.0, where=finite)
    return bool(np.allclose(found, expected, rtol=RTOL, atol=1e-5 * scale, equal_nan=True))


def same_values(found: Outcome, expected: Outcome) -> bool:
    """Whether both raised the same kind of error, or gave the same value."""
    if found.error is not None or expected.error is not None:
        return expected.error is not None and isinstance(found.error, type(expected.error))
    assert found.value is not None
    assert expected.value is not None
    return same(found.value, expected.value)
