"""What a sparse autoencoder is and how it is trained, as values without behaviour.

The classes here and in `saebook.kinds` are read by the NumPy reference and by both frameworks; none
of them computes. Every wrong value is refused when the object is made.
"""

from dataclasses import dataclass, replace

from saebook import _renamed, kinds
from saebook.fields import as_python, check_fields, is_integer, refuse_unless
from saebook.kinds import KINDS, Sparsity

ACTIVATIONS = ("sigmoid", "relu", "linear")
OUTPUTS = ("sigmoid", "linear")
INITS = ("auto", "given")
RECONSTRUCTIONS = ("squared_error", "bce")


@dataclass(frozen=True)
class SAEConfig:
    """A sparse autoencoder: its sizes, its functions and its objective.

    Parameters
    ----------
    n_features, n_latents : int >= 1
        Width of the input and of the code.
    activation : {"auto", "sigmoid", "relu", "linear"}
        Function that makes the code from the encoder's pre-activation; "auto" becomes that of the
        kind of sparsity: a sigmoid for KL and None, a ReLU for all others.
    output : {"auto", "sigmoid", "linear"}
        Function that makes the reconstruction from the decoder's pre-activation; "auto" becomes a
        sigmoid for KL and None, a sigmoid code and "bce", and linear otherwise.
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
    pre_bias : {"auto", True, False}
        Whether ``b_dec`` is taken from the input before it is encoded, so that the code describes
        what differs from it (Bricken et al. 2023). Without it latents die where the mean of the
        samples is far from 0. "auto" becomes True for a kind of sparsity and no sigmoid. Set it to
        False for a transcoder, whose input is not what it rebuilds.
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
    activation: str = "auto"
    output: str = "auto"
    reconstruction: str = "squared_error"
    sparsity: Sparsity | None = None
    tied: bool = False
    unit_norm: bool = False
    weight_decay: float = 0.0
    pre_bias: bool | str = "auto"
    groups: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        check_fields(self, "an integer of at least 1", "n_features", "n_latents")
        check_fields(self, "True or False", "tied", "unit_norm")
        check_fields(self, "'auto', True or False", "pre_bias")
        check_fields(self, "a finite number of at least 0", "weight_decay")
        kind = self.sparsity
        usual = kind.activations[0] if isinstance(kind, Sparsity) else "sigmoid"
        if self.activation == "auto":
            object.__setattr__(self, "activation", usual)
        if self.output == "auto":
            bounded = "sigmoid" in (usual, self.activation) or self.reconstruction == "bce"
            object.__setattr__(self, "output", "sigmoid" if bounded else "linear")
        for field, names in (
            ("activation", ACTIVATIONS),
            ("output", OUTPUTS),
            ("reconstruction", RECONSTRUCTIONS),
        ):
            known = getattr(self, field) in names
            refuse_unless(known, self, field, f"one of {', '.join(names)}")
        if self.pre_bias == "auto":
            free = self.output == "linear" and self.activation != "sigmoid"
            object.__setattr__(self, "pre_bias", free and self.sparsity is not None)
        if isinstance(self.groups, list | tuple):  # a list, as JSON has it, could not be hashed
            object.__setattr__(self, "groups", tuple(as_python(self.groups)))
        refuse_unless(
            self.groups is None
            or (
                isinstance(self.groups, tuple)
                and all(is_integer(size) and size >= 1 for size in self.groups)
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
            self.sparsity is None or type(self.sparsity) in KINDS,
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
        Samples per step, at most: an epoch is divided into as few batches as this allows, equal to
        within one row.
    learning_rate : float > 0, optional
        By default 1e-2 with `KL`; 5e-3 for another model with sigmoids, from 256 latents on times
        ``sqrt(256 / n_latents)``, as wide ones diverge; and for one without 2e-3: below 784
        features times ``sqrt(784 / n_features)``, at most 10, as each weight of a latent is the
        larger, the fewer there are, and from 1,024 latents on times ``sqrt(1024 / n_latents)``,
        with which fewer of them die.
    beta_1 : float in [0, 1)
        Decay rate of the running mean of the gradient.
    beta_2 : float in [0, 1), optional
        That of its square. By default it is Adam's usual 0.999 beside a learning rate that is
        given; and 0.95 if that is left open, too: what the first, large gradients leave in the mean
        of squares keeps later steps short, and with 0.999 it is gone after a few thousand of them.
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
    init : {"auto", "given"}
        Where training begins. "auto": a model whose weights are still those that it was made with
        begins at training samples, as `saebook.start.init_from_samples` says, if neither its code
        nor its output is a sigmoid. "given": at the weights that the model has.
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
    learning_rate: float | None = None
    beta_1: float = 0.9
    beta_2: float | None = None
    epsilon: float = 1e-8
    seed: int = 0
    warmup_steps: int = 0
    decay_steps: int = 0
    sparsity_warmup_steps: int = 0
    init: str = "auto"
    mixed_precision: bool = False

    def __post_init__(self) -> None:
        check_fields(self, "an integer of at least 1", "epochs", "batch_size")
        check_fields(self, "a finite number above 0", "epsilon")
        check_fields(self, "None or a finite number above 0", "learning_rate")
        check_fields(self, "a number from 0 to below 1", "beta_1")
        check_fields(self, "None or a number from 0 to below 1", "beta_2")
        if self.beta_2 is None and self.learning_rate is not None:
            object.__setattr__(self, "beta_2", 0.999)
        check_fields(self, "an integer of at least 0", "seed")
        check_fields(
            self, "an integer of at least 0", "warmup_steps", "decay_steps", "sparsity_warmup_steps"
        )
        check_fields(self, "True or False", "mixed_precision")
        refuse_unless(self.init in INITS, self, "init", f"one of {', '.join(INITS)}")

    def settled(self, config: SAEConfig) -> "TrainConfig":
        """The same, with the learning rate that suits a model, unless one is given, and beta_2."""
        if self.learning_rate is not None:
            return self
        beta_2 = 0.95 if self.beta_2 is None else self.beta_2
        if isinstance(config.sparsity, kinds.KL):
            rate = 1e-2
        elif "sigmoid" in (config.activation, config.output):
            rate = 5e-3 * min(1.0, 256 / config.n_latents) ** 0.5
        else:
            narrow = min(max(784 / config.n_features, 1.0), 100.0)
            rate = 2e-3 * (narrow * min(1.0, 1024 / config.n_latents)) ** 0.5
        return replace(self, learning_rate=rate, beta_2=beta_2)

    @property
    def rate(self) -> float:
        """The learning rate of settings in which it is settled."""
        assert self.learning_rate is not None, "settings without a model; see settled"
        return self.learning_rate

    @property
    def betas(self) -> tuple[float, float]:
        """Both decay rates of settings in which they are settled."""
        assert self.beta_2 is not None, "settings without a model; see settled"
        return self.beta_1, self.beta_2

    def learning_rate_at(self, step: int, n_steps: int | None) -> float:
        """Learning rate of a step, counted from 0, of `n_steps` (None if not known)."""
        share = 1.0
        if self.warmup_steps:
            share = min(share, (step + 1) / self.warmup_steps)
        if self.decay_steps and n_steps is not None:
            share = min(share, (n_steps - step) / self.decay_steps)
        return self.rate * share

    def strength_at(self, step: int) -> float:
        """Share of the sparsity penalty's weight that counts in a step, counted from 0."""
        return min(1.0, (step + 1) / max(self.sparsity_warmup_steps, 1))


__getattr__ = _renamed.names_of(__name__)
