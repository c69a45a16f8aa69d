"""Fractional max pooling on the CPU: windows' starts are listed on the host, once for each plane."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from gpupool.fractional import WHERE, sample_column, sample_type
from gpupool.jobs import JobPlan
from gpupool.kernels.cpu import jit
from gpupool.kernels.cpu.fractional import fractional, fractional_where
from gpupool.kernels.window import LARGEST_SAMPLE, fractional_offset
from gpupool.plan import choose

from .cpu import payload
from .cpu_frame import Form, Runner, dense_geometry, launch


def starts_of(plan: JobPlan, form: Form, samples: np.ndarray) -> np.ndarray:
    """The first positions of all windows of D, H and W, of each plane in the kernels' order."""
    pooled = [a.axis for a in plan.pooled]
    batch = [a for a in range(len(plan.forward.shape)) if a not in pooled]
    u = samples.astype(sample_type(plan)).reshape(*(plan.forward.shape[a] for a in batch), len(pooled))
    order = [batch.index(a) for a in form.order if a in batch]
    u = u.transpose(*order, len(batch)).reshape(-1, len(pooled))
    u = np.where(abs(u) < LARGEST_SAMPLE, u, u.dtype.type(0))
    tables = [np.zeros((len(u), 3 - len(pooled)), np.int64)]
    for i, a in enumerate(plan.pooled):
        last, real = a.n - a.k, u.dtype.type
        found = np.full((len(u), a.out), last, np.int64)
        if a.out > 1:
            sample = u[:, sample_column(plan, i), None]
            step, numbers = real(last) / real(a.out - 1), np.arange(a.out - 1, dtype=u.dtype)
            found[:, :-1] = np.clip(fractional_offset(sample, step, numbers), 0, last)
        tables.append(found)
    return np.ascontiguousarray(np.concatenate(tables, axis=1))


def fractional_engine(plan: JobPlan, form: Form, _frame: np.ndarray) -> Runner:
    """Elements or positions, by the point rule."""
    g = dense_geometry(plan, form)
    packed = jit.pack(g)
    red, x_codec, y_codec = choose(plan.forward, wide=True)
    where = plan.job.kind == WHERE
    constants = (payload(plan.dtypes[0]), x_codec, red) if where else (payload(plan.dtypes[0]), x_codec, y_codec, red)
    code = jit.compiled(fractional_where if where else fractional, 6, constants)
    rows = g.outer.n * g.d.out * g.h.out

    def run(arrays: list[np.ndarray], out: np.ndarray) -> None:
        starts = starts_of(plan, form, arrays[1])
        addresses = (arrays[0].ctypes.data, starts.ctypes.data, out.ctypes.data, packed.ctypes.data)
        launch(code, addresses, constants, rows, math.prod(form.x))

    return run


ENGINES: dict[str, Callable[[JobPlan, Form, np.ndarray], Runner]] = {
    "fractional": fractional_engine,
    WHERE: fractional_engine,
}
