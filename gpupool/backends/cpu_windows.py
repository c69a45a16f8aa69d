"""Windows as programs: across, down and in depth, each in as few vector passes as possible.

A unit is a band of output rows (a tile of their columns where rows are long, several planes where planes are small),
whose buffers stay in the cache:

1. across  the taps of each row combined, straight from the input where few columns are at a border, else from a copy
           with neutral margins;
2. down    the rows of each window combined;
3. depth   the planes of each window combined; the last of the three finishes and stores.

Taps combine in row-major order, so the first of equal elements wins as in the point engine. Up to four taps are one
pass. More are combined from shorter windows that share their work: 31 maxima cost four passes.

There are shorter ways (`cpu_ways`): overlapping windows of few lines roll, across, down and to the result in one loop;
those of many lines whose elements may come in any order are tall, combined down from blocks of lines before across.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product
from typing import NamedTuple

import numpy as np

from gpupool.kernels.cpu.passes import Types
from gpupool.kernels.window import Geometry, extent, first_tap, tap_count, tap_range

from .cpu_loops import Extent, Place
from .cpu_pieces import Piece, counts_of, evenly, pieces, runs
from .cpu_program import Program, Units, pack_units
from .cpu_reduction import TAPS, Emit, Reduction, Step
from .cpu_ways import is_dense, is_direct, is_down_first, is_long, is_tall, is_tiled, rolls

BAND_ELEMENTS = 8192  # accumulators in a buffer, and more of them where windows are higher than 8 lines
STRIP_BYTES = 4096  # of a buffer in which rows are reduced across: a 31x31 mean takes 3.2 ms, 4.8 with all rows at once
TILE_COLUMNS = 2048  # elements of a row, with their channels, that are pooled at a time
PLANE_ELEMENTS = 2048  # smaller planes are pooled several at a time, at least this many elements in all
RING_BYTES = 24 << 10  # of the lines that windows roll over: with x and y in the first-level cache
ROLLED_ROWS = 64  # results in a column of which the first lines are combined twice
# Results of more bytes than this are written past the caches: their old contents are not read first. Pooling 3x3 at
# stride 1 and then reading the result takes 0.8 of the time so where memory is cold (from 5 MiB to 39 MiB), and 1.3 of
# it where one buffer of up to 20 MiB is used again and again; at 39 MiB it wins either way.
STREAMED = 16 << 20
LONG_RUN = 100  # bytes in a row of results from which on that pays
FEWEST_ROWS = 32  # of results that are reduced down first: threads should have something to share
TALL_BYTES = 3 << 18  # of the lines of windows that are reduced down first: with x in the second-level cache
RUNS = 3  # more runs of columns with different divisors take a list of divisors


# -- one unit ----------------------------------------------------------------------------------------------------------


class Sink(NamedTuple):
    """Where finished outputs go, and the divisors of their rows and columns; depth's share is in `factor`."""

    place: Place
    rows: tuple[int, ...]
    cols: tuple[int, ...]
    factor: int


class Unit:
    """Writes the program of one kind of unit.

    Wherever a last combination is left to the caller, it is told by `emit(source, taps, bytes between taps)`, and
    `col, cols` where it concerns only some columns.
    """

    def __init__(self, g: Geometry, types: Types, planes: int, band: Piece, tile: Piece, copies: Extent | None) -> None:
        self.g, self.types, self.planes, self.band, self.tile = g, types, planes, band, tile
        self.program = Program(types)
        item = types.x.itemsize
        first = -(g.d.before * g.d.xs + g.h.before * g.h.xs + g.w.before * g.w.xs)
        self.x = Place("x", first * item, item, g.outer2.xs * item, g.h.xs * item, g.w.xs * item, g.inner.xs * item)
        self.outputs = Extent(planes, band.out, tile.out, g.inner.n)
        if copies is not None:
            self.copy_extent = copied(g, planes, band, tile)
            room = self.program.buffer(copies)
            self.copy = room._replace(row=self.copy_extent.cols * room.col).planed(self.copy_extent.rows)
        self.copies = copies is not None

    def write(self, depth: Piece) -> Program:
        """The whole program."""
        g, item = self.g, self.types.y.itemsize
        y = Place("y", 0, item, g.outer2.ys * item, g.h.ys * item, g.w.ys * item, g.inner.ys * item)
        target, streamed, rolled = y, streams(g, y, self.tile.out), rolls(g, self.types)
        if streamed and not rolled:
            y = self.program.buffer(self.outputs, "staged")
        start = first_tap(depth.first, g.d.s, g.d.before)
        if g.divisor != 0:
            sink = Sink(y, (1,) * self.band.out, (1,) * self.tile.out, g.divisor)
        else:
            factor = tap_count(start, g.d.count_from, g.d.count_to, g.d.k, g.d.d)
            sink = Sink(y, counts_of(g.h, self.band), counts_of(g.w, self.tile), factor)
        j0, j1 = tap_range(start, 0, g.d.n, g.d.k, g.d.d)
        taps = [self.x._replace(at=self.x.at + j * g.d.d * g.d.xs * self.x.item) for j in range(j0, j1)]
        if is_tall(g, self.types):
            self._tall(taps[0], sink)
        elif rolled:
            self._rolled(taps[0], sink, streamed)
        elif len(taps) == 1:
            self._plane(taps[0], partial(self._store, sink))
        else:
            self._deep(taps, sink)
        if streamed and not rolled:
            self.program.stream(y, target, self.outputs)
        return self.program

    def _deep(self, taps: list[Place], sink: Sink) -> None:
        """Up to four planes side by side are one more pass; more are combined four at a time."""
        slots = min(len(taps), TAPS)
        stacked = self.outputs._replace(planes=slots * self.planes)
        banks = [self.program.buffer(stacked) for _ in range(2 if len(taps) > slots else 1)]
        step = self.planes * banks[0].plane
        held, bank = 0, 0
        for i, x in enumerate(taps):
            to = banks[bank]._replace(at=banks[bank].at + held * step)
            self._plane(x, partial(self._into, to, self.outputs))
            held += 1
            if held == slots and i + 1 < len(taps):
                self.program.combine(banks[bank], banks[1 - bank], self.outputs, slots, step)
                held, bank = 1, 1 - bank
        self._store(sink, banks[bank], held, step)

    def _into(
        self, to: Place, extent: Extent, src: Place, taps: int, tap: int, col: int = 0, cols: int | None = None
    ) -> None:
        """Accumulators from their last combination.

        Where rows follow each other in the same steps as columns, in both places, most columns are one long loop: what
        it makes of windows that reach from one row into the next is overwritten by those at borders, which come later.
        """
        part = extent if cols is None else extent._replace(cols=cols)
        if 2 * part.cols > extent.cols and part.rows > 1 and extent.chans == 1:
            steps = (extent.cols * src.col, extent.cols * to.col)
            if (src.row, to.row) == steps and part.cols < extent.cols:
                part = part._replace(rows=1, cols=(part.rows - 1) * extent.cols + part.cols)
        self.program.combine(src, to.moved(col=col), part, taps, tap)

    def _store(self, sink: Sink, src: Place, taps: int, tap: int, col: int = 0, cols: int | None = None) -> None:
        """Outputs from their last combination: one pass for each run of rows, and of columns if there are few."""
        cols = self.tile.out if cols is None else cols
        per_col = sink.cols[col : col + cols]
        col_runs = runs(per_col)
        listed = len(col_runs) > RUNS
        for r0, r1, per_row in runs(sink.rows):
            for c0, c1, count in [(0, cols, 1)] if listed else col_runs:
                self.program.combine(
                    src.moved(row=r0, col=c0), sink.place.moved(row=r0, col=col + c0),
                    Extent(self.planes, r1 - r0, c1 - c0, self.g.inner.n), taps, tap,
                    sink.factor * per_row * count, per_col if listed else None,
                )  # fmt: skip

    def _plane(self, x: Place, emit: Emit) -> None:
        """Across and down one plane."""
        h, band = self.g.h, self.band
        if is_down_first(self.g, self.types):
            self._down_first(x, emit)
            return
        if h.k == 1:
            self._across(x.scaled(row=h.s), 0, band.out, emit)
            return
        whole = self.outputs._replace(rows=band.span)
        rows, real = self._lines(whole), band.hi - band.lo
        some = strip_rows(self.copy_extent, self.types) if self.copies and self.planes == 1 else real
        for row in range(band.lo, band.hi, some):
            count = min(some, band.hi - row)
            into = partial(self._into, rows.moved(row=row), whole._replace(rows=count))
            self._across(x.moved(row=row), row, count, into)
        Reduction(self.program, whole).run(rows, Step("row", band.out, h.k, h.s, h.d), emit)
        self.program.release(rows, whole)

    def _lines(self, whole: Extent) -> Place:
        """A buffer for the lines of a band, those that are not real filled."""
        lo, hi = self.band.lo, self.band.hi
        rows = self.program.buffer(whole)
        self.program.fill(rows, whole._replace(rows=lo))
        self.program.fill(rows.moved(row=hi), whole._replace(rows=self.band.span - hi))
        return rows

    def _rolled(self, x: Place, sink: Sink, past: bool) -> None:
        """Across and down in one loop, columns at borders before; past the caches, these wait in a buffer for the rest.

        Of 3x64x224x224, 3x3 means with padding take 7.0 ms so, and 12.3 where borders are written by themselves.
        """
        columns = list(self._columns(x))
        (src, taps, first, n), *borders = columns
        pixel = self.g.inner.n * sink.place.item
        if not past or not is_long(n * self.g.inner.n, self.types):
            for column in columns:
                self._roll(sink, *column)
            return
        beside = self.outputs._replace(cols=self.outputs.cols - n)
        strip = self.program.buffer(beside, "staged")
        for border, k, o, m in borders:
            self._roll(sink._replace(place=strip.moved(col=0 if o < first else -n)), border, k, o, m)
        self._roll(sink, src, taps, first, n, (strip, first * pixel, (beside.cols - first) * pixel))
        self.program.release(strip, beside)

    def _roll(
        self, sink: Sink, src: Place, taps: int, o: int, n: int, ends: tuple[Place, int, int] | None = None
    ) -> None:
        """Columns o .. o + n - 1 in one loop, unless its vectors would be empty, or they are for a buffer."""
        h, band, tap = self.g.h, self.band, self.g.w.d * self.g.w.xs * self.types.x.itemsize
        part = self.outputs._replace(cols=n)
        if is_long(n * part.chans, self.types) and sink.place.base == "y":
            lines, place = (h.k, band.lo, band.hi), sink.place.moved(col=o)
            self.program.roll(src, place, part, (taps, tap), lines, sink.factor * sink.cols[o], sink.rows, ends)
            return
        whole = part._replace(rows=band.span)
        rows, real = self._lines(whole), whole._replace(rows=band.hi - band.lo)
        self.program.combine(src.moved(row=band.lo), rows.moved(row=band.lo), real, taps, tap)
        step = Step("row", band.out, h.k, h.s, h.d)
        Reduction(self.program, whole).run(rows, step, partial(self._store, sink, col=o, cols=n))
        self.program.release(rows, whole)

    def _tall(self, x: Place, sink: Sink) -> None:
        """Many lines down straight from the input, then row by row across."""
        h, w, band, tile = self.g.h, self.g.w, self.band, self.tile
        whole = self.outputs._replace(cols=tile.span)
        rows = self.program.buffer(whole)
        self.program.fill(rows, whole._replace(cols=tile.lo))
        self.program.fill(rows.moved(col=tile.hi), whole._replace(cols=tile.span - tile.hi))
        real, src = whole._replace(cols=tile.hi - tile.lo), x.moved(col=tile.lo)
        if not is_dense(self.g):
            lines = real._replace(rows=band.hi)
            src = self.program.buffer(lines)
            known = lines._replace(rows=band.hi - band.lo)
            self.program.combine(x.moved(row=band.lo, col=tile.lo), src.moved(row=band.lo), known)
        self.program.blocks(src, rows.moved(col=tile.lo), real, (h.k, band.lo, band.hi))
        some = strip_rows(whole, self.types)
        for row in range(0, band.out, some):
            counts = sink.rows[row : row + some]
            store = partial(self._store, sink._replace(place=sink.place.moved(row=row), rows=counts))
            step = Step("col", tile.out, w.k, w.s, w.d)
            Reduction(self.program, whole._replace(rows=len(counts))).run(rows.moved(row=row), step, store)
        self.program.release(rows, whole)

    def _down_first(self, x: Place, emit: Emit) -> None:
        """Down straight from the input, then across: columns are picked apart in one row for each row of outputs."""
        h, w, whole = self.g.h, self.g.w, self.outputs._replace(cols=self.tile.span)
        rows = self.program.buffer(whole)
        into = lambda src, taps, tap: self.program.combine(src, rows, whole, taps, tap)  # noqa: E731
        Reduction(self.program, whole).run(x, Step("row", self.band.out, h.k, h.s, h.d), into)
        Reduction(self.program, whole).run(rows, Step("col", self.tile.out, w.k, w.s, w.d), emit)
        self.program.release(rows, whole)

    def _across(self, x: Place, row: int, count: int, emit: Emit) -> None:
        """`count` rows from x on, the band's rows `row` and on, reduced across."""
        if self.copies:
            self._across_copy(x, row, count, emit)
        else:
            self._across_input(x, count, emit)

    def _across_input(self, x: Place, count: int, emit: Emit) -> None:
        """Straight from the input."""
        if is_tiled(self.g):
            w = self.g.w
            whole = self.outputs._replace(rows=count, cols=self.tile.span)
            Reduction(self.program, whole).run(x, Step("col", self.tile.out, w.k, w.s, 1), emit)
            return
        for src, taps, o, n in self._columns(x):
            emit(src.scaled(col=self.g.w.s), taps, self.g.w.d * x.col, o, n)

    def _columns(self, x: Place) -> Iterator[tuple[Place, int, int, int]]:
        """First taps, their number, first output and outputs: those whose taps are all real at once, others singly."""
        w, tile = self.g.w, self.tile
        reach = extent(w.k, w.d)
        first = min(tile.out, -(-tile.lo // w.s))
        last = max(first, min(tile.out, (tile.hi - reach) // w.s + 1))
        for o, n in [(first, last - first), *((o, 1) for o in (*range(first), *range(last, tile.out)))]:
            j0, j1 = tap_range(o * w.s, tile.lo, tile.hi, w.k, w.d)
            if n > 0:
                yield x.moved(col=o * w.s + j0 * w.d), j1 - j0, o, n

    def _across_copy(self, x: Place, row: int, count: int, emit: Emit) -> None:
        """From a copy with neutral margins. Where all columns are one tile, they stay as they were filled at first."""
        w, (lo, hi) = self.g.w, (self.tile.lo, self.tile.hi)
        copy = self.copy.moved(row=row if self.planes > 1 else 0)
        some = self.copy_extent._replace(rows=count)
        if self.tile.out < w.out:
            self.program.fill(copy, some._replace(cols=lo))
            self.program.fill(copy.moved(col=hi), some._replace(cols=self.tile.span - hi))
        self.program.combine(x.moved(col=lo), copy.moved(col=lo), some._replace(cols=hi - lo))
        step = Step("col", self.tile.out, w.k, w.s, w.d)
        if self.planes == 1:
            Reduction(self.program, some).run(copy, step, emit)
        else:  # planes lie end to end only with all their rows
            last = lambda src, taps, tap: emit(src.moved(row=row), taps, tap)  # noqa: E731
            Reduction(self.program, self.copy_extent).run(self.copy, step, last)


def copied(g: Geometry, planes: int, band: Piece, tile: Piece) -> Extent:
    """What a unit copies into a buffer with margins; without windows along rows, the rows of outputs only."""
    return Extent(planes, band.out if g.h.k == 1 else band.span, tile.span, g.inner.n)


def strip_rows(copy: Extent, types: Types) -> int:
    """How many rows are reduced across at a time: few enough for their buffers to stay in the first-level cache."""
    return max(1, STRIP_BYTES // (copy.cols * copy.chans * types.acc.itemsize))


def streams(g: Geometry, y: Place, cols: int) -> bool:
    """Whether results are written past the caches: many of them, in runs of whole cache lines."""
    chans = g.inner.n
    run = chans * (cols if y.col == chans * y.item else 1)
    dense = (y.chan if chans > 1 else y.col) == y.item
    total = g.outer.n * g.outer2.n * g.d.out * g.h.out * g.w.out * chans * y.item
    return dense and run * y.item >= LONG_RUN and total > STREAMED


# -- all units ---------------------------------------------------------------------------------------------------------


def sizes(g: Geometry, types: Types) -> tuple[int, int, int]:
    """Planes, output rows and output columns of a unit."""
    w, h, channels = g.w, g.h, g.inner.n
    if rolls(g, types):
        lanes = RING_BYTES // (h.k * types.acc.itemsize)
        return 1, evenly(h.out, ROLLED_ROWS), evenly(w.out, max(1, lanes // channels))
    if is_tall(g, types):
        line, reach = TALL_BYTES // (channels * types.acc.itemsize), extent(w.k, w.d) - 1
        cols = evenly(w.out, max(1, line // h.k - reach, reach))
        blocks = max(1, min(line // ((cols + reach) * h.k), -(-FEWEST_ROWS // h.k)))
        return 1, min(h.out, h.k * blocks), cols
    reach = extent(h.k, h.d)
    cols = w.out if w.out * channels <= 2 * TILE_COLUMNS else max(1, TILE_COLUMNS // channels, extent(w.k, w.d) - 1)
    cols = min(cols, w.out)
    width = cols if is_direct(g, types) and not is_down_first(g, types) else (cols - 1) * w.s + extent(w.k, w.d)
    lines = max(1, BAND_ELEMENTS * max(8, reach) // (8 * width * channels))
    band = max(1, (lines - reach) // h.s + 1, 2 * reach // h.s if reach > h.s else 0)
    if band < h.out or cols < w.out or g.d.k > 1:
        return 1, min(band, h.out), cols
    plane = ((h.out - 1) * h.s + reach) * width * channels
    return max(1, min(g.outer2.n, PLANE_ELEMENTS // plane)), h.out, cols


def windows_program(g: Geometry, types: Types) -> tuple[np.ndarray, int]:
    """The packed programs for this geometry, and how many units there are."""
    planes, band, cols = sizes(g, types)
    groups = -(-g.outer2.n // planes)
    last_planes = g.outer2.n - (groups - 1) * planes
    depth_pieces, depths = pieces(g.d, 1)
    bands, band_kinds = pieces(g.h, band)
    tiles, tile_kinds = pieces(g.w, cols)
    programs: dict[tuple[int, int, int, int], Program] = {}
    prologue, copies = Program(types), None
    if not (is_direct(g, types) or is_tall(g, types) or rolls(g, types)):
        # One buffer for all units: what is filled at first must stay.
        spans = [copied(g, planes, b, t) for b in bands for t in tiles]
        copies = Extent(planes, *(max(sizes) for sizes in list(zip(*spans, strict=True))[1:]))
        prologue.fill(prologue.buffer(copies), copies)
    kinds = product((1, 0) if groups > 1 else (1,), range(len(depth_pieces)), range(len(bands)), range(len(tiles)))
    for last, dk, bk, tk in kinds:
        at = last, dk, bk, tk
        if not last and last_planes == planes:
            programs[at] = programs[1, dk, bk, tk]
            continue
        unit = Unit(g, types, last_planes if last else planes, bands[bk], tiles[tk], copies)
        programs[at] = unit.write(depth_pieces[dk])
    xi, yi = types.x.itemsize, types.y.itemsize
    steps = (
        g.outer.xs * xi, g.outer.ys * yi, planes * g.outer2.xs * xi, planes * g.outer2.ys * yi,
        g.d.s * g.d.xs * xi, g.d.ys * yi, band * g.h.s * g.h.xs * xi, band * g.h.ys * yi,
        cols * g.w.s * g.w.xs * xi, cols * g.w.ys * yi,
    )  # fmt: skip
    units = Units(g.outer.n, groups, steps, depths, band_kinds, tile_kinds)
    count = g.outer.n * groups * len(depths) * len(band_kinds) * len(tile_kinds)
    return pack_units(units, programs, prologue), count
