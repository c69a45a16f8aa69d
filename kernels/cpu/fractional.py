"""Fractional max pooling on the CPU, and its gradient: windows of one size that begin where samples say.

A unit of work is some rows of windows of one plane, or all those of several small planes. Where they begin is computed
from the samples, once for each plane; then all windows of a unit are lanes, whose taps lie at the same distances from
their first: vectors of elements are gathered from there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..window import greater, lesser
from .fractional_lines import BLOCK
from .jit import called, invoke, kernel, pointer, unpacked
from .memory import LINE, ask, settle, write_past
from .totals import Rows, Totals, finish_rows, ready, totals_at, totals_size

INT32, INT64 = np.dtype(np.int32), np.dtype(np.int64)


class Sampled(NamedTuple):
    """The lengths of all arrays, what a unit is, sizes in bytes, the passes and the tables."""

    outer: int
    inner: int
    d: int
    h: int
    w: int
    od: int
    oh: int
    ow: int
    kd: int
    kh: int
    kw: int
    planes: int  # of a unit, each with all its channels; if several, with all their rows
    rows: int  # of windows at a time
    past: int  # whether elements or positions are written past the caches
    x_item: int
    y_item: int  # of the result, or of the gradient that windows have
    best_item: int
    place_item: int
    sample_item: int
    sample_d: int  # which of a plane's samples an axis takes
    sample_h: int
    sample_w: int
    taps: int  # of one pass, and how many passes
    passes: int
    starts: int
    places: int
    first: int  # one pass alone is both the first and the last
    more: int
    last: int
    give: int
    table: int  # address: of each tap its distance in elements, and what it adds to what is noted


SAMPLED = len(Sampled._fields)


class Room(NamedTuple):
    """Where things lie in a thread's own memory."""

    starts: int
    places: int
    more: int
    best: int  # two of them
    noted: int  # also two
    result: int
    end: int


@called
def in_lines(n):
    """Bytes of whole cache lines."""
    return (n + LINE - 1) // LINE * LINE


@called
def room_in(q, store):
    """The Room in memory that begins at `store`."""
    lanes, starts = q.planes * q.rows * q.ow * q.inner, q.planes * (q.od + q.oh + q.ow) * q.inner
    at = in_lines(store)
    places = at + in_lines(starts * q.place_item)
    more = places + in_lines(lanes * q.place_item)
    best = more + in_lines(lanes * q.place_item)
    noted = best + in_lines(2 * lanes * q.best_item)
    result = noted + in_lines(2 * lanes * q.place_item)
    return Room(at, places, more, best, noted, result, result + in_lines(lanes * 8) + LINE)


@called
def fill_more(q, more):
    """What each lane of a unit adds to its place times the channels: its channel, and its plane's distance."""
    small, large, i = pointer(more, INT32), pointer(more, INT64), np.int64(0)
    for p in range(q.planes):
        for _ in range(q.rows * q.ow):
            for c in range(q.inner):
                value = p * q.d * q.h * q.w * q.inner + c
                if q.place_item == 4:
                    small[i] = np.int32(value)
                else:
                    large[i] = value
                i += 1


@called
def begin(q, samples, plane, planes, room):
    """The starts of all windows of some planes."""
    every = q.outer * q.inner * q.sample_item
    for p in range(planes):
        at = samples + (plane + p) * q.inner * q.sample_item
        to = room.starts + p * (q.od + q.oh + q.ow) * q.inner * q.place_item
        invoke(q.starts, (at + q.sample_d * every, q.inner, q.od, q.d - q.kd, q.h * q.w, to))
        to += q.od * q.inner * q.place_item
        invoke(q.starts, (at + q.sample_h * every, q.inner, q.oh, q.h - q.kh, q.w, to))
        to += q.oh * q.inner * q.place_item
        invoke(q.starts, (at + q.sample_w * every, q.inner, q.ow, q.w - q.kw, np.int64(1), to))


@called
def find(q, x, room, planes, row, rows, y, noted, ahead, share):
    """What windows of `rows` rows from `row` on choose, to `y` (elements) or `noted` (what passes note)."""
    each = rows * q.ow * q.inner
    for p in range(planes):
        d = room.starts + p * (q.od + q.oh + q.ow) * q.inner * q.place_item
        h = d + q.od * q.inner * q.place_item
        w = h + q.oh * q.inner * q.place_item
        to = room.places + p * each * q.place_item
        invoke(q.places, (d, h, w, row, rows, q.oh, q.ow, q.inner, to))
    n = planes * each
    best, spare = room.best, room.best + n * q.best_item
    kept, other = room.noted, room.noted + n * q.place_item
    for i in range(q.passes):
        table = q.table + 16 * lesser(i * q.taps, q.kd * q.kh * q.kw - q.taps)
        pass_at = q.first if i == 0 else (q.last if i == q.passes - 1 else q.more)
        to, to_noted = (y, noted) if i == q.passes - 1 else (spare, other)
        invoke(pass_at, (x, table, n, q.inner, room.places, room.more, best, kept, to, to_noted, ahead, share))
        best, spare, kept, other = spare, best, other, kept
        share = np.int64(0)


@kernel
def fractional(x, samples, y, packed, start, stop):
    """Units start .. stop - 1: elements, or positions. Knows no types: compiled once."""
    q = unpacked(packed, Sampled)
    store = np.empty(room_in(q, np.int64(0)).end + LINE, np.uint8)
    room = room_in(q, np.int64(store.ctypes.data))
    fill_more(q, room.more)
    depth, row_n, elements = q.od * q.oh, q.ow * q.inner, q.d * q.h * q.w * q.inner
    bands = (depth + q.rows - 1) // q.rows
    known = np.int64(-1)
    for unit in range(start, stop):
        plane, row = unit // bands * q.planes, unit % bands * q.rows
        planes, rows = lesser(q.planes, q.outer - plane), lesser(q.rows, depth - row)
        if plane != known:
            begin(q, samples, plane, planes, room)
            known = plane
        n = planes * rows * row_n
        to = y + (plane * depth + row) * row_n * q.y_item
        target = room.result + to % LINE if q.past == 1 else to
        if q.past == 0:
            ask(to, n * q.y_item)
        share = planes * elements * rows * q.x_item // depth * lesser(n, BLOCK) // n
        ahead = x + plane * elements * q.x_item + (row + rows) * elements // depth * q.x_item
        find(q, x + plane * elements * q.x_item, room, planes, row, rows, target, target, ahead, share)
        if q.past == 1:
            write_past(target, to, n * q.y_item)
    settle()
    return store.size  # Numba frees an array after its last use by name, whatever still has its address


@called
def windows_in(q, room, lo, hi):
    """The rows of windows, as a half-open range, that may reach rows lo .. hi - 1 of a plane (slabs, if it has any)."""
    out, k, step, each = (q.od, q.kd, q.h * q.w, q.oh) if q.d > 1 else (q.oh, q.kh, q.w, np.int64(1))
    first, last = out, out - out
    for o in range(out):
        low, high = ends_of(q, room, o)
        if high // step + k > lo and low // step < hi:
            first, last = lesser(first, o), o + 1
    return first * each, last * each


@called
def ends_of(q, room, o):
    """The least and the largest start of windows `o` of the plane's channels, along D if it has depth, else H."""
    at = room.starts + (o + (np.int64(0) if q.d > 1 else q.od)) * q.inner * q.place_item
    small, large = pointer(at, INT32), pointer(at, INT64)
    low = high = np.int64(small[0]) if q.place_item == 4 else large[0]
    for c in range(q.inner):
        start = np.int64(small[c]) if q.place_item == 4 else large[c]
        low, high = start if start < low else low, start if start > high else high
    return low, high


@called
def reached_by(q, room, planes, row, rows, bounds):
    """The rows (slabs) that windows of `rows` rows from `row` on reach, within the bounds, as a half-open range."""
    lo, hi = bounds
    if planes > 1:
        return lo, hi
    each, k, step = (q.oh, q.kd, q.h * q.w) if q.d > 1 else (np.int64(1), q.kh, q.w)
    first, last = ends_of(q, room, row // each)[0] // step, ends_of(q, room, (row + rows - 1) // each)[1] // step + k
    return greater(first, lo), lesser(last, hi)


@kernel
def fractional_back(g, x, samples, out, packed, bands, start, stop):
    """The gradient, units start .. stop - 1: planes, or bands of their rows; windows come in row-major order."""
    q, t = unpacked(packed, Sampled), unpacked(packed + 8 * SAMPLED, Totals)
    depth, row_n, elements = q.od * q.oh, q.ow * q.inner, q.d * q.h * q.w * q.inner
    rows_x = q.d if q.d > 1 else q.h
    per_row = elements // rows_x
    end = room_in(q, np.int64(0)).end
    store = np.empty(end + totals_size(t, per_row) + 2 * LINE, np.uint8)
    room = room_in(q, np.int64(store.ctypes.data))
    buffer = in_lines(room.end)
    fill_more(q, room.more)
    for unit in range(start, stop):
        plane, band = unit // bands * q.planes, unit % bands
        planes = lesser(q.planes, q.outer - plane)
        lo, hi = band * rows_x // bands, (band + 1) * rows_x // bands + (planes - 1) * rows_x
        low, high = (lo * per_row, hi * per_row) if bands > 1 else (np.int64(0), np.int64(0))
        begin(q, samples, plane, planes, room)
        row, stop_row = windows_in(q, room, lo, hi) if bands > 1 else (np.int64(0), depth)
        from_x, to = x + plane * elements * q.x_item, out + plane * elements * q.x_item
        sums = Rows(lo, lo, lo)
        while row < stop_row:
            rows = lesser(q.rows, stop_row - row)
            n = planes * rows * row_n
            share = planes * elements * rows * q.x_item // depth * lesser(n, BLOCK) // n
            ahead = from_x + (row + rows) * elements // depth * q.x_item
            find(q, from_x, room, planes, row, rows, room.result, room.result, ahead, share)
            sums = ready(t, buffer, to, per_row, sums, reached_by(q, room, planes, row, rows, (lo, hi)))
            total, from_g = totals_at(t, buffer, to, per_row, sums.base), g + (plane * depth + row) * row_n * q.y_item
            ahead = from_g + n * q.y_item
            invoke(q.give, (from_g, room.result, n, total, low, high, ahead, BLOCK * q.y_item))
            row += rows
        finish_rows(t, buffer, to, per_row, sums, hi)
    settle()
    return store.size  # Numba frees an array after its last use by name, whatever still has its address
