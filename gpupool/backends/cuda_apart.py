"""Gradients where windows do not overlap, on the GPU: which those are, which kernel runs, what it loads at once.

| kernels | when |
| --- | --- |
| whole_* | one window takes in each whole plane: see `cuda_whole` |
| apart_* | rows contiguous, or any strides |
| last_* | channels last |

*_sums and *_chosen (from positions) read what windows give; *_found and *_powers read x besides, and nothing else has
to run before. Integers only.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np

from gpupool.backends import cuda_whole
from gpupool.backends.cuda_jobs import Fitted, Grid, Place, Scratch, Stage, aligned_at, axes_of
from gpupool.gradients import accumulator, exponent_of, norms_request
from gpupool.jobs import JobPlan, Operand
from gpupool.kernels.cuda import apart, apart_found, apart_last
from gpupool.kernels.cuda import operators as storage
from gpupool.kernels.cuda.walk import Walk, cut
from gpupool.kernels.window import Axis, Geometry, Sliding
from gpupool.plan import Plan, choose, make_plan
from gpupool.request import Request

LARGEST_CELL = 8  # elements along an axis from one window to the next that a thread reads
LARGEST_GIVEN = 32  # and that it writes, where it reads none
MOST_TAPS = 64  # of a window that a thread reads
WIDEST_ROW = 32  # elements of a row that a thread keeps in registers


class Cell(NamedTuple):
    """Along one axis: from one window to the next, and how many such cells reach to the end of the axis."""

    length: int
    cells: int


def cell(a: Axis) -> Cell:
    """The cells of an axis whose windows do not overlap; the stride of a single window is unknown."""
    length = a.s if a.out > 1 else a.k
    return Cell(length, -(-(a.n + a.before) // length))


def are_apart(plan: Plan, largest: int) -> bool:
    """Whether no two windows of at most so many elements a side share one."""
    if not isinstance(plan.rule, Sliding):
        return False
    axes = axes_of(plan)
    fit = all(a.d == 1 and (a.out == 1 or a.k <= a.s) and cell(a).length <= largest for a in axes)
    return fit and math.prod(cell(a).length for a in axes) <= largest * largest


@functools.lru_cache(1024)
def found_at_once(kind: str, request: Request, shape: tuple[int, ...], dtype: np.dtype) -> bool:
    """Whether a gradient of this kind needs nothing but grad_output and x."""
    if kind not in ("chosen", "powers"):
        return False
    plan = make_plan(request, shape, dtype)
    return few_apart(plan) or (kind == "chosen" and cuda_whole.found_in(plan))


def few_apart(plan: Plan) -> bool:
    """Whether a thread can read whole windows, which do not overlap."""
    return are_apart(plan, LARGEST_CELL) and math.prod(a.k for a in plan.pooled) <= MOST_TAPS


# -- stages ------------------------------------------------------------------------------------------------------------


def sums(plan: JobPlan, constants: tuple[tuple[str, Any], ...]) -> Stage | None:
    """Of sums and averages; the constants are those of all gradients, and the divisor."""
    if cuda_whole.are_whole(plan.forward):
        return cuda_whole.sums(plan, constants)
    if not are_apart(plan.forward, LARGEST_GIVEN):
        return None
    return Stage(apart.apart_sums, (0, 2), 1, "x", constants, (plan.dtypes[0], plan.out_dtype), fit=fit_given)


def chosen(plan: JobPlan, *, flat: bool) -> Stage | None:
    """From positions, flat ones or numbers of taps."""
    if cuda_whole.are_whole(plan.forward):
        return cuda_whole.chosen(plan, 2, 3)
    codecs = (plan.dtypes[0], plan.out_dtype)
    constants = (("ACC", accumulator(*codecs).type), ("CODE", np.int64 if flat else np.int32), ("FLAT", flat))
    if not are_apart(plan.forward, LARGEST_GIVEN):
        return None
    return Stage(apart.apart_chosen, (0, 2, 3), 1, "x", constants, codecs, fit=fit_given)


def found(plan: JobPlan) -> tuple[list[Stage], list[Scratch]]:
    """From x, where `found_at_once` says so: what runs one after another, and memory between."""
    if cuda_whole.found_in(plan.forward):
        return cuda_whole.found(plan)
    red = choose(plan.forward, wide=False)[0]
    return [_reading(plan, apart_found.apart_found, red, (("CODE", np.int32),))], []


def powers(plan: JobPlan) -> Stage:
    """Shares of norms, where `found_at_once` says so."""
    grad, x = (Operand(plan.forward.out_shape, plan.dtypes[0]), Operand(plan.forward.shape, plan.dtypes[1]))
    red = choose(make_plan(norms_request(plan.request, grad, x), x.shape, x.dtype), wide=False)[0]
    return _reading(plan, apart_found.apart_powers, red, (("EXPONENT", exponent_of(plan)),))


def _reading(plan: JobPlan, engine: Any, red: Any, more: tuple[tuple[str, Any], ...]) -> Stage:
    """A stage that reads x, with the reducer's accumulators."""
    codecs = (plan.dtypes[0], plan.out_dtype)
    value = cuda_whole.value_type(plan.out_dtype)
    types = storage.accumulator(red, value(0), np.int32)
    constants = (
        ("ACC", accumulator(*codecs).type), ("VALUE", value), ("ACC0", types[0]), ("ACC1", types[-1]),
        ("PARTS", len(types)), *more,
    )  # fmt: skip
    return Stage(engine, (0, 1, 2), 1, "x", constants, codecs, red=red, fit=fit_found)


# -- how they are laid out ---------------------------------------------------------------------------------------------

LAST = {
    "apart_sums": apart_last.last_sums,
    "apart_chosen": apart_last.last_chosen,
    "apart_found": apart_last.last_found,
    "apart_powers": apart_last.last_powers,
}


def window_constants(g: Geometry) -> tuple[tuple[str, Any], ...]:
    """Taps of windows and lengths of cells."""
    axes = (("D", g.d), ("H", g.h), ("W", g.w))
    return (*((f"K{n}", a.k) for n, a in axes), *((f"S{n}", cell(a).length) for n, a in axes))


def ragged(a: Axis) -> bool:
    """Whether cells leave the axis, or have no window."""
    return a.before > 0 or cell(a).cells * cell(a).length != a.n or cell(a).cells != a.out


def label_of(g: Geometry, vector: int, edges: bool) -> str:
    """The window and the vectors in words."""
    axes = [a for a in (g.d, g.h, g.w) if (a.n, a.k) != (1, 1)]
    window = "k" + "x".join(str(a.k) for a in axes) + "s" + "x".join(str(cell(a).length) for a in axes)
    return f"{window}_v{vector}" + ("_edges" if edges else "")


def stored_type(stage: Stage) -> Any:
    """The NumPy type of the result's elements as kernels see them."""
    return np.dtype(stage.payloads[-1]).type


def fit_given(stage: Stage, grid: Grid, places: tuple[Place, ...]) -> Fitted:
    """Kernels that read what windows give, and perhaps positions, but not x."""
    g, out = grid.geometry, places[-1]
    if g.inner.n > 1 and out.steps.inner == 1:
        return fit_last(stage, grid, places)
    length = cell(g.w).length
    vector = math.gcd(aligned_at(out, g, g.w.n, "w", windows=False), g.w.n)
    even = vector // length if g.w.before == 0 and vector % length == 0 else 0
    windows = even or (vector + length - 2) // length + 1
    check_w = ragged(g.w) or (even == 0 and windows > 1)
    given = [1 if check_w else aligned_at(p, g, windows, "w", windows=True) for p in places[:-1]]
    edges = check_w, ragged(g.d) or ragged(g.h)
    constants = (
        *stage.constants, *window_constants(g), ("OUT", stored_type(stage)), ("VECTOR", vector), ("WINDOWS", windows),
        ("EVEN", even), ("GIVEN", given[0]), ("GIVEN_WHERE", given[-1]), ("CHECK_W", edges[0]), ("CHECK", edges[1]),
    )  # fmt: skip
    walk = Walk(cut(g.inner.n), cut(g.w.n // vector), cut(cell(g.h).cells), cut(cell(g.d).cells), cut(g.outer2.n))
    return Fitted(stage.engine, constants, label_of(g, vector, any(edges)), g, steps_of(places), walk, g.outer.n)


def fit_found(stage: Stage, grid: Grid, places: tuple[Place, ...]) -> Fitted:
    """Kernels that read x: the fewest windows whose cells are whole vectors."""
    g, x, out = grid.geometry, places[1], places[-1]
    if g.inner.n > 1 and out.steps.inner == 1:
        return fit_last(stage, grid, places)
    length = cell(g.w).length
    load, store = (math.gcd(aligned_at(p, g, g.w.n, "w", windows=False), g.w.n) for p in (x, out))
    most = max(load, store)
    while most > 1 and most // math.gcd(most, length) * length > WIDEST_ROW:
        most //= 2
    load, store, windows = min(load, most), min(store, most), most // math.gcd(most, length)
    tiles = -(-cell(g.w).cells // windows)
    check_w = ragged(g.w) or tiles * windows != g.w.out
    given = 1 if check_w else aligned_at(places[0], g, windows, "w", windows=True)
    edges = check_w, ragged(g.d) or ragged(g.h)
    constants = (
        *stage.constants, *window_constants(g), ("OUT", stored_type(stage)), ("VECTOR", load), ("STORE", store),
        ("LEAD", min(g.w.before % load, windows * length)), ("LEAD_STORE", min(g.w.before % store, windows * length)),
        ("WINDOWS", windows), ("COLUMNS", windows * length), ("GIVEN", given), ("CHECK_W", edges[0]),
        ("CHECK", edges[1]),
    )  # fmt: skip
    walk = Walk(cut(g.inner.n), cut(tiles), cut(cell(g.h).cells), cut(cell(g.d).cells), cut(g.outer2.n))
    return Fitted(stage.engine, constants, label_of(g, load, any(edges)), g, steps_of(places), walk, g.outer.n)


def channels(place: Place, g: Geometry, most: int, *, windows: bool) -> int:
    """How many channels of an array may be moved at once."""
    return aligned_at(place, g, most, "inner", windows=windows)


def fit_last(stage: Stage, grid: Grid, places: tuple[Place, ...]) -> Fitted:
    """Vectors of channels."""
    g = grid.geometry
    reads_x = stage.red is not None
    vector = math.gcd(channels(places[-1], g, g.inner.n, windows=False), g.inner.n)
    given = [channels(p, g, vector, windows=True) for p in places[:-1]]
    if reads_x:
        given[1] = channels(places[1], g, vector, windows=False)
    edges = ragged(g.w), ragged(g.d) or ragged(g.h)
    constants = (
        *stage.constants, *window_constants(g), ("OUT", stored_type(stage)), ("VECTOR", vector), ("GIVEN", given[0]),
        ("LOADED" if reads_x else "GIVEN_WHERE", given[-1]), ("CHECK_W", edges[0]), ("CHECK", edges[1]),
    )  # fmt: skip
    w, h, d = (cut(cell(a).cells) for a in (g.w, g.h, g.d))
    walk = Walk(cut(g.inner.n // vector), w, h, d, cut(g.outer2.n))
    engine = LAST[stage.engine.__name__]
    return Fitted(engine, constants, label_of(g, vector, any(edges)), g, steps_of(places), walk, g.outer.n)


def steps_of(places: tuple[Place, ...]) -> tuple[Any, ...]:
    """The strides of a stage's arrays."""
    return tuple(p.steps for p in places)
