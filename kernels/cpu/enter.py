"""The way into a kernel for small calls: NumPy arrays by their objects, which machine code reads sooner than Python."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .jit import kernel, pointer, unpacked
from .workers import succeeds

INT64 = np.dtype(np.int64)


class Entry(NamedTuple):
    """What is known of a call before its arrays, in bytes."""

    code: int  # the address of a kernel (x, y, packed, start, stop)
    packed: int
    units: int
    pointer: int  # where an array's object has the address of its data
    x_start: int  # from that address to what the kernel calls x
    y_start: int
    x_low: int  # from that address to the lowest byte of the array, and how many bytes it spans
    x_span: int
    y_low: int
    y_span: int
    y_item: int  # y's address must be a multiple of it


@kernel
def enter(x, y, entry):
    """Pool the array object x into y, and say whether that was possible: y aligned, apart from x, and no error."""
    e = unpacked(entry, Entry)
    at_x, at_y = pointer(x + e.pointer, INT64)[0], pointer(y + e.pointer, INT64)[0]
    low_x, low_y = at_x + e.x_low, at_y + e.y_low
    if at_y % e.y_item != 0 or (low_x < low_y + e.y_span and low_y < low_x + e.x_span):
        return False
    return succeeds(e.code, (at_x + e.x_start, at_y + e.y_start, e.packed, 0, e.units))
