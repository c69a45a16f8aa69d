"""The GPU stages of jobs: per kind, a function from a plan to the kernels that run and the memory between them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gpupool.backends import cuda_apart, cuda_strips
from gpupool.backends.cuda_jobs import Scratch, Stage, fill_bytes, make_axes, read_back
from gpupool.backends.cuda_tiles import LARGEST_WINDOW
from gpupool.gradients import accumulator, exponent_of
from gpupool.jobs import INT64, JobPlan, index_error
from gpupool.kernels.cuda.gather import gather_chosen, gather_powers, gather_sums
from gpupool.kernels.cuda.unpool import check_indices, claim, unpool, unpool_back
from gpupool.kernels.window import Axis, Sliding
from gpupool.operators import operator_of


class Steps(NamedTuple):
    """The kernels of a job, and what runs them in their order."""

    stages: list[Stage]
    scratch: list[Scratch]
    run: Callable[[Any, int, list[int]], None]


def run_first(call: Any, stream: int, addresses: list[int]) -> None:
    """The one kernel that most jobs are."""
    call.launch(0, stream, addresses)


def run_all(call: Any, stream: int, addresses: list[int]) -> None:
    """All kernels, one after another."""
    for number in range(len(call.runs)):
        call.launch(number, stream, addresses)


def uniform_divisor(axes: tuple[Axis, Axis, Axis], override: int, rule: Any) -> int:
    """What every window's average is divided by, 0 where they differ."""
    if override or not isinstance(rule, Sliding):
        return override
    product = 1
    for a in axes:
        counts = {rule.counted(rule, a, o) for o in (0, a.out - 1)}
        if counts != {a.k}:  # the first and the last window have the fewest
            return 0
        product *= a.k
    return product


def known_windows(plan: JobPlan) -> tuple[tuple[str, Any], ...]:
    """Windows up to LARGEST_WINDOW a side as constants of the kernels that gather."""
    axes = make_axes(plan)
    known = isinstance(plan.forward.rule, Sliding) and all(a.d == 1 and a.k <= LARGEST_WINDOW for a in axes)
    return tuple(
        (f"WINDOW_{name}", (a.k, a.s, -(-a.k // a.s)) if known else (0, 0, 0))
        for name, a in zip("DHW", axes, strict=True)
    )


def marks(kind: Any, absent: Any, *, flat: bool = False) -> tuple[tuple[str, Any], ...]:
    """What lies beside the gradients of windows, for strips: its type, and what stands for a window that is none."""
    return (("KIND", kind), ("ABSENT", absent), ("FLAT", flat))


def sums(plan: JobPlan) -> Steps:
    """Gradients of sums and averages."""
    axes = make_axes(plan)
    acc = accumulator(plan.dtypes[0], plan.out_dtype)
    averages = operator_of(plan.request.op).divides
    constants = (
        ("ACC", acc.type), ("AVERAGES", averages), ("DILATED", any(a.d > 1 for a in axes)),
        ("UNIFORM", uniform_divisor(axes, plan.request.divisor_override or 0, plan.forward.rule) if averages else 1),
        *known_windows(plan),
    )  # fmt: skip
    gather = Stage(gather_sums, (0, 2), 1, "x", constants, (plan.dtypes[0], plan.out_dtype), fit=cuda_strips.fit)
    return Steps([cuda_apart.sums(plan, constants) or gather], [], run_first)


def chosen(plan: JobPlan) -> Steps:
    """Gradients of operators that choose an element, whose positions are the third operand, if there is one."""
    if len(plan.dtypes) == 2:
        return Steps(*cuda_apart.found(plan), run_all)
    acc = accumulator(plan.dtypes[0], plan.out_dtype)
    codecs = (plan.dtypes[0], plan.out_dtype)
    few = plan.job.own and math.prod(a.n for a in plan.pooled) < 2**31
    constants = (
        ("ACC", acc.type), *known_windows(plan), *marks(np.int32 if few else np.int64, -1, flat=True),
        ("TRUSTED", plan.job.own),
    )  # fmt: skip
    gather = Stage(gather_chosen, (0, 2, 3), 1, "x", constants, codecs, fit=cuda_strips.fit)
    gather = cuda_apart.chosen(plan, flat=True) or gather
    if plan.job.own:
        return Steps([gather], [], run_first)
    return Steps([Stage(check_indices, (2, 4), 1, "y"), gather], [FLAGS], run_checked)


def powers(plan: JobPlan) -> Steps:
    """Gradients of Lp norms, which are the third operand, if there is one."""
    if len(plan.dtypes) == 2:
        return Steps([cuda_apart.powers(plan)], [], run_first)
    acc = accumulator(plan.dtypes[0], plan.out_dtype)
    constants = (
        ("ACC", acc.type), ("EXPONENT", exponent_of(plan)), ("DILATED", any(a.d > 1 for a in make_axes(plan))),
        *known_windows(plan), *marks(acc.type, -1.0),
    )  # fmt: skip
    codecs = (plan.dtypes[0], plan.out_dtype)
    gather = Stage(gather_powers, (0, 2, 1, 3), 1, "x", constants, codecs, fit=cuda_strips.fit)
    return Steps([gather], [], run_first)


FLAGS = Scratch((2,), INT64, "own")


def read_flags(call: Any, stream: int, addresses: list[int]) -> list[int]:
    """What the first kernel left in the flags, the first scratch memory; -1 is nothing, or not to be read."""
    at = len(call.plan.sides) + 1
    fill_bytes(addresses[at], 2 * INT64.itemsize, 0xFF, stream)
    call.launch(0, stream, addresses)
    flags = read_back(addresses[at], 2 * INT64.itemsize, stream)
    return [-1, -1] if flags is None else np.frombuffer(flags, np.int64).tolist()


def run_checked(call: Any, stream: int, addresses: list[int]) -> None:
    """The check of the indices, and then all other kernels."""
    at = len(call.plan.sides) + 1
    beyond, below = read_flags(call, stream, addresses)
    if beyond >= 0 or below >= 0:
        limit = math.prod(a.n for a in call.plan.pooled)
        raise index_error(call.plan, beyond if beyond >= 0 else -1 - below, limit)
    for number, scratch in enumerate(call.scratch[1:], 1):
        size = math.prod(scratch.shape) * scratch.dtype.itemsize
        fill_bytes(addresses[at + number], size, 0xFF, stream)
    for number in range(1, len(call.runs)):
        call.launch(number, stream, addresses)


def owners(plan: JobPlan) -> Scratch:
    """For each place of the unpooled planes the number of the element that it takes, -1 for none."""
    few = math.prod(a.out for a in plan.pooled) < 2**31
    return Scratch(plan.forward.shape, np.dtype(np.int32 if few else np.int64), "x")


def unpooled(plan: JobPlan) -> Steps:
    """Elements at their indices: x, indices, the result, flags, owners."""
    stages = [Stage(check_indices, (1, 3), 1, "y"), Stage(claim, (1, 4), 1, "y"), Stage(unpool, (0, 4, 2), 1, "x")]
    return Steps(stages, [FLAGS, owners(plan)], run_checked)


def unpooled_gradient(plan: JobPlan) -> Steps:
    """What lies at elements' indices: grad_output, x, indices, the result, flags, owners."""
    stages = [
        Stage(check_indices, (2, 4), 1, "y"),
        Stage(claim, (2, 5), 1, "y"),
        Stage(unpool_back, (0, 2, 5, 3), 1, "y"),
    ]
    return Steps(stages, [FLAGS, owners(plan)], run_checked)


ENGINES: dict[str, Callable[[JobPlan], Steps]] = {
    "sums": sums,
    "chosen": chosen,
    "powers": powers,
    "unpool": unpooled,
    "unpool_gradient": unpooled_gradient,
}
