"""Which tile a block of the `large` kernel computes, and whether another kernel beats it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from gpupool.backends.cuda_groups import WARP, whole
from gpupool.backends.cuda_large_time import (
    Runs,
    Tiling,
    at_once,
    cells,
    cycles,
    groups,
    inside,
    needed,
    pitch,
    run_work,
    shared_bytes,
    tap_work,
    thread_work,
    tiles,
    width,
)
from gpupool.backends.cuda_tiles import bytes_of, decoded, rearranged, regroups, steps, uniform_divisor, widest
from gpupool.kernels.cuda.large import large
from gpupool.kernels.cuda.memory import SIMULATED
from gpupool.kernels.cuda.operators import accumulator, as_parts
from gpupool.kernels.cuda.walk import Walk, cut
from gpupool.kernels.reducers import dear, neutral
from gpupool.kernels.window import Axis, Geometry

THREADS = (8,) if SIMULATED else (64, 128, 256)  # of a block
# Outputs of a tile along an axis, about; the small ones where the others do not fit.
SIDES = (1, 2, 4, 8) if SIMULATED else (8, 16, 24, 32, 48, 64, 96, 128)
SMALL = (1,) if SIMULATED else (1, 2, 4, 8)
EVEN = 256  # outputs of an axis up to which tiles are fitted to it: images of all sizes share a few kernels
CHUNK = 4 if SIMULATED else 64  # input rows loaded at a time, at most
RUNS = (1, 2, 4, 8) if SIMULATED else (1, 2, 4, 5, 8, 10, 16)  # windows that a thread computes one after another
LONGEST = 16  # taps that the last window of a run begins after the first, at most
LENGTH = 0.22  # taps that each window of a run costs by making it longer
MOST_SHARED = (48 << 10) - 16  # bytes that a block gets without asking, but for what aligns its arrays
REFINED = 8  # tiles that are looked at more closely
SECTOR = 32  # bytes: what a channels-last tile takes of each pixel at least

# Instructions of the point kernel at sm_90: of an output, of each row of its window, of each tap. A tile's threads wait
# for each other at barriers: it takes about twice as long for as many.
POINT, POINT_ROW, POINT_TAP = 130, 30, 13
LEAST_THREADS = 1 << 16  # fewer leave multiprocessors idle
WAITING = 2


class Job(NamedTuple):
    """What tilings are looked for: the geometry, the parts of an accumulator, bytes of a loaded tap and of one."""

    g: Geometry
    parts: int
    sizes: tuple[int, int]
    lanes: int
    most: int  # elements of one load
    longest: int  # windows of a run: more than one if taps may be combined in any grouping


def best_run(a: Axis, job: Job) -> Runs:
    """The run of an axis for which threads execute least: all of its windows share a tap.

    A longer run makes fewer threads busy and leaves fewer sizes of tiles: that counts as so many taps for each of its
    windows. Only the window and the number of outputs decide, so that sums are grouped alike for every memory layout.
    """
    common = math.gcd(a.s, a.d)
    apart, shift = a.d // common, a.s // common

    def cost(r: int) -> float:
        outputs = whole(a.out, r * apart) / a.out if r > 1 and a.out <= EVEN else 1
        return outputs * run_work(Runs(r, apart, shift), a.k, job.parts) / r + LENGTH * tap_work(job.parts) * r

    windows = min((r for r in RUNS if r <= job.longest and (r - 1) * shift < min(a.k, LONGEST + 1)), key=cost)
    return Runs(windows, apart, shift) if windows > 1 else Runs(1, 1, 1)


def longest_run(op: Any, types: tuple[Any, ...]) -> int:
    """Windows of a run at most. What takes many instructions to combine is not written out as often.

    Users' reducers may, norms of any power do: with more of these, runs went to local memory on some GPUs.
    """
    if not regroups(op, types):
        return 1
    if hasattr(op.red, "parts") or dear(op.red):
        return 4
    wide = bytes_of(types) > 8
    return RUNS[-1] if not wide else 2 if all(np.dtype(t).kind == "f" for t in types) else 8


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


def sides(out: int, r: Runs, about: tuple[int, ...]) -> list[int]:
    """Lengths of a tile along an axis of so many outputs: whole runs, and tiles of nearly equal lengths."""
    unit = r.windows * r.apart
    return sorted({whole(side if out > EVEN else -(-out // -(-out // side)), unit) for side in about})


def times(t: Tiling, g: Geometry, sizes: tuple[int, int]) -> Iterator[Tiling]:
    """The tile with its rows loaded in as few steps as fit into shared memory, in twice as many, and in four times."""
    rows, one = inside(t, g), shared_bytes(t._replace(chunk=1), g, sizes)
    row = shared_bytes(t._replace(chunk=2), g, sizes) - one
    most = min(CHUNK, (MOST_SHARED - one) // row + 1)  # rows at a time
    n = -(-rows // most) if most > 0 else 0
    for chunk in dict.fromkeys(-(-rows // (n * more)) for more in (1, 2, 4) if n):
        yield t._replace(chunk=chunk)


def tilings(job: Job, about: tuple[int, ...]) -> Iterator[Tiling]:
    """Every shape of a tile that fits, loaded in as few steps as possible."""
    g, h, w = job.g, best_run(job.g.h, job), best_run(job.g.w, job)
    for tw, th in itertools.product(sides(g.w.out, w, about), sides(g.h.out, h, about)):
        vector = math.gcd(job.most, tw * g.w.s) if job.lanes == 1 and tw < g.w.out else job.most
        tile = Tiling(th, tw, job.lanes, h, w, vector, -g.w.before % vector if job.lanes == 1 else 0)
        yield from itertools.islice(times(tile._replace(block=THREADS[-1] // 2), g, job.sizes), 1)


def best_tiling(job: Job) -> Tiling | None:
    """The tiling that takes the least time; None where none fits."""

    def time(t: Tiling) -> float:
        return cycles(t, job.g, job.parts, job.sizes)

    shapes = sorted(tilings(job, SIDES), key=time)[:REFINED] or sorted(tilings(job, SMALL), key=time)[:REFINED]
    refined = (t._replace(block=n) for shape in shapes for t in times(shape, job.g, job.sizes) for n in THREADS)
    return min(refined, key=time, default=None)


def point_work(g: Geometry, item: int) -> int:
    """Instructions of the point kernel for a grid.

    Four are started in the time in which a load looks up one line of 128 bytes; neighbours' windows lie in several.
    """
    outputs = g.outer.n * g.outer2.n * g.inner.n * g.d.out * g.h.out * g.w.out
    lines = min(WARP, abs(g.w.s * g.w.xs) * item * WARP // 128) if g.inner.n == 1 else 1
    row = POINT_ROW + max(POINT_TAP, 4 * lines) * g.w.k
    return max(outputs, 1 if SIMULATED else LEAST_THREADS) * (POINT + g.d.k * g.h.k * row)


def element_of(op: Any, sample: Any, absent: Any) -> Any:
    """The element that is as good as none: its accumulator is the neutral one. None where there is no such element.

    A user's neutral accumulator need not be one of an element: its seed may be undefined there.
    """
    if dear(op.red) or hasattr(op.red, "parts"):
        return None
    with np.errstate(all="ignore"):
        element = sample.dtype.type(as_parts(absent)[0])
        made = type(op.red).seed(op.red, element, 0)
    alike = [
        np.asarray(a).tobytes() == np.asarray(b).tobytes()
        for a, b in zip(as_parts(made), as_parts(absent), strict=True)
    ]
    return element if all(alike) else None


def preferred(op: Any, g: Geometry) -> bool:
    """Whether overlapping windows take less time here than with the kernels for constant windows, where these fit.

    Measured on an H100 for maxima, means and sums of float32 and float16 with both memory layouts: with steps of 1 from
    6x6 on (sums in two parts from 5x5 on) mostly 1.1 to 6 times as fast, with steps of 2 from 7x7 on 1.1 to 2 times
    (float32). The memory layout does not enter: sums are grouped otherwise here than there.
    """
    g, types = rearranged(g), accumulator(op.red, decoded(op), np.int32)
    if g.d.k > 1 or g.h.d * g.w.d > 1 or longest_run(op, types) < RUNS[-1]:
        return False
    k, step = min(g.h.k, g.w.k), max(g.h.s, g.w.s)
    if step == 1:
        return k >= (5 if len(types) == 2 else 6)
    return step == 2 and k >= 7 and op.x_dtype.itemsize >= 4


def choose_large(op: Any, g: Geometry, places: Any, *, always: bool) -> tuple[Geometry, Tiling, tuple, str] | None:
    """The geometry as the kernel takes it, its tiling, constants and label; None where it cannot.

    Unless it is `always` to be taken, also where the point kernel does less.
    """
    sample = decoded(op)
    neutral_acc = neutral(op.red, sample.dtype)
    if neutral_acc is None:
        return None
    types = accumulator(op.red, sample, np.int32)
    if len(types) > 2:
        return None
    element = element_of(op, sample, neutral_acc)
    taps = types if element is None else (sample.dtype.type,)
    g, t = rearranged(g), None
    lanes, sizes = 2 * lanes_of(op, g), (bytes_of(taps), bytes_of(types))
    while t is None and lanes > 1:  # fewer channels where no tile of so many fits
        lanes //= 2
        t = best_tiling(Job(g, len(types), sizes, lanes, vector_of(op, g, places, lanes), longest_run(op, types)))
    if t is None:
        return None
    if not always and tile_work(t, g, len(types)) * WAITING >= point_work(g, op.x_dtype.itemsize):
        return None
    held, kept = cells(t, g)
    constants = (
        *constants_of(t, g), ("NEUTRAL", neutral_acc), ("ABSENT", neutral_acc if element is None else element),
        ("DIVISOR", uniform_divisor(g)), ("REGROUPED", regroups(op, types)), ("PARTS", len(types)),
        ("ACC0", types[0]), ("ACC1", types[-1]),
        ("CELLS", kept), ("CELLS1", kept if len(types) == 2 else 1), ("ELEMENTS", element is not None),
        ("LOADED0", taps[0]), ("LOADED1", taps[-1]), ("TAPS", held), ("TAPS1", held if len(taps) == 2 else 1),
    )  # fmt: skip
    label = f"k{g.h.k}x{g.w.k}_t{t.th}x{t.tw}_r{t.h.windows}x{t.w.windows}_v{t.vector}"
    label += ("_last" if t.lanes > 1 else "") + ("_deep" if g.d.k > 1 else "")
    return g, t, constants, label


def tile_work(t: Tiling, g: Geometry, parts: int) -> float:
    """Instructions of all threads."""
    return max(t.block * tiles(t, g), 1 if SIMULATED else LEAST_THREADS) * thread_work(t, g, parts)


def constants_of(t: Tiling, g: Geometry) -> tuple[tuple[str, Any], ...]:
    """What the kernel is bound to of the tiling."""
    several = at_once(t, g)
    axes = (("H", g.h, t.h), ("W", g.w, t.w))
    return (
        *((name + axis, getattr(a, name.lower())) for axis, a, _ in axes for name in "KSD"),
        *((f"{name}_{axis}", n) for axis, _, r in axes for name, n in zip(("RUN", "APART", "SHIFT"), r, strict=True)),
        ("RUN", max(t.h.windows, t.w.windows)), ("TH", t.th), ("TW", t.tw), ("LANES", t.lanes),
        ("ROWS", needed(t.th, g.h)), ("PITCH", pitch(t, g.w)), ("WIDTH", width(t)), ("LEAD", t.lead),
        ("CHUNK", t.chunk), ("VECTOR", t.vector), ("BLOCK", t.block), ("DEPTH", g.d.k > 1),
        ("GROUPS", groups(t, g)), ("AT_ONCE", several), ("LOADED", several * t.vector),
        ("MANY_H", t.th < g.h.out), ("MANY_W", t.tw < g.w.out),
    )  # fmt: skip


def walk_of(g: Geometry, t: Tiling) -> Walk:
    """How the blocks count through the tiles."""
    return Walk(
        cut(-(-g.inner.n // t.lanes)), cut(-(-g.w.out // t.tw)), cut(-(-g.h.out // t.th)), cut(g.d.out), cut(g.outer2.n)
    )


__all__ = ["Tiling", "choose_large", "large", "tiles", "walk_of"]
