"""The optimiser: PyTorch's own Adam, and the way of its state to NumPy and back."""

from collections.abc import Mapping

import numpy as np
import torch

from saebook._types import Array, Params
from saebook.config import TrainConfig


class Adam(torch.optim.Adam):
    """`torch.optim.Adam`, fused, which is Adam as in Kingma & Ba (2015), Algorithm 1.

    Parameters
    ----------
    parameters : dict of str to torch.nn.Parameter
    train_config : TrainConfig
    """

    def __init__(
        self, parameters: Mapping[str, torch.nn.Parameter], train_config: TrainConfig
    ) -> None:
        self.named = parameters
        for parameter in parameters.values():  # fused, it takes all memory as it lies
            parameter.data = parameter.data.contiguous()
        super().__init__(
            parameters.values(),
            lr=train_config.rate,
            betas=(train_config.beta_1, train_config.beta_2),
            eps=train_config.epsilon,
            fused=True,
        )

    def to_numpy(self) -> dict[str, Array]:
        """Count of steps ``t`` and moments ``m.NAME``, ``v.NAME``, as copies."""
        found = {}
        for name, parameter in self.named.items():
            state = self.state[parameter]
            found["t"] = np.array(state["step"].item())
            for key, moment in (("m", "exp_avg"), ("v", "exp_avg_sq")):
                found[f"{key}.{name}"] = state[moment].cpu().numpy().copy()
        return found

    def from_numpy(self, state: Params) -> None:
        """Go on from what `to_numpy` returned."""
        for name, parameter in self.named.items():
            self.state[parameter] = {
                "step": torch.tensor(float(state["t"]), device=parameter.device),
                "exp_avg": torch.tensor(state[f"m.{name}"], device=parameter.device),
                "exp_avg_sq": torch.tensor(state[f"v.{name}"], device=parameter.device),
            }
