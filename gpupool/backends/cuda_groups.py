"""Whole planes: which threads reduce one together, and which planes share a block. Integers only."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from gpupool.backends.cuda_tiles import WIDEST, bytes_of, regroups, steps, widest
from gpupool.kernels.cuda.memory import SIMULATED
from gpupool.kernels.window import Geometry

BLOCK = 256  # threads
WARP = 32
# Whole planes are cut where fewer blocks than BLOCKS would run (8 for each of an H200's 132 multiprocessors), into
# parts of PART elements at least: their results are loaded once more.
BLOCKS, PART = (4, 64) if SIMULATED else (1056, 1 << 14)
# Loads of a thread that are all on their way at once, and threads of a plane at most: 16384 planes of 56x56 float32
# took 73 us on an H100 with 32 threads that loop, 69 with 112 that load 7 vectors each.
ROUNDS, MOST_SLOTS = (8, 7, 6, 5, 4), 512
LINE = 128  # bytes of the cache that are loaded together
BUSY = 1 << 18  # threads that keep an H200 busy, twice what it holds at a time
SUMS = 32  # bytes of accumulators that a thread keeps beside what it loads


class Group(NamedTuple):
    """The threads of a block that reduces planes: `slots` for each of `units` results, or vectors of `channels`."""

    slots: int
    units: int
    vector: int
    wide: bool  # vectors are loaded at once
    channels: int = 0  # with channels last: those of one thread, the units along the lanes
    eight: bool = False  # eight loads of a thread are on their way at once
    rounds: int = 0  # loads of each thread where all have as many, and few


def team_of(op: Any, g: Geometry, places: Any, types: tuple[Any, ...]) -> tuple[Group, int]:
    """The threads that reduce a plane, and how many of its elements they reduce together: all, or a part."""
    taps, units, item = g.d.n * g.h.n * g.w.n, g.outer.n * g.outer2.n * g.inner.n, op.x_dtype.itemsize
    lanes = lanes_of(g)
    channels = channels_of(op, g, places, types) if lanes else 0
    lanes, units = lanes // (channels or 1), units // (channels or 1)
    vector = wide = 1
    if g.d.n * g.h.n == 1 and g.w.xs == 1:
        wide = widest(places.x, item, taps, steps(g, "xs", "outer", "outer2", "inner"))
    free = regroups(op, types)
    while vector * 2 * item <= 16 and (vector * 2 <= wide or not free) and taps % (vector * 2) == 0:
        vector *= 2
    if free:
        slots, per_block = lanes_group(taps, units, lanes, channels * item) if lanes else planes_of(taps, vector, units)
        size = part_size(taps, -(-units // per_block), slots * vector)
    else:  # by the plane's size alone, so that no memory layout changes a bit
        slots = 8 if SIMULATED else 32 if taps <= 2048 else 256
        per_block = min(lanes or BLOCK // slots, 2 * BLOCK // slots, 2 if SIMULATED else WARP)
        size = taps if taps < 2 * PART else whole(PART, slots * vector)
    rounds = even_rounds(taps // vector) if free and vector <= wide and not lanes and size == taps else 0
    if rounds:
        slots = taps // vector // rounds
        return Group(slots, 2 if SIMULATED else max(1, BLOCK // slots), vector, vector > 1, rounds=rounds), taps
    eight = not SIMULATED and size > 8 * slots * vector and vector * len(types) <= 8
    return Group(slots, per_block, vector, vector > 1 and vector <= wide, channels, eight), size


def even_rounds(vectors: int) -> int:
    """Loads of each thread where all have as many, few enough to be on their way at once, and whole lines; else 0."""
    if SIMULATED:
        return 2 if vectors % 2 == 0 and 16 <= vectors <= 24 else 0
    fitting = (n for n in ROUNDS if vectors % (8 * n) == 0 and MOST_SLOTS >= vectors // n > WARP)
    return next(fitting, 0)


def lanes_of(g: Geometry) -> int:
    """Neighbouring channels of a pixel, 0 where pixels or nothing are neighbours in memory."""
    return g.inner.n if g.inner.n > 1 and abs(g.w.xs) != 1 else 0


def channels_of(op: Any, g: Geometry, places: Any, types: tuple[Any, ...]) -> int:
    """Channels that one thread loads at once."""
    item, held = op.x_dtype.itemsize, bytes_of(types)
    if g.inner.xs != 1:
        return 1
    most = max(1, min(g.inner.n, SUMS // held, WIDEST // max(item, 2)))
    return math.gcd(widest(places.x, item, most, steps(g, "xs", "outer", "outer2", "d", "h", "w")), g.inner.n)


def lanes_group(taps: int, units: int, lanes: int, width: int) -> tuple[int, int]:
    """Threads for one vector of outputs, a power of two, and vectors of one block.

    Of all `units` vectors, which are `width` bytes wide, `lanes` are neighbours in memory.
    """
    line = min(WARP, LINE // width)
    if SIMULATED:
        return 4, min(lanes, 4)
    if lanes <= line:  # one pixel's channels after another, without gaps
        per_block, slots = lanes, power(BLOCK // lanes)
    else:
        most = BLOCK // line if units >= 256 * line else 2 * BLOCK // line  # few outputs get more threads each
        slots = min(most, power(max(1, BUSY // units)))
        per_block = max(line, min(power(lanes), 32, BLOCK // slots))
    return max(2, min(slots, power(taps // 4))), per_block


def power(n: int) -> int:
    """The largest power of two up to n."""
    return 1 << (n.bit_length() - 1)


def planes_of(taps: int, vector: int, units: int) -> tuple[int, int]:
    """Threads for one output, a power of two, and outputs of one block, where planes lie one after another."""
    if SIMULATED:
        return (8, 2) if taps < 32 * vector else (16, 1)
    if taps <= 1024 * vector:
        return 32, 8
    # Few planes that are too small for parts: a block is all that a plane gets, so it is as large as a block may be.
    return (1024, 1) if units <= 512 and 8192 * vector <= taps < 2 * PART else (256, 1)


def part_size(taps: int, blocks: int, unit: int) -> int:
    """Elements of a plane that one group of threads reduces: all, or a multiple of `unit` where blocks are few.

    Then there are several times as many of them as run at once: the last ones keep no multiprocessor waiting for long.
    """
    parts = min(taps // PART, -(-4 * BLOCKS // blocks)) if blocks < BLOCKS else 1
    return taps if parts < 2 else whole(-(-taps // parts), unit)


def whole(n: int, unit: int) -> int:
    """n rounded up to a multiple."""
    return -(-n // unit) * unit
