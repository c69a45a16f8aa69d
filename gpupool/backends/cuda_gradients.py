"""The GPU stages of jobs: per kind, a function from a plan to the kernels that run and the memory between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gpupool.backends.cuda_jobs import Stage, make_axes
from gpupool.gradients import accumulator
from gpupool.jobs import JobPlan
from gpupool.kernels.cuda.gather import gather_chosen, gather_sums
from gpupool.kernels.window import Axis, first_tap, tap_count


class Scratch(NamedTuple):
    """Memory that lives as long as one call."""

    shape: tuple[int, ...]
    dtype: np.dtype
    side: str


class Steps(NamedTuple):
    """The kernels of a job, and what runs them in their order."""

    stages: list[Stage]
    scratch: list[Scratch]
    run: Callable[[Any, int, list[int]], None]


def run_first(call: Any, stream: int, addresses: list[int]) -> None:
    """The one kernel that most jobs are."""
    call.launch(0, stream, addresses)


def uniform_divisor(axes: tuple[Axis, Axis, Axis], override: int) -> int:
    """What every window's average is divided by, 0 where they differ."""
    if override:
        return override
    product = 1
    for a in axes:
        counts = {tap_count(first_tap(o, a.s, a.before), a.count_from, a.count_to, a.k, a.d) for o in (0, a.out - 1)}
        if counts != {a.k}:  # the first and the last window have the fewest
            return 0
        product *= a.k
    return product


def sums(plan: JobPlan) -> Steps:
    """Gradients of sums and averages."""
    axes = make_axes(plan)
    acc = accumulator(plan.dtypes[0], plan.out_dtype)
    averages = plan.request.op == "avg"
    constants = (
        ("ACC", acc.type), ("AVERAGES", averages), ("DILATED", any(a.d > 1 for a in axes)),
        ("UNIFORM", uniform_divisor(axes, plan.request.divisor_override or 0) if averages else 1),
    )  # fmt: skip
    return Steps([Stage(gather_sums, (0, 2), 1, "x", constants, (plan.dtypes[0], plan.out_dtype))], [], run_first)


def chosen(plan: JobPlan) -> Steps:
    """Gradients of operators that choose an element, whose positions are the third operand."""
    acc = accumulator(plan.dtypes[0], plan.out_dtype)
    codecs = (plan.dtypes[0], plan.out_dtype)
    return Steps([Stage(gather_chosen, (0, 2, 3), 1, "x", (("ACC", acc.type),), codecs)], [], run_first)


ENGINES: dict[str, Callable[[JobPlan], Steps]] = {"sums": sums, "chosen": chosen}
