"""Elementwise passes over contiguous lines: the only part of the band engine that knows element types and operators.

Each pass is a C function of integers (addresses, lengths and steps), one vector loop or one per number of taps. The
engine around them calls them by address and is itself compiled once for all types: compiled into one kernel per type,
the same code took 9 s each instead of 2 s. No pass works in place: a select that stores back what it loaded costs
0.49 ns an element instead of 0.075.
"""

from __future__ import annotations

from typing import NamedTuple

from ..point import combine, decode, encode, finish, seed
from .jit import c_function, pointer


class Lines(NamedTuple):
    """Addresses of the passes for one combination of types and operator."""

    fill: int
    load: int
    split: int
    load_pairs: int
    load_taps: int
    merge: int
    store: int


def loaders(x_type, acc_type, codec, red):
    """The passes that read the input: one to one, and dealt to two phases."""

    def load(at, step, n, dst_at):
        x, dst = pointer(at, x_type), pointer(dst_at, acc_type)
        if step == 1:
            for i in range(n):
                dst[i] = seed(red, decode(codec, x[i]), 0)
        else:
            for i in range(n):
                dst[i] = seed(red, decode(codec, x[i * step]), 0)
        return 0

    def split(at, n, even_at, odd_at):
        x, even, odd = pointer(at, x_type), pointer(even_at, acc_type), pointer(odd_at, acc_type)
        for i in range(n // 2):
            even[i] = seed(red, decode(codec, x[2 * i]), 0)
            odd[i] = seed(red, decode(codec, x[2 * i + 1]), 0)
        if n % 2 == 1:
            even[n // 2] = seed(red, decode(codec, x[n - 1]), 0)
        return 0

    return load, split


def direct_loaders(x_type, acc_type, codec, red):
    """The passes that combine the taps of a row as they read it: 2 with stride 2, or 2 to 4 with stride 1."""

    def load_pairs(at, n, dst_at):
        x, dst = pointer(at, x_type), pointer(dst_at, acc_type)
        for i in range(n):
            left = seed(red, decode(codec, x[2 * i]), 0)
            dst[i] = combine(red, left, seed(red, decode(codec, x[2 * i + 1]), 0))
        return 0

    def load_taps(at, step, k, n, dst_at):
        x, dst = pointer(at, x_type), pointer(dst_at, acc_type)
        if k == 2:
            for i in range(n):
                v = seed(red, decode(codec, x[i]), 0)
                dst[i] = combine(red, v, seed(red, decode(codec, x[i + step]), 0))
        elif k == 3:
            for i in range(n):
                v = seed(red, decode(codec, x[i]), 0)
                v = combine(red, v, seed(red, decode(codec, x[i + step]), 0))
                dst[i] = combine(red, v, seed(red, decode(codec, x[i + 2 * step]), 0))
        else:
            for i in range(n):
                v = seed(red, decode(codec, x[i]), 0)
                v = combine(red, v, seed(red, decode(codec, x[i + step]), 0))
                v = combine(red, v, seed(red, decode(codec, x[i + 2 * step]), 0))
                dst[i] = combine(red, v, seed(red, decode(codec, x[i + 3 * step]), 0))
        return 0

    return load_pairs, load_taps


def combiners(acc_type, neutral, red):
    """The passes between accumulators: filling with the neutral one, and 1 to 4 lines combined in their order."""

    def fill(dst_at, n):
        dst = pointer(dst_at, acc_type)
        for i in range(n):
            dst[i] = neutral
        return 0

    def merge(k, a_at, b_at, c_at, d_at, n, dst_at):
        a, b, c, d = pointer(a_at, acc_type), pointer(b_at, acc_type), pointer(c_at, acc_type), pointer(d_at, acc_type)
        dst = pointer(dst_at, acc_type)
        if k == 1:
            for i in range(n):
                dst[i] = a[i]
        elif k == 2:
            for i in range(n):
                dst[i] = combine(red, a[i], b[i])
        elif k == 3:
            for i in range(n):
                dst[i] = combine(red, combine(red, a[i], b[i]), c[i])
        else:
            for i in range(n):
                dst[i] = combine(red, combine(red, combine(red, a[i], b[i]), c[i]), d[i])
        return 0

    return fill, merge


def storers(y_type, acc_type, codec, red):
    """The pass that writes results."""

    def store(src_at, n, y_at, step, count):
        src, y = pointer(src_at, acc_type), pointer(y_at, y_type)
        if step == 1:
            for i in range(n):
                y[i] = encode(codec, finish(red, src[i], count))
        else:
            for i in range(n):
                y[i * step] = encode(codec, finish(red, src[i], count))
        return 0

    return (store,)


def line_functions(x_type, y_type, acc_type, x_codec, y_codec, red):
    """All passes, compiled; `neutral` of the reducer must be of the accumulator's dtype."""
    neutral = red.neutral(acc_type)
    load, split = (c_function(f) for f in loaders(x_type, acc_type, x_codec, red))
    load_pairs, load_taps = (c_function(f) for f in direct_loaders(x_type, acc_type, x_codec, red))
    fill, merge = (c_function(f) for f in combiners(acc_type, neutral, red))
    (store,) = (c_function(f) for f in storers(y_type, acc_type, y_codec, red))
    return Lines(fill, load, split, load_pairs, load_taps, merge, store)
