"""The kernel for large windows in the simulator: every form of it, also where it would not be chosen.

Tiles are at most 8 x 8 outputs there, so these planes take several, with tails.
"""

import math

import compare
import numpy as np
import pytest
import reference
from fills import fill
from test_variants import view

import gpupool as gp
from gpupool.backends import cuda, cuda_large

pytestmark = pytest.mark.simulator_only
LAST = "channels_last"
SAME9 = {"kernel_size": 9, "stride": 1, "padding": 4}

# (function, shape, dtype, arguments, elements that the view starts after a 16-byte boundary, extra pitch, kernel)
ROWS = [
    # both axes by running results: aligned vectors, narrower ones, none; padding that no vector divides
    ("max_pool2d", (2, 12, 16), "float32", SAME9, 0, 0, "k9x9_t8x8_r4x8_v4_max_f32"),
    ("max_pool2d", (1, 12, 16), "float32", {"kernel_size": 9, "stride": 1, "padding": 3},
     2, 0, "k9x9_t8x8_r4x8_v2_max_f32"),
    ("max_pool2d", (1, 11, 13), "float32", {"kernel_size": 9, "stride": 1, "padding": ((1, 4), (0, 3))},
     0, 1, "k9x9_t8x8_r8x8_v1_max_f32"),
    ("max_pool2d", (1, 12, 16), "float64", {"kernel_size": 9, "stride": 1}, 0, 0, "k9x9_t4x8_r4x8_v2_max_f64"),
    ("max_pool2d", (1, 12, 16), "float16", SAME9, 0, 0, "k9x9_t8x8_r4x8_v8_max_f16"),
    ("max_pool2d", (1, 11, 16), "uint8", SAME9, 0, 0, "k9x9_t8x8_r4x8_v8_max_u8"),
    ("max_pool2d", (1, 11, 16), "int64", SAME9, 0, 0, "k9x9_t8x8_r4x8_v2_max_i64"),
    ("max_pool2d", (1, 11, 16), "bool", SAME9, 0, 0, "k9x9_t8x8_r4x8_v8_max_u8"),
    ("max_pool2d", (1, 13, 17), "int16", {"kernel_size": (9, 11), "stride": (2, 1), "padding": (3, 5)},
     0, 0, "k9x11_t8x8_r4x8_v1_max_i16"),
    ("max_pool2d", (1, 25, 24), "float32", {"kernel_size": 13, "stride": 2, "ceil_mode": True},
     0, 0, "k13x13_t8x8_r4x4_v4_max_f32"),
    # averages: the divisor of every window, sums in one part and in two
    ("avg_pool2d", (2, 12, 16), "float32", SAME9, 0, 0, "k9x9_t8x8_r4x8_v4_mean_compensated_f32"),
    ("avg_pool2d", (1, 12, 15), "float32", {**SAME9, "count_include_pad": False},
     0, 0, "k9x9_t8x8_r4x8_v1_mean_compensated_f32"),
    ("avg_pool2d", (1, 12, 15), "float64", {**SAME9, "ceil_mode": True, "stride": 2},
     0, 0, "k9x9_t7x8_r1x1_v1_mean_wide_f64"),
    ("avg_pool2d", (1, 12, 15), "float16", {**SAME9, "divisor_override": -3},
     0, 0, "k9x9_t8x8_r4x8_v1_mean_halves_f16"),
    ("avg_pool2d", (1, 12, 16), "uint8", {**SAME9, "dtype": "uint8"},
     0, 0, "k9x9_t8x8_r4x8_v8_mean_int16_rounded_u8"),
    ("avg_pool2d", (1, 12, 16), "int32", SAME9, 0, 0, "k9x9_t8x8_r4x8_v4_mean_int64_i32_to_f64"),
    ("avg_pool2d", (1, 11, 16), "int64", SAME9, 0, 0, "k9x9_t8x8_r4x8_v2_mean_exact_i64_to_f64"),
    ("avg_pool2d", (1, 11, 15), "uint64", {**SAME9, "count_include_pad": False},
     0, 0, "k9x9_t8x8_r4x8_v1_mean_exact_unsigned_u64_to_f64"),
    ("avg_pool2d", (1, 11, 16), "int64", {**SAME9, "dtype": "int64"}, 0, 0, "k9x9_t8x8_r4x8_v2_mean_rounded_i64"),
    # dilated windows: interleaved segments
    ("max_pool2d", (14, 15), "float32", {"kernel_size": 5, "stride": 1, "padding": 4, "dilation": 3},
     0, 0, "k5x5_t12x12_r4x4_v1_max_f32"),
    ("max_pool2d", (1, 19, 20), "int8", {"kernel_size": 6, "stride": 2, "padding": 1, "dilation": 3},
     0, 0, "k6x6_t3x6_r1x2_v4_max_i8"),
    ("max_pool2d", (1, 9, 12), "float32", {"kernel_size": 3, "stride": 1, "dilation": 2},
     0, 0, "k3x3_t5x8_r1x2_v4_max_f32"),
    ("avg_pool2d", (1, 14, 15), "float32", {"kernel_size": 7, "stride": 1, "dilation": (2, 1)},
     0, 0, "k7x7_t2x8_r1x4_v1_mean_compensated_f32"),
    # dilated windows whose last taps do not count: divisors differ
    ("avg_pool2d", (1, 16, 17), "float32",
     {"kernel_size": 7, "stride": 1, "padding": ((0, 2), (0, 2)), "dilation": 2, "count_include_pad": False},
     0, 0, "k7x7"),
    ("avg_pool2d", (1, 16, 17), "float32", {"kernel_size": 7, "stride": 2, "dilation": 2, "ceil_mode": True},
     0, 0, "k7x7"),
    # windows that overlap little or not at all: tap by tap, on one axis or on both
    ("max_pool2d", (1, 27, 30), "float32", {"kernel_size": 9, "stride": 9}, 0, 0, "k9x9_t3x3_r1x1_v2_max_f32"),
    ("max_pool2d", (1, 20, 24), "float32", {"kernel_size": 9, "stride": (10, 7), "padding": 2},
     0, 0, "k9x9_t2x3_r1x1_v4_max_f32"),
    ("avg_pool2d", (1, 27, 30), "uint8", {"kernel_size": 9, "stride": 9},
     0, 0, "k9x9_t3x3_r1x1_v2_mean_int16_u8_to_f32"),
    ("max_pool2d", (1, 27, 30), "float32", {"kernel_size": 9, "stride": (9, 1)}, 0, 0, "k9x9_t3x8_r1x8_v2_max_f32"),
    ("max_pool2d", (1, 20, 20), "float32", {"kernel_size": 9, "stride": (1, 9)}, 0, 0, "k9x9_t8x2_r4x1_v4_max_f32"),
    # one pooled axis: rows are batch; a pooled axis of columns only
    ("max_pool1d", (5, 40), "float32", {"kernel_size": 21, "stride": 1, "padding": 9},
     0, 0, "k1x21_t5x8_r1x8_v4_max_f32"),
    ("avg_pool1d", (2, 3, 33), "float32", {"kernel_size": 12, "stride": 2},
     0, 1, "k1x12_t6x8_r1x4_v1_mean_compensated_f32"),
    ("max_pool2d", (40, 6), "float32", {"kernel_size": (20, 1), "stride": 1},
     0, 0, "k1x20_t1x8_r1x8_v2_last_max_f32"),
    # three pooled axes: plane by plane; a single row in each plane changes places with the planes
    ("max_pool3d", (4, 9, 10), "float32", {"kernel_size": (3, 9, 5), "stride": 1, "padding": (1, 4, 2)},
     0, 0, "k9x5_t8x8_r4x4_v2_deep_max_f32"),
    ("avg_pool3d", (1, 5, 6, 10), "float32", {"kernel_size": (2, 3, 9), "stride": (2, 1, 1), "dilation": (2, 1, 1)},
     0, 0, "k3x9_t4x2_r2x2_v2_deep_mean_compensated_f32"),
    ("max_pool3d", (14, 1, 9), "float32", {"kernel_size": (9, 1, 4), "stride": 1}, 0, 0, "k9x4_t8x8_r8x4_v1_max_f32"),
    # channels last: fewer channels than a sector holds, as many, and more
    ("max_pool2d", (11, 12, 3), "float32", {**SAME9, "data_format": LAST}, 0, 0, "k9x9_t8x8_r4x4_v1_last_max_f32"),
    ("max_pool2d", (11, 10, 8), "float32", {**SAME9, "data_format": LAST}, 0, 0, "k9x9_t8x8_r4x4_v4_last_max_f32"),
    ("avg_pool2d", (10, 9, 10), "float32", {**SAME9, "data_format": LAST},
     0, 0, "k9x9_t8x8_r4x4_v2_last_mean_compensated_f32"),
    ("max_pool2d", (9, 10, 34), "uint8", {"kernel_size": 9, "stride": 1, "data_format": LAST},
     0, 0, "k9x9_t1x2_r1x2_v2_last_max_u8"),
    ("max_pool2d", (18, 18, 3), "uint8", {"kernel_size": 9, "stride": 9, "data_format": LAST},
     0, 0, "k9x9_t2x2_r1x1_v1_last_max_u8"),
    ("avg_pool2d", (12, 13, 2), "float32", {"kernel_size": 4, "stride": 1, "data_format": LAST, "dilation": 3},
     0, 0, "k4x4_t3x6_r1x2_v2_last_mean_compensated_f32"),
]  # fmt: skip


@pytest.fixture
def always(monkeypatch):
    """The point kernel is never cheaper."""
    monkeypatch.setattr(cuda_large, "point_work", lambda *_: 1 << 60)
    monkeypatch.setattr(cuda, "_calls", {})


@pytest.mark.parametrize("row", ROWS, ids=lambda r: f"{r[0]}-{r[6]}-{r[1]}-{r[4]}-{r[5]}")
def test_large(backend, always, row):
    """The form that is meant runs, and gives the oracle's answer: NaN, infinities and zeros of both signs included."""
    function, shape, dtype, arguments, offset, pitch, kernel = row
    values = fill("special" if np.dtype(dtype).kind == "f" else "random", np.random.default_rng(7), shape, dtype)
    with cuda.recorded() as names:
        got = getattr(gp, function)(view(backend, values, offset, pitch), **arguments)
    assert all(name.startswith("gpupool_large_" + kernel) for name in names), names
    compare.assert_answer(got.copy_to_host(), reference.call(function, values, **arguments))


def test_the_point_kernels_bits(backend, always, monkeypatch):
    """Maxima and integer means are those of the point kernel bit for bit, zeros' signs and NaN payloads included."""
    rng = np.random.default_rng(3)
    x = rng.choice(np.array([-np.inf, -1.0, -0.0, 0.0, np.nan], np.float32), (1, 14, 17))
    x.view(np.uint32)[np.isnan(x)] += rng.integers(0, 1000, int(np.isnan(x).sum()), np.uint32)
    y = rng.integers(0, 256, (1, 14, 17), np.uint8)
    device = [backend.array(x), backend.array(y)]
    fast = [gp.max_pool2d(device[0], 9, 1, 4), gp.avg_pool2d(device[1], 9, 1, 4)]
    monkeypatch.setattr(cuda_large, "point_work", lambda *_: 0)
    monkeypatch.setattr(cuda_large, "preferred", lambda *_: False)
    monkeypatch.setattr(cuda, "_calls", {})
    with cuda.recorded() as names:
        slow = [gp.max_pool2d(device[0], 9, 1, 4), gp.avg_pool2d(device[1], 9, 1, 4)]
    assert "point" in names[0]
    for a, b in zip(fast, slow, strict=True):
        compare.assert_same_bits(a.copy_to_host(), b.copy_to_host())
    assert fast[0].copy_to_host().view(np.uint32).tobytes() == slow[0].copy_to_host().view(np.uint32).tobytes()


def test_out_with_gaps(backend, always):
    """Only the elements of `out` are written."""
    values = np.random.default_rng(0).standard_normal((11, 12)).astype(np.float32)
    buffer = np.full((22, 30), 7, np.float32)
    out = backend.type(buffer[::2, 3:27:2])
    assert gp.max_pool2d(backend.array(values), 9, 1, 4, out=out) is out
    compare.assert_answer(buffer[::2, 3:27:2], reference.call("max_pool2d", values, kernel_size=9, stride=1, padding=4))
    buffer[::2, 3:27:2] = 7
    assert (buffer == 7).all()


def test_accumulators_of_three_parts(backend, always):
    """They fit no engine that keeps accumulators in memory: the point kernel reduces them, whatever it costs."""
    third = gp.Reducer(
        "third", lambda v: (v, v * v, v * v * v), lambda a, b: (a[0] + b[0], a[1] + b[1], a[2] + b[2]),
        lambda acc, count: acc[2] / count + acc[1] + acc[0], neutral=(0.0, 0.0, 0.0),
    )  # fmt: skip
    values = np.random.default_rng(3).random((12, 14)).astype(np.float32)
    with cuda.recorded() as names:
        got = gp.pool(backend.array(values), third, 9, stride=1).copy_to_host()
    assert all("point" in name for name in names), names
    windows = np.lib.stride_tricks.sliding_window_view(values.astype(np.float64), (9, 9))
    expected = (windows**3).mean((2, 3)) + (windows**2).sum((2, 3)) + windows.sum((2, 3))
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_a_seed_that_is_undefined_at_the_neutral_accumulator(backend, always):
    """A user's neutral accumulator is no element: its logarithm is never asked for."""
    mean = gp.Reducer(
        "geometric_mean", lambda v: math.log(v), lambda a, b: a + b, lambda acc, n: math.exp(acc / n), neutral=0.0
    )
    values = np.random.default_rng(1).random((10, 12)).astype(np.float32) + np.float32(0.5)
    with cuda.recorded() as names:
        got = gp.pool(backend.array(values), mean, 9, stride=1, padding=1).copy_to_host()
    assert all("large" in name for name in names), names
    inside = np.pad(np.log(values.astype(np.float64)), 1, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(inside, (9, 9))
    np.testing.assert_allclose(got, np.exp(np.nanmean(windows, (2, 3))), rtol=1e-6)


@pytest.mark.parametrize(("k", "stride"), [(8, 2), (9, 4)])
def test_ordered_sums_are_those_of_other_kernels(backend, always, monkeypatch, k, stride):
    """float64 is added up in float64: tap after tap, whichever kernel runs, so that strides change no bit."""
    values = np.random.default_rng(k).standard_normal((1, 29, 30))
    flipped = np.ascontiguousarray(values[..., ::-1])[..., ::-1]
    with cuda.recorded() as names:
        large = gp.sum_pool2d(backend.type(flipped), k, stride).copy_to_host()
    assert all("large" in name for name in names), names
    monkeypatch.setattr(cuda_large, "point_work", lambda *_: 0)
    monkeypatch.setattr(cuda, "_calls", {})
    with cuda.recorded() as names:
        other = gp.sum_pool2d(backend.array(values), k, stride).copy_to_host()
    assert not any("large" in name for name in names), names
    compare.assert_same_bits(large, other)


@pytest.mark.parametrize("k", [5, 7, 9])
def test_layouts_change_no_bit(backend, k):
    """Sums are grouped by the window and the number of outputs alone: whatever the strides, and with channels last."""
    values = np.random.default_rng(k).standard_normal((6, 13, 17)).astype(np.float32)
    arguments = {"kernel_size": k, "stride": 1, "padding": k // 2}
    with cuda.recorded() as names:
        expected = gp.avg_pool2d(backend.array(values), **arguments).copy_to_host()
        spread = np.zeros((6, 26, 51), np.float32)
        spread[:, ::2, ::3] = values
        for view_of in (spread[:, ::2, ::3], np.ascontiguousarray(values[:, ::-1, ::-1])[:, ::-1, ::-1]):
            got = gp.avg_pool2d(backend.type(view_of), **arguments).copy_to_host()
            compare.assert_same_bits(got, expected)
        last = np.ascontiguousarray(values.transpose(1, 2, 0))
        got = gp.avg_pool2d(backend.array(last), **arguments, data_format=LAST).copy_to_host()
        compare.assert_same_bits(got.transpose(2, 0, 1), expected)
    assert k == 9 or all("large" in name for name in names), names
