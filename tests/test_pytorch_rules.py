"""PyTorch's documented rules and refusals, as numbers that were taken from PyTorch 2.13, and as errors."""

import numpy as np
import pytest
from compare import assert_same_bits
from test_errors import assert_error, fails

import gpupool as gp

X = np.array([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3], [5, 8, 9, 7, 9], [3, 2, 3, 8, 4]], np.float32)


@pytest.mark.parametrize(
    ("function", "arguments", "values"),
    [
        ("max_pool1d", (3, 2, 1, 1, False), [[3, 4, 5], [9, 6, 5], [8, 9, 9], [3, 8, 8]]),
        ("max_pool1d", ((2,), (), (0,), (1,), True), [[3, 4, 5], [9, 6, 3], [8, 9, 9], [3, 8, 4]]),
        ("max_pool2d", (2, None, 1), [[3, 4, 5], [9, 9, 9], [3, 3, 8]]),
        ("max_pool2d", ((3, 2), 1, 0, (1, 2)), [[9, 8, 9], [9, 8, 9]]),
        ("avg_pool1d", (3, 2, 1, False, False), [[2, 2, 3], [5.5, 13 / 3, 4], [6.5, 8, 8], [2.5, 13 / 3, 6]]),
        ("avg_pool2d", (2, (), (0,), False, True, -2), [[-7.5, -8], [-9, -13.5]]),
        ("avg_pool2d", (3, 2, 1, True), [[15 / 9, 19 / 9, 14 / 9], [29 / 9, 50 / 9, 4], [5 / 6, 13 / 6, 2]]),
        ("adaptive_avg_pool1d", (3,), [[2, 2, 3], [5.5, 13 / 3, 4], [6.5, 8, 8], [2.5, 13 / 3, 6]]),
        ("adaptive_avg_pool2d", ((1, 2),), [[55 / 12, 64 / 12]]),
        ("adaptive_max_pool2d", ((3, None),), [[9, 2, 6, 5, 5], [9, 8, 9, 7, 9], [5, 8, 9, 8, 9]]),
        ("adaptive_max_pool2d", (0,), np.zeros((0, 0))),
    ],
    ids=str,
)  # fmt: skip
def test_results(backend, function, arguments, values):
    """Positional arguments, tuples of one entry, an empty stride, None."""
    got = backend.to_numpy(getattr(gp, function)(backend.array(X), *arguments))
    np.testing.assert_allclose(got, np.array(values, np.float32), rtol=2e-7, strict=True)


@pytest.mark.parametrize(
    ("function", "arguments", "indices"),
    [
        ("max_pool2d", (2, 2, 1), [[0, 2, 4], [5, 12, 14], [15, 17, 18]]),
        ("max_pool2d", (3, 1), [[5, 12, 12], [5, 12, 12]]),
        ("adaptive_max_pool2d", (2,), [[5, 7], [12, 12]]),
        ("adaptive_max_pool1d", (2,), [[2, 4], [0, 2], [2, 2], [0, 3]]),
    ],
    ids=str,
)
def test_index_conventions(backend, function, arguments, indices):
    """Flat within the pooled axes of the input, without padding; the first of equal ones; int64."""
    _, where = getattr(gp, function)(backend.array(X), *arguments, return_indices=True)
    assert_same_bits(backend.to_numpy(where), np.array(indices, np.int64), "indices")


def pool(function, *arguments, **options):
    return lambda x: getattr(gp, function)(x, *arguments, **options)


ROWS = [
    fails("negative padding", pool("max_pool1d", 2, 50, -1), ValueError, "padding", "-1", shape=(0, 1, 49)),
    fails("a window in the padding", pool("avg_pool1d", 2, 50, 4), ValueError, "padding", shape=(0, 1, 49)),
    fails("a window in the padding, 2-D", pool("max_pool2d", (3, 2), 50, 4), ValueError, "padding", shape=(0, 1, 49)),
    fails("no dimension", pool("max_pool1d", 1), ValueError, "at least 1 dimension", shape=()),
    fails("no element", pool("max_pool1d", 1), ValueError, "no elements", shape=(0,)),
    fails("an empty pooled axis", pool("max_pool1d", 1), ValueError, "axis 2", shape=(1, 10, 0)),
    fails("an empty pooled axis, 3-D", pool("max_pool3d", 1), ValueError, "axis 2", shape=(2, 1, 0, 1, 2)),
    fails("stride 0", pool("max_pool1d", 1, 0), ValueError, "stride", "0", shape=(3, 3, 3)),
    fails("dilation 0", pool("max_pool1d", 1, 1, 0, 0), ValueError, "dilation", "0", shape=(3, 3, 3)),
    fails("a window beyond the input", pool("max_pool1d", 5, 1), ValueError, "kernel_size", "5", shape=(2, 2, 2)),
    fails("kernel_size 0", pool("max_pool1d", 0), ValueError, "kernel_size", "0", shape=(0, 1, 49)),
    fails("divisor 0", pool("avg_pool2d", (2, 2), divisor_override=0), ValueError, "divisor_override", "0"),
    fails("no output_size", pool("adaptive_avg_pool3d", ()), ValueError, "output_size", shape=(1, 2, 3, 4)),
    fails("negative output_size", pool("adaptive_max_pool2d", (-1, 0)), ValueError, "-1", shape=(1, 1, 1, 1)),
    *(
        fails(
            f"a length too many of {name}", pool("max_pool2d", **{"kernel_size": 2, name: (1, 1, 1)}), ValueError, name
        )
        for name in ("kernel_size", "stride", "padding", "dilation")
    ),
    *(
        fails(f"{name} of {value!r}", pool("max_pool2d", **{"kernel_size": 2, name: value}), TypeError, name)
        for name in ("kernel_size", "stride", "padding", "dilation")
        for value in (2.0, (2, 2.0), "2", True, (True, 2))
        if (name, value) != ("padding", "2")
    ),
]


@pytest.mark.parametrize(("call", "exception", "words", "shape", "dtype"), ROWS)
def test_refused(backend, call, exception, words, shape, dtype):
    """What PyTorch rejects."""
    assert_error(backend, call, exception, words, shape, dtype)
