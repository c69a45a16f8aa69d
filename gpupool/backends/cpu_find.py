"""The engine that finds which element each window chooses: its windows, bands and passes, in integers."""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import numpy as np

from gpupool.kernels.codecs import Plain
from gpupool.kernels.cpu import jit
from gpupool.kernels.cpu.find import fill_spans
from gpupool.kernels.cpu.find_lines import WHOLE, Finding, Storing, finders, store_pass
from gpupool.kernels.window import SLIDING, Axis, Geometry, Sliding, extent

from .cpu_windows import STREAMED

MOST_TAPS = 8  # of one pass: more need more registers than there are
# Windows in a row for each of a window's taps, and at most, below which all lines of a band are one row of lanes.
# Indices of 16x64x56x56 and 16x64x112x112 in ms, one thread: 3x3 s1 7.6 so instead of 7.3, 5x5 s1 8.5 instead of 10.1,
# 3x3 s2 16.8 instead of 12.4, 2x2 s2 15.0 instead of 9.6; of 32x192x28x28, 3x3 s1 11.8 instead of 14.4.
NARROW, MOST_NARROW = 16, 80
MOST_PITCH = 2  # times the windows of a row: lanes of copied lines, of which the others are of no use
FEW = 4  # windows in a row, below which long ones are gone through tap by tap
MOST_TABLE = 2**31 - 1  # elements of a plane: distances in it are int32
# Bytes of buffers that a band should need, twice that where windows share so many lines that most would be moved on to
# the next band. 3x3 s1 of 64x448x448, the gradient, one thread: 22.7 ms with a quarter of it, 23.6, 26.1 with twice;
# 5x5 s1 of 4x112x112x64 8.7, 7.7, 7.7.
BAND_BYTES = 1 << 18
FEW_SOUGHT, MOST_READ = 32, 4  # taps of windows that are sought in, and how often they read each element
# Bytes of buffers for a row of windows from which on positions of an only axis are rows, of at least so many channels:
# maxima with indices of 1x20000x512, 3 s1, two threads, 7.9 ms instead of 131, of 32x2000x64 3.5 instead of 4.6.
LONG_ROW, CHANNELS_IN_ROW = 3 << 18, 32
STAGED = 1 << 15  # bytes of results in the buffer, at most but for one row


def is_sought(axes: tuple[Axis, Axis, Axis], channels: int) -> bool:
    """Whether what windows choose is sought once its value is known: in long rows that are not shared by many."""
    w, taps = axes[2], prod(a.k for a in axes)
    read = prod(a.out * a.k / max(1, a.n) for a in axes)  # how often each element is
    return channels < WHOLE and taps >= FEW_SOUGHT and (w.k > 2 * MOST_TAPS or w.k == w.n) and read <= MOST_READ


def with_tables(finding: Finding, further: Any, tables: list[np.ndarray]) -> np.ndarray:
    """All integers, and behind them the tables to which they point: spans along (D, H, W), ends, perhaps starts."""
    head = len(finding) + len(jit.integers(further))
    ends = np.cumsum([head, *(table.size for table in tables)])
    packed = np.empty(ends[-1], np.int64)
    at = [packed.ctypes.data + 8 * int(end) for end in ends]
    if isinstance(further, Storing):
        further = further._replace(starts=at[4])
    finding = finding._replace(spans_d=at[0], spans_h=at[1], spans_w=at[2], ends_w=at[3])
    packed[:head] = jit.integers((finding, further))
    packed[head:] = np.concatenate([table.ravel() for table in tables])
    return packed


def spans_of(a: Axis, rule: Any) -> np.ndarray:
    """Of each window of an axis its start, its first tap that is an element, and the end of these."""
    spans = np.empty((a.out, 3), np.int64)
    fill = jit.compiled(fill_spans, 7, (rule,)).call
    fill(a.n, a.out, a.k, a.s, a.d, a.before, spans.ctypes.data, rule)
    return spans


def even(a: Axis, rule: Any) -> tuple[Axis, Any]:
    """An axis that is shared evenly, by the rule of sliding windows."""
    if isinstance(rule, Sliding) or a.n % a.out:
        return a, rule
    return a._replace(k=a.n // a.out, s=a.n // a.out, d=1, before=0), SLIDING


def ends_of(spans: np.ndarray, lines: int, below: int) -> np.ndarray:
    """The same as int32 of some lines, whose elements lie `below` apart: all starts, all first taps, all last ones."""
    ends = np.repeat((spans - [0, 0, 1]).T[:, None], lines, axis=1)
    ends[0] += np.arange(lines)[:, None] * below
    room = -(-ends[0].size // WHOLE) * WHOLE
    return np.pad(ends.reshape(3, -1), ((0, 0), (0, room - ends[0].size)), "edge").astype(np.int32).view(np.int64)


def full_windows(spans: np.ndarray, a: Axis, rule: Any) -> tuple[int, int]:
    """The windows that have all their taps, evenly spaced: the half-open range."""
    if not isinstance(rule, Sliding):
        return a.out, a.out
    full = np.flatnonzero((spans[:, 1] == 0) & (spans[:, 2] == a.k))
    return (int(full[0]), int(full[-1]) + 1) if len(full) else (a.out, a.out)


def lines_of(spans: np.ndarray, a: Axis, band: int) -> int:
    """The most lines that a band of so many windows reads, from the first to the last."""
    cuts = np.arange(0, a.out, band)
    low = np.minimum.reduceat(spans[:, 0] + spans[:, 1] * a.d, cuts)
    top = np.maximum.reduceat(spans[:, 0] + (spans[:, 2] - 1) * a.d + 1, cuts)
    return int((top - low).max())


class Row(NamedTuple):
    """How the windows of one row are lanes; the fields of a Finding."""

    inside: int
    beyond: int
    gathers: int
    below: int
    pitch: int
    flat: int
    copy: tuple[int, int, int] = (0, 0, 0)
    clipped: tuple[int, int] = (0, 0)


def row_of(w: Axis, h: Axis, rule: Any, inner: tuple[int, int], spans: np.ndarray) -> Row:
    """The windows along W: in copied lines with margins where they lack taps, by a table where no two are alike."""
    n, xi = inner
    inside, beyond = full_windows(spans, w, rule)
    if n == 1 and beyond - inside < FEW and w.k > MOST_TAPS:  # lanes would be empty
        inside = beyond = w.out
    gathers = int(w.xs != n or xi != 1) if n > 1 else int(w.xs != 1)
    below, copied = w.n * n + WHOLE * w.s, w.n
    pitch = -(-((w.out - 1) * w.s + w.k) // w.s)  # windows from one copied line to the next
    narrow = n == 1 and w.out < min(NARROW * w.k, MOST_NARROW)
    if narrow and isinstance(rule, Sliding) and w.d == 1 and w.k > w.s and pitch <= MOST_PITCH * w.out:
        content = (w.out - 1) * w.s + w.k
        copied = min(w.n, content - w.before)
        margins = w.before, content - w.before - copied
        return Row(0, w.out, 1, pitch * w.s, pitch, 1, (copied, *margins), (inside, w.out - beyond))
    pitch = -(-w.out * n // WHOLE) * WHOLE + WHOLE
    flat = narrow and inside == w.out
    flat = flat and h.n * (below if gathers else abs(h.xs)) <= MOST_TABLE  # distances in a table are int32
    return Row(inside, beyond, gathers, below, w.out if flat else pitch, int(flat), (copied, 0, 0))


def make_finding(
    axes: tuple[Axis, Axis, Axis], rule: Any, inner: tuple[int, int], high: int, types: tuple, red: Any, flat: bool
) -> tuple[Finding, list[np.ndarray]]:
    """The Finding of windows along (D, H, W), and its tables; `inner` is (length, step in x).

    `types` are x's dtype and codec. With `flat`, what is noted for a tap is its distance from the window's first in
    the plane, else its number.
    """
    rules = [even(a, rule) for a in axes]
    d, h, w = (a for a, _ in rules)
    spans = [spans_of(a, r) for a, r in rules]
    inside_h, beyond_h = full_windows(spans[1], h, rules[1][1])
    x_type, codec = types
    best = x_type if isinstance(codec, Plain) else np.dtype(np.float32)
    row = row_of(w, h, rules[2][1], inner, spans[2])
    line = row.pitch * (best.itemsize + 4) * (2 if w.k > MOST_TAPS else 1)
    reach = extent(h.k, h.d)
    room = BAND_BYTES // (line * d.k)  # lines
    band = max(min(2 * room, 2 * reach) - reach if reach > h.s else 0, room - reach) // h.s + 1
    band = max(1, min(h.out, band))
    lines = lines_of(spans[1], h, band)
    below = row.below if row.gathers else h.xs
    ends = ends_of(spans[2], lines if row.flat and row.inside == w.out else 1, below)
    taps, rows = min(w.k, MOST_TAPS), min(d.k * h.k, MOST_TAPS)
    units = (h.d * w.n, d.d * h.n * w.n, w.d) if flat else (w.k, h.k * w.k, 1)
    n, xi = inner
    passes = finders(x_type, best, codec, red, w.s if n == 1 else 1, taps, rows)
    finding = Finding._make((
        d.out, h.out, w.out, n, h.n, w.n, d.k, h.k, w.k, h.s, w.s, d.d, h.d, w.d, d.xs, h.xs, w.xs, xi,
        x_type.itemsize, best.itemsize, row.inside, row.beyond, *row.clipped, inside_h, beyond_h,
        row.gathers, *row.copy, row.below, row.flat, high, taps, rows, *units,
        band, lines, row.pitch, 0, 0, 0, 0, ends.shape[1] * 2, *passes,
    ))  # fmt: skip
    return finding, [*spans, ends]


def staged_rows(g: Geometry, *items: int) -> int:
    """How many rows of windows are stored at a time past the caches, 0 where that does not pay."""
    row = g.w.out * g.inner.n
    dense = (g.inner.n == 1 or g.inner.ys == 1) and (g.w.out == 1 or g.w.ys == g.inner.n)
    dense = dense and (g.h.out == 1 or g.h.ys == row)
    total = g.outer.n * g.outer2.n * g.d.out * g.h.out * row * sum(items)
    return max(1, STAGED // (row * sum(items))) if dense and total > STREAMED else 0


def is_upright(g: Geometry, item: int) -> bool:
    """Whether an only axis is better H than W: see LONG_ROW."""
    alone = all((a.n, a.out, a.k) == (1, 1, 1) for a in (g.d, g.h)) and g.inner.n >= CHANNELS_IN_ROW
    return alone and g.w.k <= MOST_TAPS and g.w.out * g.inner.n * item > LONG_ROW


def find_program(
    g: Geometry, kinds: tuple, codecs: tuple, red: Any, rule: Any, where: np.dtype
) -> tuple[np.ndarray, int]:
    """Elements and positions of all windows: the packed integers and the units of work.

    Positions are flat indices, or numbers of taps where their dtype `where` is unsigned.
    """
    flat = where.kind != "u"
    if is_upright(g, kinds[0].itemsize + 4):
        g = g._replace(h=g.w, w=g.h)
    flat_d, flat_h = (g.h.n * g.w.n, g.w.n) if flat else (0, 0)
    lines = g.h.n == g.d.n == g.h.out == g.d.out == 1 and (flat or g.h.k == g.d.k == 1)
    if lines and isinstance(rule, Sliding):  # rows of planes that are one line each
        rest = g.outer2
        g = g._replace(outer2=g.outer2._replace(n=1, xs=0, ys=0))
        g = g._replace(h=g.h._replace(n=rest.n, out=rest.n, k=1, s=1, d=1, before=0, xs=rest.xs, ys=rest.ys))
        flat_h = 0
    high = 1 + sum((a.n - 1) * max(a.xs, 0) for a in (g.outer, g.outer2, g.inner, g.d, g.h, g.w))
    best = kinds[0] if isinstance(codecs[0], Plain) else np.dtype(np.float32)
    q, tables = make_finding((g.d, g.h, g.w), rule, g.inner[:2], high, (kinds[0], codecs[0]), red, flat)
    starts = tables[2][:, 0]
    store = jit.c_function(store_pass(best, kinds[1], where, codecs[1], red))
    z = Storing._make((
        g.outer2.n, g.outer.xs, g.outer.ys, g.outer2.xs, g.outer2.ys,
        g.d.ys, g.h.ys, g.w.ys, g.inner.ys, kinds[1].itemsize, where.itemsize, flat_d, flat_h, 0,
        staged_rows(g, kinds[1].itemsize, where.itemsize), store,
    ))  # fmt: skip
    units = g.outer.n * g.outer2.n * q.od * -(-q.oh // q.band)
    return with_tables(q, z, [*tables, starts]), units
