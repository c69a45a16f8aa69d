"""The point kernel: one thread per output element, any window, any strides. The reference for every other kernel."""

from __future__ import annotations

from numba import cuda

from ..point import divisor, encode, finish, reduce_window, select, tap_number
from ..ranks import window_box
from .memory import index, number
from .walk import place

RED = X_CODEC = Y_CODEC = RULE = None  # bound to a reducer, its codecs and the rule by which windows lie
OFFSETS = False  # bound: whether positions are numbers of taps


def point(x, y, g, walk, count):
    """One output element."""
    i = index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if i < count:
        c, ow, oh, od, o2, o1 = place(walk, i)
        at_x = o1 * g.outer.xs + o2 * g.outer2.xs + c * g.inner.xs
        at_y = o1 * g.outer.ys + o2 * g.outer2.ys + c * g.inner.ys + od * g.d.ys + oh * g.h.ys + ow * g.w.ys
        acc = reduce_window(x, at_x, X_CODEC, RED, RULE, g, od, oh, ow)
        y[at_y] = encode(Y_CODEC, finish(RED, acc, number(divisor(RULE, g, od, oh, ow))))


def point_select(x, y, g, walk, count):
    """The same for reducers that look at all elements of a window at once."""
    i = index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if i < count:
        c, ow, oh, od, o2, o1 = place(walk, i)
        at_x = o1 * g.outer.xs + o2 * g.outer2.xs + c * g.inner.xs
        at_y = o1 * g.outer.ys + o2 * g.outer2.ys + c * g.inner.ys + od * g.d.ys + oh * g.h.ys + ow * g.w.ys
        acc, elements = select(x, X_CODEC, RED, window_box(at_x, RULE, g, od, oh, ow))
        y[at_y] = encode(Y_CODEC, finish(RED, acc, elements))


def point_indices(x, y, where, g, walk, count):
    """The same for reducers that give an element and its position, stored apart; both outputs have one layout."""
    i = index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if i < count:
        c, ow, oh, od, o2, o1 = place(walk, i)
        at_x = o1 * g.outer.xs + o2 * g.outer2.xs + c * g.inner.xs
        at_y = o1 * g.outer.ys + o2 * g.outer2.ys + c * g.inner.ys + od * g.d.ys + oh * g.h.ys + ow * g.w.ys
        value, position = finish(RED, reduce_window(x, at_x, X_CODEC, RED, RULE, g, od, oh, ow), 1)
        y[at_y] = encode(Y_CODEC, value)
        where[at_y] = tap_number(g, od, oh, ow, position) if OFFSETS else position


def point_positions(x, y, g, walk, count):
    """The positions alone, for outputs of two layouts."""
    i = index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if i < count:
        c, ow, oh, od, o2, o1 = place(walk, i)
        at_x = o1 * g.outer.xs + o2 * g.outer2.xs + c * g.inner.xs
        at_y = o1 * g.outer.ys + o2 * g.outer2.ys + c * g.inner.ys + od * g.d.ys + oh * g.h.ys + ow * g.w.ys
        _, position = finish(RED, reduce_window(x, at_x, X_CODEC, RED, RULE, g, od, oh, ow), 1)
        y[at_y] = tap_number(g, od, oh, ow, position) if OFFSETS else position
