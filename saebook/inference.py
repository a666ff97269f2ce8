"""Codes and reconstructions without a framework: the specification's numbers, quick and in blocks.

`saebook.reference` says what they are, and tests hold these to it. Here a block of samples is
encoded at a time, and the k largest of a row are sought among few candidates.
"""

from collections.abc import Callable, Iterator

import numpy as np

from saebook import reference
from saebook._types import Array, Params
from saebook.checks import check_width
from saebook.config import SAEConfig
from saebook.kinds import TopK

BLOCK = 2**21  # numbers in a block of codes or samples: 8 MB of float32


def blocks(config: SAEConfig, n_samples: int) -> Iterator[slice]:
    """Rows to take at a time, so that neither their codes nor they themselves need much memory."""
    size = max(1, BLOCK // max(config.n_latents, config.n_features))
    for start in range(0, n_samples, size):
        yield slice(start, start + size)


def encode(
    config: SAEConfig, params: Params, x: Array, prepare: Callable[[Array], Array] | None = None
) -> Array:
    """Codes ``(n_samples, n_latents)``, as `reference.encode` makes them.

    Parameters
    ----------
    config : SAEConfig
    params : dict of str to ndarray
    x : array (n_samples, n_features)
    prepare : callable, optional
        What is done to a block of samples before it is encoded, such as scaling.
    """
    z = np.zeros((len(x), config.n_latents), np.result_type(x, params["W_enc"]))
    for rows in blocks(config, len(x)):
        _encode(config, params, x[rows] if prepare is None else prepare(x[rows]), z[rows])
    return z


def rebuilt(
    config: SAEConfig, params: Params, x: Array, prepare: Callable[[Array], Array] | None = None
) -> Iterator[tuple[slice, Array, Array, Array]]:
    """For each block: its rows, its samples as prepared, their codes, their reconstructions."""
    for rows in blocks(config, len(x)):
        block = x[rows] if prepare is None else prepare(x[rows])
        z = encode(config, params, block)
        yield rows, block, z, reference.decode(config, params, z)


def _encode(config: SAEConfig, params: Params, x: Array, z: Array) -> None:
    """Write the codes of a block of samples to ``z``, which holds zeros."""
    if type(config.sparsity) is not TopK:
        z[:] = reference.encode(config, params, x)
        return
    check_width(x, config.n_features, "x")
    a = reference.preactivation(config, params, x)
    places = largest(a, config.sparsity.k)
    function = reference.FUNCTIONS[config.activation][0]
    z.reshape(-1)[places] = function(a.reshape(-1)[places])


def largest(a: Array, k: int) -> Array:
    """Places, in the flattened array, of the `k` largest of each row; see `reference.largest`.

    All that reach a bound at or below the k-th largest are candidates. Where these are more than
    `k`, the specification chooses among them, with its rules for equal entries and NaN.
    """
    n_rows = len(a)
    candidates = ~(a < _bound(a, k))  # NaN is one
    counts = np.count_nonzero(candidates, axis=1)
    places = np.flatnonzero(candidates)
    if (counts == k).all():
        return places
    rows = np.repeat(np.arange(n_rows), counts)
    columns = np.arange(len(places)) - np.repeat(np.cumsum(counts) - counts, counts)
    values = np.full((n_rows, counts.max()), -np.inf, a.dtype)
    values[rows, columns] = a.reshape(-1)[places]
    return places[reference.largest(values, k)[rows, columns]]


def _bound(a: Array, k: int) -> Array:
    """A number for each row, ``(n_rows, 1)``, that at least `k` of its entries reach.

    The k-th largest entry; or, where `k` is a small part, the k-th largest maximum of groups into
    which the row is cut, which is found sooner.
    """
    width, n_groups = a.shape[1], 4 * k
    if width >= 4 * n_groups:
        n_each = width // n_groups
        a = a[:, : n_each * n_groups].reshape(len(a), n_each, n_groups).max(axis=1)
    place = a.shape[1] - k
    return np.partition(a, place, axis=1)[:, place : place + 1]
