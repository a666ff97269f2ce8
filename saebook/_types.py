"""Names for the types that signatures repeat."""

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

if sys.version_info >= (3, 11):
    from typing import Self
else:
    Self = Any

__all__ = ["Array", "ArrayLike", "Corruption", "Params", "Samples", "Self", "Shape", "StrPath"]

Array: TypeAlias = NDArray[Any]
Params: TypeAlias = Mapping[str, Array]
Samples: TypeAlias = ArrayLike | Iterable[ArrayLike]  # in one piece, or batch by batch
Corruption: TypeAlias = Callable[[Array, np.random.Generator], Array]
Shape: TypeAlias = tuple[int, ...]
StrPath: TypeAlias = str | os.PathLike[str]
