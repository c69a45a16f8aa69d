"""Gradients on every backend, against brute force over all windows and against finite differences."""

import inspect
import zlib

import compare
import numpy as np
import pytest
import reference_gradients
import rows_gradients

import gpupool as gp

TOLERANCE = {"float64": 1e-13, "float32": 2e-6, "float16": 4e-3, "bfloat16": 3e-2}
LAYOUTS = ("C", "F", "inner1", "inner0", "reversed", "mixed", "readonly", "offset")


def identity(row):
    """A row in words."""
    return " ".join(map(str, row)) if isinstance(row, tuple) else str(row)


def functions(op, suffix, prefix=""):
    """The forward function and its gradient."""
    name = f"{prefix}{op}_pool{suffix}"
    return getattr(gp, name), getattr(gp, f"{name}_backward")


def axes_of(suffix, shape, arguments):
    """The pooled axes."""
    end = len(shape) - (arguments.get("data_format") == "channels_last")
    return tuple(range(end - int(suffix[0]), end))


def values(name, shape, dtype="float32", ties=True):
    """Elements with many ties and both zeros, or all different."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    if not ties:
        return rng.permutation(np.arange(np.prod(shape, dtype=int))).reshape(shape).astype(dtype) / 8
    x = rng.integers(-3, 4, shape).astype(dtype)
    return np.where(rng.random(shape) < 0.2, -x, x).astype(dtype)


def expected(op, grad, x, suffix, arguments):
    """The oracle's gradient in float64."""
    given = dict(arguments)
    axes = axes_of(suffix, x.shape, given)
    given.pop("data_format", None)
    keepdims = given.pop("keepdims", True)
    omit = given.pop("nan_policy", "propagate") == "omit"
    options = {
        "omit": omit,
        "include": given.pop("count_include_pad", True),
        "override": given.pop("divisor_override", None),
    }
    if "norm_type" in given:
        options["norm_type"] = given.pop("norm_type")
    if not keepdims:
        grad = np.expand_dims(grad, axes)
    if "output_size" in given:
        windows = reference_gradients.adaptive_windows(x.shape, axes, given["output_size"])
        return reference_gradients.gradient(op, grad, x, axes, windows, omit=omit)
    given.setdefault("kernel_size", [x.shape[a] for a in axes])
    windows = reference_gradients.windows_of(x.shape, axes, **given)
    return reference_gradients.gradient(op, grad, x, axes, windows, **options)


def check(backend, got, x, want):
    """Library, dtype, shape, memory order and values of a gradient of x."""
    assert backend.owns(got)
    host = backend.to_numpy(got)
    assert host.dtype == backend.to_numpy(x).dtype
    assert host.shape == want.shape
    tolerance = TOLERANCE[host.dtype.name] * max(1.0, float(np.abs(want).max(initial=0)))
    np.testing.assert_allclose(host.astype(np.float64), want, rtol=tolerance, atol=tolerance)
    if backend.strides(x) is not None:
        of_x, of_got = (tuple(x.shape), backend.strides(x)), (tuple(got.shape), backend.strides(got))
        compare.assert_memory_order(of_x, of_got, host.dtype)


def grad_of(rng, shape, dtype):
    """A gradient that half types hold exactly."""
    return (rng.integers(-8, 9, shape) / 4).astype(dtype)


def run_row(backend, op, row, dtype="float32", layout="C", grad_layout="C", prefix="", **extra):
    """One row: the result of the gradient, x, and what it should be."""
    suffix, shape, arguments = row
    forward, backward = functions(op, suffix, prefix)
    x = values(identity(row), shape, dtype)
    if arguments.get("nan_policy") == "omit":
        x[np.random.default_rng(8).random(shape) < 0.4] = np.nan
    grad = grad_of(np.random.default_rng(3), backend.to_numpy(forward(backend.array(x), **arguments)).shape, dtype)
    placed = backend.array(x, layout)
    got = backward(backend.array(grad, grad_layout), placed, **arguments, **extra)
    return got, placed, expected(op, grad, x, suffix, arguments)


@pytest.mark.parametrize("which", rows_gradients.SLIDING, ids=identity)
def test_windows(backend, which):
    """Every window against brute force, in float32."""
    check(backend, *run_row(backend, *which))


@pytest.mark.parametrize("which", rows_gradients.GLOBAL, ids=identity)
def test_whole_planes(backend, which):
    """Global operators, with and without their axes kept."""
    check(backend, *run_row(backend, *which, prefix="global_"))


@pytest.mark.parametrize("which", rows_gradients.ADAPTIVE, ids=identity)
def test_adaptive_windows(backend, which):
    """Windows that share the axes, overlap, repeat elements, or are none at all."""
    check(backend, *run_row(backend, *which, prefix="adaptive_"))


def omitting(rows):
    """The rows whose operator takes a NaN policy, omitting NaN."""
    return [
        (op, (suffix, shape, {**arguments, "nan_policy": "omit"}))
        for op, (suffix, shape, arguments) in rows
        if op != "lp"
    ]


@pytest.mark.parametrize(
    ("prefix", "which"),
    [
        (prefix, which)
        for prefix, rows in (
            ("", rows_gradients.SLIDING),
            ("global_", rows_gradients.GLOBAL),
            ("adaptive_", rows_gradients.ADAPTIVE),
        )
        for which in omitting(rows)
    ],
    ids=identity,
)
def test_omitted_nan(backend, prefix, which):
    """NaN gets nothing, but for the last one where a maximum finds nothing else; means divide by what is there."""
    check(backend, *run_row(backend, *which, prefix=prefix))


@pytest.mark.parametrize("dtype", ["float16", "float64"])
@pytest.mark.parametrize("op", ["avg", "sum"])
def test_omitted_nan_of_other_dtypes(backend, op, dtype):
    """Halves are divided and added in float32; without one NaN the gradient is the usual one."""
    row = ("2d", (2, 7, 9), {"kernel_size": 3, "stride": 2, "padding": 1})
    omit = ("2d", (2, 7, 9), {**row[2], "nan_policy": "omit"})
    check(backend, *run_row(backend, op, omit, dtype))
    x = backend.array(values("whole", (2, 7, 9), dtype))
    grad = backend.array(grad_of(np.random.default_rng(3), (2, 4, 5), dtype))
    got, usual = (functions(op, "2d")[1](grad, x, **arguments) for arguments in (omit[2], row[2]))
    rtol = TOLERANCE[dtype]
    np.testing.assert_allclose(backend.to_numpy(got), backend.to_numpy(usual), rtol=rtol, atol=rtol)


@pytest.mark.parametrize("dtype", ["float16", "float64", "bfloat16"])
@pytest.mark.parametrize("op", ["max", "avg"])
def test_dtypes(backend, op, dtype):
    """Halves are added in float32, float64 in its own."""
    if not backend.supports(np.dtype(getattr(__import__("ml_dtypes"), dtype) if dtype == "bfloat16" else dtype)):
        assert dtype == "bfloat16"  # which CuPy, Numba and the simulator cannot express
        return
    if dtype == "bfloat16":
        import ml_dtypes

        dtype = ml_dtypes.bfloat16
    row = ("2d", (2, 7, 9), {"kernel_size": 3, "stride": 2, "padding": 1})
    check(backend, *run_row(backend, op, row, dtype))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("op", ["max", "avg"])
def test_memory_orders(backend, op, layout):
    """Any strides of x and of grad_output; the result has x's order."""
    if not backend.supports(np.float32, layout):
        assert layout in ("readonly", "reversed", "mixed") or backend.immutable
        return
    for row in (
        ("2d", (2, 3, 5, 6), {"kernel_size": 3, "stride": 2, "padding": 1}),
        ("2d", (2, 4, 6), {"kernel_size": 2}),
    ):
        check(backend, *run_row(backend, op, row, layout=layout, grad_layout="F"))
        check(backend, *run_row(backend, op, row, layout="C", grad_layout=layout))


def test_out(backend):
    """`out` in any memory order is filled and returned; nothing is added to what it held."""
    if backend.immutable:
        assert backend.name == "jax"  # test_out_errors holds what it says
        return
    row = ("2d", (2, 5, 6), {"kernel_size": 3, "stride": 2, "padding": 1})
    for op in ("max", "avg"):
        for layout in ("C", "F", "offset", "step"):
            out = backend.array(np.full((2, 5, 6), 7, np.float32), layout)
            got, x, want = run_row(backend, op, row, out=out)
            assert got is out
            np.testing.assert_allclose(backend.to_numpy(got), want, rtol=1e-6, atol=1e-6)
            assert backend.to_numpy(x).shape == want.shape


def test_ties_and_nan(backend):
    """The first of equal elements gets the gradient, the last of several NaNs."""
    nan = float("nan")
    cases = [
        ([[1.0, 1.0, 1.0]], [[5.0, 0.0, 0.0]]),
        ([[-0.0, 0.0, -0.0]], [[5.0, 0.0, 0.0]]),
        ([[nan, 3.0, nan]], [[0.0, 0.0, 5.0]]),
        ([[-np.inf, -np.inf, -np.inf]], [[5.0, 0.0, 0.0]]),
        ([[nan, 3.0, 2.0]], [[5.0, 0.0, 0.0]]),
    ]
    grad = backend.array(np.array([[5.0]], np.float32))
    for x, want in cases:
        got = gp.max_pool1d_backward(grad, backend.array(np.array(x, np.float32)), 3)
        np.testing.assert_array_equal(backend.to_numpy(got), np.array(want, np.float32))


def test_norms_of_zeros_nan_and_halves(backend):
    """Zeros get nothing, ties of the largest all of it, NaN stays in its windows; norms of halves do not overflow."""
    nan, inf = float("nan"), float("inf")
    cases = [
        (2, [[0.0, -0.0, 0.0]], [[0.0, 0.0, 0.0]]),
        (0.5, [[0.0, -4.0, 0.0]], [[0.0, -5.0, 0.0]]),
        (inf, [[2.0, 1.0, -2.0]], [[5.0, 0.0, -5.0]]),
        (2, [[nan, 3.0, 0.0]], [[nan, nan, 0.0]]),
        (1, [[nan, 3.0, 0.0]], [[nan, 5.0, 0.0]]),
    ]
    grad = backend.array(np.array([[5.0]], np.float32))
    for p, x, want in cases:
        got = gp.lp_pool1d_backward(grad, backend.array(np.array(x, np.float32)), p, 3)
        np.testing.assert_array_equal(backend.to_numpy(got), np.array(want, np.float32))
    halves = backend.array(np.array([[48000.0, 64000.0]], np.float16))
    got = gp.lp_pool1d_backward(backend.array(np.array([[5.0]], np.float16)), halves, 2, 2)
    np.testing.assert_array_equal(backend.to_numpy(got), np.array([[3.0, 4.0]], np.float16))


def test_nan_in_grad_output_stays_in_its_windows(backend):
    """A NaN reaches what its windows contain, and nothing else."""
    x, grad = np.zeros((1, 9), np.float32), np.ones((1, 4), np.float32)
    grad[0, 1] = np.nan
    for op in ("avg", "max"):
        got = backend.to_numpy(functions(op, "1d")[1](backend.array(grad), backend.array(x), 3, 2))
        allowed = np.zeros(9, bool)
        allowed[2:5] = True
        assert np.isnan(got).any()
        assert not np.isnan(got[0, ~allowed]).any()


def test_given_indices(backend):
    """With `indices` x is not read; the result is the same."""
    x = values("indices", (2, 7, 9), ties=True)
    arguments = {"kernel_size": 3, "stride": 2, "padding": 1}
    placed = backend.array(x)
    y, where = gp.max_pool2d(placed, **arguments, return_indices=True)
    grad = backend.array(grad_of(np.random.default_rng(1), tuple(y.shape), np.float32))
    want = backend.to_numpy(gp.max_pool2d_backward(grad, placed, **arguments))
    empty = backend.array(np.full_like(x, np.nan))
    got = backend.to_numpy(gp.max_pool2d_backward(grad, empty, **arguments, indices=where))
    np.testing.assert_array_equal(got, want)


def test_same_bits_every_run(backend):
    """The same call gives the same bits, and on the CPU with any number of threads."""
    rng = np.random.default_rng(5)
    x = rng.standard_normal((1, 40, 300 if backend.name != "simulator" else 9)).astype(np.float32)
    x = x if backend.name != "simulator" else x[:, :8]
    placed = backend.array(x)
    for op in ("max", "avg"):
        forward, backward = functions(op, "2d")
        grad = backend.array(rng.standard_normal(forward(placed, 3, 1, 1).shape).astype(np.float32))
        first = backend.to_numpy(backward(grad, placed, 3, 1, 1)).tobytes()
        assert all(backend.to_numpy(backward(grad, placed, 3, 1, 1)).tobytes() == first for _ in range(3))


@pytest.mark.cpu_only
@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("shape", [(1, 700, 300), (3, 400, 300), (1, 60, 70, 80), (1, 300, 300, 4)], ids=str)
def test_threads(shape, threads):
    """Few large planes are cut into bands; the bits do not depend on how many threads there are."""
    rng = np.random.default_rng(5)
    x = rng.integers(0, 9, shape).astype(np.float32)
    last = shape[-1] == 4
    suffix = "3d" if len(shape) == 4 and not last else "2d"
    arguments = {"data_format": "channels_last"} if last else {}
    before = gp.get_num_threads()
    try:
        for op in ("max", "avg"):
            forward, backward = functions(op, suffix)
            grad = rng.standard_normal(forward(x, 3, 2, 1, **arguments).shape).astype(np.float32)
            gp.set_num_threads(1)
            one = backward(grad, x, 3, 2, 1, **arguments)
            gp.set_num_threads(threads)
            np.testing.assert_array_equal(backward(grad, x, 3, 2, 1, **arguments), one)
    finally:
        gp.set_num_threads(before)


@pytest.fixture(params=["as it is", "a few rows", "whole planes", "no buffer"])
def sums_kept(request, monkeypatch):
    """Where the gradients of maxima are added up, whatever the size of results; all threads take part."""
    from gpupool.backends import cpu_frame, cpu_gradients, cpu_many, cpu_tiles

    cpu_many._calls.clear()
    monkeypatch.setattr(cpu_frame, "SERIAL_ELEMENTS", 1)
    if request.param != "as it is":
        monkeypatch.setattr(cpu_tiles, "STREAMED", 1 << 40 if request.param == "no buffer" else 0)
        monkeypatch.setattr(cpu_gradients, "HELD", 0 if request.param == "a few rows" else 1 << 20)
        monkeypatch.setattr(cpu_gradients, "LARGEST_BUFFER", 1 << 20)
    yield request.param
    cpu_many._calls.clear()


def added_up(grad, where, shape, pooled):
    """Gradients at flat indices, plane by plane in the order of the windows; channels come before the pooled axes."""
    want = np.zeros(shape, grad.dtype if grad.dtype != np.float16 else np.float32)
    for plane in np.ndindex(shape[:-pooled]):
        np.add.at(want[plane].reshape(-1), where[plane].reshape(-1), grad[plane].reshape(-1).astype(want.dtype))
    return want.astype(grad.dtype)


@pytest.mark.cpu_only
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("window", [(3, 2, 1, 1), (3, 1, 1, 1), (5, 1, 2, 1), (2, 7, 0, 1), (3, 2, 1, 2)], ids=str)
@pytest.mark.parametrize(
    "shape", [(5, 41, 43), (2, 8, 21, 27), (3, 37, 39, 4), (37, 16, 32), ("float16", 2, 41, 43)], ids=str
)
def test_sums_follow_the_windows(sums_kept, shape, window, threads):
    """Maxima from x, offsets and indices: the same bits as one addition after the other."""
    dtype, shape = (shape[0], shape[1:]) if shape[0] == "float16" else ("float32", shape)
    x = np.random.default_rng(8).integers(0, 9, (threads, *shape)).astype(dtype)
    last = shape[-1] in (4, 32)
    suffix, count = ("3d", 3) if shape[:2] == (2, 8) else ("2d", 2)
    arguments = dict(zip(("kernel_size", "stride", "padding", "dilation"), window, strict=True))
    arguments |= {"data_format": "channels_last"} if last else {}
    forward, backward = functions("max", suffix)
    y, where = forward(x, **arguments, return_indices=True)
    grad = np.random.default_rng(9).standard_normal(y.shape).astype(dtype)
    planes = [np.moveaxis(a, -1, 1) if last else a for a in (grad, where)]
    want = added_up(*planes, np.moveaxis(x, -1, 1).shape if last else x.shape, count)
    want = np.moveaxis(want, 1, -1) if last else want
    before = gp.get_num_threads()
    try:
        gp.set_num_threads(threads)
        compare.assert_same_bits(backward(grad, x, **arguments), want)
        compare.assert_same_bits(backward(grad, x, **arguments, indices=where), want)
        offsets = forward(x, **arguments, return_indices="offsets")[1]
        compare.assert_same_bits(backward(grad, x, **arguments, indices=offsets), want)
    finally:
        gp.set_num_threads(before)


@pytest.mark.cpu_only
@pytest.mark.parametrize("op", ["avg", "sum", "lp"])
@pytest.mark.parametrize("window", [(2, 2), (3, 2), (3, 1), (2, 5), (5, 4)], ids=str)
@pytest.mark.parametrize(
    "shape", [(3, 4, 33, 41), (2, 50, 37, 3), (2, 40, 300, 40), (2, 2, 9, 11, 21), (2, 12, 9, 501)], ids=str
)
def test_rows_past_the_caches(monkeypatch, shape, window, op):
    """Gradients that are dealt out row by row: the same bits by way of a buffer of some rows, or of one."""
    from gpupool.backends import cpu_frame, cpu_gradients, cpu_many, cpu_tiles

    suffix = "3d" if len(shape) == 5 else "2d"
    arguments = {"data_format": "channels_last" if shape[-1] in (3, 40, 501) else "channels_first"}
    forward, backward = functions(op, suffix)
    given = (2, *window) if op == "lp" else window
    x = np.random.default_rng(12).standard_normal(shape).astype(np.float32)
    grad = np.random.default_rng(13).standard_normal(forward(x, *given, **arguments).shape).astype(np.float32)
    results = []
    monkeypatch.setattr(cpu_frame, "SERIAL_ELEMENTS", 1)
    for size in (1 << 40, 0):
        for module in (cpu_tiles, cpu_gradients):
            monkeypatch.setattr(module, "STREAMED", size)
        cpu_many._calls.clear()
        results.append(backward(grad, x, *given, **arguments))
    cpu_many._calls.clear()
    compare.assert_same_bits(results[1], results[0])


@pytest.mark.cpu_only
@pytest.mark.parametrize("order", ["anywhere", "backwards", "one far", "all at the end"])
@pytest.mark.parametrize("channels", [1, 24])
@pytest.mark.parametrize("planes", [1, 5])
def test_indices_of_no_pooling(sums_kept, order, channels, planes):
    """Indices outside their own windows do no harm; one thread adds up what they say, in the order of the windows."""
    rng = np.random.default_rng(10)
    x = np.zeros((planes, 60, 40, channels), np.float32)
    grad = rng.standard_normal((planes, 58, 38, channels)).astype(np.float32)
    where = gp.max_pool2d(rng.random(x.shape), 3, 1, data_format="channels_last", return_indices=True)[1]
    if order == "anywhere":
        where = rng.integers(0, 2400, where.shape)
    elif order == "backwards":
        where = np.ascontiguousarray(where[:, ::-1])
    elif order == "one far":
        where[:, 3, 3], where[:, 50, 3] = 2399, 7
    else:
        where[:] = 2399
    want = np.moveaxis(
        added_up(np.moveaxis(grad, -1, 1), np.moveaxis(where, -1, 1), (planes, channels, 60, 40), 2), 1, -1
    )
    before = gp.get_num_threads()
    try:
        for threads in (2, 1):
            gp.set_num_threads(threads)
            got = gp.max_pool2d_backward(grad, x, 3, 1, data_format="channels_last", indices=where)
            assert np.isfinite(got).all()
        compare.assert_same_bits(got, np.ascontiguousarray(want))
    finally:
        gp.set_num_threads(before)


@pytest.mark.cpu_only
@pytest.mark.parametrize("which", rows_gradients.SLIDING, ids=identity)
def test_finite_differences(which):
    """<gradient, direction> is the change of <grad_output, pooled> along the direction, in float64."""
    op, (suffix, shape, arguments) = which
    forward, backward = functions(op, suffix)
    rng = np.random.default_rng(11)
    x = values(identity(which), shape, "float64", ties=False)
    grad = rng.standard_normal(forward(x, **arguments).shape)
    direction, step = rng.standard_normal(shape), 1e-6
    change = (grad * (forward(x + step * direction, **arguments) - forward(x - step * direction, **arguments))).sum()
    got = (backward(grad, x, **arguments) * direction).sum()
    np.testing.assert_allclose(got, change / (2 * step), rtol=1e-6, atol=1e-6)


def random_call(rng, axes):
    """Shape and arguments of a window call over this many axes."""
    last = bool(rng.random() < 0.4)
    lengths = tuple(int(n) for n in rng.integers(4, 20 if axes < 3 else 9, axes))
    shape = (
        tuple(int(n) for n in rng.integers(1, 4, rng.integers(0, 3))) + lengths + ((int(rng.integers(1, 5)),) * last)
    )
    k = tuple(int(n) for n in rng.integers(1, 10 if axes < 3 else 4, axes))
    arguments = {
        "kernel_size": k,
        "stride": tuple(int(n) for n in rng.integers(1, 4, axes)),
        "padding": tuple((int(rng.integers(0, n)), int(rng.integers(0, n))) for n in k),
        "dilation": int(rng.integers(1, 3)),
        "ceil_mode": bool(rng.random() < 0.5),
        "data_format": "channels_last" if last else "channels_first",
    }
    return shape, arguments


@pytest.mark.cpu_only
@pytest.mark.parametrize("op", ["max", "avg"])
def test_random_windows(op):
    """Of maxima the same bits from x and from indices, two engines; of averages <A'g, v> = <g, Av>."""
    rng, tried = np.random.default_rng(31), 0
    for trial in range(150):
        axes = 1 + trial % 3
        shape, arguments = random_call(rng, axes)
        forward, backward = functions(op, f"{axes}d")
        x = rng.integers(-2, 3, shape).astype(np.float32 if op == "max" else np.float64)
        x = np.flip(x, 0) if trial % 4 == 0 else x
        try:
            y = forward(x, **arguments)
        except ValueError:  # a window larger than the axis, or without a real element
            continue
        tried += 1
        grad = grad_of(rng, y.shape, x.dtype)
        got = backward(grad, x, **arguments)
        if op == "max":
            where = forward(x, **arguments, return_indices=True)[1]
            np.testing.assert_array_equal(got, backward(grad, x, **arguments, indices=where), err_msg=str(arguments))
        else:
            v = rng.standard_normal(shape)
            np.testing.assert_allclose((got * v).sum(), (grad * forward(v, **arguments)).sum(), rtol=1e-9, atol=1e-9)
    assert tried > 90


def test_empty(backend):
    """No planes: an empty result, and nothing runs."""
    x = backend.array(np.zeros((0, 4, 4), np.float32))
    got = gp.max_pool2d_backward(backend.array(np.zeros((0, 2, 2), np.float32)), x, 2)
    assert tuple(got.shape) == (0, 4, 4)


@pytest.mark.parametrize("size", [(0, 2, 5), (2, 0, 5), (0, 0, 0)], ids=str)
@pytest.mark.parametrize("shape", [(2, 1, 4, 2), (1, 3, 4, 5)], ids=str)
def test_no_windows(backend, shape, size):
    """Adaptive pooling to nothing along one axis: nobody gets anything, and no indices are no wrong ones."""
    nothing = (shape[0], *size)
    layout = "guarded" if backend.supports("float32", "guarded") else "C"
    x, grad = backend.array(np.ones(shape, np.float32)), backend.array(np.ones(nothing, np.float32), layout)
    indices = backend.array(np.ones(nothing, np.int64), layout)
    for got in (
        gp.adaptive_max_pool3d_backward(grad, x, size),
        gp.adaptive_max_pool3d_backward(grad, x, size, indices=indices),
        gp.adaptive_avg_pool3d_backward(grad, x, size),
        gp.adaptive_avg_pool3d_backward(grad, x, size, nan_policy="omit"),
    ):
        np.testing.assert_array_equal(backend.to_numpy(got), np.zeros(shape, np.float32))


@pytest.mark.parametrize(
    ("dtype", "p", "size"), [("float16", 100, 60000), ("float32", 50, 1e-30), ("float32", 9, 1e35)]
)
def test_norms_whose_powers_leave_float64(backend, dtype, p, size):
    """Four equal elements share equally, however large or small their powers are."""
    x = np.full((2, 4), size, dtype) * np.array([[1], [-1]], dtype)
    got = gp.lp_pool1d_backward(backend.array(np.ones((2, 1), dtype)), backend.array(x), p, 4)
    np.testing.assert_allclose(backend.to_numpy(got), np.sign(x) * 4.0 ** (1 / p - 1), rtol=1e-3 if p == 100 else 1e-5)


def test_a_wider_result_dtype(backend):
    """grad_output has the result's dtype, the gradient x's."""
    x = np.arange(16, dtype=np.float16).reshape(4, 4)
    grad = np.array([[4.0, 8.0], [12.0, 16.0]], np.float32)
    got = gp.avg_pool2d_backward(backend.array(grad), backend.array(x), 2, dtype="float32")
    np.testing.assert_array_equal(backend.to_numpy(got), (grad / 4).repeat(2, 0).repeat(2, 1).astype(np.float16))


ERRORS = [
    ("grad_output must have shape", ValueError, lambda b, x, g: gp.max_pool2d_backward(b(g[:1]), b(x), 2)),
    ("grad_output must have dtype", TypeError, lambda b, x, g: gp.max_pool2d_backward(b(g.astype("f8")), b(x), 2)),
    ("grad_output must have dtype", TypeError, lambda b, x, g: gp.avg_pool2d_backward(b(g), b(x), 2, dtype="f8")),
    ("x must be float16", TypeError, lambda b, x, g: gp.avg_pool2d_backward(b(g), b(x.astype("i4")), 2)),
    ("x must be float16", TypeError, lambda b, x, g: gp.max_pool2d_backward(b(g), b(x.astype("u1")), 2)),
    ("dtype must be a floating", TypeError, lambda b, x, g: gp.avg_pool2d_backward(b(g), b(x), 2, dtype="i4")),
    ("kernel_size", ValueError, lambda b, x, g: gp.max_pool2d_backward(b(g), b(x), 0)),
    ("kernel_size", TypeError, lambda b, x, g: gp.avg_pool2d_backward(b(g), b(x), None)),
    ("indices must have dtype int64", TypeError,
     lambda b, x, g: gp.max_pool2d_backward(b(g), b(x), 2, indices=b(g.astype("i4")))),
    ("indices must have shape", ValueError,
     lambda b, x, g: gp.max_pool2d_backward(b(g), b(x), 2, indices=b(g[:1].astype("i8")))),
    ("indices must lie in 0 to 15", ValueError,
     lambda b, x, g: gp.max_pool2d_backward(b(g), b(x), 2, indices=b(np.full(g.shape, 16, "i8")))),
    ("indices must lie in 0 to 15.*got -1", ValueError,
     lambda b, x, g: gp.max_pool2d_backward(b(g), b(x), 2, indices=b(np.full(g.shape, -1, "i8")))),
    ("one library|one array library", TypeError, lambda b, x, g: gp.avg_pool2d_backward(b(g), Foreign(x), 2)),
]  # fmt: skip


class Foreign:
    """An array of a library of its own."""

    def __init__(self, array):
        self.__cuda_array_interface__ = array.__array_interface__


@pytest.mark.parametrize("which", ERRORS, ids=lambda which: which[0])
def test_errors(backend, which):
    """Arrays that do not belong together are refused in words, before anything is written."""
    words, kind, call = which
    x, grad = np.ones((2, 4, 4), np.float32), np.ones((2, 2, 2), np.float32)
    with pytest.raises(kind, match=words):
        call(backend.array, x, grad)


def test_out_errors(backend):
    """`out`: shape, dtype, overlap."""
    x, grad = backend.array(np.ones((2, 4, 4), np.float32)), backend.array(np.ones((2, 2, 2), np.float32))
    if backend.immutable:
        with pytest.raises(TypeError, match="immutable"):
            gp.avg_pool2d_backward(grad, x, 2, out=x)
        return
    for words, kind, out in (
        ("shape", ValueError, backend.array(np.ones((2, 4, 5), np.float32))),
        ("dtype", TypeError, backend.array(np.ones((2, 4, 4), np.float64))),
        ("overlap x", ValueError, x),
        ("array type", TypeError, [[1.0]]),
    ):
        with pytest.raises(kind, match=words):
            gp.avg_pool2d_backward(grad, x, 2, out=out)
    np.testing.assert_array_equal(backend.to_numpy(x), np.ones((2, 4, 4), np.float32))


def test_the_same_arguments():
    """Every gradient takes its operator's arguments, in their order and with their defaults."""
    names = [name for name in gp.__all__ if name.endswith("_backward")]
    assert len(names) >= 39
    for name in names:
        own = inspect.signature(getattr(gp, name)).parameters
        assert list(own)[:2] == ["grad_output", "x"], name
        forward = inspect.signature(getattr(gp, name.removesuffix("_backward"))).parameters
        wanted = {k: v.default for k, v in forward.items() if k not in ("x", "return_indices")}
        assert {k: v.default for k, v in own.items() if k in wanted} == wanted, name
        positional = [k for k, v in forward.items() if v.kind is v.POSITIONAL_OR_KEYWORD and k in wanted]
        assert [k for k, v in own.items() if v.kind is v.POSITIONAL_OR_KEYWORD][2:] == positional, name
