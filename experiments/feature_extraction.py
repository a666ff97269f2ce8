"""What sparse codes of digits are good for: the long runs behind book/feature_extraction.md.

Everything is chosen on validation images. Test images are counted once, for what was chosen; once
more for models that are trained until they are flat, one step beyond the grid where its best value
lies at an edge.
"""

import copy
import dataclasses
import time
from functools import cache

import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.neighbors import KNeighborsClassifier

from experiments import _runs
from saebook import (
    KL,
    L1,
    SAEConfig,
    TopK,
    TrainConfig,
    fashion_mnist,
    mnist,
    reference,
)
from saebook.start import init_from_samples

WIDTHS = (64, 250, 1000)
SEEDS = (0, 1, 2)
# (epochs, share of the learning rate): a last epoch of small steps
SCHEDULE = ((5, 1.0), (1, 0.25))
KINDS = {
    "KL": {"learning_rate": 5e-3, "settings": (0.1, 0.3, 1.0, 3.0)},  # beta, at rho = 0.05
    "L1": {"learning_rate": 2e-3, "settings": (0.1, 0.3, 1.0)},  # weight
    "TopK": {"learning_rate": 2e-3, "settings": (12, 25, 50)},  # k
}
INVERSE_PENALTIES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)  # C of the classifier
FEW_INVERSE_PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
FEW_LABELS = {10: 10, 100: 10, 1_000: 10, 10_000: 3}  # labels: how many draws
N_COMPONENTS = 64  # of PCA where it need not be as wide as something else


@cache
def digits():
    return mnist()


@cache
def clothes():
    return fashion_mnist()


# Codes


def config_of(kind, width, setting):
    """The model of a kind of sparsity with its one setting that is tuned."""
    if kind == "KL":
        return SAEConfig(784, width, sparsity=KL(0.05, setting))
    if kind == "L1":
        return SAEConfig(
            784,
            width,
            "relu",
            "linear",
            sparsity=L1(setting),
            tied=True,
            unit_norm=True,
            pre_bias=False,
        )
    return SAEConfig(
        784, width, "linear", "linear", sparsity=TopK(setting), tied=True, pre_bias=False
    )


def train(kind, width, setting, seed, x, framework="torch"):
    """Read-out description and parameters of a trained model."""
    if framework == "torch":
        from saebook.pytorch import SparseAutoencoder, fit
    else:
        from saebook.tensorflow import SparseAutoencoder, fit

    config = config_of(kind, width, setting)
    model = begun(SparseAutoencoder, config, seed, x)
    for stage, (epochs, share) in enumerate(SCHEDULE):
        rate = KINDS[kind]["learning_rate"] * share
        order = len(SCHEDULE) * seed + stage
        fit(model, x, TrainConfig(epochs=epochs, learning_rate=rate, seed=order))
    return read_out(config), model.to_numpy()


def begun(SparseAutoencoder, config, seed, x):
    """A model that begins at samples, if its weights are tied."""
    model = SparseAutoencoder(config, seed=seed, device="cpu")
    if config.tied:
        model.from_numpy(init_from_samples(config, x, seed, norm=0.5))
    return model


def read_out(config):
    """TopK codes are read through a plain ReLU: more than k latents may speak."""
    if isinstance(config.sparsity, TopK):
        return dataclasses.replace(config, sparsity=None, activation="relu")
    return config


@cache
def trained_on_digits(kind, width, setting, seed, framework="torch"):
    return train(kind, width, setting, seed, digits().x_train, framework)


def encode(model, x):
    return reference.encode(*model, x)


def random_features(width, seed, x):
    """A function from images to ReLU features of a random projection, the images centred."""
    mean = x.mean(axis=0)
    W = np.random.default_rng(seed).normal(size=(784, width)).astype(np.float32) / 28
    return lambda images: np.maximum((images - mean) @ W, 0)


def untrained_samples(width, seed, x):
    """A function from images to what the latents of `train` say for TopK before any training."""
    config = dataclasses.replace(config_of("TopK", width, 1), sparsity=None, activation="relu")
    params = init_from_samples(config, x, seed)
    return lambda images: encode((config, params), images)


def principal_components(width, x):
    return PCA(width, svd_solver="covariance_eigh").fit(x).transform


def pixels(x):
    return x


# Classification


def scaled(z_train, *others):
    """Features divided by one number, so that the training features' mean square is 1."""
    scale = np.sqrt(np.mean(z_train**2))
    return [z / scale for z in (z_train, *others)]


def classifier(C, z, y):
    """Logistic regression on features, as the page fits it.

    With a tolerance of 1e-3 a warm start stops at once, and C has no effect.
    """
    return LogisticRegression(C=C, tol=1e-4, max_iter=300, warm_start=True).fit(z, y)


def error(model, z, y):
    return float(np.mean(model.predict(z) != y))


def best_classifier(z_train, y_train, z_val, y_val, grid):
    """The classifier with the fewest validation errors, and their share.

    C rises until the error does; each fit starts where the last one ended.
    """
    model, best, lowest = classifier(grid[0], z_train, y_train), None, np.inf
    for C in grid:
        if grid[0] != C:
            model.set_params(C=C).fit(z_train, y_train)
        found = error(model, z_val, y_val)
        if found > lowest:
            break
        if found < lowest:
            best, lowest = copy.deepcopy(model), found
    return best, lowest


def classify(features, data, grid=INVERSE_PENALTIES, test=True):
    """C, validation error and, if wanted, test error of the tuned classifier on features."""
    images = (data.x_train, data.x_val) + ((data.x_test,) if test else ())
    z_train, z_val, *z_test = scaled(*map(features, images))
    fit, val_error = best_classifier(z_train, data.y_train, z_val, data.y_val, grid)
    row = {"C": fit.C, "val_error": val_error}
    return row | {"test_error": error(fit, z_test[0], data.y_test)} if test else row


def over_seeds(make, data, grid=INVERSE_PENALTIES, seeds=SEEDS):
    """`classify` for each seed; C is tuned with the first."""
    rows = []
    for seed in seeds:
        rows.append(classify(make(seed), data, (rows[0]["C"],) if rows else grid))
    return {
        "C": rows[0]["C"],
        "val_error": [round(row["val_error"], 4) for row in rows],
        "test_error": [round(row["test_error"], 4) for row in rows],
    }


def sweep(kinds=tuple(KINDS), sweep_widths=WIDTHS):
    """Validation errors of the settings of each kind, and those chosen for each width."""
    table, chosen = {}, {}
    for kind in kinds:
        for width in sweep_widths:
            errors = {
                setting: classify(codes_of(kind, width, setting)(0), digits(), test=False)
                for setting in KINDS[kind]["settings"]
            }
            errors = {setting: round(row["val_error"], 4) for setting, row in errors.items()}
            table.setdefault(kind, {})[str(width)] = {str(s): e for s, e in errors.items()}
            chosen.setdefault(kind, {})[str(width)] = min(errors, key=errors.get)
    return table, chosen


def codes_of(kind, width, setting, framework="torch"):
    """A function from a seed to a function from images to codes."""

    def make(seed):
        model = trained_on_digits(kind, width, setting, seed, framework)
        return lambda x: encode(model, x)

    return make


def widths(chosen):
    """Test errors of all kinds of features at all widths."""
    data = digits()
    table = {"pixels": {"784": over_seeds(lambda seed: pixels, data, seeds=(0,))}}
    for width in WIDTHS:
        if width < 784:
            components = principal_components(width, data.x_train)
            found = over_seeds(lambda seed, f=components: f, data, seeds=(0,))
            table.setdefault("PCA", {})[str(width)] = found
        made = {
            "random": lambda seed, width=width: random_features(width, seed, data.x_train),
            "samples": lambda seed, width=width: untrained_samples(width, seed, data.x_train),
            **{kind: codes_of(kind, width, chosen[kind][str(width)]) for kind in KINDS},
        }
        for name, make in made.items():
            table.setdefault(name, {})[str(width)] = over_seeds(make, data)
    return table


def beyond(settings, best):
    """The best setting of a grid and, if it lies at an edge, the next one in the same ratio."""
    place, last = settings.index(best), len(settings) - 1
    if 0 < place < last:
        return (best,)
    inner = settings[1 if place == 0 else last - 1]
    following = best * best / inner
    return best, round(following) if isinstance(best, int) else round(following, 3)


def until_flat(chosen, sweep_widths=WIDTHS, seeds=SEEDS):
    """What `widths` has of the chosen settings, and of those beyond, once training has ended.

    By the rule of `_runs`. The first seed chooses between two settings.
    """
    from saebook.pytorch import SparseAutoencoder

    data = digits()

    @cache
    def model_of(kind, width, setting, seed):
        config = config_of(kind, width, setting)
        model = begun(SparseAutoencoder, config, seed, data.x_train)
        stages = _runs.train_until_flat(model, data.x_train, data.x_val, seed)
        return (read_out(config), model.to_numpy()), sum(map(len, stages))

    table = {kind: {} for kind in KINDS}
    for width in sweep_widths:
        for kind, options in KINDS.items():

            def make(seed, *of):
                model, _ = model_of(*of, seed)
                return lambda x: encode(model, x)

            tried = {}
            for setting in beyond(options["settings"], chosen[kind][str(width)]):
                row = classify(make(seeds[0], kind, width, setting), data, test=False)
                tried[setting] = round(row["val_error"], 4)
            best = min(tried, key=tried.get)
            table[kind][str(width)] = {
                "tried": {str(setting): error for setting, error in tried.items()},
                "setting": best,
                **over_seeds(
                    lambda seed, of=(kind, width, best): make(seed, *of), data, seeds=seeds
                ),
                "epochs": [model_of(kind, width, best, seed)[1] for seed in seeds],
            }
    return table


def tensorflow(chosen, width=1000):
    """What `widths` has from PyTorch for TopK codes, from TensorFlow."""
    return over_seeds(codes_of("TopK", width, chosen["TopK"][str(width)], "tensorflow"), digits())


def makers(chosen, width=1000):
    """What few labels, and clusters, are tried on: functions from a seed to a feature function."""
    x = digits().x_train
    components = principal_components(N_COMPONENTS, x)
    return {
        "pixels": lambda seed: pixels,
        "PCA": lambda seed: components,
        "random": lambda seed: random_features(width, seed, x),
        "samples": lambda seed: untrained_samples(width, seed, x),
        **{kind: codes_of(kind, width, chosen[kind][str(width)]) for kind in KINDS},
    }


def few_labels(make, counts=FEW_LABELS):
    """Test error with few labelled digits: mean and standard deviation over draws of them.

    Draws take turns with the seeds of the features. As many validation images as training images
    choose C, at most all 5,000.
    """
    data, errors = digits(), {count: [] for count in counts}
    for seed in SEEDS:
        features = make(seed)
        z_train, z_val, z_test = scaled(*map(features, (data.x_train, data.x_val, data.x_test)))
        for count, n_draws in counts.items():
            for draw in range(seed, n_draws, len(SEEDS)):
                rng = np.random.default_rng([draw, count])
                rows = np.concatenate(
                    [
                        rng.choice(np.flatnonzero(data.y_train == c), count // 10, False)
                        for c in range(10)
                    ]
                )
                held = rng.choice(len(z_val), min(count, len(z_val)), replace=False)
                fit, _ = best_classifier(
                    z_train[rows], data.y_train[rows], z_val[held], data.y_val[held],
                    FEW_INVERSE_PENALTIES,
                )  # fmt: skip
                errors[count].append(error(fit, z_test, data.y_test))
    return {
        str(count): {
            "mean": round(np.mean(found), 4),
            "std": round(np.std(found, ddof=1), 4),
            "draws": len(found),
        }
        for count, found in errors.items()
    }


# Clusters


def unit_length(z):
    return z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-12)


def clusters(make, n_images=10_000):
    """k-means with ten centres on training images; agreement with the labels of the test images."""
    data = digits()
    found = {"ari": [], "nmi": []}
    for seed in SEEDS:
        z, z_test = map(make(seed), (data.x_train[:n_images], data.x_test))
        means = KMeans(10, n_init=5, random_state=seed).fit(z)
        labels = means.predict(z_test)
        found["ari"].append(round(adjusted_rand_score(data.y_test, labels), 3))
        found["nmi"].append(round(normalized_mutual_info_score(data.y_test, labels), 3))
    return found


# Cost


def cost(chosen, n_labels=10_000, n_searched=2_000):
    """Time and memory of a classifier and of a neighbour search, as multiples of the pixels'.

    Medians of three turns on one core, taken one after the other in the same run. Memory is that
    of the training images' features. The errors are those on validation images.
    """
    data = digits()
    z = {"pixels": (data.x_train, data.x_val)}
    for width in (N_COMPONENTS, 1000):
        if width == N_COMPONENTS:
            z[f"PCA, {width}"] = tuple(
                map(principal_components(width, data.x_train), (data.x_train, data.x_val))
            )
        features = codes_of("TopK", width, chosen["TopK"][str(width)])(0)
        z[f"TopK, {width}"] = tuple(map(features, (data.x_train, data.x_val)))
    found = {name: {"fit": [], "search": []} for name in z}
    for _ in range(3):
        for name, (train, val) in z.items():
            start = time.process_time()
            classifier(0.01, *scaled(train[:n_labels]), data.y_train[:n_labels])
            middle = time.process_time()
            near = KNeighborsClassifier(5, algorithm="brute").fit(train, data.y_train)
            found[name]["neighbour_error"] = round(
                float(np.mean(near.predict(val[:n_searched]) != data.y_val[:n_searched])), 4
            )
            found[name]["fit"].append(middle - start)
            found[name]["search"].append(time.process_time() - middle)
    times = {
        name: {part: np.median(row[part]) for part in ("fit", "search")}
        for name, row in found.items()
    }
    return {
        name: {part: float(f"{t / times['pixels'][part]:.2g}") for part, t in times[name].items()}
        | {
            "memory": round(train.shape[1] / 784, 3),
            "active": round(float(np.mean(train != 0)), 3),
            "neighbour_error": found[name]["neighbour_error"],
        }
        for name, (train, _) in z.items()
    }


# Another data set


def transfer(chosen):
    """Fashion-MNIST classified from features that were made for digits, and from its own."""
    data, x = clothes(), digits().x_train
    table = {"pixels": over_seeds(lambda seed: pixels, data, seeds=(0,))}
    for name, images in (("digits", x), ("clothes", data.x_train)):
        f = principal_components(250, images)
        table[f"PCA of {name}, 250"] = over_seeds(lambda seed, f=f: f, data, seeds=(0,))
    for width in (250, 1000):
        setting = chosen["TopK"][str(width)]

        def of_clothes(seed, width=width, setting=setting):
            model = train("TopK", width, setting, seed, data.x_train)
            return lambda images: encode(model, images)

        made = {
            "random": lambda seed, width=width: random_features(width, seed, data.x_train),
            "TopK of digits": codes_of("TopK", width, setting),
            "TopK of clothes": of_clothes,
        }
        for name, make in made.items():
            table[f"{name}, {width}"] = over_seeds(make, data)
    return table


def training_seconds(chosen, width=1000):
    """Processor seconds to train the TopK model of one seed, by each framework."""
    found = {}
    for framework in ("torch", "tensorflow"):
        start = time.process_time()
        train("TopK", width, chosen["TopK"][str(width)], 0, digits().x_train, framework)
        found[framework] = round(time.process_time() - start)
    return found


def run():
    table, chosen = sweep()
    made = makers(chosen)
    spheres = {  # the same codes, each scaled to norm 1
        f"{kind}, unit length": lambda seed, make=made[kind]: lambda x: unit_length(make(seed)(x))
        for kind in KINDS
    }
    return {
        "settings": {
            "widths": WIDTHS,
            "seeds": SEEDS,
            "schedule": SCHEDULE,
            "learning_rates": {kind: options["learning_rate"] for kind, options in KINDS.items()},
            "inverse_penalties": INVERSE_PENALTIES,
            "few_inverse_penalties": FEW_INVERSE_PENALTIES,
            "pca_components": N_COMPONENTS,
        },
        "sweep": table,
        "chosen": chosen,
        "widths": widths(chosen),
        "until_flat": until_flat(chosen),
        "tensorflow": tensorflow(chosen),
        "training_seconds": training_seconds(chosen),
        "few_labels": {name: few_labels(make) for name, make in made.items()},
        "clusters": {name: clusters(make) for name, make in (made | spheres).items()},
        "cost": cost(chosen),
        "transfer": transfer(chosen),
    }
