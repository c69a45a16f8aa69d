"""Gradients of operators that choose one element of each window, from x itself: found band by band, then given away.

What each window chooses is found as for results with indices (see `find`); then its gradient is added where that lies.
A thread owns a plane or a band of its rows, and windows come in row-major order, so sums have one order whatever the
number of threads.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..window import lesser
from .find import buffers_at, find_band, scratch_size
from .find_lines import FINDING, Finding
from .frame import Frame
from .jit import called, invoke, kernel, pointer, unpacked
from .memory import LINE, ask, settle, write_past
from .scatter import reach

INT64 = np.dtype(np.int64)


class Choosing(NamedTuple):
    """The sizes of things in bytes, and the passes."""

    g_item: int
    item: int  # of an accumulator
    direct: int  # whether gradients are added in the result itself, or in a buffer like it
    past: int  # whether that buffer is then written past the caches
    give: int
    clear: int
    store: int


@called
def place_of_sums(z, out, buffer):
    """Where a band's gradients are added up: in its result, or in a buffer, which begins where in a line that does."""
    if z.past == 1:
        return buffer + out % LINE
    return out if z.direct == 1 else buffer


@called
def give_rows(packed, g, od, oh, last, buffers, total, bounds, following, share):
    """The gradients of rows oh .. last - 1 of windows, added where these choose. `total` is that of element `lo`.

    Meanwhile the next plane's gradients are asked for, and a share of what follows in x.
    """
    q, z = unpacked(packed, Finding), unpacked(packed + 8 * FINDING, Choosing)
    lo, hi, whole = bounds
    spans_d, spans_h = pointer(q.spans_d, INT64), pointer(q.spans_h, INT64)
    for o in range(oh, last):
        origin = ((spans_d[3 * od] * q.h + spans_h[3 * o]) * q.w - lo) * q.inner
        first, end = -origin, (hi - lo) * q.inner - origin
        if whole == 1:
            first, end = np.int64(0), np.int64(0)
        row, n = g + (od * q.oh + o) * q.ow * q.inner * z.g_item, q.ow * q.inner * z.g_item
        ask(row + q.od * q.oh * n, n)
        ask(following + (od * q.oh + o) * share, share)
        taken = buffers[5] + (o - oh) * q.pitch * 4
        invoke(z.give, (row, taken, q.spans_w, q.ow, q.inner, total + origin * z.item, first, end))


@kernel
def choose(g, x, out, frame, packed, bands, start, stop):
    """Units start .. stop - 1: planes, or bands of their rows. Knows no types: compiled once."""
    f, q, z = unpacked(frame, Frame), unpacked(packed, Finding), unpacked(packed + 8 * FINDING, Choosing)
    width, deep = f.ow * f.inner, f.d > 1
    rows = f.d if deep else f.h
    per_row = (f.h * f.w if deep else f.w) * f.inner
    most = 0 if z.direct == 1 and z.past == 0 else (rows // bands + 1) * per_row * z.item
    room = scratch_size(packed)
    store = np.empty(room + most + 2 * LINE, np.uint8)
    buffers = buffers_at(packed, np.int64(store.ctypes.data))
    totals = (np.int64(store.ctypes.data) + room + LINE - 1) // LINE * LINE
    for unit in range(start, stop):
        plane, band = unit // bands, unit % bands
        lo, hi = band * rows // bands, (band + 1) * rows // bands
        at_x = plane * rows * per_row
        from_g = g + plane * f.od * f.oh * width * z.g_item
        at_out = out + (plane * rows + lo) * per_row * q.x_item
        total = place_of_sums(z, at_out, totals)
        invoke(z.clear, (total, (hi - lo) * per_row))
        bounds = (lo * per_row // f.inner, hi * per_row // f.inner, 1 if bands == 1 else 0)
        d_range, h_range = (np.int64(0), f.od), (np.int64(0), f.oh)
        if deep:
            d_range = reach(f.first_d, f.count_d, f.step_d, lo, hi, f.od)
        else:
            h_range = reach(f.first_h, f.count_h, f.step_h, lo, hi, f.oh)
        following = x + (at_x + rows * per_row) * q.x_item
        share = rows * per_row * q.x_item // (f.od * f.oh) + 1
        for od in range(d_range[0], d_range[1]):
            oh = h_range[0]
            while oh < h_range[1]:
                last = lesser(h_range[1], (oh // q.band + 1) * q.band)
                find_band(packed, x + at_x * q.x_item, q.x_high - at_x, od, oh, last, buffers)
                give_rows(packed, from_g, od, oh, last, buffers, total, bounds, following, share)
                oh = last
        if z.past == 1:
            write_past(total, at_out, (hi - lo) * per_row * q.x_item)
        elif z.direct == 0:
            invoke(z.store, (total, (hi - lo) * per_row, at_out))
    settle()
    return store.size  # Numba frees an array after its last use by name, whatever still has its address
