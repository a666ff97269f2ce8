#!/usr/bin/env bash
# What llamascopium's standardize_parameters_of_dataset_norm does to a JumpReLU model.
#
# Versions:  llamascopium 2.0.0b34 (OpenMOSS), torch 2.13.0, Python 3.11
# Expected:  "Switching to inference mode doesn't affect the encoding and decoding as a whole", says
#            its documentation: the reconstruction stays, and codes are the old ones in other units.
# Observed:  other latents are active. Pre-activations are divided by the factor, and the thresholds
#            are not: with samples of mean norm 10 in 8 dimensions and thresholds of 1, 0.9 of 16
#            latents are active before and 4.7 after, and the reconstructions differ by up to 5.6.
#            With relu and topk nothing changes.
#
# Fails if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3.11}" -m venv env
env/bin/pip install --quiet llamascopium==2.0.0b34 torch==2.13.0
cat >look.py <<'PYTHON'
import math

import torch
from llamascopium.models.sae import SAEConfig, SparseAutoEncoder


@torch.no_grad()
def look(act_fn):
    torch.manual_seed(0)
    cfg = SAEConfig(
        hook_point_in="a", hook_point_out="a", d_model=8, expansion_factor=2, act_fn=act_fn,
        top_k=3, norm_activation="dataset-wise",
    )
    sae = SparseAutoEncoder(cfg)
    for value in sae.parameters():
        value.normal_(std=0.3)
    if act_fn == "jumprelu":
        sae.activation_function.log_jumprelu_threshold.zero_()
    sae.set_dataset_average_activation_norm({"a": 10.0})
    x = 10 / math.sqrt(8) * torch.randn(1000, 8)
    factor = sae.compute_norm_factor(x, "a")
    z = sae.encode(x * factor)
    x_hat = sae.decode(z) / factor
    sae.standardize_parameters_of_dataset_norm()
    z_after = sae.encode(x)
    active = [round(float((code > 0).sum(1).float().mean()), 2) for code in (z, z_after)]
    gap = float((sae.decode(z_after) - x_hat).abs().max())
    print(act_fn, "active before and after", *active, "largest difference", round(gap, 4))
    return *active, gap


for act_fn in ("relu", "topk"):
    before, after, gap = look(act_fn)
    assert before == after and gap < 1e-3
before, after, gap = look("jumprelu")
assert after > 2 * before and gap > 1
PYTHON
env/bin/python look.py
