"""Passes for windows that no step describes: a table says where each begins and how many columns it has.

Long windows of one channel whose results are elements are combined in lanes, LANES columns side by side, each with
every LANES-th further on, and then half the lanes with the other half; of zeros the first is looked for afterwards.
Maxima of 1x128x20000 to 7, one thread: 0.85 ms, and 5.0 one element after the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..point import combine, decode, seed
from ..reducers import picks
from .jit import c_function, called, fetch, fetch0, pointer, put, put0, unpacked
from .memory import ask, full_width
from .passes import KEPT, PLAIN, Record, Types, further_taps

INT32 = np.dtype(np.int32)
LANES = 16  # of a long window
LONG = 2 * LANES  # taps of a window from which on it is


def listed_function(types: Types, taps: int, flat: bool, dense: bool, reads: bool) -> int:
    """The address of the pass that combines neighbouring columns, as many and from where a table says.

    Without channels (`flat`) its loop goes through the windows, of up to `taps` columns (0: any number), else through
    the channels. What it goes through lies side by side where `dense` says so. `Record.tap` and `Record.taps` are the
    channels' step and number; `Record.divisor` is where in the buffers there is room for a long window's lanes.
    """
    if not reads:
        types = types._replace(x=types.acc, x_codec=PLAIN, seeder=KEPT)
    if not flat:
        return c_function(listed_channels(types, dense, reads))
    return c_function(few_columns(types, taps, reads) if taps > 0 else many_columns(types, dense, reads))


@called
def line_of(told, base, q):
    """The address of the q-th line; what comes a little further on is asked for."""
    line = base + told.src + q * told.middle_src
    ask(line + told.ahead, told.asked)
    return line


def few_columns(types: Types, taps: int, reads: bool) -> Any:
    """Windows of one channel, of up to `taps` columns."""
    src_type, acc_type, codec, seeder, red = types.x, types.acc, types.x_codec, types.seeder, types.red

    def run_listed(record, x, y, buffers):
        full_width()
        told = unpacked(record, Record)
        n, step, to = told.n, told.step, told.put
        table = pointer(record + told.counts, INT32)
        for q in range(told.middle):
            line = line_of(told, x if reads else buffers, q)
            src, dst = pointer(line, src_type), pointer(buffers + told.dst + q * told.middle_dst, acc_type)
            for j in range(n):
                at, many = fetch(table, j) * step, fetch(table, n + j)
                v = seed(seeder, decode(codec, fetch(src, at)), 0)
                for t in range(1, taps):
                    near = at + t * step if t < many else at
                    w = combine(red, v, seed(seeder, decode(codec, fetch(src, near)), 0))
                    v = w if t < many else v
                put(dst, j * to, v)
        return 0

    return run_listed


@called
def take_lanes(codec, seeder, red, src, many, step, lanes):
    """The columns of a window in LANES lanes."""
    for i in range(LANES):
        put0(lanes, i, seed(seeder, decode(codec, fetch(src, i * step)), 0))
    t = LANES
    while t + 4 * LANES <= many:
        for i in range(LANES):
            v = combine(red, fetch0(lanes, i), seed(seeder, decode(codec, fetch(src, (t + i) * step)), 0))
            put0(lanes, i, further_taps(codec, seeder, red, src, (t + i) * step, LANES * step, 4, v))
        t += 4 * LANES
    while t < many:
        for i in range(LANES if t + LANES <= many else many - t):
            put0(lanes, i, combine(red, fetch0(lanes, i), seed(seeder, decode(codec, fetch(src, (t + i) * step)), 0)))
        t += LANES


@called
def join_lanes(red, lanes):
    """All lanes in the first one."""
    half = LANES // 2
    while half > 0:
        for i in range(half):
            put0(lanes, i, combine(red, fetch0(lanes, i), fetch0(lanes, half + i)))
        half //= 2


@called
def first_zero(codec, seeder, src, many, step, v):
    """The first zero of a window's columns in the place of a zero."""
    for t in range(many):
        w = seed(seeder, decode(codec, src[t * step]), 0)
        if w == v:
            return w
    return v


def many_columns(types: Types, dense: bool, reads: bool) -> Any:
    """Windows of one channel, of any number of columns."""
    src_type, acc_type, codec, seeder, red = types.x, types.acc, types.x_codec, types.seeder, types.red
    long, item = LONG if picks(red) else 1 << 62, types.x.itemsize
    signed = types.acc.kind == "f"  # zeros are

    def run_listed(record, x, y, buffers):
        full_width()
        told = unpacked(record, Record)
        n, step, to = told.n, 1 if dense else told.step, told.put
        table, lanes = pointer(record + told.counts, INT32), pointer(buffers + told.divisor, acc_type)
        for q in range(told.middle):
            line = line_of(told, x if reads else buffers, q)
            dst = pointer(buffers + told.dst + q * told.middle_dst, acc_type)
            for j in range(n):
                src, many = pointer(line + fetch(table, j) * step * item, src_type), fetch(table, n + j)
                if many >= long:
                    take_lanes(codec, seeder, red, src, many, step, lanes)
                    join_lanes(red, lanes)
                    v = lanes[0]
                    if signed and v == 0:
                        v = first_zero(codec, seeder, src, many, step, v)
                else:
                    v = seed(seeder, decode(codec, fetch(src, 0)), 0)
                    for t in range(1, many):
                        v = combine(red, v, seed(seeder, decode(codec, fetch(src, t * step)), 0))
                put(dst, j * to, v)
        return 0

    return run_listed


def listed_channels(types: Types, dense: bool, reads: bool) -> Any:
    """Windows of many channels: up to four taps at once, and the others one after the other."""
    src_type, acc_type, codec, seeder, red = types.x, types.acc, types.x_codec, types.seeder, types.red

    def run_listed(record, x, y, buffers):
        full_width()
        told = unpacked(record, Record)
        n, step, chans, chan = told.n, told.step, told.taps, 1 if dense else told.tap
        table = pointer(record + told.counts, INT32)
        for q in range(told.middle):
            line = line_of(told, x if reads else buffers, q)
            src, dst = pointer(line, src_type), pointer(buffers + told.dst + q * told.middle_dst, acc_type)
            for j in range(n):
                at, many, to = fetch(table, j) * step, fetch(table, n + j), j * told.put
                for c in range(chans if many == 1 else 0):
                    put(dst, to + c, seed(seeder, decode(codec, fetch(src, at + c * chan)), 0))
                for c in range(chans if many == 2 else 0):
                    v = seed(seeder, decode(codec, fetch(src, at + c * chan)), 0)
                    put(dst, to + c, further_taps(codec, seeder, red, src, at + c * chan, step, 2, v))
                for c in range(chans if many == 3 else 0):
                    v = seed(seeder, decode(codec, fetch(src, at + c * chan)), 0)
                    put(dst, to + c, further_taps(codec, seeder, red, src, at + c * chan, step, 3, v))
                for c in range(chans if many > 3 else 0):
                    v = seed(seeder, decode(codec, fetch(src, at + c * chan)), 0)
                    put(dst, to + c, further_taps(codec, seeder, red, src, at + c * chan, step, 4, v))
                for t in range(4, many):
                    for c in range(chans):
                        w = seed(seeder, decode(codec, fetch(src, at + t * step + c * chan)), 0)
                        put(dst, to + c, combine(red, dst[to + c], w))
        return 0

    return run_listed
