"""What kernels with several operands read: dense arrays (outer, D, H, W, inner), and tables of windows per axis.

For each position of an axis the tables hold the windows that contain it (`first`, then every `step`-th, `count` of
them), and for each window the taps that enter the divisor of an average, and then all windows' first real taps and all
their ends.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..gradient import adaptive_windows_of, fractional_windows_of, hits, windows_of
from ..window import Axis, adaptive_range, first_tap, fractional_slack, tap_count, tap_range
from .jit import called, kernel, pointer

INT64 = np.dtype(np.int64)

called(windows_of)
called(adaptive_windows_of)
called(hits)
called(fractional_slack)
called(fractional_windows_of)


class Frame(NamedTuple):
    """The lengths of all arrays, and the addresses of the tables."""

    outer: int
    inner: int
    d: int
    h: int
    w: int
    od: int
    oh: int
    ow: int
    step_d: int
    step_h: int
    step_w: int
    divisor: int  # divisor_override, or 0: count the taps
    first_d: int
    count_d: int
    taps_d: int
    first_h: int
    count_h: int
    taps_h: int
    first_w: int
    count_w: int
    taps_w: int


FRAME = len(Frame._fields)


@kernel
def fill_tables(n, out, k, s, d, before, count_from, count_to, first_at, count_at, taps_at):
    """The tables of one axis."""
    first, count, taps = pointer(first_at, INT64), pointer(count_at, INT64), pointer(taps_at, INT64)
    a = Axis(n, out, k, s, d, before, count_from, count_to, 0, 0)
    for p in range(n):
        lo, hi = windows_of(a, p)
        while lo < hi and not hits(a, lo, p):
            lo += 1
        first[p], found = lo, 0
        while lo < hi:
            if hits(a, lo, p):
                found += 1
            lo += 1
        count[p] = found
    for o in range(out):
        start = first_tap(o, s, before)
        taps[o] = tap_count(start, count_from, count_to, k, d)
        taps[out + o], taps[2 * out + o] = tap_range(start, 0, n, k, d)


@kernel
def fill_fractional_tables(n, out, k, first_at, count_at):
    """The windows that may contain each position, where they lie at random distances."""
    first, count = pointer(first_at, INT64), pointer(count_at, INT64)
    a = Axis(n, out, k, 1, 1, 0, 0, n, 0, 0)
    for p in range(n):
        lo, hi = fractional_windows_of(a, p)
        first[p], count[p] = lo, hi - lo


@kernel
def fill_adaptive_tables(n, out, first_at, count_at, taps_at):
    """The same where windows share the axis evenly."""
    first, count, taps = pointer(first_at, INT64), pointer(count_at, INT64), pointer(taps_at, INT64)
    a = Axis(n, out, n, out, 1, 0, 0, n, 0, 0)
    for p in range(n):
        lo, hi = adaptive_windows_of(a, p)
        first[p], count[p] = lo, hi - lo
    for o in range(out):
        start, stop = adaptive_range(n, out, o)
        taps[o], taps[out + o], taps[2 * out + o] = stop - start, 0, stop - start
