"""Properties over random shapes, windows, strides, paddings, dilations, dtypes and memory orders."""

import compare
import layouts
import numpy as np
import pytest
import reference
from backends import simulated
from fills import FLOATS, INTEGERS, dtype_of, fill
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import gpupool as gp

# The simulator runs a Python thread for each CUDA thread: fewer and smaller examples.
EXAMPLES, LONGEST = (100, 5) if simulated() else (150, 9)
pytestmark = pytest.mark.every_engine
few = settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
# Each pair of dtypes is a kernel to compile: the table has them all, these are the ones that differ in kind.
SOME = ("bool", "uint8", "int32", "int64", "float16", "float32", "float64", "bfloat16")
FILLS = {
    "f": ["random", "ties", "special", "signed_zeros", "infinities"],
    "i": ["random", "ties", "limits"],
    "b": ["random"],
}


@st.composite
def calls(draw, backend, dtypes=SOME):
    """(values, arguments of `pool`) that the backend can express; valid by the oracle's shape rule."""
    ndim = draw(st.integers(1, 4))
    shape = tuple(draw(st.lists(st.integers(1, LONGEST if ndim < 4 else 4), min_size=ndim, max_size=ndim)))
    count = draw(st.integers(1, min(ndim, 3)))
    axes = tuple(draw(st.permutations(range(ndim)))[:count])

    def ints(low, high):
        return tuple(draw(st.lists(st.integers(low, high), min_size=count, max_size=count)))

    padding = draw(st.one_of(st.sampled_from(["same", "same_lower", "valid"]), st.just("pairs")))
    arguments = {
        "op": draw(st.sampled_from(["max", "avg"])),
        "window": ints(1, 4),
        "axes": axes,
        "stride": draw(st.sampled_from([None, ints(1, 4)])),
        "padding": tuple(zip(ints(0, 3), ints(0, 3), strict=True)) if padding == "pairs" else padding,
        "dilation": ints(1, 3),
        "ceil_mode": draw(st.booleans()),
    }
    dtype = draw(st.sampled_from(supported(backend, dtypes)))
    if arguments["op"] == "avg":
        arguments["count_include_pad"] = draw(st.booleans())
        arguments["divisor_override"] = draw(st.sampled_from([None, None, None, 3, -2]))
        others = supported(backend, ["float64", "int16"] if dtype in INTEGERS else ["float64"])
        arguments["dtype"] = draw(st.sampled_from([None, None, None, *others]))
    geometry = {k: arguments[k] for k in ("axes", "stride", "padding", "dilation", "ceil_mode")}
    try:
        reference.output_shape(shape, arguments["window"], **geometry)
    except reference.Rejected:
        assume(False)
    kind = "f" if dtype in FLOATS else "b" if dtype == "bool" else "i"
    values = fill(draw(st.sampled_from(FILLS[kind])), np.random.default_rng(draw(st.integers(0, 2**32))), shape, dtype)
    return values, arguments


def layouts_for(backend, values):
    """The memory layouts that this backend can give these values."""
    names = [name for name in layouts.EVERYTHING if not name.startswith("inner") or int(name[5:]) < values.ndim]
    return [name for name in names if backend.supports(values.dtype, name)]


def supported(backend, dtypes):
    """Those of these dtypes that the backend has."""
    return [dtype for dtype in dtypes if backend.supports(dtype_of(dtype))]


@few
@given(data=st.data())
def test_any_call_agrees_with_the_oracle(backend, data):
    """Values, dtype, shape and memory order, in any memory layout."""
    values, arguments = data.draw(calls(backend))
    layout = data.draw(st.sampled_from(layouts_for(backend, values)))
    x = backend.array(values, layout)
    got = gp.pool(x, **arguments)
    answer = reference.pool(values, **arguments)
    compare.assert_answer(backend.to_numpy(got), answer)
    if backend.strides(x) is not None:
        compare.assert_memory_order(
            (tuple(x.shape), backend.strides(x)), (tuple(got.shape), backend.strides(got)), answer.values.dtype
        )


@few
@given(data=st.data())
def test_memory_layout_never_matters(backend, data):
    """Every layout gives the contiguous answer, bit for bit."""
    values, arguments = data.draw(calls(backend))
    name = data.draw(st.sampled_from(layouts_for(backend, values)))
    plain, hostile = (backend.to_numpy(gp.pool(backend.array(values, layout), **arguments)) for layout in ("C", name))
    assert plain.tobytes() == np.ascontiguousarray(hostile).tobytes()


@few
@given(data=st.data())
def test_out_gives_the_same_bits(backend, data):
    """`out` in any layout holds what a new array would, and nothing around it changes."""
    values, arguments = data.draw(calls(backend))
    assume(not backend.immutable)
    x = backend.array(values)
    want = backend.to_numpy(gp.pool(x, **arguments))
    name = data.draw(st.sampled_from([n for n in layouts_for(backend, values) if n != "readonly"]))
    target = layouts.build(np.zeros_like(want), name)
    out, buffer = backend.place(target)
    assert gp.pool(x, **arguments, out=out) is out
    host = backend.to_numpy(buffer).copy()
    assert np.ascontiguousarray(target.view(host)).tobytes() == want.tobytes()
    target.view(host)[...] = 0
    assert host.tobytes() == target.base.tobytes()


@few
@given(data=st.data())
def test_output_shape_is_the_results_shape(backend, data):
    values, arguments = data.draw(calls(backend, ("float32",)))
    geometry = {k: arguments[k] for k in ("axes", "stride", "padding", "dilation", "ceil_mode")}
    got = gp.pool(backend.array(values), **arguments)
    assert tuple(got.shape) == gp.output_shape(values.shape, arguments["window"], **geometry)


@few
@given(data=st.data())
def test_order_of_axes_never_matters(backend, data):
    """The same axes named in another order, or counted from the end."""
    values, arguments = data.draw(calls(backend))
    count = len(arguments["axes"])
    order = data.draw(st.permutations(range(count)))
    turned = {k: tuple(v[i] for i in order) if isinstance(v, tuple) else v for k, v in arguments.items()}
    turned["axes"] = tuple(a - values.ndim for a in turned["axes"])
    x = backend.array(values)
    assert backend.to_numpy(gp.pool(x, **arguments)).tobytes() == backend.to_numpy(gp.pool(x, **turned)).tobytes()


@few
@given(data=st.data())
def test_indices_point_at_the_values(backend, data):
    """x at the indices is the result; before a first maximum there is none."""
    height, width = data.draw(st.tuples(st.integers(1, LONGEST), st.integers(1, LONGEST)))
    window = data.draw(st.tuples(st.integers(1, min(3, height)), st.integers(1, min(3, width))))
    padding = tuple(data.draw(st.integers(0, k - 1)) for k in window)
    dtype = data.draw(st.sampled_from(supported(backend, SOME)))
    name = data.draw(st.sampled_from(["ties", "random"]))
    values = fill(name, np.random.default_rng(data.draw(st.integers(0, 999))), (2, height, width), dtype)
    got, where = gp.max_pool2d(backend.array(values), window, 1, padding, return_indices=True)
    got, where = backend.to_numpy(got), backend.to_numpy(where)
    compare.assert_same_bits(
        where, reference.call("max_pool2d", values, kernel_size=window, stride=1, padding=padding).indices
    )
    flat = values.reshape(2, -1)
    taken = np.take_along_axis(flat, where.reshape(2, -1), axis=1).reshape(got.shape)
    assert taken.tobytes() == got.tobytes()


@few
@given(data=st.data())
def test_tiled_equals_whole(backend, data):
    """An array pooled in two parts, cut between windows, is the array pooled whole, bit for bit."""
    k, s = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    windows = data.draw(st.integers(2, 4))
    cut = data.draw(st.integers(1, windows - 1))
    n = (windows - 1) * s + k
    op = data.draw(st.sampled_from(["max", "avg"]))
    values = fill("random", np.random.default_rng(data.draw(st.integers(0, 999))), (2, n, 3), "float32")

    def pooled(part):
        return backend.to_numpy(gp.pool(backend.array(part), op, (k, 1), axes=(1, 2), stride=(s, 1)))

    parts = [pooled(values[:, : (cut - 1) * s + k]), pooled(values[:, cut * s :])]
    assert np.concatenate(parts, axis=1).tobytes() == pooled(values).tobytes()


@few
@given(data=st.data())
def test_max_of_max_is_max_of_the_larger_window(backend, data):
    """Max pooling twice, stride 1, is max pooling with the windows' sum; a window of 1 changes nothing."""
    a, b = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    dtype = data.draw(st.sampled_from(supported(backend, ["uint8", "int32", "float32", "float64"])))
    values = fill("random", np.random.default_rng(data.draw(st.integers(0, 999))), (2, a + b + 2), dtype)
    x = backend.array(values)
    twice = gp.max_pool1d(gp.max_pool1d(x, a, 1), b, 1)
    once = gp.max_pool1d(x, a + b - 1, 1)
    assert backend.to_numpy(twice).tobytes() == backend.to_numpy(once).tobytes()
    assert backend.to_numpy(gp.max_pool1d(x, 1)).tobytes() == values.tobytes()


@few
@given(data=st.data())
def test_means_lie_between_the_extremes(backend, data):
    """A mean without padding in its divisor is no smaller than the smallest and no larger than the largest element."""
    dtype = data.draw(st.sampled_from(["uint8", "int16", "float16", "float32"]))
    values = fill("random", np.random.default_rng(data.draw(st.integers(0, 999))), (2, 5, 4), dtype)
    x = backend.array(values)
    arguments = {"kernel_size": 3, "stride": 2, "padding": 1}
    mean = backend.to_numpy(gp.avg_pool2d(x, **arguments, count_include_pad=False)).astype(np.float64)
    highest = backend.to_numpy(gp.max_pool2d(x, **arguments)).astype(np.float64)
    slack = 2.0 ** (-9 if dtype == "float16" else -22) * abs(highest)
    assert (mean <= highest + slack).all()
    assert mean.min() >= values.min() - slack.max()


@pytest.mark.parametrize("size", range(1, 4))
def test_global_pooling_is_one_window(backend, size):
    """Global pooling, a window over the whole plane and `pool` over the last axes: the same bits for integers."""
    values = fill("random", np.random.default_rng(size), (2, *(3, 2, 4)[:size]), "uint8")
    x, plane = backend.array(values), values.shape[1:]
    for op in ("max", "avg"):
        whole = backend.to_numpy(getattr(gp, f"global_{op}_pool{size}d")(x))
        window = backend.to_numpy(getattr(gp, f"{op}_pool{size}d")(x, plane))
        anywhere = backend.to_numpy(gp.pool(x, op, plane))
        assert whole.tobytes() == window.tobytes() == anywhere.tobytes()
