"""Gradients in strips, in the simulator: every variant on tiny shapes with tails and odd alignments.

Each row names the part of the kernel's name that shows which variant ran. What strips compute has the same bits as what
one thread for each element does, whatever the memory layout.
"""

import contextlib

import compare
import numpy as np
import pytest
from test_variants import LAST, view

import gpupool as gp
from gpupool.backends import cuda_many, cuda_strips
from gpupool.backends.cuda_jobs import plain

pytestmark = pytest.mark.simulator_only

# (function, shape, dtype, arguments, elements that views start after a 16-byte boundary, extra pitch, kernel)
ROWS = [
    # whole vectors; narrower ones where base or pitch is not aligned; none for odd ones
    ("max_pool2d", (2, 8, 16), "float32", (3, 2, 1), {}, 0, 0, "strip_chosen_k3x3s2x2_t4x4_v4"),
    ("max_pool2d", (2, 8, 16), "float32", (3, 2, 1), {}, 2, 0, "strip_chosen_k3x3s2x2_t8x2_v2"),
    ("max_pool2d", (2, 8, 16), "float32", (3, 2, 1), {}, 1, 0, "strip_chosen_k3x3s2x2_t8x2_v1"),
    ("avg_pool2d", (2, 8, 16), "float32", (3, 2, 1), {}, 0, 1, "strip_sums_k3x3s2x2_t8x2_v1"),
    ("avg_pool2d", (2, 8, 16), "float32", (3, 1, 1), {}, 0, 2, "strip_sums_k3x3s1x1_t4x2_v2"),
    ("avg_pool2d", (2, 8, 16), "float32", (3, 1, 1), {}, 0, 0, "strip_sums_k3x3s1x1_t4x4_v4"),
    ("max_pool2d", (1, 6, 16), "float16", (3, 1, 1), {}, 0, 0, "strip_chosen_k3x3s1x1_t2x8_v8_f16"),
    ("avg_pool2d", (1, 6, 16), "float16", (3, 2, 1), {}, 0, 0, "strip_sums_k3x3s2x2_t2x8_v8_f16"),
    ("avg_pool2d", (1, 6, 6), "float64", (3, 2, 1), {}, 0, 0, "strip_sums_k3x3s2x2_t4x2_v2_f64"),
    ("max_pool2d", (1, 6, 6), "float64", (2, 1), {}, 0, 0, "strip_chosen_k2x2s1x1_t4x2_v2_f64"),
    # tails: rows that no strip divides, windows that overhang, padding on one side
    ("max_pool2d", (2, 7, 11), "float32", (3, 2, 1), {}, 0, 0, "strip_chosen_k3x3s2x2_t4x2_v1"),
    ("avg_pool2d", (2, 9, 13), "float32", (4, 3, 1), {"ceil_mode": True}, 0, 0, "strip_sums_k4x4s3x3_t3x3_v1"),
    ("avg_pool2d", (2, 7, 8), "float32", (3, 1, ((2, 0), (0, 2))),
     {"count_include_pad": False}, 0, 0, "strip_sums_k3x3s1x1_t4x4_v4"),
    ("sum_pool2d", (2, 7, 9), "float32", ((3, 5), (1, 2), (0, 2)), {}, 0, 0, "strip_sums_k3x5s1x2"),
    ("avg_pool2d", (1, 9, 12), "float32", (8, 1, 4), {"divisor_override": -3}, 0, 0, "strip_sums_k8x8s1x1_t1x4_v4"),
    # one and three axes
    ("max_pool1d", (3, 24), "float32", (3, 2), {}, 0, 0, "strip_chosen_k1x3s1x2_t2x4_v4"),
    ("avg_pool1d", (6, 24), "float32", (3, 2), {}, 0, 0, "strip_sums_k1x3s1x2_t4x4_v4"),
    ("avg_pool1d", (2, 3, 23), "float16", (5, 4, 2), {}, 1, 0, "strip_sums_k1x5s1x4"),
    ("max_pool3d", (1, 5, 6, 8), "float32", (3, 2, 1), {}, 0, 0, "strip_chosen_k3x3x3s2x2x2_t4x4_v4"),
    ("avg_pool3d", (2, 4, 5, 8), "float32", (2, 1, 1), {"count_include_pad": False}, 0, 0, "strip_sums_k2x2x2s1x1x1"),
    ("max_pool3d", (1, 4, 5, 8), "float32", ((1, 3, 3), 1), {}, 0, 0, "strip_chosen_k3x3s1x1"),
    # channels last
    ("max_pool2d", (5, 6, 8), "float32", (3, 2, 1), {"data_format": LAST}, 0, 0, "strip_chosen_k3x3s2x2_t2x2_last_v4"),
    ("avg_pool2d", (5, 6, 8), "float32", (3, 1, 1), {"data_format": LAST}, 0, 0, "strip_sums_k3x3s1x1_t2x2_last_v4"),
    ("avg_pool2d", (5, 6, 8), "float16", (3, 2, 1), {"data_format": LAST}, 0, 0, "strip_sums_k3x3s2x2_t2x2_last_v8"),
    ("max_pool2d", (5, 6, 6), "float32", (3, 2, 1), {"data_format": LAST}, 0, 0, "_last_v2"),
    ("max_pool2d", (5, 6, 3), "float32", (3, 2, 1), {"data_format": LAST}, 0, 0, "strip_chosen_k3x3s2x2_t4x2_v1"),
    # norms, whose elements are loaded, too
    ("lp_pool2d", (2, 8, 16), "float32", (2, 3, 2), {}, 0, 0, "strip_powers_k3x3s2x2_t4x4_v4"),
    ("lp_pool2d", (2, 7, 11), "float32", (3, 3, 2), {}, 1, 0, "strip_powers_k3x3s2x2_t4x2_v1"),
    ("lp_pool2d", (2, 7, 8), "float16", (1, 3, 1), {"ceil_mode": True}, 0, 0, "strip_powers_k3x3s1x1_t2x8_v8"),
    ("lp_pool2d", (5, 6, 4), "float32", (2, 3, 2), {"data_format": LAST}, 0, 0, "strip_powers_k3x3s2x2_t2x2_last_v4"),
    ("lp_pool3d", (1, 5, 6, 8), "float32", (2, 3, 2), {}, 0, 0, "strip_powers_k3x3x3s2x2x2"),
    # NaN omitted
    ("avg_pool2d", (2, 8, 16), "float32", (3, 2, 1), {"nan_policy": "omit"}, 0, 0, "strip_known_k3x3s2x2_t4x4_v4"),
    ("sum_pool2d", (2, 7, 11), "float16", (3, 2, 1), {"nan_policy": "omit"}, 0, 0, "strip_known_k3x3s2x2"),
    # windows that share an axis: fewer than elements, and more
    ("adaptive_avg_pool2d", (2, 9, 16), "float32", ((4, 7),), {}, 0, 0, "strip_shared_adaptive_r3x3_t4x4_v4"),
    ("adaptive_max_pool2d", (2, 9, 16), "float32", ((4, 7),), {}, 0, 0, "strip_picked_adaptive_r3x3_t4x4_v4"),
    ("adaptive_max_pool2d", (2, 7, 11), "float16", ((5, 3),), {}, 1, 0, "strip_picked_adaptive"),
    ("adaptive_avg_pool2d", (2, 3, 8), "float32", ((5, 11),), {}, 0, 0, "strip_shared_adaptive_r4x"),
    ("adaptive_avg_pool2d", (5, 7, 8), "float32", (3,), {"data_format": LAST}, 0, 0,
     "strip_shared_adaptive_r3x2_t4x2_last_v4"),
    ("adaptive_max_pool2d", (5, 7, 8), "float32", (3,), {"data_format": LAST}, 0, 0,
     "strip_picked_adaptive_r3x2_t4x2_last_v2"),
    ("adaptive_avg_pool3d", (4, 5, 7), "float32", ((3, 2, 4),), {}, 0, 0, "strip_shared_adaptive"),
    ("adaptive_max_pool3d", (4, 5, 7), "float32", ((3, 2, 4),), {}, 0, 0, "strip_picked_adaptive"),
    ("adaptive_avg_pool1d", (3, 13), "float64", (5,), {}, 0, 0, "strip_shared_adaptive"),
    # everything else: one thread for each element
    ("avg_pool2d", (1, 12, 12), "float32", (9, 1, 4), {}, 0, 0, "gather_sums"),
    ("max_pool2d", (2, 7, 9), "float32", (3, 1, 1, 2), {}, 0, 0, "gather_taken"),
    ("lp_pool2d", (1, 10, 12), "float32", (2, 9, 1), {}, 0, 0, "gather_powers"),
    ("adaptive_avg_pool2d", (1, 2, 3), "float32", ((9, 11),), {}, 0, 0, "gather_sums_adaptive"),
    ("adaptive_max_pool2d", (1, 2, 3), "float32", ((9, 11),), {}, 0, 0, "gather_chosen_adaptive"),
]  # fmt: skip


@contextlib.contextmanager
def recorded(monkeypatch):
    """The names of the kernels with several operands that run in a block."""
    names, run = [], cuda_many.SimulatedJob.__call__

    def call(job, memories):
        names.append(job.one.kernel.name)
        run(job, memories)

    with monkeypatch.context() as patched:
        patched.setattr(cuda_many.SimulatedJob, "__call__", call)
        yield names


def operands(row):
    """Elements with ties, NaN where it is omitted, and a gradient that no sum rounds alike by chance."""
    function, shape, dtype, positional, arguments = row[:5]
    rng = np.random.default_rng(7)
    x = rng.integers(-3, 4, shape).astype(dtype)
    if "nan_policy" in arguments:
        x[rng.random(shape) < 0.3] = np.nan
    y = getattr(gp, function)(x, *positional, **arguments)
    return x, rng.standard_normal(y.shape).astype(dtype)


@pytest.mark.parametrize("row", ROWS, ids=lambda r: f"{r[0]}-{r[7]}-{r[1:7]}")
def test_strips(backend, row, monkeypatch):
    """The variant that is meant runs; its result has the bits of the kernel with one thread for each element."""
    function, _, _, positional, arguments, offset, pitch, kernel = row
    x, grad = operands(row)
    backward = getattr(gp, f"{function}_backward")
    placed = [view(backend, a, offset, pitch) for a in (grad, x)]
    out = view(backend, np.full_like(x, 7), offset, pitch)
    with recorded(monkeypatch) as names:
        assert backward(*placed, *positional, **arguments, out=out) is out
    assert any(kernel in name for name in names), names
    monkeypatch.setattr(cuda_strips, "fit", plain)
    monkeypatch.setattr(cuda_many, "_calls", {})
    with recorded(monkeypatch) as names:
        want = backward(*(backend.array(a) for a in (grad, x)), *positional, **arguments)
    assert not any("strip" in name for name in names), names
    compare.assert_same_bits(np.ascontiguousarray(out.copy_to_host()), want.copy_to_host())


GIVEN = [
    ("max_pool2d", (2, 8, 16), (3, 2, 1), "strip_chosen_k3x3s2x2_t4x4_v4"),
    ("max_pool1d", (3, 24), (3, 2), "strip_chosen_k3s2_t1x4_v4"),
    ("max_pool3d", (4, 5, 8), (2, 1), "strip_chosen_k2x2x2s1x1x1"),
    ("adaptive_max_pool2d", (2, 7, 12), ((3, 5),), "strip_picked_adaptive"),
]


@pytest.mark.parametrize("row", GIVEN, ids=lambda r: r[0])
@pytest.mark.parametrize("move", [0, 1], ids=["own", "moved"])
def test_given_indices(backend, row, move, monkeypatch):
    """Flat positions of a caller's: those outside their windows reach nobody, as with one thread for each element."""
    function, shape, positional, kernel = row
    x = np.random.default_rng(7).integers(-3, 4, shape).astype(np.float32)
    y, indices = getattr(gp, function)(x, *positional, return_indices=True)
    grad = np.random.default_rng(8).standard_normal(y.shape).astype(np.float32)
    indices = np.roll(indices, move, -1)
    backward = getattr(gp, f"{function}_backward")
    arrays = [backend.array(a) for a in (grad, x)]
    with recorded(monkeypatch) as names:
        got = backward(*arrays, *positional, indices=backend.array(indices))
    assert any(kernel in name for name in names), names
    monkeypatch.setattr(cuda_strips, "fit", plain)
    monkeypatch.setattr(cuda_many, "_calls", {})
    want = backward(*arrays, *positional, indices=backend.array(indices))
    compare.assert_same_bits(got.copy_to_host(), want.copy_to_host())
    assert (got.copy_to_host() != 0).any()
