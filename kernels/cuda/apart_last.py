"""Gradients where windows do not overlap, channels last: each thread takes VECTOR channels of one cell (see `apart`).

The lanes of a warp lie along the channels, so loads and stores are whole vectors side by side.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from ..point import combine, encode, finish, seed
from ..window import first_tap
from .apart import exists, gives, inside, store
from .apart_found import norm_share
from .gather import decode_result
from .memory import index, load_vector
from .operators import keep_one as keep
from .operators import kept_one as kept
from .walk import place

RED = Y_CODEC = None  # bound to the operator, and to the codec of x and the result
ACC: Any = None  # bound to the type in which gradients are added
OUT: Any = None  # bound to the NumPy type of the stored elements
VALUE: Any = None  # and of those that are decoded
CODE: Any = None  # bound to the NumPy type in which positions are compared
ACC0 = ACC1 = None  # NumPy types of the accumulator's parts
KD = KH = KW = SD = SH = SW = 1  # bound: taps of a window, and the lengths of its cell
VECTOR = LOADED = GIVEN = GIVEN_WHERE = 1  # bound: channels of a thread, and how many each array has at once
CHECK_W = FLAT = False  # bound: whether cells may leave the array sideways, or have no window there; as in `apart`
WRITTEN_OUT = 8  # taps without a loop, in which each tap's loads would wait for the tap before


def load_given(values, grad, at, step, g, od, oh, ow):
    """What the windows of VECTOR channels give; nothing where there is no window."""
    for e in range(VECTOR):
        values[e] = ACC(0)
    if exists(g, od, oh, ow):
        for k in range(VECTOR // GIVEN):
            if GIVEN > 1:
                vector = load_vector(grad, at + k * GIVEN, GIVEN)
                for e in range(GIVEN):
                    values[k * GIVEN + e] = gives(vector[e], g, od, oh, ow)
            else:
                values[k] = gives(grad[at + k * step], g, od, oh, ow)


def load_codes(codes, where, at, step, g, od, oh, ow):
    """The positions that they chose."""
    for e in range(VECTOR):
        codes[e] = CODE(0)
    if exists(g, od, oh, ow):
        for k in range(VECTOR // GIVEN_WHERE):
            if GIVEN_WHERE > 1:
                vector = load_vector(where, at + k * GIVEN_WHERE, GIVEN_WHERE)
                for e in range(GIVEN_WHERE):
                    codes[k * GIVEN_WHERE + e] = CODE(vector[e])
            else:
                codes[k] = CODE(where[at + k * step])


def load_tap(v, x, at, step):
    """VECTOR channels of one element."""
    for k in range(VECTOR // LOADED):
        if LOADED > 1:
            vector = load_vector(x, at + k * LOADED, LOADED)
            for e in range(LOADED):
                v[k * LOADED + e] = decode_result(Y_CODEC, vector[e])
        else:
            v[k] = decode_result(Y_CODEC, x[at + k * step])


def there(g, pd, ph, pw):
    """Whether an element is one of the array's."""
    return inside(g, pd, ph) and (not CHECK_W or (pw >= 0 and pw < g.w.n))


def add_tap(state, x, at, r, g, starts, n, fresh):
    """Tap n of all channels, in row-major order; an absent tap is left out. Whether there was one before and is now."""
    a0, a1, v = state
    start_d, start_h, start_w = starts
    row = n // KW
    pd, ph, pw = start_d + row // KH, start_h + row % KH, start_w + n % KW
    if there(g, pd, ph, pw):
        load_tap(v, x, at + pd * r.d + ph * r.h + pw * r.w, r.inner)
        for e in range(VECTOR):
            acc = seed(RED, v[e], np.int32(n))
            if fresh:
                keep(a0, a1, e, acc)
            else:
                keep(a0, a1, e, combine(RED, kept(a0, a1, e), acc))
        return False
    return fresh


def add_taps(state, x, at, r, g, starts):
    """All taps of the window; whether there was none."""
    fresh = add_tap(state, x, at, r, g, starts, 0, True)
    if KD * KH * KW > 1:
        fresh = add_tap(state, x, at, r, g, starts, 1, fresh)
    if KD * KH * KW > 2:
        fresh = add_tap(state, x, at, r, g, starts, 2, fresh)
    if KD * KH * KW > 3:
        fresh = add_tap(state, x, at, r, g, starts, 3, fresh)
    if KD * KH * KW > 4:
        fresh = add_tap(state, x, at, r, g, starts, 4, fresh)
    if KD * KH * KW > 5:
        fresh = add_tap(state, x, at, r, g, starts, 5, fresh)
    if KD * KH * KW > 6:
        fresh = add_tap(state, x, at, r, g, starts, 6, fresh)
    if KD * KH * KW > 7:
        fresh = add_tap(state, x, at, r, g, starts, 7, fresh)
    for n in range(WRITTEN_OUT, KD * KH * KW):
        fresh = add_tap(state, x, at, r, g, starts, n, fresh)
    return fresh


def first_taps(g, od, oh, ow):
    """Where the cell of a window begins."""
    return first_tap(od, SD, g.d.before), first_tap(oh, SH, g.h.before), first_tap(ow, SW, g.w.before)


def last_sums(grad, out, g, steps, walk, first, count):
    """Of sums and averages."""
    i = first + index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if i < count:
        values, line, gap = cuda.local.array(VECTOR, ACC), cuda.local.array(VECTOR, OUT), cuda.local.array(VECTOR, OUT)
        c, ow, oh, od, o2, o1 = place(walk, i)
        s, t = steps
        at = o1 * s.outer + o2 * s.outer2 + c * VECTOR * s.inner + od * s.d + oh * s.h + ow * s.w
        load_given(values, grad, at, s.inner, g, od, oh, ow)
        for e in range(VECTOR):
            line[e] = encode(Y_CODEC, values[e])
            gap[e] = encode(Y_CODEC, ACC(0))
        start_d, start_h, start_w = first_taps(g, od, oh, ow)
        to = o1 * t.outer + o2 * t.outer2 + c * VECTOR
        for jd in range(SD):
            for jh in range(SH):
                for jw in range(SW):
                    pd, ph, pw = start_d + jd, start_h + jh, start_w + jw
                    if there(g, pd, ph, pw):
                        if jd < KD and jh < KH and jw < KW:
                            store(out, to + pd * t.d + ph * t.h + pw * t.w, line)
                        else:
                            store(out, to + pd * t.d + ph * t.h + pw * t.w, gap)


def give_chosen(values, codes, line, out, to, t, g, starts):
    """All elements of a cell, of which the one with a window's code gets what that gives."""
    start_d, start_h, start_w = starts
    for jd in range(SD):
        for jh in range(SH):
            for jw in range(SW):
                pd, ph, pw = start_d + jd, start_h + jh, start_w + jw
                if there(g, pd, ph, pw):
                    code = (pd * g.h.n + ph) * g.w.n + pw if FLAT else index((jd * KH + jh) * KW + jw)
                    for e in range(VECTOR):
                        mine = jd < KD and jh < KH and jw < KW and codes[e] == code
                        line[e] = encode(Y_CODEC, values[e] if mine else ACC(0))
                    store(out, to + pd * t.d + ph * t.h + pw * t.w, line)


def last_chosen(grad, where, out, g, steps, walk, first, count):
    """Of operators that choose an element of each window: `where` says which, flat or by the number of its tap."""
    i = first + index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if i < count:
        values, codes = cuda.local.array(VECTOR, ACC), cuda.local.array(VECTOR, CODE)
        line = cuda.local.array(VECTOR, OUT)
        c, ow, oh, od, o2, o1 = place(walk, i)
        s, r, t = steps
        at = o1 * s.outer + o2 * s.outer2 + c * VECTOR * s.inner + od * s.d + oh * s.h + ow * s.w
        load_given(values, grad, at, s.inner, g, od, oh, ow)
        at = o1 * r.outer + o2 * r.outer2 + c * VECTOR * r.inner + od * r.d + oh * r.h + ow * r.w
        load_codes(codes, where, at, r.inner, g, od, oh, ow)
        to = o1 * t.outer + o2 * t.outer2 + c * VECTOR
        give_chosen(values, codes, line, out, to, t, g, first_taps(g, od, oh, ow))


def last_found(grad, x, out, g, steps, walk, first, count):
    """The same from x, by the operator's own rule for ties and NaN."""
    i = first + index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if i < count:
        a0, a1 = cuda.local.array(VECTOR, ACC0), cuda.local.array(VECTOR, ACC1)
        v, values = cuda.local.array(VECTOR, VALUE), cuda.local.array(VECTOR, ACC)
        line = cuda.local.array(VECTOR, OUT)
        c, ow, oh, od, o2, o1 = place(walk, i)
        s, r, t = steps
        at = o1 * s.outer + o2 * s.outer2 + c * VECTOR * s.inner + od * s.d + oh * s.h + ow * s.w
        load_given(values, grad, at, s.inner, g, od, oh, ow)
        starts = first_taps(g, od, oh, ow)
        add_taps((a0, a1, v), x, o1 * r.outer + o2 * r.outer2 + c * VECTOR * r.inner, r, g, starts)
        to = o1 * t.outer + o2 * t.outer2 + c * VECTOR
        give_chosen(values, a1, line, out, to, t, g, starts)


def give_tap(state, x, out, at, to, steps, g, starts, n):
    """Tap n of all channels: each element's share of its norm. It is loaded again, from the registers if it can."""
    v, values, norms, line = state
    r, t = steps
    start_d, start_h, start_w = starts
    row = n // SW
    jd, jh, jw = row // SH, row % SH, n % SW
    pd, ph, pw = start_d + jd, start_h + jh, start_w + jw
    if there(g, pd, ph, pw):
        load_tap(v, x, at + pd * r.d + ph * r.h + pw * r.w, r.inner)
        for e in range(VECTOR):
            given = ACC(0)
            if jd < KD and jh < KH and jw < KW:
                given = norm_share(values[e], v[e], norms[e])
            line[e] = encode(Y_CODEC, given)
        store(out, to + pd * t.d + ph * t.h + pw * t.w, line)


def last_powers(grad, x, out, g, steps, walk, first, count):
    """Of Lp norms: each window gives by the element's share of its norm."""
    i = first + index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if i < count:
        a0, a1 = cuda.local.array(VECTOR, ACC0), cuda.local.array(VECTOR, ACC1)
        v, values = cuda.local.array(VECTOR, VALUE), cuda.local.array(VECTOR, ACC)
        norms, line = cuda.local.array(VECTOR, ACC), cuda.local.array(VECTOR, OUT)
        c, ow, oh, od, o2, o1 = place(walk, i)
        s, r, t = steps
        at = o1 * s.outer + o2 * s.outer2 + c * VECTOR * s.inner + od * s.d + oh * s.h + ow * s.w
        load_given(values, grad, at, s.inner, g, od, oh, ow)
        starts = first_taps(g, od, oh, ow)
        at = o1 * r.outer + o2 * r.outer2 + c * VECTOR * r.inner
        none = add_taps((a0, a1, v), x, at, r, g, starts)
        for e in range(VECTOR):
            norms[e] = ACC(0)
            if not none:
                norms[e] = ACC(finish(RED, kept(a0, a1, e), 1))
        to = o1 * t.outer + o2 * t.outer2 + c * VECTOR
        if exists(g, od, oh, ow):
            for n in range(SD * SH * SW):
                give_tap((v, values, norms, line), x, out, at, to, (r, t), g, starts, n)
        else:
            clear(out, to, t, g, starts, line)


def clear(out, to, t, g, starts, line):
    """A cell without a window."""
    start_d, start_h, start_w = starts
    for e in range(VECTOR):
        line[e] = encode(Y_CODEC, ACC(0))
    for jd in range(SD):
        for jh in range(SH):
            for jw in range(SW):
                pd, ph, pw = start_d + jd, start_h + jh, start_w + jw
                if there(g, pd, ph, pw):
                    store(out, to + pd * t.d + ph * t.h + pw * t.w, line)
