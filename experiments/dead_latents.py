"""How many latents of a wide TopK model die, by the start and with AuxK: for book/modern.md.

A short training on few images, in which the starts are compared. It does not end by the rule of
`_runs`, and its errors are not flat.
"""

from experiments._runs import digits, framework_of
from saebook import AuxK, SAEConfig, TopK, TrainConfig
from saebook.start import init_from_samples, init_params, init_tied

SEEDS = (0, 1, 2)
IMAGES, LATENTS, K = 5_000, 1_024, 8
TRAINING = {"epochs": 16, "batch_size": 128, "learning_rate": 2e-3}
AUX = AuxK(k=256, weight=1 / 32, dead_after=IMAGES)
STARTS = {  # name: where the weights start, and whether AuxK helps
    "random": ("random", None),
    "random, AuxK": ("random", AUX),
    "tied": ("tied", None),
    "tied, AuxK": ("tied", AUX),
    "samples": ("samples", None),
}


def dead(start, seed=0, framework="torch", epochs=None):
    """Latents dead over each epoch, and the error, from one start."""
    SparseAutoencoder, fit, _ = framework_of(framework)
    begin, aux = STARTS[start]
    x = digits().x_train[:IMAGES]
    config = SAEConfig(
        784, LATENTS, "relu", "linear", sparsity=TopK(K, aux), unit_norm=True,
        pre_bias=True,
    )  # fmt: skip
    make = {
        "random": lambda: init_params(config, seed),
        "tied": lambda: init_tied(config, x[:2000], seed),
        "samples": lambda: init_from_samples(config, x, seed, norm=0.5),
    }
    model = SparseAutoencoder(config, device="cpu")
    model.from_numpy(make[begin]())
    settings = TRAINING if epochs is None else TRAINING | {"epochs": epochs}
    history = fit(model, x, TrainConfig(**settings, seed=seed), x_val=digits().x_val)
    return {"dead": history["dead"], "fvu": [round(value, 4) for value in history["val_fvu"]]}


def run():
    return {
        "settings": {"images": IMAGES, "latents": LATENTS, "k": K} | TRAINING,
        "torch": {start: [dead(start, seed) for seed in SEEDS] for start in STARTS},
        "tensorflow": {start: [dead(start, 0, "tensorflow")] for start in STARTS},
    }
