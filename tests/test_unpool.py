"""Max unpooling and its gradient on every backend, against a plain loop."""

import compare
import numpy as np
import pytest

import gpupool as gp

# (suffix, shape of x, arguments, shape of the result)
ROWS = [
    ("2d", (2, 3, 3, 4), {"kernel_size": 2}, (2, 3, 6, 8)),
    ("2d", (2, 3, 4), {"kernel_size": 3, "stride": 2, "padding": 1}, (2, 5, 7)),
    ("2d", (2, 3, 4), {"kernel_size": 3, "stride": 2, "padding": 1, "output_size": (6, 8)}, (2, 6, 8)),
    ("2d", (1, 2, 3, 4), {"kernel_size": 2, "output_size": (1, 2, 7, 7)}, (1, 2, 7, 7)),
    ("2d", (2, 3, 4, 2), {"kernel_size": 2, "data_format": "channels_last"}, (2, 6, 8, 2)),
    ("2d", (1, 3, 4, 2), {"kernel_size": 2, "data_format": "channels_last", "output_size": (1, 7, 7, 2)}, (1, 7, 7, 2)),
    ("2d", (3, 4), {"kernel_size": (2, 1), "stride": (3, 1), "padding": (1, 0)}, (6, 4)),
    ("1d", (2, 5), {"kernel_size": 3, "stride": 1}, (2, 7)),
    ("1d", (2, 5, 3), {"kernel_size": 2, "data_format": "channels_last", "output_size": (11,)}, (2, 11, 3)),
    ("3d", (2, 2, 3, 2), {"kernel_size": 2}, (2, 4, 6, 4)),
]
EACH = pytest.mark.parametrize("which", ROWS, ids=str)
LAYOUTS = ("C", "F", "inner1", "reversed", "mixed", "readonly", "step")


def planes(a, suffix, arguments):
    """An array as (planes, elements), and how to get back from there."""
    end = a.ndim - (arguments.get("data_format") == "channels_last")
    axes = tuple(range(end - int(suffix[0]), end))
    moved = np.moveaxis(a, axes, range(-len(axes), 0))
    shape = moved.shape
    flat = moved.reshape(int(np.prod(shape[: -len(axes)])), -1)
    return flat, lambda flat: np.moveaxis(flat.reshape(shape), range(-len(axes), 0), axes)


def inputs(which, dtype="float32"):
    """x, and indices with duplicates."""
    suffix, shape, arguments, out_shape = which
    rng = np.random.default_rng(17)
    limit = planes(np.empty(out_shape), suffix, arguments)[0].shape[1]
    x = rng.integers(1, 100, shape).astype(dtype)
    return x, rng.integers(0, limit, shape)


def expected(which, x, where, grad=None):
    """The unpooled array: the last of equal indices stays; and the gradient of grad, if one is given."""
    suffix, _, arguments, out_shape = which
    result, back = planes(np.zeros(out_shape, x.dtype), suffix, arguments)
    result = result.copy()
    owner = np.full(result.shape, -1)
    values, indices = planes(x, suffix, arguments)[0], planes(where, suffix, arguments)[0]
    for plane in range(len(values)):
        for i, at in enumerate(indices[plane].tolist()):
            result[plane, at], owner[plane, at] = values[plane, i], i
    if grad is None:
        return back(result)
    given = planes(grad, suffix, arguments)[0]
    taken = np.take_along_axis(given, indices, 1)
    kept = np.take_along_axis(owner, indices, 1) == np.arange(indices.shape[1])
    return planes(x, suffix, arguments)[1](np.where(kept, taken, 0))


@EACH
def test_against_a_loop(backend, which):
    """Places, zeros, duplicates, library, dtype and memory order."""
    x, where = inputs(which)
    placed = backend.array(x)
    got = getattr(gp, f"max_unpool{which[0]}")(placed, backend.array(where), **which[2])
    assert backend.owns(got)
    compare.assert_same_bits(backend.to_numpy(got), np.ascontiguousarray(expected(which, x, where)))


@EACH
def test_gradient_against_a_loop(backend, which):
    """The gradient of an element that another took the place of is zero."""
    x, where = inputs(which)
    grad = np.random.default_rng(3).standard_normal(which[3]).astype(np.float32)
    function = getattr(gp, f"max_unpool{which[0]}_backward")
    got = function(backend.array(grad), backend.array(x), backend.array(where), **which[2])
    assert backend.owns(got)
    compare.assert_same_bits(backend.to_numpy(got), np.ascontiguousarray(expected(which, x, where, grad)))


@pytest.mark.cpu_only
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize(
    "which",
    [
        ("2d", (3, 2, 9, 11), {"kernel_size": 3, "stride": 2, "padding": 1}, (3, 2, 17, 21)),
        ("2d", (2, 5, 4, 37), {"kernel_size": 2, "data_format": "channels_last"}, (2, 10, 8, 37)),
        ("1d", (2, 333), {"kernel_size": 1}, (2, 333)),
    ],
    ids=str,
)
def test_gradient_in_full_vectors(which, dtype):
    """Rows of more than one vector and some left over, with many duplicates."""
    x, where = inputs(which, dtype)
    grad = np.random.default_rng(3).standard_normal(which[3]).astype(dtype)
    got = getattr(gp, f"max_unpool{which[0]}_backward")(grad, x, where, **which[2])
    want = expected(which, x, where, grad)
    assert (want == 0).sum() > 20
    compare.assert_same_bits(got, np.ascontiguousarray(want))


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "float16", "int32", "float64", "uint64"])
def test_dtypes(backend, dtype):
    """Elements are moved as they are, of any size."""
    which = ROWS[0]
    x, where = inputs(which, dtype)
    got = gp.max_unpool2d(backend.array(x), backend.array(where), **which[2])
    compare.assert_same_bits(backend.to_numpy(got), np.ascontiguousarray(expected(which, x, where)))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_memory_orders(backend, layout):
    """Any strides of x and of the indices; the result has x's order."""
    if not backend.supports(np.float32, layout):
        assert layout != "C"
        return
    for which in (ROWS[0], ROWS[4]):
        x, where = inputs(which)
        want = np.ascontiguousarray(expected(which, x, where))
        placed = backend.array(x, layout)
        got = gp.max_unpool2d(placed, backend.array(where), **which[2])
        compare.assert_same_bits(backend.to_numpy(got), want)
        if backend.strides(placed) is not None:
            strides = (tuple(placed.shape), backend.strides(placed)), (tuple(got.shape), backend.strides(got))
            compare.assert_memory_order(*strides, want.dtype)
        got = gp.max_unpool2d(backend.array(x), backend.array(where, layout), **which[2])
        compare.assert_same_bits(backend.to_numpy(got), want)


def test_undoes_pooling(backend):
    """Pooling what was unpooled gives the maxima back."""
    x = np.random.default_rng(2).permutation(np.arange(1, 97, dtype=np.float32)).reshape(2, 6, 8)
    values, where = gp.max_pool2d(backend.array(x), 2, return_indices=True)
    spread = gp.max_unpool2d(values, where, 2)
    assert np.count_nonzero(backend.to_numpy(spread)) == 24
    compare.assert_same_bits(backend.to_numpy(gp.max_pool2d(spread, 2)), backend.to_numpy(values))


def test_out_is_filled_and_not_touched_by_a_wrong_index(backend):
    """`out` holds what it held when an index is refused."""
    if backend.immutable:
        assert backend.name == "jax"
        return
    which = ROWS[0]
    x, where = inputs(which)
    for layout in ("C", "F", "offset"):
        out = backend.array(np.full(which[3], 7, np.float32), layout)
        wrong = where.copy()
        wrong[-1, -1, -1, -1] = 48
        with pytest.raises(ValueError, match=r"indices must lie in 0 to 47, flat within the pooled axes, got 48"):
            gp.max_unpool2d(backend.array(x), backend.array(wrong), 2, out=out)
        np.testing.assert_array_equal(backend.to_numpy(out), 7)
        assert gp.max_unpool2d(backend.array(x), backend.array(where), 2, out=out) is out
        np.testing.assert_array_equal(backend.to_numpy(out), expected(which, x, where))


def test_out_of_the_gradient(backend):
    """The same for the gradient; a wrong index is as much of an error where there is no `out`."""
    which = ROWS[0]
    x, where = inputs(which)
    grad = np.random.default_rng(3).standard_normal(which[3]).astype(np.float32)
    wrong = where.copy()
    wrong[1, 1, 2, 3] = 48
    words = r"max_unpool2d_backward: indices must lie in 0 to 47, flat within the pooled axes, got 48"
    with pytest.raises(ValueError, match=words):
        gp.max_unpool2d_backward(*map(backend.array, (grad, x, wrong)), 2)
    if backend.immutable:
        assert backend.name == "jax"
        return
    for layout in ("C", "F", "offset"):
        out = backend.array(np.full(x.shape, 7, np.float32), layout)
        with pytest.raises(ValueError, match=words):
            gp.max_unpool2d_backward(*map(backend.array, (grad, x, wrong)), 2, out=out)
        np.testing.assert_array_equal(backend.to_numpy(out), 7)
        assert gp.max_unpool2d_backward(*map(backend.array, (grad, x, where)), 2, out=out) is out
        np.testing.assert_array_equal(backend.to_numpy(out), expected(which, x, where, grad))


@pytest.mark.parametrize("index", [24, 2**31, 2**33 + 1, 2**63 - 1, -1, -(2**63)])
def test_indices_outside_the_plane(backend, index):
    """One wrong index among good ones, however large: the error names it."""
    where = np.zeros((2, 2, 3), np.int64)
    where[1, 0, 2] = index
    x = backend.array(np.ones((2, 2, 3), np.float32))
    with pytest.raises(ValueError, match=f"max_unpool2d: indices must lie in 0 to 23.*got {index}$"):
        gp.max_unpool2d(x, backend.array(where), 2)
    with pytest.raises(ValueError, match=f"got {index}$"):
        gp.max_unpool2d_backward(backend.array(np.ones((2, 4, 6), np.float32)), x, backend.array(where), 2)


ERRORS = [
    ("indices must have shape", ValueError, {"indices": (2, 2, 2)}, {}),
    ("indices must have dtype int64, got int32", TypeError, {"dtype": "int32"}, {}),
    ("output_size must lie between 2 and 6", ValueError, {}, {"output_size": (6, 4)}),
    ("output_size must lie between 2 and 6", ValueError, {}, {"output_size": (2, 4)}),
    ("output_size must be None, 2 ints", ValueError, {}, {"output_size": (4,)}),
    ("output_size must be None, 2 ints", ValueError, {}, {"output_size": (2, 4, 4)}),
    ("output_size must be None or", TypeError, {}, {"output_size": 4}),
    ("output_size", TypeError, {}, {"output_size": "same"}),
    ("kernel_size must be a positive int", ValueError, {}, {"kernel_size": 0}),
    ("kernel_size", TypeError, {}, {"kernel_size": None}),
    ("stride must be a positive int", ValueError, {}, {"stride": 0}),
    ("padding must be a non-negative int", ValueError, {}, {"padding": -1}),
    ("padding leaves no element", ValueError, {}, {"padding": 2}),
    ("data_format", ValueError, {}, {"data_format": "NCHW"}),
]


@pytest.mark.parametrize("which", ERRORS, ids=lambda which: which[0])
def test_errors(backend, which):
    """Refusals in words."""
    words, kind, arrays, arguments = which
    x = backend.array(np.ones((1, 2, 2), np.float32))
    where = backend.array(np.zeros(arrays.get("indices", (1, 2, 2)), arrays.get("dtype", "int64")))
    with pytest.raises(kind, match=words):
        gp.max_unpool2d(x, where, **{"kernel_size": 2, **arguments})


def test_more_errors(backend):
    """Empty planes, too few axes, gradients that do not fit."""
    with pytest.raises(ValueError, match="no elements to unpool"):
        gp.max_unpool2d(backend.array(np.ones((2, 0, 2), "f4")), backend.array(np.zeros((2, 0, 2), "i8")), 2)
    with pytest.raises(ValueError, match="at least 3 dimension"):
        gp.max_unpool3d(backend.array(np.ones((2, 2), "f4")), backend.array(np.zeros((2, 2), "i8")), 2)
    x, where = backend.array(np.ones((2, 2), "f4")), backend.array(np.zeros((2, 2), "i8"))
    with pytest.raises(ValueError, match=r"grad_output must have shape \(4, 4\)"):
        gp.max_unpool2d_backward(backend.array(np.ones((2, 4), "f4")), x, where, 2)
    with pytest.raises(TypeError, match="grad_output must have dtype float32"):
        gp.max_unpool2d_backward(backend.array(np.ones((4, 4), "f8")), x, where, 2)


def test_empty_batch(backend):
    """No planes: an empty result."""
    got = gp.max_unpool2d(backend.array(np.ones((0, 2, 3), "f4")), backend.array(np.zeros((0, 2, 3), "i8")), 2)
    assert tuple(got.shape) == (0, 4, 6)


@pytest.mark.cpu_only
@pytest.mark.parametrize("threads", [1, 3])
def test_one_large_plane(threads):
    """A plane that several threads share."""
    rng = np.random.default_rng(1)
    x, where = rng.standard_normal((1, 300, 400)).astype("f4"), rng.integers(0, 600 * 800, (1, 300, 400))
    want = np.zeros(600 * 800, "f4")
    want[where.ravel()] = x.ravel()  # NumPy assigns in order
    before = gp.get_num_threads()
    try:
        gp.set_num_threads(threads)
        np.testing.assert_array_equal(gp.max_unpool2d(x, where, 2).ravel(), want)
    finally:
        gp.set_num_threads(before)


# (suffix, shape of x, arguments, shape of the result): windows apart, with gaps, padded, cut off, overlapping, large
CELLS = [
    ("2d", (2, 3, 5, 37), {"kernel_size": 2}, (2, 3, 10, 74)),
    ("2d", (2, 5, 37), {"kernel_size": 2, "output_size": (11, 75)}, (2, 11, 75)),
    ("2d", (2, 5, 37), {"kernel_size": 2, "output_size": (9, 73)}, (2, 9, 73)),
    ("2d", (2, 5, 37), {"kernel_size": 3, "padding": 1}, (2, 13, 109)),
    ("2d", (2, 5, 20), {"kernel_size": (1, 2), "stride": (2, 3)}, (2, 9, 59)),
    ("2d", (2, 5, 20), {"kernel_size": (2, 2), "stride": (4, 5), "output_size": (18, 101)}, (2, 18, 101)),
    ("2d", (2, 5, 20), {"kernel_size": 3, "stride": 2}, (2, 11, 41)),
    ("2d", (2, 3, 4), {"kernel_size": (3, 4), "stride": (3, 4)}, (2, 9, 16)),
    ("2d", (2, 2, 3), {"kernel_size": (10, 9)}, (2, 20, 27)),
    ("2d", (1, 4, 9, 35), {"kernel_size": 2, "data_format": "channels_last"}, (1, 8, 18, 35)),
    ("2d", (1, 4, 9, 3), {"kernel_size": 2, "padding": 1, "data_format": "channels_last"}, (1, 6, 16, 3)),
    ("1d", (3, 41), {"kernel_size": 2}, (3, 82)),
    ("1d", (2, 41), {"kernel_size": 4, "padding": 2}, (2, 160)),
    ("3d", (2, 2, 3, 9), {"kernel_size": 2}, (2, 4, 6, 18)),
    ("3d", (1, 2, 3, 4), {"kernel_size": (2, 3, 3), "stride": (3, 3, 4)}, (1, 5, 9, 15)),
    ("3d", (2, 3, 2, 9), {"kernel_size": 2, "stride": (3, 2, 2), "output_size": (9, 5, 19)}, (2, 9, 5, 19)),
]


def each_axis(value, count):
    """One number for each axis."""
    return value if isinstance(value, tuple) else (value,) * count


def from_cells(which, rng):
    """Indices as pooling gives them: each somewhere in its own window."""
    suffix, shape, arguments, out_shape = which
    count = int(suffix[0])
    last = arguments.get("data_format") == "channels_last"
    end = len(shape) - last
    where = np.zeros(shape, np.int64)
    k = each_axis(arguments["kernel_size"], count)
    s = each_axis(arguments.get("stride", k), count)
    p = each_axis(arguments.get("padding", 0), count)
    for i in range(count):
        axis = end - count + i
        limit = out_shape[axis]
        start = (np.arange(shape[axis]) * s[i] - p[i]).reshape([-1 if a == axis else 1 for a in range(len(shape))])
        low, high = np.clip(start, 0, limit - 1), np.clip(start + k[i], 1, limit)
        where = where * limit + rng.integers(np.broadcast_to(low, shape), np.maximum(low + 1, high))
    return where


def changed(which, where, how, rng):
    """The indices of some planes, no longer in their cells, or none."""
    suffix, _, arguments, out_shape = which
    flat, back = planes(where, suffix, arguments)
    flat = flat.copy()
    limit = planes(np.empty(out_shape), suffix, arguments)[0].shape[1]
    if how == "twice":  # another element takes the place of one
        flat[-1, 1] = flat[-1, -1]
    elif how == "elsewhere":
        flat[0, rng.integers(flat.shape[1])] = rng.integers(limit)
    elif how == "one row before":  # the positions that lie before columns 0 are others' last ones
        flat = np.maximum(flat - 1, 0)
    elif how == "anywhere":
        flat[-1] = rng.integers(0, limit, flat.shape[1])
    return np.ascontiguousarray(back(flat))


@pytest.mark.cpu_only
@pytest.mark.parametrize("how", ["own", "twice", "elsewhere", "one row before", "anywhere"])
@pytest.mark.parametrize("which", CELLS, ids=str)
def test_indices_in_their_cells_and_out_of_them(which, how):
    """Planes of one kind and the other, forward and backward, into new arrays and given ones."""
    rng = np.random.default_rng(23)
    where = changed(which, from_cells(which, rng), how, rng)
    forward, backward = (getattr(gp, f"max_unpool{which[0]}{end}") for end in ("", "_backward"))
    for dtype in ("float32", "float64", "float16"):
        x = rng.integers(1, 100, which[1]).astype(dtype)
        grad = rng.integers(1, 1000, which[3]).astype(dtype)
        want = np.ascontiguousarray(expected(which, x, where))
        compare.assert_same_bits(np.ascontiguousarray(forward(x, where, **which[2])), want)
        out = np.full(which[3], 7, dtype)
        compare.assert_same_bits(forward(x, where, **which[2], out=out), want)
        want = np.ascontiguousarray(expected(which, x, where, grad))
        compare.assert_same_bits(np.ascontiguousarray(backward(grad, x, where, **which[2])), want)
        out = np.full(which[1], 7, dtype)
        compare.assert_same_bits(backward(grad, x, where, **which[2], out=out), want)


@pytest.mark.cpu_only
def test_a_position_before_a_padded_row_is_in_no_cell_of_it():
    """The last one of the row before, which belongs to another window: of the two the later one counts."""
    which = CELLS[3]
    rng = np.random.default_rng(3)
    where = from_cells(which, rng)
    where[:, 1, 0] = where[:, 0, -1] = 2 * which[3][-1] - 1
    x, grad = rng.integers(1, 100, which[1]).astype("f4"), rng.integers(1, 100, which[3]).astype("f4")
    want = expected(which, x, where, grad)
    assert (want[:, 0, -1] == 0).all()
    compare.assert_same_bits(gp.max_unpool2d_backward(grad, x, where, **which[2]), want)


@pytest.mark.cpu_only
@pytest.mark.parametrize("threads", [1, 3])
def test_one_large_plane_of_cells(threads):
    """A plane that several threads share, with an index outside as the last one, too."""
    rng, before = np.random.default_rng(1), gp.get_num_threads()
    which = ("2d", (1, 301, 400), {"kernel_size": 2, "output_size": (603, 800)}, (1, 603, 800))
    x, where = rng.standard_normal(which[1]).astype("f4"), from_cells(which, rng)
    try:
        gp.set_num_threads(threads)
        compare.assert_same_bits(gp.max_unpool2d(x, where, **which[2]), expected(which, x, where))
        grad = rng.standard_normal(which[3]).astype("f4")
        got = gp.max_unpool2d_backward(grad, x, where, **which[2])
        compare.assert_same_bits(got, np.take_along_axis(grad.ravel(), where.ravel(), 0).reshape(x.shape))
        where[0, -1, -1] = 603 * 800
        with pytest.raises(ValueError, match="got 482400"):
            gp.max_unpool2d(x, where, **which[2])
        with pytest.raises(ValueError, match="got 482400"):
            gp.max_unpool2d_backward(grad, x, where, **which[2])
    finally:
        gp.set_num_threads(before)


@pytest.mark.cpu_only
@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int64"])
def test_integers_in_cells(dtype):
    """Elements of every size are only moved."""
    rng = np.random.default_rng(5)
    for which in (CELLS[0], CELLS[9]):
        x, where = rng.integers(0, 2, which[1]).astype(dtype), from_cells(which, rng)
        got = getattr(gp, f"max_unpool{which[0]}")(x, where, **which[2])
        compare.assert_same_bits(np.ascontiguousarray(got), np.ascontiguousarray(expected(which, x, where)))
