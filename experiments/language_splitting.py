"""Splitting and absorption in dictionaries of the transformer: for book/language_model.md.

Dictionaries of two widths, trained as in experiments/language_saes.py. Which latents of the wide
one come from one of the narrow one, and whether a latent stays silent where its name holds
because another has taken over (the score of SAEBench, from experiments/judging.py). Concepts are
tokens and first letters, fixed by how often they are there in the text trained on. Probes and main
latents are learned on training text; all that is reported is counted on test text.
"""

from functools import cache

import numpy as np
from sklearn.metrics import f1_score

from experiments import language_saes as saes
from experiments.judging import absorption, main_latents, probe
from experiments.language_saes import STREAM, Dictionary

SEEDS = saes.OF_KINDS
WIDTHS = (256, 1024)
LEAST_COSINE, LEAST_WITHIN = 0.5, 0.5  # of a latent with the one that it comes from
LEAST_ACTIVE = 10  # rows of test text; latents active in fewer are left out
N_CONCEPTS, LEAST_TEST = 24, 50  # of either kind; rows of test text that must have it
N_TRAIN = 1_000  # rows with a concept, at most, and as many others

# Dictionaries


@cache
def trained(width, seed):
    config = saes.config_of("TopK", width)
    return Dictionary(config, saes.run_of(f"TopK-{width}-{STREAM}", config, STREAM, seed)[0])


def drawn(width, seed):
    """Rows of the training text that are samples, and the generator after that."""
    rng = np.random.default_rng(seed)
    return rng.choice(len(saes.activations("train", STREAM)), width, replace=False), rng


def untrained(width, seed):
    """Samples of the stream as directions, and random ones."""
    x, config = saes.activations("train", STREAM), saes.config_of("TopK", width)
    rows, rng = drawn(width, seed)
    samples = x[rows] - x.mean(axis=0)
    return {
        "samples": saes.tied(config, samples, x),
        "random directions": saes.tied(config, rng.normal(size=samples.shape), x),
    }


class TwoSided:
    """PCA with a latent for either side of a component, so that no amount is negative."""

    def __init__(self, x):
        self.components = saes.Components(x)
        rows = self.components.directions
        self.mean, self.directions = self.components.mean, np.concatenate([rows, -rows])

    def encode(self, x):
        z = self.components.encode(x)
        return np.concatenate([z, -z], axis=1).clip(0)


# Splitting


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def origins(narrow, wide, x):
    """Which latent of a narrow dictionary each of a wide one comes from, -1 for none.

    That with the largest cosine, if this is at least a half and the narrow one is active in at
    least half of the rows in which the wide one is. Besides, which latents count, in either.
    """
    a, b = (dictionary.encode(x) > 0 for dictionary in (narrow, wide))
    counted = [on.sum(axis=0) >= LEAST_ACTIVE for on in (a, b)]
    cosine = unit(narrow.directions) @ unit(wide.directions).T
    cosine[~counted[0]] = -1
    nearest, j = cosine.argmax(axis=0), np.arange(len(wide.directions))
    both = a.T.astype(np.float32) @ b.astype(np.float32)
    within = both[nearest, j] / np.maximum(b.sum(axis=0), 1)
    found = (cosine[nearest, j] >= LEAST_COSINE) & (within >= LEAST_WITHIN) & counted[1]
    return np.where(found, nearest, -1), counted, (a, b)


def splitting(narrow, wide, x):
    """Into how many latents of a wide dictionary those of a narrow one go, and what these cover."""
    origin, counted, (a, b) = origins(narrow, wide, x)
    n_parts = np.bincount(origin[origin >= 0], minlength=len(narrow.directions))
    split = np.flatnonzero(n_parts >= 2)
    covered = [b[:, origin == i][a[:, i]].any(axis=1).mean() for i in split]
    n_parts = n_parts[counted[0]]
    return {
        "narrow": int(counted[0].sum()),
        "wide": int(counted[1].sum()),
        "parts": [int((n_parts == n).sum()) for n in (0, 1, 2)] + [int((n_parts >= 3).sum())],
        "most": int(n_parts.max()),
        "from one": round(float((origin >= 0).sum() / counted[1].sum()), 4),
        "covered": round(float(np.median(covered)), 4) if covered else None,
    }


def gathered(seed, n=3):
    """What samples have in common that come from one narrow latent, for those with the most."""
    width = WIDTHS[-1]
    x_test, tokens = saes.activations("test", STREAM), saes.tokens_of("train")
    samples = untrained(width, seed)["samples"]
    origin = origins(trained(WIDTHS[0], seed), samples, x_test)[0]
    place = np.tile(np.arange(1, tokens.shape[1]), len(tokens))
    counts, found = np.bincount(origin[origin >= 0]), []
    for latent in np.argsort(-counts, kind="stable")[:n]:
        rows = drawn(width, seed)[0][origin == latent]
        read, times = np.unique(tokens[:, 1:].ravel()[rows], return_counts=True)
        piece = saes.bundled()[2].pieces[read[times.argmax()]]
        found.append({
            "samples": len(rows),
            "place": round(float(place[rows].mean()), 1),
            "spread": round(float(place[rows].std()), 1),
            "token": piece.decode("utf8", "replace"),
            "of the token": int(times.max()),
        })  # fmt: skip
    return found


# Absorption


def first_letter(piece):
    """The letter that a token begins with, a space before it aside; '' if it is no letter."""
    text = piece.decode("utf8", "replace").strip().lower()
    return text[0] if text and text[0].isascii() and text[0].isalpha() else ""


@cache
def concepts(kind):
    """The most frequent tokens or first letters: which they are, and rows of each part with each.

    Tokens are numbers; rows are ``(n,)`` for each concept, True where it holds.
    """
    pieces = saes.bundled()[2].pieces
    labels = np.arange(len(pieces))
    if kind == "letter":
        labels = np.array([first_letter(piece) for piece in pieces])
    train, test = (labels[saes.tokens_of(part)[:, 1:].ravel()] for part in ("train", "test"))
    values, counts = np.unique(train, return_counts=True)
    often = [v for v in values[np.argsort(-counts, kind="stable")] if v != ""][:N_CONCEPTS]
    often = [v for v in often if (test == v).sum() >= LEAST_TEST]
    return often, [(train == v, test == v) for v in often]


def balanced(y, rng):
    """Rows with a concept, and as many others."""
    of, others = rng.permutation(np.flatnonzero(y))[:N_TRAIN], np.flatnonzero(~y)
    return np.concatenate([of, rng.choice(others, len(of), replace=False)])


@cache
def probes(kind):
    """For each concept: rows to learn from, rows to count, a probe of the stream, and its F1."""
    x, x_test = (saes.activations(part, STREAM) for part in ("train", "test"))
    rng, found = np.random.default_rng(0), []
    for y, y_test in concepts(kind)[1]:
        rows, new = balanced(y, rng), balanced(y_test, rng)
        linear = probe(x[rows], y[rows])
        found.append((rows, new, linear, f1_score(y_test[new], linear.predict(x_test[new]))))
    return found


NAMES = (
    "score", "silent", "score, first latent", "silent, first latent", "main latents", "one latent",
    "linear probe",
)  # fmt: skip


def absorbed(dictionary, kind):
    """For each concept of a kind the score, and what is seen without it; see `NAMES`.

    All but the F1 of probes are of test rows with the concept that the probe of the stream gets
    right: the share absorbed, the share at which the main latents are silent, for whatever reason;
    both once more with the first of the main latents alone. F1 is of a probe of this first latent.
    """
    x_test, found = saes.activations("test", STREAM), []
    z, z_test = (dictionary.encode(saes.activations(part, STREAM)) for part in ("train", "test"))
    for (rows, new, linear, f1), (y, y_test) in zip(probes(kind), concepts(kind)[1], strict=True):
        main = main_latents(z[rows], y[rows])
        right = new[y_test[new] & linear.predict(x_test[new])]
        row = []
        for latents in (main, main[:1]):
            of = x_test[right] - dictionary.mean, z_test[right], dictionary.directions
            row.append(absorption(*of, linear.coef_[0], latents).mean())
            row.append((z_test[right][:, latents] == 0).all(axis=1).mean())
        one = probe(z[rows][:, main[:1]], y[rows]).predict(z_test[new][:, main[:1]])
        found.append([*row, len(main), f1_score(y_test[new], one), f1])
    return np.array(found)


def summary(dictionary):
    """Means over the concepts of each kind, and in how many a tenth is absorbed."""
    found = {}
    for kind in ("token", "letter"):
        rows = absorbed(dictionary, kind)
        found[kind] = dict(zip(NAMES, rows.mean(axis=0).round(4).tolist(), strict=True))
        found[kind] |= {"a tenth": int((rows[:, 0] >= 0.1).sum()), "concepts": len(rows)}
    return found


# All of it


def run():
    x_test, splits, scores = saes.activations("test", STREAM), {}, {}
    for seed in SEEDS:
        of_seed = {f"TopK, {width}": trained(width, seed) for width in WIDTHS}
        for width in WIDTHS:
            of_seed |= {f"{name}, {width}": of for name, of in untrained(width, seed).items()}
        for name, wide in of_seed.items():
            if name.endswith(str(WIDTHS[-1])):
                found = splitting(trained(WIDTHS[0], seed), wide, x_test)
                splits.setdefault(name, []).append(found)
        if seed == SEEDS[0]:
            of_seed["PCA, the k largest"] = TwoSided(saes.activations("train", STREAM))
        for name, dictionary in of_seed.items():
            scores.setdefault(name, []).append(summary(dictionary))
            print(seed, name, scores[name][-1], flush=True)
    pieces = saes.bundled()[2].pieces
    return {
        "splitting": splits,
        "gathered": [gathered(seed) for seed in SEEDS],
        "absorption": scores,
        "concepts": {
            "token": [pieces[token].decode("utf8", "replace") for token in concepts("token")[0]],
            "letter": [str(letter) for letter in concepts("letter")[0]],
        },
        "settings": {
            "seeds": SEEDS, "widths": WIDTHS, "least_cosine": LEAST_COSINE,
            "least_within": LEAST_WITHIN, "least_active": LEAST_ACTIVE,
        },
    }  # fmt: skip
