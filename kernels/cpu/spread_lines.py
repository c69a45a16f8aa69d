"""Passes over lines for gradients of sums and averages: the only part of that engine that knows element types.

C functions of integers (addresses, lengths, steps) that `spread` calls. Buffers hold accumulators, results are stored.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..point import decode, encode
from .jit import c_function, pointer

INT64 = np.dtype(np.int64)


class Passes(NamedTuple):
    """Addresses of the passes for one combination of types."""

    cast: int
    load: int
    divide: int
    sums: int
    shifts: int
    pair: int
    table: int
    runs: int
    pixel: int
    blank: int
    copy: int
    share: int = 0  # of gradients that x has a part in: see `powers`
    clear: int = 0


def gatherers(g_type, acc_type, cast, codec):
    """The passes that read gradients and make one line of them."""

    def convert(taps_at, n, dst_at):
        taps, dst = pointer(taps_at, INT64), pointer(dst_at, acc_type)
        for i in range(n):
            dst[i] = taps[i]
        return 0

    def load(at, n, dst_at, divisor, add):
        g, dst = pointer(at, g_type), pointer(dst_at, acc_type)
        if add == 0 and divisor == 1:
            for i in range(n):
                dst[i] = decode(codec, g[i])
        elif add == 0:
            by = cast(divisor)
            for i in range(n):
                dst[i] = decode(codec, g[i]) / by
        elif divisor == 1:
            for i in range(n):
                dst[i] = dst[i] + decode(codec, g[i])
        else:
            by = cast(divisor)
            for i in range(n):
                dst[i] = dst[i] + decode(codec, g[i]) / by
        return 0

    def divide(dst_at, n, inner, divisor, taps_at):
        dst, taps, by = pointer(dst_at, acc_type), pointer(taps_at, acc_type), cast(divisor)
        if taps_at == 0:
            for i in range(n * inner):
                dst[i] = dst[i] / by
        elif inner == 1:
            for i in range(n):
                dst[i] = dst[i] / (by * taps[i])
        else:
            for o in range(n):
                every = by * taps[o]
                for i in range(inner):
                    dst[o * inner + i] = dst[o * inner + i] / every
        return 0

    return convert, load, divide


def shifters(x_type, acc_type, codec):
    """The passes that add neighbours at an even distance, into a buffer or into the result."""

    def sums(at, k, step, n, dst_at, add):
        a, dst = pointer(at, acc_type), pointer(dst_at, acc_type)
        if add == 1:
            for j in range(k):
                for i in range(n):
                    dst[i] = dst[i] + a[i + j * step]
        elif k == 1:
            for i in range(n):
                dst[i] = a[i]
        elif k == 2:
            for i in range(n):
                dst[i] = a[i] + a[i + step]
        else:
            for i in range(n):
                dst[i] = a[i] + a[i + step] + a[i + 2 * step]
        return 0

    def shifts(at, k, step, n, x_at):
        a, x = pointer(at, acc_type), pointer(x_at, x_type)
        if k == 1:
            for i in range(n):
                x[i] = encode(codec, a[i])
        elif k == 2:
            for i in range(n):
                x[i] = encode(codec, a[i] + a[i + step])
        else:
            for i in range(n):
                x[i] = encode(codec, a[i] + a[i + step] + a[i + 2 * step])
        return 0

    return sums, shifts


def placers(x_type, acc_type, zero, codec):
    """The passes that deal the windows of one line to the elements that they contain."""

    def pair(even_at, odd_at, n, x_at):
        even, odd, x = pointer(even_at, acc_type), pointer(odd_at, acc_type), pointer(x_at, x_type)
        for i in range(n // 2):
            x[2 * i] = encode(codec, even[i])
            x[2 * i + 1] = encode(codec, odd[i])
        if n % 2 == 1:
            x[n - 1] = encode(codec, even[n // 2])
        return 0

    def table(at, first_at, count_at, step, n, x_at):
        a, x = pointer(at, acc_type), pointer(x_at, x_type)
        first, count = pointer(first_at, INT64), pointer(count_at, INT64)
        for p in range(n):
            total = zero
            for i in range(count[p]):
                total = total + a[first[p] + i * step]
            x[p] = encode(codec, total)
        return 0

    def runs(at, windows, k, s, before, n, x_at):
        a, x = pointer(at, acc_type), pointer(x_at, x_type)
        for o in range(windows):
            lo, hi = o * s - before, o * s - before + k
            lo, hi = (lo if lo > 0 else 0), (hi if hi < n else n)
            value = encode(codec, a[o])
            for p in range(lo, hi):
                x[p] = value
        return 0

    return pair, table, runs


def pixel_placers(x_type, acc_type, zero, codec):
    """The passes for interleaved channels, and rows of nothing or of what the row before has."""

    def pixel(at, count, step, inner, x_at):
        a, x = pointer(at, acc_type), pointer(x_at, x_type)
        if count == 1:
            for i in range(inner):
                x[i] = encode(codec, a[i])
        elif count == 2:
            for i in range(inner):
                x[i] = encode(codec, a[i] + a[i + step])
        else:
            for i in range(inner):
                total = a[i]
                for j in range(1, count):
                    total = total + a[i + j * step]
                x[i] = encode(codec, total)
        return 0

    def copy(at, n, x_at):
        src, x = pointer(at, x_type), pointer(x_at, x_type)
        for i in range(n):
            x[i] = src[i]
        return 0

    return pixel, blank_pass(x_type, zero, codec), copy


def blank_pass(x_type, zero, codec):
    """The pass that gives nothing."""

    def blank(n, x_at):
        x = pointer(x_at, x_type)
        for i in range(n):
            x[i] = encode(codec, zero)
        return 0

    return blank


def passes(g_type, x_type, acc_type, g_codec, x_codec):
    """All passes, compiled."""
    cast = acc_type.type
    functions = (
        *gatherers(g_type, acc_type, cast, g_codec),
        *shifters(x_type, acc_type, x_codec),
        *placers(x_type, acc_type, cast(0), x_codec),
        *pixel_placers(x_type, acc_type, cast(0), x_codec),
    )
    found = Passes(*(c_function(f) for f in functions))
    return found._replace(clear=found.blank)
