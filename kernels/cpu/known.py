"""Gradients of sums and averages that omit NaN: each window's gradient divided first, and nothing for NaN at last."""

from __future__ import annotations

from numba.extending import overload

from ..point import decode, divisor, reduce_window, share
from ..window import Geometry
from .jit import kernel, pointer, unpacked
from .point import row_offsets


@overload(share)
def _share(red, acc, count):
    return red.instance_class.share


@kernel
def shares(g_at, x_at, out_at, packed, start, stop, g_type, x_type, acc_type, codecs, red, rule):
    """Output rows start .. stop - 1: each window's gradient by what its result was divided by, in one layout."""
    grad, x, out, g = (
        pointer(g_at, g_type),
        pointer(x_at, x_type),
        pointer(out_at, acc_type),
        unpacked(packed, Geometry),
    )
    for row in range(start, stop):
        at_x, at_y, od, oh = row_offsets(g, row)
        for ow in range(g.w.out):
            count = divisor(rule, g, od, oh, ow)
            for i in range(g.inner.n):
                acc = reduce_window(x, at_x + i * g.inner.xs, codecs[1], red, rule, g, od, oh, ow)
                by, at = share(red, acc, count), at_y + ow * g.w.ys + i * g.inner.ys
                out[at] = decode(codecs[0], grad[at]) / by if by != 0 else 0.0


@kernel
def blank_nan(x_at, out_at, start, stop, x_type, codec):
    """Elements start .. stop - 1 of the result are zero where x is NaN."""
    x, out = pointer(x_at, x_type), pointer(out_at, x_type)
    for i in range(start, stop):
        v = decode(codec, x[i])
        if v != v:
            out[i] = 0
