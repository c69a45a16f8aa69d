"""Constant windows with channels last: how many channels and outputs each thread computes. Integers only."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gpupool.backends.cuda_tiles import (
    LARGEST_WINDOW,
    WIDEST,
    Choice,
    bytes_of,
    constant_window,
    decoded,
    leaves,
    steps,
    uniform_divisor,
    widest,
    window_label,
)
from gpupool.kernels.cuda.last import last
from gpupool.kernels.cuda.last_indices import last_indices, last_positions
from gpupool.kernels.cuda.memory import SIMULATED
from gpupool.kernels.cuda.operators import accumulator
from gpupool.kernels.cuda.walk import Walk, cut
from gpupool.kernels.reducers import neutral, picks
from gpupool.kernels.window import Batch, Geometry

REGISTERS = 64  # accumulators and loaded elements that a strip may keep, in 32-bit registers
LEAST = 1 if SIMULATED else 48 << 10  # threads that keep an H200 busy: its 132 multiprocessors with 372 each
LANES = 2 if SIMULATED else 8  # vectors of channels side by side, where windows overlap: whole lines of 128 bytes


def choose_last(op: Any, g: Geometry, places: Any) -> Choice | None:
    """Channels last: vectors of channels, where there are enough of them to be worth it."""
    if g.inner.n < 2 or (g.inner.xs, g.inner.ys) != (1, 1) or not constant_window(g):
        return None
    sample = decoded(op)
    types = accumulator(op.red, sample, np.int32)
    chooses = op.indices or picks(op.red)  # any grouping and any repetition gives the same result
    edges = any(leaves(a, a.out) for a in (g.d, g.h, g.w))
    absent = None if op.indices else neutral(op.red, sample.dtype)
    vector = vector_of(op, g, places, edges)
    if len(types) > 2 or vector * op.x_dtype.itemsize < 4 or (absent is None and not op.indices):
        return None
    words = bytes_of(types) / 4
    th, tw = strip(g, vector, words, chooses)
    columns = (tw - 1) * g.w.s + g.w.k
    down = -(-g.h.out // th)
    overhang = leaves(g.h, down * th)  # rows that belong to no output
    across = steps(g, "ys", "outer", "outer2", "d", "h", "w")
    g = narrow(g, vector)
    where = places.y if op.positions else places.where
    positions = (("STORE_WHERE", widest(where, op.where_item, vector, across)),) if op.indices else ()
    constants = (
        ("KD", g.d.k), ("KH", g.h.k), ("KW", g.w.k), ("SH", g.h.s), ("SW", g.w.s), ("DIVISOR", uniform_divisor(g)),
        ("NEUTRAL", absent), ("ACC0", types[0]), ("ACC1", types[-1]), ("PARTS", len(types)),
        ("OUT", np.dtype(op.y_type).type), ("TH", th), ("TW", tw), ("TILE", th * tw * vector), ("VECTOR", vector),
        ("STORE", widest(places.y, op.y_dtype.itemsize, vector, across)), ("COLUMNS", columns),
        ("LOADED", columns * vector), ("ROWS", (th - 1) * g.h.s + g.h.k), ("CHECK", edges and not chooses),
        ("EDGES", edges or overhang), ("SHARED", chooses), *positions,
    )  # fmt: skip
    walk = Walk(cut(g.inner.n // vector), cut(-(-g.w.out // tw)), cut(down), cut(g.d.out), cut(g.outer2.n))
    units = g.outer.n * g.outer2.n * g.d.out * down * walk.w.n * walk.c.n
    shape = f"_t{th}x{tw}" if th * tw > 1 else ""
    label = f"{window_label(g)}{shape}_v{vector}" + ("_edges" if edges or overhang else "")
    engine: Any = last_positions if op.positions else last_indices if op.indices else last
    return Choice(engine, constants, label, walk, units, g)


def vector_of(op: Any, g: Geometry, places: Any, edges: bool) -> int:
    """Channels of one thread: those of one load, and of one store where there are positions.

    16 means of bytes at the edge took 172 registers. Two stores of 16 bytes of each thread would fill half of a sector
    each.
    """
    item = op.x_dtype.itemsize
    most = g.inner.n
    if op.indices:
        most = max(WIDEST // op.where_item, 4 // item)
    elif edges:
        most = 2 * WIDEST // op.y_dtype.itemsize
    vector = widest(places.x, item, min(most, g.inner.n), steps(g, "xs", "outer", "outer2", "d", "h", "w"))
    return math.gcd(vector, g.inner.n)


def narrow(g: Geometry, vector: int) -> Geometry:
    """Where windows overlap: views of LANES vectors of channels, so that a block is a compact part of a plane.

    What its windows share then comes from a multiprocessor's own cache; with all channels of a few pixels in a block,
    3x3 windows with steps of 1 would be loaded 1.8 times, 5x5 ones 4 times.
    """
    wide = LANES * vector
    if not (g.h.k > g.h.s == 1 or g.w.k > g.w.s == 1) or g.inner.n <= wide or g.inner.n % wide:
        return g
    if g.outer.n > 1 and g.outer2.n > 1:
        return g
    rest = g.outer2 if g.outer.n == 1 else g.outer
    return g._replace(outer=rest, outer2=Batch(g.inner.n // wide, wide, wide), inner=g.inner._replace(n=wide))


def strip(g: Geometry, vector: int, words: float, shared: bool) -> tuple[int, int]:
    """Outputs of one thread, down and across: several where windows overlap, as many as its registers hold.

    Across only with steps of 1 and a shared reduction: with others the loads that are saved come from the cache.
    """
    down = across = 1
    if g.h.k > g.h.s and g.d.k == 1 and (shared or vector < 8):
        down = 4 if g.h.s == 1 else 2
    if g.w.k > g.w.s == 1 and shared and g.d.k == 1 and g.h.k > 1 and g.w.out % 2 == 0:
        across = 2

    def fits() -> bool:
        columns = (across - 1) * g.w.s + g.w.k
        outputs = g.outer.n * g.outer2.n * g.d.out * g.h.out * g.w.out * (g.inner.n // vector)
        return (
            (down - 1) * g.h.s + g.h.k <= LARGEST_WINDOW
            and down <= g.h.out
            and (down * across + columns) * vector * words <= REGISTERS
            and outputs // (down * across) >= LEAST
        )

    while down > 1 and not fits():
        if across > 1 and down <= 2:
            across = 1
        else:
            down //= 2
    if not fits():
        across = 1
    return down, across
