"""The scikit-learn faces, first of all by scikit-learn's own checks."""

import copy
import doctest
import pickle
import re
import subprocess
import sys
from dataclasses import replace
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from saebook import (
    KL,
    L1,
    AuxK,
    BatchTopK,
    Gated,
    JumpReLU,
    SAEConfig,
    TopK,
    TrainConfig,
    reference,
)
from saebook.corruption import GaussianNoise
from saebook.estimators import SAEDenoiser, SAEOutlierDetector, SAETransformer, denoiser
from saebook.estimators.denoiser import worth
from saebook.estimators.start import from_samples, in_pairs

ALL = (SAETransformer, SAEOutlierDetector, SAEDenoiser)
BACKENDS = ("pytorch", "tensorflow")


@parametrize_with_checks(
    [
        cls(n_latents=8, epochs=5, backend=backend, device="cpu")
        for cls in ALL
        for backend in BACKENDS
    ]
)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


@pytest.fixture
def X():
    return load_digits().data / 16


def test_codes_have_names_and_come_back(X):
    sae = SAETransformer(n_latents=16, epochs=5, random_state=0).set_output(transform="pandas")
    Z = sae.fit_transform(pd.DataFrame(X).add_prefix("pixel"))
    assert list(Z.columns[:2]) == ["saetransformer0", "saetransformer1"]
    assert sae.feature_names_in_[0] == "pixel0"
    back = sae.inverse_transform(Z.to_numpy())
    errors = -np.sum((X - back) ** 2, axis=1)
    frame = pd.DataFrame(X).add_prefix("pixel")
    np.testing.assert_allclose(sae.score_samples(frame), errors, rtol=1e-10)
    assert sae.score(frame) == pytest.approx(errors.mean())
    assert sae.components_.shape == (16, 64)


@pytest.mark.parametrize("kind", [BatchTopK(3, AuxK(2)), JumpReLU(0.1), Gated(0.1)])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_kind_with_parameters_of_its_own(X, backend, kind):
    options = {"n_latents": 12, "sparsity": kind, "backend": backend, "device": "cpu"}
    sae = SAETransformer(epochs=30, random_state=0, **options).fit(X)
    Z = pickle.loads(pickle.dumps(sae)).transform(X)
    assert 0 < (Z > 0).mean() < 1
    assert 1 - sae.score(X) / -np.var(X, axis=0).sum() > 0.3  # of the variance
    np.testing.assert_allclose(sae.transform(X[:1]), Z[:1], rtol=1e-10)


@pytest.mark.parametrize("backend", BACKENDS)
def test_passes_one_by_one_are_a_fit(X, backend):
    """`partial_fit` keeps the optimiser and counts on, so three passes are three epochs."""
    options = {"n_latents": 8, "backend": backend, "device": "cpu", "random_state": 3}
    whole = SAETransformer(epochs=3, **options).fit(X)
    parts = SAETransformer(**options).partial_fit(X).partial_fit(X)
    parts = pickle.loads(pickle.dumps(parts)).partial_fit(X)
    assert parts.n_iter_ == 3
    for name, value in whole.params_.items():
        np.testing.assert_array_equal(parts.params_[name], value)
    assert parts.history_ == whole.history_


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_fit_by_hand_learns_the_same(X, backend):
    """The model, its start and the training are those of the package."""
    sae = SAETransformer(n_latents=12, epochs=2, backend=backend, device="cpu", random_state=0)
    sae.fit(X)
    seed = np.random.RandomState(0).randint(np.iinfo(np.int32).max)
    config = SAEConfig(64, 12, sparsity=TopK(6), tied=True, pre_bias=False)
    package = import_module(f"saebook.{backend}")
    model = package.SparseAutoencoder(config, seed, "float64", "cpu")
    x = sae.scaling_.apply(X)
    model.from_numpy(from_samples(config, x, seed))
    given = TrainConfig(2, 128, 2e-3, seed=seed, init="given")
    package.fit(model, x, given, progress=False)
    for name, value in model.to_numpy().items():
        np.testing.assert_allclose(sae.params_[name], value, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("options", [{}, {"tied": False}, {"unit_norm": True}])
@pytest.mark.parametrize("n_latents", [12, 13])
def test_latents_begin_in_pairs_of_which_nothing_is_cut(n_latents, options, X):
    """Where half of them are kept: a code at first has all that its directions measure."""
    options = {"tied": True, "pre_bias": False} | options
    config = SAEConfig(64, n_latents, sparsity=TopK(-(-n_latents // 2)), **options)
    X = X[:500]  # all of them fit the scale
    params = from_samples(config, X, 0)
    half = slice(-(-n_latents // 2)), slice(-(-n_latents // 2), None)
    one, other = (params["W_enc"][:, part] for part in half)
    np.testing.assert_array_equal(other, -one[:, : other.shape[1]])
    z = reference.encode(config, params, X)
    every = reference.encode(replace(config, sparsity=None), params, X)
    np.testing.assert_array_equal(z, every)
    n_pairs = n_latents // 2
    linear = (X - X.mean(axis=0)) @ one
    np.testing.assert_allclose(
        z[:, :n_pairs] - z[:, half[1]], linear[:, :n_pairs], rtol=1e-9, atol=1e-12
    )
    assert np.linalg.norm(one, axis=0).min() > 0
    if not options.get("unit_norm") and n_latents % 2 == 0:  # no other scale has a smaller error
        rebuilt = reference.decode(config, params, z) - X.mean(axis=0)
        assert np.sum((X - X.mean(axis=0)) * rebuilt) == pytest.approx(np.sum(rebuilt**2))
        assert np.sum(rebuilt**2) > 0.1 * np.sum((X - X.mean(axis=0)) ** 2)


def test_latents_do_not_begin_in_pairs_where_these_would_be_cut_or_say_the_same():
    half = SAEConfig(64, 12, sparsity=TopK(6))
    assert in_pairs(half)
    assert in_pairs(replace(half, sparsity=TopK(12)))
    assert not in_pairs(replace(half, sparsity=TopK(5)))
    assert not in_pairs(replace(half, sparsity=None))
    assert not in_pairs(replace(half, activation="linear"))
    assert not in_pairs(replace(half, n_latents=1, sparsity=TopK(1)))


@pytest.mark.parametrize("backend", BACKENDS)
def test_training_on_leaves_copies_as_they_were(X, backend):
    """A shallow copy shares what was fitted; it may not change behind the other's back."""
    options = {"n_latents": 8, "backend": backend, "device": "cpu", "random_state": 3}
    first = SAETransformer(**options).partial_fit(X)
    second, kept = copy.copy(first), copy.deepcopy(first)
    first.partial_fit(X)
    assert second.history_ == kept.history_
    assert {len(values) for values in second.history_.values()} == {second.n_iter_} == {1}
    np.testing.assert_array_equal(second.transform(X), kept.transform(X))
    second.partial_fit(X)
    assert second.history_ == first.history_
    np.testing.assert_array_equal(second.transform(X), first.transform(X))


def test_both_backends_learn_the_same(X):
    codes = [
        SAETransformer(n_latents=16, epochs=5, random_state=1, backend=backend).fit(X).transform(X)
        for backend in BACKENDS
    ]
    np.testing.assert_allclose(*codes, atol=1e-9)


def test_a_pickle_is_used_without_any_framework(X, tmp_path):
    for name, estimator in (
        ("transformer", SAETransformer(n_latents=8, epochs=1, random_state=0)),
        ("detector", SAEOutlierDetector(n_latents=8, epochs=1, backend="tensorflow")),
        ("denoiser", SAEDenoiser(n_latents=8, epochs=1, random_state=0)),
    ):
        (tmp_path / name).write_bytes(pickle.dumps(estimator.fit(X)))
    code = """
import pickle, sys
import numpy as np
X = np.zeros((2, 64))
methods = {"transformer": "transform", "detector": "predict", "denoiser": "transform"}
for name, method in methods.items():
    with open(name, "rb") as file:
        print(getattr(pickle.load(file), method)(X).shape)
print(sorted({"torch", "tensorflow", "keras"} & set(sys.modules)))
"""
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert found.stdout.split("\n")[:-1] == ["(2, 8)", "(2,)", "(2, 64)", "[]"], found.stderr


def test_a_search_in_two_processes(X):
    """Kinds of sparsity are parameters like others, and TopK(8) rebuilds better than TopK(1)."""
    search = GridSearchCV(
        SAETransformer(n_latents=16, epochs=10, random_state=0, device="cpu"),
        {"sparsity": [TopK(1), TopK(8)]},
        cv=2,
        n_jobs=2,
    ).fit(X[:400])
    assert search.best_params_ == {"sparsity": TopK(8)}


def test_in_a_pipeline_and_with_float32(X):
    model = make_pipeline(
        StandardScaler(),
        SAETransformer(n_latents=64, sparsity=L1(0.1), epochs=10, random_state=0),
        LogisticRegression(max_iter=1000),
    )
    y = load_digits().target
    assert model.fit(X[:1000], y[:1000]).score(X[1000:], y[1000:]) > 0.8
    sae = SAETransformer(n_latents=8, sparsity=KL(), activation="sigmoid", epochs=1)
    assert sae.fit_transform(X.astype(np.float32)).dtype == np.float32


def test_held_out_samples_keep_the_false_alarms_to_what_was_asked():
    """More latents than samples: errors on training samples are far below those on new ones."""
    rng = np.random.default_rng(0)
    train, new = rng.normal(size=(100, 40)), rng.normal(size=(1000, 40))
    options = {"n_latents": 200, "epochs": 60, "batch_size": 32, "random_state": 0}
    alarms = {}
    for part in (None, 0.5, "auto"):
        detector = SAEOutlierDetector(validation_fraction=part, **options).fit(train)
        alarms[part] = np.mean(detector.predict(new) < 0)
    assert alarms[None] > 0.3
    assert alarms[0.5] == pytest.approx(0.1, abs=0.08)
    assert alarms["auto"] == pytest.approx(0.1, abs=0.06)


def test_a_sample_of_the_training_data_scores_as_when_it_was_held_out(X):
    """So as many of them are outliers as was asked, and a change of one is a new sample."""
    detector = SAEOutlierDetector(epochs=3, contamination=0.05, random_state=0).fit(X[:200])
    assert (pickle.loads(pickle.dumps(detector)).predict(X[:200]) < 0).sum() == 10
    moved = detector.score_samples(X[:200] + 1e-9)
    assert np.mean(moved - detector.score_samples(X[:200])) > 0.1


def test_two_distances_see_what_either_misses():
    """Off the line of the samples, and on it, where none of them was."""
    x = np.random.default_rng(0).normal(size=(300, 1)) @ np.ones((1, 6))
    x[:, 0] *= -1
    strange = np.array([np.ones(6), 9 * np.array([-1, 1, 1, 1, 1, 1])])
    usual = {}
    for n_neighbors in (0, 5):
        detector = SAEOutlierDetector(n_neighbors=n_neighbors, random_state=0).fit(x)
        usual[n_neighbors] = detector.predict(strange).tolist()
    assert usual[5] == [-1, -1]
    assert usual[0][0] == -1


@pytest.mark.parametrize("cls", [SAETransformer, SAEOutlierDetector])
def test_units_of_the_data_do_not_matter(cls, X):
    """One unit for all features, or such different ones that each is scaled."""
    X = X[:, np.ptp(X[:300], axis=0) > 0]
    options = {"n_latents": 16, "epochs": 3, "random_state": 0}
    plain = cls(**options).fit(X[:300])
    moved = cls(**options).fit(1000 * X[:300] - 7)
    assert moved.scaling_.unit == pytest.approx(1000 * plain.scaling_.unit)
    np.testing.assert_allclose(
        moved.score_samples(1000 * X - 7),
        plain.score_samples(X) * (1e6 if cls is SAETransformer else 1e3),
        rtol=1e-6,
        atol=1e-6,
    )
    units = np.geomspace(1, 1e4, X.shape[1])
    each = cls(scale="features", **options).fit(X[:300])
    mixed = cls(**options).fit(X[:300] * units)
    np.testing.assert_allclose(mixed.score_samples(X * units), each.score_samples(X), rtol=1e-6)


def test_scaling_can_be_switched_off(X):
    estimator = SAETransformer(8, scale=None, epochs=1, random_state=0).fit(X)
    assert (estimator.scaling_.mean == 0).all()
    assert (estimator.scaling_.scale == 1).all()
    assert SAETransformer(8, scale="common", epochs=1).fit(X).scaling_.mean == pytest.approx(
        X.mean(axis=0)
    )


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda X: X[:1], {}, "SAETransformer has one sample to learn from"),
        (lambda X: 0 * X, {}, "SAETransformer has 50 equal samples"),
        (lambda X: X * np.geomspace(1, 1e4, 64), {"scale": None}, "little but the features of"),
    ],
)
def test_data_that_say_little_are_warned_of(change, options, message, X):
    estimator = SAETransformer(8, epochs=1, random_state=0, **options)
    with pytest.warns(UserWarning, match=message):
        estimator.fit(change(X[:50]))
    assert np.isfinite(estimator.transform(X)).all()


@pytest.mark.parametrize(
    ("n_features", "n_latents", "wanted"),
    [(2, "auto", 8), (18, "auto", 36), (32, "auto", 64), (64, "auto", 128), (784, "auto", 128)]
    + [(784, 7, 4), (784, 32, 16), (784, 200, 100), (784, 256, 128), (784, 500, 128)],
)
def test_how_many_latents_the_transformer_keeps(n_features, n_latents, wanted):
    config = SAETransformer(n_latents)._config(n_features)
    assert config.sparsity == TopK(wanted)
    assert not config.pre_bias  # as the samples come without their mean
    assert SAETransformer(n_latents, scale=None)._config(n_features).pre_bias


def test_training_ends_when_held_out_samples_are_rebuilt_no_better():
    """Pure noise, and as many latents as there are samples to learn by heart."""
    x = np.random.default_rng(0).normal(size=(60, 30))
    options = {"sparsity": None, "random_state": 0, "learning_rate": 1e-2}
    assert SAETransformer(**options).fit(x).n_iter_ < 400
    assert SAETransformer(epochs=7, **options).fit(x).n_iter_ == 7


@pytest.mark.parametrize(
    "options",
    [{"tied": True}, {"tied": False}, {"tied": False, "sparsity": KL(), "activation": "sigmoid"}],
    ids=str,
)
def test_a_pixel_that_was_constant_does_not_blow_a_score_up(options):
    """As at the border of MNIST: no spread of zero divides, no weight is left as it was drawn."""
    X = np.random.default_rng(0).random((300, 30))
    X[:, :5] = 0.0
    new = np.random.default_rng(1).random(X.shape)
    new[:, :5] = 0.0
    options = {"n_latents": 16, "epochs": 20, "n_neighbors": 0, "random_state": 0, **options}
    detector = SAEOutlierDetector(**options).fit(X)
    inked = new.copy()
    inked[:, 0] = 1.0
    risen = detector.score_samples(inked) ** 2 - detector.score_samples(new) ** 2
    assert np.all(np.abs(risen - 1) < 0.3)  # a pixel that is wrong by 1 costs 1


def test_denoising_on_pairs_and_on_noise_of_its_own(X):
    rng = np.random.default_rng(0)
    noisy = X + 0.3 * rng.normal(size=X.shape)
    options = {"n_latents": 64, "epochs": 30, "batch_size": 64, "random_state": 0}
    before = np.mean((noisy - X) ** 2)
    for estimator, y in (
        (SAEDenoiser(corruption=None, **options), X),
        (SAEDenoiser(corruption=GaussianNoise(0.3, clip=False), **options), None),
    ):
        clean = estimator.fit(noisy if y is not None else X, y).transform(noisy)
        assert np.mean((clean - X) ** 2) < 0.5 * before


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_denoiser_is_a_linear_filter_with_a_correction(X, backend):
    """Clusters are what a linear filter cannot use; of normal samples it is the best of all."""
    rng = np.random.default_rng(0)
    centres = 3 * rng.normal(size=(5, 10))
    clusters = centres[rng.integers(5, size=1200)] + 0.1 * rng.normal(size=(1200, 10))
    normal = rng.normal(size=(1200, 10)) @ rng.normal(size=(10, 10))
    gains = {}
    for name, x in (("clusters", clusters), ("normal", normal)):
        train, test = x[:600], x[600:]
        sigma = 0.5 * train.std()
        noisy = test + sigma * rng.normal(size=test.shape)
        mean, covariance = train.mean(axis=0), np.cov(train.T, bias=True)
        matrix = np.linalg.solve(covariance + sigma**2 * np.eye(10), covariance)
        linear = mean + (noisy - mean) @ matrix
        estimator = SAEDenoiser(random_state=0, backend=backend).fit(train)
        error = np.sum((estimator.transform(noisy) - test) ** 2)
        gains[name] = 10 * np.log10(np.sum((linear - test) ** 2) / error)
        estimator.correction_ = 0.0
        np.testing.assert_allclose(estimator.transform(noisy), linear, rtol=1e-6, atol=1e-8)
    assert gains["clusters"] > 3
    assert gains["normal"] > -0.1


def test_far_from_all_samples_a_denoiser_is_its_filter(X):
    estimator = SAEDenoiser(epochs=5, random_state=0).fit(X)
    assert estimator.correction_ > 0
    far = 1e6 * np.random.default_rng(0).normal(size=(5, 64))
    with_it = estimator.transform(far)
    estimator.correction_ = 0.0
    np.testing.assert_allclose(with_it, estimator.transform(far), atol=10)


def test_a_correction_is_added_only_where_held_out_samples_gain():
    rng = np.random.default_rng(0)
    target, rows = rng.normal(size=(50, 4)), np.arange(50)
    assert worth(target, target / 2, rows) == 1.0
    assert worth(target, 2 * target, rows) == pytest.approx(0.5)
    assert worth(target, -target, rows) == 0
    assert worth(target, 1e-3 * target + rng.normal(size=target.shape), rows) == 0
    assert worth(target[:1], target[:1], rows[:1]) == 0


class Stop:
    """A callback of scikit-learn that ends training after a number of epochs."""

    def __init__(self, after):
        self.after, self.seen = after, []

    def setup(self, estimator, context):
        self.seen.append("setup")

    def teardown(self, estimator, context):
        self.seen.append("teardown")

    def on_fit_task_begin(self, estimator, context, **more):
        self.seen.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context, *, metadata=None, **more):
        self.seen.append(f"end {context.task_name}")
        return context.task_name == "epoch" and context.task_id + 1 >= self.after


@pytest.mark.parametrize("estimator", [cls(n_latents=4, epochs=4) for cls in ALL], ids=str)
def test_callbacks_see_every_epoch_and_can_stop(estimator, X):
    pytest.importorskip("sklearn.callback", reason="callbacks came with scikit-learn 1.9")
    callback = Stop(after=2)
    assert estimator.set_callbacks(callback).fit(X).n_iter_ == 2
    epoch = ["begin epoch", "end epoch"]
    assert callback.seen == ["setup", "begin fit", *epoch, *epoch, "end fit", "teardown"]


def test_progress_bar_of_scikit_learn(X, capsys):
    callback = pytest.importorskip("sklearn.callback", reason="came with scikit-learn 1.9")
    pytest.importorskip("rich", reason="scikit-learn's progress bar needs rich")
    SAETransformer(n_latents=4, epochs=3).set_callbacks(callback.ProgressBar()).fit(X)
    assert re.search(r"SAETransformer - fit .*100%", capsys.readouterr().out)


def test_the_examples_in_the_docstrings_run():
    found = [doctest.testmod(sys.modules[cls.__module__]) for cls in ALL]
    assert sum(result.failed for result in found) == 0
    assert sum(result.attempted for result in found) > 10


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_latents": 0}, "n_latents must be an integer of at least 1, got 0"),
        ({"n_latents": 2.5}, "n_latents must be an integer of at least 1, got 2.5"),
        ({"sparsity": "topk"}, "sparsity must be 'auto', None or a kind .*, got 'topk'"),
        ({"sparsity": TopK(9)}, "TopK.k must be at most n_latents, which is 8, got 9"),
        ({"sparsity": KL()}, "activation must be 'sigmoid' when sparsity is KL"),
        ({"activation": "gelu"}, "activation must be one of .*, got 'gelu'"),
        ({"reconstruction": "bce"}, "output must be 'sigmoid' when reconstruction is 'bce'"),
        ({"epochs": 0}, "epochs must be an integer of at least 1, got 0"),
        ({"batch_size": 0}, "batch_size must be an integer of at least 1, got 0"),
        ({"learning_rate": -1}, "learning_rate must be None or a finite number above 0, got -1"),
        ({"backend": "jax"}, "backend must be 'pytorch' or 'tensorflow', got 'jax'"),
        ({"device": "tpu"}, "device must be 'auto' or one that PyTorch finds here .*, got 'tpu'"),
        ({"random_state": "a"}, "'a' cannot be used to seed"),
    ],
)
@pytest.mark.parametrize("cls", ALL)
def test_wrong_parameters_are_refused_by_fit(cls, options, message, X):
    with pytest.raises(ValueError, match=message):
        cls(**{"n_latents": 8, **options}).fit(X[:20])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda X: SAEOutlierDetector(contamination=0).fit(X), "contamination must be above 0"),
        (lambda X: SAEOutlierDetector(contamination="auto").fit(X), "at most 0.5, got 'auto'"),
        (
            lambda X: SAEOutlierDetector(validation_fraction=1).fit(X),
            "validation_fraction must be 'auto', None or between 0 and 1, got 1",
        ),
        (
            lambda X: SAEOutlierDetector(validation_fraction=0.5).fit(X[:1]),
            "validation_fraction must leave samples to train on, got 0.5 of 1 sample",
        ),
        (lambda X: SAEOutlierDetector(n_neighbors=-1).fit(X), "n_neighbors must be an integer of"),
        (lambda X: SAETransformer(scale="each").fit(X), "scale must be 'auto', 'common', 'feat"),
        (
            lambda X: SAETransformer(output="sigmoid", scale="common").fit(X),
            "scale must be 'auto' or None when output is 'sigmoid', got 'common'",
        ),
        (lambda X: SAEDenoiser(output="sigmoid").fit(X), "output must be 'linear', as a corr"),
        (lambda X: SAETransformer(epochs="all").fit(X), "epochs must be an integer of at least 1"),
        (lambda X: SAETransformer("many").fit(X), "n_latents must be an integer of at least 1"),
        (lambda X: SAEDenoiser(corruption=None).fit(X), "y must hold the clean samples .*None"),
        (lambda X: SAEDenoiser(corruption=None).fit(X, X[:3]), "a clean sample for each noisy one"),
        (lambda X: SAEDenoiser(corruption="salt").fit(X), "'auto', None or a function, got 'salt'"),
        (
            lambda X: SAETransformer(n_latents=8, epochs=1).fit(X).inverse_transform(X),
            r"X must have shape \(n_samples, 8\), got \(40, 64\)",
        ),
        (lambda X: SAETransformer(n_latents=8).fit(X * np.nan), "contains NaN"),
        (lambda X: SAETransformer(output="sigmoid", reconstruction="bce").fit(9 * X), r"\[0, 1\]"),
    ],
)
def test_wrong_input_is_refused(call, message, X):
    with pytest.raises(ValueError, match=message):
        call(X[:40])


def test_scikit_learns_scoring_monitor_sees_each_epoch_as_if_it_were_the_last(X):
    callback = pytest.importorskip("sklearn.callback", reason="came with scikit-learn 1.9")
    options = {"n_latents": 8, "epochs": 3, "random_state": 0}
    monitor = callback.ScoringMonitor(scoring=lambda found, X, y: {"error": -found.score(X)})
    estimator = SAETransformer(**options).set_callbacks(monitor).fit(X, np.zeros(len(X)))
    errors = [row["error"] for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert len(errors) == 3
    assert errors[-1] == pytest.approx(-estimator.score(X))
    for epochs, error in enumerate(errors, start=1):
        alone = SAETransformer(**options | {"epochs": epochs}).fit(X)
        assert error == pytest.approx(-alone.score(X))


@pytest.mark.parametrize("change", [{"n_latents": 16}, {"sparsity": TopK(3)}, {"tied": False}])
def test_partial_fit_refuses_parameters_that_would_do_nothing(X, change):
    estimator = SAETransformer(n_latents=8, random_state=0).partial_fit(X)
    before = estimator.transform(X)
    with pytest.raises(ValueError, match=r"must stay what they were when partial_fit began, .*fit"):
        estimator.set_params(**change).partial_fit(X)
    np.testing.assert_array_equal(estimator.transform(X), before)
    estimator.set_params(n_latents=8, sparsity="auto", tied=True, learning_rate=1e-4).partial_fit(X)
    assert estimator.n_iter_ == 2


@pytest.mark.parametrize("container", ["torch", "tensorflow", "bfloat16", "masked"])
def test_foreign_arrays_keep_their_precision(X, container):
    import tensorflow as tf
    import torch

    x = X.astype(np.float32)
    estimator = SAETransformer(n_latents=8, epochs=2, random_state=0)
    if container == "masked":
        masked = np.ma.array(x, mask=x > 0.9)
        with pytest.raises(ValueError, match="X must have no masked entries"):
            estimator.fit(masked)
        return
    make = {
        "torch": torch.tensor,
        "tensorflow": tf.constant,
        "bfloat16": lambda x: torch.tensor(x).bfloat16(),
    }[container]
    assert estimator.fit(make(x)).params_["W_enc"].dtype == np.float32
    assert estimator.transform(make(x)).dtype == np.float32


def test_the_denoisers_own_noise_is_half_the_deviation_of_all_the_data(X, monkeypatch):
    given = []
    learn = denoiser.learn_filter
    monkeypatch.setattr(
        denoiser, "learn_filter", lambda pairs, *more: given.append(pairs) or learn(pairs, *more)
    )
    SAEDenoiser(8, epochs=1).fit(X.astype(np.float32))
    assert len(given) == 2
    for pairs in given:
        assert pairs.noise.sigma == pytest.approx(0.5 * X.std(), rel=1e-6)
        assert not pairs.noise.clip


def test_a_sample_exactly_at_the_threshold_is_normal(X):
    """As in scikit-learn, whose outliers have a decision function below 0."""
    detector = SAEOutlierDetector(n_latents=8, epochs=2, random_state=0).fit(X[:300])
    detector.offset_ = detector.score_samples(X[300:301])[0]
    assert detector.decision_function(X[300:301]) == 0
    assert detector.predict(X[300:301]) == 1
    detector.offset_ = np.nextafter(detector.offset_, np.inf)
    assert detector.predict(X[300:301]) == -1


@pytest.mark.parametrize("sparsity", ["auto", Gated(0.1), None], ids=str)
def test_what_a_constant_feature_adds_to_the_code_stays(sparsity, X, monkeypatch):
    """Of samples in which it has its value still, no score changes; its weights are gone."""
    X[:, 0] = 1.5
    options = {"n_latents": 8, "epochs": 3, "tied": False, "scale": None, "random_state": 0}
    options["sparsity"] = sparsity
    folded = SAEOutlierDetector(**options).fit(X[:300])
    assert not folded.params_["W_enc"][0].any()
    monkeypatch.setattr(SAEOutlierDetector, "_fold_constant_features", lambda self, x: None)
    plain = SAEOutlierDetector(**options).fit(X[:300])
    assert plain.params_["W_enc"][0].any()
    constant = np.ptp(X[:300], axis=0) == 0
    new = X[300:][(X[300:, constant] == X[0, constant]).all(axis=1)]
    assert len(new) > 1000
    np.testing.assert_allclose(folded.score_samples(new), plain.score_samples(new), rtol=1e-9)
