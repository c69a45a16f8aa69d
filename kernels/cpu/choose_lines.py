"""Passes that find which element each window of a row chooses, and give it the window's gradient.

C functions of integers, as in passes.py. `best` holds the elements chosen so far and `taken` the numbers of their taps;
a pass reads one pair of buffers and writes another.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..point import combine, decode, encode, seed
from .jit import c_function, fetch, pointer, put

INT32 = np.dtype(np.int32)


class Finders(NamedTuple):
    """Addresses of the passes for one combination of types, operator, window and stride."""

    first: int  # a window's first row of taps, and later ones
    more: int
    block: int  # all rows of taps
    first_any: int  # any number of taps, at borders
    more_any: int
    give: int
    clear: int
    store: int


def finder(x_type, best_type, codec, red, step, rows, k, fresh):
    """So many rows of k taps of n windows, `step` elements apart: the pass for these, with constants."""

    def find(at, n, tap, below, number, best_at, taken_at, to_best, to_taken):
        x, best, taken = pointer(at, x_type), pointer(best_at, best_type), pointer(taken_at, INT32)
        chosen, chosen_tap = pointer(to_best, best_type), pointer(to_taken, INT32)
        for i in range(n):
            acc = seed(red, decode(codec, fetch(x, i * step)), np.int32(number))
            for j in range(1, rows * k):
                v = decode(codec, fetch(x, i * step + j // k * below + j % k * tap))
                acc = combine(red, acc, seed(red, v, np.int32(number + j)))
            if not fresh:
                acc = combine(red, (fetch(best, i), fetch(taken, i)), acc)
            put(chosen, i, acc[0])
            put(chosen_tap, i, acc[1])
        return 0

    return find


def border_finder(x_type, best_type, codec, red, fresh):
    """Any number of taps of n windows that begin at neighbouring elements, or `step` apart."""

    def find(at, n, step, k, tap, number, best_at, taken_at, to_best, to_taken):
        x, best, taken = pointer(at, x_type), pointer(best_at, best_type), pointer(taken_at, INT32)
        chosen, chosen_tap = pointer(to_best, best_type), pointer(to_taken, INT32)
        for i in range(n):
            acc = seed(red, decode(codec, x[i * step]), np.int32(number))
            for j in range(1, k):
                v = decode(codec, x[i * step + j * tap])
                acc = combine(red, acc, seed(red, v, np.int32(number + j)))
            if not fresh:
                acc = combine(red, (best[i], taken[i]), acc)
            chosen[i] = acc[0]
            chosen_tap[i] = acc[1]
        return 0

    return find


def givers(g_type, acc_type, g_codec, x_type, x_codec, zero):
    """The passes that add gradients where they belong, and those before and after."""

    def give(g_at, taken_at, offsets_at, n, inner, step, total_at, lo, hi):
        g, taken, total = pointer(g_at, g_type), pointer(taken_at, INT32), pointer(total_at, acc_type)
        offsets = pointer(offsets_at, INT32)
        if inner == 1 and lo >= hi:
            for i in range(n):
                at = i * step + offsets[taken[i]]
                total[at] = total[at] + decode(g_codec, g[i])
            return 0
        for o in range(n):
            for c in range(inner):
                at = o * step + c + offsets[taken[o * inner + c]]
                if lo >= hi or lo <= at < hi:
                    total[at] = total[at] + decode(g_codec, g[o * inner + c])
        return 0

    def clear(at, n):
        total = pointer(at, acc_type)
        for i in range(n):
            total[i] = zero
        return 0

    def store(at, n, to):
        total, x = pointer(at, acc_type), pointer(to, x_type)
        for i in range(n):
            x[i] = encode(x_codec, total[i])
        return 0

    return give, clear, store


def finders(types, codecs, red, step, taps):
    """All passes, compiled: types of (g, x, accumulator, chosen elements), codecs of (g, x), rows and taps."""
    g_type, x_type, acc_type, best_type = types
    g_codec, x_codec = codecs
    rows, k = taps
    made = [
        finder(x_type, best_type, x_codec, red, step, 1, k, True),
        finder(x_type, best_type, x_codec, red, step, 1, k, False),
        finder(x_type, best_type, x_codec, red, step, rows, k, True),
        border_finder(x_type, best_type, x_codec, red, True),
        border_finder(x_type, best_type, x_codec, red, False),
        *givers(g_type, acc_type, g_codec, x_type, x_codec, acc_type.type(0)),
    ]
    return Finders(*(c_function(f) for f in made))
