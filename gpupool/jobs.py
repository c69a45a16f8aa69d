"""Calls with several operands: what is asked for, and its plan. Every error that needs only shapes and dtypes is here.

A job is a kind (a key of the backends' tables of engines), the pooling that it belongs to, and the operands' names.
Operands lie along the input of that pooling ("x"), along its result ("y"), have
an entry for each plane along a last axis ("plane"), or are of a form of their own ("own").
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .axes import PooledAxis
from .plan import Plan
from .request import Request, fail

INT64 = np.dtype(np.int64)


class Operand(NamedTuple):
    """One array of a call as the plan sees it."""

    shape: tuple[int, ...]
    dtype: np.dtype


class Job(NamedTuple):
    """One call's arguments, hashable; `make_plan(job, operands)` gives its plan or raises the user's error."""

    request: Request
    kind: str
    operands: tuple[str, ...]  # their names, for errors
    make_plan: Callable[[Job, tuple[Operand, ...]], JobPlan]
    extra: Any = None
    host: bool = False  # whether the last operand may be a NumPy array where the first is on a device
    own: bool = False  # whether the last operand was found here: no check is needed


class JobPlan(NamedTuple):
    """What to compute, in integers: independent of strides, device and array library."""

    job: Job
    forward: Plan  # of the pooling
    sides: tuple[str, ...]  # per operand: "x", "y" or "own"
    dtypes: tuple[np.dtype, ...]
    out_shape: tuple[int, ...]
    out_dtype: np.dtype
    out_side: str
    like: int  # the operand whose memory order the result takes
    engine: str = ""  # the kind of its engines, where the operands ask for others than the job's

    @property
    def kind(self) -> str:
        """A key of the backends' tables of engines."""
        return self.engine or self.job.kind

    @property
    def request(self) -> Request:
        """The pooling's arguments."""
        return self.job.request

    @property
    def pooled(self) -> tuple[PooledAxis, ...]:
        """The pooled axes."""
        return self.forward.pooled


def check_operand(job: Job, at: int, operand: Operand, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """An operand must have exactly this shape and dtype."""
    name = job.operands[at]
    if operand.shape != shape:
        fail(job.request, ValueError(f"{name} must have shape {shape}, got {operand.shape}"))
    if operand.dtype != dtype:
        fail(job.request, TypeError(f"{name} must have dtype {dtype}, got {operand.dtype}"))


def gone_axes(plan: JobPlan) -> tuple[int, ...]:
    """The axes that the pooling's result lacks."""
    request = plan.request
    if request.keepdims:
        return ()
    end = len(plan.forward.shape) - (request.data_format == "channels_last")
    return tuple(range(end - (request.spatial or 0), end))


def check_out(plan: JobPlan, out: Any, kind: Any) -> None:
    """`out`: type, shape and dtype as they must be."""
    if not isinstance(out, kind) or isinstance(out, np.ma.MaskedArray):
        fail(plan.request, TypeError(f"out must be of the input's array type, got {type(out).__name__}"))
    if tuple(out.shape) != plan.out_shape:
        fail(plan.request, ValueError(f"out must have shape {plan.out_shape}, got {tuple(out.shape)}"))
    if out.dtype != plan.out_dtype:
        fail(plan.request, TypeError(f"out must have dtype {plan.out_dtype}, got {out.dtype}"))


def offset_error(plan: JobPlan, tap: int) -> ValueError:
    """The error for a tap that is none of its window's elements."""
    taps = math.prod(a.k for a in plan.pooled)
    return ValueError(
        f"{plan.request.name}: indices must be taps 0 to {taps - 1} of their windows, and not in the padding, got {tap}"
    )


def index_error(plan: JobPlan, index: int, limit: int) -> ValueError:
    """The error for an index outside its plane."""
    return ValueError(
        f"{plan.request.name}: indices must lie in 0 to {limit - 1}, flat within the pooled axes, got {index}"
    )
