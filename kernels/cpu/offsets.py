"""Offsets on the CPU: the numbers of the taps that windows choose, and the gradients of the elements there.

A number tells where an element lies in its own window, so a byte is enough; a table of distances leads back to it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..point import decode, encode, finish, reduce_window, tap_number  # noqa: F401 (decode: named by inlined functions)
from ..window import Geometry, extent, first_tap, greater, lesser
from .frame import Frame
from .jit import called, invoke, kernel, pointer, unpacked
from .memory import LINE, PAGE, apart, ask, settle
from .point import row_offsets
from .scatter import is_deep, windows_reaching
from .totals import Rows, Totals, finish_rows, ready, totals_at, totals_size

INT32, INT64 = np.dtype(np.int32), np.dtype(np.int64)
SOON = 1 << 14  # windows that are asked for ahead of time, or those of the next plane

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
    g_item: int
    o_item: int
    totals: Totals
    offsets: int  # address of the distance of each tap from its window's first
    widen: int
    give: int


def widener(o_type):
    """The pass that makes int32 of offsets."""

    def widen(at, n, to):
        taken, wide = pointer(at, o_type), pointer(to, INT32)
        for i in range(n):
            wide[i] = taken[i]
        return 0

    return widen


@called
def give_row(f, z, g, taken, od, oh, wide, totals, bounds):
    """A row of windows: each one's gradient added where its tap lies, within `bounds` alone unless those are empty.

    `totals` is the address of the plane's first sum.
    """
    lo, hi = bounds
    origin = ((first_tap(od, z.sd, z.pd) * f.h + first_tap(oh, z.sh, z.ph)) * f.w - z.pw) * f.inner
    row = (od * f.oh + oh) * f.ow * f.inner
    invoke(z.widen, (taken + row * z.o_item, f.ow * f.inner, wide))
    invoke(z.give, (
        g + row * z.g_item, wide, z.offsets, f.ow, f.inner, z.sw * f.inner, totals + origin * z.totals.item,
        lo - origin, hi - origin,
    ))  # fmt: skip


@called
def lines_of(o, taps, lo, hi):
    """Of lo .. hi - 1 the positions that window `o` of an axis reaches, as a half-open range."""
    k, s, d, before = taps
    start = first_tap(o, s, before)
    return lesser(greater(start, lo), hi), lesser(greater(start + extent(k, d), lo), hi)


@kernel
def give_taken(g, taken, out, frame, packed, bands, start, stop):
    """Units start .. stop - 1: planes, or bands of their rows. Knows no types: compiled once."""
    f, z = unpacked(frame, Frame), unpacked(packed, Giving)
    width, deep = f.ow * f.inner, is_deep(f)
    rows = f.d if deep else f.h
    per_row = (f.h * f.w if deep else f.w) * f.inner
    store = np.empty(width * 4 + 2 * (PAGE + LINE) + totals_size(z.totals, per_row), np.uint8)
    taps_d, taps_h = (z.kd, z.sd, z.dd, z.pd), (z.kh, z.sh, z.dh, z.ph)
    for unit in range(start, stop):
        plane, band = unit // bands, unit % bands
        lo, hi = band * rows // bands, (band + 1) * rows // bands
        from_g = g + plane * f.od * f.oh * width * z.g_item
        from_taken = taken + plane * f.od * f.oh * width * z.o_item
        to = out + plane * rows * per_row * z.totals.x_item
        wide = apart(np.int64(store.ctypes.data), from_g, PAGE // 4)
        buffer = apart(wide + width * 4, from_g, PAGE // 2)
        bounds = (np.int64(0), np.int64(0)) if bands == 1 else (lo * per_row, hi * per_row)
        d_range, h_range = windows_reaching(f, lo, hi)
        sums = Rows(lo, lo, lo)
        for od in range(d_range[0], d_range[1]):
            for oh in range(h_range[0], h_range[1]):
                reached = lines_of(od, taps_d, lo, hi) if deep else lines_of(oh, taps_h, lo, hi)
                sums = ready(z.totals, buffer, to, per_row, sums, reached)
                following = (lesser(f.od * f.oh, SOON // width + 1) + od * f.oh + oh) * width
                ask(from_g + following * z.g_item, width * z.g_item)
                ask(from_taken + following * z.o_item, width * z.o_item)
                totals = totals_at(z.totals, buffer, to, per_row, sums.base)
                give_row(f, z, from_g, from_taken, od, oh, wide, totals, bounds)
        finish_rows(z.totals, buffer, to, per_row, sums, hi)
    settle()
    return store.size  # Numba frees an array after its last use by name, whatever still has its address
