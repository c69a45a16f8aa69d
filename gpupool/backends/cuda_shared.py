"""Small windows that share an axis: which engine takes them. Integers only."""

from __future__ import annotations

from typing import Any

from gpupool.backends.cuda_tiles import LARGEST_WINDOW, Choice
from gpupool.kernels.cuda.shared import shared, shared_indices, shared_positions
from gpupool.kernels.cuda.walk import Walk, cut
from gpupool.kernels.reducers import picks, selects
from gpupool.kernels.window import Geometry

MOST_TAPS = 32  # of a window, all of which are loaded at once


def choose_shared(op: Any, g: Geometry) -> Choice | None:
    """One thread per output, where no window is large and all windows of each axis are there."""
    axes = (g.d, g.h, g.w)
    if selects(op.red) or any(a.k > LARGEST_WINDOW or (a.before, a.out) != (0, a.s) for a in axes):
        return None
    if g.h.k * g.w.k > MOST_TAPS or g.d.k * g.h.k * g.w.k > 2 * MOST_TAPS:
        return None
    engine: Any = shared_positions if op.positions else shared_indices if op.indices else shared
    walk = Walk(cut(g.inner.n), cut(g.w.out), cut(g.h.out), cut(g.d.out), cut(g.outer2.n))
    units = g.outer.n * g.outer2.n * g.inner.n * g.d.out * g.h.out * g.w.out
    constants = (("KD", g.d.k), ("KH", g.h.k), ("KW", g.w.k), ("CHOOSES", op.indices or picks(op.red)))
    label = "k" + "x".join(str(a.k) for a in (axes[1:] if g.d.k == 1 else axes))
    return Choice(engine, constants, label, walk, units, g)
