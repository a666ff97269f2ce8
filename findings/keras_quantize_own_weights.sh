#!/usr/bin/env bash
# Model.quantize of a Keras model that has weights of its own and no layers.
#
# Versions:  keras 3.15.1, tensorflow-cpu 2.21.0, Python 3.11
# Expected:  an error that this model has nothing Keras can quantise (Layer.quantize of a custom layer
#            raises NotImplementedError, and says so), or the model left as it is.
# Observed:  a RecursionError: the model takes itself for the only layer it holds and asks it to
#            quantise itself. A model of one Dense layer is quantised; a custom layer inside a model is
#            passed over with a warning.
#
# Fails if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3.11}" -m venv env
env/bin/pip install --quiet keras==3.15.1 tensorflow-cpu==2.21.0
cat >look.py <<'PYTHON'
import keras
import numpy as np


class OwnLayer(keras.layers.Layer):
    def build(self, shape):
        self.w = self.add_weight(shape=(shape[-1], 2), name="w")

    def call(self, x):
        return x @ self.w


class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.w = self.add_weight(shape=(4, 2), name="w")

    def call(self, x):
        return x @ self.w


def around(layer):
    x = keras.Input((4,))
    return keras.Model(x, layer(x))


print("keras", keras.__version__)
found = {}
for name, model in (
    ("one Dense layer", around(keras.layers.Dense(2))),
    ("one custom layer", around(OwnLayer())),
    ("weights of its own", Own()),
):
    model(np.zeros((1, 4), "float32"))
    try:
        model.quantize("int8")
        found[name] = "ends"
    except Exception as error:
        found[name] = type(error).__name__
    print(name, found[name])
assert found == {
    "one Dense layer": "ends",
    "one custom layer": "ends",
    "weights of its own": "RecursionError",
}, found
PYTHON
TF_CPP_MIN_LOG_LEVEL=3 env/bin/python look.py
