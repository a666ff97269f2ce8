"""All layouts by name: how a file or folder is recognised, read and written."""

import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from saebook import weights
from saebook._types import Array, Params, StrPath
from saebook.config import SAEConfig
from saebook.files import shown
from saebook.interop import arrays, contents
from saebook.interop.dictionary_learning import from_dictionary_learning, to_dictionary_learning
from saebook.interop.openai import from_openai, to_openai
from saebook.interop.openmoss import from_openmoss, to_openmoss
from saebook.interop.overcomplete import from_overcomplete, to_overcomplete
from saebook.interop.saelens import from_saelens, to_saelens
from saebook.interop.sparsify import from_sparsify, to_sparsify


class Layout(NamedTuple):
    """How a layout is read and written, and whether it is a folder."""

    read: Callable[..., tuple[SAEConfig, dict[str, Array]]]
    write: Callable[..., None]
    folder: bool = False


def _write_saebook(config: SAEConfig, params: Params, path: StrPath) -> None:
    weights.write(path, config, params)


LAYOUTS: dict[str, Layout] = {
    "saebook": Layout(weights.read, _write_saebook),
    "saelens": Layout(from_saelens, to_saelens, True),
    "dictionary_learning": Layout(from_dictionary_learning, to_dictionary_learning, True),
    "sparsify": Layout(from_sparsify, to_sparsify, True),
    "openmoss": Layout(from_openmoss, to_openmoss, True),
    "overcomplete": Layout(from_overcomplete, to_overcomplete),
    "openai": Layout(from_openai, to_openai),
    **{
        name: Layout(
            partial(arrays.from_arrays, layout=name), partial(arrays.to_arrays, layout=name)
        )
        for name in arrays.LAYOUTS
    },
}

# Files of a folder, or tensors of a file, that tell a layout from the others.
_FOLDERS = {
    "saelens": ("cfg.json", "sae_weights.safetensors"),
    "sparsify": ("cfg.json", "sae.safetensors"),
    "dictionary_learning": ("config.json", "ae.pt"),
    "openmoss": ("config.json", "sae_weights.safetensors"),
}
_TENSORS = {
    "gemma_scope": ("W_enc", "threshold"),
    "gemma_scope_2": ("w_enc", "threshold"),
    "openai": ("pre_bias", "latent_bias"),
    "overcomplete": ("dictionary._weights",),
    "goodfire": ("encoder_linear.weight",),
    "linear": ("encoder.weight", "decoder.weight"),
    "qwen_scope": ("W_enc", "b_enc"),
}


def recognize(path: StrPath) -> str:
    """The layout of a model, by the names of a folder's files or of a file's tensors.

    Parameters
    ----------
    path : str or path-like
        A file or a folder.

    Raises
    ------
    ValueError
        If it is in none of the layouts.
    OSError
        If it is not there, or cannot be read.
    """
    path = Path(path)
    if path.is_dir():
        names = {entry.name for entry in path.iterdir()}
        found = [layout for layout, files in _FOLDERS.items() if names >= set(files)]
    else:
        if path.suffix in (".pt", ".pth"):
            tensors, rest = contents.read_tensors(path)
            names = {*tensors, *rest}
        else:
            names = contents.names_in(path)
        if path.suffix == ".safetensors" and contents.has_header_of_saebook(path):
            return "saebook"
        found = [layout for layout, wanted in _TENSORS.items() if names >= set(wanted)]
    if not found:
        raise ValueError(
            f"{path} must hold a model in one of the layouts {', '.join(LAYOUTS)}, got "
            f"{'the files' if path.is_dir() else 'the tensors'} {shown(names)}."
        )
    return found[0]


def read(
    path: StrPath, layout: str | None = None, **options: Any
) -> tuple[SAEConfig, dict[str, Array]]:
    """Read a model in any of the layouts.

    Parameters
    ----------
    path : str or path-like
        A file or a folder, as the layout has it.
    layout : str, optional
        A name in ``LAYOUTS``; by default the one that `recognize` finds.
    **options
        What the layout's own function takes: ``k``, ``threshold`` and the like.

    Returns
    -------
    SAEConfig
    dict of str to ndarray
        For ``model.from_numpy``.

    Raises
    ------
    ValueError
        If the layout is unknown or has no such option, or what is read is not in it.
    ImportError
        If PyTorch is needed and not installed.
    OSError
        If a file cannot be read.
    """
    layout = recognize(path) if layout is None else layout
    function = _checked(layout).read
    _check_options(layout, function, options)
    return function(path, **options)


def write(
    config: SAEConfig, params: Params, path: StrPath, layout: str = "saebook", **options: Any
) -> None:
    """Write a model in any of the layouts; parameters and errors are those of `read`.

    Raises ValueError as well where the layout cannot hold the model.
    """
    function = _checked(layout).write
    _check_options(layout, function, options)
    function(config, params, path, **options)


def _checked(layout: str) -> Layout:
    if layout not in LAYOUTS:
        raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}, got {layout!r}.")
    return LAYOUTS[layout]


def _check_options(layout: str, function: Callable[..., Any], options: dict[str, Any]) -> None:
    own = inspect.signature(function).parameters
    taken = [n for n in own if n not in ("config", "params", "path", "folder", "layout")]
    for name in options:
        if name not in taken:
            raise ValueError(
                f"options of the layout {layout} must be among {', '.join(taken) or 'none'}, "
                f"got {name}."
            )
