# ruff: noqa: ARG005 (a function takes what its role gives it)
"""Reducers of the user's own on every backend: results, windows, the disk cache, and errors that say whose they are."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest

import gpupool as gp

STEP = 2.0


def higher(a, b):
    return a if a > b else b


def join(a, b):
    high = higher(a[0], b[0])
    return (high, a[1] * math.exp(a[0] - high) + b[1] * math.exp(b[0] - high))


LOG_SUM_EXP = gp.Reducer("log_sum_exp", lambda v: (v, 1.0), join, lambda acc, count: acc[0] + math.log(acc[1]))
GEOMETRIC = gp.Reducer(
    "geometric_mean", lambda v: math.log(v), lambda a, b: a + b, lambda acc, count: math.exp(acc / count), neutral=0.0
)
RANGE = gp.Reducer(
    "range",
    lambda v: (v, v),
    lambda a, b: (a[0] if a[0] < b[0] else b[0], higher(a[1], b[1])),
    lambda acc, count: acc[1] - acc[0],
    neutral=(math.inf, -math.inf),
)
LAST = gp.Reducer("last", lambda v: v, lambda a, b: b, lambda acc, count: acc, ordered=True)
SCALED = gp.Reducer("scaled", lambda v: v * STEP, lambda a, b: a + b, lambda acc, count: acc / count, neutral=-0.0)
THREE = gp.Reducer(
    "third_moment",
    lambda v: (v, v * v, v * v * v),
    lambda a, b: (a[0] + b[0], a[1] + b[1], a[2] + b[2]),
    lambda acc, count: acc[2] / count + acc[1] + acc[0],
    neutral=(0.0, 0.0, 0.0),
)


def soft_max(beta):
    """Soft-max pooling: the mean weighted by exp(beta * v)."""
    return gp.Reducer(
        "soft_max",
        lambda v: (v * math.exp(beta * v), math.exp(beta * v)),
        lambda a, b: (a[0] + b[0], a[1] + b[1]),
        lambda acc, count: acc[0] / acc[1],
        neutral=(0.0, 0.0),
    )


def weighted(window, beta):
    weights = np.exp(beta * window)
    return (window * weights).sum() / weights.sum()


EXPECTED = {
    LOG_SUM_EXP: lambda w: np.log(np.exp(w).sum()),
    GEOMETRIC: lambda w: np.exp(np.log(w).mean()),
    RANGE: lambda w: w.max() - w.min(),
    LAST: lambda w: w.ravel()[-1],
    SCALED: lambda w: 2 * w.mean(),
    THREE: lambda w: (w**3).mean() + (w**2).sum() + w.sum(),
    soft_max(1.5): lambda w: weighted(w, 1.5),
    soft_max(-0.5): lambda w: weighted(w, -0.5),
}
CALLS = (((2, 2), {}), ((3, 2), {"stride": (2, 1), "padding": 1}), ((6, 8), {}))


def expected(x, function, window, stride=None, padding=0):
    """By slices of the array, padding left out."""
    k, s = np.array(window), np.array(stride or window)
    lengths = (np.array(x.shape) + 2 * padding - k) // s + 1
    result = np.empty(lengths)
    for at in np.ndindex(*lengths):
        lo = np.array(at) * s - padding
        inside = tuple(slice(max(a, 0), max(a + n, 0)) for a, n in zip(lo, k, strict=True))
        result[at] = function(x[inside].astype(np.float64))
    return result


@pytest.mark.every_engine
@pytest.mark.parametrize("reducer", EXPECTED, ids=lambda r: f"{r.name}")
def test_reducer(backend, reducer):
    """Tiles, overlap with padding, and a whole plane."""
    x = np.random.default_rng(3).random((6, 8)).astype(np.float32) + np.float32(0.25)
    for window, arguments in CALLS:
        got = backend.to_numpy(gp.pool(backend.array(x), reducer, window, **arguments))
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, expected(x, EXPECTED[reducer], window, **arguments), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "float64", "int32", "float16"])
def test_dtypes(backend, dtype):
    """Elements arrive as float64; the result's dtype is an average's, or the one that is asked for."""
    x = np.arange(1, 13).reshape(3, 4).astype(dtype)
    got = backend.to_numpy(gp.pool(backend.array(x), RANGE, (3, 2)))
    assert got.dtype == gp.avg_pool2d(x, 1).dtype
    np.testing.assert_array_equal(got, [[9, 9]])
    whole = backend.to_numpy(gp.pool(backend.array(x), SCALED, (3, 4), dtype="int16"))
    np.testing.assert_array_equal(whole, np.array([[13]], np.int16), strict=True)


def test_count_is_of_elements(backend):
    """Padding never counts; a divisor_override is handed over as it is."""
    x = backend.array(np.ones(4))
    counted = gp.Reducer("counted", lambda v: v, lambda a, b: a + b, lambda acc, count: count * 1.0)
    assert backend.to_numpy(gp.pool(x, counted, 3, stride=1, padding=1)).tolist() == [2, 3, 3, 2]
    assert backend.to_numpy(gp.pool(x, counted, 2, divisor_override=7)).tolist() == [7, 7]


def test_one_name_two_reducers(backend):
    """Reducers are told apart by what they do; equal ones are the same."""
    x = backend.array(np.array([1.0, 2.0]))

    def plus(n):
        return gp.Reducer("plus", lambda v: v + n, lambda a, b: a + b, lambda acc, count: acc)

    made = [plus(1), plus(10)]
    assert [float(backend.to_numpy(gp.pool(x, red, 2))[0]) for red in made] == [5.0, 23.0]
    assert made[0] != made[1]
    assert soft_max(2.0) == soft_max(2.0)
    assert hash(soft_max(2.0)) == hash(soft_max(2.0))
    assert repr(LAST) == "Reducer('last')"


def add(a, b):
    return a + b


def as_it_is(acc, count):
    return acc


class NoFunction:
    def __call__(self, v):
        return v


TABLE = [1, 2]


def endless(v):
    return endless(v - 1)


BAD = [
    ("name", lambda: gp.Reducer("no name", abs, add, as_it_is), ValueError, "no name"),
    ("name", lambda: gp.Reducer(3, abs, add, as_it_is), ValueError, "3"),
    ("ordered", lambda: gp.Reducer("r", lambda v: v, add, as_it_is, ordered=1), TypeError, "'r'"),
    ("seed", lambda: gp.Reducer("r", abs, add, as_it_is), TypeError, "'r'"),
    ("seed", lambda: gp.Reducer("r", NoFunction(), add, as_it_is), TypeError, "plain Python function"),
    ("seed", lambda: gp.Reducer("r", add, add, as_it_is), TypeError, "1 argument"),
    ("combine", lambda: gp.Reducer("r", lambda v: v, lambda a: a, as_it_is), TypeError, "2 argument"),
    ("finish", lambda: gp.Reducer("r", lambda v: v, add, lambda acc, count=1: acc), TypeError, ""),
    ("seed", lambda: gp.Reducer("r", lambda v: nowhere, add, as_it_is), TypeError, "NameError"),  # noqa: F821
    ("seed", lambda: gp.Reducer("r", lambda v: math.log(-v), add, as_it_is), ValueError, "math domain"),
    ("seed", lambda: gp.Reducer("r", lambda v: [v], add, as_it_is), TypeError, "tuple"),
    ("seed", lambda: gp.Reducer("r", lambda v: (v,), add, as_it_is), TypeError, "2 to 8"),
    ("seed", lambda: gp.Reducer("r", lambda v: (v, v) if v > 1 else v, add, as_it_is), TypeError, "same types"),
    ("seed", lambda: gp.Reducer("r", lambda v: TABLE[0] + v, add, as_it_is), TypeError, "TABLE"),
    ("seed", lambda: gp.Reducer("r", endless, add, as_it_is), TypeError, "endless"),
    ("combine", lambda: gp.Reducer("r", lambda v: (v, v), lambda a, b: a, as_it_is), TypeError, "finish"),
    ("combine", lambda: gp.Reducer("r", lambda v: (v, v), lambda a, b: 1.0, lambda a, c: 1.0), TypeError, "got 1.0"),
    ("combine", lambda: gp.Reducer("r", lambda v: v, lambda a, b: a[0], as_it_is), TypeError, "failed"),
    ("finish", lambda: gp.Reducer("r", lambda v: v, add, lambda acc, count: "1"), TypeError, "a number"),
    ("neutral", lambda: gp.Reducer("r", lambda v: v, add, as_it_is, neutral=1.0), ValueError, "change no"),
    ("neutral", lambda: gp.Reducer("r", lambda v: v, add, as_it_is, neutral=(0, 0)), TypeError, "like seed"),
]


@pytest.mark.parametrize(("word", "make", "exception", "text"), BAD, ids=range(len(BAD)))
def test_refused_when_made(word, make, exception, text):
    """Errors in the user's functions name the reducer and the function."""
    with pytest.raises(exception) as caught:
        make()
    assert type(caught.value) is exception
    message = str(caught.value)
    assert text in message
    assert word in message or (word, text) == ("combine", "finish")
    assert "\n" not in message


@pytest.mark.parametrize("role", ["seed", "combine", "finish"])
def test_refused_when_compiled(backend, role):
    """What runs as Python and not as a kernel: an error before anything is written."""
    functions = {"seed": lambda v: v, "combine": add, "finish": as_it_is}
    bad = {
        "seed": lambda v: v if v < 1e30 else v.hex(),
        "combine": lambda a, b: a + b if a < 1e30 else a.hex(),
        "finish": lambda acc, count: acc if acc < 1e30 else acc.hex(),
    }
    functions[role] = bad[role]
    reducer = gp.Reducer("strange", *functions.values())
    x, out = backend.array(np.ones((2, 4))), backend.array(np.full((2, 2), 7.0))
    options = {} if backend.immutable else {"out": out}
    with pytest.raises(TypeError, match=f"^pool: reducer 'strange': {role} does not compile: .*hex"):
        gp.pool(x, reducer, 2, axes=1, **options)
    assert (backend.to_numpy(out) == 7).all()


def test_refused_by_the_first_steps_of_the_compiler(backend):
    """What is not even read: an error of the same kind."""
    reducer = gp.Reducer("shown", lambda v: float(f"{v:.3f}"), add, as_it_is)
    with pytest.raises(TypeError, match=r"^pool: reducer 'shown': seed does not compile: .*f-string"):
        gp.pool(backend.array(np.ones((2, 4))), reducer, 2, axes=1)


def test_refused_in_pool(backend):
    x = backend.array(np.ones((2, 4)))
    with pytest.raises(TypeError, match="op must be a string or a Reducer"):
        gp.pool(x, add, 2)
    with pytest.raises(TypeError, match="no parameter 'beta'"):
        gp.pool(x, LAST, 2, beta=1)
    with pytest.raises(ValueError, match="nan_policy must be 'propagate' for 'last'"):
        gp.pool(x, LAST, 2, nan_policy="omit")


PROGRAM = """
import math, sys, time
import numpy as np
import gpupool as gp

power = float(sys.argv[1])
made = gp.Reducer("power", lambda v: v ** power, lambda a, b: a + b, lambda acc, count: acc / count, neutral=-0.0)
print(gp.pool(np.arange(8.0), made, 2).tolist(), gp.pool(np.ones(3000) * 2, made, 3000).tolist())
from gpupool.kernels.cpu import cache
print(len(list((cache.cache_folder() / "cpu").glob("*"))))
"""


@pytest.mark.cpu_only
def test_kept_on_disk(tmp_path):
    """The next process finds the kernels; other values of an enclosing function make other kernels."""

    def run(power):
        environment = {**os.environ, "GPUPOOL_CACHE_DIR": str(tmp_path)}
        command = [sys.executable, "-W", "error", "-c", PROGRAM, str(power)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 0, done.stderr
        values, count = done.stdout.splitlines()
        return values, int(count)

    first, count = run(2)
    assert first == "[0.5, 6.5, 20.5, 42.5] [4.0]"
    assert run(2) == (first, count)
    other, more = run(1)
    assert other == "[0.5, 2.5, 4.5, 6.5] [2.0]"
    assert more > count
