#!/usr/bin/env bash
# What threshold a BatchTopK model of SAELens has after a short training.
#
# Versions:  sae-lens 6.54.12, torch 2.13.0, Python 3.11
# Expected:  about k active latents per sample in the model for inference, whose threshold is the
#            average of the smallest activation that training kept.
# Observed:  too many. The average starts from 0 and moves by 1 % per step, and nothing corrects it:
#            on the same batch it has reached 10 % of that activation after 10 steps, 63 % after 100
#            and 99 % after 460, and with k = 8 the model keeps 56, 21 and 8 of 128 latents.
#
# Fails if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3.11}" -m venv env
env/bin/pip install --quiet sae-lens==6.54.12 torch==2.13.0
cat >look.py <<'PYTHON'
import sae_lens
import torch

torch.manual_seed(0)
x = torch.randn(512, 32)
found = {}
for steps in (10, 100, 460):
    cfg = sae_lens.BatchTopKTrainingSAEConfig(d_in=32, d_sae=128, k=8)
    torch.manual_seed(1)
    sae = sae_lens.BatchTopKTrainingSAE(cfg)
    with torch.no_grad():
        kept = sae.encode(x)  # no weight is changed: what moves is the threshold alone
        for _ in range(steps):
            sae.update_topk_threshold(kept)
    sae.save_inference_model("model")
    z = sae_lens.SAE.load_from_disk("model").encode(x)
    share = float(sae.topk_threshold / kept[kept > 0].min())
    found[steps] = share, float((z > 0).float().sum(1).mean())
    print(f"{steps} steps: {share:.3f} of the smallest kept, {found[steps][1]:.1f} latents for k = 8")
    assert float((kept > 0).float().sum(1).mean()) == 8
    assert abs(share - (1 - 0.99**steps)) < 1e-3
assert found[10][1] > 40
assert found[100][1] > 16
assert found[460][1] < 9
PYTHON
env/bin/python look.py
