"""Channels last, constant windows: each thread computes VECTOR neighbouring channels of one output.

The lanes of a warp lie along the channels, so loads and stores are whole vectors side by side, and what a window's edge
asks of one lane it asks of all.
"""

from __future__ import annotations

from numba import cuda

from ..point import combine, decode, encode, finish, seed
from ..window import first_tap, tap_range
from .memory import index, load_vector, store_vector
from .operators import keep_one as keep
from .operators import kept_one as kept
from .point import RED, X_CODEC, Y_CODEC
from .tile import count_at
from .walk import place

# Bound for each kernel:
KD = KH = KW = SH = SW = VECTOR = STORE = 1
CHECK = False  # whether windows may leave the input
NEUTRAL = ACC0 = ACC1 = OUT = None


def add_tap(a0, a1, r0, r1, x, at, fresh):
    """One tap of all channels into the row's accumulators."""
    vector = load_vector(x, at, VECTOR)
    for e in range(VECTOR):
        v = seed(RED, decode(X_CODEC, vector[e]), 0)
        if fresh:
            keep(r0, r1, e, v)
        else:
            keep(r0, r1, e, combine(RED, kept(r0, r1, e), v))


def add_row(a0, a1, r0, r1, x, row, g, start, fresh):
    """One row of the window: reduced along the row first, in the order of the point kernel."""
    if CHECK:
        j0, j1 = tap_range(start, 0, g.w.n, KW, 1)
        for e in range(VECTOR):
            keep(r0, r1, e, NEUTRAL)
        for j in range(KW):
            if j0 <= j and j < j1:
                add_tap(a0, a1, r0, r1, x, row + (start + j) * g.w.xs, False)
    else:
        for j in range(KW):
            add_tap(a0, a1, r0, r1, x, row + (start + j) * g.w.xs, j == 0)
    for e in range(VECTOR):
        keep(a0, a1, e, kept(r0, r1, e) if fresh else combine(RED, kept(a0, a1, e), kept(r0, r1, e)))


def last(x, y, g, walk, count):
    """One thread's channels of one output."""
    i = index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if i < count:
        a0, a1 = cuda.local.array(VECTOR, ACC0), cuda.local.array(VECTOR, ACC1)
        r0, r1 = cuda.local.array(VECTOR, ACC0), cuda.local.array(VECTOR, ACC1)
        c, ow, oh, od, o2, o1 = place(walk, i)
        plane = o1 * g.outer.xs + o2 * g.outer2.xs + c * VECTOR
        start_d, start_h, start_w = (
            first_tap(od, g.d.s, g.d.before),
            first_tap(oh, SH, g.h.before),
            first_tap(ow, SW, g.w.before),
        )
        if CHECK:
            for e in range(VECTOR):
                keep(a0, a1, e, NEUTRAL)
        for jd in range(KD):
            for jh in range(KH):
                pd, ph = start_d + jd, start_h + jh
                if CHECK:
                    if pd >= 0 and pd < g.d.n and ph >= 0 and ph < g.h.n:
                        add_row(a0, a1, r0, r1, x, plane + pd * g.d.xs + ph * g.h.xs, g, start_w, False)
                else:
                    add_row(a0, a1, r0, r1, x, plane + pd * g.d.xs + ph * g.h.xs, g, start_w, jd + jh == 0)
        at_y = o1 * g.outer.ys + o2 * g.outer2.ys + c * VECTOR + od * g.d.ys + oh * g.h.ys + ow * g.w.ys
        out, divisor = cuda.local.array(VECTOR, OUT), count_at(g, od, oh, ow)
        for e in range(VECTOR):
            out[e] = encode(Y_CODEC, finish(RED, kept(a0, a1, e), divisor))
        for e in range(VECTOR // STORE):
            store_vector(y, at_y + e * STORE, out, e * STORE, STORE)
