"""Gradients of windows that share an axis: each thread computes TH x TW neighbouring elements, of V channels.

As in `strip`, what a window gives is loaded once for all elements of the thread that it may reach. Where windows begin
differs from thread to thread, so whether one does reach an element is asked; which may do so, COLUMNS along a row at
most, and for each element those from FROM on, is known when the kernel is compiled.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from ..point import counted, decode
from .gather import reached
from .memory import index, load_vector, number
from .shared import closing, opening
from .strip import empty, mark_of, store, taken_before
from .walk import place, split

X_CODEC = RULE = None  # bound, as all of the following, as in `strip`
ACC: Any = None
OUT: Any = None
KIND: Any = None
ABSENT: Any = 0
WINDOW_D = (0, 0, 0)
AVERAGES = DEEP = False
UNIFORM = 0
TH = TW = V = ROWS = COLUMNS = TILE = LOADED = 1
FROM = TO = 0  # bound: for each element of a row the first and the last window that may reach it, in 4 bits each
INT = np.int32  # of positions: an array has none of the indices' own types
TRUSTED = False  # bound: whether no window is said to have chosen an element of another


def may_reach(j, t):
    """Whether window j of a row may reach element t: constants, once loops are unrolled."""
    return j >= (FROM >> (4 * t)) & 15 and j <= (TO >> (4 * t)) & 15


def load_shares(shares, grad, row, step, there, n, first, taps, starts, stops):
    """What the windows of one row give to each of their elements, of which they have `taps` in each column."""
    for j in range(COLUMNS):
        if there and first + j < n:
            at, elements = row + (first + j) * step, taps * (stops[j] - starts[j])
            if V > 1:
                vector = load_vector(grad, at, V)
                for e in range(V):
                    shares[j * V + e] = share_of(ACC(decode(X_CODEC, vector[e])), elements)
            else:
                shares[j] = share_of(ACC(decode(X_CODEC, grad[at])), elements)
        else:
            for e in range(V):
                shares[j * V + e] = ACC(0)


def share_of(given, taps):
    """What one element gets."""
    return given / ACC(number(taps)) if AVERAGES and UNIFORM == 0 else given


def load_marks(marks, taken, row, step, there, n, first, less):
    """The elements that the windows of one row chose."""
    for j in range(COLUMNS):
        if there and first + j < n:
            if V > 1:
                vector = load_vector(taken, row + (first + j) * step, V)
                for e in range(V):
                    marks[j * V + e] = KIND(vector[e]) - less
            else:
                marks[j] = KIND(taken[row + (first + j) * step]) - less
        else:
            for e in range(V):
                marks[j * V + e] = KIND(ABSENT)


def spread(total, shares, starts, stops, pw, i):
    """A row of windows gives to row i of the thread's elements."""
    for t in range(TW):
        for j in range(COLUMNS):
            if may_reach(j, t):
                here = pw + t >= starts[j] and pw + t < stops[j]
                for e in range(V):
                    at = (i * TW + t) * V + e
                    total[at] = total[at] + (shares[j * V + e] if here else ACC(0))


def shared_row(total, kept, grad, slab, s, g, by, low, ph, pw, taps, r):
    """One row of windows."""
    shares, starts, stops = kept
    oh = low[0] + r
    start, stop = opening(g.h, by[0], oh), closing(g.h, by[0], oh)
    row, taps = slab + oh * s.h, taps * (stop - start)
    load_shares(shares, grad, row, s.w, oh < g.h.out, g.w.out, low[1], taps, starts, stops)
    for i in range(TH):
        if ph + i >= start and ph + i < stop:
            spread(total, shares, starts, stops, pw, i)


def shared_slab(total, kept, grad, slab, s, g, by, low, ph, pw, taps):
    """All rows of windows, written out: the compiler would keep a loop, in which each waits for the one before."""
    shared_row(total, kept, grad, slab, s, g, by, low, ph, pw, taps, 0)
    if ROWS > 1:
        shared_row(total, kept, grad, slab, s, g, by, low, ph, pw, taps, 1)
    if ROWS > 2:
        shared_row(total, kept, grad, slab, s, g, by, low, ph, pw, taps, 2)
    if ROWS > 3:
        shared_row(total, kept, grad, slab, s, g, by, low, ph, pw, taps, 3)


def row_windows(starts, stops, g, by, low):
    """Where the windows of a row begin and end."""
    for j in range(COLUMNS):
        starts[j] = number(opening(g.w, by[1], low[1] + j))
        stops[j] = number(closing(g.w, by[1], low[1] + j))


def strip_shared(grad, out, g, steps, walk, by, first, count):
    """Of sums and averages; `by` divides by h's and w's windows, and then by their elements."""
    unit = first + index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if unit < count:
        c, q, p, pd, o2, o1 = place(walk, unit)
        s, u = steps
        total = cuda.local.array(TILE, ACC)
        kept = cuda.local.array(LOADED, ACC), cuda.local.array(COLUMNS, INT), cuda.local.array(COLUMNS, INT)
        ph, pw = p * TH, q * TW
        low = split(ph * g.h.s, by[2])[0], split(pw * g.w.s, by[3])[0]
        row_windows(kept[1], kept[2], g, by, low)
        at = o1 * s.outer + o2 * s.outer2 + c * V * s.inner
        empty(total)
        if DEEP:
            d0, d1, _ = reached(g.d, pd, WINDOW_D)
            for od in range(d0, d1):
                shared_slab(total, kept, grad, at + od * s.d, s, g, by, low, ph, pw, counted(RULE, g.d, od))
        else:
            shared_slab(total, kept, grad, at + pd * s.d, s, g, by, low, ph, pw, index(1))
        at_out = o1 * u.outer + o2 * u.outer2 + c * V * u.inner + pd * u.d
        store(out, at_out, u, g, ph, pw, total, cuda.local.array(TILE, OUT))


# -- one element of each window ----------------------------------------------------------------------------------------


def give_chosen(total, shares, marks, kept, g, start, stop, ph, pw):
    """A row of windows gives to the elements that it chose, of those that it has."""
    starts, stops = kept
    for i in range(TH):
        in_rows = TRUSTED or (ph + i >= start and ph + i < stop)
        for t in range(TW):
            mine = mark_of(g, i, t, 0, 0)
            for j in range(COLUMNS):
                if may_reach(j, t):
                    here = in_rows and (TRUSTED or (pw + t >= starts[j] and pw + t < stops[j]))
                    for e in range(V):
                        at = (i * TW + t) * V + e
                        if here and marks[j * V + e] == mine:
                            total[at] = total[at] + shares[j * V + e]


def picked_row(total, own, kept, grad, taken, slabs, s, z, g, by, low, ph, pw, r):
    """One row of windows; `own` are the thread's arrays for what is loaded."""
    shares, marks = own
    oh = low[0] + r
    less = taken_before(g, index(0), low[2], ph, pw)
    load_marks(marks, taken, slabs[1] + oh * z.h, z.w, oh < g.h.out, g.w.out, low[1], less)
    load_shares(shares, grad, slabs[0] + oh * s.h, s.w, oh < g.h.out, g.w.out, low[1], index(1), *kept)
    give_chosen(total, shares, marks, kept, g, opening(g.h, by[0], oh), closing(g.h, by[0], oh), ph, pw)


def picked_slab(total, own, kept, grad, taken, slabs, s, z, g, by, low, ph, pw):
    """All rows of windows, written out."""
    picked_row(total, own, kept, grad, taken, slabs, s, z, g, by, low, ph, pw, 0)
    if ROWS > 1:
        picked_row(total, own, kept, grad, taken, slabs, s, z, g, by, low, ph, pw, 1)
    if ROWS > 2:
        picked_row(total, own, kept, grad, taken, slabs, s, z, g, by, low, ph, pw, 2)
    if ROWS > 3:
        picked_row(total, own, kept, grad, taken, slabs, s, z, g, by, low, ph, pw, 3)


def strip_picked(grad, taken, out, g, steps, walk, by, first, count):
    """Of operators that choose one element of each window: `taken` has its flat position."""
    unit = first + index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if unit < count:
        c, q, p, pd, o2, o1 = place(walk, unit)
        s, z, u = steps
        total = cuda.local.array(TILE, ACC)
        own = cuda.local.array(LOADED, ACC), cuda.local.array(LOADED, KIND)
        kept = cuda.local.array(COLUMNS, INT), cuda.local.array(COLUMNS, INT)
        ph, pw = p * TH, q * TW
        low = split(ph * g.h.s, by[2])[0], split(pw * g.w.s, by[3])[0], pd
        row_windows(kept[0], kept[1], g, by, low)
        at = o1 * s.outer + o2 * s.outer2 + c * V * s.inner
        beside = o1 * z.outer + o2 * z.outer2 + c * V * z.inner
        empty(total)
        if DEEP:
            d0, d1, _ = reached(g.d, pd, WINDOW_D)
            for od in range(d0, d1):
                slabs = at + od * s.d, beside + od * z.d
                picked_slab(total, own, kept, grad, taken, slabs, s, z, g, by, low, ph, pw)
        else:
            slabs = at + pd * s.d, beside + pd * z.d
            picked_slab(total, own, kept, grad, taken, slabs, s, z, g, by, low, ph, pw)
        at_out = o1 * u.outer + o2 * u.outer2 + c * V * u.inner + pd * u.d
        store(out, at_out, u, g, ph, pw, total, cuda.local.array(TILE, OUT))
