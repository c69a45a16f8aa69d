"""Windows that share axes unevenly as programs: their taps have no common step, so tables say where they are.

A unit is a band of output rows. Each row of the input that the band needs is reduced across once, by one pass with a
table of the windows' first columns and lengths; then the rows of each window are combined as for windows that slide.
Taps combine in row-major order.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from gpupool.kernels.cpu.passes import MOST_TAPS, Types
from gpupool.kernels.window import Axis, Geometry, adaptive_range

from .cpu_program import Extent, Place, Program, Units, pack_units
from .cpu_reduction import Emit
from .cpu_windows import BAND_ELEMENTS


def is_flat(g: Geometry) -> bool:
    """Whether at most two axes are pooled."""
    return g.d.n == g.d.out == 1


def ranges(a: Axis) -> list[tuple[int, int]]:
    """The positions of each window of an axis, as half-open ranges."""
    return [adaptive_range(a.n, a.out, o) for o in range(a.out)]


def uneven_program(g: Geometry, types: Types) -> tuple[np.ndarray, int]:
    """The packed programs for windows that share H and W, and how many units there are."""
    rows = ranges(g.h)
    longest = max(stop - start for start, stop in rows)
    lines = max(1, BAND_ELEMENTS // (g.w.out * g.inner.n))
    band = max(1, (lines - longest) * g.h.out // g.h.n)
    firsts = range(0, g.h.out, band)
    programs: dict[tuple[int, int, int, int], Program] = {}
    for kind, first in enumerate(firsts):
        programs[1, 0, kind, 0] = programs[0, 0, kind, 0] = write_band(g, types, rows[first : first + band], first)
    xi, yi = types.x.itemsize, types.y.itemsize
    steps = (g.outer.xs * xi, g.outer.ys * yi, g.outer2.xs * xi, g.outer2.ys * yi, 0, 0, 0, 0, 0, 0)
    one = np.zeros(1, np.int64)
    units = Units(g.outer.n, g.outer2.n, steps, one, np.arange(len(firsts)), one)
    return pack_units(units, programs, Program(types)), g.outer.n * g.outer2.n * len(firsts)


def write_band(g: Geometry, types: Types, rows: list[tuple[int, int]], first: int) -> Program:
    """The program of some output rows, whose windows these are, from `first` on."""
    program, chans = Program(types), g.inner.n
    xi, yi = types.x.itemsize, types.y.itemsize
    x = Place("x", 0, xi, 0, g.h.xs * xi, g.w.xs * xi, g.inner.xs * xi)
    y = Place("y", 0, yi, 0, g.h.ys * yi, g.w.ys * yi, g.inner.ys * yi)
    low, top = rows[0][0], max(stop for _, stop in rows)
    lines, cols = Extent(1, top - low, g.w.out, chans), ranges(g.w)
    across = program.buffer(lines)
    program.reduce_listed(x.moved(row=low), across, lines, cols)
    lengths = tuple(stop - start for start, stop in cols)
    for o, (start, stop) in enumerate(rows):
        to, counts = y.moved(row=first + o), lengths if g.divisor == 0 else None
        count = stop - start if g.divisor == 0 else g.divisor
        one = Extent(1, 1, g.w.out, chans)

        emit = partial(store, program, to, one, count, counts)
        reduce_rows(program, across.moved(row=start - low), lines._replace(rows=stop - start), emit)
    return program


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
