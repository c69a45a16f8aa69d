"""Whole planes with channels last: how many channels a thread takes, and which threads share a block. Integers only."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpupool.backends.cuda_tiles import WIDEST, steps, widest
from gpupool.kernels.cuda.memory import SIMULATED
from gpupool.kernels.window import Geometry

BLOCK = 256  # threads
LINE = 128  # bytes of the cache that are loaded together
BUSY = 1 << 18  # threads that keep an H200 busy, twice what it holds at a time
SUMS = 32  # bytes of accumulators that a thread keeps beside what it loads


def lanes_of(g: Geometry) -> int:
    """Neighbouring channels of a pixel, 0 where pixels or nothing are neighbours in memory."""
    return g.inner.n if g.inner.n > 1 and abs(g.w.xs) != 1 else 0


def channels_of(op: Any, g: Geometry, places: Any, types: tuple[Any, ...]) -> int:
    """Channels that one thread loads at once."""
    item, held = op.x_dtype.itemsize, sum(np.dtype(t).itemsize for t in types)
    if g.inner.xs != 1:
        return 1
    most = max(1, min(g.inner.n, SUMS // held, WIDEST // max(item, 2)))
    channels = widest(places.x, item, most, steps(g, "xs", "outer", "outer2", "d", "h", "w"))
    while g.inner.n % channels:
        channels //= 2
    return channels


def group_of(taps: int, units: int, lanes: int, width: int) -> tuple[int, int]:
    """Threads for one vector of outputs, a power of two, and vectors of one block.

    Of all `units` vectors, which are `width` bytes wide, `lanes` are neighbours in memory.
    """
    line = LINE // width
    if SIMULATED:
        return 4, min(lanes, 4)
    if lanes <= line:  # one pixel's channels after another, without gaps
        per_block, slots = lanes, power(BLOCK // lanes)
    else:
        most = BLOCK // line if units >= 256 * line else 2 * BLOCK // line  # few outputs get more threads each
        slots = min(most, power(max(1, BUSY // units)))
        per_block = max(line, min(power(lanes), 32, BLOCK // slots))
    return max(2, min(slots, power(taps // 4))), per_block


def power(n: int) -> int:
    """The largest power of two up to n."""
    return 1 << (n.bit_length() - 1)
