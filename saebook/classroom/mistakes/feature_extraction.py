"""Known mistakes, chapter feature extraction: standardising, and the baseline."""

import numpy as np

from saebook._types import Array
from saebook.classroom.mistakes.table import Check


def _axes(fit: Array, centre: Array) -> Array:
    return np.linalg.svd(fit - centre, full_matrices=False)[2]


def _pca(fit: Array, centre: Array, test: Array, k: int, shift: Array) -> Array:
    axes = _axes(fit, centre)[:k]
    return (test - shift) @ axes.T @ axes + shift


def _other(train: Array, test: Array, kept: slice) -> Array:
    axes = _axes(train, train.mean(axis=0))[kept]
    return (test - train.mean(axis=0)) @ axes.T @ axes + train.mean(axis=0)


def _coordinates(found: Array, train: Array, test: Array, k: int) -> bool:
    """Whether these are the coordinates along the components, whose signs are free."""
    mean = train.mean(axis=0)
    expected = (test - mean) @ _axes(train, mean)[:k].T
    return found.shape == expected.shape and np.allclose(abs(found), abs(expected), rtol=1e-3)


CHECKS = {
    "standardise": Check.of(
        "standardise(train, test)",
        lambda train, test: (test - train.mean(axis=0)) / train.std(axis=0),
        lambda rng: [(rng.normal(size=(30, 4)) * [1, 2, 3, 4] + 1, rng.normal(size=(9, 4)))],
        "Ask how the model would treat a single test image that arrives alone.",
        small=(np.array([[0.0, 1.0], [2.0, 5.0]]), np.array([[1.0, 1.0]])),
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
        scale_only=(
            lambda train, test: test / train.std(axis=0),
            "the scale is right, but the mean is left",
        ),
        n_minus_1=(
            lambda train, test: (test - train.mean(axis=0)) / train.std(axis=0, ddof=1),
            "the deviation is divided by n - 1, as torch.std does by default: divide by n "
            "(correction=0), as NumPy and TensorFlow do",
        ),
        of_samples=(
            lambda train, test: (
                (test - test.mean(axis=1, keepdims=True)) / test.std(axis=1, keepdims=True)
            ),
            "each sample is standardised along its features: each feature has one mean and one "
            "deviation, over the training samples",
        ),
        test_mean=(
            lambda train, test: (test - test.mean(axis=0)) / train.std(axis=0),
            "the mean is that of the test data: take both from the training data",
        ),
        test_deviation=(
            lambda train, test: (test - train.mean(axis=0)) / test.std(axis=0),
            "the deviation is that of the test data: take both from the training data",
        ),
        range_of_values=(
            lambda train, test: (
                (test - train.min(axis=0)) / (train.max(axis=0) - train.min(axis=0))
            ),
            "the features are scaled to the range 0 to 1: take off the mean and divide by the "
            "deviation",
        ),
        train_returned=(
            lambda train, test: (train - train.mean(axis=0)) / train.std(axis=0),
            "the training features are returned: the test features are asked for",
        ),
        multiplied=(
            lambda train, test: (test - train.mean(axis=0)) * train.std(axis=0),
            "you multiply by the deviation: divide",
        ),
    ),
    "pca_reconstruct": Check.of(
        "pca_reconstruct(train, test, k)",
        lambda train, test, k: _pca(train, train.mean(axis=0), test, k, train.mean(axis=0)),
        lambda rng: [
            (rng.normal(size=(30, 5)) @ rng.normal(size=(5, 5)) + 2, rng.normal(size=(9, 5)), 2)
        ],
        "Ask which numbers of the baseline were known before the test data were opened.",
        small=(np.array([[0.0, 0.0], [1.0, 2.0], [2.0, 4.0]]), np.array([[3.0, 0.0]]), 1),
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
        mean_not_added=(
            lambda train, test, k: (
                _pca(train, train.mean(axis=0), test, k, train.mean(axis=0)) - train.mean(axis=0)
            ),
            "the mean is taken off and not added again at the end",
        ),
        smallest=(
            lambda train, test, k: _other(train, test, slice(-k, None)),
            "the components with the smallest variance are kept: keep the largest",
        ),
        one_more=(
            lambda train, test, k: _other(train, test, slice(None, k + 1)),
            "k + 1 components are kept",
        ),
        one_less=(
            lambda train, test, k: _other(train, test, slice(None, k - 1)),
            "k - 1 components are kept",
        ),
        all_kept=(
            lambda train, test, k: test,
            "this is the test data itself: only k components are kept",
        ),
        the_rest=(
            lambda train, test, k: _other(train, test, slice(k, None)),
            "the first k components are left out: they are the ones to keep",
        ),
        scores=(
            lambda train, test, k: (
                (test - train.mean(axis=0)) @ _axes(train, train.mean(axis=0))[:k].T
            ),
            "you return the k coordinates: go back to the space of the samples",
            None,
            _coordinates,
        ),
        not_centred_test=(
            lambda train, test, k: (
                test @ _axes(train, train.mean(axis=0))[:k].T @ _axes(train, train.mean(axis=0))[:k]
            ),
            "the components are right, but no mean is taken off the test data",
        ),
    ),
}
