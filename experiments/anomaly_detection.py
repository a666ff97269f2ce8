"""Anomaly detection: settings chosen on validation, then one look at the test sets.

Every method gets the same inputs and a choice of its own settings by the same rule: mean AUROC on
validation images, whose anomalies are labelled. Test images are scored with what was chosen.
"""

import time
from dataclasses import replace
from importlib import import_module

import numpy as np
from scipy.ndimage import gaussian_filter
from sklearn.cluster import MiniBatchKMeans
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from saebook import KL, L1, SAEConfig, TopK, TrainConfig, fashion_mnist, mnist
from saebook.corruption import Masking, SaltAndPepper
from saebook.metrics import false_alarms_at, reconstruction_error

FRAMEWORKS = ("pytorch", "tensorflow")
SEEDS = (0, 1, 2)
DIGITS = tuple(range(10))
TRAINING = TrainConfig(epochs=10, batch_size=64, learning_rate=2e-3, init="given")
LONG_TRAINING = TrainConfig(epochs=10, batch_size=128, learning_rate=2e-3, init="given")
SUBSAMPLE = 2000  # training samples for the one-class SVM and the local outlier factor


def prepare(images, blur=1.0):
    """Images ``(n, 28, 28)`` as rows: blurred, then of norm 1; with blur None, the pixels."""
    x = images.astype(np.float32) / 255
    if blur is None:
        return x.reshape(len(x), -1)
    x = gaussian_filter(x, (0, blur, blur)).reshape(len(x), -1)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def topk(k, n_latents, n_features=784):
    return SAEConfig(
        n_features,
        n_latents,
        activation="relu",
        output="linear",
        sparsity=TopK(k),
        tied=True,
        unit_norm=True,
        pre_bias=False,
    )


# Methods: trained on normal samples, they return scores of other samples, larger for anomalies.


def train_sae(framework, normal, config, training, seed=0, corruption=None):
    package = import_module(f"saebook.{framework}")
    model = package.SparseAutoencoder(config, seed=seed, device="cpu")
    package.fit(model, normal, replace(training, seed=seed), corruption=corruption)
    return lambda x: package.reconstruct(model, x)


def sae(normal, *others, framework="pytorch", config=None, training=TRAINING, seed=0):
    rebuild = train_sae(framework, normal, config or topk(8, 128), training, seed)
    return [reconstruction_error(x, rebuild(x)) for x in others]


def four_saes(normal, *others, config=None, seed=0):
    """Mean score of four autoencoders that differ in their seed."""
    scores = [sae(normal, *others, config=config, seed=4 * seed + number) for number in range(4)]
    return [np.mean(parts, axis=0) for parts in zip(*scores, strict=True)]


def pca(normal, *others, n_components=10, seed=0):
    model = PCA(n_components, svd_solver="covariance_eigh").fit(normal)
    return [reconstruction_error(x, model.inverse_transform(model.transform(x))) for x in others]


def neighbours(normal, *others, n_neighbors=5, seed=0):
    model = NearestNeighbors(n_neighbors=n_neighbors, algorithm="brute").fit(normal)
    return [model.kneighbors(x)[0].mean(axis=1) for x in others]


def centres(normal, *others, n_clusters=128, n_neighbors=1, seed=0):
    model = MiniBatchKMeans(n_clusters, n_init=1, batch_size=1024, random_state=seed).fit(normal)
    return neighbours(model.cluster_centers_, *others, n_neighbors=n_neighbors)


def forest(normal, *others, max_samples=256, seed=0):
    model = IsolationForest(max_samples=max_samples, random_state=seed).fit(normal)
    return [-model.score_samples(x) for x in others]


def subsample(normal, seed):
    rows = np.random.default_rng(seed).permutation(len(normal))[:SUBSAMPLE]
    return normal[rows]


def one_class_svm(normal, *others, nu=0.1, width=1.0, seed=0):
    normal = subsample(normal, seed)
    gamma = width / (normal.shape[1] * normal.var())
    model = OneClassSVM(nu=nu, gamma=gamma).fit(normal)
    return [-model.score_samples(x) for x in others]


def outlier_factor(normal, *others, n_neighbors=20, seed=0):
    model = LocalOutlierFactor(n_neighbors, novelty=True, algorithm="brute")
    model.fit(subsample(normal, seed))
    return [-model.score_samples(x) for x in others]


# Measures


def measures(normal, anomalous):
    labels = np.r_[np.zeros(len(normal)), np.ones(len(anomalous))]
    scores = np.r_[normal, anomalous]
    return {
        "auroc": roc_auc_score(labels, scores),
        "auprc": average_precision_score(labels, scores),
        "false_alarms_at_95": false_alarms_at(0.95, normal, anomalous),
    }


def auroc(normal, anomalous):
    return measures(normal, anomalous)["auroc"]


def percent(values, decimals=2):
    return np.round(100 * np.asarray(values, dtype=float), decimals).tolist()


# One digit normal, nine anomalous


def one_class(method, train, labels, x, y, digits=DIGITS, contamination=0.0, **options):
    """Measures of a method for each digit as the normal one."""
    found = []
    for digit in digits:
        normal = train[labels == digit]
        if contamination:  # the share of anomalies among the training samples
            rng = np.random.default_rng(digit)
            strangers = rng.permutation(np.flatnonzero(labels != digit))
            n_strangers = round(contamination / (1 - contamination) * len(normal))
            normal = np.concatenate([normal, train[strangers[:n_strangers]]])
        scores = method(normal, x, **options)[0]
        found.append(measures(scores[y == digit], scores[y != digit]))
    return found


def mean_auroc(found):
    return percent(np.mean([one["auroc"] for one in found]))


def tune(train, labels, x, y, method, grid):
    """Mean validation AUROC in percent for each setting, a list of (setting, AUROC)."""
    return [
        [setting, mean_auroc(one_class(method, train, labels, x, y, **setting))] for setting in grid
    ]


def best(tuned):
    return max(tuned, key=lambda entry: entry[1])[0]


SAE_GRID = {
    "TopK(8), 64 latents": topk(8, 64),
    "TopK(4), 128 latents": topk(4, 128),
    "TopK(8), 128 latents": topk(8, 128),
    "TopK(16), 128 latents": topk(16, 128),
    "TopK(8), 256 latents": topk(8, 256),
    "L1(0.04), 128 latents": replace(topk(8, 128), sparsity=L1(0.04)),
    "KL(0.05, 0.001), 128 latents": SAEConfig(784, 128, output="linear", sparsity=KL(0.05, 0.001)),
}
LONGER, LONGER_OF = 40, ("TopK(8), 128 latents",)  # epochs, and of which models
BASELINES = {
    "pca": (pca, [{"n_components": q} for q in (6, 8, 10, 12, 16, 25, 50)]),
    "neighbours": (neighbours, [{"n_neighbors": k} for k in (1, 3, 5, 10)]),
    "centres": (centres, [{"n_neighbors": k} for k in (1, 3)]),
    "forest": (
        forest,
        [{"max_samples": n} for n in (256, 1000, 4000)],
    ),
    "one_class_svm": (
        one_class_svm,
        [{"nu": 0.02, "width": width} for width in (3.0, 10.0, 30.0, 100.0)]
        + [{"nu": 0.1, "width": 10.0}],
    ),
    "outlier_factor": (outlier_factor, [{"n_neighbors": k} for k in (5, 20, 50, 100)]),
}
RANDOMISED = ("centres", "forest", "one_class_svm", "outlier_factor")
INPUTS = {"pixels": None, "norm 1": 0, "norm 1, blur 1": 1.0, "norm 1, blur 1.5": 1.5}


def narrowest(tuned, slack=0.1):
    """The name of the TopK model with fewest latents, then fewest active ones, near the best."""
    values = {name: value for name, value in tuned if isinstance(SAE_GRID[name].sparsity, TopK)}
    near = [name for name, value in values.items() if value >= max(values.values()) - slack]
    return min(near, key=lambda name: (SAE_GRID[name].n_latents, SAE_GRID[name].sparsity.k))


def choose(digits):
    """Settings and inputs, on validation images."""
    y, labels = digits.y_val, digits.y_train
    train, x = prepare(digits.x_train), prepare(digits.x_val)
    found = {
        "sae": [
            [name, mean_auroc(one_class(sae, train, labels, x, y, config=config))]
            for name, config in SAE_GRID.items()
        ]
    }
    for name, (method, grid) in BASELINES.items():
        found[name] = tune(train, labels, x, y, method, grid)
    found["inputs"] = {}
    for name, blur in INPUTS.items():
        data = prepare(digits.x_train, blur), labels, prepare(digits.x_val, blur), y
        found["inputs"][name] = {
            "sae": max(mean_auroc(one_class(sae, *data, config=topk(k, 128))) for k in (4, 8, 16)),
            "pca": max(value for _, value in tune(*data, *BASELINES["pca"])),
            "neighbours": max(value for _, value in tune(*data, *BASELINES["neighbours"])),
        }
    return found


def longer(digits, names=LONGER_OF):
    """Mean validation AUROC after a training four times as long."""
    data = prepare(digits.x_train), digits.y_train, prepare(digits.x_val), digits.y_val
    training = replace(TRAINING, epochs=LONGER)
    return {
        name: mean_auroc(one_class(sae, *data, config=SAE_GRID[name], training=training))
        for name in names
    }


def summary(runs):
    """Percentages for runs that differ in their seed: of each run, and of each digit over them."""
    return {
        measure: [percent(np.mean([one[measure] for one in run])) for run in runs]
        for measure in runs[0][0]
    } | {
        "auroc_of_digit": percent(np.mean([[one["auroc"] for one in run] for run in runs], axis=0))
    }


def one_class_test(digits, chosen):
    train, x = prepare(digits.x_train), prepare(digits.x_test)
    data = train, digits.y_train, x, digits.y_test
    config = SAE_GRID[narrowest(chosen["sae"])]
    found = {
        f"sae_{framework}": summary(
            [one_class(sae, *data, framework=framework, config=config, seed=seed) for seed in SEEDS]
        )
        for framework in FRAMEWORKS
    }
    found["four_saes"] = summary([one_class(four_saes, *data, config=config)])
    for name, (method, _) in BASELINES.items():
        seeds = SEEDS if name in RANDOMISED else (0,)
        runs = [one_class(method, *data, seed=seed, **best(chosen[name])) for seed in seeds]
        found[name] = summary(runs)
    found["contaminated"] = {
        f"{share:.0%}": {
            "sae": mean_auroc(one_class(sae, *data, contamination=share, config=config)),
        }
        | {
            name: mean_auroc(
                one_class(BASELINES[name][0], *data, contamination=share, **best(chosen[name]))
            )
            for name in ("pca", "neighbours")
        }
        for share in (0.01, 0.05, 0.1)
    }
    return found


def cost(digits, chosen):
    """Processor time to score images and numbers kept to do so, as multiples of the autoencoder's.

    For the eights, medians of five turns in one run; numbers kept by the forest are its nodes'.
    """
    setting = {name: best(chosen[name]) for name in BASELINES}
    config = SAE_GRID[narrowest(chosen["sae"])]
    normal, x = prepare(digits.x_train[digits.y_train == 8]), prepare(digits.x_test[:5000])
    rebuild = train_sae("pytorch", normal, config, TrainConfig(epochs=1, init="given"))
    part = subsample(normal, 0)
    components = PCA(**setting["pca"], svd_solver="covariance_eigh").fit(normal)
    trees = IsolationForest(**setting["forest"], random_state=0).fit(normal)
    gamma = setting["one_class_svm"]["width"] / (part.shape[1] * part.var())
    svm = OneClassSVM(nu=setting["one_class_svm"]["nu"], gamma=gamma).fit(part)
    factor = LocalOutlierFactor(**setting["outlier_factor"], novelty=True, algorithm="brute")
    factor.fit(part)
    centre = MiniBatchKMeans(128, n_init=1, batch_size=1024, random_state=0).fit(normal)

    def near(points, name):
        return NearestNeighbors(**setting[name], algorithm="brute").fit(points).kneighbors

    scorers = {
        "sae": (lambda x: reconstruction_error(x, rebuild(x)), 785 * config.n_latents + 784),
        "pca": (
            lambda x: reconstruction_error(
                x, components.inverse_transform(components.transform(x))
            ),
            components.components_.size + 784,
        ),
        "neighbours": (near(normal, "neighbours"), normal.size),
        "centres": (near(centre.cluster_centers_, "centres"), 128 * 784),
        "forest": (trees.score_samples, 4 * sum(t.tree_.node_count for t in trees.estimators_)),
        "one_class_svm": (svm.score_samples, svm.support_vectors_.size),
        "outlier_factor": (factor.score_samples, part.size),
    }
    times = {name: [] for name in scorers}
    for _ in range(5):
        for name, (function, _kept) in scorers.items():
            start = time.process_time()
            function(x)
            times[name].append(time.process_time() - start)
    return {
        name: {
            "time": float(f"{np.median(times[name]) / np.median(times['sae']):.2g}"),
            "memory": float(f"{kept / scorers['sae'][1]:.2g}"),
        }
        for name, (_, kept) in scorers.items()
    }


# Nine digits normal, one anomalous


TUNING_DIGITS = (1, 4, 7, 9)  # the anomalous digits among which settings are chosen
VARIED_CONFIGS = {f"TopK({k}), 256 latents": topk(k, 256) for k in (2, 4, 8, 16)}


def nine_normal(method, digit, train, labels, x, n_train=10_000, **options):
    """Scores by a method that has seen all digits but one."""
    rows = np.random.default_rng(digit).permutation(np.flatnonzero(labels != digit))[:n_train]
    return method(train[rows], x, **options)[0]


def nine_and_one(digits):
    """AUROC of each digit as the anomaly, on every second test image."""
    found = {"validation": {}, "test": {}}
    train, x, y = prepare(digits.x_train), prepare(digits.x_val), digits.y_val
    tried = {
        **{
            name: ("sae", sae, {"config": config, "training": LONG_TRAINING})
            for name, config in VARIED_CONFIGS.items()
        },
        **{f"{q} components": ("pca", pca, {"n_components": q}) for q in (6, 10, 16)},
        **{f"{k} neighbours": ("neighbours", neighbours, {"n_neighbors": k}) for k in (1, 5)},
        **{
            f"{k} centres": ("centres", centres, {"n_clusters": 256, "n_neighbors": k})
            for k in (1, 3)
        },
    }
    chosen = {}
    for name, (family, method, options) in tried.items():
        values = []
        for digit in TUNING_DIGITS:
            scores = nine_normal(method, digit, train, digits.y_train, x, **options)
            values.append(auroc(scores[y != digit], scores[y == digit]))
        value = percent(np.mean(values))
        found["validation"].setdefault(family, []).append([name, value])
        if value == max(v for _, v in found["validation"][family]):
            chosen[family] = (method, options)
    y = digits.y_test[::2]
    for blur, inputs in ((None, "pixels"), (1.0, "prepared")):
        train, x = prepare(digits.x_train, blur), prepare(digits.x_test[::2], blur)
        size = np.sum(x**2, axis=1)
        for name, (method, options) in chosen.items():
            plain, relative = [], []
            for digit in DIGITS:
                scores = nine_normal(method, digit, train, digits.y_train, x, **options)
                if name in ("neighbours", "centres"):
                    scores = scores**2  # an error is a squared distance
                known = y != digit
                plain.append(auroc(scores[known], scores[~known]))
                relative.append(auroc((scores / size)[known], (scores / size)[~known]))
            entry = found["test"].setdefault(name, {})
            entry[inputs] = percent(plain, 1)
            if blur is None:
                entry["relative"] = percent(relative, 1)
    return found


# Fashion-MNIST against digits


def fashion(digits, clothes, chosen):
    """AUROC both ways; settings from validation images."""
    options = dict(BASELINES)
    options["pca"] = (pca, [{"n_components": q} for q in (10, 25, 50, 100)])
    options["centres"] = (centres, [{"n_clusters": 256, "n_neighbors": k} for k in (1, 3)])
    configs, found = VARIED_CONFIGS, {}
    for direction, (inside, outside) in {
        "digits normal": (digits, clothes),
        "clothes normal": (clothes, digits),
    }.items():
        normal = prepare(inside.x_train[:10_000])
        val = prepare(inside.x_val[:2000]), prepare(outside.x_val[:2000])
        test = prepare(inside.x_test), prepare(outside.x_test)
        tuned = [
            [name, percent(auroc(*sae(normal, *val, config=config, training=LONG_TRAINING)), 3)]
            for name, config in configs.items()
        ]
        entry = {"validation": {"sae": tuned}, "test": {}}
        config = configs[best(tuned)]
        for framework in FRAMEWORKS:
            entry["test"][f"sae_{framework}"] = [
                percent(auroc(*sae(normal, *test, framework=framework, config=config,
                                   training=LONG_TRAINING, seed=seed)), 3)
                for seed in SEEDS
            ]  # fmt: skip
        for name, (method, grid) in options.items():
            tuned = [[s, percent(auroc(*method(normal, *val, **s)), 3)] for s in grid]
            entry["validation"][name] = tuned
            entry["test"][name] = [percent(auroc(*method(normal, *test, **best(tuned))), 3)]
        found[direction] = entry
    return found


# A table: breast cancer


def tumours(seed):
    """Benign samples to train on, then (benign, malignant) for validation and for test."""
    table = load_breast_cancer()
    rng = np.random.default_rng(seed)
    benign = rng.permutation(table.data[table.target == 1])
    malignant = rng.permutation(table.data[table.target == 0])
    scale = StandardScaler().fit(benign[:217])
    parts = benign[:217], benign[217:287], malignant[:106], benign[287:], malignant[106:]
    return [scale.transform(part).astype(np.float32) for part in parts]


TABLE_SIZES = ((1, 10), (2, 10), (2, 40), (4, 40), (8, 40))
TABLE_TRAINING = TrainConfig(epochs=50, batch_size=32, learning_rate=2e-3, init="given")


def distance(normal, *others, seed=0):
    """Squared distance from the mean of the normal samples, which trains nothing."""
    return [np.sum((x - normal.mean(axis=0)) ** 2, axis=1) for x in others]


def table(names=None):
    """AUROC over ten splits, of some methods or all; each split chooses on its validation part."""
    grids = {
        "sae": (
            sae,
            [{"config": topk(k, m, 30), "training": TABLE_TRAINING} for k, m in TABLE_SIZES],
        ),
        "pca": (pca, [{"n_components": q} for q in (1, 2, 4, 8, 16)]),
        "neighbours": (neighbours, [{"n_neighbors": k} for k in (1, 5, 20)]),
        "forest": (forest, [{"max_samples": n} for n in (50, 200)]),
        "one_class_svm": (
            one_class_svm,
            [{"nu": nu, "width": w} for nu in (0.02, 0.1) for w in (0.1, 0.3, 1.0)],
        ),
        "outlier_factor": (outlier_factor, [{"n_neighbors": k} for k in (5, 20, 50)]),
        "distance": (distance, [{}]),
    }
    found = {}
    for name in names or grids:
        method, grid = grids[name]
        for framework in FRAMEWORKS if name == "sae" else (None,):
            more = {"framework": framework} if framework else {}
            values, chosen = [], []
            for seed in range(10):
                benign, *parts = tumours(seed)
                tuned = [
                    [setting, auroc(*method(benign, *parts[:2], seed=seed, **setting, **more))]
                    for setting in grid
                ]
                chosen.append(best(tuned))
                values.append(auroc(*method(benign, *parts[2:], seed=seed, **chosen[-1], **more)))
            found[f"{name}_{framework}" if framework else name] = {
                "auroc": percent(np.mean(values)),
                "spread_over_splits": percent(np.std(values, ddof=1)),
                "chosen": [describe(setting) for setting in chosen],
            }
    return found


def describe(setting):
    if "config" in setting:
        config = setting["config"]
        return f"TopK({config.sparsity.k}), {config.n_latents} latents"
    return setting


# Local defects


def occlusion(x, rng, size=7):
    """A grey square somewhere on the ink."""
    spoiled = x.reshape(-1, 28, 28).copy()
    for image in spoiled:
        centre = rng.choice(np.argwhere(image > 0.5))
        top, left = np.clip(centre - size // 2, 0, 28 - size)
        image[top : top + size, left : left + size] = 0.5
    return spoiled.reshape(x.shape)


def broken_stroke(x, rng, radius=3):
    """No ink within a disc around a pixel of the stroke."""
    spoiled, grid = x.reshape(-1, 28, 28).copy(), np.indices((28, 28))
    for image in spoiled:
        row, column = rng.choice(np.argwhere(image > 0.5))
        image[(grid[0] - row) ** 2 + (grid[1] - column) ** 2 <= radius**2] = 0
    return spoiled.reshape(x.shape)


DEFECTS = {
    "occlusion": occlusion,
    "salt and pepper": SaltAndPepper(0.03),
    "broken stroke": broken_stroke,
}


def smooth(maps):
    return gaussian_filter(maps.reshape(-1, 28, 28), (0, 1, 1)).reshape(maps.shape)


def pixel_auroc(maps, mask):
    """Mean over the images that have a defect of the AUROC of their pixels."""
    seen = mask.any(axis=1)
    return np.mean([roc_auc_score(m, s) for m, s in zip(mask[seen], maps[seen], strict=True)])


def localisation(rebuild, x, seed=0):
    """Percent of pixel AUROC for each defect, from the squared error as it is and smoothed."""
    rng, found = np.random.default_rng(seed), {}
    for name, defect in DEFECTS.items():
        spoiled = defect(x, rng)
        mask = np.abs(spoiled - x) > 0.1
        maps = (spoiled - rebuild(spoiled)) ** 2
        found[name] = [percent(pixel_auroc(m, mask), 1) for m in (maps, smooth(maps))]
    return found


CORRUPTIONS = {"clean": None, "salt and pepper": SaltAndPepper(0.2), "masking": Masking(0.3)}


def defects(digits, n=300):
    """Pixel AUROC; each method's setting, and its map for each defect, by validation."""
    train = prepare(digits.x_train[:10_000], None)
    val, test = prepare(digits.x_val[:n], None), prepare(digits.x_test[:n], None)
    config = topk(16, 256)
    components = PCA(30, svd_solver="covariance_eigh").fit(train)

    def denoiser(name):
        return train_sae("pytorch", train, config, LONG_TRAINING, 0, CORRUPTIONS[name])

    def linear(q):
        kept = components.components_[:q]
        return lambda x: components.mean_ + (x - components.mean_) @ kept.T @ kept

    def near(k):
        model = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(train)
        return lambda x: train[model.kneighbors(x, return_distance=False)].mean(axis=1)

    families = {
        "sae": {f"trained on {name}": denoiser(name) for name in CORRUPTIONS},
        "pca": {f"{q} components": linear(q) for q in (8, 15, 30)},
        "neighbours": {f"mean of {k}": near(k) for k in (1, 5, 20)},
        "mean image": {"": lambda x: train.mean(axis=0)},
    }
    found = {"validation": {}, "test": {}}
    for family, rebuilds in families.items():
        tried = {name: localisation(rebuild, val) for name, rebuild in rebuilds.items()}
        found["validation"][family] = tried
        name = max(tried, key=lambda name: np.mean([max(maps) for maps in tried[name].values()]))
        kinds = {defect: int(np.argmax(maps)) for defect, maps in tried[name].items()}
        maps = localisation(rebuilds[name], test, seed=1)
        found["test"][family] = {"setting": name} | {d: maps[d][k] for d, k in kinds.items()}
        if family == "sae":
            for framework in FRAMEWORKS:
                runs = []
                for seed in SEEDS:
                    corruption = CORRUPTIONS[name.removeprefix("trained on ")]
                    rebuild = train_sae(framework, train, config, LONG_TRAINING, seed, corruption)
                    maps = localisation(rebuild, test, seed=1)
                    runs.append({d: maps[d][k] for d, k in kinds.items()})
                found["test"][f"sae_{framework}"] = {d: [r[d] for r in runs] for d in DEFECTS}
    return found


def run():
    digits, clothes = mnist(flat=False, dtype="uint8"), fashion_mnist(flat=False, dtype="uint8")
    found = {
        "settings": {
            "seeds": list(SEEDS),
            "sae": "tied, unit norm; 10 epochs, batch 64, rate 0.002",
            "inputs": "blurred by a Gaussian of 1 pixel, then scaled to norm 1",
            "subsample for one-class SVM and local outlier factor": SUBSAMPLE,
        },
        "table": table(),
        "defects": defects(digits),
        "validation": choose(digits),
    }
    found["longer"] = longer(digits)
    found["settings"]["chosen"] = narrowest(found["validation"]["sae"])
    found["cost"] = cost(digits, found["validation"])
    found["one_class"] = one_class_test(digits, found["validation"])
    found["nine_and_one"] = nine_and_one(digits)
    found["fashion"] = fashion(digits, clothes, found["validation"])
    return found
