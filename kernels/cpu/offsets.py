"""Offsets on the CPU: the numbers of the taps that windows choose, and the gradients of the elements there.

A number tells where an element lies in its own window, so a byte is enough; a table of distances leads back to it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..point import decode, encode, finish, reduce_window, tap_number  # noqa: F401 (decode: named by inlined functions)
from ..window import Geometry, first_tap
from .frame import Frame
from .jit import called, invoke, kernel, pointer, unpacked
from .point import row_offsets
from .scatter import reach

INT32, INT64 = np.dtype(np.int32), np.dtype(np.int64)

called(tap_number)


@kernel
def point_offsets(x_address, y_address, o_address, packed, start, stop, x_type, o_type, x_codec, y_codec, red, rule):
    """`point_indices` with numbers of taps: results are elements, of x's own type."""
    x, y, g = pointer(x_address, x_type), pointer(y_address, x_type), unpacked(packed, Geometry)
    taken = pointer(o_address, o_type)
    for row in range(start, stop):
        at_x, at_y, od, oh = row_offsets(g, row)
        for ow in range(g.w.out):
            for i in range(g.inner.n):
                acc = reduce_window(x, at_x + i * g.inner.xs, x_codec, red, rule, g, od, oh, ow)
                at = at_y + ow * g.w.ys + i * g.inner.ys
                value, position = finish(red, acc, 1)
                y[at] = encode(y_codec, value)
                taken[at] = tap_number(g, od, oh, ow, position)


class Giving(NamedTuple):
    """The windows, the sizes of things in bytes, and the passes' addresses."""

    kd: int
    sd: int
    pd: int
    kh: int
    sh: int
    ph: int
    kw: int
    sw: int
    pw: int
    g_item: int
    o_item: int
    x_item: int
    item: int  # of an accumulator
    direct: int  # whether gradients are added in the result itself
    offsets: int  # address of the distance of each tap from its window's first
    widen: int
    give: int
    clear: int
    store: int


def widener(o_type):
    """The pass that makes int32 of offsets."""

    def widen(at, n, to):
        taken, wide = pointer(at, o_type), pointer(to, INT32)
        for i in range(n):
            wide[i] = taken[i]
        return 0

    return widen


@called
def give_row(f, z, g, taken, od, oh, wide, total, bounds):
    """One output row: each window's gradient added where its tap lies. `total` is that of element `lo`."""
    lo, hi, whole = bounds
    origin = ((first_tap(od, z.sd, z.pd) * f.h + first_tap(oh, z.sh, z.ph)) * f.w - z.pw - lo) * f.inner
    row = (od * f.oh + oh) * f.ow * f.inner
    invoke(z.widen, (taken + row * z.o_item, f.ow * f.inner, wide))
    first, last = -origin, (hi - lo) * f.inner - origin
    if whole == 1:
        first, last = np.int64(0), np.int64(0)
    step = z.sw * f.inner
    invoke(z.give, (g + row * z.g_item, wide, z.offsets, f.ow, f.inner, step, total + origin * z.item, first, last))


@kernel
def give_taken(g, taken, out, frame, packed, bands, start, stop):
    """Units start .. stop - 1: planes, or bands of their rows. Knows no types: compiled once."""
    f, z = unpacked(frame, Frame), unpacked(packed, Giving)
    width, deep = f.ow * f.inner, f.d > 1
    rows = f.d if deep else f.h
    per_row = (f.h * f.w if deep else f.w) * f.inner
    most = 0 if z.direct == 1 else (rows // bands + 1) * per_row * z.item
    store = np.empty(width * 4 + most + 256, np.uint8)
    wide = (np.int64(store.ctypes.data) + 63) // 64 * 64
    for unit in range(start, stop):
        plane, band = unit // bands, unit % bands
        lo, hi = band * rows // bands, (band + 1) * rows // bands
        from_g = g + plane * f.od * f.oh * width * z.g_item
        from_taken = taken + plane * f.od * f.oh * width * z.o_item
        at_out = out + (plane * rows + lo) * per_row * z.x_item
        total = at_out if z.direct == 1 else wide + (width * 4 + 63) // 64 * 64
        invoke(z.clear, (total, (hi - lo) * per_row))
        bounds = (lo * per_row // f.inner, hi * per_row // f.inner, 1 if bands == 1 else 0)
        d_range, h_range = (np.int64(0), f.od), (np.int64(0), f.oh)
        if deep:
            d_range = reach(f.first_d, f.count_d, f.step_d, lo, hi, f.od)
        else:
            h_range = reach(f.first_h, f.count_h, f.step_h, lo, hi, f.oh)
        for od in range(d_range[0], d_range[1]):
            for oh in range(h_range[0], h_range[1]):
                give_row(f, z, from_g, from_taken, od, oh, wide, total, bounds)
        if z.direct == 0:
            invoke(z.store, (total, (hi - lo) * per_row, at_out))
    return store.size  # Numba frees an array after its last use by name, whatever still has its address


@called
def worst_tap(t, windows, f, kw, taps_d, taps_h):
    """The largest tap of these windows of a row that is none of their elements, -1 where all are elements'."""
    d0, d1 = taps_d
    h0, h1, kh = taps_h
    ends, inner, worst = pointer(f.taps_w, INT64), f.inner, np.int64(-1)
    for o in range(windows[0], windows[1]):
        j0, j1 = ends[f.ow + o], ends[2 * f.ow + o]
        for c in range(inner):
            tap = np.int64(t[o * inner + c])
            jd, jh, jw = tap // (kh * kw), tap // kw % kh, tap % kw
            inside = d0 <= jd < d1 and h0 <= jh < h1 and j0 <= jw < j1
            if not inside and tap > worst:
                worst = tap
    return worst


@called
def whole_windows(f, kw):
    """The windows of a row that have all their taps along it, as a half-open range."""
    ends = pointer(f.taps_w, INT64)
    first, last = np.int64(0), f.ow
    while first < f.ow and ends[f.ow + first] > 0:
        first += 1
    while last > first and ends[2 * f.ow + last - 1] < kw:
        last -= 1
    return first, last


@kernel
def check_taken(taken_at, frame, packed, start, stop, found_at, o_type):
    """Leave the largest tap of output rows start .. stop - 1 that is none of its window's elements, or -1."""
    f, z = unpacked(frame, Frame), unpacked(packed, Giving)
    found, d_ends, h_ends = pointer(found_at, INT64), pointer(f.taps_d, INT64), pointer(f.taps_h, INT64)
    first, last = whole_windows(f, z.kw)
    worst = np.int64(-1)
    for row in range(start, stop):
        od, oh = row // f.oh % f.od, row % f.oh
        taps_d = d_ends[f.od + od], d_ends[2 * f.od + od]
        taps_h = h_ends[f.oh + oh], h_ends[2 * f.oh + oh], z.kh
        t = pointer(taken_at + row * f.ow * f.inner * z.o_item, o_type)
        inside, beyond = first, last
        if last == first or taps_d[1] - taps_d[0] < z.kd or taps_h[1] - taps_h[0] < z.kh:
            inside, beyond = np.int64(0), np.int64(0)
        else:
            most = t[first * f.inner]
            for i in range(first * f.inner, last * f.inner):
                most = t[i] if t[i] > most else most
            if np.int64(most) >= z.kd * z.kh * z.kw and np.int64(most) > worst:
                worst = np.int64(most)
        for windows in ((np.int64(0), inside), (beyond, f.ow)):
            one = worst_tap(t, windows, f, z.kw, taps_d, taps_h)
            worst = one if one > worst else worst
    found[0] = worst
