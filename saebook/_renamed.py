"""Names from before 0.4.0, which still work, with a warning, until 0.6.0.

Delete this file then, and what imports it.
"""

import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

# Each module that is gone, and where its names are now.
MODULES: dict[str, tuple[str, ...]] = {
    "saebook.modern": ("saebook.reference.kinds", "saebook.reference.topk", "saebook.kinds"),
}
for _framework in ("saebook.pytorch", "saebook.tensorflow"):
    MODULES[f"{_framework}.losses"] = (f"{_framework}.loss", _framework)
    MODULES[f"{_framework}.modern"] = (f"{_framework}.topk", f"{_framework}.kinds")
    MODULES[f"{_framework}.sparse"] = (f"{_framework}.topk",)
    MODULES[f"{_framework}.training"] = ("saebook.training",)

# Each name that has moved out of a module, and the module that has it now.
NAMES: dict[str, dict[str, str]] = {
    "saebook.reference": {
        "init_params": "saebook.start",
        "init_from_samples": "saebook.start",
        "init_tied": "saebook.start",
        "geometric_median": "saebook.start",
        "epoch_order": "saebook.start",
        "noise_generator": "saebook.start",
    },
    "saebook.config": dict.fromkeys(
        ("KL", "L1", "TopK", "BatchTopK", "JumpReLU", "Gated", "AuxK"), "saebook.kinds"
    ),
    "saebook.data": {"results": "saebook.pages"},
    "saebook.plots": {"show": "saebook.pages", "table": "saebook.pages"},
    "saebook.files": {
        "read_samples": "saebook.samples",
        "read_images": "saebook.samples",
        "write_images": "saebook.samples",
    },
}


def _warn(old: str, new: str) -> None:
    # The frames of this file and of the import system are no caller's.
    warnings.warn(f"{old} is now {new}", FutureWarning, stacklevel=3)


def names_of(module: str) -> Callable[[str], Any]:
    """What to make a module's ``__getattr__``, for the names that have moved out of it."""

    def moved(name: str) -> Any:
        if name not in NAMES[module]:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        place = NAMES[module][name]
        _warn(f"{module}.{name}", f"{place}.{name}")
        return getattr(import_module(place), name)

    return moved


def modules_of(package: str) -> Callable[[str], ModuleType]:
    """What to make a package's ``__getattr__``, for the modules that are gone from it."""

    def gone(name: str) -> ModuleType:
        if f"{package}.{name}" not in MODULES:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return import_module(f"{package}.{name}")

    return gone


class _Finder(MetaPathFinder, Loader):
    """Imports a module that is gone as one that hands out the names from where they are now."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(name, self) if name in MODULES else None

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        places = [import_module(place) for place in MODULES[module.__name__]]
        _warn(module.__name__, " and ".join(place.__name__ for place in places))

        def moved(name: str) -> Any:
            for place in places:
                if hasattr(place, name):
                    return getattr(place, name)
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")

        module.__getattr__ = moved  # type: ignore[method-assign]


sys.meta_path.append(_Finder())
