#!/usr/bin/env bash
# What SAELens makes of one pruned latent in a rescaled TopK model.
#
# Versions:  sae-lens 6.54.12, torch 2.13.0, Python 3.11
# Expected:  the reconstruction without that latent: its code is 0 in every sample, since pre-
#            activations are multiplied by the norm of its decoder row.
# Observed:  NaN in every feature of every sample. With rescale_acts_by_decoder_norm the code is
#            divided by the norm again, and 0 / 0 is NaN, which the product with the decoder
#            spreads. The codes themselves are right.
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
cfg = sae_lens.TopKSAEConfig(d_in=4, d_sae=6, k=2, rescale_acts_by_decoder_norm=True)
sae = sae_lens.TopKSAE(cfg)
x = torch.randn(3, 4)
with torch.no_grad():
    assert sae(x).isfinite().all()
    sae.W_dec[3] = 0
    z = sae.encode(x)
    x_hat = sae.decode(z)
print("sae_lens", sae_lens.__version__)
print("codes", z)
print("reconstructions", x_hat)
assert z.isfinite().all() and (z[:, 3] == 0).all()
assert x_hat.isnan().all()
PYTHON
env/bin/python look.py
