"""The wrong curves that students get: each made by one mistake, and what is said about it is so."""

import json
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import saebook
from saebook import classroom
from saebook.classroom import curves
from tests.classroom.papers import Paper, cells

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import make_assignments  # noqa: E402
import make_curves  # noqa: E402

POOLS = json.loads((ROOT / "saebook" / "classroom" / "curves.json").read_text("utf8"))
IDS = [f"s{number}" for number in range(50)]


# Each training written anew, with gradients by PyTorch; `mistake` is 0 for the right one.


def kl(q, p):
    import torch

    return q * torch.log(q / p) + (1 - q) * torch.log((1 - q) / (1 - p))


def backpropagation(mistake, x, W, b, D, rho, beta):
    import torch

    for _ in range(8):
        for _ in range(25):
            W, b = W.detach().requires_grad_(), b.detach().requires_grad_()
            a = x @ W + b
            z = torch.sigmoid(a)
            if mistake == 5:  # 1 for the derivative of the sigmoid
                z = a + (z - a).detach()
            q, target = z.mean(0), torch.tensor(rho)
            penalty = kl(target, q).sum()
            if mistake == 1:
                penalty = kl(target, q).mean()
            if mistake == 2:
                penalty = kl(q, target).sum()
            if mistake == 3:
                penalty = kl(target, z.mean(1)).sum() * z.shape[1] / len(z)
            if mistake == 4:
                penalty = (rho * torch.log(q) - (1 - rho) * torch.log(1 - q)).sum()
            if mistake == 6:
                penalty = len(x) * penalty
            loss = ((z @ D - x) ** 2).sum(1).mean() + beta * penalty
            steps = torch.autograd.grad(loss, (W, b))
            W, b = W - 0.2 * steps[0], b - 0.2 * steps[1]
        z = torch.sigmoid(x @ W + b)
        q = z.mean(0)
        yield [((z @ D - x) ** 2).sum(1).mean(), q.min(), q.mean(), q.max()]


def training(mistake, x, x_val, W_enc, b_enc, W_dec, weight, seed):
    import torch

    rng, first = np.random.default_rng(seed), (W_enc, b_enc, W_dec)
    for _ in range(8):
        order = rng.permutation(len(x))
        if mistake == 5:
            W_enc, b_enc, W_dec = first
        for rows in np.array_split(order, 6):
            own = [v.detach().requires_grad_() for v in (W_enc, b_enc, W_dec)]
            a = x[rows] @ own[0] + own[1]
            z = torch.relu(a)
            if mistake == 4:  # 1 for the derivative of the ReLU
                z = a + (z - a).detach()
            off = (z @ own[2] - x[rows]) ** 2
            error = off.mean() if mistake == 2 else off.sum(1).mean()
            charged = weight * z.sum(1).mean()
            loss = error - charged if mistake == 3 else error + charged
            steps = torch.autograd.grad(loss, own)
            W_enc, b_enc, W_dec = (v - 0.1 * s for v, s in zip(own, steps, strict=True))
            if mistake == 6:
                W_dec = W_dec / torch.linalg.norm(W_dec)
            elif mistake != 1:
                W_dec = torch.nn.functional.normalize(W_dec, dim=1)
        z = torch.relu(x_val @ W_enc + b_enc)
        error = ((z @ W_dec - x_val) ** 2).sum(1).mean()
        l0 = (z > 0).double().sum(1).mean()
        yield [error, z.sum(1).mean(), l0, W_dec.norm(dim=1).max()]


def denoising(mistake, x, x_val, A, c, sigma, seed):
    import torch

    rng = np.random.default_rng(seed)
    noisy_val = x_val + sigma * torch.tensor(rng.standard_normal(x_val.shape))
    for _ in range(8):
        losses = []
        for _ in range(40):
            drawn = {2: np.random.default_rng(seed), 3: None}.get(mistake, rng)
            noise = 0
            if drawn is not None:
                draw = drawn.random if mistake == 4 else drawn.standard_normal
                noise = torch.tensor(draw(tuple(x.shape)))
            noise = {5: sigma * noise, 6: x * noise}.get(mistake, noise)
            noisy = x + sigma * noise
            A, c = A.detach().requires_grad_(), c.detach().requires_grad_()
            target = noisy if mistake == 1 else x
            loss = ((noisy @ A + c - target) ** 2).sum(1).mean()
            losses.append(loss.item())
            steps = torch.autograd.grad(loss / 2, (A, c))
            A, c = A - 0.1 * steps[0], c - 0.1 * steps[1]
        val = ((noisy_val @ A + c - x_val) ** 2).sum(1).mean()
        yield [np.mean(losses), val, ((x_val @ A + c - x_val) ** 2).sum(1).mean()]


TRAINED = {f.__name__: f for f in (backpropagation, denoising, training)}


def trained(name, mistake, inputs):
    """The measurements of each epoch, one after another."""
    torch = pytest.importorskip("torch")
    given = {k: torch.tensor(v) if np.ndim(v) else v for k, v in inputs.items()}
    for row in TRAINED[name](mistake, **given):
        yield np.array([float(v.detach()) if torch.is_tensor(v) else v for v in row])


@cache
def found(name, student):
    """What the answers are, by training with each mistake as long as it fits."""
    given = classroom.curve(name, classroom.variant(student, f"{name}/curve"))
    for mistake in range(1, 7):
        fitting, missing = 0, None
        for row, made in zip(given.rows, trained(name, mistake, given.inputs), strict=True):
            shown = ~np.isnan(row)
            if not np.allclose(made[shown], row[shown], rtol=1e-3, atol=1e-8):
                break
            fitting += 1
            missing = missing if shown.all() else float(made[~shown][0])
        if fitting == len(given.rows):
            return mistake, missing
    raise AssertionError(f"no mistake makes\n{given}")


def pool(name):
    columns, lines, _ = make_curves.read(ROOT / "assignments" / name / "curve.txt")
    for seed, rows in POOLS[name]["curves"]:
        yield curves.Curve(columns, np.array(rows, float), lines, curves.data(name, seed))


def asked(name, monkeypatch):
    """What the hidden test holds: the changes, and what is said of each."""
    caught = []
    monkeypatch.setattr(classroom, "check_curve", lambda *given: caught.extend(given))
    names = {"classroom": classroom, "STUDENT_ID": "ann", "cause": 1, "missing": 1}
    for source, own in cells(name):
        if own.get("grade_id") == "test_curve":
            exec(source, names)
    return caught[1], caught[2]


def test_the_pools_are_those_of_their_sources(monkeypatch):
    assert sorted(POOLS) == sorted(TRAINED) == sorted(curves.DATA)
    for name in POOLS:
        columns, lines, changes = make_curves.read(ROOT / "assignments" / name / "curve.txt")
        assert (columns, lines) == (POOLS[name]["columns"], POOLS[name]["lines"])
        with monkeypatch.context() as patch:
            assert asked(name, patch)[0] == changes
        assert len(changes) == 6
        # a student's copy of the package does not say what made the curves
        assert sorted(POOLS[name]) == ["columns", "curves", "lines"]
        assert not {line for _, line in changes} & {line.strip() for line in lines}


@pytest.mark.parametrize("name", TRAINED)
def test_every_curve_has_one_cause_and_its_number_shows_it(name, monkeypatch, capsys):
    """All curves that there are, against trainings written anew."""
    changes, shapes = asked(name, monkeypatch)
    monkeypatch.undo()
    causes = []
    for given in pool(name):
        made = [given.right().rows] + [given.change(*change).rows for change in changes]
        cause, missing = given.explained(changes)
        if cause not in causes:  # once each: it takes longest
            for mistake in (0, cause):
                again = list(trained(name, mistake, given.inputs))
                np.testing.assert_allclose(made[mistake], again, rtol=1e-6, atol=1e-9)
        assert np.isnan(given.rows).sum() == 1
        there = [float(rows[np.isnan(given.rows)][0]) for rows in made]
        assert missing == there[cause]
        apart = make_curves.between(np.array(there), missing)
        assert sorted(apart)[1] > make_curves.APART
        # right, and each of the others by its own message
        answers = given, changes, shapes
        assert classroom.check_curve(*answers, cause, float(f"{missing:.4g}")) == 3
        assert classroom.check_curve(*answers, cause, None) == 1
        assert classroom.check_curve(*answers, None, missing) == 2
        capsys.readouterr()
        for mistake, value in enumerate(there):
            if mistake == cause:
                continue
            assert classroom.check_curve(*answers, mistake, value) == 0
            said = capsys.readouterr().out.split("\n")
            if mistake:
                assert said[0] == f"cause: {shapes[mistake - 1]}. (0 of 1)"
                assert said[1] == f"missing: This is what mistake {mistake} would give. (0 of 2)"
            else:
                assert said[1] == "missing: This is what the right program gives. (0 of 2)"
        causes.append(cause)
    assert [causes.count(c) for c in range(1, 7)] == [make_curves.SETS] * 6


def ends(made, column):
    return made[-1, column] / made[0, column]


# What the sentences of the hidden tests say of each mistake's curve `m`, `r` being the right one's.
SHAPES = {
    "backpropagation": [
        lambda m, r, _: m[-1, 2] > r[-1, 2] and m[-1, 3] > r[-1, 3],
        lambda m, r, _: all(0.75 * r[-1, k] < m[-1, k] < r[-1, k] for k in (2, 3)),
        lambda m, r, _: m[-1, 1] < r[-1, 1] and m[-1, 3] > r[-1, 3],
        lambda m, r, _: ends(m, 1) < 1 / 3,
        lambda m, r, _: abs(ends(m, 0) - 1) < 1 / 8,
        lambda m, r, own: m[-1, 3] - m[-1, 1] <= own["rho"] / 4,
    ],
    "training": [
        lambda m, r, _: m[-1, 3] > 1.1 and np.all(np.diff(m[:, 3]) > 0),
        lambda m, r, _: ends(m, 1) <= 0.5 and ends(m, 1) < ends(m, 2),
        lambda m, r, _: ends(m, 1) >= 1.5 and ends(m, 1) > ends(m, 2),
        lambda m, r, _: ends(m, 2) < 1 and ends(m, 2) < ends(m, 1),
        lambda m, r, _: np.all(np.abs(m / m[0] - 1) < 0.2),
        lambda m, r, _: np.all(m[:, 3] < 1),
    ],
    "denoising": [
        lambda m, r, _: ends(m, 0) < 0.1 and ends(m, 2) < 0.1 and ends(m, 1) > 1,
        lambda m, r, _: m[-1, 0] < r[-1, 0] and m[-1, 1] > r[-1, 1],
        lambda m, r, _: m[-1, 0] <= r[-1, 0] / 8,
        lambda m, r, _: m[-1, 2] >= 1.5 * r[-1, 2],
        lambda m, r, _: m[-1, 0] <= r[-1, 0] / 3 and m[-1, 2] <= r[-1, 2] / 2,
        lambda m, r, _: m[-1, 0] >= r[-1, 0] / 4 and m[-1, 2] <= 0.6 * r[-1, 2],
    ],
}


@pytest.mark.parametrize("name", TRAINED)
def test_what_is_said_of_each_mistake_is_so(name, monkeypatch):
    changes, shapes = asked(name, monkeypatch)
    for given in pool(name):
        right = given.right().rows
        for (number, line), shape, said in zip(changes, SHAPES[name], shapes, strict=True):
            assert shape(given.change(number, line).rows, right, given.inputs), (said, given)
    for number, said in enumerate(shapes, 1):
        assert said.startswith(f"With mistake {number} ")
        assert len(said) < 200


@pytest.mark.parametrize("framework", ["torch", "tensorflow"])
@pytest.mark.parametrize("name", TRAINED)
def test_fifty_students_get_all_points_and_a_part_for_a_part(name, framework, monkeypatch):
    monkeypatch.setattr(saebook, "mnist", cache(saebook.mnist))  # every notebook reads them
    seen = set()
    for number, student in enumerate(IDS):
        cause, missing = found(name, student)
        seen.add(missing)
        for answer, points in (
            (f"{cause}, {missing:.4g}", 3),
            (f"{cause}, None", 1),
            (f"None, {missing!r}", 2),
            (f"{cause % 6 + 1}, {1.02 * missing!r}", 0),
        )[: 4 if number < 5 else 1]:
            answers = {"curve": f"cause, missing = {answer}"}
            paper = Paper(name, student, framework, answers, ["test_curve"])
            assert paper.points == {"test_curve": points}, (student, paper.said)
    assert len(seen) > 25


def test_a_line_is_exchanged_and_errors_give_nan():
    given = classroom.curve("training", classroom.variant("ann", "training/curve"))
    assert np.isnan(given.change(6, "z = nothing").rows).all()
    assert given.program.startswith(" 1  rng, rate, table")
    assert str(given).count("?") == 1
    same = given.change(6, given.lines[5]).rows
    np.testing.assert_array_equal(same, given.right().rows)
    with pytest.raises(ValueError, match=r"number must be 1 to 16, got 0\."):
        given.change(0, "pass")
    with pytest.raises(ValueError, match=r"one of the changes must make the curve, got \[\]"):
        given.explained([(6, "pass")])


def test_a_question_about_a_curve_is_asked_with_one_for_a_person():
    for name in make_assignments.names():
        kinds = [q["kind"] for q in make_assignments.questions(name)]
        assert kinds.count("curve") == (name in TRAINED)
