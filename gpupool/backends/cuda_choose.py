"""Which kernel runs, and how it is launched: the geometry, the element types and the alignment decide. Integers only.

| kernel | when |
| --- | --- |
| plane | one window takes in each whole plane: a group of threads reduces it through shared memory |
| last | small constant windows, channels last: vectors of channels |
| tile | small constant windows, rows contiguous: a tile of outputs a thread, vector loads where rows are aligned |
| point | everything else: any window, dilation, strides, positions |
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from gpupool.backends import cuda_tiles
from gpupool.backends.cuda_tiles import decoded
from gpupool.geometry import Layout, lowest, make_layout
from gpupool.kernels.cuda.compile import Kernel
from gpupool.kernels.cuda.memory import SIMULATED
from gpupool.kernels.cuda.operators import accumulator
from gpupool.kernels.cuda.plane import plane
from gpupool.kernels.cuda.point import point, point_indices, point_select
from gpupool.kernels.cuda.walk import Walk, cut
from gpupool.kernels.reducers import selects, unordered
from gpupool.kernels.window import Axis, Geometry, extent, first_tap, tap_count, tap_range
from gpupool.plan import Plan, choose

INT32 = 2**31 - 1
LARGEST_LAUNCH = INT32 // 2  # output elements: so that thread numbers, rounded up to whole blocks, fit 32 bits
THREADS = 256
WARP = 32


class Launch(NamedTuple):
    """One kernel launch. `x_start` and `y_start` are where the geometry's element (0, ..., 0) lies, in elements."""

    kernel: Kernel
    grid: int
    block: int
    geometry: Geometry
    walk: Walk
    units: int
    x_start: int
    y_start: int


class Operator(NamedTuple):
    """What is computed on what: the reducer, the codecs, the dtypes and their payload types, and positions or not."""

    red: Any
    x_codec: Any
    y_codec: Any
    x_dtype: np.dtype
    y_dtype: np.dtype
    x_type: str
    y_type: str
    indices: bool


class Places(NamedTuple):
    """What vector loads and stores need to know: the addresses of the elements (0, ..., 0), modulo 16."""

    x: int
    y: int


def index_bits(g: Geometry) -> int:
    """Width of positions and counts: 32 bits unless an axis, a window or a divisor needs more."""
    largest = [g.outer.n, g.outer2.n, g.inner.n]
    positions = taps = 1
    for a in (g.d, g.h, g.w):
        last = (a.out - 1) * a.s + extent(a.k, a.d)
        largest += [last + abs(a.before), a.n + 2 * a.d, abs(a.count_from), abs(a.count_to) + 2 * a.d + abs(a.before)]
        positions, taps = positions * a.n, taps * a.k
    fits = max(*largest, outputs(g)) <= INT32 // 2 and max(positions, taps) <= INT32
    return 32 if fits else 64


def outputs(g: Geometry) -> int:
    """Output elements of a geometry."""
    return g.outer.n * g.outer2.n * g.inner.n * g.d.out * g.h.out * g.w.out


def parts(g: Geometry) -> list[tuple[Geometry, int, int]]:
    """The geometry in parts of at most LARGEST_LAUNCH outputs each, with their offsets in x and y.

    A part of a pooled axis keeps the whole input: its windows are moved by a negative padding.
    """
    if outputs(g) <= LARGEST_LAUNCH:
        return [(g, 0, 0)]
    lengths = {"outer": g.outer.n, "outer2": g.outer2.n, "inner": g.inner.n, "d": g.d.out, "h": g.h.out, "w": g.w.out}
    name = max(lengths, key=lambda k: lengths[k])
    half = 1 << ((lengths[name] - 1).bit_length() - 1)
    whole: Any = getattr(g, name)
    halves = []
    for start, stop in ((0, half), (half, lengths[name])):
        if isinstance(whole, Axis):
            piece: Any = whole._replace(out=stop - start, before=whole.before - start * whole.s)
            at_x = 0
        else:
            piece, at_x = whole._replace(n=stop - start), start * whole.xs
        changed: dict[str, Any] = {name: piece}
        for one, x, y in parts(g._replace(**changed)):
            halves.append((one, x + at_x, y + start * whole.ys))
    return halves


class Planned(NamedTuple):
    """All launches of one call, each with its pointers' distances from the elements (0, ..., 0), in elements."""

    layout: Layout
    runs: tuple[tuple[Launch, int, int], ...]
    x_low: int  # the lowest elements that are touched
    y_low: int


def planned(plan: Plan, strides: tuple[int, ...], y_strides: tuple[int, ...], places: Places) -> Planned:
    """The launches for arrays with these strides in elements, at these addresses modulo 16."""
    layout = make_layout(plan, strides, y_strides)
    red, x_codec, y_codec = choose(plan, wide=False)
    x_dtype, y_dtype = plan.dtype, plan.out_dtype
    payloads = payload(x_dtype), payload(y_dtype)
    op = Operator(red, x_codec, y_codec, x_dtype, y_dtype, payloads[0], payloads[1], plan.request.indices)
    low = lowest(plan.shape, strides), lowest(plan.out_shape, y_strides)
    offset_bits = 32 if max(layout.x_span, layout.y_span) <= INT32 else 64
    runs = []
    for x_start, y_start in layout.starts:
        at_x, at_y = x_start + low[0], y_start + low[1]
        there = Places((places.x + at_x * plan.dtype.itemsize) % 16, (places.y + at_y * plan.out_dtype.itemsize) % 16)
        for launch in launches(op, layout.geometry, offset_bits, there):
            runs.append((launch, at_x + launch.x_start, at_y + launch.y_start))
    return Planned(layout, tuple(runs), *low)


def payload(dtype: np.dtype) -> str:
    """The type that kernels see: halves as their bits, bool as bytes."""
    if dtype.name in ("float16", "bfloat16"):
        return "uint16"
    return "uint8" if dtype.kind == "b" else dtype.name


def walk_flags(walk: Walk) -> tuple[tuple[str, Any], ...]:
    """The constants by which kernels skip axes of one entry."""
    return (("MANY_C", walk.c.n > 1), ("MANY_D", walk.d.n > 1), ("MANY_O", walk.o.n > 1))


def launches(op: Operator, g: Geometry, offset_bits: int, places: Places) -> list[Launch]:
    """Every launch for one geometry."""
    found = []
    for part, at_x, at_y in parts(g):
        shifted = Places((places.x + at_x * op.x_dtype.itemsize) % 16, (places.y + at_y * op.y_dtype.itemsize) % 16)
        chosen = _whole(op, part, offset_bits, shifted) or _constant(op, part, offset_bits, shifted)
        launch = chosen or _any(op, part, offset_bits)
        found.append(launch._replace(x_start=launch.x_start + at_x, y_start=launch.y_start + at_y))
    return found


def _kernel(op: Operator, engine: Any, bits: int, offset_bits: int, constants: tuple, label: str = "") -> Kernel:
    return Kernel(
        engine, op.red, op.x_codec, op.y_codec, op.x_type, op.y_type, bits, max(bits, offset_bits), constants,
        THREADS, label,
    )  # fmt: skip


def _launch(kernel: Kernel, g: Geometry, walk: Walk, count: int) -> Launch:
    """One thread for each unit of work; the simulator pays for idle threads, so its blocks are small."""
    block = min(count, 64) if SIMULATED else min(THREADS, -(-count // WARP) * WARP)
    return Launch(kernel, -(-count // block), block, g, walk, count, 0, 0)


def _any(op: Operator, g: Geometry, offset_bits: int) -> Launch:
    """The point kernel, which can do everything."""
    walk = Walk(cut(g.inner.n), cut(g.w.out), cut(g.h.out), cut(g.d.out), cut(g.outer2.n))
    engine = point_indices if op.indices else point_select if selects(op.red) else point
    kernel = _kernel(op, engine, index_bits(g), offset_bits, walk_flags(walk))
    return _launch(kernel, g, walk, outputs(g))


def _constant(op: Operator, g: Geometry, offset_bits: int, places: Places) -> Launch | None:
    """A kernel with the window as constants, if there is one for it."""
    if op.indices or index_bits(g) != 32:
        return None
    choice = cuda_tiles.choose_last(op, g, places) or cuda_tiles.choose_tile(op, g, places)
    if choice is None:
        return None
    kernel = _kernel(op, choice.engine, 32, offset_bits, choice.constants + walk_flags(choice.walk), choice.label)
    return _launch(kernel, g, choice.walk, choice.units)


# -- whole planes ------------------------------------------------------------------------------------------------------


def _whole(op: Operator, g: Geometry, offset_bits: int, places: Places) -> Launch | None:
    """The plane kernel, where there is one window in each plane and it takes in every element."""
    axes = (g.d, g.h, g.w)
    red = unordered(op.red, decoded(op).dtype)
    if op.indices or red is None or any(a.out != 1 for a in axes):
        return None
    starts = [first_tap(0, a.s, a.before) for a in axes]
    if any(tap_range(s, 0, a.n, a.k, a.d) != (-s, a.n - s) or a.d != 1 for a, s in zip(axes, starts, strict=True)):
        return None
    divisor = g.divisor
    if divisor == 0:
        divisor = 1
        for a, s in zip(axes, starts, strict=True):
            divisor *= tap_count(s, a.count_from, a.count_to, a.k, a.d)
    d, h, w = merged(axes)
    taps, units = d.n * h.n * w.n, g.outer.n * g.outer2.n * g.inner.n
    g = g._replace(d=d, h=h, w=w, divisor=divisor)
    bits = index_bits(g)
    if taps < 8 or bits != 32:
        return None  # a few elements are one thread's work
    lanes = g.inner.n > 1 and abs(w.xs) != 1
    vector = 1
    if d.n * h.n == 1 and w.xs == 1:
        vector = cuda_tiles.widest(
            places.x, op.x_dtype.itemsize, taps, cuda_tiles.steps(g, "xs", "outer", "outer2", "inner")
        )
        while taps % vector:
            vector //= 2
    slots, per_block = group(taps // vector, units, lanes)
    types = accumulator(red, decoded(op), np.int32)
    if len(types) > 2:
        return None
    walk = Walk(cut(g.inner.n), cut(1), cut(1), cut(1), cut(g.outer2.n))
    constants = (
        ("UNITS", per_block), ("SLOTS", slots), ("VECTOR", vector), ("BLOCK", slots * per_block),
        ("BLOCK1", slots * per_block if len(types) == 2 else 1), ("LANES", lanes),
        ("ACC0", types[0]), ("ACC1", types[-1]), ("PARTS", len(types)), *walk_flags(walk),
    )  # fmt: skip
    label = f"{slots}x{per_block}" + ("_last" if lanes else f"_v{vector}")
    kernel = _kernel(op._replace(red=red), plane, bits, offset_bits, constants, label)
    kernel = dataclasses.replace(kernel, threads=slots * per_block)
    return Launch(kernel, -(-units // per_block), slots * per_block, g, walk, units, 0, 0)


def merged(axes: tuple[Axis, Axis, Axis]) -> tuple[Axis, Axis, Axis]:
    """The plane's axes with those joined that are one axis in memory; the last one takes what it can."""
    d, h, w = axes
    if h.n == 1:
        d, h = d._replace(n=1, xs=0), d
    if h.n == 1 or w.n == 1 or h.xs == w.n * w.xs:
        w = w._replace(n=w.n * h.n, xs=w.xs if w.n > 1 else h.xs)
        d, h = d._replace(n=1, xs=0), d
    if h.n == 1 or w.n == 1 or h.xs == w.n * w.xs:
        w = w._replace(n=w.n * h.n, xs=w.xs if w.n > 1 else h.xs)
        h = h._replace(n=1, xs=0)
    return d, h, w


def group(taps: int, units: int, lanes: bool) -> tuple[int, int]:
    """Threads for one output, and outputs of one block; both powers of two."""
    if SIMULATED:
        return (4, 4) if lanes else ((8, 2) if taps < 32 else (16, 1))
    if lanes:  # a warp of neighbours; few outputs get more threads each
        return (32, 32) if units < 2**14 and taps > 2**12 else (8, 32)
    if taps <= 1024:
        return 32, 8
    # Few planes: a block is all that a plane gets, so it is as large as a block may be.
    return (1024, 1) if units <= 512 and taps >= 8192 else (256, 1)
