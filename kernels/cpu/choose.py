"""Gradients of operators that choose one element of each window, from x itself: found row by row, then given away.

For a row of windows the rows of x are gone through tap by tap, for all windows at once, keeping the chosen elements and
the numbers of their taps; then each window's gradient is added where its tap lies. A thread owns a plane or a band of
its rows, and windows come in row-major order, so sums have one order whatever the number of threads.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..window import first_tap
from .choose_lines import Finders
from .frame import unpack_frame
from .jit import called, invoke, kernel, pointer
from .scatter import reach

INT64 = np.dtype(np.int64)


class Choosing(NamedTuple):
    """The windows, in elements, and the sizes of things in bytes."""

    kd: int
    sd: int
    dd: int
    pd: int
    kh: int
    sh: int
    dh: int
    ph: int
    kw: int
    sw: int
    dw: int
    pw: int
    inside: int  # windows inside .. beyond - 1 of a row have all their taps
    beyond: int
    together: int  # whether all windows of a row are one pass: one channel, or neighbouring windows
    block: int  # whether the rows of a window that has all of them are one pass
    g_item: int
    x_item: int
    item: int  # of an accumulator
    best_item: int
    direct: int  # whether gradients are added in the result itself
    offsets: int  # address of the distance of each tap from its window's first


CHOOSING, FINDERS = len(Choosing._fields), len(Finders._fields)


@called
def unpack_choosing(address):
    """The Choosing at this address, and the passes' addresses behind it."""
    p = pointer(address, INT64)
    z = Choosing(
        p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7], p[8], p[9], p[10], p[11], p[12], p[13], p[14], p[15], p[16],
        p[17], p[18], p[19], p[20], p[21],
    )  # fmt: skip
    return z, Finders(p[22], p[23], p[24], p[25], p[26], p[27], p[28], p[29])


# Helpers take the addresses of the Frame and the Choosing, not these: to pass their fifty integers by the stack costs
# as much as the row that is worked on.


@called
def find_border(frame, packed, row, number, fresh, buffers, o):
    """The taps of window `o` of a row, which does not have all of them."""
    f = unpack_frame(frame)
    z, t = unpack_choosing(packed)
    start = first_tap(o, z.sw, z.pw)
    ends = pointer(f.taps_w, INT64)
    j0, j1 = ends[f.ow + o], ends[2 * f.ow + o]
    lane, tap = o * f.inner, z.dw * f.inner
    at = row + (start + j0 * z.dw) * f.inner * z.x_item
    best, taken = buffers[0] + lane * z.best_item, buffers[1] + lane * 4
    to_best, to_taken = buffers[2] + lane * z.best_item, buffers[3] + lane * 4
    pass_at = t.first_any if fresh == 1 else t.more_any
    invoke(pass_at, (at, f.inner, 1, j1 - j0, tap, number + j0, best, taken, to_best, to_taken))


@called
def find_rows(frame, packed, row, number, rows, fresh, buffers):
    """Rows of taps of all windows of an output row, one or all; what was chosen goes from one pair of buffers on."""
    f = unpack_frame(frame)
    z, t = unpack_choosing(packed)
    below = z.dh * f.w * f.inner
    if z.inside > 0 or z.beyond < f.ow:
        for j in range(rows):
            at = row + j * below * z.x_item
            new = fresh if j == 0 else 0
            for o in range(z.inside):
                find_border(frame, packed, at, number + j * z.kw, new, buffers, o)
            for o in range(z.beyond, f.ow):
                find_border(frame, packed, at, number + j * z.kw, new, buffers, o)
            if rows > 1:  # borders hold their rows in place
                buffers = (buffers[2], buffers[3], buffers[2], buffers[3])
    pass_at = t.first if fresh == 1 else t.more
    if rows > 1:
        pass_at = t.block
    tap, n = z.dw * f.inner, f.inner
    o, stop = z.inside, z.beyond
    if z.together == 1:
        n, stop = (z.beyond - z.inside) * f.inner, z.inside + (1 if z.beyond > z.inside else 0)
    while o < stop:
        lane = o * f.inner
        at = row + (o * z.sw - z.pw) * f.inner * z.x_item
        best, taken = buffers[0] + lane * z.best_item, buffers[1] + lane * 4
        to_best, to_taken = buffers[2] + lane * z.best_item, buffers[3] + lane * 4
        invoke(pass_at, (at, n, tap, below, number, best, taken, to_best, to_taken))
        o += 1


@called
def give_row(frame, packed, g, plane, od, oh, buffers, total, bounds):
    """One output row: what each window chooses, and its gradient added there. `total` is that of element `lo`."""
    f = unpack_frame(frame)
    z, t = unpack_choosing(packed)
    lo, hi, whole = bounds
    start_d, start_h = first_tap(od, z.sd, z.pd), first_tap(oh, z.sh, z.ph)
    ends_d, ends_h = pointer(f.taps_d, INT64), pointer(f.taps_h, INT64)
    d0, d1 = ends_d[f.od + od], ends_d[2 * f.od + od]
    h0, h1 = ends_h[f.oh + oh], ends_h[2 * f.oh + oh]
    fresh = 1
    if z.block == 1 and d1 - d0 == 1 and h1 - h0 == z.kh:
        line = (start_d + d0 * z.dd) * f.h + start_h
        find_rows(frame, packed, plane + line * f.w * f.inner * z.x_item, d0 * z.kh * z.kw, z.kh, 1, buffers)
        buffers = (buffers[2], buffers[3], buffers[0], buffers[1])
        d1 = d0
    for jd in range(d0, d1):
        for jh in range(h0, h1):
            line = (start_d + jd * z.dd) * f.h + start_h + jh * z.dh
            number = (jd * z.kh + jh) * z.kw
            find_rows(frame, packed, plane + line * f.w * f.inner * z.x_item, number, 1, fresh, buffers)
            fresh = 0
            buffers = (buffers[2], buffers[3], buffers[0], buffers[1])
    origin = ((start_d * f.h + start_h) * f.w - z.pw - lo) * f.inner
    row = g + (od * f.oh + oh) * f.ow * f.inner * z.g_item
    first, last = -origin, (hi - lo) * f.inner - origin
    if whole == 1:
        first, last = np.int64(0), np.int64(0)
    invoke(t.give, (row, buffers[1], z.offsets, f.ow, f.inner, z.sw * f.inner, total + origin * z.item, first, last))


@kernel
def choose(g, x, out, frame, packed, bands, start, stop):
    """Units start .. stop - 1: planes, or bands of their rows. Knows no types: compiled once."""
    f = unpack_frame(frame)
    z, t = unpack_choosing(packed)
    width, deep = f.ow * f.inner, f.d > 1
    rows = f.d if deep else f.h
    per_row = (f.h * f.w if deep else f.w) * f.inner
    most = 0 if z.direct == 1 else (rows // bands + 1) * per_row * z.item
    store = np.empty(2 * (width + 16) * (z.best_item + 4) + most + 256, np.uint8)
    base = (np.int64(store.ctypes.data) + 63) // 64 * 64
    size = (width * z.best_item + 63) // 64 * 64
    taken = base + 2 * size
    ends = (width * 4 + 63) // 64 * 64
    buffers = (base, taken, base + size, taken + ends)
    for unit in range(start, stop):
        plane, band = unit // bands, unit % bands
        lo, hi = band * rows // bands, (band + 1) * rows // bands
        from_x = x + plane * rows * per_row * z.x_item
        from_g = g + plane * f.od * f.oh * width * z.g_item
        at_out = out + (plane * rows + lo) * per_row * z.x_item
        total = at_out if z.direct == 1 else taken + 2 * ends
        invoke(t.clear, (total, (hi - lo) * per_row))
        bounds = (lo * per_row // f.inner, hi * per_row // f.inner, 1 if bands == 1 else 0)
        d_range, h_range = (np.int64(0), f.od), (np.int64(0), f.oh)
        if deep:
            d_range = reach(f.first_d, f.count_d, f.step_d, lo, hi, f.od)
        else:
            h_range = reach(f.first_h, f.count_h, f.step_h, lo, hi, f.oh)
        for od in range(d_range[0], d_range[1]):
            for oh in range(h_range[0], h_range[1]):
                give_row(frame, packed, from_g, from_x, od, oh, buffers, total, bounds)
        if z.direct == 0:
            invoke(t.store, (total, (hi - lo) * per_row, at_out))
    return store.size  # Numba frees an array after its last use by name, whatever still has its address
