"""Whole planes that are small and lie one after another: how many a block takes. Integers only."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gpupool.backends.cuda_groups import BLOCKS
from gpupool.backends.cuda_tiles import aligned, regroups
from gpupool.kernels.cuda.memory import SIMULATED
from gpupool.kernels.cuda.planes import planes
from gpupool.kernels.cuda.walk import Walk, cut
from gpupool.kernels.window import Geometry

BLOCK = 8 if SIMULATED else 128
STRETCH = 512 if SIMULATED else 8192  # bytes of a block's planes: 16 blocks fit on a multiprocessor of an H200
LARGEST = 64 if SIMULATED else 512  # elements of a plane; a warp's loads from a larger one are long enough
WORD = 4  # bytes of one load: wider ones would be stored to shared memory with bank conflicts


class Stretch(NamedTuple):
    """The engine, its constants, the walk, and how many planes a block takes."""

    engine: Any
    constants: tuple[tuple[str, Any], ...]
    label: str
    walk: Walk
    units: int


def in_a_row(g: Geometry) -> bool:
    """Whether planes are contiguous and lie one after another in the order in which they are counted."""
    step = g.w.n
    if g.d.n * g.h.n != 1 or g.w.xs != 1:
        return False
    for batch in (g.inner, g.outer2, g.outer):
        if batch.n > 1 and batch.xs != step:
            return False
        step *= batch.n
    return True


def choose_planes(op: Any, g: Geometry, places: Any, types: tuple[Any, ...]) -> Stretch | None:
    """How such planes are reduced; None where another kernel is as good, or the order of the elements shows."""
    taps, item, count = g.w.n, op.x_dtype.itemsize, g.outer.n * g.outer2.n * g.inner.n
    if taps > LARGEST or not in_a_row(g) or not regroups(op, types):
        return None
    vector = max(1, WORD // item)
    if not aligned(places.x, item, vector, ()):
        vector = 1
    units = min(STRETCH // item // taps, BLOCK, -(-count // BLOCKS))  # few planes are spread more thinly
    units += -units % vector  # blocks begin at whole words
    while units * taps * item > STRETCH or units > BLOCK:
        units -= vector
    size = -(-taps // (BLOCK // units))
    walk = Walk(cut(g.inner.n), cut(1), cut(1), cut(units, size), cut(g.outer2.n))
    constants = (
        ("BLOCK", BLOCK), ("BLOCK1", BLOCK if len(types) == 2 else 1), ("CELLS", STRETCH // item), ("VECTOR", vector),
        ("ELEMENT", np.dtype(op.x_type).type), ("ACC0", types[0]), ("ACC1", types[-1]), ("PARTS", len(types)),
        ("MANY_C", g.inner.n > 1), ("MANY_D", False), ("MANY_O", g.outer2.n > 1),
    )  # fmt: skip
    return Stretch(planes, constants, f"v{vector}", walk, units)


__all__ = ["BLOCK", "Stretch", "choose_planes"]
