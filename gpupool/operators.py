"""The table of operators: what each is, what it takes and what it gives. Adding an operator is adding a row.

The plan, the backends, the tests' cases and the README's table read it; none of them knows an operator by its name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gpupool.kernels import extremes, means, norms, ranks, sums, truths
from gpupool.kernels.reducers import Wanted

from .dtypes import as_input, check_real, chosen_dtype, of_mean, of_sum, of_truth
from .request import Request

NAN_POLICIES = ("propagate", "omit")


class Result(NamedTuple):
    """The result's dtype: in words, and for an input's dtype."""

    words: str
    dtype: Callable[[np.dtype], np.dtype]


AS_INPUT = Result("the input's", as_input)
FLOATING = Result("floating point", of_mean)
SUMMED = Result("the input's, of integers int64 or uint64", of_sum)
TRUTH = Result("bool", of_truth)


class Option(NamedTuple):
    """A parameter of an operator's own: its default, and the check that returns it as the kernels take it."""

    name: str
    default: Any
    check: Callable[[Any, np.dtype], Any]  # of a value, for this dtype of x


def norm_type(p: Any, dtype: np.dtype) -> float:  # noqa: ARG001 (one check, one signature)
    """The p of an Lp norm."""
    if isinstance(p, (bool, np.bool_)) or not isinstance(p, (int, float, np.integer, np.floating)):
        raise TypeError(f"norm_type must be a positive number or inf, got {p!r}")
    if not p > 0:
        raise ValueError(f"norm_type must be a positive number or inf, got {p!r}")
    return float(p)


def ignored(value: Any, dtype: np.dtype) -> Any:
    """The value that a mode does not count, None for no such value."""
    if value is None:
        return None
    if not isinstance(value, (bool, np.bool_, int, float, np.integer, np.floating)):
        raise TypeError(f"ignore must be a number of x's dtype {dtype}, or None, got {value!r}")
    if dtype.kind in "biu":
        low, high = (0, 1) if dtype.kind == "b" else (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
        if value != value or not low <= value <= high or value != int(value):
            raise ValueError(f"ignore must be a number of x's dtype {dtype}, or None, got {value!r}")
        return int(value)
    if value != value:
        raise ValueError(f"ignore must be a number of x's dtype {dtype}, or None, got {value!r}: NaN is never ignored")
    return float(value)


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
    gradient: str = ""  # which of the backends' engines compute it, where there is one
    known: str = ""  # the same where NaN is omitted, if it makes a difference to them
    options: tuple[Option, ...] = ()  # parameters of its own, in the order of Request.options

    @property
    def takes(self) -> tuple[str, ...]:
        """The arguments that only some operators have."""
        words = ("return_indices",) * self.indices + ("count_include_pad", "divisor_override") * self.divides
        return (*(o.name for o in self.options), *words, *("dtype",) * self.dtype, *("nan_policy",) * self.nan_policy)


OPERATORS = {
    row.name: row
    for row in (
        Operator(
            "max", "the largest element", ("max_pool", "adaptive_max_pool", "global_max_pool"),
            extremes.max_reducer, AS_INPUT, indices=True, nan_policy=True, gradient="chosen",
        ),
        Operator(
            "min", "the smallest element", ("min_pool", "global_min_pool"),
            extremes.min_reducer, AS_INPUT, indices=True, nan_policy=True, gradient="chosen",
        ),
        Operator(
            "avg", "the mean", ("avg_pool", "adaptive_avg_pool", "global_avg_pool"),
            means.mean_reducer, FLOATING, divides=True, dtype=True, nan_policy=True, gradient="sums", known="known",
        ),
        Operator(
            "sum", "the sum", ("sum_pool", "global_sum_pool"),
            sums.sum_reducer, SUMMED, dtype=True, nan_policy=True, gradient="sums", known="known",
        ),
        Operator(
            "lp", "the Lp norm", ("lp_pool", "global_lp_pool"),
            norms.norm_reducer, FLOATING, dtype=True, options=(Option("norm_type", 2.0, norm_type),), gradient="powers",
        ),
        Operator(
            "median", "the middle element, or the mean of the two middle ones", ("median_pool",),
            ranks.median_reducer, FLOATING, dtype=True,
        ),
        Operator(
            "mode", "the most frequent element, of equally frequent ones the smallest", ("mode_pool",),
            ranks.mode_reducer, AS_INPUT, options=(Option("ignore", None, ignored),),
        ),
        Operator("any", "whether an element is not zero", (), truths.any_reducer, TRUTH),
        Operator("all", "whether no element is zero", (), truths.all_reducer, TRUTH),
    )
}  # fmt: skip


SUMS, MEANS = OPERATORS["sum"], OPERATORS["avg"]  # of which gradients of sums and means are made

# No operator of the table, but what gradients of means that omit NaN need of x: what each window was divided by.
DIVISORS = Operator(
    "divisors", "what means that omit NaN are divided by", (), means.divisor_reducer, FLOATING, divides=True,
    dtype=True, nan_policy=True,
)  # fmt: skip

# Of gradients of Lp norms: the sum of powers that a norm is a root of.
POWERS = Operator(
    "powers", "the sum of powers of |x|", (), norms.powers_reducer, FLOATING, dtype=True,
    options=(Option("norm_type", 2.0, norm_type),),
)  # fmt: skip


def public_names() -> tuple[str, ...]:
    """The functions of all operators: every family in one, two and three dimensions."""
    return tuple(f"{family}{n}d" for row in OPERATORS.values() for family in row.families for n in (1, 2, 3))


def operator_of(op: Any) -> Operator:
    """The row of a request's operator: a name, a user's Reducer, or the row itself."""
    row = OPERATORS.get(op) if isinstance(op, str) else getattr(op, "operator", None)
    row = op if isinstance(op, Operator) else row
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


def parameters(row: Operator, options: tuple, dtype: np.dtype) -> tuple:
    """A request's options, checked: those of the row, in its order."""
    return tuple(option.check(value, dtype) for option, value in zip(row.options, options, strict=True))


def named_options(op: Any, given: dict[str, Any]) -> tuple:
    """Options given by name, in the order of the operator's row; a TypeError for those that it does not have."""
    row = OPERATORS.get(op) if isinstance(op, str) else None
    known = {o.name: o.default for o in row.options} if row else {}
    for name in given:
        if name not in known:
            raise TypeError(f"{op!r} has no parameter {name!r}; it has {tuple(known) or 'none'}")
    return tuple((known | given).values())


def result_dtype(row: Operator, request: Request, dtype: np.dtype) -> np.dtype:
    """The dtype of the result, or a TypeError that says what is allowed."""
    check_real(dtype)
    parameters(row, request.options, dtype)
    if request.dtype is None:
        return row.result.dtype(dtype)
    if not row.dtype:
        able = tuple(r.name for r in OPERATORS.values() if r.dtype)
        raise TypeError(
            f"dtype must be None for {row.name!r}, which gives {row.result.dtype(dtype)} here (only {able} take one), "
            f"got {request.dtype!r}"
        )
    return chosen_dtype(request.dtype)
