"""What training does in PyTorch's own words; the loop over epochs is `saebook.training.fit`."""

from collections.abc import Mapping

import torch

from saebook._types import Array
from saebook.batches import Batches
from saebook.config import TrainConfig
from saebook.model import loss_terms
from saebook.pytorch import distributed
from saebook.pytorch.adam import Adam
from saebook.pytorch.model import SparseAutoencoder
from saebook.pytorch.topk import active_counts, pays


class Engine:
    """The training of one model; see `saebook.training.Engine`."""

    def __init__(self, model: SparseAutoencoder, train_config: TrainConfig) -> None:
        self.model, self.mixed = model, train_config.mixed_precision
        self.rank, self.world_size = distributed.rank(), distributed.world_size()
        self.sparse = pays(model.config, model.device) and not self.mixed
        self.optimizer = Adam(dict(model.named_parameters()), train_config)
        self.fired = torch.zeros(model.config.n_latents, dtype=torch.bool, device=model.device)
        self.sums = torch.zeros(5, dtype=model.b_dec.dtype, device=model.device)
        self.learn = distributed.together(self._learn)

    def begin(self, data: Batches) -> None:
        self.resident = None if data.array is None else self.model.tensor(data.array)

    def begin_epoch(self) -> None:
        self.fired.zero_()
        self.sums.zero_()
        self.model.product_dtype = torch.bfloat16 if self.mixed else None

    def step(self, rate: float, strength: float, batch: Array, *noisy: Array) -> None:
        given = self.model.tensor(batch)
        if self.resident is not None:  # twice as fast as indexing
            given = torch.index_select(self.resident, 0, given)
        self.learn(rate, strength, given, *map(self.model.tensor, noisy))

    def _learn(
        self, rate: float, strength: float, x: torch.Tensor, noisy: torch.Tensor | None = None
    ) -> None:
        model, seen = self.model, x if noisy is None else noisy
        if self.sparse:
            a, z = model.kind.sparse_code(seen)
        else:
            a = model.preactivation(seen)
            z = model.code(a, training=True)
        terms = loss_terms(model, x, a, z, strength)
        self.optimizer.zero_grad()
        terms["loss"].backward()
        distributed.average_gradients(model, len(x))
        self.optimizer.param_groups[0]["lr"] = rate
        self.optimizer.step()
        with torch.no_grad():
            model.kind.count(a, z)
            if model.config.unit_norm:
                model.normalize_decoder()
            counts = active_counts(z, model.config.active_above)
            self.fired.logical_or_(counts > 0)
            figures = torch.stack([*terms.values(), torch.sum(counts) / len(x)])
            self.sums.add_(figures.detach(), alpha=len(x))

    def end_epoch(self, n_samples: int) -> tuple[Array, Array]:
        self.stop()
        means, fired = distributed.of_all(self.sums, self.fired, n_samples)
        return means.cpu().numpy(), fired.cpu().numpy()

    def stop(self) -> None:
        self.model.product_dtype = None

    def refuse_different(self, marks: Mapping[str, int]) -> None:
        distributed.refuse_different(marks, self.model.device)

    def barrier(self) -> None:
        distributed.barrier()
