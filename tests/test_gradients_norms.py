"""Gradients of Lp norms on the CPU: both engines agree, and take over from each other where a type is too narrow."""

import numpy as np
import pytest

import gpupool as gp
from gpupool.backends import cpu_many, cpu_powers

pytestmark = pytest.mark.cpu_only

TOLERANCE = {"float64": 1e-12, "float32": 3e-6, "float16": 4e-3, "bfloat16": 3e-2}


@pytest.fixture
def taken(monkeypatch):
    """The types and the engines that were prepared, in their order."""
    names = []
    parts, gather = cpu_powers.parts_engine, cpu_powers.gather_engine

    def in_parts(plan, form, packed, acc):
        names.append(acc.name)
        return parts(plan, form, packed, acc)

    def gathered(plan, form, packed):
        names.append("gather")
        return gather(plan, form, packed)

    monkeypatch.setattr(cpu_powers, "parts_engine", in_parts)
    monkeypatch.setattr(cpu_powers, "gather_engine", gathered)
    monkeypatch.setattr(cpu_many, "_calls", {})
    return names


def gathered(monkeypatch, call):
    """What the call gives element by element."""
    gather = cpu_powers.gather_engine
    with monkeypatch.context() as patch:
        patch.setattr(cpu_powers, "parts_engine", lambda plan, form, packed, _: gather(plan, form, packed))
        patch.setattr(cpu_powers, "tile_axes", lambda _: None)
        patch.setattr(cpu_many, "_calls", {})
        return call()


def dtype_of(name):
    """A dtype by its name, NumPy's or not."""
    return np.dtype(getattr(__import__("ml_dtypes"), name) if name == "bfloat16" else name)


WINDOWS = [
    ("2d", (2, 3, 19, 35), {"kernel_size": 3, "stride": 2, "padding": 1}),
    ("2d", (3, 18, 40), {"kernel_size": 3, "stride": 1}),
    ("2d", (2, 9, 14, 5), {"kernel_size": 3, "stride": 2, "data_format": "channels_last"}),
    ("2d", (2, 12, 17), {"kernel_size": (3, 2), "stride": (1, 3), "ceil_mode": True}),
    ("1d", (4, 31), {"kernel_size": 4, "stride": 3, "dilation": 2, "padding": 2}),
    ("3d", (2, 5, 6, 7), {"kernel_size": (2, 3, 6), "stride": (1, 2, 5)}),
]


TILES = [
    ("2d", (2, 4, 31), {"kernel_size": 2}),
    ("2d", (2, 11, 33, 3), {"kernel_size": (1, 3), "stride": (2, 4), "data_format": "channels_last"}),
    ("1d", (4, 61), {"kernel_size": 6}),
    ("3d", (2, 4, 7, 10), {"kernel_size": 2, "stride": (2, 2, 3)}),
]


def check_engines(monkeypatch, dtype, p, window):
    """The engine that a call gets and element by element, with zeros, whole windows of them, NaN and infinities."""
    suffix, shape, arguments = window
    rng = np.random.default_rng(7)
    forward, backward = getattr(gp, f"lp_pool{suffix}"), getattr(gp, f"lp_pool{suffix}_backward")
    for special in (False, True):
        x = np.maximum(rng.standard_normal(shape), -0.3).astype(dtype_of(dtype))
        x[rng.random(shape) < 0.2] = 0
        x[:, : shape[1] // 2] = 0
        grad = rng.standard_normal(forward(x, p, **arguments).shape).astype(x.dtype)
        if special:
            x[rng.random(shape) < 0.02], x[rng.random(shape) < 0.02] = np.nan, np.inf
            grad[rng.random(grad.shape) < 0.05] = -np.inf
        got = backward(grad, x, p, **arguments).astype(np.float64)
        want = gathered(monkeypatch, lambda: backward(grad, x, p, **arguments)).astype(np.float64)  # noqa: B023
        largest = np.abs(want[np.isfinite(want)]).max()  # shares of both signs cancel
        np.testing.assert_allclose(got, want, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype] * largest)


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("p", [1, 2, 3, 4, 10, 2.5, 0.5])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_both_engines_agree(monkeypatch, taken, dtype, p, window):
    """In parts and element by element."""
    check_engines(monkeypatch, dtype, p, window)
    assert (taken[0] == "gather") == (dtype == "float64" and p not in (1, 2, 3, 4))


@pytest.mark.parametrize("window", TILES, ids=str)
@pytest.mark.parametrize(("dtype", "p"), [("float32", 3), ("float32", 4), ("float32", 2.5), ("bfloat16", 0.5)])
def test_windows_apart(monkeypatch, dtype, p, window):
    """In one pass from x alone, and element by element."""
    calls, engine = [], cpu_powers.brief_in_tiles
    monkeypatch.setattr(cpu_powers, "brief_in_tiles", lambda *a: calls.append(a) or engine(*a))
    monkeypatch.setattr(cpu_many, "_calls", {})
    check_engines(monkeypatch, dtype, p, window)
    assert calls


@pytest.mark.parametrize("p", [1, 2, 3, 4, 10, 2.5, 0.5])
@pytest.mark.parametrize("grad_size", [1e-38, 1.0, 1e30])
@pytest.mark.parametrize("size", [1e-36, 1e-12, 1.0, 1e12, 1e36])
def test_any_size(taken, p, size, grad_size):
    """float32 of any size, held to float64: no product or quotient on the way leaves its type."""
    rng = np.random.default_rng(3)
    x = (rng.standard_normal((2, 9, 13)) * size).astype(np.float32)
    grad = (rng.uniform(0.5, 1.0, (2, 4, 6)) * grad_size).astype(np.float32)
    got = gp.lp_pool2d_backward(grad, x, p, 3, 2)
    assert taken
    share = gp.lp_pool2d_backward(grad / np.float64(grad_size), x / np.float64(size), p, 3, 2)
    with np.errstate(over="ignore"):
        want = (share * grad_size).astype(np.float32)
    np.testing.assert_allclose(got, want, rtol=2e-5, atol=4e-45)


@pytest.mark.parametrize(
    ("dtype", "p", "size", "engines"),
    [
        ("float32", 3, 1.0, ["float32"]),
        ("float32", 3, 1e-30, ["float32", "float64"]),
        ("float32", 10, 1.0, ["float64"]),
        ("float32", 10, 1e-30, ["float64", "gather"]),
        ("float64", 4, 1.0, ["float64"]),
        ("float64", 4, 1e60, ["float64", "gather"]),
        ("float64", 2.5, 1.0, ["gather"]),
        ("float32", 2, np.inf, ["float32", "float64", "gather"]),
        ("float32", np.inf, 1.0, ["gather"]),
    ],
)
def test_what_takes_over(taken, dtype, p, size, engines):
    """The first engine that is wide enough; zeros and windows of zeros need no other."""
    x = np.full((3, 9), size, dtype)
    x[0, 0], x[2] = 0, 0
    got = gp.lp_pool1d_backward(np.ones((3, 4), dtype), x, p, 3, 2)
    assert taken == engines
    assert np.isfinite(got).all()
    assert (got[2] == 0).all()


@pytest.mark.parametrize("p", [1, 2, 2.5])
def test_nothing_for_nan_outside_of_windows(p):
    """Columns that no window takes in, of windows that overlap along the other axis."""
    x = np.ones((1, 8, 9), np.float32)
    x[..., 2], x[..., 5], x[..., 8] = np.nan, -np.inf, 3.0
    got = gp.lp_pool2d_backward(np.ones((1, 6, 3), np.float32), x, p, (3, 2), (1, 3))
    assert got.shape == x.shape
    inside = np.zeros(x.shape, bool)
    inside[..., [0, 1, 3, 4, 6, 7]] = True
    assert (got[inside] > 0).all()
    assert (got[~inside] == 0).all()


@pytest.mark.parametrize("threads", [1, 3])
def test_many_pieces(monkeypatch, threads):
    """Norms are computed some planes at a time: the bits are the same."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal((7, 60, 70)).astype(np.float32)
    grad = rng.standard_normal((7, 58, 68)).astype(np.float32)
    before = gp.get_num_threads()
    try:
        gp.set_num_threads(threads)
        whole = gp.lp_pool2d_backward(grad, x, 2, 3, 1)
        monkeypatch.setattr(cpu_powers, "CHUNK", 1 << 15)
        np.testing.assert_array_equal(gp.lp_pool2d_backward(grad, x, 2, 3, 1), whole)
    finally:
        gp.set_num_threads(before)
