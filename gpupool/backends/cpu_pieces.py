"""An axis of windows cut into pieces: which of their taps are real, and how many count in divisors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gpupool.kernels.window import Axis, extent, first_tap, tap_count


class Piece(NamedTuple):
    """Some outputs of an axis: the first, how many, and which of the positions that their windows span are real."""

    first: int
    out: int
    lo: int  # positions from the first window's first tap
    hi: int
    span: int


def pieces(a: Axis, size: int) -> tuple[list[Piece], np.ndarray]:
    """The axis in pieces of `size` outputs: one piece of each kind, and every piece's kind."""
    first = np.arange(0, a.out, size, dtype=np.int64)
    out = np.minimum(size, a.out - first)
    start = first * a.s - a.before
    span = (out - 1) * a.s + extent(a.k, a.d)
    lo, hi = np.maximum(0, -start), np.minimum(span, a.n - start)
    inside = (lo == 0) & (hi == span) & (start >= a.count_from) & (start + span <= a.count_to)
    keys = np.stack([out, np.where(inside, -1, first)])
    _, index, kinds = np.unique(keys, axis=1, return_index=True, return_inverse=True)
    found = [Piece(*(int(v[i]) for v in (first, out, lo, hi, span))) for i in index]
    return found, kinds.reshape(-1)


def counts_of(a: Axis, piece: Piece) -> tuple[int, ...]:
    """How many taps count in the divisor, for each output of the piece."""
    starts = (first_tap(piece.first + o, a.s, a.before) for o in range(piece.out))
    return tuple(tap_count(start, a.count_from, a.count_to, a.k, a.d) for start in starts)


def runs(values: tuple[int, ...]) -> list[tuple[int, int, int]]:
    """(from, to, value) of each run of equal values."""
    found: list[tuple[int, int, int]] = []
    for i, v in enumerate(values):
        if found and found[-1][2] == v:
            found[-1] = (found[-1][0], i + 1, v)
        else:
            found.append((i, i + 1, v))
    return found


def evenly(n: int, most: int) -> int:
    """The size of equal pieces of n, of at most so many each."""
    return -(-n // -(-n // most))
