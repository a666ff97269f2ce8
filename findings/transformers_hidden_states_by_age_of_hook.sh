#!/usr/bin/env bash
# What `hidden_states` of a transformer shows where a hook has replaced a layer's output.
#
# Versions:  transformers 5.24.0, torch 2.13.0, Python 3.11
# Expected:  the residual stream that the model went on with: with a dictionary's reconstruction, or
#            zeros, in place of layer 1's output, hidden_states[2] holds these, as it is the input of
#            layer 2. Hooks that splice are often checked so.
# Observed:  That, if the hook was put on before the model's first call with output_hidden_states. Put
#            on after one, hidden_states[2] holds what layer 1 had put out before the hook, bit for bit
#            as without one, while layer 2 is given the zeros and everything behind it is another. The
#            same for BERT, GPT-2, GPT-NeoX and Llama: the first call leaves hooks of its own.
#
# Fails if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3.11}" -m venv env
env/bin/pip install --quiet torch==2.13.0 transformers==5.24.0
cat >look.py <<'PYTHON'
import torch
from transformers import (
    BertConfig, BertModel, GPT2Config, GPT2Model, GPTNeoXConfig, GPTNeoXModel, LlamaConfig, LlamaModel,
)

size = {
    "vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2,
    "intermediate_size": 32,
}
tokens = torch.arange(6)[None]


def zeros(module, given, output):
    return torch.zeros_like(output)


def made(name):
    torch.manual_seed(0)
    model = {
        "BERT": lambda: BertModel(BertConfig(**size)),
        "GPT-2": lambda: GPT2Model(
            GPT2Config(vocab_size=50, n_embd=16, n_layer=3, n_head=2, bos_token_id=0, eos_token_id=0)
        ),
        "GPT-NeoX": lambda: GPTNeoXModel(GPTNeoXConfig(**size)),
        "Llama": lambda: LlamaModel(LlamaConfig(**size)),
    }[name]().eval()
    layers = {"BERT": lambda: model.encoder.layer, "GPT-2": lambda: model.h}
    return model, layers.get(name, lambda: model.layers)()


for name in ("BERT", "GPT-2", "GPT-NeoX", "Llama"):
    for called_before in (False, True):
        with torch.no_grad():
            plain, _ = made(name)
            without = plain(tokens, output_hidden_states=True).hidden_states
            model, layers = made(name)
            if called_before:
                model(tokens, output_hidden_states=True)
            layers[1].register_forward_hook(zeros)
            given = []
            layers[2].register_forward_pre_hook(lambda module, args, given=given: given.append(args[0]))
            spliced = model(tokens, output_hidden_states=True).hidden_states
        shown = spliced[2]
        print(
            f"{name}, hook after a first call: {called_before}; given to layer 2: {given[0].abs().max():.1f} "
            f"at most; hidden_states[2]: {shown.abs().max():.1f}, as without a hook: "
            f"{torch.equal(shown, without[2])}; the last one as without: "
            f"{torch.equal(spliced[3], without[3])}"
        )
        assert given[0].abs().max() == 0
        assert torch.equal(shown, without[2] if called_before else given[0])
        assert not torch.equal(spliced[3], without[3])
PYTHON
env/bin/python look.py
