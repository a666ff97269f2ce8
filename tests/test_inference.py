"""Codes without a framework, held to the specification that says what they are."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saebook import KL, L1, AuxK, BatchTopK, Gated, JumpReLU, SAEConfig, TopK, inference, reference
from saebook.start import init_params


@settings(max_examples=200)
@given(st.data())
@pytest.mark.hypothesis
def test_the_largest_are_those_of_the_specification(data):
    """Few different values, so that many are equal, and some that are not numbers."""
    n_rows, width = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 200))
    k = data.draw(st.integers(1, width))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    values = np.array([0.0, -0.0, 1.0, 2.0, -1.0, np.inf, -np.inf, np.nan, *rng.normal(size=99)])
    n_values = data.draw(st.integers(1, len(values)))
    a = rng.choice(rng.permutation(values)[:n_values], size=(n_rows, width))
    a = a.astype(data.draw(st.sampled_from([np.float32, np.float64])))
    expected = np.flatnonzero(reference.largest(a, k))
    np.testing.assert_array_equal(inference.largest(a, k), expected)


@pytest.mark.parametrize("k", [1, 7, 60, 512, 1024])
@pytest.mark.parametrize("rounded", [0, 1, 8])
def test_the_largest_of_wide_rows(k, rounded):
    """Rounded to whole numbers nearly all of them are equal to others."""
    a = np.random.default_rng(0).normal(size=(9, 1024)).round(rounded)
    expected = np.flatnonzero(reference.largest(a, k))
    np.testing.assert_array_equal(inference.largest(a, k), expected)


@pytest.mark.parametrize(
    ("activation", "sparsity"),
    [
        ("relu", TopK(3)),
        ("linear", TopK(3)),
        ("relu", TopK(3, AuxK(2))),
        ("relu", TopK(40)),
        ("relu", BatchTopK(3)),
        ("relu", JumpReLU(0.1)),
        ("relu", Gated(0.1)),
        ("relu", L1(0.1)),
        ("sigmoid", KL()),
        ("sigmoid", None),
    ],
    ids=str,
)
@pytest.mark.parametrize("pre_bias", [False, True])
def test_codes_are_those_of_the_specification(activation, sparsity, pre_bias, monkeypatch):
    monkeypatch.setattr(inference, "BLOCK", 7 * 100)  # blocks of 7 samples
    config = SAEConfig(
        20, 100, activation, "linear", sparsity=sparsity, pre_bias=pre_bias, tied=False
    )
    rng = np.random.default_rng(0)
    params = init_params(config)
    params["b_enc"], params["b_dec"] = rng.normal(size=100), rng.normal(size=20)
    if isinstance(sparsity, BatchTopK):
        params["threshold"] = np.asarray(0.5)
    x = rng.normal(size=(31, 20))
    z = inference.encode(config, params, x)
    np.testing.assert_allclose(z, reference.encode(config, params, x), rtol=1e-12, atol=1e-14)
    seen = np.zeros(31, dtype=int)
    for rows, block, codes, x_hat in inference.rebuilt(config, params, x, lambda x: x):
        seen[rows] += 1
        np.testing.assert_array_equal(block, x[rows])
        np.testing.assert_allclose(codes, z[rows], rtol=1e-12, atol=1e-14)
        expected = reference.decode(config, params, z[rows])
        np.testing.assert_allclose(x_hat, expected, rtol=1e-12)
    assert (seen == 1).all()


def test_memory_is_little_more_than_that_of_the_codes():
    """What all samples at once need is several times that of their codes."""
    config = SAEConfig(16, 1024, "relu", "linear", sparsity=TopK(32), tied=True)
    x = np.random.default_rng(0).normal(size=(20_000, 16)).astype(np.float32)
    params = {name: value.astype(np.float32) for name, value in init_params(config).items()}
    tracemalloc.start()
    z = inference.encode(config, params, x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert z.nbytes == 20_000 * 1024 * 4
    assert peak < 1.5 * z.nbytes
