"""What training several models at once does in PyTorch: one model's loss, mapped over all."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from saebook._types import Array
from saebook.batches import Batches
from saebook.config import TrainConfig
from saebook.model import loss_terms
from saebook.pytorch.adam import Adam
from saebook.pytorch.model import SparseAutoencoder, unit_norm
from saebook.pytorch.topk import active_counts
from saebook.sweep import fit_many, with_numbers

__all__ = ["SweepEngine", "fit_many"]


class _Objective(nn.Module):
    """Loss terms and counts of active latents, as a function of a model's parameters."""

    def __init__(self, model: SparseAutoencoder) -> None:
        super().__init__()
        self.model, self.config = model, model.config

    def forward(self, x: torch.Tensor, strength: float, numbers: dict[str, Any]) -> Any:
        self.model.config = with_numbers(self.config, numbers)
        try:
            a = self.model.preactivation(x)
            z = self.model.code(a, training=True)
            terms = loss_terms(self.model, x, a, z, strength)
        finally:
            self.model.config = self.config
        return torch.stack(list(terms.values())), active_counts(z, self.config.active_above)


class SweepEngine:
    """The training of several models; see `saebook.training.Engine`."""

    def __init__(
        self,
        models: Sequence[SparseAutoencoder],
        numbers: Mapping[str, Array],
        train_config: TrainConfig,
    ) -> None:
        self.config, self.tensor = models[0].config, models[0].tensor
        self.varied = {name: self.tensor(value) for name, value in numbers.items()}
        self.params: dict[str, Any] = {
            name: nn.Parameter(torch.stack([getattr(m, name).detach() for m in models]))
            for name, _ in models[0].named_parameters()
        }
        self.optimizer = Adam(self.params, train_config)
        self.objective = _Objective(models[0])

    def begin(self, data: Batches) -> None:
        self.samples = self.tensor(data.array)

    def begin_epoch(self) -> None:
        self.sums: Any = 0
        self.fired: Any = 0

    def step(self, rate: float, strength: float, batch: Array) -> None:
        x = torch.index_select(self.samples, 0, self.tensor(batch))

        def one(params: dict[str, torch.Tensor], numbers: dict[str, torch.Tensor]) -> Any:
            named = {f"model.{name}": value for name, value in params.items()}
            return torch.func.functional_call(self.objective, named, (x, strength, numbers))

        terms, counts = torch.func.vmap(one)(self.params, self.varied)
        self.optimizer.zero_grad()
        torch.sum(terms[:, 3]).backward()
        self.optimizer.param_groups[0]["lr"] = rate
        self.optimizer.step()
        with torch.no_grad():
            if self.config.unit_norm:
                name, axis = ("W_enc", 1) if self.config.tied else ("W_dec", 2)
                self.params[name].copy_(unit_norm(self.params[name], axis))
            active = torch.sum(counts, dim=1, keepdim=True) / len(x)
            self.sums = self.sums + len(x) * torch.cat([terms, active], dim=1)
            self.fired = self.fired + counts

    def end_epoch(self, n_samples: int) -> tuple[Array, Array]:
        return (self.sums / n_samples).cpu().numpy(), (self.fired > 0).cpu().numpy()

    def stop(self) -> None:
        pass

    def to_numpy(self) -> dict[str, Array]:
        """Parameters of all models, with a first axis for the models."""
        return {name: value.detach().cpu().numpy() for name, value in self.params.items()}
