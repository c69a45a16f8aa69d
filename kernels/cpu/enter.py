"""The way into a kernel for small calls: NumPy arrays by their objects, which machine code reads sooner than Python."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .jit import kernel, pointer
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
    e = pointer(entry, INT64)
    at_x, at_y = pointer(x + e[3], INT64)[0], pointer(y + e[3], INT64)[0]
    low_x, low_y = at_x + e[6], at_y + e[8]
    if at_y % e[10] != 0 or (low_x < low_y + e[9] and low_y < low_x + e[7]):
        return False
    return succeeds(e[0], (at_x + e[4], at_y + e[5], e[1], 0, e[2]))
