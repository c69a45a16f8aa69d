"""The engine of gradients where windows do not overlap and have all their taps: which those are, and its integers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gpupool.gradients import accumulator, exponent_of
from gpupool.jobs import JobPlan
from gpupool.kernels.codecs import input_codec
from gpupool.kernels.cpu import jit
from gpupool.kernels.cpu.tile_lines import Shape, brief_tiles, clear_pass, found_tiles, power_tiles, taken_tiles
from gpupool.kernels.cpu.tiles import Tiles, give_tiles
from gpupool.kernels.window import Axis
from gpupool.plan import choose

from .cpu import payload
from .cpu_find import even
from .cpu_frame import Form, Runner, launch, three_axes
from .cpu_windows import LONG_RUN

MOST_TAPS = 16  # in all, and along a row: of more, no code in full vectors comes out
# Bytes of gradients from which on they are written past the caches. 3x3 s2 of 4x112x112x64, one thread: 3.8 ms instead
# of 4.4, with a sum over the gradient behind 4.7 instead of 5.3; where the third level of caches has all arrays 3.5
# instead of 3.2, and 4.4 instead of 4.5. Half as many: 1.9 instead of 2.1, and 1.9 instead of 1.6.
STREAMED = 8 << 20
STAGED = 3 << 13  # bytes of results in the buffer: 7.7 ms (see `memory.AHEAD`), with 3.5 KB 8.3, with 50 KB 7.9

Axes = tuple[Axis, Axis, Axis]
Tiled = Callable[[int, int, int, int], None]


def tile_axes(plan: JobPlan) -> Axes | None:
    """The axes (D, H, W) if their windows neither overlap nor lack a tap, and a pass can hold one."""
    d, h, w = (even(a, plan.forward.rule)[0] for a in three_axes(plan))
    for a in (d, h, w):
        if (a.d > 1 and a.k > 1) or a.before != 0 or a.k > a.s or (a.out - 1) * a.s + a.k > a.n:
            return None
    if w.k < w.s and w.out * w.s > w.n:  # the last gap would end behind the row
        return None
    few = d.k * h.k <= jit.ROWS and d.k * h.k * w.k <= MOST_TAPS and w.s <= MOST_TAPS // 2
    return (d, h, w) if few else None


def past_caches(form: Form, item: int) -> bool:
    """Whether the gradient is written past the caches."""
    return math.prod(form.x) * item > STREAMED and form.x[3] * form.x[4] * item >= LONG_RUN


def tiles_engine(plan: JobPlan, form: Form, axes: Axes, make: Callable[[Shape], Any], more: int) -> Tiled:
    """What computes a gradient into dense arrays: `make` gives the pass, `more` is the item size of its third operand.

    Its arguments are the addresses of the gradient, of that operand (or 0), of x (or 0) and of the result.
    """
    (d, h, w), inner = axes, form.x[4]
    g_type, x_type = payload(plan.dtypes[0]), payload(plan.out_dtype)
    clear = clear_pass(x_type, input_codec(plan.out_dtype), accumulator(plan.dtypes[0], plan.out_dtype).type(0))
    gaps = any(a.n > a.out * a.s for a in axes) or d.k < d.s or h.k < h.s
    row = h.s * w.n * inner * d.s * x_type.itemsize
    band = min(h.out, max(1, STAGED // row))
    z = Tiles(
        inner, d.n, h.n, w.n, d.out, h.out, w.out, d.s, h.s, w.s, x_type.itemsize, g_type.itemsize, more, band,
        int(gaps), int(past_caches(form, x_type.itemsize)),
        *(jit.c_function(p) for p in (make(Shape(d.k, h.k, w.k, h.s, w.s, inner == 1)), clear)),
    )  # fmt: skip
    numbers = np.array(z, np.int64)
    code = jit.compiled(give_tiles, 7, ())
    units, elements = form.x[0] * d.out * -(-h.out // band), math.prod(form.x)

    def run(g: int, more: int, x: int, out: int) -> None:
        launch(code, (g, more, x, out, numbers.ctypes.data), (), units, elements)

    return run


def found_in_tiles(plan: JobPlan, form: Form, axes: Axes) -> Runner:
    """Gradients of operators that choose an element of each window, found in x."""
    g_type, x_type, zero = payload(plan.dtypes[0]), payload(plan.out_dtype), accumulator(*plan.dtypes[:2]).type(0)
    codecs, red = (input_codec(plan.dtypes[0]), input_codec(plan.out_dtype)), choose(plan.forward, wide=True)[0]
    run = tiles_engine(plan, form, axes, lambda shape: found_tiles(shape, g_type, x_type, codecs, red, zero), 0)
    return lambda arrays, out: run(arrays[0].ctypes.data, 0, arrays[1].ctypes.data, out.ctypes.data)


def taken_in_tiles(plan: JobPlan, form: Form, axes: Axes) -> Runner:
    """The same from the numbers of the taps that were chosen."""
    g_type, x_type, zero = payload(plan.dtypes[0]), payload(plan.out_dtype), accumulator(*plan.dtypes[:2]).type(0)
    codecs, taken = (input_codec(plan.dtypes[0]), input_codec(plan.out_dtype)), plan.dtypes[2]
    item = taken.itemsize
    run = tiles_engine(plan, form, axes, lambda shape: taken_tiles(shape, g_type, x_type, taken, codecs, zero), item)
    return lambda arrays, out: run(arrays[0].ctypes.data, arrays[2].ctypes.data, 0, out.ctypes.data)


def powers_in_tiles(plan: JobPlan, form: Form, axes: Axes) -> Tiled:
    """Shares of norms: takes addresses as `tiles_engine` says."""
    g_type, x_type, acc = payload(plan.dtypes[0]), payload(plan.out_dtype), accumulator(*plan.dtypes[:2])
    codecs, p = (input_codec(plan.dtypes[0]), input_codec(plan.out_dtype)), acc.type(exponent_of(plan))
    return tiles_engine(
        plan, form, axes, lambda shape: power_tiles(shape, g_type, x_type, acc, codecs, p), acc.itemsize
    )


def brief_in_tiles(plan: JobPlan, form: Form, axes: Axes) -> Runner:
    """Shares of norms from x alone, where powers are brief."""
    g_type, x_type, p = payload(plan.dtypes[0]), payload(plan.out_dtype), float(plan.request.options[0])
    codecs = input_codec(plan.dtypes[0]), input_codec(plan.out_dtype)
    run = tiles_engine(plan, form, axes, lambda shape: brief_tiles(shape, g_type, x_type, codecs, p), 0)
    return lambda arrays, out: run(arrays[0].ctypes.data, 0, arrays[1].ctypes.data, out.ctypes.data)
