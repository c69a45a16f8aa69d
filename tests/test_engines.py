"""The CPU's fast engines against its point engine: the same bits for maxima, the accuracy rule for averages."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from two_engines import same, values

import gpupool as gp

pytestmark = pytest.mark.cpu_only

DTYPES = ("float32", "uint8", "float16")


# Nearly every random window is compiled anew, for each dtype: one of them tries more than the others.
MOST_TRIALS, TRIALS = 240, 96


def trials_of(dtype):
    """How many random calls."""
    return MOST_TRIALS if dtype == "float32" else TRIALS


def random_call(rng, axes):
    """Shape and arguments of one window call over this many axes."""
    last = bool(rng.random() < 0.4)
    lengths = tuple(int(n) for n in rng.integers(5, 24, axes))
    shape = tuple(int(n) for n in rng.integers(1, 4, rng.integers(0, 3))) + lengths
    if last:
        shape += (int(rng.integers(1, 6)),)
    k = tuple(int(n) for n in rng.integers(1, 9 if axes < 3 else 4, axes))
    s = tuple(int(n) for n in rng.integers(1, 4, axes))
    p = tuple((int(rng.integers(0, n)), int(rng.integers(0, n))) for n in k)
    arguments = {"dilation": int(rng.integers(1, 3)), "ceil_mode": bool(rng.random() < 0.5)}
    arguments["data_format"] = "channels_last" if last else "channels_first"
    return shape, (k, s, p), arguments


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", ["max", "avg"])
def test_bands(engines, op, dtype):
    rng = np.random.default_rng(7)
    tried = 0
    for trial in range(trials_of(dtype)):
        axes = 1 + trial % 3
        shape, window, arguments = random_call(rng, axes)
        if op == "avg":
            arguments["count_include_pad"] = bool(rng.random() < 0.5)
        x = values(rng, shape, dtype)
        if rng.random() < 0.3:
            x = np.flip(x, tuple(a for a in range(x.ndim) if rng.random() < 0.5))
        function = getattr(gp, f"{op}_pool{axes}d")
        try:
            a, b = engines(function, x, *window, **arguments)
        except ValueError:  # a window larger than the axis, or without a real element
            continue
        same(a, b, op == "max")
        tried += 1
    assert tried > trials_of(dtype) * 5 / 8


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_divisors_without_nan(engines, dtype):
    """What means that omit NaN were divided by, counted for their gradients: the same bits from every engine."""
    rng = np.random.default_rng(17)
    tried = 0
    trials = trials_of(dtype) * 3 // 8
    for trial in range(trials):
        axes = 1 + trial % 3
        shape, window, arguments = random_call(rng, axes)
        arguments |= {"nan_policy": "omit", "count_include_pad": bool(rng.random() < 0.5)}
        arguments["divisor_override"] = int(rng.integers(1, 20)) if rng.random() < 0.3 else None
        x = values(rng, shape, dtype)
        x[rng.random(shape) < rng.choice([0.1, 0.7])] = np.nan
        try:
            y = getattr(gp, f"avg_pool{axes}d")(x, *window, **arguments)
        except ValueError:  # a window larger than the axis, or without a real element
            continue
        grad = rng.standard_normal(y.shape).astype(y.dtype)
        a, b = engines(getattr(gp, f"avg_pool{axes}d_backward"), grad, x, *window, **arguments)
        same(a, b, True)
        assert not a[np.isnan(x)].any()
        tried += 1
    assert tried > trials / 2


@pytest.mark.parametrize("limit", [0, 1 << 60])
@pytest.mark.parametrize("op", ["max", "avg"])
@pytest.mark.parametrize(
    ("way", "windows"), [("rolls", [(3, 3), (4, 1), (2, 4)]), ("is_tall", [(7, 5), (17, 1), (13, 22)])]
)
def test_windows_over_long_rows(engines, monkeypatch, way, windows, op, limit):
    """Overlapping windows: borders of any width, bands and tiles, results past the caches and not."""
    from gpupool.backends import cpu_windows

    monkeypatch.setattr(cpu_windows, "STREAMED", limit)
    monkeypatch.setattr(cpu_windows, "ROLLED_ROWS", 20)
    monkeypatch.setattr(cpu_windows, "TALL_BYTES", 1 << 17)
    went, goes = set(), getattr(cpu_windows, way)
    monkeypatch.setattr(cpu_windows, way, lambda *about: goes(*about) and not went.add(trial))
    rng = np.random.default_rng(9)
    for trial in range(24):
        k = windows[trial % len(windows)]
        height, width = int(rng.integers(18, 60)), int(rng.integers(90, 1200))
        channels = int(rng.choice([1, 3, 16, 80]))
        shape, layout = (2, height, width), "channels_first"
        if trial % 2 == 0:
            shape, layout = (2, height, max(24, width // channels), channels), "channels_last"
        arguments = {"dilation": (1, int(rng.integers(1, 3)) if k[1] < 5 else 1), "data_format": layout}
        if op == "avg":
            arguments["count_include_pad"] = bool(rng.random() < 0.5)
        padding = tuple((int(rng.integers(0, n)), int(rng.integers(0, n))) for n in k)
        x = values(rng, shape, ("float32", "float16", "uint8", "float64")[trial // 3 % 4])
        a, b = engines(getattr(gp, f"{op}_pool2d"), x, k, 1, padding, **arguments)
        same(a, b, op == "max" or x.dtype.kind != "f")
    assert len(went) >= (12 if way == "rolls" or op == "avg" else 4)


@pytest.mark.parametrize("window", [(3, 3), (2, 5), (5, 3), (13, 13), (31, 5)])
def test_strides_change_no_bit(window):
    """Sums of float64, whose last bits show the order of the elements, of the same array in other memory."""
    x = np.random.default_rng(4).standard_normal((2, 40, 80, 90))
    expected = gp.avg_pool2d(x, window, 1, 1, data_format="channels_first")
    wide = np.zeros((2, 40, 80, 180))
    wide[..., ::2] = x
    last = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    for other in (wide[..., ::2], x[:, :, ::-1].copy()[:, :, ::-1], np.asfortranarray(x), last):
        np.testing.assert_array_equal(gp.avg_pool2d(other, window, 1, 1), expected)
    np.testing.assert_array_equal(
        gp.avg_pool2d(last.transpose(0, 2, 3, 1), window, 1, 1, data_format="channels_last"),
        expected.transpose(0, 2, 3, 1),
    )


@pytest.mark.parametrize("positions", [True, "offsets"])
@pytest.mark.parametrize(
    ("shape", "window"),
    [((3, 2, 1, 300), ((2, 3), 1, 1)), ((2, 1, 1, 40), ((1, 2, 3), 1, 1)), ((2, 3, 700), ((1, 650), 1, 0))],
)
def test_positions_in_few_lines(engines, shape, window, positions):
    """One line that several rows of windows read, and windows longer than rows of them."""
    x = values(np.random.default_rng(5), shape, "float32")
    function = getattr(gp, f"max_pool{len(window[0])}d")
    padding = tuple(min(n // 2, window[2]) for n in window[0])
    same_pair(*engines(function, x, window[0], window[1], padding, return_indices=positions), positions)


@pytest.mark.parametrize("op", ["max", "avg"])
def test_uneven_windows(engines, op):
    """Windows that share axes with up to 30 positions each: one to three axes, longer results, bands of rows."""
    rng = np.random.default_rng(8)
    tall = [((2, 700, 23), (100, 7)), ((1, 90, 33, 5), (40, 4)), ((3, 61), (2,)), ((1, 5, 300, 41), (3, 90, 7))]
    tall += [((2, 12, 30, 21), (9, 20, 7)), ((1, 90, 40, 9), (60, 24, 4))]  # depths that repeat
    for trial in range(90):
        axes, last = 1 + trial % 3, trial % 4 == 0
        most = 60 if axes < 3 else 21
        shape = (*rng.integers(1, 4, 2), *rng.integers(1, most, axes), *((rng.integers(1, 20),) if last else ()))
        size = tuple(rng.integers(1, 40, axes))
        if trial < len(tall):
            shape, size = tall[trial]
            axes, last = len(size), shape[-1] == 5
        x = values(rng, tuple(map(int, shape)), DTYPES[trial % len(DTYPES)])
        x = np.asfortranarray(x) if trial % 5 == 0 else x
        function = getattr(gp, f"adaptive_{op}_pool{axes}d")
        layout = "channels_last" if last else "channels_first"
        a, b = engines(function, x, tuple(map(int, size)), data_format=layout)
        same(a, b, op == "max")


def test_repeating_depths_share_programs():
    """As many as the windows of one period: what a call keeps grows with the period, not with the volume."""
    from gpupool.backends.cpu_engines import choose_engine
    from gpupool.kernels.codecs import Plain
    from gpupool.kernels.norms import Norm1
    from gpupool.kernels.window import Adaptive, Axis, Batch, Geometry

    def kept(n, out):
        axes = [Axis(a, o, a, o, 1, 0, 0, a, 1, 1) for a, o in ((n, out), (40, 30), (8, 6))]
        g = Geometry(Batch(1, 0, 0), Batch(1, 0, 0), Batch(1, 1, 1), *axes, 0)
        kind = np.dtype(np.float32)
        return choose_engine(g, (kind, kind), (Plain(), Plain()), Norm1(), None, Adaptive()).stages[0].packed.size

    assert kept(64, 48) == kept(128, 96) - 16  # a kind of each repetition
    assert kept(97, 72) > 10 * kept(128, 96)


def same_pair(a, b, positions=True):
    """Whether two results with positions agree: the elements' bits, but for those of NaN, and all positions."""
    same(a[0], b[0], True)
    np.testing.assert_array_equal(a[1], b[1])
    assert a[1].dtype == b[1].dtype
    assert a[1].dtype == np.int64 if positions is True else a[1].dtype.kind == "u"
    assert a[1].strides == b[1].strides


def in_some_layout(rng, x):
    """The same elements flipped, in another memory order, or with gaps between them."""
    kind = rng.integers(0, 5)
    if kind == 0:
        return np.flip(x, tuple(a for a in range(x.ndim) if rng.random() < 0.5))
    if kind == 1:
        return np.asfortranarray(x)
    if kind == 2:
        wide = np.zeros(tuple(2 * n for n in x.shape), x.dtype)
        view = wide[tuple(slice(None, None, 2) for _ in x.shape)]
        view[...] = x
        return view
    return x


@pytest.mark.parametrize("positions", [True, "offsets"])
@pytest.mark.parametrize("dtype", [*DTYPES, "float64", "int64"])
def test_positions(engines, dtype, positions):
    """Random windows, layouts and NaN policies of maxima with positions, in 1-D to 3-D."""
    rng = np.random.default_rng(17)
    tried = 0
    for trial in range(trials_of(dtype)):
        axes = 1 + trial % 3
        shape, window, arguments = random_call(rng, axes)
        if rng.random() < 0.3:
            arguments["nan_policy"] = "omit"
        x = in_some_layout(rng, values(rng, shape, dtype))
        if np.dtype(dtype).kind == "f" and rng.random() < 0.2:
            x[rng.random(shape) < 0.6] = np.nan
        try:
            a, b = engines(getattr(gp, f"max_pool{axes}d"), x, *window, return_indices=positions, **arguments)
        except ValueError:  # a window larger than the axis, or without a real element
            continue
        same_pair(a, b, positions)
        tried += 1
    assert tried > trials_of(dtype) * 5 / 8


@pytest.mark.parametrize("dtype", DTYPES)
def test_indices_of_adaptive_windows(engines, dtype):
    rng = np.random.default_rng(19)
    for trial in range(trials_of(dtype) // 4):
        axes, last = 1 + trial % 3, bool(rng.random() < 0.4)
        lengths = tuple(int(n) for n in rng.integers(3, 24, axes))
        shape = (2, *lengths, int(rng.integers(1, 20))) if last else (2, 3, *lengths)
        size = tuple(int(n) for n in rng.integers(1, 26, axes))
        x = in_some_layout(rng, values(rng, shape, dtype))
        layout = "channels_last" if last else "channels_first"
        function = getattr(gp, f"adaptive_max_pool{axes}d")
        a, b = engines(function, x, size, return_indices=True, data_format=layout)
        same_pair(a, b)


@pytest.mark.parametrize("positions", [True, "offsets"])
@pytest.mark.parametrize("shape", [(2, 3, 70, 90), (1, 33, 40, 70), (1, 1, 300, 500), (2, 8, 9, 30, 41), (5, 7, 400)])
def test_positions_of_long_rows(engines, shape, positions):
    """Rows of more than one vector, bands of rows, and windows of more taps than one pass has."""
    x = values(np.random.default_rng(23), shape, "float32")
    axes = len(shape) - 2
    for window in ((2, 2, 0), (3, 2, 1), (3, 1, 1), (9, 1, 4), (11, 5, 3)):
        if min(shape[2:]) < window[0]:
            continue
        function = getattr(gp, f"max_pool{axes}d")
        same_pair(*engines(function, x, *window, return_indices=positions), positions)
        last = np.ascontiguousarray(np.moveaxis(x, 1, -1))
        arguments = {"return_indices": positions, "data_format": "channels_last"}
        same_pair(*engines(function, last, *window, **arguments), positions)


@pytest.mark.parametrize("k", [5, 8, 13, 31])
@pytest.mark.parametrize("op", ["max", "avg"])
def test_large_windows(engines, op, k):
    x = values(np.random.default_rng(k), (2, 40, 53), "float32")
    for stride in (1, 2, k):
        a, b = engines(getattr(gp, f"{op}_pool2d"), x, k, stride, k // 2)
        same(a, b, op == "max")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", ["max", "avg"])
def test_whole_planes(engines, op, dtype):
    rng = np.random.default_rng(11)
    for shape in [(3, 5), (2, 49), (3, 7, 7), (2, 33, 65), (1, 600, 700), (2, 3, 5, 6, 7)]:
        x = rng.integers(0, 100, shape).astype(dtype)
        function = getattr(gp, f"global_{op}_pool{min(len(shape) - 1, 3)}d")
        a, b = engines(function, x)
        same(a, b, op == "max")
        a, b = engines(function, np.ascontiguousarray(np.moveaxis(x, 0, -1)), data_format="channels_last")
        same(a, b, op == "max")


@pytest.mark.parametrize("op", ["max", "avg", "sum", "lp"])
def test_whole_planes_of_every_layout_agree(op):
    """Planes without gaps are read by a loop of their own, which combines as the passes do: the same bits."""
    function, rng = getattr(gp, f"global_{op}_pool2d"), np.random.default_rng(12)
    for dtype, sizes in product(["float32", "float64", "uint8"], [(27, 19), (24, 24), (56, 56), (97, 101), (520, 515)]):
        if op == "lp" and dtype == "uint8":
            continue
        x = (rng.standard_normal((2, 3, *sizes)) * 40).astype(dtype)
        framed, spaced = np.zeros((2, 3, sizes[0] + 2, sizes[1] + 3), dtype), np.zeros((2, 3, *sizes, 2), dtype)
        framed[:, :, 1:-1, 1:-2], spaced[..., 0] = x, x
        last = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
        expected = function(x)
        for other in (framed[:, :, 1:-1, 1:-2], spaced[..., 0], last, np.flip(np.flip(x, (2, 3)).copy(), (2, 3))):
            assert function(other).tobytes() == expected.tobytes(), (dtype, sizes)


def test_first_zero_wins_in_whole_planes(engines):
    x = np.full((1, 60, 60), -1, np.float32)
    x[0, 30, 7], x[0, 30, 8:] = -0.0, 0.0
    for result in engines(gp.global_max_pool2d, x):
        assert np.signbit(result).all()


def test_nan_and_infinity_do_not_leak(engines):
    x = np.ones((1, 50, 50), np.float32)
    x[0, 10, 10], x[0, 40, 40] = np.nan, np.inf
    for result in engines(gp.avg_pool2d, x, 9, 1, 4, count_include_pad=False):
        expected = np.ones((50, 50), np.float32)
        expected[6:15, 6:15], expected[36:45, 36:45] = np.nan, np.inf
        np.testing.assert_array_equal(result[0], expected)


@pytest.mark.parametrize("op", ["max", "avg"])
def test_large_windows_of_many_channels(engines, op):
    x = values(np.random.default_rng(5), (30, 41, 64), "float32")
    a, b = engines(getattr(gp, f"{op}_pool2d"), x, 13, 1, 6, data_format="channels_last")
    same(a, b, op == "max")


@pytest.mark.parametrize(
    ("function", "shape", "window", "arguments"),
    [
        ("max_pool2d", (3, 5, 61, 59), (3, 1, 1), {}),
        ("max_pool2d", (3, 64, 62), (2, 2), {}),
        ("avg_pool2d", (3, 64, 131), (3, 2, 1), {}),
        ("avg_pool2d", (40, 131, 3), (2, 2), {"data_format": "channels_last", "dtype": "uint8"}),
        ("max_pool1d", (3, 7, 1000), (3, 2), {}),
    ],
)
def test_results_past_the_caches(monkeypatch, function, shape, window, arguments):
    """Many results take another way to memory; that changes no bit, and nothing beside them."""
    from gpupool.backends import cpu, cpu_windows

    rng = np.random.default_rng(3)
    x = rng.integers(0, 256, shape).astype("uint8" if "dtype" in arguments else "float32")
    results = []
    for limit in (1 << 60, 0):
        monkeypatch.setattr(cpu_windows, "STREAMED", limit)
        monkeypatch.setattr(cpu, "_calls", {})
        y = getattr(gp, function)(x, *window, **arguments)
        for offset in (0, 1, 5):  # elements before the result, whose first cache line then begins anywhere
            memory = np.full(y.size + 40, 77, y.dtype)
            out = memory[offset : offset + y.size].reshape(y.shape)
            getattr(gp, function)(x, *window, **arguments, out=out)
            np.testing.assert_array_equal(out, y)
            assert (memory[:offset] == 77).all()
            assert (memory[offset + y.size :] == 77).all()
        results.append(y)
    np.testing.assert_array_equal(*results)
    streams = [op for call in cpu._calls.values() for op in streamed(call)]
    assert streams, "no result was written past the caches"


@pytest.mark.parametrize("positions", [True, "offsets"])
@pytest.mark.parametrize(
    ("shape", "window", "arguments"),
    [
        ((3, 5, 61, 59), (3, 1, 1), {}),
        ((2, 40, 62, 7), (2, 2), {"data_format": "channels_last"}),
        ((2, 9, 30, 33, 3), (3, 2, 1), {"data_format": "channels_last"}),
    ],
)
def test_positions_past_the_caches(monkeypatch, shape, window, arguments, positions):
    """The same for pairs of results, of which neither need begin where a cache line does."""
    from gpupool.backends import cpu, cpu_find

    x = np.random.default_rng(3).integers(0, 256, shape).astype("float32")
    arguments = {**arguments, "return_indices": positions}
    results = []
    for limit in (1 << 60, 0):
        monkeypatch.setattr(cpu_find, "STREAMED", limit)
        monkeypatch.setattr(cpu_find, "STAGED", 5000)  # some rows at a time
        monkeypatch.setattr(cpu, "_calls", {})
        pair = gp.max_pool2d(x, *window, **arguments)
        for offset in (0, 1, 5):
            memory = [np.full(part.size + 40, 77, part.dtype) for part in pair]
            out = tuple(m[offset : offset + m.size - 40].reshape(pair[0].shape) for m in memory)
            gp.max_pool2d(x, *window, **arguments, out=out)
            for m, got, part in zip(memory, out, pair, strict=True):
                np.testing.assert_array_equal(got, part)
                assert (m[:offset] == 77).all()
                assert (m[offset + part.size :] == 77).all()
        results.append(pair)
    np.testing.assert_array_equal(results[0][0], results[1][0])
    np.testing.assert_array_equal(results[0][1], results[1][1])
    assert all(staged(call) > 0 for call in cpu._calls.values()), "no result was written past the caches"


def staged(call):
    """How many rows of results with positions a call writes past the caches at a time."""
    from gpupool.kernels.cpu.find_lines import FINDING, Storing

    return call.stages[0][5][FINDING + Storing._fields.index("staged")]


def streamed(call):
    """The passes of a call that write past the caches."""
    from gpupool.kernels.cpu.passes import stream_function

    address = stream_function()
    return [word for stage in call.stages for word in stage[5] if word == address]


def tiles_of(x, windows, first):
    """The elements of each window that tiles x, as one last axis; `first` is the first pooled axis."""
    split = [n for i, n in enumerate(x.shape[:first])]
    for n, k in zip(x.shape[first:], windows, strict=False):
        split += [n // k, k]
    split += x.shape[first + len(windows) :]
    moved = x.reshape(split)
    last = [first + 1 + 2 * i for i in range(len(windows))]
    kept = [a for a in range(moved.ndim) if a not in last]
    moved = moved.transpose(kept + last)
    return moved.reshape(*moved.shape[: len(kept)], -1)


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", "uint8", "int32"])
@pytest.mark.parametrize("layout", ["first", "last", "strided", "transposed"])
@pytest.mark.parametrize("windows", [(16,), (64,), (32, 20), (24, 32), (1, 40), (2, 24, 24)], ids=str)
def test_windows_that_tile(windows, layout, dtype):
    """Large windows that tile a plane: what NumPy makes of each, and the same bits in every layout."""
    rng = np.random.default_rng(51)
    shape = (2, 3, *(n * k for n, k in zip((2, 3, 2), windows, strict=False)))
    x = values(rng, shape, dtype)
    x[np.isnan(x)] = 1 if np.dtype(dtype).kind == "f" else 0
    axes, arguments = len(windows), {"data_format": "channels_first"}
    given = x
    if layout == "last":
        given, arguments = np.ascontiguousarray(np.moveaxis(x, 1, -1)), {"data_format": "channels_last"}
    elif layout == "strided":
        room = np.zeros((*shape[:-1], 2 * shape[-1]), dtype)
        given = room[..., ::2]
        given[...] = x
    elif layout == "transposed":
        given = np.ascontiguousarray(x.T).T
    tiles = tiles_of(x, windows, 2)
    for op in ("max", "avg", "sum"):
        function = getattr(gp, f"{op}_pool{axes}d")
        got, plain = function(given, windows, windows, **arguments), function(x, windows, windows)
        got = np.moveaxis(got, -1, 1) if layout == "last" else got
        np.testing.assert_array_equal(got, plain)
        if op == "max":
            np.testing.assert_array_equal(got, tiles.max(-1))
            zeros = np.take_along_axis(tiles, (tiles == tiles.max(-1, keepdims=True)).argmax(-1)[..., None], -1)[..., 0]
            np.testing.assert_array_equal(np.signbit(got), np.signbit(zeros))
        elif np.dtype(dtype).kind == "f":
            exact = tiles.astype(np.longdouble)
            want, size = (exact.mean, 1 / tiles.shape[-1]) if op == "avg" else (exact.sum, 1)
            error = 2 * np.finfo(dtype).eps * np.abs(exact).sum(-1) * size
            assert (np.abs(got - want(-1)) <= error + np.abs(want(-1)) * np.finfo(dtype).eps).all()


SOUGHT = [
    ((3, 2, 300), (40,), (40,), 0, 1, "first"), ((2, 5, 31, 70), (7, 18), (6, 15), (3, 9), 1, "first"),
    ((2, 9, 61, 3), (3, 19), 11, (1, 4), 2, "last"), ((2, 2, 6, 40, 40), (3, 20, 20), (3, 20, 20), 0, 1, "first"),
    ((2, 3, 40, 7), (40, 7), (40, 7), 0, 1, "first"), ((1, 300, 2), (130,), 85, 0, 1, "last"),
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
@pytest.mark.parametrize("positions", [True, "offsets"])
@pytest.mark.parametrize("case", SOUGHT, ids=str)
def test_positions_that_are_sought(engines, monkeypatch, case, positions, dtype):
    """In long rows: ties, zeros of both signs, NaN in any place or everywhere, borders, dilation, few channels last."""
    from gpupool.backends import cpu_engines

    shape, k, s, p, d, layout = case
    used, sought = [], cpu_engines.is_sought
    monkeypatch.setattr(cpu_engines, "is_sought", lambda *given: used.append(sought(*given)) or used[-1])
    x = values(np.random.default_rng(52), shape, dtype)
    if np.dtype(dtype).kind == "f":
        x[0] = np.where(np.random.default_rng(53).random(x[0].shape) < 0.5, np.nan, x[0])
        x[-1, -1] = np.nan
    arguments = {"dilation": d, "return_indices": positions, "data_format": f"channels_{layout}"}
    for op in ("max", "min"):
        for policy in ("propagate", "omit"):
            function = getattr(gp, f"{op}_pool{len(k)}d")
            for a, b in zip(*engines(function, x, k, s, p, nan_policy=policy, **arguments), strict=True):
                same(a, b, True)
    assert any(used)


@pytest.mark.parametrize("positions", [True, "offsets"])
@pytest.mark.parametrize("shape", [(1, 2, 12, 10, 6), (2, 9, 30, 5), (1, 3, 7, 40, 9)], ids=str)
def test_lines_kept_from_band_to_band(engines, monkeypatch, shape, positions):
    """Short bands, of which each keeps the lines that it shares with the one before, at every depth."""
    from gpupool.backends import cpu_find

    monkeypatch.setattr(cpu_find, "BAND_BYTES", 512)
    axes = len(shape) - 2 if len(shape) == 5 else 2
    x = values(np.random.default_rng(54), shape, "float64")
    for k, s, p in ((5, 1, 2), (5, (1, 1, 2), (1, 1, 2)), (3, 1, 1), (4, (2, 1, 1), 1)):
        s = s[-axes:] if isinstance(s, tuple) else s
        p = p[-axes:] if isinstance(p, tuple) else p
        same_pair(*engines(getattr(gp, f"max_pool{axes}d"), x, k, s, p, return_indices=positions), positions)


@pytest.mark.parametrize("case", [(32, 16, 10), (48, 24, 23), (64, 32, 20)], ids=str)
def test_windows_that_only_seem_to_tile(case):
    """As many elements as all windows together have, but windows overlap."""
    n, k, s = case
    x = np.random.default_rng(55).integers(0, 99, (2, n, n)).astype(np.float32)
    rows = [x[:, o * s : o * s + k] for o in range((n - k) // s + 1)]
    assert len(rows) * k == n
    want = np.stack([np.stack([r[:, :, o * s : o * s + k].max((1, 2)) for o in range(len(rows))], 1) for r in rows], 1)
    np.testing.assert_array_equal(gp.max_pool2d(x, k, s), want)
    line = np.stack([x[:, :, o * s : o * s + k].sum(-1) for o in range(len(rows))], -1)
    np.testing.assert_array_equal(gp.sum_pool1d(x, k, s), line)
