"""Whole planes as programs: global pooling at read bandwidth, with the same bits whatever the strides and threads.

The positions of a plane are combined in a fixed tree: blocks of up to 512, each as 64 lanes of up to eight; the lanes
as rows of 32, up to four rows to a chain; a chain into eight, then one; the results of the chains in the same way. Up
to 512 positions are eights of lanes throughout. Where a plane has no gaps in memory, one loop does all of a chain
(`folding`). Else every level is a vector pass over many blocks, planes and channels at once. Planes of more than 512
blocks are cut there, so that one plane can occupy all threads; a second stage combines the parts. So it does with the
results of the chains where few planes of many channels are smaller than that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import prod
from typing import NamedTuple

import numpy as np

from gpupool.kernels.cpu.folding import CHAIN, LANES, ROWS, WIDTH
from gpupool.kernels.cpu.memory import AHEAD
from gpupool.kernels.cpu.passes import KEPT, MOST_TAPS, PLAIN, Types
from gpupool.kernels.reducers import dear, picks
from gpupool.kernels.window import Axis, Batch, Geometry

from .cpu_loops import Extent, Loop, Place, nest
from .cpu_program import Program, Units, pack_units
from .cpu_reduction import Emit

BLOCK = LANES * MOST_TAPS
PART = BLOCK * BLOCK  # positions of a unit
# Whole planes take so little work that the processor's own requests are close behind: 2.8 ms instead of 4.3 for means
# of 7x7 planes.
SOON = AHEAD // 2
CHUNK_ELEMENTS = 1 << 15  # elements whose first lanes fill the buffer: 4096 accumulators
GROUP_ELEMENTS = 8192  # small planes are taken together
LARGE_GROUP = 1 << 18  # and those that `folding` reads, of which each unit begins anew: 15.2 instead of 14.0 GB/s
UNITS = 32  # that these are cut into at least
TILE_CHANNELS = 1024
# Where there are fewer units than these, of planes and channels that take a thread at least 20 us, each is cut. Means
# of 1x128x128x512 take two threads 1.25 ms instead of 2.4, and one as long as before.
FEW_UNITS, LARGE_PLANE, FEWEST_CHANNELS = 8, 1 << 18, 16


class Lines(NamedTuple):
    """Some positions of a plane that two loops reach: where they begin in bytes, and which number the first one has."""

    src: int
    number: int
    rows: Loop
    cols: Loop


def lines(axes: tuple[Loop, ...], first: int, n: int) -> Iterator[Lines]:
    """Positions first .. first + n - 1 of the axes, outermost first: parts of lines, and whole ones together."""
    if len(axes) == 1:
        yield Lines(first * axes[0].src, 0, Loop(1, 0, 0, 0), axes[0]._replace(n=n))
        return
    outer, rest = axes[0], axes[1:]
    inner = prod(loop.n for loop in rest)
    done = 0
    while done < n:
        row, col = divmod(first + done, inner)
        whole = (n - done) // inner if col == 0 and len(rest) == 1 else 0
        if whole:
            yield Lines(row * outer.src, done, outer._replace(n=whole), rest[0])
            done += whole * inner
            continue
        take = min(n - done, inner - col)
        for part in lines(rest, col, take):
            yield part._replace(src=part.src + row * outer.src, number=part.number + done)
        done += take


class Positions(NamedTuple):
    """The elements of planes in row-major order; `chans` of them side by side."""

    x: Place
    axes: tuple[Loop, ...]  # of a plane, outermost first; one where it is a line in memory
    planes: int
    chans: int

    def at(self, program: Program, first: int, n: int) -> tuple[Place, Extent | None]:
        """Positions first .. first + n - 1 as columns, copied into a buffer (of this extent) if they are no line."""
        if len(self.axes) == 1:
            return self.x._replace(col=self.axes[0].src).moved(col=first), None
        whole = Extent(self.planes, 1, n, self.chans)
        to = program.buffer(whole)
        for part in lines(self.axes, first, n):
            src = self.x._replace(at=self.x.at + part.src, row=part.rows.src, col=part.cols.src)
            extent = Extent(self.planes, part.rows.n, part.cols.n, self.chans)
            program.combine(src, to._replace(row=part.cols.n * to.col).moved(col=part.number), extent)
        return to, whole


def folds(axes: Sequence[Loop], step: int, chans: int, types: Types) -> bool:
    """Whether one loop does all of a chain: a plane is one stretch of memory. It has too many copies of dear seeds."""
    return chans == 1 and [axis.src for axis in axes] == [step] and not dear(types.red)


def reduce_positions(program: Program, source: Positions, first: int, n: int, emit: Emit) -> None:
    """n positions into one, whose last combination is left to `emit(source, taps, bytes between taps)`."""
    if n <= BLOCK:
        src, held = source.at(program, first, n)
        fold(program, src, Extent(source.planes, 1, n, source.chans), emit)
        if held:
            program.release(src, held)
        return
    block = block_size(n)
    blocks, tail = divmod(n, block)
    chains = chains_of(blocks)
    results = Extent(source.planes, 1, chains + (tail > 0), source.chans)
    to = program.buffer(results)
    if source.x.base == "x" and folds(source.axes, source.x.item, source.chans, program.types):
        program.fold(source.at(program, first, n)[0], to, source.planes, blocks, block // LANES)
    else:
        fold_chains(program, source, first, blocks, block, to)
    if tail:
        last = to.moved(col=chains)
        one = Extent(source.planes, 1, 1, source.chans)
        into = lambda src, taps, tap: program.combine(src, last, one, taps, tap)  # noqa: E731
        reduce_positions(program, source, first + blocks * block, tail, into)
    level = Positions(to, (Loop(results.cols, to.col, 0, 0),), source.planes, source.chans)
    reduce_positions(program, level, 0, results.cols, emit)
    program.release(to, results)


def block_size(n: int) -> int:
    """Positions of a block: as many as make few blocks and leave little over, in LANES lanes."""
    return n // (LANES * -(-n // BLOCK)) * LANES


def chains_of(blocks: int) -> int:
    """How many chains so many blocks make."""
    return -(-blocks * ROWS // CHAIN)


def fold_chains(program: Program, source: Positions, first: int, blocks: int, block: int, to: Place) -> None:
    """Chains of blocks into the columns of `to`: lanes of up to eight, then a chain's rows, then all into one."""
    planes, chans = source.planes, source.chans
    size, least = max(1, CHUNK_ELEMENTS // (block * chans * planes)), CHAIN // ROWS
    size = size // least * least or size
    for start in range(0, blocks, max(size, least)):
        n = min(max(size, least), blocks - start)
        whole = Extent(planes, n * ROWS, WIDTH, chans)
        rows = program.buffer(whole)
        for b in range(0, n, size):
            many = min(size, n - b)
            src, copied = source.at(program, first + (start + b) * block, many * block)
            lanes = Extent(planes, many, LANES, chans)
            to_lanes = rows.moved(row=b * ROWS).scaled(row=ROWS)
            program.combine(src._replace(row=block * src.col), to_lanes, lanes, block // LANES, LANES * src.col)
            if copied:
                program.release(src, copied)
        join_rows(program, rows, whole, to.moved(col=start * ROWS // CHAIN))
        program.release(rows, whole)


def join_rows(program: Program, src: Place, extent: Extent, to: Place) -> None:
    """Rows of accumulators into the columns of `to`: a chain's rows into one, then into eight, then one."""
    chains, rest = divmod(extent.rows, CHAIN)
    joined = extent._replace(rows=chains + (rest > 0))
    eight = joined._replace(cols=MOST_TAPS)
    rows, eights = program.buffer(joined), program.buffer(eight)
    if chains:
        program.combine(src.scaled(row=CHAIN), rows, joined._replace(rows=chains), CHAIN, src.row)
    if rest:
        last = src.moved(row=chains * CHAIN)
        program.combine(last, rows.moved(row=chains), joined._replace(rows=1), rest, src.row)
    program.combine(rows, eights, eight, WIDTH // MOST_TAPS, MOST_TAPS * rows.col)
    program.combine(eights, to._replace(row=to.col), joined._replace(cols=1), MOST_TAPS, eights.col)
    program.release(rows, joined)
    program.release(eights, eight)


def fold(program: Program, src: Place, extent: Extent, emit: Emit) -> None:
    """Up to a block of columns into one: first lanes in eights, for full vectors, then lanes of up to eight."""
    held: list[tuple[Place, Extent]] = []
    if extent.cols > MOST_TAPS:
        lanes = first_lanes(extent.cols)
        taps, left = divmod(extent.cols, lanes)
        extent = extent._replace(cols=lanes)
        to = program.buffer(extent)
        program.combine(src, to, extent, taps, lanes * src.col)
        if left:
            program.combine(src.moved(col=taps * lanes), to, extent._replace(cols=left), onto=True)
        held.append((to, extent))
        src = to
    while extent.cols > MOST_TAPS:
        n = extent.cols
        lanes = -(-n // MOST_TAPS)
        taps = -(-n // lanes)
        full = n - (taps - 1) * lanes  # the lanes that have all taps; the others have one less
        extent = extent._replace(cols=lanes)
        to = program.buffer(extent)
        program.combine(src, to, extent._replace(cols=full), taps, lanes * src.col)
        if full < lanes:
            rest = extent._replace(cols=lanes - full)
            program.combine(src.moved(col=full), to.moved(col=full), rest, taps - 1, lanes * src.col)
        held.append((to, extent))
        src = to
    emit(src, extent.cols, src.col)
    for to, part in held:
        program.release(to, part)


def first_lanes(n: int) -> int:
    """In how many lanes n positions are read: eights of them, such that none is left over where that can be.

    The mean of 131072 planes of 7x7 takes 2.0 ms in lanes of 8, and one element more, and 2.8 ms in lanes of 7.
    """
    least = MOST_TAPS * -(-n // MOST_TAPS**2)
    return next((lanes for lanes in range(least, n // 4 + 1, MOST_TAPS) if n % lanes == 0), least)


def is_whole(g: Geometry) -> bool:
    """Whether every window is a whole plane."""
    return all(a.out == 1 and a.before == 0 and a.d == 1 and a.k >= a.n for a in (g.d, g.h, g.w))


def positions(g: Geometry) -> int:
    """Elements of a plane and channel."""
    return g.d.n * g.h.n * g.w.n


class Whole:
    """Writes the programs of one stage."""

    def __init__(self, g: Geometry, types: Types, divisor: int) -> None:
        self.g, self.types, self.divisor = g, types, divisor
        self.zeros = picks(types.red) and types.acc.kind == "f"

    def begin(self, planes: int, chans: int) -> tuple[Program, Positions, Place]:
        """A program, this many planes and channels of x, and the place of their results."""
        g, xi, yi = self.g, self.types.x.itemsize, self.types.y.itemsize
        x = Place("x", 0, xi, g.outer2.xs * xi, 0, 0, g.inner.xs * xi)
        y = Place("y", 0, yi, g.outer2.ys * yi, 0, g.w.ys * yi, g.inner.ys * yi)
        loops = nest([Loop(a.n, a.xs * xi, a.xs * xi, 0) for a in (g.d, g.h, g.w)])
        return Program(self.types, SOON), Positions(x, tuple(loops), planes, chans), y

    def program(self, planes: int, first: int, n: int, chans: int) -> Program:
        """Positions first .. first + n - 1 of this many planes and channels."""
        program, source, y = self.begin(planes, chans)
        one = Extent(planes, 1, 1, chans)
        store = lambda src, taps, tap: program.combine(src, y, one, taps, tap, self.divisor)  # noqa: E731
        reduce_positions(program, source, first, n, store)
        if self.zeros:
            self._first_zeros(program, source, y, first, n)
        return program

    def _first_zeros(self, program: Program, source: Positions, y: Place, first: int, n: int) -> None:
        """The first of equal zeros wins, in every plane and channel: of several lines the first has the last word."""
        chans, planes = source.chans, source.planes
        for plane in range(planes if chans > 1 else 1):
            x, dst = source.x.moved(plane=plane), y.moved(plane=plane)
            if chans > 1:  # channels take the place of planes
                x, dst = x._replace(plane=x.chan), dst._replace(plane=y.chan)
            for part in reversed(list(lines(source.axes, first, n))):
                src = x._replace(at=x.at + part.src)
                program.first_zeros(src, dst, chans if chans > 1 else planes, part.rows, part.cols)


class Chains(Whole):
    """Writes the programs of a first stage that leaves the results of all chains of large planes."""

    def program(self, planes: int, first: int, n: int, chans: int) -> Program:
        """The chains of positions first .. first + n - 1, and what is left of the plane as one more."""
        program, source, y = self.begin(planes, chans)
        block = block_size(positions(self.g))
        blocks, tail = divmod(n, block)
        fold_chains(program, source, first, blocks, block, y)
        if tail:
            last, one = y.moved(col=chains_of(blocks)), Extent(planes, 1, 1, chans)
            into = lambda src, taps, tap: program.combine(src, last, one, taps, tap)  # noqa: E731
            reduce_positions(program, source, first + blocks * block, tail, into)
        if self.zeros:
            chain = block * CHAIN // ROWS
            cuts = [*range(0, blocks * block, chain), *[blocks * block] * (tail > 0), n]
            for i, (lo, hi) in enumerate(pairwise(cuts)):
                self._first_zeros(program, source, y.moved(col=i), first + lo, hi - lo)
        return program


def whole_program(
    g: Geometry, types: Types, part: int, divisor: int, make: type[Whole] = Whole
) -> tuple[np.ndarray, int]:
    """The packed programs that combine planes in parts of `part` positions, and how many units there are.

    Results of several parts lie side by side, before the channels: y's steps are those of one result.
    """
    n, chans = positions(g), g.inner.n
    stage = make(g, types, divisor)
    results = chains_of(part // block_size(n)) if make is Chains else 1
    parts, tile = -(-n // part), min(chans, TILE_CHANNELS)
    # Parts that are a line in memory differ only in where they begin.
    line = nest([Loop(a.n, a.xs, a.xs, 0) for a in (g.d, g.h, g.w)])
    group = GROUP_ELEMENTS
    if n > BLOCK and folds(line, 1, chans, types):
        group = max(group, min(LARGE_GROUP, g.outer.n * g.outer2.n * n // UNITS))
    planes = max(1, min(g.outer2.n, group // (n * chans)))
    groups, tiles = -(-g.outer2.n // planes), -(-chans // tile)
    last_planes, last_chans = g.outer2.n - (groups - 1) * planes, chans - (tiles - 1) * tile
    band = np.arange(parts) if len(line) > 1 else (np.arange(parts) == parts - 1).astype(np.int64)
    chan_kinds = (np.arange(tiles) == tiles - 1).astype(np.int64)
    programs: dict[tuple[int, int, int, int], Program] = {}
    for last in (0, 1):
        for kind in np.unique(band):
            first = int(np.flatnonzero(band == kind)[0]) * part
            size = min(part, n - first)
            for ck in np.unique(chan_kinds):
                made = stage.program(
                    last_planes if last else planes, 0 if len(line) == 1 else first, size, last_chans if ck else tile
                )
                programs[last, 0, int(kind), int(ck)] = made
    xi, yi = types.x.itemsize, types.y.itemsize
    step = next((a.xs for a in (g.w, g.h, g.d) if a.n > 1), 0)
    part_step = part * step * xi if len(line) == 1 else 0
    steps = (
        g.outer.xs * xi, g.outer.ys * yi, planes * g.outer2.xs * xi, planes * g.outer2.ys * yi, 0, 0,
        part_step, results * g.w.ys * yi, tile * g.inner.xs * xi, tile * g.inner.ys * yi,
    )  # fmt: skip
    units = Units(g.outer.n, groups, steps, np.zeros(1, np.int64), band, chan_kinds)
    return pack_units(units, programs, Program(types)), g.outer.n * groups * parts * tiles


def first_parts(g: Geometry) -> tuple[int, int, type[Whole]]:
    """A part's positions, how many results all parts leave, and what writes them: the chains' of few large planes of
    many channels, no larger than PART."""
    n, units = positions(g), g.outer.n * g.outer2.n * -(-g.inner.n // TILE_CHANNELS)
    sizes_fit = CHAIN // ROWS * BLOCK < n <= PART and g.inner.n >= FEWEST_CHANNELS and n * g.inner.n >= LARGE_PLANE
    if not sizes_fit or units >= FEW_UNITS:
        part = min(n, PART)
        return part, -(-n // part), Whole
    blocks, tail = divmod(n, block_size(n))
    each = max(1, chains_of(blocks) * units // FEW_UNITS) * (CHAIN // ROWS) * block_size(n)
    return each, chains_of(blocks) + (tail > 0), Chains


def second_stage(g: Geometry, parts: int) -> Geometry:
    """The geometry of the parts that the first stage leaves: (outer, outer2, parts, channels) without gaps."""
    chans = g.inner.n
    line = Axis(1, 1, 1, 1, 1, 0, 0, 1, 0, 0)
    w = Axis(parts, 1, parts, 1, 1, 0, 0, parts, chans, 0)
    outer2 = Batch(g.outer2.n, parts * chans, g.outer2.ys)
    outer = Batch(g.outer.n, g.outer2.n * parts * chans, g.outer.ys)
    return Geometry(outer, outer2, Batch(chans, 1, g.inner.ys), line, line, w, 1)


def first_stage(g: Geometry, parts: int) -> Geometry:
    """The geometry of the first stage: its results lie as `second_stage` reads them."""
    s = second_stage(g, parts)
    return g._replace(
        outer=g.outer._replace(ys=s.outer.xs), outer2=g.outer2._replace(ys=s.outer2.xs),
        inner=g.inner._replace(ys=1), w=g.w._replace(ys=g.inner.n),
    )  # fmt: skip


def accumulators(types: Types) -> tuple[Types, Types]:
    """The types of both stages: the first leaves accumulators, the second reads them."""
    first = types._replace(y=types.acc, y_codec=PLAIN, finisher=KEPT)
    return first, types._replace(x=types.acc, x_codec=PLAIN, seeder=KEPT)
