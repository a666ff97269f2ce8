#!/usr/bin/env bash
# A Keras model as the second argument of TFLiteConverter.from_concrete_functions.
#
# Versions:  tensorflow-cpu 2.21.0, keras 3.15.1, numpy 2.4.6, Python 3.11
# Expected:  the documentation asks for the object that owns the variables, so that none is collected
#            while they are needed; given the model, the file holds its weights, as it does when given
#            the function.
# Observed:  given the Keras model, the file of a layer of 131,072 bytes of weights has under 2,000
#            bytes. It is converted without a word, loads, and runs; its output is not the model's (it
#            was NaN here). Given the tf.function instead, the same graph is written whole and gives the
#            same numbers. A functional model of one Dense layer and a subclass with a weight of its own
#            behave alike.
#
# Fails if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3.11}" -m venv env
env/bin/pip install --quiet tensorflow-cpu==2.21.0 keras==3.15.1 numpy==2.4.6
cat >look.py <<'PYTHON'
import keras
import numpy as np
import tensorflow as tf


class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.w = self.add_weight(shape=(64, 512), name="w")

    def call(self, x):
        return x @ self.w


def dense():
    x = keras.Input((64,))
    return keras.Model(x, keras.layers.Dense(512)(x))


print("tensorflow", tf.__version__, "keras", keras.__version__)
x = np.random.default_rng(0).random((3, 64), "float32")
for name, model in (("a weight of its own", Own()), ("one Dense layer", dense())):
    wanted = model(x).numpy()
    function = tf.function(model.call, input_signature=[tf.TensorSpec([None, 64])], autograph=False)
    for what, owner in (("the model", model), ("the function", function)):
        graph = function.get_concrete_function()
        file = tf.lite.TFLiteConverter.from_concrete_functions([graph], owner).convert()
        runtime = tf.lite.Interpreter(model_content=file)
        runtime.resize_tensor_input(0, x.shape)
        runtime.allocate_tensors()
        runtime.set_tensor(runtime.get_input_details()[0]["index"], x)
        runtime.invoke()
        found = runtime.get_tensor(runtime.get_output_details()[0]["index"])
        same = np.allclose(found, wanted, atol=1e-4)
        print(f"{name}, given {what}: {len(file)} bytes, the model's numbers: {same}")
        assert same == (owner is function)
        assert (len(file) < 2000) == (owner is model)
PYTHON
TF_CPP_MIN_LOG_LEVEL=3 env/bin/python look.py
