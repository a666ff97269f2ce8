"""Make the students' faulty programs from assignments/*/program.txt.

    python scripts/make_programs.py

A source has the lines of a program one after another, a blank line between them; of each line there
are several versions, marked ``=`` where right and ``!`` where wrong. What students have,
saebook/classroom/programs.json, holds the same versions without the marks, in another order, and
which of them make up each of the programs: every wrong version is in three, always alone, each with
six data sets on which the number that the mended program gives is none that another change would
give. Which are wrong is printed, for the hidden test of the assignment: for each line the numbers
of its wrong versions, ``-`` where there is none. A program that another change mends is refused.
"""

import json
import sys
from pathlib import Path

import numpy as np

from saebook.classroom.programs import Program, data

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "saebook" / "classroom" / "programs.json"
EACH, SETS = 3, 6  # programs with the same wrong version, data sets of each
APART = 0.02  # by how much their numbers differ from the right one, relative


def read(path):
    """The lines of a program, each a list of (wrong, version)."""
    blocks = path.read_text("utf8").rstrip("\n").split("\n\n")
    return [[(text[0] == "!", text[2:]) for text in block.split("\n")] for block in blocks]


def make(path):
    """What students get of a program, and the key to it."""
    lines = [sorted(versions, key=lambda version: version[1]) for versions in read(path)]
    rng = np.random.default_rng(list(path.parent.name.encode()))
    programs = []
    for place, versions in enumerate(lines):
        for number, (wrong, _) in enumerate(versions):
            for _ in range(EACH if wrong else 0):
                chosen = [
                    rng.choice([i for i, (bad, _) in enumerate(other) if not bad])
                    for other in lines
                ]
                chosen[place] = number
                programs.append(list(map(int, chosen)))
    key = [
        "".join(str(i) for i, (bad, _) in enumerate(versions) if bad) or "-" for versions in lines
    ]
    texts = [[text for _, text in versions] for versions in lines]
    name, key = path.parent.name, " ".join(key)
    drawn = [("".join(map(str, c)), seed) for c in programs for seed in sets(name, texts, c, key)]
    rng.shuffle(drawn)
    return {"lines": texts, "programs": [[c, int(seed)] for c, seed in drawn]}, key


def sets(name, texts, chosen, key):
    """Seeds of data on which a program tells right from wrong."""
    found = []
    for seed in range(2000):
        program = Program(texts, chosen, data(name, seed))
        place, right = program.mended(key)
        others = [
            program._replace(chosen=[*chosen[:i], other, *chosen[i + 1 :]]).run()
            for i, versions in enumerate(texts)
            for other in range(len(versions))
            if i != place - 1 or str(other) in key.split()[i]
        ]
        if all(not abs(other - right) <= APART * abs(right) for other in others):
            found.append(seed)
        if len(found) == SETS:
            return found
    sys.exit(f"{name}: no data tell what is wrong with {chosen}")


def main():
    made = {}
    for path in sorted(ROOT.glob("assignments/*/program.txt")):
        made[path.parent.name], key = make(path)
        print(f"{path.parent.name:<20} {key}")
    TARGET.write_text(json.dumps(made) + "\n", "utf8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
