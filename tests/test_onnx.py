"""`gpupool.onnx` against every node test that the onnx package generates for pooling, and what it refuses."""

import doctest
import functools
import importlib
import warnings

import backends
import numpy as np
import pytest
from onnx import helper
from onnx.backend.test.case import node as generators

import gpupool.onnx
from gpupool.onnx import OPERATORS, by_columns, run_node

POOLING = ("AveragePool", "GlobalAveragePool", "GlobalMaxPool", "LpPool", "MaxPool", "MaxUnpool")
NODE_TESTS = 53  # of them, in onnx 1.23
MOST_OUTPUTS = 200  # that the simulator computes in reasonable time
NO_ARITHMETIC = ("simulator", "numba")  # arrays that cannot be added to


@functools.cache
def node_tests():
    """The package's tests of one pooling node."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the generators' business
        for name in POOLING:  # a module fills the list when it is imported; all operators' would take 15 s
            importlib.import_module(f"{generators.__name__}.{name.lower()}")
        return [t for t in generators._NodeTestCases if t.model.graph.node[0].op_type in POOLING]


def pytest_generate_tests(metafunc):
    if "node_test" in metafunc.fixturenames:
        tests = node_tests()
        if backends.simulated():
            tests = [t for t in tests if t.data_sets[0][1][0].size <= MOST_OUTPUTS]
            metafunc.config.left_out["ONNX node tests that are too slow in the simulator"] = NODE_TESTS - len(tests)
        metafunc.parametrize("node_test", tests, ids=lambda t: t.name.removeprefix("test_"))


def test_there_are_as_many_node_tests_as_is_known():
    tests = node_tests()
    assert len(tests) == NODE_TESTS
    assert {t.model.graph.node[0].op_type for t in tests} == set(POOLING) <= set(OPERATORS)


def test_node(backend, node_test):
    """The outputs of the node, as the package expects them."""
    node = node_test.model.graph.node[0]
    uses_positions = len(node.output) == 2 or node.op_type == "MaxUnpool"
    for inputs, wanted in node_test.data_sets:
        arrays = [backend.array(i) for i in inputs[:2]] + inputs[2:]  # output_shape stays on the host
        if uses_positions and backend.name in NO_ARITHMETIC:
            with pytest.raises(TypeError, match="NumPy, CuPy, PyTorch or JAX"):
                run_node(node, arrays)
            continue
        outputs = run_node(node, arrays)
        assert len(outputs) == len(wanted)
        for got, want in zip(outputs, wanted, strict=True):
            assert backend.owns(got)
            np.testing.assert_allclose(backend.to_numpy(got), want, node_test.rtol, node_test.atol, strict=True)


@pytest.mark.parametrize("sizes", [(5,), (3, 4), (2, 3, 4)], ids=str)
def test_positions_by_columns(sizes):
    """storage_order=1 counts as Fortran does."""
    positions = np.arange(np.prod(sizes)).reshape(sizes)
    by_rows = np.arange(positions.size)
    want = np.ravel_multi_index(np.unravel_index(by_rows, sizes), sizes, order="F")
    np.testing.assert_array_equal(by_columns(by_rows, sizes), want)


@pytest.mark.cpu_only
def test_positions_are_flat_in_the_whole_tensor():
    x = np.random.default_rng(8).random((2, 3, 4, 5)).astype(np.float32)
    for order in (0, 1):
        y, where = gpupool.onnx.max_pool(x, kernel_shape=[2, 2], storage_order=order, indices=True)
        flat = x if order == 0 else x.transpose(0, 1, 3, 2)
        np.testing.assert_array_equal(flat.ravel()[where], y)
        assert where.dtype == np.int64


@pytest.mark.cpu_only
@pytest.mark.parametrize(
    ("pads", "sizes"),
    [((0, 0, 0, 0), (7, 7)), ((0, 0, 0, 1), (7, 8)), ((1, 0, 1, 1), (7, 8)), ((1, 1, 1, 1), (7, 7))],
    ids=str,
)
@pytest.mark.parametrize("strides", [(1, 1), (2, 2)], ids=str)
def test_unpooling_is_the_inverse(pads, sizes, strides):
    """Elements come back to where MaxPool found them, whatever the pads."""
    shape = (2, 2, *sizes)
    x = np.random.default_rng(9).permutation(np.prod(shape)).reshape(shape).astype(np.float32)
    arguments = {"kernel_shape": (3, 3), "pads": pads, "strides": strides}
    y, where = gpupool.onnx.max_pool(x, **arguments, indices=True)
    want = np.zeros_like(x)
    want.ravel()[where] = y
    np.testing.assert_array_equal(gpupool.onnx.max_unpool(y, where, **arguments), want, strict=True)


@pytest.mark.cpu_only
def test_global_lp_pool():
    """The package has no test of it."""
    x = np.random.default_rng(10).standard_normal((2, 3, 4, 5))
    (got,) = run_node("GlobalLpPool", [x], {"p": 3})
    want = (abs(x) ** 3).sum((2, 3), keepdims=True) ** (1 / 3)
    np.testing.assert_allclose(got, want, rtol=1e-12, strict=True)


@pytest.mark.cpu_only
@pytest.mark.parametrize(
    ("output_shape", "error", "words"),
    [
        ((1, 1, 4), ValueError, "output_shape must be 4 ints"),
        ((1, 2, 4, 4), ValueError, "output_shape must be 4 ints from (1, 1, 4, 4) on"),
        ((1, 1, 3, 4), ValueError, "at least the usual shape (1, 1, 4, 4)"),
        ((1, 1, 4, 4.5), TypeError, "output_shape must be an int"),
    ],
)
def test_output_shapes_that_cannot_be(output_shape, error, words):
    x, where = np.ones((1, 1, 2, 2)), np.array([[[[0, 2], [8, 10]]]])
    with pytest.raises(error) as caught:
        run_node("MaxUnpool", [x, where, output_shape], {"kernel_shape": [2, 2], "strides": [2, 2]})
    assert words in str(caught.value)


@pytest.mark.cpu_only
def test_indices_outside_their_plane():
    x, where = np.ones((1, 2, 1, 1)), np.array([[[[0]], [[3]]]])
    with pytest.raises(ValueError, match="indices"):
        run_node("MaxUnpool", [x, where], {"kernel_shape": [2, 2], "strides": [2, 2]})


X = np.zeros((1, 1, 4, 4), np.float32)
LOW = np.zeros((4, 4), np.float32)


@pytest.mark.cpu_only
@pytest.mark.parametrize(
    ("op", "inputs", "attributes", "outputs", "error", "words"),
    [
        ("Conv", [X], {}, 1, ValueError, "node must be one of"),
        ("MaxPool", [X], {}, 1, ValueError, "MaxPool: the attribute kernel_shape is missing"),
        ("MaxPool", [X], {"kernel_shape": [2]}, 1, ValueError, "MaxPool: kernel_shape must be 2 ints"),
        ("MaxPool", [X], {"kernel_shape": [2, 2.5]}, 1, TypeError, "MaxPool: kernel_shape must be an int"),
        ("MaxPool", [X], {"kernel_shape": None}, 1, ValueError, "kernel_shape must be 2 ints, got None"),
        ("MaxPool", [X], {"kernel_shape": 2}, 1, ValueError, "MaxPool: kernel_shape must be 2 ints, got 2"),
        ("MaxPool", [X], {"kernel_shape": [0, 2]}, 1, ValueError, "kernel_size must be a positive int, got 0"),
        ("MaxPool", [X], {"kernel_shape": [2, 2], "p": 2}, 1, ValueError, "MaxPool: unknown attribute(s) ['p']"),
        ("MaxPool", [X], {"kernel_shape": [2, 2], "indices": True}, 1, ValueError, "unknown attribute(s) ['indices']"),
        ("MaxPool", [X], {"kernel_shape": [2, 2], "ceil_mode": 2}, 1, ValueError, "ceil_mode must be 0 or 1, got 2"),
        ("MaxPool", [X], {"kernel_shape": [2, 2], "storage_order": 2}, 1, ValueError, "storage_order must be 0 or 1"),
        ("MaxPool", [X], {"kernel_shape": [2, 2], "pads": [1, 1]}, 1, ValueError, "pads must be 4 ints, got [1, 1]"),
        ("MaxPool", [X], {"kernel_shape": [2, 2], "pads": [2, 0, 0, 0]}, 1, ValueError, "without one real element"),
        ("MaxPool", [X], {"kernel_shape": [2, 2], "auto_pad": "SAME"}, 1, ValueError, "auto_pad must be one of"),
        (
            "AveragePool",
            [X],
            {"kernel_shape": [2, 2], "auto_pad": b"SAME_UPPER", "pads": [0, 1, 0, 0]},
            1,
            ValueError,
            "AveragePool: pads must not be given with auto_pad='SAME_UPPER'",
        ),
        ("AveragePool", [X], {"kernel_shape": [2, 2]}, 2, ValueError, "AveragePool: expected 1 to 1 outputs, got 2"),
        ("MaxPool", [X], {"kernel_shape": [2, 2]}, 3, ValueError, "MaxPool: expected 1 to 2 outputs, got 3"),
        ("GlobalMaxPool", [X, X], {}, 1, ValueError, "GlobalMaxPool: expected 1 to 1 inputs, got 2"),
        ("GlobalMaxPool", [], {}, 1, ValueError, "GlobalMaxPool: expected 1 to 1 inputs, got 0"),
        ("GlobalMaxPool", [LOW], {}, 1, ValueError, "X must be an array of shape (N, C, D1[, D2[, D3]]), got shape"),
        ("GlobalAveragePool", [[1, 2]], {}, 1, ValueError, "X must be an array of shape (N, C"),
    ],
)
def test_refused(op, inputs, attributes, outputs, error, words):
    with pytest.raises(error) as caught:
        run_node(op, inputs, attributes, outputs)
    assert words in str(caught.value)


@pytest.mark.cpu_only
def test_a_node_of_another_kind_of_attribute():
    node = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2.0, 2.0])
    with pytest.raises(TypeError, match="attribute 'kernel_shape' must be"):
        run_node(node, [X])


@pytest.mark.cpu_only
def test_trailing_inputs_that_are_absent():
    assert run_node("GlobalMaxPool", [X, None])[0].shape == (1, 1, 1, 1)


@pytest.mark.cpu_only
def test_documented_examples():
    """Every function has an example, and all of them run."""
    functions = [run_node, *(op.function for op in OPERATORS.values())]
    found = doctest.DocTestFinder(recurse=False)
    assert all(test.examples for f in functions for test in found.find(f, f.__name__))
    assert doctest.testmod(gpupool.onnx).failed == 0
