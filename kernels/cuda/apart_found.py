"""Gradients where windows do not overlap, from x itself: each thread takes the cells of WINDOWS neighbouring windows.

It reads the windows' elements, finds what each of them chose, or its norm, and writes all elements of the cells. Rows
are loaded as in `tile`: COLUMNS elements, of which the first LEAD lie before a vector boundary.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from ..gradient import share_of_norm
from ..point import combine, encode, finish, seed
from ..window import first_tap
from .apart import exists, inside, load_given
from .gather import decode_result
from .memory import index, load_vector, store_vector
from .operators import keep_one as keep
from .operators import kept_one as kept
from .rows import written_out
from .walk import place

RED = Y_CODEC = None  # bound to the operator, and to the codec of x and the result
ACC: Any = None  # bound to the type in which gradients are added
EXPONENT: Any = 1.0  # bound: p - 1 of an Lp norm
OUT: Any = None  # bound to the NumPy type of the stored elements
VALUE: Any = None  # and of those that are decoded
ACC0 = ACC1 = None  # NumPy types of the accumulator's parts
KD = KH = KW = SD = SH = SW = 1  # bound: taps of a window, and the lengths of its cell
# Bound: windows of a thread, elements of a row of their cells, of a load and of a store, and those before the first.
WINDOWS = COLUMNS = VECTOR = STORE = 1
LEAD = LEAD_STORE = 0
CHECK = CHECK_W = False  # bound: whether rows or columns of cells may leave the array, or have no window
WRITTEN_OUT, GIVEN_OUT = 8, 4  # rows that are read, and written, without a loop


def column(g, w):
    """Whether a column is one of the array's."""
    return not CHECK_W or (w >= 0 and w < g.w.n)


def load_row(v, x, row, step, g, start, there):
    """COLUMNS elements of a row from `start` on; what is not there is not read."""
    for j in range(COLUMNS):
        v[j] = VALUE(0)
    for j in range(LEAD):
        if there and column(g, start + j):
            v[j] = decode_result(Y_CODEC, x[row + (start + j) * step])
    for i in range((COLUMNS - LEAD) // VECTOR):
        j = LEAD + i * VECTOR
        if there and column(g, start + j):  # rows are whole vectors long
            if VECTOR > 1:
                vector = load_vector(x, row + start + j, VECTOR)
                for e in range(VECTOR):
                    v[j + e] = decode_result(Y_CODEC, vector[e])
            else:
                v[j] = decode_result(Y_CODEC, x[row + (start + j) * step])
    for j in range(LEAD + (COLUMNS - LEAD) // VECTOR * VECTOR, COLUMNS):
        if there and column(g, start + j):
            v[j] = decode_result(Y_CODEC, x[row + (start + j) * step])


def store_row(out, row, step, g, start, line):
    """COLUMNS elements of a row from `start` on."""
    for j in range(LEAD_STORE):
        if column(g, start + j):
            out[row + (start + j) * step] = line[j]
    for i in range((COLUMNS - LEAD_STORE) // STORE):
        j = LEAD_STORE + i * STORE
        if column(g, start + j):
            if STORE > 1:
                store_vector(out, row + start + j, line, j, STORE)
            else:
                out[row + (start + j) * step] = line[j]
    for j in range(LEAD_STORE + (COLUMNS - LEAD_STORE) // STORE * STORE, COLUMNS):
        if column(g, start + j):
            out[row + (start + j) * step] = line[j]


def join(a0, a1, has, t, acc, fresh, there):
    """Combine window t's accumulator with the next tap, in row-major order; absent taps are left out."""
    if CHECK or CHECK_W:
        if there:
            if has[t]:
                keep(a0, a1, t, combine(RED, kept(a0, a1, t), acc))
            else:
                keep(a0, a1, t, acc)
            has[t] = True
    elif fresh:
        keep(a0, a1, t, acc)
    else:
        keep(a0, a1, t, combine(RED, kept(a0, a1, t), acc))


def add_row(n, state, x, at, step, g, starts):
    """Row n of the windows."""
    a0, a1, has, v = state
    start_d, start_h, start_w = starts
    pd, ph = start_d + n // KH, start_h + n % KH
    there = inside(g, pd, ph)
    load_row(v, x, at + pd * step.d + ph * step.h, step.w, g, start_w, there)
    for t in range(WINDOWS):
        for jw in range(KW):
            acc = seed(RED, v[t * SW + jw], np.int32(n * KW + jw))
            join(a0, a1, has, t, acc, n == 0 and jw == 0, there and column(g, start_w + t * SW + jw))


def add_rows(state, x, at, step, g, starts):
    """All rows of the windows."""
    written_out(add_row, KD * KH, (state, x, at, step, g, starts))
    for n in range(WRITTEN_OUT, KD * KH):
        add_row(n, state, x, at, step, g, starts)


def first_taps(g, od, oh, ow):
    """Where the cells of windows (od, oh, ow ...) begin."""
    return first_tap(od, SD, g.d.before), first_tap(oh, SH, g.h.before), first_tap(ow, SW, g.w.before)


def apart_found(grad, x, out, g, steps, walk, first, count):
    """Of operators that choose an element of each window, by the operator's own rule for ties and NaN."""
    i = first + index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if i < count:
        a0, a1 = cuda.local.array(WINDOWS, ACC0), cuda.local.array(WINDOWS, ACC1)
        v, has = cuda.local.array(COLUMNS, VALUE), cuda.local.array(WINDOWS, np.bool_)
        values, line = cuda.local.array(WINDOWS, ACC), cuda.local.array(COLUMNS, OUT)
        c, q, oh, od, o2, o1 = place(walk, i)
        s, r, t = steps
        at = o1 * s.outer + o2 * s.outer2 + c * s.inner + od * s.d + oh * s.h
        load_given(values, grad, at, s, g, od, oh, q * WINDOWS)
        starts = first_taps(g, od, oh, q * WINDOWS)
        for k in range(WINDOWS):
            has[k] = False
        add_rows((a0, a1, has, v), x, o1 * r.outer + o2 * r.outer2 + c * r.inner, r, g, starts)
        to = o1 * t.outer + o2 * t.outer2 + c * t.inner
        for jd in range(SD):
            for jh in range(SH):
                pd, ph = starts[0] + jd, starts[1] + jh
                if inside(g, pd, ph):
                    for j in range(COLUMNS):
                        k, jw = j // SW, j % SW
                        mine = jd < KD and jh < KH and jw < KW and a1[k] == np.int32((jd * KH + jh) * KW + jw)
                        line[j] = encode(Y_CODEC, values[k] if mine else ACC(0))
                    store_row(out, to + pd * t.d + ph * t.h, t.w, g, starts[2], line)


def norm_share(value, element, norm):
    """What an element gets of a window's gradient."""
    size = ACC(element)
    sign = ACC(1) if size >= ACC(0) else ACC(-1)
    size = size * sign
    if size == ACC(0):
        return ACC(0)
    return (ACC(0) + value * share_of_norm(size, norm, ACC(EXPONENT), ACC(1))) * sign


def give_row(n, state, x, out, at, to, steps, g, starts):
    """Row n of the windows: each element's share of its norm. The row is loaded again, from the registers if it can."""
    v, values, norms, there, line = state
    r, t = steps
    start_d, start_h, start_w = starts
    pd, ph = start_d + n // KH, start_h + n % KH
    if inside(g, pd, ph):
        load_row(v, x, at + pd * r.d + ph * r.h, r.w, g, start_w, True)
        for j in range(COLUMNS):
            k, given = j // SW, ACC(0)
            if j % SW < KW and (not (CHECK or CHECK_W) or there[k]):
                given = norm_share(values[k], v[j], norms[k])
            line[j] = encode(Y_CODEC, given)
        store_row(out, to + pd * t.d + ph * t.h, t.w, g, start_w, line)


def give_rows(state, x, out, at, to, steps, g, starts):
    """All rows of the windows."""
    written_out(give_row, KD * KH if KD * KH < GIVEN_OUT else GIVEN_OUT, (state, x, out, at, to, steps, g, starts))
    for n in range(GIVEN_OUT, KD * KH):
        give_row(n, state, x, out, at, to, steps, g, starts)


def apart_powers(grad, x, out, g, steps, walk, first, count):
    """Of Lp norms: each window gives by the element's share of its norm."""
    i = first + index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if i < count:
        a0, a1 = cuda.local.array(WINDOWS, ACC0), cuda.local.array(WINDOWS, ACC1)
        v, has = cuda.local.array(COLUMNS, VALUE), cuda.local.array(WINDOWS, np.bool_)
        values, norms = cuda.local.array(WINDOWS, ACC), cuda.local.array(WINDOWS, ACC)
        line = cuda.local.array(COLUMNS, OUT)
        c, q, oh, od, o2, o1 = place(walk, i)
        s, r, t = steps
        at = o1 * s.outer + o2 * s.outer2 + c * s.inner + od * s.d + oh * s.h
        load_given(values, grad, at, s, g, od, oh, q * WINDOWS)
        starts = first_taps(g, od, oh, q * WINDOWS)
        for k in range(WINDOWS):
            has[k] = False
        at = o1 * r.outer + o2 * r.outer2 + c * r.inner
        add_rows((a0, a1, has, v), x, at, r, g, starts)
        for k in range(WINDOWS):
            has[k] = exists(g, od, oh, q * WINDOWS + k)
            norms[k] = ACC(0)
            if has[k]:
                norms[k] = ACC(finish(RED, kept(a0, a1, k), 1))
        to = o1 * t.outer + o2 * t.outer2 + c * t.inner
        give_rows((v, values, norms, has, line), x, out, at, to, (r, t), g, starts)
        if SD > KD or SH > KH:
            clear_rows(out, to, t, g, starts, line)


def clear_rows(out, to, t, g, starts, line):
    """The rows between windows."""
    for j in range(COLUMNS):
        line[j] = encode(Y_CODEC, ACC(0))
    for jd in range(SD):
        for jh in range(SH):
            pd, ph = starts[0] + jd, starts[1] + jh
            if (jd >= KD or jh >= KH) and inside(g, pd, ph):
                store_row(out, to + pd * t.d + ph * t.h, t.w, g, starts[2], line)
