#!/usr/bin/env bash
# What TensorFlow's CSR matrix holds of a SparseTensor whose entries are not in the order of rows, or
# that names a place twice, on a CPU.
#
# Versions:  tensorflow-cpu 2.21.0, Python 3.11
# Expected:  the same matrix as tf.sparse.sparse_dense_matmul multiplies by, or an error, as
#            tf.sparse.to_dense raises for such entries.
# Observed:  neither. Rows are counted, and the numbers then put into them as they come: 10 of row 1
#            stands in row 0. Of a place named twice, SparseMatrixMatMul adds the numbers, and
#            CSRSparseMatrixToDense shows one of them.
# Seen:      entries (1, 0): 10, (0, 1): 20. Row 0 is 10 0 of the CSR matrix, 0 20 of the product
#            with the SparseTensor. Place (0, 1) with 10 and 20: the product has 30, dense 20
#
# Fails if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3.11}" -m venv env
env/bin/pip install --quiet tensorflow-cpu==2.21.0 numpy==2.4.6
export TF_CPP_MIN_LOG_LEVEL=3
cat >look.py <<'PYTHON'
import numpy as np
import tensorflow as tf

print("tensorflow", tf.__version__)
NUMBERS = np.array([10, 20], np.float32)
ONE = np.eye(2, dtype=np.float32)


def csr(places):
    """A CSR matrix, as it is shown and as it multiplies."""
    made = tf.raw_ops.SparseTensorToCSRSparseMatrix(
        indices=np.array(places, np.int64), values=NUMBERS, dense_shape=np.array([2, 2], np.int64)
    )
    shown = tf.raw_ops.CSRSparseMatrixToDense(sparse_input=made, type=tf.float32)
    return shown.numpy().tolist(), tf.raw_ops.SparseMatrixMatMul(a=made, b=ONE).numpy().tolist()


def product(places):
    z = tf.SparseTensor(places, NUMBERS, [2, 2])
    return tf.sparse.sparse_dense_matmul(z, ONE).numpy().tolist()


def is_refused(places):
    try:
        tf.sparse.to_dense(tf.SparseTensor(places, NUMBERS, [2, 2]))
    except tf.errors.InvalidArgumentError:
        return True
    return False


out_of_order, twice = [[1, 0], [0, 1]], [[0, 1], [0, 1]]
for name, places in (("out of order", out_of_order), ("twice", twice)):
    print(name, "| CSR, shown and multiplied:", *csr(places), "| SparseTensor:", product(places))
assert tf.__version__ == "2.21.0"
assert is_refused(out_of_order) and is_refused(twice)
assert product(out_of_order) == [[0, 20], [10, 0]]
assert csr(out_of_order) == ([[10, 0], [0, 20]], [[10, 0], [0, 20]]), csr(out_of_order)
assert csr(twice) == ([[0, 20], [0, 0]], [[0, 30], [0, 0]]), csr(twice)
PYTHON
env/bin/python look.py
