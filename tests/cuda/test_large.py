"""The kernel for large windows in the simulator: every form of it, also where it would not be chosen.

Tiles are at most 8 x 8 outputs there, so these planes take several, with tails.
"""

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
    ("max_pool2d", (2, 12, 16), "float32", SAME9, 0, 0, "large_slide_r4_v4_6k_max_f32"),
    ("max_pool2d", (1, 12, 16), "float32", {"kernel_size": 9, "stride": 1, "padding": 3}, 2, 0, "v2"),
    ("max_pool2d", (1, 11, 13), "float32", {"kernel_size": 9, "stride": 1, "padding": ((1, 4), (0, 3))}, 0, 1, "v1"),
    ("max_pool2d", (1, 12, 16), "float64", {"kernel_size": 9, "stride": 1}, 0, 0, "v2"),
    ("max_pool2d", (1, 12, 16), "float16", SAME9, 0, 0, "v8_6k_max_f16"),
    ("max_pool2d", (1, 11, 16), "uint8", SAME9, 0, 0, "max_u8"),
    ("max_pool2d", (1, 11, 16), "int64", SAME9, 0, 0, "max_i64"),
    ("max_pool2d", (1, 11, 16), "bool", SAME9, 0, 0, "max_u8"),
    ("max_pool2d", (1, 13, 17), "int16", {"kernel_size": (9, 11), "stride": (2, 1), "padding": (3, 5)}, 0, 0, "slide_"),
    ("max_pool2d", (1, 25, 24), "float32", {"kernel_size": 13, "stride": 2, "ceil_mode": True}, 0, 0, "slide_"),
    # averages: the divisor of every window, sums in one part and in two
    ("avg_pool2d", (2, 12, 16), "float32", SAME9, 0, 0, "slide_r4_v4_6k_mean_compensated"),
    ("avg_pool2d", (1, 12, 15), "float32", {**SAME9, "count_include_pad": False}, 0, 0, "mean_compensated"),
    ("avg_pool2d", (1, 12, 15), "float64", {**SAME9, "ceil_mode": True, "stride": 2}, 0, 0, "mean_wide"),
    ("avg_pool2d", (1, 12, 15), "float16", {**SAME9, "divisor_override": -3}, 0, 0, "mean_halves_f16"),
    ("avg_pool2d", (1, 12, 16), "uint8", {**SAME9, "dtype": "uint8"}, 0, 0, "mean_int16_rounded_u8"),
    ("avg_pool2d", (1, 12, 16), "int32", SAME9, 0, 0, "mean_int64_i32_to_f64"),
    ("avg_pool2d", (1, 11, 16), "int64", SAME9, 0, 0, "mean_exact_i64_to_f64"),
    ("avg_pool2d", (1, 11, 15), "uint64", {**SAME9, "count_include_pad": False}, 0, 0, "mean_exact_unsigned"),
    ("avg_pool2d", (1, 11, 16), "int64", {**SAME9, "dtype": "int64"}, 0, 0, "mean_rounded_i64"),
    # dilated windows: interleaved segments
    ("max_pool2d", (14, 15), "float32", {"kernel_size": 5, "stride": 1, "padding": 4, "dilation": 3}, 0, 0, "slide_"),
    ("max_pool2d", (1, 19, 20), "int8", {"kernel_size": 6, "stride": 2, "padding": 1, "dilation": 3}, 0, 0, "large_"),
    ("max_pool2d", (1, 9, 12), "float32", {"kernel_size": 3, "stride": 1, "dilation": 2}, 0, 0, "large_slide"),
    ("avg_pool2d", (1, 14, 15), "float32", {"kernel_size": 7, "stride": 1, "dilation": (2, 1)}, 0, 0, "large_slide"),
    # windows that overlap little or not at all: tap by tap, on one axis or on both
    ("max_pool2d", (1, 27, 30), "float32", {"kernel_size": 9, "stride": 9}, 0, 0, "large_direct"),
    ("max_pool2d", (1, 20, 24), "float32", {"kernel_size": 9, "stride": (10, 7), "padding": 2}, 0, 0, "large_direct"),
    ("avg_pool2d", (1, 27, 30), "uint8", {"kernel_size": 9, "stride": 9}, 0, 0, "large_direct"),
    ("max_pool2d", (1, 27, 30), "float32", {"kernel_size": 9, "stride": (9, 1)}, 0, 0, "large_slide_w"),
    ("max_pool2d", (1, 20, 20), "float32", {"kernel_size": 9, "stride": (1, 9)}, 0, 0, "large_slide_h"),
    # one pooled axis: rows are batch; a pooled axis of columns only
    ("max_pool1d", (5, 40), "float32", {"kernel_size": 21, "stride": 1, "padding": 9}, 0, 0, "large_slide_w"),
    ("avg_pool1d", (2, 3, 33), "float32", {"kernel_size": 12, "stride": 2}, 0, 1, "large_"),
    ("max_pool2d", (40, 6), "float32", {"kernel_size": (20, 1), "stride": 1}, 0, 0, "slide_w_r2_v2_last"),
    # three pooled axes: plane by plane; a single row in each plane changes places with the planes
    ("max_pool3d", (4, 9, 10), "float32", {"kernel_size": (3, 9, 5), "stride": 1, "padding": (1, 4, 2)}, 0, 0, "deep"),
    ("avg_pool3d", (1, 5, 6, 10), "float32", {"kernel_size": (2, 3, 9), "stride": (2, 1, 1), "dilation": (2, 1, 1)},
     0, 0, "deep"),
    ("max_pool3d", (14, 1, 9), "float32", {"kernel_size": (9, 1, 4), "stride": 1}, 0, 0, "large_slide_r4_v1_6k"),
    # channels last: fewer channels than a sector holds, as many, and more
    ("max_pool2d", (11, 12, 3), "float32", {**SAME9, "data_format": LAST}, 0, 0, "v1_last"),
    ("max_pool2d", (11, 10, 8), "float32", {**SAME9, "data_format": LAST}, 0, 0, "v4_last"),
    ("avg_pool2d", (10, 9, 10), "float32", {**SAME9, "data_format": LAST}, 0, 0, "v2_last"),
    ("max_pool2d", (9, 10, 34), "uint8", {"kernel_size": 9, "stride": 1, "data_format": LAST}, 0, 0, "last"),
    ("max_pool2d", (18, 18, 3), "uint8", {"kernel_size": 9, "stride": 9, "data_format": LAST}, 0, 0, "direct"),
    ("avg_pool2d", (12, 13, 2), "float32", {"kernel_size": 4, "stride": 1, "data_format": LAST, "dilation": 3},
     0, 0, "last"),
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
    assert all("_large_" in name and kernel in name for name in names), names
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
