"""The GPU stages of gradients of sums and averages that omit NaN."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gpupool.backends.cuda_gradients import Scratch, Steps, known_windows, run_first
from gpupool.backends.cuda_jobs import Stage, make_axes
from gpupool.gradients import accumulator
from gpupool.jobs import JobPlan
from gpupool.kernels.cuda.known import gather_known, share_known
from gpupool.plan import choose


def run_both(call: Any, stream: int, addresses: list[int]) -> None:
    """Both kernels."""
    call.launch(0, stream, addresses)
    call.launch(1, stream, addresses)


def known(plan: JobPlan) -> Steps:
    """What each window gives, if operators divide, and then what elements get: grad_output, x, the result, shares."""
    grad, x = plan.dtypes
    acc = accumulator(grad, x)
    red = choose(plan.forward, wide=False)[0]
    dilated = any(a.d > 1 for a in make_axes(plan))
    constants = (("ACC", acc.type), ("AVERAGES", False), ("DILATED", dilated), *known_windows(plan))
    if not hasattr(red, "share"):
        return Steps([Stage(gather_known, (0, 1, 2), 1, "x", constants, (grad, x))], [], run_first)
    divide = Stage(share_known, (0, 1, 3), 1, "y", (("ACC", acc.type),), (x, grad), red=red)
    gather = Stage(gather_known, (3, 1, 2), 1, "x", constants, (acc, x))
    return Steps([divide, gather], [Scratch(plan.forward.out_shape, acc, "y")], run_both)


ENGINES: dict[str, Callable[[JobPlan], Steps]] = {"known": known}
