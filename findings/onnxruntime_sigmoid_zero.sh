#!/usr/bin/env bash
# What ONNX Runtime's Sigmoid gives for small numbers, in float32 on a CPU.
#
# Versions:  onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6, Python 3.11
# Expected:  1.5e-8 at -18 and 9.4e-14 at -30, which float32 holds with seven digits, as NumPy,
#            PyTorch and TensorFlow give them.
# Observed:  exactly 0 at -18 and below; at -17 8.9e-8, which is twice the true 4.1e-8. The
#            logarithm of a code, as in a KL penalty, is then minus infinity, and latents that were
#            faint are silent.
#
# Fails if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3.11}" -m venv env
env/bin/pip install --quiet onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cat >look.py <<'PYTHON'
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

x = np.array([[-30, -20, -18, -17, -5]], np.float32)
ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 5]) for name in "xy"]
node = helper.make_node("Sigmoid", ["x"], ["y"])
graph = helper.make_graph([node], "g", ends[:1], ends[1:])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
session = onnxruntime.InferenceSession(
    model.SerializeToString(), providers=["CPUExecutionProvider"]
)
(found,) = session.run(None, {"x": x})
true = 1 / (1 + np.exp(-x.astype(np.float64)))
print("onnxruntime", onnxruntime.__version__, "onnx", onnx.__version__)
print("x      ", x[0].tolist())
print("found  ", found[0].tolist())
print("true   ", true[0].tolist())
assert (found[0, :3] == 0).all()
assert (true[0, :3].astype(np.float32) > 0).all()
assert found[0, 3] > 1.5 * true[0, 3]
assert abs(found[0, 4] / true[0, 4] - 1) < 1e-4
PYTHON
env/bin/python look.py
