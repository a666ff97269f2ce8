#!/usr/bin/env bash
# How wide a llamascopium model is that is asked for by a ratio.
#
# Versions:  llamascopium 2.0.0b34 (OpenMOSS), Python 3.11
# Expected:  61 latents for d_model=7 and expansion_factor=61/7: the width is their product, says
#            the documentation.
# Observed:  60. The product is 60.999999999999993 and is cut off, not rounded. So a file of 61
#            latents whose ratio was worked out by dividing does not load. 11 features and 15
#            latents become 14.
#
# Fails if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3.11}" -m venv env
env/bin/pip install --quiet llamascopium==2.0.0b34 torch==2.13.0
cat >look.py <<'PYTHON'
from llamascopium.models.sae import SAEConfig

for d_model, wanted, got in ((7, 61, 60), (11, 15, 14), (8, 24, 24)):
    cfg = SAEConfig(
        hook_point_in="a", hook_point_out="a", d_model=d_model, expansion_factor=wanted / d_model
    )
    print("d_model", d_model, "wanted", wanted, "got", cfg.d_sae)
    assert cfg.d_sae == got
PYTHON
env/bin/python look.py
