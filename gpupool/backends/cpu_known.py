"""The CPU engine of gradients of sums and averages that omit NaN."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from gpupool.gradients import accumulator, divisors_request
from gpupool.jobs import JobPlan, Operand
from gpupool.kernels.codecs import input_codec
from gpupool.kernels.cpu import jit
from gpupool.kernels.cpu.known import blank_nan, divide_known

from .cpu import payload
from .cpu import run as run_pooling
from .cpu_frame import Form, Runner, launch
from .cpu_gradients import spread_engine


def known_engine(plan: JobPlan, form: Form, packed: np.ndarray) -> Runner:
    """What each window gives, dealt out as a sum is, and taken back from NaN."""
    divided = divide_engine(plan, form)
    acc = accumulator(plan.dtypes[0], plan.out_dtype)
    spread = spread_engine(plan._replace(dtypes=(acc, *plan.dtypes[1:])) if divided else plan, form, packed)
    constants = (payload(plan.out_dtype), input_codec(plan.out_dtype))
    blank, elements = jit.compiled(blank_nan, 4, constants), math.prod(form.x)

    def run(arrays: list[np.ndarray], out: np.ndarray) -> None:
        spread([divided(arrays[0], arrays[1]) if divided else arrays[0]], out)
        launch(blank, (arrays[1].ctypes.data, out.ctypes.data), constants, elements, elements)

    return run


def divide_engine(plan: JobPlan, form: Form) -> Callable[[np.ndarray, np.ndarray], np.ndarray] | None:
    """What divides each window's gradient by what its result was divided by, None for operators that do not."""
    forward, g_dtype, x_dtype = plan.forward, plan.dtypes[0], plan.dtypes[1]
    request = divisors_request(plan.request, Operand(forward.out_shape, g_dtype), Operand(forward.shape, x_dtype))
    if request is None:
        return None
    request = request._replace(keepdims=True)
    back = tuple(form.order.index(a) for a in range(len(form.order)))
    constants = (payload(g_dtype), accumulator(g_dtype, x_dtype), input_codec(g_dtype))
    code, windows = jit.compiled(divide_known, 4, constants), math.prod(form.y)

    def divide(grad: np.ndarray, x: np.ndarray) -> np.ndarray:
        divisors = run_pooling(x.transpose(back), request)
        shares = np.ascontiguousarray(divisors.transpose(form.order))
        launch(code, (grad.ctypes.data, shares.ctypes.data), constants, windows, windows)
        return shares

    return divide


ENGINES: dict[str, Callable[[JobPlan, Form, np.ndarray], Runner]] = {"known": known_engine}
