"""Make the students' wrong curves from assignments/*/curve.txt.

    python scripts/make_curves.py

A source has three parts, a blank line between them: what is measured, a right program that leaves
it in `table`, and one mistake a line, ``!NUMBER LINE``: what stands in place of the line of this
number. What students have, saebook/classroom/curves.json, holds the program and curves that the
mistakes made, each on data sets of its own, in another order; it does not say which mistake, and a
number of each curve is left out. The data are those on which every two of the programs differ in
that number, and it cannot be guessed from the numbers beside it.
"""

import json
import sys
from pathlib import Path

import numpy as np

from saebook.classroom.curves import Curve, data

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "saebook" / "classroom" / "curves.json"
SETS = 8  # curves that the same mistake made
APART = 0.03  # by how much two curves differ in the number that is left out, relative
GUESSED = 0.005  # how near its neighbours may come to it


def read(path):
    """What is measured, the lines of the right program, and the mistakes."""
    columns, program, mistakes = path.read_text("utf8").rstrip("\n").split("\n\n")
    changes = []
    for line in mistakes.split("\n"):
        number, _, text = line.removeprefix("!").partition(" ")
        changes.append((int(number), text))
    return columns.split(", "), program.split("\n"), changes


def curves(name, columns, lines, changes, seed):
    """On one data set: the curve of the right program, and those of the mistakes."""
    measured = sum(line.strip().startswith("table.append") for line in lines)
    assert measured == 1, f"{name}: the program measures once in each epoch"
    empty = np.full((8, len(columns)), np.nan)
    given = Curve(columns, empty, lines, data(name, seed))
    return [given.right(), *(given.change(*change) for change in changes)]


def left_out(made, cause):
    """Row and column of the number that the curve of a mistake leaves out, None if none will do.

    All curves differ in it, and it is not what a ruler laid along its neighbours gives.
    """
    values = np.array([curve.rows for curve in made])
    if not np.isfinite(values).all() or np.abs(values).max() > 1e4:
        return None
    one, other = np.triu_indices(len(made), 1)
    places = between(values[one], values[other]).min(axis=0)
    own = values[cause]
    ruled = np.stack([own, own, own])
    ruled[0, 1:] = own[:-1]
    ruled[1, 2:] = 2 * own[1:-1] - own[:-2]
    ruled[2, 1:-1] = (own[:-2] + own[2:]) / 2
    ruled[2, -1] = ruled[1, -1]
    places[between(ruled, own).min(axis=0) < GUESSED] = 0
    places[:3] = 0
    place = np.unravel_index(np.argmax(places), places.shape)
    return place if places[place] > APART else None


def between(one, other):
    """How far apart numbers are, relative to the larger."""
    return np.abs(one - other) / (np.maximum(np.abs(one), np.abs(other)) + 1e-12)


def make(path):
    """What students get: the right program, and curves that mistakes made."""
    name = path.parent.name
    columns, lines, changes = read(path)
    drawn, seed = [], 0
    for cause in range(1, len(changes) + 1):
        found = 0
        while found < SETS:
            made = curves(name, columns, lines, changes, seed)
            place, seed = left_out(made, cause), seed + 1
            if seed > 20_000:
                sys.exit(f"{name}: no data tell the mistakes apart")
            if place is None:
                continue
            rows = [[float(f"{value:.4g}") for value in row] for row in made[cause].rows]
            rows[place[0]][place[1]] = None
            drawn.append([seed - 1, rows])
            found += 1
    np.random.default_rng(list(name.encode())).shuffle(drawn)
    print(f"{name:<20} {len(drawn)} curves, {seed} data sets tried")
    return {"columns": columns, "lines": lines, "curves": drawn}


def main():
    made = {p.parent.name: make(p) for p in sorted(ROOT.glob("assignments/*/curve.txt"))}
    TARGET.write_text(json.dumps(made) + "\n", "utf8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
