"""A look inside each model of "error against active latents": its dictionary, one digit, its code.

The models are the runs of experiments/modern.py, PyTorch, first seed. Pictures are rounded to 15
levels, so that a page can carry them; codes and errors are not.
"""

import base64
import zlib

import numpy as np

from experiments import modern
from saebook import metrics, reference

ROWS, STROKES = 24, 16  # rows of the dictionary, those most often in use; strokes of the digit
LABEL = 3  # the digit is the first validation image of this label


def pack_pictures(values, signed):
    """Pictures (n, 784) in levels: from -7 to 7, each on its own scale; else from 0 to 14."""
    size = np.abs(values).max(axis=1, keepdims=True) if signed else 1
    levels = np.round((7 if signed else 14) * values / np.where(size == 0, 1, size))
    levels = np.clip(levels, -7 if signed else 0, 7 if signed else 14).astype("i1")
    return base64.b64encode(zlib.compress(levels.tobytes(), 9)).decode()


def unpack_pictures(text):
    """What `pack_pictures` packed, as levels (n, 784)."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), "i1").reshape(-1, 784)


def inside(config, params):
    """What a page shows of one model."""
    digits = modern.digits()
    z = modern.encoded(config, params, digits.x_val)
    digit = int(np.argmax(digits.y_val == LABEL))
    D = reference.dictionary(config, params)
    order = np.argsort(-z[digit], kind="stable")
    active = order[: np.count_nonzero(z[digit])]
    x_hat = reference.decode(config, params, z[digit : digit + 1])
    used = np.argsort(-(z > 0).mean(axis=0), kind="stable")[:ROWS]
    return {
        "l0": round(float(metrics.l0(z)), 2),
        "fvu": round(float(metrics.fvu(digits.x_val, reference.decode(config, params, z))), 4),
        "dictionary": pack_pictures(D[used], True),
        "code": [[int(j), round(float(z[digit, j]), 3)] for j in active],
        "strokes": pack_pictures(D[active[:STROKES]], True),
        "x_hat": pack_pictures(x_hat, False),
    }


def run():
    digits = modern.digits()
    digit = int(np.argmax(digits.y_val == LABEL))
    return {
        "settings": {"rows": ROWS, "strokes": STROKES, "label": LABEL},
        "digit": pack_pictures(digits.x_val[digit : digit + 1], False),
        "models": {
            kind: {str(setting): inside(*modern.model_of(kind, setting)) for setting in settings}
            for kind, settings in modern.SETTINGS.items()
        },
    }
