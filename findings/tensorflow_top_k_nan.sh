#!/usr/bin/env bash
# What tf.math.top_k does with NaN, on a CPU.
#
# Versions:  tensorflow-cpu 2.21.0, numpy 2.4.6, Python 3.11
# Expected:  one rule, whichever: NaN as the largest of all (as torch.topk has it), or never chosen
#            while there are numbers; and the k largest as the first k of the k + 1 largest.
# Observed:  neither, and the values are not even in falling order. Of [1, NaN, 3, -1, 2] the largest
#            is 3, the two largest are NaN and 3. Of [0, 9, NaN, 7, 9] the two largest are 9 and 9, the
#            three largest 9, NaN, 9, and all five come as 9, 0, NaN, 9, 7. So a model that keeps k
#            latents hides a NaN or shows it, and may keep a small latent for a large one, depending
#            on k and on the row. The documentation says that values are sorted, and nothing of NaN.
#
# Fails if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3.11}" -m venv env
env/bin/pip install --quiet tensorflow-cpu==2.21.0 numpy==2.4.6
cat >look.py <<'PYTHON'
import numpy as np
import tensorflow as tf

print("tensorflow", tf.__version__)
rows = {"first": [1, np.nan, 3, -1, 2], "second": [0, 9, np.nan, 7, 9]}
found = {}
for name, row in rows.items():
    for k in (1, 2, 3, 5):
        values = tf.math.top_k(tf.constant([row], tf.float32), k).values.numpy()[0].tolist()
        found[name, k] = str(values)
        print(name, row, "k =", k, values)
assert found == {
    ("first", 1): "[3.0]",
    ("first", 2): "[nan, 3.0]",
    ("first", 3): "[nan, 3.0, 2.0]",
    ("first", 5): "[3.0, 1.0, nan, 2.0, -1.0]",
    ("second", 1): "[9.0]",
    ("second", 2): "[9.0, 9.0]",
    ("second", 3): "[9.0, nan, 9.0]",
    ("second", 5): "[9.0, 0.0, nan, 9.0, 7.0]",
}, found
PYTHON
TF_CPP_MIN_LOG_LEVEL=3 env/bin/python look.py
