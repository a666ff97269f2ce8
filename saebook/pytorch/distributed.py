"""Training in several processes, each with its share of every batch.

In one process every function here hands back what it was given. In several, all of them have to
call it, in the same order, or those that did will wait for the others.
"""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from saebook._types import Array

_together = False


def world_size() -> int:
    """Processes that train together: 1 unless ``torch.distributed`` has been initialised."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Number of this process, from 0."""
    return dist.get_rank() if world_size() > 1 else 0


def sharing() -> bool:
    """Whether a step is running whose batch is one of several shares."""
    return _together


def together(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, in which the others of this module speak to the other processes.

    Outside of one they never do: a loss of samples that one process looks at is its own.
    """
    if world_size() == 1:
        return function

    @wraps(function)
    def wrapped(*args: Any) -> Any:
        global _together
        _together = True
        try:
            return function(*args)
        finally:
            _together = False

    return wrapped


def all_reduce(value: Tensor) -> Tensor:
    """Sum over the processes."""
    if not _together:
        return value
    value = value.detach().clone()
    dist.all_reduce(value)
    return value


def all_gather(value: Tensor) -> Tensor:
    """The values of all processes, which have the same shape, along a new first axis."""
    if not _together:
        return value[None]
    values = [torch.empty_like(value) for _ in range(world_size())]
    dist.all_gather(values, value.detach().contiguous())
    return torch.stack(values)


def average(values: Sequence[Tensor], n_rows: int) -> list[Tensor]:
    """Means over the batch of what are means over this process's `n_rows` of it.

    One message for all of them. The shares count by their rows, which need not be as many.
    """
    if not _together:
        return list(values)
    rows = torch.full((1,), n_rows, dtype=values[0].dtype, device=values[0].device)
    total = all_reduce(torch.cat([*(n_rows * value.flatten() for value in values), rows]))
    sizes = [value.numel() for value in values]
    parts = torch.split(total[:-1] / total[-1], sizes)
    return [part.reshape(value.shape) for part, value in zip(parts, values, strict=True)]


def average_gradients(model: torch.nn.Module, n_rows: int) -> None:
    """Put the gradient of the batch's loss in the place of that of this process's share."""
    if _together:
        parameters = [p for p in model.parameters() if p.grad is not None]
        gradients = average([p.grad for p in parameters], n_rows)  # type: ignore[misc]
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad.copy_(gradient)  # type: ignore[union-attr]  # in its order of memory


def batch_rows(z: Tensor) -> Any:
    """Rows of the batch of which ``z`` has this process's share."""
    return all_reduce(torch.tensor(len(z), device=z.device)) if _together else len(z)


def batch_mean(z: Tensor) -> Tensor:
    """Mean over the batch of each column of this process's share of it, ``(n_columns,)``.

    Its gradient is that of the mean over the share: the average of the gradients does the rest.
    """
    mean = torch.mean(z, dim=0)
    if not _together:
        return mean
    (whole,) = average([mean.detach()], len(z))
    return mean + (whole - mean).detach()


def of_all(sums: Tensor, fired: Tensor, n_samples: int) -> tuple[Tensor, Tensor]:
    """Sums over all `n_samples` of all processes as means, and what has fired in any of them."""
    if world_size() == 1:
        return sums / n_samples, fired
    total = together(all_reduce)(torch.tensor(n_samples, device=sums.device))
    n_fired = together(all_reduce)(fired.to(torch.int32))
    return together(all_reduce)(sums) / total, n_fired > 0


def gather_numbers(numbers: Sequence[int], device: torch.device) -> Array:
    """The whole numbers of all processes, ``(n_processes, n_numbers)``."""
    own = torch.tensor(numbers, dtype=torch.int64, device=device)
    return together(all_gather)(own).cpu().numpy()
