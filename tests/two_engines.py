"""Random elements, and when results of the CPU's two kinds of engines agree."""

import numpy as np


def values(rng, shape, dtype):
    """Random elements with ties, both zeros, infinities and NaN."""
    if np.dtype(dtype).kind != "f":
        return rng.integers(0, 256, shape).astype(dtype)
    x = rng.integers(-3, 4, shape).astype(dtype)
    x[rng.random(shape) < 0.2] *= -1
    x[rng.random(shape) < 0.02] = np.nan
    return x


def same(a, b, exact):
    """Whether two results agree: shape, dtype, NaN, and bits (the sign of zero too) or the accuracy rule."""
    assert (a.shape, a.dtype, a.strides) == (b.shape, b.dtype, b.strides)
    if a.dtype.kind != "f":
        np.testing.assert_array_equal(a, b)
        return
    np.testing.assert_array_equal(np.isnan(a), np.isnan(b))
    real = ~np.isnan(a)
    if exact:
        np.testing.assert_array_equal(a[real], b[real])
        np.testing.assert_array_equal(np.signbit(a[real]), np.signbit(b[real]))
    else:
        np.testing.assert_allclose(a[real], b[real], rtol=4 * np.finfo(a.dtype).eps, atol=8 * np.finfo(a.dtype).eps)
