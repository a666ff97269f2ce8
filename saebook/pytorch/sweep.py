"""What training several models at once does in PyTorch: one model's loss, mapped over all."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from saebook import sweep
from saebook._types import Array
from saebook.batches import Batches
from saebook.config import TrainConfig
from saebook.pytorch.adam import Adam
from saebook.pytorch.topk import active_counts
from saebook.sweep import fit_many

__all__ = ["SweepEngine", "fit_many"]


class SweepEngine(sweep.SweepEngine):
    """Parameters of all models as one tensor each, and `torch.func` for one model's loss."""

    def __init__(
        self, models: Sequence[Any], numbers: Mapping[str, Array], train_config: TrainConfig
    ) -> None:
        super().__init__(models, numbers)
        self.params: dict[str, Any] = {
            name: nn.Parameter(torch.stack([getattr(m, name).detach() for m in models]))
            for name, _ in self.model.named_parameters()
        }
        self.optimizer = Adam(self.params, train_config)
        self.objective = _Objective(self)

    def begin(self, data: Batches) -> None:
        self.samples = self.model.tensor(data.array)

    def begin_epoch(self) -> None:
        self.sums: Any = 0
        self.fired: Any = 0

    def step(self, rate: float, strength: float, batch: Array) -> None:
        x = torch.index_select(self.samples, 0, self.model.tensor(batch))

        def one(params: dict[str, Tensor], numbers: dict[str, Tensor]) -> Any:
            named = {f"model.{name}": value for name, value in params.items()}
            return torch.func.functional_call(self.objective, named, (x, strength, numbers))

        terms, counts = torch.func.vmap(one)(self.params, self.varied)
        self.optimizer.zero_grad()
        torch.sum(terms[:, 3]).backward()
        self.optimizer.param_groups[0]["lr"] = rate
        self.optimizer.step()
        with torch.no_grad():
            if self.config.unit_norm:
                name, axis = self.rows
                self.params[name].copy_(self.model.unit_norm(self.params[name], axis))
            active = torch.sum(counts, dim=1, keepdim=True) / len(x)
            self.sums = self.sums + len(x) * torch.cat([terms, active], dim=1)
            self.fired = self.fired + counts

    def end_epoch(self, n_samples: int) -> tuple[Array, Array]:
        return (self.sums / n_samples).cpu().numpy(), (self.fired > 0).cpu().numpy()

    def to_numpy(self) -> dict[str, Array]:
        """Parameters of all models, with a first axis for the models."""
        return {name: value.detach().cpu().numpy() for name, value in self.params.items()}


class _Objective(nn.Module):
    """Loss terms and counts of active latents, as a function of a model's parameters."""

    def __init__(self, engine: SweepEngine) -> None:
        super().__init__()
        self.model, self.engine = engine.model, engine

    def forward(self, x: Tensor, strength: float, numbers: dict[str, Any]) -> Any:
        terms, z = self.engine.one_model(x, strength, numbers)
        return torch.stack(terms), active_counts(z, self.engine.config.active_above)
