"""Window arithmetic: output length, first tap, bounds, divisor. Plain Python on integers, and the only place for it.

One pooled axis has `n` real elements at positions 0 .. n-1, padding around them, and windows of `k` taps that lie `d`
apart (dilation) and start every `s` positions (stride). Window `o` has its taps at `first_tap(o) + j * d` for j in
0 .. k-1. Padding is never data: taps outside 0 .. n-1 are absent.

Where windows lie is a row, as the operators are: `Sliding` is the rule above, which every engine knows; `Adaptive`
shares an axis among a given number of windows, and not every engine takes it; `Fractional` plans gradients.

The host calls these functions to plan; the kernels call the very same functions, compiled.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

LARGEST_SAMPLE = 2.0**20  # of fractional windows: so that every start fits an integer


class Axis(NamedTuple):
    """One pooled axis as the kernels see it, by the rule `Sliding`; strides are in elements."""

    n: int  # real elements
    out: int  # windows
    k: int  # taps of a window
    s: int  # stride: positions between the first taps of two windows
    d: int  # dilation: positions between two taps
    before: int  # padding before element 0
    count_from: int  # taps at positions in [count_from, count_to) enter the divisor of an average
    count_to: int
    xs: int  # distance of two neighbours in the input's memory
    ys: int  # and in the output's


class Batch(NamedTuple):
    """One axis that is not pooled: `n` entries, strides in elements."""

    n: int
    xs: int
    ys: int


class Geometry(NamedTuple):
    """Everything a kernel needs to know: the array seen as (outer, outer2, D, H, W, inner) on flat memory."""

    outer: Batch
    outer2: Batch
    inner: Batch
    d: Axis
    h: Axis
    w: Axis
    divisor: int  # divisor_override, or 0: count the taps


def lesser(a, b):
    """The smaller of two integers: kernels never say min, which numba-cuda and njit take differently for floats."""
    return a if a < b else b


def greater(a, b):
    """The larger of two integers."""
    return a if a > b else b


def extent(k, d):
    """Positions from a window's first tap to its last, both included."""
    return d * (k - 1) + 1


def output_length(n, before, after, k, s, d, ceil_mode):
    """Number of windows along an axis; with `ceil_mode` one may overhang, but must start before the end padding."""
    span = n + before + after - extent(k, d)
    if span < 0 and not (ceil_mode and span > -s):
        return 0
    out = (span + (s - 1 if ceil_mode else 0)) // s + 1
    if ceil_mode and (out - 1) * s >= n + before:
        out -= 1
    return out


def same_padding(n, k, s, d, lower):
    """Padding (before, after) that gives ceil(n / s) windows; the odd element goes after, or before if `lower`."""
    out = -(-n // s)
    total = (out - 1) * s + extent(k, d) - n
    if total < 0:
        total = 0
    small = total // 2
    return (total - small, small) if lower else (small, total - small)


def first_tap(o, s, before):
    """Position of tap 0 of window `o`; negative inside the begin padding."""
    return o * s - before


def tap_range(start, lo, hi, k, d):
    """The taps j of a window from `start` that lie at positions in [lo, hi): the half-open range (j0, j1).

    Advances by whole multiples of the dilation, so begin padding never shifts the taps' phase.
    """
    j0 = 0 if start >= lo else (lo - start + d - 1) // d
    j1 = 0 if start >= hi else (hi - start + d - 1) // d
    return j0, (j1 if j1 < k else k)


def tap_count(start, lo, hi, k, d):
    """How many taps of a window from `start` lie at positions in [lo, hi)."""
    j0, j1 = tap_range(start, lo, hi, k, d)
    return j1 - j0


def empty_window(n, before, k, s, d, out):
    """The first window without one real element, or -1 if each has one. Exact, in at most n + 1 steps."""
    if before > (k - 1) * d:  # window 0 ends inside the begin padding, and no other starts earlier
        return 0
    if n < d:  # taps may step over all of a short axis: one step per phase, and at most n phases hit it
        o = 0
        while o < out and first_tap(o, s, before) < 0:
            if first_tap(o, s, before) % d >= n:
                return o
            o += 1
    if out > 0 and first_tap(out - 1, s, before) >= n:
        return -(-(n + before) // s)
    return -1


class Sliding(NamedTuple):
    """Windows of k taps every s positions.

    span(rule, a, o)     window `o` of axis `a`: (position of tap 0, first tap and end of the taps that are elements)
    counted(rule, a, o)  how many of its taps enter the divisor of an average
    part(a, start, stop) host only: the axis with windows start .. stop - 1 alone
    reach(a)             host only: bounds of the integers that `span` and `counted` compute on the way
    """

    @staticmethod
    def span(rule, a, o):
        start = first_tap(o, a.s, a.before)
        j0, j1 = tap_range(start, 0, a.n, a.k, a.d)
        return start, j0, j1

    @staticmethod
    def counted(rule, a, o):
        return tap_count(first_tap(o, a.s, a.before), a.count_from, a.count_to, a.k, a.d)

    @staticmethod
    def part(a, start, stop):
        return a._replace(out=stop - start, before=a.before - start * a.s)

    @staticmethod
    def reach(a):
        last = (a.out - 1) * a.s + extent(a.k, a.d)
        return last + abs(a.before), a.n + 2 * a.d, abs(a.count_from), abs(a.count_to) + 2 * a.d + abs(a.before)


SLIDING = Sliding()


def adaptive_range(n, out, o):
    """Window `o` of the `out` that share n elements: the half-open range of its positions (PyTorch's rule).

    Windows overlap by one element where n is no multiple of `out`; each has one or more elements, also where out > n.
    """
    return o * n // out, ((o + 1) * n + out - 1) // out


class Adaptive(NamedTuple):
    """`a.s` windows share the axis; those of the axis are number `a.before` and following. `a.k` is the longest."""

    @staticmethod
    def span(rule, a, o):
        start, stop = adaptive_range(a.n, a.s, a.before + o)
        return start, 0, stop - start

    @staticmethod
    def counted(rule, a, o):
        start, stop = adaptive_range(a.n, a.s, a.before + o)
        return stop - start

    @staticmethod
    def part(a, start, stop):
        return a._replace(out=stop - start, before=a.before + start)

    @staticmethod
    def reach(a):
        return ((a.before + a.out + 1) * a.n + a.s,)


def adaptive_longest(n, out):
    """The length of the longest of `out` windows that share n elements, or one more."""
    return n // out if n % out == 0 else n // out + 2


class Fractional(NamedTuple):
    """Windows of k elements at random distances. Where exactly only samples say: this row is for gradients."""

    @staticmethod
    def reach(a):
        return a.n + a.k, (a.n + a.k + fractional_slack(a.n, a.out, a.k)) * a.out


def fractional_slack(n, out, k):
    """No window of `out` starts further than this from its even share of the n - k positions, whatever the sample.

    Exactly it would be less than 2 elements; the rest is what float32 may round off with samples up to LARGEST_SAMPLE.
    """
    gaps = out - 1 if out > 1 else 1
    return 3 + (n - k) // (4 * gaps) + n // 2**20


def fractional_offset(u, alpha, o):
    """Where fractional window `o` begins, but for the last; sample, step and number are of one float type."""
    return np.int64((o + u) * alpha) - np.int64(u * alpha)
