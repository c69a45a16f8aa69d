"""Which kernel runs, and how it is launched: the geometry, the element types and the alignment decide.

| kernel | when |
| --- | --- |
| planes | one window takes in each whole plane, these are small and lie one after another: flat stretches of them |
| plane | the same for other planes: a group of threads reduces each through shared memory |
| plane_last, plane_last_parts | the same with channels last: vectors of channels |
| plane_parts, plane_joined | the same for a few large planes: several blocks reduce each, a second launch joins them |
| last, last_indices | small constant windows, channels last: vectors of channels |
| pixels | the same with few channels, as in images: some pixels with all their channels |
| tile | small constant windows, rows contiguous: a tile of outputs a thread, vector loads where rows are aligned |
| large | larger and dilated windows, and overlapping ones from about 6x6 on: a tile of outputs a block, shared memory |
| shared | small windows that share an axis |
| point | everything else: any window, dilation, strides, positions |
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from gpupool.backends import cuda_large, cuda_last, cuda_pixels, cuda_planes, cuda_shared, cuda_tiles
from gpupool.backends.cuda_groups import BLOCKS, WARP, Group, power, team_of
from gpupool.backends.cuda_tiles import decoded
from gpupool.geometry import Layout, lowest, make_layout
from gpupool.kernels.codecs import Plain
from gpupool.kernels.cuda.compile import Kernel
from gpupool.kernels.cuda.memory import SIMULATED
from gpupool.kernels.cuda.operators import accumulator
from gpupool.kernels.cuda.plane import plane, plane_joined, plane_parts
from gpupool.kernels.cuda.plane_last import plane_last, plane_last_parts
from gpupool.kernels.cuda.point import point, point_indices, point_positions, point_select
from gpupool.kernels.cuda.walk import Walk, cut
from gpupool.kernels.reducers import selects, unordered
from gpupool.kernels.window import Axis, Geometry, Sliding, first_tap, tap_count, tap_range
from gpupool.plan import Plan, choose

INT32 = 2**31 - 1
LARGEST_LAUNCH = INT32 // 2  # output elements: so that thread numbers, rounded up to whole blocks, fit 32 bits
THREADS = 256


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
    then: Launch | None = None  # what joins the accumulators that this one leaves in memory
    scratch: int = 0  # how many those are


class Operator(NamedTuple):
    """What is computed on what: the reducer, codecs, dtypes and payload types, positions or not, how windows lie."""

    red: Any
    x_codec: Any
    y_codec: Any
    x_dtype: np.dtype
    y_dtype: np.dtype
    x_type: str
    y_type: str
    where: np.dtype | None  # the dtype of positions, where they are asked for
    rule: Any
    positions: bool = False  # and nothing else

    @property
    def indices(self) -> bool:
        """Whether positions are asked for."""
        return self.where is not None

    @property
    def where_item(self) -> int:
        """Bytes of a position."""
        return 0 if self.where is None else self.where.itemsize

    @property
    def places(self) -> tuple[tuple[str, Any], ...]:
        """What kernels are bound to that store positions: nothing for flat ones."""
        if self.where is None or self.where.kind != "u":
            return ()
        return (("OFFSETS", True), ("INDEX", self.where.type))


class Places(NamedTuple):
    """What vector loads and stores need to know: the addresses of the elements (0, ..., 0), modulo 16."""

    x: int
    y: int
    where: int = 0

    def moved(self, op: Operator, x: int, y: int) -> Places:
        """The same so many elements further on."""
        items = (op.x_dtype.itemsize, op.y_dtype.itemsize, op.where_item)
        return Places(*((at + n * item) % 16 for at, n, item in zip(self, (x, y, y), items, strict=True)))


def index_bits(g: Geometry, rule: Any) -> int:
    """Width of positions and counts: 32 bits unless an axis, a window or a divisor needs more."""
    largest = [g.outer.n, g.outer2.n, g.inner.n]
    positions = taps = 1
    for a in (g.d, g.h, g.w):
        largest += rule.reach(a)
        positions, taps = positions * a.n, taps * a.k
    fits = max(*largest, outputs(g)) <= INT32 // 2 and max(positions, taps) <= INT32
    return 32 if fits else 64


def outputs(g: Geometry) -> int:
    """Output elements of a geometry."""
    return g.outer.n * g.outer2.n * g.inner.n * g.d.out * g.h.out * g.w.out


def parts(g: Geometry, rule: Any) -> list[tuple[Geometry, int, int]]:
    """The geometry in parts of at most LARGEST_LAUNCH outputs each, with their offsets in x and y.

    A part of a pooled axis keeps the whole input: its windows are moved, by a negative padding where they slide.
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
            piece: Any = rule.part(whole, start, stop)
            at_x = 0
        else:
            piece, at_x = whole._replace(n=stop - start), start * whole.xs
        changed: dict[str, Any] = {name: piece}
        for one, x, y in parts(g._replace(**changed), rule):
            halves.append((one, x + at_x, y + start * whole.ys))
    return halves


class Planned(NamedTuple):
    """All launches of one call, each with its pointers' distances from the elements (0, ..., 0), in elements."""

    layout: Layout
    runs: tuple[tuple[Launch, int, int], ...]
    x_low: int  # the lowest elements that are touched
    y_low: int


def planned(
    plan: Plan, strides: tuple[int, ...], y_strides: tuple[int, ...], places: Places, *, positions: bool = False
) -> Planned:
    """The launches for arrays with these strides in elements, at these addresses modulo 16.

    With `positions`, the result y is of positions only.
    """
    layout = make_layout(plan, strides, y_strides)
    red, x_codec, y_codec = choose(plan, wide=False)
    x_dtype, y_dtype = plan.dtype, plan.where_dtype if positions else plan.out_dtype
    y_codec = Plain() if positions else y_codec
    payloads = payload(x_dtype), payload(y_dtype)
    op = Operator(
        red, x_codec, y_codec, x_dtype, y_dtype, payloads[0], payloads[1],
        plan.where_dtype if plan.request.indices else None, plan.rule, positions,
    )  # fmt: skip
    low = lowest(plan.shape, strides), lowest(plan.out_shape, y_strides)
    offset_bits = 32 if max(layout.x_span, layout.y_span) <= INT32 else 64
    runs = []
    for x_start, y_start in layout.starts:
        at_x, at_y = x_start + low[0], y_start + low[1]
        for launch in launches(op, layout.geometry, offset_bits, places.moved(op, at_x, at_y)):
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
    for part, at_x, at_y in parts(g, op.rule):
        shifted = places.moved(op, at_x, at_y)
        launch = _fast(op, part, offset_bits, shifted) or _any(op, part, offset_bits)
        found.append(launch._replace(x_start=launch.x_start + at_x, y_start=launch.y_start + at_y))
    return found


def _kernel(op: Operator, engine: Any, bits: int, offset_bits: int, constants: tuple, label: str = "") -> Kernel:
    if op.places:
        word = "offsets" if op.where_item == 1 else f"offsets{8 * op.where_item}"
        constants, label = (*constants, *op.places), "_".join(filter(None, (label, word)))
    return Kernel(
        engine, op.red, op.x_codec, op.y_codec, op.x_type, op.y_type, bits, max(bits, offset_bits), constants,
        THREADS, label, op.rule,
    )  # fmt: skip


def _launch(kernel: Kernel, g: Geometry, walk: Walk, count: int) -> Launch:
    """One thread for each unit of work; the simulator pays for idle threads, so its blocks are small.

    Few blocks are halved, so that the last ones to run keep no multiprocessor waiting for long.
    """
    block = THREADS if count >= 2 * THREADS * BLOCKS else THREADS // 2 if count >= 2 * WARP * BLOCKS else 2 * WARP
    block = min(count, 64) if SIMULATED else block
    return Launch(kernel, -(-count // block), block, g, walk, count, 0, 0)


def _any(op: Operator, g: Geometry, offset_bits: int) -> Launch:
    """The point kernel, which can do everything."""
    walk = Walk(cut(g.inner.n), cut(g.w.out), cut(g.h.out), cut(g.d.out), cut(g.outer2.n))
    engine: Any = point_select if selects(op.red) else point
    engine = point_positions if op.positions else point_indices if op.indices else engine
    kernel = _kernel(op, engine, index_bits(g, op.rule), offset_bits, walk_flags(walk))
    return _launch(kernel, g, walk, outputs(g))


def _fast(op: Operator, g: Geometry, offset_bits: int, places: Places) -> Launch | None:
    """A kernel for windows that slide, or share an axis, if there is one for these."""
    if not isinstance(op.rule, Sliding):
        return _constant(op, g, offset_bits, places)
    if launch := _whole(op, g, offset_bits, places):
        return launch
    if cuda_large.preferred(op, g):
        return _large(op, g, offset_bits, places, always=True) or _constant(op, g, offset_bits, places)
    return _constant(op, g, offset_bits, places) or _large(op, g, offset_bits, places)


def _constant(op: Operator, g: Geometry, offset_bits: int, places: Places) -> Launch | None:
    """A kernel with the window as constants, if there is one for it."""
    if index_bits(g, op.rule) != 32:
        return None
    if isinstance(op.rule, Sliding):
        choice = cuda_pixels.choose_pixels(op, g, places) or cuda_last.choose_last(op, g, places)
        choice = choice or cuda_tiles.choose_tile(op, g, places)
    else:
        choice = cuda_shared.choose_shared(op, g)
    if choice is None:
        return None
    kernel = _kernel(op, choice.engine, 32, offset_bits, choice.constants + walk_flags(choice.walk), choice.label)
    return _launch(kernel, choice.geometry, choice.walk, choice.units)


def _large(op: Operator, g: Geometry, offset_bits: int, places: Places, *, always: bool = False) -> Launch | None:
    """The kernel for large windows, where it does less than the point kernel, or `always`."""
    if op.indices or index_bits(g, op.rule) != 32:
        return None
    choice = cuda_large.choose_large(op, g, places, always=always)
    if choice is None:
        return None
    g, tiling, constants, label = choice
    walk, blocks = cuda_large.walk_of(g, tiling), cuda_large.tiles(tiling, g)
    kernel = _kernel(op, cuda_large.large, 32, offset_bits, constants + walk_flags(walk), label)
    kernel = dataclasses.replace(kernel, threads=tiling.block)
    return Launch(kernel, blocks, tiling.block, g, walk, blocks, 0, 0)


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
    g = g._replace(d=d, h=h, w=w, divisor=divisor)
    return _planes(op._replace(red=red), g, offset_bits, places)


def _planes(op: Operator, g: Geometry, offset_bits: int, places: Places) -> Launch | None:
    """The launch for whole planes, in one step or, where they are few and large, in two."""
    taps = g.d.n * g.h.n * g.w.n
    bits = index_bits(g, op.rule)
    if taps < 8 or (bits == 64 and taps <= INT32):
        return None  # a few elements are one thread's work
    types = accumulator(op.red, decoded(op), np.int64 if bits == 64 else np.int32)
    if len(types) > 2:
        return None
    if bits == 32 and (stretch := cuda_planes.choose_planes(op, g, places, types)):
        kernel = _kernel(op, stretch.engine, 32, offset_bits, stretch.constants, stretch.label)
        kernel = dataclasses.replace(kernel, threads=cuda_planes.BLOCK)
        units = outputs(g)
        return Launch(kernel, -(-units // stretch.units), cuda_planes.BLOCK, g, stretch.walk, units, 0, 0)
    team, size = team_of(op, g, places, types)
    if bits == 64 or size < taps:
        return _in_parts(op, g, (bits, offset_bits), team, size, types)
    walk = Walk(cut(g.inner.n // (team.channels or 1)), cut(1), cut(1), cut(1), cut(g.outer2.n))
    return _plane(op, plane_last if team.channels else plane, g, (bits, offset_bits), team, walk, types)


def _plane(
    op: Operator, engine: Any, g: Geometry, bits: tuple[int, int], group: Group, walk: Walk, types: tuple[Any, ...]
) -> Launch:
    """One launch of a kernel that reduces in groups of threads."""
    channels, threads = group.channels or 1, group.slots * group.units
    units, cells = g.outer.n * g.outer2.n * (g.inner.n // channels) * walk.w.n, threads * channels
    constants: tuple[tuple[str, Any], ...] = (
        ("UNITS", group.units), ("SLOTS", group.slots), ("VECTOR", group.vector), ("BLOCK", cells),
        ("BLOCK1", cells if len(types) == 2 else 1), ("ACC0", types[0]), ("ACC1", types[-1]), ("PARTS", len(types)),
        *walk_flags(walk),
    )  # fmt: skip
    label = f"{group.slots}x{group.units}_v{group.channels or (group.vector if group.wide else 1)}"
    if group.channels:
        constants += (("CHANNELS", channels), ("LOADED", 8 * channels), ("FLAT", g.d.n * g.h.n == 1))
    else:
        constants += (("WIDE", group.wide), ("EIGHT", group.eight), ("ROUNDS", group.rounds))
        constants += (("HALF", power(group.slots - 1)),)
    label += f"_by{group.vector}" if group.vector > 1 and not group.wide else ""
    kernel = dataclasses.replace(_kernel(op, engine, *bits, constants, label), threads=threads)
    return Launch(kernel, -(-units // group.units), threads, g, walk, units, 0, 0)


def _in_parts(
    op: Operator, g: Geometry, bits: tuple[int, int], group: Group, size: int, types: tuple[Any, ...]
) -> Launch:
    """Two launches: each part of each plane to an accumulator, then each plane's accumulators to its result."""
    count = -(-(g.d.n * g.h.n * g.w.n) // size)
    walk = Walk(cut(g.inner.n // (group.channels or 1)), cut(count, size), cut(1), cut(1), cut(g.outer2.n))
    first = _plane(op, plane_last_parts if group.channels else plane_parts, g, bits, group, walk, types)
    c = g.inner.n
    joined = g._replace(
        outer=g.outer._replace(xs=g.outer2.n * count * c), outer2=g.outer2._replace(xs=count * c),
        inner=g.inner._replace(xs=1), d=g.d._replace(n=1), h=g.h._replace(n=1), w=g.w._replace(n=count, xs=c),
    )  # fmt: skip
    walk = walk._replace(c=cut(c), w=cut(1))
    slots = 4 if SIMULATED else WARP if count <= 4 * WARP else THREADS  # a slot's loads wait for each other
    join = Group(slots, 2 if SIMULATED else THREADS // slots, 1, False)
    then = _plane(op, plane_joined, joined, (32, 64 if max(bits) == 64 else 32), join, walk, types)
    return first._replace(then=then, scratch=first.units * (group.channels or 1))


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
