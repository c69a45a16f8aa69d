"""The register tile for maxima with positions: an accumulator is an element and its place among the tile's elements.

Places are constants until they are stored. An absent tap has the value that no element loses to, so a result of that
value is of a window that holds nothing else, and its position is that of the window's first element.
"""

from __future__ import annotations

import numpy as np
from numba import cuda

from ..point import encode
from ..window import first_tap
from .memory import index, store_vector
from .operators import kept_two as kept
from .point import Y_CODEC
from .tile import add_slabs
from .walk import place

# Bound for each kernel, with those of `tile`:
KD = SH = SW = TH = TW = STORE = STORE_WHERE = COLUMNS = TILE = PITCH = SLAB = 1
ABOVE = BELOW = 0
CHECK_W = OFFSETS = False
KH = KW = 1
NEUTRAL = (0, 0)
ACC0 = ACC1 = OUT = None
INDEX = np.int64


def first_inside(start):
    """The first tap inside the input of a window from `start`."""
    return -start if start < 0 else index(0)


def tap(value, code, start_d, window_h, window_w, down, across):
    """The number of a tap of the window that begins so many elements down and across in the tile."""
    if (CHECK_W or ABOVE + BELOW > 0 or KD > 1) and value == NEUTRAL[0]:
        return (first_inside(start_d) * KH + first_inside(window_h)) * KW + first_inside(window_w)
    return code - (down * KW + across)  # places are numbered as in the tile's first window, whose rows are KW apart


def from_start(start):
    """The first position inside the input of a window from `start`."""
    return start if start > 0 else index(0)


def position(value, code, g, start_d, start_h, start_w, window_h, window_w):
    """Where in the pooled axes an element of the tile lies, the tile beginning at `start`, the window at `window`."""
    if (CHECK_W or ABOVE + BELOW > 0 or KD > 1) and value == NEUTRAL[0]:
        return (from_start(start_d) * g.h.n + from_start(window_h)) * g.w.n + from_start(window_w)
    jd = code // SLAB
    rest = code - jd * SLAB
    r = rest // PITCH
    return ((start_d + jd) * g.h.n + start_h + r) * g.w.n + start_w + rest - r * PITCH


def tile_positions(x, y, g, walk, count):
    """One thread's tile of positions alone."""
    i = index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if i < count:
        a0, a1 = cuda.local.array(TILE, ACC0), cuda.local.array(TILE, ACC1)
        v0, v1 = cuda.local.array(COLUMNS, ACC0), cuda.local.array(COLUMNS, ACC1)
        places = cuda.local.array(TW, INDEX)
        c, q, p, od, o2, o1 = place(walk, i)
        plane = o1 * g.outer.xs + o2 * g.outer2.xs + c * g.inner.xs
        start_d = first_tap(od, g.d.s, g.d.before)
        start_h, start_w = first_tap(p * TH, SH, g.h.before), first_tap(q * TW, SW, g.w.before)
        add_slabs(a0, a1, v0, v1, x, plane, g, start_d, start_h, start_w)
        at_y = o1 * g.outer.ys + o2 * g.outer2.ys + c * g.inner.ys + od * g.d.ys + p * TH * g.h.ys + q * TW * g.w.ys
        for r in range(TH):
            if p * TH + r < g.h.out:
                for t in range(TW):
                    places[t] = place_of(kept(a0, a1, r * TW + t), g, start_d, start_h, start_w, r, t)
                store_places(y, at_y + r * g.h.ys, g, q * TW, places)


def place_of(found, g, start_d, start_h, start_w, r, t):
    """What is stored of the element that output (r, t) of a tile found."""
    value, code = found
    window_h, window_w = start_h + r * SH, start_w + t * SW
    if OFFSETS:
        return tap(value, index(code), start_d, window_h, window_w, r * SH, t * SW)
    return position(value, index(code), g, start_d, start_h, start_w, window_h, window_w)


def tile_indices(x, y, where, g, walk, count):
    """One thread's tile; both outputs have one layout."""
    i = index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if i < count:
        a0, a1 = cuda.local.array(TILE, ACC0), cuda.local.array(TILE, ACC1)
        v0, v1 = cuda.local.array(COLUMNS, ACC0), cuda.local.array(COLUMNS, ACC1)
        values, places = cuda.local.array(TW, OUT), cuda.local.array(TW, INDEX)
        c, q, p, od, o2, o1 = place(walk, i)
        plane = o1 * g.outer.xs + o2 * g.outer2.xs + c * g.inner.xs
        oh, ow = p * TH, q * TW
        start_d = first_tap(od, g.d.s, g.d.before)
        start_h = first_tap(oh, SH, g.h.before)
        start_w = first_tap(ow, SW, g.w.before)
        add_slabs(a0, a1, v0, v1, x, plane, g, start_d, start_h, start_w)
        at_y = o1 * g.outer.ys + o2 * g.outer2.ys + c * g.inner.ys + od * g.d.ys
        for r in range(TH):
            if oh + r < g.h.out:
                for t in range(TW):
                    found = kept(a0, a1, r * TW + t)
                    values[t] = encode(Y_CODEC, found[0])
                    places[t] = place_of(found, g, start_d, start_h, start_w, r, t)
                at = at_y + (oh + r) * g.h.ys + ow * g.w.ys
                store_values(y, at, g, ow, values)
                store_places(where, at, g, ow, places)


def store_values(y, at, g, ow, values):
    """One row of a tile's outputs."""
    if STORE > 1:
        for t in range(TW // STORE):
            store_vector(y, at + t * STORE, values, t * STORE, STORE)
    else:
        for t in range(TW):
            if ow + t < g.w.out:
                y[at + t * g.w.ys] = values[t]


def store_places(where, at, g, ow, places):
    """And of their positions."""
    if STORE_WHERE > 1:
        for t in range(TW // STORE_WHERE):
            store_vector(where, at + t * STORE_WHERE, places, t * STORE_WHERE, STORE_WHERE)
    else:
        for t in range(TW):
            if ow + t < g.w.out:
                where[at + t * g.w.ys] = places[t]
