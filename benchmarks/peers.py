"""Training by other packages, for `make bench` to run where they are installed.

    .venv-peers/bin/python -m benchmarks.peers

prints the tables as JSON on its last line, with the word ``quality`` or ``dead`` those of
`benchmarks.quality`. All have the same data, width, k, batch size and number of updates, and
Adam: PyTorch's fused one, except dictionary_learning and PyOD, whose trainers make their own,
which is not fused. What each adds of its own (starting weights, norms, losses for dead
latents) stays as it is, so they do not end at the same error; it stands beside the speed.
"""

import importlib.metadata
import json
import sys
from unittest.mock import MagicMock

from benchmarks import contestants, quality, side_by_side
from benchmarks.works import PLAIN, TOPK, Work


def _train(
    work, x, n_epochs, stamp, parameters, loss, rebuild, active, after=lambda: None
):  # fmt: skip
    """A plain loop with data in memory: an order per epoch, fused Adam."""
    import torch

    x = torch.as_tensor(x)
    optimizer = torch.optim.Adam(parameters, lr=work.learning_rate, fused=True)
    generator, number = torch.Generator().manual_seed(0), 0
    for _ in range(n_epochs):
        for rows in torch.randperm(len(x), generator=generator).split(work.batch_size):
            optimizer.param_groups[0]["lr"] = work.rate_at(number)
            number += 1
            optimizer.zero_grad()
            loss(x[rows]).backward()
            optimizer.step()
            after()
        stamp(rebuild, active)


def _on_arrays(forward):
    import torch

    @torch.no_grad()
    def run(x):
        return forward(torch.as_tensor(x)).numpy()

    return run


def sae_lens(work, x, n_epochs, stamp):
    import torch
    from sae_lens import TopKTrainingSAE, TopKTrainingSAEConfig
    from sae_lens.saes.sae import TrainStepInput

    config = work.config
    torch.manual_seed(0)
    sae = TopKTrainingSAE(
        TopKTrainingSAEConfig(
            d_in=config.n_features, d_sae=config.n_latents, k=config.sparsity.k, device="cpu"
        )
    )
    nothing_dead = torch.zeros(config.n_latents, dtype=torch.bool)

    def loss(batch):
        step = TrainStepInput(
            sae_in=batch, coefficients={}, dead_neuron_mask=nothing_dead, n_training_steps=0,
            is_logging_step=False,
        )  # fmt: skip
        return sae.training_forward_pass(step).loss

    active = _on_arrays(lambda x: sae.encode(x) > 0)
    _train(work, x, n_epochs, stamp, sae.parameters(), loss, _on_arrays(sae), active)


def dictionary_learning(work, x, n_epochs, stamp):
    import torch
    from dictionary_learning.trainers.top_k import TopKTrainer

    config = work.config
    trainer = TopKTrainer(
        steps=work.updates, activation_dim=config.n_features, dict_size=config.n_latents,
        k=config.sparsity.k, layer=0, lm_name="none", lr=work.learning_rate, warmup_steps=0,
        decay_start=work.updates // 2 if work.decay else None, seed=0, device="cpu",
    )  # fmt: skip
    x, number = torch.as_tensor(x), 0
    generator = torch.Generator().manual_seed(0)
    for _ in range(n_epochs):  # its own optimiser, its own step
        for rows in torch.randperm(len(x), generator=generator).split(work.batch_size):
            trainer.update(number, x[rows])
            number += 1
        stamp(_on_arrays(trainer.ae), _on_arrays(lambda x: trainer.ae.encode(x) > 0))


def sparsify(work, x, n_epochs, stamp):
    import torch
    from sparsify import SparseCoder
    from sparsify.config import SparseCoderConfig

    config = work.config
    torch.manual_seed(0)
    coder = SparseCoder(
        config.n_features,
        SparseCoderConfig(num_latents=config.n_latents, k=config.sparsity.k),
        device="cpu",
    )

    def active(x):
        amounts, places, _ = coder.encode(x)
        found = torch.zeros(len(x), config.n_latents, dtype=torch.bool)
        return found.scatter_(1, places, amounts > 0)

    _train(
        work, x, n_epochs, stamp, coder.parameters(), lambda batch: coder(batch).fvu,
        _on_arrays(lambda x: coder(x).sae_out), _on_arrays(active),
        coder.set_decoder_norm_to_unit_norm,
    )  # fmt: skip


def overcomplete(work, x, n_epochs, stamp):
    import torch

    # Its models of images, which are not needed here, need torchvision: see the requirements.
    sys.modules.setdefault("torchvision", MagicMock())
    from overcomplete.sae import TopKSAE

    config = work.config
    torch.manual_seed(0)
    sae = TopKSAE(
        config.n_features, nb_concepts=config.n_latents, top_k=config.sparsity.k, device="cpu"
    )

    def loss(batch):
        _, _, x_hat = sae(batch)
        return ((x_hat - batch) ** 2).sum(dim=1).mean()

    parts = (_on_arrays(lambda x, part=part: sae(x)[part]) for part in (2, 1))
    _train(work, x, n_epochs, stamp, sae.parameters(), loss, *parts)


def pyod(work, x, n_epochs, stamp):
    """An autoencoder without sparsity, for anomaly detection."""
    import torch
    from pyod.models.auto_encoder import AutoEncoder

    class Stamped(AutoEncoder):
        def epoch_update(self):
            self.model.eval()
            stamp(_on_arrays(self.model))
            self.model.train()

    torch.manual_seed(0)
    detector = Stamped(
        lr=work.learning_rate, epoch_num=n_epochs, batch_size=work.batch_size, random_state=0,
        optimizer_name="adam", device="cpu", preprocessing=False, batch_norm=False, dropout_rate=0,
        hidden_neuron_list=[work.config.n_latents], hidden_activation_name="sigmoid", verbose=0,
    )  # fmt: skip
    detector.fit(x)


PEERS = {
    "topk": (
        TOPK,
        {
            "sae-lens": sae_lens,
            "dictionary-learning": dictionary_learning,
            "eai-sparsify": sparsify,
            "overcomplete": overcomplete,
        },
    ),
    "plain": (PLAIN, {"pyod": pyod}),
}


SOONEST = {"eai-sparsify": sparsify}  # that reaches the goal of `benchmarks.quality` first


def main(part="speed"):
    if part == "quality":
        tables = quality.of(named(SOONEST | PEERS["topk"][1]))
        best = tables["contestants"]["saebook, PyTorch"]
        tables["needed"] = quality.needed(best["batch_size"])
    elif part == "dead":
        tables = quality.dead(named(SOONEST))
    else:
        tables = speed()
    print(json.dumps(tables))


def named(peers):
    """The contestants, with the version that is installed beside the name."""
    return {f"{name} {importlib.metadata.version(name)}": peers[name] for name in peers}


def speed(repeats=3):
    """Tables of everybody's speed at the same work."""
    tables, missing = {}, {}
    for label, (work, peers) in PEERS.items():
        here = {}
        for name, contestant in peers.items():
            try:
                version = importlib.metadata.version(name)
                small = Work(work.config, work.batch_size, work.batch_size, n_epochs=2)
                side_by_side.turn(contestant, small)
                here[f"{name} {version}"] = contestant
            except Exception as error:  # one that cannot run here is named with the reason
                missing[name] = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        mine = {
            "saebook, PyTorch": contestants.saebook_pytorch,
            "five products, PyTorch": contestants.pytorch_products,
        }
        tables[label] = side_by_side.run(work, mine | here, repeats)
    return tables | {"missing": missing}


if __name__ == "__main__":
    main(*sys.argv[1:])
