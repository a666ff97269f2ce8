"""Do SAELens and dictionary_learning compute what saebook does, with each other's files?

Run by `make interop` in an environment with both packages. Every model has random parameters, and
biases on both sides; what is compared are codes and reconstructions of the same samples. With the
package that reads being the other one, a mistake that writing and reading share cannot hide.
"""

import json
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import sae_lens
import torch
from dictionary_learning import dictionary as dl
from dictionary_learning.trainers.batch_top_k import BatchTopKSAE
from dictionary_learning.trainers.matryoshka_batch_top_k import MatryoshkaBatchTopKSAE
from dictionary_learning.trainers.top_k import AutoEncoderTopK
from dictionary_learning.utils import load_dictionary

from saebook import L1, BatchTopK, Gated, JumpReLU, SAEConfig, TopK, interop, reference
from saebook.pytorch import SparseAutoencoder

TOLERANCE = 1e-5
N_FEATURES, N_LATENTS, K = 16, 24, 5
X = np.random.default_rng(0).normal(size=(400, N_FEATURES)).astype(np.float32)
KINDS = (None, L1(0.1), TopK(K), BatchTopK(K), JumpReLU(), Gated())

differences = []


def random_params(config, seed=1):
    """Float32 parameters of a trained model's size, none of them at its start."""
    rng = np.random.default_rng(seed)
    params = {
        name: 0.3 * rng.normal(size=shape).astype(np.float32)
        for name, shape in reference.parameter_shapes(config).items()
    }
    if "threshold" in params:
        params["threshold"] = np.float32(0.7) + 0 * params["threshold"]
    return params


def randomize(module, seed=2):
    """The same of a peer's model, in place; thresholds positive."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in module.named_parameters():
        value.data = 0.3 * torch.randn(value.shape, generator=generator)
        if name == "threshold":
            value.data = value.data.abs()
    return module.eval()


def clear(config, params):
    """Samples whose active latents are the same a little to the side: rounding decides on none."""
    noise = 1e-5 * np.random.default_rng(3).normal(size=X.shape)
    active = [reference.encode(config, params, x) != 0 for x in (X, X + noise, X - noise)]
    kept = (active[0] == active[1]).all(axis=1) & (active[0] == active[2]).all(axis=1)
    assert kept.mean() > 0.9, f"only {kept.mean():.0%} of the samples are clear"
    assert 0 < active[0].mean() < 1, "the code is empty or full"
    return X[kept]


@torch.no_grad()
def compare(what, config, params, peer, scale=1.0):
    """Largest difference of codes (theirs times `scale`) and reconstructions, all three ways."""
    x = clear(config, params)
    wide = {name: np.asarray(value, np.float64) for name, value in params.items()}
    z = reference.encode(config, wide, x.astype(np.float64))
    x_hat = reference.decode(config, wide, z)
    model = SparseAutoencoder(config, device="cpu").from_numpy(params)
    z_torch = model.encode(torch.as_tensor(x))
    z_peer = peer.encode(torch.as_tensor(x))
    found = max(
        np.abs(z_peer.numpy() * scale - z).max(),
        np.abs(peer.decode(z_peer).numpy() - x_hat).max(),
        np.abs(z_peer.numpy() * scale - z_torch.numpy()).max(),
        np.abs(peer.decode(z_peer).numpy() - model.decode(z_torch).numpy()).max(),
    )
    differences.append(found)
    print(f"{what:<66} {found:.1e}{'' if found < TOLERANCE else '  TOO MUCH'}")


def exports(folder):
    """Models of saebook, loaded by the peers."""
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
        name = f"{type(config.sparsity).__name__}, pre_bias={config.pre_bias}"
        name += ", tied" * config.tied + ", groups" * bool(config.groups)
        interop.to_saelens(config, params, folder / "saelens")
        sae = sae_lens.SAE.load_from_disk(folder / "saelens")
        compare(f"{name} -> SAELens {type(sae).__name__}", config, params, sae)
        interop.to_dictionary_learning(config, params, folder / "dl")
        sae, _ = load_dictionary(str(folder / "dl"), device="cpu")
        compare(f"{name} -> d_l {type(sae).__name__}", config, params, sae)


def imports_of_saelens(folder):
    """Models of SAELens, read by saebook."""
    for apply in (False, True):
        sizes = {"d_in": N_FEATURES, "d_sae": N_LATENTS, "apply_b_dec_to_input": apply}
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
            sae.save_model(folder / "theirs")
            rescaled = getattr(sae.cfg, "rescale_acts_by_decoder_norm", False)
            name = f"SAELens {type(sae).__name__}{', rescaled' * rescaled}, apply_b_dec={apply}"
            compare(f"{name} -> saebook", *interop.from_saelens(folder / "theirs"), sae)

        # While it trains a BatchTopK model of SAELens encodes by the batch. What it is afterwards
        # is the model that SAELens makes of it for inference.
        for rescaled in (False, True):
            options = {**sizes, "k": K, "rescale_acts_by_decoder_norm": rescaled}
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
                sae.save_inference_model(folder / "final")
                final = sae_lens.SAE.load_from_disk(folder / "final")
                name = f"SAELens {sae.cfg.architecture()}{', rescaled' * rescaled}"
                found = interop.from_saelens(folder / "final")
                compare(f"{name}, for inference -> saebook", *found, final)
                sae.save_model(folder / "checkpoint")
                config, params = interop.from_saelens(folder / "checkpoint")
                assert isinstance(config.sparsity, BatchTopK)
                assert config.groups == ((4, 8, 12) if "matryoshka" in name else None)
                compare(f"{name}, checkpoint -> saebook", config, params, final)


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
        compare(f"d_l {name} -> saebook", *found, sae)
        loaded, _ = load_dictionary(str(theirs), device="cpu")
        if name == "AutoEncoder":  # scaled to a decoder of norm 1 when it is loaded there
            norm = np.linalg.norm(found[1]["W_dec"], axis=1)
            compare(f"d_l {name}, loaded there -> saebook", *found, loaded, 1 / norm)
        else:
            compare(f"d_l {name}, loaded there -> saebook", *found, loaded)


def main():
    """Print the largest difference of every pair; exit status 1 if one is too large."""
    for package in ("torch", "numpy", "sae-lens", "dictionary-learning", "transformer-lens"):
        print(f"{package} {version(package)}", end="; ")
    print()
    with tempfile.TemporaryDirectory() as folder:
        exports(Path(folder))
        imports_of_saelens(Path(folder))
        imports_of_dictionary_learning(Path(folder))
    print(
        f"{len(differences)} comparisons, largest difference {max(differences):.1e}, allowed "
        f"{TOLERANCE:g}; {time.process_time():.0f} s of CPU time"
    )
    sys.exit(int(max(differences) >= TOLERANCE))


if __name__ == "__main__":
    main()
