#!/usr/bin/env bash
# What top_k of overcomplete's BatchTopKSAE counts.
#
# Versions:  overcomplete 0.3.0, torch 2.13.0, matplotlib 3.8.4, Python 3.11
# Expected:  top_k latents per sample on average, so 128 active entries in a batch of 32 samples
#            with top_k=4, as in the paper it names (Bussmann et al. 2024).
# Observed:  4 in the whole batch: top_k counts the entries of all samples together, so the same
#            number means another sparsity with every batch size, and the default (a tenth of the
#            latents) leaves most samples with no latent at all. The threshold of a trained model is
#            not in its state_dict either: a model that was saved and loaded refuses to encode.
#
# Fails if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3.11}" -m venv env
env/bin/pip install --quiet torch==2.13.0 numpy==2.4.6 einops==0.8.2 scipy==1.17.1 scikit-learn==1.9.1 scikit-image opencv-python-headless matplotlib==3.8.4 tqdm
env/bin/pip install --quiet --no-deps overcomplete==0.3.0
cat >look.py <<'PYTHON'
import sys
from unittest.mock import MagicMock

for name in ("torchvision", "timm"):  # its models of images need them, its autoencoders do not
    sys.modules[name] = MagicMock()

import torch
from overcomplete.sae import BatchTopKSAE

torch.manual_seed(0)
model = BatchTopKSAE(8, 16, top_k=4).train()
x = torch.randn(32, 8)
z = model(x)[1]
print("active entries", int((z > 0).sum()), "samples without any", int((z == 0).all(1).sum()))
assert int((z > 0).sum()) == 4
assert model.running_threshold > 0
assert not [name for name in model.state_dict() if "threshold" in name]
loaded = BatchTopKSAE(8, 16, top_k=4)
loaded.load_state_dict(model.state_dict())
try:
    loaded.eval().encode(x)
except AssertionError as error:
    print("loaded:", error)
    assert "Running threshold is not initialized" in str(error)
else:
    raise SystemExit("the loaded model encodes")
PYTHON
env/bin/python look.py
