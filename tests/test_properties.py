"""Properties that hold for all shapes, by hypothesis."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from saebook import KL, L1, SAEConfig, TopK, TrainConfig, metrics, reference
from saebook.start import init_params

SETTINGS = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
sizes = st.integers(1, 6)
kinds = st.sampled_from([None, KL(0.2, 0.5), L1(0.1), TopK(1)])
activations = {KL: ["sigmoid"], TopK: ["relu", "linear"]}


@st.composite
def models(draw):
    kind = draw(kinds)
    output, error = draw(
        st.sampled_from(
            [("sigmoid", "bce"), ("sigmoid", "squared_error"), ("linear", "squared_error")]
        )
    )
    activation = draw(st.sampled_from(activations.get(type(kind), ["sigmoid", "relu", "linear"])))
    return SAEConfig(
        draw(sizes),
        draw(sizes),
        activation,
        output,
        error,
        kind,
        draw(st.booleans()),
        draw(st.booleans()),
        draw(st.sampled_from([0.0, 0.1])),
    )


def drawn():
    """The examples of one run of a test."""
    examples = []

    @given(st.integers(0, 2**64))
    def run(example):
        examples.append(example)

    run()
    return examples


def test_the_examples_are_the_same_at_every_run_except_at_night():
    nightly = os.environ.get("SAEBOOK_HYPOTHESIS") == "nightly"
    assert SETTINGS.derandomize == (not nightly)
    assert (drawn() == drawn()) == (not nightly)
    workflow = (Path(__file__).parents[1] / ".github" / "workflows" / "nightly.yml").read_text(
        "utf8"
    )
    assert "SAEBOOK_HYPOTHESIS: nightly" in workflow


@SETTINGS
@given(
    config=models(),
    n_samples=st.integers(1, 9),
    batch_size=st.integers(1, 12),
    dtype=st.sampled_from(["float32", "float64"]),
    given_dtype=st.sampled_from([np.float16, np.float32, np.float64]),
    seed=st.integers(0, 2**32),
    constant=st.booleans(),
)
def test_any_shape_trains(
    framework, config, n_samples, batch_size, dtype, given_dtype, seed, constant
):
    """Single samples and features, fewer samples than a batch, constant features, any float."""
    x = np.random.default_rng(seed).random((n_samples, config.n_features)).astype(given_dtype)
    if constant:
        x[:, 0] = 0.5
    before = x.copy()
    model = framework.SparseAutoencoder(config, seed, dtype, device="cpu")
    history = framework.fit(model, x, TrainConfig(epochs=2, batch_size=batch_size))
    z, x_hat = framework.encode(model, x), framework.reconstruct(model, x)
    assert z.shape == (n_samples, config.n_latents)
    assert x_hat.shape == x.shape
    assert z.dtype == x_hat.dtype == dtype
    assert np.isfinite(z).all()
    assert np.isfinite(x_hat).all()
    assert all(np.isfinite(values).all() for values in history.values())
    assert 0 <= history["dead"][-1] <= config.n_latents
    np.testing.assert_array_equal(x, before)
    for name, shape in reference.parameter_shapes(config).items():
        assert model.to_numpy()[name].shape == shape


@SETTINGS
@given(
    z=arrays(
        np.float64, st.tuples(st.integers(2, 8), st.integers(2, 8)), elements=st.floats(0, 1e3)
    ),
    axis=st.sampled_from([0, 1]),
)
def test_sparseness_lies_between_0_and_1(z, axis):
    for measure in (metrics.hoyer, metrics.treves_rolls):
        values = measure(z, axis)
        values = values[~np.isnan(values)]
        assert np.all(values > -1e-6)
        assert np.all(values < 1 + 1e-6)


@SETTINGS
@given(
    z=arrays(np.float64, st.tuples(sizes, sizes), elements=st.floats(0, 1)),
    rho=st.floats(0.01, 0.99),
)
def test_kl_is_never_negative(z, rho):
    assert reference.penalty(KL(rho, 1.0), z) >= -1e-12


@SETTINGS
@given(config=models(), seed=st.integers(0, 2**32))
def test_samples_in_another_order_have_the_same_loss(config, seed):
    rng = np.random.default_rng(seed)
    params, x = init_params(config, seed), rng.random((7, config.n_features))
    first = reference.loss_terms(config, params, x)
    again = reference.loss_terms(config, params, rng.permutation(x))
    assert again == pytest.approx(first, rel=1e-12, abs=1e-12)
