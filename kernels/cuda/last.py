"""Channels last, constant windows: each thread computes VECTOR neighbouring channels of one output.

The lanes of a warp lie along the channels, so loads and stores are whole vectors side by side, and what a window's edge
asks of one lane it asks of all.
"""

from __future__ import annotations

from numba import cuda

from ..point import combine, decode, encode, finish, seed
from ..window import first_tap
from .memory import index, load_vector, store_vector
from .operators import keep_one as keep
from .operators import kept_one as kept
from .point import RED, X_CODEC, Y_CODEC
from .tile import count_at
from .walk import place

# Bound for each kernel:
KD = KH = KW = SH = SW = VECTOR = STORE = LOADED = 1
CHECK = False  # whether windows may leave the input
NEUTRAL = ACC0 = ACC1 = OUT = None


def load_tap(v0, v1, first, x, at, there):
    """One tap of all channels as accumulators, neutral outside the input: no branch holds up the loads."""
    if CHECK:
        if there:
            vector = load_vector(x, at, VECTOR)
            for e in range(VECTOR):
                keep(v0, v1, first + e, seed(RED, decode(X_CODEC, vector[e]), 0))
        else:
            for e in range(VECTOR):
                keep(v0, v1, first + e, NEUTRAL)
    else:
        vector = load_vector(x, at, VECTOR)
        for e in range(VECTOR):
            keep(v0, v1, first + e, seed(RED, decode(X_CODEC, vector[e]), 0))


def add_row(a0, a1, v0, v1, x, row, g, start, there, fresh):
    """One row of the window: reduced along the row first, in the order of the point kernel."""
    for j in range(KW):
        w = start + j
        load_tap(v0, v1, j * VECTOR, x, row + w * g.w.xs, there and w >= 0 and w < g.w.n)
    for e in range(VECTOR):
        acc = kept(v0, v1, e)
        for j in range(1, KW):
            acc = combine(RED, acc, kept(v0, v1, j * VECTOR + e))
        keep(a0, a1, e, acc if fresh else combine(RED, kept(a0, a1, e), acc))


def step(a0, a1, v0, v1, x, plane, g, starts, jd, jh, fresh):
    """Row jh of slab jd."""
    start_d, start_h, start_w = starts
    d, h = start_d + jd, start_h + jh
    there = not CHECK or (d >= 0 and d < g.d.n and h >= 0 and h < g.h.n)
    add_row(a0, a1, v0, v1, x, plane + d * g.d.xs + h * g.h.xs, g, start_w, there, fresh)


def last(x, y, g, walk, count):
    """One thread's channels of one output. Up to 4 rows are written out: a loop's loads wait for the round before."""
    i = index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if i < count:
        a0, a1 = cuda.local.array(VECTOR, ACC0), cuda.local.array(VECTOR, ACC1)
        v0, v1 = cuda.local.array(LOADED, ACC0), cuda.local.array(LOADED, ACC1)
        c, ow, oh, od, o2, o1 = place(walk, i)
        plane = o1 * g.outer.xs + o2 * g.outer2.xs + c * VECTOR
        starts = first_tap(od, g.d.s, g.d.before), first_tap(oh, SH, g.h.before), first_tap(ow, SW, g.w.before)
        step(a0, a1, v0, v1, x, plane, g, starts, 0, 0, True)
        if KD * KH <= 4:
            if KD * KH > 1:
                step(a0, a1, v0, v1, x, plane, g, starts, 1 // KH, 1 % KH, False)
            if KD * KH > 2:
                step(a0, a1, v0, v1, x, plane, g, starts, 2 // KH, 2 % KH, False)
            if KD * KH > 3:
                step(a0, a1, v0, v1, x, plane, g, starts, 3 // KH, 3 % KH, False)
        else:
            for r in range(1, KD * KH):
                step(a0, a1, v0, v1, x, plane, g, starts, r // KH, r % KH, False)
        at_y = o1 * g.outer.ys + o2 * g.outer2.ys + c * VECTOR + od * g.d.ys + oh * g.h.ys + ow * g.w.ys
        out, divisor = cuda.local.array(VECTOR, OUT), count_at(g, od, oh, ow)
        for e in range(VECTOR):
            out[e] = encode(Y_CODEC, finish(RED, kept(a0, a1, e), divisor))
        for e in range(VECTOR // STORE):
            store_vector(y, at_y + e * STORE, out, e * STORE, STORE)
