"""Several models trained at once: the same batches, the same results as one after the other."""

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from saebook._types import Array, ArrayLike
from saebook.batches import Batches
from saebook.checkpoint import append_row
from saebook.checks import check_finite
from saebook.config import SAEConfig, TrainConfig
from saebook.doubts import warn_of, warn_of_silence
from saebook.kinds import Ranked
from saebook.model import Autoencoder, loss_terms
from saebook.parameters import row_axis
from saebook.start import begin_at_data
from saebook.training import epochs, row_of


def fit_many(
    models: Sequence[Any], x: ArrayLike, train_config: TrainConfig = TrainConfig()
) -> list[dict[str, list[float]]]:
    """Train several models in place, all on the same batches, as `fit` would one by one.

    They may differ in their weights, and so in their seeds, and in the numbers of their kind of
    sparsity, such as ``rho`` and ``beta``. Their products are done together, which takes less time
    the smaller the models are.

    Parameters
    ----------
    models : sequence of models
        Of one framework, and the same sizes, dtype and device. Not TopK nor BatchTopK.
    x : array (n_samples, n_features)
        Training samples.
    train_config : TrainConfig

    Returns
    -------
    list of dict of str to list of float
        The history of each model; see `fit`.

    Raises
    ------
    ValueError
        If models differ in more than they may, their kind of sparsity chooses by rank, the array
        does not suit them, or mixed precision is asked for.
    FloatingPointError
        If the loss or a parameter of a model stops being finite.
    """
    numbers = check_models(models)
    if train_config.mixed_precision:
        raise ValueError("train_config.mixed_precision must be False for several models, got True.")
    train_config = train_config.settled(models[0].config)
    data = Batches(models[0].config, x, models[0].dtype, train_config)
    if data.array is None:
        raise ValueError(
            f"x must be an array in memory for several models, got {type(x).__name__}."
        )
    for model in models:
        begin_at_data(model, data, data.array)
    module = import_module(f"saebook.{models[0].framework}.sweep")
    engine = module.SweepEngine(models, numbers, train_config)
    engine.begin(data)

    def look(first: Array) -> None:
        for model in models:
            warn_of(model, first, train_config, data.n_steps)

    data.look = look
    histories: list[dict[str, list[float]]] = [{} for _ in models]
    for epoch, means, fired in epochs(engine, data, train_config, hide=True):
        params = engine.to_numpy()
        for i, (model, history) in enumerate(zip(models, histories, strict=True)):
            row = row_of(means[i], fired[i])
            own = {name: values[i] for name, values in params.items()}
            check_finite(row["loss"], own, epoch)
            if epoch == 0:
                warn_of_silence(model.config, row["dead"])
            append_row(history, row)
            model.from_numpy(own)
            model.image_shape = data.image_shape
    return histories


def check_models(models: Sequence[Autoencoder]) -> dict[str, Array]:
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
    if isinstance(first.config.sparsity, Ranked):
        raise ValueError(
            "models must have a kind of sparsity without ranks, got "
            f"{type(first.config.sparsity).__name__}; train these one by one."
        )
    if first.config.sparsity is not None and first.config.sparsity.counted(first.config):
        raise ValueError(
            f"models must have prices that stay, got {first.config.sparsity}; train these one by "
            "one."
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
    varied = {n: v for n, v in values.items() if len(set(v)) > 1}
    for name, found in varied.items():
        if None in found:
            raise ValueError(f"models must all give {name}, or none of them, got {found}.")
    return {n: np.array(v, first.dtype) for n, v in varied.items()}


class SweepEngine:
    """A training of several models, for the loop that `saebook.engine.Engine` serves too.

    Parameters
    ----------
    models : sequence of models
    numbers : dict of str to array (n_models,)
        As from `check_models`.
    """

    world_size = 1

    def __init__(self, models: Sequence[Any], numbers: Mapping[str, Array]) -> None:
        self.model, self.config = models[0], models[0].config
        self.varied = {name: self.model.tensor(value) for name, value in numbers.items()}
        name, axis = row_axis(self.config)
        self.rows = name, axis + 1  # the first axis is that of the models

    def one_model(self, x: Any, strength: Any, numbers: Mapping[str, Any]) -> Any:
        """Terms of the loss and code of one of the models, whose parameters are in place."""
        self.model.config = with_numbers(self.config, numbers)
        try:
            a = self.model.preactivation(x)
            z = self.model.code(a, training=True)
            return list(loss_terms(self.model, x, a, z, strength).values()), z
        finally:
            self.model.config = self.config

    def stop(self) -> None:
        """Nothing to put back."""


def with_numbers(config: SAEConfig, numbers: Mapping[str, Any]) -> SAEConfig:
    """The configuration, with tensors for some of the numbers of its kind of sparsity."""
    if not numbers:
        return config
    sparsity, changed = copy.copy(config.sparsity), copy.copy(config)
    for name, value in numbers.items():  # a tensor would not pass the checks of a number
        object.__setattr__(sparsity, name, value)
    object.__setattr__(changed, "sparsity", sparsity)
    return changed
