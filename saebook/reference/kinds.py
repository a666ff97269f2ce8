"""What each kind of sparsity makes of a pre-activation and adds to the loss, gradients beside it.

A class for each kind, of the same name as in ``saebook.kinds``; those that choose by rank are in
``saebook.reference.topk``. A step function has no gradient to speak of; where a kind puts another
in its place, the formula here is the definition.
"""

from typing import Any

import numpy as np

from saebook._types import Array, Params
from saebook.config import SAEConfig
from saebook.kinds import FEWEST, L0_RATE, NEAR
from saebook.parameters import dictionary
from saebook.reference.functions import FUNCTIONS


class Kind:
    """The plain autoencoder: its code is the activation's, and it has no penalty.

    A kind of sparsity overrides what it does otherwise.

    Parameters
    ----------
    sparsity : Sparsity or None
        The settings.
    config : SAEConfig
    """

    def __init__(self, sparsity: Any, config: SAEConfig) -> None:
        self.sparsity, self.config = sparsity, config

    def code(self, params: Params, a: Array, training: bool) -> Array:
        """Code of a pre-activation ``a``, both ``(n_samples, n_latents)``."""
        return FUNCTIONS[self.config.activation][0](a)

    def code_gradient(self, params: Params, a: Array, d_z: Array) -> dict[str, Array]:
        """Gradients through `code` in training, with respect to ``a`` and parameters it reads."""
        function, slope = FUNCTIONS[self.config.activation]
        return {"a": d_z * slope(function(a))}

    def penalty(self, z: Array) -> float:
        """Penalty on codes ``z (n_samples, n_latents)``, a scalar."""
        return z.dtype.type(0)

    def penalty_gradient(self, z: Array) -> Array:
        """Gradient of `penalty` with respect to every entry of the code."""
        return np.zeros_like(z)

    def loss(self, params: Params, x: Array, a: Array, z: Array, strength: float) -> float:
        """All that the kind adds to the loss, if that is more than its penalty."""
        return strength * self.penalty(z)

    def loss_gradient(
        self, params: Params, x: Array, a: Array, z: Array, strength: float
    ) -> dict[str, Array]:
        """Gradients of `loss` with respect to ``z``, ``a`` and parameters, as far as any."""
        return {"z": strength * self.penalty_gradient(z)}

    def strength(self, params: Params, share: float) -> float:
        """The share of the penalty's weight that counts, on the way to a wanted L0 too."""
        return share

    def count(self, params: Params, a: Array, z: Array) -> dict[str, Array]:
        """The parameters that the kind counts, after a step on a batch, those that change."""
        return {}


class Priced(Kind):
    """A price that is given, or moves until as many latents are active as are wanted."""

    def strength(self, params: Params, share: float) -> float:
        if self.sparsity.l0 is None:
            return share
        return share * (params["price"] / self.sparsity.weight)

    def count(self, params: Params, a: Array, z: Array) -> dict[str, Array]:
        if self.sparsity.l0 is None:
            return {}
        active = (z > 0).sum(axis=1).mean()
        off = np.clip(np.log(active / self.sparsity.l0), -2, 2) if active else -2
        return {"price": params["price"] * np.exp(L0_RATE * off)}


class L1(Priced):
    """A price for the size of every entry of the code."""

    def penalty(self, z: Array) -> float:
        return self.sparsity.weight * np.abs(z).sum(axis=1).mean()

    def penalty_gradient(self, z: Array) -> Array:
        return self.sparsity.weight * np.sign(z) / len(z)


class KL(Kind):
    """A price for mean activations that are not rho."""

    def penalty(self, z: Array) -> float:
        rho, rho_hat = self.sparsity.rho, clipped_rho_hat(z)
        kl = rho * np.log(rho / rho_hat) + (1 - rho) * np.log((1 - rho) / (1 - rho_hat))
        return self.sparsity.beta * kl.sum()

    def penalty_gradient(self, z: Array) -> Array:
        rho, rho_hat = self.sparsity.rho, clipped_rho_hat(z)
        slope = (1 - rho) / (1 - rho_hat) - rho / rho_hat
        d_rho_hat = np.where(rho_hat == z.mean(axis=0), slope, 0)
        return self.sparsity.beta * np.broadcast_to(d_rho_hat / len(z), z.shape)


def clipped_rho_hat(z: Array) -> Array:
    """Mean activation of each latent over the batch, ``(n_latents,)``, kept off 0 and 1.

    A saturated latent has a mean of exactly 0 or 1 in floating point, and the logarithm of 0
    turns the loss into infinity and the gradients into NaN.
    """
    eps = np.finfo(z.dtype).eps
    return np.clip(z.mean(axis=0), eps, 1 - eps)


class JumpReLU(Priced):
    """What is above a learned threshold, and a price for each latent that is."""

    def code(self, params: Params, a: Array, training: bool) -> Array:
        return np.where(a > np.exp(params["log_threshold"]), a, 0)

    def window(self, theta: Array, a: Array) -> Array:
        """1/bandwidth within half a bandwidth of the threshold, on either side, else 0."""
        width = theta if self.sparsity.bandwidth is None else self.sparsity.bandwidth
        return (np.abs(a - theta) < width / 2) / width

    def code_gradient(self, params: Params, a: Array, d_z: Array) -> dict[str, Array]:
        theta = np.exp(params["log_threshold"])
        d_theta = (-theta * self.window(theta, a) * d_z).sum(axis=0)
        return {"a": np.where(a > theta, d_z, 0), "log_threshold": theta * d_theta}

    def loss(self, params: Params, x: Array, a: Array, z: Array, strength: float) -> float:
        active = (a > np.exp(params["log_threshold"])).sum(axis=1).mean()
        if self.sparsity.l0 is None:
            return strength * self.sparsity.weight * active
        return strength * self.sparsity.weight * (active / self.sparsity.l0 - 1) ** 2

    def loss_gradient(
        self, params: Params, x: Array, a: Array, z: Array, strength: float
    ) -> dict[str, Array]:
        theta = np.exp(params["log_threshold"])
        d_active = strength * self.sparsity.weight
        if self.sparsity.l0 is not None:
            off = (a > theta).sum(axis=1).mean() / self.sparsity.l0 - 1
            d_active = 2 * d_active * off / self.sparsity.l0
        return {"log_threshold": -theta * d_active * self.window(theta, a).mean(axis=0)}

    def count(self, params: Params, a: Array, z: Array) -> dict[str, Array]:
        """All thresholds move until as many latents are active as are wanted, or can be."""
        if self.sparsity.l0 is None:
            return {}
        active, positive = ((code > 0).sum(axis=1).mean() for code in (z, a))
        wanted = np.clip(positive, FEWEST, self.sparsity.l0)
        off = np.clip(np.log(max(active, FEWEST) / wanted), -2, 2)
        far = np.sign(off) * max(abs(off) - NEAR, 0)
        return {"log_threshold": params["log_threshold"] + L0_RATE * far}


class Gated(Priced):
    """A gate that says which latents are active, and a magnitude that says how strongly."""

    def magnitude(self, params: Params, a: Array) -> Array:
        """What an open gate lets through, before its ReLU."""
        return np.exp(params["r_mag"]) * (a - params["b_enc"]) + params["b_mag"]

    def code(self, params: Params, a: Array, training: bool) -> Array:
        return np.where(a > 0, np.maximum(self.magnitude(params, a), 0), 0)

    def code_gradient(self, params: Params, a: Array, d_z: Array) -> dict[str, Array]:
        scale = np.exp(params["r_mag"])
        d_magnitude = np.where((a > 0) & (self.magnitude(params, a) > 0), d_z, 0)
        return {
            "a": scale * d_magnitude,
            "b_enc": -scale * d_magnitude.sum(axis=0),  # the magnitude does not depend on it
            "r_mag": scale * ((a - params["b_enc"]) * d_magnitude).sum(axis=0),
            "b_mag": d_magnitude.sum(axis=0),
        }

    def loss(self, params: Params, x: Array, a: Array, z: Array, strength: float) -> float:
        gate = np.maximum(a, 0)
        error = x - gate @ dictionary(self.config, params) - params["b_dec"]
        price = strength * self.sparsity.weight * gate.sum(axis=1)
        return (price + (error**2).sum(axis=1)).mean()

    def loss_gradient(
        self, params: Params, x: Array, a: Array, z: Array, strength: float
    ) -> dict[str, Array]:
        D = dictionary(self.config, params)  # frozen here: only the gate learns from this term
        error = x - np.maximum(a, 0) @ D - params["b_dec"]
        d_gate = strength * self.sparsity.weight - 2 * error @ D.T
        return {"a": np.where(a > 0, d_gate, 0) / len(x)}
