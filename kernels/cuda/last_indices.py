"""Channels last for maxima with positions: an accumulator is an element and its number, a flat index or a tap's number.

Taps outside the input are the nearest ones inside, with their own numbers, so nothing is special about edges.
"""

from __future__ import annotations

import numpy as np
from numba import cuda

from ..point import encode
from .last import reduce
from .memory import index, number, store_vector
from .operators import kept_two as kept
from .point import Y_CODEC

# Bound for each kernel, with those of `last`:
KW = SH = SW = TH = TW = VECTOR = STORE = STORE_WHERE = LOADED = TILE = 1
OFFSETS = False
ACC0 = ACC1 = OUT = None
INDEX = np.int64


def last_indices(x, y, where, g, walk, count):
    """One thread's channels of its outputs; both outputs have one layout."""
    i = index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if i < count:
        a0, a1 = cuda.local.array(TILE, ACC0), cuda.local.array(TILE, ACC1)
        v0, v1 = cuda.local.array(LOADED, ACC0), cuda.local.array(LOADED, ACC1)
        at_y, _, oh, ow = reduce((a0, a1, v0, v1), x, g, walk, i)
        values, places = cuda.local.array(VECTOR, OUT), cuda.local.array(VECTOR, INDEX)
        for r in range(TH):
            for t in range(TW):
                if TH * TW == 1 or (oh + r < g.h.out and ow + t < g.w.out):
                    for e in range(VECTOR):
                        value, code = kept(a0, a1, (r * TW + t) * VECTOR + e)
                        values[e] = encode(Y_CODEC, value)
                        places[e] = place_of(index(code), r, t)
                    at = at_y + (oh + r) * g.h.ys + (ow + t) * g.w.ys
                    for e in range(VECTOR // STORE):
                        store_vector(y, at + e * STORE, values, e * STORE, STORE)
                    store_places(where, at, places)


def store_places(where, at, places):
    """The positions of one output's channels."""
    for e in range(VECTOR // STORE_WHERE):
        store_vector(where, at + e * STORE_WHERE, places, e * STORE_WHERE, STORE_WHERE)


def last_positions(x, y, g, walk, count):
    """The positions alone."""
    i = index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if i < count:
        a0, a1 = cuda.local.array(TILE, ACC0), cuda.local.array(TILE, ACC1)
        v0, v1 = cuda.local.array(LOADED, ACC0), cuda.local.array(LOADED, ACC1)
        places = cuda.local.array(VECTOR, INDEX)
        at_y, _, oh, ow = reduce((a0, a1, v0, v1), x, g, walk, i)
        for r in range(TH):
            for t in range(TW):
                if TH * TW == 1 or (oh + r < g.h.out and ow + t < g.w.out):
                    for e in range(VECTOR):
                        _, code = kept(a0, a1, (r * TW + t) * VECTOR + e)
                        places[e] = place_of(index(code), r, t)
                    store_places(y, at_y + (oh + r) * g.h.ys + (ow + t) * g.w.ys, places)


def place_of(code, r, t):
    """What is stored of output (r, t): taps are numbered as in the tile's first window, whose rows are KW apart."""
    return number(code - (r * SH * KW + t * SW) if OFFSETS else code)
