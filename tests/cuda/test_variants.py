"""Every kernel variant in the simulator, on tiny shapes with tails and odd alignments, against the oracle.

Each row names the part of the kernel's name that shows which variant ran: a test that reached another would fail.
"""

import compare
import numpy as np
import pytest
import reference
from fills import fill
from test_offsets import taps_of

import gpupool as gp
from gpupool.backends.cuda import recorded
from gpupool.kernels.extremes import lowest

pytestmark = pytest.mark.simulator_only
FIRST, LAST = "channels_first", "channels_last"

# (function, shape, dtype, arguments, elements that the view starts after a 16-byte boundary, extra pitch, kernel)
ROWS = [
    # tile, no edge: full vectors, narrower ones where base or pitch is not aligned, none for odd ones
    ("max_pool2d", (2, 4, 16), "float32", {"kernel_size": 2}, 0, 0, "tile_k2x2s2x2_t1x4_v4_max"),
    ("max_pool2d", (2, 4, 16), "float32", {"kernel_size": 2}, 2, 0, "tile_k2x2s2x2_t1x4_v2_max"),
    ("max_pool2d", (2, 4, 16), "float32", {"kernel_size": 2}, 1, 0, "tile_k2x2s2x2_t2x1_v1_max"),
    ("avg_pool2d", (2, 4, 16), "float32", {"kernel_size": 2}, 0, 1, "tile_k2x2s2x2_t2x1_v1_mean"),
    ("avg_pool2d", (2, 4, 16), "float32", {"kernel_size": 2}, 0, 2, "tile_k2x2s2x2_t1x4_v2_mean"),
    ("max_pool2d", (1, 4, 16), "float64", {"kernel_size": 2}, 0, 0, "tile_k2x2s2x2_t1x2_v2_max_f64"),
    ("max_pool2d", (1, 4, 32), "float16", {"kernel_size": 2}, 0, 0, "_v8_max_f16"),
    ("avg_pool2d", (1, 4, 32), "float16", {"kernel_size": 2}, 0, 0, "_v8_mean_short_f16"),
    ("max_pool2d", (1, 4, 32), "uint8", {"kernel_size": 2}, 0, 0, "tile_k2x2s2x2_t2x8_v16_max_u8"),
    ("avg_pool2d", (1, 4, 32), "uint8", {"kernel_size": 2, "dtype": "uint8"}, 0, 0, "_v16_mean_int16_rounded_u8"),
    ("max_pool2d", (1, 4, 16), "int64", {"kernel_size": 2}, 0, 0, "_v2_max_i64"),
    ("max_pool2d", (1, 4, 32), "bool", {"kernel_size": 2}, 0, 0, "_v16_max_u8"),
    # tails: outputs that no tile divides, rows that no vector divides
    ("max_pool2d", (2, 5, 11), "float32", {"kernel_size": 2}, 0, 0, "tile_k2x2s2x2_t2x1_v1_max"),
    ("avg_pool2d", (2, 5, 13), "float32", {"kernel_size": 2, "ceil_mode": True}, 0, 0, "edges_wh_mean"),
    ("max_pool2d", (1, 7, 11), "int32", {"kernel_size": 3}, 0, 0, "tile_k3x3s3x3"),
    # odd widths: one output across, and rows shared downwards; a few across where short vectors fit
    ("avg_pool2d", (2, 7, 7), "float32", {"kernel_size": 3, "stride": 1, "padding": 1}, 0, 0, "t4x1_v1_edges_wh_mean"),
    ("max_pool2d", (1, 12, 9), "uint8", {"kernel_size": 3, "stride": 1, "padding": 1}, 3, 0, "t6x2_v1_edges_wh_max_u8"),
    ("max_pool2d", (1, 5, 13), "float16", {"kernel_size": 3, "stride": 2, "padding": 1}, 0, 0, "t3x1_v1_edges_wh"),
    ("avg_pool2d", (1, 8, 6), "float32", {"kernel_size": 3, "stride": 1, "padding": 1}, 0, 0, "t4x2_v2_edges_wh"),
    ("max_pool2d", (1, 8, 6), "float64", {"kernel_size": 3, "stride": 1}, 1, 0, "t6x1_v1_max_f64"),
    ("max_pool3d", (1, 5, 5, 7), "float32", {"kernel_size": 3, "stride": 2, "padding": 1}, 0, 0, "t3x1_v1_edges_wh"),
    # one pooled axis: a tile's rows are of the batch
    ("max_pool1d", (10, 16), "float16", {"kernel_size": 3}, 0, 0, "tile_k3s3_t5x1_v1_max_f16"),
    ("max_pool1d", (2, 11, 17), "float32", {"kernel_size": 3, "stride": 2}, 0, 0, "tile_k3s2_t8x1_v1_edges_h_max_f32"),
    ("avg_pool1d", (6, 32), "float16", {"kernel_size": 5, "stride": 4, "padding": 2}, 0, 0, "t2x4_v8_edges_w"),
    # overlapping windows with padding: elements before the first vector and after the last one
    ("max_pool2d", (2, 9, 16), "float32", {"kernel_size": 3, "stride": 2, "padding": 1}, 0, 0, "t2x4_v4_edges_wh_max"),
    ("avg_pool2d", (2, 9, 16), "float32", {"kernel_size": 3, "stride": 2, "padding": 1}, 0, 0, "wh_mean_compensated"),
    ("avg_pool2d", (1, 6, 8), "float32",
     {"kernel_size": 3, "stride": 1, "padding": 1, "count_include_pad": False}, 0, 0, "v4_edges_wh_mean_compensated"),
    ("max_pool2d", (1, 6, 8), "float32", {"kernel_size": 3, "stride": 1, "padding": "same"}, 0, 0, "v4_edges_wh_max"),
    ("max_pool2d", (1, 5, 16), "float16", {"kernel_size": 3, "stride": 1, "padding": 1}, 0, 0, "_v8_edges_wh_max_f16"),
    ("max_pool2d", (1, 8, 8), "float32", {"kernel_size": 5, "stride": 1, "padding": 2}, 0, 0, "tile_k5x5s1x1"),
    ("avg_pool2d", (1, 8, 16), "float32", {"kernel_size": 8}, 0, 0, "tile_k8x8s1x8"),
    ("avg_pool2d", (1, 4, 8), "float32", {"kernel_size": 2, "divisor_override": -3}, 0, 0, "tile_k2x2"),
    ("max_pool1d", (3, 24), "float32", {"kernel_size": 3}, 0, 0, "tile_k3s3"),
    ("max_pool1d", (3, 23), "uint8", {"kernel_size": 3, "stride": 2}, 1, 0, "_v1_"),
    ("max_pool3d", (1, 4, 4, 8), "float32", {"kernel_size": 2}, 0, 0, "tile_k2x2x2s2x2x2"),
    ("avg_pool3d", (1, 3, 4, 8), "float32", {"kernel_size": 3, "stride": 2, "padding": 1}, 0, 0, "tile_k3x3x3s2x2x2"),
    # exact means of 64-bit integers, whose sums no integer type holds
    ("avg_pool2d", (2, 4, 16), "int64", {"kernel_size": 2}, 0, 0, "tile_k2x2s2x2_t1x2_v2_mean_exact_i64_to_f64"),
    ("avg_pool2d", (2, 5, 11), "uint64", {"kernel_size": 3, "stride": 2, "padding": 1}, 1, 0, "mean_exact_unsigned"),
    ("avg_pool2d", (2, 4, 16), "int64", {"kernel_size": 2, "dtype": "int64"}, 0, 0, "tile_k2x2s2x2_t1x2_v2_mean_round"),
    ("avg_pool2d", (4, 4, 4), "int64", {"kernel_size": 2, "data_format": LAST}, 0, 0, "last_k2x2s2x2_v2_mean_exact"),
    # channels last: more rows than are written out, and slabs of them
    ("max_pool2d", (7, 6, 4), "float32", {"kernel_size": 5, "stride": 1, "padding": 2, "data_format": LAST}, 0, 0,
     "last_k5x5s1x1_t4x2_v4_edges_max"),
    ("max_pool3d", (5, 5, 4, 8), "float16",
     {"kernel_size": 3, "stride": 2, "padding": 1, "data_format": LAST}, 0, 0, "last_k3x3x3s2x2x2_v8_edges_max_f16"),
    ("avg_pool2d", (5, 3, 16), "uint8",
     {"kernel_size": 3, "stride": 2, "padding": 1, "data_format": LAST}, 0, 0, "last_k3x3s2x2_v8_edges_mean_int16"),
    # channels last
    ("max_pool2d", (4, 4, 8), "float32", {"kernel_size": 2, "data_format": LAST}, 0, 0, "last_k2x2s2x2_v4_max"),
    ("avg_pool2d", (4, 4, 8), "float32", {"kernel_size": 2, "data_format": LAST}, 0, 0, "last_k2x2s2x2_v4_mean"),
    ("max_pool2d", (4, 4, 6), "float32", {"kernel_size": 2, "data_format": LAST}, 0, 0, "pixels_k2x2s2x2_t1x1x6_v4"),
    ("max_pool2d", (5, 3, 8), "float16",
     {"kernel_size": 3, "stride": 2, "padding": 1, "data_format": LAST}, 0, 0, "v8_edges_max_f16"),
    ("avg_pool2d", (5, 3, 4), "float32",
     {"kernel_size": 3, "stride": 2, "padding": 1, "data_format": LAST, "count_include_pad": False}, 0, 0, "mean"),
    # few channels last: pixels with all their channels, by the widest loads; edges, rows that no vector divides
    ("max_pool2d", (4, 16, 3), "uint8", {"kernel_size": 2, "data_format": LAST}, 0, 0,
     "pixels_k2x2s2x2_t1x8x3_v16_max_u8"),
    ("avg_pool2d", (5, 8, 3), "uint8", {"kernel_size": 2, "data_format": LAST, "dtype": "uint8"}, 8, 0,
     "pixels_k2x2s2x2_t1x4x3_v8_mean_int16_rounded_u8"),
    ("max_pool2d", (4, 8, 4), "uint8", {"kernel_size": 2, "data_format": LAST}, 0, 0, "pixels_k2x2s2x2_t1x4x4_v16"),
    ("max_pool2d", (5, 7, 3), "uint8",
     {"kernel_size": 3, "stride": 2, "padding": 1, "data_format": LAST}, 1, 0, "x3_v1_edges_wh_max_u8"),
    ("avg_pool2d", (6, 8, 3), "float32",
     {"kernel_size": 3, "stride": 1, "padding": 1, "data_format": LAST}, 0, 0, "_v4_edges_wh_mean_compensated_f32"),
    ("max_pool2d", (8, 8, 2), "float16",
     {"kernel_size": 5, "stride": 1, "padding": 2, "data_format": LAST}, 0, 0, "pixels_k5x5s1x1"),
    ("avg_pool2d", (4, 6, 5), "uint16", {"kernel_size": 2, "data_format": LAST}, 0, 0, "pixels_k2x2s2x2"),
    ("max_pool2d", (4, 8, 3), "float64", {"kernel_size": 2, "data_format": LAST}, 0, 0, "pixels_k2x2s2x2_t1x1x3_v2"),
    ("max_pool3d", (2, 4, 8, 3), "uint8", {"kernel_size": 2, "data_format": LAST}, 0, 0, "point_max_u8"),
    # small whole planes: odd and even numbers of elements, one thread each and several, blocks that end early, halves
    # and bytes that do not begin at a word, and what is no flat stretch
    ("global_avg_pool2d", (9, 5, 5), "float32", {}, 0, 0, "planes_v1_mean_compensated_f32"),
    ("global_max_pool2d", (9, 4, 4), "float32", {}, 1, 0, "planes_v1_max_any_order_f32"),
    ("global_max_pool2d", (30, 3, 3), "float16", {}, 0, 0, "planes_v2_max_any_order_f16"),
    ("global_avg_pool2d", (5, 3, 5), "float16", {}, 1, 0, "planes_v1_mean_short_f16"),
    ("global_max_pool2d", (2, 11, 3, 3), "uint8", {}, 0, 0, "planes_v4_max_u8"),
    ("global_max_pool2d", (7, 6, 6), "uint8", {}, 2, 0, "planes_v1_max_u8"),
    ("global_avg_pool2d", (3, 7, 8), "int64", {}, 0, 0, "planes_v1_mean_exact_i64_to_f64"),
    ("global_sum_pool1d", (3, 2, 61), "float32", {}, 0, 0, "planes_v1_sum_compensated_f32"),
    ("global_avg_pool2d", (3, 3, 3), "float64", {}, 0, 0, "plane_8x2_v1_mean_wide_f64"),
    ("global_avg_pool2d", (3, 4, 7), "float32", {}, 0, 1, "plane_8x2_v1_mean_compensated_f32"),
    # whole planes
    ("global_avg_pool2d", (3, 4, 8), "float32", {}, 0, 0, "plane"),
    ("global_max_pool2d", (3, 5, 7), "float32", {}, 0, 0, "plane"),
    ("global_max_pool2d", (2, 9, 16), "float16", {}, 0, 0, "plane"),
    ("global_avg_pool2d", (2, 9, 16), "uint8", {}, 0, 0, "plane"),
    ("global_avg_pool2d", (2, 9, 7), "float32", {}, 0, 1, "plane"),
    ("global_avg_pool2d", (5, 7, 6), "float32", {"data_format": LAST}, 0, 0, "plane_last_4x3_v2_mean_compensated"),
    ("global_max_pool3d", (2, 3, 4, 5), "float32", {}, 0, 0, "plane"),
    ("global_avg_pool1d", (2, 70), "float32", {}, 0, 0, "plane_16x1_v2"),
    # as many loads of each thread: threads that are no power of two, some blocks' planes missing
    ("global_avg_pool2d", (5, 9, 8), "float32", {}, 0, 0, "plane_9x2_v4_mean_compensated_f32"),
    ("global_max_pool2d", (2, 11, 8), "float32", {}, 0, 0, "plane_11x2_v4_max_any_order_f32"),
    # whole planes in parts: the last one shorter; few channels, neighbours in memory; sums in one part and in two
    ("global_avg_pool2d", (2, 16, 20), "float32", {}, 0, 0, "plane_parts_16x1_v4_mean_compensated_f32"),
    ("global_max_pool2d", (1, 16, 21), "float32", {}, 0, 0, "plane_parts_16x1_v4_max_any_order_f32"),
    ("global_max_pool2d", (3, 16, 24), "uint8", {}, 0, 0, "plane_parts_8x2_v16_max_u8"),
    ("global_avg_pool2d", (2, 13, 15), "float32", {}, 0, 1, "plane_parts_16x1_v1_mean_compensated_f32"),
    ("global_avg_pool2d", (2, 12, 15, 3), "float32", {"data_format": LAST}, 0, 0, "plane_last_parts_4x3_v1_mean"),
    ("global_max_pool2d", (2, 12, 15, 6), "float16", {"data_format": LAST}, 0, 0, "plane_last_parts_4x3_v2_max"),
    ("global_avg_pool1d", (300,), "int64", {}, 0, 0, "plane_joined_4x2_v1_mean_exact_i64_to_f64"),
    # sums of float64: grouped by two, whether or not they can be loaded so
    ("global_avg_pool3d", (5, 7, 9), "float64", {"keepdims": False}, 0, 0, "plane_joined_4x2_v1_mean_wide_f64"),
    ("global_avg_pool2d", (2, 9, 16), "float64", {}, 0, 0, "plane_parts_8x2_v2_mean_wide_f64"),
    ("global_avg_pool2d", (2, 9, 16), "float64", {}, 1, 0, "plane_parts_8x2_v1_by2_mean_wide_f64"),
    ("global_avg_pool2d", (5, 6, 3), "float64", {"data_format": LAST}, 0, 0, "plane_last_8x2_v1_by2_mean_wide_f64"),
    # maxima with positions, in the tile: windows of nothing but the value of absent taps included
    ("max_pool2d", (2, 4, 16), "float32", {"kernel_size": 2, "return_indices": True}, 0, 0,
     "tile_indices_k2x2s2x2_t2x2_v4_arg_max_f32"),
    ("max_pool2d", (2, 9, 16), "float32", {"kernel_size": 3, "stride": 2, "padding": 1, "return_indices": True}, 0, 0,
     "tile_indices_k3x3s2x2_t2x2_v4_edges_wh"),
    ("max_pool2d", (2, 7, 11), "int8", {"kernel_size": 3, "stride": 1, "padding": 1, "return_indices": True}, 1, 0,
     "tile_indices_k3x3s1x1"),
    ("max_pool2d", (1, 6, 16), "float16", {"kernel_size": 3, "stride": 1, "padding": 1, "return_indices": True}, 0, 0,
     "tile_indices_k3x3s1x1"),
    ("max_pool2d", (1, 5, 13), "float64", {"kernel_size": 2, "ceil_mode": True, "return_indices": True}, 0, 0,
     "tile_indices_k2x2s2x2"),
    ("max_pool1d", (3, 23), "uint8", {"kernel_size": 3, "stride": 2, "return_indices": True}, 0, 0, "tile_indices_k3"),
    ("max_pool3d", (1, 5, 6, 8), "float32",
     {"kernel_size": 3, "stride": 2, "padding": 1, "return_indices": True}, 0, 0, "tile_indices_k3x3x3s2x2x2"),
    # the same with offsets: in the tile, with edges, in 3-D, and by the point kernel
    ("max_pool2d", (2, 4, 16), "float32", {"kernel_size": 2, "return_indices": "offsets"}, 0, 0,
     "tile_indices_k2x2s2x2_t1x4_v4_offsets_arg_max_f32"),
    ("max_pool2d", (2, 9, 16), "float16",
     {"kernel_size": 3, "stride": 2, "padding": 1, "return_indices": "offsets"}, 0, 0, "tile_indices_k3x3s2x2"),
    ("max_pool2d", (2, 7, 11), "int8", {"kernel_size": 3, "stride": 1, "padding": 1, "return_indices": "offsets"}, 1, 0,
     "tile_indices_k3x3s1x1"),
    ("max_pool3d", (1, 5, 6, 8), "float32",
     {"kernel_size": 3, "stride": 2, "padding": 1, "return_indices": "offsets"}, 0, 0, "tile_indices_k3x3x3s2x2x2"),
    ("max_pool2d", (2, 7, 9), "float32", {"kernel_size": 3, "dilation": 2, "return_indices": "offsets"}, 0, 0,
     "point_indices_offsets"),
    # windows of several lengths, small ones and large ones; where sizes divide evenly, the fast kernels
    ("adaptive_max_pool2d", (2, 7, 9), "float32", {"output_size": (3, 4)}, 0, 0, "shared_adaptive_k4x4_max_f32"),
    ("adaptive_avg_pool2d", (7, 5, 3), "float32",
     {"output_size": 4, "data_format": LAST}, 0, 0, "shared_adaptive_k3x3_mean"),
    ("adaptive_avg_pool2d", (2, 5, 9), "uint8", {"output_size": (2, 5)}, 0, 0, "shared_adaptive_k4x3_mean"),
    ("adaptive_max_pool2d", (2, 3, 4), "float16", {"output_size": (5, 7)}, 0, 0, "shared_adaptive_k2x2_max_f16"),
    ("adaptive_max_pool2d", (2, 7, 9), "float32",
     {"output_size": 3, "return_indices": True}, 0, 0, "shared_indices_adaptive_k4x3"),
    ("adaptive_max_pool3d", (5, 4, 7), "float32",
     {"output_size": (2, 3, 4), "return_indices": True}, 0, 0, "shared_indices_adaptive_k4x3x3"),
    ("adaptive_avg_pool3d", (5, 4, 7), "float32", {"output_size": (2, 3, 4)}, 0, 0, "shared_adaptive_k4x3x3_mean"),
    ("adaptive_max_pool2d", (1, 31, 9), "float32", {"output_size": 4}, 0, 0, "point_adaptive_max_f32"),
    ("adaptive_max_pool2d", (1, 31, 9), "float32",
     {"output_size": 4, "return_indices": True}, 0, 0, "point_indices_adaptive"),
    ("adaptive_max_pool2d", (2, 4, 16), "float32", {"output_size": (2, 8)}, 0, 0, "tile_k2x2s2x2_t1x4_v4_max"),
    ("adaptive_avg_pool2d", (3, 4, 8), "float32", {"output_size": 1}, 0, 0, "plane"),
    # everything else
    ("max_pool2d", (2, 7, 9), "float32", {"kernel_size": 3, "dilation": 2}, 0, 0, "point_max"),
    ("max_pool2d", (2, 7, 9), "float32", {"kernel_size": 3, "dilation": 2, "return_indices": True}, 0, 0,
     "point_indices"),
    ("avg_pool2d", (1, 12, 12), "float32", {"kernel_size": (10, 2), "stride": 3}, 0, 0, "point_mean_compensated"),
]  # fmt: skip


def view(backend, values, offset, pitch):
    """The values in a larger buffer: `offset` elements after its start, rows `pitch` elements longer."""
    shape = (*values.shape[:-1], values.shape[-1] + pitch)
    buffer = np.zeros(int(np.prod(shape)) + offset + 64, values.dtype)
    start = (-buffer.ctypes.data % 16) // values.itemsize + offset
    inner = buffer[start : start + int(np.prod(shape))].reshape(shape)[..., : values.shape[-1]]
    inner[...] = values
    return backend.type(inner)


CALLS = [(row, data) for row in ROWS for data in ("random", "special", "lowest")[: 2 + ("return_indices" in row[3])]]


@pytest.mark.parametrize(("row", "data"), CALLS, ids=lambda r: r if isinstance(r, str) else f"{r[0]}-{r[6]}-{r[1:6]}")
def test_variant(backend, row, data):
    """The variant that is meant runs, and gives the oracle's answer."""
    function, shape, dtype, arguments, offset, pitch, kernel = row
    drawn = data if data == "special" and np.dtype(dtype).kind == "f" else "random"
    values = fill(drawn, np.random.default_rng(7), shape, dtype)
    if data == "lowest":
        values[...] = lowest(values.dtype)
        values[..., 5:6] = 0
    with recorded() as names:
        got = getattr(gp, function)(view(backend, values, offset, pitch), **arguments)
    assert any(kernel in name for name in names), names
    offsets = arguments.get("return_indices") == "offsets"
    answer = reference.call(function, values, **arguments | ({"return_indices": True} if offsets else {}))
    if arguments.get("return_indices"):
        got, where = got
        wanted = answer.indices
        if offsets:
            count = int(function[-2])
            wanted = taps_of(wanted, values.shape[-count:], count, arguments)
        np.testing.assert_array_equal(where.copy_to_host(), wanted)
    compare.assert_answer(got.copy_to_host(), answer)


@pytest.mark.parametrize(
    ("arguments", "kernels"),
    [
        ({"kernel_size": 2}, ["tile_k2x2s2x2", "tile_positions_k2x2s2x2"]),
        ({"kernel_size": 3, "dilation": 2, "padding": 1}, ["point_max", "point_positions"]),
    ],
    ids=["tile", "point"],
)
def test_values_and_positions_laid_out_differently(backend, arguments, kernels):
    """`out` is a pair of any two layouts, aligned or not, and nothing around them is written."""
    values = fill("special", np.random.default_rng(1), (2, 8, 12), "float32")
    want = reference.call("max_pool2d", values, return_indices=True, **arguments)
    n = want.values.shape
    first = np.full((n[2], n[1], n[0]), 7, np.float32)
    second = np.full((n[0], 2 * n[1], n[2] + 3), 7, np.int64)
    views = [first.transpose(2, 1, 0), second[:, ::2, 1:-2]]
    out = tuple(backend.type(v) for v in views)
    with recorded() as names:
        assert gp.max_pool2d(backend.array(values), return_indices=True, out=out, **arguments) is out
    assert [kernel in name for kernel, name in zip(kernels, names, strict=True)] == [True, True], names
    compare.assert_same_bits(views[0], want.values)
    compare.assert_same_bits(views[1], want.indices, "indices")
    views[1][...] = 7
    assert (second == 7).all()
