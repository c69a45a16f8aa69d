"""Passes that find which element each window chooses, for all windows of many rows at once.

C functions of integers, as in passes.py. Two buffers hold, lane by lane, the elements chosen so far and what tells
their taps apart: the distance from the window's first, or the number within it. Lanes are the windows of a row, with
all their channels; `pitch` lanes lie between two rows.

Passes read one pair of buffers and write another, and go on to a multiple of WHOLE lanes, so that few or none are left
for a scalar loop. Taps may come again in their order: of equal elements the first one stays.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..point import combine, decode, encode, finish, seed
from ..window import greater, lesser
from .jit import c_function, called, fetch, fetch_alone, pointer, put, unpacked
from .memory import AHEAD, ask, full_width

INT32, INT64 = np.dtype(np.int32), np.dtype(np.int64)
WHOLE = 16  # lanes


class Finders(NamedTuple):
    """Addresses of the passes for one combination of types, operator and window."""

    across: int  # a window's first taps along a row of x, and later ones
    across_more: int
    across_any: int  # the same for windows that lie anywhere
    across_any_more: int
    down: int  # of rows' own results, those of the first rows of a window, and later ones
    down_more: int
    gather: int


class Finding(NamedTuple):
    """The windows, what lies where in x (in elements), and the passes."""

    od: int  # windows along each axis
    oh: int
    ow: int
    inner: int
    h: int  # elements along H and W
    w: int
    kd: int
    kh: int
    kw: int
    sh: int
    sw: int
    dd: int
    dh: int
    dw: int
    xd: int  # steps in x
    xh: int
    xw: int
    xi: int
    x_item: int  # bytes
    best_item: int
    inside: int  # windows inside .. beyond - 1 of a row have all their taps
    beyond: int
    clipped_head: int  # windows of a copied row that lack taps, at its beginning and at its end
    clipped_tail: int
    inside_h: int  # and these rows of windows
    beyond_h: int
    gathers: int  # whether lines are copied first: they are not dense, or rows of windows are short
    copied: int  # elements of each, and copies of its ends before and behind it (where inner is 1)
    left: int
    right: int
    below: int  # elements between two copied lines
    flat: int  # whether all lines are one row of lanes: copied ones lie `pitch` windows apart
    x_high: int  # elements of x from element (0, ..., 0) on
    taps: int  # of one pass across
    rows: int  # of one pass down
    unit_h: int  # what a line, and a row of taps, adds to what is noted for a tap, and a tap itself
    unit_d: int
    unit_w: int
    band: int  # output rows
    lines: int  # of x that a band reads in one depth, at most
    pitch: int  # lanes
    spans_d: int  # addresses of tables: of each window its start, its first tap that is an element, and their end
    spans_h: int
    spans_w: int
    ends_w: int  # address of int32: all windows' starts along W, their first taps, and their last ones
    ends: int  # how many of each
    across: int
    across_more: int
    across_any: int
    across_any_more: int
    down: int
    down_more: int
    gather: int


FINDING = len(Finding._fields)


class Storing(NamedTuple):
    """Where planes and results lie, in elements, and the pass that stores."""

    outer2: int
    outer_x: int
    outer_y: int
    outer2_x: int
    outer2_y: int
    yd: int
    yh: int
    yw: int
    yi: int
    y_item: int
    where_item: int
    flat_d: int  # what a position along D and H adds to an index
    flat_h: int
    starts: int  # address of the windows' starts along W, as they enter an index
    staged: int  # rows of windows that go through a buffer at a time, past the caches; 0: none do
    store: int


def across_pass(x_type, best_type, codec, red, step, k, fresh):
    """k taps of `many` groups of n lanes, `step` elements apart, in each row; the rest is in the Finding."""
    item = x_type.itemsize

    def find(finding, at, rows, below, many, n, number, best_at, taken_at, to_best, to_taken):
        full_width()
        q = unpacked(finding, Finding)
        hop, tap, width, unit, pitch = q.sw * q.inner, q.dw * q.inner, q.inner, q.unit_w, q.pitch
        x, best, taken = pointer(at, x_type), pointer(best_at, best_type), pointer(taken_at, INT32)
        chosen, chosen_tap = pointer(to_best, best_type), pointer(to_taken, INT32)
        asked = (hop if many > 1 else n * step) * item
        for r in range(rows):
            for o in range(many):
                src, dst = r * below + o * hop, r * pitch + o * width
                if asked <= AHEAD:  # 2x2 of 16x224x224x64 takes 32 ms instead of 37
                    ask(at + src * item + AHEAD, asked)
                for i in range(n):
                    acc = seed(red, decode(codec, fetch(x, src + i * step)), np.int32(number))
                    for j in range(1, k):
                        v = decode(codec, fetch(x, src + i * step + j * tap))
                        acc = combine(red, acc, seed(red, v, np.int32(number + j * unit)))
                    if not fresh:
                        acc = combine(red, (fetch(best, dst + i), fetch(taken, dst + i)), acc)
                    put(chosen, dst + i, acc[0])
                    put(chosen_tap, dst + i, acc[1])
        return 0

    return find


def any_pass(x_type, best_type, codec, red, k, fresh):
    """k taps of windows first .. last - 1 of each row, wherever these lie: at borders, and where no two are alike.

    Taps outside a window are its nearest one again, which changes nothing: so no loop depends on the window.
    """
    item = x_type.itemsize

    def find(finding, at, rows, below, first, last, number, best_at, taken_at, to_best, to_taken):
        full_width()
        q = unpacked(finding, Finding)
        inner, pitch, starts = q.inner, q.pitch, pointer(q.ends_w, INT32)
        heads, tails = pointer(q.ends_w + 4 * q.ends, INT32), pointer(q.ends_w + 8 * q.ends, INT32)
        best, taken = pointer(best_at, best_type), pointer(taken_at, INT32)
        chosen, chosen_tap = pointer(to_best, best_type), pointer(to_taken, INT32)
        zero, dilation, unit = np.int32(number), np.int32(q.dw), np.int32(q.unit_w)
        for r in range(rows):
            x, dst = pointer(at + r * below * item, x_type), r * pitch
            if inner == 1:
                for i in range(first, last):
                    start, head, tail = fetch(starts, i), fetch(heads, i), fetch(tails, i)
                    tap = np.int32(lesser(greater(zero, head), tail))
                    v = decode(codec, fetch(x, np.int32(start + np.int32(tap * dilation))))
                    acc = seed(red, v, np.int32(tap * unit))
                    for j in range(1, k):
                        tap = np.int32(lesser(greater(np.int32(zero + np.int32(j)), head), tail))
                        v = decode(codec, fetch(x, np.int32(start + np.int32(tap * dilation))))
                        acc = combine(red, acc, seed(red, v, np.int32(tap * unit)))
                    if not fresh:
                        acc = combine(red, (fetch(best, dst + i), fetch(taken, dst + i)), acc)
                    put(chosen, dst + i, acc[0])
                    put(chosen_tap, dst + i, acc[1])
            else:
                for o in range(first, last):
                    start, head, tail = np.int64(starts[o]), np.int64(heads[o]), np.int64(tails[o])
                    for c in range(inner):
                        tap = lesser(greater(number, head), tail)
                        v = decode(codec, fetch(x, (start + tap * q.dw) * inner + c))
                        acc = seed(red, v, np.int32(tap * q.unit_w))
                        for j in range(1, k):
                            tap = lesser(greater(number + j, head), tail)
                            v = decode(codec, fetch(x, (start + tap * q.dw) * inner + c))
                            acc = combine(red, acc, seed(red, v, np.int32(tap * q.unit_w)))
                        i = dst + o * inner + c
                        if not fresh:
                            acc = combine(red, (fetch(best, i), fetch(taken, i)), acc)
                        put(chosen, i, acc[0])
                        put(chosen_tap, i, acc[1])
        return 0

    return find


def down_pass(best_type, red, taps, fresh):
    """For each window the choice among `taps` rows' results; the table has each row's distance and number."""

    def choose(from_best, from_taken, rows, below, n, table_at, best_at, taken_at, to_best, to_taken, pitch):
        full_width()
        source, source_tap, table = pointer(from_best, best_type), pointer(from_taken, INT32), pointer(table_at, INT64)
        best, taken = pointer(best_at, best_type), pointer(taken_at, INT32)
        chosen, chosen_tap = pointer(to_best, best_type), pointer(to_taken, INT32)
        for r in range(rows):
            src, dst = r * below, r * pitch
            for i in range(n):
                at = src + i + fetch(table, 0)
                acc = (fetch(source, at), np.int32(fetch(source_tap, at) + fetch(table, 1)))
                for t in range(1, taps):
                    at = src + i + fetch(table, 2 * t)
                    v = (fetch(source, at), np.int32(fetch(source_tap, at) + fetch(table, 2 * t + 1)))
                    acc = combine(red, acc, v)
                if not fresh:
                    acc = combine(red, (fetch(best, dst + i), fetch(taken, dst + i)), acc)
                put(chosen, dst + i, acc[0])
                put(chosen_tap, dst + i, acc[1])
        return 0

    return choose


def gather_pass(x_type):
    """Rows of x made dense, with copies of their ends before and behind them: taps there are the nearest element's.

    With `whole`, an overshoot of less than WHOLE elements is read and written.
    """

    def gather(finding, at, rows, whole, to):
        q = unpacked(finding, Finding)
        x, line, n, pitch = pointer(at, x_type), pointer(to, x_type), q.copied, q.below
        for r in range(rows):
            src, dst = r * q.xh, r * pitch
            if q.inner == 1 and q.xw == 1 and whole == 1:
                for i in range(0, n, WHOLE):
                    for lane in range(WHOLE):
                        put(line, dst + i + lane, fetch(x, src + i + lane))
            else:
                for i in range(n):
                    if q.xi == 1:
                        for c in range(q.inner):
                            put(line, dst + i * q.inner + c, fetch(x, src + i * q.xw + c))
                    else:
                        for c in range(q.inner):
                            put(line, dst + i * q.inner + c, fetch_alone(x, src + i * q.xw + c * q.xi))
            for i in range(q.left):
                line[dst - q.left + i] = x[src]
            for i in range(q.right):
                line[dst + n + i] = x[src + (n - 1) * q.xw]
        return 0

    return gather


@called
def place_of(numbered, origin, starts, o, taken):
    """Where window `o` of a row has its element: its tap's number as it stands, or else the flat index."""
    return np.int64(taken) if numbered else origin + fetch(starts, o) + taken


def store_pass(best_type, y_type, where_type, y_codec, red):
    """The chosen elements of rows of windows, and where they lie: `base` and the windows' starts added.

    Where positions are unsigned they are the numbers of taps, as they stand.
    """
    numbered = where_type.kind == "u"

    def store(storing, best_at, taken_at, pitch, rows, n, inner, base, further, y_at, where_at):
        full_width()
        z = unpacked(storing, Storing)
        down, step, side = z.yh, z.yw, z.yi
        best, taken, starts = pointer(best_at, best_type), pointer(taken_at, INT32), pointer(z.starts, INT64)
        y, where = pointer(y_at, y_type), pointer(where_at, where_type)
        for r in range(rows):
            src, dst, origin = r * pitch, r * down, base + r * further
            if inner == 1 and step == 1:
                for o in range(n):
                    place = place_of(numbered, origin, starts, o, fetch(taken, src + o))
                    value, position = finish(red, (fetch(best, src + o), place), 1)
                    put(y, dst + o, encode(y_codec, value))
                    put(where, dst + o, position)
            else:
                for o in range(n):
                    at, to = src + o * inner, dst + o * step
                    if side == 1:
                        for c in range(inner):
                            place = place_of(numbered, origin, starts, o, fetch(taken, at + c))
                            value, position = finish(red, (fetch(best, at + c), place), 1)
                            put(y, to + c, encode(y_codec, value))
                            put(where, to + c, position)
                    else:
                        for c in range(inner):
                            place = place_of(numbered, origin, starts, o, taken[at + c])
                            value, position = finish(red, (best[at + c], place), 1)
                            y[to + c * side] = encode(y_codec, value)
                            where[to + c * side] = position
        return 0

    return store


def finders(x_type, best_type, codec, red, step, taps, rows):
    """All passes, compiled: for windows of so many taps and rows at a time, `step` elements apart."""
    made = [
        across_pass(x_type, best_type, codec, red, step, taps, True),
        across_pass(x_type, best_type, codec, red, step, taps, False),
        any_pass(x_type, best_type, codec, red, taps, True),
        any_pass(x_type, best_type, codec, red, taps, False),
        down_pass(best_type, red, rows, True),
        down_pass(best_type, red, rows, False),
        gather_pass(x_type),
    ]
    return Finders(*(c_function(f) for f in made))
