"""Settings for all tests. Environment variables count only before the frameworks are imported."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("MPLBACKEND", "agg")

from importlib import import_module

import pytest
from hypothesis import settings

# Everyone gets the same examples at every run: a change is judged by what it changes, not by luck.
# New ones are drawn every night, by .github/workflows/nightly.yml, with SAEBOOK_HYPOTHESIS=nightly.
settings.register_profile("same", derandomize=True)
settings.register_profile("nightly", derandomize=False, print_blob=True)
settings.load_profile(os.environ.get("SAEBOOK_HYPOTHESIS", "same"))

# `make alone` has one of them; everywhere else one that is missing is an error.
ALONE = os.environ.get("SAEBOOK_ALONE")
FRAMEWORKS = ("pytorch", "tensorflow")
if ALONE:
    FRAMEWORKS = ("pytorch",) if ALONE.startswith("torch") else ("tensorflow",)


@pytest.fixture(scope="session", autouse=True)
def _one_thread_for_tiny_products():
    """Two threads that wait for each other at every step make the tests' tiny models slower."""
    if "pytorch" not in FRAMEWORKS:
        yield
        return
    torch = import_module("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(params=FRAMEWORKS)
def framework(request):
    """The package of each framework in turn."""
    return import_module(f"saebook.{request.param}")


@pytest.fixture
def tensor(framework):
    """What makes a tensor of the framework from an array."""
    if framework.__name__.endswith("pytorch"):
        return import_module("torch").as_tensor
    return import_module("tensorflow").convert_to_tensor
