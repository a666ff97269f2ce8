"""The specification: every formula in float64 NumPy, with gradients derived by hand.

`saebook.pytorch` and `saebook.tensorflow` are held to these functions by `saebook.parity`. The code
favours being read beside the chapter on backpropagation over being fast; train with a framework
instead.

Names: ``a`` encoder pre-activation, ``z`` code, ``o`` decoder pre-activation (logits), ``x_hat``
reconstruction; ``d_a`` is the gradient of the loss with respect to ``a``, and so on.
"""

from saebook import _renamed
from saebook.parameters import dictionary, normalize_decoder, parameter_shapes
from saebook.reference.functions import FUNCTIONS, sigmoid
from saebook.reference.kinds import clipped_rho_hat
from saebook.reference.model import (
    code,
    code_gradient,
    decode,
    decode_logits,
    encode,
    gradients,
    loss_terms,
    penalty,
    penalty_gradient,
    preactivation,
    prefixes,
    reconstruction_loss,
    update_counted,
)
from saebook.reference.topk import largest
from saebook.reference.training import Adam, fit

__all__ = [
    "FUNCTIONS",
    "Adam",
    "clipped_rho_hat",
    "code",
    "code_gradient",
    "decode",
    "decode_logits",
    "dictionary",
    "encode",
    "fit",
    "gradients",
    "largest",
    "loss_terms",
    "normalize_decoder",
    "parameter_shapes",
    "penalty",
    "penalty_gradient",
    "preactivation",
    "prefixes",
    "reconstruction_loss",
    "sigmoid",
    "update_counted",
]

__getattr__ = _renamed.names_of(__name__)
