"""Right answers pass in both frameworks, and every known mistake is told by name in both."""

import numpy as np
import pytest

from saebook import classroom
from tests.classroom import answers
from tests.classroom.wrong_answers import WRONG

OPERATIONS = {
    "torch": answers.torch_operations,
    "tensorflow": answers.tensorflow_operations,
}
SEEDS = 0, 2026  # those of the assignments' checks
MADE = [(name, mistake) for name, wrong in WRONG.items() for mistake in wrong]


@pytest.fixture(params=OPERATIONS, scope="module")
def xp(request):
    return OPERATIONS[request.param]()


def submit(xp, name, function, seed=0):
    classroom.check(name, lambda *args: function(xp, *args), xp.name, seed)


@pytest.mark.parametrize("name", classroom.CHECKS)
def test_the_right_answer_passes(xp, name, capsys):
    for seed in SEEDS:
        submit(xp, name, answers.RIGHT[name], seed)
    title = classroom.CHECKS[name].signature.partition("(")[0]
    assert capsys.readouterr().out == f"{title}: right\n" * len(SEEDS)


@pytest.mark.parametrize(("name", "mistake"), MADE)
def test_a_mistake_is_named(xp, name, mistake):
    expected = {m.name: m.message for m in classroom.CHECKS[name].mistakes}[mistake]
    for seed in SEEDS:
        with pytest.raises(classroom.CheckFailed) as failed:
            submit(xp, name, WRONG[name][mistake], seed)
        title = classroom.CHECKS[name].signature.partition("(")[0]
        assert str(failed.value) == f"{title}: {expected}."


def test_every_mistake_of_the_table_is_made_here():
    assert {n: set(w) for n, w in WRONG.items()} == {
        name: {m.name for m in check.mistakes} for name, check in classroom.CHECKS.items()
    }
    assert len(MADE) >= 25


def test_messages_are_one_sentence_and_differ():
    for check in classroom.CHECKS.values():
        messages = [m.message for m in check.mistakes]
        assert len(set(messages)) == len(messages)
        for message in [*messages]:
            assert not message.endswith(".")
            assert len(message) < 200


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda z: (_ for _ in ()).throw(NotImplementedError()), "l0: not written yet."),
        (lambda z: z.shape[7], "l0: it stopped with IndexError: tuple index out of range"),
        (lambda z: np.zeros(3), r"l0: its result must have shape \(\), got \(3,\)\n"),
        (lambda z: np.nan, "l0: its result holds NaN or infinity: nan\n"),
        (lambda z: "four", "l0: its result must hold numbers, got <U4\n"),
        (lambda z: 1000.0, "l0: got 1000., which is none of the usual mistakes\n"),
        (lambda z: int("four"), "l0: it stopped with ValueError: invalid literal"),
    ],
)
def test_other_faults_are_told_plainly(function, message):
    with pytest.raises(classroom.CheckFailed, match=f"^{message}"):
        classroom.check("l0", function)


def test_an_auxiliary_loss_cut_off_from_everything_is_refused(xp):
    with pytest.raises(classroom.CheckFailed) as failed:
        submit(xp, "auxk_loss", lambda xp, x, y, z, W, b: 0.0)
    assert "auxk_loss" in str(failed.value)


def test_wrong_names_are_refused():
    with pytest.raises(ValueError, match=r"name must be one of reconstruction_loss, .* got 'x'"):
        classroom.check("x", len)
    with pytest.raises(ValueError, match=r"framework must be one of numpy, .* got 'jax'"):
        classroom.check("l0", len, "jax")
    with pytest.raises(ValueError, match="framework must be one that differentiates"):
        classroom.check("auxk_loss", len)


def test_numbers(capsys):
    classroom.check_number(np.float32(2.001), 2)
    classroom.check_number(2, 2)
    assert capsys.readouterr().out == "the number is right\n" * 2
    for answer, message in [
        (None, "The number is not filled in yet."),
        (..., "The number is not filled in yet."),
        ("2", "The answer must be one finite number, got '2'."),
        (np.inf, "The answer must be one finite number, got inf."),
        (4.0, "You forgot the half."),
        (7.0, "The number is not right."),
    ]:
        with pytest.raises(classroom.CheckFailed) as failed:
            classroom.check_number(answer, 2.0, {"You forgot the half": 4.0})
        assert str(failed.value) == message


def test_variants_follow_the_student(monkeypatch):
    monkeypatch.delenv("SAEBOOK_STUDENT_ID", raising=False)

    def draw(*args):
        return classroom.variant(*args).random()

    ann = draw("ann", "theory")
    assert ann == draw(" Ann ", "theory")
    assert len({ann, draw("bob", "theory"), draw("ann", "training")}) == 3
    # A version that draws other numbers makes graded submissions wrong.
    assert ann == pytest.approx(0.6373747814929153, rel=1e-12)
    # the grader knows where the submission came from, whatever the notebook says
    monkeypatch.setenv("SAEBOOK_STUDENT_ID", "ann")
    assert draw("bob", "theory") == ann
    monkeypatch.delenv("SAEBOOK_STUDENT_ID")
    with pytest.raises(ValueError, match="STUDENT_ID must be the id you are registered with"):
        draw("", "theory")
