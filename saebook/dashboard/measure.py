"""What a dashboard says of latents in numbers: two passes over the samples, a block at a time."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from saebook import inference, reference
from saebook._types import Array, Params
from saebook.checks import check_samples
from saebook.config import SAEConfig

N_BINS = 24


class Found(NamedTuple):
    """Of each latent; a place is a row of the samples, and -1 stands for no further example."""

    density: Array  #: (n_latents,), share of samples for which it is active
    largest: Array  #: (n_latents,), its activation of the largest size, 0 if it is never active
    places: Array  #: (n_latents, n_examples), samples by the size of its activation there
    around: Array  #: (n_latents, n_examples, 1 + 2 context), activations at and around them
    low: Array  #: (n_latents,), where its histogram begins: its smallest activation, at most 0
    high: Array  #: (n_latents,), and where it ends: its largest, at least 0
    counts: Array  #: (n_latents, N_BINS), active samples in bins of equal width from low to high
    l0: float
    fvu: float


def measure(
    config: SAEConfig,
    params: Params,
    x: Array,
    length: int,
    n_examples: int,
    context: int,
    counted: Array | None = None,
) -> Found:
    """Encode samples ``(n_samples, ...)``, or sequences of them ``(n_sequences, length, ...)``.

    A sample has the number that it has with all sequences one behind the other. `counted` says of
    each whether it counts; by default all do.

    Raises
    ------
    ValueError
        If a sample is not finite, all are equal, or another rule of `saebook.checks` is broken.
    """
    m, n_rows = config.n_latents, len(x) * length
    counted = np.ones(n_rows, bool) if counted is None else counted
    n, n_examples = int(counted.sum()), min(n_examples, len(x))
    active = np.zeros(m, np.int64)
    low, high = np.zeros(m), np.zeros(m)
    sizes, places = np.zeros((m, n_examples)), np.full((m, n_examples), -1)
    error, total, first, differ = 0.0, np.zeros(config.n_features), None, False
    for rows, seen, block in _blocks(config, params, x, length, counted):
        z = inference.encode(config, params, block)
        on = (np.abs(z) > config.active_above) & seen[:, None]
        if first is None and seen.any():
            first = block[seen.argmax()].copy()
        differ = differ or (first is not None and bool((block[seen] != first).any()))
        x_hat = reference.decode(config, params, z)
        error += float(np.square(block - x_hat, dtype=np.float64)[seen].sum())
        total += block[seen].sum(axis=0, dtype=np.float64)
        z = np.where(on, z, 0)
        active += on.sum(axis=0)
        low, high = np.minimum(low, z.min(axis=0)), np.maximum(high, z.max(axis=0))
        _keep_largest(sizes, places, np.abs(z).reshape(-1, length, m), rows.start)

    if not differ:
        raise ValueError(f"x must hold at least two different samples, got {n} equal one(s).")
    counts = np.zeros(m * N_BINS, np.int64)
    width = np.where(high > low, high - low, 1)
    wanted = _Wanted(places, length, context)
    distance, mean = 0.0, total / n
    for rows, seen, block in _blocks(config, params, x, length, counted):
        z = inference.encode(config, params, block)
        sample, latent = np.nonzero((np.abs(z) > config.active_above) & seen[:, None])
        share = (z[sample, latent] - low[latent]) / width[latent]
        bins = np.minimum((N_BINS * share).astype(np.int64), N_BINS - 1)
        counts += np.bincount(latent * N_BINS + bins, minlength=m * N_BINS)
        wanted.take(rows, z)
        distance += float(np.square(block - mean, dtype=np.float64)[seen].sum())
    around = wanted.found
    largest = np.where(places[:, 0] >= 0, around[:, 0, context], 0)
    return Found(
        active / n, largest, places, around, low, high, counts.reshape(m, N_BINS),
        float(active.sum() / n), error / distance,
    )  # fmt: skip


def _blocks(
    config: SAEConfig, params: Params, x: Array, length: int, counted: Array
) -> Iterator[tuple[slice, Array, Array]]:
    """Whole sequences, as few as make a block or as one, with their rows; looked at and ready.

    In the middle is which of them count; the others are zeros, whatever they were.
    """
    size = max(1, inference.BLOCK // max(config.n_latents, config.n_features) // length)
    for start in range(0, len(x), size):
        block = x[start : start + size]
        rows = slice(start * length, (start + len(block)) * length)
        if length > 1 or (block.ndim == 3 and block.shape[1:] == (1, config.n_features)):
            block = block.reshape(-1, config.n_features)
        seen, numbers = counted[rows], np.arange(rows.start, rows.stop)
        if not seen.all():
            block = np.where(seen[:, None], block, np.zeros((), block.dtype))
        yield rows, seen, check_samples(config, block, "x", params["W_enc"].dtype, numbers)


def _keep_largest(sizes: Array, places: Array, z: Array, start: int) -> None:
    """Let a block's sequences ``(n, length, n_latents)`` into the table of the largest so far."""
    m, n_examples = sizes.shape
    at = z.argmax(axis=1)
    top = np.take_along_axis(z, at[:, None], axis=1)[:, 0]
    sequence, latent = np.nonzero(top > sizes[:, -1])  # of equal ones the first stays
    latents = np.concatenate([np.repeat(np.arange(m), n_examples), latent])
    values = np.concatenate([sizes.ravel(), top[sequence, latent]])
    found = start + sequence * z.shape[1] + at[sequence, latent]
    found = np.concatenate([places.ravel(), found])
    order = np.lexsort((found, -values, latents))
    first = np.searchsorted(latents[order], np.arange(m))
    chosen = order[first[:, None] + np.arange(n_examples)]
    sizes[:], places[:] = values[chosen], found[chosen]


class _Wanted:
    """Activations at and around the examples, gathered as their blocks pass."""

    def __init__(self, places: Array, length: int, context: int) -> None:
        offsets = np.arange(-context, context + 1)
        rows = places[:, :, None] + offsets
        inside = (places >= 0)[:, :, None] & (rows // length == places[:, :, None] // length)
        self.found = np.zeros(rows.shape)
        entries = np.flatnonzero(inside)
        self.rows = rows.reshape(-1)[entries]
        order = np.argsort(self.rows, kind="stable")
        self.rows, self.entries = self.rows[order], entries[order]
        self.latents = self.entries // (places.shape[1] * len(offsets))

    def take(self, rows: slice, z: Array) -> None:
        first, last = np.searchsorted(self.rows, [rows.start, rows.stop])
        now = slice(first, last)
        values = z[self.rows[now] - rows.start, self.latents[now]]
        self.found.reshape(-1)[self.entries[now]] = values
