"""Gradients where windows do not overlap: an element has one window at most, so that nothing is added up.

A cell is a window and the gap behind it. Cells lie side by side, the first one begins at the first tap of the first
window, the last ones may have no window. Each thread writes VECTOR neighbouring elements of all rows of one cell: what
the WINDOWS windows give in whose cells they lie is loaded once, and stores are whole vectors side by side.
"""

from __future__ import annotations

from typing import Any

from numba import cuda

from ..point import decode, divisor, encode
from ..window import first_tap
from .memory import index, load_vector, number, store_vector
from .walk import place

X_CODEC = Y_CODEC = RULE = None  # bound to the codecs of the gradient and of the result, and to where windows lie
ACC: Any = None  # bound to the type in which gradients are added
OUT: Any = None  # bound to the NumPy type of the stored elements
CODE: Any = None  # bound to the NumPy type in which positions are compared
AVERAGES, UNIFORM = False, 1  # bound: whether there is a divisor, and the one that all windows have, 0 if they differ
KD = KH = KW = SD = SH = SW = 1  # bound: taps of a window, and the lengths of its cell
# Bound: elements of a store, windows of a thread and how many are loaded at once, whole cells in a vector.
VECTOR = WINDOWS = GIVEN = GIVEN_WHERE = 1
EVEN = 0
# Bound: whether rows or columns of cells may leave the array, or have no window; whether positions are flat ones.
CHECK = CHECK_W = FLAT = False


def exists(g, od, oh, ow):
    """Whether a cell has a window."""
    return (not CHECK or (od < g.d.out and oh < g.h.out)) and (not CHECK_W or ow < g.w.out)


def inside(g, pd, ph):
    """Whether a row is one of the array's."""
    return not CHECK or (pd >= 0 and pd < g.d.n and ph >= 0 and ph < g.h.n)


def gives(raw, g, od, oh, ow):
    """What a window gives to each of its elements."""
    value = ACC(0) + ACC(decode(X_CODEC, raw))
    if AVERAGES and UNIFORM == 0:
        return value / ACC(number(divisor(RULE, g, od, oh, ow)))
    return value / ACC(UNIFORM) if AVERAGES else value


def load_given(values, grad, at, s, g, od, oh, ow):
    """What WINDOWS windows give from `ow` on, of a row of windows at `at`; nothing where there is no window."""
    for i in range(WINDOWS):
        values[i] = ACC(0)
    if GIVEN > 1:  # then all windows of the row exist
        if exists(g, od, oh, ow):
            for k in range(WINDOWS // GIVEN):
                vector = load_vector(grad, at + ow + k * GIVEN, GIVEN)
                for e in range(GIVEN):
                    values[k * GIVEN + e] = gives(vector[e], g, od, oh, ow + k * GIVEN + e)
    else:
        for i in range(WINDOWS):
            if exists(g, od, oh, ow + i):
                values[i] = gives(grad[at + (ow + i) * s.w], g, od, oh, ow + i)


def load_codes(codes, where, at, r, g, od, oh, ow):
    """The positions that these windows chose."""
    for i in range(WINDOWS):
        codes[i] = CODE(0)
    if GIVEN_WHERE > 1:
        if exists(g, od, oh, ow):
            for k in range(WINDOWS // GIVEN_WHERE):
                vector = load_vector(where, at + ow + k * GIVEN_WHERE, GIVEN_WHERE)
                for e in range(GIVEN_WHERE):
                    codes[k * GIVEN_WHERE + e] = CODE(vector[e])
    else:
        for i in range(WINDOWS):
            if exists(g, od, oh, ow + i):
                codes[i] = CODE(where[at + (ow + i) * r.w])


def across(g, q):
    """The window in whose cell vector q of a row begins, and how far behind its first tap."""
    if EVEN > 0:
        return q * EVEN, index(0)
    begin = q * VECTOR + g.w.before
    ow = begin // SW
    return ow, begin - ow * SW


def store(out, at, line):
    """One vector of the result."""
    if VECTOR > 1:
        store_vector(out, at, line, 0, VECTOR)
    else:
        out[at] = line[0]


def apart_sums(grad, out, g, steps, walk, first, count):
    """Of sums and averages: a window gives all its elements the same."""
    i = first + index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if i < count:
        values, line, gap = cuda.local.array(WINDOWS, ACC), cuda.local.array(VECTOR, OUT), cuda.local.array(VECTOR, OUT)
        c, q, oh, od, o2, o1 = place(walk, i)
        s, t = steps
        ow, behind = across(g, q)
        at = o1 * s.outer + o2 * s.outer2 + c * s.inner + od * s.d + oh * s.h
        load_given(values, grad, at, s, g, od, oh, ow)
        for j in range(VECTOR):
            value = ACC(0)
            for k in range(WINDOWS):
                tap = behind + (j - k * SW)
                if tap >= 0 and tap < KW:
                    value = values[k]
            line[j] = encode(Y_CODEC, value)
            gap[j] = encode(Y_CODEC, ACC(0))
        to = o1 * t.outer + o2 * t.outer2 + c * t.inner + q * VECTOR * t.w
        for jd in range(SD):
            for jh in range(SH):
                pd, ph = first_tap(od, SD, g.d.before) + jd, first_tap(oh, SH, g.h.before) + jh
                if inside(g, pd, ph):
                    if jd < KD and jh < KH:
                        store(out, to + pd * t.d + ph * t.h, line)
                    else:
                        store(out, to + pd * t.d + ph * t.h, gap)


def apart_chosen(grad, where, out, g, steps, walk, first, count):
    """Of operators that choose an element of each window: `where` says which, flat or by the number of its tap."""
    i = first + index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if i < count:
        values, codes = cuda.local.array(WINDOWS, ACC), cuda.local.array(WINDOWS, CODE)
        line = cuda.local.array(VECTOR, OUT)
        c, q, oh, od, o2, o1 = place(walk, i)
        s, r, t = steps
        ow, behind = across(g, q)
        at = o1 * s.outer + o2 * s.outer2 + c * s.inner + od * s.d + oh * s.h
        load_given(values, grad, at, s, g, od, oh, ow)
        at = o1 * r.outer + o2 * r.outer2 + c * r.inner + od * r.d + oh * r.h
        load_codes(codes, where, at, r, g, od, oh, ow)
        to = o1 * t.outer + o2 * t.outer2 + c * t.inner + q * VECTOR * t.w
        for jd in range(SD):
            for jh in range(SH):
                pd, ph = first_tap(od, SD, g.d.before) + jd, first_tap(oh, SH, g.h.before) + jh
                if inside(g, pd, ph):
                    begin = (pd * g.h.n + ph) * g.w.n + q * VECTOR if FLAT else behind + (jd * KH + jh) * KW
                    for j in range(VECTOR):
                        value = ACC(0)
                        for k in range(WINDOWS):
                            tap = behind + (j - k * SW)
                            mine = begin + j if FLAT else begin + (j - k * SW)
                            if tap >= 0 and tap < KW and jd < KD and jh < KH and codes[k] == mine:
                                value = values[k]
                        line[j] = encode(Y_CODEC, value)
                    store(out, to + pd * t.d + ph * t.h, line)
