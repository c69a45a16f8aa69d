"""The kernels with several operands, compiled and linked without a GPU for every architecture."""

import ml_dtypes
import numpy as np
import pytest

import gpupool.kernels.cuda.compile as compiler
from benchmarks.sass import resources
from gpupool.backends.cuda_many import ENGINES, Memory, lay_out
from gpupool.fractional import WHERE, plan_fractional, plan_fractional_gradient
from gpupool.functional import average, unpool, whole
from gpupool.geometry import contiguous_strides
from gpupool.gradients import accumulator, kind_of, plan_gradient
from gpupool.jobs import INT64, Job, Operand
from gpupool.request import Request
from gpupool.unpooling import plan_unpool_gradient

pytestmark = pytest.mark.cpu_only
CAPABILITIES = ((7, 5), (8, 0), (9, 0), (10, 0))
SMALL, LARGE = (16, 64, 56, 56), (16, 64, 112, 112)
HUGE = (3, 70000, 40000)  # more than 2**32 elements


def average_of(dtype, shape, small, **changed):
    """The gradient of 3x3 averages with stride 2."""
    geometry = (3, 2, 1, changed.get("dilation", 1))
    request = average.avg_window(
        "avg", 2, geometry, False, changed.get("include", True), changed.get("override"), None, "channels_first",
        changed.get("nan", "propagate"),
    )  # fmt: skip
    return Job(request, kind_of(request), ("g", "x"), plan_gradient), [Operand(small, dtype), Operand(shape, dtype)]


def sum_of(dtype, shape, small):
    """The gradient of 3x3 sums with stride 2 that omit NaN."""
    request = whole.window_request("sum", "sum", 2, (3, 2, 1, 1), False, "channels_first", None, "omit")
    return Job(request, kind_of(request), ("g", "x"), plan_gradient), [Operand(small, dtype), Operand(shape, dtype)]


def fractional_gradient_of(dtype, shape, small):
    """The gradient of 2x2 windows at random distances."""
    request = Request("fractional", "max", 2, spatial=2, indices=True)
    job = Job(request, "chosen", ("g", "x", "indices"), plan_fractional_gradient, (small[-2:], None), own=True)
    return job, [Operand(small, dtype), Operand(shape, dtype), Operand(small, INT64)]


def maximum_of(dtype, shape, small):
    """The gradient of 3x3 maxima with stride 2, from indices."""
    request = whole.extreme_request("max", "max", 2, (3, 2, 1, 1), False, True, "propagate", "channels_first")
    operands = [Operand(small, dtype), Operand(shape, dtype), Operand(small, INT64)]
    return Job(request, "chosen", ("g", "x", "indices"), plan_gradient), operands


def offsets_of(dtype, shape, small, k=3, dilation=1, taken=np.uint8):
    """The gradient of maxima with stride 2, from offsets."""
    request = whole.extreme_request("max", "max", 2, (k, 2, k // 2, dilation), False, True, "omit", "channels_first")
    operands = [Operand(small, dtype), Operand(shape, dtype), Operand(small, np.dtype(taken))]
    return Job(request, "chosen", ("g", "x", "indices"), plan_gradient), operands


def norm_of(dtype, shape, small, p=3.0):
    """The gradient of 3x3 norms with stride 2."""
    request = whole.window_request("lp", "lp", 2, (3, 2, 1, 1), False, "channels_first", None, "propagate", p)
    norms = Operand(small, accumulator(dtype))
    return Job(request, "powers", ("g", "x", "norms"), plan_gradient), [
        Operand(small, dtype),
        Operand(shape, dtype),
        norms,
    ]


def unpooling_of(dtype, shape, small):
    """2x2 unpooling."""
    return unpool._job("unpool", 2, 2, None, 0, None, "channels_first"), [Operand(small, dtype), Operand(small, INT64)]


def unpooling_gradient_of(dtype, shape, small):
    """The gradient of 2x2 unpooling."""
    job = unpooling_of(dtype, shape, small)[0]
    job = job._replace(kind="unpool_gradient", operands=("g", "x", "indices"), make_plan=plan_unpool_gradient)
    return job, [Operand(shape, dtype), Operand(small, dtype), Operand(small, INT64)]


def fractional_of(dtype, shape, small, kind="fractional", samples=np.float32):
    """2x2 windows at random distances."""
    request = Request("fractional", "max", 2, spatial=2, indices=kind == WHERE)
    job = Job(request, kind, ("x", "samples"), plan_fractional, (small[-2:], None))
    return job, [Operand(shape, dtype), Operand((*shape[:-2], 2), np.dtype(samples))]


def kernels_of(job, operands):
    """The kernels of a job on C-contiguous arrays."""
    plan = job.make_plan(job, tuple(operands))
    steps = ENGINES[plan.kind](plan)
    arrays = [*operands, Operand(plan.out_shape, plan.out_dtype), *(Operand(s.shape, s.dtype) for s in steps.scratch)]
    memories = [Memory(a.shape, contiguous_strides(a.shape, tuple(range(len(a.shape)))), a.dtype) for a in arrays]
    return [one.kernel for one in lay_out(plan, steps, memories)[1]]


FLOATS = [np.dtype(t) for t in ("float16", "float32", "float64")]
CASES = [(make, dtype, LARGE, SMALL, {}) for make in (average_of, maximum_of) for dtype in FLOATS]
CASES += [(norm_of, FLOATS[0], LARGE, SMALL, {"p": 2.0}), (norm_of, FLOATS[1], LARGE, SMALL, {})]
CASES += [(make, FLOATS[1], LARGE, SMALL, {}) for make in (unpooling_of, unpooling_gradient_of)]
CASES += [
    (average_of, FLOATS[1], LARGE, SMALL, {"include": False}),
    (maximum_of, FLOATS[1], HUGE, (3, 35000, 20000), {}),
]
CASES += [(average_of, FLOATS[1], LARGE, (16, 64, 55, 55), {"dilation": 2})]
CASES += [(offsets_of, dtype, LARGE, SMALL, {}) for dtype in FLOATS]
CASES += [(average_of, dtype, LARGE, SMALL, {"nan": "omit"}) for dtype in FLOATS]
CASES += [
    (average_of, FLOATS[1], LARGE, SMALL, {"nan": "omit", "override": 5}),
    (average_of, FLOATS[1], HUGE, (3, 35000, 20000), {"nan": "omit"}),
    (sum_of, FLOATS[1], LARGE, SMALL, {}),
    (fractional_gradient_of, FLOATS[0], LARGE, SMALL, {}),
    (fractional_gradient_of, FLOATS[1], HUGE, (3, 35000, 20000), {}),
    (fractional_of, FLOATS[1], LARGE, SMALL, {"samples": np.float16}),
    (fractional_of, FLOATS[1], LARGE, SMALL, {"samples": ml_dtypes.bfloat16}),
]
CASES += [
    (offsets_of, FLOATS[1], LARGE, (16, 64, 55, 55), {"dilation": 2}),
    (offsets_of, FLOATS[1], LARGE, SMALL, {"k": 17, "taken": np.uint16}),
    (offsets_of, FLOATS[1], HUGE, (3, 35000, 20000), {}),
]
CASES += [(fractional_of, dtype, LARGE, SMALL, {}) for dtype in (*FLOATS, np.dtype(np.uint8))]
CASES += [
    (fractional_of, FLOATS[1], LARGE, SMALL, {"kind": WHERE, "samples": np.float64}),
    (fractional_of, FLOATS[1], HUGE, (3, 35000, 20000), {"kind": WHERE}),
]


@pytest.mark.parametrize("which", CASES, ids=lambda which: f"{which[0].__name__}-{which[1]}-{which[2]}-{which[4]}")
def test_compiles_for_every_gpu(which):
    """Machine code for each architecture, within a thread's registers, nothing in local memory."""
    make, dtype, shape, small, changed = which
    found = kernels_of(*make(dtype, shape, small, **changed))
    assert found
    for kernel in found:
        assert kernel.offset_bits == (64 if shape == HUGE else 32)
        for cc in CAPABILITIES:
            registers, local_bytes = resources(compiler.cubin(kernel, cc), kernel.name)
            assert 0 < registers * kernel.threads <= 65536, f"{kernel.name}, sm_{cc}: {registers} registers"
            assert local_bytes == 0, f"{kernel.name}, sm_{cc}: {local_bytes} bytes of local memory"


def test_every_kernel_is_compiled():
    """The cases reach each engine of jobs."""
    names = {kernel.engine.__name__ for make, dtype, shape, small, changed in CASES
             for kernel in kernels_of(*make(dtype, shape, small, **changed))}  # fmt: skip
    assert names == {
        "gather_sums",
        "gather_chosen",
        "gather_powers",
        "share_known",
        "gather_known",
        "gather_taken",
        "check_taken",
        "check_indices",
        "claim",
        "unpool",
        "unpool_back",
    } | {
        "fractional",
        WHERE,
    }
