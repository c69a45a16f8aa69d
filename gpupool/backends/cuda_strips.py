"""Gradients where windows overlap, on the GPU: which strip of elements each thread computes, and what it moves at once.

| kernels | when |
| --- | --- |
| strip_* | small constant windows |
| strip_shared, strip_picked | windows that share an axis |
| gather_* | everything else: one thread for each element |

Integers only.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from gpupool.backends.cuda_jobs import Fitted, Grid, Place, Stage, plain
from gpupool.backends.cuda_tiles import LARGEST_WINDOW, WIDEST, widest
from gpupool.kernels.cuda import gather, known, offsets, strip, strip_adaptive, strip_norms
from gpupool.kernels.cuda.memory import SIMULATED
from gpupool.kernels.cuda.walk import Cut, Walk, cut
from gpupool.kernels.gradient import adaptive_windows_of
from gpupool.kernels.window import Adaptive, Axis, Batch, Geometry, Sliding

TILE, LARGEST_TILE = 16, 32  # elements of a thread: where it can choose, and at most
UNITS = 1 if SIMULATED else 132 * 1024  # threads with which an H200's multiprocessors are half full
LARGEST_LOADED = 24  # windows of a row, times channels, that a thread has in registers
MOST_ROWS = 8  # of windows that are written out

# For each engine of `gather` the one for strips, and what the vectors of its arrays are called; for some the one for
# windows that share an axis.
STRIPS: dict[Any, tuple[Any, tuple[str, ...]]] = {
    gather.gather_sums: (strip.strip_sums, ("VECTOR", "STORE")),
    gather.gather_chosen: (strip.strip_chosen, ("VECTOR", "BESIDE", "STORE")),
    gather.gather_powers: (strip_norms.strip_powers, ("VECTOR", "BESIDE", "VALUES", "STORE")),
    offsets.gather_taken: (strip.strip_chosen, ("VECTOR", "BESIDE", "STORE")),
    known.gather_known: (strip.strip_known, ("VECTOR", "VALUES", "STORE")),
}
SHARED = {gather.gather_sums: strip_adaptive.strip_shared, gather.gather_chosen: strip_adaptive.strip_picked}


class Along(NamedTuple):
    """How a thread's elements lie to windows along one axis: see `kernels.cuda.strip`."""

    size: int  # elements of a thread
    low: int
    shift: int
    phase: int
    windows: int  # that reach them
    check: bool  # whether some of those may not exist
    tail: bool  # whether elements may lie beyond the end


def along(a: Axis, size: int) -> Along:
    """The constants of `size` elements, a multiple of the stride."""
    low = (a.before - a.k) // a.s + 1
    count = (a.before + size - 1) // a.s - low + 1
    strips = -(-a.n // size)
    check = low < 0 or (strips - 1) * (size // a.s) + low + count > a.out
    return Along(size, low, a.before - low * a.s, (a.before - a.k) % a.s, count, check, a.n % size > 0)


def overlap(g: Geometry) -> bool:
    """Whether windows are small constants without gaps, of which elements are in several."""
    axes = (g.d, g.h, g.w)
    return all(a.d == 1 and a.s <= a.k <= LARGEST_WINDOW for a in axes) and any(a.k > a.s for a in axes)


def channels_of(places: tuple[Place, ...], inner: int) -> int:
    """Channels of one thread: those that all arrays have side by side, and aligned; 1 where rows are to be."""
    if inner < 2 or any(p.steps.inner != 1 for p in places):
        return 1
    most = WIDEST // max(p.item for p in places)
    return math.gcd(inner, *(widest(p.phase, p.item, most, (p.steps[0], p.steps[1], *p.steps[3:])) for p in places))


def row_vector(p: Place, most: int, length: int) -> int:
    """Elements along a row that may be moved at once, where rows are `length` long."""
    if p.steps.w != 1:
        return 1
    return math.gcd(widest(p.phase, p.item, most, p.steps[:5]), length, most)


def row_elements(a: Axis, out: Place, channels: int) -> int:
    """Elements of a row for one thread: one store of them, so that lanes lie side by side, or as few as can be.

    Stores that leave gaps write half sectors, which takes longest.
    """
    if channels > 1:
        return a.s if a.s > 1 or channels > 4 else 2
    size = WIDEST // out.item // a.s * a.s
    while size > a.s and row_vector(out, size, a.n) < size:
        size -= a.s
    return size or a.s


def row_count(a: Axis, across: int, strips: int) -> int:
    """Rows of elements for one thread: a step of the windows at least; more share the windows that reach them.

    `strips` of the batch there are in each row.
    """
    rows = a.s
    while rows * 2 <= a.n and rows * 2 * across <= TILE and along(a, 2 * rows).windows <= MOST_ROWS:
        if strips * -(-a.n // (2 * rows)) < UNITS:
            break
        rows *= 2
    return rows


def fit(stage: Stage, grid: Grid, places: tuple[Place, ...]) -> Fitted:
    """Strips, where there are some for a stage and its windows."""
    found, g = None, grid.geometry
    if 0 in (g.d.out, g.h.out, g.w.out):
        return plain(stage, grid, places)  # no window gives anything
    if grid.bits == 32 and stage.engine in STRIPS and isinstance(grid.rule, Sliding) and overlap(g):
        found = sliding_strip(stage, grid, places)
    elif grid.bits == 32 and stage.engine in SHARED and isinstance(grid.rule, Adaptive):
        found = shared_strip(stage, grid, places)
    return found or plain(stage, grid, places)


def strips_of(g: Geometry, across: int, channels: int) -> int:
    """How many strips there are in all rows of one number."""
    return g.outer.n * g.outer2.n * (g.inner.n // channels) * g.d.n * -(-g.w.n // across)


def divides(stage: Stage) -> bool:
    """Whether windows' shares are divisions, which may call functions: no load is moved before one."""
    bound = dict(stage.constants)
    return stage.engine is gather.gather_powers or (bound.get("AVERAGES", False) and not bound["UNIFORM"])


def with_rows(g: Geometry, places: tuple[Place, ...]) -> tuple[Geometry, tuple[Place, ...]]:
    """The same with many rows in any case: where a plane has one, the larger batch axis provides them."""
    if (g.h.n, g.h.k, g.h.out) != (1, 1, 1):
        return g, places
    name = "outer" if g.outer.n > g.outer2.n else "outer2"
    n = getattr(g, name).n
    h = Axis(n=n, out=n, k=1, s=1, d=1, before=0, count_from=0, count_to=n, xs=0, ys=0)
    batch: dict[str, Any] = {name: Batch(1, 0, 0)}
    moved = (p._replace(steps=p.steps._replace(h=getattr(p.steps, name))) for p in places)
    return g._replace(h=h, **batch), tuple(moved)


def sliding_strip(stage: Stage, grid: Grid, places: tuple[Place, ...]) -> Fitted | None:
    """Strips under constant windows."""
    g = grid.geometry
    if not dict(stage.constants).get("FLAT"):  # flat positions count through the axes as they are
        g, places = with_rows(g, places)
    channels = channels_of(places, g.inner.n)
    across = row_elements(g.w, places[-1], channels)
    down = row_count(g.h, across * channels, strips_of(g, across, channels))
    h, w = along(g.h, down), along(g.w, across)
    if down * across * channels > LARGEST_TILE or w.windows * channels > LARGEST_LOADED or h.windows > MOST_ROWS:
        return None
    vectors = row_vectors(stage, g, places, (w.size // g.w.s, w.size), channels)
    loaded = w.windows * channels
    ahead = divides(stage) and h.windows * loaded <= LARGEST_LOADED
    constants = (
        *strip_constants(g, h, w, channels, vectors), *lanes(vectors, channels),
        ("AHEAD", ahead), ("KEPT", h.windows * loaded if ahead else loaded),
    )  # fmt: skip
    axes = [a for a in (g.d, g.h, g.w) if a is not g.d or dict(constants)["DEEP"]]
    label = "k" + "x".join(str(a.k) for a in axes) + "s" + "x".join(str(a.s) for a in axes)
    return fitted(stage, STRIPS[stage.engine][0], g, places, (down, across, channels), constants, label)


def fitted(
    stage: Stage, engine: Any, g: Geometry, places: tuple[Place, ...], size: tuple[int, int, int],
    constants: tuple[tuple[str, Any], ...], label: str, by: tuple[Cut, ...] = (),
) -> Fitted:  # fmt: skip
    """One thread for each strip."""
    down, across, channels = size
    walk = Walk(*(cut(n) for n in (g.inner.n // channels, -(-g.w.n // across), -(-g.h.n // down), g.d.n, g.outer2.n)))
    label += f"_t{down}x{across}" + (f"_last_v{channels}" if channels > 1 else f"_v{dict(constants)['STORE']}")
    constants = (
        *stage.constants, *constants, ("TH", down), ("TW", across), ("V", channels), ("TILE", down * across * channels),
        ("OUT", np.dtype(stage.payloads[-1]).type),
    )  # fmt: skip
    return Fitted(engine, constants, label, g, tuple(p.steps for p in places), walk, g.outer.n, by=by)


def row_vectors(
    stage: Stage, g: Geometry, places: tuple[Place, ...], sizes: tuple[int, int], channels: int
) -> dict[str, int]:
    """What is moved at once along a row, of each array; `sizes` are a thread's windows and elements."""
    vectors = dict.fromkeys(("VECTOR", "BESIDE", "VALUES", "STORE"), 1)
    for name, p in zip(STRIPS[stage.engine][1], places, strict=True):
        windows = name in ("VECTOR", "BESIDE")
        if channels == 1:
            vectors[name] = row_vector(p, sizes[not windows], g.w.out if windows else g.w.n)
    return vectors


def lanes(vectors: dict[str, int], channels: int) -> tuple[tuple[str, int], ...]:
    """The constants of what is moved at once."""
    return (
        *vectors.items(),
        ("WIDE_VALUES", vectors["VALUES"] * channels),
        ("WIDE_STORE", vectors["STORE"] * channels),
    )


def strip_constants(
    g: Geometry, h: Along, w: Along, channels: int, vectors: dict[str, int]
) -> tuple[tuple[str, Any], ...]:
    """What `kernels.cuda.strip` is bound to beside its size."""

    def lead(vector: int) -> int:
        return min(-w.low % vector, w.windows) if vector > 1 else w.windows

    return (
        ("KD", g.d.k), ("KH", g.h.k), ("KW", g.w.k), ("SH", g.h.s), ("SW", g.w.s), ("ROWS", h.windows),
        ("COLUMNS", w.windows), ("LOADED", w.windows * channels), ("REACH", -(-g.w.k // g.w.s)), ("LOW_H", h.low),
        ("LOW_W", w.low), ("SHIFT_H", h.shift), ("SHIFT_W", w.shift), ("PHASE_W", w.phase),
        ("LEAD", lead(vectors["VECTOR"])), ("LEAD_BESIDE", lead(vectors["BESIDE"])),
        ("CHECK_H", h.check), ("CHECK_W", w.check), ("TAIL_H", h.tail), ("TAIL_W", w.tail),
        ("DEEP", (g.d.k, g.d.s, g.d.before, g.d.out) != (1, 1, 0, g.d.n)),
    )  # fmt: skip


# -- windows that share an axis ----------------------------------------------------------------------------------------


def reaches(a: Axis, size: int) -> list[tuple[int, int]]:
    """For each of a thread's elements the first and the last window that may reach it, from the thread's first one."""
    found = []
    for t in range(size):
        p = np.arange(0, a.n - t, size, dtype=np.int64)
        lo, hi = (o - p * a.s // a.n for o in adaptive_windows_of(a, p + t))
        found.append((int(lo.min()), int(hi.max()) - 1))
    return found


def most_windows(a: Axis, size: int) -> int:
    """How many windows may reach a thread's elements."""
    return 1 + max(hi for _, hi in reaches(a, size))


def reach_constants(axis: str, found: list[tuple[int, int]]) -> tuple[tuple[str, int], ...]:
    """The same in 4 bits for each element."""
    return (
        (f"FROM{axis}", sum(lo << 4 * t for t, (lo, _) in enumerate(found))),
        (f"TO{axis}", sum(hi << 4 * t for t, (_, hi) in enumerate(found))),
    )


def shared_strip(stage: Stage, grid: Grid, places: tuple[Place, ...]) -> Fitted | None:
    """Strips under windows that share the axes."""
    g, channels = grid.geometry, channels_of(places, grid.geometry.inner.n)
    across = min(2 if channels > 1 else row_elements(g.w._replace(s=1), places[-1], 1), g.w.n)
    columns = most_windows(g.w, across)
    most, strips = LARGEST_LOADED // (columns * channels), strips_of(g, across, channels)
    sizes = [n for n in (1, 2, 4) if n <= g.h.n and most_windows(g.h, n) <= most]
    down = max((n for n in sizes if n == 1 or strips * -(-g.h.n // n) >= UNITS), default=0)
    if down == 0 or down * across * channels > LARGEST_TILE or columns > 15:
        return None
    rows = most_windows(g.h, down)
    constants = (
        ("ROWS", rows), ("COLUMNS", columns), ("LOADED", rows * columns * channels),
        *reach_constants("", reaches(g.w, across)), *reach_constants("_H", reaches(g.h, down)),
        ("TAIL_H", g.h.n % down > 0), ("TAIL_W", g.w.n % across > 0), ("DEEP", (g.d.k, g.d.out) != (1, g.d.n)),
        *lanes(row_vectors(stage, g, places, (1, across), channels), channels),
    )  # fmt: skip
    by, size = (cut(g.h.s), cut(g.w.s), cut(g.h.n), cut(g.w.n)), (down, across, channels)
    return fitted(stage, SHARED[stage.engine], g, places, size, constants, f"r{rows}x{columns}", by)
