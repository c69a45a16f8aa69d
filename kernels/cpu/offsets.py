"""Offsets on the CPU: the numbers of the taps that windows choose, and the gradients of the elements there.

A number tells where an element lies in its own window, so a byte is enough; a table of distances leads back to it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..point import decode, encode, finish, reduce_window, tap_number  # noqa: F401 (decode: named by inlined functions)
from ..window import Geometry, first_tap
from .choose import place_of_sums
from .frame import Frame
from .jit import called, invoke, kernel, pointer, unpacked
from .memory import LINE, ask, settle, write_past
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
    direct: int  # whether gradients are added in the result itself, or in a buffer like it
    past: int  # whether that buffer is then written past the caches
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
    most = 0 if z.direct == 1 and z.past == 0 else (rows // bands + 1) * per_row * z.item
    store = np.empty(width * 4 + most + 4 * LINE, np.uint8)
    wide = (np.int64(store.ctypes.data) + LINE - 1) // LINE * LINE
    totals = wide + (width * 4 + LINE - 1) // LINE * LINE
    for unit in range(start, stop):
        plane, band = unit // bands, unit % bands
        lo, hi = band * rows // bands, (band + 1) * rows // bands
        from_g = g + plane * f.od * f.oh * width * z.g_item
        from_taken = taken + plane * f.od * f.oh * width * z.o_item
        at_out = out + (plane * rows + lo) * per_row * z.x_item
        total = place_of_sums(z, at_out, totals)
        invoke(z.clear, (total, (hi - lo) * per_row))
        bounds = (lo * per_row // f.inner, hi * per_row // f.inner, 1 if bands == 1 else 0)
        d_range, h_range = (np.int64(0), f.od), (np.int64(0), f.oh)
        if deep:
            d_range = reach(f.first_d, f.count_d, f.step_d, lo, hi, f.od)
        else:
            h_range = reach(f.first_h, f.count_h, f.step_h, lo, hi, f.oh)
        for od in range(d_range[0], d_range[1]):
            for oh in range(h_range[0], h_range[1]):
                following = (f.od * f.oh + od * f.oh + oh) * width
                ask(from_g + following * z.g_item, width * z.g_item)
                ask(from_taken + following * z.o_item, width * z.o_item)
                give_row(f, z, from_g, from_taken, od, oh, wide, total, bounds)
        if z.past == 1:
            write_past(total, at_out, (hi - lo) * per_row * z.x_item)
        elif z.direct == 0:
            invoke(z.store, (total, (hi - lo) * per_row, at_out))
    settle()
    return store.size  # Numba frees an array after its last use by name, whatever still has its address
