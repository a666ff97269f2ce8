"""Denoising digits: our models beside tuned and corrected filters, several noises, a classifier.

Every choice (a filter's settings, its intensity correction) is made on training images. Penalties
are compared on validation images, everything else is reported on test images.
"""

import time
from importlib.util import find_spec
from itertools import product

import numpy as np
from scipy.ndimage import gaussian_filter, median_filter
from skimage.restoration import (
    cycle_spin,
    denoise_nl_means,
    denoise_tv_chambolle,
    denoise_wavelet,
)
from sklearn.isotonic import IsotonicRegression
from sklearn.neural_network import MLPClassifier

from saebook import KL, L1, SAEConfig, TopK, TrainConfig, metrics, mnist
from saebook.corruption import GaussianNoise, Masking, SaltAndPepper
from saebook.pytorch import SparseAutoencoder, encode, fit, reconstruct

LEVELS = (0.1, 0.2, 0.4, 0.6, 0.8)
PAGE = {"n_latents": 1000, "stages": [(4, 3e-3), (2, 4e-4)]}
LONG = {"n_latents": 2000, "stages": [(10, 2e-3), (3, 3e-4), (2, 5e-5)]}
SHORT = {"n_latents": 500, "stages": [(3, 3e-3), (1, 4e-4)]}
FIVEFOLD = {"n_latents": 500, "stages": [(15, 3e-3), (5, 4e-4)]}
N_FILTER = 200  # training images to fit a filter's correction, and as many to choose its settings
N_SUBSET = 1000  # test images for what is slow
BM3D_TUNING, BM3D_TEST = 30, 100


def fresh(corruption, x, seed):
    """A corrupted copy of the samples, from a seed that no training uses."""
    return corruption(x, np.random.default_rng([seed, 2_000]))


def train(x, corruption, n_latents, stages, seed=0, batch_size=256, **options):
    """A denoiser, trained on centred inputs; the centre is then folded into the encoder's bias."""
    options = {"activation": "relu", "reconstruction": "bce"} | options
    model = SparseAutoencoder(SAEConfig(x.shape[1], n_latents, **options), seed=seed, device="cpu")
    centre = corruption(x, np.random.default_rng([seed, 1_000])).mean(axis=0)
    for stage, (epochs, learning_rate) in enumerate(stages):
        fit(
            model,
            x,
            TrainConfig(epochs, batch_size, learning_rate, seed=10 * seed + stage, init="given"),
            corruption=lambda batch, rng: corruption(batch, rng) - centre,
            progress=False,
        )
    params = model.to_numpy()
    params["b_enc"] -= centre @ params["W_enc"]
    return model.from_numpy(params)


class LinearMMSE:
    """The best affine denoiser for squared error, from the training images' covariances."""

    def __init__(self, x, corruption, seed=0):
        noisy = fresh(corruption, x, seed)
        self.mean, self.noisy_mean = x.mean(axis=0), noisy.mean(axis=0)
        noisy = noisy - self.noisy_mean
        own, cross = noisy.T @ noisy, noisy.T @ (x - self.mean)
        ridge = 1e-6 * len(x) * np.eye(len(own))
        self.matrix = np.linalg.solve((own + ridge).astype(float), cross.astype(float))
        self.matrix = self.matrix.astype(np.float32)

    def __call__(self, noisy):
        return (noisy - self.noisy_mean) @ self.matrix + self.mean


def correction(filtered, clean):
    """The rising function of a filtered pixel that is closest to the clean one."""
    line = IsotonicRegression(out_of_bounds="clip").fit(filtered.ravel(), clean.ravel())
    return lambda y: line.predict(y.ravel()).reshape(y.shape).astype(np.float32)


def per_image(function):
    """A filter of one 28 x 28 picture as one of rows of pixels."""
    return lambda x: np.stack([function(i).ravel() for i in x.reshape(-1, 28, 28)]).astype("f4")


def wavelet(image, name, threshold, levels):
    """Soft wavelet shrinkage, averaged over shifts of the picture."""
    options = {"wavelet": name, "sigma": threshold, "wavelet_levels": levels}
    options |= {"method": "VisuShrink", "rescale_sigma": False}
    return cycle_spin(image, denoise_wavelet, 3, func_kw=options, workers=1)


def filter_candidates():
    """The settings to try for each kind of filter, and how to make the filter from them."""
    return {
        "median": (median_filter, [{"size": n} for n in (2, 3, 4, 5)]),
        "Gaussian": (gaussian_filter, [{"sigma": s} for s in (0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.3)]),
        "total variation": (
            denoise_tv_chambolle,
            [{"weight": w} for w in (0.1, 0.15, 0.2, 0.25, 0.3, 0.4)],
        ),
        "wavelet": (
            wavelet,
            [
                {"name": name, "threshold": t, "levels": n}
                for name, t, n in product(("db1", "db2"), (0.2, 0.3, 0.5, 0.8), (1, 2))
            ],
        ),
        "non-local means": (
            denoise_nl_means,
            [
                {"patch_size": size, "h": h, "patch_distance": 7, "fast_mode": False}
                for size, h in product((5, 7), (0.2, 0.25, 0.3, 0.35))
            ],
        ),
    }


def make_filter(kind, settings):
    """The filter of rows of pixels that a kind and its settings describe."""
    function = bm3d if kind == "BM3D" else filter_candidates()[kind][0]
    return per_image(lambda image: function(image, **settings))


def bm3d(image, sigma):
    """BM3D of its authors, if it is installed; its licence excludes commercial use."""
    from bm3d import bm3d as original

    return original(image.astype(float), sigma)


def tuned_filter(kind, settings, x, corruption, n=N_FILTER, seed=0):
    """The best of the settings on training images, with the correction fitted on others."""
    noisy = fresh(corruption, x[: 2 * n], seed)
    best = None
    for candidate in settings:
        run_filter = make_filter(kind, candidate)
        mend = correction(run_filter(noisy[:n]), x[:n])
        score = metrics.psnr(x[n : 2 * n], mend(run_filter(noisy[n:])))
        if best is None or score > best[0]:
            best = (score, candidate, run_filter, mend)
    return best[1:]


def scores(clean, restored, with_ssim=True):
    """PSNR and, where wanted, SSIM, rounded."""
    found = {"psnr": round(metrics.psnr(clean, restored), 3)}
    if with_ssim:
        found["ssim"] = round(metrics.ssim(clean, np.clip(restored, 0, 1)), 3)
    return found


def seconds_per_image(function, x):
    start = time.process_time()
    function(x)
    return (time.process_time() - start) / len(x)


def baselines(digits, corruption, noisy):
    """The filters, each with and without its correction, on the first test images."""
    clean = digits.x_test
    few, few_noisy = clean[:N_SUBSET], noisy[:N_SUBSET]
    found = {
        "noisy image": {"subset": scores(few, few_noisy)},
        "mean image": {
            "subset": scores(few, np.broadcast_to(digits.x_train.mean(axis=0), few.shape))
        },
    }
    kinds = {kind: settings for kind, (_, settings) in filter_candidates().items()}
    if find_spec("bm3d"):
        kinds["BM3D"] = [{"sigma": sigma} for sigma in (0.15, 0.2, 0.3, 0.4)]
    for kind, settings in kinds.items():
        n, m = (BM3D_TUNING, BM3D_TEST) if kind == "BM3D" else (N_FILTER, N_SUBSET)
        chosen, run_filter, mend = tuned_filter(kind, settings, digits.x_train, corruption, n)
        filtered = run_filter(few_noisy[:m])
        found[kind] = {
            "settings": chosen,
            "n_test": m,
            "uncorrected": scores(few[:m], filtered, with_ssim=False),
            "subset": scores(few[:m], mend(filtered)),
            "seconds": seconds_per_image(lambda x, f=run_filter, c=mend: c(f(x)), few_noisy[:m]),
        }
        if kind in ("median", "Gaussian"):
            found[kind]["full"] = scores(clean, mend(run_filter(noisy)))
    linear = LinearMMSE(digits.x_train, corruption)
    found["linear MMSE"] = {
        "subset": scores(few, linear(few_noisy)),
        "full": scores(clean, linear(noisy)),
        "seconds": seconds_per_image(linear, noisy),
    }
    return found


def classifier(x, y, corruption=None, seed=0):
    """A small network of scikit-learn's trained on clean digits or on spoiled ones."""
    network, rng = (
        MLPClassifier((200,), batch_size=200, random_state=seed),
        np.random.default_rng(3),
    )
    for _ in range(6):
        seen = x if corruption is None else corruption(x, rng)
        network.partial_fit(seen, y, classes=np.arange(10))
    return network


def verdicts(network, x, truth):
    """Share read rightly, and shares read wrongly with much and with little confidence."""
    sure = network.predict_proba(np.clip(x, 0, 1))
    wrong = sure.argmax(axis=1) != truth
    return {
        "right": round(float(1 - wrong.mean()), 4),
        "wrong and sure": round(float((wrong & (sure.max(axis=1) > 0.9)).mean()), 4),
    }


def levels(digits):
    """Models for one level each and one for all, on every level; beside filter and linear MMSE."""
    x, clean = digits.x_train, digits.x_test
    models = {str(sigma): train(x, GaussianNoise(sigma), **SHORT) for sigma in LEVELS}
    models["all"] = train(x, GaussianNoise((0.05, 0.85)), **SHORT)
    reader = classifier(x, digits.y_train)
    table, read = {}, {"clean": verdicts(reader, clean, digits.y_test)}
    for sigma in LEVELS:
        corruption = GaussianNoise(sigma)
        noisy = fresh(corruption, clean, 1)
        settings = [{"sigma": s} for s in (0.3, 0.4, 0.5, 0.7, 0.9, 1.1, 1.3, 1.5)]
        _, smooth, mend = tuned_filter("Gaussian", settings, x, corruption)
        restored = {"noisy": noisy, "Gaussian": mend(smooth(noisy))}
        restored["linear MMSE"] = LinearMMSE(x, corruption)(noisy)
        restored |= {name: reconstruct(model, noisy) for name, model in models.items()}
        table[str(sigma)] = {
            name: scores(clean, y, with_ssim=False)["psnr"] for name, y in restored.items()
        }
        wanted = ("noisy", "Gaussian", "linear MMSE", str(sigma))
        read[str(sigma)] = {
            name: verdicts(reader, restored[name], digits.y_test) for name in wanted
        }
        if sigma in (0.4, 0.8):
            on_noisy = classifier(x, digits.y_train, corruption)
            read[str(sigma)]["trained on noisy digits"] = verdicts(on_noisy, noisy, digits.y_test)
    return table, read, models["0.4"]


KINDS = {
    "Gaussian 0.4": GaussianNoise(0.4),
    "salt and pepper 0.3": SaltAndPepper(0.3),
    "masking 0.5": Masking(0.5),
}


def any_kind(x, rng):
    """Each sample spoiled in one of the three ways, drawn by chance."""
    which = rng.integers(len(KINDS), size=(len(x), 1))
    return np.choose(which, [corruption(x, rng) for corruption in KINDS.values()])


def kinds(digits, gaussian):
    """Models for one kind of noise each and one for all three, on every kind."""
    x, clean = digits.x_train, digits.x_test
    models = {"Gaussian 0.4": gaussian}
    for name in ("salt and pepper 0.3", "masking 0.5"):
        models[name] = train(x, KINDS[name], **SHORT)
    models["all three"] = train(x, any_kind, **SHORT)
    table = {}
    for name, corruption in KINDS.items():
        noisy = fresh(corruption, clean, 1)
        settings = [{"size": n} for n in (2, 3, 5)]
        _, median, mend = tuned_filter("median", settings, x, corruption)
        restored = {"noisy": noisy, "median": mend(median(noisy))}
        restored["linear MMSE"] = LinearMMSE(x, corruption)(noisy)
        restored |= {trained: reconstruct(model, noisy) for trained, model in models.items()}
        table[name] = {key: round(metrics.psnr(clean, y), 3) for key, y in restored.items()}
    return table


SIGMOID = {"activation": "sigmoid"}
PENALTIES = {
    "none, ReLU": {},
    "none, sigmoid": SIGMOID,
    **{f"KL {beta}, sigmoid": SIGMOID | {"sparsity": KL(0.05, beta)} for beta in (0.1, 1.0)},
    **{f"L1 {weight}, ReLU": {"sparsity": L1(weight)} for weight in (0.01, 0.1)},
    **{f"TopK {k}, ReLU": {"sparsity": TopK(k)} for k in (50, 200)},
}
DATA_SIZES = {"55000": SHORT["stages"], "2000": [(40, 3e-3), (10, 4e-4)]}


def penalty_point(digits, name, n, seed=0, stages=None):
    """PSNR and active latents on validation images after training with a penalty on n images."""
    corruption = GaussianNoise(0.4)
    stages = stages or DATA_SIZES[str(n)]
    model = train(digits.x_train[:n], corruption, 500, stages, seed, **PENALTIES[name])
    noisy = fresh(corruption, digits.x_val, 1)
    code = encode(model, noisy)
    return {
        "psnr": round(metrics.psnr(digits.x_val, reconstruct(model, noisy)), 3),
        "l0": round(metrics.l0(code, model.config.active_above), 1),
    }


def ours(digits, noisy):
    """The model of the page from three seeds, and a larger one trained for longer."""
    found, few = {}, slice(N_SUBSET)
    for name, settings, seeds in (("page", PAGE, (0, 1, 2)), ("long", LONG, (0,))):
        for seed in seeds:
            start = time.process_time()
            model = train(digits.x_train, GaussianNoise(0.4), seed=seed, **settings)
            took, restored = time.process_time() - start, reconstruct(model, noisy)
            found[f"{name}, seed {seed}"] = {
                "training_cpu_seconds": round(took),
                "subset": scores(digits.x_test[few], restored[few]),
                "full": scores(digits.x_test, restored, with_ssim=seed == 0),
                "seconds": seconds_per_image(lambda x, m=model: reconstruct(m, x), noisy),
            }
    return found


def penalties(digits):
    """Every penalty after training on all images and on few."""
    return {
        size: {name: penalty_point(digits, name, int(size)) for name in PENALTIES}
        for size in DATA_SIZES
    }


def longer(digits):
    """What a training of five times the epochs changes: penalties, and models of their own level.

    Those of the levels are scored on test images under the noise that `levels` has.
    """
    stages, x, clean, psnr = FIVEFOLD["stages"], digits.x_train, digits.x_test, {}
    for sigma in LEVELS:
        noisy = fresh(GaussianNoise(sigma), clean, 1)
        model = train(x, GaussianNoise(sigma), **FIVEFOLD)
        psnr[str(sigma)] = scores(clean, reconstruct(model, noisy), with_ssim=False)["psnr"]
    return {
        "levels": psnr,
        "penalties": {
            name: penalty_point(digits, name, len(x), stages=stages) for name in PENALTIES
        },
    }


def run():
    digits = mnist()
    noisy = fresh(GaussianNoise(0.4), digits.x_test, 1)
    filters, models = baselines(digits, GaussianNoise(0.4), noisy), ours(digits, noisy)
    unit = models["page, seed 0"]["seconds"]
    for row in (*filters.values(), *models.values()):
        if "seconds" in row:
            row["time_ratio"] = float(f"{row.pop('seconds') / unit:.1g}")
    by_level, read, gaussian = levels(digits)
    return {
        "settings": {
            "noise": "Gaussian, clipped to [0, 1]; sigma 0.4 where nothing else is said",
            "page": PAGE,
            "long": LONG,
            "short": SHORT,
            "fivefold": FIVEFOLD,
            "batch_size": 256,
            "seeds": "training 0 (page: 0, 1, 2), noise on test images 1",
            "images to fit a correction, and as many to choose settings": N_FILTER,
            "test images in a subset": N_SUBSET,
        },
        "filters": filters,
        "ours": models,
        "levels": by_level,
        "kinds": kinds(digits, gaussian),
        "penalties": penalties(digits),
        "longer": longer(digits),
        "verdicts": read,
    }
