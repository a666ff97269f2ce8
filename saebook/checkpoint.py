"""Training that can be interrupted: after every epoch, all that the next one needs, in one file."""

import dataclasses
import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from saebook import weights
from saebook._types import Array, Params, StrPath
from saebook.batches import Batches
from saebook.config import TrainConfig
from saebook.files import check_writable
from saebook.model import Autoencoder
from saebook.parameters import counted_names


class Optimizer(Protocol):
    """What is the same in both frameworks' ``Adam``."""

    def to_numpy(self) -> dict[str, Array]:
        """Count of steps and moments."""


class Checkpoint:
    """How far a training has come: epochs, history and optimiser; in a file too, if it has one.

    The order of samples and the noise of an epoch depend on seed and epoch alone, so training goes
    on from there exactly as if nothing had happened.

    Parameters
    ----------
    path : str or path-like, optional
        The file, which is written after every epoch.
    epochs : int
        Whole epochs trained so far.
    history : dict of str to list of float, optional
    adam : dict of str to ndarray, optional
        The optimiser to start with: the count of steps ``t``, and ``m.NAME`` and ``v.NAME`` for
        each parameter. Empty for a fresh one.
    """

    def __init__(
        self,
        path: StrPath | None = None,
        epochs: int = 0,
        history: Mapping[str, Sequence[float]] | None = None,
        adam: Params | None = None,
    ) -> None:
        self.path = None if path is None else Path(path)
        self.epochs, self.ended = epochs, False
        # Lists of its own: those given may be somebody's, such as an estimator's and its copies'.
        self.history = {name: list(values) for name, values in (history or {}).items()}
        self._adam: Params = adam or {}
        self._optimizer: Optimizer | None = None

    @property
    def adam(self) -> Params:
        """The optimiser as it is now, or as it is to start."""
        return self._optimizer.to_numpy() if self._optimizer else self._adam

    def begin(
        self, model: Autoencoder, train_config: TrainConfig, data: Batches, x_val: Array | None
    ) -> TrainConfig:
        """Take up the training in the file, if there is one, and set the model's weights to it.

        Returns the settings with which it goes on.

        Raises
        ------
        ValueError
            If the file is damaged or belongs to another training.
        """
        given, train_config = train_config, train_config.settled(model.config)
        if self.path is None:
            return train_config
        check_writable(self.path)
        self.training: dict[str, Any] = {
            "config": weights.config_to_dict(model.config),
            "dtype": model.dtype,
            "start": _checksum(model.to_numpy().values()),
            **dataclasses.asdict(train_config),
            "x": data.mark(),
            "batches": "even",
            "x_val": None if x_val is None else [*x_val.shape, _checksum([x_val])],
            "corruption": _name(data.corruption) if data.noisy is None else _checksum([data.noisy]),
        }
        if not train_config.decay_steps:
            del self.training["epochs"]  # more of them may be asked for later
        if self.path.exists():
            before = weights.read_all(self.path)
            if _sound(before[3]):
                if "init" not in before[3]["training"]:  # when models began as they were made
                    del self.training["init"]
                # What nobody gave goes on as it was when the training in the file began.
                chosen = {
                    name: before[3]["training"].get(name, self.training[name])
                    for name in ("learning_rate", "beta_2")
                    if getattr(given, name) is None
                }
                train_config = dataclasses.replace(train_config, **chosen)
                self.training |= chosen
            self._take_up(model, data, *before[1:])
        return train_config

    def _take_up(
        self, model: Autoencoder, data: Batches, params: Params, adam: Params, notes: Any
    ) -> None:
        moments = {
            f"adam.{key}.{name}": p.shape
            for key in "mv"
            for name, p in params.items()
            if name not in counted_names(model.config)
        }
        shapes = {name: value.shape for name, value in adam.items()}
        finite = all(np.isfinite(value).all() for value in adam.values())
        if not (_sound(notes) and shapes == {"adam.t": ()} | moments and finite):
            raise ValueError(f"checkpoint must be a file that fit has written, got {self.path}.")
        before = notes["training"]
        if before.get("x", 0) is None:  # of data that were not in memory 0.3.0 kept nothing
            before = {**before, "x": self.training["x"]}
        if "batches" not in before:  # begun by 0.4.0 or earlier: so it goes on
            data.even = False
            del self.training["batches"]
        for name, value in self.training.items():
            if before.get(name) != value:
                raise ValueError(
                    f"checkpoint must belong to this training, but {self.path} was begun with "
                    f"another {_NAMES.get(name, name)}: {before.get(name)!r}, "
                    f"got {value!r}; name another file, or delete this one."
                )
        self.epochs, self.history = notes["epochs"], notes["history"]
        self.ended = notes.get("ended", False)
        self._adam = {name.removeprefix("adam."): value for name, value in adam.items()}
        model.from_numpy(params)

    def end_epoch(
        self, model: Autoencoder, row: dict[str, float], optimizer: Optimizer, rank: int = 0
    ) -> None:
        """Record an epoch's figures and the state after it, and write the file, if there is one.

        Of several processes, which all have the same to write, the one with `rank` 0 does.
        """
        self.epochs += 1
        self._optimizer = optimizer
        append_row(self.history, row)
        self._write(model, rank)

    def end(self, model: Autoencoder, rank: int = 0) -> None:
        """Note that training has ended before its last epoch, and will not go on."""
        self.ended = True
        self._write(model, rank)

    def _write(self, model: Autoencoder, rank: int) -> None:
        if self.path is None or rank > 0:
            return
        notes = {"epochs": self.epochs, "history": self.history, "training": self.training}
        if self.ended:
            notes["ended"] = True
        tensors = {f"adam.{name}": value for name, value in self.adam.items()}
        params = model.to_numpy()
        weights.write(self.path, model.config, params, tensors, notes, model.image_shape)


def append_row(history: dict[str, list[float]], row: Mapping[str, float]) -> None:
    """Add the figures of an epoch to a history; NaN for one that an epoch did not have."""
    before = max(map(len, history.values()), default=0)
    for name in [*history, *(name for name in row if name not in history)]:
        history.setdefault(name, [math.nan] * before).append(row.get(name, math.nan))


def marks(
    model: Autoencoder, train_config: TrainConfig, data: Batches, state: Checkpoint
) -> dict[str, int]:
    """What processes that train together must begin with alike, as a number for each."""
    return {
        "train_config": zlib.crc32(repr(train_config).encode()),
        "model.config": zlib.crc32(repr(model.config).encode()),
        "model (weights)": _checksum(model.to_numpy().values()),
        "x": zlib.crc32(repr(data.mark()).encode()),
        "checkpoint (epochs in it)": state.epochs,
    }


def check_same(names: Iterable[str], found: Array) -> None:
    """Raise ValueError unless all rows of ``found (n_processes, n_marks)`` are equal."""
    different = [name for name, column in zip(names, found.T, strict=True) if np.ptp(column)]
    if different:
        raise ValueError(
            f"{', '.join(different)} must be the same in every process that trains together, "
            f"got {len(np.unique(found, axis=0))} kinds in {len(found)} processes."
        )


# What a user gave, for the marks of it that a checkpoint holds.
_NAMES = {"start": "model (initial weights)", "seed": "train_config.seed"}


def _sound(notes: Any) -> bool:
    """Whether the notes in a file are such as `Checkpoint` writes."""
    if not isinstance(notes, dict) or {*notes} - {"ended"} != {"epochs", "history", "training"}:
        return False
    epochs, history, training = notes["epochs"], notes["history"], notes["training"]
    return (
        isinstance(epochs, int)
        and isinstance(training, dict)
        and isinstance(notes.get("ended", False), bool)
        and isinstance(history, dict)
        and all(isinstance(values, list) and len(values) == epochs for values in history.values())
    )


def _name(corruption: Any) -> str:
    """The same in every process, which the text of a function is not."""
    if dataclasses.is_dataclass(corruption):
        return repr(corruption)
    return getattr(corruption, "__qualname__", type(corruption).__qualname__)


def _checksum(arrays: Iterable[Array]) -> int:
    """CRC-32 of the bytes of some arrays: it tells mistakes apart, not attacks."""
    crc = 0
    for array in arrays:
        crc = zlib.crc32(np.ascontiguousarray(array).data, crc)
    return crc
