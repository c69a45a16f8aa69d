"""Which tile a block of the `large` kernel computes, and whether it beats the point kernel. Integers only."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from gpupool.backends.cuda_groups import WARP
from gpupool.backends.cuda_tiles import decoded, rearranged, regroups, steps, widest
from gpupool.kernels.cuda.large import large
from gpupool.kernels.cuda.memory import SIMULATED
from gpupool.kernels.cuda.operators import accumulator
from gpupool.kernels.cuda.walk import Walk, cut
from gpupool.kernels.reducers import neutral
from gpupool.kernels.window import Axis, Geometry, extent

BLOCK = 8 if SIMULATED else 128
SIDES = (1, 2, 4, 8) if SIMULATED else (1, 2, 4, 8, 16, 32, 64, 128)  # outputs of a tile along an axis
CHUNKS = (2, 4) if SIMULATED else (4, 8, 16, 32)  # input rows loaded at a time: divisors of BLOCK
# A block gets 48 KiB of shared memory without asking, a multiprocessor of an H200 has 228: more blocks fit with less.
SHARED_BYTES = (6144, 12288, 24576, 49152)
BLOCKS = 1 if SIMULATED else 512  # fewer blocks than this leave multiprocessors idle
SECTOR = 32  # bytes: what a channels-last tile takes of each pixel at least

# Instructions at sm_90, counted in the machine code of float32 maxima: of a vector's load and of each element in it, of
# running results in both directions for an element, of joining two of them, of a tap that is combined by itself, and
# of an output's store; of the way to a block's first load, and of each chunk's, for each thread. An accumulator in two
# parts takes about twice the arithmetic. The point kernel: of an output, of each row of its window, of each tap.
LOAD, ELEMENT, RUN, JOIN, TAP, STORE, BLOCK_START, CHUNK_START = 32, 2, 17, 23, 9, 20, 300, 100
POINT, POINT_ROW, POINT_TAP = 130, 30, 13


class Tiling(NamedTuple):
    """A tile of th x tw outputs of `lanes` channels, and what it takes."""

    th: int
    tw: int
    lanes: int
    chunk: int
    vector: int
    cells: int  # accumulators in shared memory
    slide_h: bool
    slide_w: bool


def slides(a: Axis, regroup: bool) -> bool:
    """Whether running results, which regroup the taps, cost less along an axis than combining each window's own."""
    return regroup and TAP * a.k > RUN * a.s


def needed(outputs: int, a: Axis, slide: bool) -> int:
    """Positions that so many windows need, as in the kernel."""
    return (outputs - 1) * a.s + (extent(a.k + 1, a.d) if slide else extent(a.k, a.d))


def pitch(t: Tiling, w: Axis, lead: int) -> int:
    """Cells of a loaded row, as in the kernel."""
    n = (needed(t.tw, w, t.slide_w) + lead) * t.lanes
    return -(-n // t.vector) * t.vector // 2 * 2 + 1


def cells(t: Tiling, g: Geometry, lead: int) -> int:
    """Cells of shared memory: loaded rows with their running results, then the tile's columns; as in the kernel."""
    columns = needed(t.th, g.h, t.slide_h) * t.tw * t.lanes
    loaded = pitch(t, g.w, lead) * t.chunk * (2 if t.slide_w else 1)
    planes = t.th * t.tw * t.lanes if g.d.k > 1 else 0
    return max(loaded, columns if t.slide_h else 0) + columns + planes


def whole(n: int, unit: int) -> int:
    """n rounded up to a multiple."""
    return -(-n // unit) * unit


def running(cells: int, segments: int, a: Axis) -> int:
    """Instructions for running results, where threads without a segment wait for the others."""
    return max(cells, whole(segments, BLOCK // 2) * min(a.k, cells)) * RUN


def work(t: Tiling, g: Geometry, lead: int, parts: int) -> int:
    """Instructions of a tile: what all its threads execute together."""
    rows, width, row = needed(t.th, g.h, t.slide_h), t.tw * t.lanes, pitch(t, g.w, lead)
    load = t.chunk * (row // t.vector) * (LOAD + ELEMENT * t.vector) + CHUNK_START * BLOCK
    if t.slide_w:
        segments = -(-row // (g.w.k * g.w.d * t.lanes)) * g.w.d * t.lanes
        across = running(t.chunk * row, t.chunk * segments, g.w) + t.chunk * width * JOIN
    else:
        across = t.chunk * width * (JOIN + TAP * g.w.k)
    if t.slide_h:
        segments = -(-rows // (g.h.k * g.h.d)) * g.h.d * width
        down = running(rows * width, segments, g.h) + t.th * width * JOIN
    else:
        down = t.th * width * (JOIN + TAP * g.h.k)
    plane = -(-rows // t.chunk) * (load + across * parts) + down * parts
    return plane * g.d.k + t.th * width * STORE + BLOCK_START * BLOCK


def work_of(g: Geometry, walk: Walk, constants: dict[str, Any]) -> int:
    """Instructions of a tile of a launch that was chosen."""
    sides = (walk.h.size, walk.w.size, walk.c.size)
    t = Tiling(
        *sides, constants["CHUNK"], constants["VECTOR"], constants["CELLS"], constants["SLIDE_H"], constants["SLIDE_W"]
    )
    return work(t, g, -g.w.before % t.vector if t.lanes == 1 else 0, constants["PARTS"])


def tiles(t: Tiling, g: Geometry) -> int:
    """Blocks."""
    outer = g.outer.n * g.outer2.n * g.d.out * -(-g.inner.n // t.lanes)
    return outer * -(-g.h.out // t.th) * -(-g.w.out // t.tw)


def lanes_of(op: Any, g: Geometry) -> int:
    """Channels of a tile: so many that whole sectors are loaded."""
    if g.inner.n == 1 or g.inner.xs != 1:
        return 1
    return min(g.inner.n, SECTOR // op.x_dtype.itemsize)


def vector_of(op: Any, g: Geometry, places: Any, lanes: int) -> int:
    """Elements of one load along a row, or along the channels; a vector lies inside the row or outside it."""
    item, names = op.x_dtype.itemsize, ("outer", "outer2", "d", "h")
    if lanes > 1:
        return math.gcd(widest(places.x, item, lanes, steps(g, "xs", *names, "w")), lanes, g.inner.n)
    if g.w.xs != 1:
        return 1
    return math.gcd(widest(places.x, item, g.w.n, steps(g, "xs", *names, "inner")), g.w.n)


def sides(out: int) -> list[int]:
    """Lengths of a tile along an axis of so many outputs."""
    return [*(side for side in SIDES if side < out), *([out] if out <= SIDES[-1] else [])]


def tilings(op: Any, g: Geometry, places: Any, types: tuple[Any, ...]) -> list[tuple[int, Tiling, int]]:
    """Every tiling that fits: (work of the whole grid, the tiling, bytes of shared memory)."""
    lanes, size = lanes_of(op, g), sum(np.dtype(t).itemsize for t in types)
    most, regroup = vector_of(op, g, places, lanes), regroups(op, types)
    found = []
    for tw in sides(g.w.out):
        vector = math.gcd(most, tw * g.w.s) if lanes == 1 and tw < g.w.out else most
        lead = -g.w.before % vector if lanes == 1 else 0
        for th in sides(g.h.out):
            for chunk in CHUNKS:
                t = Tiling(th, tw, lanes, chunk, vector, 0, slides(g.h, regroup), slides(g.w, regroup))
                n = cells(t, g, lead)
                fitting = [b for b in SHARED_BYTES if b >= n * size]
                if fitting:
                    t = t._replace(cells=fitting[0] // size)
                    found.append((work(t, g, lead, len(types)) * max(tiles(t, g), BLOCKS), t, fitting[0]))
    return found


def point_work(g: Geometry, item: int) -> int:
    """Instructions of the point kernel for a grid.

    Four are started in the time in which a load looks up one line of 128 bytes; neighbours' windows lie in several.
    """
    outputs = g.outer.n * g.outer2.n * g.inner.n * g.d.out * g.h.out * g.w.out
    lines = min(WARP, abs(g.w.s * g.w.xs) * item * WARP // 128) if g.inner.n == 1 else 1
    row = POINT_ROW + max(POINT_TAP, 4 * lines) * g.w.k
    return max(outputs, BLOCKS * BLOCK) * (POINT + g.d.k * g.h.k * row)


def choose_large(op: Any, g: Geometry, places: Any) -> tuple[Geometry, Tiling, tuple, str] | None:
    """The geometry as the kernel takes it, its tiling, constants and label; None where the point kernel does less."""
    sample = decoded(op)
    absent = neutral(op.red, sample.dtype)
    if absent is None:
        return None
    types = accumulator(op.red, sample, np.int32)
    g = rearranged(g)
    found = tilings(op, g, places, types)
    if not found:
        return None
    least, t, shared = min(found, key=lambda one: (one[0] * (3 if one[2] > 24576 else 2), one[2]))
    if least >= point_work(g, op.x_dtype.itemsize):
        return None
    constants = (
        ("BLOCK", BLOCK), ("CHUNK", t.chunk), ("VECTOR", t.vector), ("LOADED", 2 * t.vector), ("LANES", t.lanes > 1),
        ("CELLS", t.cells), ("CELLS1", t.cells if len(types) == 2 else 1), ("DEPTH", g.d.k > 1),
        ("SLIDE_W", t.slide_w), ("SLIDE_H", t.slide_h), ("NEUTRAL", absent),
        ("ACC0", types[0]), ("ACC1", types[-1]), ("PARTS", len(types)),
    )  # fmt: skip
    words = ["slide" if t.slide_h and t.slide_w else "slide_w" if t.slide_w else "slide_h" if t.slide_h else "direct"]
    words += [f"r{t.chunk}", f"v{t.vector}", *(["last"] if t.lanes > 1 else []), *(["deep"] if g.d.k > 1 else [])]
    label = "_".join([*words, f"{shared >> 10}k"])
    return g, t, constants, label


def walk_of(g: Geometry, t: Tiling) -> Walk:
    """How the blocks count through the tiles."""
    return Walk(
        cut(-(-g.inner.n // t.lanes), t.lanes), cut(-(-g.w.out // t.tw), t.tw), cut(-(-g.h.out // t.th), t.th),
        cut(g.d.out), cut(g.outer2.n),
    )  # fmt: skip


__all__ = ["BLOCK", "Tiling", "choose_large", "large", "tiles", "walk_of"]
