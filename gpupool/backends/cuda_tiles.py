"""The kernels with constant windows: which tile each thread computes, and what it may load at once. Integers only."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gpupool.kernels.cuda.last import last
from gpupool.kernels.cuda.operators import accumulator
from gpupool.kernels.cuda.tile import tile
from gpupool.kernels.cuda.tile_indices import tile_indices, tile_positions
from gpupool.kernels.cuda.walk import Walk, cut
from gpupool.kernels.reducers import neutral, picks
from gpupool.kernels.window import Axis, Geometry, first_tap, tap_count

WIDEST = 16  # bytes of one load or store
LARGEST_WINDOW = 8  # taps along an axis that are unrolled
LARGEST_UNROLLED = 64  # taps of a window
REGISTERS = 64  # accumulators and loaded elements that a tile may keep, in 32-bit registers


class Choice(NamedTuple):
    """An engine with its constants, and how many threads' worth of work there is."""

    engine: Any
    constants: tuple[tuple[str, Any], ...]
    label: str
    walk: Walk
    units: int


def constant_window(g: Geometry) -> bool:
    """Whether the window is small enough to be unrolled, and not dilated."""
    axes = (g.d, g.h, g.w)
    taps = g.d.k * g.h.k * g.w.k
    return all(a.d == 1 and a.k <= LARGEST_WINDOW for a in axes) and 1 < taps <= LARGEST_UNROLLED


def leaves(a: Axis, out: int) -> bool:
    """Whether one of the first `out` windows leaves the axis."""
    return first_tap(0, a.s, a.before) < 0 or first_tap(out - 1, a.s, a.before) + a.k > a.n


def uniform_divisor(g: Geometry) -> int:
    """What every window is divided by, if all have the same number of counted taps and no override; else 0."""
    if g.divisor:
        return 0
    product = 1
    for a in (g.d, g.h, g.w):
        for o in (0, a.out - 1):  # the first and the last window have the fewest
            if tap_count(first_tap(o, a.s, a.before), a.count_from, a.count_to, a.k, 1) != a.k:
                return 0
        product *= a.k
    return product


def decoded(op: Any) -> Any:
    """A sample of what the reducer sees: a NumPy scalar of the type that elements are decoded to."""
    if op.x_dtype.name in ("float16", "bfloat16"):
        return np.float32(0)
    return np.zeros(1, op.x_type)[0]


def regroups(op: Any, types: tuple[Any, ...]) -> bool:
    """Whether elements may be combined in any grouping: nobody can tell from the result.

    Sums in the result's own floating-point type are the exception: they are grouped alike for every memory layout.
    """
    first = np.dtype(types[0])
    return picks(op.red) or len(types) == 2 or first.kind in "iu" or first.itemsize > op.y_dtype.itemsize


def absent_tap(op: Any, loaded: np.dtype) -> Any:
    """The accumulator that stands for taps outside the input; None where the operator has none."""
    if not op.indices:
        return neutral(op.red, loaded)
    value = getattr(op.red, "absent", None)
    return None if value is None else (value(loaded), np.int32(0))


def common_constants(op: Any, g: Geometry) -> tuple[tuple[str, Any], ...] | None:
    """What both engines are bound to; None where the operator has no neutral element."""
    sample = decoded(op)
    absent = absent_tap(op, sample.dtype)
    if absent is None:
        return None
    types = accumulator(op.red, sample, np.int32)
    if len(types) > 2:
        return None
    return (
        ("KD", g.d.k), ("KH", g.h.k), ("KW", g.w.k), ("SH", g.h.s), ("SW", g.w.s), ("DIVISOR", uniform_divisor(g)),
        ("NEUTRAL", absent), ("ACC0", types[0]), ("ACC1", types[-1]), ("PARTS", len(types)),
        ("OUT", np.dtype(op.y_type).type),
    )  # fmt: skip


def window_label(g: Geometry) -> str:
    """k3x3s2x2, the depth only where there is one."""
    axes = [a for a in (g.d, g.h, g.w) if a is not g.d or a.k > 1 or a.out > 1]
    return "k" + "x".join(str(a.k) for a in axes) + "s" + "x".join(str(a.s) for a in axes)


def aligned(place: int, item: int, vector: int, strides: tuple[int, ...]) -> bool:
    """Whether vectors of this many elements are aligned everywhere they are loaded from."""
    width = item * vector
    return place % width == 0 and all(s * item % width == 0 for s in strides)


def widest(place: int, item: int, most: int, strides: tuple[int, ...]) -> int:
    """The largest power of two of elements, at most `most`, that may be moved at once."""
    vector = 1
    while vector * 2 <= most and vector * 2 * item <= WIDEST and aligned(place, item, vector * 2, strides):
        vector *= 2
    return vector


def steps(g: Geometry, side: str, *names: str) -> tuple[int, ...]:
    """Strides of the axes that have more than one entry on that side."""
    found = []
    for name in names:
        a = getattr(g, name)
        entries = a.n if side == "xs" or not isinstance(a, Axis) else a.out
        if entries > 1:
            found.append(getattr(a, side))
    return tuple(found)


def choose_last(op: Any, g: Geometry, places: Any) -> Choice | None:
    """Channels last: vectors of channels, where there are enough of them to be worth it."""
    if g.inner.n < 2 or (g.inner.xs, g.inner.ys) != (1, 1) or not constant_window(g):
        return None
    x_item, y_item = op.x_dtype.itemsize, op.y_dtype.itemsize
    vector = widest(places.x, x_item, g.inner.n, steps(g, "xs", "outer", "outer2", "d", "h", "w"))
    while g.inner.n % vector:
        vector //= 2
    check = any(leaves(a, a.out) for a in (g.d, g.h, g.w))
    while check and vector * y_item > 2 * WIDEST:
        vector //= 2  # 16 means of bytes at the edge took 172 registers
    store = widest(places.y, y_item, vector, steps(g, "ys", "outer", "outer2", "d", "h", "w"))
    constants = common_constants(op, g)
    if vector * x_item < 4 or constants is None:
        return None
    walk = Walk(cut(g.inner.n // vector), cut(g.w.out), cut(g.h.out), cut(g.d.out), cut(g.outer2.n))
    units = g.outer.n * g.outer2.n * g.d.out * g.h.out * g.w.out * (g.inner.n // vector)
    own = (("VECTOR", vector), ("STORE", store), ("CHECK", check), ("LOADED", vector * g.w.k))
    label = f"{window_label(g)}_v{vector}" + ("_edges" if check else "")
    return Choice(last, constants + own, label, walk, units)


def tile_shape(op: Any, g: Geometry, parts: int) -> tuple[int, int]:
    """Outputs of one thread, down and across: those that fill the widest loads, and share rows.

    A width that divides the row keeps the edge out of the kernel. Bytes take two rows and share the index arithmetic.
    Four rows of accumulators in two parts would take 140 to 190 registers, which leaves one block to a multiprocessor.
    """
    item = op.x_dtype.itemsize
    most = 1
    while most * 2 <= g.w.out and most * g.w.s < 2 * WIDEST // item and most < 8:
        most *= 2
    across = most
    while across > 1 and g.w.out % across:
        across //= 2
    if across * g.w.s * item < WIDEST:  # vectors first: an edge costs less than narrow loads
        across = most
    down = 1
    if g.h.k > g.h.s and g.d.k == 1:
        down = 4 if g.h.s == 1 and g.h.out >= 4 and item <= 4 and parts == 1 else 2
        while (down - 1) * g.h.s + g.h.k > LARGEST_WINDOW:
            down //= 2
    elif item == 1 and g.h.k + g.h.s <= 6 and g.d.k == 1:
        down = 2
    return (down if down <= g.h.out else 1), across


def choose_tile(op: Any, g: Geometry, places: Any) -> Choice | None:
    """Rows contiguous: a tile of outputs a thread."""
    if g.w.xs != 1 or g.w.out < 2 or not constant_window(g):
        return None
    constants = common_constants(op, g)
    if constants is None:
        return None
    x_item, y_item = op.x_dtype.itemsize, op.y_dtype.itemsize
    th, tw = tile_shape(op, g, dict(constants)["PARTS"])
    if dict(constants)["PARTS"] > 1:  # 16 means without NaN in two parts took 282 registers, 8 wide ones 208
        most = 8 if sum(np.dtype(dict(constants)[name]).itemsize for name in ("ACC0", "ACC1")) <= 8 else 4
        tw = min(tw, most)
        th = max(1, min(th, most // tw))
    columns = (tw - 1) * g.w.s + g.w.k
    vector = widest(places.x, x_item, columns, steps(g, "xs", "outer", "outer2", "inner", "d", "h"))
    while vector > 1 and (tw * g.w.s % vector or g.w.n % vector):
        vector //= 2
    lead = min(g.w.before % vector, columns)
    store = 1
    if g.w.ys == 1 and g.w.out % tw == 0:
        store = widest(places.y, y_item, tw, steps(g, "ys", "outer", "outer2", "inner", "d", "h"))
    tiles_w, tiles_h = -(-g.w.out // tw), -(-g.h.out // th)
    check_w, check_h = leaves(g.w, tiles_w * tw), leaves(g.h, tiles_h * th)
    walk = Walk(cut(g.inner.n), cut(tiles_w), cut(tiles_h), cut(g.d.out), cut(g.outer2.n))
    units = g.outer.n * g.outer2.n * g.inner.n * g.d.out * tiles_h * tiles_w
    own = (
        ("TH", th), ("TW", tw), ("TILE", th * tw), ("VECTOR", vector), ("STORE", store), ("COLUMNS", columns),
        ("LEAD", lead), ("ROWS", (th - 1) * g.h.s + g.h.k), ("CHECK_W", check_w), ("CHECK_H", check_h),
    )  # fmt: skip
    edges = ("w" if check_w else "") + ("h" if check_h else "")
    label = f"{window_label(g)}_t{th}x{tw}_v{vector}" + (f"_edges_{edges}" if edges else "")
    if op.positions:
        return Choice(tile_positions, (*constants, *own, ("STORE_WHERE", store)), label, walk, units)
    if op.indices:
        across = steps(g, "ys", "outer", "outer2", "inner", "d", "h")
        store = widest(places.where, op.where_item, tw, across) if store > 1 else 1
        return Choice(tile_indices, (*constants, *own, ("STORE_WHERE", store)), label, walk, units)
    return Choice(tile, constants + own, label, walk, units)
