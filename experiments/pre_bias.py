"""How far from 0 samples may lie, without a pre-bias and with one.

Digits with a constant added to every pixel, so that nothing but the distance changes, and patches
of photographs, as far away as the camera left them. The shortest call, but for the pre-bias, and
Adam's usual beta_2. Of the patches most is brightness, so that, as a control, a start that gives it
no latents of its own is tried, too.
"""

from contextlib import nullcontext
from unittest.mock import patch

import numpy as np
from skimage import data as photographs
from skimage.color import rgb2gray
from skimage.util import view_as_windows

from saebook import L1, BatchTopK, Gated, JumpReLU, SAEConfig, TopK, TrainConfig, mnist, start
from saebook.pytorch import SparseAutoencoder, evaluate, fit

L0, N_LATENTS = 16, 256
N_SAMPLES, EPOCHS, SEEDS = 10_000, 10, (0, 1, 2)
OFFSETS = (0.0, 0.2, 0.4, 0.8)
KINDS = {
    "TopK": TopK(L0),
    "BatchTopK": BatchTopK(L0),
    "L1": L1(l0=L0),
    "Gated": Gated(l0=L0),
    "JumpReLU": JumpReLU(l0=L0),
}


def patches(n_samples, size=12, seed=0):
    """Square pieces of five grey photographs in [0, 1], ``(n_samples, size**2)``."""
    rng = np.random.default_rng(seed)
    grey = [
        rgb2gray(image) if image.ndim == 3 else image / 255
        for image in (
            photographs.astronaut(),
            photographs.camera(),
            photographs.chelsea(),
            photographs.coffee(),
            photographs.rocket(),
        )
    ]
    parts = []
    for image, n in zip(
        grey, np.diff(np.linspace(0, n_samples, len(grey) + 1, dtype=int)), strict=True
    ):
        windows = view_as_windows(image, (size, size))
        rows, columns = (rng.integers(0, length, n) for length in windows.shape[:2])
        parts.append(windows[rows, columns].reshape(n, -1))
    return rng.permutation(np.concatenate(parts)).astype("float32")


def sets(n_samples=N_SAMPLES):
    """Training and validation samples by name."""
    digits, cut = mnist(), patches(n_samples + 2000)
    found = {
        f"digits + {offset:g}": [
            x + np.float32(offset) for x in (digits.x_train[:n_samples], digits.x_val[:2000])
        ]
        for offset in OFFSETS
    }
    return found | {"patches": [cut[:n_samples], cut[n_samples:]]}


def away(x):
    """Square of the mean over variance, as `saebook.doubts` has it."""
    return float(np.sum(x.mean(axis=0) ** 2) / np.sum(x.var(axis=0)))


def largest_share(x):
    """Of the variance, what lies along one direction."""
    values = np.linalg.eigvalsh(np.cov(x.T))
    return float(values[-1] / values.sum())


def train(kind, pre_bias, x, x_val, seed, epochs=EPOCHS, alike=False):
    """Validation FVU and L0, and how many latents are dead there.

    If `alike`, all latents begin as samples, whatever these have in common.
    """
    config = SAEConfig(x.shape[1], N_LATENTS, sparsity=KINDS[kind], pre_bias=pre_bias)
    model = SparseAutoencoder(config, seed, device="cpu")
    none = patch.object(start, "_large", lambda x, most: x[:0])
    with none if alike else nullcontext():
        fit(model, x, TrainConfig(epochs, beta_2=0.999, seed=seed), progress=False)
    return figures(model, x_val)


def figures(model, x_val):
    """Validation FVU and L0 of a model, and how many latents are dead there."""
    found = evaluate(model, x_val)
    return {
        "fvu": round(found["fvu"], 4),
        "l0": round(found["l0"], 1),
        "dead": int(found["dead"]),
    }


def run():
    table = {}
    for name, (x, x_val) in sets().items():
        row = table[name] = {"away": round(away(x), 2)}
        for kind in KINDS:
            for pre_bias in (False, True):
                key = f"{kind}, {'with' if pre_bias else 'without'}"
                row[key] = [train(kind, pre_bias, x, x_val, seed) for seed in SEEDS]
                print(f"  {name}, {key}: {row[key]}", flush=True)
    x, x_val = sets()["patches"]
    alike = {k: [train(k, True, x, x_val, seed, alike=True) for seed in SEEDS] for k in KINDS}
    return {
        "settings": {"l0": L0, "n_latents": N_LATENTS, "n_samples": N_SAMPLES, "epochs": EPOCHS},
        "table": table,
        "patches": {"largest_share": round(largest_share(x), 3), "alike": alike},
    }
