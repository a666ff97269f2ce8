"""What a sparse autoencoder is and how it is trained, as values without behaviour.

The classes here are read by the NumPy reference and by both frameworks; none of them computes.
Every wrong value is refused when the object is made.
"""

import math
from dataclasses import dataclass
from numbers import Integral, Real

ACTIVATIONS = ("sigmoid", "relu", "linear")
OUTPUTS = ("sigmoid", "linear")
RECONSTRUCTIONS = ("squared_error", "bce")


def _is_real(value):
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _is_integer(value):
    return isinstance(value, Integral) and not isinstance(value, bool)


def _refuse_unless(ok, owner, field, allowed):
    if not ok:
        value = getattr(owner, field)
        raise ValueError(f"{type(owner).__name__}.{field} must be {allowed}, got {value!r}.")


def _refuse_unless_one_of(owner, field, names):
    _refuse_unless(getattr(owner, field) in names, owner, field, f"one of {', '.join(names)}")


@dataclass(frozen=True)
class Sparsity:
    """A kind of sparsity. Subclasses are frozen dataclasses that hold its settings.

    The formula of a kind lives in `saebook.reference` (with its gradient) and in the `losses`
    module of each framework, where functions are chosen by the class of the kind.
    """

    def check(self, config):
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

    def __post_init__(self):
        _refuse_unless(
            _is_real(self.rho) and 0 < self.rho < 1,
            self,
            "rho",
            "a number strictly between 0 and 1",
        )
        _refuse_unless(
            _is_real(self.beta) and self.beta >= 0, self, "beta", "a finite number of at least 0"
        )

    def check(self, config):
        """Refuse codes outside (0, 1): a mean outside it has no Bernoulli KL divergence."""
        _refuse_unless(
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

    def __post_init__(self):
        _refuse_unless(
            _is_real(self.weight) and self.weight >= 0,
            self,
            "weight",
            "a finite number of at least 0",
        )


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
    sparsity : KL, L1 or None
        The kind of sparsity; None is the plain autoencoder.
    tied : bool
        Whether the decoder is the transposed encoder. A tied model has no parameter ``W_dec``.
    unit_norm : bool
        Whether every dictionary row (a latent's decoder weights) is scaled to Euclidean norm 1 at
        the start and after every training step.
    weight_decay : float >= 0
        Factor of the sum of squared weights in the loss. Biases are free.

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

    def __post_init__(self):
        for field in ("n_features", "n_latents"):
            value = getattr(self, field)
            _refuse_unless(
                _is_integer(value) and value >= 1, self, field, "an integer of at least 1"
            )
        _refuse_unless_one_of(self, "activation", ACTIVATIONS)
        _refuse_unless_one_of(self, "output", OUTPUTS)
        _refuse_unless_one_of(self, "reconstruction", RECONSTRUCTIONS)
        for field in ("tied", "unit_norm"):
            _refuse_unless(isinstance(getattr(self, field), bool), self, field, "True or False")
        _refuse_unless(
            _is_real(self.weight_decay) and self.weight_decay >= 0,
            self,
            "weight_decay",
            "a finite number of at least 0",
        )
        _refuse_unless(
            self.output == "sigmoid" or self.reconstruction != "bce",
            self,
            "output",
            "'sigmoid' when reconstruction is 'bce', which reads the output as a probability",
        )
        _refuse_unless(
            self.sparsity is None or isinstance(self.sparsity, Sparsity),
            self,
            "sparsity",
            "None or a kind of sparsity such as KL(rho, beta) or L1(weight)",
        )
        if self.sparsity is not None:
            self.sparsity.check(self)

    @property
    def active_above(self):
        """Value above which a latent counts as active: the activation of a zero pre-activation."""
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
    mixed_precision: bool = False

    def __post_init__(self):
        for field in ("epochs", "batch_size"):
            value = getattr(self, field)
            _refuse_unless(
                _is_integer(value) and value >= 1, self, field, "an integer of at least 1"
            )
        for field in ("learning_rate", "epsilon"):
            value = getattr(self, field)
            _refuse_unless(_is_real(value) and value > 0, self, field, "a finite number above 0")
        for field in ("beta_1", "beta_2"):
            value = getattr(self, field)
            _refuse_unless(
                _is_real(value) and 0 <= value < 1, self, field, "a number from 0 to below 1"
            )
        _refuse_unless(
            _is_integer(self.seed) and self.seed >= 0, self, "seed", "an integer of at least 0"
        )
        _refuse_unless(
            isinstance(self.mixed_precision, bool), self, "mixed_precision", "True or False"
        )
