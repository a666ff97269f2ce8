"""Contestants at the same work, in turn, in one process: seconds of an epoch, and what it learned.

A contestant is a function ``contestant(work, x, n_epochs, stamp)`` that trains a fresh model on
`x`, calls ``stamp()`` after every epoch, and returns a function from samples to reconstructions (or
None, if there is nothing to rebuild). The first epoch pays for compilation and is counted apart.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from saebook import SAEConfig


@dataclass(frozen=True)
class Work:
    """What every contestant has to do."""

    config: SAEConfig
    batch_size: int
    n_samples: int
    n_epochs: int = 4
    learning_rate: float = 1e-3

    @property
    def updates(self) -> int:
        return self.n_epochs * -(-self.n_samples // self.batch_size)


def run(work: Work, contestants: dict[str, Callable[..., Any]], x, x_val, repeats: int = 5):
    """Table of contestants: median seconds of an epoch, extremes, compile time, squared error.

    In every round each contestant has a turn, and each round another one begins, so that a machine
    that slows down is no one's disadvantage. The error is a sum over pixels, a mean over `x_val`.
    """
    x = np.ascontiguousarray(x[: work.n_samples])
    seconds = {name: [] for name in contestants}
    first = {name: [] for name in contestants}
    errors = {name: [] for name in contestants}
    names = list(contestants)
    for turn in range(repeats):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            stamps = [time.perf_counter()]
            rebuild = contestants[name](
                work, x, work.n_epochs, lambda s=stamps: s.append(time.perf_counter())
            )
            epochs = np.diff(stamps)
            if len(epochs) != work.n_epochs:
                raise RuntimeError(f"{name} ran {len(epochs)} epochs, not {work.n_epochs}.")
            seconds[name].append(float(np.median(epochs[1:])))
            first[name].append(float(epochs[0]))
            if rebuild is not None:
                error = np.sum((np.asarray(rebuild(x_val)) - x_val) ** 2, axis=1).mean()
                errors[name].append(float(error))
    table = {}
    for name in names:
        median = float(np.median(seconds[name]))
        table[name] = {
            "seconds": round(median, 4),
            "range": [round(min(seconds[name]), 4), round(max(seconds[name]), 4)],
            "samples_per_second": round(work.n_samples / median),
            "first_epoch_more": round(max(float(np.median(first[name])) - median, 0.0), 2),
            "error": round(float(np.median(errors[name])), 2) if errors[name] else None,
        }
        print(f"  {name:<34} {table[name]}", flush=True)
    return {"updates": work.updates, "batch_size": work.batch_size, "contestants": table}
