"""A folder of plain files in which a model's latents can be looked at, one by one.

It opens in a browser, from a disk or from any host of static pages, without a network. In it are
``index.html``, a style sheet, a script, and ``data/``, read piece by piece when needed.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from saebook._types import Array, ArrayLike, StrPath
from saebook.checks import as_array, check_array
from saebook.dashboard import folders, given
from saebook.dashboard.measure import Found, measure
from saebook.dashboard.pictures import Pictures
from saebook.parameters import dictionary

__all__ = ["write_dashboard"]

PER_FILE = 8  # latents in a file of data
ALL_CLASSES, N_ENDS = 12, 8  # with more classes, the largest and the smallest effects are shown


def write_dashboard(
    folder: StrPath,
    model: Any,
    x: ArrayLike,
    *,
    image_shape: Sequence[int] | None = None,
    images: ArrayLike | None = None,
    tokens: Any = None,
    vocabulary: Sequence[str] | None = None,
    mask: ArrayLike | None = None,
    effects: ArrayLike | None = None,
    class_names: Sequence[str] | None = None,
    names: Mapping[int, str] | Sequence[str] | None = None,
    title: str = "Latents of a dictionary",
    n_examples: int = 12,
    context: int = 12,
) -> Path:
    """Write a folder whose ``index.html`` lists a model's latents, and what makes each active.

    For each latent: the samples for which its activation is largest in size, a histogram of its
    activations, the share of samples for which it is active, its row of the dictionary as a
    picture, and its effects on logits where these are given. For the whole: L0 and FVU. Samples are
    encoded twice, a block at a time, in NumPy.

    Parameters
    ----------
    folder : path
        A new one. A folder that this function wrote, in which nothing else lies, is replaced.
    model : model, or (SAEConfig, dict of str to ndarray)
        A ``SparseAutoencoder`` of either framework; or its description and its parameters.
    x : array (n_samples, n_features)
        Samples, in any form in which ``fit`` takes an array; a `numpy.memmap` stays on disk. With
        `tokens`, activations ``(n_sequences, length, n_features)``.
    image_shape : sequence of int, optional
        Shape of samples that are pictures, ``(height, width)`` or with an axis of 3 colours. It is
        not needed where `x` has that shape itself. Grey is drawn as ink: the larger, the darker.
    images : array (n_samples, height, width), optional
        Pictures to show for samples that are none, such as the activations of another network;
        grey, or with an axis of 3 colours.
    tokens : array (n_sequences, length), optional
        The token at each position of `x`: its text or, with `vocabulary`, its number there. An
        example is then a position, at most one in a sequence, among `context` tokens on each side.
    vocabulary : sequence of str, optional
        The text of each token number.
    mask : array (n_sequences, length), optional
        Which tokens count: 1 or True, as in the ``attention_mask`` of Hugging Face. Others, such as
        those that fill short sequences, are neither looked at nor shown.
    effects : array (n_latents, n_classes), optional
        By how much each latent changes each logit.
    class_names : sequence of str, optional
        A name for each logit; by default `vocabulary` if that is as long, else numbers.
    names : dict of int to str, or sequence of str, optional
        Names of latents, of some or of all. The page opens with the first of some, without names
        or with a name for all with the latent that is active most often.
    title : str
    n_examples : int
        Examples of each latent, at most.
    context : int
        Tokens on either side of an example.

    Returns
    -------
    pathlib.Path
        The page to open, ``folder/index.html``.

    Raises
    ------
    ValueError
        If an argument has a shape, type or value that is not as above, or holds NaN or infinity.
        Nothing is written then.
    FileExistsError
        If the folder is a file, or holds anything that this function did not write.
    """
    place = folders.check_place(folder)
    config, params, remembered = given.model(model)
    given.check_count("n_examples", n_examples, 1)
    given.check_count("context", context, 0)
    x, length, pictures, counted = as_array(x, "x"), 1, None, None
    if tokens is not None:
        tokens = given.tokens(tokens, vocabulary, mask, x, config.n_features)
        length, counted = x.shape[1], tokens.counted
        check_array(config, x[:1].reshape(-1, config.n_features), "x")
    else:
        for name, value in (("vocabulary", vocabulary), ("mask", mask)):
            if value is not None:
                raise ValueError(f"{name} must be given together with tokens, got it alone.")
    if tokens is None:
        check_array(config, x, "x")
        if image_shape is None and images is None:
            image_shape = remembered
        pictures = Pictures.of(x, image_shape, images)
    elif image_shape is not None or images is not None:
        raise ValueError("tokens must be given without image_shape and images, got both.")
    latents = given.names(names, config.n_latents)
    effects, classes = given.effects(effects, class_names, vocabulary, config.n_latents)

    around = context if length > 1 else 0
    found = measure(config, params, x, length, n_examples, around, counted)
    with folders.written_whole(place, title) as data:
        words: list[str] = []
        for number, first in enumerate(range(0, config.n_latents, PER_FILE)):
            group = range(first, min(first + PER_FILE, config.n_latents))
            details = [_detail(found, j, length, tokens, effects, classes) for j in group]
            words += [_words(detail) for detail in details]
            folders.write_data(data / f"latents-{number}.js", details)
            if pictures is not None:
                pictures.write_examples(data / f"examples-{number}.png", found.places[group])
                if images is None:
                    rows = dictionary(config, params)[group]
                    pictures.write_rows(data / f"rows-{number}.png", rows)
        whole = {
            "unit": "tokens" if tokens is not None else "images" if pictures else "samples",
            "kind": "none" if config.sparsity is None else type(config.sparsity).__name__,
            "n_samples": len(x) if counted is None else int(counted.sum()),
            "l0": _short(found.l0),
            "fvu": _short(found.fvu),
            "per_file": PER_FILE,
            "n_examples": found.places.shape[1],
            "tile": pictures.tile if pictures else None,
            "rows": pictures is not None and images is None,
            "all_effects": effects is not None and effects.shape[1] <= ALL_CLASSES,
            "density": _short(found.density),
            "largest": _short(found.largest),
            "names": latents,
            "opens": int(next(iter(names))) if names and isinstance(names, Mapping) else None,
            "words": words,
        }
        folders.write_data(data / "index.js", whole)
    return place / "index.html"


def _detail(
    found: Found, j: int, length: int, tokens: Any, effects: Array | None, classes: list[str]
) -> dict[str, Any]:
    """What there is to say of latent `j`."""
    middle = found.around.shape[2] // 2
    examples: list[dict[str, Any]] = []
    for place, values in zip(found.places[j].tolist(), found.around[j], strict=True):
        if place < 0:
            break
        example: dict[str, Any] = {"value": _short(values[middle])}
        if tokens is None:
            example["sample"] = place
        else:
            sequence, position = divmod(place, length)
            first, last = max(0, position - middle), min(length, position + middle + 1)
            rows = tokens.rows(sequence * length + first, sequence * length + last)
            example |= {
                "sequence": sequence,
                "position": position,
                "peak": int(np.searchsorted(rows, place)),
                "tokens": tokens.texts(rows),
                "values": _short(values[middle + rows - place]),
            }
        examples.append(example)
    detail = {
        "examples": examples,
        "low": _short(found.low[j]),
        "high": _short(found.high[j]),
        "counts": found.counts[j].tolist(),
    }
    if effects is not None:
        order = np.argsort(-effects[j], kind="stable")
        if len(order) > ALL_CLASSES:
            order = np.concatenate([order[:N_ENDS], order[-N_ENDS:]])
        else:
            order = np.arange(len(order))
        detail["effects"] = [[classes[c], _short(effects[j, c])] for c in order]
    return detail


def _words(detail: Mapping[str, Any]) -> str:
    """Texts by which a latent is found: tokens at its examples, classes that it raises most."""
    peaks = [e["tokens"][e["peak"]].strip() for e in detail["examples"] if "tokens" in e]
    ends = detail.get("effects", ())
    raised = [name.strip() for name, _ in ends[:3]] if len(ends) > ALL_CLASSES else []
    return " ".join(dict.fromkeys(peaks + raised))


def _short(values: Any) -> Any:
    """Numbers of seven digits, for a file."""
    if np.ndim(values):
        return [_short(value) for value in values]
    return float(f"{float(values):.7g}")
