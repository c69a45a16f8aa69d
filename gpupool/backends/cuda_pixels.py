"""Constant windows of images with few channels last: how many pixels each thread computes. Integers only."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gpupool.backends.cuda_tiles import (
    LARGEST_WINDOW,
    WIDEST,
    Choice,
    common_constants,
    constant_window,
    leaves,
    row_parts,
    steps,
    widest,
    window_label,
)
from gpupool.kernels.cuda.pixels import pixels
from gpupool.kernels.cuda.walk import Walk, cut
from gpupool.kernels.window import Geometry

FEW = 8  # channels
STEP = 3 * WIDEST  # bytes from one thread's part of a row to the next one's: more lines for each load cost more
KEPT, KEPT_BELOW = 80, 64  # accumulators and loaded elements of a thread, in 32-bit registers; with several rows


def choose_pixels(op: Any, g: Geometry, places: Any) -> Choice | None:
    """Pixels side by side whose channels do not fill a vector."""
    channels, item = g.inner.n, op.x_dtype.itemsize
    if not 2 <= channels <= FEW or (g.inner.xs, g.inner.ys, g.w.xs) != (1, 1, channels) or g.d.k > 1:
        return None
    if op.indices or channels * item % WIDEST == 0 or not constant_window(g) or g.w.out < 2:
        return None
    constants = common_constants(op, g)
    if constants is None:
        return None
    across = steps(g, "xs", "outer", "outer2", "d", "h")
    th, tw, vector = shape_of(g, item, constants, lambda most: widest(places.x, item, most, across))
    columns = ((tw - 1) * g.w.s + g.w.k) * channels
    tiles_w, tiles_h = -(-g.w.out // tw), -(-g.h.out // th)
    store = 1
    if g.w.ys == channels and g.w.out % tw == 0:
        store = widest(places.y, op.y_dtype.itemsize, tw * channels, steps(g, "ys", "outer", "outer2", "d", "h"))
        store = math.gcd(store, tw * channels)
    check_w, check_h = leaves(g.w, tiles_w * tw), leaves(g.h, tiles_h * th)
    own = (
        ("TH", th), ("TW", tw), ("CHANNELS", channels), ("NUMBERS", tw * channels), ("TILE", th * tw * channels),
        ("VECTOR", vector), ("STORE", store), ("COLUMNS", columns),
        *row_parts(columns, g.w.before * channels, vector, g.w.n * channels),
        ("ROWS", (th - 1) * g.h.s + g.h.k), ("CHECK_W", check_w), ("CHECK_H", check_h),
    )  # fmt: skip
    edges = ("w" if check_w else "") + ("h" if check_h else "")
    label = f"{window_label(g)}_t{th}x{tw}x{channels}_v{vector}" + (f"_edges_{edges}" if edges else "")
    walk = Walk(cut(1), cut(tiles_w), cut(tiles_h), cut(g.d.out), cut(g.outer2.n))
    units = g.outer.n * g.outer2.n * g.d.out * tiles_h * tiles_w
    return Choice(pixels, constants + own, label, walk, units, g)


def shape_of(g: Geometry, item: int, constants: tuple, widest_of: Any) -> tuple[int, int, int]:
    """Pixels of one thread, down and across, and elements of one load: the widest loads, then the most pixels."""
    channels, given = g.inner.n, dict(constants)
    words = sum(max(1, np.dtype(given[name]).itemsize // 4) for name in ("ACC0", "ACC1")[: given["PARTS"]])
    best = (0, False, 0)
    for across in (1, 2, 4, 8):
        kept = ((across - 1) * g.w.s + g.w.k + across) * channels * words
        if across > 1 and (across > g.w.out or across * g.w.s * channels * item > STEP or kept > KEPT):
            break
        step, edge = across * g.w.s * channels, leaves(g.w, -(-g.w.out // across) * across)
        vector = math.gcd(widest_of(step), step, g.w.n * channels if edge else 0)
        best = max(best, (vector, g.w.out % across == 0, across))
    vector, _, across = best
    down = 1
    if g.h.k > g.h.s:
        down = 4 if g.h.s == 1 else 2
    columns = (across - 1) * g.w.s + g.w.k
    while down > 1 and (
        (down - 1) * g.h.s + g.h.k > LARGEST_WINDOW
        or down > g.h.out
        or (columns + down * across) * channels * words > KEPT_BELOW
    ):
        down //= 2
    return down, across, vector
