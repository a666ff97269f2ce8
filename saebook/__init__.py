"""Sparse autoencoders, the same in NumPy, PyTorch and TensorFlow.

``import saebook`` loads neither framework; import from `saebook.pytorch` or `saebook.tensorflow`.
The other modules, such as `saebook.metrics`, are there at once and load when they are used.
"""

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

from saebook import _renamed  # noqa: F401  (names of the version before)
from saebook.config import SAEConfig, TrainConfig
from saebook.data import fashion_mnist, mnist
from saebook.kinds import KL, L1, AuxK, BatchTopK, Gated, JumpReLU, TopK

__version__ = "0.5.0"
__all__ = [
    "KL",
    "L1",
    "AuxK",
    "BatchTopK",
    "Gated",
    "JumpReLU",
    "SAEConfig",
    "TopK",
    "TrainConfig",
    "fashion_mnist",
    "mnist",
]
_MODULES = sorted(name for _, name, _ in iter_modules(__path__) if not name.startswith("_"))


def __getattr__(name: str) -> ModuleType:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"saebook.{name}")


def __dir__() -> list[str]:
    return [*__all__, *_MODULES]
