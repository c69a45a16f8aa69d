"""Gradients of operators that choose one element of each window, from x itself: found band by band, then given away.

What each window chooses is found as for results with indices (see `find`); then its gradient is added where that lies.
A thread owns a plane or a band of its rows, and windows come in row-major order, so sums have one order whatever the
number of threads.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..window import greater, lesser
from .find import buffers_at, find_band, scratch_size
from .find_lines import FINDING, Finding
from .frame import Frame
from .jit import called, invoke, kernel, pointer, unpacked
from .memory import LINE, ask, settle
from .scatter import is_deep, windows_reaching
from .totals import Rows, Totals, finish_rows, ready, totals_at, totals_size

INT64 = np.dtype(np.int64)


class Choosing(NamedTuple):
    """The size of a gradient in bytes, where sums are kept, and the pass."""

    g_item: int
    totals: Totals
    give: int


@called
def give_row(packed, g, od, o, taken, totals, bounds):
    """The gradients of a row of windows, added where these choose. `totals` is the address of the plane's first sum.

    Within `bounds` alone, elements of the plane, unless those are empty. The next band's gradients are asked for.
    """
    q, z = unpacked(packed, Finding), unpacked(packed + 8 * FINDING, Choosing)
    spans_d, spans_h = pointer(q.spans_d, INT64), pointer(q.spans_h, INT64)
    origin = (spans_d[3 * od] * q.h + spans_h[3 * o]) * q.w * q.inner
    row, n = g + (od * q.oh + o) * q.ow * q.inner * z.g_item, q.ow * q.inner * z.g_item
    ask(row + lesser(q.od * q.oh, q.band) * n, n)
    lo, hi = bounds
    invoke(z.give, (
        row, taken, q.spans_w, q.ow, q.inner, totals + origin * z.totals.item, lo - origin, hi - origin
    ))  # fmt: skip


@called
def lines_of(spans_at, dilation, o, lo, hi):
    """Of lo .. hi - 1 the positions that window `o` of an axis reaches, as a half-open range."""
    spans = pointer(spans_at, INT64)
    start, stop = spans[3 * o], spans[3 * o] + (spans[3 * o + 2] - 1) * dilation + 1
    return lesser(greater(start, lo), hi), lesser(greater(stop, lo), hi)


@kernel
def choose(g, x, out, frame, packed, bands, start, stop):
    """Units start .. stop - 1: planes, or bands of their rows. Knows no types: compiled once."""
    f, q, z = unpacked(frame, Frame), unpacked(packed, Finding), unpacked(packed + 8 * FINDING, Choosing)
    width, deep = f.ow * f.inner, is_deep(f)
    rows = f.d if deep else f.h
    per_row = (f.h * f.w if deep else f.w) * f.inner
    room = scratch_size(packed)
    store = np.empty(room + totals_size(z.totals, per_row), np.uint8)
    buffers = buffers_at(packed, np.int64(store.ctypes.data))
    buffer = (np.int64(store.ctypes.data) + room + LINE - 1) // LINE * LINE
    for unit in range(start, stop):
        plane, band = unit // bands, unit % bands
        lo, hi = band * rows // bands, (band + 1) * rows // bands
        at_x = plane * rows * per_row
        from_g, to = g + plane * f.od * f.oh * width * z.g_item, out + at_x * q.x_item
        bounds = (np.int64(0), np.int64(0)) if bands == 1 else (lo * per_row, hi * per_row)
        d_range, h_range = windows_reaching(f, lo, hi)
        share = rows * per_row * q.x_item // (f.od * f.oh) + 1
        following = x + at_x * q.x_item + lesser(rows * per_row * q.x_item, q.band * share)
        sums = Rows(lo, lo, lo)
        for od in range(d_range[0], d_range[1]):
            oh, known = h_range[0], (np.int64(0), np.int64(0))
            while oh < h_range[1]:
                last = lesser(h_range[1], (oh // q.band + 1) * q.band)
                known = find_band(packed, x + at_x * q.x_item, q.x_high - at_x, od, oh, last, buffers, known)
                for o in range(oh, last):
                    reached = lines_of(q.spans_d, q.dd, od, lo, hi) if deep else lines_of(q.spans_h, q.dh, o, lo, hi)
                    sums = ready(z.totals, buffer, to, per_row, sums, reached)
                    ask(following + (od * f.oh + o) * share, share)
                    taken = buffers[5] + (o - oh) * q.pitch * 4
                    give_row(packed, from_g, od, o, taken, totals_at(z.totals, buffer, to, per_row, sums.base), bounds)
                oh = last
        finish_rows(z.totals, buffer, to, per_row, sums, hi)
    settle()
    return store.size  # Numba frees an array after its last use by name, whatever still has its address
