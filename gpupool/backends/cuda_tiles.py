"""The kernels with constant windows: which tile each thread computes, and what it may load at once. Integers only."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from gpupool.kernels.cuda.memory import SIMULATED
from gpupool.kernels.cuda.operators import accumulator
from gpupool.kernels.cuda.tile import tile
from gpupool.kernels.cuda.tile_indices import tile_indices, tile_positions
from gpupool.kernels.cuda.walk import Walk, cut
from gpupool.kernels.reducers import neutral, picks
from gpupool.kernels.window import Axis, Batch, Geometry, first_tap, tap_count

WIDEST = 16  # bytes of one load or store
LARGEST_WINDOW = 8  # taps along an axis that are unrolled
LARGEST_UNROLLED = 64  # taps of a window
LOADED = 64  # bytes that a thread has on their way, where it can
UNITS = 1 if SIMULATED else 132 * 512  # threads with which an H200's multiprocessors have enough to choose from


class Choice(NamedTuple):
    """An engine with its constants, and how many threads' worth of work there is."""

    engine: Any
    constants: tuple[tuple[str, Any], ...]
    label: str
    walk: Walk
    units: int
    geometry: Geometry


def constant_window(g: Geometry) -> bool:
    """Whether the window is small enough to be unrolled, and not dilated."""
    axes = (g.d, g.h, g.w)
    taps = g.d.k * g.h.k * g.w.k
    return all(a.d == 1 and a.k <= LARGEST_WINDOW for a in axes) and 1 < taps <= LARGEST_UNROLLED


def overhang(a: Axis, out: int) -> int:
    """How far the last of the first `out` windows reaches beyond the axis."""
    return max(0, first_tap(out - 1, a.s, a.before) + a.k - a.n)


def leaves(a: Axis, out: int) -> bool:
    """Whether one of the first `out` windows leaves the axis."""
    return first_tap(0, a.s, a.before) < 0 or overhang(a, out) > 0


def uniform_divisor(g: Geometry) -> int:
    """What every window is divided by, if all have the same number of counted taps and no override; else 0."""
    if g.divisor:
        return 0
    product = 1
    for a in (g.d, g.h, g.w):
        for o in (0, a.out - 1):  # the first and the last window have the fewest
            if tap_count(first_tap(o, a.s, a.before), a.count_from, a.count_to, a.k, a.d) != a.k:
                return 0
        product *= a.k
    return product


def decoded(op: Any) -> Any:
    """A sample of what the reducer sees: a NumPy scalar of the type that elements are decoded to."""
    if op.x_dtype.name in ("float16", "bfloat16"):
        return np.float32(0)
    return np.zeros(1, op.x_type)[0]


def bytes_of(types: tuple[Any, ...]) -> int:
    """Bytes of an accumulator of these parts."""
    return sum(np.dtype(t).itemsize for t in types)


def regroups(op: Any, types: tuple[Any, ...]) -> bool:
    """Whether elements may be combined in any grouping: nobody can tell from the result.

    Sums in the result's own floating-point type are the exception: they are grouped alike for every memory layout.
    """
    first = np.dtype(types[0])
    return picks(op.red) or len(types) == 2 or first.kind in "iu" or first.itemsize > op.y_dtype.itemsize


def never_shows(op: Any, types: tuple[Any, ...]) -> bool:
    """Whether no bit of a result depends on how elements are grouped: it is one of them, or an exact sum."""
    return op.indices or picks(op.red) or all(np.dtype(t).kind in "iu" for t in types)


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


def row_parts(columns: int, before: int, vector: int, n: int) -> tuple[tuple[str, int], ...]:
    """How `columns` elements of a row of n are loaded that begin `before` elements before a vector.

    Those before the first vector and behind the last one are parts of vectors that are shorter, or come one by one.
    """
    lead = columns if vector == 1 else min(before % vector, columns)
    rest = (columns - lead) % vector
    head, tail = power_from(lead), power_from(rest)
    if vector == 1 or lead < before % vector:
        head = 1
    return (("LEAD", lead), ("REST", rest), ("HEAD", head), ("TAIL", 1 if n % tail else tail))


def power_from(n: int) -> int:
    """The smallest power of two from n on."""
    return 1 << max(0, n - 1).bit_length()


def steps(g: Geometry, side: str, *names: str) -> tuple[int, ...]:
    """Strides of the axes that have more than one entry on that side."""
    found = []
    for name in names:
        a = getattr(g, name)
        entries = a.n if side == "xs" or not isinstance(a, Axis) else a.out
        if entries > 1:
            found.append(getattr(a, side))
    return tuple(found)


def rearranged(g: Geometry) -> Geometry:
    """The same pooling with the axes where the kernels are at home: rows before planes, and many rows in any case.

    With one row in each plane the two change places; with one plane, too, a batch axis provides the rows.
    """
    if g.h.k == 1 and g.h.out == 1 and g.h.n == 1:
        if g.d.k > 1 or g.d.out > 1:
            return g._replace(d=g.h, h=g.d)
        b = max(g.outer, g.outer2, key=lambda b: b.n)
        other = g.outer2 if b is g.outer else g.outer
        h = Axis(n=b.n, out=b.n, k=1, s=1, d=1, before=0, count_from=0, count_to=b.n, xs=b.xs, ys=b.ys)
        return g._replace(outer=Batch(1, 0, 0), outer2=other, h=h)
    return g


def loaded_at_once(op: Any, g: Geometry, places: Any, tw: int) -> int:
    """Elements of one load of a tile that is `tw` outputs wide; vectors lie inside a row or outside it."""
    columns = (tw - 1) * g.w.s + g.w.k
    vector = widest(places.x, op.x_dtype.itemsize, columns, steps(g, "xs", "outer", "outer2", "inner", "d", "h"))
    return math.gcd(vector, tw * g.w.s, g.w.n)


def stored_at_once(op: Any, g: Geometry, places: Any, tw: int) -> int:
    """Elements of one store of such a tile."""
    if g.w.ys != 1 or g.w.out % tw:
        return 1
    return widest(places.y, op.y_dtype.itemsize, tw, steps(g, "ys", "outer", "outer2", "inner", "d", "h"))


def side_by_side(op: Any, g: Geometry, places: Any, tw: int) -> bool:
    """Whether the lanes of a warp, whose tiles are `tw` outputs apart, leave few gaps between what they move at once.

    Loads and stores of single elements that lie apart touch a sector of 32 bytes each, and half-written sectors are
    what takes longest: rows of 35 elements ran at an eighth of copy speed by tiles of 8. Two bytes do not matter.
    """
    if tw * op.x_dtype.itemsize <= 2 and tw * op.y_dtype.itemsize <= 2:
        return True
    load, store = loaded_at_once(op, g, places, tw), stored_at_once(op, g, places, tw)
    wide = load > 1 and (load * op.x_dtype.itemsize >= WIDEST // 2 or load == tw * g.w.s)
    return wide and store > 1 and tw <= 2 * store


def tile_across(op: Any, g: Geometry, places: Any, most: int) -> int:
    """Outputs of one thread along the row: those that fill the widest loads, or one where they would be narrow.

    Lanes then lie side by side with single elements, and tiles share what they load downwards instead.
    """
    tw = 1
    while tw * 2 <= min(g.w.out, most) and tw * g.w.s < 2 * WIDEST // op.x_dtype.itemsize:
        tw *= 2
    while tw > 1 and not side_by_side(op, g, places, tw):
        tw //= 2
    return tw


def tile_down(op: Any, g: Geometry, tw: int, most: int) -> int:
    """Outputs of one thread downwards: those that share rows, and so many that a thread loads LOADED bytes."""
    if g.d.k > 1 and tw > 1:
        return 1
    item, limit = op.x_dtype.itemsize, min((LARGEST_WINDOW - g.h.k) // g.h.s + 1, most, g.h.out)
    th = 1
    if g.h.k > g.h.s:
        th = limit if tw <= 2 else min(limit, 4 if g.h.s == 1 and item <= 4 else 2)
    while th < limit and th * g.h.s * tw * g.w.s * item < LOADED:
        th += 1
    return next((n for n in range(th, th // 2, -1) if g.h.out % n == 0), -(-g.h.out // -(-g.h.out // th)))


def tile_shape(op: Any, g: Geometry, places: Any, sizes: tuple[int, ...]) -> tuple[int, int]:
    """Outputs of one thread, down and across; `sizes` are the bytes of an accumulator's parts.

    Accumulators of two parts: 16 means without NaN took 282 registers, 8 wide ones 208. Positions of a row are one
    store: with two, lanes fill half of a sector each, and 3x3 maxima with steps of 1 took 46 us on an H100, not 30.
    """
    most = 32 if len(sizes) == 1 else 8 if sum(sizes) <= 8 else 4
    across = min(8, most // 2 if len(sizes) > 1 and g.h.k > g.h.s else most)
    if op.indices and across * op.where_item > WIDEST:
        across = WIDEST // op.where_item
        most = min(most, 2 * across)
    tw = tile_across(op, g, places, across)
    th = tile_down(op, g, tw, most // tw)
    rest = g.outer.n * g.outer2.n * g.inner.n * g.d.out
    while rest * -(-g.h.out // th) * -(-g.w.out // tw) < UNITS:  # latency hides behind other threads
        if tw > th and side_by_side(op, g, places, tw // 2):
            tw //= 2
        elif th > 1:
            th = -(-th // 2)
        else:
            break
    return th, tw


def choose_tile(op: Any, g: Geometry, places: Any) -> Choice | None:
    """Rows contiguous: a tile of outputs a thread."""
    if g.w.xs != 1 or g.w.out < 2 or not constant_window(g):
        return None
    flat = op.indices and not op.places  # positions, which count through the axes as they are
    label, g = window_label(g), g if flat else rearranged(g)
    constants = common_constants(op, g)
    if constants is None:
        return None
    parts = dict(constants)
    sizes = tuple(np.dtype(parts[name]).itemsize for name in ("ACC0", "ACC1")[: parts["PARTS"]])
    th, tw = tile_shape(op, g, places, sizes)
    columns = (tw - 1) * g.w.s + g.w.k
    vector, store = loaded_at_once(op, g, places, tw), stored_at_once(op, g, places, tw)
    tiles_w, tiles_h = -(-g.w.out // tw), -(-g.h.out // th)
    check_w, rows = leaves(g.w, tiles_w * tw), (th - 1) * g.h.s + g.h.k
    above, below = min(max(g.h.before, 0), rows), min(overhang(g.h, tiles_h * th), rows)
    walk = Walk(cut(g.inner.n), cut(tiles_w), cut(tiles_h), cut(g.d.out), cut(g.outer2.n))
    units = g.outer.n * g.outer2.n * g.inner.n * g.d.out * tiles_h * tiles_w
    exact = never_shows(op, (parts["ACC0"], parts["ACC1"]))
    own = (
        ("TH", th), ("TW", tw), ("TILE", th * tw), ("VECTOR", vector), ("STORE", store), ("COLUMNS", columns),
        *row_parts(columns, g.w.before, vector, g.w.n),
        ("ROWS", rows), ("CHECK_W", check_w), ("ABOVE", above), ("BELOW", below),
        ("SHARE_W", exact and g.w.s == 1 and g.w.k > 2 and tw > 1),
        ("SHARE_H", exact and g.h.s == 1 and g.h.k > 2 and th > 1 and g.d.k == 1),
    )  # fmt: skip
    own += (("PITCH", g.w.k), ("SLAB", g.h.k * g.w.k)) if op.places else (("PITCH", columns), ("SLAB", rows * columns))
    edges = ("w" if check_w else "") + ("h" if above + below else "")
    label += f"_t{th}x{tw}_v{vector}" + (f"_edges_{edges}" if edges else "")
    if op.positions:
        return Choice(tile_positions, (*constants, *own, ("STORE_WHERE", store)), label, walk, units, g)
    if op.indices:
        across = steps(g, "ys", "outer", "outer2", "inner", "d", "h")
        store = widest(places.where, op.where_item, tw, across) if store > 1 else 1
        return Choice(tile_indices, (*constants, *own, ("STORE_WHERE", store)), label, walk, units, g)
    return Choice(tile, constants + own, label, walk, units, g)
