"""Rolling windows: overlapping windows of few taps at stride 1, row by row, in one loop from the input to the results.

Each line of the input is combined across once and kept in a ring of as many lines as a window has; the same loop
combines it with the lines before and stores the results. Reading, computing and writing thus go on at once, and nothing
but the ring, which stays in the first-level cache, is read again. One thread, memory cold: 3x3 means of 8x35x35x128
take 0.75 ms, and 1.7 ms as two passes over a band; maxima 0.63 and 1.1 ms; a copy 0.6 ms.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..point import combine, decode, encode, finish, seed
from ..window import greater, lesser
from .jit import c_function, called, fetch, pointer, put0, put1, unpacked
from .memory import ask, copy_bytes, flow_past, full_width
from .passes import Types, further_taps

INT32 = np.dtype(np.int32)
MOST_LINES = 4  # of a window
STRIP = 1024  # bytes of the input that are asked for, and worked on, at a time


class Rolling(NamedTuple):
    """What one execution is told; steps and offsets in bytes unless they say elements. Lines begin with the first
    window's first, real or not."""

    rows: int  # of results
    src_row: int
    dst_row: int
    lanes: int  # results of a row, side by side as their elements are
    tap: int  # elements between two taps of a line
    src: int  # where the first line's first elements lie
    dst: int
    lo: int  # lines lo .. hi - 1 are real
    hi: int
    divisor: int  # of an average, times each row's own
    counts: int  # from here to these, int32
    ring: int  # where the lines' own results lie in the buffers, and the step from one to the next
    pitch: int
    stage: int  # room for a row of results
    staged: int  # whether they go past the caches from there: 2 if rows have no gaps between them
    strip: int  # there, results at the row's ends, made before: the step to the next row, and bytes on both sides
    strip_row: int
    left: int
    right: int
    ahead: int  # how many rows ahead input and output are asked for


@called
def before(red, one, two, three, at, lines):
    """What up to three lines before the last have, the oldest first."""
    acc = fetch(one, at)
    if lines > 2:
        acc = combine(red, acc, fetch(two, at))
    if lines > 3:
        acc = combine(red, acc, fetch(three, at))
    return acc


@called
def write_row(told, buffers, row, kept, n, to):
    """A row of n bytes of results at the stage, behind those `kept`, past the caches with its ends; how many stay."""
    stage, strip = buffers + told.stage, buffers + told.strip + row * told.strip_row
    copy_bytes(strip, stage + kept, told.left)
    copy_bytes(strip + told.left, stage + kept + told.left + n, told.right)
    follows = told.staged == 2 and row + 1 < told.rows
    return flow_past(stage, to - told.left - kept, kept + told.left + n + told.right, follows)


def rolling_function(types: Types, taps: int, lines: int) -> int:
    """The address of the C function (record, x, y, buffers) for windows of so many taps and lines."""
    x_type, y_type, acc_type, red = types.x, types.y, types.acc, types.red
    codec, seeder, stored, finisher = types.x_codec, types.seeder, types.y_codec, types.finisher
    x_item, y_item, acc_item = x_type.itemsize, y_type.itemsize, acc_type.itemsize
    neutral, some = red.neutral(acc_type), STRIP // x_type.itemsize

    def roll(record, x, y, buffers):
        full_width()
        told = unpacked(record, Rolling)
        tap, counts, kept = told.tap, pointer(record + told.counts, INT32), np.int64(0)
        for line in range(told.rows + lines - 1):
            row, real = line - (lines - 1), told.lo <= line < told.hi
            line_at, row_at = x + told.src + line * told.src_row, y + told.dst + row * told.dst_row
            direct = row >= 0 and told.staged == 0  # before the first row is complete, what comes of it is left behind
            to = row_at if direct else buffers + told.stage + kept + told.left
            divisor = told.divisor * fetch(counts, greater(row, 0))
            for first in range(0, told.lanes, some):
                n = lesser(some, told.lanes - first)
                ring = buffers + told.ring + first * acc_item
                one = pointer(ring + (line + 1) % lines * told.pitch, acc_type)
                two = pointer(ring + (line + 2) % lines * told.pitch, acc_type)
                three = pointer(ring + (line + 3) % lines * told.pitch, acc_type)
                last = pointer(ring + line % lines * told.pitch, acc_type)
                src, dst = pointer(line_at + first * x_item, x_type), pointer(to + first * y_item, y_type)
                if direct:
                    ask(to + told.ahead * told.dst_row + first * y_item, n * y_item)
                if real:
                    ask(line_at + told.ahead * told.src_row + first * x_item, n * x_item)
                    for i in range(n):
                        v = seed(seeder, decode(codec, fetch(src, i)), 0)
                        v = further_taps(codec, seeder, red, src, i, tap, taps, v)
                        put0(last, i, v)
                        acc = combine(red, before(red, one, two, three, i, lines), v)
                        put1(dst, i, encode(stored, finish(finisher, acc, divisor)))
                else:
                    for i in range(n):
                        put0(last, i, neutral)
                        acc = before(red, one, two, three, i, lines)
                        put1(dst, i, encode(stored, finish(finisher, acc, divisor)))
            if told.staged != 0 and row >= 0:
                kept = write_row(told, buffers, row, kept, told.lanes * y_item, row_at)
        return 0

    return c_function(roll)
