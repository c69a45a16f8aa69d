"""Channels last, constant windows: each thread computes VECTOR neighbouring channels of TH x TW neighbouring outputs.

The lanes of a warp lie along the channels, so loads and stores are whole vectors side by side, and what a window's edge
asks of one lane it asks of all. Where windows overlap, outputs of one thread share loads, and rows reduced along w.

A tap outside the input is the nearest one inside, which lies in the same window. Where a result is one of the elements
that changes nothing, and two neighbouring windows reduce what they have in common once (SHARED); elsewhere it is made
neutral (CHECK).
"""

from __future__ import annotations

from numba import cuda

from ..point import combine, decode, encode, finish, seed
from ..window import first_tap, greater, lesser
from .memory import index, load_vector, store_vector
from .operators import keep_one as keep
from .operators import kept_one as kept
from .point import RED, X_CODEC, Y_CODEC
from .rows import written_out
from .tile import count_at
from .walk import place

# Bound for each kernel:
KD = KH = KW = SH = SW = TH = TW = VECTOR = STORE = COLUMNS = LOADED = TILE = ROWS = 1
EDGES = CHECK = False  # whether windows may leave the input, and whether taps there are neutral
SHARED = OFFSETS = False
NEUTRAL = ACC0 = ACC1 = OUT = None


def inside(position, n):
    """The nearest position on an axis: every load is of the input, and none depends on a branch."""
    return lesser(greater(position, index(0)), n - 1) if EDGES else position


def load_tap(v0, v1, first, x, at, there, number):
    """One tap of all channels as accumulators, neutral outside the input: no branch holds up the loads."""
    vector = load_vector(x, at, VECTOR)
    for e in range(VECTOR):
        if CHECK and not there:
            keep(v0, v1, first + e, NEUTRAL)
        else:
            keep(v0, v1, first + e, seed(RED, decode(X_CODEC, vector[e]), number))


def load_row(v0, v1, x, row, g, start, there, number):
    """All columns that a thread needs of one row; `number` is the row's part of its elements' numbers."""
    for j in range(COLUMNS):
        w = inside(start + j, g.w.n)
        load_tap(v0, v1, j * VECTOR, x, row + w * g.w.xs, there and w == start + j, number + w)


def along(v0, v1, lo, hi, e):
    """Columns lo .. hi - 1 of a row reduced, channel e."""
    acc = kept(v0, v1, lo * VECTOR + e)
    for j in range(lo + 1, hi):
        acc = combine(RED, acc, kept(v0, v1, j * VECTOR + e))
    return acc


def add(a0, a1, i, acc, fresh):
    """Combine with accumulator i, or begin it."""
    keep(a0, a1, i, acc if fresh else combine(RED, kept(a0, a1, i), acc))


def deal(a0, a1, r, t, e, acc, fresh):
    """Give row r of a tile, reduced along window t, to the outputs that it belongs to."""
    step = TW * VECTOR
    for p in range(TH):
        i = p * step + t * VECTOR + e
        top = p * SH
        if TH == 1:
            add(a0, a1, i, acc, fresh)
        elif not SHARED:
            if top <= r and r < top + KH:
                add(a0, a1, i, acc, r == top)
        elif p % 2 == 0:  # two windows: the rows of the upper one alone, of both, of the lower one alone
            if top <= r and r < top + SH:
                add(a0, a1, i, acc, r == top)
            elif top + SH <= r and r < top + KH:
                add(a0, a1, i + step, acc, r == top + SH)
                if r == top + KH - 1:
                    add(a0, a1, i, kept(a0, a1, i + step), False)
            elif top + KH <= r and r < top + KH + SH:
                add(a0, a1, i + step, acc, False)


def add_row(a0, a1, v0, v1, r, fresh):
    """Row r of a tile: reduced along the row first, in the order of the point kernel."""
    for e in range(VECTOR):
        if SHARED and TW == 2:
            both = along(v0, v1, SW, KW, e)
            deal(a0, a1, r, 0, e, combine(RED, along(v0, v1, 0, SW, e), both), fresh)
            deal(a0, a1, r, 1, e, combine(RED, both, along(v0, v1, KW, KW + SW, e)), fresh)
        else:
            for t in range(TW):
                deal(a0, a1, r, t, e, along(v0, v1, t * SW, t * SW + KW, e), fresh)


def step(r, a0, a1, v0, v1, x, plane, g, starts):
    """Row r: of a tile, or of a window of several slabs."""
    start_d, start_h, start_w = starts
    d, h = start_d + r // ROWS, start_h + r % ROWS
    at_d, at_h = d, h
    d, h = inside(d, g.d.n), inside(h, g.h.n)
    there = d == at_d and h == at_h
    tap = ((d - start_d) * KH + h - start_h) * KW - start_w
    number = tap if OFFSETS else (d * g.h.n + h) * g.w.n
    load_row(v0, v1, x, plane + d * g.d.xs + h * g.h.xs, g, start_w, there, number)
    add_row(a0, a1, v0, v1, r, r == 0)


def add_rows(a0, a1, v0, v1, x, plane, g, starts):
    """All rows. Those of a tile, and up to 4, are written out."""
    if TH > 1 or KD * KH <= 4:
        written_out(step, KD * ROWS, (a0, a1, v0, v1, x, plane, g, starts))
    else:
        step(0, a0, a1, v0, v1, x, plane, g, starts)
        for r in range(1, KD * KH):
            step(r, a0, a1, v0, v1, x, plane, g, starts)


def reduce(arrays, x, g, walk, i):
    """The windows of thread i, into its arrays: where in the result their channels lie, and which outputs they are."""
    a0, a1, v0, v1 = arrays
    c, q, p, od, o2, o1 = place(walk, i)
    oh, ow = p * TH, q * TW
    plane = o1 * g.outer.xs + o2 * g.outer2.xs + c * VECTOR
    starts = first_tap(od, g.d.s, g.d.before), first_tap(oh, SH, g.h.before), first_tap(ow, SW, g.w.before)
    add_rows(a0, a1, v0, v1, x, plane, g, starts)
    return o1 * g.outer.ys + o2 * g.outer2.ys + c * VECTOR + od * g.d.ys, od, oh, ow


def last(x, y, g, walk, count):
    """One thread's channels of its outputs."""
    i = index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if i < count:
        a0, a1 = cuda.local.array(TILE, ACC0), cuda.local.array(TILE, ACC1)
        v0, v1 = cuda.local.array(LOADED, ACC0), cuda.local.array(LOADED, ACC1)
        at_y, od, oh, ow = reduce((a0, a1, v0, v1), x, g, walk, i)
        out = cuda.local.array(VECTOR, OUT)
        for r in range(TH):
            for t in range(TW):
                if TH * TW == 1 or (oh + r < g.h.out and ow + t < g.w.out):
                    divisor = count_at(g, od, oh + r, ow + t)
                    for e in range(VECTOR):
                        out[e] = encode(Y_CODEC, finish(RED, kept(a0, a1, (r * TW + t) * VECTOR + e), divisor))
                    at = at_y + (oh + r) * g.h.ys + (ow + t) * g.w.ys
                    for e in range(VECTOR // STORE):
                        store_vector(y, at + e * STORE, out, e * STORE, STORE)
