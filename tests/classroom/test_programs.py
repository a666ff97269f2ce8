"""The faulty programs that students get: exactly one line wrong, and a number that shows it."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit

from saebook import classroom
from saebook.classroom import programs

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import make_assignments  # noqa: E402
import make_programs  # noqa: E402

POOLS = json.loads((ROOT / "saebook" / "classroom" / "programs.json").read_text("utf8"))
MADE = {p.parent.name: p for p in sorted(ROOT.glob("assignments/*/program.txt"))}


def unit(W):
    return np.array([row / np.sqrt(np.dot(row, row)) for row in W])


def kl(rho, m):
    return sum(rho * np.log(rho / q) + (1 - rho) * np.log((1 - rho) / (1 - q)) for q in m)


def squares(a):
    """Mean over rows of the sum of squares."""
    return np.mean([np.dot(row, row) for row in a])


# What each program is meant to compute, written anew, mostly in loops.


def notation(x, x_hat, z):
    active = [[value != 0 for value in row] for row in z]
    l0 = np.mean([sum(row) for row in active])
    return squares(x - x_hat) + l0 + sum(not any(column) for column in zip(*active, strict=True))


def theory(z, rho, beta):
    def penalty(z):
        return beta * kl(rho, z.mean(0))

    total = penalty(z)
    for j in range(z.shape[1]):
        up, down = z.copy(), z.copy()
        up[0, j] += 1e-6
        down[0, j] -= 1e-6
        total += (j + 1) * (penalty(up) - penalty(down)) / 2e-6
    return total


def backpropagation(x, W_enc, b_enc, W_dec, b_dec, rho, beta, probe):
    def loss(step):
        z = expit(x @ (W_enc + step * probe) + b_enc)
        x_hat = expit(z @ (W_dec + step * probe.T) + b_dec)
        return squares(x_hat - x) + beta * kl(rho, z.mean(0))

    return (loss(1e-5) - loss(-1e-5)) / 2e-5


def training(x, W_enc, b_enc, W_dec, b_dec, weight, rate):
    z = np.array([[max(0, v) for v in (row - b_dec) @ W_enc + b_enc] for row in x])

    def error(W):
        return squares(z @ W + b_dec - x)

    gradient = np.zeros_like(W_dec)
    for place in np.ndindex(W_dec.shape):
        up, down = W_dec.copy(), W_dec.copy()
        up[place] += 1e-5
        down[place] -= 1e-5
        gradient[place] = (error(up) - error(down)) / 2e-5
    W = unit(W_dec - rate * gradient)
    loss = error(W_dec) + weight * np.mean(np.sum(np.abs(z), 1))
    return loss + sum((i + 1) * sum(row) for i, row in enumerate(W))


def parity(w, target, m, v, steps, rate):
    torch = pytest.importorskip("torch")
    moved = torch.tensor(w, requires_grad=True)
    adam = torch.optim.Adam([moved], lr=rate)
    for _ in range(steps):
        adam.zero_grad()
        ((moved - torch.tensor(target)) ** 2).sum().backward()
        adam.step()
    return sum((i + 1) * value for i, value in enumerate(moved.detach().numpy()))


def feature_extraction(train, test, k):
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(train)
    pca = PCA(k).fit(scaler.transform(train))
    scaled = scaler.transform(test)
    return squares(scaled - pca.inverse_transform(pca.transform(scaled)))


def anomaly_detection(x, x_hat, scores, labels, rate):
    from sklearn.metrics import recall_score, roc_auc_score

    threshold = np.quantile([np.dot(e, e) for e in x - x_hat], 1 - rate)
    alarm = scores > threshold
    normal = 1 - recall_score(labels, alarm, pos_label=0)
    return recall_score(labels, alarm) + 3 * normal + roc_auc_score(labels, scores)


def denoising(x, noise, sigma, A, c):
    from skimage.metrics import peak_signal_noise_ratio

    restored = np.array([(x + sigma * noise).clip(0, 1)[i] @ A + c for i in range(len(x))])
    shown = restored.clip(0, 1)
    psnr = [peak_signal_noise_ratio(a, b, data_range=1) for a, b in zip(x, shown, strict=True)]
    return squares(restored - x) + np.mean(psnr)


def modern(x, W_enc, b_enc, W_dec, b_dec, k, dead):
    left, auxiliary = [], []
    for row in x:
        a = (row - b_dec) @ W_enc + b_enc
        kept = sorted(range(len(a)), key=lambda i: -a[i])[:k]
        x_hat = b_dec + sum(max(a[i], 0) * W_dec[i] for i in kept)
        left.append(row - x_hat)
        auxiliary.append(sum(max(a[i], 0) * W_dec[i] for i in range(len(a)) if dead[i]))
    return 10 * squares(left) + squares(np.array(left) - auxiliary)


def judging(z, y, z_test, y_test, threshold, W_dec, others):
    def cosine(a, b):
        return np.dot(a, b) / np.sqrt(np.dot(a, a) * np.dot(b, b))

    used = [j for j in range(z.shape[1]) if any(z[:, j] > 0)]
    nearest = np.mean([max(cosine(W_dec[j], row) for row in others) for j in used])
    gaps = [np.mean(column[y]) - np.mean(column[~y]) for column in z.T]
    j = max(range(len(gaps)), key=lambda j: abs(gaps[j]))
    above = [row[j] > threshold for row in z_test]
    right = [a == y if gaps[j] > 0 else a != y for a, y in zip(above, y_test, strict=True)]
    return 10 * (nearest + np.mean(right)) + sum(map(abs, gaps))


def superposition(planted, learned, x, x_hat):
    def cosine(a, b):
        return np.dot(a, b) / np.sqrt(np.dot(a, a) * np.dot(b, b))

    found = np.mean([max(cosine(p, q) for q in learned) for p in planted])
    real = np.mean([max(cosine(p, q) for p in planted) for q in learned])
    mean = np.mean(x, 0)
    return found + 2 * real + squares(x - x_hat) / squares(x - mean)


def interpretability(h, z, W_dec, j, head, bias, y, whole, without):
    losses = []
    for i, row in enumerate(h):
        logits = (row - z[i, j] * W_dec[j]) @ head + bias
        losses.append(np.log(sum(np.exp(logits - logits[y[i]]))))
    loss = np.mean(losses)
    return loss + 10 * (without - loss) / (without - whole)


def language_model(x, W_enc, b_enc, W_dec, b_dec, W_U, y, whole, mean_loss, zero_loss):
    losses = []
    for row, token in zip(x, y, strict=True):
        rebuilt = b_dec + sum(
            max(0, (row - b_dec) @ W_enc[:, j] + b_enc[j]) * W_dec[j] for j in range(len(b_enc))
        )
        logits = (rebuilt - np.mean(rebuilt)) / np.sqrt(np.var(rebuilt) + 1e-5) @ W_U
        losses.append(np.log(sum(np.exp(logits - logits[token]))))
    loss = np.mean(losses)
    return loss + 10 * (mean_loss - loss) / (mean_loss - whole)


def scaling(z, error, size, rho):
    return kl(rho, z.mean(0)) + squares(error)


MEANT = {
    f.__name__: f
    for f in (notation, theory, backpropagation, training, parity, feature_extraction,
              anomaly_detection, denoising, modern, judging, superposition, interpretability,
              language_model, scaling)
}  # fmt: skip


def key_of(name):
    """The key in the hidden test of an assignment."""
    for cell in make_assignments.source(name).cells:
        if cell.metadata.get("nbgrader", {}).get("grade_id") == "test_fault":
            return re.search(r'check_fault\(given, "([-\d ]+)"', cell.source)[1]
    raise KeyError(name)


def test_every_assignment_has_programs():
    assert list(MADE) == sorted(POOLS) == sorted(programs.DATA) == make_assignments.names()


@pytest.mark.parametrize("name", MEANT)
def test_every_program_has_one_fault_and_its_number_shows_it(name):
    """All programs that there are, on all their data."""
    key = key_of(name)
    wrong = key.split()
    for text, seed in POOLS[name]["programs"]:
        chosen = [int(digit) for digit in text]
        given = programs.Program(POOLS[name]["lines"], chosen, programs.data(name, seed))
        faults = [i for i, c in enumerate(chosen, 1) if str(c) in wrong[i - 1]]
        line, value = given.mended(key)
        assert faults == [line]
        assert value == pytest.approx(MEANT[name](**given.inputs), rel=1e-5), given
        as_it_is = given.run()
        assert not abs(as_it_is - value) < 0.02 * abs(value), given


@pytest.mark.parametrize("name", MEANT)
def test_the_pool_is_that_of_its_source(name):
    lines = make_programs.read(MADE[name])
    assert [sorted(text for _, text in of) for of in lines] == POOLS[name]["lines"]
    marks = [
        "".join(str(i) for i, (bad, _) in enumerate(sorted(of, key=lambda v: v[1])) if bad) or "-"
        for of in lines
    ]
    assert " ".join(marks) == key_of(name)
    faults = sum(bad for of in lines for bad, _ in of)
    assert faults >= 10
    assert len(POOLS[name]["programs"]) == faults * make_programs.EACH * make_programs.SETS
    assert "!" not in "".join(text[0] for of in POOLS[name]["lines"] for text in of)


@pytest.mark.parametrize("name", MEANT)
def test_students_get_different_programs(name):
    drawn = [
        classroom.program(name, classroom.variant(f"s{i}", f"{name}/program")) for i in range(50)
    ]
    assert len({str(given) for given in drawn}) > 15
    again = classroom.program(name, classroom.variant("s0", f"{name}/program"))
    assert str(again) == str(drawn[0])
    assert again.run() == pytest.approx(drawn[0].run(), nan_ok=True)


def test_a_line_is_exchanged_and_errors_give_nan():
    given = classroom.program("notation", classroom.variant("ann", "notation/program"))
    last = len(given.lines)
    assert given.mend(last, "result = 7") == 7
    assert np.isnan(given.mend(1, "error = nothing"))
    with pytest.raises(ValueError, match=rf"number must be 1 to {last}, got 0"):
        given.mend(0, "result = 7")


def test_points_for_a_fault(capsys):
    name = "theory"
    given, key = classroom.program(name, classroom.variant("ann", name)), key_of(name)
    line, value = given.mended(key)
    assert classroom.check_fault(given, key, line, value) == 3
    assert classroom.check_fault(given, key, line, None) == 1
    assert classroom.check_fault(given, key, line + 1, np.float32(value)) == 2
    capsys.readouterr()
    assert classroom.check_fault(given, key, None, given.run()) == 0
    assert "This is what the program gives as it is. (0 of 2)" in capsys.readouterr().out
