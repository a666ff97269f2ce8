"""Byte pairs: a text as a row of numbers, each of which stands for a few letters.

The alphabet is the 256 bytes; each further token joins two that came before it (Sennrich et al.
2016). No token reaches over a word, which begins with the space before it.
"""

import re
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise

import numpy as np

from saebook._types import Array, ArrayLike

# Words, single digits, marks, white space; a zero byte begins a text.
PIECE = re.compile(rb"\x00| ?[A-Za-z]+| ?[0-9]| ?[^\sA-Za-z0-9\x00]+|\s+(?!\S)|\s+")
APART = -1  # between two pieces, in a row of many


class Tokenizer:
    """Tokens of a text, by joins learned beforehand.

    Parameters
    ----------
    joins : (n_joins, 2) array_like of int
        The two tokens of each further token, 256 first, in the order in which they were learned.

    Raises
    ------
    ValueError
        If a join names a token that comes later, or none.
    """

    def __init__(self, joins: ArrayLike) -> None:
        self.joins = np.asarray(joins, dtype=np.int64).reshape(-1, 2)
        later = np.arange(256, 256 + len(self.joins))[:, None]
        if (self.joins < 0).any() or (self.joins >= later).any():
            raise ValueError("joins must each name two earlier tokens, got one that does not.")

    @classmethod
    def learn(cls, text: bytes, n_tokens: int) -> "Tokenizer":
        """The tokenizer of `n_tokens` that joins the most frequent pair of `text`, again and again.

        Among pairs that are equally frequent the one of lower numbers is joined first.

        Raises
        ------
        ValueError
            If `n_tokens` is below 256, or `text` has no pair left to join.
        """
        if n_tokens < 256:
            raise ValueError(f"n_tokens must be at least 256, the bytes, got {n_tokens}.")
        counts = Counter(PIECE.findall(text))
        row, weights = _row(counts), np.repeat([*counts.values()], [len(p) + 1 for p in counts])
        joins: list[tuple[int, int]] = []
        for token in range(256, n_tokens):
            pairs = row[:-1] * n_tokens + row[1:]
            inside = (row[:-1] != APART) & (row[1:] != APART)
            found = np.bincount(pairs[inside], weights[:-1][inside])
            if not len(found) or found.max() < 1:
                raise ValueError(f"n_tokens must be at most {token} for this text, got {n_tokens}.")
            joins.append(divmod(int(found.argmax()), n_tokens))
            row, kept = _joined(row, joins[-1], token)
            weights = weights[kept]
        return cls(joins)

    @cached_property
    def pieces(self) -> list[bytes]:
        """The bytes that each token stands for."""
        found = [bytes([byte]) for byte in range(256)]
        for first, second in self.joins:
            found.append(found[first] + found[second])
        return found

    def encode(self, text: bytes) -> Array:
        """Tokens ``(n,)`` of a text, int32."""
        words = PIECE.findall(text)
        different = {word: number for number, word in enumerate(dict.fromkeys(words))}
        row = _row(different)
        for token, pair in enumerate(self.joins, start=256):
            row, _ = _joined(row, pair, token)
        ends = np.flatnonzero(row == APART)
        codes = [row[a + 1 : b] for a, b in pairwise([-1, *ends])]
        found = [codes[different[word]] for word in words]
        return np.concatenate([*found, np.zeros(0, np.int64)]).astype(np.int32)

    def decode(self, tokens: Sequence[int] | Array) -> bytes:
        """The text of some tokens."""
        return b"".join(self.pieces[token] for token in np.asarray(tokens))


def _row(pieces: Sequence[bytes] | dict[bytes, int] | Counter[bytes]) -> Array:
    """The bytes of all pieces in one row, each followed by `APART`."""
    ends = np.cumsum([len(piece) + 1 for piece in pieces], dtype=np.int64)
    row = np.full(ends[-1] if len(ends) else 0, APART, dtype=np.int64)
    inside = np.ones(len(row), dtype=bool)
    inside[ends - 1] = False
    row[inside] = np.frombuffer(b"".join(pieces), dtype=np.uint8)
    return row


def _joined(row: Array, pair: Sequence[int] | Array, token: int) -> tuple[Array, Array]:
    """The row with `token` in place of each `pair`, from the left, and which places are kept."""
    at = np.flatnonzero((row[:-1] == pair[0]) & (row[1:] == pair[1]))
    if pair[0] == pair[1]:  # of three in a row the first two are joined
        free, last = [], -2
        for place in at.tolist():
            if place != last + 1:
                free.append(place)
                last = place
        at = np.array(free, dtype=np.int64)
    kept = np.ones(len(row), dtype=bool)
    kept[at + 1] = False
    row = row.copy()
    row[at] = token
    return row[kept], kept
