"""Where gradients are added up: rows of a plane that follow the windows down.

Windows come in row-major order, so rows of elements before a window's first are finished. Sums are kept of the rows
that windows are at: in a buffer, from which finished rows are written, past the caches where no cache holds the result;
or in the result itself, cleared as windows come to it. So planes of any size take one pass through memory: 3x3 s1 of
4x112x112x64, 9.1 ms where each plane was cleared first, 7.2 here, one thread. A row is a slab of a volume.
"""

from __future__ import annotations

from typing import NamedTuple

from ..point import encode
from ..window import greater, lesser
from .jit import called, fetch, invoke, pointer, put
from .memory import LINE, copy_bytes, write_past


class Totals(NamedTuple):
    """The sizes of things in bytes, and the passes."""

    item: int  # of an accumulator
    x_item: int
    held: int  # rows in the buffer; 0: sums are in the result itself
    past: int  # whether rows are written past the caches
    clear: int
    store: int


TOTALS = len(Totals._fields)


def totals_passes(acc_type, x_type, x_codec):
    """The passes that clear sums, and that store them as elements."""
    zero = acc_type.type(0)

    def clear(at, n):
        total = pointer(at, acc_type)
        for i in range(n):
            put(total, i, zero)
        return 0

    def store(at, n, to):
        total, x = pointer(at, acc_type), pointer(to, x_type)
        for i in range(n):
            put(x, i, encode(x_codec, fetch(total, i)))
        return 0

    return clear, store


class Rows(NamedTuple):
    """Of which rows there are sums."""

    done: int  # rows before this one are written
    top: int  # and sums of those from this one on not begun
    base: int  # the row that the buffer begins with


@called
def totals_size(t, row):
    """Bytes of the buffer for rows of so many elements."""
    return t.held * row * t.item + 2 * LINE


@called
def totals_at(t, buffer, out, row, base):
    """The address that row 0 of the plane would have. `out` is its address in the result.

    What is written past the caches begins where in a line the result does, so that lines are copied whole.
    """
    if t.held == 0:
        return out
    return buffer + (out + base * row * t.x_item) % LINE - base * row * t.item


@called
def write_rows(t, buffer, out, row, rows, stop):
    """Write all rows before `stop`; those that no window came to are zero."""
    done, top, base = rows.done, rows.top, rows.base
    while done < stop:
        if done == top:
            base, top = done, lesser(stop, done + t.held)
            invoke(t.clear, (totals_at(t, buffer, out, row, base) + done * row * t.item, (top - done) * row))
        n = (lesser(stop, top) - done) * row
        src, dst = totals_at(t, buffer, out, row, base) + done * row * t.item, out + done * row * t.x_item
        if t.past == 1:
            write_past(src, dst, n * t.x_item)
        else:
            invoke(t.store, (src, n, dst))
        done = lesser(stop, top)
    return Rows(done, top, base)


@called
def ready(t, buffer, out, row, rows, reached):
    """Rows first .. last - 1 are `reached`: their sums can be added to, and those before are finished."""
    first, last = reached
    if last <= rows.top:
        return rows
    if t.held > 0 and last - rows.base > t.held:
        first = greater(first, rows.done)
        rows = write_rows(t, buffer, out, row, rows, first)
        src = totals_at(t, buffer, out, row, rows.base) + first * row * t.item
        dst = totals_at(t, buffer, out, row, first) + first * row * t.item
        copy_bytes(src, dst, (rows.top - first) * row * t.item)
        rows = Rows(first, greater(rows.top, first), first)
    to = totals_at(t, buffer, out, row, rows.base) + rows.top * row * t.item
    invoke(t.clear, (to, (last - rows.top) * row))
    return Rows(rows.done, last, rows.base)


@called
def finish_rows(t, buffer, out, row, rows, stop):
    """Write what is left of rows before `stop`."""
    if t.held > 0:
        write_rows(t, buffer, out, row, rows, stop)
    elif stop > rows.top:
        invoke(t.clear, (out + rows.top * row * t.item, (stop - rows.top) * row))
