"""The CPU engines of jobs: per kind, a function from plan and frame to a runner of dense arrays."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gpupool.gradients import accumulator, divides
from gpupool.jobs import JobPlan, index_error
from gpupool.kernels.codecs import input_codec
from gpupool.kernels.cpu import jit
from gpupool.kernels.cpu.choose import Choosing
from gpupool.kernels.cpu.choose import choose as choose_kernel
from gpupool.kernels.cpu.choose_lines import found_giver
from gpupool.kernels.cpu.fill import Filling, fill_pass, fill_planes
from gpupool.kernels.cpu.frame import FRAME, Frame
from gpupool.kernels.cpu.scatter import chosen, extremes
from gpupool.kernels.cpu.spread import PAIR, PIXELS, RUNS, SHIFTS, TABLE, Across, spread
from gpupool.kernels.cpu.spread_lines import passes
from gpupool.kernels.cpu.totals import Totals, totals_passes
from gpupool.kernels.window import Adaptive, Sliding, extent
from gpupool.plan import choose

from .cpu import payload
from .cpu import run as run_pooling
from .cpu_bands import Bands
from .cpu_find import MOST_TABLE, is_sought, make_finding, with_tables
from .cpu_frame import Form, Runner, Runners, launch, three_axes
from .cpu_mirror import common_divisor, divided_engine, mirror_engine, mirrored
from .cpu_tiles import STREAMED, found_in_tiles, past_caches, tile_axes

HELD = 1 << 18  # bytes of sums in a buffer
FILLED = 1 << 15  # bytes that are filled at a time
LARGEST_BUFFER = 1 << 19  # bytes: more would not stay in a core's own cache beside all else


def fill_engine(plan: JobPlan, form: Form) -> Runner:
    """Gradients of sums and averages of whole planes."""
    g_type, x_type = payload(plan.dtypes[0]), payload(plan.out_dtype)
    acc = accumulator(plan.dtypes[0], plan.out_dtype)
    n, inner = math.prod(form.x[1:4]), form.x[4]
    plane = n * inner * x_type.itemsize
    many, part = max(1, FILLED // plane), min(n, max(1, FILLED // (inner * x_type.itemsize)))
    taps = math.prod(a.k for a in plan.pooled)
    by = (plan.request.divisor_override or taps) if divides(plan) else 1
    fill = fill_pass(g_type, x_type, acc, input_codec(plan.dtypes[0]), input_codec(plan.out_dtype))
    past = math.prod(form.x) * x_type.itemsize > STREAMED
    z = Filling(form.x[0], n, inner, many, part, g_type.itemsize, x_type.itemsize, by, int(past), jit.c_function(fill))
    numbers, code = np.array(z, np.int64), jit.compiled(fill_planes, 5, ())
    units = -(-form.x[0] // many) * -(-n // part)

    def run(arrays: list[np.ndarray], out: np.ndarray) -> None:
        launch(code, (arrays[0].ctypes.data, out.ctypes.data, numbers.ctypes.data), (), units, math.prod(form.x))

    return run


def spread_engine(plan: JobPlan, form: Form, packed: np.ndarray) -> Runner:
    """Gradients of sums and averages."""
    if 0 not in form.x and all(a.out == 1 and a.k == a.n and a.before == a.after == 0 for a in plan.pooled):
        return fill_engine(plan, form)
    f = Frame(*packed[:FRAME].tolist())
    acc = accumulator(plan.dtypes[0], plan.out_dtype)
    mirror = mirrored(plan, plan.out_dtype) if plan.dtypes[0] == plan.out_dtype else None
    by = common_divisor(plan, f, packed) if mirror else 0
    if mirror and by:
        return mirror_engine(form, mirror, by)
    g_type, x_type = payload(plan.dtypes[0]), payload(plan.out_dtype)
    items = (acc.itemsize, g_type.itemsize, x_type.itemsize, x_type.itemsize)
    z = make_across(f, plan, packed, items, math.prod(form.x) * x_type.itemsize > STREAMED)
    lines = passes(g_type, x_type, acc, input_codec(plan.dtypes[0]), input_codec(plan.out_dtype))
    numbers = np.array([*z, *lines], np.int64)
    if mirror and acc == plan.out_dtype:
        return divided_engine(form, mirror, (packed, numbers))
    code = jit.compiled(spread, 7, ())
    rows, elements = f.outer * f.d * f.h, math.prod(form.x)
    where = packed.ctypes.data, numbers.ctypes.data

    def run(arrays: list[np.ndarray], out: np.ndarray, _kept: Any = (packed, numbers)) -> None:
        launch(code, (arrays[0].ctypes.data, 0, out.ctypes.data, *where), (), rows, elements)

    return run


def make_across(f: Frame, plan: JobPlan, packed: np.ndarray, items: tuple[int, int, int, int], past: bool) -> Across:
    """How lines are dealt to elements: the cheapest way that this window allows."""
    last = plan.pooled[-1] if plan.pooled else None
    k, s, d, before = (last.k, last.s, last.d, last.before) if last else (1, 1, 1, 0)
    counts, taps = np.split(packed[FRAME + 2 * f.d + 3 * f.od + 2 * f.h + 3 * f.oh + f.w :][: f.w + f.ow], [f.w])
    averages = int(divides(plan))
    uniform = int(taps[0]) if len(taps) and (taps == taps[0]).all() else 0
    if not averages:
        uniform = 1
    if not isinstance(plan.forward.rule, Sliding):
        mode = TABLE if f.inner == 1 else PIXELS
    elif f.ow == 1 and f.inner == 1 and d == 1:
        mode = RUNS
    elif s == 1 and (f.ow > 1 or k == 1):
        mode = SHIFTS
    elif f.inner > 1:
        mode = PIXELS
    elif s == 2 and d == 1:
        mode = PAIR if k > 1 else RUNS
    else:
        mode = RUNS if d == 1 and k <= s else TABLE
    margin = ((extent(k, d) + s) * f.inner + 15) // 16 * 16
    return Across(mode, k, s, d, before, averages, uniform, margin, *items, int((counts == 0).any()), int(past))


def make_totals(plan: JobPlan, form: Form, whole: bool = False) -> Totals:
    """Where sums are kept: of as many rows, or slabs, as windows need at least; of `whole` planes if need be."""
    x_type, codec = payload(plan.out_dtype), input_codec(plan.out_dtype)
    acc = accumulator(plan.dtypes[0], plan.out_dtype)
    along = 1 if form.x[1] > 1 or form.y[1] > 1 else 2  # as `scatter.is_deep` says
    rows = max(1, form.x[along])
    row = max(1, math.prod(form.x[1:]) // rows * acc.itemsize)
    held = min(rows, max(rows_for(plan, along - 1), HELD // row))
    past = x_type == acc and past_caches(form, x_type.itemsize) and held * row <= LARGEST_BUFFER
    if x_type == acc and not past:
        held = 0
    elif whole and x_type != acc:
        held = rows
    lines = (jit.c_function(p) for p in totals_passes(acc, x_type, codec))
    return Totals(acc.itemsize, x_type.itemsize, held, int(past), *lines)


def rows_for(plan: JobPlan, axis: int) -> int:
    """Positions of D, H or W that a buffer needs: a window's, and as many as it shares with the next, so few move."""
    a = ([None] * (3 - len(plan.pooled)) + list(plan.pooled))[axis]
    if a is None:
        return 1
    if isinstance(plan.forward.rule, Adaptive):
        return a.n // a.out + (2 if a.n % a.out else 0)
    reach = extent(a.k, a.d)
    return reach + max(0, reach - a.s)


def chosen_engine(plan: JobPlan, form: Form, packed: np.ndarray) -> Runner | Runners:
    """Gradients of operators that choose an element of each window; the third operand says which, or x does."""
    if len(plan.dtypes) == 2 and (axes := tile_axes(plan)):
        return found_in_tiles(plan, form, axes)
    found = 0 not in form.y and math.prod(form.x[1:4]) <= MOST_TABLE and not is_sought(three_axes(plan), form.x[4])
    if len(plan.dtypes) == 2 and found:
        return found_engine(plan, form, packed)
    f = Frame(*packed[:FRAME].tolist())
    constants = (payload(plan.dtypes[0]), accumulator(plan.dtypes[0], plan.out_dtype), input_codec(plan.dtypes[0]))
    numbers = np.array([*make_totals(plan, form, whole=True), *packed[:FRAME]], np.int64)
    code, elements, bands_of = jit.compiled(chosen, 8, constants), math.prod(form.x), Bands(f, packed)

    def give(
        arrays: list[np.ndarray], where: np.ndarray, out: np.ndarray, wrong: np.ndarray, _kept: Any = packed
    ) -> None:
        bands = bands_of()
        addresses = tuple(a.ctypes.data for a in (arrays[0], where, out, numbers))
        launch(code, (*addresses, bands, wrong.ctypes.data), constants, f.outer * bands, elements)

    def find(arrays: list[np.ndarray], out: np.ndarray) -> None:
        back = tuple(form.order.index(a) for a in range(len(form.order)))
        found = run_pooling(arrays[1].transpose(back), plan.request._replace(keepdims=True))[1]
        give(arrays, np.ascontiguousarray(found.transpose(form.order)), out, np.zeros(1, np.uint8))

    return find if len(plan.dtypes) == 2 else checking(plan, form, 2, give)


def found_engine(plan: JobPlan, form: Form, packed: np.ndarray) -> Runner:
    """Gradients of operators that choose an element of each window, found in x as they go."""
    f = Frame(*packed[:FRAME].tolist())
    g_type, x_type = payload(plan.dtypes[0]), payload(plan.out_dtype)
    acc = accumulator(plan.dtypes[0], plan.out_dtype)
    codecs = input_codec(plan.dtypes[0]), input_codec(plan.dtypes[1])
    red = choose(plan.forward, wide=True)[0]
    steps = [math.prod(form.x[i:]) for i in (2, 3, 4)]
    d, h, w = (a._replace(xs=step) for a, step in zip(three_axes(plan), steps, strict=True))
    types, inner = (x_type, codecs[1]), (f.inner, 1)
    finding, tables = make_finding((d, h, w), plan.forward.rule, inner, math.prod(form.x), types, red, True)
    give = jit.c_function(found_giver(g_type, acc, codecs[0]))
    numbers = with_tables(finding, Choosing(g_type.itemsize, make_totals(plan, form), give), tables)
    code, bands_of = jit.compiled(choose_kernel, 8, ()), Bands(f, packed, finds=True)
    where = packed.ctypes.data, numbers.ctypes.data

    def run(arrays: list[np.ndarray], out: np.ndarray, _kept: Any = (packed, numbers)) -> None:
        bands = bands_of()
        addresses = (arrays[0].ctypes.data, arrays[1].ctypes.data, out.ctypes.data, *where, bands)
        launch(code, addresses, (), f.outer * bands, math.prod(form.x))

    return run


def check_indices(plan: JobPlan, where: np.ndarray, form: Form) -> None:
    """A ValueError for an index outside its plane, before anything is written."""
    found, planes, limit = np.empty((form.y[0], 2), np.int64), form.y[0], math.prod(form.x[1:4])
    if found.size and where.size:
        code, each = jit.compiled(extremes, 5, ()), where.size // planes
        launch(code, (where.ctypes.data, each, found.ctypes.data), (), planes, where.size)
        low, high = int(found[:, 0].min()), int(found[:, 1].max())
        if low < 0 or high >= limit:
            raise index_error(plan, high if high >= limit else low, limit)


def checking(plan: JobPlan, form: Form, at: int, run: Callable[..., None]) -> Runners:
    """`run(arrays, indices, out, wrong)`, which sets the byte `wrong` for indices outside, as runners that raise.

    Into an array that others have nothing is written before all indices, operand `at`, are known to be inside.
    """

    def run_new(arrays: list[np.ndarray], out: np.ndarray) -> None:
        wrong = np.zeros(1, np.uint8)
        run(arrays, arrays[at], out, wrong)
        if wrong[0]:
            check_indices(plan, arrays[at], form)

    def run_into(arrays: list[np.ndarray], out: np.ndarray) -> None:
        check_indices(plan, arrays[at], form)
        run_new(arrays, out)

    return Runners(run_into, run_new)


ENGINES: dict[str, Callable[[JobPlan, Form, np.ndarray], Runner | Runners]] = {
    "sums": spread_engine,
    "chosen": chosen_engine,
}
