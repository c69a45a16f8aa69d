"""Gradients of windows that do not overlap, every variant in the simulator: tails, odd alignments, edges, NaN, ties.

Each row names the part of the kernel's name that shows which variant ran: a test that reached another would fail.
"""

import numpy as np
import pytest
from test_gradients import TOLERANCE, expected, functions, grad_of, values
from test_variants import view

from gpupool.backends import cuda_many

pytestmark = pytest.mark.simulator_only
LAST = {"data_format": "channels_last"}
EDGES = {"kernel_size": 3, "padding": 1}
GAPS = {"kernel_size": 2, "stride": 3}
HALF = {"count_include_pad": False, **EDGES}
DEEP = {"kernel_size": (1, 2, 2), "stride": (2, 2, 3)}

# (operator, axes, shape, dtype, arguments, elements that arrays start after a 16-byte boundary, extra pitch, kernels)
ROWS = [
    # sums: vectors of whole cells, and of parts of them; narrower where base or pitch is not aligned
    ("avg", "2d", (2, 4, 16), "float32", {"kernel_size": 2}, 0, 0, "apart_sums_k2x2s2x2_v4_f32"),
    ("avg", "2d", (2, 4, 16), "float32", {"kernel_size": 2}, 2, 0, "apart_sums_k2x2s2x2_v2_f32"),
    ("sum", "2d", (2, 4, 16), "float32", {"kernel_size": 2}, 1, 0, "apart_sums_k2x2s2x2_v1_f32"),
    ("avg", "2d", (2, 4, 16), "float16", {"kernel_size": 2}, 0, 8, "apart_sums_k2x2s2x2_v8_f16"),
    ("avg", "2d", (2, 4, 16), "float64", {"kernel_size": 2}, 0, 0, "apart_sums_k2x2s2x2_v2_f64"),
    ("avg", "2d", (2, 6, 24), "float32", {"kernel_size": 3}, 0, 0, "apart_sums_k3x3s3x3_v4_edges_f32"),
    ("avg", "2d", (2, 6, 24), "float16", {"kernel_size": 3}, 0, 0, "apart_sums_k3x3s3x3_v8_edges_f16"),
    ("avg", "2d", (1, 14, 28), "float32", {"kernel_size": 7}, 0, 0, "apart_sums_k7x7s7x7_v4_edges_f32"),
    ("avg", "2d", (1, 32, 32), "float32", {"kernel_size": 16}, 0, 0, "apart_sums_k16x16s16x16_v4_edges_f32"),
    ("avg", "2d", (2, 7, 8), "float32", HALF, 0, 0, "apart_sums_k3x3s3x3_v4_edges_f32"),
    ("avg", "2d", (2, 8, 12), "float32", GAPS, 0, 0, "apart_sums_k2x2s3x3_v4_edges_f32"),
    ("avg", "2d", (2, 7, 9), "float32", {"kernel_size": 2, "ceil_mode": True}, 0, 0, "apart_sums_k2x2s2x2_v1_edges"),
    ("avg", "2d", (2, 7, 12), "float32", {"kernel_size": 4, "divisor_override": -3}, 0, 0, "apart_sums_k4x4s4x4_v4"),
    ("avg", "1d", (3, 24), "float32", {"kernel_size": 2, "padding": 1}, 0, 0, "apart_sums_k2s2_v4_edges_f32"),
    ("avg", "3d", (1, 4, 4, 8), "float32", {"kernel_size": 2}, 0, 0, "apart_sums_k2x2x2s2x2x2_v4_f32"),
    ("sum", "3d", (5, 5, 8), "float32", DEEP, 0, 0, "apart_sums_k1x2x2s2x2x3_v4_edges_f32"),
    ("avg", "2d", (4, 4, 8), "float32", {"kernel_size": 2, **LAST}, 0, 0, "last_sums_k2x2s2x2_v4_f32"),
    ("avg", "2d", (4, 4, 6), "float32", {"kernel_size": 2, **LAST}, 0, 0, "last_sums_k2x2s2x2_v2_f32"),
    ("avg", "2d", (5, 7, 3), "float32", {**HALF, **LAST}, 0, 0, "last_sums_k3x3s3x3_v1_edges_f32"),
    ("avg", "2d", (5, 7, 8), "float16", {**GAPS, **LAST}, 0, 0, "last_sums_k2x2s3x3_v8_edges_f16"),
    # maxima from x: the fewest windows whose cells are whole vectors
    ("max", "2d", (2, 4, 16), "float32", {"kernel_size": 2}, 0, 0, "apart_found_k2x2s2x2_v4_arg_max_f32"),
    ("max", "2d", (2, 4, 16), "float32", {"kernel_size": 2}, 2, 0, "apart_found_k2x2s2x2_v2_arg_max_f32"),
    ("min", "2d", (2, 4, 16), "float32", {"kernel_size": 2}, 1, 0, "apart_found_k2x2s2x2_v1_arg_min_f32"),
    ("max", "2d", (2, 4, 16), "float32", {"kernel_size": 2}, 0, 2, "apart_found_k2x2s2x2_v2_arg_max_f32"),
    ("max", "2d", (1, 4, 16), "float64", {"kernel_size": 2}, 0, 0, "apart_found_k2x2s2x2_v2_arg_max_f64"),
    ("max", "2d", (1, 4, 32), "float16", {"kernel_size": 2}, 0, 0, "apart_found_k2x2s2x2_v8_arg_max_f16"),
    ("max", "2d", (2, 6, 24), "float32", {"kernel_size": 3}, 0, 0, "apart_found_k3x3s3x3_v4_arg_max_f32"),
    ("max", "2d", (2, 7, 24), "float32", {"kernel_size": 3}, 0, 0, "apart_found_k3x3s3x3_v4_edges_arg_max_f32"),
    ("max", "2d", (1, 7, 28), "float16", {"kernel_size": 7}, 0, 0, "apart_found_k7x7s7x7_v4_arg_max_f16"),
    ("max", "2d", (1, 8, 16), "float32", {"kernel_size": 8}, 0, 0, "apart_found_k8x8s8x8_v4_arg_max_f32"),
    ("max", "2d", (2, 7, 8), "float32", EDGES, 0, 0, "apart_found_k3x3s3x3_v4_edges_arg_max_f32"),
    ("max", "2d", (2, 8, 12), "float32", GAPS, 0, 0, "apart_found_k2x2s3x3_v4_edges_arg_max_f32"),
    ("max", "2d", (2, 5, 11), "float32", {"kernel_size": 2, "ceil_mode": True}, 0, 0, "k2x2s2x2_v1_edges_arg_max_f32"),
    ("max", "2d", (2, 5, 8), "float32", {"nan_policy": "omit", **EDGES}, 0, 0, "v4_edges_arg_max_known_f32"),
    ("max", "1d", (3, 23), "float32", {"kernel_size": 4, "padding": 2}, 0, 0, "apart_found_k4s4_v1_edges"),
    ("max", "3d", (1, 4, 4, 8), "float32", {"kernel_size": 2}, 0, 0, "apart_found_k2x2x2s2x2x2_v4_arg_max_f32"),
    ("max", "3d", (3, 6, 6), "float32", {"kernel_size": 3}, 0, 0, "apart_found_k3x3x3s3x3x3_v2_arg_max_f32"),
    ("max", "3d", (5, 5, 8), "float32", DEEP, 0, 0, "apart_found_k1x2x2s2x2x3_v4_edges_arg_max_f32"),
    ("max", "2d", (4, 4, 8), "float32", {"kernel_size": 2, **LAST}, 0, 0, "last_found_k2x2s2x2_v4_arg_max_f32"),
    ("max", "2d", (4, 4, 6), "float32", {"kernel_size": 2, **LAST}, 1, 0, "last_found_k2x2s2x2_v1_arg_max_f32"),
    ("max", "2d", (5, 7, 8), "float16", {**EDGES, **LAST}, 0, 0, "last_found_k3x3s3x3_v8_edges_arg_max_f16"),
    ("min", "2d", (5, 7, 3), "float32", {**GAPS, **LAST}, 0, 0, "last_found_k2x2s3x3_v1_edges_arg_min_f32"),
    ("max", "2d", (5, 7, 4), "float32", {"nan_policy": "omit", **EDGES, **LAST}, 0, 0, "v4_edges_arg_max_known_f32"),
    # norms
    ("lp", "2d", (2, 4, 16), "float32", {"norm_type": 2, "kernel_size": 2}, 0, 0, "apart_powers_k2x2s2x2_v4_norm2"),
    ("lp", "2d", (2, 4, 16), "float16", {"norm_type": 1, "kernel_size": 2}, 0, 0, "apart_powers_k2x2s2x2_v8_norm1"),
    ("lp", "2d", (2, 4, 16), "float64", {"norm_type": 3, "kernel_size": 2}, 0, 0, "apart_powers_k2x2s2x2_v2_norm3"),
    ("lp", "2d", (2, 6, 24), "float32", {"norm_type": 4, "kernel_size": 3}, 0, 0, "apart_powers_k3x3s3x3_v4_norm4"),
    ("lp", "2d", (2, 7, 9), "float32", {"norm_type": 2, **GAPS}, 0, 0, "apart_powers_k2x2s3x3_v1_edges_norm2"),
    ("lp", "2d", (2, 8, 8), "float32", {"norm_type": 2.5, "kernel_size": 8}, 0, 0, "apart_powers_k8x8s8x8_v4_norm_any"),
    ("lp", "2d", (2, 5, 7), "float32", {"norm_type": 2, "kernel_size": 2, "ceil_mode": True}, 0, 0, "v1_edges_norm2"),
    ("lp", "2d", (4, 4, 8), "float32", {"norm_type": 2, "kernel_size": 2, **LAST}, 0, 0, "last_powers_k2x2s2x2_v4_nor"),
    ("lp", "2d", (5, 7, 3), "float32", {"norm_type": 3, **GAPS, **LAST}, 0, 0, "last_powers_k2x2s3x3_v1_edges_norm3"),
]
# The same of whole planes, which have no arguments.
WHOLE = [
    ("avg", "2d", (3, 4, 8), "float32", {}, 0, 0, "whole_sums_v4_f32"),
    ("avg", "2d", (3, 5, 7), "float32", {}, 0, 0, "whole_sums_v1_f32"),
    ("sum", "2d", (3, 4, 8), "float16", {}, 0, 8, "whole_sums_v8_f16"),
    ("avg", "2d", (3, 5, 8), "float32", LAST, 0, 0, "whole_sums_v4_last_f32"),
    ("avg", "3d", (3, 3, 4, 3), "float32", LAST, 0, 0, "whole_sums_v1_last_f32"),
    ("avg", "3d", (2, 3, 4, 6), "float64", {}, 1, 2, "whole_sums_v1_f64"),
    ("max", "2d", (3, 4, 8), "float32", {}, 0, 0, "whole_where_8x2_v4_arg_max_any_order_f32 whole_chosen_v4_f32"),
    ("min", "2d", (3, 5, 7), "float32", {}, 0, 0, "whole_where_8x2_v1_arg_min_any_order_f32 whole_chosen_v1_f32"),
    ("max", "2d", (3, 4, 8), "float16", {}, 0, 0, "whole_where_8x2_v8_arg_max_any_order_f16 whole_chosen_v8_f16"),
    ("max", "2d", (2, 4, 8), "float64", {}, 0, 0, "whole_where_8x2_v2_arg_max_any_order_f64 whole_chosen_v2_f64"),
    ("max", "2d", (3, 4, 8), "float32", {"nan_policy": "omit"}, 0, 0, "whole_where_8x2_v4_arg_max_known_any_order"),
    ("max", "2d", (3, 5, 8), "float32", LAST, 0, 0, "whole_where_4x4_last_arg_max whole_chosen_v4_last_f32"),
    ("max", "3d", (3, 3, 4, 3), "float32", LAST, 0, 0, "whole_where_4x4_last_arg_max whole_chosen_v1_last_f32"),
    ("max", "2d", (16, 20), "float32", {}, 0, 0, "whole_where_8x2_v4 whole_joined_8x2_v1_arg_max whole_chosen_v4_f32"),
    ("max", "2d", (2, 13, 11), "float32", {}, 0, 0, "whole_where_8x2_v1 whole_joined_8x2_v1_arg_max whole_chosen_v1"),
    ("min", "2d", (12, 15, 3), "float32", LAST, 0, 0, "whole_where_4x4_last whole_joined_8x2_v1_arg_min whole_chosen"),
    ("max", "3d", (2, 4, 8, 8), "float16", {"keepdims": False}, 0, 0, "whole_where_8x2_v8 whole_joined whole_chosen"),
]  # fmt: skip
CALLS = [("", *row) for row in ROWS] + [("global_", *row) for row in WHOLE]


def identity(part):
    """A part of a row in words."""
    return str(part[-1] if isinstance(part, tuple) else part)


@pytest.fixture
def names(monkeypatch):
    """The kernels that are prepared, in their order; nothing is prepared already."""
    found, prepare = [], cuda_many.prepare

    def noted(*arguments):
        found.append(prepare(*arguments))
        return found[-1]

    monkeypatch.setattr(cuda_many, "prepare", noted)
    monkeypatch.setattr(cuda_many, "_calls", {})
    return lambda: [one.kernel.name for one in found]


def data(which, op, shape, dtype):
    """Many ties; or NaN and infinities among them, of which norms know no gradient."""
    x = values(str(shape), shape, dtype)
    if which == "special":
        rng = np.random.default_rng(5)
        x[rng.random(shape) < 0.3] = np.nan
        if op != "lp":
            x[rng.random(shape) < 0.3] = -np.inf
    return x


@pytest.mark.parametrize("which", ["ties", "special"])
@pytest.mark.parametrize("row", CALLS, ids=identity)
def test_variant(backend, names, row, which):
    """The variant that is meant runs, gives the oracle's answer, and writes every element, and nothing else."""
    prefix, op, suffix, shape, dtype, arguments, offset, pitch, kernels = row
    x = data(which, op, shape, dtype)
    forward, backward = functions(op, suffix, prefix)
    y = forward(backend.array(x), **arguments)
    grad = grad_of(np.random.default_rng(3), backend.to_numpy(y).shape, dtype)
    given, placed, out = (
        view(backend, grad, offset, 0), view(backend, x, offset, pitch),
        view(backend, np.full(shape, 7, dtype), offset, pitch),
    )  # fmt: skip
    assert backward(given, placed, **arguments, out=out) is out
    ran = names()
    assert len(ran) >= len(kernels.split())
    assert all(kernel in name for kernel, name in zip(kernels.split(), ran, strict=False)), ran
    want = expected(op, grad, x, suffix, arguments)
    tolerance = TOLERANCE[dtype] * max(1.0, float(np.abs(grad).max(initial=0)))
    np.testing.assert_allclose(backend.to_numpy(out).astype(np.float64), want, rtol=tolerance, atol=tolerance)


CHOSEN = [row for row in ROWS if row[0] in ("max", "min")] + [
    ("max", "2d", (1, 16, 32), "float32", {"kernel_size": 16}, 0, 0, ""),
    ("max", "2d", (1, 9, 9), "float32", {"kernel_size": 9}, 0, 0, ""),
]


@pytest.mark.parametrize("positions", [True, "offsets"])
@pytest.mark.parametrize("row", CHOSEN, ids=identity)
def test_from_positions(backend, names, row, positions):
    """From what the pooling said: the same bits as from x, which is not read."""
    op, suffix, shape, dtype, arguments, offset, pitch, _ = row
    x = data("special", op, shape, dtype)
    forward, backward = functions(op, suffix)
    y, where = forward(backend.array(x), **arguments, return_indices=positions)
    grad = grad_of(np.random.default_rng(3), backend.to_numpy(y).shape, dtype)
    given, nothing = view(backend, grad, offset, 0), view(backend, np.full_like(x, 3), offset, pitch)
    got = backend.to_numpy(backward(given, nothing, **arguments, indices=where))
    engine = "last_chosen" if "data_format" in arguments else "_chosen_"
    assert [engine in name for name in names()] == [False, True], names()
    np.testing.assert_array_equal(got, backend.to_numpy(backward(given, view(backend, x, 0, 0), **arguments)))


@pytest.mark.parametrize("layout", ["F", "inner0", "reversed", "step", "mixed"])
@pytest.mark.parametrize(
    ("op", "more"), [("max", {}), ("avg", {}), ("lp", {"norm_type": 3}), ("lp", {"norm_type": 2})], ids=str
)
@pytest.mark.parametrize("arguments", [{"kernel_size": 2}, {"kernel_size": (2, 3), "padding": 1}], ids=str)
def test_the_same_bits_in_every_layout(backend, names, op, more, arguments, layout):
    """Rows, channels last, any strides: each window's elements are taken in one order."""
    rng = np.random.default_rng(7)
    x, (forward, backward) = rng.standard_normal((2, 3, 6, 8)).astype(np.float32), functions(op, "2d")
    arguments = {**arguments, **more}
    grad = rng.standard_normal(backend.to_numpy(forward(backend.array(x), **arguments)).shape).astype(np.float32)
    want = backend.to_numpy(backward(backend.array(grad), backend.array(x), **arguments))
    got = backend.to_numpy(backward(backend.array(grad, layout), backend.array(x, layout), **arguments))
    assert got.tobytes() == want.tobytes()
    channels = backend.array(np.ascontiguousarray(np.moveaxis(x, 1, -1)))
    last = np.ascontiguousarray(np.moveaxis(grad, 1, -1))
    got = backend.to_numpy(backward(backend.array(last), channels, **arguments, **LAST))
    assert np.ascontiguousarray(np.moveaxis(got, -1, 1)).tobytes() == want.tobytes()
    assert any("last_" in name for name in names())
