"""Calls with several operands, whose kernels the machine-code report has: gradients, unpooling, fractional pooling."""

from __future__ import annotations

from itertools import product
from typing import Any, NamedTuple

import numpy as np

from gpupool.backends.cuda_jobs import Launched
from gpupool.backends.cuda_many import ENGINES, Memory, lay_out
from gpupool.fractional import WHERE, plan_fractional, plan_fractional_gradient
from gpupool.functional import adaptive, average, unpool, whole
from gpupool.geometry import contiguous_strides
from gpupool.gradients import accumulator, kind_of, plan_gradient
from gpupool.jobs import INT64, Job, Operand
from gpupool.plan import make_plan
from gpupool.request import OFFSETS, Request
from gpupool.unpooling import plan_unpool_gradient

LARGE, SMALL = (16, 64, 112, 112), (16, 64, 56, 56)  # the input's shape and the result's, of windows with stride 2
HUGE, HUGE_SMALL = (3, 70000, 40000), (3, 35000, 20000)  # more than 2**32 elements
CHANNELS, CHANNELS_SMALL = (16, 112, 112, 64), (16, 56, 56, 64)
LAST: tuple[tuple[str, Any], ...] = (("layout", "channels_last"),)
SHARED = (16, 64, 50, 50)
FLOATS, SOME = ("float16", "float32", "float64"), ("float16", "float32")


class JobCase(NamedTuple):
    """One call on C-contiguous arrays; `kind` is a key of KINDS."""

    kind: str
    dtype: str = "float32"
    shape: tuple[int, ...] = LARGE
    small: tuple[int, ...] = SMALL
    window: int = 3
    options: tuple[tuple[str, Any], ...] = ()


def dtype_of(name: str) -> np.dtype:
    """The dtype of this name, bfloat16 included."""
    if name == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name)


def _average(
    case: JobCase, dtype: np.dtype, *, include: bool = True, dilation: int = 1, override: int | None = None,
    nan: str = "propagate", stride: int = 2, layout: str = "channels_first",
) -> tuple[Job, list[Operand]]:  # fmt: skip
    """The gradient of averages, of 3x3 with stride 2 if nothing else is said."""
    geometry = (case.window, stride, case.window // 2, dilation)
    request = average.avg_window("avg", 2, geometry, False, include, override, None, layout, nan)
    operands = [Operand(case.small, dtype), Operand(case.shape, dtype)]
    if nan == "omit":
        operands.append(Operand(case.small, accumulator(dtype)))
    return Job(request, kind_of(request), ("g", "x", "divisors")[: len(operands)], plan_gradient), operands


def _sum(case: JobCase, dtype: np.dtype) -> tuple[Job, list[Operand]]:
    """The gradient of 3x3 sums with stride 2 that omit NaN."""
    request = whole.window_request("sum", "sum", 2, (3, 2, 1, 1), False, "channels_first", None, "omit")
    operands = [Operand(case.small, dtype), Operand(case.shape, dtype)]
    return Job(request, kind_of(request), ("g", "x"), plan_gradient), operands


def _chosen(
    case: JobCase, dtype: np.dtype, *, taken: str = "int64", dilation: int = 1, nan: str = "propagate",
    stride: int = 2, layout: str = "channels_first",
) -> tuple[Job, list[Operand]]:  # fmt: skip
    """The gradient of maxima with stride 2, from indices or from offsets."""
    geometry = (case.window, stride, case.window // 2, dilation)
    request = whole.extreme_request("max", "max", 2, geometry, False, True, nan, layout)
    operands = [Operand(case.small, dtype), Operand(case.shape, dtype), Operand(case.small, np.dtype(taken))]
    return Job(request, "chosen", ("g", "x", "indices"), plan_gradient), operands


def _norm(case: JobCase, dtype: np.dtype, *, p: float = 3.0) -> tuple[Job, list[Operand]]:
    """The gradient of norms with stride 2."""
    geometry = (case.window, 2, case.window // 2, 1)
    request = whole.window_request("lp", "lp", 2, geometry, False, "channels_first", None, "propagate", p)
    operands = [Operand(case.small, dtype), Operand(case.shape, dtype), Operand(case.small, accumulator(dtype))]
    return Job(request, "powers", ("g", "x", "norms"), plan_gradient), operands


def _apart(
    case: JobCase, dtype: np.dtype, *, op: str = "max", p: float | None = None, padding: int = 0, taken: str = "",
    spatial: int = 2, layout: str = "channels_first", whole: bool = False,
) -> tuple[Job, list[Operand]]:  # fmt: skip
    """The gradient of windows that do not overlap, or of whole planes; from x, or from the positions that it took."""
    indices: Any = taken == "int64" or (OFFSETS if taken else op == "max")
    request = Request(
        "apart", op, None if whole else case.window, padding=padding, indices=indices, spatial=spatial,
        data_format=layout, options=() if p is None else (p,),
    )  # fmt: skip
    small = make_plan(request, case.shape, dtype).out_shape
    operands = [Operand(small, dtype), Operand(case.shape, dtype)]
    if taken:
        operands.append(Operand(small, np.dtype(taken)))
    return Job(request, kind_of(request), ("g", "x", "indices")[: len(operands)], plan_gradient), operands


def _shared(case: JobCase, dtype: np.dtype, *, op: str, own: bool = False) -> tuple[Job, list[Operand]]:
    """The gradient of windows that share the axes."""
    request = adaptive.adaptive_request(op, op, 2, case.small[-2:], None, op == "max", "channels_first")
    operands = [Operand(case.small, dtype), Operand(case.shape, dtype)]
    if op == "max":
        operands.append(Operand(case.small, INT64))
    return Job(request, kind_of(request), ("g", "x", "indices")[: len(operands)], plan_gradient, own=own), operands


def _unpooling(case: JobCase, dtype: np.dtype) -> tuple[Job, list[Operand]]:
    """2x2 unpooling."""
    job = unpool._job("unpool", 2, 2, None, 0, None, "channels_first")
    return job, [Operand(case.small, dtype), Operand(case.small, INT64)]


def _unpooling_gradient(case: JobCase, dtype: np.dtype) -> tuple[Job, list[Operand]]:
    """The gradient of 2x2 unpooling."""
    job = _unpooling(case, dtype)[0]
    job = job._replace(kind="unpool_gradient", operands=("g", "x", "indices"), make_plan=plan_unpool_gradient)
    return job, [Operand(case.shape, dtype), Operand(case.small, dtype), Operand(case.small, INT64)]


def _fractional(
    case: JobCase, dtype: np.dtype, *, kind: str = "fractional", samples: str = "float32"
) -> tuple[Job, list[Operand]]:
    """2x2 windows at random distances."""
    request = Request("fractional", "max", 2, spatial=2, indices=kind == WHERE)
    job = Job(request, kind, ("x", "samples"), plan_fractional, (case.small[-2:], None))
    return job, [Operand(case.shape, dtype), Operand((*case.shape[:-2], 2), dtype_of(samples))]


def _fractional_gradient(case: JobCase, dtype: np.dtype) -> tuple[Job, list[Operand]]:
    """The gradient of 2x2 windows at random distances."""
    request = Request("fractional", "max", 2, spatial=2, indices=True)
    job = Job(request, "chosen", ("g", "x", "indices"), plan_fractional_gradient, (case.small[-2:], None), own=True)
    return job, [Operand(case.small, dtype), Operand(case.shape, dtype), Operand(case.small, INT64)]


KINDS: dict[str, Any] = {
    "avg_backward": _average,
    "sum_backward": _sum,
    "max_backward": _chosen,
    "lp_backward": _norm,
    "apart_backward": _apart,
    "adaptive_backward": _shared,
    "max_unpool": _unpooling,
    "max_unpool_backward": _unpooling_gradient,
    "fractional_max": _fractional,
    "fractional_max_backward": _fractional_gradient,
}

NHWC, NCDHW, LARGE_PLANES = (16, 112, 112, 64), (2, 32, 64, 96, 96), (1, 8, 4096, 4096)


def _apart_jobs() -> list[JobCase]:
    """Windows that do not overlap: whole vectors, edges, channels last, in depth; whole planes; big arrays."""
    last, rows = ("layout", "channels_last"), []
    kinds: list[dict[str, Any]] = [{"op": "avg"}, {}, {"taken": "uint8"}, {"op": "lp", "p": 2.0}]
    for kind in kinds:
        more = tuple(kind.items())
        for dtype in ("float32", "float16"):
            rows += [JobCase("apart_backward", dtype, window=2, options=more)]
            rows += [JobCase("apart_backward", dtype, NHWC, window=2, options=(*more, last))]
        rows += [JobCase("apart_backward", window=3, options=(*more, ("padding", 1)))]
        rows += [JobCase("apart_backward", "float16", NHWC, window=3, options=(*more, last, ("padding", 1)))]
        rows += [JobCase("apart_backward", shape=NCDHW, window=2, options=(*more, ("spatial", 3)))]
        rows += [JobCase("apart_backward", window=7, options=more)]
    for dtype, more in product(("float64", "bfloat16"), ((("op", "avg"),), ())):
        rows += [JobCase("apart_backward", dtype, window=2, options=more)]
    rows += [JobCase("apart_backward", "float64", NHWC, window=2, options=(last,))]
    rows += [JobCase("apart_backward", "float16", window=7)]
    rows += [JobCase("apart_backward", window=2, options=(("op", "lp"), ("p", p))) for p in (1.0, 3.0, 2.5)]
    rows += [JobCase("apart_backward", "float64", window=2, options=(("op", "lp"), ("p", 2.0)))]
    rows += [JobCase("apart_backward", "float16", NHWC, window=2, options=(("op", "lp"), ("p", 2.5), last))]
    rows += [JobCase("apart_backward", window=2, options=(("taken", "int64"),))]
    rows += [JobCase("apart_backward", "float16", NHWC, window=2, options=(("taken", "int64"), last))]
    kinds = [{"op": "avg"}, {}, {"taken": "int64"}]
    for kind in kinds:
        more = (("whole", True), *kind.items())
        rows += [JobCase("apart_backward", dtype, options=more) for dtype in ("float32", "float16")]
        rows += [JobCase("apart_backward", shape=NHWC, options=(*more, last))]
        rows += [JobCase("apart_backward", shape=LARGE_PLANES, options=more)]
    rows += [JobCase("apart_backward", "float64", options=(("whole", True),))]
    rows += [JobCase("apart_backward", "float16", NHWC, options=(("whole", True), last))]
    rows += [JobCase("apart_backward", shape=HUGE, window=2, options=(("op", op),)) for op in ("avg", "max")]
    return rows


JOBS: tuple[JobCase, ...] = (
    *_apart_jobs(),
    *(JobCase(kind, dtype) for kind in ("avg_backward", "max_backward") for dtype in FLOATS),
    JobCase("avg_backward", options=(("include", False),)),
    JobCase("avg_backward", small=(16, 64, 55, 55), options=(("dilation", 2),)),
    JobCase("max_backward", shape=HUGE, small=HUGE_SMALL),
    *(JobCase("max_backward", dtype, options=(("taken", "uint8"), ("nan", "omit"))) for dtype in FLOATS),
    JobCase("max_backward", small=(16, 64, 55, 55), options=(("taken", "uint8"), ("dilation", 2))),
    JobCase("max_backward", window=17, options=(("taken", "uint16"),)),
    JobCase("max_backward", shape=HUGE, small=HUGE_SMALL, options=(("taken", "uint8"),)),
    *(JobCase("avg_backward", dtype, options=(("nan", "omit"),)) for dtype in SOME),
    JobCase("avg_backward", options=(("nan", "omit"), ("override", 5))),
    JobCase("avg_backward", shape=HUGE, small=HUGE_SMALL, options=(("nan", "omit"),)),
    JobCase("sum_backward"),
    JobCase("lp_backward", "float16", options=(("p", 2.0),)),
    JobCase("lp_backward"),
    JobCase("lp_backward", window=9),
    *(JobCase("avg_backward", t, small=LARGE, options=(("stride", 1),)) for t in SOME),
    *(JobCase("max_backward", t, small=LARGE, options=(("stride", 1), ("taken", "uint8"))) for t in SOME),
    JobCase("max_backward", small=LARGE, window=5, options=(("stride", 1), ("taken", "uint8"))),
    JobCase("avg_backward", "float32", CHANNELS, CHANNELS_SMALL, options=LAST),
    *(JobCase("max_backward", t, CHANNELS, CHANNELS_SMALL, options=(*LAST, ("taken", "uint8"))) for t in SOME),
    *(JobCase("adaptive_backward", t, small=SHARED, options=(("op", "avg"),)) for t in SOME),
    *(JobCase("adaptive_backward", t, small=SHARED, options=(("op", "max"), ("own", True))) for t in FLOATS),
    JobCase("adaptive_backward", small=SHARED, options=(("op", "max"),)),
    JobCase("max_unpool", window=2),
    JobCase("max_unpool_backward", window=2),
    *(JobCase("fractional_max", dtype, window=2) for dtype in ("float32", "float64", "uint8")),
    *(JobCase("fractional_max", window=2, options=(("samples", t),)) for t in ("float16", "bfloat16")),
    JobCase("fractional_max", window=2, options=(("kind", WHERE), ("samples", "float64"))),
    JobCase("fractional_max", shape=HUGE, small=HUGE_SMALL, window=2, options=(("kind", WHERE),)),
    JobCase("fractional_max_backward", "float16", window=2),
    JobCase("fractional_max_backward", shape=HUGE, small=HUGE_SMALL, window=2),
)


def launched(case: JobCase) -> list[Launched]:
    """The kernels that a call runs, and what they are given."""
    job, operands = KINDS[case.kind](case, dtype_of(case.dtype), **dict(case.options))
    plan = job.make_plan(job, tuple(operands))
    steps = ENGINES[plan.kind](plan)
    arrays = [*operands, Operand(plan.out_shape, plan.out_dtype), *(Operand(s.shape, s.dtype) for s in steps.scratch)]
    memories = [Memory(a.shape, contiguous_strides(a.shape, tuple(range(len(a.shape)))), a.dtype) for a in arrays]
    return lay_out(plan, steps, memories)[1]
