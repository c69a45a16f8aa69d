"""How long a tiling of the `large` kernel takes: what a block holds in shared memory, does and waits for."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from gpupool.backends.cuda_groups import WARP, whole
from gpupool.kernels.cuda.memory import SIMULATED
from gpupool.kernels.window import Axis, Geometry, extent

# What a thread executes, in instructions at sm_90: for a vector's load and each element in it, a run, each tap that it
# reads and each window that it leaves, an output's store; on the way to a block's first load, and each time that rows
# are loaded. A sum in two parts takes more for each tap.
LOAD, ELEMENT, START, TAP, WINDOW, STORE, BLOCK_START, CHUNK_START = 30, 8, 15, 3.6, 4, 4, 100, 20
TWO_PARTS = 2.7
# Cycles: from one instruction of a thread to its next, of a load, of a barrier. All were fitted, from what the machine
# code of float32 maxima has on, to 341 tilings of ten calls on an H100 (2026-11-26): what they took was met within
# 11 % (one standard deviation), and the tiling that this chooses took 7 % longer than the best of each call's 35.
STEP, LOAD_WAIT, BARRIER = 4.2, 610, 10
MULTIPROCESSORS, ISSUED = 1 if SIMULATED else 132, 4  # instructions in a cycle, of as many warps
ALL_SHARED, BLOCK_SHARED = 228 << 10, 1024  # bytes of a multiprocessor, and those that a block takes for itself
MOST_WARPS, MOST_BLOCKS, REGISTERS = 64, 1 if SIMULATED else 32, 1 << 16
AT_ONCE = 32  # elements that a thread has on their way, at most


class Runs(NamedTuple):
    """How an axis is computed: `windows` by a thread, from one to the next `apart` outputs and `shift` taps."""

    windows: int
    apart: int
    shift: int


class Tiling(NamedTuple):
    """A tile of th x tw outputs of `lanes` channels, and how a block computes it."""

    th: int
    tw: int
    lanes: int
    h: Runs
    w: Runs
    vector: int
    lead: int  # columns loaded before the first one
    chunk: int = 1  # rows loaded at a time
    block: int = 128  # threads


def needed(outputs: int, a: Axis) -> int:
    """Positions that so many windows need."""
    return (outputs - 1) * a.s + extent(a.k, a.d)


def inside(t: Tiling, g: Geometry) -> int:
    """Rows of a tile that are loaded: those outside the input are not."""
    return min(needed(t.th, g.h), g.h.n)


def pitch(t: Tiling, w: Axis) -> int:
    """Cells from a loaded row to the next: an odd number of pixels, with room for whole vectors."""
    n = needed(t.tw, w) + t.lead
    return (n // 2 * 2 + 1) * t.lanes if t.lanes > 1 else whole(n, t.vector) // 2 * 2 + 1


def width(t: Tiling) -> int:
    """Cells from a reduced row to the next: an odd number of pixels, too."""
    return (t.tw // 2 * 2 + 1) * t.lanes


def cells(t: Tiling, g: Geometry) -> tuple[int, int]:
    """Taps and accumulators in shared memory: loaded rows; their results, and those of the planes before."""
    return pitch(t, g.w) * t.chunk, (needed(t.th, g.h) + (t.th if g.d.k > 1 else 0)) * width(t)


def shared_bytes(t: Tiling, g: Geometry, sizes: tuple[int, int]) -> int:
    """What they take, of so many bytes each."""
    taps, accumulators = cells(t, g)
    return taps * sizes[0] + accumulators * sizes[1]


def tiles(t: Tiling, g: Geometry) -> int:
    """Blocks."""
    outer = g.outer.n * g.outer2.n * g.d.out * -(-g.inner.n // t.lanes)
    return outer * -(-g.h.out // t.th) * -(-g.w.out // t.tw)


def groups(t: Tiling, g: Geometry) -> int:
    """Rows that a block loads side by side."""
    return max(1, t.block // (pitch(t, g.w) // t.vector))


def times_loaded(t: Tiling, g: Geometry) -> int:
    """How often a block loads rows of a plane."""
    return -(-inside(t, g) // t.chunk)


def loads(t: Tiling, g: Geometry) -> int:
    """Vectors that a thread loads each time, at most."""
    return -(-t.chunk // groups(t, g)) * -(-(pitch(t, g.w) // t.vector) // t.block)


def at_once(t: Tiling, g: Geometry) -> int:
    """Vectors that a thread has on their way."""
    return max(1, min(-(-t.chunk // groups(t, g)), AT_ONCE // t.vector, 4))


def tap_work(parts: int) -> float:
    """Instructions for a tap."""
    return TAP if parts == 1 else TAP * TWO_PARTS


def run_work(r: Runs, k: int, parts: int) -> float:
    """Instructions for a run of windows of k taps."""
    return START + tap_work(parts) * (k + (r.windows - 1) * r.shift) + WINDOW * r.windows


def thread_work(t: Tiling, g: Geometry, parts: int) -> float:
    """Instructions of a thread for a tile, or of one that waits for another."""
    across = -(-t.chunk * t.lanes * (t.tw // t.w.windows) // t.block) * run_work(t.w, g.w.k, parts)
    down = -(-t.tw * t.lanes * (t.th // t.h.windows) // t.block)
    plane = times_loaded(t, g) * (loads(t, g) * (LOAD + ELEMENT * t.vector) + across + CHUNK_START)
    plane += down * run_work(t.h, g.h.k, parts)
    return plane * g.d.k + down * t.h.windows * STORE + BLOCK_START


def cycles(t: Tiling, g: Geometry, parts: int, sizes: tuple[int, int]) -> float:
    """Cycles for the whole grid.

    A thread's instructions wait for each other, and all threads of a block for its loads: few blocks on a
    multiprocessor take as long as one alone, many as long as it takes to issue what they execute.
    """
    steps, warps, blocks = thread_work(t, g, parts), max(1, t.block // WARP), tiles(t, g) / MULTIPROCESSORS
    fitting = ALL_SHARED // (shared_bytes(t, g, sizes) + BLOCK_SHARED)
    held = 32 + 2 * max(t.h.windows, t.w.windows) * parts
    resident = min(fitting, MOST_BLOCKS, MOST_WARPS // warps, REGISTERS // (held * t.block), math.ceil(blocks))
    waits = -(-loads(t, g) // at_once(t, g)) * LOAD_WAIT + 2 * BARRIER
    alone = steps * STEP + times_loaded(t, g) * g.d.k * waits + LOAD_WAIT
    issue = steps * warps * resident / ISSUED
    wave = max(alone, issue + 0.3 * min(alone, issue))
    return max(1.0, blocks / max(1, resident)) * wave


def work_of(g: Geometry, constants: dict[str, Any]) -> float:
    """Instructions of a thread of a launch that was chosen."""
    c = constants
    h, w = (Runs(c[f"RUN_{axis}"], c[f"APART_{axis}"], c[f"SHIFT_{axis}"]) for axis in "HW")
    t = Tiling(c["TH"], c["TW"], c["LANES"], h, w, c["VECTOR"], c["LEAD"], c["CHUNK"], c["BLOCK"])
    return thread_work(t, g, c["PARTS"])
