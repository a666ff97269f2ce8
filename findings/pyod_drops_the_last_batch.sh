#!/usr/bin/env bash
# How many of its samples PyOD's AutoEncoder trains on in an epoch.
#
# Versions:  pyod 3.6.7, torch 2.13.0, numpy 2.4.6, Python 3.11
# Expected:  all of them, the last batch being smaller, as in PyTorch's loader and in Keras.
# Observed:  a batch that is not full is left out. With 63 samples and the default batches of 32,
#            each epoch sees 32, chosen anew; with fewer than 32 nothing is trained, and fit ends
#            in an UnboundLocalError that names no argument. So on small sets an epoch is up to half
#            as long as on paper, and comparisons by epochs favour others.
# Seen:      40 samples: one batch of 32; 63: one of 32; 64: two; 20: UnboundLocalError
#
# Fails if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3.11}" -m venv env
env/bin/pip install --quiet torch==2.13.0 numpy==2.4.6 pyod==3.6.7 tqdm
cat >look.py <<'PYTHON'
from importlib.metadata import version

import numpy as np
from pyod.models.auto_encoder import AutoEncoder

sizes = []


class Watched(AutoEncoder):
    def training_forward(self, batch_data):
        first = batch_data[0] if isinstance(batch_data, list | tuple) else batch_data
        sizes.append(len(first))
        return super().training_forward(batch_data)


def trained_on(n_samples):
    """Sizes of the batches of one epoch, or the name of the error."""
    sizes.clear()
    x = np.random.default_rng(0).normal(size=(n_samples, 5))
    try:
        Watched(epoch_num=1, verbose=0).fit(x)
    except Exception as error:
        return type(error).__name__
    return list(sizes)


print("pyod", version("pyod"))
found = {n: trained_on(n) for n in (64, 63, 40, 20)}
print(found)
assert version("pyod") == "3.6.7"
assert found == {64: [32, 32], 63: [32], 40: [32], 20: "UnboundLocalError"}, found
PYTHON
env/bin/python look.py
