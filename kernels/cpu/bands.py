"""The band engine: any window on dense rows, as a few vector passes over a band of rows that stays in the cache.

A band of output rows is computed in four steps, all on flat lines that run through row ends, so that vectors are full
however narrow the rows are:

1. load    the input rows into a buffer with neutral margins where padding is; columns are dealt to `s` phases (column
           `i` of phase `p` is position `i * s + p`) and rows likewise, so that every tap becomes a plain shift;
2. across  the taps of each row combined, for all rows at once;
3. down    the rows of each window combined, for all outputs at once;
4. store   finished, row by row (or at once where rows lie end to end).

Taps combine in row-major order (across, down, then in depth): the first of equal elements wins as in the point engine.
More than four taps at an even distance are combined by doubling, in about 2 log2(k) passes whatever the window.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..window import extent, first_tap, tap_count, tap_range
from .jit import called, kernel, pointer, unpack
from .lines import (
    copy_line,
    fill_line,
    load_line,
    load_pairs,
    load_taps,
    merge_lines,
    split_line,
    store_line,
)
from .point import row_offsets


class Sizes(NamedTuple):
    """The buffers of one call; lengths in elements unless they say bytes. Made on the host, see `make_sizes`."""

    band: int  # output rows at a time
    direct: int  # rows are reduced across straight from the input: 0 no, 1 by taps, 2 by pairs
    phases: int  # of columns in the loaded buffer
    lines: int  # rows per row phase
    slots: int  # rows in all
    line: int  # a row of one phase
    line_bytes: int
    used: int  # columns of the input that any window sees
    item: int  # bytes of an accumulator
    size: int  # bytes of one of the rotating buffers
    runs: int  # runs of output columns with one divisor
    end_to_end: int  # output rows lie end to end and have one divisor
    base: int  # address of the first of four rotating buffers; two more follow for windows with depth


GEOMETRY = 40  # integers that a Geometry takes


def make_sizes(g, band, item, runs):
    """The buffers for bands of this many output rows, without an address yet."""
    w, h, channels = g.w, g.h, g.inner.n
    columns = w.out + (extent(w.k, w.d) - 1) // w.s
    direct = 0
    if w.before == 0 and (w.out - 1) * w.s + extent(w.k, w.d) <= w.n:
        if w.s == 1 and 2 <= w.k <= 4 and (channels > 1 or w.xs == 1):
            direct, columns = 1, w.out
        if w.s == 2 and w.k == 2 and w.d == 1 and channels == 1 and w.xs == 1:
            direct, columns = 2, w.out
    lines = band + (extent(h.k, h.d) - 1) // h.s
    line = columns * channels
    used = columns * w.s - w.before
    room = (lines * h.s * line + extent(w.k, w.d) * channels + 127) // 64 * 64
    even = h.before == 0 and (h.out - 1) * h.s + extent(h.k, h.d) <= h.n and runs == 1
    dense = h.ys == line and w.ys == channels and (channels == 1 or g.inner.ys == 1)
    phases = 1 if direct else w.s
    used = used if used < w.n else w.n
    whole_rows = int(even and dense)
    return Sizes(band, direct, phases, lines, lines * h.s, line, line * item, used, item, room * item, runs, whole_rows, 0)


def column_runs(w, divisor):
    """The runs (from, to, taps that count) of output columns with one divisor, as one flat list."""
    runs: list[int] = []
    o, reach = 0, extent(w.k, w.d)
    while o < w.out:
        start, end = first_tap(o, w.s, w.before), o + 1
        count = tap_count(start, w.count_from, w.count_to, w.k, w.d)
        if divisor != 0:
            count, end = 1, w.out
        elif start >= w.count_from and start + reach <= w.count_to:
            end = (w.count_to - reach + w.before) // w.s + 1
            end = end if end < w.out else w.out
        if runs and runs[-1] == count:
            runs[-2] = end
        else:
            runs += [o, end, count]
        o = end
    return runs


def band_tables(g, band, item):
    """The integers that follow the Geometry in memory: the sizes, then the runs."""
    runs = column_runs(g.w, g.divisor)
    return (*make_sizes(g, band, item, len(runs) // 3), *runs)


@called
def unpack_sizes(packed):
    """The sizes that `band_tables` laid out behind a Geometry."""
    p = pointer(packed + 8 * GEOMETRY, np.dtype(np.int64))
    return Sizes(p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7], p[8], p[9], p[10], p[11], p[12])


@called
def other_buffer(z, one, two, three):
    """The first of the four rotating buffers that is none of these."""
    at = z.base
    while at == one or at == two or at == three:  # noqa: SIM109 (a tuple would be built in the kernel)
        at += z.size
    return at


@called
def double(src, k, step, n, z, acc_type, red):
    """Combine k taps `step` elements apart by doubling; returns the result's address.

    `power` holds windows of p taps, `whole` the taps combined so far, earlier ones first: that keeps the order of ties.
    """
    power, whole, done, p = src, src, 0, 1
    while True:
        if k & p:
            if done == 0:
                whole = power
            else:
                to = other_buffer(z, power, whole, src)
                tail = power + done * step * z.item
                merge_lines(2, whole, tail, tail, tail, n, to, acc_type, red)
                whole = to
            done += p
        if done == k:
            return whole
        to = other_buffer(z, power, whole, src)
        # The longest shift that is still to come bounds what must be right.
        merge_lines(2, power, power + p * step * z.item, power, power, n + (k - 2 * p) * step, to, acc_type, red)
        power, p = to, 2 * p


@called
def tap_shift(j, s, d, block, step):
    """From tap 0 to tap j, when positions are dealt to `s` phases `block` apart and lie `step` apart within one."""
    return (j * d) % s * block + (j * d) // s * step


@called
def combine_taps(src, axis, block, step, n, z, acc_type, red):
    """Combine the taps along one axis for n outputs; returns the result's address (src itself for one tap)."""
    k, s, d = axis.k, axis.s, axis.d
    if k == 1:
        return src
    if k > 4 and s == 1:
        return double(src, k, d * step, n, z, acc_type, red)
    block, step = block * z.item, step * z.item
    whole, done = src, 1
    while done < k:
        more = k - done if k - done < 3 else 3
        b = src + tap_shift(done, s, d, block, step)
        c = src + tap_shift(done + 1, s, d, block, step) if more > 1 else b
        e = src + tap_shift(done + 2, s, d, block, step) if more > 2 else b
        to = other_buffer(z, whole, src, src)
        merge_lines(more + 1, whole, b, c, e, n, to, acc_type, red)
        whole, done = to, done + more
    return whole


@called
def load_row(x, at, w, channels, z, dst, acc_type, codec, red):
    """One input row: reduced across, or dealt to its phases with `before` columns of margin in front."""
    block = z.slots * z.line_bytes
    if z.direct == 2:
        load_pairs(x, at, z.line, dst, acc_type, codec, red)
    elif z.direct == 1:
        load_taps(x, at, w.d * w.xs, w.k, z.line, dst, acc_type, codec, red)
    elif w.s == 1:
        step = w.xs if channels == 1 else 1
        load_line(x, at, step, z.used * channels, dst + w.before * channels * z.item, acc_type, codec, red)
    elif channels == 1 and w.s == 2 and w.xs == 1:
        even = dst + w.before % 2 * block + w.before // 2 * z.item
        odd = dst + (w.before + 1) % 2 * block + (w.before + 1) // 2 * z.item
        split_line(x, at, z.used, even, odd, acc_type, codec, red)
    elif channels == 1:
        for q in range(w.s if w.s < z.used else z.used):
            to = dst + (w.before + q) % w.s * block + (w.before + q) // w.s * z.item
            load_line(x, at + q * w.xs, w.s * w.xs, (z.used - q + w.s - 1) // w.s, to, acc_type, codec, red)
    else:
        for i in range(z.used):
            to = dst + (w.before + i) % w.s * block + (w.before + i) // w.s * channels * z.item
            load_line(x, at + i * w.xs, 1, channels, to, acc_type, codec, red)


@called
def load_band(x, at, g, z, sh, needed, loaded, acc_type, neutral, codec, red):
    """Input rows sh .. sh + needed - 1 of one plane into their row phases; rows of padding become neutral."""
    for r in range(needed):
        dst = loaded + (r % g.h.s * z.lines + r // g.h.s) * z.line_bytes
        if 0 <= sh + r < g.h.n:
            load_row(x, at + (sh + r) * g.h.xs, g.w, g.inner.n, z, dst, acc_type, codec, red)
        else:
            for p in range(z.phases):
                fill_line(dst + p * z.slots * z.line_bytes, z.line, neutral, acc_type)


@called
def reduce_plane(g, z, count, loaded, acc_type, red):
    """Across, then down: the windows of one loaded band, `count` output rows of z.line elements."""
    across = loaded
    if z.direct == 0:
        block = z.slots * z.line
        across = combine_taps(loaded, g.w, block, g.inner.n, block, z, acc_type, red)
    return combine_taps(across, g.h, z.lines * z.line, z.line, count * z.line, z, acc_type, red)


@called
def reduce_depth(x, at, g, z, sd, sh, count, acc_type, neutral, codec, red):
    """All planes of a window combined, in order: the address of `count` output rows that are ready to be finished."""
    loaded = z.base if z.direct else z.base + 6 * z.size
    d0, d1 = tap_range(sd, 0, g.d.n, g.d.k, g.d.d)
    needed = (count - 1) * g.h.s + extent(g.h.k, g.h.d)
    whole = loaded
    for jd in range(d0, d1):
        plane = at + (sd + jd * g.d.d) * g.d.xs
        load_band(x, plane, g, z, sh, needed, loaded, acc_type, neutral, codec, red)
        reduced = reduce_plane(g, z, count, loaded, acc_type, red)
        if d1 - d0 == 1:
            return reduced
        if jd == d0:
            whole = z.base + 4 * z.size
            copy_line(reduced, count * z.line, whole, acc_type)
        else:
            to = z.base + (5 if whole == z.base + 4 * z.size else 4) * z.size
            merge_lines(2, whole, reduced, reduced, reduced, count * z.line, to, acc_type, red)
            whole = to
    return whole


@called
def store_row(src, y, at, g, z, runs, others, acc_type, codec, red):
    """One output row, run by run of columns with one divisor; `others` is the divisor's share of the other axes."""
    channels = g.inner.n
    for r in range(z.runs):
        frm, to = runs[3 * r], runs[3 * r + 1]
        count = g.divisor if g.divisor != 0 else runs[3 * r + 2] * others
        if channels == 1:
            store_line(src + frm * z.item, to - frm, y, at + frm * g.w.ys, g.w.ys, acc_type, codec, red, count)
        elif g.w.ys == channels and g.inner.ys == 1:
            n = (to - frm) * channels
            store_line(src + frm * channels * z.item, n, y, at + frm * channels, 1, acc_type, codec, red, count)
        else:
            for o in range(frm, to):
                part = src + o * channels * z.item
                store_line(part, channels, y, at + o * g.w.ys, g.inner.ys, acc_type, codec, red, count)


@called
def store_band(whole, y, at, g, z, runs, sd, oh, count, acc_type, codec, red):
    """`count` output rows, finished: at once where they lie end to end, else row by row."""
    h = g.h
    depth = tap_count(sd, g.d.count_from, g.d.count_to, g.d.k, g.d.d)
    if z.end_to_end:
        divisor = g.divisor if g.divisor != 0 else runs[2] * depth * h.k
        store_line(whole, count * z.line, y, at, 1, acc_type, codec, red, divisor)
        return
    for r in range(count):
        others = depth * tap_count(first_tap(oh + r, h.s, h.before), h.count_from, h.count_to, h.k, h.d)
        store_row(whole + r * z.line_bytes, y, at + r * h.ys, g, z, runs, others, acc_type, codec, red)


@kernel
def bands(x_address, y_address, packed, start, stop, x_type, y_type, acc_type, neutral, x_codec, y_codec, red):
    """Output rows start .. stop - 1, z.band rows at a time."""
    x, y, g = pointer(x_address, x_type), pointer(y_address, y_type), unpack(packed)
    z = unpack_sizes(packed)
    runs = pointer(packed + 8 * (GEOMETRY + len(z)), np.dtype(np.int64))
    store = np.empty((z.phases + 6) * z.size // z.item, acc_type)
    base = np.int64(store.ctypes.data)
    z = Sizes(z.band, z.direct, z.phases, z.lines, z.slots, z.line, z.line_bytes, z.used, z.item, z.size, z.runs,
              z.end_to_end, base)  # fmt: skip
    # Margins stay as they are filled here; rows only ever write their data columns.
    fill_line(base if z.direct else base + 6 * z.size, z.phases * z.size // z.item, neutral, acc_type)
    row = start
    while row < stop:
        at_x, at_y, od, oh = row_offsets(g, row)
        count = g.h.out - oh if g.h.out - oh < z.band else z.band
        count = count if count < stop - row else stop - row
        sd, sh = first_tap(od, g.d.s, g.d.before), first_tap(oh, g.h.s, g.h.before)
        whole = reduce_depth(x, at_x, g, z, sd, sh, count, acc_type, neutral, x_codec, red)
        store_band(whole, y, at_y, g, z, runs, sd, oh, count, acc_type, y_codec, red)
        row += count
    return store.size  # Numba frees an array after its last use by name, whatever still has its address
