"""The CPU engine of gradients of sums and averages that omit NaN."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gpupool.gradients import accumulator
from gpupool.jobs import JobPlan
from gpupool.kernels.codecs import input_codec
from gpupool.kernels.cpu import jit
from gpupool.kernels.cpu.known import blank_nan, shares
from gpupool.plan import choose

from .cpu import payload
from .cpu_frame import Form, Runner, dense_geometry, launch
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
    """What divides each window's gradient, None for operators that do not."""
    red, codecs = choose(plan.forward, wide=True)[0], (input_codec(plan.dtypes[0]), input_codec(plan.dtypes[1]))
    if not hasattr(red, "share"):
        return None
    g, acc = dense_geometry(plan, form), accumulator(plan.dtypes[0], plan.out_dtype)
    constants: tuple[Any, ...] = (
        payload(plan.dtypes[0]), payload(plan.dtypes[1]), acc, codecs, red, plan.forward.rule,
    )  # fmt: skip
    packed, code = jit.pack(g), jit.compiled(shares, 6, constants)
    rows, elements = g.outer.n * g.d.out * g.h.out, math.prod(form.x)

    def divide(grad: np.ndarray, x: np.ndarray) -> np.ndarray:
        out = np.empty(grad.shape, acc)
        launch(code, (grad.ctypes.data, x.ctypes.data, out.ctypes.data, packed.ctypes.data), constants, rows, elements)
        return out

    return divide


ENGINES: dict[str, Callable[[JobPlan, Form, np.ndarray], Runner]] = {"known": known_engine}
