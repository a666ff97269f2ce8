"""How to judge a dictionary: sparse probing and absorption, where the truth is known and on digits.

Both scores are those of SAEBench (Karvonen et al. 2025), whose absorption goes back to Chanin et
al. (2024), written anew for arrays. The digits' dictionaries are the runs of experiments/modern.py
with about 32 active latents. Nothing is chosen on the images that are counted.
"""

from functools import cache

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from experiments import _runs, modern
from saebook import L1, BatchTopK, SAEConfig, TopK, TrainConfig, metrics, reference
from saebook.start import init_tied

SEEDS = (0, 1, 2)
KS = (1, 2, 5, 16)  # latents that a probe may read
N_TRAIN, N_TEST = 1_000, 400  # images of a digit, and as many others, to learn from and to count
# Absorption, as in SAEBench: a latent belongs to the concept while it adds this much to F1; what
# stands in for it has at least this cosine with the probe, and this share of its projection.
F1_STEP, MOST_MAIN, LEAST_COSINE, LEAST_SHARE = 0.03, 10, 0.025, 0.4

# Planted parents and children, like those of book/superposition.md: 64 directions at right angles
FAMILIES = {"one child": (32, 1), "seven children": (8, 7)}  # parents, and children of each
PARENTS_IN_SAMPLE = 1.6  # on average
FAMILY = TrainConfig(epochs=40, learning_rate=3e-3, decay_steps=1_600)
FAMILY_KINDS = {
    "L1": (L1(0.3), None),
    "TopK": (TopK(3), None),
    "BatchTopK": (BatchTopK(3), None),
    "Matryoshka": (TopK(3), (32, 32)),
}


# The two scores


def probe(z, y):
    """Logistic regression on features divided by their deviations."""
    scale = z.std(axis=0)
    scale = np.where(scale > 1e-4 * scale.max(), scale, 1)  # a constant has one from rounding
    learned = LogisticRegression(max_iter=500).fit(z / scale, y)
    learned.coef_ = learned.coef_ / scale
    return learned


def ranked(z, y):
    """Latents in the order in which a sparse probe takes them: by the difference of the means."""
    difference = z[y].mean(axis=0) - z[~y].mean(axis=0)
    return np.argsort(-np.abs(difference), kind="stable")


def sparse_probing(z, y, z_test, y_test, ks=KS):
    """Accuracies, on new samples, of probes that read so many features, and of one that reads all.

    ``z, z_test (n_samples, n_features)`` are codes or anything else; ``y, y_test`` say which
    samples are of the class.
    """
    order = ranked(z, y)
    accuracies = [
        probe(z[:, order[:k]], y).score(z_test[:, order[:k]], y_test) for k in (*ks, len(order))
    ]
    return [round(float(value), 4) for value in accuracies]


def main_latents(z, y):
    """Latents that stand for a concept: those ranked first, as long as each adds to F1."""
    order, best = ranked(z, y), 0.0
    for k in range(1, MOST_MAIN + 1):
        found = f1_score(y, probe(z[:, order[:k]], y).predict(z[:, order[:k]]))
        if k > 1 and found < best + F1_STEP:
            return order[: k - 1]
        best = max(best, found)
    return order[:MOST_MAIN]


def absorption(x, z, D, direction, main):
    """Which samples of a concept are absorbed, ``(n_samples,)``.

    All `main` latents are silent, and the latent with the largest share of the reconstruction's
    projection on the concept's `direction` has at least 40 % of what the sample itself has.

    Parameters
    ----------
    x : array (n_samples, n_features)
        Samples that have the concept, less the decoder's bias.
    z : array (n_samples, n_latents)
    D : array (n_latents, n_features)
    direction : array (n_features,)
        That of a probe on ``x``.
    main : array of int
    """
    direction = direction / np.linalg.norm(direction)
    norms = np.linalg.norm(D, axis=1)
    cosine = D @ direction / np.where(norms > 0, norms, 1)
    parts = z * (D @ direction)
    top = parts.argmax(axis=1)
    rows, whole = np.arange(len(x)), x @ direction
    silent = (z[:, main] == 0).all(axis=1)
    return (
        silent & (cosine[top] >= LEAST_COSINE) & (whole > 0)
        & (parts[rows, top] >= LEAST_SHARE * whole)
    )  # fmt: skip


def absorbed_share(x, z, y, x_test, z_test, y_test, D):
    """The share of absorbed samples among those of the class that a probe on `x` gets right."""
    linear = probe(x, y)
    right = y_test & linear.predict(x_test)
    found = absorption(x_test[right], z_test[right], D, linear.coef_[0], main_latents(z, y))
    return float(found.mean())


# Planted parents and children


def families(family, together, n=20_000, seed=0):
    """Samples, which parents are in them, which of these with a child, and the parents' directions.

    With `together` a child comes only with its parent, in half of the samples that have it;
    otherwise in as many others. Of several children of a parent there is one at a time.
    """
    n_parents, n_children = FAMILIES[family]
    directions = np.random.default_rng(0).normal(size=(64, 64))
    atoms = np.linalg.qr(directions)[0].astype("float32")
    rng, often = np.random.default_rng([seed, 1]), PARENTS_IN_SAMPLE / n_parents
    parent = rng.random((n, n_parents)) < often
    chance = parent if together else rng.random((n, n_parents)) < often
    some = chance & (rng.random((n, n_parents)) < 0.5)
    which = rng.integers(n_children, size=(n, n_parents))
    child = some[..., None] & (which[..., None] == np.arange(n_children))
    z = np.concatenate([parent, child.reshape(n, -1)], axis=1) * rng.uniform(0.5, 1.5, (n, 64))
    return z.astype("float32") @ atoms, parent, some & parent, atoms[:n_parents]


def family_model(kind, family, together, seed=0):
    """Configuration and parameters of a model of planted families."""
    SparseAutoencoder, fit, _ = _runs.framework_of("torch")
    sparsity, groups = FAMILY_KINDS[kind]
    config = SAEConfig(
        64, 64, "relu", "linear", sparsity=sparsity, unit_norm=True, groups=groups, pre_bias=False
    )
    model, x = SparseAutoencoder(config, device="cpu"), families(family, together, seed=seed)[0]
    model.from_numpy(init_tied(config, x[:5_000], seed))
    fit(model, x, FAMILY, progress=False)
    return config, model.to_numpy()


def family_row(model, family, together, parents=None):
    """Absorption of the parents by the score and by the planting, and how well they are read.

    The truth is how often the latent nearest to a parent is silent though the parent is there. The
    score is taken with the main latents as SAEBench finds them, and with the first of them alone.
    """
    config, params = model
    x, parent, _, atoms = families(family, together, 10_000, seed=101)
    x_test, parent_test, with_child, _ = families(family, together, 10_000, seed=102)
    z, z_test = (reference.encode(config, params, a) for a in (x, x_test))
    D = reference.dictionary(config, params)
    nearest = np.argmax(D @ atoms.T, axis=0)
    rows = []
    for i in range(len(atoms)) if parents is None else parents:
        y, y_test = parent[:, i], parent_test[:, i]
        linear, main = probe(x, y), main_latents(z, y)
        right = y_test & linear.predict(x_test)
        absorbed = [
            absorption(x_test[right], z_test[right], D, linear.coef_[0], latents).mean()
            for latents in (main, main[:1])
        ]
        silent = z_test[:, nearest[i]] == 0
        one = probe(z[:, main[:1]], y).predict(z_test[:, main[:1]])
        rows.append([
            silent[y_test & ~with_child[:, i]].mean(), silent[y_test & with_child[:, i]].mean()
            if together else 0.0, silent[y_test].mean(), *absorbed, len(main),
            f1_score(y_test, one), f1_score(y_test, linear.predict(x_test)),
        ])  # fmt: skip
    names = (
        "silent, no child", "silent, child", "silent", "score", "score, first latent",
        "main latents", "one latent", "linear probe",
    )  # fmt: skip
    found = dict(zip(names, np.mean(rows, axis=0).round(4).tolist(), strict=True))
    return found | {
        "l0": round(metrics.l0(z_test), 2),
        "fvu": round(metrics.fvu(x_test, reference.decode(config, params, z_test)), 4),
    }


def family_run(kind, family, together, seed=0):
    return family_row(family_model(kind, family, together, seed), family, together)


# Digits


@cache
def tasks():
    """For each digit, rows of training and of validation images, half of them of this digit."""
    data, rng = _runs.digits(), np.random.default_rng(0)

    def rows(y, digit, n):
        of, others = np.flatnonzero(y == digit)[:n], np.flatnonzero(y != digit)
        return np.concatenate([of, rng.choice(others, len(of), replace=False)])

    return [
        (rows(data.y_train, digit, N_TRAIN), rows(data.y_val, digit, N_TEST)) for digit in range(10)
    ]


def dictionaries(seed):
    """Configuration and parameters of each dictionary of digits, all with about 32 latents each."""
    trained = {
        kind: modern.model_of(kind, setting, seed) for kind, setting in modern.MIDDLE.items()
    }
    return trained | {
        name: modern.untrained(begin, 32, seed) for name, begin in modern.BEGIN.items()
    }


def digit_row(x, x_val, of=None):
    """Accuracies of the probes, a mean over the ten digits; of codes also the absorption.

    `x` and `x_val` are codes of the training and validation images; `of` the dictionary with its
    centre.
    """
    data, accuracies, shares = _runs.digits(), [], []
    for digit, (rows, new) in enumerate(tasks()):
        y, y_new = data.y_train[rows] == digit, data.y_val[new] == digit
        accuracies.append(sparse_probing(x[rows], y, x_val[new], y_new))
        if of is not None:
            D, centre = of
            pixels, pixels_new = data.x_train[rows] - centre, data.x_val[new] - centre
            shares.append(absorbed_share(pixels, x[rows], y, pixels_new, x_val[new], y_new, D))
    names = [*map(str, KS), "all"]
    row = dict(zip(names, np.mean(accuracies, axis=0).round(4).tolist(), strict=True))
    return row | ({"absorbed": round(float(np.mean(shares)), 4)} if shares else {})


def one_direction():
    """Accuracy of a single number that labels have made: the difference of the two class means."""
    data, accuracies = _runs.digits(), []
    for digit, (rows, new) in enumerate(tasks()):
        x, y = data.x_train[rows], data.y_train[rows] == digit
        direction = x[y].mean(axis=0) - x[~y].mean(axis=0)
        learned = probe((x @ direction)[:, None], y)
        accuracies.append(
            learned.score((data.x_val[new] @ direction)[:, None], data.y_val[new] == digit)
        )
    return round(float(np.mean(accuracies)), 4)


def on_digits(seeds=SEEDS):
    data = _runs.digits()
    learned = PCA(_runs.N_LATENTS, svd_solver="covariance_eigh").fit(data.x_train)
    found = {
        "pixels": [digit_row(data.x_train, data.x_val)],
        "PCA": [digit_row(learned.transform(data.x_train), learned.transform(data.x_val))],
    }
    for seed in seeds:
        for name, (config, params) in dictionaries(seed).items():
            z, z_val = (modern.encoded(config, params, x) for x in (data.x_train, data.x_val))
            of = reference.dictionary(config, params), params["b_dec"]
            found.setdefault(name, []).append(digit_row(z, z_val, of))
    return found


def run():
    return {
        "settings": {
            "seeds": SEEDS,
            "ks": KS,
            "f1_step": F1_STEP,
            "least_cosine": LEAST_COSINE,
            "least_share": LEAST_SHARE,
        },
        "families": {
            family: {
                kind: {
                    "together": [family_run(kind, family, True, seed) for seed in SEEDS],
                    "apart": [family_run(kind, family, False)],
                }
                for kind in FAMILY_KINDS
            }
            for family in FAMILIES
        },
        "digits": on_digits(),
        "one_direction": one_direction(),
    }
