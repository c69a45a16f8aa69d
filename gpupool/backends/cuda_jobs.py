"""How jobs are laid out and launched on the GPU: one geometry, strides for each array, and stages of kernels."""

from __future__ import annotations

import ctypes
import functools
import itertools
import math
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gpupool.backends import cuda_launch
from gpupool.backends.cuda_choose import INT32, LARGEST_LAUNCH, THREADS, walk_flags
from gpupool.backends.cuda_groups import WARP
from gpupool.backends.cuda_launch import SIMULATED, Arguments, CudaUnavailable
from gpupool.backends.cuda_tiles import widest
from gpupool.geometry import NO_AXIS, make_axis
from gpupool.jobs import JobPlan
from gpupool.kernels.codecs import Plain, input_codec
from gpupool.kernels.cuda.compile import simulated
from gpupool.kernels.cuda.jobs import JobKernel, Steps
from gpupool.kernels.cuda.walk import Cut, Walk, cut
from gpupool.kernels.window import Axis, Batch, Geometry
from gpupool.plan import Plan


class Grid(NamedTuple):
    """The lengths that all arrays share, each array's strides, and each array's offset at every start."""

    geometry: Geometry
    steps: tuple[Steps, ...]
    starts: tuple[tuple[int, ...], ...]
    bits: int  # of positions
    offset_bits: int
    rule: Any  # how windows lie


class Stage(NamedTuple):
    """A kernel over the elements of one side; `arrays` are numbers of the job's memories, the last are written."""

    engine: Any
    arrays: tuple[int, ...]
    writes: int
    side: str
    constants: tuple[tuple[str, Any], ...] = ()
    codecs: tuple[np.dtype, np.dtype] | None = None
    payloads: tuple[str, ...] = ()
    red: Any = None  # the reducer, where the engine has one
    fit: Callable[[Stage, Grid, tuple[Place, ...]], Fitted] | None = None  # what lays it out, where it is not `plain`


class Scratch(NamedTuple):
    """Memory that lives as long as one call."""

    shape: tuple[int, ...]
    dtype: np.dtype
    side: str


class Place(NamedTuple):
    """One array of a stage, for those that load vectors: its strides, item size, and address modulo 16 at any start."""

    steps: Steps
    item: int
    phase: int


class Fitted(NamedTuple):
    """The kernel of a stage for arrays laid out like these, and what its threads count through."""

    engine: Any
    constants: tuple[tuple[str, Any], ...]
    label: str
    geometry: Geometry
    steps: tuple[Steps, ...]
    walk: Walk
    outer: int  # entries of the slowest axis, which is not part of the walk
    block: int = 0  # threads of a block that has `per_block` units, where a unit is not one thread's work
    per_block: int = 0
    by: tuple[Cut, ...] = ()  # what its threads divide by beside

    @property
    def units(self) -> int:
        """What is counted: mostly threads."""
        return self.outer * math.prod(c.n for c in self.walk)


def axes_of(plan: Plan) -> tuple[Axis, Axis, Axis]:
    """The pooled axes, without strides."""
    axes = [make_axis(plan, a, 0, 0) for a in plan.pooled]
    return tuple([NO_AXIS] * (3 - len(axes)) + axes)  # type: ignore[return-value]


def make_axes(plan: JobPlan) -> tuple[Axis, Axis, Axis]:
    """The pooled axes of a job."""
    return axes_of(plan.forward)


def aligned_at(place: Place, g: Geometry, most: int, along: str, *, windows: bool) -> int:
    """The largest power of two of elements side by side along an axis that may be moved at once, at most `most`."""
    step = getattr(place.steps, along)
    entries: dict[str, int] = {"outer": g.outer.n, "outer2": g.outer2.n, "inner": g.inner.n}
    entries |= {name: (a.out if windows else a.n) for name, a in (("d", g.d), ("h", g.h), ("w", g.w))}
    others = tuple(getattr(place.steps, name) for name, n in entries.items() if n > 1 and name != along)
    return widest(place.phase, place.item, most, others) if step == 1 else 1


def make_grid(plan: JobPlan, strides: list[tuple[int, ...]]) -> Grid:
    """Fit arrays with these element strides (one entry per axis of x) to the kernels' six axes."""
    pooled = [a.axis for a in plan.pooled]
    shape = plan.forward.shape
    batch = [(shape[a], tuple(s[a] for s in strides)) for a in range(len(shape)) if a not in pooled and shape[a] > 1]
    batch.sort(key=lambda b: (-abs(b[1][-1]), -abs(b[1][0])))
    merged: list[tuple[int, tuple[int, ...]]] = []
    for n, along in batch:
        if merged and all(before == n * s for before, s in zip(merged[-1][1], along, strict=True)):
            merged[-1] = (merged[-1][0] * n, along)
        else:
            merged.append((n, along))
    none = (1, (0,) * len(strides))
    fastest = min((abs(strides[-1][a]) for a in pooled if shape[a] > 1), default=0)
    inner = merged.pop() if merged and abs(merged[-1][1][-1]) < fastest else none
    merged.sort(key=lambda b: b[0])
    outer, rest = merged[-2:], merged[:-2]
    outer = [none] * (2 - len(outer)) + outer
    axes = make_axes(plan)
    ends = [[0] * (3 - len(pooled)) + [s[a] for a in pooled] for s in strides]
    steps = tuple(Steps(outer[0][1][i], outer[1][1][i], inner[1][i], *ends[i]) for i in range(len(strides)))
    starts = tuple(
        tuple(sum(j * b[1][i] for j, b in zip(at, rest, strict=True)) for i in range(len(strides)))
        for at in itertools.product(*(range(b[0]) for b in rest))
    )
    lengths = [Batch(b[0], 0, 0) for b in (*outer, inner)]
    geometry = Geometry(lengths[0], lengths[1], lengths[2], *axes, plan.request.divisor_override or 0)
    return Grid(geometry, steps, starts, *_widths(geometry, strides, shape, plan), plan.forward.rule)


def _widths(g: Geometry, strides: list[tuple[int, ...]], shape: tuple[int, ...], plan: JobPlan) -> tuple[int, int]:
    """Bits of positions and of offsets."""
    units = g.outer.n * g.outer2.n * g.inner.n
    sides = [units, units]
    largest, taps = [abs(g.divisor)], 1
    for a in (g.d, g.h, g.w):
        sides = [sides[0] * a.n, sides[1] * a.out]
        largest += plan.forward.rule.reach(a)
        taps *= a.k
    bits = 32 if max(*sides, *largest) <= LARGEST_LAUNCH and taps <= INT32 else 64
    ends = [max(a, b) for a, b in zip(shape, full_shape(plan), strict=True)]
    span = max(sum((n - 1) * abs(s) for n, s in zip(ends, step, strict=True)) for step in strides)
    return bits, 32 if max(span, *(abs(s) for step in strides for s in step)) <= INT32 else 64


def full_shape(plan: JobPlan) -> tuple[int, ...]:
    """The shape of the pooling's result with all axes kept."""
    shape = list(plan.forward.shape)
    for a in plan.pooled:
        shape[a.axis] = a.out
    return tuple(shape)


class Launched(NamedTuple):
    """One stage's kernel and the integers that it takes."""

    kernel: JobKernel
    block: int
    geometry: Geometry
    steps: tuple[Steps, ...]
    walk: Walk
    units: int
    per_block: int  # units of a block
    by: tuple[Cut, ...] = ()


def plain(stage: Stage, grid: Grid, places: tuple[Place, ...]) -> Fitted:
    """One thread for each element of a side."""
    g = grid.geometry
    d, h, w = ((a.n if stage.side == "x" else a.out) for a in (g.d, g.h, g.w))
    none = 0 in (g.outer.n, g.outer2.n, g.inner.n, d, h, w)
    walk = Walk(*(cut(max(1, n)) for n in (g.inner.n, w, h, d, g.outer2.n)))  # of no units, nothing is launched
    return Fitted(stage.engine, stage.constants, "", g, tuple(p.steps for p in places), walk, 0 if none else g.outer.n)


def prepare(stage: Stage, grid: Grid, phases: tuple[int, ...]) -> Launched:
    """The kernel of a stage; `phases` are the addresses of all arrays modulo 16."""
    places = tuple(
        Place(grid.steps[i], np.dtype(payload).itemsize, phases[i])
        for i, payload in zip(stage.arrays, stage.payloads, strict=True)
    )
    fitted = (stage.fit or plain)(stage, grid, places)
    units = fitted.units
    first_written = len(stage.arrays) - stage.writes
    memories = tuple((name, i < first_written) for i, name in enumerate(stage.payloads))
    codecs = [Plain(), Plain()] if stage.codecs is None else [input_codec(c) for c in stage.codecs]
    kernel = JobKernel(
        fitted.engine, stage.red, codecs[0], codecs[1], stage.payloads[0], stage.payloads[-1], grid.bits,
        max(grid.bits, grid.offset_bits), (*fitted.constants, *walk_flags(fitted.walk)), THREADS, fitted.label,
        rule=grid.rule, memories=memories, divisors=len(fitted.by),
    )  # fmt: skip
    block = max(1, min(units, 64) if SIMULATED else min(THREADS, -(-units // WARP) * WARP))
    block = fitted.block or block
    per_block = fitted.per_block or block
    return Launched(kernel, block, fitted.geometry, fitted.steps, fitted.walk, units, per_block, fitted.by)


def numbers(one: Launched, first: int) -> list[tuple[int, int]]:
    """The integer arguments in the kernel's order, each with its width in bits."""
    g, narrow, wide = one.geometry, one.kernel.index_bits, one.kernel.offset_bits
    packed: list[tuple[int, int]] = []
    for batch in (g.outer, g.outer2, g.inner):
        packed += [(batch.n, narrow), (batch.xs, wide), (batch.ys, wide)]
    for axis in (g.d, g.h, g.w):
        packed += [(v, narrow) for v in axis[:8]] + [(axis.xs, wide), (axis.ys, wide)]
    packed.append((g.divisor, narrow))
    packed += [(v, wide) for steps in one.steps for v in steps]
    packed += [(v, narrow) for c in (*one.walk, *one.by) for v in c]
    return [*packed, (first, narrow), (one.units, narrow)]


class PreparedJob:
    """A stage with its kernel loaded and its integers packed; any number of threads may run it."""

    def __init__(self, one: Launched, device: int) -> None:
        self.one = one
        function = cuda_launch.load(one.kernel, device)
        self.parts: list[tuple[Any, list[tuple[int, int]], deque[Arguments]]] = []
        for first in range(0, one.units, LARGEST_LAUNCH):
            blocks = -(-min(LARGEST_LAUNCH, one.units - first) // one.per_block)
            start = functools.partial(cuda_launch.launcher(), function, blocks, 1, 1, one.block, 1, 1, 0)
            self.parts.append((start, numbers(one, first), deque()))

    def __call__(self, stream: int, addresses: list[int]) -> None:
        """Start the kernel on a stream; the arguments are the driver's own copy when this returns."""
        for start, integers, free in self.parts:
            try:
                arguments = free.pop()
            except IndexError:
                arguments = Arguments(len(addresses), integers)
            for i, address in enumerate(addresses):
                arguments.slots[i] = address
            code = start(stream, arguments.address, 0)[0]
            free.append(arguments)
            if code:
                raise CudaUnavailable(f"{self.one.kernel.name}: launch failed: {code.name} ({int(code)})")


class SimulatedJob:
    """The same for Numba's simulator."""

    def __init__(self, one: Launched) -> None:
        self.one = one
        self.kernel = simulated(one.kernel)

    def __call__(self, memories: list[tuple[np.ndarray, int]]) -> None:
        """Run the kernel to its end."""
        from gpupool.backends.cuda_launch import lock
        from gpupool.kernels.cuda.memory_simulated import Flat

        one = self.one
        if one.units == 0:
            return
        with lock:
            by = (one.by,) if one.by else ()
            self.kernel[-(-one.units // one.per_block), one.block](
                *[Flat(*m) for m in memories], one.geometry, one.steps, one.walk, *by, 0, one.units
            )


def fill_bytes(address: int, size: int, value: int, stream: int) -> None:
    """Set bytes of device memory, on a stream."""
    if SIMULATED:
        ctypes.memset(address, value, size)
        return
    from gpupool.backends.cuda_launch import check, driver

    check(driver().cuMemsetD8Async(address, value, size, stream))


def write_bytes(address: int, host: np.ndarray, stream: int) -> None:
    """Copy a contiguous NumPy array to device memory, on a stream; its memory is free when this returns."""
    if SIMULATED:
        ctypes.memmove(address, host.ctypes.data, host.nbytes)
        return
    from gpupool.backends.cuda_launch import check, driver

    cu = driver()
    if check(cu.cuStreamIsCapturing(stream)) != cu.CUstreamCaptureStatus.CU_STREAM_CAPTURE_STATUS_NONE:
        raise CudaUnavailable("NumPy arrays cannot be taken along while a graph is captured: give a device array")
    check(cu.cuMemcpyHtoDAsync(address, host.ctypes.data, host.nbytes, stream))


def read_back(address: int, size: int, stream: int) -> bytes | None:
    """Bytes of device memory when all work before them on the stream is done; None while a graph is captured."""
    if SIMULATED:
        return ctypes.string_at(address, size)
    from gpupool.backends.cuda_launch import check, driver

    cu = driver()
    if check(cu.cuStreamIsCapturing(stream)) != cu.CUstreamCaptureStatus.CU_STREAM_CAPTURE_STATUS_NONE:
        return None
    host = ctypes.create_string_buffer(size)
    check(cu.cuMemcpyDtoHAsync(ctypes.addressof(host), address, size, stream))
    check(cu.cuStreamSynchronize(stream))
    return host.raw
