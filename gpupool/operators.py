"""The table of operators: what each is, what it takes and what it gives. Adding an operator is adding a row.

The plan, the backends, the tests' cases and the README's table read it; none of them knows an operator by its name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gpupool.kernels import extremes, means
from gpupool.kernels.reducers import Wanted

from .dtypes import as_input, check_real, chosen_dtype, of_mean
from .request import Request

NAN_POLICIES = ("propagate", "omit")


class Result(NamedTuple):
    """The result's dtype: in words, and for an input's dtype."""

    words: str
    dtype: Callable[[np.dtype], np.dtype]


AS_INPUT = Result("the input's", as_input)
FLOATING = Result("floating point", of_mean)


class Operator(NamedTuple):
    """One operator. `families` are its public functions' names but for the dimension, as in "max_pool" + "2d"."""

    name: str
    summary: str
    families: tuple[str, ...]
    reducer: Callable[[Wanted], Any]  # which row of the kernels computes it
    result: Result
    divides: bool = False  # by the taps that count: count_include_pad and divisor_override
    dtype: bool = False  # `dtype` may choose the result's
    indices: bool = False  # positions, with return_indices
    nan_policy: bool = False  # NaN may be omitted
    options: tuple[str, ...] = ()  # parameters of its own, in the order of Request.options

    @property
    def takes(self) -> tuple[str, ...]:
        """The arguments that only some operators have."""
        words = ("return_indices",) * self.indices + ("count_include_pad", "divisor_override") * self.divides
        return (*self.options, *words, *("dtype",) * self.dtype, *("nan_policy",) * self.nan_policy)


OPERATORS = {
    row.name: row
    for row in (
        Operator(
            "max", "the largest element", ("max_pool", "adaptive_max_pool", "global_max_pool"),
            extremes.max_reducer, AS_INPUT, indices=True,
        ),
        Operator(
            "avg", "the mean", ("avg_pool", "adaptive_avg_pool", "global_avg_pool"),
            means.mean_reducer, FLOATING, divides=True, dtype=True,
        ),
    )
}  # fmt: skip


def public_names() -> tuple[str, ...]:
    """The functions of all operators: every family in one, two and three dimensions."""
    return tuple(f"{family}{n}d" for row in OPERATORS.values() for family in row.families for n in (1, 2, 3))


def operator_of(op: Any) -> Operator:
    """The row of an operator that a request names."""
    row = OPERATORS.get(op) if isinstance(op, str) else None
    if row is None:
        raise ValueError(f"op must be one of {tuple(OPERATORS)}, got {op!r}")
    return row


def check_operator(request: Request) -> Operator:
    """The request's operator; errors that need no array: the operator, its divisor and its NaN policy."""
    row = operator_of(request.op)
    if request.divisor_override is not None:
        if not isinstance(request.divisor_override, int):
            raise TypeError(f"divisor_override must be a non-zero int or None, got {request.divisor_override!r}")
        if request.divisor_override == 0 or abs(request.divisor_override) >= 2**31:
            raise ValueError(
                f"divisor_override must be a non-zero int below 2**31 or None, got {request.divisor_override}"
            )
    if request.nan_policy not in NAN_POLICIES:
        raise ValueError(f"nan_policy must be one of {NAN_POLICIES}, got {request.nan_policy!r}")
    if request.nan_policy != "propagate" and not row.nan_policy:
        able = tuple(r.name for r in OPERATORS.values() if r.nan_policy)
        raise ValueError(f"nan_policy must be 'propagate' for {row.name!r}, got {request.nan_policy!r} (only {able})")
    return row


def result_dtype(row: Operator, request: Request, dtype: np.dtype) -> np.dtype:
    """The dtype of the result, or a TypeError that says what is allowed."""
    check_real(dtype)
    if request.dtype is None:
        return row.result.dtype(dtype)
    if not row.dtype:
        able = tuple(r.name for r in OPERATORS.values() if r.dtype)
        raise TypeError(
            f"dtype must be None for {row.name!r}, which gives {row.result.dtype(dtype)} here (only {able} take one), "
            f"got {request.dtype!r}"
        )
    return chosen_dtype(request.dtype)
