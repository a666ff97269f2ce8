"""Time to a given quality: the start, the settings and the steps together.

Every contestant trains with its own start, losses and norms, on the same grid of batch sizes and
learning rates, which fall towards 0 over the second half, on the same training images. Of each the
shortest training is sought that ends at the goal; then these have a turn each in some rounds,
model, first step and compilation included, and the medians are compared.
"""

import time
from dataclasses import replace
from itertools import product

import numpy as np

from benchmarks import contestants
from benchmarks.works import QUALITY, digits
from saebook import KL, L1, BatchTopK, Gated, JumpReLU, SAEConfig, TopK, TrainConfig, metrics

GOAL = 0.15  # FVU on 2,000 validation images
BATCH_SIZES = (512, 256)  # 128 was slower for everybody
RATES = (4e-3, 8e-3, 2e-3, 1.6e-2)  # the middle first, as it bounds the search of the others
SAMPLES = tuple(round(15_360 * 1.08**i) for i in range(31))  # up to 154,553


def rows(n):
    """`n` training images, in an order in which none comes again before all were there."""
    x, rng = digits()[0], np.random.default_rng(0)
    epochs = [rng.permutation(len(x)) for _ in range(-(-n // len(x)))]
    return x[np.concatenate(epochs)[:n]]


def train(contestant, batch_size, rate, n_samples):
    """Seconds of a training, the validation FVU that it ends with, and how many latents are dead.

    Dead is what is active for none of the validation images.
    """
    whole = n_samples // batch_size * batch_size
    work = replace(QUALITY, batch_size=batch_size, n_samples=whole, learning_rate=rate)
    x, x_val, ends = rows(whole), digits()[1], []

    def stamp(rebuild, active):  # after an epoch, of which there is one
        ends.append(time.perf_counter())
        ends.append(metrics.fvu(x_val, np.asarray(rebuild(x_val))))
        ends.append(np.sum(~np.any(active(x_val), axis=0)))

    start = time.perf_counter()
    contestant(work, x, 1, stamp)
    return ends[0] - start, float(ends[1]), int(ends[2])


def shortest(contestant, batch_size, rate, limit=np.inf):
    """Seconds, samples and dead latents of the shortest training that reaches the goal.

    None if none of `SAMPLES` does, or one that does not takes longer than `limit`.
    """
    low, high, found = 0, len(SAMPLES), None
    while low < high:
        middle = (low + high) // 2
        seconds, error, dead = train(contestant, batch_size, rate, SAMPLES[middle])
        if error <= GOAL:
            high, found = middle, (seconds, SAMPLES[middle], dead)
        elif seconds > limit:
            return None
        else:
            low = middle + 1
    return found


def best_of(contestant, limit=np.inf):
    """The quickest training, or None, and all that were found on the way to it.

    Each as seconds, samples, dead latents, batch size and learning rate. What is not there yet
    after `limit` seconds is given up.
    """
    best, tried = None, []
    train(contestant, BATCH_SIZES[0], RATES[0], 10 * BATCH_SIZES[0])  # loads its package
    for batch_size, rate in product(BATCH_SIZES, RATES):
        found = shortest(contestant, batch_size, rate, min(best[0], limit) if best else limit)
        print(f"  batches of {batch_size}, rate {rate}: {found or 'not sooner'}", flush=True)
        if found:
            tried.append((round(found[0], 2), *found[1:], batch_size, rate))
            best = min(filter(None, (best, (*found, batch_size, rate))))
    return best, tried


PATIENCE = 1.5  # times as long as the soonest of the others so far, and a search ends


def of(others, repeats=3):
    """Table of contestants: batch, rate, updates, median seconds to the goal, final FVU, dead.

    Of the `others` the one that is likely the soonest comes first.
    """
    everybody = {
        "saebook, PyTorch": contestants.saebook_pytorch,
        "saebook, PyTorch, narrow first": contestants.narrow_first_pytorch,
        **others,
    }
    best, searches, limits = {}, {}, {}
    for name, contestant in everybody.items():
        print(f"  {name}", flush=True)
        soonest = min((best[other][0] for other in others if other in best), default=np.inf)
        limits[name] = PATIENCE * soonest if name in others else np.inf
        found, searches[name] = best_of(contestant, limits[name])
        if found:
            best[name] = found
    turns = {name: [] for name in best}
    for _ in range(repeats):
        for name, (_, n_samples, _, batch_size, rate) in best.items():
            turns[name].append(train(everybody[name], batch_size, rate, n_samples))
    table = {}
    for name in everybody:
        if name not in best:
            table[name] = {"updates": None, "longer_than": round(float(limits[name]), 2)}
            continue
        seconds, error, dead = np.median(turns[name], axis=0)
        _, n_samples, _, batch_size, rate = best[name]
        table[name] = {
            "batch_size": batch_size,
            "learning_rate": rate,
            "updates": n_samples // batch_size,
            "seconds": round(float(seconds), 2),
            "fvu": round(float(error), 4),
            "dead": int(dead),
            "search": searches[name],
        }
        print(f"  {name:<34} {table[name]}", flush=True)
    return {"goal": GOAL, "contestants": table}


def dead(others, batch_size=256):
    """The shortest training to the goal at every rate: its samples, error and dead latents."""
    everybody = {"saebook, PyTorch": contestants.saebook_pytorch, **others}
    table = {name: {} for name in everybody}
    for name, contestant in everybody.items():
        for rate in sorted(RATES):
            found = shortest(contestant, batch_size, rate)
            if found:
                _, error, n_dead = train(contestant, batch_size, rate, found[1])
                row = {"samples": found[1], "fvu": round(error, 4), "dead": n_dead}
                table[name][str(rate)] = row
            print(f"  {name}, rate {rate}: {table[name].get(str(rate))}", flush=True)
    return {"batch_size": batch_size, "table": table}


# What a step cannot do without: the products, some of which skip zeros, the choice of k, and Adam.
NEEDED = (
    "addmm", "addmv_", "_embedding_bag", "sparse_sampled_addmm", "_to_sparse_csr", "sort", "topk",
    "_fused_adam_",
)  # fmt: skip


def needed(batch_size, n_updates=80):
    """Milliseconds of a step of ours in PyTorch's own operations, and of the whole step.

    From one profile, so that memory is as cold as it is in training.
    """
    from torch.profiler import ProfilerActivity, profile

    work = replace(QUALITY, batch_size=batch_size, learning_rate=RATES[0])
    x, ends = rows(n_updates * batch_size), []
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        contestants.saebook_pytorch(work, x, 2, lambda *_: ends.append(time.perf_counter()))
    whole = (ends[1] - ends[0]) / n_updates
    spent = {row.key.removeprefix("aten::"): row for row in profiler.key_averages()}
    parts = {
        name: round(spent[name].self_cpu_time_total / 1e3 / (2 * n_updates), 3) for name in NEEDED
    }
    return {"batch_size": batch_size, "parts": parts, "step": round(1e3 * whole, 2)}


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


def recipes(widths=(256, 1024), n_epochs=10):
    """Ten epochs as they were before there were recipes, and the epochs that reach the same error.

    Before: random weights, a learning rate of 1e-3, no pre-bias. Where a kind has a wanted L0, the
    epoch must also be within a tenth of it.
    """
    from saebook.pytorch import SparseAutoencoder, fit

    x, x_val = digits()
    table = {}
    for width in widths:
        for name, kind in KINDS.items():
            config = SAEConfig(784, width, sparsity=kind)
            start = time.perf_counter()
            before = TrainConfig(n_epochs, learning_rate=1e-3, init="given")
            model = SparseAutoencoder(replace(config, pre_bias=False), device="cpu")
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
