"""Every error a user can make, on every backend: type, argument, value, what is allowed; nothing is touched.

Each row is (id, call(x), exception, words that the message holds). `x` is a float32 array of shape (2, 4, 5) unless the
row says otherwise.
"""

import numpy as np
import pytest
from compare import message

import gpupool as gp

HUGE = 10**30


def fails(identity, call, exception, *words, shape=(2, 4, 5), dtype="float32"):
    return pytest.param(call, exception, words, shape, dtype, id=identity)


def one_for_each(argument, values, exception, *words, call=None):
    """Rows for one argument of max_pool2d with several bad values."""
    for value in values:
        function = call or (lambda x, v: gp.max_pool2d(x, **{"kernel_size": 2, argument: v}))
        shown = "" if isinstance(value, (tuple, list)) or argument == "dtype" else repr(value)
        yield fails(f"{argument}={value!r}", lambda x, f=function, v=value: f(x, v), exception, argument, shown, *words)


def average(argument):
    return lambda x, v: gp.avg_pool2d(x, **{"kernel_size": 2, argument: v})


def lp(x, norm_type):
    return gp.lp_pool2d(x, norm_type, 2)


def nd_pool(argument):
    return lambda x, v: gp.pool(x, **{"op": "max", "window": 2, "axes": (1, 2), argument: v})


ROWS = [
    *one_for_each("kernel_size", (0, -1), ValueError, "positive", "axis 1"),
    *one_for_each("stride", (0, -2), ValueError, "positive", "axis 1"),
    *one_for_each("dilation", (0, -1), ValueError, "positive", "axis 1"),
    *one_for_each("padding", (-1,), ValueError, "non-negative", "axis 1"),
    *one_for_each("kernel_size", (2.0, 2.5, "2", True, None, np.float32(2), {2, 3}, b"2"), TypeError, "int"),
    *one_for_each("stride", (1.0, "1", False, np.True_, [1.5, 1]), TypeError, "int"),
    *one_for_each("padding", (0.5, True, None), TypeError, "int"),
    *one_for_each("dilation", (1.0, "1", None, True), TypeError, "int"),
    *one_for_each("kernel_size", ((2, 2, 2), ()), ValueError, "2"),
    *one_for_each("stride", ((1, 1, 1),), ValueError, "2"),
    *one_for_each("dilation", ((1, 1, 1),), ValueError, "2"),
    *one_for_each("padding", ((1, 1, 1), ((1, 1),), ((1, 1, 1), (1, 1)), ((1,), (1,)), ((1, 1), 1)), ValueError, "2"),
    *one_for_each("padding", ("SAME", "full", ""), ValueError, "valid", "same", "same_lower"),
    *one_for_each("data_format", ("NCHW", "", None, 1), ValueError, "channels_first", "channels_last"),
    *one_for_each("ceil_mode", (1, 0, None, "yes"), TypeError, "True or False"),
    *one_for_each("return_indices", (1, None, "no"), TypeError, "True, False or 'offsets'"),
    *one_for_each(
        "divisor_override", (0, 2**31, -(2**31), HUGE), ValueError, "non-zero", call=average("divisor_override")
    ),
    *one_for_each("divisor_override", (1.0, True, "2", (2, 2)), TypeError, "int", call=average("divisor_override")),
    *one_for_each("count_include_pad", (1, None), TypeError, "True or False", call=average("count_include_pad")),
    *one_for_each(
        "dtype",
        (bool, "bool", complex, "complex64", object, "S4", "M8[s]"),
        TypeError,
        "integer",
        "float",
        call=lambda x, v: gp.avg_pool2d(x, 2, dtype=v),
    ),
    *one_for_each("dtype", ("no such dtype", 7), TypeError, call=average("dtype")),
    *one_for_each("op", ("maximum", "", "MAX"), ValueError, "max", "avg", call=nd_pool("op")),
    *one_for_each("nan_policy", ("ignore", "", None, 1), ValueError, "propagate", "omit"),
    *one_for_each("nan_policy", ([],), TypeError, "string"),
    *one_for_each("norm_type", (0, -1.5, float("nan")), ValueError, "positive", call=lp),
    *one_for_each("norm_type", ("2", None, True, (2,), [2]), TypeError, "positive", call=lp),
    *one_for_each("axes", (3, -4, (0, 7)), ValueError, call=lambda x, v: gp.pool(x, "max", 2, axes=v)),
    *one_for_each("axes", (True, 1.0, "1", (0, 1.5)), TypeError, call=lambda x, v: gp.pool(x, "max", 2, axes=v)),
    *one_for_each(
        "axes", ((1, 1), (1, -2), ()), ValueError, "different", call=lambda x, v: gp.pool(x, "max", 2, axes=v)
    ),
    fails(
        "omit for lp", lambda x: gp.pool(x, "lp", 2, axes=1, nan_policy="omit"), ValueError, "nan_policy", "lp", "sum"
    ),
    *one_for_each("ignore", ("0", [1], (1,)), TypeError, "number", call=lambda x, v: gp.mode_pool2d(x, 2, ignore=v)),
    fails("ignore NaN", lambda x: gp.mode_pool2d(x, 2, ignore=float("nan")), ValueError, "ignore", "nan"),
    fails("ignore too large", lambda x: gp.mode_pool2d(x, 2, ignore=256), ValueError, "256", "uint8", dtype="uint8"),
    fails("ignore a fraction", lambda x: gp.mode_pool2d(x, 2, ignore=0.5), ValueError, "0.5", "uint8", dtype="uint8"),
    fails("ignore for median", lambda x: gp.pool(x, "median", 2, ignore=0), TypeError, "ignore", "median"),
    fails("dtype for any", lambda x: gp.pool(x, "any", 2, axes=1, dtype="uint8"), TypeError, "dtype", "any", "bool"),
    fails("norm_type for max", lambda x: gp.pool(x, "max", 2, norm_type=2), TypeError, "norm_type", "max", "none"),
    fails("no such parameter", lambda x: gp.pool(x, "lp", 2, p=2), TypeError, "'p'", "lp", "norm_type"),
    fails("global norm_type", lambda x: gp.global_lp_pool2d(x, 0), ValueError, "norm_type", "0"),
    fails("dtype bool for sum", lambda x: gp.sum_pool2d(x, 2, dtype=bool), TypeError, "dtype", "bool"),
    fails(
        "one kernel_size wrong",
        lambda x: gp.max_pool2d(x, (2, 0)),
        ValueError,
        "kernel_size",
        "0",
        "axis 2",
        "positive",
    ),
    fails(
        "axis of channels_last",
        lambda x: gp.max_pool2d(x, (2, 0), data_format="channels_last"),
        ValueError,
        "kernel_size",
        "axis 1",
    ),
    fails(
        "one padding wrong",
        lambda x: gp.max_pool2d(x, 3, padding=((0, 0), (1, -2))),
        ValueError,
        "padding",
        "-2",
        "axis 2",
    ),
    fails("padding of floats", lambda x: gp.max_pool2d(x, 3, padding=((0, 0), (1, 0.5))), TypeError, "padding", "0.5"),
    fails("window longer", lambda x: gp.max_pool2d(x, (5, 2)), ValueError, "kernel_size", "axis 1", "5", "4"),
    fails(
        "window longer, padded",
        lambda x: gp.avg_pool2d(x, (2, 9), padding=(0, 1)),
        ValueError,
        "kernel_size",
        "axis 2",
        "9",
        "7",
    ),
    fails(
        "window longer, dilated",
        lambda x: gp.max_pool2d(x, 3, dilation=(2, 1)),
        ValueError,
        "axis 1",
        "dilation=2",
        "4",
    ),
    fails("huge dilation", lambda x: gp.max_pool2d(x, 2, dilation=2**40), ValueError, "axis 1", str(2**40)),
    fails(
        "huge dilation, ceil",
        lambda x: gp.max_pool2d(x, 2, dilation=2**40, ceil_mode=True),
        ValueError,
        "axis 1",
        str(2**40),
    ),
    fails("huge kernel", lambda x: gp.max_pool2d(x, 2**40), ValueError, "axis 1", str(2**40)),
    fails("endless dilation", lambda x: gp.max_pool2d(x, 2, dilation=HUGE), ValueError, "dilation", str(HUGE)),
    fails("endless kernel", lambda x: gp.max_pool2d(x, HUGE), ValueError, "kernel_size", str(HUGE)),
    fails("endless padding", lambda x: gp.max_pool2d(x, 2, padding=HUGE), ValueError, "padding", str(HUGE)),
    fails(
        "endless kernel and padding",
        lambda x: gp.avg_pool2d(x, HUGE, padding=HUGE),
        ValueError,
        "kernel_size",
        str(HUGE),
    ),
    fails("huge padding", lambda x: gp.avg_pool2d(x, 2, padding=2**50), ValueError, "padding", str(2**50), "axis 1"),
    fails(
        "window in the begin padding",
        lambda x: gp.max_pool2d(x, 2, padding=((2, 0), (0, 0))),
        ValueError,
        "padding",
        "axis 1",
        "2",
        "4",
    ),
    fails(
        "window in the end padding",
        lambda x: gp.avg_pool2d(x, 2, stride=1, padding=((0, 0), (0, 2))),
        ValueError,
        "padding",
        "axis 2",
        "5",
    ),
    fails(
        "window steps over the axis",
        lambda x: gp.max_pool1d(x, 2, 1, ((2, 3),), 4),
        ValueError,
        "padding",
        "axis 2",
        shape=(1, 1, 1),
    ),
    fails("too many axes", lambda x: gp.pool(x, "max", 2), ValueError, "window", "3", "4", shape=(2, 2, 2, 2)),
    fails("too many strided axes", lambda x: gp.pool(x, "max", 1, stride=2), ValueError, "3", "4", shape=(3, 3, 3, 3)),
    fails("window of no axes", lambda x: gp.pool(x, "max", ()), ValueError, "window"),
    fails("more windows than axes", lambda x: gp.pool(x, "max", (1, 1, 2, 2)), ValueError, "window", "(2, 4, 5)"),
    fails("windows do not fit axes", lambda x: gp.pool(x, "max", (1, 2), axes=(0, 1, 2)), ValueError, "window", "3"),
    fails("window 0", lambda x: gp.pool(x, "avg", 0), ValueError, "window", "0", "positive"),
    fails("dtype for max", lambda x: gp.pool(x, "max", 2, dtype="float64"), TypeError, "dtype", "max", "float64"),
    *(
        fails(
            f"too few dimensions {n}d {shape}",
            lambda x, n=n: getattr(gp, f"max_pool{n}d")(x, 2),
            ValueError,
            f"max_pool{n}d",
            str(shape),
            str(n),
            shape=shape,
        )
        for n, shape in ((2, (4,)), (3, (4, 4)))
    ),
    fails(
        "too few dimensions with channels last",
        lambda x: gp.avg_pool2d(x, 2, data_format="channels_last"),
        ValueError,
        "3",
        "(4, 4)",
        shape=(4, 4),
    ),
    fails(
        "global too few dimensions",
        lambda x: gp.global_avg_pool3d(x),
        ValueError,
        "global_avg_pool3d",
        "3",
        "(4, 4)",
        shape=(4, 4),
    ),
    *(
        fails(f"empty pooled axis {name}", call, ValueError, "axis 1", "(2, 0, 3)", shape=(2, 0, 3))
        for name, call in (
            ("max", lambda x: gp.max_pool2d(x, 1)),
            ("avg", lambda x: gp.avg_pool2d(x, 1, padding=1)),
            ("global avg", lambda x: gp.global_avg_pool2d(x)),
            ("global max", lambda x: gp.global_max_pool2d(x)),
            ("pool", lambda x: gp.pool(x, "avg", 1, axes=1)),
        )
    ),
    fails(
        "global data_format",
        lambda x: gp.global_max_pool2d(x, data_format="NHWC"),
        ValueError,
        "data_format",
        "NHWC",
        "channels_last",
    ),
    fails("global dtype", lambda x: gp.global_avg_pool2d(x, dtype="bool"), TypeError, "dtype", "bool"),
    fails(
        "global keepdims", lambda x: gp.global_avg_pool2d(x, keepdims=1), TypeError, "keepdims", "1", "True or False"
    ),
    *(
        fails(
            f"{kind} {function}",
            lambda x, f=function: getattr(gp, f)(x, *([] if "global" in f else [2])),
            TypeError,
            kind,
            "float32",
            dtype=kind,
            shape=(4, 4),
        )
        for kind in ("complex64", "complex128")
        for function in ("max_pool2d", "avg_pool2d", "global_avg_pool2d", "global_max_pool1d")
    ),
]


@pytest.mark.parametrize(("call", "exception", "words", "shape", "dtype"), ROWS)
def test_error(backend, call, exception, words, shape, dtype):
    """Every row."""
    assert_error(backend, call, exception, words, shape, dtype)


def assert_error(backend, call, exception, words, shape, dtype):
    """The message holds the words, in one line, and is NumPy's on every backend."""
    values = np.ones(shape, dtype)
    text = message(call, backend.array(values), exception)
    missing = [word for word in words if word not in text]
    assert not missing, f"{missing} not in {text!r}"
    assert "\n" not in text
    assert text == message(call, values, exception)
