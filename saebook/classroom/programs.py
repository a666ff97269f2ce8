"""Programs with one wrong line each, and data for them: every student gets another.

``programs.json`` has several versions of every line; it does not say which are wrong, so that a
student's copy of the package does not hold the answers. ``scripts/make_programs.py`` makes it.
"""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from saebook.classroom.mistakes.shared import unit_rows

Inputs = dict[str, Any]


class Program(NamedTuple):
    """A program in NumPy that is to leave a number in `result`, one of its lines wrong."""

    versions: list[list[str]]  #: of each line
    chosen: list[int]  #: which of them it has
    inputs: Inputs  #: the data it is run on, by name

    @property
    def lines(self) -> list[str]:
        """The lines of the program."""
        return [of[i] for of, i in zip(self.versions, self.chosen, strict=True)]

    def __str__(self) -> str:
        return "\n".join(f"{number}  {line}" for number, line in enumerate(self.lines, 1))

    def run(self) -> float:
        """What the program leaves in `result`; `nan` where it stops with an error."""
        names: dict[str, Any] = {"np": np}
        names |= {k: np.copy(v) if np.ndim(v) else v for k, v in self.inputs.items()}
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                exec("\n".join(self.lines), names)
                return float(names["result"])
            except Exception:
                return float("nan")

    def mend(self, number: int, line: str) -> float:
        """What the program gives with another line in place of the one of this number.

        Raises
        ------
        ValueError
            If there is no line of this number.
        """
        if not 1 <= number <= len(self.versions):
            raise ValueError(f"number must be 1 to {len(self.versions)}, got {number}.")
        versions = [list(of) for of in self.versions]
        versions[number - 1][self.chosen[number - 1]] = line
        return self._replace(versions=versions).run()

    def mended(self, key: str) -> tuple[int, float]:
        """Number of the wrong line, counted from 1, and the result without the fault.

        Parameters
        ----------
        key : str
            Which versions of each line are wrong, as ``scripts/make_programs.py`` prints it.
        """
        wrong = key.split()
        place = next(i for i, chosen in enumerate(self.chosen) if str(chosen) in wrong[i])
        right = next(i for i in range(len(self.versions[place])) if str(i) not in wrong[place])
        chosen = [right if i == place else c for i, c in enumerate(self.chosen)]
        return place + 1, self._replace(chosen=chosen).run()


def program(name: str, rng: np.random.Generator) -> Program:
    """A student's own program and its data.

    Parameters
    ----------
    name : str
        The assignment.
    rng : numpy.random.Generator
        From `variant`.
    """
    text = Path(__file__).with_name("programs.json").read_text("utf8")
    pool = json.loads(text)[name]
    versions, seed = pool["programs"][rng.integers(len(pool["programs"]))]
    return Program(pool["lines"], [int(digit) for digit in versions], data(name, seed))


def data(name: str, seed: int) -> Inputs:
    """Data for the program of an assignment."""
    return DATA[name](np.random.default_rng(seed))


def _sizes(rng: np.random.Generator, *ranges: tuple[int, int]) -> list[int]:
    """Sizes all of which differ, so that no axis passes for another."""
    while True:
        sizes = [int(rng.integers(*bounds)) for bounds in ranges]
        if len(set(sizes)) == len(sizes):
            return sizes


def _code(rng: np.random.Generator, n: int, m: int) -> np.ndarray:
    return np.round(rng.uniform(0.02, 0.5, (n, m)) ** rng.uniform(1, 2, m), 3)


def _notation(rng: np.random.Generator) -> Inputs:
    n, d, m = _sizes(rng, (5, 9), (4, 8), (9, 13))
    z = np.where(rng.random((n, m)) < 0.5, 0, rng.normal(size=(n, m)))
    z[:, 0], z[0, 1:3], z[:, -2:] = -1 - rng.random(n), [1, -1], 0
    x, z = rng.random((n, d)), z[:, rng.permutation(m)]
    return {"x": x, "x_hat": x + rng.normal(0, 0.4, (n, d)), "z": z}


def _theory(rng: np.random.Generator) -> Inputs:
    n, m = _sizes(rng, (5, 9), (3, 7))
    rho, beta = float(rng.choice([0.05, 0.08, 0.3, 0.35])), float(rng.choice([0.3, 2.0, 3.0, 4.0]))
    return {"z": _code(rng, n, m), "rho": rho, "beta": beta}


def _backpropagation(rng: np.random.Generator) -> Inputs:
    n, d, m = _sizes(rng, (5, 9), (4, 8), (3, 7))
    return {
        "x": rng.random((n, d)),
        "W_enc": rng.normal(size=(d, m)),
        "b_enc": rng.normal(size=m) - 1,
        "W_dec": rng.normal(size=(m, d)),
        "b_dec": rng.normal(size=d),
        "rho": float(rng.choice([0.05, 0.1, 0.3])),
        "beta": float(rng.choice([0.2, 0.5, 1.0])),
        "probe": rng.normal(size=(d, m)),
    }


def _training(rng: np.random.Generator) -> Inputs:
    n, d, m = _sizes(rng, (7, 10), (4, 7), (3, 6))
    return {
        "x": rng.random((n, d)),
        "W_enc": rng.normal(size=(d, m)),
        "b_enc": rng.normal(size=m),
        "W_dec": unit_rows(rng.normal(size=(m, d))),
        "b_dec": rng.uniform(0.2, 0.6, d),
        "weight": float(rng.choice([0.3, 0.6, 1.5])),
        "rate": float(rng.choice([0.05, 0.1, 0.2])),
    }


def _parity(rng: np.random.Generator) -> Inputs:
    size, steps = _sizes(rng, (2, 5), (5, 9))
    w, target = rng.uniform(1, 2, size), rng.uniform(-2, 0, size)
    zero = np.zeros(size)
    rate = float(rng.choice([0.1, 0.2, 0.3]))
    return {"w": w, "target": target, "m": zero, "v": zero, "steps": steps, "rate": rate}


def _feature_extraction(rng: np.random.Generator) -> Inputs:
    n, t, d = _sizes(rng, (20, 30), (9, 14), (4, 7))
    mix, spread = rng.normal(size=(d, d)), rng.uniform(0.5, 4, d)
    parts = [
        rng.normal(size=(k, d)) @ mix * spread + shift
        for k, shift in ((n, spread), (t, 2 * spread))
    ]
    return {"train": parts[0], "test": parts[1], "k": int(rng.integers(2, d - 1))}


def _anomaly_detection(rng: np.random.Generator) -> Inputs:
    n, t, d = _sizes(rng, (60, 90), (24, 40), (4, 9))
    x = rng.random((n, d))
    x_hat = x + rng.normal(0, 0.3, (n, d))
    labels = (np.arange(t) < t // 3).astype(int)
    scores = 0.09 * d * (rng.gamma(4, 0.25, t) + labels * rng.uniform(0.5, 1.5, t))
    order, rate = rng.permutation(t), float(rng.choice([0.1, 0.15, 0.2, 0.25]))
    inputs = {"x": x, "x_hat": x_hat, "scores": scores[order], "labels": labels[order]}
    return {**inputs, "rate": rate}


def _denoising(rng: np.random.Generator) -> Inputs:
    n, d = _sizes(rng, (5, 9), (6, 10))
    return {
        "x": rng.random((n, d)),
        "noise": rng.normal(size=(n, d)) * np.linspace(0.2, 2.5, n)[:, None],
        "sigma": float(rng.choice([0.3, 0.4, 0.5])),
        "A": 0.8 * np.eye(d) + rng.normal(0, 0.3, (d, d)),
        "c": rng.normal(0, 0.2, d) - 0.3,
    }


def _modern(rng: np.random.Generator) -> Inputs:
    n, d, m = _sizes(rng, (8, 12), (4, 8), (6, 10))
    dead = np.arange(m) < m // 2
    b_enc = rng.normal(size=m) - 0.8
    return {
        "x": rng.random((n, d)),
        "W_enc": rng.normal(size=(d, m)),
        "b_enc": b_enc,
        "W_dec": unit_rows(rng.normal(size=(m, d))),
        "b_dec": rng.uniform(0.2, 0.8, d),
        "k": int(rng.integers(2, m - 2)),
        "dead": rng.permutation(dead),
    }


def _judging(rng: np.random.Generator) -> Inputs:
    n, n_test, d, m = _sizes(rng, (10, 14), (9, 13), (4, 7), (7, 9))
    q = m + 2
    both: list[Any] = []
    for size in (n, n_test):
        y = np.arange(size) % 3 == 0
        z = rng.normal(size=(size, m)) + np.linspace(2.5, -0.5, m)
        z[:, 1] -= 1.6 * y
        z[:, 2] += 0.8 * y
        z[:, [3, m - 1]] = 0
        both += [np.round(np.maximum(z, 0), 2), y]
    return {
        "z": both[0],
        "y": both[1],
        "z_test": both[2],
        "y_test": both[3],
        "threshold": float(np.round(rng.uniform(0.8, 1.6), 1)),
        "W_dec": rng.normal(size=(m, d)) * rng.uniform(0.5, 2, (m, 1)),
        "others": rng.normal(size=(q, d)) * rng.uniform(0.5, 2, (q, 1)),
    }


def _superposition(rng: np.random.Generator) -> Inputs:
    p, q, d = _sizes(rng, (3, 6), (6, 9), (4, 7))
    n = 5 + p
    planted = rng.normal(size=(p, d)) * rng.uniform(0.5, 2, (p, 1))
    learned = rng.normal(size=(q, d)) * rng.uniform(0.5, 2, (q, 1))
    learned[0] = -3 * planted[0]
    x = rng.random((n, d)) + np.arange(d) / 2
    return {
        "planted": planted,
        "learned": learned,
        "x": x,
        "x_hat": x + rng.normal(0, 0.4, (n, d)),
    }


def _interpretability(rng: np.random.Generator) -> Inputs:
    n, m, classes = _sizes(rng, (6, 9), (4, 6), (3, 4))
    whole = float(np.round(rng.uniform(0.2, 0.5), 2))
    return {
        "h": rng.normal(size=(n, m)),
        "z": rng.random((n, m)) * rng.integers(0, 3, (n, m)),
        "W_dec": rng.normal(size=(m, m)),
        "j": int(rng.integers(m)),
        "head": rng.normal(size=(m, classes)),
        "bias": rng.normal(size=classes),
        "y": rng.integers(classes, size=n),
        "whole": whole,
        "without": float(np.round(whole + rng.uniform(2.5, 4), 2)),
    }


def _language_model(rng: np.random.Generator) -> Inputs:
    n, d, m, tokens = _sizes(rng, (6, 9), (4, 6), (7, 10), (3, 5))
    whole = float(np.round(rng.uniform(0.3, 0.8), 2))
    mean_loss = float(np.round(whole + rng.uniform(2.0, 3.0), 2))
    return {
        "x": rng.normal(size=(n, d)),
        "W_enc": rng.normal(size=(d, m)),
        "b_enc": rng.normal(size=m),
        "W_dec": rng.normal(size=(m, d)),
        "b_dec": rng.normal(size=d),
        "W_U": rng.normal(size=(d, tokens)),
        "y": rng.integers(tokens, size=n),
        "whole": whole,
        "mean_loss": mean_loss,
        "zero_loss": float(np.round(mean_loss - rng.uniform(0.3, 0.9), 2)),
    }


def _scaling(rng: np.random.Generator) -> Inputs:
    size = int(rng.integers(3, 6))
    n, m, d = size + int(rng.integers(1, size)), int(rng.integers(2, 5)), size + 3
    error = rng.normal(size=(n, d)) * np.linspace(0.2, 1, n)[:, None]
    z = _code(rng, n, m) * np.linspace(0.2, 1.5, n)[:, None]
    rho = float(rng.choice([0.02, 0.6]))
    return {"z": z, "error": error, "size": size, "rho": rho}


DATA: dict[str, Callable[[np.random.Generator], Inputs]] = {
    "notation": _notation,
    "theory": _theory,
    "backpropagation": _backpropagation,
    "training": _training,
    "parity": _parity,
    "feature_extraction": _feature_extraction,
    "anomaly_detection": _anomaly_detection,
    "denoising": _denoising,
    "modern": _modern,
    "judging": _judging,
    "superposition": _superposition,
    "interpretability": _interpretability,
    "language_model": _language_model,
    "scaling": _scaling,
}
