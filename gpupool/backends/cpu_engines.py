"""Which engine runs a call, and on which view of the arrays. Measured crossovers stand beside each threshold."""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import numpy as np

from gpupool.kernels.codecs import Plain
from gpupool.kernels.cpu import jit
from gpupool.kernels.cpu.indices import find_units
from gpupool.kernels.cpu.offsets import point_offsets
from gpupool.kernels.cpu.passes import Types
from gpupool.kernels.cpu.point import point, point_indices, point_select
from gpupool.kernels.cpu.program import run_units
from gpupool.kernels.cpu.seek import seek
from gpupool.kernels.reducers import elements, neutral, selects, unordered
from gpupool.kernels.window import Adaptive, Geometry, Sliding, extent, tap_count
from gpupool.plan import Plan, choose

from .cpu_find import MOST_TABLE, find_program, is_sought
from .cpu_uneven import has_program, uneven_program
from .cpu_whole import accumulators, first_parts, first_stage, is_whole, second_stage, whole_program
from .cpu_windows import windows_program

# Taps in all outputs up to which the point engine runs: it needs no program and compiles in a fifth of the time. At 512
# taps the two take equally long.
SMALL_WORK = 512
# Taps of windows that tile a plane from which on each is taken for a plane of its own: along rows alone, and of lines.
# Means of 8x64x8000 in 500 windows, ns an element: 0.36 instead of 0.44, channels last 0.28 instead of 0.37, and 0.29
# instead of 0.88 in 50; of 1x512x112x112 in 2x2, channels last, 0.5 instead of 3.2; of 4x64x112x112 in 4x4 0.31 instead
# of 0.37 and, channels first, 0.41 instead of 0.34. Lines of bytes, and boxes of volumes, take longer so.
LONG_TILE, LARGE_TILE = 32, 1 << 13


class Stage(NamedTuple):
    """A kernel, the integers in memory that it reads, the dtypes and rows it is compiled for, and its units of work."""

    kernel: Any
    packed: np.ndarray
    constants: tuple
    units: int


class Choice(NamedTuple):
    """The stages of a call; between two of them lie `between` accumulators of dtype `acc`.

    Where there is a stage that seeks positions, it follows the others, which make the elements alone.
    """

    stages: tuple[Stage, ...]
    between: int = 0
    acc: np.dtype | None = None
    seek: Stage | None = None


def rows_of(g: Geometry) -> int:
    """Output rows."""
    return g.outer.n * g.outer2.n * g.d.out * g.h.out


def work(g: Geometry) -> int:
    """Taps in all outputs."""
    return rows_of(g) * g.w.out * g.inner.n * g.d.k * g.h.k * g.w.k


def choose_engine(
    g: Geometry, kinds: tuple[np.dtype, np.dtype], codecs: tuple[Any, Any], red: Any, where: np.dtype | None, rule: Any
) -> Choice:
    """The engine for this geometry; `kinds` are the payload dtypes of x and y, `codecs` their codecs.

    `where` is the dtype of positions, None where none are asked for.

    Strides have no part in it: whatever the layout, taps combine in one order.
    """
    if where is not None and work(g) > SMALL_WORK and elements(red) is not None and is_sought(g[3:6], g.inner.n):
        values = choose_engine(g, kinds, codecs, elements(red), None, rule)
        constants = (kinds[0], where, codecs[0], rule, where.kind == "u")
        return values._replace(seek=Stage(seek, jit.pack(g), constants, rows_of(g)))
    if where is not None and work(g) > SMALL_WORK and g.d.n * g.h.n * g.w.n <= MOST_TABLE:
        packed, units = find_program(g, kinds, codecs, red, rule, where)
        return Choice((Stage(find_units, packed, (), units),))
    if where is not None and where.kind == "u":
        return Choice((Stage(point_offsets, jit.pack(g), (kinds[0], where, *codecs, red, rule), rows_of(g)),))
    if where is not None:
        return Choice((Stage(point_indices, jit.pack(g), (*kinds, *codecs, red, rule), rows_of(g)),))
    if selects(red):
        return Choice((Stage(point_select, jit.pack(g), (*kinds, *codecs, red, rule), rows_of(g)),))
    loaded = kinds[0] if isinstance(codecs[0], Plain) else np.dtype(np.float32)
    acc = red.accumulator(loaded)
    fast = isinstance(rule, Sliding) or (isinstance(rule, Adaptive) and has_program(g))
    if acc is None or neutral(red, loaded) is None or not fast or work(g) <= SMALL_WORK:
        return Choice((Stage(point, jit.pack(g), (*kinds, *codecs, red, rule), rows_of(g)),))
    types = Types(*kinds, acc, *codecs, red, red, red)
    if not isinstance(rule, Sliding):
        packed, units = uneven_program(g, types)
        return Choice((Stage(run_units, packed, (), units),))
    if is_whole(g) and unordered(red, loaded) is not None:
        return whole(g, types)
    packed, units = windows_program(folded(g), types)
    return Choice((Stage(run_units, packed, (), units),))


def are_planes(plan: Plan) -> bool:
    """Whether windows tile the planes and are so large that each is best reduced as a whole plane is.

    Strides have no part in this, either.
    """
    tiles = all(a.n == a.out * a.k and a.before == a.after == 0 and a.d == 1 for a in plan.pooled)
    tiles = tiles and all(a.out == 1 or a.s == a.k for a in plan.pooled)
    if plan.request.indices or not tiles or all(a.out == 1 for a in plan.pooled):
        return False
    depth, lines, row = ([1, 1] + [a.k for a in plan.pooled])[-3:]
    if depth == lines == 1:
        large = row >= LONG_TILE
    else:
        large = row * lines >= LARGE_TILE and depth == 1 and plan.dtype.itemsize > 1
    if not large:
        return False
    red, x_codec, _ = choose(plan, wide=True)
    loaded = plan.dtype if isinstance(x_codec, Plain) else np.dtype(np.float32)
    return red.accumulator(loaded) is not None and unordered(red, loaded) is not None


def whole(g: Geometry, types: Types) -> Choice:
    """Global pooling, in two stages where planes are large."""
    divisor = g.divisor or prod(tap_count(0, a.count_from, a.count_to, a.k, a.d) for a in (g.d, g.h, g.w))
    each, parts, make = first_parts(g)
    if parts == 1:
        packed, units = whole_program(g, types, each, divisor)
        return Choice((Stage(run_units, packed, (), units),))
    one, two = accumulators(types)
    packed, units = whole_program(first_stage(g, parts), one, each, 1, make)
    packed2, units2 = whole_program(second_stage(g, parts), two, parts, divisor)
    stages = (Stage(run_units, packed, (), units), Stage(run_units, packed2, (), units2))
    return Choice(stages, g.outer.n * g.outer2.n * parts * g.inner.n, types.acc)


def folded(g: Geometry) -> Geometry:
    """The same work with fewer, taller planes where windows tile the planes exactly, or rows are not pooled at all."""
    if g.d.k > 1 or g.d.out > 1:
        return g
    while g.outer2.n > 1 or g.outer.n > 1:
        h = g.h
        if g.outer2.n == 1:
            g = g._replace(outer=g.outer2, outer2=g.outer)
            continue
        alone = (h.n, h.out, h.k, h.before) == (1, 1, 1, 0)
        tiled = h.before == 0 and h.n == h.out * h.s and extent(h.k, h.d) <= h.s and h.count_from >= 0
        joined = g.outer2.xs == h.n * h.xs and g.outer2.ys == h.out * h.ys
        n = g.outer2.n
        if alone:
            h = h._replace(n=n, out=n, s=1, count_to=n, xs=g.outer2.xs, ys=g.outer2.ys)
        elif tiled and joined and h.count_to == h.n:
            h = h._replace(n=h.n * n, out=h.out * n, count_to=h.n * n)
        else:
            return g
        g = g._replace(h=h, outer2=g.outer._replace(n=1, xs=0, ys=0) if g.outer.n == 1 else g.outer)
        g = g._replace(outer=g.outer._replace(n=1, xs=0, ys=0))
    return g
