"""Gradients of windows that overlap: which strip of elements each thread computes, and what it moves at once. Integers.

A stage of `cuda_gradients` names its engine and what that engine's strips are called; where windows are constants that
overlap, `choose_strip` gives the strip's launch instead.
"""

from __future__ import annotations

from math import gcd
from typing import Any, NamedTuple

import numpy as np

from gpupool.backends.cuda_choose import walk_flags
from gpupool.backends.cuda_jobs import Grid, Launched, Stage, job_kernel, launched
from gpupool.backends.cuda_tiles import LARGEST_WINDOW, WIDEST, widest
from gpupool.kernels.cuda.jobs import Steps
from gpupool.kernels.cuda.walk import Walk, cut
from gpupool.kernels.window import Axis, Geometry, Sliding

LARGEST_TILE = 32  # elements of a thread
LARGEST_LOADED = 24  # windows of a row, times channels, that a thread has in registers
MOST_ROWS = 8  # of windows that are written out


class Along(NamedTuple):
    """How a thread's elements lie to windows along one axis: see `kernels.cuda.strip`."""

    size: int  # elements of a thread
    low: int
    shift: int
    phase: int
    count: int  # windows that reach them
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


class Lanes(NamedTuple):
    """Channels of a thread, and the elements of one load or store of each array along a row."""

    channels: int
    vectors: tuple[int, ...]


def unit_axis(steps: tuple[Steps, ...], bounds: tuple[int, ...], items: tuple[int, ...], inner: int) -> int:
    """Channels that all arrays have side by side, and aligned: 1 where they are not the fastest axis."""
    if inner < 2 or any(s.inner != 1 for s in steps):
        return 1
    found = min(
        widest(bound, item, WIDEST // max(items), (s.outer, s.outer2, s.d, s.h, s.w))
        for bound, item, s in zip(bounds, items, steps, strict=True)
    )
    while inner % found:
        found //= 2
    return found


def row_vector(s: Steps, bound: int, item: int, most: int, length: int) -> int:
    """Elements along a row that may be moved at once, where rows are `length` long."""
    if s.w != 1:
        return 1
    vector = widest(bound, item, most, (s.outer, s.outer2, s.inner, s.d, s.h))
    while length % vector or most % vector:
        vector //= 2
    return vector


def row_elements(a: Axis, item: int, channels: int) -> int:
    """Elements of a row for one thread: whole vectors, and those that divide the row before others."""
    if channels > 1:
        return a.s if a.s > 1 or channels > 4 else 2
    sizes = [m * a.s for m in range(1, 8 // a.s + 1)] or [a.s]
    return max(sizes, key=lambda n: (a.n % n == 0 and n * item % WIDEST == 0, a.n % n == 0, n))


def row_count(a: Axis, across: int, channels: int, depth: int) -> int:
    """Rows of elements for one thread: a step of the windows at least; more share the windows that reach them."""
    rows = a.s
    while rows * 2 <= min(4, a.n) and rows * 2 * across * channels <= LARGEST_TILE // 2 and depth == 1 and a.k > a.s:
        if along(a, 2 * rows).count > MOST_ROWS:
            break
        rows *= 2
    return rows


def choose_strip(stage: Stage, grid: Grid, bounds: tuple[int, ...]) -> Launched | None:
    """The launch of a stage's strips, if its windows allow; `bounds` are what all addresses of an array divide by."""
    g, steps = grid.geometry, tuple(grid.steps[i] for i in stage.arrays)
    if stage.strips is None or grid.bits != 32 or not isinstance(grid.rule, Sliding) or not overlap(g):
        return None
    items = tuple(np.dtype(name).itemsize for name in stage.payloads)
    channels = unit_axis(steps, bounds, items, g.inner.n)
    across = row_elements(g.w, items[-1], channels)
    down = row_count(g.h, across, channels, g.d.k)
    h, w = along(g.h, down), along(g.w, across)
    if down * across * channels > LARGEST_TILE or w.count * channels > LARGEST_LOADED or h.count > MOST_ROWS:
        return None
    constants = (*stage.constants, *strip_constants(stage, g, h, w, channels, steps, bounds, items))
    walk = Walk(*(cut(n) for n in (g.inner.n // channels, -(-g.w.n // across), -(-g.h.n // down), g.d.n, g.outer2.n)))
    units = g.outer.n * g.outer2.n * walk.c.n * walk.w.n * walk.h.n * walk.d.n
    deep = f"{g.d.k}x" if dict(constants)["DEEP"] else ""
    steps_deep = f"{g.d.s}x" if deep else ""
    label = f"k{deep}{g.h.k}x{g.w.k}s{steps_deep}{g.h.s}x{g.w.s}_t{down}x{across}"
    label += f"_last_v{channels}" if channels > 1 else f"_v{dict(constants)['VECTOR']}"
    kernel = job_kernel(stage._replace(engine=stage.strips), grid, (*constants, *walk_flags(walk)), label)
    return launched(kernel, grid, stage.arrays, walk, units)


def strip_constants(
    stage: Stage, g: Geometry, h: Along, w: Along, channels: int, steps: tuple[Steps, ...], bounds: tuple[int, ...],
    items: tuple[int, ...],
) -> tuple[tuple[str, Any], ...]:  # fmt: skip
    """What `kernels.cuda.strip` is bound to."""
    vectors = dict.fromkeys(("VECTOR", "BESIDE", "VALUES", "STORE"), 1)
    for name, s, bound, item in zip(stage.operands, steps, bounds, items, strict=True):
        windows = name in ("VECTOR", "BESIDE")
        most, length = (w.size // g.w.s, g.w.out) if windows else (w.size, g.w.n)
        if channels == 1:
            vectors[name] = row_vector(s, bound, item, most, length)

    def lead(vector: int) -> int:
        return min(-w.low % vector, w.count) if vector > 1 else w.count

    return (
        ("KD", g.d.k), ("KH", g.h.k), ("KW", g.w.k), ("SH", g.h.s), ("SW", g.w.s), ("TH", h.size), ("TW", w.size),
        ("V", channels), ("ROWS", h.count), ("COLUMNS", w.count), ("TILE", h.size * w.size * channels),
        ("LOADED", w.count * channels), ("REACH", -(-g.w.k // g.w.s)), ("LOW_H", h.low), ("LOW_W", w.low),
        ("SHIFT_H", h.shift), ("SHIFT_W", w.shift), ("PHASE_W", w.phase), *vectors.items(),
        ("LEAD", lead(vectors["VECTOR"])), ("LEAD_BESIDE", lead(vectors["BESIDE"])),
        ("WIDE_VALUES", vectors["VALUES"] * channels), ("WIDE_STORE", vectors["STORE"] * channels),
        ("CHECK_H", h.check), ("CHECK_W", w.check), ("TAIL_H", h.tail), ("TAIL_W", w.tail),
        ("DEEP", (g.d.k, g.d.s, g.d.before, g.d.out) != (1, 1, 0, g.d.n)), ("OUT", np.dtype(stage.payloads[-1]).type),
    )  # fmt: skip


def bound_of(phase: int, item: int, starts: tuple[int, ...]) -> int:
    """What all of an array's addresses divide by, up to 16: its own modulo 16, at each of these starts in elements."""
    return gcd(WIDEST, *(phase + start * item for start in starts)) % WIDEST
