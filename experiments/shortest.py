"""The shortest call, and whether settings that somebody knows to choose do better.

`fit` with nothing but a kind and, where it has one, a wanted number of active latents, beside other
learning rates and schedules, other means of squares in Adam, a unit norm and a tied decoder. The
best of them is chosen with one seed and compared with others; an L0 that is more than a tenth off
does not count. The default rates were found on digits, on clothes and on patches of other
photographs, beta_2 on digits, on clothes and on these patches, and what begins at the brightness on
these patches alone; a language model's activations had no say in any of it.
"""

import warnings
from dataclasses import replace

import numpy as np

from experiments import language_saes, pre_bias
from experiments.pre_bias import L0, N_LATENTS, N_SAMPLES, patches
from saebook import KL, SAEConfig, TrainConfig, fashion_mnist, mnist
from saebook.pytorch import SparseAutoencoder, evaluate, fit

KINDS = {"none": None, "KL": KL(0.05, 0.1), **pre_bias.KINDS}
EPOCHS = 10  # 400 steps
SEEDS = (0, 1, 2)  # to choose with the first
FACTORS = (0.5, 1, 2, 4)  # of the rate that the shortest call has
OTHERS = {
    "unit norm": {"unit_norm": True},
    "tied": {"tied": True},
}


def settings():
    """What else is tried, by name.

    Options of the model, factor of the rate, whether it falls, and Adam's beta_2 if not its own.
    """
    found = {}
    for factor in FACTORS:
        found[f"rate x {factor:g}"] = ({}, factor, False)
        found[f"rate x {factor:g}, falling"] = ({}, factor, True)
    for name, options in OTHERS.items():
        for factor in (1, 2):
            found[f"{name}, rate x {factor}, falling"] = (options, factor, True)
    for beta_2 in (0.9, 0.999):
        found[f"beta_2 {beta_2:g}, falling"] = ({}, 1, True, beta_2)
    del found["rate x 1"]  # the shortest call itself
    return found


def sets():
    """Training and validation samples by name."""
    cut = patches(N_SAMPLES + 2000)
    images = {
        name: [data.x_train.reshape(-1, 784)[:N_SAMPLES], data.x_val.reshape(-1, 784)[:2000]]
        for name, data in (("digits", mnist()), ("clothes", fashion_mnist()))
    }
    stream = [language_saes.activations(part, language_saes.STREAM) for part in ("train", "val")]
    return images | {
        "patches": [cut[:N_SAMPLES], cut[N_SAMPLES:]],
        "language": [stream[0][:N_SAMPLES], stream[1][:2000]],
    }


def train(kind, x, x_val, seed, options, factor=1, falling=False, beta_2=None):
    """Validation error and L0, and how many latents are dead there.

    The error is the FVU, with KL the loss, as a larger price would make a smaller FVU of it.
    """
    config = SAEConfig(x.shape[1], N_LATENTS, sparsity=KINDS[kind], **options)
    training = TrainConfig(EPOCHS, beta_2=beta_2, seed=seed).settled(config)
    n_steps = EPOCHS * -(-len(x) // training.batch_size)
    training = replace(
        training,
        learning_rate=factor * training.rate,
        decay_steps=n_steps // 2 if falling else 0,
    )
    model = SparseAutoencoder(config, seed, device="cpu")
    with warnings.catch_warnings():  # of an L0 that was missed, which is looked at below
        warnings.simplefilter("ignore", UserWarning)
        fit(model, x, training, progress=False)
    found = evaluate(model, x_val)
    return {
        "error": round(found["loss" if kind == "KL" else "fvu"], 4),
        "l0": round(found["l0"], 1),
        "dead": int(found["dead"]),
    }


def counts(kind, row):
    """Whether as many latents are active as were wanted, within a tenth, if any were."""
    return kind in ("none", "KL") or abs(row["l0"] - L0) <= L0 / 10


def compare(kind, x, x_val):
    """The shortest call and the best of the others, a row for each seed."""
    tried = {name: train(kind, x, x_val, SEEDS[0], *others) for name, others in settings().items()}
    allowed = {name: row for name, row in tried.items() if counts(kind, row)}
    best = min(allowed, key=lambda name: allowed[name]["error"])
    return {
        "shortest": [train(kind, x, x_val, seed, {}) for seed in SEEDS],
        "best": best,
        "its": [tried[best]]
        + [train(kind, x, x_val, seed, *settings()[best]) for seed in SEEDS[1:]],
        "tried": tried,
    }


def ratio(row):
    """Error of the shortest call over that of the best, with the seeds that did not choose."""
    errors = [np.mean([run["error"] for run in row[name][1:]]) for name in ("shortest", "its")]
    return float(errors[0] / errors[1])


def run():
    table = {}
    for name, (x, x_val) in sets().items():
        for kind in KINDS:
            if name == "language" and kind in ("none", "KL"):
                continue  # their outputs are sigmoids, and these samples are not in [0, 1]
            row = table[f"{kind}, {name}"] = compare(kind, x, x_val)
            print(f"  {kind}, {name}: {ratio(row):.2f}", row["best"], row["shortest"], flush=True)
    return {
        "settings": {"l0": L0, "n_latents": N_LATENTS, "n_samples": N_SAMPLES, "epochs": EPOCHS},
        "table": table,
    }
