"""The kinds that choose by rank: TopK, BatchTopK, and AuxK for their dead latents."""

import numpy as np

from saebook._types import Array, Params
from saebook.kinds import THRESHOLD_RATE, check_threshold
from saebook.parameters import dictionary
from saebook.reference.functions import FUNCTIONS
from saebook.reference.kinds import Kind


def largest(a: Array, k: int) -> Array:
    """Whether an entry is among the `k` largest of its row; the first of equals goes first.

    NaN is larger than all numbers, so that it is seen in the code.
    """
    mask, smaller = np.zeros(a.shape, dtype=bool), np.where(np.isnan(a), -np.inf, -a)
    np.put_along_axis(mask, np.argsort(smaller, axis=1, kind="stable")[:, :k], True, axis=1)
    return mask


class TopK(Kind):
    """The k largest pre-activations of each sample; dead latents rebuild what these leave over."""

    def kept(self, a: Array) -> Array:
        """Which latents are kept in training, ``(n_samples, n_latents)``."""
        return largest(a, self.sparsity.k)

    def code(self, params: Params, a: Array, training: bool) -> Array:
        return np.where(self.kept(a), FUNCTIONS[self.config.activation][0](a), 0)

    def code_gradient(self, params: Params, a: Array, d_z: Array) -> dict[str, Array]:
        function, slope = FUNCTIONS[self.config.activation]
        return {"a": np.where(self.kept(a), d_z * slope(function(a)), 0)}

    def dead_code(self, params: Params, a: Array) -> tuple[Array, Array]:
        """Code of the largest dead latents, and which they are, ``(n_samples, n_latents)``."""
        dead = params["silent"] >= self.sparsity.aux.dead_after
        chosen = largest(np.where(dead, a, -np.inf), self.sparsity.aux.k) & dead
        return np.where(chosen, FUNCTIONS[self.config.activation][0](a), 0), chosen

    def left(self, params: Params, x: Array, z: Array) -> Array:
        """What the code leaves of the samples: AuxK's target. AuxK has a linear output."""
        return x - (z @ dictionary(self.config, params) + params["b_dec"])

    def loss(self, params: Params, x: Array, a: Array, z: Array, strength: float) -> float:
        if self.sparsity.aux is None:
            return z.dtype.type(0)
        z_dead, chosen = self.dead_code(params, a)
        error = self.left(params, x, z) - z_dead @ dictionary(self.config, params)
        return self.sparsity.aux.weight * chosen.any() * (error**2).sum(axis=1).mean()

    def loss_gradient(
        self, params: Params, x: Array, a: Array, z: Array, strength: float
    ) -> dict[str, Array]:
        if self.sparsity.aux is None:
            return {}
        z_dead, chosen = self.dead_code(params, a)
        D = dictionary(self.config, params)
        function, slope = FUNCTIONS[self.config.activation]
        error = self.left(params, x, z) - z_dead @ D  # the target: nothing flows through it
        d_left = -2 * self.sparsity.aux.weight * chosen.any() * error / len(x)
        return {
            "W_dec": z_dead.T @ d_left,
            "a": np.where(chosen, slope(function(a)) * (d_left @ D.T), 0),
        }

    def count(self, params: Params, a: Array, z: Array) -> dict[str, Array]:
        if self.sparsity.aux is None:
            return {}
        return {"silent": np.where((z != 0).any(axis=0), 0, params["silent"] + len(z))}


class BatchTopK(TopK):
    """The largest pre-activations of a batch; afterwards those above a learned threshold."""

    def kept(self, a: Array) -> Array:
        return largest(a.reshape(1, -1), self.sparsity.k * len(a)).reshape(a.shape)

    def code(self, params: Params, a: Array, training: bool) -> Array:
        if training:
            return super().code(params, a, training)
        check_threshold(float(params["threshold"]))
        return np.where(a > params["threshold"], a, 0)

    def count(self, params: Params, a: Array, z: Array) -> dict[str, Array]:
        counted = super().count(params, a, z)
        if (z > 0).any():
            smallest, before = z[z > 0].min(), params["threshold"]
            mean = before + THRESHOLD_RATE * (smallest - before)
            counted["threshold"] = np.asarray(smallest if before < 0 else mean)
        return counted
