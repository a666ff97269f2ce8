#!/usr/bin/env bash
# Whether dictionary_learning's load_dictionary gives back the model that was saved.
#
# Versions:  dictionary-learning 0.1.0, torch 2.13.0, Python 3.11
# Expected:  the same codes for the same samples.
# Observed:  other codes, of an AutoEncoder alone: it is scaled to a decoder of norm 1 on the way
#            (it prints "Normalizing decoder weights"), so every latent's code is multiplied by the
#            norm of its row. Reconstructions stay. AutoEncoderNew, GatedAutoEncoder and the others
#            come back as they were. A threshold that was set on saved codes is off by that factor.
#
# Fails if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3.11}" -m venv env
env/bin/pip install --quiet dictionary-learning==0.1.0 torch==2.13.0
cat >look.py <<'PYTHON'
import json
from pathlib import Path

import torch
from dictionary_learning import dictionary
from dictionary_learning.utils import load_dictionary

torch.manual_seed(0)
x = torch.randn(50, 8)
ratios = {}
for kind in (dictionary.AutoEncoder, dictionary.AutoEncoderNew, dictionary.GatedAutoEncoder):
    model = kind(8, 16)
    for value in model.parameters():
        value.data = 0.3 * torch.randn_like(value)
    torch.save(model.state_dict(), "ae.pt")
    Path("config.json").write_text(json.dumps({"trainer": {"dict_class": kind.__name__}}))
    loaded, _ = load_dictionary(".", device="cpu")
    z, z_loaded = model.encode(x), loaded.encode(x)
    used = z > 1e-3
    ratios[kind.__name__] = (z_loaded[used] / z[used]).aminmax()
    assert torch.allclose(model(x), loaded(x), atol=1e-4)
    print(kind.__name__, "codes times", [round(float(v), 2) for v in ratios[kind.__name__]])
least, most = ratios.pop("AutoEncoder")
assert most / least > 1.2
for least, most in ratios.values():
    assert abs(least - 1) < 1e-4 and abs(most - 1) < 1e-4
PYTHON
env/bin/python look.py
