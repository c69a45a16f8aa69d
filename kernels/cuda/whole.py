"""Gradients of whole planes: what a plane's one window gives is loaded once by a thread, and stored in MANY vectors.

The plane's axes are joined as far as they are one in memory; `g.w.n` is the length of the last of them. Vectors lie
along it, or with LANES along the channels. A thread's vectors are `walk.w.n` apart, so that lanes write side by side.
"""

from __future__ import annotations

from typing import Any

from numba import cuda

from ..point import encode
from .apart import gives, store
from .memory import index, load_vector
from .walk import place

Y_CODEC = None  # bound to the codec of the result
ACC: Any = None  # bound to the type in which gradients are added
OUT: Any = None  # bound to the NumPy type of the stored elements
CODE: Any = None  # bound to the NumPy type in which positions are compared
# Bound: elements of a store, windows of a thread (1, or VECTOR) and how many are loaded at once, vectors of a thread.
VECTOR = WINDOWS = GIVEN = MANY = 1
LANES = False


def load_given(values, grad, at, step, g):
    """What the windows give."""
    for k in range(WINDOWS // GIVEN):
        if GIVEN > 1:
            vector = load_vector(grad, at + k * GIVEN, GIVEN)
            for e in range(GIVEN):
                values[k * GIVEN + e] = gives(vector[e], g, index(0), index(0), index(0))
        else:
            values[k] = gives(grad[at + k * step], g, index(0), index(0), index(0))


def start(s, c, o2, o1):
    """Where a thread's first window lies in an array of windows."""
    return o1 * s.outer + o2 * s.outer2 + (c * VECTOR if LANES else c) * s.inner


def whole_sums(grad, out, g, steps, walk, first, count):
    """Of sums and averages: all elements get the same."""
    i = first + index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if i < count:
        values, line = cuda.local.array(WINDOWS, ACC), cuda.local.array(VECTOR, OUT)
        c, q, h, d, o2, o1 = place(walk, i)
        s, t = steps
        load_given(values, grad, start(s, c, o2, o1), s.inner, g)
        for e in range(VECTOR):
            line[e] = encode(Y_CODEC, values[e] if LANES else values[0])
        to = start(t, c, o2, o1) + d * t.d + h * t.h
        far = 1 if LANES else VECTOR
        for m in range(MANY):
            p = (q + m * walk.w.n) * far
            if p < g.w.n:
                store(out, to + p * t.w, line)


def whole_chosen(grad, where, out, g, steps, walk, first, count):
    """Of operators that choose an element: `where` has its flat position."""
    i = first + index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if i < count:
        values, codes = cuda.local.array(WINDOWS, ACC), cuda.local.array(WINDOWS, CODE)
        line = cuda.local.array(VECTOR, OUT)
        c, q, h, d, o2, o1 = place(walk, i)
        s, r, t = steps
        load_given(values, grad, start(s, c, o2, o1), s.inner, g)
        for e in range(WINDOWS):
            codes[e] = CODE(where[start(r, c, o2, o1) + e * r.inner])
        to = start(t, c, o2, o1) + d * t.d + h * t.h
        far = 1 if LANES else VECTOR
        for m in range(MANY):
            p = (q + m * walk.w.n) * far
            if p < g.w.n:
                mine = (d * g.h.n + h) * g.w.n + p
                for e in range(VECTOR):
                    if LANES:
                        line[e] = encode(Y_CODEC, values[e] if codes[e] == mine else ACC(0))
                    else:
                        line[e] = encode(Y_CODEC, values[0] if codes[0] == mine + e else ACC(0))
                store(out, to + p * t.w, line)
