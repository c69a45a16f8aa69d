"""Gradients of sums and averages: each input row adds up the rows of the windows that contain it, then deals them out.

1. gather  the gradient's rows that reach this input row, added and divided: one line, with zeros on both sides. Where
           the next input row takes in the same windows, it is a copy;
2. across  each element of the row adds up the columns that reach it, in one of five ways (see `Across.mode`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..window import greater
from .frame import Frame
from .jit import called, invoke, kernel, pointer, unpacked
from .memory import LINE, settle, write_past
from .spread_lines import Passes

INT64 = np.dtype(np.int64)
SHIFTS, PAIR, RUNS, TABLE, PIXELS = range(5)


class Across(NamedTuple):
    """How a line is dealt to the elements of a row."""

    mode: int  # SHIFTS: stride 1; PAIR: stride 2; RUNS: windows apart; TABLE: anything; PIXELS: interleaved channels
    k: int
    s: int
    d: int
    before: int
    averages: int
    taps: int  # what each column counts in the divisor, 0 where they differ
    margin: int  # zeros on each side of a line
    item: int  # bytes of an accumulator, of a gradient, and of a result
    g_item: int
    x_item: int
    out_item: int  # bytes of an element of x and of the gradient, where x has a part in it; else x_item
    gaps: int  # whether some column is in no window
    past: int  # whether results are written past the caches


ACROSS = len(Across._fields)
# Bytes of rows in the buffer that are then written past the caches, at most but for one row. One thread, cold, in ms:
# gradients of 2x2 means of 4x64x112x112 1.5, not 2.3; 3x3 s2 2.0, not 3.0; channels last 1.4, not 1.9; 1.5, not 2.2.
STAGED = 1 << 15


@called
def common_divisor(f, windows):
    """What all rows of these windows are divided by apart from their columns' share; 0 where they differ."""
    first_d, many_d, first_h, many_h = windows
    if f.divisor != 0:
        return f.divisor
    taps_d, taps_h = pointer(f.taps_d, INT64), pointer(f.taps_h, INT64)
    common = taps_d[first_d] * taps_h[first_h]
    for i in range(many_d):
        for j in range(many_h):
            if taps_d[first_d + i * f.step_d] * taps_h[first_h + j * f.step_h] != common:
                return 0
    return common


@called
def gather_rows(t, f, z, g, windows, line, columns_at):
    """The rows of these windows of the plane at g, added and divided."""
    first_d, many_d, first_h, many_h = windows
    taps_d, taps_h = pointer(f.taps_d, INT64), pointer(f.taps_h, INT64)
    width, common = f.ow * f.inner, 1
    if z.averages == 1:
        common = common_divisor(f, windows)
    columns = z.taps if f.divisor == 0 else 1  # 0: a divisor for each
    at_once = many_d * many_h == 1 and columns != 0
    for i in range(many_d):
        for j in range(many_h):
            od, oh = first_d + i * f.step_d, first_h + j * f.step_h
            by = 1
            if at_once:
                by = common * columns
            elif common == 0:
                by = taps_d[od] * taps_h[oh]
            later = 1 if i + j > 0 else 0
            invoke(t.load, (g + (od * f.oh + oh) * width * z.g_item, width, line, by, later))
    rest = common if common != 0 else 1
    if z.averages == 1 and not at_once and (columns == 0 or rest * columns != 1):
        if columns == 0:
            invoke(t.divide, (line, f.ow, f.inner, rest, columns_at))
        else:
            invoke(t.divide, (line, f.ow, f.inner, rest * columns, np.int64(0)))


@called
def shifted(t, z, src, k, step, n, at, spare):
    """n results, each the sum of k accumulators `step` apart from src on."""
    if k > 3:
        invoke(t.sums, (src, 3, step, n, spare, 0))
        invoke(t.sums, (src + 3 * step * z.item, k - 3, step, n, spare, 1))
        src, k = spare, 1
    invoke(t.shifts, (src, k, step, n, at))


@called
def phase(t, z, line, u, n, spare):
    """For stride 2: the sums for n elements of the padded row, every second one from u on; returns their address."""
    taps = (z.k - u % 2 + 1) // 2
    src = line + (u // 2 - (taps - 1)) * z.item  # the last tap belongs to the earliest window
    if taps == 1:
        return src
    few = taps if taps < 3 else 3
    invoke(t.sums, (src, few, 1, n, spare, 0))
    if taps > few:
        invoke(t.sums, (src + few * z.item, taps - few, 1, n, spare, 1))
    return spare


@called
def pixels(t, f, z, line, at):
    """Interleaved channels: pixel by pixel."""
    first, count = pointer(f.first_w, INT64), pointer(f.count_w, INT64)
    for p in range(f.w):
        to = at + p * f.inner * z.x_item
        if count[p] == 0:
            invoke(t.blank, (f.inner, to))
        else:
            invoke(t.pixel, (line + first[p] * f.inner * z.item, count[p], f.step_w * f.inner, f.inner, to))


@called
def across(t, f, z, line, at, spare):
    """One row of the result from its line."""
    if z.mode == SHIFTS:
        src = line + (z.before - (z.k - 1) * z.d) * f.inner * z.item
        shifted(t, z, src, z.k, z.d * f.inner, f.w * f.inner, at, spare)
    elif z.mode == PAIR:
        half = (f.w // 2 + 16) // 16 * 16  # full vectors
        even = phase(t, z, line, z.before, half, spare)
        odd = phase(t, z, line, z.before + 1, half, spare + half * z.item)
        invoke(t.pair, (even, odd, f.w, at))
    elif z.mode == RUNS:
        if (f.ow - 1) * z.s + z.k - z.before < f.w or z.k < z.s:
            invoke(t.blank, (f.w, at))
        invoke(t.runs, (line, f.ow, z.k, z.s, z.before, f.w, at))
    elif z.mode == TABLE:
        invoke(t.table, (line, f.first_w, f.count_w, f.step_w, f.w, at))
    else:
        pixels(t, f, z, line, at)


@called
def first_gap(f, z):
    """The first column that is in no window. Mostly only the last ones are: to look at all takes 0.04 us a row."""
    count, p = pointer(f.count_w, INT64), np.int64(0)
    while p < f.w and (z.gaps == 0 or count[p] > 0):
        p += 1
    return p


@called
def share_row(t, f, z, sums, x, at, gap):
    """One row of the result from its sums and x's row; what is in no window gets nothing, even where it is NaN."""
    invoke(t.share, (sums, x, f.w * f.inner, at))
    count = pointer(f.count_w, INT64)
    for p in range(gap, f.w):
        if count[p] == 0:
            invoke(t.clear, (f.inner, at + p * f.inner * z.out_item))


@called
def room_in(f, z, store):
    """Where things lie in memory that begins at `store`, how many rows are on their way past the caches, and the end.

    These are a line, a spare one, the columns' divisors, a row's sums, and two places for those rows, in turn: a row
    may be a copy of the last one in the other.
    """
    room, width = f.ow * f.inner + 2 * z.margin, f.w * f.inner
    line = (store + 63) // 64 * 64 + z.margin * z.item
    spare = line + (room - z.margin) * z.item
    columns = spare + (room + width) * z.item
    sums = (columns + f.ow * z.item + 63) // 64 * 64
    stage = (sums + width * z.x_item + LINE) // LINE * LINE + 64 * z.item
    held = greater(1, STAGED // greater(1, width * z.out_item)) if z.past == 1 else width * 0
    size = (held * width * z.out_item + LINE) // LINE * LINE + LINE
    return line, spare, columns, sums, (stage, stage + size), held, stage + 2 * size


@called
def row_behind(f, plane, pd, ph):
    """The plane, slab and row that follow."""
    ph += 1
    if ph == f.h:
        ph, pd = np.int64(0), pd + 1
        if pd == f.d:
            pd, plane = np.int64(0), plane + 1
    return plane, pd, ph


@kernel
def spread(g, x, out, frame, packed, start, stop):
    """Rows start .. stop - 1 of the result, all planes' rows counted through. Knows no types: compiled once.

    Where x is not 0, a row is added up in a buffer, and `share` makes the result of it.
    """
    f = unpacked(frame, Frame)
    z, t = unpacked(packed, Across), unpacked(packed + 8 * ACROSS, Passes)
    first_d, many_d = pointer(f.first_d, INT64), pointer(f.count_d, INT64)
    first_h, many_h = pointer(f.first_h, INT64), pointer(f.count_h, INT64)
    width, step = f.w * f.inner, f.w * f.inner * z.out_item
    store = np.zeros(room_in(f, z, np.int64(0))[6] + LINE, np.uint8)
    line, spare, columns, sums, (stage, other), held, _ = room_in(f, z, np.int64(store.ctypes.data))
    if z.taps == 0:
        invoke(t.cast, (f.taps_w, f.ow, columns))
    plane, pd, ph = start // f.h // f.d, start // f.h % f.d, start % f.h
    windows = (np.int64(0), np.int64(0), np.int64(0), np.int64(0))
    gap, staged, at = first_gap(f, z), np.int64(0), out + start * step
    if z.past == 1:
        at = stage + at % LINE
    before = at
    for row in range(start, stop):
        wanted = (first_d[pd], many_d[pd], first_h[ph], many_h[ph])
        again = row > start and pd + ph > 0 and wanted == windows
        if wanted[1] * wanted[3] == 0:
            invoke(t.clear, (width, at))
        else:
            if not again:
                from_g = g + plane * f.od * f.oh * f.ow * f.inner * z.g_item
                gather_rows(t, f, z, from_g, wanted, line, columns)
                across(t, f, z, line, sums if x != 0 else at, spare)
            if x != 0:
                share_row(t, f, z, sums, x + row * step, at, gap)
            elif again:
                invoke(t.copy, (before, width, at))
        windows, before, at, staged = wanted, at, at + step, staged + 1
        if z.past == 1 and (staged == held or row == stop - 1):
            write_past(at - staged * step, out + (row + 1 - staged) * step, staged * step)
            stage, other, staged = other, stage, np.int64(0)
            at = stage + (out + (row + 1) * step) % LINE
        plane, pd, ph = row_behind(f, plane, pd, ph)
    settle()
    return store.size  # Numba frees an array after its last use by name, whatever still has its address


@kernel
def divide_rows(g, parts, frame, packed, start, stop):
    """Rows start .. stop - 1 of gradients, all planes' rows counted through, divided by their windows' taps."""
    f = unpacked(frame, Frame)
    z, t = unpacked(packed, Across), unpacked(packed + 8 * ACROSS, Passes)
    width = f.ow * f.inner
    store = np.empty(f.ow * z.item, np.uint8)
    columns = np.int64(store.ctypes.data)
    if z.taps == 0:
        invoke(t.cast, (f.taps_w, f.ow, columns))
    for row in range(start, stop):
        plane, od, oh = row // f.oh // f.od, row // f.oh % f.od, row % f.oh
        windows = (od, np.int64(1), oh, np.int64(1))
        gather_rows(t, f, z, g + plane * f.od * f.oh * width * z.g_item, windows, parts + row * width * z.item, columns)
    return store.size  # Numba frees an array after its last use by name, whatever still has its address
