#!/usr/bin/env bash
# What PyOD's AutoEncoder does to the random numbers of the program that uses it.
#
# Versions:  pyod 3.6.7, torch 2.13.0, numpy 2.4.6, Python 3.11
# Expected:  nothing: random_state is a setting of the detector, as in scikit-learn, where an
#            integer makes a generator of its own.
# Observed:  a detector that is made starts the random numbers of NumPy, PyTorch and Python anew,
#            from 42 unless told otherwise. So an experiment that draws its next split, noise or
#            seed from them once a detector was made draws the same each time: its repetitions are
#            none.
# Seen:      splits drawn in three rounds, each followed by a detector: the second and the third
#            are equal, and so are PyTorch's and Python's numbers. With scikit-learn's
#            IsolationForest(random_state=42) all three differ
#
# Fails if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3.11}" -m venv env
env/bin/pip install --quiet torch==2.13.0 numpy==2.4.6 pyod==3.6.7 tqdm
cat >look.py <<'PYTHON'
import random
from importlib.metadata import version

import numpy as np
import torch
from pyod.models.auto_encoder import AutoEncoder
from sklearn.ensemble import IsolationForest

X = np.random.default_rng(0).normal(size=(100, 5)).astype("float32")


def rounds(make):
    """What three repetitions of an experiment draw before each trains a detector."""
    drawn = []
    for _ in range(3):
        split = np.random.permutation(len(X)).tolist()
        drawn.append((split, torch.rand(1).item(), random.random()))
        make()
    return drawn


print("pyod", version("pyod"))
np.random.seed(0), torch.manual_seed(0), random.seed(0)
first, second, third = rounds(lambda: AutoEncoder(epoch_num=1, verbose=0))
print("made, not fitted:", [row[0][:4] for row in (first, second, third)])
fitted = rounds(lambda: AutoEncoder(epoch_num=1, verbose=0).fit(X))
print("made and fitted: ", [row[0][:4] for row in fitted])
forest = rounds(lambda: IsolationForest(random_state=42).fit(X))
print("scikit-learn:    ", [row[0][:4] for row in forest])
assert version("pyod") == "3.6.7"
assert first != second and second == third, (first, second, third)
np.random.seed(42)
assert second[0] == np.random.permutation(len(X)).tolist()
assert fitted[1][0] == fitted[2][0]
assert len({tuple(row[0]) for row in forest}) == 3
PYTHON
env/bin/python look.py
