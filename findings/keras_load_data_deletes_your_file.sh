#!/usr/bin/env bash
# What keras.datasets.mnist.load_data does with a file of your own where it keeps its files, without a
# network.
#
# Versions:  keras 3.15.1, tensorflow-cpu 2.21.0, numpy 2.4.6, Python 3.11
# Expected:  a whole mnist.npz with x_train, y_train, x_test and y_test in MNIST's shapes and types,
#            put by hand into $KERAS_HOME/datasets (by default ~/.keras/datasets), as one would do for
#            a room without a network, is read; or refused for its checksum, and left alone.
# Observed:  the checksum is of the container, not of the arrays. Any other file counts as "incomplete
#            or outdated", is to be downloaded over, and, where the download fails, is DELETED. Nor
#            can another place be named: load_data(path="/data/mnist.npz") is refused, as path has to be
#            a name without a folder.
#
# The proxy is a closed port of this machine, so that the download fails at once everywhere.
# Fails if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3.11}" -m venv env
env/bin/pip install --quiet keras==3.15.1 tensorflow-cpu==2.21.0 numpy==2.4.6
cat >look.py <<'PYTHON'
import os
from pathlib import Path

import keras
import numpy as np

print("keras", keras.__version__)
path = Path(os.environ["KERAS_HOME"], "datasets", "mnist.npz")
path.parent.mkdir(parents=True)
arrays = {
    "x_train": np.zeros((60000, 28, 28), np.uint8),
    "y_train": np.zeros(60000, np.uint8),
    "x_test": np.zeros((10000, 28, 28), np.uint8),
    "y_test": np.zeros(10000, np.uint8),
}
np.savez_compressed(path, **arrays)
print("before:", path.name, "is there:", path.exists())


def load(**options):
    try:
        keras.datasets.mnist.load_data(**options)
        return "read"
    except Exception as error:
        return str(error).split(" on ")[0].split(". ")[0]


print("load_data():", ended := load())
print("after: ", path.name, "is there:", path.exists())
print("load_data(path=...):", refused := load(path=str(path)))
assert ended == "URL fetch failure", ended
assert not path.exists()
assert refused == "Paths are no longer accepted as the `fname` argument", refused
PYTHON
KERAS_HOME=$folder/keras https_proxy=http://127.0.0.1:9 HTTPS_PROXY=http://127.0.0.1:9 TF_CPP_MIN_LOG_LEVEL=3 env/bin/python look.py
