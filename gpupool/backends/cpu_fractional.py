"""Fractional max pooling on the CPU, and its gradient from x: which windows are worked on together, in integers."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from gpupool.fractional import GRADIENT, WHERE, sample_column, sample_type
from gpupool.gradients import accumulator
from gpupool.jobs import INT64, JobPlan
from gpupool.kernels.codecs import Plain, input_codec
from gpupool.kernels.cpu import jit
from gpupool.kernels.cpu.fractional import Sampled, fractional, fractional_back
from gpupool.kernels.cpu.fractional_lines import elements_pass, give_pass, places_pass, positions_pass, starts_pass
from gpupool.kernels.cpu.frame import FRAME, Frame
from gpupool.kernels.cpu.totals import Totals
from gpupool.kernels.window import fractional_slack
from gpupool.plan import choose

from .cpu import payload
from .cpu_bands import Bands
from .cpu_find import MOST_TABLE
from .cpu_frame import Form, Runner, launch, three_axes
from .cpu_gradients import make_totals
from .cpu_windows import STREAMED

INT32 = np.dtype(np.int32)
# Taps of one pass, and of elements of one or two bytes, which no instruction gathers: 3x3 windows of 112x112 planes
# take 3.8 ns so with uint8 and 8.9 in one pass; with float32 2.3, and 2.8 in two.
MOST_TAPS, MOST_NARROW = 9, 5
LANES = 2048  # of a unit
SMALL = 1 << 14  # elements of several planes that are worked on together, at most


def samples_in_order(plan: JobPlan, form: Form, samples: np.ndarray) -> np.ndarray:
    """The samples of each pooled axis, of all planes in the kernels' order."""
    pooled = [a.axis for a in plan.pooled]
    batch = [a for a in range(len(plan.forward.shape)) if a not in pooled]
    u = samples.astype(sample_type(plan)).reshape(*(plan.forward.shape[a] for a in batch), len(pooled))
    order = [batch.index(a) for a in form.order if a in batch]
    return np.ascontiguousarray(u.transpose(len(batch), *order))


def shared_passes(taps: int, best: np.dtype) -> tuple[int, int]:
    """How many taps a pass takes, and how many passes there are: as even as can be."""
    passes = -(-taps // (MOST_TAPS if best.itemsize >= 4 else MOST_NARROW))
    return -(-taps // passes), passes


def together(form: Form) -> tuple[int, int]:
    """How many planes are worked on at a time, and how many of their rows of windows."""
    depth, row, elements = form.y[1] * form.y[2], form.y[3] * form.y[4], math.prod(form.x[1:])
    planes = max(1, min(form.x[0], LANES // (depth * row), SMALL // elements))
    return planes, depth if planes > 1 else max(1, min(depth, LANES // row))


def finders(plan: JobPlan, kind: str, place: np.dtype, taps: int, passes: int) -> list[int]:
    """The passes that find what windows choose: the first, those that follow and the last; or the only one."""
    red, codec, y_codec = choose(plan.forward, wide=True)
    x_type = payload(plan.forward.dtype)
    best = x_type if isinstance(codec, Plain) else np.dtype(np.float32)

    def make(first: bool, last: bool) -> int:
        if kind == "fractional":
            types = x_type, best, payload(plan.out_dtype)
            return jit.c_function(elements_pass(types, (codec, y_codec), red, place, taps, first, last))
        types = x_type, best, INT64 if kind == WHERE else place
        return jit.c_function(positions_pass(types, codec, red, place, taps, first, last, kind == WHERE))

    return [make(True, passes == 1), make(False, False) if passes > 2 else 0, make(False, True) if passes > 1 else 0]


def tap_table(plan: JobPlan, form: Form) -> np.ndarray:
    """Of each tap its distance from the window's first, in elements, and what it adds to what is noted."""
    d, h, w = np.indices(tuple(a.k for a in three_axes(plan))).reshape(3, -1)
    places = (d * form.x[2] + h) * form.x[3] + w
    distances = places * form.x[4]
    return np.stack([distances, distances if plan.job.kind == GRADIENT else places], axis=1).astype(np.int64)


def make_sampled(plan: JobPlan, form: Form, table: np.ndarray) -> Sampled:
    """The windows and the passes."""
    gradient, real = plan.job.kind == GRADIENT, sample_type(plan)
    place = INT32 if math.prod(form.x[1:]) <= MOST_TABLE else INT64
    x_type, codec, missing = payload(plan.forward.dtype), input_codec(plan.forward.dtype), 3 - len(plan.pooled)
    y_type = payload(plan.dtypes[0] if gradient else plan.out_dtype)
    best = x_type if isinstance(codec, Plain) else np.dtype(np.float32)
    k = (1,) * missing + tuple(a.k for a in plan.pooled)
    columns = (0,) * missing + tuple(sample_column(plan, i) for i in range(len(plan.pooled)))
    taps, passes = shared_passes(len(table), best)
    past, give = int(math.prod(form.y) * y_type.itemsize > STREAMED), 0
    if gradient:
        give = jit.c_function(give_pass(y_type, accumulator(plan.dtypes[0], plan.out_dtype), codec, place))
    return Sampled._make((
        form.x[0], *form.x[4:], *form.x[1:4], *form.y[1:4], *k, *together(form), past, x_type.itemsize,
        y_type.itemsize, best.itemsize, place.itemsize, real.itemsize, *columns, taps, passes,
        jit.c_function(starts_pass(real, place)), jit.c_function(places_pass(place)),
        *finders(plan, plan.job.kind, place, taps, passes), give, table.ctypes.data,
    ))  # fmt: skip


def sums_of(plan: JobPlan, form: Form, q: Sampled) -> Totals:
    """Where gradients are added up: of as many rows as the windows of one step reach."""
    t = make_totals(plan, form)
    if t.held == 0:
        return t
    n, out, k = (q.d, q.od, q.kd) if q.d > 1 else (q.h, q.oh, q.kh)
    steps = q.rows // q.oh + 2 if q.d > 1 else q.rows
    reach = steps * -(-(n - k) // max(1, out - 1)) + k + 2 * fractional_slack(n, out, k)
    return t._replace(held=max(t.held, min(n, reach)) if q.planes == 1 else q.planes * n)


def fractional_engine(plan: JobPlan, form: Form, _frame: np.ndarray) -> Runner:
    """Elements or positions."""
    table = tap_table(plan, form)
    q = make_sampled(plan, form, table)
    numbers, code = np.array(q, np.int64), jit.compiled(fractional, 6, ())
    units = -(-q.outer // q.planes) * -(-q.od * q.oh // q.rows)

    def run(arrays: list[np.ndarray], out: np.ndarray, _kept: np.ndarray = table) -> None:
        samples = samples_in_order(plan, form, arrays[1])
        addresses = (arrays[0].ctypes.data, samples.ctypes.data, out.ctypes.data, numbers.ctypes.data)
        launch(code, addresses, (), units, math.prod(form.x))

    return run


def gradient_engine(plan: JobPlan, form: Form, packed: np.ndarray) -> Runner:
    """The gradient from x and the samples."""
    table = tap_table(plan, form)
    q, f = make_sampled(plan, form, table), Frame(*packed[:FRAME].tolist())
    numbers, code = np.array([*q, *sums_of(plan, form, q)], np.int64), jit.compiled(fractional_back, 8, ())
    bands_of = Bands(f, packed, finds=True)

    def run(arrays: list[np.ndarray], out: np.ndarray, _kept: np.ndarray = table) -> None:
        samples, bands = samples_in_order(plan, form, arrays[2]), bands_of() if q.planes == 1 else 1
        addresses = (a.ctypes.data for a in (arrays[0], arrays[1], samples, out, numbers))
        launch(code, (*addresses, bands), (), -(-q.outer // q.planes) * bands, math.prod(form.x))

    return run


ENGINES: dict[str, Callable[[JobPlan, Form, np.ndarray], Runner]] = {
    "fractional": fractional_engine,
    WHERE: fractional_engine,
    GRADIENT: gradient_engine,
}
