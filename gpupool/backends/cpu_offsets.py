"""The CPU engine of gradients from offsets: a check of all of them, then each gradient to its window's tap."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gpupool.gradients import TAKEN, accumulator
from gpupool.jobs import JobPlan
from gpupool.kernels.codecs import input_codec
from gpupool.kernels.cpu import jit
from gpupool.kernels.cpu.choose_lines import taken_giver
from gpupool.kernels.cpu.frame import FRAME, Frame
from gpupool.kernels.cpu.offsets import give_taken, widener

from .cpu import payload
from .cpu_bands import Bands
from .cpu_frame import Form, Runner, launch, tap_distances, three_pooled
from .cpu_gradients import make_totals
from .cpu_taps import checker
from .cpu_tiles import taken_in_tiles, tile_axes


def give_engine(plan: JobPlan, form: Form, packed: np.ndarray) -> Runner:
    """Gradients of operators that choose an element of each window, from the taps that were chosen."""
    f = Frame(*packed[:FRAME].tolist())
    g_type, taken = payload(plan.dtypes[0]), plan.dtypes[2]
    acc = accumulator(plan.dtypes[0], plan.out_dtype)
    axes = three_pooled(plan)
    distances = tap_distances(axes, f)
    codec = input_codec(plan.dtypes[0])
    numbers = np.array([
        *[v for a in axes for v in (a.k, a.s, a.d, a.before)], g_type.itemsize, taken.itemsize,
        *make_totals(plan, form), distances.ctypes.data,
        *(jit.c_function(p) for p in (widener(taken), taken_giver(g_type, acc, codec))),
    ], np.int64)  # fmt: skip
    check = checker(plan, packed, axes)
    code, bands_of = jit.compiled(give_taken, 8, ()), Bands(f, packed)
    where, elements = (packed.ctypes.data, numbers.ctypes.data), math.prod(form.x)
    tiles = tile_axes(plan)
    tiled = taken_in_tiles(plan, form, tiles) if tiles else None

    def run(arrays: list[np.ndarray], out: np.ndarray, _kept: Any = (packed, numbers, distances)) -> None:
        check(arrays[2].ctypes.data)
        if tiled is not None:
            tiled(arrays, out)
            return
        bands = bands_of()
        addresses = (arrays[0].ctypes.data, arrays[2].ctypes.data, out.ctypes.data, *where, bands)
        launch(code, addresses, (), f.outer * bands, elements)

    return run


ENGINES: dict[str, Callable[[JobPlan, Form, np.ndarray], Runner]] = {TAKEN: give_engine}
