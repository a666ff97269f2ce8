"""Models trained until their validation error is flat, each once: the runs behind the chapters.

A run writes its numbers and its weights to ``_build/runs/`` as soon as it is done. What is there is
not trained again, so that a long list of runs can be cut off and taken up; delete the folder to
begin afresh.

The rule is the same for every kind of sparsity. Training on all images has three stages, each with
a fourth of the learning rate of the one before. A stage ends once both the best validation error
(FVU) and the best validation loss have fallen by less than 1 % in 5 epochs, or after 40 epochs.
"""

import json
import time
from functools import cache
from pathlib import Path

import numpy as np

from saebook import (
    L1,
    BatchTopK,
    Gated,
    JumpReLU,
    SAEConfig,
    TopK,
    TrainConfig,
    metrics,
    mnist,
    weights,
)
from saebook.start import init_tied

FOLDER = Path(__file__).resolve().parent.parent / "_build" / "runs"
RATES = (4e-3, 1e-3, 2.5e-4)
LEAST, PATIENCE, CAP = 0.01, 5, 40  # share of the error, epochs, epochs of a stage
BATCH_SIZE = 256
N_LATENTS = 256
KINDS = {
    "L1": L1,
    "TopK": TopK,
    "BatchTopK": BatchTopK,
    "JumpReLU": lambda weight: JumpReLU(weight, bandwidth=0.3, threshold=0.3),
    "Gated": Gated,
    "Matryoshka": TopK,
}


@cache
def digits():
    return mnist()


def groups_of(n_latents):
    """Those of a Matryoshka dictionary: a sixteenth of the latents, a quarter, and all."""
    return n_latents // 16, n_latents // 4 - n_latents // 16, n_latents - n_latents // 4


def config_of(kind, setting, n_latents=N_LATENTS):
    """The model of a kind of sparsity with its one setting that is varied."""
    groups = groups_of(n_latents) if kind == "Matryoshka" else None
    sparsity = KINDS[kind](setting)
    return SAEConfig(
        784, n_latents, "relu", "linear", sparsity=sparsity, unit_norm=True, pre_bias=True,
        groups=groups,
    )  # fmt: skip


def framework_of(name):
    """`SparseAutoencoder`, `fit` and `encode` of a framework."""
    if name == "torch":
        from saebook.pytorch import SparseAutoencoder, encode, fit
    else:
        from saebook.tensorflow import SparseAutoencoder, encode, fit
    return SparseAutoencoder, fit, encode


def is_flat(rows):
    """Whether the best FVU and the best loss fell by less than `LEAST` in `PATIENCE` epochs.

    `rows` are the epochs of one stage, of one learning rate.
    """
    if len(rows) <= PATIENCE:
        return False
    for name in ("val_fvu", "val_loss"):
        values = [row[name] for row in rows]
        if min(values) < (1 - LEAST) * min(values[:-PATIENCE]):
            return False
    return True


def train_until_flat(model, x, x_val, seed=0, framework="torch"):
    """Train in place by the rule of this module; the epochs of each stage, as lists of rows.

    PyTorch's matrix products are in bfloat16 but for the last stage: half the time, where a
    processor has units for it. TensorFlow's are in float32 throughout.
    """
    fit, stages = framework_of(framework)[1], []
    for number, rate in enumerate(RATES):
        rows = []

        def after(_, row, rows=rows):
            rows.append(row)
            return is_flat(rows)

        last = number == len(RATES) - 1
        settings = TrainConfig(
            CAP, BATCH_SIZE, rate, seed=1000 * number + seed,
            mixed_precision=framework == "torch" and not last,
        )  # fmt: skip
        fit(model, x, settings, x_val=x_val, after_epoch=after, progress=False)
        stages.append(rows)
    return stages


def best_scale(params, z, x):
    """The factor of the decoded code with the least squared error; 1 without shrinkage."""
    drawn = z @ params["W_dec"]
    return float(np.sum((x - params["b_dec"]) * drawn) / np.sum(drawn**2))


def run(name, config, start, seed=0, framework="torch"):
    """The numbers of one run, trained from the parameters ``start()`` if it has not been."""
    path = FOLDER / f"{framework}-{name}-{seed}.json"
    if path.exists():
        return json.loads(path.read_text())
    FOLDER.mkdir(parents=True, exist_ok=True)
    began = time.process_time()
    SparseAutoencoder, _, encode = framework_of(framework)
    model = SparseAutoencoder(config, device="cpu")
    model.from_numpy(start())
    stages = train_until_flat(model, digits().x_train, digits().x_val, seed, framework)
    rows = [row for stage in stages for row in stage]
    params, x_test = model.to_numpy(), digits().x_test
    z, z_test = encode(model, digits().x_val), encode(model, x_test)
    found = {
        "l0": round(rows[-1]["val_l0"], 2),
        "fvu": round(rows[-1]["val_fvu"], 5),
        "test_fvu": round(metrics.fvu(x_test, z_test @ params["W_dec"] + params["b_dec"]), 5),
        "dead": rows[-1]["val_dead"],
        "dead_in_training": rows[-1]["dead"],
        "scale": round(best_scale(params, z, digits().x_val), 4),
        "epochs": [len(stage) for stage in stages],
        "fvu_by_epoch": [round(row["val_fvu"], 4) for row in rows],
        "l0_by_epoch": [round(row["val_l0"], 1) for row in rows],
        "seconds": round(time.process_time() - began),
    }
    weights.write(path.with_suffix(".safetensors"), config, params)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(found) + "\n")
    partial.replace(path)
    return found


def name_of(kind, setting, n_latents=N_LATENTS):
    return f"{n_latents}-{kind}-{setting:g}"


def run_of(kind, setting, seed=0, framework="torch", n_latents=N_LATENTS):
    """The numbers of one run of the sweep."""
    config = config_of(kind, setting, n_latents)
    return run(
        name_of(kind, setting, n_latents), config,
        lambda: init_tied(config, digits().x_train[:2000], seed), seed, framework,
    )  # fmt: skip


def model_of(kind, setting, seed=0, framework="torch", n_latents=N_LATENTS):
    """Configuration and parameters of a run of the sweep."""
    run_of(kind, setting, seed, framework, n_latents)
    return weights_of(name_of(kind, setting, n_latents), seed, framework)


def weights_of(name, seed=0, framework="torch"):
    """Configuration and parameters of a run that has been done."""
    return weights.read(FOLDER / f"{framework}-{name}-{seed}.safetensors")
