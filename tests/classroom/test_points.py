"""Points: all for right answers, and for half-right ones what the assignment's text says."""

import re
from functools import cache

import pytest

import saebook
from saebook import classroom
from tests.classroom import test_numbers, test_programs
from tests.classroom.papers import Paper, cells, make_assignments

IDS = [f"s{number}" for number in range(50)]
CHAPTERS = list(test_programs.MEANT)


def found_by_hand(name, student):
    """The fault, found by what the program is meant to give; no key is used."""
    given = classroom.program(name, classroom.variant(student, f"{name}/program"))
    meant = test_programs.MEANT[name](**given.inputs)
    for number, versions in enumerate(given.versions, 1):
        for other in versions:
            value = given.mend(number, other)
            if abs(value - meant) <= 1e-5 * abs(meant):
                return number, value
    raise AssertionError(f"{name} of {student} cannot be mended:\n{given}")


@pytest.fixture(autouse=True)
def read_once(monkeypatch):
    """The images of the training assignment, which every student's notebook reads."""
    monkeypatch.setattr(saebook, "mnist", cache(saebook.mnist))


@pytest.mark.parametrize("name", CHAPTERS)
def test_fifty_students_get_all_points_for_right_numbers_and_faults(name):
    known = {}
    for student in IDS:
        line, value = found_by_hand(name, student)
        answers, only = {"fault": f"line, value = {line}, {value!r}"}, ["test_fault"]
        if name in test_numbers.RIGHT:
            own = test_numbers.given(name, student)
            key = str({k: v for k, v in own.items() if isinstance(v, str | int | float)})
            key = re.sub(re.escape(student), "", key)
            if key not in known or name == "modern":
                names = {k: v for k, v in own.items() if not k.startswith("_")}
                known[key] = test_numbers.RIGHT[name](test_numbers.SimpleNamespace(**names))
            plain = {k: float(v) for k, v in known[key].items()}
            answers["number"], only = f"answers = {plain!r}", ["test_fault", "test_number"]
        paper = Paper(name, student, "torch", answers, only)
        full = {own["grade_id"]: own["points"] for _, own in cells(name) if own.get("grade")}
        assert paper.points == {part: full[part] for part in only}, (student, paper.said)


L1_PENALTY = "def l1_penalty(z, weight):\n    return weight * z.abs().sum(1).mean()"
L1_GRADIENT = "def l1_gradient(z, weight):\n    return weight * z.sign() / len(z)"
L0 = "def l0(z):\n    return (np.asarray(z) != 0).sum() / len(z)"
DEAD = "def dead_latents(z):\n    return (np.asarray(z) == 0).all(0)"
SCATTERED = """
def topk(a, k):
    values, places = torch.topk(a, k)
    return torch.zeros_like(a).scatter(1, places, values).relu()
"""
TIES_KEPT = "def topk(a, k):\n    return a.relu() * (a >= a.topk(k).values[:, -1:])"
THRESHOLD = "def batch_topk_inference(a, threshold, k):\n    return a * (a > threshold)"
JUMP = "def jumprelu(a, theta):\n    return a * (a > theta)"
HALVES = [
    # assignment, answers, the test cell, points; two where PyTorch promises no order of equal ones
    ("notation", {"sparsity": L0}, "test_sparsity", {1}),
    ("notation", {"dead": DEAD}, "test_sparsity", {1}),
    ("notation", {"sparsity": L0, "dead": DEAD}, "test_sparsity", {2}),
    ("theory", {"l1": L1_PENALTY}, "test_l1", {1}),
    ("theory", {"l1_gradient": L1_GRADIENT}, "test_l1", {1}),
    ("theory", {"l1": L1_PENALTY, "l1_gradient": L1_GRADIENT}, "test_l1", {2}),
    ("theory", {"l1": L1_PENALTY + ".item()"}, "test_l1", {0}),
    ("modern", {"topk": SCATTERED}, "test_topk", {2, 3}),
    ("modern", {"topk": TIES_KEPT}, "test_topk", {2}),
    ("modern", {"inference": THRESHOLD}, "test_inference", {1}),
    ("modern", {"jumprelu": JUMP}, "test_inference", {1}),
    ("modern", {"inference": THRESHOLD, "jumprelu": JUMP}, "test_inference", {2}),
]


@pytest.mark.parametrize(("name", "answers", "part", "points"), HALVES)
def test_half_right_answers_get_what_the_text_says(name, answers, part, points):
    paper = Paper(name, "ann", "torch", answers, [part])
    assert paper.points[part] in points, paper.said


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_line_or_a_number_alone_counts(name):
    line, value = found_by_hand(name, "ann")
    for answer, points in ((f"{line}, None", 1), (f"None, {value!r}", 2), ("None, None", 0)):
        paper = Paper(name, "ann", "torch", {"fault": f"line, value = {answer}"}, ["test_fault"])
        assert paper.points == {"test_fault": points}
    if name not in test_numbers.RIGHT:
        return
    names = {k: v for k, v in test_numbers.given(name, "ann").items() if not k.startswith("_")}
    right = test_numbers.RIGHT[name](test_numbers.SimpleNamespace(**names))
    for alone, value in right.items():
        text = f"answers = {{{alone!r}: {float(value)!r}}}"
        paper = Paper(name, "ann", "torch", {"number": text}, ["test_number"])
        points = re.search(rf"{alone}: right \((\d) of \1\)", paper.said["test_number"])
        assert paper.points == {"test_number": int(points[1])}
        assert paper.points["test_number"] > 0


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_third_of_the_points_is_for_what_the_page_does_not_print(name):
    asked = make_assignments.questions(name)
    own = sum(q["points"] for q in asked if q["kind"] in ("number", "fault", "curve"))
    assert 3 * own >= sum(q["points"] for q in asked)
    assert [q["kind"] for q in asked].count("fault") == 1
