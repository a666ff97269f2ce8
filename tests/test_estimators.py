"""The scikit-learn faces, first of all by scikit-learn's own checks."""

import copy
import doctest
import pickle
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from saebook import KL, L1, AuxK, BatchTopK, Gated, JumpReLU, TopK
from saebook.corruption import GaussianNoise
from saebook.estimators import SAEDenoiser, SAEOutlierDetector, SAETransformer

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
    train, new = rng.normal(size=(2, 300, 40))
    options = {"n_latents": 200, "epochs": 200, "batch_size": 32, "random_state": 0}
    alarms = [
        np.mean(SAEOutlierDetector(validation_fraction=part, **options).fit(train).predict(new) < 0)
        for part in (None, 0.3)
    ]
    assert alarms[0] > 0.3
    assert alarms[1] == pytest.approx(0.1, abs=0.08)


@pytest.mark.parametrize("tied", [True, False])
def test_a_pixel_that_was_constant_does_not_blow_a_score_up(tied):
    """As at the border of MNIST: no spread of zero divides, no weight is left as it was drawn."""
    X = np.random.default_rng(0).random((300, 30))
    X[:, :5] = 0.0
    detector = SAEOutlierDetector(n_latents=16, tied=tied, epochs=20, random_state=0).fit(X)
    inked = X.copy()
    inked[:, 0] = 1.0
    risen = detector.score_samples(X) - detector.score_samples(inked)
    assert risen.mean() == pytest.approx(1, abs=0.1)  # a pixel that is wrong by 1 costs 1
    assert np.all(np.abs(risen) < 3)


def test_denoising_on_pairs_and_on_noise_of_its_own(X):
    rng = np.random.default_rng(0)
    noisy = X + 0.3 * rng.normal(size=X.shape)
    options = {"n_latents": 64, "epochs": 30, "batch_size": 64, "random_state": 0}
    before = np.mean((noisy - X) ** 2)
    for denoiser, y in (
        (SAEDenoiser(corruption=None, **options), X),
        (SAEDenoiser(corruption=GaussianNoise(0.3, clip=False), **options), None),
    ):
        clean = denoiser.fit(noisy if y is not None else X, y).transform(noisy)
        assert np.mean((clean - X) ** 2) < 0.5 * before


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
        ({"learning_rate": -1}, "learning_rate must be a finite number above 0, got -1"),
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
            "validation_fraction must be None or between 0 and 1, got 1",
        ),
        (
            lambda X: SAEOutlierDetector(validation_fraction=0.5).fit(X[:1]),
            "validation_fraction must leave samples to train on, got 0.5 of 1 sample",
        ),
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
    monkeypatch.setattr(SAEDenoiser, "_fit", lambda self, X, corruption: given.append(corruption))
    SAEDenoiser().fit(X.astype(np.float32))
    assert given[0].sigma == pytest.approx(0.5 * X.std(), rel=1e-6)
    assert not given[0].clip
