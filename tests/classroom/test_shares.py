"""The scaling assignment's own check: what is said of shares that are wrong."""

import pytest

from tests.classroom.papers import Paper

FIRST, LAST = "n_rows * rank // world_size", "n_rows * (rank + 1) // world_size"
SIZE = "-(-n_rows // world_size)"
ROUND = "round(n_rows * rank / world_size), round(n_rows * (rank + 1) / world_size)"
RIGHT = [
    f"return {FIRST}, {LAST}",
    f"return [{FIRST}, np.int64({LAST})]",
    f"return {ROUND}",
    "q, r = divmod(n_rows, world_size)\n    return rank * q + min(rank, r), "
    "(rank + 1) * q + min(rank + 1, r)",
]
WRONG = {
    f"return {FIRST}, {LAST} - 1": "each share lacks its last row: `last` is the row behind it",
    f"return {FIRST}, {LAST} - {FIRST}": "the second number is the length of a share",
    "return n_rows * (rank - 1) // world_size, n_rows * rank // world_size": "no rows [-4",
    f"return rank * {SIZE}, (rank + 1) * {SIZE}": "there are no rows [7]: they are numbered from 0",
    f"return rank * {SIZE}, min(n_rows, (rank + 1) * {SIZE})": "the shares differ by 5 rows",
    "q = n_rows // world_size\n    return rank * q, (rank + 1) * q": "the rows [6] at the end",
    "q = n_rows // world_size\n    last = rank == world_size - 1\n"
    "    return rank * q, n_rows if last else (rank + 1) * q": "the shares differ by 3 rows",
    f"rank = world_size - 1 - rank\n    return {FIRST}, {LAST}": "the shares do not follow one",
    f"return {LAST}, {FIRST}": "a share ends before it begins",
    f"return {FIRST}, min(n_rows, {LAST} + 1)": "the rows [4] belong to two processes",
    "return 0, n_rows": "the rows [0, 1, 2, 3, 4, 5, 6, 7] belong to two processes",
    "return n_rows * rank / world_size, n_rows * (rank + 1) / world_size": "whole numbers",
    "pass": "`share` must return two numbers, got None for the first process.",
    "return list(range(n_rows))[rank::world_size]": "`share` must return two numbers, got [0, 2",
    f"return {FIRST} + (rank > 0), {LAST}": "the rows [4] belong to no process.",
}


def paper(body):
    answers = {"share": f"def share(n_rows, rank, world_size):\n    {body}"}
    made = Paper("scaling", "ann", "torch", answers, ["test_share"])
    return made.points["test_share"], made.said["test_share"]


@pytest.mark.parametrize("body", RIGHT)
def test_right_shares(body):
    assert paper(body) == (2, "")


@pytest.mark.parametrize("body", WRONG)
def test_wrong_shares_are_told_by_what_is_wrong(body):
    points, said = paper(body)
    assert points == 0
    assert WRONG[body] in said
