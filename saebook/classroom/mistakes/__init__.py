"""The table of known mistakes: for each thing that an assignment asks for, what goes wrong with it.

The right functions are the package's own, `saebook.reference` and `saebook.metrics`, where it has
them. The wrong ones are here to be recognised by their values. A check stands in the file of the
chapter that introduces what it asks for; assignments of later chapters use it too.
"""

from saebook.classroom.mistakes import (
    anomaly_detection,
    backpropagation,
    denoising,
    denoising_epochs,
    feature_extraction,
    interpretability,
    judging,
    language_model,
    modern,
    modern_gradients,
    notation,
    parity,
    scaling,
    superposition,
    theory,
    theory_l1,
    training,
)
from saebook.classroom.mistakes.table import Check, Mistake

__all__ = ["CHECKS", "Check", "Mistake"]

CHECKS: dict[str, Check] = {
    **notation.CHECKS,
    **theory.CHECKS,
    **theory_l1.CHECKS,
    **backpropagation.CHECKS,
    **training.CHECKS,
    **parity.CHECKS,
    **feature_extraction.CHECKS,
    **anomaly_detection.CHECKS,
    **denoising.CHECKS,
    **denoising_epochs.CHECKS,
    **modern.CHECKS,
    **modern_gradients.CHECKS,
    **judging.CHECKS,
    **scaling.CHECKS,
    **superposition.CHECKS,
    **interpretability.CHECKS,
    **language_model.CHECKS,
}
