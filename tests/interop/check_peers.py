"""Do other packages compute what saebook does, with each other's files?

Run by `make interop` in an environment with those packages. Every model has random parameters, and
biases on both sides; what is compared are codes and reconstructions of the same samples. With the
package that reads being the other one, a mistake that writing and reading share cannot hide. The
table goes to ``saebook/pages/results/interop.json``.
"""

import copy
import json
import sys
import tempfile
from importlib import import_module
from pathlib import Path

import numpy as np
import sae_lens
import torch
from dictionary_learning import dictionary as dl
from dictionary_learning.trainers.batch_top_k import BatchTopKSAE
from dictionary_learning.trainers.matryoshka_batch_top_k import MatryoshkaBatchTopKSAE
from dictionary_learning.trainers.top_k import AutoEncoderTopK
from dictionary_learning.utils import load_dictionary
from rows import N_FEATURES, N_LATENTS, K, compare, name_of, random_params, randomize, report

from saebook import L1, BatchTopK, Gated, JumpReLU, SAEConfig, TopK, interop

KINDS = (None, L1(0.1), TopK(K), BatchTopK(K), JumpReLU(), Gated())
LENS, LEARNING = "sae-lens", "dictionary-learning"
OTHERS = ("sparsify", "overcomplete", "sparse_autoencoder", "llamascopium", "published_arrays")


def exports(folder):
    """Models of saebook, loaded by SAELens and dictionary_learning."""
    configs = [
        SAEConfig(N_FEATURES, N_LATENTS, "relu", "linear", sparsity=kind, pre_bias=pre_bias)
        for kind in KINDS
        for pre_bias in (False, True)
    ]
    more = {"activation": "relu", "output": "linear", "pre_bias": True}
    configs += [
        SAEConfig(N_FEATURES, N_LATENTS, sparsity=Gated(), tied=True, **more),
        SAEConfig(N_FEATURES, N_LATENTS, sparsity=BatchTopK(K), groups=(4, 8, 12), **more),
    ]
    for config in configs:
        params = random_params(config)
        interop.to_saelens(config, params, folder / "saelens")
        sae = sae_lens.SAE.load_from_disk(folder / "saelens")
        what = f"{type(sae).__name__} ({name_of(config)})"
        compare(LENS, what, "to", config, params, sae.encode, sae.decode)
        interop.to_dictionary_learning(config, params, folder / "dl")
        sae, _ = load_dictionary(str(folder / "dl"), device="cpu")
        what = f"{type(sae).__name__} ({name_of(config)})"
        compare(LEARNING, what, "to", config, params, sae.encode, sae.decode)


def imports_of_saelens(folder):
    """Models of SAELens, read by saebook."""
    for apply in (False, True):
        sizes = {"d_in": N_FEATURES, "d_sae": N_LATENTS, "apply_b_dec_to_input": apply}
        tail = ", b_dec taken from x" * apply
        for made in (
            sae_lens.StandardSAE(sae_lens.StandardSAEConfig(**sizes)),
            sae_lens.TopKSAE(sae_lens.TopKSAEConfig(**sizes, k=K)),
            sae_lens.TopKSAE(
                sae_lens.TopKSAEConfig(**sizes, k=K, rescale_acts_by_decoder_norm=True)
            ),
            sae_lens.JumpReLUSAE(sae_lens.JumpReLUSAEConfig(**sizes)),
            sae_lens.GatedSAE(sae_lens.GatedSAEConfig(**sizes)),
        ):
            sae = randomize(made)
            rescaled = getattr(sae.cfg, "rescale_acts_by_decoder_norm", False)
            decode = sae.decode
            if rescaled:  # and a latent pruned, for which theirs divides 0 by 0
                sae.W_dec.data[3] = 1e-12
                decode = copy.deepcopy(sae).decode
                sae.W_dec.data[3] = 0
            sae.save_model(folder / "theirs")
            what = f"{type(sae).__name__}{', rescaled, a row of 0' * rescaled}{tail}"
            found = interop.from_saelens(folder / "theirs")
            compare(LENS, what, "from", *found, sae.encode, decode)

        # While it trains a BatchTopK model of SAELens encodes by the batch. What it is afterwards
        # is the model that SAELens makes of it for inference.
        for rescaled in (False, True):
            options = {**sizes, "k": 1.5, "rescale_acts_by_decoder_norm": rescaled}
            for made in (
                sae_lens.BatchTopKTrainingSAE(sae_lens.BatchTopKTrainingSAEConfig(**options)),
                sae_lens.MatryoshkaBatchTopKTrainingSAE(
                    sae_lens.MatryoshkaBatchTopKTrainingSAEConfig(
                        **options, matryoshka_widths=[4, 12, N_LATENTS]
                    )
                ),
            ):
                sae = randomize(made)
                sae.topk_threshold += 0.7
                what = f"{sae.cfg.architecture()}, k = 1.5{', rescaled' * rescaled}{tail}"
                sae.save_inference_model(folder / "final")
                final = sae_lens.SAE.load_from_disk(folder / "final")
                found = interop.from_saelens(folder / "final")
                both = final.encode, final.decode
                compare(LENS, f"{what}, for inference", "from", *found, *both)
                sae.save_model(folder / "checkpoint")
                config, params = interop.from_saelens(folder / "checkpoint")
                assert isinstance(config.sparsity, BatchTopK)
                assert config.groups == ((4, 8, 12) if "matryoshka" in what else None)
                compare(LENS, f"{what}, checkpoint", "from", config, params, *both)
                normalised_checkpoint(folder, sae, what)

    half = sae_lens.JumpReLUSAE(
        sae_lens.JumpReLUSAEConfig(d_in=N_FEATURES, d_sae=N_LATENTS, dtype="bfloat16")
    )
    sae = randomize(half)
    sae.to(torch.bfloat16).save_model(folder / "half")
    found = interop.from_saelens(folder / "half")
    wide = sae.to(torch.float32)  # the same numbers, computed with as they are here
    compare(LENS, "JumpReLUSAE, file in bfloat16", "from", *found, wide.encode, wide.decode)


def normalised_checkpoint(folder, sae, what):
    """A checkpoint of a training that scales its samples, against what SAELens makes at the end."""
    sae.cfg.normalize_activations = "expected_average_only_in"
    sae.save_model(folder / "scaled")
    (folder / "scaled" / "activation_scaler.json").write_text(
        json.dumps({"scaling_factor": 1.7, "has_whitening": False})
    )
    sae.fold_activation_norm_scaling_factor(1.7)
    sae.save_inference_model(folder / "final")
    final = sae_lens.SAE.load_from_disk(folder / "final")
    found = interop.from_saelens(folder / "scaled")
    compare(LENS, f"{what}, scaled checkpoint", "from", *found, final.encode, final.decode)


def imports_of_dictionary_learning(folder):
    """Models of dictionary_learning, read by saebook."""
    theirs = folder / "theirs_dl"
    theirs.mkdir()
    for made in (
        dl.AutoEncoder(N_FEATURES, N_LATENTS),
        dl.AutoEncoderNew(N_FEATURES, N_LATENTS),
        AutoEncoderTopK(N_FEATURES, N_LATENTS, K),
        BatchTopKSAE(N_FEATURES, N_LATENTS, K),
        MatryoshkaBatchTopKSAE(N_FEATURES, N_LATENTS, K, [4, 8, 12]),
        dl.JumpReluAutoEncoder(N_FEATURES, N_LATENTS),
        dl.GatedAutoEncoder(N_FEATURES, N_LATENTS),
    ):
        sae, name = randomize(made), type(made).__name__
        if hasattr(sae, "k"):
            sae.threshold += 1.7  # from -1, "not learned"
        torch.save(sae.state_dict(), theirs / "ae.pt")
        trainer = {"dict_class": name} | ({"k": K} if hasattr(sae, "k") else {})
        (theirs / "config.json").write_text(json.dumps({"trainer": trainer}))
        found = interop.from_dictionary_learning(theirs)
        compare(LEARNING, name, "from", *found, sae.encode, sae.decode)
        loaded, _ = load_dictionary(str(theirs), device="cpu")
        scale = 1.0
        if name == "AutoEncoder":  # scaled to a decoder of norm 1 when it is loaded there
            scale = 1 / np.linalg.norm(found[1]["W_dec"], axis=1)
        both = loaded.encode, loaded.decode
        compare(LEARNING, f"{name}, loaded there", "from", *found, *both, scale)


def main():
    """Print and keep the table; exit status 1 if a difference is too large or a package missing."""
    missing = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        exports(folder)
        imports_of_saelens(folder)
        imports_of_dictionary_learning(folder)
        others = import_module("others")
        for other in OTHERS:
            try:
                getattr(others, other)(folder)
            except ModuleNotFoundError as error:
                missing.append(f"{other} ({error})")
    sys.exit(report(missing))


if __name__ == "__main__":
    main()
