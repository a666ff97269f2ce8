"""TopK trained by products that skip the zeros, against the dense way."""

from contextlib import nullcontext
from importlib import import_module

import numpy as np
import pytest

from saebook import KL, AuxK, SAEConfig, TopK, TrainConfig, parity

TRAINING = TrainConfig(epochs=5, batch_size=32)
KINDS = {
    "plain": {},
    "linear": {"activation": "linear"},
    "tied": {"tied": True, "activation": "linear"},
    "unit norm, pre-bias": {"unit_norm": True, "pre_bias": True},
    "tied, pre-bias": {"tied": True, "pre_bias": True},
    "cross-entropy": {"output": "sigmoid", "reconstruction": "bce", "weight_decay": 1e-3},
}


def config_of(k=2, n_latents=40, **more):
    usual = {"activation": "relu", "output": "linear", "sparsity": TopK(k), "pre_bias": False}
    return SAEConfig(12, n_latents, **usual | more)


def takes_sparse_way(framework, config):
    return framework.SparseAutoencoder(config, device="cpu").engine(TRAINING).sparse


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("dtype", "allowed"), [("float64", 1e-12), ("float32", 1e-5)])
def test_skipping_zeros_changes_nothing(framework, monkeypatch, kind, dtype, allowed):
    config, x, found = config_of(**KINDS[kind]), parity.samples(), []
    assert takes_sparse_way(framework, config)
    for sparse in (True, False):
        monkeypatch.setattr("saebook.engine.has_sparse_code", lambda _, s=sparse: s)
        model = framework.SparseAutoencoder(config, seed=2, dtype=dtype, device="cpu")
        history = framework.fit(model, x.astype(dtype), TRAINING)
        found.append((model.to_numpy(), history))
    for name, expected in found[1][0].items():
        assert parity.relative_difference(found[0][0][name], expected) < allowed, name
    for name, expected in found[1][1].items():
        np.testing.assert_allclose(found[0][1][name], expected, rtol=10 * allowed, err_msg=name)


def test_the_sparse_way_is_taken(framework, monkeypatch):
    """Or the comparison above would be one of the dense way with itself."""

    def refuse(*_):
        raise RuntimeError("the dense way")

    monkeypatch.setattr(framework.SparseAutoencoder, "preactivation", refuse)
    x = parity.samples().astype(np.float32)
    framework.fit(framework.SparseAutoencoder(config_of(), device="cpu"), x, TRAINING)
    with pytest.raises(RuntimeError, match="the dense way"):
        framework.fit(framework.SparseAutoencoder(config_of(k=3), device="cpu"), x, TRAINING)


@pytest.mark.parametrize("width", [4, 40])
def test_the_first_of_equals_goes_first(framework, width):
    """In whole numbers, most of them equal, and in a row without ties."""
    rng = np.random.default_rng(0)
    a = rng.integers(0, 3, (50, width)).astype(np.float32)
    a[0] = rng.permutation(width)
    topk = import_module(f"{framework.__name__}.topk")
    if framework.__name__.endswith("pytorch"):
        import torch

        tensor = torch.tensor(a)
    else:
        tensor = a
    for k in (1, 3, width):
        expected = np.argsort(-a, axis=1, kind="stable")[:, :k]
        mask = np.zeros(a.shape, bool)
        np.put_along_axis(mask, expected, True, axis=1)
        np.testing.assert_array_equal(np.asarray(topk.largest(tensor, k)), mask)
        places = np.asarray(topk.largest_places(tensor, k))
        np.testing.assert_array_equal(np.sort(places, axis=1), np.sort(expected, axis=1))
        if framework.__name__.endswith("pytorch"):  # whose sparse rows want rising columns
            assert (np.diff(places, axis=1) > 0).all()


@pytest.mark.parametrize(
    "config",
    [
        config_of(k=3),  # 40 latents are fewer than 16 for each of 3
        config_of(sparsity=TopK(2, aux=AuxK(dead_after=100, k=4))),
        config_of(groups=(20, 20)),
        config_of(activation="sigmoid", output="sigmoid", sparsity=KL(rho=0.1, beta=0.1)),
    ],
    ids=["many kept", "AuxK", "Matryoshka", "no TopK"],
)
def test_what_needs_all_latents_stays_dense(framework, config):
    assert not takes_sparse_way(framework, config)


@pytest.mark.parametrize(
    "more", [{}, {"groups": (20, 20)}, {"sparsity": TopK(2, aux=AuxK(dead_after=100, k=4))}]
)
def test_codes_skip_zeros_too(framework, monkeypatch, more):
    config = config_of(activation="linear", **more)
    model = framework.SparseAutoencoder(config, device="cpu")
    x = np.random.default_rng(0).integers(-2, 3, (50, 12)).astype(np.float32)
    dense = model.array(model.encode(model.tensor(x)))
    assert (np.count_nonzero(dense, axis=1) <= 2).all()
    monkeypatch.setattr(framework.SparseAutoencoder, "preactivation", None)  # the dense way's
    np.testing.assert_allclose(framework.encode(model, x, batch_size=20), dense, atol=1e-6)


@pytest.mark.parametrize("tied", [False, True])
def test_pytorch_trains_in_rows_and_gives_the_memory_back(tied, monkeypatch):
    """Rows of latents, or each step copies gradients; then where they were, also after an error."""
    import torch

    from saebook.pytorch import SparseAutoencoder, fit

    seen = []

    def step(optimizer, closure=None, step=torch.optim.Adam.step):
        for parameter in optimizer.param_groups[0]["params"]:
            seen.append(
                (parameter.shape, parameter.is_contiguous(), parameter.grad.is_contiguous())
            )
        return step(optimizer, closure)

    monkeypatch.setattr(torch.optim.Adam, "step", step)
    model = SparseAutoencoder(config_of(tied=tied), device="cpu")
    held = model.W_enc.data
    for after_epoch in (None, lambda *_: 1 / 0):
        before = held.clone()
        with nullcontext() if after_epoch is None else pytest.raises(ZeroDivisionError):
            fit(model, parity.samples(), TRAINING, after_epoch=after_epoch)
        assert model.W_enc.data_ptr() == held.data_ptr()
        assert model.W_enc.stride() == held.stride() == (40, 1)
        assert not torch.equal(held, before)
    assert ((40, 12), True, True) in seen
    assert all(rows and gradient_in_rows for _, rows, gradient_in_rows in seen)
