"""Windows that share an axis, if they are small: one thread per output, all of whose loads are under way at once.

Windows differ in length by one or two elements. A thread loads as many as the longest has; those beyond the end of a
shorter one are its last element once more, which is not combined, or does nothing where an operator chooses elements.
"""

from __future__ import annotations

import numpy as np
from numba import cuda

from ..point import combine, decode, encode, finish, seed
from .memory import index, number
from .point import RED, X_CODEC, Y_CODEC
from .walk import place, split

KD = KH = KW = 1  # bound: the longest window's elements
CHOOSES = False  # bound: whether a repeated element changes nothing


def opening(a, by, o):
    """Where window `o` begins; `by` divides by the number of windows."""
    start, _ = split(o * a.n, by)
    return start


def closing(a, by, o):
    """Where window `o` ends."""
    stop, _ = split((o + 1) * a.n + a.s - 1, by)
    return stop


def nearest(j, taps):
    """Tap j, or the last one."""
    return index(j) if j < taps else taps - 1


def row_of(x, base, step, taps, code):
    """A row of the window; `code` is the number of its first element."""
    acc = seed(RED, decode(X_CODEC, x[base]), np.int32(code))
    for j in range(1, KW):
        other = seed(RED, decode(X_CODEC, x[base + nearest(j, taps) * step]), np.int32(code + j))
        if CHOOSES or j < taps:
            acc = combine(RED, acc, other)
    return acc


def window_of(x, base, g, taps):
    """The accumulator of the window that begins at `base`: rows first, in the order of the point kernel."""
    taps_d, taps_h, taps_w = taps
    acc = row_of(x, base, g.w.xs, taps_w, 0)
    for jh in range(1, KH):
        other = row_of(x, base + nearest(jh, taps_h) * g.h.xs, g.w.xs, taps_w, jh * KW)
        if CHOOSES or jh < taps_h:
            acc = combine(RED, acc, other)
    for jd in range(1, KD):
        if jd < taps_d:
            for jh in range(KH):
                row = base + jd * g.d.xs + nearest(jh, taps_h) * g.h.xs
                other = row_of(x, row, g.w.xs, taps_w, (jd * KH + jh) * KW)
                if CHOOSES or jh < taps_h:
                    acc = combine(RED, acc, other)
    return acc


def spans_of(walk, g, od, oh, ow):
    """Where a window begins, and its elements, along each axis."""
    starts = opening(g.d, walk.d, od), opening(g.h, walk.h, oh), opening(g.w, walk.w, ow)
    stops = closing(g.d, walk.d, od), closing(g.h, walk.h, oh), closing(g.w, walk.w, ow)
    return starts, (stops[0] - starts[0], stops[1] - starts[1], stops[2] - starts[2])


def position(code, g, starts, taps):
    """The flat position of the element with this number."""
    row = index(code) // KW
    jd = row // KH
    jw, jh = nearest(index(code) - row * KW, taps[2]), nearest(row - jd * KH, taps[1])
    return ((starts[0] + jd) * g.h.n + starts[1] + jh) * g.w.n + starts[2] + jw


def found(x, g, starts, taps, o1, o2, c):
    """The accumulator of one output."""
    base = o1 * g.outer.xs + o2 * g.outer2.xs + c * g.inner.xs
    return window_of(x, base + starts[0] * g.d.xs + starts[1] * g.h.xs + starts[2] * g.w.xs, g, taps)


def shared(x, y, g, walk, count):
    """One output element."""
    i = index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if i < count:
        c, ow, oh, od, o2, o1 = place(walk, i)
        starts, taps = spans_of(walk, g, od, oh, ow)
        acc = found(x, g, starts, taps, o1, o2, c)
        divisor = number(g.divisor if g.divisor != 0 else taps[0] * taps[1] * taps[2])
        at_y = o1 * g.outer.ys + o2 * g.outer2.ys + c * g.inner.ys + od * g.d.ys + oh * g.h.ys + ow * g.w.ys
        y[at_y] = encode(Y_CODEC, finish(RED, acc, divisor))


def shared_indices(x, y, where, g, walk, count):
    """The same for reducers that give an element and its position, stored apart; both outputs have one layout."""
    i = index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if i < count:
        c, ow, oh, od, o2, o1 = place(walk, i)
        starts, taps = spans_of(walk, g, od, oh, ow)
        value, code = finish(RED, found(x, g, starts, taps, o1, o2, c), 1)
        at_y = o1 * g.outer.ys + o2 * g.outer2.ys + c * g.inner.ys + od * g.d.ys + oh * g.h.ys + ow * g.w.ys
        y[at_y] = encode(Y_CODEC, value)
        where[at_y] = position(code, g, starts, taps)


def shared_positions(x, y, g, walk, count):
    """The positions alone."""
    i = index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if i < count:
        c, ow, oh, od, o2, o1 = place(walk, i)
        starts, taps = spans_of(walk, g, od, oh, ow)
        _, code = finish(RED, found(x, g, starts, taps, o1, o2, c), 1)
        at_y = o1 * g.outer.ys + o2 * g.outer2.ys + c * g.inner.ys + od * g.d.ys + oh * g.h.ys + ow * g.w.ys
        y[at_y] = position(code, g, starts, taps)
