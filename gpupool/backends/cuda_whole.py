"""Gradients of whole planes on the GPU: where maxima lie in them, and what all elements get. Integers only."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from gpupool.backends.cuda_choose import LARGEST_LAUNCH, THREADS, merged
from gpupool.backends.cuda_groups import BLOCKS, PART, WARP, power
from gpupool.backends.cuda_jobs import Fitted, Grid, Place, Scratch, Stage, aligned_at, axes_of
from gpupool.gradients import accumulator
from gpupool.jobs import INT64, JobPlan
from gpupool.kernels.cuda.memory import SIMULATED
from gpupool.kernels.cuda.operators import accumulator as parts_of
from gpupool.kernels.cuda.plane import whole_joined, whole_where
from gpupool.kernels.cuda.walk import Walk, cut
from gpupool.kernels.cuda.whole import whole_chosen, whole_sums
from gpupool.kernels.reducers import unordered
from gpupool.kernels.window import Geometry, Sliding
from gpupool.plan import Plan, choose

MANY = 4  # vectors of a plane that a thread writes
FEW = 4 if SIMULATED else 16  # elements of a plane that one thread reads
WHOLE_VECTORS = 64 if SIMULATED else 4096  # elements of a part are a multiple


def are_whole(plan: Plan) -> bool:
    """Whether one window takes in each plane, and nothing else."""
    if not isinstance(plan.rule, Sliding):
        return False
    return all(a.out == 1 and a.d == 1 and a.before == 0 and a.k == a.n for a in axes_of(plan))


def value_type(dtype: np.dtype) -> Any:
    """The NumPy type of decoded elements."""
    return np.float64 if dtype.itemsize == 8 else np.float32


def any_order(plan: Plan, value: Any) -> Any:
    """The reducer that finds positions in any order, None where there is none."""
    red = unordered(choose(plan, wide=False)[0], np.dtype(value))
    return red if red is not None and len(parts_of(red, value(0), np.int64)) == 2 else None


def found_in(plan: Plan) -> bool:
    """Whether positions in whole planes are found here: of more elements than a thread should read alone.

    The kernels' groups of threads are numbered in one launch, and the operator must know its elements in any order.
    """
    if not are_whole(plan) or math.prod(a.n for a in plan.pooled) <= FEW:
        return False
    return math.prod(plan.shape) <= LARGEST_LAUNCH and any_order(plan, value_type(plan.dtype)) is not None


def part_of(plan: Plan) -> tuple[int, int]:
    """How many parts each plane is cut into, and how many elements they have: by the shape alone."""
    taps = math.prod(a.n for a in plan.pooled)
    planes = max(1, math.prod(plan.shape) // taps)
    parts = min(taps // PART, -(-8 * BLOCKS // planes))
    if parts < 2:
        return 1, taps
    size = -(-taps // parts // WHOLE_VECTORS) * WHOLE_VECTORS
    return -(-taps // size), size


# -- stages ------------------------------------------------------------------------------------------------------------


def sums(plan: JobPlan, constants: tuple[tuple[str, Any], ...]) -> Stage:
    """All elements of a plane get the same."""
    if not dict(constants)["UNIFORM"]:  # the only window's divisor
        counts = [plan.forward.rule.counted(plan.forward.rule, a, 0) for a in axes_of(plan.forward)]
        constants = (*constants, ("UNIFORM", math.prod(counts)))
    return Stage(whole_sums, (0, 2), 1, "x", constants, (plan.dtypes[0], plan.out_dtype), fit=fit_whole)


def chosen(plan: JobPlan, where: int, out: int) -> Stage:
    """One element gets all, whose flat position is in array `where`."""
    codecs = (plan.dtypes[0], plan.out_dtype)
    constants = (("ACC", accumulator(*codecs).type), ("CODE", np.int64))
    return Stage(whole_chosen, (0, where, out), 1, "x", constants, codecs, fit=fit_whole)


def found(plan: JobPlan) -> tuple[list[Stage], list[Scratch]]:
    """The same from x: arrays are the gradient, x, the result, the positions, and those of parts, if there are any."""
    value, (parts, size) = value_type(plan.out_dtype), part_of(plan.forward)
    red = any_order(plan.forward, value)
    constants = (("ACC0", value), ("PARTS", 2))
    x = (plan.out_dtype, plan.out_dtype)
    scratch = [Scratch(plan.forward.out_shape, INT64, "y")]
    last, fit = chosen(plan, 3, 2), functools.partial(fit_where, parts=parts, size=size)
    if parts == 1:
        return [Stage(whole_where, (1, 3), 1, "y", constants, x, red=red, fit=fit), last], scratch
    gone = [a.axis for a in plan.pooled]
    kept = [n for a, n in enumerate(plan.forward.shape) if a not in gone]
    scratch.append(Scratch((*kept, parts), INT64, "plane"))
    stages = [
        Stage(whole_where, (1, 4), 1, "y", constants, x, red=red, fit=fit),
        Stage(whole_joined, (1, 4, 3), 1, "y", constants, x, red=red, fit=fit),
    ]
    return [*stages, last], scratch


# -- how they are laid out ---------------------------------------------------------------------------------------------


def joined(g: Geometry, place: Place) -> tuple[Geometry, Place]:
    """The plane's axes joined where they are one axis of an array's memory."""
    axes, strides = (g.d, g.h, g.w), place.steps[3:]
    d, h, w = merged(tuple(a._replace(xs=s) for a, s in zip(axes, strides, strict=True)))  # type: ignore[arg-type]
    return g._replace(d=d, h=h, w=w), place._replace(steps=place.steps._replace(d=d.xs, h=h.xs, w=w.xs))


def fit_whole(stage: Stage, grid: Grid, places: tuple[Place, ...]) -> Fitted:
    """What is written: vectors along the plane, or with channels last along those."""
    g, out = joined(grid.geometry, places[-1])
    lanes = g.inner.n > 1 and out.steps.inner == 1
    length = g.inner.n if lanes else g.w.n
    vector = math.gcd(aligned_at(out, g, length, "inner" if lanes else "w", windows=False), length)
    windows, vectors = (vector, g.w.n) if lanes else (1, length // vector)
    many = min(MANY, vectors)
    constants = (
        *stage.constants, ("OUT", np.dtype(stage.payloads[-1]).type), ("VECTOR", vector), ("WINDOWS", windows),
        ("GIVEN", aligned_at(places[0], g, windows, "inner", windows=True)), ("MANY", many), ("LANES", lanes),
    )  # fmt: skip
    walk = Walk(cut(g.inner.n // windows), cut(-(-vectors // many)), cut(g.h.n), cut(g.d.n), cut(g.outer2.n))
    steps = tuple(p.steps for p in (*places[:-1], out))
    return Fitted(stage.engine, constants, f"v{vector}" + ("_last" if lanes else ""), g, steps, walk, g.outer.n)


def group_of(taps: int, vector: int, lanes: int) -> tuple[int, int]:
    """Threads for one plane, a power of two, and planes of one block."""
    if SIMULATED:
        return (4, 4) if lanes else (8, 2)
    if lanes:
        return (8, WARP) if lanes >= WARP else (WARP, THREADS // WARP)
    return (WARP, THREADS // WARP) if taps <= 1024 * vector else (THREADS, 1)


def fit_where(stage: Stage, grid: Grid, places: tuple[Place, ...], *, parts: int, size: int) -> Fitted:
    """What is read: vectors along the plane; with channels last neighbouring planes lie along the lanes."""
    g, x = joined(grid.geometry, places[0])
    taps = g.d.n * g.h.n * g.w.n
    joins = stage.engine is whole_joined
    lanes = g.inner.n if g.inner.n > 1 and x.steps.inner == 1 and not joins else 0
    vector = 1
    if not lanes and not joins and g.d.n * g.h.n == 1:
        vector = math.gcd(aligned_at(x, g, g.w.n, "w", windows=False), taps)
    slots, units = group_of(8 * parts if joins else size, vector, lanes)
    constants = (
        *stage.constants, ("ACC1", np.int32 if grid.bits == 32 else np.int64), ("UNITS", units), ("SLOTS", slots),
        ("HALF", power(slots - 1)), ("VECTOR", vector), ("WIDE", vector > 1), ("BLOCK", units * slots),
        ("LANES_WHERE", lanes > 0),
    )  # fmt: skip
    walk = Walk(cut(g.inner.n), cut(1, parts) if joins else cut(parts, size), cut(1), cut(1), cut(g.outer2.n))
    label = f"{slots}x{units}" + ("_last" if lanes else f"_v{vector}")
    steps = (x.steps, *(p.steps for p in places[1:]))
    return Fitted(stage.engine, constants, label, g, steps, walk, g.outer.n, block=units * slots, per_block=units)
