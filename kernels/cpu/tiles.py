"""Gradients where windows do not overlap and have all their taps: each element is written once, in full vectors.

A tile is a window and the gap behind it. A pass goes through rows of tiles: it finds what each window gives to its
taps, and writes those. No element is written before it is known, so nothing has to be cleared or added up; results
that no cache holds are written past the caches, from a buffer of some rows.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .jit import invoke, kernel, unpacked
from .memory import LINE, settle, write_past


class Tiles(NamedTuple):
    """The lengths of all arrays, how tiles lie in them, the sizes of things in bytes, and the passes."""

    inner: int
    d: int
    h: int
    w: int
    od: int
    oh: int
    ow: int
    sd: int
    sh: int
    sw: int
    x_item: int
    g_item: int
    more_item: int  # of a second array along the result: what was chosen, or norms
    band: int  # rows of windows at a time
    clears: int  # whether there are rows or columns without a tap
    past: int  # whether the result is written past the caches
    give: int
    clear: int


@kernel
def give_tiles(g, more, x, out, packed, start, stop):
    """Units start .. stop - 1: bands of rows of windows. Knows no types: compiled once."""
    q = unpacked(packed, Tiles)
    bands = (q.oh + q.band - 1) // q.band
    row, windows = q.w * q.inner, q.ow * q.inner
    many, n = (q.ow, q.inner) if q.inner > 1 else (np.int64(1), q.ow)
    most = (q.band * q.sh + q.h - q.oh * q.sh) * (q.sd + q.d - q.od * q.sd) * row * q.x_item if q.past == 1 else 0
    store = np.empty(most + 2 * LINE, np.uint8)
    buffer = (np.int64(store.ctypes.data) + LINE - 1) // LINE * LINE
    for unit in range(start, stop):
        rest, band = unit // bands, unit % bands
        plane, od = rest // q.od, rest % q.od
        oh, last = band * q.band, (band + 1) * q.band
        stop_h, stop_d = last * q.sh, (od + 1) * q.sd
        if last >= q.oh:
            last, stop_h = q.oh, q.h
        if od == q.od - 1:
            stop_d = q.d
        many_d, length = stop_d - od * q.sd, (stop_h - oh * q.sh) * row
        at = ((plane * q.d + od * q.sd) * q.h + oh * q.sh) * row
        at_y = ((plane * q.od + od) * q.oh + oh) * windows
        to, slab = out + at * q.x_item, q.h * row
        if q.past == 1:
            # Where the result's lines begin, so that they are copied whole.
            to, slab = buffer + (out + at * q.x_item) % LINE, length
        if q.clears == 1:
            for j in range(many_d):
                invoke(q.clear, (to + j * slab * q.x_item, length))
        invoke(q.give, (
            x + at * q.x_item, g + at_y * q.g_item, more + at_y * q.more_item, to, last - oh, many, n, row, q.h * row,
            slab,
        ))  # fmt: skip
        if q.past == 1:
            for j in range(many_d):
                write_past(to + j * slab * q.x_item, out + (at + j * q.h * row) * q.x_item, length * q.x_item)
    settle()
    return store.size  # Numba frees an array after its last use by name, whatever still has its address
