"""Error against active latents for every kind of sparsity: for book/modern.md and judging.md.

All models are trained on all training images until their validation error is flat (`_runs`).
Nothing is chosen here: each kind has a grid of settings, and all of them are reported. JumpReLU's
window and first threshold are those that a search on training images, with shorter trainings, had
found. Errors are those on validation images; those on test images are stored beside them.
"""

from itertools import combinations

import numpy as np
from sklearn.decomposition import PCA

from experiments import _runs
from experiments._runs import best_scale, config_of, digits, framework_of, model_of, run_of
from saebook import TrainConfig, metrics, reference
from saebook.start import init_from_samples, init_tied

SEEDS = (0, 1, 2)
SETTINGS = {  # about 16, 32 and 64 active latents
    "L1": (1.0, 0.5, 0.25),
    "TopK": (16, 32, 64),
    "BatchTopK": (16, 32, 64),
    "JumpReLU": (0.25, 0.1, 0.025),
    "Gated": (1.6, 0.8, 0.4),
    "Matryoshka": (16, 32, 64),
}
MIDDLE = {kind: settings[1] for kind, settings in SETTINGS.items()}
COMPARED = {  # of which settings the dictionaries of the seeds are held beside each other
    "L1": (1.0, 0.5, 0.25), "TopK": (16, 32), "BatchTopK": (16, 32), "JumpReLU": (0.25, 0.1),
    "Gated": (0.8,), "Matryoshka": (32,),
}  # fmt: skip
WIDTHS = {64: tuple(SETTINGS), 1_024: ("L1", "TopK")}  # others than 256, at the middle setting
TENSORFLOW = {kind: (setting,) for kind, setting in MIDDLE.items()} | {"TopK": (32, 64)}
KEPT = (8, 16, 32, 64, 128)
N_REFITTED = 500  # validation images whose amounts are fitted anew
ABOVE = 0.7  # cosine from which two rows count as the same, as in Paulo & Belrose (2025)

# Error against active latents


def refitted(params, z, x):
    """FVU of a code: as it is, once scaled as a whole, and with its amounts fitted anew."""
    target, D = x - params["b_dec"], params["W_dec"]
    amounts = np.zeros_like(z)
    for image, code in enumerate(z):
        rows = D[code != 0]  # the same latents, other amounts: least squares
        amounts[image, code != 0] = np.linalg.lstsq(rows.T, target[image])[0]
    scaled = best_scale(params, z, x) * z
    return [round(metrics.fvu(target, code @ D), 4) for code in (z, scaled, amounts)]


def measure(kind, setting, seed=0, framework="torch"):
    """What a run has stored, and what is lost to amounts."""
    row = run_of(kind, setting, seed, framework)
    params, x = model_of(kind, setting, seed, framework)[1], digits().x_val[:N_REFITTED]
    z = encoded(config_of(kind, setting), params, x)
    kept = ("l0", "fvu", "test_fvu", "dead", "scale", "epochs", "fvu_by_epoch", "seconds")
    return {name: row[name] for name in kept} | {"refitted": refitted(params, z, x)}


def encoded(config, params, x):
    """Codes of images, by PyTorch."""
    SparseAutoencoder, _, encode = framework_of("torch")
    return encode(SparseAutoencoder(config, device="cpu").from_numpy(params), x)


def sweep():
    """`measure` for all settings and seeds."""
    return {
        framework: {
            kind: {
                str(setting): [measure(kind, setting, seed, framework) for seed in seeds]
                for setting in of_kind
            }
            for kind, of_kind in settings.items()
        }
        for framework, settings, seeds in (
            ("torch", SETTINGS, SEEDS),
            ("tensorflow", TENSORFLOW, SEEDS[:1]),
        )
    }


def small(kind, framework="torch", n=4_000):
    """A run by the same rule in small, fewer images and latents: what a test can run again."""
    SparseAutoencoder, _, _ = framework_of(framework)
    config, x = config_of(kind, MIDDLE[kind], 64), digits().x_train[:n]
    model = SparseAutoencoder(config, device="cpu")
    model.from_numpy(init_tied(config, x[:2000], 0))
    stages = _runs.train_until_flat(model, x, digits().x_val[:1_000], 0, framework)
    row = stages[-1][-1]
    return {
        "l0": round(row["val_l0"], 2),
        "fvu": round(row["val_fvu"], 4),
        "epochs": [len(rows) for rows in stages],
    }


# What no training has made


def pca():
    """FVU from components: the first for all images, or for each those with the k largest."""
    x, x_val = digits().x_train, digits().x_val
    learned = PCA(_runs.N_LATENTS, svd_solver="covariance_eigh").fit(x)
    z = learned.transform(x_val)
    largest = {k: reference.largest(np.abs(z), k) for k in KEPT}
    rebuilt = {
        "PCA": lambda k: z[:, :k] @ learned.components_[:k],
        "PCA, the k largest": lambda k: (z * largest[k]) @ learned.components_,
    }
    return {
        name: {str(k): [round(metrics.fvu(x_val - learned.mean_, of(k)), 4)] for k in KEPT}
        for name, of in rebuilt.items()
    }


def untrained(begin, k, seed):
    """A TopK model at its start, its amounts multiplied by the one number that fits them best."""
    config = config_of("TopK", k)
    params = begin(config, digits().x_train, seed)
    x = digits().x_train[:5_000]
    scale = best_scale(params, encoded(config, params, x), x)
    return config, params | {"W_dec": scale * params["W_dec"]}


BEGIN = {
    "samples": init_from_samples,
    "random directions": lambda config, x, seed: init_tied(config, x[:2000], seed),
}


def controls():
    """FVU of untrained models for each k, one for each seed; and once the amounts are refitted."""
    x_val, found = digits().x_val, {}
    for name, begin in BEGIN.items():
        found[name] = {str(k): [] for k in KEPT}
        found[f"{name}, refitted"] = {str(k): [] for k in KEPT}
        for k in KEPT:
            for seed in SEEDS:
                config, params = untrained(begin, k, seed)
                z = encoded(config, params, x_val)
                value = metrics.fvu(x_val, z @ params["W_dec"] + params["b_dec"])
                found[name][str(k)].append(round(value, 4))
                again = refitted(params, z[:N_REFITTED], x_val[:N_REFITTED])[2]
                found[f"{name}, refitted"][str(k)].append(again)
    return found


# Do two seeds find the same dictionary?


def shared(rows, others):
    """Of two dictionaries: the share of pairs above `ABOVE`, and the mean cosine of all pairs."""
    cosines = metrics.matched_cosines(rows, others)
    return [round(float(np.mean(cosines > ABOVE)), 4), round(float(cosines.mean()), 4)]


def living_rows(config, params):
    """Rows of the dictionary whose latents are active for some validation image."""
    z = encoded(config, params, digits().x_val)
    return reference.dictionary(config, params)[~metrics.dead_features(z)]


def pairs_of(dictionaries):
    return [shared(*pair) for pair in combinations(dictionaries, 2)]


def same():
    """`shared` for each pair of seeds of a model, and of the first seed in the two frameworks."""
    seeds = {
        kind: {
            str(setting): pairs_of([living_rows(*model_of(kind, setting, seed)) for seed in SEEDS])
            for setting in settings
        }
        for kind, settings in COMPARED.items()
    }
    widths = {
        str(width): {kind: of_width(kind, width) for kind in WIDTHS[width]} for width in WIDTHS
    }
    frameworks = {
        kind: shared(
            *(
                living_rows(*model_of(kind, MIDDLE[kind], 0, name))
                for name in ("torch", "tensorflow")
            )
        )
        for kind in TENSORFLOW
    }
    config, x = config_of("TopK", 32), digits().x_train
    untrained = {
        name: pairs_of([begin(config, x, seed)["W_dec"] for seed in SEEDS])
        for name, begin in BEGIN.items()
    }
    short = {str(k): pairs_of([short_rows(k, seed) for seed in SEEDS]) for k in (16, 32)}
    return {
        "seeds": seeds,
        "widths": widths,
        "frameworks": frameworks,
        "untrained": untrained,
        "short": short,
    }


def of_width(kind, n_latents):
    """`shared` for each pair of seeds of models of another width, and what these models are."""
    runs = [run_of(kind, MIDDLE[kind], seed, n_latents=n_latents) for seed in SEEDS]
    models = [model_of(kind, MIDDLE[kind], seed, n_latents=n_latents) for seed in SEEDS]
    row = {name: [run[name] for run in runs] for name in ("l0", "fvu", "dead")}
    return row | {"pairs": pairs_of([living_rows(*model) for model in models])}


def short_rows(k, seed):
    """Living rows of a TopK model after 474 steps on 10,000 images, as book/modern.md trains."""
    SparseAutoencoder, fit, _ = framework_of("torch")
    config, x = config_of("TopK", k), digits().x_train[:10_000]
    model = SparseAutoencoder(config, device="cpu")
    model.from_numpy(init_tied(config, x[:2000], seed))
    fit(model, x, TrainConfig(6, 128, 2e-3, decay_steps=120, seed=seed), progress=False)
    return living_rows(config, model.to_numpy())


def run():
    return {
        "settings": {
            "images": len(digits().x_train),
            "latents": _runs.N_LATENTS,
            "groups": _runs.groups_of(_runs.N_LATENTS),
            "seeds": SEEDS,
            "batch_size": _runs.BATCH_SIZE,
            "learning_rates": _runs.RATES,
            "least": _runs.LEAST,
            "patience": _runs.PATIENCE,
            "cap": _runs.CAP,
            "above": ABOVE,
        },
        "sweep": sweep(),
        "controls": pca() | controls(),
        "same": same(),
        "small": {
            framework: {kind: small(kind, framework) for kind in ("TopK", "JumpReLU")}
            for framework in ("torch", "tensorflow")
        },
    }
