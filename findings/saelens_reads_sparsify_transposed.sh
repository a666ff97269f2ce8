#!/usr/bin/env bash
# Whether SAELens loads a folder that sparsify wrote.
#
# Versions:  sae-lens 6.54.12, eai-sparsify 1.3.3, torch 2.13.0, Python 3.11
# Expected:  a TopKSAE with the codes of sparsify's SparseCoder; SAELens exports
#            sparsify_disk_loader for such folders.
# Observed:  a RuntimeError of load_state_dict: the loader turns W_dec, which lies as SAELens wants
#            it already. And from normalize_decoder, by default True, it takes that b_dec is not
#            subtracted from the input, which sparsify does whatever that setting is.
#
# Fails if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3.11}" -m venv env
env/bin/pip install --quiet eai-sparsify==1.3.3 sae-lens==6.54.12 torch==2.13.0
cat >look.py <<'PYTHON'
from pathlib import Path

import sae_lens
import torch
from sae_lens.loading.pretrained_sae_loaders import sparsify_disk_loader
from sparsify import SparseCoder
from sparsify.config import SparseCoderConfig

coder = SparseCoder(8, SparseCoderConfig(num_latents=16, k=3))
folder = Path("model") / "layers.3"
coder.save_to_disk(folder)
cfg, state = sparsify_disk_loader(folder)
print("W_dec there", tuple(coder.W_dec.shape), "from the loader", tuple(state["W_dec"].shape))
print("apply_b_dec_to_input", cfg["apply_b_dec_to_input"])
assert tuple(coder.W_dec.shape) == (16, 8) and tuple(state["W_dec"].shape) == (8, 16)
assert cfg["apply_b_dec_to_input"] is False
with torch.no_grad():  # sparsify subtracts it: at x = b_dec the pre-activations are the biases
    coder.b_dec += 5
    pre = coder.encode(coder.b_dec[None]).pre_acts
assert torch.allclose(pre, coder.encoder.bias.relu())
try:
    sae_lens.SAE.load_from_disk(folder, converter=sparsify_disk_loader, dtype="float32")
except RuntimeError as error:
    print(str(error).replace("\n", " "))
    assert "size mismatch for W_dec" in str(error)
else:
    raise SystemExit("it was loaded")
PYTHON
env/bin/python look.py
