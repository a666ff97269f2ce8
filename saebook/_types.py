"""Names for the types that signatures repeat."""

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from saebook.config import SAEConfig

if sys.version_info >= (3, 11):
    from typing import Self
else:
    Self = Any

__all__ = ["Array", "ArrayLike", "Corruption", "Model", "Params", "Samples", "Self", "StrPath"]

Array: TypeAlias = NDArray[Any]
Params: TypeAlias = Mapping[str, Array]
Samples: TypeAlias = ArrayLike | Iterable[ArrayLike]  # in one piece, or batch by batch
Corruption: TypeAlias = Callable[[Array, np.random.Generator], Array]
StrPath: TypeAlias = str | os.PathLike[str]


class Model(Protocol):
    """What is the same in both frameworks' ``SparseAutoencoder``."""

    config: SAEConfig

    @property
    def dtype(self) -> str:
        """Name of the parameters' dtype."""

    def to_numpy(self) -> dict[str, Array]:
        """Copy of the parameters."""

    def from_numpy(self, params: Mapping[str, ArrayLike]) -> Self:
        """Set the parameters."""
