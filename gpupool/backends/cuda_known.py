"""The GPU stages of gradients of sums and averages that omit NaN."""

from __future__ import annotations

from collections.abc import Callable

from gpupool.backends import cuda_strips
from gpupool.backends.cuda_gradients import Steps, known_windows, run_all, run_first
from gpupool.backends.cuda_jobs import Scratch, Stage, make_axes
from gpupool.gradients import accumulator
from gpupool.jobs import JobPlan
from gpupool.kernels.cuda.known import divide_known, gather_known


def known(plan: JobPlan) -> Steps:
    """What elements get; before, where operators divide, what each window gives by its divisor, the third operand."""
    grad, x = plan.dtypes[:2]
    acc = accumulator(grad, x)
    dilated = any(a.d > 1 for a in make_axes(plan))
    constants = (("ACC", acc.type), ("AVERAGES", False), ("DILATED", dilated), *known_windows(plan))
    if len(plan.dtypes) == 2:
        return Steps([Stage(gather_known, (0, 1, 2), 1, "x", constants, (grad, x), fit=cuda_strips.fit)], [], run_first)
    divide = Stage(divide_known, (0, 2, 4), 1, "y", (("ACC", acc.type),), (grad, acc))
    gather = Stage(gather_known, (4, 1, 3), 1, "x", constants, (acc, x), fit=cuda_strips.fit)
    return Steps([divide, gather], [Scratch(plan.forward.out_shape, acc, "y")], run_all)


ENGINES: dict[str, Callable[[JobPlan], Steps]] = {"known": known}
