"""Results with positions: what windows choose (see `find`), stored as elements and indices."""

from __future__ import annotations

import numpy as np

from ..window import lesser
from .find import buffers_at, find_band, scratch_size
from .find_lines import FINDING, Finding, Storing
from .jit import called, invoke, kernel, pointer, unpacked
from .memory import LINE, settle, write_past

INT64 = np.dtype(np.int64)


@called
def store_rows(packed, rows, first, buffers, base, y, where):
    """Rows of windows that are `first` and following in the buffers; `base` is what the first adds to its indices."""
    q, z = unpacked(packed, Finding), unpacked(packed + 8 * FINDING, Storing)
    lanes = first * q.pitch
    invoke(z.store, (
        packed + 8 * FINDING, buffers[4] + lanes * q.best_item, buffers[5] + lanes * 4, q.pitch, rows, q.ow, q.inner,
        base, q.sh * z.flat_h, y, where,
    ))  # fmt: skip


@called
def stage_rows(packed, rows, first, buffers, base, y, where, stage):
    """The same by way of a buffer, some rows at a time: results are dense, and no cache holds them."""
    q, z = unpacked(packed, Finding), unpacked(packed + 8 * FINDING, Storing)
    width = q.ow * q.inner
    for row in range(0, rows, z.staged):
        n = lesser(z.staged, rows - row) * width
        to_y, to_where = y + row * width * z.y_item, where + row * width * z.where_item
        # Where the results' lines begin, so that they are copied whole.
        from_y = stage + to_y % LINE
        from_where = (from_y + n * z.y_item + LINE - 1) // LINE * LINE + to_where % LINE
        store_rows(
            packed, lesser(z.staged, rows - row), first + row, buffers, base + row * q.sh * z.flat_h, from_y, from_where
        )
        write_past(from_y, to_y, n * z.y_item)
        write_past(from_where, to_where, n * z.where_item)


@kernel
def find_units(x, y, where, packed, start, stop):
    """Units start .. stop - 1: bands of output rows. Knows no types: compiled once."""
    q, z = unpacked(packed, Finding), unpacked(packed + 8 * FINDING, Storing)
    stage_size = z.staged * q.ow * q.inner * (z.y_item + z.where_item) + 4 * LINE
    store = np.empty(scratch_size(packed) + stage_size, np.uint8)
    buffers = buffers_at(packed, np.int64(store.ctypes.data))
    stage = (np.int64(store.ctypes.data) + scratch_size(packed) + LINE - 1) // LINE * LINE
    bands = (q.oh + q.band - 1) // q.band
    spans_d, spans_h = pointer(q.spans_d, INT64), pointer(q.spans_h, INT64)
    known = (np.int64(0), np.int64(0))
    for unit in range(start, stop):
        rest, band = unit // bands, unit % bands
        rest, od = rest // q.od, rest % q.od
        o1, o2 = rest // z.outer2, rest % z.outer2
        at_x = o1 * z.outer_x + o2 * z.outer2_x
        oh, last = band * q.band, lesser(q.oh, (band + 1) * q.band)
        known = known if band > 0 else (np.int64(0), np.int64(0))
        known = find_band(packed, x + at_x * q.x_item, q.x_high - at_x, od, oh, last, buffers, known)
        at_y = o1 * z.outer_y + o2 * z.outer2_y + od * z.yd
        o = oh
        while o < last:  # rows whose starts are evenly spaced are stored at once
            rows = np.int64(1)
            if q.inside_h <= o < q.beyond_h:
                rows = lesser(last, q.beyond_h) - o
            base = spans_d[3 * od] * z.flat_d + spans_h[3 * o] * z.flat_h
            to_y, to_where = y + (at_y + o * z.yh) * z.y_item, where + (at_y + o * z.yh) * z.where_item
            if z.staged > 0:
                stage_rows(packed, rows, o - oh, buffers, base, to_y, to_where, stage)
            else:
                store_rows(packed, rows, o - oh, buffers, base, to_y, to_where)
            o += rows
    settle()
    return store.size  # Numba frees an array after its last use by name, whatever still has its address
