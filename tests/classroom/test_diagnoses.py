"""No mistake draws another's message; and what is said where no message fits."""

import contextlib
import sys

import numpy as np
import pytest

from saebook import classroom
from saebook.classroom import outcomes
from saebook.classroom.checking import _fault

CHECKS = classroom.CHECKS
SEEDS = (0, 2026, 1, 2, 3)  # the first two are the assignments'
UNKNOWN = "which is none of the usual mistakes"


def values(name, function, seed):
    cases = CHECKS[name].cases(np.random.default_rng(seed))
    return [outcomes.of_table(function, args) for args in cases]


def same(one, other):
    return all(outcomes.same_values(*pair) for pair in zip(one, other, strict=True))


@pytest.mark.parametrize("name", CHECKS)
def test_the_values_of_mistakes_differ(name):
    """Each from the right ones and from each other, so that a message can only be the mistake's."""
    entry = CHECKS[name]
    for seed in SEEDS:
        found = {"right": values(name, entry.right, seed)}
        for mistake in entry.mistakes:
            if mistake.wrong is entry.right:
                assert mistake.cuts is not None, "it is told by its gradient"
                continue
            made = values(name, mistake.wrong, seed)
            alike = [other for other, was in found.items() if same(made, was)]
            assert alike == [], (mistake.name, seed)
            found[mistake.name] = made
        cuts = [m.cuts for m in entry.mistakes if m.wrong is entry.right]
        assert len({*cuts, entry.cuts}) == len(cuts) + 1


def by_hand(name, function):
    """A function of the table as a student's: of NumPy, or of tensors taken out of PyTorch."""

    def plain(value):
        if isinstance(value, list):
            return [plain(entry) for entry in value]
        tensor = hasattr(value, "detach")
        return value.detach().numpy().astype(float) if tensor else value

    return lambda *args: function(*map(plain, args))


def said(name, function, seed):
    """What is said about it; functions of the table are made of the package's, and may be here."""
    framework = "torch" if CHECKS[name].by else "numpy"
    return _fault(CHECKS[name], by_hand(name, function), framework, seed)


SECOND = {
    "half": lambda value: value / 2,
    "twice": lambda value: value * 2,
    "sign": lambda value: -value,
    "another": lambda value: 0.37 * value + 0.11,
    "root": lambda value: np.sqrt(np.abs(value)),
}


@pytest.mark.parametrize("name", CHECKS)
def test_two_mistakes_together_are_not_told_as_one(name, monkeypatch):
    """Unless their values are those of one: then that is what they amount to."""
    monkeypatch.setattr(outcomes, "written_by_hand", lambda given: contextlib.nullcontext())
    entry = CHECKS[name]
    for mistake in (None, *entry.mistakes):
        wrong = entry.right if mistake is None else mistake.wrong
        if mistake is not None and wrong is entry.right:
            continue
        for second in SECOND.values():

            def both(*args, wrong=wrong, second=second):
                value = outcomes.array(wrong(*args))
                return value if value.dtype.kind == "b" else second(value)

            fault = said(name, both, 0)
            if fault is None or "\nexpected: " in fault:
                continue
            if fault.startswith("the value is right"):
                assert same(values(name, both, 0), values(name, entry.right, 0))
                continue
            named = [m for m in entry.mistakes if fault == f"{m.message}."]
            made = values(name, both, 0)
            assert any(
                all(m.seen(v.value, *args) for v, args in zip(made, cases(name), strict=True))
                if m.seen
                else same(made, values(name, m.wrong, 0))
                for m in named
            ), (mistake, fault)


def cases(name):
    return CHECKS[name].cases(np.random.default_rng(0))


# Mistakes that are in no table: input, expected and got.
OTHERS = {
    "reconstruction_loss": lambda x, y: ((y - x) ** 4).sum(1).mean(),
    "l0": lambda z: np.median((z != 0).sum(1)),
    "dead_latents": lambda z: z[0] == 0,
    "fvu": lambda x, y: (y - x).var() / x.var(),
    "kl_penalty": lambda z, rho, beta: beta * np.abs(z.mean(0) - rho).sum(),
    "output_gradient": lambda x, o: np.tanh(o) - x,
    "kl_gradient": lambda z, rho, beta: beta * np.broadcast_to(z.mean(0) - rho, z.shape),
    "l1_penalty": lambda z, w: w * np.abs(z).max(1).mean(),
    "total_loss": lambda x, y, z, rho, beta: np.abs(y - x).sum() + beta,
    "unit_norm_step": lambda W, g, r: np.tanh(W - r * g),
    "adam_update": lambda g, m, v, t: g / (np.abs(g) + 1e-8),
    "standardise": lambda train, test: (test - np.median(train, 0)) / train.std(0),
    "choose_threshold": lambda clean, scores, labels, rate: np.median(clean),
    "detect": lambda scores, threshold: np.flip(scores) > threshold,
    "corrupt": lambda x, s, n: np.clip(x + s * n, 0.05, 0.95),
    "noisy_epochs": lambda x, s, epochs, rng: [x + s * np.roll(x, e) for e in range(epochs)],
    "topk": lambda a, k: np.where(a > np.median(a, 1, keepdims=True), np.maximum(a, 0), 0),
    "jumprelu": lambda a, theta: np.where(a > theta**2, a, 0),
    "jumprelu_gradient": lambda a, theta, d_z, e: -(np.exp(-(((a - theta) / e) ** 2)) * d_z).sum(0),
    "share_found_again": lambda rows, others, t: np.tanh(len(rows) + t),
    "probe_one_latent": lambda z, y, z_test, y_test: np.tanh(z_test).mean(),
    "kl_of_batch": lambda shares, rho: sum(z.mean() for z in shares),
    "ablate": lambda h, z, W, j: h * (1 - z[:, [j]]),
    "layer_norm": lambda x: np.tanh(x),
    "steer": lambda h, W_enc, W_dec, j, amount: h * (1 + amount * W_dec[j]),
}


@pytest.mark.parametrize("name", OTHERS)
def test_where_nothing_fits_three_lines_say_what_came(name):
    for seed in (0, 2026):
        got, expected, given = said(name, OTHERS[name], seed).split("\n")
        assert got.startswith("got "), got
        assert got.endswith(UNKNOWN)
        assert expected.startswith("expected: ")
        assert given.startswith("input: ")


def test_the_lines_are_of_a_small_input():
    fault = said("l1_penalty", lambda z, w: 7.0, 0)
    assert fault == (
        f"got 7., {UNKNOWN}\nexpected: 0.875\n"
        "input: z = [[ 1. , -2. , 0. ], [ 0.5, 0. , 0. ]], weight = 0.5"
    )


def test_a_fault_that_the_small_input_does_not_show():
    fault = said("l0", lambda z: (z != 0).sum(1).mean() if len(z) == 2 else 0.0, 0)
    assert fault.startswith(f"got 0., {UNKNOWN}\nexpected: ")
    assert fault.endswith("input: random, from seed 0: z of shape (9, 6)")


def test_epochs_that_are_yielded():
    def epochs(x, sigma, epochs, rng):
        for _ in range(epochs):
            yield x + sigma * rng.standard_normal(x.shape)

    fault = _fault(CHECKS["noisy_epochs"], epochs, "numpy", 0)
    assert fault.startswith("it yields its results one by one: gather them, and return the list\n")


def test_functions_of_the_package_are_not_an_answer():
    from saebook import metrics, reference
    from saebook.kinds import L1

    kind = L1(0.7)
    with pytest.raises(
        classroom.CheckFailed, match=r"it calls saebook\.metrics\.l0: write it your"
    ):
        classroom.check("l0", lambda z: metrics.l0(z))
    with pytest.raises(
        classroom.CheckFailed, match=r"it calls saebook\.reference\.model\.penalty_gr"
    ):
        classroom.check(
            "l1_gradient", lambda z, w: reference.penalty_gradient(kind, np.asarray(z)), "torch"
        )
    with pytest.raises(
        classroom.CheckFailed, match=r"it calls saebook\.classroom\.mistakes\.denois"
    ):
        classroom.check("psnr", classroom.CHECKS["psnr"].mistakes[1].wrong)


def test_what_an_import_asks_the_package_is_not_an_answer(monkeypatch, capsys):
    """Every import of a module that is not there yet asks it for names that have changed."""
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)

    def l0(z):
        import colorsys  # noqa: F401

        return (z != 0).sum(1).mean()

    classroom.check("l0", l0)
    assert capsys.readouterr().out == "l0: right\n"


def test_warnings_cost_nothing(capsys):
    """nbgrader gives no points for a cell that writes to stderr."""
    import warnings

    def l0(z):
        warnings.warn("a copy was made", stacklevel=1)
        return (z != 0).sum(1).mean()

    classroom.check("l0", l0)
    assert capsys.readouterr().err == ""


TORCH, TF = "torch", "tensorflow"


@pytest.mark.parametrize("framework", [TORCH, TF])
def test_a_loss_that_cannot_train_is_not_right(framework):
    """Every way to lose the gradient, in every check whose result is trained."""
    from tests.classroom import answers, test_checks

    xp = test_checks.OPERATIONS[framework]()
    if framework == TORCH:
        import torch

        def quiet(function):
            return torch.no_grad()(function)
    else:
        import tensorflow as tf

        def quiet(function):
            def run(*args):
                with tf.init_scope():
                    return tf.stop_gradient(function(*args))

            return run

    trained = [name for name, entry in CHECKS.items() if entry.by]
    assert len(trained) >= 9
    for name in trained:

        def right(*args, name=name):
            return answers.RIGHT[name](xp, *args)

        ways = (
            quiet(right),
            lambda *args, right=right: xp.detach(right(*args)),
            lambda *args, right=right: xp.numpy(right(*args)),
            lambda *args, right=right: np.asarray(xp.numpy(right(*args))).tolist(),
        )
        for way in ways:
            fault = _fault(CHECKS[name], way, framework, 0)
            assert fault.startswith("the value is right, but no gradient comes through"), name
