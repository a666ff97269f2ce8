"""The same training on a GPU. Skipped, with the reason, where a framework finds none."""

from dataclasses import replace

import numpy as np
import pytest

from saebook import KL, L1, SAEConfig, TopK, TrainConfig, parity

pytestmark = pytest.mark.gpu
CONFIGS = [
    SAEConfig(12, 8, sparsity=KL(rho=0.1, beta=0.1)),
    SAEConfig(12, 8, "relu", "linear", sparsity=L1(0.01), tied=True, unit_norm=True),
    SAEConfig(12, 8, "linear", "linear", sparsity=TopK(3), tied=True),
]
TRAINING = TrainConfig(epochs=20, batch_size=32)


@pytest.fixture
def on_gpu(framework):
    """Makes a model on the device that "auto" takes, which has to be a GPU."""
    model = framework.SparseAutoencoder(CONFIGS[0])
    if "cpu" in str(model.device).lower():
        pytest.skip(f"{framework.__name__} finds no GPU on this machine")
    return framework.SparseAutoencoder


@pytest.mark.parametrize("config", CONFIGS)
def test_a_gpu_trains_what_the_cpu_trains(framework, on_gpu, config):
    x = parity.samples().astype(np.float32)
    there = on_gpu(config).from_numpy(parity.start(config))
    here = framework.SparseAutoencoder(config, device="cpu").from_numpy(parity.start(config))
    training = TRAINING.settled(replace(config, n_features=784))  # of twelve it is larger
    histories = [framework.fit(model, x, training, x_val=x) for model in (there, here)]
    for name, expected in here.to_numpy().items():
        assert parity.relative_difference(there.to_numpy()[name], expected) < 1e-4, name
    np.testing.assert_allclose(histories[0]["val_loss"], histories[1]["val_loss"], rtol=1e-4)
    assert framework.encode(there, x).shape == (100, 8)


def test_mixed_precision_on_a_gpu(framework, on_gpu):
    x = parity.samples().astype(np.float32)
    model = on_gpu(CONFIGS[0])
    mixed = replace(TRAINING, mixed_precision=True)
    plain = framework.fit(on_gpu(CONFIGS[0]), x, TRAINING)["loss"]
    np.testing.assert_allclose(framework.fit(model, x, mixed)["loss"], plain, rtol=2e-2)
