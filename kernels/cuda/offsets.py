"""Gradients from the numbers of the taps that windows chose: one or two bytes for each window instead of eight."""

from __future__ import annotations

from typing import Any

from numba import cuda

from ..gradient import hits, windows_of
from ..point import decode, encode
from ..window import first_tap, tap_range
from .memory import atomic_max, index, number
from .walk import place

X_CODEC = Y_CODEC = None  # bound to the codecs of the gradient and of the result
ACC: Any = None  # bound to the type in which gradients are added
DILATED = True  # bound: whether a window may step over an element that lies in its span


def inside(a, o, j):
    """Whether tap j of window `o` is an element."""
    j0, j1 = tap_range(first_tap(o, a.s, a.before), 0, a.n, a.k, a.d)
    return j >= j0 and j < j1


def check_taken(taken, flags, g, steps, walk, first, count):
    """Leave the largest tap that is none of its window's elements in flag 0."""
    i = first + index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if i < count:
        c, ow, oh, od, o2, o1 = place(walk, i)
        r = steps[0]
        tap = index(taken[o1 * r.outer + o2 * r.outer2 + c * r.inner + od * r.d + oh * r.h + ow * r.w])
        row = tap // g.w.k
        jd = row // g.h.k
        jw, jh = tap - row * g.w.k, row - jd * g.h.k
        if not (inside(g.d, od, jd) and inside(g.h, oh, jh) and inside(g.w, ow, jw)):
            atomic_max(flags, index(0), number(tap))


def tap_at(a, o, p):
    """Which tap of window `o`, whose span contains p, lies there."""
    distance = p - first_tap(o, a.s, a.before)
    return distance // a.d if DILATED else distance


def gather_taken(grad, taken, out, g, steps, walk, first, count):
    """One thread per element: the windows that chose it give, in row-major order."""
    i = first + index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if i < count:
        c, pw, ph, pd, o2, o1 = place(walk, i)
        s, r, t = steps
        at = o1 * s.outer + o2 * s.outer2 + c * s.inner
        at_taken = o1 * r.outer + o2 * r.outer2 + c * r.inner
        total = ACC(0)
        d0, d1 = windows_of(g.d, pd)
        h0, h1 = windows_of(g.h, ph)
        w0, w1 = windows_of(g.w, pw)
        for od in range(d0, d1):
            for oh in range(h0, h1):
                if not DILATED or (hits(g.d, od, pd) and hits(g.h, oh, ph)):
                    row = (tap_at(g.d, od, pd) * g.h.k + tap_at(g.h, oh, ph)) * g.w.k
                    for ow in range(w0, w1):
                        if not DILATED or hits(g.w, ow, pw):
                            mine = row + tap_at(g.w, ow, pw)
                            if index(taken[at_taken + od * r.d + oh * r.h + ow * r.w]) == mine:
                                total = total + ACC(decode(X_CODEC, grad[at + od * s.d + oh * s.h + ow * s.w]))
        to = o1 * t.outer + o2 * t.outer2 + c * t.inner + pd * t.d + ph * t.h + pw * t.w
        out[to] = encode(Y_CODEC, total)
