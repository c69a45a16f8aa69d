"""Where in large windows an element lies whose value is known: the first one like it, or the last NaN.

The values come from the engines without positions, at their speed; then each window is gone through until its own turns
up. That is what the rows with positions choose, whatever the operator: of equal ones the first, of NaNs the last.
"""

from __future__ import annotations

import numpy as np

from ..point import decode, span
from ..window import Geometry, lesser
from .jit import called, fetch, kernel, pointer, unpacked
from .memory import full_width
from .point import row_offsets

LANES = 128  # elements between two looks at whether one was found


@called
def any_equal(x, at, n, codec, value):
    """Whether one of n neighbours equals the value: a count, for a vector loop."""
    full_width()
    found = np.int32(0)
    for i in range(n):
        found += np.int32(1) if decode(codec, fetch(x, at + i)) == value else np.int32(0)
    return found > 0


@called
def first_equal(x, at, n, step, codec, value):
    """The first of n elements that equals the value; n if none does."""
    done = np.int64(0)
    while step == 1 and done < n and not any_equal(x, at + done, lesser(LANES, n - done), codec, value):
        done += LANES
    for i in range(done, n):
        if decode(codec, x[at + i * step]) == value:
            return i
    return n


@called
def last_nan(x, at, n, step, codec):
    """The last of n elements that is NaN; -1 if none is."""
    i = n - 1
    while i >= 0 and decode(codec, x[at + i * step]) == decode(codec, x[at + i * step]):
        i -= 1
    return i


@called
def seek_lines(x, at, codec, g, jd, lines, taps, value):
    """Tap (jh, jw) of a window's plane, from its tap (0, 0, 0) at `at`, that has the value; (-1, -1) if none does."""
    (h0, h1), (w0, w1) = lines, taps
    step = g.w.d * g.w.xs
    first = at + jd * g.d.d * g.d.xs + w0 * step
    n, down = w1 - w0, g.h.d * g.h.xs
    if n * step == down:  # all lines are one
        h1, n, every = h0 + 1, n * (h1 - h0), n
    else:
        every = n
    for i in range(h1 - h0):
        jh = h0 + i if value == value else h1 - 1 - i
        line = first + jh * down
        j = first_equal(x, line, n, step, codec, value) if value == value else last_nan(x, line, n, step, codec)
        if 0 <= j < n:
            return jh + j // every, w0 + j % every
    return np.int64(-1), np.int64(-1)


@kernel
def seek(x_address, y_address, o_address, packed, start, stop, x_type, o_type, codec, rule, numbered):
    """Output rows start .. stop - 1: positions of the elements that are there, as numbers of taps or flat indices."""
    x, y, g = pointer(x_address, x_type), pointer(y_address, x_type), unpacked(packed, Geometry)
    where = pointer(o_address, o_type)
    for row in range(start, stop):
        at_x, at_y, od, oh = row_offsets(g, row)
        sd, d0, d1 = span(rule, g.d, od)
        sh, h0, h1 = span(rule, g.h, oh)
        for ow in range(g.w.out):
            sw, w0, w1 = span(rule, g.w, ow)
            for i in range(g.inner.n):
                at, to = at_x + sd * g.d.xs + sh * g.h.xs + sw * g.w.xs + i * g.inner.xs, at_y + i * g.inner.ys
                value = decode(codec, y[to + ow * g.w.ys])
                for k in range(d1 - d0):
                    jd = d0 + k if value == value else d1 - 1 - k
                    jh, jw = seek_lines(x, at, codec, g, jd, (h0, h1), (w0, w1), value)
                    if jh >= 0:
                        number = (jd * g.h.k + jh) * g.w.k + jw
                        flat = ((sd + jd * g.d.d) * g.h.n + sh + jh * g.h.d) * g.w.n + sw + jw * g.w.d
                        where[to + ow * g.w.ys] = number if numbered else flat
                        break
