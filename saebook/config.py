"""What a sparse autoencoder is and how it is trained, as values without behaviour.

The classes here are read by the NumPy reference and by both frameworks; none of them computes.
Every wrong value is refused when the object is made.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

ACTIVATIONS = ("sigmoid", "relu", "linear")
OUTPUTS = ("sigmoid", "linear")
RECONSTRUCTIONS = ("squared_error", "bce")


def _real(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _integer(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _level(value: Any) -> bool:
    pair = value if isinstance(value, tuple) and len(value) == 2 else (value, value)
    return all(map(_real, pair)) and 0 <= pair[0] <= pair[1]


# What a field may hold, in words, and the test of it.
_RULES: dict[str, Callable[[Any], bool]] = {
    "an integer of at least 1": lambda value: _integer(value) and value >= 1,
    "an integer of at least 0": lambda value: _integer(value) and value >= 0,
    "a finite number of at least 0": lambda value: _real(value) and value >= 0,
    "a finite number above 0": lambda value: _real(value) and value > 0,
    "a number from 0 to below 1": lambda value: _real(value) and 0 <= value < 1,
    "a number strictly between 0 and 1": lambda value: _real(value) and 0 < value < 1,
    "a number from 0 to 1": lambda value: _real(value) and 0 <= value <= 1,
    "a finite number of at least 0, or a rising pair of them, (low, high)": _level,
    "True or False": lambda value: isinstance(value, bool),
}


def check_fields(owner: object, allowed: str, *fields: str) -> None:
    """Raise ValueError unless each of the owner's fields holds what `allowed` says, a rule."""
    for field in fields:
        refuse_unless(_RULES[allowed](getattr(owner, field)), owner, field, allowed)


def refuse_unless(ok: bool, owner: object, field: str, allowed: str) -> None:
    """Raise ValueError, naming the owner's field, its value and what is allowed, unless `ok`."""
    if not ok:
        value = getattr(owner, field)
        raise ValueError(f"{type(owner).__name__}.{field} must be {allowed}, got {value!r}.")


@dataclass(frozen=True)
class Sparsity:
    """A kind of sparsity. Subclasses are frozen dataclasses that hold its settings.

    The formula of a kind lives in `saebook.reference` (with its gradient) and in the `losses`
    module of each framework, where functions are chosen by the class of the kind.
    """

    def check(self, config: "SAEConfig") -> None:
        """Raise ValueError if a model described by `config` cannot have this kind of sparsity."""


@dataclass(frozen=True)
class KL(Sparsity):
    r"""Penalty on the mean activation of every latent over the batch (Ng 2011).

    .. math:: \beta \sum_j \mathrm{KL}(\rho \,\|\, \hat\rho_j),
       \qquad \hat\rho_j = \frac1n \sum_i z_{ij}

    Parameters
    ----------
    rho : float in (0, 1)
        Wanted mean activation of each latent.
    beta : float >= 0
        Weight of the penalty.
    """

    rho: float = 0.05
    beta: float = 1.0

    def __post_init__(self) -> None:
        check_fields(self, "a number strictly between 0 and 1", "rho")
        check_fields(self, "a finite number of at least 0", "beta")

    def check(self, config: "SAEConfig") -> None:
        """Refuse codes outside (0, 1): a mean outside it has no Bernoulli KL divergence."""
        refuse_unless(
            config.activation == "sigmoid",
            config,
            "activation",
            "'sigmoid' when sparsity is KL, whose logarithms need codes strictly between 0 and 1",
        )


@dataclass(frozen=True)
class L1(Sparsity):
    r"""Penalty on the size of the code, sample by sample.

    .. math:: \lambda \, \frac1n \sum_i \sum_j |z_{ij}|

    With a free decoder the penalty can be escaped: shrink the code, grow the decoder. Give the
    model ``unit_norm=True`` (or weight decay) beside it.

    Parameters
    ----------
    weight : float >= 0
        The factor :math:`\lambda`.
    """

    weight: float = 1.0

    def __post_init__(self) -> None:
        check_fields(self, "a finite number of at least 0", "weight")


@dataclass(frozen=True)
class AuxK:
    r"""A task for dead latents: to rebuild what the others leave over (Gao et al. 2024, A.2).

    .. math:: \alpha \, \frac1n \sum_i \lVert e_i - \hat e_i \rVert^2,
       \qquad e = x - \hat x, \quad \hat e = z_\text{dead} W_\text{dec}

    The code :math:`z_\text{dead}` holds the `k` largest latents among the dead ones. The error
    :math:`e` is a fixed target: no gradient flows through it. While no latent is dead the term is
    0.

    Parameters
    ----------
    k : int >= 1, at most ``n_latents``
        Dead latents at work for each sample.
    weight : float >= 0
        The factor :math:`\alpha`.
    dead_after : int >= 1
        Samples after which a silent latent counts as dead; by habit as many as an epoch has.
    """

    k: int = 64
    weight: float = 1 / 32
    dead_after: int = 50_000

    def __post_init__(self) -> None:
        check_fields(self, "an integer of at least 1", "k", "dead_after")
        check_fields(self, "a finite number of at least 0", "weight")

    def check(self, config: "SAEConfig") -> None:
        """Refuse more latents than there are, and errors that a code cannot add up to."""
        allowed = f"at most n_latents, which is {config.n_latents}"
        refuse_unless(self.k <= config.n_latents, self, "k", allowed)
        _needs(config, "output", "linear", "aux is AuxK, which rebuilds what is left of the input")


def _needs(config: "SAEConfig", field: str, value: str, why: str) -> None:
    refuse_unless(getattr(config, field) == value, config, field, f"'{value}' when {why}")


@dataclass(frozen=True)
class TopK(Sparsity):
    """The `k` latents of each sample with the largest pre-activations, and 0 for all others.

    Makhzani & Frey (2013), with ``activation="linear"``; Gao et al. (2024), equation 2, with
    ``activation="relu"``. There is no penalty, and so no shrinkage. Of equal pre-activations the
    one with the lower index goes first.

    Parameters
    ----------
    k : int >= 1, at most ``n_latents``
        Latents kept for each sample.
    aux : AuxK, optional
        What brings dead latents back.
    """

    k: int = 32
    aux: AuxK | None = None

    def __post_init__(self) -> None:
        check_fields(self, "an integer of at least 1", "k")
        refuse_unless(isinstance(self.aux, AuxK | None), self, "aux", "None or AuxK(k, ...)")

    def check(self, config: "SAEConfig") -> None:
        """Refuse more latents than there are, and codes whose silence is not 0."""
        allowed = f"at most n_latents, which is {config.n_latents}"
        refuse_unless(self.k <= config.n_latents, self, "k", allowed)
        refuse_unless(
            config.activation != "sigmoid",
            config,
            "activation",
            "'relu' or 'linear' when sparsity is TopK, whose silent latents are exactly 0",
        )
        if self.aux is not None:
            self.aux.check(config)


@dataclass(frozen=True)
class BatchTopK(Sparsity):
    """The ``k * n_samples`` largest pre-activations of a batch (Bussmann et al. 2024).

    Samples may use more or fewer than `k` latents each. A trained model does not look at the batch:
    it keeps what is above a threshold, the running mean of the smallest value that training kept
    (its parameter ``threshold``, -1 before the first step).

    Parameters
    ----------
    k : int >= 1, at most ``n_latents``
        Latents kept for each sample, on average.
    aux : AuxK, optional
        What brings dead latents back.
    """

    k: int = 32
    aux: AuxK | None = None

    def __post_init__(self) -> None:
        check_fields(self, "an integer of at least 1", "k")
        refuse_unless(isinstance(self.aux, AuxK | None), self, "aux", "None or AuxK(k, ...)")

    def check(self, config: "SAEConfig") -> None:
        """Refuse more latents than there are, and codes that may be negative."""
        allowed = f"at most n_latents, which is {config.n_latents}"
        refuse_unless(self.k <= config.n_latents, self, "k", allowed)
        _needs(config, "activation", "relu", "sparsity is BatchTopK, whose threshold is positive")
        if self.aux is not None:
            self.aux.check(config)


@dataclass(frozen=True)
class JumpReLU(Sparsity):
    r"""A learned threshold for each latent, and a price for each active one.

    .. math:: z = a \, H(a - \theta), \qquad
       \lambda \, \frac1n \sum_i \sum_j H(a_{ij} - \theta_j)

    Rajamanoharan et al. (2024b). H is 1 above 0 and 0 elsewhere; where its gradient with respect to
    the threshold is asked for, a window of width :math:`\varepsilon` around the threshold stands in
    for its derivative (equations 11 and 12 there). The model's parameter ``log_threshold`` holds
    :math:`\log \theta`.

    Parameters
    ----------
    weight : float >= 0
        The factor :math:`\lambda`, the price of an active latent.
    bandwidth : float > 0
        The width :math:`\varepsilon` of the window, on the scale of the pre-activations.
    threshold : float > 0
        Each latent's threshold at the start.
    """

    weight: float = 0.01
    bandwidth: float = 0.1
    threshold: float = 0.1

    def __post_init__(self) -> None:
        check_fields(self, "a finite number of at least 0", "weight")
        check_fields(self, "a finite number above 0", "bandwidth", "threshold")

    def check(self, config: "SAEConfig") -> None:
        """Refuse any activation but ReLU, which this kind sharpens."""
        _needs(config, "activation", "relu", "sparsity is JumpReLU, which is a ReLU that jumps")


@dataclass(frozen=True)
class Gated(Sparsity):
    r"""One half of the encoder says which latents are active, the other how strongly.

    .. math:: z = H(a) \, \mathrm{ReLU}(e^r (a - b_\text{enc}) + b_\text{mag})

    Rajamanoharan et al. (2024a). The two halves share their weights, up to a scale :math:`e^r` for
    each latent. The gate, whose step has no gradient, learns from two terms of its own:

    .. math:: \lambda \, \frac1n \sum_i \sum_j \mathrm{ReLU}(a_{ij}) +
       \frac1n \sum_i \lVert x_i - \mathrm{ReLU}(a_i) \bar W_\text{dec} - \bar b_\text{dec} \rVert^2

    where the bars say that no gradient reaches the decoder (equation 8 there). The model's
    parameters ``r_mag`` and ``b_mag`` start at 0.

    Parameters
    ----------
    weight : float >= 0
        The factor :math:`\lambda`.
    """

    weight: float = 0.1

    def __post_init__(self) -> None:
        check_fields(self, "a finite number of at least 0", "weight")

    def check(self, config: "SAEConfig") -> None:
        """Refuse any activation but ReLU, and outputs that are not the decoder's sum."""
        _needs(config, "activation", "relu", "sparsity is Gated, which gates a ReLU")
        _needs(config, "output", "linear", "sparsity is Gated, whose gate rebuilds the input too")
        _needs(config, "reconstruction", "squared_error", "sparsity is Gated")


@dataclass(frozen=True)
class SAEConfig:
    """A sparse autoencoder: its sizes, its functions and its objective.

    Parameters
    ----------
    n_features, n_latents : int >= 1
        Width of the input and of the code.
    activation : {"sigmoid", "relu", "linear"}
        Function that makes the code from the encoder's pre-activation.
    output : {"sigmoid", "linear"}
        Function that makes the reconstruction from the decoder's pre-activation.
    reconstruction : {"squared_error", "bce"}
        Error per sample, summed over features: squared error, or binary cross-entropy computed
        from the decoder's pre-activation (the logits), which needs ``output="sigmoid"`` and data
        in [0, 1].
    sparsity : KL, L1, TopK, BatchTopK, JumpReLU, Gated or None
        The kind of sparsity; None is the plain autoencoder.
    tied : bool
        Whether the decoder is the transposed encoder. A tied model has no parameter ``W_dec``.
    unit_norm : bool
        Whether every dictionary row (a latent's decoder weights) is scaled to Euclidean norm 1 at
        the start and after every training step.
    weight_decay : float >= 0
        Factor of the sum of squared weights in the loss. Biases are free.
    pre_bias : bool
        Whether ``b_dec`` is taken from the input before it is encoded, so that the code describes
        what differs from it (Bricken et al. 2023).
    groups : tuple of int, optional
        A Matryoshka dictionary (Bussmann et al. 2025): the latents fall into groups of these sizes,
        and the error of the reconstruction from the first group, from the first two, and so on up
        to all of them, is summed. The first latents learn what counts most.

    Raises
    ------
    ValueError
        If a value is not allowed, alone or beside the others.
    """

    n_features: int
    n_latents: int
    activation: str = "sigmoid"
    output: str = "sigmoid"
    reconstruction: str = "squared_error"
    sparsity: Sparsity | None = None
    tied: bool = False
    unit_norm: bool = False
    weight_decay: float = 0.0
    pre_bias: bool = False
    groups: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        check_fields(self, "an integer of at least 1", "n_features", "n_latents")
        check_fields(self, "True or False", "tied", "unit_norm", "pre_bias")
        check_fields(self, "a finite number of at least 0", "weight_decay")
        for field, names in (
            ("activation", ACTIVATIONS),
            ("output", OUTPUTS),
            ("reconstruction", RECONSTRUCTIONS),
        ):
            known = getattr(self, field) in names
            refuse_unless(known, self, field, f"one of {', '.join(names)}")
        if isinstance(self.groups, list):  # a list, as JSON has it, could not be hashed
            object.__setattr__(self, "groups", tuple(self.groups))
        refuse_unless(
            self.groups is None
            or (
                isinstance(self.groups, tuple)
                and all(_integer(size) and size >= 1 for size in self.groups)
                and sum(self.groups) == self.n_latents
            ),
            self,
            "groups",
            f"None or positive integers that add up to n_latents, which is {self.n_latents}",
        )
        refuse_unless(
            self.output == "sigmoid" or self.reconstruction != "bce",
            self,
            "output",
            "'sigmoid' when reconstruction is 'bce', which reads the output as a probability",
        )
        refuse_unless(
            self.sparsity is None
            or (isinstance(self.sparsity, Sparsity) and type(self.sparsity) is not Sparsity),
            self,
            "sparsity",
            "None or a kind of sparsity such as KL(rho, beta), L1(weight) or TopK(k)",
        )
        if self.sparsity is not None:
            self.sparsity.check(self)

    @property
    def active_above(self) -> float:
        """Size above which a latent counts as active, that of a pre-activation of 0.

        Give it to `saebook.metrics.l0` and `saebook.metrics.dead_features`.
        """
        return 0.5 if self.activation == "sigmoid" else 0.0


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained: mini-batch Adam (Kingma & Ba 2015, in PyTorch's form).

    Parameters
    ----------
    epochs : int >= 1
        Passes over the data.
    batch_size : int >= 1
        Samples per step. The last batch of an epoch holds what is left.
    learning_rate : float > 0
    beta_1, beta_2 : float in [0, 1)
        Decay rates of the running means of the gradient and of its square.
    epsilon : float > 0
        Added to the root of the bias-corrected second moment.
    seed : int >= 0
        Seed of the order of the samples.
    warmup_steps : int >= 0
        Steps in which the learning rate rises to its value, in equal parts.
    decay_steps : int >= 0
        Steps at the end in which it falls towards 0, in equal parts.
    sparsity_warmup_steps : int >= 0
        Steps in which the weight of the sparsity penalty rises to its value, in equal parts.
    mixed_precision : bool
        Whether matrix products run in bfloat16 while weights, losses and updates keep float32.
        It pays on GPUs and on processors with bfloat16 units; elsewhere it is slower.

    Raises
    ------
    ValueError
        If a value is not allowed.
    """

    epochs: int = 20
    batch_size: int = 256
    learning_rate: float = 1e-3
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    seed: int = 0
    warmup_steps: int = 0
    decay_steps: int = 0
    sparsity_warmup_steps: int = 0
    mixed_precision: bool = False

    def __post_init__(self) -> None:
        check_fields(self, "an integer of at least 1", "epochs", "batch_size")
        check_fields(self, "a finite number above 0", "learning_rate", "epsilon")
        check_fields(self, "a number from 0 to below 1", "beta_1", "beta_2")
        check_fields(self, "an integer of at least 0", "seed")
        check_fields(
            self, "an integer of at least 0", "warmup_steps", "decay_steps", "sparsity_warmup_steps"
        )
        check_fields(self, "True or False", "mixed_precision")

    def learning_rate_at(self, step: int, n_steps: int | None) -> float:
        """Learning rate of a step, counted from 0, of `n_steps` (None if not known)."""
        share = 1.0
        if self.warmup_steps:
            share = min(share, (step + 1) / self.warmup_steps)
        if self.decay_steps and n_steps is not None:
            share = min(share, (n_steps - step) / self.decay_steps)
        return self.learning_rate * share

    def strength_at(self, step: int) -> float:
        """Share of the sparsity penalty's weight that counts in a step, counted from 0."""
        return min(1.0, (step + 1) / max(self.sparsity_warmup_steps, 1))
