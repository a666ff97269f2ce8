"""How many latents of a wide TopK model die, by the start and with AuxK: for book/judging.md.

A short training on few images, in which the starts are compared: its errors are not flat. In
PyTorch the same models are trained by the rule of `_runs`, too, to see what is dead at the end.
"""

from experiments._runs import digits, framework_of, train_until_flat
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


def begun(start, seed=0, framework="torch"):
    """A model from one start, and the images that it learns from."""
    SparseAutoencoder, _, _ = framework_of(framework)
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
    return model, x


def dead(start, seed=0, framework="torch", epochs=None):
    """Latents dead over each epoch, and the error, from one start."""
    model, x = begun(start, seed, framework)
    fit = framework_of(framework)[1]
    settings = TRAINING if epochs is None else TRAINING | {"epochs": epochs}
    history = fit(model, x, TrainConfig(**settings, seed=seed), x_val=digits().x_val)
    return {"dead": history["dead"], "fvu": [round(value, 4) for value in history["val_fvu"]]}


def until_flat(start, seed=0):
    """Latents dead over the last epoch, the error, and the epochs, once training has ended."""
    model, x = begun(start, seed)
    stages = train_until_flat(model, x, digits().x_val, seed)
    last = stages[-1][-1]
    epochs = [len(stage) for stage in stages]
    return {"dead": last["dead"], "fvu": round(last["val_fvu"], 4), "epochs": epochs}


def run():
    return {
        "settings": {"images": IMAGES, "latents": LATENTS, "k": K} | TRAINING,
        "torch": {start: [dead(start, seed) for seed in SEEDS] for start in STARTS},
        "tensorflow": {start: [dead(start, 0, "tensorflow")] for start in STARTS},
        "until_flat": {start: [until_flat(start, seed) for seed in SEEDS] for start in STARTS},
    }
