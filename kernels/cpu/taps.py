"""Whether numbers of taps are those of their windows' elements: rows with the same taps together, in full vectors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..window import greater, lesser
from .frame import Frame
from .jit import called, fetch, invoke, kernel, pointer, put, unpacked
from .memory import LINE, full_width

BYTE, INT64 = np.dtype(np.uint8), np.dtype(np.int64)


class Checking(NamedTuple):
    """Taps along D, H and W, the size of a number, and what is known of each lane of some rows of windows."""

    kd: int
    kh: int
    kw: int
    item: int
    lanes: int
    firsts: int  # addresses of tables: of each window the first tap along W that is an element, and their number
    spans: int
    check: int


def check_pass(from_type, near_type):
    """Whether n windows all have one of the elements of those rows of taps whose first taps' numbers are given.

    `near` numbers have room for any number less any other.
    """
    near = near_type.type

    def check(at, n, firsts_at, spans_at, rows_at, count, found_at):
        full_width()
        taken, found, rows = pointer(at, from_type), pointer(found_at, BYTE), pointer(rows_at, INT64)
        firsts, spans = pointer(firsts_at, near_type), pointer(spans_at, near_type)
        for t in range(count):
            row = near(fetch(rows, t))
            for i in range(n):
                beyond = near(near(near(fetch(taken, i)) - fetch(firsts, i)) - row)
                mine = np.uint8(1) if beyond < fetch(spans, i) else np.uint8(0)
                put(found, i, np.uint8(mine | fetch(found, i)) if t > 0 else mine)
        every = np.uint8(1)
        for i in range(n):
            every = np.uint8(every & found[i])
        return np.int64(every)

    return check


@called
def fill_rows(f, z, to, od, oh):
    """The numbers of the first taps of all rows of window (od, oh) that are elements; returns how many."""
    d_ends, h_ends, rows = pointer(f.taps_d, INT64), pointer(f.taps_h, INT64), pointer(to, INT64)
    count = np.int64(0)
    for jd in range(d_ends[f.od + od], d_ends[2 * f.od + od]):
        for jh in range(h_ends[f.oh + oh], h_ends[2 * f.oh + oh]):
            rows[count] = (jd * z.kh + jh) * z.kw
            count += 1
    return count


@kernel
def check_taken(taken, frame, packed, wrong_at, start, stop):
    """Sets a byte where a window of planes start .. stop - 1 has a number that is none of its elements'."""
    f, z = unpacked(frame, Frame), unpacked(packed, Checking)
    width, ends = f.ow * f.inner, pointer(f.taps_h, INT64)
    most = (z.kd * z.kh * 8 + LINE - 1) // LINE * LINE
    store = np.empty(most + z.lanes + 2 * LINE, np.uint8)
    rows_at = (np.int64(store.ctypes.data) + LINE - 1) // LINE * LINE
    for plane in range(start, stop):
        for od in range(f.od):
            oh = np.int64(0)
            while oh < f.oh:
                stop_h, last = oh + 1, lesser(f.oh, oh + z.lanes // width)
                first, end = ends[f.oh + oh], ends[2 * f.oh + oh]
                while stop_h < last and ends[f.oh + stop_h] == first and ends[2 * f.oh + stop_h] == end:
                    stop_h += 1
                at, count = ((plane * f.od + od) * f.oh + oh) * width, fill_rows(f, z, rows_at, od, oh)
                n = (stop_h - oh) * width
                if invoke(z.check, (taken + at * z.item, n, z.firsts, z.spans, rows_at, count, rows_at + most)) == 0:
                    pointer(wrong_at, BYTE)[0] = 1
                oh = stop_h
    return store.size  # Numba frees an array after its last use by name, whatever still has its address


@kernel
def largest_wrong(taken_at, frame, packed, start, stop, o_type):
    """The largest number of output rows start .. stop - 1 that is none of its window's elements', or -1."""
    f, z, t = unpacked(frame, Frame), unpacked(packed, Checking), pointer(taken_at, o_type)
    d_ends, h_ends, w_ends = pointer(f.taps_d, INT64), pointer(f.taps_h, INT64), pointer(f.taps_w, INT64)
    worst = np.int64(-1)
    for row in range(start, stop):
        od, oh = row // f.oh % f.od, row % f.oh
        for i in range(f.ow * f.inner):
            ow, tap = i // f.inner, np.int64(t[row * f.ow * f.inner + i])
            jd, jh, jw = tap // (z.kh * z.kw), tap // z.kw % z.kh, tap % z.kw
            inside = d_ends[f.od + od] <= jd < d_ends[2 * f.od + od] and h_ends[f.oh + oh] <= jh < h_ends[2 * f.oh + oh]
            if not (inside and w_ends[f.ow + ow] <= jw < w_ends[2 * f.ow + ow]):
                worst = greater(worst, tap)
    return worst
