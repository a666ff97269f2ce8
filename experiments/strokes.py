"""The strokes of the front page: a small tied dictionary, stored so that a browser can encode.

What is measured and stored is the model with its dictionary rounded to 8 bits, the one that readers
use. Nothing was chosen by these numbers; `K` and `N_LATENTS` are what a screen can show.
"""

import base64

import numpy as np

from saebook import SAEConfig, TopK, TrainConfig, metrics, mnist, reference

N_LATENTS, K = 128, 12
TRAINING = {"epochs": 10, "batch_size": 128, "learning_rate": 2e-3, "decay_steps": 2000}


def config_of(n_latents=N_LATENTS, k=K):
    return SAEConfig(
        784,
        n_latents,
        "relu",
        "linear",
        sparsity=TopK(k),
        tied=True,
        unit_norm=True,
        pre_bias=False,
    )


def train(config, x, training, framework="torch"):
    """Parameters of a trained model, float64."""
    if framework == "torch":
        from saebook.pytorch import SparseAutoencoder, fit
    else:
        from saebook.tensorflow import SparseAutoencoder, fit

    model = SparseAutoencoder(config, device="cpu")
    fit(model, x, training)
    return {name: value.astype(np.float64) for name, value in model.to_numpy().items()}


def pack(array):
    """The array's bytes as text."""
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def unpack(text, dtype, shape=(-1,)):
    """What `pack` packed, float64."""
    return np.frombuffer(base64.b64decode(text), dtype).reshape(shape).astype(np.float64)


def stored_model(params):
    """A tied model as text: the dictionary in 8 bits and its scale, the biases in 32."""
    D = params["W_enc"].T
    scale = float(np.float32(np.abs(D).max() / 127))
    return {
        "scale": scale,
        "dictionary": pack(np.round(D / scale).astype("<i1")),
        "b_enc": pack(params["b_enc"].astype("<f4")),
        "b_dec": pack(params["b_dec"].astype("<f4")),
    }


def params_of(stored):
    """Parameters of a stored model, for `saebook.reference`."""
    b_dec = unpack(stored["b_dec"], "<f4")
    D = stored["scale"] * unpack(stored["dictionary"], "<i1", (-1, len(b_dec)))
    return {"W_enc": D.T, "b_enc": unpack(stored["b_enc"], "<f4"), "b_dec": b_dec}


def measure(config, params, x):
    """Error, active latents and silent latents on samples."""
    z = reference.encode(config, params, x)
    return {
        "fvu": round(float(metrics.fvu(x, reference.decode(config, params, z))), 4),
        "l0": round(float(metrics.l0(z)), 2),
        "dead": int(metrics.dead_features(z).sum()),
    }


def run():
    digits, config = mnist(), config_of()
    model = stored_model(train(config, digits.x_train, TrainConfig(**TRAINING, init="given")))
    raw = mnist(dtype="uint8")
    first = [int(np.argmax(raw.y_val == label)) for label in range(10)]
    return {
        "settings": {"n_latents": N_LATENTS, "k": K, "training": TRAINING},
        "model": model,
        "digits": pack(raw.x_val[first]),  # the first validation image of each digit
        "validation": measure(config, params_of(model), digits.x_val),
    }
