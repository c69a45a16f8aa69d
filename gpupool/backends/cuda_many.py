"""Jobs (calls with several operands) on device arrays: laid out once per kind of call, then addresses in and out.

Everything runs on the device that owns the first array, on the caller's stream. Only the check of indices that a caller
hands in waits for the GPU; while a graph is captured it cannot, and indices outside their plane are then skipped.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gpupool.backends import cuda, cuda_fractional, cuda_gradients, cuda_known, cuda_offsets
from gpupool.backends.cuda import check_memory, checked, flat_memory, usable
from gpupool.backends.cuda_apart import found_at_once
from gpupool.backends.cuda_arrays import Library, View, library
from gpupool.backends.cuda_gradients import Scratch, Steps
from gpupool.backends.cuda_jobs import (
    Launched,
    PreparedJob,
    SimulatedJob,
    Stage,
    make_grid,
    prepare,
    write_bytes,
)
from gpupool.backends.cuda_launch import SIMULATED
from gpupool.dtypes import is_float
from gpupool.fractional import GRADIENT, in_two
from gpupool.geometry import contiguous_strides, lowest, memory_order, span
from gpupool.gradients import divisors_request, norms_request, positions_request
from gpupool.jobs import Job, JobPlan, Operand, check_out, gone_axes
from gpupool.request import Request, fail

ENGINES = cuda_gradients.ENGINES | cuda_fractional.ENGINES | cuda_offsets.ENGINES | cuda_known.ENGINES
# What gradients need to know of x beside x itself: its name among the operands, and the pooling that says so.
FOUND: dict[str, tuple[str, Callable[[Request, View, View], Request | None]]] = {
    "chosen": ("indices", positions_request),
    "powers": ("norms", norms_request),
    "known": ("divisors", divisors_request),
}
CACHED_CALLS = 1024  # prepared calls kept; when full, all are dropped

_calls: dict[tuple, Call] = {}


class Memory(NamedTuple):
    """One array of a call without its address: what lies where around its element (0, ..., 0)."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]  # in elements
    dtype: np.dtype

    def touched(self) -> tuple[int, int]:
        """The bytes from the lowest to the highest touched, relative to the element (0, ..., 0)."""
        if 0 in self.shape:
            return 0, 0
        low, item = lowest(self.shape, self.strides), self.dtype.itemsize
        return low * item, (low + span(self.shape, self.strides)) * item


class Call:
    """One kind of call, ready to run: everything but the arrays' addresses."""

    def __init__(self, job: Job, views: list[View], out: View | None) -> None:
        self.plan = plan = job.make_plan(job, tuple(Operand(v.shape, v.dtype) for v in views))
        like = views[plan.like]
        order = memory_order(plan.forward.shape, like.strides)
        gone = gone_axes(plan)
        kept = [a for a in range(len(order)) if plan.out_side == "x" or a not in gone]
        self.order = tuple(kept.index(a) for a in order if a in kept)
        if out is None:
            strides = contiguous_strides(plan.out_shape, self.order)
        else:
            strides = tuple(s // out.dtype.itemsize for s in out.strides)
        self.memories = [Memory(v.shape, tuple(s // v.dtype.itemsize for s in v.strides), v.dtype) for v in views]
        self.memories.append(Memory(plan.out_shape, strides, plan.out_dtype))
        self.steps: Steps | None = None
        self.scratch: list[Scratch] = []
        if 0 not in plan.out_shape and 0 not in plan.forward.shape:
            self._prepare(views[0].device or 0, [*(v.address for v in views), 0 if out is None else out.address])

    def _prepare(self, device: int, addresses: list[int]) -> None:
        plan = self.plan
        self.steps = steps = ENGINES[plan.kind](plan)
        self.scratch = steps.scratch
        self.memories += [Memory(s.shape, contiguous_strides(s.shape, tuple(range(len(s.shape)))), s.dtype)
                          for s in self.scratch]  # fmt: skip
        self.starts, found = lay_out(plan, steps, self.memories, addresses)
        self.runs: list[tuple[Any, Stage]] = [
            (SimulatedJob(one) if SIMULATED else PreparedJob(one, device), stage)
            for one, stage in zip(found, steps.stages, strict=True)
        ]

    def launch(self, number: int, stream: int, addresses: list[int]) -> None:
        """One stage at every start."""
        run, stage = self.runs[number]
        for start in self.starts:
            if SIMULATED:
                run([self._simulated(i, addresses[i], start[i]) for i in stage.arrays])
            else:
                run(stream, [addresses[i] + start[i] * self.memories[i].dtype.itemsize for i in stage.arrays])

    def _simulated(self, i: int, address: int, start: int) -> tuple[np.ndarray, int]:
        """An array's flat memory, and where in it the kernel's pointer points to."""
        touched, dtype = self.memories[i].touched(), self.memories[i].dtype
        return flat_memory(address, touched, dtype), start - touched[0] // dtype.itemsize


def lay_out(
    plan: JobPlan, steps: Steps, memories: list[Memory], addresses: Sequence[int] = ()
) -> tuple[tuple[tuple[int, ...], ...], list[Launched]]:
    """The kernels of a job for arrays like these, and each array's offset, in elements, wherever they start.

    Of addresses only the alignment counts; arrays without one are our own, and aligned.
    """
    sides = (*plan.sides, plan.out_side, *(s.side for s in steps.scratch))
    full = [_full_strides(m, side, plan) for m, side in zip(memories, sides, strict=True)]
    # The grid is laid out for the result's memory, which is the last of the arrays that it looks at.
    at = len(plan.sides)
    grid = make_grid(plan, [*full[:at], *full[at + 1 :], full[at]])
    place = [len(full) - 1 if i == at else i - (i > at) for i in range(len(full))]
    starts = tuple(tuple(start[i] for i in place) for start in grid.starts)
    grid = grid._replace(steps=tuple(grid.steps[i] for i in place), starts=starts)
    addresses = [*addresses, *[0] * (len(memories) - len(addresses))]
    phases = tuple(
        functools.reduce(operator.or_, ((at + start[i] * m.dtype.itemsize) % cuda.ALIGNMENT for start in starts), 0)
        for i, (at, m) in enumerate(zip(addresses, memories, strict=True))
    )
    found = []
    for stage in steps.stages:
        payloads = tuple(cuda.payload(memories[i].dtype) for i in stage.arrays)
        found.append(prepare(stage._replace(payloads=payloads), grid, phases))
    return starts, found


def _full_strides(m: Memory, side: str, plan: JobPlan) -> tuple[int, ...]:
    """An array's strides along all axes of x; along those that it lacks they are 0."""
    gone, rank = gone_axes(plan), len(plan.forward.shape)
    if side == "own":
        return (0,) * rank
    if side == "plane":  # along pooled axes: the step between a plane's entries
        pooled, shape = [a.axis for a in plan.pooled], plan.forward.shape
        along = iter([s for n, s in zip(m.shape[:-1], m.strides[:-1], strict=True) if n != 1])
        return tuple(m.strides[-1] if a in pooled else next(along) if shape[a] != 1 else 0 for a in range(rank))
    if side == "y" and gone:
        kept = iter(m.strides)
        return tuple(0 if a in gone else next(kept) for a in range(rank))
    return m.strides


def run_many(arrays: tuple[Any, ...], job: Job, out: Any = None) -> Any:
    """Compute a job on device arrays of one library into a new array of it, or into `out`."""
    if job.kind == GRADIENT:
        found, job = in_two(job)
        arrays = (*arrays[:2], run_many(arrays[1:], found))
    lib = library(arrays[0])
    if len(arrays) == 2 and library(arrays[1]) is lib:
        arrays, job = with_found(lib, arrays, job)
    views: list[View] = []
    for name, a in zip(job.operands, arrays, strict=True):
        if job.host and views and type(a) is np.ndarray:
            views.append(uploaded(lib, arrays[0], views[0].device, a))
            continue
        if library(a) is not lib:
            kinds = f"{type(arrays[0]).__name__} and {type(a).__name__}"
            raise TypeError(
                f"{job.request.name}: {job.operands[0]} and {name} must be of one array library, got {kinds}"
            )
        views.append(checked(job.request, lib, a))
        if views[0].device is not None and views[-1].device not in (None, views[0].device):
            devices = f"{views[0].device} and {views[-1].device}"
            fail(job.request, ValueError(f"{job.operands[0]} and {name} must be on one device, got {devices}"))
    target = None if out is None else _target(lib, arrays[0], views, job, out)
    call = prepared(job, views, target)
    plan = call.plan
    device = views[0].device
    with usable(device):
        y = lib.empty(arrays[0], plan.out_shape, call.order, plan.out_dtype) if out is None else out
        if call.steps is not None:
            scratch = [lib.empty(arrays[0], s.shape, tuple(range(len(s.shape))), s.dtype) for s in call.scratch]
            at = lib.address(y) if target is None else target.address
            addresses = [*(v.address for v in views), at, *map(lib.address, scratch)]
            call.steps.run(call, lib.stream(arrays[0]), addresses)
            lib.started(views)
    return lib.result(y) if out is None else out


def with_found(lib: Library, arrays: tuple[Any, ...], job: Job) -> tuple[tuple[Any, ...], Job]:
    """grad_output and x with what a pooling of x says, where the gradient needs it."""
    name, ask = FOUND.get(job.kind, ("", None))
    if ask is None:
        return arrays, job
    grad, x = lib.view(arrays[0]), lib.view(arrays[1])
    request = None if found_at_once(job.kind, job.request, x.shape, x.dtype) else ask(job.request, grad, x)
    if request is None:
        return arrays, job
    found = (cuda.run_positions if request.indices else cuda.run)(arrays[1], request)
    return (*arrays, found), job._replace(operands=(*job.operands, name), own=True)


def uploaded(lib: Library, like: Any, device: int | None, host: np.ndarray) -> View:
    """A small NumPy array's copy on the device, made on the caller's stream."""
    if not is_float(host.dtype) or host.ndim == 0 or host.size == 0:  # the plan refuses it, or nothing is read
        return View(host.shape, host.strides, host.dtype, 0, device)
    host = np.ascontiguousarray(host)
    with usable(device):
        made = lib.empty(like, host.shape, tuple(range(host.ndim)), host.dtype)
        address = lib.address(made)
        write_bytes(address, host, lib.stream(like))
    return View(host.shape, host.strides, host.dtype, address, device, False, made)


def _target(lib: Library, first: Any, views: list[View], job: Job, out: Any) -> View:
    """`out` as memory, with every check."""
    if not lib.mutable:
        fail(job.request, TypeError(f"out cannot be given for {type(first).__name__} arrays, which are immutable"))
    y = lib.view(out) if isinstance(out, type(first)) else out
    plan = job.make_plan(job, tuple(Operand(v.shape, v.dtype) for v in views))
    check_out(plan, y, View)
    check_memory(job.request, dict(zip(job.operands, views, strict=True)), y)
    return y


def prepared(job: Job, views: list[View], out: View | None) -> Call:
    """The call for arrays like these, made once."""
    key = (
        job,
        *(
            (v.shape, v.strides, v.dtype, v.device, v.address % cuda.ALIGNMENT)
            for v in (*views, *([] if out is None else [out]))
        ),
        out is None,
    )
    call = _calls.get(key)
    if call is None:
        with usable(views[0].device):
            call = Call(job, views, out)
        if len(_calls) >= CACHED_CALLS:
            _calls.clear()
        _calls[key] = call
    return call
