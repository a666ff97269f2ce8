"""The bundled text, and the transformer that was trained on more of the same."""

from importlib.resources import as_file, files
from typing import Any, NamedTuple

from saebook._types import Array
from saebook.data import bundled
from saebook.tokens import Tokenizer
from saebook.transformer import TransformerConfig, read

ADDRESSES_SHA256 = "edc0a46b5279f0688a9d628b1d84a21aea70b5b62eaaae31ebb9ddc2c859f354"


class Addresses(NamedTuple):
    """Addresses on the state of the Union, in three parts; a zero byte begins each address."""

    train: bytes  #: a part of what the model was trained on
    val: bytes  #: kept from its training: to choose and to name with
    test: bytes  #: kept from its training: to look at once, to report


def addresses() -> Addresses:
    """36 of the 233 addresses on the state of the Union, 1790 to 2021 (public domain).

    Of all, in order of time, the first and every twentieth after it are ``test``, the eleventh and
    every twentieth after it ``val``; the sixth and every twentieth after it are ``train``, a part
    of what the bundled transformer was trained on.

    Returns
    -------
    Addresses

    Raises
    ------
    OSError
        If the bundled file does not have its checksum.
    """
    arrays = bundled("addresses.npz", ADDRESSES_SHA256)
    return Addresses(*(arrays[name].tobytes() for name in Addresses._fields))


def language_model() -> tuple[TransformerConfig, dict[str, Array], Tokenizer, dict[str, Any]]:
    """The bundled transformer: description, parameters (float32), tokenizer and recipe.

    The recipe says on what and how it was trained, and its bits per byte of other text.
    """
    with as_file(files("saebook") / "datasets" / "addresses.safetensors") as path:
        return read(path)
