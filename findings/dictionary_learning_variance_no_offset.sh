#!/usr/bin/env bash
# What dictionary_learning's fraction of variance explained makes of a constant error.
#
# Versions:  dictionary-learning 0.1.0, torch 2.13.0, Python 3.11
# Expected:  far below 0 for a reconstruction that is off by 100 everywhere: the share of what the
#            mean of the samples leaves over, which such an error exceeds many times.
# Observed:  1.0, as for a perfect one. The residual's variance is taken about the residual's own
#            mean, in training.log_stats (and by the same lines in evaluation.evaluate), so that a
#            wrong decoder bias costs nothing.
#
# Fails if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3.11}" -m venv env
env/bin/pip install --quiet dictionary-learning==0.1.0 torch==2.13.0
cat >look.py <<'PYTHON'
from queue import Queue

import torch
from dictionary_learning.training import log_stats


class Off:
    """A trainer whose reconstructions are off by a constant."""

    def __init__(self, by):
        self.by = by

    def loss(self, x, step, logging):
        return x, x + self.by, torch.ones(len(x), 1), {}

    def get_logging_parameters(self):
        return {}


torch.manual_seed(0)
x = torch.randn(1000, 8)
found = {}
for by in (0.0, 100.0):
    queue = Queue()
    log_stats([Off(by)], 0, x, False, False, log_queues=[queue])
    found[by] = queue.get()["frac_variance_explained"]
    usual = 1 - (by**2 * x.numel()) / float(((x - x.mean(0)) ** 2).sum())
    print(f"off by {by:g}: frac_variance_explained {found[by]:.4f}, 1 - FVU {usual:.4g}")
assert abs(found[0.0] - 1) < 1e-6
assert abs(found[100.0] - 1) < 1e-6
PYTHON
env/bin/python look.py
