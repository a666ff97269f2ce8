"""Contestants at the same work, in turn: seconds of an epoch, and what it learned.

A contestant is a function ``contestant(work, x, n_epochs, stamp)`` that trains a fresh model on
`x` and calls ``stamp(rebuild)`` after every epoch; `rebuild` makes reconstructions of samples, or
is None where there is nothing to rebuild. A second function, if there is one, says which latents
are active for samples, ``(n_samples, n_latents)``.
"""

import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from typing import Any

import numpy as np

from benchmarks.works import Work, digits


def turn(contestant: Callable[..., Any], work: Work):
    """Seconds of each epoch, and the error after it, for which the clock stands still.

    The error is a sum over features, a mean over validation samples.
    """
    x, x_val = digits()
    seconds, errors = [], []
    start = time.perf_counter()

    def stamp(rebuild, _=None) -> None:
        nonlocal start
        seconds.append(time.perf_counter() - start)
        if rebuild is not None:
            difference = np.asarray(rebuild(x_val)) - x_val
            errors.append(float(np.sum(difference**2, axis=1).mean()))
        start = time.perf_counter()

    contestant(work, np.ascontiguousarray(x[: work.n_samples]), work.n_epochs, stamp)
    if len(seconds) != work.n_epochs:
        raise RuntimeError(f"{contestant} ran {len(seconds)} epochs, not {work.n_epochs}.")
    return seconds, errors


def pace(seconds):
    """How slow the machine was in each round, of times ``(n_contestants, n_rounds)``.

    The median contestant's time in units of its own median, so that a disturbance in one turn
    counts for nothing. What a busy machine takes from threads that wait for each other stays.
    """
    seconds = np.asarray(seconds)
    return np.median(seconds / np.median(seconds, axis=1, keepdims=True), axis=0)


def run(work: Work, contestants: dict[str, Callable[..., Any]], repeats: int = 5):
    """Table of contestants: median seconds of an epoch, extremes, compile time, squared error.

    In every round each contestant has a turn, and each round another one begins, so that a machine
    that slows down is no one's disadvantage. What is compared is what was measured in the same
    round: times are divided by its `pace`. Each has a process of its own, which sleeps while others
    have their turn: in one process the threads of two frameworks stand in each other's way.

    The first epoch, which pays for compilation, is counted apart. The goal is an error 5 % above
    the largest that any of them ends with; ``seconds_to_goal`` counts all epochs until it is
    reached, the first included.
    """
    turns = {name: [] for name in contestants}
    names = list(contestants)
    with ExitStack() as stack:
        processes = {
            name: stack.enter_context(ProcessPoolExecutor(1, get_context("spawn")))
            for name in names
        }
        for first in range(repeats):
            start = first % len(names)
            for name in names[start:] + names[:start]:
                done = processes[name].submit(turn, contestants[name], work)
                turns[name].append(done.result())
    goal = 1.05 * max(errors[-1] for many in turns.values() for _, errors in many if errors)
    epochs = {name: [np.median(seconds[1:]) for seconds, _ in many] for name, many in turns.items()}
    slow = pace(list(epochs.values()))
    table = {}
    for name, many in turns.items():
        median = float(np.median(epochs[name] / slow))
        first = float(np.median([seconds[0] for seconds, _ in many] / slow))
        table[name] = {
            "seconds": round(median, 4),
            "range": [round(float(end(epochs[name])), 4) for end in (min, max)],
            "samples_per_second": round(work.n_samples / median),
            "first_epoch_more": round(max(first - median, 0.0), 2),
        }
        if many[0][1]:
            reached = [1 + int(np.argmax(np.array(errors) <= goal)) for _, errors in many]
            to_goal = [sum(seconds[:n]) for (seconds, _), n in zip(many, reached, strict=True)]
            table[name] |= {
                "error": round(float(np.median([errors[-1] for _, errors in many])), 2),
                "seconds_to_goal": round(float(np.median(to_goal / slow)), 2),
            }
        print(f"  {name:<34} {table[name]}", flush=True)
    return {
        "work": str(work), "updates": work.updates, "batch_size": work.batch_size,
        "goal": round(goal, 2), "contestants": table,
    }  # fmt: skip
