#!/usr/bin/env bash
# What safetensors.numpy.save writes of a transposed array.
#
# Versions:  safetensors 0.8.0, numpy 2.4.6, Python 3.11
# Expected:  the array, or an error as safetensors.torch gives for tensors that do not lie in one
#            piece.
# Observed:  other numbers under the right shape: the memory as it lies. [[0, 3], [1, 4], [2, 5]]
#            comes back as [[0, 1], [2, 3], [4, 5]], without a word. Weights turned with .T on the
#            way from one package's orientation to another's are the usual case.
#
# Fails if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3.11}" -m venv env
env/bin/pip install --quiet safetensors==0.8.0 numpy==2.4.6
cat >look.py <<'PYTHON'
import numpy as np
import safetensors
from safetensors.numpy import load, save

print("safetensors", safetensors.__version__, "numpy", np.__version__)
a = np.arange(6.0).reshape(2, 3).T
back = load(save({"a": a}))["a"]
print("given", a.tolist(), "read", back.tolist())
assert back.shape == a.shape
assert back.tolist() == [[0, 1], [2, 3], [4, 5]]
assert load(save({"a": np.ascontiguousarray(a)}))["a"].tolist() == a.tolist()
PYTHON
env/bin/python look.py
