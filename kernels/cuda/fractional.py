"""Fractional max pooling: one thread per output element, which finds its windows' starts from its plane's samples."""

from __future__ import annotations

from typing import Any

from numba import cuda

from ..point import encode, finish, reduce_spans
from ..window import LARGEST_SAMPLE, Axis, Geometry, fractional_offset
from .memory import index, number
from .walk import place

RED = X_CODEC = Y_CODEC = None  # bound to the reducer and its codecs
SAMPLE: Any = None  # bound to the type in which starts are computed
SAMPLE_CODEC = None  # bound to the codec of the samples
COLUMN_D = COLUMN_H = COLUMN_W = 0  # bound: which of a plane's samples each axis takes


def decode_sample(codec, raw):
    """The decode of the samples' codec: bound."""


def window_start(samples, at, a, o):
    """The position at which window `o` begins; samples that are no positions' count as 0."""
    last = a.n - a.k
    if o == a.out - 1:
        return last
    u = decode_sample(SAMPLE_CODEC, samples[at])
    if not (u > -LARGEST_SAMPLE and u < LARGEST_SAMPLE):
        u = SAMPLE(0)
    alpha = SAMPLE(number(last)) / SAMPLE(number(a.out - 1))
    start = index(fractional_offset(u, alpha, SAMPLE(number(o))))
    if start < 0:
        start = index(0)
    return last if start > last else start


def stepped(a, step):
    """The axis with the input's stride."""
    return Axis(a.n, a.out, a.k, a.s, a.d, a.before, a.count_from, a.count_to, step, a.ys)


def reduced(x, samples, g, steps, place_of):
    """The accumulator of one window."""
    c, ow, oh, od, o2, o1 = place_of
    s, u = steps
    at = o1 * s.outer + o2 * s.outer2 + c * s.inner
    at_u = o1 * u.outer + o2 * u.outer2 + c * u.inner
    span_d = window_start(samples, at_u + COLUMN_D * u.w, g.d, od), index(0), g.d.k
    span_h = window_start(samples, at_u + COLUMN_H * u.w, g.h, oh), index(0), g.h.k
    span_w = window_start(samples, at_u + COLUMN_W * u.w, g.w, ow), index(0), g.w.k
    d, h, w = stepped(g.d, s.d), stepped(g.h, s.h), stepped(g.w, s.w)
    moved = Geometry(g.outer, g.outer2, g.inner, d, h, w, g.divisor)
    return reduce_spans(x, at, X_CODEC, RED, moved, span_d, span_h, span_w)


def fractional(x, samples, out, g, steps, walk, first, count):
    """The elements."""
    i = first + index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if i < count:
        c, ow, oh, od, o2, o1 = place(walk, i)
        s, u, t = steps
        acc = reduced(x, samples, g, (s, u), (c, ow, oh, od, o2, o1))
        to = o1 * t.outer + o2 * t.outer2 + c * t.inner + od * t.d + oh * t.h + ow * t.w
        out[to] = encode(Y_CODEC, finish(RED, acc, 1))


def fractional_where(x, samples, out, g, steps, walk, first, count):
    """The positions."""
    i = first + index(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if i < count:
        c, ow, oh, od, o2, o1 = place(walk, i)
        s, u, t = steps
        acc = reduced(x, samples, g, (s, u), (c, ow, oh, od, o2, o1))
        to = o1 * t.outer + o2 * t.outer2 + c * t.inner + od * t.d + oh * t.h + ow * t.w
        out[to] = finish(RED, acc, 1)[1]
