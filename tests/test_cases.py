"""The table of cases on every backend, against the oracle."""

import functools

import cases
import compare
import layouts
import numpy as np
import pytest
import reference

import gpupool as gp

BY_ID = {case.id: case for case in cases.CASES}


def invoke(case, array, **extra):
    """The case's call; always (values, indices or None)."""
    result = getattr(gp, case.function)(array, **case.arguments, **extra)
    return result if isinstance(result, tuple) else (result, None)


@functools.lru_cache(maxsize=4)  # the backends run a row one after another
def answer_of(identity):
    """What the oracle says of a row."""
    case = BY_ID[identity]
    return reference.call(case.function, case.input(), **case.arguments)


def pooled_strides(backend, x, got):
    """(shape, strides) of input and result, with the axes that keepdims=False removed put back."""
    return (tuple(x.shape), backend.strides(x)), (tuple(got.shape), backend.strides(got))


def test_case(backend, case):
    """Library, dtype, shape, values, NaN, indices and memory order of one row; the input stays as it was."""
    if case.out:
        check_out(backend, case)
        return
    values, answer = case.input(), answer_of(case.id)
    x = backend.array(values, case.layout)
    got, indices = invoke(case, x)
    assert backend.owns(got), f"{type(got)} is not an array of {backend}"
    compare.assert_answer(backend.to_numpy(got), answer)
    assert (indices is not None) == case.arguments.get("return_indices", False)
    if indices is not None:
        assert backend.owns(indices)
        compare.assert_same_bits(backend.to_numpy(indices), answer.indices, "indices")
    if backend.strides(x) is not None and case.arguments.get("keepdims", True) and answer.values.size:
        compare.assert_memory_order(*pooled_strides(backend, x, got), answer.values.dtype)
    assert np.ascontiguousarray(backend.to_numpy(x)).tobytes() == values.tobytes(), "the input was changed"


def check_out(backend, case):
    """`out` in any memory layout is filled and returned, and nothing around it is touched."""
    values, answer = case.input(), answer_of(case.id)
    marker = np.full_like(answer.values, 77)
    target = layouts.build(marker, case.out)
    out, buffer = backend.place(target)
    got, _ = invoke(case, backend.array(values, case.layout), out=out)
    assert got is out
    host = backend.to_numpy(buffer).copy()
    compare.assert_answer(np.asarray(target.view(host)), answer)
    target.view(host)[...] = marker
    np.testing.assert_array_equal(host, target.base, "memory around out was changed")


def test_every_backend_has_rows(backend):
    """A backend that could express no row would pass by doing nothing."""
    rows, left_out = cases.rows_for(backend)
    assert len(rows) > 200
    assert len(rows) + left_out == len(cases.CASES)


@pytest.mark.cpu_only
@pytest.mark.parametrize("x", [[[1, 2], [3, 5]], ((1.0, 2.0), (3.0, 5.0)), [[True, False], [False, True]]], ids=str)
def test_array_likes(x):
    """Lists and tuples go through np.asarray."""
    compare.assert_same_bits(gp.max_pool2d(x, 2), reference.call("max_pool2d", x, kernel_size=2).values)
    compare.assert_answer(gp.avg_pool2d(x, 2), reference.call("avg_pool2d", x, kernel_size=2))


@pytest.mark.cpu_only
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["i2", "u4", "f2", "f4", "f8"])
def test_byte_order(order, kind):
    """Big-endian arrays (TIFF, FITS) give the native answer."""
    x = np.arange(24).reshape(4, 6).astype(order + kind)
    native = x.astype(kind)
    got = gp.max_pool2d(x, 2)
    np.testing.assert_array_equal(got, reference.call("max_pool2d", native, kernel_size=2).values)
    compare.assert_answer(gp.avg_pool2d(x, 2), reference.call("avg_pool2d", native, kernel_size=2))


@pytest.mark.cpu_only
def test_unaligned_and_packed_fields():
    """A field of a packed record: strides that are no multiple of the item size."""
    records = np.zeros(12, np.dtype([("tag", "u1"), ("value", "f4")]))
    records["value"] = np.arange(12) - 5
    x = records["value"]
    assert x.strides == (5,)
    compare.assert_same_bits(gp.max_pool1d(x, 3), np.array([-3, 0, 3, 6], np.float32))
    compare.assert_same_bits(gp.avg_pool1d(x, 3), np.array([-4, -1, 2, 5], np.float32))


def test_positional_order_is_pytorchs(backend):
    """kernel_size, stride, padding, dilation, ceil_mode, return_indices; and avg's ceil_mode, count, divisor."""
    values = np.arange(35, dtype=np.float32).reshape(5, 7)
    x = backend.array(values)
    got, indices = gp.max_pool2d(x, 2, 3, 1, 2, True, True)
    want = reference.call("max_pool2d", values, kernel_size=2, stride=3, padding=1, dilation=2, ceil_mode=True)
    compare.assert_same_bits(backend.to_numpy(got), want.values)
    compare.assert_same_bits(backend.to_numpy(indices), want.indices)
    got = gp.avg_pool2d(x, 3, 2, 1, True, False, 5)
    want = reference.call(
        "avg_pool2d",
        values,
        kernel_size=3,
        stride=2,
        padding=1,
        ceil_mode=True,
        count_include_pad=False,
        divisor_override=5,
    )
    compare.assert_answer(backend.to_numpy(got), want)


def test_numpy_integers_as_arguments(backend):
    """NumPy integers are integers, wherever an int is meant."""
    values = np.arange(20, dtype=np.float32).reshape(4, 5)
    got = gp.avg_pool2d(
        backend.array(values), np.int64(2), (np.int8(1), np.uint16(2)), np.array([1, 0]), divisor_override=np.int32(3)
    )
    want = reference.call("avg_pool2d", values, kernel_size=2, stride=(1, 2), padding=(1, 0), divisor_override=3)
    compare.assert_answer(backend.to_numpy(got), want)


def test_same_bits_every_run(backend):
    """The same input gives the same bits, however often it is pooled."""
    values = np.random.default_rng(5).standard_normal((2, 9, 11)).astype(np.float32)
    x = backend.array(values)
    first = [backend.to_numpy(gp.avg_pool2d(x, 3, 1)).tobytes(), backend.to_numpy(gp.global_avg_pool2d(x)).tobytes()]
    for _ in range(3):
        again = [
            backend.to_numpy(gp.avg_pool2d(x, 3, 1)).tobytes(),
            backend.to_numpy(gp.global_avg_pool2d(x)).tobytes(),
        ]
        assert again == first
