"""The GPU stages of gradients from offsets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpupool.backends import cuda_apart, cuda_strips
from gpupool.backends.cuda_gradients import FLAGS, Steps, known_windows, marks, read_flags, run_first
from gpupool.backends.cuda_jobs import Stage, make_axes
from gpupool.gradients import TAKEN, accumulator
from gpupool.jobs import JobPlan, offset_error
from gpupool.kernels.cuda.offsets import check_taken, gather_taken


def run_taken(call: Any, stream: int, addresses: list[int]) -> None:
    """The check of the offsets, and then the gradient."""
    worst, _ = read_flags(call, stream, addresses)
    if worst >= 0:
        raise offset_error(call.plan, worst)
    call.launch(1, stream, addresses)


def taken(plan: JobPlan) -> Steps:
    """Gradients of operators that choose an element, whose taps are the third operand."""
    dilated = any(a.d > 1 for a in make_axes(plan))
    acc = accumulator(plan.dtypes[0], plan.out_dtype)
    constants = (("ACC", acc.type), ("DILATED", dilated), *known_windows(plan), *marks(np.int32, -1))
    codecs = (plan.dtypes[0], plan.out_dtype)
    gather = Stage(gather_taken, (0, 2, 3), 1, "x", constants, codecs, fit=cuda_strips.fit)
    gather = cuda_apart.chosen(plan, flat=False) or gather
    if plan.job.own:
        return Steps([gather], [], run_first)
    return Steps([Stage(check_taken, (2, 4), 1, "y"), gather], [FLAGS], run_taken)


ENGINES: dict[str, Callable[[JobPlan], Steps]] = {TAKEN: taken}
