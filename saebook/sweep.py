"""What several trainings at once have in common, whatever the framework."""

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from saebook._types import Array, Model
from saebook.config import BatchTopK, SAEConfig, TopK


def check_models(models: Sequence[Model]) -> dict[str, Array]:
    """Numbers of the kind of sparsity that differ from model to model, each ``(n_models,)``.

    Raises
    ------
    ValueError
        If there is no model, one is there twice, or they differ in more than weights and the
        numbers of their kind of sparsity, or the kind chooses its latents by rank.
    """
    if not models:
        raise ValueError("models must hold at least one model, got none.")
    if len(set(map(id, models))) < len(models):
        raise ValueError("models must be different ones, got the same one twice.")
    first = models[0]
    if isinstance(first.config.sparsity, TopK | BatchTopK):
        raise ValueError(
            "models must have a kind of sparsity without ranks, got "
            f"{type(first.config.sparsity).__name__}; train these one by one."
        )
    for model in models[1:]:
        same_kind = type(model.config.sparsity) is type(first.config.sparsity)
        if not same_kind or model.dtype != first.dtype:
            raise ValueError(
                "models must have the same kind of sparsity and dtype, got "
                f"{first.config.sparsity}, {first.dtype} and "
                f"{model.config.sparsity}, {model.dtype}."
            )
        if dataclasses.replace(model.config, sparsity=first.config.sparsity) != first.config:
            raise ValueError(
                "models must differ in weights and sparsity alone, got "
                f"{first.config} and {model.config}."
            )
    if first.config.sparsity is None:
        return {}
    names = [field.name for field in dataclasses.fields(first.config.sparsity)]
    values = {n: [getattr(m.config.sparsity, n) for m in models] for n in names}
    return {n: np.array(v, first.dtype) for n, v in values.items() if len(set(v)) > 1}


def with_numbers(config: SAEConfig, numbers: Mapping[str, Any]) -> SAEConfig:
    """The configuration, with tensors for some of the numbers of its kind of sparsity."""
    if not numbers:
        return config
    sparsity, changed = copy.copy(config.sparsity), copy.copy(config)
    for name, value in numbers.items():  # a tensor would not pass the checks of a number
        object.__setattr__(sparsity, name, value)
    object.__setattr__(changed, "sparsity", sparsity)
    return changed
