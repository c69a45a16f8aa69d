"""The point engine on the CPU: any window, any strides, one output element at a time."""

from __future__ import annotations

import numpy as np

from ..point import decode, divisor, encode, finish, reduce_window, select  # noqa: F401 (named by inlined functions)
from ..ranks import window_box
from ..window import Geometry
from .jit import inlined, kernel, pointer, unpacked

INT64 = np.dtype(np.int64)


@inlined
def row_offsets(g, row):
    """Where output row `row` of (outer, outer2, D, H) lies: its plane's offsets in x and y, and its od and oh."""
    rest, oh = row // g.h.out, row % g.h.out
    rest, od = rest // g.d.out, rest % g.d.out
    o1, o2 = rest // g.outer2.n, rest % g.outer2.n
    at_x = o1 * g.outer.xs + o2 * g.outer2.xs
    at_y = o1 * g.outer.ys + o2 * g.outer2.ys + od * g.d.ys + oh * g.h.ys
    return at_x, at_y, od, oh


@kernel
def point(x_address, y_address, packed, start, stop, x_type, y_type, x_codec, y_codec, red, rule):
    """Output rows start .. stop - 1."""
    x, y, g = pointer(x_address, x_type), pointer(y_address, y_type), unpacked(packed, Geometry)
    for row in range(start, stop):
        at_x, at_y, od, oh = row_offsets(g, row)
        for ow in range(g.w.out):
            count = divisor(rule, g, od, oh, ow)
            for i in range(g.inner.n):
                acc = reduce_window(x, at_x + i * g.inner.xs, x_codec, red, rule, g, od, oh, ow)
                y[at_y + ow * g.w.ys + i * g.inner.ys] = encode(y_codec, finish(red, acc, count))


@kernel
def point_select(x_address, y_address, packed, start, stop, x_type, y_type, x_codec, y_codec, red, rule):
    """The same for reducers that look at all elements of a window at once."""
    x, y, g = pointer(x_address, x_type), pointer(y_address, y_type), unpacked(packed, Geometry)
    for row in range(start, stop):
        at_x, at_y, od, oh = row_offsets(g, row)
        for ow in range(g.w.out):
            for i in range(g.inner.n):
                box = window_box(at_x + i * g.inner.xs, rule, g, od, oh, ow)
                acc, count = select(x, x_codec, red, box)
                y[at_y + ow * g.w.ys + i * g.inner.ys] = encode(y_codec, finish(red, acc, count))


@kernel
def point_indices(x_address, y_address, i_address, packed, start, stop, x_type, y_type, x_codec, y_codec, red, rule):
    """The same for reducers that give an element and its position, stored apart; both outputs have one layout."""
    x, y, g = pointer(x_address, x_type), pointer(y_address, y_type), unpacked(packed, Geometry)
    where = pointer(i_address, INT64)
    for row in range(start, stop):
        at_x, at_y, od, oh = row_offsets(g, row)
        for ow in range(g.w.out):
            for i in range(g.inner.n):
                acc = reduce_window(x, at_x + i * g.inner.xs, x_codec, red, rule, g, od, oh, ow)
                at = at_y + ow * g.w.ys + i * g.inner.ys
                value, position = finish(red, acc, 1)
                y[at] = encode(y_codec, value)
                where[at] = position
