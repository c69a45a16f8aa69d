"""How a result is held against the oracle: library, dtype, shape, memory order, values, NaN, sign of zero, ulps."""

from fractions import Fraction

import numpy as np
import pytest
import reference


def ulps_allowed(answer):
    """2 ulp up to 64 taps, 1 ulp above; float64 has no wider type to add in, so its error grows as a sum's does."""
    if answer.values.dtype == np.float64:
        return 1.5 + answer.taps**0.5 / 2 + answer.powers
    return 2 if answer.taps <= 64 else 1


def assert_same_bits(got, want, what="values"):
    """Equal, NaN where NaN is wanted, and zeros of the same sign."""
    assert got.dtype == want.dtype, f"{what}: dtype {got.dtype}, expected {want.dtype}"
    assert got.shape == want.shape, f"{what}: shape {got.shape}, expected {want.shape}"
    if not reference.is_float(want.dtype):
        np.testing.assert_array_equal(got, want, err_msg=what, strict=True)
        return
    g, w = got.astype(np.float64), want.astype(np.float64)
    np.testing.assert_array_equal(g, w, err_msg=what, strict=True)
    known = ~np.isnan(w)
    np.testing.assert_array_equal(np.signbit(g)[known], np.signbit(w)[known], err_msg=f"sign of {what}")


def mean_error(got, exact, scale, name):
    """|got - exact| in ulps at the mean of |x|."""
    return abs(Fraction(got) - exact) / reference.ulp(scale, name)


def assert_close_means(got, answer, allowed=None):
    """Floating averages: within the allowed number of ulps of the exact mean; NaN and inf as they are."""
    want = answer.values
    assert got.dtype == want.dtype, f"dtype {got.dtype}, expected {want.dtype}"
    assert got.shape == want.shape, f"shape {got.shape}, expected {want.shape}"
    allowed = ulps_allowed(answer) if allowed is None else allowed
    rows = zip(got.astype(np.float64).ravel().tolist(), want.astype(np.float64).ravel().tolist(), strict=True)
    for i, (g, w) in enumerate(rows):
        where = tuple(int(v) for v in np.unravel_index(i, want.shape))
        if not np.isfinite(w):
            assert g == w or (g != g and w != w), f"at {where}: {g!r}, expected {w!r}"
            continue
        assert np.isfinite(g), f"at {where}: {g!r}, expected {w!r}"
        if answer.totals is not None:  # exact sums: one rounding, or two where the sum itself does not fit a float64
            allowed = Fraction(501, 1000) if abs(answer.totals[i]) < 2**52 else 1
        error = mean_error(g, answer.exact[i], answer.scale[i], want.dtype.name)
        assert error <= allowed, f"at {where}: {g!r}, expected {w!r}: {float(error):.3g} ulp > {float(allowed)}"


def assert_answer(got, answer):
    """A host array against the oracle's answer."""
    if answer.exact and reference.is_float(answer.values.dtype):
        assert_close_means(got, answer)
    else:
        assert_same_bits(got, answer.values)


def assert_memory_order(x, got, pooled):
    """The result is dense, with its axes in the order that the input's have in memory.

    `x` and `got` are (shape, strides); axes of length 1, and strides of 0 or equal ones, tell nothing about order.
    """
    (x_shape, x_strides), (shape, strides) = x, got
    real = [i for i in range(len(shape)) if shape[i] > 1]
    expected = pooled.itemsize
    for i in sorted(real, key=lambda i: abs(strides[i])):
        assert strides[i] == expected, f"result strides {strides} of shape {shape} are not dense"
        expected *= shape[i]
    known = [i for i in real if x_shape[i] > 1 and x_strides[i] != 0]
    for i in known:
        for j in known:
            if abs(x_strides[i]) < abs(x_strides[j]):
                assert strides[i] < strides[j], f"result strides {strides}, input's {x_strides}: order not kept"


def message(call, x, exception):
    """What a failing call says."""
    with pytest.raises(exception) as caught:
        call(x)
    assert type(caught.value) is exception, f"{type(caught.value).__name__} instead of {exception.__name__}"
    return str(caught.value)
