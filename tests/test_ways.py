"""The ways that large windows, few planes and rows of many channels take on the CPU, against the plain ones."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from two_engines import same, values

import gpupool as gp

pytestmark = pytest.mark.cpu_only

MANY = 40  # channels that are worth a vector loop


def cleared(monkeypatch, module, **changed):
    """The module with other thresholds, and no calls prepared with the old ones."""
    from gpupool.backends import cpu, cpu_many

    for name, value in changed.items():
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(cpu, "_calls", {})
    monkeypatch.setattr(cpu_many, "_calls", {})


def last_first(x):
    """Channels last from channels first, dense."""
    return np.ascontiguousarray(np.moveaxis(x, 1, -1))


@pytest.mark.parametrize("op", ["max", "avg"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
def test_large_windows_that_share_nothing(engines, op, dtype):
    """Windows of 5 to 70 taps, tiles or with gaps between them, in every memory order."""
    rng, pool = np.random.default_rng(3), getattr(gp, f"{op}_pool2d")
    for k in (5, 9, 11, 16, 26, (3, 67), (70, 5)):
        for gap in (0, 3):
            kh, kw = (k, k) if isinstance(k, int) else k
            s = kh + gap, kw + gap
            shape = (2, MANY if kh < 20 else 3, 2 * s[0] + 1, 3 * s[1] + 2)
            x = values(rng, shape, dtype)
            a, b = engines(pool, x, k, s)
            same(a, b, op == "max" or dtype == "uint8")
            for other in engines(pool, last_first(x), k, s, data_format="channels_last")[1:]:
                np.testing.assert_array_equal(np.moveaxis(other, -1, 1), b)


@pytest.mark.parametrize(
    ("op", "dtype"),
    [*((op, dtype) for op in ("max", "min", "avg") for dtype in ("float32", "float16", "int32")), ("lp", "float32")],
)
def test_few_planes_of_many_channels(monkeypatch, op, dtype):
    """Planes whose chains several threads share: the same bits as in one part, and as channels first."""
    from gpupool.backends import cpu_whole

    rng = np.random.default_rng(4)
    pool, given = getattr(gp, f"global_{op}_pool2d"), (2.0,) if op == "lp" else ()
    went, goes = [], cpu_whole.Chains.program
    monkeypatch.setattr(cpu_whole.Chains, "program", lambda *about: went.append(about) or goes(*about))
    for shape in ((1, 61, 57, 16), (2, 1, 5000, 48), (1, 33, 33, 16), (3, 40, 40, 70), (1, 1025, 1, 16)):
        x = -np.abs(values(rng, shape, dtype)) if op == "max" else values(rng, shape, dtype)
        x[..., ::2] = 0.0 if dtype == "int32" else np.where(rng.random(x[..., ::2].shape) < 0.5, 0.0, -0.0)
        results = []
        for least in (0, 1 << 60):
            cleared(monkeypatch, cpu_whole, LARGE_PLANE=least)
            results.append(pool(x, *given, data_format="channels_last").tobytes())
        first = pool(np.ascontiguousarray(np.moveaxis(x, -1, 1)), *given)
        assert results[0] == results[1] == last_first(first).tobytes()
    assert went


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
def test_long_uneven_windows(engines, dtype):
    """Windows in lanes: every value, the first of equal zeros, NaN."""
    rng = np.random.default_rng(5)
    for shape, out in (((3, 2, 1000), (7,)), ((2, 45, 331), (4, 9)), ((2, 3, 20, 5, 300), (3, 2, 7))):
        x = values(rng, shape, dtype)
        x[x == 1] = 0
        pool = getattr(gp, f"adaptive_max_pool{len(out)}d")
        for z in (x, x[..., ::-1], np.minimum(x, 0)):
            same(*engines(pool, z, out), True)


def gradients_both_ways(monkeypatch, module, name, other, call):
    """A gradient as it is computed, and with another function in place of the module's; what the first one gave."""
    asked, known = [], getattr(module, name)
    with monkeypatch.context() as patch:
        cleared(patch, module, **{name: lambda *about: asked.append(known(*about)) or asked[-1]})
        one = call()
        cleared(patch, module, **{name: other})
        return one, call(), any(asked)


@pytest.mark.parametrize("op", ["avg", "sum", "lp"])
@pytest.mark.parametrize("chunk", [1 << 9, 1 << 21])
def test_mirrored_windows(monkeypatch, op, chunk):
    """Gradients at stride 1, as sums of windows and row by row."""
    from gpupool.backends import cpu_gradients, cpu_mirror, cpu_powers

    monkeypatch.setattr(cpu_mirror, "CHUNK", chunk)
    monkeypatch.setattr(cpu_powers, "CHUNK", chunk)
    rng, mirrored = np.random.default_rng(6), 0
    for trial in range(48):
        axes = 1 + trial % 3
        lengths = tuple(int(n) for n in rng.integers(4, 30 if axes < 3 else 9, axes))
        shape, last = (int(rng.integers(1, 6)), 2, *lengths), trial % 2 == 0
        k = tuple(int(rng.integers(1, min(9, n) + 1)) for n in lengths)
        arguments = {"padding": tuple((int(rng.integers(0, n)), int(rng.integers(0, n))) for n in k)}
        if op == "avg":
            arguments |= {"count_include_pad": bool(trial % 4 < 2)} if trial % 5 else {"divisor_override": 3}
        dtype = ("float32", "float64", "float16")[trial // 3 % 3] if op != "lp" else "float64"
        x = rng.standard_normal(shape).astype(dtype)
        given = (2.0, k, 1) if op == "lp" else (k, 1)
        if last:
            x, arguments["data_format"] = last_first(x), "channels_last"
        grad = rng.standard_normal(getattr(gp, f"{op}_pool{axes}d")(x, *given, **arguments).shape).astype(dtype)
        call = partial(getattr(gp, f"{op}_pool{axes}d_backward"), grad, x, *given, **arguments)
        module = cpu_powers if op == "lp" else cpu_gradients
        one, other, asked = gradients_both_ways(monkeypatch, module, "mirrored", lambda *_: None, call)
        mirrored += asked
        bound = 16 * np.finfo(dtype).eps * max(1.0, float(np.abs(other).max()))
        np.testing.assert_allclose(one, other, rtol=16 * np.finfo(dtype).eps, atol=bound, err_msg=str(arguments))
    assert mirrored > 20


@pytest.mark.parametrize("op", ["avg", "lp"])
def test_chunks_of_planes(monkeypatch, op):
    """The same bits for any number of threads, where one thread's chunks are all planes but one."""
    from gpupool import threads
    from gpupool.backends import cpu_mirror, cpu_powers

    rng, planes, windows = np.random.default_rng(9), 65, 39
    for module in (cpu_mirror, cpu_powers):
        cleared(monkeypatch, module, CHUNK=8 * windows * (planes - 1))
    x, grad = rng.standard_normal((planes, 44)), rng.standard_normal((planes, windows))
    given, arguments = ((10, 1), {"count_include_pad": False}) if op == "avg" else ((2.0, 10, 1), {})
    results = set()
    for n in (1, 2):
        monkeypatch.setattr(threads, "_count", n)
        results.add(getattr(gp, f"{op}_pool1d_backward")(grad, x, *given, padding=((1, 3),), **arguments).tobytes())
    assert len(results) == 1


@pytest.mark.parametrize("op", ["max", "avg", "lp", "adaptive_max", "adaptive_avg"])
def test_an_only_axis_as_rows(monkeypatch, op):
    """Gradients of sequences of many channels, as rows of channels and as one row."""
    from gpupool.backends import cpu_many

    rng, upright = np.random.default_rng(7), 0
    for given in ((3, 2), (3, 1, 1), (7, 2, 3), (4, 9)):
        given = (2.0, *given[:2]) if op == "lp" else (given[0] * 4,) if op.startswith("adaptive") else given
        x = rng.integers(-3, 4, (3, 61, 150)).astype(np.float32)
        forward, backward = getattr(gp, f"{op}_pool1d"), getattr(gp, f"{op}_pool1d_backward")
        grad = rng.standard_normal(forward(x, *given, data_format="channels_last").shape).astype(np.float32)
        call = partial(backward, grad, x, *given, data_format="channels_last")
        one, other, asked = gradients_both_ways(monkeypatch, cpu_many, "is_upright", lambda *_: False, call)
        upright += asked
        if op.endswith("max"):
            np.testing.assert_array_equal(one, other)
            where = forward(x, *given, data_format="channels_last", return_indices=True)[1]
            np.testing.assert_array_equal(backward(grad, x, *given, data_format="channels_last", indices=where), one)
        else:
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
    assert upright >= 2


def test_bands_of_large_windows():
    """One band where each would go through all windows; the same bits whatever the number of threads."""
    rng, before = np.random.default_rng(8), gp.get_num_threads()
    calls = [
        ("max_pool2d", (1, 112, 40, 16), (7, 1, 3)), ("max_pool3d", (1, 20, 18, 17, 32), (7, 1, 0)),
        ("global_max_pool2d", (1, 300, 200, 20), ()), ("adaptive_max_pool2d", (1, 225, 60, 16), (7,)),
        ("max_pool2d", (2, 400, 50, 8), (3, 2, 1)),
    ]  # fmt: skip
    try:
        for name, shape, given in calls:
            x = rng.integers(0, 50, shape).astype(np.float32)
            y = getattr(gp, name)(x, *given, data_format="channels_last")
            grad, results = rng.standard_normal(y.shape).astype(np.float32), []
            for threads in (1, 2, 3, 8):
                gp.set_num_threads(threads)
                results.append(getattr(gp, f"{name}_backward")(grad, x, *given, data_format="channels_last").tobytes())
            assert len(set(results)) == 1, name
    finally:
        gp.set_num_threads(before)


def test_how_many_bands():
    """As many as threads can use, and none for windows that each band would need."""
    from gpupool.backends.cpu_bands import Bands
    from gpupool.kernels.cpu.frame import FRAME, Frame
    from gpupool.threads import PIECES_PER_THREAD

    def bands(rows, windows, first, count, finds):
        f = Frame(1, 1, 1, rows, 50, 1, windows, 50, *(1,) * 3, 0, *(0,) * 9)
        packed = np.zeros(FRAME + 5 + 2 * rows, np.int64)
        packed[FRAME + 5 :] = [*first, *count]
        return Bands(f, packed, finds)()

    before = gp.get_num_threads()
    try:
        gp.set_num_threads(4)
        assert bands(100, 100, range(100), [1] * 100, True) in range(8, 4 * PIECES_PER_THREAD + 1, 4)
        assert bands(100, 1, [0] * 100, [1] * 100, True) == 1
        assert bands(100, 1, [0] * 100, [1] * 100, False) > 1
        assert bands(3, 3, range(3), [1] * 3, True) == 3
        gp.set_num_threads(1)
        assert bands(100, 100, range(100), [1] * 100, True) == 1
    finally:
        gp.set_num_threads(before)


@pytest.mark.parametrize("mode", [True, "offsets"])
def test_positions_of_an_only_axis_as_rows(monkeypatch, mode):
    """Maxima of long sequences of many channels, and where they lie: as rows of channels and as one row."""
    from gpupool.backends import cpu_find

    rng, went, goes = np.random.default_rng(9), [], cpu_find.is_upright
    monkeypatch.setattr(cpu_find, "is_upright", lambda *about: went.append(goes(*about)) or went[-1])
    for shape, dtype in (((3, 61, MANY), "float32"), ((2, 2, 50, MANY + 1), "float16"), ((1, 200, 64), "uint8")):
        for k, s, padding in ((3, 1, 1), (3, 2, 0), (5, 2, 2), (2, 2, 0), (4, 3, ((1, 0),))):
            x, results = values(rng, shape, dtype), []
            for least in (0, 1 << 60):
                cleared(monkeypatch, cpu_find, LONG_ROW=least)
                y, where = gp.max_pool1d(x, k, s, padding, return_indices=mode, data_format="channels_last")
                results.append((y.tobytes(), where.tobytes()))
            assert results[0] == results[1]
    assert any(went)


def test_short_rows_past_the_caches(monkeypatch):
    """Rows that fill no line of the caches wait for the next one, in room of their own: what lies behind it stays."""
    from gpupool.backends import cpu_program, cpu_windows

    middle, rolled = 1 << 15, []

    def take(program, size):
        """Large buffers end, and small ones begin in the middle: what the rolled rows wait in is before the borders."""
        if size > 1024:
            rolled.append(size)
            program.bytes = 2 * middle
            return middle - size
        program.bytes += size
        return middle + program.bytes - size

    monkeypatch.setattr(cpu_program.Program, "_take", take)
    cleared(monkeypatch, cpu_windows, STREAMED=0)
    x = np.random.default_rng(8).integers(0, 256, (6, 24, 110)).astype(np.int16)
    padded = np.pad(x.astype(int), ((0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
    want = np.rint(windows.sum((3, 4)) / 9).astype(np.uint8)
    room = np.zeros(x.size + 128, np.uint8)
    for offset in range(64):
        out = room[-room.ctypes.data % 64 + offset :][: x.size].reshape(x.shape)
        np.testing.assert_array_equal(gp.avg_pool2d(x, 3, 1, 1, dtype="uint8", out=out), want)
    assert rolled
