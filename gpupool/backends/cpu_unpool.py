"""Unpooling and its gradient on the CPU: the windows that indices come from, in integers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gpupool.jobs import JobPlan
from gpupool.kernels.cpu import jit
from gpupool.kernels.cpu.frame import FRAME, Frame
from gpupool.kernels.cpu.unpool import Cells, unpool, unpool_back
from gpupool.kernels.cpu.unpool_lines import check_pass, lay_pass, take_pass
from gpupool.unpooling import windows_of

from .cpu_bands import Bands
from .cpu_find import MOST_TABLE
from .cpu_frame import Form, Runners, launch
from .cpu_gradients import checking

MOST_ROWS, MOST_COLUMNS = 8, 8  # of a cell that passes are made for
INT32, INT64 = np.dtype(np.int32), np.dtype(np.int64)
NO_CELLS = Cells(*(0,) * len(Cells._fields))


def payload_of_size(dtype: np.dtype) -> np.dtype:
    """Unsigned integers of the same size: elements that are only moved."""
    return np.dtype(f"u{dtype.itemsize}")


def make_cells(plan: JobPlan, form: Form) -> Cells:
    """The cells of windows that do not overlap; none (no rows) where they do."""
    missing = (1,) * (3 - len(plan.pooled))
    k, s, p = windows_of(plan.job, tuple(a.axis for a in plan.pooled))
    (kd, kh, kw), (sd, sh, sw), before = missing + k, missing + s, (0,) * len(missing) + p
    w, ow = form.x[3], form.y[3]
    if kd > sd or kh > sh or kw > sw or kd * kh > MOST_ROWS:
        return NO_CELLS
    inside, beyond = -(-before[2] // sw), min(ow, (w - kw + before[2]) // sw + 1)
    return Cells._make((kd * kh, kd, kh, kw, sd, sh, sw, *before, inside, beyond, 0, 0))


def laid(q: Cells, form: Form) -> bool:
    """Whether all cells are whole, and follow one another."""
    padded = q.before_d or q.before_h or q.before_w
    reach = (form.y[1] - 1) * q.sd + q.kd, (form.y[2] - 1) * q.sh + q.kh, form.y[3] * q.sw
    return not padded and all(r <= n for r, n in zip(reach, form.x[1:4], strict=True))


def unpool_engine(plan: JobPlan, form: Form, packed: np.ndarray) -> Runners:
    """Elements at their indices."""
    f, x_type = Frame(*packed[:FRAME].tolist()), payload_of_size(plan.out_dtype)
    q = make_cells(plan, form)
    if q.rows and laid(q, form) and q.sw <= MOST_COLUMNS:
        look, lay = jit.c_function(check_pass(q.rows)), jit.c_function(lay_pass(x_type, q.kw, q.sw))
        q = q._replace(look=look, lay=lay)
    numbers, code = np.array([*packed[:FRAME], *q], np.int64), jit.compiled(unpool, 8, (x_type,))
    bands_of = Bands(f, packed)

    def run(arrays: list[np.ndarray], where: np.ndarray, out: np.ndarray, wrong: np.ndarray) -> None:
        bands = bands_of()
        addresses = tuple(a.ctypes.data for a in (arrays[0], where, out, numbers))
        launch(code, (*addresses, bands, wrong.ctypes.data), (x_type,), f.outer * bands, math.prod(form.x))

    return checking(plan, form, 1, run)


def unpool_gradient_engine(plan: JobPlan, form: Form, packed: np.ndarray) -> Runners:
    """What lies at elements' indices."""
    f, x_type = Frame(*packed[:FRAME].tolist()), payload_of_size(plan.out_dtype)
    few = math.prod(form.x[1:]) <= MOST_TABLE
    q = make_cells(plan, form)
    if q.rows:
        q = q._replace(look=jit.c_function(take_pass(x_type, INT32 if few else INT64, q.rows)))
    constants = (x_type, INT32 if f.od * f.oh * f.ow <= MOST_TABLE else INT64)
    numbers, code = np.array([*packed[:FRAME], *q], np.int64), jit.compiled(unpool_back, 7, constants)

    def run(arrays: list[np.ndarray], where: np.ndarray, out: np.ndarray, wrong: np.ndarray) -> None:
        addresses = tuple(a.ctypes.data for a in (arrays[0], where, out, numbers, wrong))
        launch(code, addresses, constants, f.outer, math.prod(form.x))

    return checking(plan, form, 2, run)


ENGINES: dict[str, Callable[[JobPlan, Form, np.ndarray], Any]] = {
    "unpool": unpool_engine,
    "unpool_gradient": unpool_gradient_engine,
}
