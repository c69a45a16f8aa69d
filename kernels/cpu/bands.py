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
from .jit import called, invoke, kernel, pointer, unpack
from .lines import Lines
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
    x_item: int  # bytes of an element of x, and of y
    y_item: int
    base: int  # address of the first of four rotating buffers; two more follow for windows with depth


INT64 = np.dtype(np.int64)
GEOMETRY = 40  # integers that a Geometry takes
SIZES = len(Sizes._fields)


def make_sizes(g, band, runs, items):
    """The buffers for bands of this many output rows, without an address yet."""
    w, h, channels = g.w, g.h, g.inner.n
    x_item, y_item, item = items
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
    dense = h.ys == line == w.out * channels and w.ys == channels and (channels == 1 or g.inner.ys == 1)
    phases = 1 if direct else w.s
    used = used if used < w.n else w.n
    whole_rows = int(even and dense)
    slots, size = lines * h.s, room * item
    return Sizes(
        band, direct, phases, lines, slots, line, line * item, used, item, size, runs, whole_rows, x_item, y_item, 0
    )


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


def band_tables(g, band, items, lines):
    """The integers that follow the Geometry in memory: the sizes, the passes' addresses, then the runs.

    `items` are the bytes of an element of x, of y and of an accumulator.
    """
    runs = column_runs(g.w, g.divisor)
    return (*make_sizes(g, band, len(runs) // 3, items), *lines, *runs)


@called
def unpack_sizes(packed, base):
    """The sizes that `band_tables` laid out behind a Geometry, with the buffers' address."""
    p = pointer(packed + 8 * GEOMETRY, INT64)
    return Sizes(p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7], p[8], p[9], p[10], p[11], p[12], p[13], base)


@called
def unpack_lines(packed):
    """The passes' addresses."""
    p = pointer(packed + 8 * (GEOMETRY + SIZES), INT64)
    return Lines(p[0], p[1], p[2], p[3], p[4], p[5], p[6])


@called
def merge(f, k, a, b, c, d, n, dst):
    """dst = the first k (1 to 4) of the lines a, b, c, d combined in this order, n elements."""
    invoke(f.merge, (k, a, b, c, d, n, dst))


@called
def other_buffer(z, one, two, three):
    """The first of the four rotating buffers that is none of these."""
    at = z.base
    while at == one or at == two or at == three:  # noqa: SIM109 (a tuple would be built in the kernel)
        at += z.size
    return at


@called
def double(f, src, k, step, n, z):
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
                merge(f, 2, whole, tail, tail, tail, n, to)
                whole = to
            done += p
        if done == k:
            return whole
        to = other_buffer(z, power, whole, src)
        # The longest shift that is still to come bounds what must be right.
        merge(f, 2, power, power + p * step * z.item, power, power, n + (k - 2 * p) * step, to)
        power, p = to, 2 * p


@called
def tap_shift(j, s, d, block, step):
    """From tap 0 to tap j, when positions are dealt to `s` phases `block` apart and lie `step` apart within one."""
    return (j * d) % s * block + (j * d) // s * step


@called
def combine_taps(f, src, axis, block, step, n, z):
    """Combine the taps along one axis for n outputs; returns the result's address (src itself for one tap)."""
    k, s, d = axis.k, axis.s, axis.d
    if k == 1:
        return src
    if k > 4 and s == 1:
        return double(f, src, k, d * step, n, z)
    block, step = block * z.item, step * z.item
    whole, done = src, 1
    while done < k:
        more = k - done if k - done < 3 else 3
        b = src + tap_shift(done, s, d, block, step)
        c = src + tap_shift(done + 1, s, d, block, step) if more > 1 else b
        e = src + tap_shift(done + 2, s, d, block, step) if more > 2 else b
        to = other_buffer(z, whole, src, src)
        merge(f, more + 1, whole, b, c, e, n, to)
        whole, done = to, done + more
    return whole


@called
def load_row(f, x, w, channels, z, dst):
    """One input row: reduced across, or dealt to its phases with `before` columns of margin in front."""
    block, before, item = z.slots * z.line_bytes, w.before, z.item
    if z.direct == 2:
        invoke(f.load_pairs, (x, z.line, dst))
    elif z.direct == 1:
        invoke(f.load_taps, (x, w.d * w.xs, w.k, z.line, dst))
    elif w.s == 1:
        step = w.xs if channels == 1 else np.int64(1)
        invoke(f.load, (x, step, z.used * channels, dst + before * channels * item))
    elif channels == 1 and w.s == 2 and w.xs == 1:
        even = dst + before % 2 * block + before // 2 * item
        odd = dst + (before + 1) % 2 * block + (before + 1) // 2 * item
        invoke(f.split, (x, z.used, even, odd))
    elif channels == 1:
        for q in range(w.s if w.s < z.used else z.used):
            to = dst + (before + q) % w.s * block + (before + q) // w.s * item
            invoke(f.load, (x + q * w.xs * z.x_item, w.s * w.xs, (z.used - q + w.s - 1) // w.s, to))
    else:
        for i in range(z.used):
            to = dst + (before + i) % w.s * block + (before + i) // w.s * channels * item
            invoke(f.load, (x + i * w.xs * z.x_item, np.int64(1), channels, to))


@called
def load_band(f, x, g, z, sh, needed, loaded):
    """Input rows sh .. sh + needed - 1 of the plane at x into their row phases; rows of padding become neutral."""
    for r in range(needed):
        dst = loaded + (r % g.h.s * z.lines + r // g.h.s) * z.line_bytes
        if 0 <= sh + r < g.h.n:
            load_row(f, x + (sh + r) * g.h.xs * z.x_item, g.w, g.inner.n, z, dst)
        else:
            for p in range(z.phases):
                invoke(f.fill, (dst + p * z.slots * z.line_bytes, z.line))


@called
def reduce_plane(f, g, z, count, loaded):
    """Across, then down: the windows of one loaded band, `count` output rows of z.line elements."""
    across = loaded
    if z.direct == 0:
        block = z.slots * z.line
        across = combine_taps(f, loaded, g.w, block, g.inner.n, block, z)
    return combine_taps(f, across, g.h, z.lines * z.line, z.line, count * z.line, z)


@called
def reduce_depth(f, x, g, z, sd, sh, count):
    """All planes of a window combined, in order: the address of `count` output rows that are ready to be finished."""
    loaded = z.base if z.direct else z.base + 6 * z.size
    d0, d1 = tap_range(sd, 0, g.d.n, g.d.k, g.d.d)
    needed = (count - 1) * g.h.s + extent(g.h.k, g.h.d)
    whole, n = loaded, count * z.line
    for jd in range(d0, d1):
        load_band(f, x + (sd + jd * g.d.d) * g.d.xs * z.x_item, g, z, sh, needed, loaded)
        reduced = reduce_plane(f, g, z, count, loaded)
        if d1 - d0 == 1:
            return reduced
        if jd == d0:
            whole = z.base + 4 * z.size
            merge(f, 1, reduced, reduced, reduced, reduced, n, whole)
        else:
            to = z.base + (5 if whole == z.base + 4 * z.size else 4) * z.size
            merge(f, 2, whole, reduced, reduced, reduced, n, to)
            whole = to
    return whole


@called
def store_row(f, src, y, g, z, runs, others):
    """One output row, run by run of columns with one divisor; `others` is the divisor's share of the other axes."""
    channels = g.inner.n
    for r in range(z.runs):
        frm, to = runs[3 * r], runs[3 * r + 1]
        count = g.divisor if g.divisor != 0 else runs[3 * r + 2] * others
        first, at = src + frm * channels * z.item, y + frm * g.w.ys * z.y_item
        if channels == 1:
            invoke(f.store, (first, to - frm, at, g.w.ys, count))
        elif g.w.ys == channels and g.inner.ys == 1:
            invoke(f.store, (first, (to - frm) * channels, at, np.int64(1), count))
        else:
            for o in range(to - frm):
                at_pixel = at + o * g.w.ys * z.y_item
                invoke(f.store, (first + o * channels * z.item, channels, at_pixel, g.inner.ys, count))


@called
def store_band(f, whole, y, g, z, runs, sd, oh, count):
    """`count` output rows, finished: at once where they lie end to end, else row by row."""
    h = g.h
    depth = tap_count(sd, g.d.count_from, g.d.count_to, g.d.k, g.d.d)
    if z.end_to_end:
        divisor = g.divisor if g.divisor != 0 else runs[2] * depth * h.k
        invoke(f.store, (whole, count * z.line, y, np.int64(1), divisor))
        return
    for r in range(count):
        others = depth * tap_count(first_tap(oh + r, h.s, h.before), h.count_from, h.count_to, h.k, h.d)
        store_row(f, whole + r * z.line_bytes, y + r * h.ys * z.y_item, g, z, runs, others)


@kernel
def bands(x, y, packed, start, stop):
    """Output rows start .. stop - 1, z.band rows at a time. Knows no types: compiled once."""
    g, f, z = unpack(packed), unpack_lines(packed), unpack_sizes(packed, 0)
    runs = pointer(packed + 8 * (GEOMETRY + SIZES + len(f)), INT64)
    store = np.empty((z.phases + 6) * z.size + 64, np.uint8)
    z = unpack_sizes(packed, (np.int64(store.ctypes.data) + 63) // 64 * 64)
    # Margins stay as they are filled here; rows only ever write their data columns.
    invoke(f.fill, (z.base if z.direct else z.base + 6 * z.size, z.phases * z.size // z.item))
    row = start
    while row < stop:
        at_x, at_y, od, oh = row_offsets(g, row)
        count = g.h.out - oh if g.h.out - oh < z.band else z.band
        count = count if count < stop - row else stop - row
        sd, sh = first_tap(od, g.d.s, g.d.before), first_tap(oh, g.h.s, g.h.before)
        whole = reduce_depth(f, x + at_x * z.x_item, g, z, sd, sh, count)
        store_band(f, whole, y + at_y * z.y_item, g, z, runs, sd, oh, count)
        row += count
    return store.size  # Numba frees an array after its last use by name, whatever still has its address
