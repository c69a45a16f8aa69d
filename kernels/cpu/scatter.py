"""Elements that go where indices say, plane by plane: gradients of maxima.

A thread owns a plane, or a band of its rows, and goes through the windows that reach it in row-major order: sums are
added in the same order whatever the number of threads. Where indices lie in their planes but outside their own windows,
bands may miss some. Indices are checked as they are read: with one outside its plane, a byte says so.
"""

from __future__ import annotations

import numpy as np

from ..point import decode
from ..window import greater, lesser
from .frame import Frame
from .jit import called, kernel, pointer, size_of, unpacked
from .memory import AHEAD, LINE, ask, settle
from .totals import TOTALS, Rows, Totals, finish_rows, ready, totals_at, totals_size, write_rows

BYTE, INT64 = np.dtype(np.uint8), np.dtype(np.int64)
LANES = 512  # indices that are looked at together, and then gone by


@called
def low_and_high(where, row, n):
    """The least and the largest of n indices from `row` on."""
    low, high = where[row], where[row]
    for i in range(row + 1, row + n):
        low = where[i] if where[i] < low else low
        high = where[i] if where[i] > high else high
    return low, high


@called
def are_inside(f, where, row, n, wrong_at):
    """Whether n indices from `row` on are those of elements of a plane; else the byte at `wrong_at` is set.

    Gradients from indices of 3x3 s1 windows of 16x64x112x112 take 29 ms where all indices are read before.
    """
    if n == 0:
        return True
    low, high = low_and_high(where, row, n)
    if low < 0 or high >= f.d * f.h * f.w:
        pointer(wrong_at, BYTE)[0] = 1
        return False
    return True


@kernel
def extremes(where_at, n, found_at, start, stop):
    """Leave the least and the largest of each n indices, of rows start .. stop - 1."""
    found, where = pointer(found_at, INT64), pointer(where_at, INT64)
    for row in range(start, stop):
        found[2 * row], found[2 * row + 1] = low_and_high(where, row * n, n)


@called
def reach(first_at, count_at, step, lo, hi, out):
    """The windows of an axis that positions lo .. hi - 1 lie in, as a half-open range."""
    first, count = pointer(first_at, INT64), pointer(count_at, INT64)
    start, stop = out, np.int64(0)
    for p in range(lo, hi):
        if count[p] > 0:
            start = first[p] if first[p] < start else start
            last = first[p] + (count[p] - 1) * step + 1
            stop = last if last > stop else stop
    return start, stop


@called
def is_deep(f):
    """Whether bands are slabs of a volume: one slab may be in several windows, too."""
    return f.d > 1 or f.od > 1


@called
def windows_reaching(f, lo, hi):
    """The windows along D, and along H, that rows (slabs) lo .. hi - 1 of a plane lie in, as half-open ranges."""
    if is_deep(f):
        return reach(f.first_d, f.count_d, f.step_d, lo, hi, f.od), (np.int64(0), f.oh)
    return (np.int64(0), f.od), reach(f.first_h, f.count_h, f.step_h, lo, hi, f.oh)


@called
def band_of(f, bands, unit):
    """Which plane a unit of work belongs to, which of its elements are its own, and which windows reach those."""
    plane, band = unit // bands, unit % bands
    if is_deep(f):
        lo, hi = band * f.d // bands, (band + 1) * f.d // bands
        start, stop = reach(f.first_d, f.count_d, f.step_d, lo, hi, f.od)
        return plane, lo * f.h * f.w, hi * f.h * f.w, start * f.oh * f.ow, stop * f.oh * f.ow
    lo, hi = band * f.h // bands, (band + 1) * f.h // bands
    start, stop = reach(f.first_h, f.count_h, f.step_h, lo, hi, f.oh)
    return plane, lo * f.w, hi * f.w, start * f.ow, stop * f.ow


@called
def add_chosen(g, where, total, row, windows, inner, codec, bounds):
    """The gradients of windows from element `row` on added where their indices say, if that is within `bounds`."""
    lo, hi = bounds
    if inner == 1 and lo >= hi:
        for i in range(row, row + windows):
            total[where[i]] = total[where[i]] + decode(codec, g[i])
        return
    for i in range(row, row + windows * inner, inner):
        for c in range(inner):
            at = where[i + c]
            if lo >= hi or lo <= at < hi:
                total[at * inner + c] = total[at * inner + c] + decode(codec, g[i + c])


@called
def in_result(t, buffer, out, row, sums):
    """What has been added up so far in the result itself, and so what follows."""
    write_rows(t, buffer, out, row, sums, sums.top)
    nothing = t.held * 0
    return Totals(t.item, t.x_item, nothing, nothing, t.clear, t.store)


@kernel
def chosen(g_at, where_at, out_at, packed, bands, wrong_at, start, stop, g_type, acc_type, g_codec):
    """Gradients of maxima and their like, units start .. stop - 1.

    Indices that go back behind rows that are written, or too far ahead, are those of no pooling: from there on sums are
    in the result itself. Where elements are not accumulators, a buffer holds all rows of a unit.
    """
    t, f = unpacked(packed, Totals), unpacked(packed + 8 * TOTALS, Frame)
    elements, windows, inner = f.d * f.h * f.w, f.od * f.oh * f.ow, f.inner
    g, where = pointer(g_at, g_type), pointer(where_at, INT64)
    each = greater(1, elements // greater(1, f.d if is_deep(f) else f.h))  # positions of a row, as sums have them
    row, step = each * inner, greater(1, LANES // inner)
    store = np.empty(totals_size(t, row), np.uint8)
    buffer = (np.int64(store.ctypes.data) + LINE - 1) // LINE * LINE
    for unit in range(start, stop):
        plane, lo, hi, first, last = band_of(f, bands, unit)
        to = out_at + plane * elements * inner * t.x_item
        bounds = (np.int64(0), np.int64(0)) if bands == 1 else (lo, hi)
        kept, sums = t, Rows(lo // each, lo // each, lo // each)
        for i in range(first, last, step):
            at, n = (plane * windows + i) * inner, lesser(step, last - i)
            ask(where_at + at * 8 + AHEAD, n * inner * 8)
            ask(g_at + at * size_of(g_type) + AHEAD // 2, n * inner * size_of(g_type))
            low, high = low_and_high(where, at, n * inner)
            if low < 0 or high >= elements:
                pointer(wrong_at, BYTE)[0] = 1
                break
            top = lesser(high // each + 1, hi // each)
            from_row = greater(sums.done, lesser(low // each, top - kept.held // 2))
            if kept.held > 0 and (greater(low, lo) < sums.done * each or top - from_row > kept.held):
                kept = in_result(t, buffer, to, row, sums)
                sums = Rows(sums.top, sums.top, sums.top)
            sums = ready(kept, buffer, to, row, sums, (from_row, top))
            total = pointer(totals_at(kept, buffer, to, row, sums.base), acc_type)
            add_chosen(g, where, total, at, n, inner, g_codec, bounds)
        finish_rows(kept, buffer, to, row, sums, hi // each)
    settle()
    return store.size  # Numba frees an array after its last use by name, whatever still has its address
