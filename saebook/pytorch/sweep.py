"""Several models trained at once: the same batches, the same results as one after the other."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from saebook._types import ArrayLike
from saebook.batches import Batches
from saebook.checks import check_finite
from saebook.config import TrainConfig
from saebook.pytorch.adam import Adam
from saebook.pytorch.losses import loss_terms
from saebook.pytorch.model import SparseAutoencoder, unit_norm
from saebook.pytorch.sparse import active_counts
from saebook.sweep import check_models, with_numbers


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


def fit_many(
    models: Sequence[SparseAutoencoder], x: ArrayLike, train_config: TrainConfig = TrainConfig()
) -> list[dict[str, list[float]]]:
    """Train several models in place, all on the same batches, as `fit` would one by one.

    They may differ in their weights, and so in their seeds, and in the numbers of their kind of
    sparsity, such as ``rho`` and ``beta``. Their products are done together, which takes less time
    the smaller the models are.

    Parameters
    ----------
    models : sequence of models
        Of the same sizes, dtype and device. Not TopK nor BatchTopK.
    x : array (n_samples, n_features)
        Training samples.
    train_config : TrainConfig

    Returns
    -------
    list of dict of str to list of float
        The history of each model; see `fit`.

    Raises
    ------
    ValueError
        If models differ in more than they may, their kind of sparsity chooses by rank, the array
        does not suit them, or mixed precision is asked for.
    FloatingPointError
        If the loss or a parameter of a model stops being finite.
    """
    numbers = check_models(models)
    if train_config.mixed_precision:
        raise ValueError("train_config.mixed_precision must be False for several models, got True.")
    config, device = models[0].config, models[0].device
    data = Batches(config, x, models[0].dtype, train_config)
    samples = torch.as_tensor(data.array, device=device)
    varied = {name: torch.as_tensor(value, device=device) for name, value in numbers.items()}
    params: dict[str, Any] = {
        name: nn.Parameter(torch.stack([getattr(m, name).detach() for m in models]))
        for name, _ in models[0].named_parameters()
    }
    optimizer = Adam(params, train_config)
    objective = _Objective(models[0])
    decoder, axis = ("W_enc", 1) if config.tied else ("W_dec", 2)
    histories: list[dict[str, list[float]]] = [{} for _ in models]

    def values_of(batch: torch.Tensor, strength: float) -> Any:
        def one(params: dict[str, torch.Tensor], numbers: dict[str, torch.Tensor]) -> Any:
            named = {f"model.{name}": value for name, value in params.items()}
            return torch.func.functional_call(objective, named, (batch, strength, numbers))

        return torch.func.vmap(one)(params, varied)

    n_steps = 0
    for epoch in range(train_config.epochs):
        sums: Any = 0
        fired: Any = 0
        n_samples = 0
        for (rows,) in data.epoch(epoch):
            batch = torch.index_select(samples, 0, torch.as_tensor(rows, device=device))
            terms, counts = values_of(batch, train_config.strength_at(n_steps))
            optimizer.zero_grad()
            torch.sum(terms[:, 3]).backward()
            optimizer.param_groups[0]["lr"] = train_config.learning_rate_at(n_steps, data.n_steps)
            optimizer.step()
            with torch.no_grad():
                if config.unit_norm:
                    params[decoder].copy_(unit_norm(params[decoder], axis))
                active = torch.sum(counts, dim=1, keepdim=True) / len(batch)
                sums = sums + len(batch) * torch.cat([terms, active], dim=1)
                fired = fired + counts
            n_samples += len(batch)
            n_steps += 1
        for i, (model, history) in enumerate(zip(models, histories, strict=True)):
            found = {name: value[i].detach().cpu().numpy() for name, value in params.items()}
            names = ("reconstruction", "sparsity", "weight_decay", "loss", "l0")
            row = dict(zip(names, (sums[i] / n_samples).tolist(), strict=True))
            row["dead"] = int(torch.sum(fired[i] == 0))
            check_finite(row["loss"], found, epoch)
            for name, value in row.items():
                history.setdefault(name, []).append(value)
            model.from_numpy(found)
    return histories
