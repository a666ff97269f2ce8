"""What cannot work with the samples at hand, said before the first step: settings have a scale.

A price, a window, a threshold and the range of a sigmoid are absolute numbers, and suit samples of
some size. None of the cases below is an error: each trains to its end without a word, and has
learned nothing, or nothing sparse.
"""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from saebook._types import Array
from saebook.config import SAEConfig, TrainConfig
from saebook.kinds import JumpReLU, Priced

SATURATED = 10.0  # pre-activations beyond it have a sigmoid within 5e-5 of 0 or 1
TRIAL = 200  # steps below which nobody expects a threshold or a price to have moved
OFF = 0.1  # of a wanted L0: further off, training has not reached it
FAR = 4.0  # square of the mean over variance; kinds, "Samples far from 0", has what is lost
IN_WINDOW = 0.005  # share of pre-activations in JumpReLU's window; with less its price is unheard


def warn_of(model: Any, x: Array, train_config: TrainConfig, n_steps: int | None) -> None:
    """Warn once of settings that the first batch, ``(n_samples, n_features)``, speaks against."""
    a = np.empty(0)
    if model.config.activation == "sigmoid" or isinstance(model.config.sparsity, JumpReLU):
        with model.reading():
            a = model.array(model.preactivation(model.tensor(x)))
    found = list(doubts(model.config, model.to_numpy(), x, a, train_config, n_steps))
    if found:
        warnings.warn(" Also, ".join(found), stacklevel=2)


def warn_of_silence(config: SAEConfig, dead: float) -> None:
    """Warn if all latents were dead in an epoch, of codes that can be 0."""
    if config.active_above == 0 and dead == config.n_latents:
        warnings.warn(
            f"none of the {config.n_latents} latents was active for any sample of the first epoch, "
            "so none may ever learn: lower the price or the threshold of sparsity, or scale x up.",
            stacklevel=2,
        )


def warn_of_another_l0(config: SAEConfig, l0: float, n_steps: int | None) -> None:
    """Warn after the last epoch, whose mean is `l0`, if another was wanted and not reached."""
    wanted = getattr(config.sparsity, "l0", None)
    trial = n_steps is not None and n_steps < TRIAL
    if wanted is not None and not trial and abs(l0 - wanted) > OFF * wanted:
        warnings.warn(
            f"sparsity.l0={wanted:g} was not reached: in the last epoch {l0:.3g} latents were "
            f"active for a sample; train for more steps.",
            stacklevel=2,
        )


def doubts(
    config: SAEConfig, params: dict[str, Array], x: Array, a: Array,
    train_config: TrainConfig, n_steps: int | None,
) -> Iterator[str]:  # fmt: skip
    """A sentence for each setting that samples `x` and their pre-activations `a` speak against.

    These are asked of sigmoid codes and JumpReLU alone.
    """
    kind, low, high = config.sparsity, np.min(x), np.max(x)
    span = f"x goes from {low:.3g} to {high:.3g}"
    if config.activation == "sigmoid":
        share = np.mean(np.abs(a) > SATURATED)
        if share > 0.5:
            yield (
                f"activation='sigmoid' does not suit samples of this size: {span}, and before the "
                f"first step {share:.0%} of the codes are so close to 0 or 1 that they hardly "
                "learn; scale x, pictures to [0, 1]."
            )
    if config.output == "sigmoid" and np.mean((x < 0) | (x > 1)) > 0.01:
        yield (
            f"output='sigmoid' rebuilds numbers between 0 and 1 alone, but {span}; scale x to "
            "[0, 1], or choose output='linear'."
        )
    if config.output == "linear" and config.activation != "sigmoid" and not config.pre_bias:
        spread = np.sum(np.var(x, axis=0, dtype=np.float64))
        away = np.sum(np.mean(x, axis=0, dtype=np.float64) ** 2)
        if away > FAR * spread > 0:
            yield (
                f"pre_bias=False does not suit samples so far from 0: the square of their mean is "
                f"{away / spread:.3g} times their variance, each step moves all pre-activations at "
                "once, and latents die; set pre_bias=True, or take the mean from x."
            )
    if isinstance(kind, Priced) and kind.l0 is None and config.activation != "sigmoid":
        least, most = kind.prices(x)
        if kind.weight > 0 and least > 0 and not least <= kind.weight <= most:
            effect = "no effect" if kind.weight < least else "no latent active"
            yield (
                f"sparsity.weight has a scale, that of x: {kind.weight:g} leaves next to {effect} "
                f"where samples vary as here; a value from {least:.1g} to {most:.1g} can work."
            )
    if isinstance(kind, JumpReLU):
        theta = np.exp(params["log_threshold"])
        width = theta if kind.bandwidth is None else np.full_like(theta, kind.bandwidth)
        share = np.mean(np.abs(a - theta) < width / 2)
        if share < IN_WINDOW:
            name = "threshold" if kind.bandwidth is None else "bandwidth"
            yield (
                f"sparsity.{name} must suit the pre-activations: {share:.1%} of them lie in a "
                f"window of {width.mean():.3g} around their threshold, and no others teach it; "
                f"half of them are above {np.median(np.abs(a)):.2g} in size."
            )
        above = np.quantile(a[a > 0], 0.1) if (a > 0).any() else 0
        rise = train_config.rate * (n_steps or np.inf)  # of a logarithm, by Adam's steps
        reach = np.log(theta.max()) + rise
        trial = n_steps is not None and n_steps < TRIAL
        if kind.weight and not trial and reach < np.log(max(above, 1e-300)):
            yield (
                f"sparsity.threshold must be within reach: in {n_steps} steps at "
                f"{train_config.rate:g} it can rise to {np.exp(reach):.2g} at most, but "
                f"nine tenths of the positive pre-activations are above {above:.2g}; start it "
                "higher, train for longer, or scale x."
            )
