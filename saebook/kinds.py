"""The kinds of sparsity: their settings, what they ask of a model, and what they add to it.

The formula of a kind, with its gradient, is the class of the same name in `saebook.reference`, in
``kinds.py`` or ``topk.py``, and its code and loss in a framework the one in the files of these
names in `saebook.pytorch` and `saebook.tensorflow`. ``KINDS`` is the table of all kinds.
"""

from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from saebook._types import Array
from saebook.fields import check_fields, refuse_unless


@dataclass(frozen=True)
class Sparsity:
    """A kind of sparsity. Subclasses are frozen dataclasses that hold its settings.

    ``config`` is the `SAEConfig` of a model, a class that knows this one and not the other way.
    """

    #: Functions that may make its code, the usual one first, and the reason where not all may.
    activations: ClassVar[tuple[str, ...]] = ("relu", "linear", "sigmoid")
    why: ClassVar[str] = ""

    def check(self, config: Any) -> None:
        """Raise ValueError if a model described by `config` cannot have this kind of sparsity."""
        names = " or ".join(map(repr, self.activations))
        allowed = f"{names} when sparsity is {type(self).__name__}, {self.why}"
        refuse_unless(config.activation in self.activations, config, "activation", allowed)

    def trained(self, config: Any) -> dict[str, Array]:
        """Parameters of its own, as they start, that the gradient moves."""
        return {}

    def counted(self, config: Any) -> dict[str, Array]:
        """Parameters of its own, as they start, that training counts and no gradient moves."""
        return {}


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

    activations = ("sigmoid",)
    why = "whose logarithms need codes strictly between 0 and 1"
    rho: float = 0.05
    beta: float = 1.0

    def __post_init__(self) -> None:
        check_fields(self, "a number strictly between 0 and 1", "rho")
        check_fields(self, "a finite number of at least 0", "beta")


@dataclass(frozen=True)
class Priced(Sparsity):
    """What `L1`, `JumpReLU` and `Gated` share: a price, given, or found for a wanted L0.

    With ``l0`` the price is a parameter of the model, ``price``. ``fit`` starts it at a small share
    of what the first batch's spread would bear, so that no latent is lost before it has learned.
    After each step it rises where more latents were active than are wanted, and falls where fewer
    were: by the factor ``exp(0.03 * log(active / l0))``, the logarithm cut off at -2 and 2. That
    takes some hundred steps; the history's ``l0`` says how far it has come. With `JumpReLU` it is
    the thresholds that move so.
    """

    # Prices as shares of the samples' spread, the root of their total variance, or of the variance
    # where latents are counted: on digits and on planted features, times 0.01, 1 and 100, those
    # below the first changed the active latents by less than a twentieth, and with those above the
    # second hardly a latent was left.
    least: ClassVar[float] = 1e-3
    most: ClassVar[float] = 2.0
    of_variance: ClassVar[bool] = False
    first: ClassVar[float] = 0.025  # share of `most` with which the search for an L0 begins

    weight: float = 1.0
    l0: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        check_fields(self, "a finite number of at least 0", "weight")
        if self.l0 is not None:
            check_fields(self, "a finite number above 0", "l0")
            refuse_unless(
                self.weight > 0, self, "weight", "above 0, to start from, where l0 is set"
            )

    def check(self, config: Any) -> None:
        """Refuse more latents than there are, and codes that are never exactly 0."""
        super().check(config)
        if self.l0 is not None:
            allowed = f"below n_latents, which is {config.n_latents}"
            refuse_unless(self.l0 < config.n_latents, self, "l0", allowed)
            _needs(config, "activation", "relu", f"{type(self).__name__}.l0 is set, which counts")

    def counted(self, config: Any) -> dict[str, Array]:
        """With ``l0``, ``price ()``: what training has made of ``weight``."""
        return {} if self.l0 is None else {"price": np.full((), float(self.weight))}

    def prices(self, x: Array) -> tuple[float, float]:
        """`least` and `most` for samples ``x (n_samples, n_features)``."""
        variance = float(np.var(x, axis=0, dtype=np.float64).sum())
        scale = variance if self.of_variance else variance**0.5
        return self.least * scale, self.most * scale

    def first_price(self, x: Array) -> float:
        """Price from which a training that begins with the samples ``x`` looks for a wanted L0."""
        return self.first * self.prices(x)[1] or self.weight


# How fast the price of a wanted L0 moves, or all thresholds of JumpReLU, as a share of the
# logarithm by which L0 is off.
L0_RATE = 0.03
FEWEST = 1e-6  # active latents, as few as are told from none where a logarithm is taken
NEAR = 0.05  # logarithm within which L0 is near enough that JumpReLU's thresholds move one by one


@dataclass(frozen=True)
class L1(Priced):
    r"""Penalty on the size of the code, sample by sample.

    .. math:: \lambda \, \frac1n \sum_i \sum_j |z_{ij}|

    With a free decoder the penalty can be escaped: shrink the code, grow the decoder. Give the
    model ``unit_norm=True`` (or weight decay) beside it.

    Parameters
    ----------
    weight : float >= 0
        The factor :math:`\lambda`.
    l0 : float > 0, optional
        Active latents per sample, on average, for which training finds the factor; see `Priced`.
    """


@dataclass(frozen=True)
class AuxK:
    r"""A task for dead latents: to rebuild what the others leave over (Gao et al. 2024, A.2).

    .. math:: \gamma \, \frac1n \sum_i \lVert e_i - \hat e_i \rVert^2,
       \qquad e = x - \hat x, \quad \hat e = z_\text{dead} W_\text{dec}

    The code :math:`z_\text{dead}` holds the `k` largest latents among the dead ones. The error
    :math:`e` is a fixed target: no gradient flows through it. While no latent is dead the term is
    0.

    Parameters
    ----------
    k : int >= 1, at most ``n_latents``
        Dead latents at work for each sample.
    weight : float >= 0
        The factor :math:`\gamma`.
    dead_after : int >= 1
        Samples after which a silent latent counts as dead; by habit as many as an epoch has.
    """

    k: int = 64
    weight: float = 1 / 32
    dead_after: int = 50_000

    def __post_init__(self) -> None:
        check_fields(self, "an integer of at least 1", "k", "dead_after")
        check_fields(self, "a finite number of at least 0", "weight")

    def check(self, config: Any) -> None:
        """Refuse more latents than there are, and errors that a code cannot add up to."""
        allowed = f"at most n_latents, which is {config.n_latents}"
        refuse_unless(self.k <= config.n_latents, self, "k", allowed)
        _needs(config, "output", "linear", "aux is AuxK, which rebuilds what is left of the input")


def _needs(config: Any, field: str, value: str, why: str) -> None:
    refuse_unless(getattr(config, field) == value, config, field, f"'{value}' when {why}")


@dataclass(frozen=True)
class Ranked(Sparsity):
    """What `TopK` and `BatchTopK` share: the latents with the largest pre-activations are kept."""

    k: int = 32
    aux: AuxK | None = None

    def __post_init__(self) -> None:
        check_fields(self, "an integer of at least 1", "k")
        # Of a subclass a file would keep its fields alone.
        allowed = self.aux is None or type(self.aux) is AuxK
        refuse_unless(allowed, self, "aux", "None or AuxK(k, ...)")

    def check(self, config: Any) -> None:
        """Refuse more latents than there are, and codes that the kind cannot have."""
        allowed = f"at most n_latents, which is {config.n_latents}"
        refuse_unless(self.k <= config.n_latents, self, "k", allowed)
        super().check(config)
        if self.aux is not None:
            self.aux.check(config)

    def counted(self, config: Any) -> dict[str, Array]:
        """With `AuxK`, ``silent (n_latents,)``: samples since each latent was last active."""
        return {"silent": np.zeros(config.n_latents)} if self.aux else {}


@dataclass(frozen=True)
class TopK(Ranked):
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

    activations = ("relu", "linear")
    why = "whose silent latents are exactly 0"


@dataclass(frozen=True)
class BatchTopK(Ranked):
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

    activations = ("relu",)
    why = "whose threshold is positive"

    def counted(self, config: Any) -> dict[str, Array]:
        """``threshold ()``, that of inference, and what `AuxK` counts."""
        return {"threshold": np.full((), -1.0)} | super().counted(config)


# Weight of the newest batch in the running mean that is BatchTopK's threshold. With 0.01, the habit
# of published code, what the first steps kept still counted for most after 20 steps, and `encode`
# gave 3.5 latents where training had kept 8; with 0.2 it gives 8.1, and is as steady in the end.
THRESHOLD_RATE = 0.2


def check_threshold(threshold: float) -> None:
    """Raise ValueError if the threshold of a BatchTopK model has never been learned."""
    if threshold < 0:
        raise ValueError(
            "threshold of a BatchTopK model must be learned before single samples are encoded, got "
            f"{threshold:g}, which is where it starts; train the model with fit first."
        )


@dataclass(frozen=True)
class JumpReLU(Priced):
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
    bandwidth : float > 0, optional
        The width :math:`\varepsilon` of the window, on the scale of the pre-activations; by default
        that of each latent's threshold, which suits samples of any size.
    threshold : float > 0, optional
        Each latent's threshold at the start; by default one with which ``l0`` latents of a new
        model are active, or an eighth of all; 0.1 where the model is not new.
    l0 : float > 0, optional
        Active latents per sample, on average, to which training is drawn: the price of a latent
        gives way to :math:`\lambda \, (\text{active} / l_0 - 1)^2`, as its authors propose,
        with the variance of the first batch for :math:`\lambda`, kept as ``price``. A gradient
        moves thresholds slowly, so after each step all are multiplied by the factor of `Priced`,
        too, where L0 is off by more than a twentieth and latents above 0 are left.
    """

    activations = ("relu",)
    why = "which is a ReLU that jumps"
    least, most, of_variance = 1e-5, 1.0, True
    first = 1.0
    weight: float = 0.01
    bandwidth: float | None = None
    threshold: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fields(self, "None or a finite number above 0", "bandwidth", "threshold")

    def trained(self, config: Any) -> dict[str, Array]:
        """``log_threshold (n_latents,)``."""
        return {"log_threshold": np.full(config.n_latents, np.log(self.threshold or 0.1))}


@dataclass(frozen=True)
class Gated(Priced):
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
    l0 : float > 0, optional
        Active latents per sample, on average, for which training finds the factor; see `Priced`.
    """

    activations = ("relu",)
    why = "which gates a ReLU"
    weight: float = 0.1

    def check(self, config: Any) -> None:
        """Refuse any activation but ReLU, and outputs that are not the decoder's sum."""
        super().check(config)
        _needs(config, "output", "linear", "sparsity is Gated, whose gate rebuilds the input too")
        _needs(config, "reconstruction", "squared_error", "sparsity is Gated")

    def trained(self, config: Any) -> dict[str, Array]:
        """``r_mag`` and ``b_mag``, both ``(n_latents,)``."""
        return {"r_mag": np.zeros(config.n_latents), "b_mag": np.zeros(config.n_latents)}


_AUX = AuxK(k=2, weight=0.5, dead_after=100)

# All kinds, each with the settings in which the ledger, the tests and `saebook doctor` train it on
# small models. A new kind adds its row: the weights file, lists and counts are taken from here.
KINDS: dict[type[Sparsity], tuple[Sparsity, ...]] = {
    L1: (L1(0.1), L1(0.1, l0=5.0)),
    KL: (KL(rho=0.1, beta=0.5),),
    TopK: (TopK(2), TopK(2, _AUX)),
    BatchTopK: (BatchTopK(2), BatchTopK(2, _AUX)),
    JumpReLU: (
        JumpReLU(0.1, bandwidth=5.2, threshold=0.3),
        JumpReLU(0.1, bandwidth=5.2, threshold=0.3, l0=5.0),
    ),
    Gated: (Gated(0.1), Gated(0.1, l0=5.0)),
}


def classes_of(plain: Any, *modules: ModuleType) -> dict[type, Any]:
    """The table from each kind to the class of its name in the modules of a floor.

    `plain` is the class for a model without sparsity.
    """
    names = ((kind, getattr(module, kind.__name__, None)) for kind in KINDS for module in modules)
    return {type(None): plain} | {kind: found for kind, found in names if found}
