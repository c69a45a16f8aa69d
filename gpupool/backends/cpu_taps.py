"""What checks numbers of taps before gradients are given away by them: its integers and tables."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from gpupool.axes import PooledAxis
from gpupool.jobs import JobPlan, offset_error
from gpupool.kernels.cpu import jit
from gpupool.kernels.cpu.frame import FRAME, Frame
from gpupool.kernels.cpu.taps import Checking, check_pass, check_taken, largest_wrong

from .cpu_frame import launch

LANES = 4096  # at a time: what is known of them stays in the nearest cache


def near_dtype(axes: list[PooledAxis]) -> np.dtype:
    """In which the difference of two numbers is never taken for a tap of a row, if it is less than zero."""
    most = math.prod(a.k for a in axes) + axes[2].k
    return next(t for t in map(np.dtype, (np.uint8, np.uint16, np.uint32)) if most <= np.iinfo(t).max + 1)


def checker(plan: JobPlan, packed: np.ndarray, axes: list[PooledAxis]) -> Callable[[int], None]:
    """What raises a ValueError if of the numbers at an address one is none of its window's elements'.

    3x3 s1 on 12.8 million windows: 1.2 ms on one thread where an earlier form took 4.2, and 0.9 instead of 3.4 on rows
    of 20, whose borders it went through one by one.
    """
    f, given, near = Frame(*packed[:FRAME].tolist()), plan.dtypes[2], near_dtype(axes)
    width = f.ow * f.inner
    rows = max(1, min(f.oh, LANES // max(1, width)))
    at = (f.taps_w - packed.ctypes.data) // 8
    first, stop = packed[at + f.ow : at + 3 * f.ow].reshape(2, f.ow)
    tables = [np.tile(np.repeat(table, f.inner), rows).astype(near) for table in (first, stop - first)]
    z = Checking(
        *(a.k for a in axes), given.itemsize, rows * width, *(table.ctypes.data for table in tables),
        jit.c_function(check_pass(given, near)),
    )  # fmt: skip
    numbers, code = np.array(z, np.int64), jit.compiled(check_taken, 6, ())
    worst = jit.compiled(largest_wrong, 5, (given,)).call
    where, all_rows = (packed.ctypes.data, numbers.ctypes.data), f.outer * f.od * f.oh

    def check(taken: int, _kept: object = (packed, numbers, tables)) -> None:
        wrong = np.zeros(1, np.uint8)
        launch(code, (taken, *where, wrong.ctypes.data), (), f.outer, all_rows * width)
        if wrong[0]:
            raise offset_error(plan, int(worst(taken, *where, 0, all_rows, given)))

    return check
