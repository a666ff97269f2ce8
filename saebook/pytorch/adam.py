"""The optimiser: PyTorch's own Adam, and the way of its state to NumPy and back."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from saebook._types import Array, Params
from saebook.config import TrainConfig


def _in_rows(parameter: nn.Parameter) -> nn.Parameter:
    """The parameter, or its transpose in the same memory, where that is what lies in rows.

    Of anything else a fused optimiser copies the gradient at each step, for nothing.
    """
    return parameter if parameter.is_contiguous() else nn.Parameter(parameter.data.t())


class Adam(torch.optim.Adam):
    """`torch.optim.Adam`, fused, which is Adam as in Kingma & Ba (2015), Algorithm 1.

    Parameters
    ----------
    parameters : dict of str to torch.nn.Parameter
        Each lies in rows, or its transpose does; their memory is not to be replaced.
    train_config : TrainConfig
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], train_config: TrainConfig) -> None:
        self.named = {name: (p, _in_rows(p)) for name, p in parameters.items()}
        super().__init__(
            (rows for _, rows in self.named.values()),
            lr=train_config.rate,
            betas=train_config.betas,
            eps=train_config.epsilon,
            fused=True,
        )

    def step(self, closure: Any = None) -> Any:
        for parameter, rows in self.named.values():
            if rows is not parameter and parameter.grad is not None:
                rows.grad = parameter.grad.t()
        return super().step(closure)

    def zero_grad(self, set_to_none: bool = True) -> None:
        super().zero_grad(set_to_none)
        for parameter, _ in self.named.values():
            parameter.grad = None

    def to_numpy(self) -> dict[str, Array]:
        """Count of steps ``t`` and moments ``m.NAME``, ``v.NAME``, as copies."""
        found = {}
        for name, (parameter, rows) in self.named.items():
            state = self.state[rows]
            found["t"] = np.array(state["step"].item())
            for key, moment in (("m", "exp_avg"), ("v", "exp_avg_sq")):
                value = state[moment] if rows is parameter else state[moment].t()
                found[f"{key}.{name}"] = value.cpu().numpy().copy()
        return found

    def from_numpy(self, state: Params) -> None:
        """Go on from what `to_numpy` returned."""
        for name, (parameter, rows) in self.named.items():
            found = {"step": torch.tensor(float(state["t"]), device=rows.device)}
            for key, moment in (("m", "exp_avg"), ("v", "exp_avg_sq")):
                value = state[f"{key}.{name}"]
                value = np.array(value if rows is parameter else value.T, order="C")
                found[moment] = torch.tensor(value, device=rows.device)
            self.state[rows] = found
