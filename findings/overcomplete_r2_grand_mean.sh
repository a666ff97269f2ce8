#!/usr/bin/env bash
# What overcomplete's r2_score compares a reconstruction with.
#
# Versions:  overcomplete 0.3.0, torch 2.13.0, matplotlib 3.8.4, Python 3.11
# Expected:  0 for a reconstruction that is the mean of the samples: "a score of 0 indicates that
#            the reconstruction is as good as the mean", says its documentation.
# Observed:  0.99 on samples whose features have means 0 and 10 and variance 0.25. The total is
#            taken about one mean of all numbers, features together, so that differences between the
#            features' means count as explained.
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
from overcomplete.metrics import r2_score

torch.manual_seed(0)
x = torch.tensor([0.0, 10.0]) + 0.5 * torch.randn(1000, 2)
mean = x.mean(0).expand_as(x)
usual = 1 - ((x - mean) ** 2).sum() / ((x - x.mean(0)) ** 2).sum()
print("r2_score", round(float(r2_score(x, mean)), 2), "about each feature's mean", float(usual))
assert r2_score(x, mean) > 0.98
assert abs(usual) < 1e-6
PYTHON
env/bin/python look.py
