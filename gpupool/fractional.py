"""The plan of fractional max pooling: lengths from sizes or ratios, and what the samples must be."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpupool.kernels.window import Fractional

from .axes import PooledAxis, per_axis, pooled_axes, pooled_shape
from .dtypes import check_real, is_float
from .gradients import accumulator, check_float
from .jobs import INT64, Job, JobPlan, Operand, check_operand
from .plan import Plan
from .request import fail

WHERE = "fractional_where"  # the kind of the job that gives positions; "fractional" gives the elements
GRADIENT = "fractional_gradient"  # that of gradients from samples; from positions they are "chosen"


def lengths(job: Job, n: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    """The result's lengths: `output_size`, or else `output_ratio` of the input's, cut off."""
    size, ratio = job.extra
    if size is not None:
        return per_axis("output_size", size, axes, 0)
    found = []
    for a, length, one in zip(axes, n, ratios(ratio, axes), strict=True):
        if not 0 < one < 1:
            raise ValueError(f"output_ratio must lie between 0 and 1, both excluded, got {one} for axis {a}")
        found.append(int(length * one))
    return tuple(found)


def ratios(ratio: Any, axes: tuple[int, ...]) -> tuple[float, ...]:
    """One number for each axis."""
    given = ratio if isinstance(ratio, tuple) else (ratio,) * len(axes)
    if len(given) != len(axes):
        raise ValueError(f"output_ratio must be a number or {len(axes)} of them, got {ratio!r}")
    if any(isinstance(r, (bool, np.bool_)) or not isinstance(r, (int, float, np.integer, np.floating)) for r in given):
        raise TypeError(f"output_ratio must be a number or {len(axes)} of them, got {ratio!r}")
    return given


def check_samples(job: Job, samples: Operand, leading: tuple[int, ...], count: int) -> None:
    """One number of each plane for each axis; leading axes of length 1 may be left out, or be there."""
    if not is_float(samples.dtype):
        allowed = "float16, bfloat16, float32 or float64"
        fail(job.request, TypeError(f"_random_samples must have dtype {allowed}, got {samples.dtype}"))

    def plain(shape: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(n for n in shape if n != 1)

    if not samples.shape or samples.shape[-1] != count or plain(samples.shape[:-1]) != plain(leading):
        fail(job.request, ValueError(f"_random_samples must have shape {(*leading, count)}, got {samples.shape}"))


def forward_plan(job: Job, x: Operand) -> Plan:
    """The pooling itself, without its samples."""
    request = job.request
    try:
        check_real(x.dtype)
        axes = pooled_axes(request, x.shape)
        n = tuple(x.shape[a] for a in axes)
        if 0 in n:
            raise ValueError(f"axis {axes[n.index(0)]} of x has no elements to pool: shape {x.shape}")
        k = per_axis("kernel_size", request.window, axes, 1)
        out = lengths(job, n, axes)
        for a, length, window, windows in zip(axes, n, k, out, strict=True):
            if windows + window - 1 > length:
                raise ValueError(
                    f"kernel_size and output_size must fit the input: {windows} windows of {window} begin at different "
                    f"elements, and axis {a} has {length}"
                )
    except (TypeError, ValueError) as error:
        fail(request, error)
    pooled = tuple(PooledAxis(a, n[i], out[i], k[i], 1, 1, 0, 0) for i, a in enumerate(axes))
    return Plan(request, x.shape, pooled_shape(x.shape, pooled, True), x.dtype, x.dtype, pooled)


def plan_fractional(job: Job, operands: tuple[Operand, ...]) -> JobPlan:
    """x and its samples: elements, or their positions, where the result is."""
    x, samples = operands
    forward = forward_plan(job, x)
    axes = [a.axis for a in forward.pooled]
    leading = tuple(length for a, length in enumerate(x.shape) if a not in axes)
    check_samples(job, samples, leading, len(axes))
    out_dtype = INT64 if job.kind == WHERE else x.dtype
    return JobPlan(job, forward, ("x", "plane"), (x.dtype, samples.dtype), forward.out_shape, out_dtype, "y", 0)


def plan_fractional_gradient(job: Job, operands: tuple[Operand, ...]) -> JobPlan:
    """grad_output, x and indices: a result like x."""
    x = operands[1]
    check_float(job.request, x.dtype)
    forward = forward_plan(job, x)._replace(rule=Fractional())
    check_operand(job, 0, operands[0], forward.out_shape, x.dtype)
    check_operand(job, 2, operands[2], forward.out_shape, INT64)
    return JobPlan(job, forward, ("y", "x", "y"), (x.dtype, x.dtype, INT64), x.shape, x.dtype, "x", 1)


def plan_fractional_found(job: Job, operands: tuple[Operand, ...]) -> JobPlan:
    """grad_output, x and its samples: a result like x."""
    grad, x, samples = operands
    forward = plan_fractional(job, (x, samples)).forward
    check_float(job.request, x.dtype)
    check_operand(job, 0, grad, forward.out_shape, x.dtype)
    return JobPlan(job, forward, ("y", "x", "plane"), (x.dtype, x.dtype, samples.dtype), x.shape, x.dtype, "x", 1)


def in_two(job: Job) -> tuple[Job, Job]:
    """The job of a gradient from samples as two: one that finds positions, and the gradient from these."""
    found = job._replace(kind=WHERE, operands=job.operands[1:], make_plan=plan_fractional)
    names = (*job.operands[:2], "indices")
    return found, job._replace(kind="chosen", operands=names, make_plan=plan_fractional_gradient, host=False, own=True)


def sample_type(plan: JobPlan) -> np.dtype:
    """The type in which starts are computed: the samples' own, float32 for halves."""
    return accumulator(plan.dtypes[-1])


def sample_column(plan: JobPlan, i: int) -> int:
    """Which of a plane's samples pooled axis `i` takes: in their order, but W before H in 2-D (PyTorch's rule)."""
    return 1 - i if len(plan.pooled) == 2 else i


def made_samples(shape: tuple[int, ...], axes: tuple[int, ...], seed: Any) -> np.ndarray:
    """Samples in [0, 1) for an array of this shape, by NumPy's default generator."""
    leading = tuple(n for a, n in enumerate(shape) if a not in axes)
    return np.random.default_rng(seed).random((*leading, len(axes)))
