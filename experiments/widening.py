"""A wide dictionary that was narrow first, beside one that was wide from the start.

Equal numbers of updates, by the shortest call: a quarter of the latents for the first part of the
epochs and all of them for the rest; or all from the start. As a control the second is interrupted
where the first is widened, so that its optimiser, too, begins anew. The constants of
`saebook.widening` were chosen on digits and clothes; the patches of photographs had no say in them.
"""

import warnings
from dataclasses import replace

import numpy as np

from experiments import shortest
from experiments.pre_bias import KINDS, figures
from saebook import SAEConfig, TrainConfig
from saebook.pytorch import SparseAutoencoder, fit
from saebook.widening import widened

N_LATENTS, NARROW = 1024, 256
EPOCHS, FIRST = 6, 2
SEEDS = (0, 1)
WAYS = ("wide", "interrupted", "narrow first")


def sets():
    """Training and validation samples by name."""
    return {name: pair for name, pair in shortest.sets().items() if name != "language"}


def train(kind, x, x_val, way, seed):
    """Validation FVU and L0, and how many latents are dead there."""
    config = SAEConfig(x.shape[1], N_LATENTS, sparsity=KINDS[kind])
    first = replace(config, n_latents=NARROW) if way == "narrow first" else config
    model = SparseAutoencoder(first, seed, device="cpu")
    with warnings.catch_warnings():  # of an L0 that was missed, which is looked at
        warnings.simplefilter("ignore", UserWarning)
        if way == "wide":
            fit(model, x, TrainConfig(EPOCHS, seed=2 * seed), progress=False)
        else:
            fit(model, x, TrainConfig(FIRST, seed=2 * seed), progress=False)
            if way == "narrow first":
                model = widened(model, N_LATENTS, x, seed)
            fit(model, x, TrainConfig(EPOCHS - FIRST, seed=2 * seed + 1), progress=False)
    return figures(model, x_val)


def run():
    table = {}
    for name, (x, x_val) in sets().items():
        for kind in KINDS:
            row = table[f"{kind}, {name}"] = {
                way: [train(kind, x, x_val, way, seed) for seed in SEEDS] for way in WAYS
            }
            means = {way: float(np.mean([r["fvu"] for r in row[way]])) for way in WAYS}
            print(f"  {kind}, {name}: {means}", flush=True)
    settings = {"n_latents": N_LATENTS, "narrow": NARROW, "epochs": EPOCHS, "first": FIRST}
    return {"settings": settings | {"n_samples": shortest.N_SAMPLES}, "table": table}
