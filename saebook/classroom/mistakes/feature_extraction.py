"""Known mistakes, chapter feature extraction: standardising, and the baseline."""

import numpy as np

from saebook._types import Array
from saebook.classroom.mistakes.table import Check


def _pca(fit: Array, centre: Array, test: Array, k: int, shift: Array) -> Array:
    axes = np.linalg.svd(fit - centre, full_matrices=False)[2][:k]
    return (test - shift) @ axes.T @ axes + shift


CHECKS = {
    "standardise": Check.of(
        "standardise(train, test)",
        lambda train, test: (test - train.mean(axis=0)) / train.std(axis=0),
        lambda rng: [(rng.normal(size=(30, 4)) * [1, 2, 3, 4] + 1, rng.normal(size=(9, 4)))],
        "Ask how the model would treat a single test image that arrives alone.",
        test_statistics=(
            lambda train, test: (test - test.mean(axis=0)) / test.std(axis=0),
            "mean and standard deviation come from the test data: a model is frozen before the "
            "test, so take both from the training data",
        ),
        both=(
            lambda train, test: (
                (test - np.r_[train, test].mean(axis=0)) / np.r_[train, test].std(axis=0)
            ),
            "training and test data are pooled: nothing may be learned from the test data",
        ),
        variance=(
            lambda train, test: (test - train.mean(axis=0)) / train.var(axis=0),
            "you divide by the variance: divide by its root",
        ),
        one_for_all=(
            lambda train, test: (test - train.mean()) / train.std(),
            "one mean and one deviation serve all features: every feature has its own",
        ),
        centre_only=(
            lambda train, test: test - train.mean(axis=0),
            "the mean is taken off, but the scale is left",
        ),
    ),
    "pca_reconstruct": Check.of(
        "pca_reconstruct(train, test, k)",
        lambda train, test, k: _pca(train, train.mean(axis=0), test, k, train.mean(axis=0)),
        lambda rng: [
            (rng.normal(size=(30, 5)) @ rng.normal(size=(5, 5)) + 2, rng.normal(size=(9, 5)), 2)
        ],
        "Ask which numbers of the baseline were known before the test data were opened.",
        fitted_on_test=(
            lambda train, test, k: _pca(test, test.mean(axis=0), test, k, test.mean(axis=0)),
            "the components are fitted to the test data, which flatters the baseline: fit them to "
            "the training data",
        ),
        not_centred=(
            lambda train, test, k: _pca(train, np.zeros(train.shape[1]), test, k, np.zeros(1)),
            "the mean is not taken off: the first component then only points to the mean",
        ),
        test_mean=(
            lambda train, test, k: _pca(train, train.mean(axis=0), test, k, test.mean(axis=0)),
            "the components are right, but the mean that is taken off is the test data's",
        ),
    ),
}
