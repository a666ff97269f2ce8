"""What a caller gives a dashboard, looked at before anything is done."""

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np

from saebook._types import Array, Params, Shape
from saebook.checks import as_array, as_floats, check_params
from saebook.config import SAEConfig

BLOCK = 2**21  # numbers that are looked at in one go


def model(model: Any) -> tuple[SAEConfig, Params, Shape | None]:
    """Description, parameters, and the shape of images that the model remembers."""
    if isinstance(model, tuple | list) and len(model) == 2 and isinstance(model[0], SAEConfig):
        if isinstance(model[1], Mapping):
            return model[0], check_params(*model), None
    elif hasattr(model, "to_numpy") and isinstance(getattr(model, "config", None), SAEConfig):
        params = check_params(model.config, model.to_numpy())
        return model.config, params, getattr(model, "image_shape", None)
    raise ValueError(
        "model must be a SparseAutoencoder or a pair (SAEConfig, dict of arrays), got "
        f"{type(model).__name__}."
    )


def check_count(name: str, count: Any, least: int) -> None:
    if not isinstance(count, Integral) or isinstance(count, bool) or count < least:
        raise ValueError(f"{name} must be an integer of at least {least}, got {count!r}.")


def _texts(texts: Any, name: str) -> list[str]:
    """A sequence of texts; bytes are read as UTF-8."""
    if isinstance(texts, str | bytes | Mapping) or not hasattr(texts, "__len__"):
        raise ValueError(f"{name} must be a sequence of str, got {type(texts).__name__}.")
    found = [text.decode("utf8", "replace") if isinstance(text, bytes) else text for text in texts]
    wrong = next((text for text in found if not isinstance(text, str)), None)
    if wrong is not None:
        raise ValueError(f"{name} must be a sequence of str, got {wrong!r} in it.")
    return [str(text) for text in found]


class Tokens:
    """Texts of tokens by their place in all sequences, one behind the other."""

    def __init__(self, tokens: Array, vocabulary: list[str] | None, counted: Array) -> None:
        self.tokens, self.vocabulary = tokens.reshape(-1), vocabulary
        self.counted = counted.reshape(-1)  #: which are text, and not there to fill a sequence

    def rows(self, first: int, stop: int) -> Array:
        """Those of some rows, one behind the other, that count."""
        return first + np.flatnonzero(self.counted[first:stop])

    def texts(self, rows: Array) -> list[str]:
        """The texts of some rows."""
        found = self.tokens[rows].tolist()
        if self.vocabulary is not None:
            return [self.vocabulary[number] for number in found]
        return _texts(found, "tokens")


def _mask(mask: Any, shape: Shape) -> Array:
    """Which positions of ``x (n_sequences, length, n_features)`` count."""
    if mask is None:
        return np.ones(shape, bool)
    try:
        mask = as_array(mask, "mask")
    except ValueError:
        raise ValueError(f"mask must have shape {shape}, got rows that differ.") from None
    if mask.shape != shape:
        raise ValueError(f"mask must have the shape of tokens, {shape}, got {mask.shape}.")
    if mask.dtype.kind not in "biu" or not np.isin(mask, (0, 1)).all():
        raise ValueError(f"mask must be of True and False, or of 1 and 0, got {mask.dtype}.")
    if not mask.any():
        raise ValueError("mask must leave at least one token, got none.")
    return mask.astype(bool)


def tokens(tokens: Any, vocabulary: Any, mask: Any, x: Array, n_features: int) -> Tokens:
    """The tokens of activations ``x (n_sequences, length, n_features)``."""
    if x.ndim != 3 or x.shape[2] != n_features:
        raise ValueError(
            f"x must have shape (n_sequences, length, {n_features}) with tokens, got {x.shape}."
        )
    try:
        array = as_array(tokens, "tokens")
    except ValueError:
        raise ValueError(
            f"tokens must be sequences of one length, {x.shape[:2]} in all, got rows that differ; "
            "fill them, and give a mask."
        ) from None
    if array.shape != x.shape[:2]:
        raise ValueError(f"tokens must have the shape of x, {x.shape[:2]}, got {array.shape}.")
    counted = _mask(mask, array.shape)
    if vocabulary is None:
        if array.dtype.kind not in "OUST":
            raise ValueError(
                f"tokens must be text unless a vocabulary is given, got {array.dtype}."
            )
        _texts(array.reshape(-1).tolist(), "tokens")
        return Tokens(array, None, counted)
    texts = _texts(vocabulary, "vocabulary")
    if array.dtype.kind not in "iu":
        raise ValueError(f"tokens must be integers with a vocabulary, got {array.dtype}.")
    used = array[counted]
    if used.size and (used.min() < 0 or used.max() >= len(texts)):
        raise ValueError(
            f"tokens must be numbers in the vocabulary, from 0 to {len(texts) - 1}, got "
            f"{used.min()} to {used.max()}."
        )
    return Tokens(array, texts, counted)


def names(names: Any, n_latents: int) -> list[str]:
    """A name of each latent, empty where it has none."""
    if names is None:
        return [""] * n_latents
    if not isinstance(names, Mapping):
        found = _texts(["" if name is None else name for name in names], "names")
        if len(found) != n_latents:
            raise ValueError(f"names must be {n_latents}, one for a latent, got {len(found)}.")
        return found
    found = [""] * n_latents
    for latent, name in names.items():
        if not isinstance(latent, Integral) or not 0 <= int(latent) < n_latents:
            raise ValueError(
                f"names must have latents from 0 to {n_latents - 1} as keys, got {latent!r}."
            )
        found[int(latent)] = _texts([name], "names")[0]
    return found


def effects(
    effects: Any, class_names: Any, vocabulary: Sequence[str] | None, n_latents: int
) -> tuple[Array | None, list[str]]:
    """Effects ``(n_latents, n_classes)`` and a name for each class."""
    if effects is None:
        if class_names is not None:
            raise ValueError("class_names must be given together with effects, got them alone.")
        return None, []
    effects = as_floats(effects, "effects")
    if effects.ndim != 2 or len(effects) != n_latents or effects.shape[1] == 0:
        raise ValueError(f"effects must have shape ({n_latents}, n_classes), got {effects.shape}.")
    step = max(1, BLOCK // effects.shape[1])
    for start in range(0, n_latents, step):
        finite = np.isfinite(effects[start : start + step]).all(axis=1)
        if not finite.all():
            raise ValueError(
                "effects must be finite, got NaN or infinity first for latent "
                f"{start + int(finite.argmin())}."
            )
    n_classes = effects.shape[1]
    if class_names is None:
        fits = vocabulary is not None and len(vocabulary) == n_classes
        class_names = vocabulary if fits else [str(number) for number in range(n_classes)]
    classes = _texts(class_names, "class_names")
    if len(classes) != n_classes:
        raise ValueError(f"class_names must be {n_classes}, as in effects, got {len(classes)}.")
    return effects, classes
