"""What training does in PyTorch's own words; the loop over epochs is `saebook.training.fit`."""

import torch
from torch import Tensor

from saebook import engine
from saebook._types import Array
from saebook.batches import Batches
from saebook.config import TrainConfig
from saebook.pytorch import distributed
from saebook.pytorch.adam import Adam
from saebook.pytorch.model import SparseAutoencoder
from saebook.pytorch.topk import active_counts, has_products


class Engine(engine.Engine):
    """Data on the device as one array, gradients by autograd, sums that stay on the device."""

    def __init__(self, model: SparseAutoencoder, train_config: TrainConfig) -> None:
        super().__init__(model, train_config, distributed, has_products(model.device))
        self.fired = torch.zeros(model.config.n_latents, dtype=torch.bool, device=model.device)
        self.sums = torch.zeros(5, dtype=model.b_dec.dtype, device=model.device)
        self.learn = distributed.together(self._learn)
        self.usual: Tensor | None = None  # memory of W_enc, where training has it in another order

    def begin(self, data: Batches) -> None:
        self.resident = None if data.array is None else self.model.tensor(data.array)
        named = dict(self.model.named_parameters())
        for parameter in named.values():
            parameter.data = parameter.data.contiguous()
        if self.sparse:
            # Latent by latent, as a sparse product writes its gradient four times as fast.
            self.usual = self.model.W_enc.data
            self.model.W_enc.data = self.usual.t().contiguous().t()
        self.optimizer = Adam(named, self.train_config)

    def begin_epoch(self) -> None:
        self.fired.zero_()
        self.sums.zero_()
        self.model.product_dtype = torch.bfloat16 if self.mixed else None

    def step(self, rate: float, strength: float, batch: Array, *noisy: Array) -> None:
        x = self.model.tensor(batch)
        if self.resident is not None:  # twice as fast as indexing
            x = torch.index_select(self.resident, 0, x)
        self.learn(rate, strength, x, *map(self.model.tensor, noisy))

    def _learn(self, rate: float, strength: float, x: Tensor, noisy: Tensor | None = None) -> None:
        a, z, terms = self.forward(x, noisy, strength)
        self.optimizer.zero_grad()
        terms["loss"].backward()
        distributed.average_gradients(self.model, len(x))
        self.optimizer.param_groups[0]["lr"] = rate
        self.optimizer.step()
        with torch.no_grad():
            self.settle(a, z)
            counts = active_counts(z, self.model.config.active_above)
            self.fired.logical_or_(counts > 0)
            figures = torch.stack([*terms.values(), torch.sum(counts) / len(x)])
            self.sums.add_(figures.detach(), alpha=len(x))

    def stop(self) -> None:
        super().stop()
        if self.usual is not None:
            self.usual.copy_(self.model.W_enc.data)
            self.model.W_enc.data, self.usual = self.usual, None

    def end_epoch(self, n_samples: int) -> tuple[Array, Array]:
        super().stop()
        means, fired = distributed.of_all(self.sums, self.fired, n_samples)
        return means.cpu().numpy(), fired.cpu().numpy()
