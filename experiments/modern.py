"""Error against active latents for every kind of sparsity: the runs behind book/modern.md.

Nothing is chosen here: each kind has a grid of settings, and all of them are reported. The grids,
JumpReLU's bandwidth and first threshold and, with TopK, the learning rate were looked for
beforehand, on training images that are in no number below (the last 5,000). Errors are those on
validation images.
"""

from functools import cache

import numpy as np

from saebook import (
    KL,
    L1,
    AuxK,
    BatchTopK,
    Gated,
    JumpReLU,
    SAEConfig,
    TopK,
    TrainConfig,
    metrics,
    mnist,
    reference,
)
from saebook.start import init_from_samples, init_params, init_tied

N_IMAGES, N_LATENTS = 10_000, 256
SEEDS = (0, 1, 2)
GROUPS = (16, 48, 192)  # of the Matryoshka dictionary
TRAINING = {"epochs": 6, "batch_size": 128, "learning_rate": 2e-3, "decay_steps": 120}
KL_LEARNING_RATE = 5e-3
KINDS = {
    "L1": (L1, (0.25, 0.5, 0.75, 1.0)),
    "TopK": (TopK, (8, 16, 32, 64)),
    "BatchTopK": (BatchTopK, (8, 16, 32, 64)),
    "JumpReLU": (
        lambda weight: JumpReLU(weight, bandwidth=0.3, threshold=0.3),
        (0.03, 0.1, 0.3, 1.0),
    ),
    "Gated": (Gated, (0.5, 1.0, 2.0, 3.0)),
    "Matryoshka": (TopK, (8, 16, 32, 64)),
}
BETAS = (0.1, 0.3, 1.0)  # of KL, at rho = 0.05
KEPT = (8, 16, 32, 64, 128, 256)  # latents of a KL code that are kept

# Dead latents
DEAD_IMAGES, DEAD_LATENTS, DEAD_K = 5_000, 1_024, 8
DEAD_TRAINING = {"epochs": 16, "batch_size": 128, "learning_rate": 2e-3}
AUX = AuxK(k=256, weight=1 / 32, dead_after=DEAD_IMAGES)
STARTS = {  # name: where the weights start, and whether AuxK helps
    "random": ("random", None),
    "random, AuxK": ("random", AUX),
    "tied": ("tied", None),
    "tied, AuxK": ("tied", AUX),
    "samples": ("samples", None),
}


@cache
def digits():
    return mnist()


def images():
    return digits().x_train[:N_IMAGES]


def framework_of(name):
    """`SparseAutoencoder`, `fit` and `encode` of a framework."""
    if name == "torch":
        from saebook.pytorch import SparseAutoencoder, encode, fit
    else:
        from saebook.tensorflow import SparseAutoencoder, encode, fit
    return SparseAutoencoder, fit, encode


def config_of(kind, setting, n_latents=N_LATENTS):
    """The model of a kind of sparsity with its one setting that is varied."""
    groups = GROUPS if kind == "Matryoshka" else None
    sparsity = KINDS[kind][0](setting)
    return SAEConfig(
        784, n_latents, "relu", "linear", sparsity=sparsity, unit_norm=True, pre_bias=True,
        groups=groups,
    )  # fmt: skip


def train(kind, setting, seed=0, framework="torch"):
    """A trained model and the row of its last epoch."""
    SparseAutoencoder, fit, _ = framework_of(framework)
    config = config_of(kind, setting)
    model = SparseAutoencoder(config, device="cpu")
    model.from_numpy(init_tied(config, images()[:2000], seed))
    settings = TrainConfig(**TRAINING, seed=seed)
    history = fit(model, images(), settings, x_val=digits().x_val)
    return model, {name: values[-1] for name, values in history.items()}


def best_scale(params, z, x):
    """The factor of the decoded code with the least squared error; 1 without shrinkage."""
    drawn = z @ params["W_dec"]
    return float(np.sum((x - params["b_dec"]) * drawn) / np.sum(drawn**2))


def measure(kind, setting, seed=0, framework="torch"):
    """Active latents, error, latents dead on the validation images, and best scale."""
    model, row = train(kind, setting, seed, framework)
    z = framework_of(framework)[2](model, digits().x_val)
    return {
        "l0": round(row["val_l0"], 2),
        "fvu": round(row["val_fvu"], 4),
        "dead": row["val_dead"],
        "scale": round(best_scale(model.to_numpy(), z, digits().x_val), 3),
    }


def sweep(kinds=tuple(KINDS), frameworks=("torch", "tensorflow")):
    """`measure` for all settings: three seeds with PyTorch, one with TensorFlow."""
    found = {}
    for framework in frameworks:
        seeds = SEEDS if framework == "torch" else SEEDS[:1]
        found[framework] = {
            kind: {
                str(setting): [measure(kind, setting, seed, framework) for seed in seeds]
                for setting in KINDS[kind][1]
            }
            for kind in kinds
        }
    return found


def kl(beta, framework="torch", seed=0):
    """Error of a KL model when only the largest latents of each code are kept, the others 0."""
    SparseAutoencoder, fit, encode = framework_of(framework)
    config = SAEConfig(784, N_LATENTS, "sigmoid", "linear", sparsity=KL(0.05, beta))
    model = SparseAutoencoder(config, seed=seed, device="cpu")
    settings = TrainConfig(**TRAINING | {"learning_rate": KL_LEARNING_RATE}, seed=seed)
    history = fit(model, images(), settings, x_val=digits().x_val)
    z, params, x = encode(model, digits().x_val), model.to_numpy(), digits().x_val
    kept = {
        str(k): metrics.fvu(x, (z * reference.largest(z, k)) @ params["W_dec"] + params["b_dec"])
        for k in KEPT
    }
    return {
        "mean": round(float(z.mean()), 3),
        "l0": round(history["val_l0"][-1], 2),  # above a half
        "kept": {k: round(value, 4) for k, value in kept.items()},
    }


def dead(start, seed=0, framework="torch", epochs=None):
    """Latents dead over each epoch, and the error, from one start."""
    SparseAutoencoder, fit, _ = framework_of(framework)
    begin, aux = STARTS[start]
    x = digits().x_train[:DEAD_IMAGES]
    config = SAEConfig(
        784, DEAD_LATENTS, "relu", "linear", sparsity=TopK(DEAD_K, aux), unit_norm=True,
        pre_bias=True,
    )  # fmt: skip
    make = {
        "random": lambda: init_params(config, seed),
        "tied": lambda: init_tied(config, x[:2000], seed),
        "samples": lambda: init_from_samples(config, x, seed),
    }
    model = SparseAutoencoder(config, device="cpu")
    model.from_numpy(make[begin]())
    settings = DEAD_TRAINING if epochs is None else DEAD_TRAINING | {"epochs": epochs}
    history = fit(model, x, TrainConfig(**settings, seed=seed), x_val=digits().x_val)
    return {"dead": history["dead"], "fvu": [round(value, 4) for value in history["val_fvu"]]}


def run():
    return {
        "settings": {
            "images": N_IMAGES,
            "latents": N_LATENTS,
            "groups": GROUPS,
            "seeds": SEEDS,
            "training": TRAINING,
            "kl_learning_rate": KL_LEARNING_RATE,
            "dead": {"images": DEAD_IMAGES, "latents": DEAD_LATENTS, "k": DEAD_K} | DEAD_TRAINING,
        },
        "sweep": sweep(),
        "kl": {
            framework: {str(beta): kl(beta, framework) for beta in BETAS}
            for framework in ("torch", "tensorflow")
        },
        "dead": {
            "torch": {start: [dead(start, seed) for seed in SEEDS] for start in STARTS},
            "tensorflow": {start: [dead(start, 0, "tensorflow")] for start in STARTS},
        },
    }
