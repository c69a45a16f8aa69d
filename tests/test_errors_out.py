"""What `out` must be, on every backend, and what it still holds after an error."""

import backends
import layouts
import numpy as np
import pytest
import reference
from compare import message

import gpupool as gp

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
            check_out_error(library, lambda o, x=x: pool(x, 2, out=o), out, TypeError, "out", "immutable")
        else:
            texts.append(check_out_error(library, lambda o, x=x: pool(x, 2, out=o), out, exception, *words))
    assert len(set(texts)) == 1


@pytest.mark.parametrize(
    "wrong", [[[1.0]], 3, "out", np.float32(1), (np.zeros((2, 2, 2), np.float32),)], ids=lambda v: type(v).__name__
)
def test_out_must_be_an_array(backend, wrong):
    """Anything else than an array of the input's library is a TypeError that names its type."""
    text = message(lambda x: gp.max_pool2d(x, 2, out=wrong), backend.array(X), TypeError)
    assert "out" in text
    assert ("immutable" if backend.immutable else type(wrong).__name__) in text


def test_out_of_another_library(backend):
    """No silent copy between host and device: the libraries of x and out must be one."""
    host = np.full((2, 2, 2), 7, np.float32)
    if backend.name != "numpy":
        why = "immutable" if backend.immutable else "ndarray"
        check_out_error(NUMPY, lambda o: gp.max_pool2d(backend.array(X), 2, out=o), host, TypeError, "out", why)
        device = backend.array(host)
        check_out_error(backend, lambda o: gp.max_pool2d(X, 2, out=o), device, TypeError, "out", type(device).__name__)
    else:
        check_out_error(
            NUMPY, lambda o: gp.max_pool2d(X, 2, out=o), np.ma.masked_array(host), TypeError, "out", "MaskedArray"
        )


@pytest.mark.parametrize("op", ["max", "avg"])
def test_out_must_not_overlap(backend, op):
    """`out` inside the input: refused, unless they only interleave."""
    if backend.immutable:
        pytest.skip(f"{backend} arrays are immutable, and refused as out")
    base = layouts.build(np.arange(32, dtype=np.float32).reshape(4, 8))
    x, buffer = backend.place(layouts.Layout(base.base, (("index", (slice(0, 4), slice(0, 4))),)))
    out = view_of(backend, buffer, (slice(1, 3), slice(2, 4)))
    check_out_error(backend, lambda o: gp.pool(x, op, 2, out=o), out, ValueError, "out", "overlap")
    same = view_of(backend, buffer, (slice(0, 4), slice(0, 4)))
    check_out_error(backend, lambda o: gp.pool(x, op, 1, out=o), same, ValueError, "out", "overlap")


def test_out_may_interleave(backend):
    """Columns 0, 2, 4 of a buffer into columns 1, 3, 5: no element is shared."""
    if backend.immutable:
        pytest.skip(f"{backend} arrays are immutable, and refused as out")
    values = np.arange(32, dtype=np.float32).reshape(4, 8)
    x, buffer = backend.place(layouts.Layout(values, (("index", (slice(None), slice(0, None, 2))),)))
    out = view_of(backend, buffer, (slice(0, 4), slice(1, None, 2)))
    assert gp.pool(x, "max", (3, 1), axes=(0, 1), stride=1, padding=((1, 1), (0, 0)), out=out) is out
    host = backend.to_numpy(buffer)
    want = reference.pool(values[:, ::2], "max", (3, 1), axes=(0, 1), stride=1, padding=((1, 1), (0, 0))).values
    np.testing.assert_array_equal(host[:, 1::2], want)
    np.testing.assert_array_equal(host[:, ::2], values[:, ::2])


@pytest.mark.cpu_only
@pytest.mark.parametrize("size", [6, 400])
def test_pairs_are_looked_at_in_every_call(size):
    """Values and indices that share memory, or that lie in x, after a call of the same kind."""
    x, half = np.arange(size * size, dtype=np.float64).reshape(size, size), size // 2
    y, where = np.empty((half, half)), np.empty((half, half), np.int64)
    want = gp.max_pool2d(x, 2, return_indices=True)
    for _ in range(2):
        assert gp.max_pool2d(x, 2, return_indices=True, out=(y, where))[0] is y
        np.testing.assert_array_equal(y, want[0])
        np.testing.assert_array_equal(where, want[1])
        inside = x.reshape(-1)[: half * half].reshape(half, half)
        for pair in ((y, y.view(np.int64)), (inside, where), (y, inside.view(np.int64))):
            text = message(lambda o: gp.max_pool2d(x, 2, return_indices=True, out=o), pair, ValueError)
            assert "overlap" in text
        across = np.empty((half, half), np.int64).T  # other strides than y's: by way of a copy
        gp.max_pool2d(x, 2, return_indices=True, out=(y, across))
        np.testing.assert_array_equal(across, want[1])


@pytest.mark.cpu_only
@pytest.mark.parametrize("size", [6, 400])
def test_out_is_looked_at_in_every_call(size):
    """What was right in one call may be wrong in the next of the same kind, small or large."""
    memory = np.arange(2 * size * size + 8, dtype=np.float32)
    x, half = memory[: size * size].reshape(size, size), size // 2
    values = x.copy()
    want = reference.pool(values, "max", 2).values

    def at(place, dtype=np.float32):
        return np.frombuffer(memory, np.uint8)[place:][: half * half * 4].view(dtype).reshape(half, half)

    end = size * size * 4
    for _ in range(2):
        assert gp.max_pool2d(x, 2, out=at(end)) is not None
        np.testing.assert_array_equal(at(end), want)
        for place in (0, end // 2, end - 4):
            check_out_error(NUMPY, lambda o: gp.max_pool2d(x, 2, out=o), at(place), ValueError, "out", "overlap")
        gp.max_pool2d(x, 2, out=at(end + 1))  # at no address for a float32
        np.testing.assert_array_equal(at(end + 1), want)
        locked = at(end)
        locked.flags.writeable = False
        check_out_error(NUMPY, lambda o: gp.max_pool2d(x, 2, out=o), locked, ValueError, "out", "read-only")
        np.testing.assert_array_equal(x, values)


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
    check_out_error(
        backend, lambda o: gp.max_pool2d(x, 2, **call, out=(o, short)), values, TypeError, "out", "int64", "int32"
    )
    where = backend.array(np.zeros((2, 2, 2), np.int64))
    got = gp.max_pool2d(x, 2, **call, out=(values, where))
    assert got[0] is values
    assert got[1] is where
    want = reference.call("max_pool2d", X, kernel_size=2)
    np.testing.assert_array_equal(backend.to_numpy(values), want.values)
    np.testing.assert_array_equal(backend.to_numpy(where), want.indices)
