"""The trainings that are measured."""

from dataclasses import dataclass, field
from functools import cache

from saebook import KL, SAEConfig, TopK, mnist


@dataclass(frozen=True)
class Work:
    """What every contestant has to do."""

    config: SAEConfig
    batch_size: int
    n_samples: int
    n_epochs: int
    learning_rate: float = 1e-3
    decay: bool = field(default=False, repr=False)  # in the second half, towards 0

    def rate_at(self, update: int) -> float:
        """Learning rate of an update, counted from 0."""
        share = min(1.0, 2 * (1 - update / self.updates)) if self.decay else 1.0
        return self.learning_rate * share

    @property
    def updates(self) -> int:
        return self.n_epochs * -(-self.n_samples // self.batch_size)


def kl(n_latents, batch_size, n_samples, n_epochs):
    config = SAEConfig(784, n_latents, sparsity=KL(rho=0.05, beta=0.1))
    return Work(config, batch_size, n_samples, n_epochs)


KL_256 = kl(256, 256, 25_600, 8)
KL_4096 = kl(4096, 1024, 8_192, 3)
DOCUMENT_PYTORCH = kl(128, 64, 12_800, 3)  # the sizes of its programs
DOCUMENT_TENSORFLOW = kl(32, 128, 12_800, 3)
LOADED = kl(256, 256, 12_800, 3)  # the same samples from an array and from loaders
PLAIN = Work(SAEConfig(784, 256, output="linear"), 256, 25_600, 4)  # an AutoEncoder of PyOD
TOPK = Work(SAEConfig(784, 4096, sparsity=TopK(32), pre_bias=False), 1024, 8_192, 3)
QUALITY = Work(SAEConfig(784, 4096, sparsity=TopK(32), pre_bias=True), 512, 0, 1, decay=True)


@cache
def digits():
    """Training images and 2,000 validation images of MNIST."""
    data = mnist()
    return data.x_train, data.x_val[:2000]
