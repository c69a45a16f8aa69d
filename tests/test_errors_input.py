"""What cannot be pooled, whatever the arguments; and nonsense in every argument."""

import numpy as np
import pytest
from compare import message

import gpupool as gp

X = np.arange(40, dtype=np.float32).reshape(2, 4, 5)


@pytest.mark.cpu_only
@pytest.mark.parametrize(
    "x",
    [
        np.zeros((4, 4), object),
        np.zeros((4, 4), "S3"),
        np.zeros((4, 4), "U2"),
        np.zeros((4, 4), "M8[s]"),
        np.zeros((4, 4), "m8[s]"),
        np.zeros((4, 4), [("a", "f4")]),
        np.zeros((4, 4), np.longdouble),
        np.zeros((4, 4), "V2"),
        None,
        "text",
        [["a", "b"], ["c", "d"]],
        {},
        object(),
    ],
    ids=lambda v: f"{type(v).__name__}-{getattr(v, 'dtype', '')}",
)
@pytest.mark.parametrize("function", ["max_pool2d", "global_avg_pool2d"])
def test_what_is_no_real_array(x, function):
    """Unsupported dtypes, and things that are no arrays: an error that says what is allowed."""
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
    with pytest.raises(ValueError, match=r"max_pool1d.*x "):
        gp.max_pool1d([[1, 2], [3]], 2)


@pytest.mark.cpu_only
def test_masked_arrays_are_refused():
    """np.asarray would drop the mask silently."""
    x = np.ma.masked_array(np.ones((4, 4)), mask=np.eye(4, dtype=bool))
    with pytest.raises(TypeError, match=r"x .*mask"):
        gp.max_pool2d(x, 2)


def test_scalars_have_too_few_dimensions(backend):
    text = message(lambda x: gp.max_pool1d(x, 1), backend.array(np.float32(3)), ValueError)
    assert "max_pool1d" in text
    assert "()" in text


@pytest.mark.parametrize(
    "argument",
    ["kernel_size", "stride", "padding", "dilation", "data_format", "dtype", "ceil_mode", "divisor_override"],
)
@pytest.mark.parametrize(
    "value", [{}, {1: 2}, {2}, Ellipsis, [[]], [["a"]], b"x", 1j, float("nan"), slice(1)], ids=repr
)
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


@pytest.mark.parametrize(
    ("arguments", "exception", "words"),
    [
        (((4, -1), 2), ValueError, ("shape", "-1")),
        (((4, 2.5), 2), TypeError, ("shape", "2.5")),
        ((("a",), 2), TypeError, ("shape",)),
        ((4, 2), TypeError, ("shape", "4")),
        (((True, 4), 1), TypeError, ("shape", "True")),
        (((), 2), ValueError, ("window",)),
        (((4, 0), 1), ValueError, ("axis 1",)),
        ((None, 2), TypeError, ("shape", "None")),
    ],
    ids=repr,
)
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
            "shape": (4, 4),
            "typestr": "<f4",
            "data": (256, False),
            "version": 3,
            "strides": None,
            **changes,
        }


@pytest.mark.cpu_only
@pytest.mark.parametrize(
    ("changes", "exception", "word"),
    [
        ({"mask": Interface()}, (TypeError, ValueError), "mask"),
        ({"typestr": "<c8"}, TypeError, "complex64"),
        ({"typestr": "|O"}, TypeError, "object"),
    ],
    ids=["mask", "complex", "object"],
)
def test_interfaces_that_cannot_be_pooled(changes, exception, word):
    """Masked, complex and object device arrays are refused by what they say of themselves, GPU or none."""
    with pytest.raises(exception, match=word):
        gp.max_pool2d(Interface(**changes), 2)
