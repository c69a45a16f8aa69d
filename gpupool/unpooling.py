"""The plans of unpooling and of its gradient, and the length of its result."""

from __future__ import annotations

from typing import Any

from gpupool.kernels.window import SLIDING

from .axes import PooledAxis, per_axis, pooled_axes
from .dtypes import is_real
from .gradients import check_float
from .jobs import INT64, Job, JobPlan, Operand, check_operand
from .plan import Plan
from .request import fail


def windows_of(job: Job, axes: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Of each axis the taps, the steps and the padding of the windows that indices come from."""
    request = job.request
    k = per_axis("kernel_size", request.window, axes, 1)
    s = k if request.stride is None else per_axis("stride", request.stride, axes, 1)
    return k, s, per_axis("padding", request.padding, axes, 0)


def unpooled_lengths(job: Job, n: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    """The result's lengths: `output_size`, or what the pooling would have had with nothing left over."""
    request = job.request
    k, s, p = windows_of(job, axes)
    usual = tuple((n[i] - 1) * s[i] - 2 * p[i] + k[i] for i in range(len(axes)))
    wanted: Any = job.extra
    if wanted is None:
        for a, length in zip(axes, usual, strict=True):
            if length < 1:
                raise ValueError(f"padding leaves no element along axis {a}: the result would have length {length}")
        return usual
    if isinstance(wanted, tuple) and len(wanted) == len(axes) + 2:  # a whole shape, of which the lengths are taken
        wanted = wanted[1:-1] if request.data_format == "channels_last" else wanted[2:]
    if not isinstance(wanted, tuple) or not all(isinstance(v, int) for v in wanted):
        raise TypeError(f"output_size must be None or a sequence of ints, got {job.extra!r}")
    if len(wanted) != len(axes):
        raise ValueError(f"output_size must be None, {len(axes)} ints or a whole shape, got {job.extra!r}")
    for a, length, given, step in zip(axes, usual, wanted, s, strict=True):
        if not max(length - step, 0) < given < length + step:
            raise ValueError(
                f"output_size must lie between {max(length - step, 0)} and {length + step}, both excluded, along axis "
                f"{a}, got {given}"
            )
    return wanted


def _forward(job: Job, x: Operand) -> Plan:
    """Unpooling as the pooling that it undoes: its windows say nothing, the lengths do."""
    request = job.request
    try:
        if not is_real(x.dtype):
            raise TypeError(f"x must have a real dtype or bool, got {x.dtype}")
        axes = pooled_axes(request, x.shape)
        n = tuple(x.shape[a] for a in axes)
        if 0 in n:
            raise ValueError(f"axis {axes[n.index(0)]} of x has no elements to unpool: shape {x.shape}")
        lengths = unpooled_lengths(job, n, axes)
    except (TypeError, ValueError) as error:
        fail(request, error)
    shape = list(x.shape)
    for a, length in zip(axes, lengths, strict=True):
        shape[a] = length
    pooled = tuple(PooledAxis(a, length, m, 1, 1, 1, 0, 0) for a, length, m in zip(axes, lengths, n, strict=True))
    return Plan(request, tuple(shape), x.shape, x.dtype, x.dtype, pooled, SLIDING)


def plan_unpool(job: Job, operands: tuple[Operand, ...]) -> JobPlan:
    """x and indices: a result of the unpooled lengths."""
    x = operands[0]
    forward = _forward(job, x)
    check_operand(job, 1, operands[1], x.shape, INT64)
    return JobPlan(job, forward, ("y", "y"), (x.dtype, INT64), forward.shape, x.dtype, "x", 0)


def plan_unpool_gradient(job: Job, operands: tuple[Operand, ...]) -> JobPlan:
    """grad_output, x and indices: a result like x."""
    x = operands[1]
    forward = _forward(job, x)
    check_float(job.request, x.dtype)
    check_operand(job, 0, operands[0], forward.shape, x.dtype)
    check_operand(job, 2, operands[2], x.shape, INT64)
    return JobPlan(job, forward, ("x", "y", "y"), (x.dtype, x.dtype, INT64), x.shape, x.dtype, "y", 1)
