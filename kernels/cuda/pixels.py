"""Few channels last, as in images: each thread computes all CHANNELS of a tile of TH x TW neighbouring pixels.

A row of the input is a row of numbers, of which a thread loads COLUMNS side by side as `tile` does; a window's next tap
lies CHANNELS further on. Rows are reduced along w first, then combined downwards: the order of the
point kernel, so the results are equal bit for bit.
"""

from __future__ import annotations

from numba import cuda

from ..point import combine, encode, finish
from ..window import first_tap, greater, lesser
from .memory import index, store_vector
from .operators import keep_one as keep
from .operators import kept_one as kept
from .point import RED, Y_CODEC
from .rows import written_out
from .tile import count_at, load_row
from .walk import place

# Bound for each kernel, with those of `tile.load_row`:
KH = KW = SH = SW = TH = TW = CHANNELS = NUMBERS = STORE = COLUMNS = TILE = ROWS = 1
CHECK_H = False
NEUTRAL = ACC0 = ACC1 = OUT = None


def add_row(a0, a1, v0, v1, r, there):
    """Reduce row r of the tile along each window, and combine it with the outputs that it belongs to."""
    for u in range(NUMBERS):
        first = u // CHANNELS * (SW * CHANNELS) + u % CHANNELS
        acc = kept(v0, v1, first)
        for j in range(1, KW):
            acc = combine(RED, acc, kept(v0, v1, first + j * CHANNELS))
        if CHECK_H:
            keep(v0, v1, first, acc if there else NEUTRAL)
            acc = kept(v0, v1, first)
        for p in range(TH):
            i = p * NUMBERS + u
            if r == p * SH:
                keep(a0, a1, i, acc)
            elif p * SH <= r and r < p * SH + KH:
                keep(a0, a1, i, combine(RED, kept(a0, a1, i), acc))


def step(r, a0, a1, v0, v1, x, plane, g, start_h, start_w):
    """Row r of the tile. Outside the input it is neutral, and the nearest row is loaded in its place, as in `tile`."""
    h, there = start_h + r, True
    if CHECK_H:
        there = h >= 0 and h < g.h.n
        h = greater(lesser(h, g.h.n - 1), index(0))
    load_row(v0, v1, x, plane + h * g.h.xs, start_w * CHANNELS, g.w.n * CHANNELS, 0)
    add_row(a0, a1, v0, v1, r, there)


def store_row(y, at, g, od, oh, ow, a0, a1, p):
    """Row p of a tile's outputs."""
    out = cuda.local.array(NUMBERS, OUT)
    for t in range(TW):
        divisor = count_at(g, od, oh, ow + t)
        for c in range(CHANNELS):
            acc = kept(a0, a1, (p * TW + t) * CHANNELS + c)
            out[t * CHANNELS + c] = encode(Y_CODEC, finish(RED, acc, divisor))
    if STORE > 1:
        for i in range(NUMBERS // STORE):
            store_vector(y, at + i * STORE, out, i * STORE, STORE)
    else:
        for t in range(TW):
            if ow + t < g.w.out:
                for c in range(CHANNELS):
                    y[at + t * g.w.ys + c] = out[t * CHANNELS + c]


def pixels(x, y, g, walk, count):
    """One thread's pixels."""
    i = index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if i < count:
        a0, a1 = cuda.local.array(TILE, ACC0), cuda.local.array(TILE, ACC1)
        v0, v1 = cuda.local.array(COLUMNS, ACC0), cuda.local.array(COLUMNS, ACC1)
        _, q, p, od, o2, o1 = place(walk, i)
        oh, ow = p * TH, q * TW
        plane = o1 * g.outer.xs + o2 * g.outer2.xs + first_tap(od, g.d.s, g.d.before) * g.d.xs
        start_h, start_w = first_tap(oh, SH, g.h.before), first_tap(ow, SW, g.w.before)
        written_out(step, ROWS, (a0, a1, v0, v1, x, plane, g, start_h, start_w))
        at_y = o1 * g.outer.ys + o2 * g.outer2.ys + od * g.d.ys
        for r in range(TH):
            if oh + r < g.h.out:
                store_row(y, at_y + (oh + r) * g.h.ys + ow * g.w.ys, g, od, oh + r, ow, a0, a1, r)
