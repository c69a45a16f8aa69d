"""Windows that follow from the length of the result: the rule itself, which engine runs, and what is refused."""

from fractions import Fraction
from math import ceil, floor

import numpy as np
import pytest
import reference
from compare import assert_answer, assert_same_bits
from test_errors import assert_error, fails

import gpupool as gp
from gpupool.kernels.window import SLIDING, Adaptive, Axis, adaptive_longest, adaptive_range, first_tap
from gpupool.plan import make_plan
from gpupool.request import Request

FLOAT32 = np.dtype(np.float32)


def plan(shape, size, **arguments):
    """The plan of an adaptive maximum."""
    return make_plan(Request("test", "max", None, spatial=len(shape), output_size=size, **arguments), shape, FLOAT32)


@pytest.mark.parametrize("n", range(1, 14))
def test_the_rule_of_adaptive_windows(n):
    """PyTorch's: from floor(i n / out) to ceil((i + 1) n / out); together they take in every element."""
    for out in range(1, 2 * n + 3):
        ranges = [adaptive_range(n, out, i) for i in range(out)]
        assert ranges == [(floor(Fraction(i * n, out)), ceil(Fraction((i + 1) * n, out))) for i in range(out)]
        assert {p for start, stop in ranges for p in range(start, stop)} == set(range(n))
        lengths = [stop - start for start, stop in ranges]
        assert min(lengths) >= 1
        assert max(lengths) <= adaptive_longest(n, out) <= max(lengths) + 1
        assert [len(w) for w, _ in reference.adaptive_windows(n, out)] == lengths


@pytest.mark.parametrize(("n", "size", "k", "s", "out"), [(12, 4, 3, 3, 4), (12, 1, 12, 1, 1), (12, 12, 1, 1, 12)])
def test_what_divides_evenly_is_an_ordinary_window(n, size, k, s, out):
    """So that the fast engines run it."""
    even = plan((n, n), (size, 1), indices=True)
    assert even.rule is SLIDING
    a = even.pooled[0]
    assert (a.k, a.s, a.d, a.before, a.after, a.out) == (k, s, 1, 0, 0, out)
    uneven = plan((n, 13), (size, 4), indices=True)
    assert type(uneven.rule) is Adaptive
    assert uneven.out_shape == (size, 4)


def test_an_axis_that_is_kept_is_not_pooled():
    """None, and its own length: only the others have windows."""
    assert [a.axis for a in plan((5, 7, 9), (None, 3, 9)).pooled] == [1]


def test_even_sizes_give_the_bits_of_ordinary_windows(backend):
    """Adaptive pooling to a divisor is the ordinary operator, to 1 the global one."""
    values = np.random.default_rng(3).standard_normal((2, 3, 6, 8)).astype(np.float32)
    x, host = backend.array(values), backend.to_numpy
    assert_same_bits(host(gp.adaptive_avg_pool2d(x, (3, 2))), host(gp.avg_pool2d(x, (2, 4))))
    assert_same_bits(host(gp.adaptive_max_pool2d(x, (3, 2))), host(gp.max_pool2d(x, (2, 4))))
    assert_same_bits(host(gp.adaptive_avg_pool2d(x, 1)), host(gp.global_avg_pool2d(x)))


@pytest.mark.parametrize("rule", [SLIDING, Adaptive()], ids=lambda r: type(r).__name__)
def test_a_part_of_an_axis_has_the_windows_of_the_whole(rule):
    """Launches that are too large are cut into parts."""
    a = Axis(n=11, out=7, k=3, s=2, d=1, before=1, count_from=-1, count_to=12, xs=1, ys=1)
    if rule is not SLIDING:
        a = a._replace(s=7, before=0, count_from=0, count_to=11)
    part = rule.part(rule.part(a, 2, 7), 1, 4)
    assert part.out == 3
    for o in range(3):
        assert rule.span(rule, part, o) == rule.span(rule, a, o + 3)
        assert rule.counted(rule, part, o) == rule.counted(rule, a, o + 3)
    if rule is SLIDING:
        assert rule.span(rule, a, 3)[0] == first_tap(3, 2, 1)


@pytest.mark.simulator_only
@pytest.mark.parametrize("function", ["adaptive_max_pool2d", "adaptive_avg_pool2d", "max_pool2d"])
def test_launches_in_parts(backend, function, monkeypatch):
    """Parts of at most a few outputs give the answer of one launch."""
    from gpupool.backends import cuda, cuda_choose

    monkeypatch.setattr(cuda_choose, "LARGEST_LAUNCH", 4)
    monkeypatch.setattr(cuda, "_calls", {})
    arguments = {"kernel_size": 2, "stride": 1, "padding": 1} if function == "max_pool2d" else {"output_size": (3, 5)}
    values = np.random.default_rng(4).standard_normal((2, 5, 7)).astype(np.float32)
    got = getattr(gp, function)(backend.array(values), **arguments)
    assert_answer(backend.to_numpy(got), reference.call(function, values, **arguments))


@pytest.mark.cpu_only
def test_bounds_beyond_32_bits():
    """A window's bounds are quotients of products of two lengths, which do not wrap."""
    n, size = 2**17 + 3, 2**16 + 1
    x = np.arange(n, dtype=np.int32)
    got, where = gp.adaptive_max_pool1d(x, size, return_indices=True)
    want = np.array([adaptive_range(n, size, i)[1] - 1 for i in range(size)])
    assert n * size > 2**32
    np.testing.assert_array_equal(where, want)
    np.testing.assert_array_equal(got, want)


def adaptive(size, function="adaptive_avg_pool2d", **arguments):
    return lambda x: getattr(gp, function)(x, size, **arguments)


SIZES = ("output_size", "non-negative int", "None keeps")
ROWS = [
    *(
        fails(f"{function} to {size!r}", adaptive(size, function), exception, function, *SIZES, *words)
        for function in ("adaptive_avg_pool2d", "adaptive_max_pool2d")
        for size, exception, words in (
            (-1, ValueError, ("-1", "axis 1")),
            ((2, -3), ValueError, ("-3", "axis 2")),
            ((2, 2**60), ValueError, (str(2**60), "2**62", "axis 2")),
            ((2,), ValueError, ("(2,)", "2 of them")),
            ((2, 2, 2), ValueError, ("(2, 2, 2)",)),
            ((), ValueError, ("()",)),
            ("same", TypeError, ("same",)),
            ((2, "3"), TypeError, ("'3'", "axis 2")),
            ((2, (3, 1)), TypeError, ("(3, 1)", "axis 2")),
        )
    ),
    *(
        fails(f"{size!r} is no size", adaptive(size), TypeError, "output_size", "int", repr(size))
        for size in (None, 2.0, True, np.float32(2))
    ),
    fails("a float size", adaptive((2, 2.5)), TypeError, "output_size", "int", "2.5"),
    fails("a bool size", adaptive((True, 2)), TypeError, "output_size", "int", "True"),
    fails("1-D takes one", adaptive((2, 2), "adaptive_max_pool1d"), ValueError, "output_size", "1 of them", "(2, 2)"),
    fails("empty axis", adaptive(2), ValueError, "axis 1", "(2, 0, 5)", shape=(2, 0, 5)),
    fails("too few dimensions", adaptive(2, "adaptive_avg_pool3d"), ValueError, "3", "(4, 5)", shape=(4, 5)),
    fails("complex", adaptive(2), TypeError, "complex64", dtype="complex64"),
    fails("a dtype", adaptive(2, dtype=bool), TypeError, "dtype", "bool"),
    fails("return_indices", adaptive(2, "adaptive_max_pool2d", return_indices=1), TypeError, "return_indices", "1"),
    fails("data_format", adaptive(2, data_format="NCHW"), ValueError, "data_format", "NCHW", "channels_last"),
]


@pytest.mark.parametrize(("call", "exception", "words", "shape", "dtype"), ROWS)
def test_error(backend, call, exception, words, shape, dtype):
    """Refused sizes."""
    assert_error(backend, call, exception, words, shape, dtype)
