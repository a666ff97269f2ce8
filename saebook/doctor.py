"""Versions, devices, data and a self-test: what to paste when an installation gives trouble."""

import dataclasses
import os
import platform
from collections.abc import Generator
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

import numpy as np

import saebook
from saebook import SAEConfig, parity
from saebook.kinds import KINDS

PACKAGES = {
    "numpy": "numpy",
    "scikit-learn": "scikit-learn",
    "torch": "torch",
    "torchvision": "torchvision",
    "tensorflow": "tensorflow tensorflow-cpu",
    "keras": "keras",
}


def report() -> Generator[str, None, int]:
    """Yield lines of text; the last says "all well" or how many things are not.

    Returns
    -------
    int
        The number of things that are wrong, as the generator's return value.
    """
    wrong = 0
    yield f"saebook {saebook.__version__}, Python {platform.python_version()}"
    yield f"{platform.system()} {platform.machine()}, {os.cpu_count()} processor cores"
    for name, distributions in PACKAGES.items():
        yield f"{name}: {_version(distributions)}"
    for name, read in (("MNIST", saebook.mnist), ("Fashion-MNIST", saebook.fashion_mnist)):
        try:
            read(dtype="uint8")
            yield f"{name}: checksum right"
        except OSError as error:
            wrong += 1
            yield f"{name}: WRONG: {error}"
    usable = 0
    for name in parity.FRAMEWORKS:
        try:
            package = import_module(f"saebook.{name}")
        except ImportError as error:
            yield f"{name}: not usable: {error}"
            continue
        usable += 1
        yield f"{name}: trains on {package.SparseAutoencoder(SAEConfig(1, 1)).device}"
        worst = _self_test(name)
        right = worst <= parity.TOLERANCE["float64"]
        wrong += not right
        yield (
            f"{name}: {'agrees with' if right else 'WRONG: differs from'} the NumPy reference "
            f"(relative difference {worst:.0e}, allowed {parity.TOLERANCE['float64']:.0e})"
        )
    if not usable:
        wrong += 1
        yield "WRONG: neither framework is usable: pip install torch, or pip install tensorflow"
    yield "all well" if not wrong else f"{wrong} thing(s) wrong"
    return wrong


def _self_test(name: str) -> float:
    """The worst relative difference from the reference in some seconds of the parity ledger."""
    training = dataclasses.replace(parity.TRAINING, epochs=25)
    kinds = [None, *(examples[0] for examples in KINDS.values())]
    configs = [
        parity.config_of(parity.activations_of(kind)[0], "linear", sparsity=kind) for kind in kinds
    ]
    found = [parity.compare(name, config, "float64", training).values() for config in configs]
    return float(np.max([list(values) for values in found]))


def _version(distributions: str) -> str:
    for name in distributions.split():
        try:
            return version(name)
        except PackageNotFoundError:
            pass
    return "not installed"
