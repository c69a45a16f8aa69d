"""Fractional max pooling on every backend, against a plain loop and against PyTorch's numbers."""

from itertools import product

import compare
import layouts
import ml_dtypes
import numpy as np
import pytest
from fills import fill
from test_errors import assert_error, fails

import gpupool as gp
from gpupool.axes import PooledAxis
from gpupool.backends import cpu_fractional, cpu_many, cpu_tiles
from gpupool.kernels.gradient import fractional_windows_of

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
    ((2, 5, 5), (2, 2), (0, 2), False, "float32", "random", "C"),
    ((2, 4, 5, 4), (4, 5, 4), (1, 1, 1), False, "float32", "random", "C"),
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


def scattered(grad, where, shape, count):
    """Each window's gradient added where its index lies, in row-major order."""
    planes = grad.reshape(int(np.prod(grad.shape[:-count])), int(np.prod(grad.shape[-count:]))).astype(np.float64)
    result = np.zeros((len(planes), int(np.prod(shape[-count:]))))
    for plane, positions in enumerate(where.reshape(planes.shape)):
        for g, position in zip(planes[plane], positions, strict=True):
            result[plane, position] += g
    return result.reshape(shape)


FLOATS = [row for row in ROWS if row[4].startswith("float")]


@pytest.mark.parametrize("which", FLOATS, ids=str)
def test_gradients(backend, which):
    """From samples, from a seed and from indices: brute force over the windows; x's order, dtype and library."""
    shape, k, out, last, dtype, data, layout = which
    layout = layout if backend.supports(dtype, layout) else "C"
    rng = np.random.default_rng(31)
    x = fill(data, rng, shape, dtype)
    leading = (*shape[: -len(k) - 1], shape[-1]) if last else shape[: -len(k)]
    samples = np.random.default_rng(5).random((*leading, len(k)))
    values, where = expected(x, k, out, samples, len(k), last)
    grad = (rng.integers(-8, 9, values.shape) / 4).astype(dtype)
    first = [np.moveaxis(a, -1, a.ndim - 1 - len(k)) if last else a for a in (grad, where, x)]
    want = scattered(first[0], first[1], first[2].shape, len(k))
    want = (np.moveaxis(want, x.ndim - 1 - len(k), -1) if last else want).astype(dtype)
    function = getattr(gp, f"fractional_max_pool{len(k)}d_backward")
    extra = {"data_format": "channels_last"} if last else {}
    arrays = backend.array(grad), backend.array(x, layout)
    for how in (
        {"_random_samples": backend.array(samples)}, {"_random_samples": samples}, {"seed": 5},
        {"indices": backend.array(where)}, {"indices": backend.array(where), "seed": 5},
    ):  # fmt: skip
        got = function(*arrays, k, out, **how, **extra)
        assert backend.owns(got)
        compare.assert_same_bits(np.ascontiguousarray(backend.to_numpy(got)), want)
        if backend.strides(arrays[1]) is not None and got.size:
            of_x = tuple(shape), backend.strides(arrays[1])
            compare.assert_memory_order(of_x, (tuple(got.shape), backend.strides(got)), want.dtype)


def test_gradient_by_ratio_into_out(backend):
    """`output_ratio` as in the forward, and `out`."""
    if backend.immutable:
        return
    samples = np.array([[[0.3, 0.6], [0.8, 0.1]]])
    x, out = backend.array(X), backend.array(np.full_like(X, 7), "F")
    y, where = gp.fractional_max_pool2d(X, 2, None, 0.6, True, samples)
    got = gp.fractional_max_pool2d_backward(backend.array(y), x, 2, None, 0.6, samples, out=out)
    assert got is out
    compare.assert_same_bits(
        np.ascontiguousarray(backend.to_numpy(out)), scattered(y, where, X.shape, 2).astype(np.float32)
    )


def test_a_ratio_that_leaves_nothing(backend):
    """No windows: an empty result, and a gradient of zeros."""
    x = backend.array(X)
    y, where = gp.fractional_max_pool2d(x, 2, None, 0.1, True, seed=1)
    assert backend.to_numpy(y).shape == backend.to_numpy(where).shape == (*X.shape[:-2], 0, 0)
    for how in ({"seed": 1}, {"indices": where}):
        got = gp.fractional_max_pool2d_backward(y, x, 2, None, 0.1, **how)
        np.testing.assert_array_equal(backend.to_numpy(got), np.zeros_like(X))


@pytest.mark.cpu_only
def test_gradients_are_finite_differences():
    """<gradient, direction> is the change of <grad_output, pooled> along the direction, in float64."""
    rng = np.random.default_rng(11)
    x = rng.permutation(np.arange(720)).reshape(2, 5, 9, 8) / 8
    grad, direction = rng.standard_normal((2, 3, 4, 5)), rng.standard_normal(x.shape)

    def pooled(step):
        return gp.fractional_max_pool3d(x + step * direction, 2, (3, 4, 5), seed=1)

    change = (grad * (pooled(1e-6) - pooled(-1e-6))).sum() / 2e-6
    got = gp.fractional_max_pool3d_backward(grad, x, 2, (3, 4, 5), seed=1)
    np.testing.assert_allclose((got * direction).sum(), change, rtol=1e-6)


# Of the CPU: (shape, kernel, result, channels last, dtype, values): rows of many windows, several passes of taps,
# planes that are worked on together, channels that fill vectors or do not.
VECTORS = [
    ((3, 41, 90), (2, 2), (20, 43), False, "float32", "special"),
    ((2, 41, 90), (3, 3), (13, 29), False, "float32", "ties"),
    ((2, 30, 61), (3, 3), (13, 29), False, "uint8", "random"),
    ((2, 30, 61), (3, 3), (13, 29), False, "int16", "ties"),
    ((2, 30, 61), (4, 5), (9, 31), False, "float64", "special"),
    ((1, 30, 61), (5, 6), (9, 31), False, "int64", "ties"),
    ((2, 30, 61), (3, 3), (17, 30), False, "float16", "special"),
    ((2, 30, 61), (2, 3), (17, 30), False, "bfloat16", "special"),
    ((70, 6, 7), (2, 2), (4, 5), False, "float32", "special"),
    ((70, 6, 7), (3, 3), (4, 5), False, "float16", "ties"),
    ((70, 3, 3), (3, 3), (1, 1), False, "float32", "random"),
    ((2, 15, 17, 33), (2, 2), (7, 9), True, "float32", "special"),
    ((2, 15, 17, 3), (3, 2), (7, 9), True, "float64", "ties"),
    ((1, 15, 17, 64), (3, 3), (7, 9), True, "bfloat16", "special"),
    ((40, 5, 4, 2), (2, 2), (3, 3), True, "float32", "ties"),
    ((2, 12, 9, 20), (2, 2, 2), (7, 4, 11), False, "float32", "special"),
    ((2, 12, 9, 20), (3, 3, 3), (5, 4, 9), False, "float32", "ties"),
    ((1, 7, 8, 9, 17), (2, 3, 2), (4, 3, 5), True, "float16", "special"),
]


def compare_with_a_loop(which, real, threads):
    """Values, positions and, of floats, the gradient from x, for one row of VECTORS."""
    shape, k, out, last, dtype, data = which
    rng, before = np.random.default_rng(29), gp.get_num_threads()
    x = fill(data, rng, shape, dtype)
    leading = (*shape[: -len(k) - 1], shape[-1]) if last else shape[: -len(k)]
    samples = rng.random((*leading, len(k))).astype(real)
    samples.flat[::5] = -3.75
    values, where = expected(x, k, out, samples, len(k), last)
    function, backward = (getattr(gp, f"fractional_max_pool{len(k)}d{end}") for end in ("", "_backward"))
    extra = {"data_format": "channels_last"} if last else {}
    try:
        gp.set_num_threads(threads)
        got, positions = function(x, k, out, None, True, samples, **extra)
        compare.assert_same_bits(got, values)
        compare.assert_same_bits(positions, where, "positions")
        if "float" in dtype:
            grad = (rng.integers(-8, 9, values.shape) / 4).astype(x.dtype)
            first = [np.moveaxis(a, -1, a.ndim - 1 - len(k)) if last else a for a in (grad, where, x)]
            want = scattered(first[0], first[1], first[2].shape, len(k))
            want = (np.moveaxis(want, x.ndim - 1 - len(k), -1) if last else want).astype(x.dtype)
            compare.assert_same_bits(backward(grad, x, k, out, None, samples, **extra), np.ascontiguousarray(want))
    finally:
        gp.set_num_threads(before)


@pytest.mark.cpu_only
@pytest.mark.parametrize("which", VECTORS, ids=str)
def test_vectors_against_a_loop(which):
    """Lanes enough for whole vectors and some left over, on one thread and on three."""
    compare_with_a_loop(which, np.float32, 1)
    compare_with_a_loop(which, np.float64, 3)


@pytest.mark.cpu_only
@pytest.mark.parametrize("past", [False, True])
@pytest.mark.parametrize("which", VECTORS[::2], ids=str)
def test_vectors_of_planes_as_large_as_can_be(monkeypatch, which, past):
    """The same with 64-bit positions, and with results written past the caches."""
    monkeypatch.setattr(cpu_many, "_calls", {})
    if past:
        monkeypatch.setattr(cpu_fractional, "STREAMED", 0)
        monkeypatch.setattr(cpu_tiles, "STREAMED", 0)
    else:
        monkeypatch.setattr(cpu_fractional, "MOST_TABLE", 0)
    compare_with_a_loop(which, np.float32, 2)


@pytest.mark.cpu_only
@pytest.mark.parametrize("threads", [1, 3])
def test_gradients_of_large_planes(threads):
    """Planes cut into bands, of any samples: no window is left out."""
    rng, before = np.random.default_rng(7), gp.get_num_threads()
    x = rng.random((1, 600, 500)).astype(np.float32)
    try:
        gp.set_num_threads(threads)
        for samples in ([0.0, 0.999999], [-3e5, 9e5], [0.5, -0.5]):
            u = np.array([samples], np.float32)
            y, where = gp.fractional_max_pool2d(x, (3, 2), (77, 498), _random_samples=u, return_indices=True)
            got = gp.fractional_max_pool2d_backward(y, x, (3, 2), (77, 498), _random_samples=u)
            np.testing.assert_allclose(got, scattered(y, where, x.shape, 2), rtol=1e-6)
    finally:
        gp.set_num_threads(before)


@pytest.mark.parametrize("real", [np.float32, np.float64], ids=lambda real: real.__name__)
def test_windows_that_may_contain_an_element(real):
    """Every window is among those of its first and its last element, whatever the sample."""
    rng = np.random.default_rng(3)
    for trial in range(300):
        n = int(rng.integers(1, 200 if trial % 3 else 2**22))
        k = int(rng.integers(1, min(n, 9) + 1))
        out = int(rng.integers(1, min(n - k + 1, 300) + 1))
        sample = real([rng.random(), rng.uniform(-1, 1) * 2**20, rng.uniform(-3, 3)][trial % 3])
        a = PooledAxis(0, n, out, k, 1, 1, 0, 0)
        for o, begin in enumerate(starts(sample, n, k, out)):
            for p in (begin, begin + k - 1):
                lo, hi = fractional_windows_of(a, p)
                assert lo <= o < hi, (a, sample, p)


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_samples_of_halves(backend, name):
    """The same windows as from float32; on the device and, for device arrays, on the host."""
    dtype = np.dtype(getattr(ml_dtypes, name) if name == "bfloat16" else name)
    samples = np.array([[[0.25, 0.734375], [0.5, 0.90625]]], dtype)
    want = gp.fractional_max_pool2d(X, 2, (4, 5), None, True, samples.astype(np.float32))
    for given in [samples, backend.array(samples)] if backend.supports(dtype) else [samples]:
        got = gp.fractional_max_pool2d(backend.array(X), 2, (4, 5), None, True, given)
        for found, one in zip(got, want, strict=True):
            compare.assert_same_bits(backend.to_numpy(found), one)


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
    fails("size -1", pool(2, -1), ValueError, "output_size", "non-negative", "axis 1"),
    fails("size of None", pool(2, (2, None)), TypeError, "output_size", "None", "axis 2"),
    fails("three sizes", pool(2, (2, 2, 2)), ValueError, "output_size", "(2, 2, 2)"),
    fails("does not fit", pool(2, (4, 4)), ValueError, "output_size", "kernel_size", "axis 1", "4"),
    fails("ratio 1", pool(2, None, 1.0), ValueError, "output_ratio", "1.0", "axis 1"),
    fails("ratio 0", pool(2, None, (0.5, 0)), ValueError, "output_ratio", "0", "axis 2"),
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


GRADIENT_ERRORS = [
    (ValueError, "_random_samples, seed or indices must be given", {}, "float32", (2, 2, 2), "float32"),
    (
        ValueError,
        "seed must be None",
        {"seed": 1, "_random_samples": np.zeros((2, 2))},
        "float32",
        (2, 2, 2),
        "float32",
    ),
    (ValueError, r"grad_output must have shape \(2, 2, 2\)", {"seed": 1}, "float32", (2, 2, 3), "float32"),
    (TypeError, "grad_output must have dtype float32", {"seed": 1}, "float32", (2, 2, 2), "float64"),
    (TypeError, "x must be float16", {"seed": 1}, "int32", (2, 2, 2), "int32"),
    (ValueError, "indices must have shape", {"indices": np.zeros((2, 2, 1), int)}, "float32", (2, 2, 2), "float32"),
    (
        TypeError,
        "indices must have dtype int64",
        {"indices": np.zeros((2, 2, 2), "u1")},
        "float32",
        (2, 2, 2),
        "float32",
    ),
    (ValueError, "indices must lie in 0 to 15", {"indices": np.full((2, 2, 2), 16)}, "float32", (2, 2, 2), "float32"),
]


@pytest.mark.parametrize("which", GRADIENT_ERRORS, ids=lambda which: which[1])
def test_gradients_refused(backend, which):
    """Arrays that do not belong together, and windows that nobody knows."""
    exception, words, options, dtype, shape, grad_dtype = which
    options = {k: backend.array(v) if k == "indices" else v for k, v in options.items()}
    grad, x = backend.array(np.zeros(shape, grad_dtype)), backend.array(np.zeros((2, 4, 4), dtype))
    with pytest.raises(exception, match=f"fractional_max_pool2d_backward: {words}"):
        gp.fractional_max_pool2d_backward(grad, x, 2, 2, **options)


def test_samples_elsewhere(backend):
    """A device's samples for the host's array are refused; lists are the host's."""
    samples = np.full((1, 2, 2), 0.4)
    want = gp.fractional_max_pool2d(X, 2, 3, _random_samples=samples)
    compare.assert_same_bits(gp.fractional_max_pool2d(X, 2, 3, _random_samples=samples.tolist()), want)
    if backend.name != "numpy":
        with pytest.raises(TypeError, match="one library"):
            gp.fractional_max_pool2d(X, 2, 3, _random_samples=backend.array(samples))
