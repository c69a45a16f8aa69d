"""Fractional max pooling on every backend, against a plain loop and against PyTorch's numbers."""

from itertools import product

import compare
import layouts
import numpy as np
import pytest
from fills import fill
from test_errors import assert_error, fails

import gpupool as gp

LIMIT = 2.0**20


def starts(sample, n, k, out):
    """First positions of an axis's windows, in the sample's own arithmetic."""
    if not abs(sample) < LIMIT:
        sample = type(sample)(0)
    found = []
    for i in range(out - 1):
        alpha = type(sample)(n - k) / type(sample)(out - 1)
        begin = int((type(sample)(i) + sample) * alpha) - int(sample * alpha)
        found.append(min(max(begin, 0), n - k))
    return [*found, n - k]


def expected(x, k, out, samples, count, last=False):
    """Values and flat positions."""
    moved = np.moveaxis(x, -1, x.ndim - 1 - count) if last else x
    sizes, leading = moved.shape[-count:], moved.shape[:-count]
    values, where = np.empty((*leading, *out), x.dtype), np.empty((*leading, *out), np.int64)
    for plane in np.ndindex(leading):
        own = samples.reshape(*leading, count)[plane]
        columns = own[::-1] if count == 2 else own  # W first in 2-D
        begins = [starts(columns[i], sizes[i], k[i], out[i]) for i in range(count)]
        for o in np.ndindex(*out):
            ranges = [range(begins[i][o[i]], begins[i][o[i]] + k[i]) for i in range(count)]
            best = None
            for at in product(*ranges):
                v = moved[plane][at]
                if best is None or v > moved[plane][best] or v != v:
                    best = at
            values[(*plane, *o)] = moved[plane][best]
            where[(*plane, *o)] = np.ravel_multi_index(best, sizes)
    if last:
        values, where = (np.moveaxis(a, x.ndim - 1 - count, -1) for a in (values, where))
    return values, where


# (shape, kernel, result, channels last, dtype, values, layout)
ROWS = [
    ((2, 3, 7, 6), (2, 3), (3, 4), False, "float32", "random", "C"),
    ((2, 3, 7, 6), (2, 2), (6, 2), False, "float64", "special", "C"),
    ((3, 7, 6), (1, 1), (4, 4), False, "uint8", "ties", "C"),
    ((7, 6), (3, 2), (1, 5), False, "float16", "special", "C"),
    ((2, 7, 6, 3), (2, 2), (3, 3), True, "float32", "ties", "C"),
    ((2, 2, 2, 5, 6), (2, 2), (4, 3), False, "int64", "random", "C"),
    ((2, 4, 5, 4), (2, 2, 1), (2, 3, 2), False, "float32", "random", "C"),
    ((1, 2, 5, 4, 4), (2, 3, 2), (3, 2, 2), False, "bool", "random", "C"),
    ((4, 5, 4, 2), (2, 2, 2), (3, 4, 3), True, "float32", "special", "C"),
    ((0, 3, 5, 5), (2, 2), (2, 2), False, "float32", "random", "C"),
    *(((2, 3, 6, 5), (2, 2), (4, 3), False, "float32", "ties", layout) for layout in layouts.EVERYTHING),
]


@pytest.mark.parametrize("which", ROWS, ids=str)
@pytest.mark.parametrize("real", [np.float32, np.float64], ids=lambda real: real.__name__)
def test_against_a_loop(backend, which, real):
    """Values and positions for given samples, on the device and, for device arrays, on the host."""
    shape, k, out, last, dtype, data, layout = which
    layout = layout if backend.supports(dtype, layout) else "C"
    rng = np.random.default_rng(31)
    x = fill(data, rng, shape, dtype)
    leading = (*shape[: -len(k) - 1], shape[-1]) if last else shape[: -len(k)]
    samples = rng.random((*leading, len(k))).astype(real)
    values, where = expected(x, k, out, samples, len(k), last)
    function = getattr(gp, f"fractional_max_pool{len(k)}d")
    arguments = {"data_format": "channels_last"} if last else {}
    array = backend.array(x, layout)
    for given in (backend.array(samples), samples):
        got, positions = function(array, k, out, None, True, given, **arguments)
        assert backend.owns(got)
        compare.assert_same_bits(backend.to_numpy(got), values)
        compare.assert_same_bits(backend.to_numpy(positions), where, "positions")
        compare.assert_same_bits(backend.to_numpy(function(array, k, out, None, False, given, **arguments)), values)


X = (np.arange(84) * 37 % 84).reshape(1, 2, 6, 7).astype(np.float32)
V = (np.arange(80) * 37 % 80).reshape(1, 1, 4, 5, 4).astype(np.float32)


@pytest.mark.parametrize(
    ("function", "x", "arguments", "samples", "where"),
    [
        (
            "fractional_max_pool2d", X, ((2, 3), (3, 4)), [[[0.25, 0.75], [0.5, 0.1]]],
            [[[[9, 9, 11, 11], [22, 22, 18, 18], [36, 36, 38, 34]],
              [[1, 10, 10, 12], [21, 17, 17, 26], [35, 37, 39, 39]]]],
        ),
        (
            "fractional_max_pool2d", X, (2, None, (0.5, 0.6)), [[[-3.4, 2.5], [7.9, -0.3]]],
            [[[[8, 9, 11, 13], [22, 22, 18, 27], [36, 36, 38, 34]],
              [[1, 1, 10, 12], [14, 16, 17, 19], [35, 37, 39, 41]]]],
        ),
        (
            "fractional_max_pool3d", V, ((2, 2, 1), (2, 3, 2)), [[[0.25, 0.75, 0.9]]],
            [[[[[4, 23], [28, 27], [32, 15]], [[60, 67], [64, 67], [56, 75]]]]],
        ),
    ],
)  # fmt: skip
def test_pytorchs_numbers(backend, function, x, arguments, samples, where):
    """Taken from PyTorch 2.13."""
    size, ratio = (*arguments, None)[1:3]
    got = getattr(gp, function)(
        backend.array(x), arguments[0], size, ratio, True, backend.array(np.array(samples, np.float32))
    )
    compare.assert_same_bits(backend.to_numpy(got[1]), np.array(where), "positions")
    flat = np.take_along_axis(x.reshape(*x.shape[:2], -1), np.array(where).reshape(*x.shape[:2], -1), 2)
    compare.assert_same_bits(backend.to_numpy(got[0]).reshape(flat.shape), flat)


def test_seeds(backend):
    """A seed gives NumPy's samples, whatever the backend; none gives others each time."""
    x = backend.array(X)
    made = np.random.default_rng(5).random((1, 2, 2))
    want = gp.fractional_max_pool2d(X, 2, 4, _random_samples=made)
    for _ in range(2):
        compare.assert_same_bits(backend.to_numpy(gp.fractional_max_pool2d(x, 2, 4, seed=5)), want)
    many = {backend.to_numpy(gp.fractional_max_pool2d(x, 2, 4)).tobytes() for _ in range(20)}
    assert len(many) > 1


def test_samples_of_one_plane_or_none(backend):
    """Leading axes of length 1 may be left out, or be there."""
    x, samples = backend.array(X[0, 0]), np.array([0.3, 0.6])
    want = backend.to_numpy(gp.fractional_max_pool2d(x, 2, 3, _random_samples=samples))
    got = gp.fractional_max_pool2d(x, 2, 3, _random_samples=samples[None, None])
    compare.assert_same_bits(backend.to_numpy(got), want)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30, -(2.0**20)])
def test_samples_that_are_none(backend, bad):
    """They count as 0: no window ever leaves the input."""
    x = backend.array(X)
    samples = np.full((1, 2, 2), bad, np.float32)
    want = gp.fractional_max_pool2d(X, 2, 4, _random_samples=np.zeros_like(samples))
    got = gp.fractional_max_pool2d(x, 2, 4, _random_samples=backend.array(samples))
    compare.assert_same_bits(backend.to_numpy(got), want)


def test_out(backend):
    """Given arrays are filled and returned."""
    x = backend.array(X)
    values, where = gp.fractional_max_pool2d(X, 2, 3, seed=1, return_indices=True)
    outs = backend.array(np.zeros_like(values), "F"), backend.array(np.zeros_like(where))
    if backend.immutable:
        with pytest.raises(TypeError, match="immutable"):
            gp.fractional_max_pool2d(x, 2, 3, seed=1, return_indices=True, out=outs)
        return
    got = gp.fractional_max_pool2d(x, 2, 3, seed=1, return_indices=True, out=outs)
    assert got[0] is outs[0]
    assert got[1] is outs[1]
    compare.assert_same_bits(backend.to_numpy(outs[0]), values)
    compare.assert_same_bits(backend.to_numpy(outs[1]), where)


def sampled(samples, **options):
    return lambda x: gp.fractional_max_pool2d(x, 2, 2, _random_samples=samples, **options)


def pool(*arguments, function="fractional_max_pool2d", **options):
    return lambda x: getattr(gp, function)(x, *arguments, **options)


ERRORS = [
    fails("no size", pool(2), ValueError, "output_size or output_ratio"),
    fails("kernel 0", pool(0, 2), ValueError, "kernel_size", "positive", "axis 1"),
    fails("kernel of floats", pool(2.0, 2), TypeError, "kernel_size", "2.0"),
    fails("size 0", pool(2, 0), ValueError, "output_size", "positive", "axis 1"),
    fails("size of None", pool(2, (2, None)), TypeError, "output_size", "None", "axis 2"),
    fails("three sizes", pool(2, (2, 2, 2)), ValueError, "output_size", "(2, 2, 2)"),
    fails("does not fit", pool(2, (4, 4)), ValueError, "output_size", "kernel_size", "axis 1", "4"),
    fails("ratio 1", pool(2, None, 1.0), ValueError, "output_ratio", "1.0", "axis 1"),
    fails("ratio 0", pool(2, None, (0.5, 0)), ValueError, "output_ratio", "0", "axis 2"),
    fails("ratio that leaves nothing", pool(2, None, 0.2), ValueError, "output_ratio", "0.2", "axis 1"),
    fails("ratio of words", pool(2, None, "half"), TypeError, "output_ratio", "half"),
    fails("three ratios", pool(2, None, (0.5, 0.5, 0.5)), ValueError, "output_ratio", "(0.5, 0.5, 0.5)"),
    fails("unhashable ratio", pool(2, None, {0.5}), TypeError, "output_ratio"),
    fails("samples of integers", sampled(np.zeros((2, 2), int)), TypeError, "_random_samples", "int"),
    fails(
        "samples of three axes",
        pool(2, 2, _random_samples=np.zeros((2, 3))),
        ValueError,
        "_random_samples",
        "(2, 2)",
        "(2, 3)",
    ),
    fails("samples of no axes", sampled(np.zeros(())), ValueError, "_random_samples", "(2, 2)"),
    fails("samples and seed", sampled(np.zeros((2, 2)), seed=1), ValueError, "seed"),
    fails("a seed of words", pool(2, 2, seed="x"), TypeError, "fractional_max_pool2d"),
    fails("a negative seed", pool(2, 2, seed=-1), ValueError, "fractional_max_pool2d"),
    fails("return_indices", pool(2, 2, None, 1), TypeError, "return_indices", "1"),
    fails("one out", pool(2, 2, return_indices=True, out=np.zeros(1), seed=1), TypeError, "out", "pair"),
    fails("data_format", pool(2, 2, data_format="NCHW", seed=1), ValueError, "data_format", "NCHW"),
    fails("empty axis", pool(2, 2, seed=1), ValueError, "axis 1", "(2, 0, 4)", shape=(2, 0, 4)),
    fails("complex", pool(2, 2, seed=1), TypeError, "complex64", dtype="complex64"),
    fails("too few dimensions", pool(2, 2, seed=1), ValueError, "fractional_max_pool2d", "(4,)", shape=(4,)),
    fails("3-D", pool(2, 2, seed=1, function="fractional_max_pool3d"), ValueError, "(4, 4)", "3", shape=(4, 4)),
]


@pytest.mark.parametrize(("call", "exception", "words", "shape", "dtype"), ERRORS)
def test_refused(backend, call, exception, words, shape, dtype):
    """Before anything is written."""
    assert_error(backend, call, exception, words, shape, dtype)


def test_samples_elsewhere(backend):
    """A device's samples for the host's array are refused; lists are the host's."""
    samples = np.full((1, 2, 2), 0.4)
    want = gp.fractional_max_pool2d(X, 2, 3, _random_samples=samples)
    compare.assert_same_bits(gp.fractional_max_pool2d(X, 2, 3, _random_samples=samples.tolist()), want)
    if backend.name != "numpy":
        with pytest.raises(TypeError, match="one library"):
            gp.fractional_max_pool2d(X, 2, 3, _random_samples=backend.array(samples))
