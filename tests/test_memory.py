"""Memory at sizes that reach every engine: layouts never change a bit, and nothing is written outside of `out`."""

import layouts
import numpy as np
import pytest
import reference
from fills import fill

import gpupool as gp

pytestmark = pytest.mark.every_engine

# Few taps and many, windows that tile the array or overlap, that are longer than an axis, that are whole planes.
CALLS = {
    "2x2": ((3, 20, 24), (2, 2), {}),
    "overlapping": ((3, 12, 14), (2, 2), {"stride": 1}),
    "rows": ((3, 12, 16), (1, 4), {}),
    "columns": ((3, 16, 12), (4, 1), {"stride": 1}),
    "3x3 padded": ((3, 14, 13), (3, 3), {"stride": 2, "padding": 1}),
    "5x5": ((3, 20, 15), (5, 5), {}),
    "longer than the axis": ((60, 4, 4), (7, 1), {"stride": 1, "padding": ((3, 3), (0, 0))}),
    "planes of 4": ((150, 2, 2), (2, 2), {}),
    "planes of 4 with channels": ((150, 3, 2, 2), (2, 2), {}),
    "planes of 49": ((20, 7, 7), (7, 7), {}),
    "planes of 600": ((4, 25, 24), (25, 24), {}),
}


def supported(backend, names, ndim):
    """The layouts that this backend can give an array."""
    fit = [name for name in names if not name.startswith("inner") or int(name[5:]) < ndim]
    return [name for name in fit if backend.supports("f4", name)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CALLS)
def test_layouts_give_the_same_bits(backend, name, dtype):
    """Averages: the order in which taps are added does not depend on strides, of the input or of `out`."""
    if not backend.supports(dtype):
        dtype = "float16"  # whose sums are wider than itself, on the one backend that takes few dtypes
    shape, window, options = CALLS[name]
    if backend.name == "simulator":  # which runs a Python thread for each element of a plane
        shape = (2, *shape[1:])
    values = fill("random", np.random.default_rng(3), shape, dtype)
    want = backend.to_numpy(gp.pool(backend.array(values), "avg", window, **options))
    different = []
    for layout in supported(backend, layouts.EVERYTHING, len(shape)):
        got = backend.to_numpy(gp.pool(backend.array(values, layout), "avg", window, **options))
        if np.ascontiguousarray(got).tobytes() != want.tobytes():
            different.append(f"x {layout}: {np.count_nonzero(got != want)} of {want.size}")
    for layout in supported(backend, () if backend.immutable else ("F", "step", "mixed", "offset"), len(shape)):
        target = layouts.build(np.zeros_like(want), layout)
        out, buffer = backend.place(target)
        gp.pool(backend.array(values), "avg", window, **options, out=out)
        got = target.view(backend.to_numpy(buffer).copy())
        if np.ascontiguousarray(got).tobytes() != want.tobytes():
            different.append(f"out {layout}: {np.count_nonzero(got != want)} of {want.size}")
    assert different == []


@pytest.mark.parametrize("op", ["max", "avg"])
@pytest.mark.parametrize(
    ("window", "stride", "padding"),
    [(1, 1, 0), (2, 1, 0), (2, 1, 1), (2, 2, 0), (3, 1, 1), (3, 2, 1), (4, 1, 2), (5, 1, 2), (5, 3, 0)],
)
def test_rows_of_out_with_gaps(backend, op, window, stride, padding):
    """Whatever lies between the rows of `out`, few elements or many, is left alone."""
    if backend.immutable:
        return
    values = fill("random", np.random.default_rng(4), (2, 5, 9), "float32")
    geometry = {"stride": (1, stride), "padding": ((0, 0), (padding, padding))}
    want = reference.pool(values, "max", (2, window), **geometry).values
    if op == "avg":
        want = backend.to_numpy(gp.pool(backend.array(values), "avg", (2, window), **geometry))
    for gap in range(1, 7):
        shape = (*want.shape[:-1], want.shape[-1] + gap)
        for keep in (slice(gap, None), slice(0, -gap)):
            target = layouts.embedded(np.zeros_like(want), shape, (..., keep))
            out, buffer = backend.place(target)
            gp.pool(backend.array(values), op, (2, window), **geometry, out=out)
            host = backend.to_numpy(buffer).copy()
            assert np.ascontiguousarray(target.view(host)).tobytes() == want.tobytes()
            target.view(host)[...] = 0
            assert host.tobytes() == target.base.tobytes(), f"written outside of out, gap {gap}"
