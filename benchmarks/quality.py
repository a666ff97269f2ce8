"""Time to a given quality: the start, the settings and the steps together.

Every contestant trains with its own start, losses and norms, on the same grid of learning rates,
each falling towards 0 over the second half, with the same batches of all training images. Of each
the shortest training is sought that ends at the goal; then these have a turn each in some rounds,
model, first step and compilation included, and the medians are compared.
"""

import time
from dataclasses import replace

import numpy as np

from benchmarks import contestants
from benchmarks.works import QUALITY, digits
from saebook import KL, L1, BatchTopK, Gated, JumpReLU, SAEConfig, TopK, TrainConfig, metrics

GOAL = 0.15  # FVU on 2,000 validation images
RATES = (1e-3, 2e-3, 4e-3, 8e-3)
UPDATES = (60, 80, 100, 120, 140, 160, 180, 210, 240, 270, 300)


def rows(n):
    """`n` training images, in an order in which none comes again before all were there."""
    x, rng = digits()[0], np.random.default_rng(0)
    epochs = [rng.permutation(len(x)) for _ in range(-(-n // len(x)))]
    return x[np.concatenate(epochs)[:n]]


def train(contestant, rate, n_updates):
    """Seconds of a training, and the validation FVU and dead latents that it ends with."""
    work = replace(QUALITY, n_samples=n_updates * QUALITY.batch_size, learning_rate=rate)
    x, x_val, ends = rows(work.n_samples), digits()[1], []

    def stamp(rebuild):
        ends.append(time.perf_counter())
        ends.append(metrics.fvu(x_val, np.asarray(rebuild(x_val))))

    start = time.perf_counter()
    contestant(work, x, 1, stamp)
    return ends[0] - start, float(ends[1])


def shortest(contestant, rate):
    """The fewest updates of `UPDATES` that reach the goal at a learning rate; None if none do."""
    low, high = 0, len(UPDATES)
    while low < high:
        middle = (low + high) // 2
        _, error = train(contestant, rate, UPDATES[middle])
        low, high = (low, middle) if error <= GOAL else (middle + 1, high)
    return UPDATES[low] if low < len(UPDATES) else None


def of(others, repeats=3):
    """Table of contestants: updates, learning rate, median seconds to the goal, final FVU."""
    everybody = {"saebook, PyTorch": contestants.saebook_pytorch, **others}
    best = {}
    for name, contestant in everybody.items():
        found = {rate: shortest(contestant, rate) for rate in RATES}
        print(f"  {name}: {found}", flush=True)
        reached = {rate: n for rate, n in found.items() if n}
        if reached:
            rate = min(reached, key=reached.get)
            best[name] = rate, reached[rate]
    turns = {name: [] for name in best}
    for _ in range(repeats):
        for name, (rate, n_updates) in best.items():
            turns[name].append(train(everybody[name], rate, n_updates))
    table = {}
    for name in everybody:
        if name not in best:
            table[name] = {"updates": None, "tried": UPDATES[-1]}
            continue
        seconds, errors = np.median(turns[name], axis=0)
        table[name] = {
            "learning_rate": best[name][0],
            "updates": best[name][1],
            "seconds": round(float(seconds), 2),
            "fvu": round(float(errors), 4),
        }
        print(f"  {name:<34} {table[name]}", flush=True)
    return {"goal": GOAL, "batch_size": QUALITY.batch_size, "contestants": table}


L0 = 16
KINDS = {
    "KL": KL(0.05, 0.1),
    "L1": L1(l0=L0),
    "TopK": TopK(L0),
    "BatchTopK": BatchTopK(L0),
    "JumpReLU": JumpReLU(l0=L0),
    "Gated": Gated(l0=L0),
    "none": None,
}


def recipes(widths=(256,), n_epochs=10):
    """Ten epochs as they were before there were recipes, and the epochs that reach the same error.

    Before: random weights, a learning rate of 1e-3. Where a kind has a wanted L0, the epoch must
    also be within a tenth of it.
    """
    from saebook.pytorch import SparseAutoencoder, fit

    x, x_val = digits()
    table = {}
    for width in widths:
        for name, kind in KINDS.items():
            config = SAEConfig(784, width, sparsity=kind)
            start = time.perf_counter()
            before = TrainConfig(n_epochs, learning_rate=1e-3, init="given")
            model = SparseAutoencoder(config, device="cpu")
            old = fit(model, x, before, x_val, progress=False)
            middle = time.perf_counter()

            def reached(_, row, goal=old["val_fvu"][-1], kind=kind):
                near = abs(row["val_l0"] - L0) <= L0 / 10 or not getattr(kind, "l0", None)
                return row["val_fvu"] <= goal and near

            model = SparseAutoencoder(config, device="cpu")
            new = fit(model, x, TrainConfig(n_epochs), x_val, progress=False, after_epoch=reached)
            ended = time.perf_counter()
            table[f"{name}, {width}"] = {
                "before": {key: round(old[f"val_{key}"][-1], 4) for key in ("fvu", "l0", "dead")},
                "now": {key: round(new[f"val_{key}"][-1], 4) for key in ("fvu", "l0", "dead")},
                "epochs": len(new["loss"]),
                "reached": bool(reached(0, {k: v[-1] for k, v in new.items()})),
                "in_time_of_before": round((ended - middle) / (middle - start), 2),
            }
            print(f"  {name}, {width}: {table[f'{name}, {width}']}", flush=True)
    return {"n_epochs": n_epochs, "l0": L0, "table": table}
