"""The packages that `check_peers.py` has a function for each: imported only where they are used."""

import json
import math
import sys
from unittest.mock import MagicMock

import torch
from rows import N_FEATURES, N_LATENTS, K, X, compare, name_of, random_params, randomize
from safetensors.numpy import load_file

from saebook import L1, BatchTopK, JumpReLU, SAEConfig, TopK, interop

RELU = {"activation": "relu", "output": "linear"}


def configs(*kinds):
    """Models of these kinds, with and without ``b_dec`` taken from the input."""
    return [
        SAEConfig(N_FEATURES, N_LATENTS, sparsity=kind, pre_bias=pre_bias, **RELU)
        for kind in kinds
        for pre_bias in (False, True)
    ]


def sparsify(folder):
    """SparseCoder, both ways."""
    from sparsify import SparseCoder
    from sparsify.config import SparseCoderConfig

    package = "eai-sparsify"

    def dense(coder):
        def encode(x):
            found = coder.encode(x)
            z = torch.zeros(len(x), coder.num_latents)
            return z.scatter(1, found.top_indices, found.top_acts)

        def decode(z):  # theirs takes values and places
            values, places = z.topk(coder.cfg.k, dim=1)
            return coder.decode(values, places)

        return encode, decode

    for config in configs(TopK(K)):
        params = random_params(config)
        interop.to_sparsify(config, params, folder / "sparsify")
        coder = SparseCoder.load_from_disk(folder / "sparsify")
        compare(package, f"SparseCoder ({name_of(config)})", "to", config, params, *dense(coder))
    for normalised in (True, False):
        settings = SparseCoderConfig(num_latents=N_LATENTS, k=K, normalize_decoder=normalised)
        coder = randomize(SparseCoder(N_FEATURES, settings))
        coder.save_to_disk(folder / "sparsify_theirs")
        found = interop.from_sparsify(folder / "sparsify_theirs")
        what = f"SparseCoder, normalize_decoder={normalised}"
        compare(package, what, "from", *found, *dense(coder))
    settings = SparseCoderConfig(expansion_factor=2, k=K)
    coder = randomize(SparseCoder(N_FEATURES, settings, dtype=torch.bfloat16)).to(torch.bfloat16)
    coder.save_to_disk(folder / "sparsify_half")
    found = interop.from_sparsify(folder / "sparsify_half")
    compare(package, "SparseCoder, file in bfloat16", "from", *found, *dense(coder.float()))


def overcomplete(folder):
    """The models with the linear encoder, both ways."""
    # Its models of images, which are not needed here, need torchvision: see the requirements.
    sys.modules.setdefault("torchvision", MagicMock())
    from overcomplete.sae import SAE, BatchTopKSAE, JumpSAE, TopKSAE

    package, path = "overcomplete", folder / "overcomplete.pt"
    for kind in (None, L1(0.1), TopK(K), BatchTopK(K), JumpReLU()):
        config = SAEConfig(N_FEATURES, N_LATENTS, sparsity=kind, **RELU)
        params = random_params(config)
        params["b_dec"] *= 0
        interop.to_overcomplete(config, params, path)
        asked = {"nb_concepts": N_LATENTS, "dictionary_params": {"normalization": "identity"}}
        if isinstance(kind, TopK):
            sae = TopKSAE(N_FEATURES, top_k=K, **asked)
        else:
            sae = (JumpSAE if isinstance(kind, BatchTopK | JumpReLU) else SAE)(N_FEATURES, **asked)
        sae.load_state_dict(torch.load(path, weights_only=True))
        both = _of_overcomplete(sae.eval())
        compare(package, f"{type(sae).__name__} ({name_of(config)})", "to", config, params, *both)
    for made, options in (
        (SAE(N_FEATURES, N_LATENTS), {}),
        (SAE(N_FEATURES, N_LATENTS, dictionary_params={"use_multiplier": True}), {}),
        (TopKSAE(N_FEATURES, N_LATENTS, top_k=K), {"k": K}),
        (BatchTopKSAE(N_FEATURES, N_LATENTS, top_k=K), {"threshold": 0.7}),
        (JumpSAE(N_FEATURES, N_LATENTS), {}),
        (
            TopKSAE(
                N_FEATURES, N_LATENTS, top_k=K, dictionary_params={"normalization": "identity"}
            ),
            {"k": K, "normalization": "identity"},
        ),
    ):
        sae = randomize(made.train())
        torch.save(sae.state_dict(), path)
        if "threshold" in options:
            sae.running_threshold = torch.tensor(options["threshold"])
        sae.train().eval()
        found = interop.from_overcomplete(path, **options)
        what = type(sae).__name__ + ", multiplier" * isinstance(
            sae.dictionary.multiplier, torch.nn.Parameter
        )
        what += f", {options['normalization']}" if "normalization" in options else ""
        compare(package, what, "from", *found, *_of_overcomplete(sae))


def _of_overcomplete(sae):
    return (lambda x: sae.encode(x)[1]), sae.decode


def sparse_autoencoder(folder):
    """OpenAI's Autoencoder, both ways."""
    from sparse_autoencoder.model import LN, Autoencoder
    from sparse_autoencoder.model import TopK as TheirTopK

    package, path = "sparse_autoencoder", folder / "openai.pt"

    def both(peer):
        kept = {}

        def encode(x):
            z, kept["info"] = peer.encode(x)
            return z

        # In the model's units, which theirs leaves again at the end.
        def decode(z):
            x_hat = peer.decode(z, kept["info"])
            info = kept["info"]
            return (x_hat - info["mu"]) / info["std"] if info else x_hat

        return encode, decode

    units = LN(torch.as_tensor(X))[0].numpy()
    for config in configs(None, L1(0.1), TopK(K)):
        topk = isinstance(config.sparsity, TopK)
        params = random_params(config)
        interop.to_openai(config, params, path, normalized=topk)
        peer = Autoencoder.from_state_dict(torch.load(path, weights_only=True))
        what = f"Autoencoder ({name_of(config)})"
        given = units if topk else None
        compare(package, what, "to", config, params, *both(peer), units=given)
    for activation, tied in ((torch.nn.ReLU(), False), (TheirTopK(K), False)):
        topk = isinstance(activation, TheirTopK)
        peer = randomize(Autoencoder(N_LATENTS, N_FEATURES, activation, tied, normalize=topk))
        torch.save(peer.state_dict(), path)
        found = interop.from_openai(path, normalized=topk)
        what = f"Autoencoder, {type(activation).__name__}"
        compare(package, what, "from", *found, *both(peer), units=units if topk else None)


def llamascopium(folder):
    """SparseAutoEncoder, both ways."""
    from llamascopium.models.sae import SAEConfig as TheirConfig
    from llamascopium.models.sae import SparseAutoEncoder

    package = "llamascopium"
    for config in configs(None, L1(0.1), TopK(K), BatchTopK(K), JumpReLU()):
        params = random_params(config)
        interop.to_openmoss(config, params, folder / "openmoss")
        sae = SparseAutoEncoder.from_pretrained(str(folder / "openmoss"))
        what = f"{sae.cfg.act_fn} ({name_of(config)})"
        compare(package, what, "to", config, params, sae.encode, sae.decode)
    for act_fn in ("relu", "topk", "jumprelu"):
        for ranked in (False, True):
            for norm in ("inference", "dataset-wise"):
                cfg = TheirConfig(
                    hook_point_in="here", hook_point_out="here", d_model=N_FEATURES,
                    expansion_factor=N_LATENTS / N_FEATURES, act_fn=act_fn, top_k=K,
                    norm_activation=norm, sparsity_include_decoder_norm=ranked,
                )  # fmt: skip
                sae = randomize(SparseAutoEncoder(cfg))
                factor = 1.0
                if norm == "dataset-wise":
                    sae.set_dataset_average_activation_norm({"here": 9.0})
                    factor = math.sqrt(N_FEATURES) / 9.0
                sae.save_pretrained(folder / "openmoss_theirs")
                sae.cfg.save_hyperparameters(folder / "openmoss_theirs")
                config, params = interop.from_openmoss(folder / "openmoss_theirs")
                scale = 1.0
                if ranked and act_fn == "topk":
                    scale = sae.decoder_norm().detach().numpy()
                compare(
                    package, f"{act_fn}, {norm}{', ranked by rows' * ranked}", "from", config,
                    params, lambda x, f=factor, s=sae: s.encode(f * x),
                    lambda z, f=factor, s=sae: s.decode(z) / f, scale,
                )  # fmt: skip


def published_arrays(folder):
    """Layouts of arrays alone, through the loaders that SAELens has for them."""
    import sae_lens
    from sae_lens.loading import pretrained_sae_loaders as loaders

    def load(loader, name, cls, cfg, **found):
        # It would download the file. The name of the repository tells it widths, which are given;
        # of Gemma Scope 2 a second file does, and the shapes in the first.
        def download(*args, filename=None, **kwargs):
            wanted = filename or args[1]
            return str(folder / ("config.json" if wanted.endswith("config.json") else name))

        settings = {"architecture": "jump_relu", "model_name": "gemma-v3-1b-pt"}
        (folder / "config.json").write_text(json.dumps(settings))
        loaders.hf_hub_download = download
        loaders.get_safetensors_tensor_shapes = lambda *args: {
            key: value.shape for key, value in load_file(folder / name).items()
        }
        sizes = {"d_in": N_FEATURES, "d_sae": N_LATENTS}
        _, state, _ = loader(*found.values(), cfg_overrides=sizes)
        sae = cls(
            cfg(**sizes, apply_b_dec_to_input=False, **({"k": K} if "TopK" in cls.__name__ else {}))
        )
        sae.process_state_dict_for_loading(state)
        sae.load_state_dict({key: value.float().contiguous() for key, value in state.items()})
        return sae.eval()

    jump = (sae_lens.JumpReLUSAE, sae_lens.JumpReLUSAEConfig)
    plain = (sae_lens.StandardSAE, sae_lens.StandardSAEConfig)
    topk = (sae_lens.TopKSAE, sae_lens.TopKSAEConfig)
    for layout, name, kind, classes, loader, repo in (
        ("gemma_scope", "params.npz", JumpReLU(), jump, loaders.gemma_2_sae_huggingface_loader,
         ("google/gemma-scope-2b-pt-res", "layer_1/width_16k")),
        ("gemma_scope", "params.npz", BatchTopK(K), jump, loaders.gemma_2_sae_huggingface_loader,
         ("google/gemma-scope-2b-pt-res", "layer_1/width_16k")),
        ("gemma_scope_2", "params.safetensors", JumpReLU(), jump,
         loaders.gemma_3_sae_huggingface_loader,
         ("google/gemma-scope-2-1b-pt", "resid_post/layer_1_width_16k")),
        ("gemma_scope_2", "params.safetensors", BatchTopK(K), jump,
         loaders.gemma_3_sae_huggingface_loader,
         ("google/gemma-scope-2-1b-pt", "resid_post/layer_1_width_16k")),
        ("goodfire", "sae.pth", None, plain, loaders.get_goodfire_huggingface_loader,
         ("Goodfire/Llama-3.1-8B-Instruct-SAE-l19", "Llama-3.1-8B-Instruct-SAE-l19.pth")),
        ("linear", "sae.pt", L1(0.1), plain, loaders.deepseek_r1_sae_huggingface_loader,
         ("some/repository", "DeepSeek-R1-Distill-Llama-8B-SAE-l19.pt")),
        ("qwen_scope", "layer0.sae.pt", TopK(K), topk, loaders.qwen_scope_sae_huggingface_loader,
         ("Qwen/SAE-Res-Qwen3-1.7B-Base-W32K-L0_5", "layer0.sae.pt")),
    ):  # fmt: skip
        for config in configs(kind):
            params = random_params(config)
            interop.to_arrays(config, params, folder / name, layout)
            sae = load(loader, name, *classes, repo=repo[0], folder=repo[1])
            what = f"{layout} by {loader.__name__} ({name_of(config)})"
            compare("sae-lens", what, "to", config, params, sae.encode, sae.decode)
            options = {"k": K} if layout == "qwen_scope" else {}
            found = interop.from_arrays(folder / name, layout, **options)
            compare("sae-lens", f"{what}, read", "from", *found, sae.encode, sae.decode)
