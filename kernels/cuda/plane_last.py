"""Whole planes with channels last: each thread takes CHANNELS neighbouring channels of every SLOTS-th group of pixels.

A block takes UNITS such vectors of channels, neighbours in memory, with SLOTS threads each; the units lie along the
lanes. Elements of a channel are combined in exactly the order of `plane`, so that no memory layout changes a bit.
"""

from __future__ import annotations

from numba import cuda

from ..point import combine, decode, encode, finish, seed
from .memory import index, load_vector, number, unsigned
from .operators import keep_one as keep
from .operators import kept_one as kept
from .point import RED, X_CODEC, Y_CODEC
from .walk import place

# Bound for each kernel:
UNITS = SLOTS = CHANNELS = VECTOR = BLOCK = BLOCK1 = LOADED = 1
FLAT = False  # whether pixels are one axis in memory
ACC0 = ACC1 = None  # NumPy types of the accumulator's parts


def pixel(g, t):
    """Where pixel t of the plane lies."""
    if FLAT:
        return t * g.w.xs
    row = t // g.w.n
    depth = row // g.h.n
    return (t - row * g.w.n) * g.w.xs + (row - depth * g.h.n) * g.h.xs + depth * g.d.xs


def load(v0, v1, first, x, at_x, g, t):
    """Pixels t .. t + VECTOR - 1 of all channels, reduced, from place `first` on."""
    vector = load_vector(x, at_x + pixel(g, t), CHANNELS)
    for e in range(CHANNELS):
        keep(v0, v1, first + e, seed(RED, decode(X_CODEC, vector[e]), t))
    for j in range(1, VECTOR):
        vector = load_vector(x, at_x + pixel(g, t + j), CHANNELS)
        for e in range(CHANNELS):
            one = seed(RED, decode(X_CODEC, vector[e]), t + j)
            keep(v0, v1, first + e, combine(RED, kept(v0, v1, first + e), one))


def load_four(v0, v1, first, x, at_x, g, t, far):
    """Four groups `far` apart. Written out: in a loop the arrays would not become registers."""
    load(v0, v1, first, x, at_x, g, t)
    load(v0, v1, first + CHANNELS, x, at_x, g, t + far)
    load(v0, v1, first + 2 * CHANNELS, x, at_x, g, t + 2 * far)
    load(v0, v1, first + 3 * CHANNELS, x, at_x, g, t + 3 * far)


def add_four(a0, a1, v0, v1, first):
    """Combine the accumulators with four groups, in a fixed tree."""
    for e in range(CHANNELS):
        a, b = kept(v0, v1, first + e), kept(v0, v1, first + CHANNELS + e)
        c, d = kept(v0, v1, first + 2 * CHANNELS + e), kept(v0, v1, first + 3 * CHANNELS + e)
        keep(a0, a1, e, combine(RED, kept(a0, a1, e), combine(RED, combine(RED, a, b), combine(RED, c, d))))


def reduced(a0, a1, x, at_x, g, t, end):
    """Groups t, t + SLOTS * VECTOR, ... before `end`, of which there is one at least, as accumulators."""
    v0, v1 = cuda.local.array(LOADED, ACC0), cuda.local.array(LOADED, ACC1)
    far = index(SLOTS * VECTOR)
    load(a0, a1, 0, x, at_x, g, t)
    t = t + far
    while t + 7 * far < end:  # eight loads on their way at once
        load_four(v0, v1, 0, x, at_x, g, t, far)
        load_four(v0, v1, 4 * CHANNELS, x, at_x, g, t + 4 * far, far)
        add_four(a0, a1, v0, v1, 0)
        add_four(a0, a1, v0, v1, 4 * CHANNELS)
        t = t + 8 * far
    if t + 3 * far < end:
        load_four(v0, v1, 0, x, at_x, g, t, far)
        add_four(a0, a1, v0, v1, 0)
        t = t + 4 * far
    if t + far < end:
        load(v0, v1, 0, x, at_x, g, t)
        load(v0, v1, CHANNELS, x, at_x, g, t + far)
        for e in range(CHANNELS):
            acc = combine(RED, kept(a0, a1, e), kept(v0, v1, e))
            keep(a0, a1, e, combine(RED, acc, kept(v0, v1, CHANNELS + e)))
        t = t + 2 * far
    if t < end:
        load(v0, v1, 0, x, at_x, g, t)
        for e in range(CHANNELS):
            keep(a0, a1, e, combine(RED, kept(a0, a1, e), kept(v0, v1, e)))


def own_unit():
    """The thread's place in its block: (number of the unit in the whole grid, slot, cell in shared memory)."""
    tid = index(cuda.threadIdx.x)
    slot = tid // UNITS
    return index(cuda.blockIdx.x) * UNITS + tid - slot * UNITS, slot, tid


def tree(s0, s1, a0, a1, inside, tid, slot, busy):
    """Combine the accumulators of the first `busy` slots into slot 0's. Cells of one channel lie side by side."""
    half = SLOTS // 2
    while half > 0:
        if inside and slot >= half and slot < 2 * half and slot < busy:
            for e in range(CHANNELS):
                keep(s0, s1, unsigned(tid + e * (SLOTS * UNITS)), kept(a0, a1, e))
        cuda.syncthreads()
        if inside and slot < half and slot + half < busy:
            for e in range(CHANNELS):
                other = kept(s0, s1, unsigned(tid + half * UNITS + e * (SLOTS * UNITS)))
                keep(a0, a1, e, combine(RED, kept(a0, a1, e), other))
        half = half // 2


def plane_last(x, y, g, walk, count):
    """UNITS vectors of outputs of a block."""
    s0 = cuda.shared.array(BLOCK, ACC0)
    s1 = cuda.shared.array(BLOCK1, ACC1)
    a0, a1 = cuda.local.array(CHANNELS, ACC0), cuda.local.array(CHANNELS, ACC1)
    i, slot, tid = own_unit()
    inside = i < count
    c, _, _, _, o2, o1 = place(walk, i)
    taps, t = g.d.n * g.h.n * g.w.n, slot * VECTOR
    if inside and t < taps:
        reduced(a0, a1, x, o1 * g.outer.xs + o2 * g.outer2.xs + c * CHANNELS * g.inner.xs, g, t, taps)
    tree(s0, s1, a0, a1, inside, tid, slot, (taps + VECTOR - 1) // VECTOR)
    if inside and slot == 0:
        for e in range(CHANNELS):
            keep(s0, s1, unsigned(tid + e * (SLOTS * UNITS)), kept(a0, a1, e))
    cuda.syncthreads()
    j = tid
    while j < UNITS * CHANNELS:  # results side by side; a thread that finished all of its channels took 109 registers
        unit = j // CHANNELS
        e, i = j - unit * CHANNELS, index(cuda.blockIdx.x) * UNITS + unit
        if i < count:
            c, _, _, _, o2, o1 = place(walk, i)
            acc = kept(s0, s1, unsigned(unit + e * (SLOTS * UNITS)))
            at_y = o1 * g.outer.ys + o2 * g.outer2.ys + (c * CHANNELS + e) * g.inner.ys
            y[at_y] = encode(Y_CODEC, finish(RED, acc, number(g.divisor)))
        j = j + SLOTS * UNITS


def plane_last_parts(x, part0, part1, g, walk, count):
    """UNITS vectors of parts: part p of `walk.w.n` takes the `walk.w.size` pixels from p * walk.w.size on."""
    s0 = cuda.shared.array(BLOCK, ACC0)
    s1 = cuda.shared.array(BLOCK1, ACC1)
    a0, a1 = cuda.local.array(CHANNELS, ACC0), cuda.local.array(CHANNELS, ACC1)
    i, slot, tid = own_unit()
    inside = i < count
    c, p, _, _, o2, o1 = place(walk, i)
    taps, first = g.d.n * g.h.n * g.w.n, p * walk.w.size
    end = first + walk.w.size if first + walk.w.size < taps else taps
    t = first + slot * VECTOR
    if inside and t < end:
        reduced(a0, a1, x, o1 * g.outer.xs + o2 * g.outer2.xs + c * CHANNELS * g.inner.xs, g, t, end)
    tree(s0, s1, a0, a1, inside, tid, slot, (end - first + VECTOR - 1) // VECTOR)
    if inside and slot == 0:
        for e in range(CHANNELS):
            keep(part0, part1, i * CHANNELS + e, kept(a0, a1, e))
