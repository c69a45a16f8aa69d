"""Windows that share axes unevenly as programs: their taps have no common step, so tables say where they are.

A unit is a band of output rows in one depth. Each row of the input that the band needs is reduced across once, by one
pass with a table of the windows' first columns and lengths; then the rows of each window are combined as for windows
that slide, plane by plane, and the planes. Where n planes become m, windows repeat after m / gcd(n, m) of them, and so
do programs: 96 depths of 128 need three.
Taps combine in row-major order. Where any order does, rows come first, straight from the input in long loops, then
planes, and one pass with the table is left for each row of results.
"""

from __future__ import annotations

from functools import partial
from math import gcd

import numpy as np

from gpupool.kernels.cpu.passes import MOST_TAPS, Types
from gpupool.kernels.window import Axis, Geometry, adaptive_range

from .cpu_loops import Extent, Place
from .cpu_program import Program, Units, pack_units
from .cpu_reduction import Emit
from .cpu_ways import is_unordered
from .cpu_windows import BAND_ELEMENTS

Span = tuple[int, int]
# Rows of results in a volume whose programs are written, once per kind of call: each takes 0.05 ms and 0.5 KB, all of
# them no longer than compiling. 96x90x64 results of 128x128x128 elements take 1.5 ms, in the point engine 27.
MOST_ROWS = 16384


def has_program(g: Geometry) -> bool:
    """Whether windows are so few that it pays to write down what to do for each row of them."""
    return g.d.out == 1 or g.d.out // repeats(g.d) * g.h.out <= MOST_ROWS


def repeats(a: Axis) -> int:
    """How often the windows of an axis come back, each time as far behind."""
    return gcd(a.n, a.out)


def ranges(a: Axis) -> list[Span]:
    """The positions of each window of an axis, as half-open ranges."""
    return [adaptive_range(a.n, a.out, o) for o in range(a.out)]


def uneven_program(g: Geometry, types: Types) -> tuple[np.ndarray, int]:
    """The packed programs for windows that share D, H and W, and how many units there are."""
    times = repeats(g.d)
    depths, rows = ranges(g.d)[: g.d.out // times], ranges(g.h)
    longest, deepest = (max(stop - start for start, stop in spans) for spans in (rows, depths))
    if is_unordered(types):
        write, band = write_down_first, max(1, BAND_ELEMENTS // (g.w.n * g.inner.n))
    else:
        lines = max(1, BAND_ELEMENTS // (g.w.out * g.inner.n * deepest))
        write, band = write_band, max(1, (lines - longest) * g.h.out // g.h.n)
    firsts = range(0, g.h.out, band)
    programs: dict[tuple[int, int, int, int], Program] = {}
    known: dict[tuple, int] = {}
    for od, planes in enumerate(depths):
        for kind, first in enumerate(firsts):
            program = Program(types, known=known)
            write(program, g, planes, rows[first : first + band], (od, first))
            programs[1, od, kind, 0] = programs[0, od, kind, 0] = program
    xi, yi = types.x.itemsize, types.y.itemsize
    again = g.d.n // times * g.d.xs * xi, len(depths) * g.d.ys * yi  # the tiles are the repetitions
    steps = (g.outer.xs * xi, g.outer.ys * yi, g.outer2.xs * xi, g.outer2.ys * yi, 0, 0, 0, 0, *again)
    units = Units(g.outer.n, g.outer2.n, steps, np.arange(len(depths)), np.arange(len(firsts)), np.zeros(times, int))
    return pack_units(units, programs, Program(types)), g.outer.n * g.outer2.n * g.d.out * len(firsts)


def places(program: Program, g: Geometry) -> tuple[Place, Place]:
    """The input and the results."""
    xi, yi = program.types.x.itemsize, program.types.y.itemsize
    x = Place("x", 0, xi, g.d.xs * xi, g.h.xs * xi, g.w.xs * xi, g.inner.xs * xi)
    return x, Place("y", 0, yi, g.d.ys * yi, g.h.ys * yi, g.w.ys * yi, g.inner.ys * yi)


def write_down_first(program: Program, g: Geometry, planes: Span, rows: list[Span], first: tuple[int, int]) -> None:
    """The same as `write_band` for elements in any order."""
    (x, y), chans, deep = places(program, g), g.inner.n, planes[1] - planes[0]
    whole, cols = Extent(1, len(rows), g.w.n, chans), ranges(g.w)
    line, one = whole._replace(rows=1), Extent(1, 1, g.w.out, chans)
    down, across = program.buffer(whole), program.buffer(whole._replace(cols=g.w.out))
    for o, (start, stop) in enumerate(rows):
        src, taps = x.moved(planes[0], start), line._replace(rows=stop - start)
        if deep > 1:
            src, taps = reduce_planes(program, src, taps, deep)
        reduce_rows(program, src, taps, partial(store, program, down.moved(row=o), line, 1, None))
        if deep > 1:
            program.release(src, taps)
    program.reduce_listed(down, across, whole._replace(cols=g.w.out), cols)
    lengths = tuple(stop - start for start, stop in cols)
    for o, (start, stop) in enumerate(rows):
        count, counts = ((stop - start) * deep, lengths) if g.divisor == 0 else (g.divisor, None)
        store(program, y.moved(first[0], first[1] + o), one, count, counts, across.moved(row=o), 1, 0)


def write_band(program: Program, g: Geometry, planes: Span, rows: list[Span], first: tuple[int, int]) -> None:
    """Writes some output rows in one depth, whose windows these are, from (depth, row) `first` on."""
    (x, y), chans = places(program, g), g.inner.n
    low, top = rows[0][0], max(stop for _, stop in rows)
    deep, cols = planes[1] - planes[0], ranges(g.w)
    lines, one = Extent(deep, top - low, g.w.out, chans), Extent(1, 1, g.w.out, chans)
    across = program.buffer(lines)
    for i in range(deep):
        program.reduce_listed(x.moved(planes[0] + i, low), across.moved(i), lines._replace(planes=1), cols)
    lengths = tuple(stop - start for start, stop in cols)
    for o, (start, stop) in enumerate(rows):
        count, counts = ((stop - start) * deep, lengths) if g.divisor == 0 else (g.divisor, None)
        emit = partial(store, program, y.moved(first[0], first[1] + o), one, count, counts)
        src, taps = across.moved(row=start - low), lines._replace(planes=1, rows=stop - start)
        if deep > 1:
            src, taps = reduce_planes(program, src, taps, deep)
        reduce_rows(program, src, taps, emit)
        if deep > 1:
            program.release(src, taps)


def reduce_planes(program: Program, src: Place, extent: Extent, deep: int) -> tuple[Place, Extent]:
    """The rows of each of `deep` planes combined into one: a row for each plane."""
    parts, one = extent._replace(rows=deep), extent._replace(rows=1)
    to = program.buffer(parts)
    for i in range(deep):
        reduce_rows(program, src.moved(i), extent, partial(store, program, to.moved(row=i), one, 1, None))
    return to, parts


def store(
    program: Program,
    to: Place,
    one: Extent,
    count: int,
    counts: tuple[int, ...] | None,
    src: Place,
    taps: int,
    tap: int,
) -> None:
    """The last combination of a row of results."""
    program.combine(src, to, one, taps, tap, count, counts)


def reduce_rows(program: Program, src: Place, extent: Extent, emit: Emit) -> None:
    """Rows combined into one, in order, whose last combination is left to `emit(source, taps, bytes between taps)`."""
    if extent.rows <= MOST_TAPS:
        emit(src, extent.rows, src.row)
        return
    full, rest = divmod(extent.rows, MOST_TAPS)
    part = extent._replace(rows=full + (rest > 0))
    to = program.buffer(part)
    program.combine(src.scaled(row=MOST_TAPS), to, part._replace(rows=full), MOST_TAPS, src.row)
    if rest:
        program.combine(src.moved(row=MOST_TAPS * full), to.moved(row=full), part._replace(rows=1), rest, src.row)
    reduce_rows(program, to, part, emit)
    program.release(to, part)
