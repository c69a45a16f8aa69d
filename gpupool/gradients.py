"""The plans of gradients: what grad_output and x must be, and what the result is."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from .dtypes import is_float
from .jobs import INT64, Job, JobPlan, Operand, check_operand
from .operators import DIVISORS, operator_of
from .plan import MOST_TAPS, Plan, make_plan, offset_dtype
from .request import OFFSETS, Request, fail

TAKEN = "taken"  # the kind of engines that take offsets


def kind_of(request: Request) -> str:
    """Which engines compute the gradient of this pooling."""
    row = operator_of(request.op)
    return row.known if row.known and request.nan_policy == "omit" else row.gradient


def divides(plan: JobPlan) -> bool:
    """Whether engines of sums still have to divide; where NaN is omitted, each window was divided before."""
    row = operator_of(plan.request.op)
    return row.divides and plan.kind != row.known


def plan_gradient(job: Job, operands: tuple[Operand, ...]) -> JobPlan:
    """grad_output, x and perhaps indices: a result like x."""
    grad, x = operands[0], operands[1]
    request = job.request
    check_float(request, x.dtype)
    forward = make_plan(request, x.shape, x.dtype)
    if not is_float(forward.out_dtype):
        fail(request, TypeError(f"dtype must be a floating dtype to have a gradient, got {forward.out_dtype}"))
    check_operand(job, 0, grad, forward.out_shape, forward.out_dtype)
    if len(operands) == 3:
        third = positions_dtype(job, forward, operands[2]) if job.kind == "chosen" else accumulator(grad.dtype, x.dtype)
        check_operand(job, 2, operands[2], forward.out_shape, third)
    sides, dtypes = ("y", "x", "y")[: len(operands)], tuple(o.dtype for o in operands)
    engine = TAKEN if dtypes[-1].kind == "u" else ""
    return JobPlan(job, forward, sides, dtypes, x.shape, x.dtype, "x", 1, engine)


def check_float(request: Request, dtype: np.dtype) -> None:
    """What has a gradient is made of floats."""
    if not is_float(dtype):
        fail(
            request, TypeError(f"x must be float16, bfloat16, float32 or float64 to have a gradient, got dtype {dtype}")
        )


def positions_dtype(job: Job, forward: Plan, indices: Operand) -> np.dtype:
    """The dtype that indices must have: int64 of flat ones, or an unsigned one of offsets in windows that slide."""
    if indices.dtype.kind != "u":
        return INT64
    if not offsets_exist(job.request):
        fail(job.request, TypeError(f"indices must have dtype int64 for these windows, got {indices.dtype}"))
    try:
        return offset_dtype(forward.pooled)
    except ValueError as error:
        fail(job.request, error)


def offsets_exist(request: Request) -> bool:
    """Whether a window's elements have numbers: it slides, and is given by its taps."""
    return request.window is not None and request.output_size is None


@functools.lru_cache(1024)
def few_taps(request: Request, shape: tuple[int, ...], dtype: np.dtype) -> bool:
    """Whether the numbers of a window's taps are small."""
    return math.prod(a.k for a in make_plan(request, shape, dtype).pooled) <= MOST_TAPS


def positions_request(request: Request, grad: Any, x: Any) -> Request:  # noqa: ARG001 (one signature for all of them)
    """The pooling that says which elements were chosen, in as few bytes as it can."""
    few = offsets_exist(request) and few_taps(request, x.shape, x.dtype)
    return request._replace(indices=OFFSETS) if few else request


def norms_request(request: Request, grad: Any, x: Any) -> Request:
    """The pooling that gives the norms again, in the type in which gradients are added."""
    return request._replace(dtype=accumulator(grad.dtype, x.dtype).name)


def divisors_request(request: Request, grad: Any, x: Any) -> Request | None:
    """The pooling that gives what means without NaN were divided by, in the type in which gradients are added."""
    return norms_request(request, grad, x)._replace(op=DIVISORS) if operator_of(request.op).divides else None


def exponent_of(plan: JobPlan) -> float:
    """p - 1 of an Lp norm."""
    return float(plan.request.options[0]) - 1.0


def accumulator(*dtypes: np.dtype) -> np.dtype:
    """float64 if one of them is, else float32."""
    return np.dtype(np.float64 if any(d.itemsize == 8 for d in dtypes) else np.float32)
