"""Gradients of constant windows that overlap: each thread computes TH x TW neighbouring elements, of V channels.

What a window gives is loaded once for all the thread's elements that it reaches. TH and TW are multiples of the
strides, so which window reaches which element is the same in every thread, and known when the kernel is compiled: a
thread needs ROWS x COLUMNS windows, the first of which begins SHIFT positions before the thread's first element.
Elements add what they get in row-major order over their windows, as the kernels of `gather` do: the bits are the same.
"""

from __future__ import annotations

from typing import Any

from numba import cuda

from ..point import decode, encode
from .gather import decode_result, reached
from .memory import index, load_vector, number, store_vector
from .rows import written_out
from .tile import count_at
from .walk import place

X_CODEC = Y_CODEC = None  # bound to the codecs of the gradient and of the result
ACC: Any = None  # bound to the type in which gradients are added
AVERAGES, UNIFORM = False, 0  # bound: whether there is a divisor, and the one that all windows have, if they do
WINDOW_D = (0, 0, 0)  # bound: along the depth, taps, steps and the windows that an element is in at most
DEEP = False  # bound: whether windows along the depth are more than the elements themselves
KH = KW = SH = SW = TH = TW = V = ROWS = COLUMNS = TILE = LOADED = KEPT = 1
AHEAD = False  # bound: whether all rows' windows, KEPT ones, are loaded before anything is calculated
REACH = 1  # bound: the windows along a row that an element is in at most
LOW_H = LOW_W = SHIFT_H = SHIFT_W = PHASE_W = 0
# Bound: elements of one load of gradients, of what is beside them, of values and of one store along a row, and how many
# are loaded one by one before the first vector.
VECTOR = BESIDE = VALUES = STORE = WIDE_VALUES = WIDE_STORE = 1
LEAD = LEAD_BESIDE = 0
CHECK_H = CHECK_W = TAIL_H = TAIL_W = False  # whether windows, or elements, may lie outside
OUT: Any = None  # NumPy type of the stored elements
KIND: Any = None  # NumPy type of what is beside gradients: numbers of taps, flat positions, norms
ABSENT: Any = 0  # what stands beside the gradient of a window that is none
FLAT = False  # whether that is flat positions


def one_given(shares, j, grad, at, there, g, ow):
    """Column j: what the window is given for each channel, nothing where there is no window."""
    if (CHECK_H or CHECK_W) and not (there and (not CHECK_W or (ow >= 0 and ow < g.w.out))):
        for e in range(V):
            shares[j + e] = ACC(0)
    elif V > 1:
        vector = load_vector(grad, at, V)
        for e in range(V):
            shares[j + e] = ACC(decode(X_CODEC, vector[e]))
    else:
        shares[j] = ACC(decode(X_CODEC, grad[at]))


def many_given(shares, j, grad, at, there, g, ow):
    """Columns j .. j + VECTOR - 1, which are windows or not together: rows are whole vectors long."""
    if (CHECK_H or CHECK_W) and not (there and (not CHECK_W or (ow >= 0 and ow < g.w.out))):
        for e in range(VECTOR):
            shares[j + e] = ACC(0)
    else:
        vector = load_vector(grad, at, VECTOR)
        for e in range(VECTOR):
            shares[j + e] = ACC(decode(X_CODEC, vector[e]))


def load_given(shares, base, grad, row, step, there, g, first):
    """What a row of windows from number `first` on is given."""
    for j in range(LEAD):
        one_given(shares, base + j * V, grad, row + (first + j) * step, there, g, first + j)
    for i in range((COLUMNS - LEAD) // VECTOR):
        j = LEAD + i * VECTOR
        many_given(shares, base + j, grad, row + (first + j) * step, there, g, first + j)
    for j in range(LEAD + (COLUMNS - LEAD) // VECTOR * VECTOR, COLUMNS):
        one_given(shares, base + j * V, grad, row + (first + j) * step, there, g, first + j)


def divide_row(shares, base, there, g, od, oh, first):
    """The shares of elements in windows of different lengths. A division may call a function: no load waits for it."""
    for j in range(COLUMNS):
        ow = first + j
        if there and ow >= 0 and ow < g.w.out:
            by = ACC(count_at(g, od, oh, ow))
            for e in range(V):
                shares[base + j * V + e] = shares[base + j * V + e] / by


def one_beside(marks, j, memory, at, there, n, ow, less):
    """What lies beside column j, taken `less` off."""
    if (CHECK_H or CHECK_W) and not (there and (not CHECK_W or (ow >= 0 and ow < n))):
        for e in range(V):
            marks[j + e] = KIND(ABSENT)
    elif V > 1:
        vector = load_vector(memory, at, V)
        for e in range(V):
            marks[j + e] = KIND(vector[e]) - less
    else:
        marks[j] = KIND(memory[at]) - less


def many_beside(marks, j, memory, at, there, n, ow, less):
    """Columns j .. j + BESIDE - 1."""
    if (CHECK_H or CHECK_W) and not (there and (not CHECK_W or (ow >= 0 and ow < n))):
        for e in range(BESIDE):
            marks[j + e] = KIND(ABSENT)
    else:
        vector = load_vector(memory, at, BESIDE)
        for e in range(BESIDE):
            marks[j + e] = KIND(vector[e]) - less


def load_beside(marks, base, memory, row, step, there, n, first, less):
    """What lies beside a row's gradients."""
    for j in range(LEAD_BESIDE):
        one_beside(marks, base + j * V, memory, row + (first + j) * step, there, n, first + j, less)
    for i in range((COLUMNS - LEAD_BESIDE) // BESIDE):
        j = LEAD_BESIDE + i * BESIDE
        many_beside(marks, base + j, memory, row + (first + j) * step, there, n, first + j, less)
    for j in range(LEAD_BESIDE + (COLUMNS - LEAD_BESIDE) // BESIDE * BESIDE, COLUMNS):
        one_beside(marks, base + j * V, memory, row + (first + j) * step, there, n, first + j, less)


def load_values(values, x, at, u, g, ph, pw):
    """The thread's own elements; those beyond an edge are never stored."""
    for i in range(TH):
        for t in range(TW // VALUES):
            if (not TAIL_H or ph + i < g.h.n) and (not TAIL_W or pw + t * VALUES < g.w.n):
                vector = load_vector(x, at + (ph + i) * u.h + (pw + t * VALUES) * u.w, WIDE_VALUES)
                for e in range(WIDE_VALUES):
                    values[(i * TW + t * VALUES) * V + e] = ACC(decode_result(Y_CODEC, vector[e]))
            else:
                for e in range(WIDE_VALUES):
                    values[(i * TW + t * VALUES) * V + e] = ACC(0)


def empty(total):
    """Nothing yet."""
    for e in range(TILE):
        total[e] = ACC(0)


def store(out, at, u, g, ph, pw, total, values):
    """All of a thread's elements; `values` is an array for what is stored."""
    for e in range(TILE):
        values[e] = encode(Y_CODEC, total[e] / ACC(UNIFORM) if AVERAGES and UNIFORM != 0 else total[e])
    for i in range(TH):
        if not TAIL_H or ph + i < g.h.n:
            row = at + (ph + i) * u.h + pw * u.w
            for t in range(TW // STORE):
                if not TAIL_W or pw + t * STORE < g.w.n:
                    store_vector(out, row + t * STORE * u.w, values, (i * TW + t * STORE) * V, WIDE_STORE)


# -- sums and averages -------------------------------------------------------------------------------------------------


def reach(give, r, state):
    """give(i, t, down, j, *state) for what row r of the windows reaches: element (i, t) in row `down` of window j."""
    for i in range(TH):
        down = i + SHIFT_H - r * SH
        if down >= 0 and down < KH:
            for t in range(TW):
                for m in range(REACH):
                    j = (t + PHASE_W) // SW + m
                    if j * SW <= t + SHIFT_W:
                        give(i, t, down, j, *state)


def add_share(i, t, down, j, total, shares, base):
    """A window gives to an element, of each channel."""
    for e in range(V):
        at = (i * TW + t) * V + e
        total[at] = total[at] + shares[base + j * V + e]


def is_row(g, oh):
    """Whether there are windows in row `oh`."""
    return not CHECK_H or (oh >= 0 and oh < g.h.out)


def sums_row(r, total, shares, grad, slab, s, g, od, low_h, low_w):
    """One row of windows."""
    oh, base = low_h + r, (r * LOADED if AHEAD else 0)
    if not AHEAD:
        load_given(shares, base, grad, slab + oh * s.h, s.w, is_row(g, oh), g, low_w)
    if AVERAGES and UNIFORM == 0:
        divide_row(shares, base, is_row(g, oh), g, od, oh, low_w)
    reach(add_share, r, (total, shares, base))


def sums_slab(total, shares, grad, slab, s, g, od, low_h, low_w):
    """All rows of windows."""
    if AHEAD:
        for r in range(ROWS):
            oh = low_h + r
            load_given(shares, r * LOADED, grad, slab + oh * s.h, s.w, is_row(g, oh), g, low_w)
    written_out(sums_row, ROWS, (total, shares, grad, slab, s, g, od, low_h, low_w))


def sum_up(total, grad, at, s, g, pd, low_h, low_w):
    """What all windows give to a thread's elements."""
    shares = cuda.local.array(KEPT, ACC)
    empty(total)
    if DEEP:
        d0, d1, _ = reached(g.d, pd, WINDOW_D)
        for od in range(d0, d1):
            sums_slab(total, shares, grad, at + od * s.d, s, g, od, low_h, low_w)
    else:
        sums_slab(total, shares, grad, at + pd * s.d, s, g, pd, low_h, low_w)


def strip_sums(grad, out, g, steps, walk, first, count):
    """Of sums and averages: each window gives its share."""
    unit = first + index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if unit < count:
        c, q, p, pd, o2, o1 = place(walk, unit)
        s, u = steps
        total = cuda.local.array(TILE, ACC)
        at = o1 * s.outer + o2 * s.outer2 + c * V * s.inner
        sum_up(total, grad, at, s, g, pd, p * (TH // SH) + LOW_H, q * (TW // SW) + LOW_W)
        at_out = o1 * u.outer + o2 * u.outer2 + c * V * u.inner + pd * u.d
        store(out, at_out, u, g, p * TH, q * TW, total, cuda.local.array(TILE, OUT))


def strip_known(grad, x, out, g, steps, walk, first, count):
    """Of those that omit NaN, divided before: nothing for NaN. Y_CODEC reads x and writes the result."""
    unit = first + index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if unit < count:
        c, q, p, pd, o2, o1 = place(walk, unit)
        s, r, u = steps
        total, values = cuda.local.array(TILE, ACC), cuda.local.array(TILE, ACC)
        load_values(values, x, o1 * r.outer + o2 * r.outer2 + c * V * r.inner + pd * r.d, r, g, p * TH, q * TW)
        at = o1 * s.outer + o2 * s.outer2 + c * V * s.inner
        sum_up(total, grad, at, s, g, pd, p * (TH // SH) + LOW_H, q * (TW // SW) + LOW_W)
        for e in range(TILE):
            total[e] = total[e] if values[e] == values[e] else ACC(0)
        at_out = o1 * u.outer + o2 * u.outer2 + c * V * u.inner + pd * u.d
        store(out, at_out, u, g, p * TH, q * TW, total, cuda.local.array(TILE, OUT))


# -- one element of each window ----------------------------------------------------------------------------------------


def mark_of(g, i, t, down, j):
    """What window j of a row holds if it chose element (i, t) of the thread, where it has tap number `down`."""
    if FLAT:
        return KIND(number(g.w.n) * i + t)
    return KIND(down * KW + t + SHIFT_W - j * SW)


def add_chosen(i, t, down, j, total, shares, marks, g):
    """A window gives to an element, if it chose it."""
    mine = mark_of(g, i, t, down, j)
    for e in range(V):
        at = (i * TW + t) * V + e
        if marks[j * V + e] == mine:
            total[at] = total[at] + shares[j * V + e]


def chosen_row(r, total, own, grad, taken, slabs, s, z, g, low_h, low_w, less):
    """One row of windows; `own` are the thread's arrays for what is loaded."""
    shares, marks = own
    oh = low_h + r
    there = is_row(g, oh)
    load_beside(marks, 0, taken, slabs[1] + oh * z.h, z.w, there, g.w.out, low_w, less)
    load_given(shares, 0, grad, slabs[0] + oh * s.h, s.w, there, g, low_w)
    reach(add_chosen, r, (total, shares, marks, g))


def taken_before(g, od, pd, ph, pw):
    """What to take off the marks of windows `od`: then the thread's own begin at 0."""
    if FLAT:
        return KIND(number((pd * g.h.n + ph) * g.w.n + pw))
    return KIND(number((pd - od * g.d.s + g.d.before) * (KH * KW))) if DEEP else KIND(0)


def strip_chosen(grad, taken, out, g, steps, walk, first, count):
    """Of operators that choose one element of each window: `taken` says which, by its tap or its flat position."""
    unit = first + index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if unit < count:
        c, q, p, pd, o2, o1 = place(walk, unit)
        s, z, u = steps
        total = cuda.local.array(TILE, ACC)
        own = cuda.local.array(LOADED, ACC), cuda.local.array(LOADED, KIND)
        ph, pw, low_h, low_w = p * TH, q * TW, p * (TH // SH) + LOW_H, q * (TW // SW) + LOW_W
        at = o1 * s.outer + o2 * s.outer2 + c * V * s.inner
        beside = o1 * z.outer + o2 * z.outer2 + c * V * z.inner
        empty(total)
        if DEEP:
            d0, d1, _ = reached(g.d, pd, WINDOW_D)
            for od in range(d0, d1):
                slabs, less = (at + od * s.d, beside + od * z.d), taken_before(g, od, pd, ph, pw)
                written_out(chosen_row, ROWS, (total, own, grad, taken, slabs, s, z, g, low_h, low_w, less))
        else:
            slabs, less = (at + pd * s.d, beside + pd * z.d), taken_before(g, pd, pd, ph, pw)
            written_out(chosen_row, ROWS, (total, own, grad, taken, slabs, s, z, g, low_h, low_w, less))
        at_out = o1 * u.outer + o2 * u.outer2 + c * V * u.inner + pd * u.d
        store(out, at_out, u, g, ph, pw, total, cuda.local.array(TILE, OUT))
