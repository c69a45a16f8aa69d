"""Constant windows: each thread computes a tile of TH x TW neighbouring outputs in registers, with vector loads.

Rows of the input are loaded once for all outputs that they belong to, reduced along the row first and then combined
downwards: the order of the point kernel, so the results are equal bit for bit. Dilation is 1, and W is contiguous.

A row of the tile needs COLUMNS elements. The first LEAD lie before a vector boundary and the last REST after one; those
are parts of shorter vectors, the others vectors of VECTOR. Where CHECK_W is not set, no window leaves a row.
"""

from __future__ import annotations

from numba import cuda

from ..point import combine, decode, encode, finish, seed
from ..window import first_tap, greater, lesser, tap_count, tap_range
from .memory import index, load_vector, number, store_vector
from .operators import keep_one as keep
from .operators import kept_one as kept
from .point import RED, X_CODEC, Y_CODEC
from .rows import written_out
from .walk import place as positions

# Bound for each kernel:
KD = KH = KW = SH = SW = TH = TW = VECTOR = STORE = COLUMNS = TILE = ROWS = 1
LEAD = REST = 0
HEAD = TAIL = 1  # elements of the vectors that they are parts of
DIVISOR = 0  # what averages are divided by where it is the same for all windows
ABOVE = BELOW = 0  # rows of a tile that may lie before the input's first one, and after its last one
CHECK_W = False
PITCH = SLAB = 1  # how far the places of two rows are apart, and of two slabs
SHARE_W = SHARE_H = False  # whether neighbouring outputs share what their windows have in common
NEUTRAL = None  # the accumulator of an absent tap
ACC0 = ACC1 = None  # NumPy types of the accumulator's parts
OUT = None  # NumPy type of the stored elements


def may_be_outside(r):
    """Whether row r of a tile lies outside the input somewhere."""
    return r < ABOVE or r >= ROWS - BELOW


def load_one(v0, v1, j, x, at, position, n, place):
    """Column j of a row: one element, or the neutral one outside the input; `place` is the row's first in the tile."""
    if CHECK_W:
        if position >= 0 and position < n:
            keep(v0, v1, j, seed(RED, decode(X_CODEC, x[at]), place + j))
        else:
            keep(v0, v1, j, NEUTRAL)
    else:
        keep(v0, v1, j, seed(RED, decode(X_CODEC, x[at]), place + j))


def load_many(v0, v1, j, x, at, position, n, place):
    """Columns j .. j + VECTOR - 1 of a row, which lie inside it or outside together: rows are whole vectors long."""
    if CHECK_W:
        if position >= 0 and position < n:
            vector = load_vector(x, at, VECTOR)
            for e in range(VECTOR):
                keep(v0, v1, j + e, seed(RED, decode(X_CODEC, vector[e]), place + j + e))
        else:
            for e in range(VECTOR):
                keep(v0, v1, j + e, NEUTRAL)
    else:
        vector = load_vector(x, at, VECTOR)
        for e in range(VECTOR):
            keep(v0, v1, j + e, seed(RED, decode(X_CODEC, vector[e]), place + j + e))


def load_head(v0, v1, x, at, position, n, place):
    """The LEAD columns before the first vector: the end of one of HEAD elements, inside the row or outside of it."""
    if CHECK_W and (position < 0 or position >= n):
        for e in range(LEAD):
            keep(v0, v1, e, NEUTRAL)
    else:
        vector = load_vector(x, at, HEAD)
        for e in range(LEAD):
            keep(v0, v1, e, seed(RED, decode(X_CODEC, vector[HEAD - LEAD + e]), place + e))


def load_tail(v0, v1, x, at, position, n, place):
    """The REST columns behind the last vector: the beginning of one of TAIL elements, as above."""
    if CHECK_W and (position < 0 or position >= n):
        for e in range(REST):
            keep(v0, v1, COLUMNS - REST + e, NEUTRAL)
    else:
        vector = load_vector(x, at, TAIL)
        for e in range(REST):
            keep(v0, v1, COLUMNS - REST + e, seed(RED, decode(X_CODEC, vector[e]), place + COLUMNS - REST + e))


def load_row(v0, v1, x, row, start, n, place):
    """All columns that a tile needs of one row, as accumulators; `place` is the number of the first one."""
    if HEAD > 1:
        load_head(v0, v1, x, row + start + LEAD - HEAD, start + LEAD - HEAD, n, place)
    else:
        for j in range(LEAD):
            load_one(v0, v1, j, x, row + start + j, start + j, n, place)
    for i in range((COLUMNS - LEAD) // VECTOR):
        j = LEAD + i * VECTOR
        load_many(v0, v1, j, x, row + start + j, start + j, n, place)
    if TAIL > 1:
        load_tail(v0, v1, x, row + start + COLUMNS - REST, start + COLUMNS - REST, n, place)
    else:
        for j in range(COLUMNS - REST, COLUMNS):
            load_one(v0, v1, j, x, row + start + j, start + j, n, place)


def along(v0, v1, first, taps):
    """So many columns from `first` on, reduced."""
    acc = kept(v0, v1, first)
    for j in range(1, taps):
        acc = combine(RED, acc, kept(v0, v1, first + j))
    return acc


def add_row(a0, a1, v0, v1, r, first, there):
    """Reduce row r of the tile along each output's window, and combine it with the outputs that it belongs to.

    Where the grouping of taps never shows, two neighbours share all taps but one of each: KW combinations, not
    2 * (KW - 1). So do two outputs one below the other.
    """
    if SHARE_W:
        for u in range(TW // 2):
            shared = along(v0, v1, 2 * u + 1, KW - 1)
            add_down(a0, a1, 2 * u, combine(RED, kept(v0, v1, 2 * u), shared), r, first, there)
            add_down(a0, a1, 2 * u + 1, combine(RED, shared, kept(v0, v1, 2 * u + KW)), r, first, there)
    else:
        for t in range(TW):
            add_down(a0, a1, t, along(v0, v1, t * SW, KW), r, first, there)


def add_down(a0, a1, t, acc, r, first, there):
    """Combine row r of the windows in column t of the tile with the outputs that it belongs to."""
    if may_be_outside(r):
        acc = acc if there else NEUTRAL
    if SHARE_H:
        for q in range(TH // 2):
            add_pair(a0, a1, 2 * q * TW + t, acc, r - 2 * q)
    for p in range(TH // 2 * 2 if SHARE_H else 0, TH):
        if r == p * SH and first:
            keep(a0, a1, p * TW + t, acc)
        elif p * SH <= r and r < p * SH + KH:
            keep(a0, a1, p * TW + t, combine(RED, kept(a0, a1, p * TW + t), acc))


def add_pair(a0, a1, i, acc, r):
    """Combine row r of two windows, one below the other, with their outputs: the lower one holds what they share."""
    below = i + TW
    if r == 0:
        keep(a0, a1, i, acc)
    if r == 1:
        keep(a0, a1, below, acc)
    if r > 1 and r <= KH:
        if r == KH:
            keep(a0, a1, i, combine(RED, kept(a0, a1, i), kept(a0, a1, below)))
        keep(a0, a1, below, combine(RED, kept(a0, a1, below), acc))


def count_at(g, od, oh, ow):
    """What an average of this window is divided by."""
    if DIVISOR != 0:
        return number(index(DIVISOR))
    if g.divisor != 0:
        return number(g.divisor)
    cd = tap_count(first_tap(od, g.d.s, g.d.before), g.d.count_from, g.d.count_to, KD, 1)
    ch = tap_count(first_tap(oh, SH, g.h.before), g.h.count_from, g.h.count_to, KH, 1)
    cw = tap_count(first_tap(ow, SW, g.w.before), g.w.count_from, g.w.count_to, KW, 1)
    return number(cd * ch * cw)


def store_row(y, at, g, od, oh, ow, a0, a1, p):
    """Row p of a tile's outputs."""
    if STORE > 1:
        out = cuda.local.array(TW, OUT)
        for t in range(TW):
            out[t] = encode(Y_CODEC, finish(RED, kept(a0, a1, p * TW + t), count_at(g, od, oh, ow + t)))
        for t in range(TW // STORE):
            store_vector(y, at + t * STORE, out, t * STORE, STORE)
    else:
        for t in range(TW):
            if ow + t < g.w.out:
                value = encode(Y_CODEC, finish(RED, kept(a0, a1, p * TW + t), count_at(g, od, oh, ow + t)))
                y[at + t * g.w.ys] = value


def add_slabs(a0, a1, v0, v1, x, plane, g, start_d, start_h, start_w):
    """All of the input that a tile needs."""
    if KD == 1:
        add_slab(a0, a1, v0, v1, x, plane + start_d * g.d.xs, g, start_h, start_w, True, 0)
    else:
        d0, d1 = tap_range(start_d, 0, g.d.n, KD, 1)
        for e in range(TH * TW):
            keep(a0, a1, e, NEUTRAL)
        for jd in range(d0, d1):
            place = jd * SLAB
            add_slab(a0, a1, v0, v1, x, plane + (start_d + jd) * g.d.xs, g, start_h, start_w, False, place)


def tile(x, y, g, walk, count):
    """One thread's tile."""
    i = index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if i < count:
        a0, a1 = cuda.local.array(TILE, ACC0), cuda.local.array(TILE, ACC1)
        v0, v1 = cuda.local.array(COLUMNS, ACC0), cuda.local.array(COLUMNS, ACC1)
        c, q, p, od, o2, o1 = positions(walk, i)
        plane = o1 * g.outer.xs + o2 * g.outer2.xs + c * g.inner.xs
        oh, ow = p * TH, q * TW
        start_d, start_h, start_w = (
            first_tap(od, g.d.s, g.d.before),
            first_tap(oh, SH, g.h.before),
            first_tap(ow, SW, g.w.before),
        )
        add_slabs(a0, a1, v0, v1, x, plane, g, start_d, start_h, start_w)
        at_y = o1 * g.outer.ys + o2 * g.outer2.ys + c * g.inner.ys + od * g.d.ys
        for r in range(TH):
            if oh + r < g.h.out:
                store_row(y, at_y + (oh + r) * g.h.ys + ow * g.w.ys, g, od, oh + r, ow, a0, a1, r)


def step(r, a0, a1, v0, v1, x, slab, g, start_h, start_w, fresh, place):
    """Row r of the tile. Outside the input it is neutral, not left out, and the nearest row is loaded in its place.

    So no load waits for a condition of its own row: a thread has six predicates, and loads under more of them wait for
    those before.
    """
    h, there = start_h + r, True
    if may_be_outside(r):
        there = h >= 0 and h < g.h.n
        h = greater(lesser(h, g.h.n - 1), index(0))
    load_row(v0, v1, x, slab + h * g.h.xs, start_w, g.w.n, place + r * PITCH)
    add_row(a0, a1, v0, v1, r, fresh, there)


def add_slab(a0, a1, v0, v1, x, slab, g, start_h, start_w, fresh, place):
    """All rows that a tile needs of one plane of the input, 8 at most."""
    written_out(step, ROWS, (a0, a1, v0, v1, x, slab, g, start_h, start_w, fresh, place))
