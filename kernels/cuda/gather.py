"""Gradients, one thread per element of the input: the sum over the windows that contain it, in row-major order.

Nothing is scattered, so no two threads write to one element and the same call gives the same bits on every run.
"""

from __future__ import annotations

from typing import Any

from numba import cuda

from ..gradient import hits, share_of_norm, windows_of
from ..point import decode, divisor, encode
from ..window import Axis
from .memory import index, number
from .walk import place

X_CODEC = Y_CODEC = RULE = None  # bound to the codecs of the gradient and of the result, and to where windows lie
ACC: Any = None  # bound to the type in which gradients are added
AVERAGES, UNIFORM = False, 0  # bound: whether there is a divisor, and the one that all windows have, if they do
EXPONENT: Any = 1.0  # bound: p - 1 of an Lp norm
DILATED = True  # bound: whether a window may step over an element that lies in its span
# Bound: each axis' taps, steps and the windows that an element is in at most, (0, 0, 0) where they are not constants.
WINDOW_D = WINDOW_H = WINDOW_W = (0, 0, 0)


def decode_result(codec, raw):
    """The decode of the result's codec: bound."""


def has_tap(g, od, oh, ow, pd, ph, pw):
    """Whether the window, whose span contains the element, has a tap there."""
    return hits(g.d, od, pd) and hits(g.h, oh, ph) and hits(g.w, ow, pw)


def reached(a, p, known):
    """The windows lo .. hi - 1 that contain p, and where to stop looking: with constants, loops are unrolled.

    Divisions by constants are shifts, or multiplications, and the loads of all windows are under way at once.
    """
    k = index(known[0]) if known[0] > 0 else a.k
    s = index(known[1]) if known[0] > 0 else a.s
    lo, hi = windows_of(Axis(a.n, a.out, k, s, a.d, a.before, a.count_from, a.count_to, a.xs, a.ys), p)
    return lo, hi, (lo + known[2] if known[0] > 0 else hi)


def summed(grad, at, s, g, pd, ph, pw):
    """The shares of all windows that contain an element, of the plane's gradient at `at`."""
    total = ACC(0)
    d0, d1, d2 = reached(g.d, pd, WINDOW_D)
    h0, h1, h2 = reached(g.h, ph, WINDOW_H)
    w0, w1, w2 = reached(g.w, pw, WINDOW_W)
    for od in range(d0, d2):
        for oh in range(h0, h2):
            for ow in range(w0, w2):
                share = ACC(0)
                if od < d1 and oh < h1 and ow < w1 and (not DILATED or has_tap(g, od, oh, ow, pd, ph, pw)):
                    share = ACC(decode(X_CODEC, grad[at + od * s.d + oh * s.h + ow * s.w]))
                    if AVERAGES and UNIFORM == 0:
                        share = share / ACC(number(divisor(RULE, g, od, oh, ow)))
                total = total + share
    return total / ACC(UNIFORM) if AVERAGES and UNIFORM != 0 else total


def gather_sums(grad, out, g, steps, walk, first, count):
    """Of sums and averages: each window gives its share."""
    i = first + index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if i < count:
        c, pw, ph, pd, o2, o1 = place(walk, i)
        s, t = steps
        total = summed(grad, o1 * s.outer + o2 * s.outer2 + c * s.inner, s, g, pd, ph, pw)
        to = o1 * t.outer + o2 * t.outer2 + c * t.inner + pd * t.d + ph * t.h + pw * t.w
        out[to] = encode(Y_CODEC, total)


def gather_chosen(grad, where, out, g, steps, walk, first, count):
    """Of operators that choose one element of each window: `where` says which."""
    i = first + index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if i < count:
        c, pw, ph, pd, o2, o1 = place(walk, i)
        s, r, t = steps
        at = o1 * s.outer + o2 * s.outer2 + c * s.inner
        at_where = o1 * r.outer + o2 * r.outer2 + c * r.inner
        mine = (pd * g.h.n + ph) * g.w.n + pw
        total = ACC(0)
        d0, d1, d2 = reached(g.d, pd, WINDOW_D)
        h0, h1, h2 = reached(g.h, ph, WINDOW_H)
        w0, w1, w2 = reached(g.w, pw, WINDOW_W)
        for od in range(d0, d2):
            for oh in range(h0, h2):
                for ow in range(w0, w2):
                    share = ACC(0)
                    if od < d1 and oh < h1 and ow < w1:
                        given = ACC(decode(X_CODEC, grad[at + od * s.d + oh * s.h + ow * s.w]))
                        if where[at_where + od * r.d + oh * r.h + ow * r.w] == mine:
                            share = given
                    total = total + share
        to = o1 * t.outer + o2 * t.outer2 + c * t.inner + pd * t.d + ph * t.h + pw * t.w
        out[to] = encode(Y_CODEC, total)


def gather_powers(grad, norms, values, out, g, steps, walk, first, count):
    """Of Lp norms: each window gives by the element's share of its norm."""
    i = first + index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if i < count:
        c, pw, ph, pd, o2, o1 = place(walk, i)
        s, r, u, t = steps
        at = o1 * s.outer + o2 * s.outer2 + c * s.inner
        at_norm = o1 * r.outer + o2 * r.outer2 + c * r.inner
        mine = o1 * u.outer + o2 * u.outer2 + c * u.inner + pd * u.d + ph * u.h + pw * u.w
        value = ACC(decode_result(Y_CODEC, values[mine]))
        sign = ACC(1) if value >= ACC(0) else ACC(-1)
        size, total = value * sign, ACC(0)
        if size != ACC(0):
            d0, d1 = windows_of(g.d, pd)
            h0, h1 = windows_of(g.h, ph)
            w0, w1 = windows_of(g.w, pw)
            for od in range(d0, d1):
                for oh in range(h0, h1):
                    for ow in range(w0, w1):
                        if not DILATED or has_tap(g, od, oh, ow, pd, ph, pw):
                            norm = norms[at_norm + od * r.d + oh * r.h + ow * r.w]
                            share = share_of_norm(size, norm, ACC(EXPONENT), ACC(1))
                            total = total + ACC(decode(X_CODEC, grad[at + od * s.d + oh * s.h + ow * s.w])) * share
        to = o1 * t.outer + o2 * t.outer2 + c * t.inner + pd * t.d + ph * t.h + pw * t.w
        out[to] = encode(Y_CODEC, total * sign)
