"""Trainings with one mistake each, of which students have the curve: every student gets another.

``curves.json`` has the right programs and the curves, not what made them; a number of each curve is
left out. ``scripts/make_curves.py`` makes it.
"""

import json
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from saebook._types import Array
from saebook.classroom.mistakes.shared import unit_rows

Inputs = dict[str, Any]
Change = tuple[int, str]  #: number of a line, and what stands there instead

# How near a curve has to be to one that is printed with four digits.
PRINTED = 2e-3


class Curve(NamedTuple):
    """What a training program printed that has a mistake, and the program without it."""

    columns: list[str]  #: what is measured after every epoch
    rows: Array  #: the measurements (epochs, columns); `nan` where a number is left out
    lines: list[str]  #: of the right program, which leaves its measurements in `table`
    inputs: Inputs  #: the data that both are run on, by name

    def __str__(self) -> str:
        text = [["epoch", *self.columns]]
        for number, row in enumerate(self.rows, 1):
            text.append([str(number), *("?" if np.isnan(v) else f"{v:.4g}" for v in row)])
        widths = [max(map(len, column)) for column in zip(*text, strict=True)]
        return "\n".join(
            "  ".join(entry.rjust(width) for entry, width in zip(row, widths, strict=True))
            for row in text
        )

    @property
    def program(self) -> str:
        """The right program, its lines numbered."""
        return "\n".join(f"{number:>2}  {line}" for number, line in enumerate(self.lines, 1))

    def change(self, number: int, line: str) -> "Curve":
        """The curve of the right program with another line in place of the one of this number.

        It is run on the same data. Where the program stops with an error, all of it is `nan`.

        Parameters
        ----------
        number : int
            Counted from 1.
        line : str
            Its indentation may be left out.

        Raises
        ------
        ValueError
            If there is no line of this number.
        """
        if not 1 <= number <= len(self.lines):
            raise ValueError(f"number must be 1 to {len(self.lines)}, got {number}.")
        old = self.lines[number - 1]
        line = old[: len(old) - len(old.lstrip())] + line.strip()
        return self._replace(lines=[*self.lines[: number - 1], line, *self.lines[number:]])._run()

    def right(self) -> "Curve":
        """The curve of the right program, on the same data."""
        return self._run()

    def _run(self) -> "Curve":
        names: dict[str, Any] = {"np": np}
        names |= {k: np.copy(v) if np.ndim(v) else v for k, v in self.inputs.items()}
        found = np.full(self.rows.shape, np.nan)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                exec("\n".join(self.lines), names)
                found[:] = names["table"]
            except Exception:
                found[:] = np.nan
        return self._replace(rows=found)

    def fits(self, other: "Curve") -> bool:
        """Whether another curve has these numbers, to the digits that are printed."""
        shown = ~np.isnan(self.rows)
        return bool(np.allclose(other.rows[shown], self.rows[shown], rtol=PRINTED, atol=1e-9))

    def explained(self, changes: Sequence[Change]) -> tuple[int, float]:
        """Which of the changes to the right program made the curve, counted from 1, and the number
        that is left out.

        Raises
        ------
        ValueError
            If not just one of them fits.
        """
        made = [self.change(*change) for change in changes]
        fitting = [cause for cause, curve in enumerate(made, 1) if self.fits(curve)]
        if len(fitting) != 1:
            raise ValueError(f"one of the changes must make the curve, got {fitting}.")
        return fitting[0], float(made[fitting[0] - 1].rows[np.isnan(self.rows)][0])


def curve(name: str, rng: np.random.Generator) -> Curve:
    """A student's own curve, the right program, and the data.

    Parameters
    ----------
    name : str
        The assignment.
    rng : numpy.random.Generator
        From `variant`.
    """
    pool = json.loads(Path(__file__).with_name("curves.json").read_text("utf8"))[name]
    seed, rows = pool["curves"][rng.integers(len(pool["curves"]))]
    return Curve(pool["columns"], np.array(rows, float), pool["lines"], data(name, seed))


def data(name: str, seed: int) -> Inputs:
    """Data for the curve of an assignment."""
    return DATA[name](np.random.default_rng(seed))


def _sparse(rng: np.random.Generator, n: int, directions: Array) -> Array:
    """Samples made of a few of these directions."""
    m = len(directions)
    return (rng.random((n, m)) < 1.5 / m) * rng.uniform(0.5, 1.5, (n, m)) @ directions


def _backpropagation(rng: np.random.Generator) -> Inputs:
    d, m = int(rng.integers(5, 8)), int(rng.integers(6, 10))
    return {
        "x": rng.normal(size=(24, d)),
        "W": rng.normal(size=(d, m)),
        "b": rng.normal(0, 0.7, m),
        "D": rng.normal(0, 0.4, (m, d)),
        "rho": float(rng.choice([0.1, 0.15, 0.2])),
        "beta": float(rng.choice([0.5, 0.7, 1.0])),
    }


def _training(rng: np.random.Generator) -> Inputs:
    d, m = int(rng.integers(6, 9)), int(rng.integers(8, 11))
    directions = unit_rows(rng.normal(size=(m, d)))
    W_dec = unit_rows(rng.normal(size=(m, d)))
    return {
        "x": _sparse(rng, 60, directions),
        "x_val": _sparse(rng, 60, directions),
        "W_enc": W_dec.T + rng.normal(0, 0.1, (d, m)),
        "b_enc": np.zeros(m),
        "W_dec": W_dec,
        "weight": float(rng.choice([0.2, 0.3, 0.4])),
        "seed": int(rng.integers(1000)),
    }


def _denoising(rng: np.random.Generator) -> Inputs:
    d, m = int(rng.integers(8, 12)), int(rng.integers(3, 5))
    directions = rng.random((m, d)) / 2
    return {
        "x": _sparse(rng, 20, directions),
        "x_val": _sparse(rng, 60, directions),
        "A": np.zeros((d, d)),
        "c": np.zeros(d),
        "sigma": float(rng.choice([0.2, 0.3, 0.4])),
        "seed": int(rng.integers(1000)),
    }


DATA: dict[str, Callable[[np.random.Generator], Inputs]] = {
    "backpropagation": _backpropagation,
    "training": _training,
    "denoising": _denoising,
}
