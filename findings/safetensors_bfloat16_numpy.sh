#!/usr/bin/env bash
# How safetensors gives NumPy a tensor of bfloat16.
#
# Versions:  safetensors 0.8.0, numpy 2.4.6, ml_dtypes 0.6.0, Python 3.11
# Expected:  the same for the same file and call: an array, or a SafetensorError.
# Observed:  it depends on what else the program has imported. After import ml_dtypes (or TensorFlow
#            or JAX, which import it) get_tensor gives an array of ml_dtypes.bfloat16; before, a
#            TypeError from inside, "data type 'bfloat16' not understood", which a program that
#            catches SafetensorError for damaged files lets through. Most published sparse
#            autoencoders are in bfloat16.
#
# Fails if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3.11}" -m venv env
env/bin/pip install --quiet safetensors==0.8.0 numpy==2.4.6 ml_dtypes==0.6.0
cat >look.py <<'PYTHON'
import json
import struct
import sys

from safetensors import SafetensorError, safe_open

header = json.dumps({"a": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
with open("a.safetensors", "wb") as file:
    file.write(struct.pack("<Q", len(header)) + header + bytes([128, 63, 0, 64]))
with safe_open("a.safetensors", framework="numpy") as file:
    part = file.get_slice("a")
    assert (part.get_dtype(), part.get_shape()) == ("BF16", [2])
    assert "ml_dtypes" not in sys.modules
    try:
        file.get_tensor("a")
    except Exception as error:
        print("before:", type(error).__name__, error)
        assert isinstance(error, TypeError) and not isinstance(error, SafetensorError)
    else:
        raise SystemExit("it was read")
import ml_dtypes

with safe_open("a.safetensors", framework="numpy") as file:
    found = file.get_tensor("a")
print("after import ml_dtypes:", found.dtype, found.tolist())
assert found.dtype == ml_dtypes.bfloat16 and found.tolist() == [1.0, 2.0]
PYTHON
env/bin/python look.py
