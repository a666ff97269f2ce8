#!/usr/bin/env bash
# Which of equal numbers torch.topk keeps, on a CPU.
#
# Versions:  torch 2.13.0, Python 3.11
# Expected:  the first ones, as TensorFlow and ONNX say of their top-k, or at least the same places
#            whatever the width.
# Observed:  neither. Of four ones the two largest are numbers 2 and 3, of eight 6 and 5, of twenty
#            12 and 14, of forty 28 and 26. The documentation promises nothing for ties; but two
#            models with equal latents then have other codes in PyTorch than anywhere else, and a
#            checkpoint other ones after padding.
#
# Fails if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3.11}" -m venv env
env/bin/pip install --quiet torch==2.13.0 numpy==2.4.6
cat >look.py <<'PYTHON'
import torch

print("torch", torch.__version__)
found = {n: torch.topk(torch.ones(n), 2).indices.tolist() for n in (4, 8, 20, 40)}
print(found)
assert torch.__version__.startswith("2.13.0")
assert all(places != [0, 1] for places in found.values()), found
assert found == {4: [2, 3], 8: [6, 5], 20: [12, 14], 40: [28, 26]}, found
PYTHON
env/bin/python look.py
