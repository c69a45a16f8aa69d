"""The oracle against answers worked out by hand, and against NumPy's own rounding."""

import math
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
import reference

PICTURE = np.arange(48).reshape(3, 4, 4).astype(np.float32)


def values(name, x, **kwargs):
    return reference.call(name, np.asarray(x), **kwargs).values.tolist()


def test_the_three_pictures():
    assert values("max_pool2d", PICTURE, kernel_size=2) == [
        [[5, 7], [13, 15]],
        [[21, 23], [29, 31]],
        [[37, 39], [45, 47]],
    ]
    assert values("avg_pool2d", PICTURE, kernel_size=2) == [
        [[2.5, 4.5], [10.5, 12.5]],
        [[18.5, 20.5], [26.5, 28.5]],
        [[34.5, 36.5], [42.5, 44.5]],
    ]
    assert values("global_avg_pool2d", PICTURE) == [[[7.5]], [[23.5]], [[39.5]]]
    assert values("global_max_pool2d", PICTURE, keepdims=False) == [15, 31, 47]


def test_padding_counts_only_if_included():
    assert values("avg_pool1d", [2.0, 4.0, 6.0], kernel_size=2, padding=1) == [1, 5]
    assert values("avg_pool1d", [2.0, 4.0, 6.0], kernel_size=2, padding=1, count_include_pad=False) == [2, 5]
    assert values("avg_pool1d", [2.0, 4.0, 6.0], kernel_size=3, stride=1, padding=1) == [2, 4, 10 / 3]
    assert values("max_pool1d", [-2, -4, -6], kernel_size=2, padding=1) == [-2, -4]


def test_overhang_of_ceil_mode_never_counts():
    assert values("avg_pool1d", [1.0, 2.0, 6.0], kernel_size=2, ceil_mode=True) == [1.5, 6]
    # the second window covers 8, one padding element that counts and nothing past it
    assert values("avg_pool1d", [3.0, 5.0, 8.0], kernel_size=3, stride=2, padding=((0, 1),), ceil_mode=True) == [
        16 / 3,
        4,
    ]


def test_ceil_mode_drops_a_window_in_the_end_padding():
    # windows start at -1, 2 and 5; the last would hold nothing but end padding and overhang
    assert values("max_pool1d", [1, 2, 3, 4], kernel_size=2, stride=3, padding=1, ceil_mode=True) == [1, 4]
    assert reference.output_shape((2,), (1,), stride=2, padding=0, ceil_mode=True) == (1,)


def test_dilation_keeps_its_phase_in_the_begin_padding():
    # taps -1, 1, 3 then 0, 2, 4
    assert values("max_pool1d", [9, 1, 8, 2, 7], kernel_size=3, stride=1, dilation=2, padding=((1, 0),)) == [2, 9]
    answer = reference.call(
        "max_pool1d", np.array([9, 1, 8, 2, 7]), kernel_size=3, stride=1, dilation=2, padding=((1, 0),)
    )
    assert answer.indices.tolist() == [3, 0]
    assert values("avg_pool1d", [9.0, 1, 8, 2, 7], kernel_size=3, stride=1, dilation=2, padding=((1, 0),)) == [1, 8]


def test_same_padding_puts_the_odd_element_after():
    assert values("max_pool1d", [1, 2, 3, 4], kernel_size=2, stride=1, padding="same") == [2, 3, 4, 4]
    assert values("max_pool1d", [1, 2, 3, 4], kernel_size=2, stride=1, padding="same_lower") == [1, 2, 3, 4]
    assert values("avg_pool1d", [2.0, 4.0], kernel_size=2, stride=1, padding="same") == [3, 2]


def test_nan_ties_and_signed_zeros():
    nan = math.nan
    answer = reference.call("max_pool1d", np.array([nan, 1, nan, 2.0, -0.0, 0.0, 3.0, 3.0]), kernel_size=4)
    assert answer.indices.tolist() == [2, 6]
    assert math.isnan(answer.values[0])
    answer = reference.call("max_pool1d", np.array([-0.0, 0.0, 0.0, -0.0]), kernel_size=2)
    assert np.signbit(answer.values).tolist() == [True, False]
    assert answer.indices.tolist() == [0, 2]
    assert reference.call("max_pool1d", np.full(2, -np.inf), kernel_size=2).indices.tolist() == [0]


def test_infinities_in_means():
    inf = math.inf
    got = values("avg_pool1d", [inf, 1, inf, -inf, -inf, 2], kernel_size=2)
    assert got[0] == inf
    assert math.isnan(got[1])
    assert got[2] == -inf
    assert values("avg_pool1d", [inf, 1.0], kernel_size=2, divisor_override=-2) == [-inf]


def test_indices_are_flat_within_the_pooled_axes():
    x = np.zeros((2, 2, 3))
    x[0, 1, 2] = x[1, 0, 1] = 1
    assert reference.call("max_pool2d", x, kernel_size=(2, 3)).indices.ravel().tolist() == [5, 1]
    last = np.moveaxis(x, 0, -1)
    assert reference.call(
        "max_pool2d", last, kernel_size=(2, 3), data_format="channels_last"
    ).indices.ravel().tolist() == [5, 1]


def test_exact_integers():
    top = 2**63 - 1
    x = np.array([top, top, top, top], np.int64)
    assert values("avg_pool1d", x, kernel_size=4) == [2.0**63]
    assert values("avg_pool1d", x, kernel_size=4, dtype="int64") == [top]
    assert values("avg_pool1d", np.array([top, -top - 1, 1, 0]), kernel_size=4) == [0]
    assert values("avg_pool1d", np.array([2**64 - 1, 2**64 - 2], np.uint64), kernel_size=2, dtype="uint64") == [
        2**64 - 2
    ]


def test_half_to_even_and_saturation():
    assert values("avg_pool1d", np.array([0, 1, 1, 2, 2, 3, -1, 0, -1, -2]), kernel_size=2, dtype="int8") == [
        0,
        2,
        2,
        0,
        -2,
    ]
    assert values("avg_pool1d", [300.0, 300, -5, -5, math.nan, 1, math.inf, 0], kernel_size=2, dtype="uint8") == [
        255,
        0,
        0,
        255,
    ]


def test_result_dtypes():
    table = {
        "bool": "f4",
        "int8": "f4",
        "uint16": "f4",
        "int32": "f8",
        "uint32": "f8",
        "uint64": "f8",
        "float16": "f2",
        "float64": "f8",
    }
    for dtype, want in table.items():
        assert reference.call("avg_pool1d", np.zeros(2, dtype), kernel_size=2).values.dtype == want


@pytest.mark.parametrize("name", ["float16", "float32", "bfloat16"])
def test_rounding_agrees_with_numpy(name):
    """`nearest` against the casts of NumPy and ml_dtypes, subnormals and overflow included."""
    dtype = np.dtype(getattr(ml_dtypes, name, name))
    rng = np.random.default_rng(1)
    x = rng.standard_normal(4000) * 2.0 ** rng.integers(-150, 130, 4000)
    x[:1000] = rng.standard_normal(1000) * 2.0 ** rng.integers(-30, 18, 1000)
    with np.errstate(all="ignore"):
        want = x.astype(dtype).astype(np.float64)
    got = [reference.nearest(Fraction(v), name) for v in x.tolist()]
    np.testing.assert_array_equal(got, want)
    assert np.isinf(want).any() or name != "float16"
    assert (want == 0).any()


def test_ulps():
    for x in (1.0, 1.5, 3e-310, 2.0**-1074, 7e200):
        assert reference.ulp(Fraction(x), "float64") == Fraction(math.ulp(x))
    for x in np.array([1, 1.5, 3e-40, 3e38], np.float32):
        assert reference.ulp(Fraction(float(x)), "float32") == Fraction(float(np.spacing(x)))
    assert reference.ulp(Fraction(0), "float16") == Fraction(1, 2**24)


@pytest.mark.parametrize(
    "bad",
    [
        {"shape": (4,), "window": (5,)},
        {"shape": (4,), "window": (2,), "padding": 3},
        {"shape": (0,), "window": (1,)},
        {"shape": (2,), "window": (2,), "dilation": 3, "padding": 1, "stride": 1, "ceil_mode": True},
        {"shape": (1,), "window": (2,), "dilation": 4, "padding": ((2, 3),), "stride": 1},
    ],
    ids=str,
)
def test_what_cannot_be_pooled(bad):
    with pytest.raises(reference.Rejected):
        reference.output_shape(**bad)
