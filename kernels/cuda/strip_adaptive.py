"""Gradients of windows that share an axis: each thread computes TH x TW neighbouring elements, of V channels.

As in `strip`, what a window gives is loaded once for all elements of the thread that it may reach. Where windows begin
differs from thread to thread, so whether one does reach an element is asked; which may do so, ROWS x COLUMNS at most,
and for each element those from FROM to TO, is known when the kernel is compiled. All of them are loaded first: a
division may call a function, and no load is moved before one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from ..point import counted, decode
from .gather import reached
from .memory import index, load_vector, number
from .rows import written_out
from .shared import closing, opening
from .strip import empty, store
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
# Bound: for each element of a row, or row of elements, the first and last window that may reach it, in 4 bits each.
FROM = TO = FROM_H = TO_H = 0
INT = np.int32  # of positions: an array has none of the indices' own types
TRUSTED = False  # bound: whether no window is said to have chosen an element of another


def may_reach(j, t):
    """Whether window j of a row may reach element t: constants, once loops are unrolled."""
    return j >= (FROM >> (4 * t)) & 15 and j <= (TO >> (4 * t)) & 15


def may_reach_row(r, i):
    """The same of rows."""
    return r >= (FROM_H >> (4 * i)) & 15 and r <= (TO_H >> (4 * i)) & 15


def load_row(shares, r, grad, row, step, there, n, first):
    """What the windows of row r are given."""
    for j in range(COLUMNS):
        base, at = (r * COLUMNS + j) * V, row + (first + j) * step
        if there and first + j < n:
            if V > 1:
                vector = load_vector(grad, at, V)
                for e in range(V):
                    shares[base + e] = ACC(decode(X_CODEC, vector[e]))
            else:
                shares[base] = ACC(decode(X_CODEC, grad[at]))
        else:
            for e in range(V):
                shares[base + e] = ACC(0)


def load_marks(marks, r, taken, row, step, there, n, first, less):
    """The elements that they chose, as far from element `less`."""
    for j in range(COLUMNS):
        base, at = (r * COLUMNS + j) * V, row + (first + j) * step
        if there and first + j < n:
            if V > 1:
                vector = load_vector(taken, at, V)
                for e in range(V):
                    marks[base + e] = KIND(vector[e]) - less
            else:
                marks[base] = KIND(taken[at]) - less
        else:
            for e in range(V):
                marks[base + e] = KIND(ABSENT)


def windows_along(starts, stops, a, by, low, base, count):
    """Where the windows of a thread begin and end along an axis, from the thread's first element."""
    for j in range(count):
        starts[j] = number(opening(a, by, low + j) - base)
        stops[j] = number(closing(a, by, low + j) - base)


def divide(shares, taps, columns, rows):
    """What the windows give to each of their elements, of which they have `taps` in each column."""
    for r in range(ROWS):
        for j in range(COLUMNS):
            by = ACC(number(taps * ((rows[1][r] - rows[0][r]) * (columns[1][j] - columns[0][j]))))
            for e in range(V):
                shares[(r * COLUMNS + j) * V + e] = shares[(r * COLUMNS + j) * V + e] / by


def spread(i, total, shares, columns, rows):
    """All windows give to row i of the thread's elements."""
    for t in range(TW):
        for r in range(ROWS):
            if may_reach_row(r, i):
                in_row = i >= rows[0][r] and i < rows[1][r]
                for j in range(COLUMNS):
                    if may_reach(j, t):
                        here = in_row and t >= columns[0][j] and t < columns[1][j]
                        for e in range(V):
                            at = (i * TW + t) * V + e
                            total[at] = total[at] + (shares[(r * COLUMNS + j) * V + e] if here else ACC(0))


def shared_slab(total, shares, grad, slab, s, g, low, taps, columns, rows):
    """All windows of one slab."""
    for r in range(ROWS):
        load_row(shares, r, grad, slab + (low[0] + r) * s.h, s.w, low[0] + r < g.h.out, g.w.out, low[1])
    if AVERAGES and UNIFORM == 0:
        divide(shares, taps, columns, rows)
    written_out(spread, TH, (total, shares, columns, rows))


def strip_shared(grad, out, g, steps, walk, by, first, count):
    """Of sums and averages; `by` divides by h's and w's windows, and then by their elements."""
    unit = first + index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if unit < count:
        c, q, p, pd, o2, o1 = place(walk, unit)
        s, u = steps
        total, shares = cuda.local.array(TILE, ACC), cuda.local.array(LOADED, ACC)
        columns = cuda.local.array(COLUMNS, INT), cuda.local.array(COLUMNS, INT)
        rows = cuda.local.array(ROWS, INT), cuda.local.array(ROWS, INT)
        ph, pw = p * TH, q * TW
        low = split(ph * g.h.s, by[2])[0], split(pw * g.w.s, by[3])[0]
        windows_along(rows[0], rows[1], g.h, by[0], low[0], ph, ROWS)
        windows_along(columns[0], columns[1], g.w, by[1], low[1], pw, COLUMNS)
        at = o1 * s.outer + o2 * s.outer2 + c * V * s.inner
        empty(total)
        if DEEP:
            d0, d1, _ = reached(g.d, pd, WINDOW_D)
            for od in range(d0, d1):
                shared_slab(total, shares, grad, at + od * s.d, s, g, low, counted(RULE, g.d, od), columns, rows)
        else:
            shared_slab(total, shares, grad, at + pd * s.d, s, g, low, index(1), columns, rows)
        at_out = o1 * u.outer + o2 * u.outer2 + c * V * u.inner + pd * u.d
        store(out, at_out, u, g, ph, pw, total, cuda.local.array(TILE, OUT))


# -- one element of each window ----------------------------------------------------------------------------------------


def give_chosen(i, total, own, columns, rows, g):
    """Windows give to the elements of row i that they chose, of those that they have."""
    shares, marks = own
    for t in range(TW):
        mine = KIND(number(g.w.n) * i + t)
        for r in range(ROWS):
            if may_reach_row(r, i):
                in_row = TRUSTED or (i >= rows[0][r] and i < rows[1][r])
                for j in range(COLUMNS):
                    if may_reach(j, t):
                        here = in_row and (TRUSTED or (t >= columns[0][j] and t < columns[1][j]))
                        for e in range(V):
                            at, k = (i * TW + t) * V + e, (r * COLUMNS + j) * V + e
                            if here and marks[k] == mine:
                                total[at] = total[at] + shares[k]


def picked_slab(total, own, grad, taken, slabs, s, z, g, low, less, columns, rows):
    """All windows of one slab."""
    for r in range(ROWS):
        oh = low[0] + r
        load_marks(own[1], r, taken, slabs[1] + oh * z.h, z.w, oh < g.h.out, g.w.out, low[1], less)
        load_row(own[0], r, grad, slabs[0] + oh * s.h, s.w, oh < g.h.out, g.w.out, low[1])
    written_out(give_chosen, TH, (total, own, columns, rows, g))


def strip_picked(grad, taken, out, g, steps, walk, by, first, count):
    """Of operators that choose one element of each window: `taken` has its flat position."""
    unit = first + index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if unit < count:
        c, q, p, pd, o2, o1 = place(walk, unit)
        s, z, u = steps
        total = cuda.local.array(TILE, ACC)
        own = cuda.local.array(LOADED, ACC), cuda.local.array(LOADED, KIND)
        columns = cuda.local.array(COLUMNS, INT), cuda.local.array(COLUMNS, INT)
        rows = cuda.local.array(ROWS, INT), cuda.local.array(ROWS, INT)
        ph, pw = p * TH, q * TW
        low = split(ph * g.h.s, by[2])[0], split(pw * g.w.s, by[3])[0]
        windows_along(rows[0], rows[1], g.h, by[0], low[0], ph, ROWS)
        windows_along(columns[0], columns[1], g.w, by[1], low[1], pw, COLUMNS)
        at = o1 * s.outer + o2 * s.outer2 + c * V * s.inner
        beside = o1 * z.outer + o2 * z.outer2 + c * V * z.inner
        less = KIND(number((pd * g.h.n + ph) * g.w.n + pw))
        empty(total)
        if DEEP:
            d0, d1, _ = reached(g.d, pd, WINDOW_D)
            for od in range(d0, d1):
                slabs = at + od * s.d, beside + od * z.d
                picked_slab(total, own, grad, taken, slabs, s, z, g, low, less, columns, rows)
        else:
            slabs = at + pd * s.d, beside + pd * z.d
            picked_slab(total, own, grad, taken, slabs, s, z, g, low, less, columns, rows)
        at_out = o1 * u.outer + o2 * u.outer2 + c * V * u.inner + pd * u.d
        store(out, at_out, u, g, ph, pw, total, cuda.local.array(TILE, OUT))
