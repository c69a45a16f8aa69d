"""What all gradients have in common: one call, whatever the operator."""

from __future__ import annotations

from typing import Any

from gpupool.dispatch import run_many
from gpupool.gradients import kind_of, plan_gradient
from gpupool.jobs import Job
from gpupool.request import Request


def backward(request: Request, grad_output: Any, x: Any, out: Any, indices: Any = None) -> Any:
    """The gradient of the pooling that `request` is, with respect to x."""
    kind = kind_of(request)
    if kind != "chosen":
        return run_many((grad_output, x), Job(request, kind, ("grad_output", "x"), plan_gradient), out)
    request = request._replace(indices=True)
    if indices is None:
        return run_many((grad_output, x), Job(request, kind, ("grad_output", "x"), plan_gradient), out)
    job = Job(request, kind, ("grad_output", "x", "indices"), plan_gradient)
    return run_many((grad_output, x, indices), job, out)
