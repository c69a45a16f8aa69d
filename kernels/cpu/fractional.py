"""Fractional max pooling on the CPU: windows whose starts are listed for each plane, one output element at a time."""

from __future__ import annotations

import numpy as np

from ..point import decode, encode, finish, reduce_spans  # noqa: F401 (decode: named by inlined functions)
from ..window import Geometry
from .jit import inlined, kernel, pointer, unpacked
from .point import row_offsets

INT64 = np.dtype(np.int64)


@inlined
def window(x, at, codec, red, g, starts, first, od, oh, ow):
    """The accumulator of a window of the plane whose starts (of all D, then H, then W) begin at `first`."""
    span_d = starts[first + od], 0, g.d.k
    span_h = starts[first + g.d.out + oh], 0, g.h.k
    span_w = starts[first + g.d.out + g.h.out + ow], 0, g.w.k
    return reduce_spans(x, at, codec, red, g, span_d, span_h, span_w)


@kernel
def fractional(x_at, starts_at, y_at, packed, start, stop, x_type, x_codec, y_codec, red):
    """Output rows start .. stop - 1: the elements."""
    x, y, starts = pointer(x_at, x_type), pointer(y_at, x_type), pointer(starts_at, INT64)
    g = unpacked(packed, Geometry)
    each = g.d.out + g.h.out + g.w.out
    for row in range(start, stop):
        at_x, at_y, od, oh = row_offsets(g, row)
        plane = row // (g.d.out * g.h.out) * g.inner.n
        for ow in range(g.w.out):
            for i in range(g.inner.n):
                acc = window(x, at_x + i, x_codec, red, g, starts, (plane + i) * each, od, oh, ow)
                y[at_y + ow * g.w.ys + i] = encode(y_codec, finish(red, acc, 1))


@kernel
def fractional_where(x_at, starts_at, y_at, packed, start, stop, x_type, x_codec, red):
    """Output rows start .. stop - 1: the positions."""
    x, y, starts = pointer(x_at, x_type), pointer(y_at, INT64), pointer(starts_at, INT64)
    g = unpacked(packed, Geometry)
    each = g.d.out + g.h.out + g.w.out
    for row in range(start, stop):
        at_x, at_y, od, oh = row_offsets(g, row)
        plane = row // (g.d.out * g.h.out) * g.inner.n
        for ow in range(g.w.out):
            for i in range(g.inner.n):
                acc = window(x, at_x + i, x_codec, red, g, starts, (plane + i) * each, od, oh, ow)
                y[at_y + ow * g.w.ys + i] = finish(red, acc, 1)[1]
