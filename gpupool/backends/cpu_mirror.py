"""Gradients of sums and means at stride 1, which are sums themselves: of the windows of the gradient, mirrored.

An element lies in the windows that begin up to a window's length before it, so what it gets is the sum over a window of
gradients, with as much padding as windows lack at the ends. The engines of pooling compute that.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gpupool.gradients import divides
from gpupool.jobs import JobPlan
from gpupool.kernels.cpu import jit
from gpupool.kernels.cpu.frame import FRAME, Frame
from gpupool.kernels.cpu.spread import divide_rows
from gpupool.kernels.window import Sliding
from gpupool.operators import MEANS, SUMS
from gpupool.request import Request
from gpupool.threads import get_num_threads

from .cpu import run as run_pooling
from .cpu_frame import Form, Runner, launch, three_pooled

CHUNK = 1 << 21  # bytes of divided gradients for each thread at a time: see `cpu_powers.CHUNK`


def mirrored(plan: JobPlan, dtype: np.dtype) -> Request | None:
    """The pooling of gradients, arrays (outer, D, H, W, inner), that makes the sums in this dtype; None if none does.

    3x3 s1 of 4x64x112x112 takes 2.3 ms so instead of 3.3, 9x9 s1 of 16x256x20x20 2.1 instead of 9.9, one thread.
    """
    axes = three_pooled(plan)
    slides = isinstance(plan.forward.rule, Sliding) and 0 not in (*plan.forward.shape, *plan.forward.out_shape)
    apart = any((a.s > 1 or a.d > 1 or a.out == 1) if a.k > 1 else a.n != a.out for a in axes)
    padding = tuple((a.k - 1 - a.before, a.k - 1 - a.after) for a in axes)
    if not slides or apart or min(min(ends) for ends in padding) < 0:
        return None
    return Request(
        plan.request.name, SUMS, window=tuple(a.k for a in axes), stride=1, padding=padding, dtype=dtype.name,
        axes=(1, 2, 3),
    )  # fmt: skip


def cut(planes: int, most: int) -> list[slice]:
    """Planes in chunks of up to so many, and at least one, whose numbers differ by one at most.

    Were a few planes left over, they might be so little work that the point engine, which adds in another order, took
    them: for some numbers of threads, of which `most` depends.
    """
    n = -(-planes // max(1, most))
    return [slice(planes * i // n, planes * (i + 1) // n) for i in range(n)]


def common_divisor(plan: JobPlan, f: Frame, packed: np.ndarray) -> int:
    """What every window is divided by; 0 where they differ."""
    if not divides(plan) or plan.request.divisor_override:
        return plan.request.divisor_override or 1
    product, at = 1, FRAME
    for n, out in ((f.d, f.od), (f.h, f.oh), (f.w, f.ow)):
        taps = packed[at + 2 * n : at + 2 * n + out]
        if (taps != taps[0]).any():
            return 0
        product, at = product * int(taps[0]), at + 2 * n + 3 * out
    return product


def mirror_engine(form: Form, request: Request, by: int) -> Runner:
    """Gradients that are the mean, or sum, of mirrored windows with this divisor."""
    if by != 1:
        request = request._replace(op=MEANS, divisor_override=by)

    def run(arrays: list[np.ndarray], out: np.ndarray) -> None:
        run_pooling(arrays[0].reshape(form.y), request, out.reshape(form.x))

    return run


def divided_engine(form: Form, request: Request, integers: tuple[np.ndarray, np.ndarray]) -> Runner:
    """Gradients divided by their windows' taps, and these summed: some planes at a time, that caches hold.

    The integers are the Frame's and those of `spread`.
    """
    packed, numbers = integers
    f = Frame(*packed[:FRAME].tolist())
    code, windows = jit.compiled(divide_rows, 6, ()), math.prod(form.y[1:])

    def run(arrays: list[np.ndarray], out: np.ndarray, _kept: Any = integers) -> None:
        g, to = arrays[0].reshape(form.y), out.reshape(form.x)
        chunks = cut(f.outer, CHUNK * get_num_threads() // (windows * out.itemsize))
        parts = np.empty((-(-f.outer // len(chunks)), *form.y[1:]), out.dtype)
        for some in chunks:
            planes = some.stop - some.start
            addresses = g[some].ctypes.data, parts.ctypes.data, packed.ctypes.data, numbers.ctypes.data
            launch(code, addresses, (), planes * f.od * f.oh, planes * windows)
            run_pooling(parts[:planes], request, to[some])

    return run
