#!/usr/bin/env bash
# What torch.sparse.sampled_addmm makes of the numbers of its pattern where beta is 0, on a CPU.
#
# Versions:  torch 2.13.0, Python 3.11
# Expected:  they are not read, as torch.addmm promises of beta=0 ("nan and inf in it will not be
#            propagated"), for dense and sparse matrices alike. And where a zero is stored, the
#            result is 0: the documentation samples "where input has non-zero values".
# Observed:  neither. A stored infinity or NaN makes the result NaN; a stored zero gets the product,
#            as any other place. So a pattern is safest made of ones, not of a code's own numbers.
# Seen:      pattern 1, 0, inf, nan with beta=0: 4, 4, nan, nan; addmm of an infinite input: 4
#
# Fails if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3.11}" -m venv env
env/bin/pip install --quiet torch==2.13.0 numpy==2.4.6
cat >look.py <<'PYTHON'
import math
import warnings

import torch

warnings.simplefilter("ignore")  # that CSR is in beta
print("torch", torch.__version__)
starts, columns = torch.tensor([0, 2, 4]), torch.tensor([0, 2, 0, 2])
numbers = torch.tensor([1.0, 0.0, math.inf, math.nan])
pattern = torch.sparse_csr_tensor(starts, columns, numbers, (2, 3))
a, b = torch.ones(2, 4), torch.ones(4, 3)

sampled = torch.sparse.sampled_addmm(pattern, a, b, beta=0.0).values().tolist()
print("sampled_addmm, pattern", numbers.tolist(), "with beta=0:", sampled)
infinite = torch.full((2, 3), math.inf)
dense = torch.addmm(infinite, a, b, beta=0.0)
sparse = torch.addmm(infinite, a.to_sparse_csr(), b, beta=0.0)
print("addmm of an infinite input with beta=0:", dense[0, 0].item(), sparse[0, 0].item())
assert torch.__version__.startswith("2.13.0")
assert sampled[:2] == [4.0, 4.0] and all(map(math.isnan, sampled[2:])), sampled
assert torch.equal(dense, torch.full((2, 3), 4.0)) and torch.equal(sparse, dense)
PYTHON
env/bin/python look.py
