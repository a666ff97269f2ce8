#!/usr/bin/env bash
# A concrete function whose Python function has an argument with a default that is not given.
#
# Versions:  tensorflow-cpu 2.21.0, NumPy 2.4.6, Python 3.11
# Expected:  `graph = function.get_concrete_function()` binds what it is called with, as `function` does:
#            a default that is left out costs nothing.
# Observed:  the right result, but each call fails to bind first. The message of that error, which
#            nobody sees, holds all inputs as text; then they are bound in another way. Calls of 1,000
#            numbers format 3 tensors each and take several times as long as calls that give the
#            default's value.
#
# Seen:      function: 0 tensors as text, 0.69 ms a call; default given: 0, 0.27 ms; left out: 3, 4.74 ms.
#
# Fails if that has changed. Times are printed and not compared.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3.11}" -m venv env
env/bin/pip install --quiet numpy==2.4.6 tensorflow-cpu==2.21.0
cat >look.py <<'PYTHON'
import time

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import ops


def total(a, b, x, more=None):
    return a + b + tf.reduce_sum(x if more is None else x + more)


number, rows = tf.TensorSpec([]), tf.TensorSpec([None, 10])
function = tf.function(total, input_signature=[number, number, rows], autograph=False)
graph = function.get_concrete_function()
inputs = tf.constant(1.0), tf.constant(2.0), tf.ones((100, 10))

written = 0
text_of = ops.value_text


def counted(*args, **kwargs):
    global written
    written += 1
    return text_of(*args, **kwargs)


ops.value_text = counted
print("tensorflow", tf.__version__, "NumPy", np.__version__)
found = {}
for name, call in (
    ("function", lambda: function(*inputs)),
    ("concrete, default given", lambda: graph(*inputs, None)),
    ("concrete, default left out", lambda: graph(*inputs)),
):
    written = 0
    assert float(call()) == 1003
    found[name] = written
    start = time.perf_counter()
    for _ in range(200):
        call()
    print(f"{name}: {found[name]} tensors as text, {(time.perf_counter() - start) * 5:.2f} ms a call")
assert found == {
    "function": 0,
    "concrete, default given": 0,
    "concrete, default left out": 3,
}, found
PYTHON
TF_CPP_MIN_LOG_LEVEL=3 env/bin/python look.py 2>/dev/null
