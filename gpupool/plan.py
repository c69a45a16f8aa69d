"""A request, a shape and a dtype become a Plan: frozen integers. Every error a user can make is raised by here.

`request` holds the arguments as given, `axes` and `dtypes` resolve them, this module puts them together. The window
arithmetic itself is in `gpupool.kernels.window`.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from gpupool.kernels.codecs import input_codec, output_codec
from gpupool.kernels.reducers import Wanted
from gpupool.kernels.window import SLIDING

from .axes import PooledAxis, pooled_shape, resolve_axes, window_rule
from .dtypes import is_float
from .operators import check_operator, operator_of, parameters, result_dtype
from .request import OFFSETS, Request, fail

MAX_POOLED_AXES = 3
MOST_TAPS = 2**16  # of a window, so that their numbers fit 16 bits
INT64 = np.dtype(np.int64)


class Plan(NamedTuple):
    """What to compute, in integers: independent of strides, device and array library."""

    request: Request
    shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    dtype: np.dtype
    out_dtype: np.dtype
    pooled: tuple[PooledAxis, ...]
    rule: Any = SLIDING  # how windows lie: a row of `gpupool.kernels.window`

    @property
    def divides(self) -> bool:
        """Whether results depend on a divisor."""
        return operator_of(self.request.op).divides

    @property
    def largest_window(self) -> int:
        """Elements in the largest window, or the divisor where one is given and larger."""
        taps = 1
        for a in self.pooled:
            taps *= min(a.k, a.n)
        return max(taps, abs(self.request.divisor_override or 0))

    @property
    def where_dtype(self) -> np.dtype:
        """Of positions: int64 of flat ones, the narrowest unsigned integers of numbers of taps."""
        return offset_dtype(self.pooled) if self.request.indices == OFFSETS else INT64


def offset_dtype(pooled: tuple[PooledAxis, ...]) -> np.dtype:
    """The dtype of numbers of taps in windows like these, or a ValueError where no small one holds them."""
    taps = math.prod(a.k for a in pooled)
    if taps > MOST_TAPS:
        raise ValueError(f"offsets are of windows of at most {MOST_TAPS} taps, got {taps}: take int64 indices")
    return np.dtype(np.uint8 if taps <= 256 else np.uint16)


def make_plan(request: Request, shape: tuple[int, ...], dtype: np.dtype) -> Plan:
    """Check every argument against the array and resolve it; pure integers, no array touched."""
    try:
        out_dtype = result_dtype(check_operator(request), request, dtype)
        pooled = resolve_axes(request, shape)
        busy = [a for a in pooled if (a.k, a.s, a.out) != (1, 1, a.n)]
        if len(busy) > MAX_POOLED_AXES:
            raise ValueError(
                f"window may be larger than 1 along at most {MAX_POOLED_AXES} axes, got {len(busy)}: "
                f"axes {tuple(a.axis for a in busy)}"
            )
        if request.indices == OFFSETS:
            offset_dtype(pooled)
    except (TypeError, ValueError) as error:
        fail(request, error)
    rule = window_rule(request, pooled)
    # Indices are flat within all pooled axes, so those with a window of 1 stay; otherwise they are mere batch axes.
    kept = pooled if request.indices else tuple(busy)
    return Plan(request, shape, pooled_shape(shape, pooled, request.keepdims), dtype, out_dtype, kept, rule)


def choose(plan: Plan, *, wide: bool) -> tuple[Any, Any, Any]:
    """The reducer and the codecs of input and output; `wide` says that float64 arithmetic is cheap on the target."""
    request = plan.request
    omit = request.nan_policy == "omit" and is_float(plan.dtype)
    row, override = operator_of(request.op), request.divisor_override is not None
    wanted = Wanted(
        plan.dtype, plan.out_dtype, plan.largest_window, bool(request.indices), wide, omit, override,
        parameters(row, request.options, plan.dtype),
    )  # fmt: skip
    red = row.reducer(wanted)
    return red, input_codec(plan.dtype), output_codec(plan.out_dtype, getattr(red, "gives", "number"))


def check_elements(request: Request, out: Any, readonly: bool) -> None:
    """`out` must be writeable, and each of its elements must exist once."""
    if readonly:
        fail(request, ValueError("out must be writeable, got a read-only array"))
    if 0 not in out.shape and any(s == 0 and n > 1 for n, s in zip(out.shape, out.strides, strict=True)):
        fail(request, ValueError(f"out must not repeat elements, got strides {out.strides} for shape {out.shape}"))


def arrays_overlap(x: np.ndarray, y: np.ndarray) -> bool:
    """Whether two arrays have a byte in common: exact within a bounded effort, cautious beyond."""
    if not np.may_share_memory(x, y):
        return False
    try:
        return np.shares_memory(x, y, max_work=100_000)  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True


def check_outs(plan: Plan, out: Any, kind: Any) -> tuple[Any, ...]:
    """`out` as a tuple: one array, or the pair (values, indices); type, shape and dtype as they must be."""
    request = plan.request
    wanted = (plan.out_dtype, plan.where_dtype) if request.indices else (plan.out_dtype,)
    outs: tuple[Any, ...] = out if request.indices else (out,)
    if request.indices and (not isinstance(out, tuple) or len(out) != 2):
        fail(
            request,
            TypeError(
                f"out must be a pair (values, indices) with return_indices={request.indices!r}, got "
                f"{type(out).__name__}"
            ),
        )
    for y, dtype in zip(outs, wanted, strict=True):
        if not isinstance(y, kind) or isinstance(y, np.ma.MaskedArray):
            fail(request, TypeError(f"out must be of the input's array type, got {type(y).__name__}"))
        if tuple(y.shape) != plan.out_shape:
            fail(request, ValueError(f"out must have shape {plan.out_shape}, got {tuple(y.shape)}"))
        if y.dtype != dtype:
            fail(request, TypeError(f"out must have dtype {dtype}, got {y.dtype}"))
    return outs
