"""The number questions: right by simulation or search, whatever the student's numbers are."""

from functools import cache
from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import rel_entr

import saebook
from saebook import SAEConfig, TrainConfig, classroom
from saebook.classroom import numbers
from tests.classroom.papers import Paper, cells, execute

IDS = [f"student-{number}" for number in range(150)]


def notation(own):
    """By counting the numbers of models that grow, and by enlarging images."""

    def trained(m):
        shapes = [(own.n_features, m)] + [(m, own.n_features)] * (not own.tied)
        shapes += {"both": [(m,), (own.n_features,)], "none": []}.get(own.biases, [(m,)])
        return sum(int(np.prod(shape)) for shape in shapes)

    low, high = 0, own.budget
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if trained(middle) <= own.budget else (low, middle)
    x, y = np.random.default_rng(0).random((2, 5, 4, 4))

    def error(a, b):
        return ((a - b) ** 2).reshape(len(a), -1).sum(1).mean()

    block = np.ones((1, own.enlarged, own.enlarged))
    return {"latents": low, "factor": error(np.kron(x, block), np.kron(y, block)) / error(x, y)}


def theory(own):
    """By SciPy's relative entropy, and by a code of a million samples."""
    target, means = (np.array([[p, 1 - p]] * own.n_latents) for p in (own.rho, own.mean))
    code, low, high = np.full(1_000_000, own.low), 0, 1_000_000
    while high - low > 1:
        middle = (low + high) // 2
        code[:middle], code[middle:] = 1, own.low
        low, high = (middle, high) if code.mean() <= own.rho else (low, middle)
    return {"penalty": own.beta * rel_entr(target, means).sum(), "share": low / len(code)}


def backpropagation(own):
    """By computing both losses on arrays."""
    rng, rho = np.random.default_rng(0), 0.1
    x, y = rng.random((2, own.batch, own.n_features))
    m = rng.uniform(0.05, 0.5, own.n_latents)
    kl = rho * np.log(rho / m) + (1 - rho) * np.log((1 - rho) / (1 - m))
    error = {
        "mean over samples and pixels": np.mean((x - y) ** 2),
        "half of the sum over pixels, mean over samples": np.mean(0.5 * np.sum((x - y) ** 2, 1)),
        "sum over samples and pixels": np.sum((x - y) ** 2),
    }[own.error]
    penalty = own.weight * {"mean": np.mean, "sum": np.sum}[own.penalty](kl)
    factor = error / np.mean(np.sum((x - y) ** 2, 1))
    return {"factor": factor, "beta": penalty / factor / kl.sum()}


def parity(own):
    """By PyTorch's Adam, Keras's rule step by step, and a search for its epsilon."""
    torch = pytest.importorskip("torch")
    w = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([w], lr=1.0)
    before = 0.0
    for _ in range(own.step):
        before = w.item()
        w.grad = torch.full((1,), own.size, dtype=torch.float64)
        adam.step()
    taken = w.item() - before

    def keras(epsilon):
        m = v = 0.0
        for t in range(1, own.step + 1):
            m, v = 0.9 * m + 0.1 * own.size, 0.999 * v + 0.001 * own.size**2
            rate = np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        return -rate * m / (np.sqrt(v) + epsilon)

    low, high = -14.0, -6.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if keras(10**middle) < taken else (low, middle)
    return {"ratio": taken / keras(1e-8), "epsilon": 10**low}


def feature_extraction(own):
    """By drawing test sets."""
    rng = np.random.default_rng(0)

    def deviation(n):
        return 100 * np.std(rng.binomial(n, own.accuracy, 60_000) / n)

    low, high = 10, 1_000_000
    while high / low > 1.0005:
        middle = int(np.sqrt(low * high))
        low, high = (middle, high) if deviation(middle) > own.wanted else (low, middle)
    return {"standard_error": deviation(own.n_test), "images": low}


def anomaly_detection(own):
    """By counting alarms among a million images."""

    def real(rate):
        anomalous = np.arange(1_000_000) < own.share * 1_000_000
        found = np.sum(anomalous) * own.detected
        return found / (found + np.sum(~anomalous) * rate)

    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if real(middle) > own.wanted else (low, middle)
    return {"real": real(own.false_alarms), "rate": low}


def denoising(own):
    """By integrating over the noise."""
    n = np.linspace(-9, 9, 400_001)
    weight = np.exp(-(n**2) / 2)
    pixel = own.level + own.sigma * n
    shift = np.clip(pixel, 0, 1) - own.level
    cut = (pixel < 0) | (pixel > 1)
    return {"shift": np.average(shift, weights=weight), "clipped": np.average(cut, weights=weight)}


def modern(own):
    """By minimising the loss of one latent on a grid, and by taking the largest one by one."""
    code = np.linspace(0, 4, 400_001)
    price = own.weight * (own.norm if own.scaled else 1)
    best = code[np.argmin((3 - own.norm * code) ** 2 + price * code)]
    left, kept = list(own.a.ravel()), 0
    for _ in range(own.k * len(own.a)):
        kept += left.pop(int(np.argmax(left))) > 0
    return {"shortfall": 3 - own.norm * best, "active": kept}


def judging(own):
    """By adding up the chances of being active so often, and by a search."""
    from scipy.stats import binom

    def silent(n):
        return own.n_latents * (1 - sum(binom.pmf(range(1, int(n) + 1), int(n), 1 / own.one_in)))

    low, high = 1, 10**5
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if silent(middle) > 1 else (low, middle)
    return {"seeming": silent(own.n), "samples": low}


def superposition(own):
    """From the vectors themselves."""
    turn = 360 if own.arrangement == "a full circle" else 180
    angles = np.deg2rad(turn / own.n * np.arange(own.n))
    rows = np.stack([np.cos(angles), np.sin(angles)], 1)
    gram = rows @ rows.T
    others = gram[3][np.arange(own.n) != 3]
    return {"cosine": gram[2, 3], "interference": sum(others**2)}


def interpretability(own):
    """As one minus what is lost."""
    lost = own.with_code - own.with_layer
    return {
        "recovered": 1 - lost / (own.without - own.with_layer),
        "against_mean": 1 - lost / (own.with_mean - own.with_layer),
    }


def language_model(own):
    """By adding up a long text's bits, and by a search for the loss that gives as many."""
    n_bytes = 1_000_000

    def bits(loss, length):
        return np.log2(np.exp(loss)) * (n_bytes / length) / n_bytes

    wanted, low, high = bits(own.loss, own.length), 0.0, 100.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if bits(middle, own.other) < wanted else (low, middle)
    return {"bits": wanted, "equal": low}


def scaling(own):
    """By adding up arrays, and by a search."""

    def taken(m):
        d = own.n_features
        shapes = [(d, m), (m,), (d,)] if own.tied else [(d, m), (m, d), (m,), (d,)]
        copies = {"Adam": 4, "SGD with momentum": 3, "SGD without momentum": 2}[own.optimiser]
        return copies * sum(np.float32().itemsize * float(np.prod(shape)) for shape in shapes)

    low, high = 1.0, 1e9
    while high / low > 1.0001:
        middle = (low * high) ** 0.5
        low, high = (middle, high) if taken(middle) < own.memory * 1e9 else (low, middle)
    return {"bytes": taken(own.n_latents), "latents": low}


RIGHT = {
    f.__name__: f
    for f in (notation, theory, backpropagation, parity, feature_extraction, anomaly_detection,
              denoising, modern, judging, superposition, interpretability, language_model, scaling)
}  # fmt: skip


def given(name, student):
    """A student's own numbers, as the notebook draws them."""
    names = {"np": np, "STUDENT_ID": student, "FRAMEWORK": "torch"}
    execute(next(s for s, _ in cells(name) if "classroom.variant(" in s), names)
    return names


def asked(name, names, monkeypatch):
    """What the hidden test asks for, and its tolerance."""
    caught = {}

    def catch(answers, questions, rtol=0.01):
        caught.update(questions=questions, rtol=rtol)

    monkeypatch.setattr(classroom, "check_numbers", catch)
    monkeypatch.setattr(classroom, "check_filled", lambda answers: None)
    execute(next(s for s, own in cells(name) if own.get("grade_id") == "test_number"), names)
    return SimpleNamespace(**caught)


@pytest.fixture
def graded(monkeypatch, capsys):
    def grade(name, student):
        names = given(name, student) | {"answers": {}}
        own = SimpleNamespace(**{k: v for k, v in names.items() if not k.startswith("_")})
        return own, asked(name, names, monkeypatch)

    return grade


@pytest.mark.parametrize("name", RIGHT)
def test_the_right_number_is_right_and_mistakes_are_told_apart(name, graded, capsys):
    seen, told, found = set(), set(), {}
    for student in IDS:
        own, test = graded(name, student)
        variant = str({k: v for k, v in vars(own).items() if np.ndim(v) == 0 and k != "STUDENT_ID"})
        key = tuple((q, right) for q, (_, right, _) in test.questions.items())
        if key not in found:
            found[key] = RIGHT[name](own)
        seen.add(variant)
        answers = found[key]
        assert answers.keys() == test.questions.keys()
        points = sum(worth for worth, _, _ in test.questions.values())
        assert numbers.check_numbers(answers, test.questions, test.rtol) == points, (own, test)
        for question, (_, right, mistakes) in test.questions.items():
            apart = numbers.told(right, mistakes, test.rtol)
            told |= {(question, message) for message in apart}
            for message, wrong in apart.items():
                fault = numbers._fault(wrong, answers[question], mistakes, test.rtol)
                assert fault == f"{message}.", (question, own)
    capsys.readouterr()
    assert len(seen) >= 12, "neighbours would share their numbers"
    # each mistake is told to those whose numbers tell it
    every = {(q, m) for q, (_, _, mistakes) in test.questions.items() for m in mistakes}
    assert every == told


def test_a_simulation_of_clipping():
    """The case that an earlier formula had wrong: much noise, and both ends count."""
    n = np.random.default_rng(0).standard_normal(4_000_000)
    for sigma in (0.5, 0.6):
        lift = np.mean(np.clip(sigma * n, 0, 1))
        found = denoising(SimpleNamespace(level=0.0, sigma=sigma))["shift"]
        assert found == pytest.approx(lift, rel=3e-3)
        assert found < 0.985 * sigma / np.sqrt(2 * np.pi)


@pytest.mark.parametrize("framework", ["torch", "tensorflow"])
def test_a_students_own_model(framework, monkeypatch):
    """Each kind once: trained anew, measured by hand; the same points for both frameworks."""
    monkeypatch.setattr(saebook, "mnist", cache(saebook.mnist))  # every notebook reads them
    kinds = {}
    for student in IDS:
        own = given("training", student)
        kinds.setdefault(type(own["kind"]).__name__, (student, own))
        if len(kinds) == 3:
            break
    assert sorted(kinds) == ["KL", "L1", "TopK"]
    package = "tensorflow" if framework == "tensorflow" else "pytorch"
    sae = import_module(f"saebook.{package}")
    for student, own in kinds.values():
        x, x_val = own["x_train"], own["x_val"]
        model = sae.SparseAutoencoder(SAEConfig(784, 64, own["activation"], sparsity=own["kind"]))
        sae.fit(model, x, TrainConfig(epochs=3, batch_size=50, learning_rate=0.01))
        off = x_val - np.asarray(sae.reconstruct(model, x_val))
        fvu = (off**2).sum() / ((x_val - x_val.mean(0)) ** 2).sum()
        l0 = np.count_nonzero(sae.encode(model, x_val)) / len(x_val)
        answers = f"answers = {{'fvu': {float(fvu)}, 'l0': {float(l0)}}}"
        paper = Paper("training", student, framework, {"number": answers}, only=["test_number"])
        assert paper.points["test_number"] == 3, paper.said
