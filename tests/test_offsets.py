"""Positions as numbers of taps, on every backend: against flat indices and an own count, and gradients from them."""

import compare
import numpy as np
import pytest
import rows_gradients
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gpupool as gp

few = settings(max_examples=40, suppress_health_check=list(HealthCheck))
MAXIMA = [row for op, row in rows_gradients.SLIDING if op == "max"]


def identity(row):
    """A row in words."""
    return " ".join(map(str, row))


def pairs(value, count):
    """One entry for each axis."""
    return value if isinstance(value, tuple) else (value,) * count


def taps_of(where, shape, count, arguments):
    """The number of each window's tap from its flat index, counted out one window at a time."""
    k = pairs(arguments["kernel_size"], count)
    s = pairs(arguments.get("stride") or k, count)
    d = pairs(arguments.get("dilation", 1), count)
    padding = arguments.get("padding", 0)
    if padding == "same":
        padding = tuple(
            (max((-(-n // t) - 1) * t + e * (m - 1) + 1 - n, 0) // 2, 0)
            for n, m, t, e in zip(shape, k, s, d, strict=True)
        )
    before = [p[0] if isinstance(p, tuple) else p for p in pairs(padding, count)]
    taps = np.empty(where.shape, np.int64)
    for at in np.ndindex(where.shape):
        position = np.unravel_index(where[at], shape)
        windows = at[len(at) - count :]
        number = 0
        for i in range(count):
            distance = position[i] - (windows[i] * s[i] - before[i])
            assert distance % d[i] == 0
            number = number * k[i] + distance // d[i]
        taps[at] = number
    return taps


def expected(values, suffix, arguments, op="max"):
    """Values, and the numbers of taps of int64 indices, which have their own tests."""
    count, last = int(suffix[0]), arguments.get("data_format") == "channels_last"
    y, where = getattr(gp, f"{op}_pool{suffix}")(values, **arguments, return_indices=True)
    moved = np.moveaxis(where, -1, where.ndim - 1 - count) if last else where
    end = values.ndim - last
    taps = taps_of(moved, values.shape[end - count : end], count, arguments)
    return y, (np.moveaxis(taps, values.ndim - 1 - count, -1) if last else taps)


def data(shape, dtype, name="ties"):
    """Many equal elements, or little else than infinity or NaN."""
    rng = np.random.default_rng(3)
    x = rng.integers(-3, 4, shape).astype(dtype)
    if name != "ties":
        x[rng.random(shape) < 0.6] = {"lowest": -np.inf, "nan": np.nan}[name]
    return x


def host_gradient(backend, op, suffix, grad, x, arguments, **extra):
    """The gradient on this backend, as a NumPy array."""
    arrays = [backend.array(a) for a in (grad, x)]
    extra = {k: backend.array(v) if isinstance(v, np.ndarray) else v for k, v in extra.items()}
    return backend.to_numpy(getattr(gp, f"{op}_pool{suffix}_backward")(*arrays, **arguments, **extra))


@pytest.mark.every_engine
@pytest.mark.parametrize("name", ["ties", "lowest", "nan"])
@pytest.mark.parametrize("row", MAXIMA, ids=identity)
def test_windows(backend, row, name):
    """Values, offsets, their dtype, and the same gradient as from x."""
    suffix, shape, arguments = row
    x = data(shape, "float32", name)
    y, taps = expected(x, suffix, arguments)
    got = getattr(gp, f"max_pool{suffix}")(backend.array(x), **arguments, return_indices="offsets")
    assert all(backend.owns(a) for a in got)
    compare.assert_same_bits(backend.to_numpy(got[0]), y)
    compare.assert_same_bits(backend.to_numpy(got[1]), taps.astype(np.uint8), "offsets")
    grad = (np.random.default_rng(4).integers(-8, 9, y.shape) / 4).astype(np.float32)
    offsets = backend.to_numpy(got[1])
    want = host_gradient(backend, "max", suffix, grad, x, arguments)
    nothing = np.zeros_like(x)  # of which only shape, dtype and order are looked at
    compare.assert_same_bits(host_gradient(backend, "max", suffix, grad, nothing, arguments, indices=offsets), want)


@pytest.mark.parametrize("dtype", ["float16", "float64", "int8", "bool"])
@pytest.mark.parametrize("op", ["max", "min"])
@pytest.mark.parametrize("nan_policy", ["propagate", "omit"])
def test_dtypes(backend, op, dtype, nan_policy):
    """Any real dtype; gradients of floats."""
    arguments = {"kernel_size": (3, 2), "stride": (1, 2), "padding": (1, 0)}
    x = data((2, 6, 8), dtype, "nan" if dtype.startswith("float") else "ties")
    y, taps = expected(x, "2d", {**arguments, "nan_policy": nan_policy}, op)
    arguments["nan_policy"] = nan_policy
    got = getattr(gp, f"{op}_pool2d")(backend.array(x), **arguments, return_indices="offsets")
    compare.assert_same_bits(backend.to_numpy(got[0]), y)
    compare.assert_same_bits(backend.to_numpy(got[1]), taps.astype(np.uint8), "offsets")
    if dtype.startswith("float"):
        grad = (np.random.default_rng(4).integers(-8, 9, y.shape) / 4).astype(dtype)
        want = host_gradient(backend, op, "2d", grad, x, arguments)
        offsets = taps.astype(np.uint8)
        compare.assert_same_bits(host_gradient(backend, op, "2d", grad, x, arguments, indices=offsets), want)


def test_two_bytes(backend):
    """More than 256 taps take uint16, and more than 65536 are refused."""
    x = np.arange(19 * 18, dtype=np.float32).reshape(1, 19, 18)
    arguments = {"kernel_size": (17, 16), "stride": 1, "padding": (8, 0)}
    y, taps = expected(x, "2d", arguments)
    assert taps.max() > 255
    got = gp.max_pool2d(backend.array(x), **arguments, return_indices="offsets")
    compare.assert_same_bits(backend.to_numpy(got[1]), taps.astype(np.uint16), "offsets")
    grad = np.ones_like(y)
    want = host_gradient(backend, "max", "2d", grad, x, arguments)
    compare.assert_same_bits(host_gradient(backend, "max", "2d", grad, x, arguments, indices=taps.astype("u2")), want)
    long = backend.array(np.zeros((1, 300, 300), np.float32))
    with pytest.raises(ValueError, match="max_pool2d: offsets are of windows of at most 65536 taps, got 67600"):
        gp.max_pool2d(long, 260, return_indices="offsets")
    one = backend.array(np.zeros((1, 1, 1), np.float32))
    with pytest.raises(ValueError, match="max_pool2d_backward: offsets are of windows of at most 65536 taps"):
        gp.max_pool2d_backward(one, long, 260, indices=backend.array(np.zeros((1, 1, 1), np.uint16)))


@pytest.mark.parametrize("layout", ["F", "inner0", "reversed", "offset"])
def test_memory_orders(backend, layout):
    """Any strides of x, grad_output and offsets; results in x's order; `out` of two layouts."""
    if not backend.supports(np.float32, layout):
        assert layout == "reversed" or backend.immutable
        return
    x, arguments = data((2, 3, 6, 8), "float32"), {"kernel_size": 3, "stride": 2, "padding": 1}
    y, taps = expected(x, "2d", arguments)
    offsets = taps.astype(np.uint8)
    placed = backend.array(x, layout)
    got = gp.max_pool2d(placed, **arguments, return_indices="offsets")
    compare.assert_same_bits(np.ascontiguousarray(backend.to_numpy(got[1])), offsets, "offsets")
    grad = np.random.default_rng(4).integers(-8, 9, y.shape).astype(np.float32)
    want = host_gradient(backend, "max", "2d", grad, x, arguments)
    given = backend.array(offsets, layout)
    found = gp.max_pool2d_backward(backend.array(grad), placed, **arguments, indices=given)
    compare.assert_same_bits(np.ascontiguousarray(backend.to_numpy(found)), want)
    if not backend.immutable:
        for other in ("C", layout):
            outs = backend.array(np.zeros_like(y), other), backend.array(np.zeros_like(offsets), layout)
            assert gp.max_pool2d(placed, **arguments, return_indices="offsets", out=outs) is outs
            compare.assert_same_bits(np.ascontiguousarray(backend.to_numpy(outs[0])), y)
            compare.assert_same_bits(np.ascontiguousarray(backend.to_numpy(outs[1])), offsets, "offsets")


X, GRAD = np.ones((2, 4, 4), np.float32), np.ones((2, 3, 3), np.float32)


@pytest.mark.parametrize(
    ("at", "tap", "words"),
    [
        ((0, 1, 1), 4, "got 4"),  # beyond the window
        ((1, 2, 2), 255, "got 255"),
        ((0, 0, 1), 0, "got 0"),  # in the padding above
        ((1, 1, 0), 2, "got 2"),  # to the left
        ((1, 2, 1), 3, "got 3"),  # below
        ((0, 1, 2), 1, "got 1"),  # to the right
    ],
)
def test_taps_that_are_none(backend, at, tap, words):
    """A tap beyond its window or in the padding is refused before anything is written."""
    offsets = gp.max_pool2d(X, 2, 2, 1, return_indices="offsets")[1]
    offsets[at] = tap
    arrays = [backend.array(a) for a in (GRAD, X)]
    given = backend.array(offsets)
    out = None if backend.immutable else backend.array(np.full_like(X, 7))
    with pytest.raises(ValueError, match=f"max_pool2d_backward: indices must be taps 0 to 3 .*padding, {words}$"):
        gp.max_pool2d_backward(*arrays, 2, 2, 1, indices=given, out=out)
    assert out is None or (backend.to_numpy(out) == 7).all()


@pytest.mark.cpu_only
@pytest.mark.parametrize("inner", [1, 3])
def test_every_tap(inner):
    """Of every window every number of a tap is taken if that is an element, else refused."""
    k, s, before, shape = (3, 4), (2, 3), (1, 2), (5, 9)
    arguments = {"kernel_size": k, "stride": s, "padding": before, "data_format": "channels_last"}
    x = np.zeros((1, *shape, inner), np.float32)
    y, right = gp.max_pool2d(x, **arguments, return_indices="offsets")
    refused = 0
    for at in np.ndindex(*y.shape):
        for tap in (*range(14), 255):
            offsets = right.copy()
            offsets[at] = tap
            place = [o * m - b + j for o, m, b, j in zip(at[1:3], s, before, (tap // 4, tap % 4), strict=True)]
            if tap < 12 and all(0 <= p < n for p, n in zip(place, shape, strict=True)):
                grad = np.zeros_like(y)
                grad[at] = 1
                got = gp.max_pool2d_backward(grad, x, **arguments, indices=offsets)
                assert got.sum() == 1
                assert got[(0, *place, at[3])] == 1
            else:
                refused += 1
                with pytest.raises(ValueError, match=f"got {tap}$"):
                    gp.max_pool2d_backward(y, x, **arguments, indices=offsets)
    assert refused > 3 * y.size


REFUSED = [
    (TypeError, "indices must have dtype uint8, got uint16", lambda b: gp.max_pool2d_backward(
        b(GRAD), b(X), 2, 2, 1, indices=b(np.zeros(GRAD.shape, np.uint16)))),
    (TypeError, "indices must have dtype int64, got int32", lambda b: gp.max_pool2d_backward(
        b(GRAD), b(X), 2, 2, 1, indices=b(np.zeros(GRAD.shape, np.int32)))),
    (ValueError, "indices must have shape", lambda b: gp.max_pool2d_backward(
        b(GRAD), b(X), 2, 2, 1, indices=b(np.zeros((2, 3, 2), np.uint8)))),
    (TypeError, "indices must have dtype int64 for these windows", lambda b: gp.global_max_pool2d_backward(
        b(X[:, :1, :1]), b(X), indices=b(np.zeros((2, 1, 1), np.uint8)))),
    (TypeError, "indices must have dtype int64 for these windows", lambda b: gp.adaptive_max_pool2d_backward(
        b(X[:, :2, :2]), b(X), 2, indices=b(np.zeros((2, 2, 2), np.uint8)))),
    (TypeError, "return_indices must be True, False or 'offsets', got 'flat'", lambda b: gp.min_pool2d(
        b(X), 2, return_indices="flat")),
    (TypeError, "return_indices must be True or False, got 'offsets'", lambda b: gp.adaptive_max_pool2d(
        b(X), 2, return_indices="offsets")),
    (TypeError, "indices must have dtype int64", lambda b: gp.max_unpool2d(
        b(X[:, :2, :2]), b(np.zeros((2, 2, 2), np.uint8)), 2)),
]  # fmt: skip


@pytest.mark.parametrize("which", REFUSED, ids=lambda which: which[1])
def test_refused(backend, which):
    """Dtypes, shapes and windows for which there are no offsets."""
    kind, words, call = which
    with pytest.raises(kind, match=words):
        call(backend.array)


@few
@given(drawn=st.data())
def test_any_window(backend, drawn):
    """The element at its offset is the result, and gradients from offsets and from x have the same bits."""
    count = drawn.draw(st.integers(1, 3))
    lengths = tuple(drawn.draw(st.integers(1, 6)) for _ in range(count))
    k = tuple(drawn.draw(st.integers(1, 4)) for _ in range(count))
    arguments = {
        "kernel_size": k,
        "stride": tuple(drawn.draw(st.integers(1, 3)) for _ in range(count)),
        "padding": tuple((drawn.draw(st.integers(0, m)), drawn.draw(st.integers(0, m))) for m in k),
        "dilation": tuple(drawn.draw(st.integers(1, 2)) for _ in range(count)),
        "ceil_mode": drawn.draw(st.booleans()),
        "nan_policy": drawn.draw(st.sampled_from(["propagate", "omit"])),
    }
    op, x = drawn.draw(st.sampled_from(["max", "min"])), data((2, *lengths), "float32", "nan")
    try:
        y, taps = expected(x, f"{count}d", arguments, op)
    except ValueError:  # a window larger than the axis, or without an element
        return
    got = getattr(gp, f"{op}_pool{count}d")(backend.array(x), **arguments, return_indices="offsets")
    compare.assert_same_bits(backend.to_numpy(got[1]), taps.astype(np.uint8), "offsets")
    grad = np.random.default_rng(4).integers(-8, 9, y.shape).astype(np.float32)
    want = host_gradient(backend, op, f"{count}d", grad, x, arguments)
    found = host_gradient(backend, op, f"{count}d", grad, x, arguments, indices=taps.astype(np.uint8))
    compare.assert_same_bits(found, want)


@pytest.mark.cpu_only
@pytest.mark.parametrize("shape", [(1, 700, 300), (1, 40, 70, 80), (3, 300, 200, 4)], ids=str)
def test_threads(shape):
    """Planes cut into bands: the bits do not depend on how many threads there are."""
    last = shape[-1] == 4
    suffix = "3d" if len(shape) == 4 and not last else "2d"
    arguments = {"kernel_size": 3, "stride": 2, "padding": 1} | ({"data_format": "channels_last"} if last else {})
    x = data(shape, "float32")
    y, offsets = getattr(gp, f"max_pool{suffix}")(x, **arguments, return_indices="offsets")
    grad = np.random.default_rng(4).standard_normal(y.shape).astype(np.float32)
    backward, before = getattr(gp, f"max_pool{suffix}_backward"), gp.get_num_threads()
    want = backward(grad, x, **arguments)
    try:
        for threads in (1, 2, 5):
            gp.set_num_threads(threads)
            compare.assert_same_bits(backward(grad, x, **arguments, indices=offsets), want)
    finally:
        gp.set_num_threads(before)
