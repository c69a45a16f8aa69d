"""Every error a user can make, on every backend: type, argument, value, what is allowed; nothing is touched.

Each row is (id, call(x), exception, words that the message holds). `x` is a float32 array of shape (2, 4, 5) unless the
row says otherwise.
"""

import backends
import gpupool as gp
import layouts
import numpy as np
import pytest
import reference

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
    *one_for_each("stride", ((1, 1, 1), ()), ValueError, "2"),
    *one_for_each("dilation", ((1, 1, 1),), ValueError, "2"),
    *one_for_each("padding", ((1, 1, 1), ((1, 1),), ((1, 1, 1), (1, 1)), ((1,), (1,)), ((1, 1), 1)), ValueError, "2"),
    *one_for_each("padding", ("SAME", "full", ""), ValueError, "valid", "same", "same_lower"),
    *one_for_each("data_format", ("NCHW", "", None, 1), ValueError, "channels_first", "channels_last"),
    *one_for_each("ceil_mode", (1, 0, None, "yes"), TypeError, "True or False"),
    *one_for_each("return_indices", (1, None, "no"), TypeError, "True or False"),
    *one_for_each("divisor_override", (0, 2**31, -(2**31), HUGE), ValueError, "non-zero", call=average("divisor_override")),
    *one_for_each("divisor_override", (1.0, True, "2", (2, 2)), TypeError, "int", call=average("divisor_override")),
    *one_for_each("count_include_pad", (1, None), TypeError, "True or False", call=average("count_include_pad")),
    *one_for_each("dtype", (bool, "bool", complex, "complex64", object, "S4", "M8[s]"), TypeError, "integer", "float", call=lambda x, v: gp.avg_pool2d(x, 2, dtype=v)),
    *one_for_each("dtype", ("no such dtype", 7), TypeError, call=average("dtype")),
    *one_for_each("op", ("median", "", "MAX"), ValueError, "max", "avg", call=nd_pool("op")),
    *one_for_each("axes", (3, -4, (0, 7)), ValueError, call=lambda x, v: gp.pool(x, "max", 2, axes=v)),
    *one_for_each("axes", (True, 1.0, "1", (0, 1.5)), TypeError, call=lambda x, v: gp.pool(x, "max", 2, axes=v)),
    *one_for_each("axes", ((1, 1), (1, -2), ()), ValueError, "different", call=lambda x, v: gp.pool(x, "max", 2, axes=v)),
    fails("one kernel_size wrong", lambda x: gp.max_pool2d(x, (2, 0)), ValueError, "kernel_size", "0", "axis 2", "positive"),
    fails("axis of channels_last", lambda x: gp.max_pool2d(x, (2, 0), data_format="channels_last"), ValueError, "kernel_size", "axis 1"),
    fails("one padding wrong", lambda x: gp.max_pool2d(x, 3, padding=((0, 0), (1, -2))), ValueError, "padding", "-2", "axis 2"),
    fails("padding of floats", lambda x: gp.max_pool2d(x, 3, padding=((0, 0), (1, 0.5))), TypeError, "padding", "0.5"),
    fails("window longer", lambda x: gp.max_pool2d(x, (5, 2)), ValueError, "kernel_size", "axis 1", "5", "4"),
    fails("window longer, padded", lambda x: gp.avg_pool2d(x, (2, 9), padding=(0, 1)), ValueError, "kernel_size", "axis 2", "9", "7"),
    fails("window longer, dilated", lambda x: gp.max_pool2d(x, 3, dilation=(2, 1)), ValueError, "axis 1", "dilation=2", "4"),
    fails("huge dilation", lambda x: gp.max_pool2d(x, 2, dilation=2**40), ValueError, "axis 1", str(2**40)),
    fails("huge dilation, ceil", lambda x: gp.max_pool2d(x, 2, dilation=2**40, ceil_mode=True), ValueError, "axis 1", str(2**40)),
    fails("huge kernel", lambda x: gp.max_pool2d(x, 2**40), ValueError, "axis 1", str(2**40)),
    fails("endless dilation", lambda x: gp.max_pool2d(x, 2, dilation=HUGE), ValueError, "dilation", str(HUGE)),
    fails("endless kernel", lambda x: gp.max_pool2d(x, HUGE), ValueError, "kernel_size", str(HUGE)),
    fails("endless padding", lambda x: gp.max_pool2d(x, 2, padding=HUGE), ValueError, "padding", str(HUGE)),
    fails("endless kernel and padding", lambda x: gp.avg_pool2d(x, HUGE, padding=HUGE), ValueError, "kernel_size", str(HUGE)),
    fails("huge padding", lambda x: gp.avg_pool2d(x, 2, padding=2**50), ValueError, "padding", str(2**50), "axis 1"),
    fails("window in the begin padding", lambda x: gp.max_pool2d(x, 2, padding=((2, 0), (0, 0))), ValueError, "padding", "axis 1", "2", "4"),
    fails("window in the end padding", lambda x: gp.avg_pool2d(x, 2, stride=1, padding=((0, 0), (0, 2))), ValueError, "padding", "axis 2", "5"),
    fails("window steps over the axis", lambda x: gp.max_pool1d(x, 2, 1, ((2, 3),), 4), ValueError, "padding", "axis 2", shape=(1, 1, 1)),
    fails("too many axes", lambda x: gp.pool(x, "max", 2), ValueError, "window", "3", "4", shape=(2, 2, 2, 2)),
    fails("too many strided axes", lambda x: gp.pool(x, "max", 1, stride=2), ValueError, "3", "4", shape=(3, 3, 3, 3)),
    fails("window of no axes", lambda x: gp.pool(x, "max", ()), ValueError, "window"),
    fails("more windows than axes", lambda x: gp.pool(x, "max", (1, 1, 2, 2)), ValueError, "window", "(2, 4, 5)"),
    fails("windows do not fit axes", lambda x: gp.pool(x, "max", (1, 2), axes=(0, 1, 2)), ValueError, "window", "3"),
    fails("window 0", lambda x: gp.pool(x, "avg", 0), ValueError, "window", "0", "positive"),
    fails("dtype for max", lambda x: gp.pool(x, "max", 2, dtype="float64"), TypeError, "dtype", "max", "float64"),
    *(fails(f"too few dimensions {n}d {shape}", lambda x, n=n: getattr(gp, f"max_pool{n}d")(x, 2), ValueError, f"max_pool{n}d", str(shape), str(n), shape=shape)
      for n, shape in ((2, (4,)), (3, (4, 4)))),
    fails("too few dimensions with channels last", lambda x: gp.avg_pool2d(x, 2, data_format="channels_last"), ValueError, "3", "(4, 4)", shape=(4, 4)),
    fails("global too few dimensions", lambda x: gp.global_avg_pool3d(x), ValueError, "global_avg_pool3d", "3", "(4, 4)", shape=(4, 4)),
    *(fails(f"empty pooled axis {name}", call, ValueError, "axis 1", "(2, 0, 3)", shape=(2, 0, 3)) for name, call in (
        ("max", lambda x: gp.max_pool2d(x, 1)), ("avg", lambda x: gp.avg_pool2d(x, 1, padding=1)),
        ("global avg", lambda x: gp.global_avg_pool2d(x)), ("global max", lambda x: gp.global_max_pool2d(x)),
        ("pool", lambda x: gp.pool(x, "avg", 1, axes=1)))),
    fails("global data_format", lambda x: gp.global_max_pool2d(x, data_format="NHWC"), ValueError, "data_format", "NHWC", "channels_last"),
    fails("global dtype", lambda x: gp.global_avg_pool2d(x, dtype="bool"), TypeError, "dtype", "bool"),
    fails("global keepdims", lambda x: gp.global_avg_pool2d(x, keepdims=1), TypeError, "keepdims", "1", "True or False"),
    *(fails(f"{kind} {function}", lambda x, f=function: getattr(gp, f)(x, *([] if "global" in f else [2])), TypeError, kind, "float32", dtype=kind, shape=(4, 4))
      for kind in ("complex64", "complex128") for function in ("max_pool2d", "avg_pool2d", "global_avg_pool2d", "global_max_pool1d")),
]


def message(call, x, exception):
    """What a failing call says."""
    with pytest.raises(exception) as caught:
        call(x)
    assert type(caught.value) is exception, f"{type(caught.value).__name__} instead of {exception.__name__}"
    return str(caught.value)


@pytest.mark.parametrize(("call", "exception", "words", "shape", "dtype"), ROWS)
def test_error(backend, call, exception, words, shape, dtype):
    """The message holds the words, in one line, and is NumPy's on every backend."""
    values = np.ones(shape, dtype)
    text = message(call, backend.array(values), exception)
    missing = [word for word in words if word not in text]
    assert not missing, f"{missing} not in {text!r}"
    assert "\n" not in text
    assert text == message(call, values, exception)


# ---------------------------------------------------------------- out


NUMPY = backends.Backend()
X = np.arange(40, dtype=np.float32).reshape(2, 4, 5)

OUT = {
    "shape": ((2, 2, 3), "float32", ValueError, ("out", "(2, 2, 3)", "(2, 2, 2)")),
    "extra axis": ((1, 2, 2, 2), "float32", ValueError, ("out", "(1, 2, 2, 2)", "(2, 2, 2)")),
    "fewer axes": ((2, 4), "float32", ValueError, ("out", "(2, 4)", "(2, 2, 2)")),
    "wider dtype": ((2, 2, 2), "float64", TypeError, ("out", "float64", "float32")),
    "narrower dtype": ((2, 2, 2), "float16", TypeError, ("out", "float16", "float32")),
    "integer dtype": ((2, 2, 2), "int32", TypeError, ("out", "int32", "float32")),
}


def check_out_error(backend, call, out, exception, *words):
    """The call fails with these words, and `out` holds what it held."""
    before = backend.to_numpy(out).copy()
    text = message(call, out, exception)
    missing = [word for word in words if word not in text]
    assert not missing, f"{missing} not in {text!r}"
    np.testing.assert_array_equal(backend.to_numpy(out), before)
    return text


@pytest.mark.parametrize("what", OUT)
@pytest.mark.parametrize("function", ["max_pool2d", "avg_pool2d"])
def test_out_must_fit(backend, function, what):
    """`out` of a wrong shape or dtype: NumPy's text on every backend, and unchanged."""
    shape, dtype, exception, words = OUT[what]
    pool = getattr(gp, function)
    texts = []
    for library in (backend, NUMPY):
        x, out = library.array(X), library.array(np.full(shape, 7, dtype))
        if library.immutable:
            check_out_error(library, lambda o, x=x: pool(x, 2, out=o), out, (TypeError, ValueError), "out")
        else:
            texts.append(check_out_error(library, lambda o, x=x: pool(x, 2, out=o), out, exception, *words))
    assert len(set(texts)) == 1


@pytest.mark.parametrize("wrong", [[[1.0]], 3, "out", np.float32(1), (np.zeros((2, 2, 2), np.float32),)], ids=lambda v: type(v).__name__)
def test_out_must_be_an_array(backend, wrong):
    """Anything else than an array of the input's library is a TypeError that names its type."""
    text = message(lambda x: gp.max_pool2d(x, 2, out=wrong), backend.array(X), TypeError)
    assert "out" in text
    assert type(wrong).__name__ in text


def test_out_of_another_library(backend):
    """No silent copy between host and device: the libraries of x and out must be one."""
    host = np.full((2, 2, 2), 7, np.float32)
    if backend.name != "numpy":
        check_out_error(NUMPY, lambda o: gp.max_pool2d(backend.array(X), 2, out=o), host, TypeError, "out", "ndarray")
        device = backend.array(host)
        check_out_error(backend, lambda o: gp.max_pool2d(X, 2, out=o), device, TypeError, "out", type(device).__name__)
    else:
        check_out_error(NUMPY, lambda o: gp.max_pool2d(X, 2, out=o), np.ma.masked_array(host), TypeError, "out", "MaskedArray")


@pytest.mark.parametrize("op", ["max", "avg"])
def test_out_must_not_overlap(backend, op):
    """`out` inside the input: refused, unless they only interleave."""
    if not backend.supports("f4", "step") or backend.immutable:
        pytest.fail("unreachable: such backends are not parametrized")
    base = layouts.build(np.arange(32, dtype=np.float32).reshape(4, 8))
    x, buffer = backend.place(layouts.Layout(base.base, (("index", (slice(0, 4), slice(0, 4))),)))
    out = view_of(backend, buffer, (slice(1, 3), slice(2, 4)))
    check_out_error(backend, lambda o: gp.pool(x, op, 2, out=o), out, ValueError, "out", "overlap")
    same = view_of(backend, buffer, (slice(0, 4), slice(0, 4)))
    check_out_error(backend, lambda o: gp.pool(x, op, 1, out=o), same, ValueError, "out", "overlap")


def test_out_may_interleave(backend):
    """Columns 0, 2, 4 of a buffer into columns 1, 3, 5: no element is shared."""
    values = np.arange(32, dtype=np.float32).reshape(4, 8)
    x, buffer = backend.place(layouts.Layout(values, (("index", (slice(None), slice(0, None, 2))),)))
    out = view_of(backend, buffer, (slice(0, 4), slice(1, None, 2)))
    assert gp.pool(x, "max", (3, 1), axes=(0, 1), stride=1, padding=((1, 1), (0, 0)), out=out) is out
    host = backend.to_numpy(buffer)
    want = reference.pool(values[:, ::2], "max", (3, 1), axes=(0, 1), stride=1, padding=((1, 1), (0, 0))).values
    np.testing.assert_array_equal(host[:, 1::2], want)
    np.testing.assert_array_equal(host[:, ::2], values[:, ::2])


def view_of(backend, buffer, slices):
    """A basic slice of a backend's array."""
    return buffer[slices]


def test_read_only_out(backend):
    """A read-only `out` is refused where the library has such a thing."""
    if not backend.supports("f4", "readonly"):
        assert backend.name not in ("numpy", "simulator")
        return
    out = backend.array(np.full((2, 2, 2), 7, np.float32), "readonly")
    check_out_error(backend, lambda o: gp.max_pool2d(backend.array(X), 2, out=o), out, ValueError, "out", "read-only")


def test_out_that_repeats_elements(backend):
    """An `out` with stride 0 would be written several times."""
    if backend.immutable:
        return
    out = backend.array(np.full((2, 2, 2), 7, np.float32), "broadcast_last")
    text = message(lambda o: gp.max_pool2d(backend.array(X), 2, out=o), out, ValueError)
    assert "out" in text


def test_out_for_indices_is_a_pair(backend):
    """With return_indices `out` is (values, indices)."""
    if backend.immutable:
        return
    x, values = backend.array(X), backend.array(np.full((2, 2, 2), 7, np.float32))
    call = {"return_indices": True}
    check_out_error(backend, lambda o: gp.max_pool2d(x, 2, **call, out=o), values, TypeError, "out", "pair")
    short = backend.array(np.zeros((2, 2, 2), np.int32))
    check_out_error(backend, lambda o: gp.max_pool2d(x, 2, **call, out=(o, short)), values, TypeError, "out", "int64", "int32")
    where = backend.array(np.zeros((2, 2, 2), np.int64))
    got = gp.max_pool2d(x, 2, **call, out=(values, where))
    assert got[0] is values
    assert got[1] is where
    want = reference.call("max_pool2d", X, kernel_size=2)
    np.testing.assert_array_equal(backend.to_numpy(values), want.values)
    np.testing.assert_array_equal(backend.to_numpy(where), want.indices)


# ---------------------------------------------------------------- inputs


@pytest.mark.cpu_only
@pytest.mark.parametrize("x", [
    np.zeros((4, 4), object), np.zeros((4, 4), "S3"), np.zeros((4, 4), "U2"), np.zeros((4, 4), "M8[s]"), np.zeros((4, 4), "m8[s]"),
    np.zeros((4, 4), [("a", "f4")]), np.zeros((4, 4), np.longdouble), np.zeros((4, 4), "V2"), None, "text", [["a", "b"], ["c", "d"]], {}, object(),
], ids=lambda v: f"{type(v).__name__}-{getattr(v, 'dtype', '')}")
@pytest.mark.parametrize("function", ["max_pool2d", "global_avg_pool2d"])
def test_what_is_no_real_array(x, function):
    """Unsupported dtypes, and things that are no arrays: a TypeError (or ValueError for a shape) that says what is allowed."""
    with pytest.raises((TypeError, ValueError)) as caught:
        getattr(gp, function)(x, *([2] if function == "max_pool2d" else []))
    assert type(caught.value) in (TypeError, ValueError)
    assert function in str(caught.value)
    if isinstance(x, np.ndarray):
        assert type(caught.value) is TypeError
        assert str(x.dtype) in str(caught.value)
        assert "float32" in str(caught.value)


@pytest.mark.cpu_only
def test_ragged_lists():
    with pytest.raises(ValueError, match="max_pool1d.*x "):
        gp.max_pool1d([[1, 2], [3]], 2)


@pytest.mark.cpu_only
def test_masked_arrays_are_refused():
    """np.asarray would drop the mask silently."""
    x = np.ma.masked_array(np.ones((4, 4)), mask=np.eye(4, dtype=bool))
    with pytest.raises(TypeError, match="x .*mask"):
        gp.max_pool2d(x, 2)


def test_scalars_have_too_few_dimensions(backend):
    text = message(lambda x: gp.max_pool1d(x, 1), backend.array(np.float32(3)), ValueError)
    assert "max_pool1d" in text
    assert "()" in text


@pytest.mark.parametrize("argument", ["kernel_size", "stride", "padding", "dilation", "data_format", "dtype", "ceil_mode", "divisor_override"])
@pytest.mark.parametrize("value", [{}, {1: 2}, {2}, object(), [[]], [["a"]], b"x", 1j, float("nan"), Ellipsis], ids=repr)
def test_nonsense_is_a_type_or_value_error(backend, argument, value):
    """Whatever is passed, unhashable or not, the error is one of two types and names the argument."""
    with pytest.raises((TypeError, ValueError)) as caught:
        gp.avg_pool2d(backend.array(X), **{"kernel_size": 2, argument: value})
    assert type(caught.value) in (TypeError, ValueError)
    assert argument in str(caught.value)


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "2", None, 10**9])
def test_number_of_threads(value):
    before = gp.get_num_threads()
    with pytest.raises((TypeError, ValueError)) as caught:
        gp.set_num_threads(value)
    assert type(caught.value) is (ValueError if type(value) is int else TypeError)
    assert repr(value) in str(caught.value)
    assert gp.get_num_threads() == before


@pytest.mark.parametrize(("arguments", "exception", "words"), [
    (((4, -1), 2), ValueError, ("shape", "-1")), (((4, 2.5), 2), TypeError, ("shape", "2.5")), ((("a",), 2), TypeError, ("shape",)),
    ((4, 2), TypeError, ("shape", "4")), (((True, 4), 1), TypeError, ("shape", "True")), (((), 2), ValueError, ("window",)),
    (((4, 0), 1), ValueError, ("axis 1",)), ((None, 2), TypeError, ("shape", "None")),
], ids=repr)
def test_output_shape(arguments, exception, words):
    text = message(lambda a: gp.output_shape(*a), arguments, exception)
    assert [word for word in words if word not in text] == []


def test_errors_come_before_allocation(backend):
    """A call whose result would need more memory than there is fails with its own error, at once."""
    x = backend.array(np.ones((1, 1), np.float32))
    text = message(lambda v: gp.max_pool2d(v, 1, padding=((0, 0), (0, 2**60))), x, ValueError)
    assert "padding" in text


# ---------------------------------------------------------------- __cuda_array_interface__


class Interface:
    """An object that claims to be a device array."""

    def __init__(self, **changes):
        self.__cuda_array_interface__ = {
            "shape": (4, 4), "typestr": "<f4", "data": (256, False), "version": 3, "strides": None, **changes}


@pytest.mark.cpu_only
@pytest.mark.parametrize(("changes", "exception", "word"), [
    ({"mask": Interface()}, (TypeError, ValueError), "mask"), ({"typestr": "<c8"}, TypeError, "complex64"), ({"typestr": "|O"}, TypeError, "object"),
], ids=["mask", "complex", "object"])
def test_interfaces_that_cannot_be_pooled(changes, exception, word):
    """Masked, complex and object device arrays are refused by what they say of themselves, GPU or none."""
    with pytest.raises(exception, match=word):
        gp.max_pool2d(Interface(**changes), 2)
