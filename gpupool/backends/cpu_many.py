"""Jobs (calls with several operands) on NumPy arrays: plan and frame once per kind of call, then addresses."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

from gpupool.jobs import Job, JobPlan, Operand, check_out, gone_axes
from gpupool.request import fail

from . import cpu_fractional, cpu_gradients, cpu_known, cpu_offsets, cpu_powers, cpu_unpool
from .cpu import check_memory
from .cpu_frame import Form, Runners, dense, make_form, make_frame, new_result, upright
from .cpu_loops import WIDE_CHANNELS
from .cpu_tiles import tile_axes

MODULES = (cpu_gradients, cpu_unpool, cpu_fractional, cpu_offsets, cpu_known, cpu_powers)
ENGINES = {kind: engine for module in MODULES for kind, engine in module.ENGINES.items()}
# Channels from which on an only axis is better H than W (`upright`), by the kind of engines. Windows of three at stride
# 2, two threads: gradients of maxima of 16x1000x256 2.4 ms instead of 3.5, of means 1.4 instead of 2.5; of 32x2000x64
# 2.5 instead of 3.6, and of means 1.8 either way. Rows of more bytes leave the caches: means of 2x20000x96 to 2 take
# 0.5 ms instead of 27.
CHANNELS_IN_ROW, LONG_ROW = {"chosen": 32, "taken": 32, "powers": 32, "sums": 128}, 1 << 21
CACHED_CALLS = 1024  # prepared calls kept; when full, all are dropped

_calls: dict[tuple, Call] = {}


def is_upright(plan: JobPlan, form: Form) -> bool:
    """Whether positions of an only axis are better taken for rows, of channels, than for one row."""
    least = CHANNELS_IN_ROW.get(plan.kind)
    if least is None or len(plan.pooled) != 1 or form.x[4] < WIDE_CHANNELS or tile_axes(plan) is not None:
        return False
    return form.x[4] >= least or math.prod(form.x[1:]) * plan.out_dtype.itemsize > LONG_ROW


def clear(arrays: list[np.ndarray], out: np.ndarray) -> None:  # noqa: ARG001 (as engines are called)
    """The gradient of nothing."""
    out[...] = 0


class Call:
    """One kind of call, ready to run: everything but the arrays."""

    def __init__(self, job: Job, arrays: tuple[np.ndarray, ...]) -> None:
        self.plan = plan = job.make_plan(job, tuple(Operand(a.shape, a.dtype.newbyteorder("=")) for a in arrays))
        self.form = form = make_form(plan, arrays[plan.like].strides)
        self.gone = gone_axes(plan)
        self.run: Runners | None = None
        if 0 in plan.forward.out_shape:  # gradients of pooling to no windows; engines take one window at least
            self.run = Runners(clear, clear)
        elif 0 not in plan.out_shape:
            if is_upright(plan, form):
                plan, form = upright(plan, form)
            made = ENGINES[plan.kind](plan, form, make_frame(form, plan))
            self.run = made if isinstance(made, Runners) else Runners(made, made)

    def operand(self, i: int, array: np.ndarray) -> np.ndarray:
        """An operand as the kernels want it."""
        dtype = self.plan.dtypes[i]
        if self.plan.sides[i] in ("own", "plane"):
            return np.require(array, dtype, ("C", "A"))
        return dense(array, self.form.order, self.gone if self.plan.sides[i] == "y" else (), dtype)

    def __call__(self, arrays: tuple[np.ndarray, ...], out: np.ndarray, new: bool) -> None:
        """Compute into `out`, by way of a dense array where it is none; `new` says that nobody else has it."""
        if self.run is None:
            return
        view = np.expand_dims(out, self.gone) if self.gone and self.plan.out_side == "y" else out
        view = view.transpose(self.form.order)
        direct = view.flags.c_contiguous and view.flags.aligned
        target = view if direct else np.empty(view.shape, self.plan.out_dtype)
        run = self.run.new if new or not direct else self.run.into
        run([self.operand(i, a) for i, a in enumerate(arrays)], target)
        if not direct:
            view[...] = target


def run_many(arrays: tuple[np.ndarray, ...], job: Job, out: Any = None) -> Any:
    """Compute a job on NumPy arrays into a new array, or into `out`."""
    key = (job, *((a.shape, a.strides, a.dtype) for a in arrays))
    call = _calls.get(key)
    if call is None:
        call = Call(job, arrays)
        if len(_calls) >= CACHED_CALLS:
            _calls.clear()
        _calls[key] = call
    if out is None:
        new = new_result(call.plan, arrays[call.plan.like])
        call(arrays, new, True)
        return new
    check_out(call.plan, out, np.ndarray)
    check_memory(job.request, dict(zip(job.operands, arrays, strict=True)), out)
    call(arrays, out, False)
    return out


def run_array_like_many(arrays: tuple[Any, ...], job: Job, out: Any = None) -> Any:
    """The same for lists, scalars or anything else that NumPy can read, arrays among them."""
    read = []
    for name, value in zip(job.operands, arrays, strict=True):
        try:
            read.append(np.asarray(value))
        except ValueError as error:
            fail(job.request, ValueError(f"{name} cannot be read as an array: {error}"))
    return run_many(tuple(read), job, out)


def run_dlpack_many(arrays: tuple[Any, ...], job: Job, out: Any = None) -> Any:
    """The same for another library's CPU arrays, zero-copy, into the same library's."""
    read = []
    for name, value in zip(job.operands, arrays, strict=True):
        try:
            read.append(np.from_dlpack(value))
        except (BufferError, RuntimeError, TypeError) as error:
            fail(job.request, TypeError(f"{name} cannot be shared with NumPy: {error}"))
    if out is not None:
        run_many(tuple(read), job, np.from_dlpack(out))
        return out
    result = run_many(tuple(read), job)
    namespace = sys.modules[type(arrays[0]).__module__.partition(".")[0]]
    back = getattr(namespace, "from_dlpack", None) or namespace.dlpack.from_dlpack
    return back(result)
