"""Programs: lists of passes that compute one unit of work, laid out in integers, and the loop that runs them.

The host plans a call once and for all (`gpupool/backends/cpu_program.py`); this loop knows neither types nor operators
nor windows, so it is compiled once. A unit is a group of planes, a depth, a band of rows and a tile of columns. Units
at borders have programs of their own: each of the four has a kind, and the kinds together name the program.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .jit import called, invoke, kernel, pointer, unpacked
from .memory import settle
from .passes import RECORD

INT64 = np.dtype(np.int64)
OP = RECORD + 1  # a pass's address and its record


class Head(NamedTuple):
    """The first integers of a program's memory. Steps in bytes; tables as positions in it."""

    buffers: int  # bytes of buffers that a thread needs
    groups: int  # groups of planes along the second batch axis; then depths, bands of rows, tiles of columns
    depths: int
    bands: int
    tiles: int
    outer_x: int  # steps through x and y from one entry of the first batch axis to the next
    outer_y: int
    group_x: int
    group_y: int
    depth_x: int
    depth_y: int
    band_x: int
    band_y: int
    tile_x: int
    tile_y: int
    depth_kinds: int  # how many kinds there are
    band_kinds: int
    tile_kinds: int
    depth_at: int  # where the kind of each depth is listed
    band_at: int
    tile_at: int
    programs: int  # first pass and number of passes of each program; entry 0 runs once, before all units


HEAD = len(Head._fields)


@called
def run_passes(packed, entry, x, y, buffers):
    """The passes that one entry of the table of programs lists."""
    p = pointer(packed, INT64)
    at = packed + 8 * p[entry]
    for _ in range(p[entry + 1]):
        invoke(pointer(at, INT64)[0], (at + 8, x, y, buffers))
        at += 8 * OP


@kernel
def run_units(x, y, packed, start, stop):
    """Units start .. stop - 1."""
    p, h = pointer(packed, INT64), unpacked(packed, Head)
    store = np.empty(h.buffers + 64, np.uint8)
    buffers = (np.int64(store.ctypes.data) + 63) // 64 * 64
    run_passes(packed, h.programs, x, y, buffers)
    for unit in range(start, stop):
        tile, rest = unit % h.tiles, unit // h.tiles
        band, rest = rest % h.bands, rest // h.bands
        depth, rest = rest % h.depths, rest // h.depths
        group, outer = rest % h.groups, rest // h.groups
        kind = h.depth_kinds * (group == h.groups - 1) + p[h.depth_at + depth]
        kind = (kind * h.band_kinds + p[h.band_at + band]) * h.tile_kinds + p[h.tile_at + tile]
        at_x = x + outer * h.outer_x + group * h.group_x + depth * h.depth_x + band * h.band_x + tile * h.tile_x
        at_y = y + outer * h.outer_y + group * h.group_y + depth * h.depth_y + band * h.band_y + tile * h.tile_y
        run_passes(packed, h.programs + 2 * (1 + kind), at_x, at_y, buffers)
    settle()
    return store.size  # Numba frees an array after its last use by name, whatever still has its address
