"""Passes of unpooling where each index lies in its own window's cell.

C functions of integers, as in passes.py. Cells are the windows that indices come from, where these do not overlap: so
no two elements have one index. Lanes are the windows of a row; `table` has the positions of the rows of their cells in
the plane, and `start` and `step` say where along these the cells begin, which are `k` positions wide.
"""

from __future__ import annotations

import numpy as np

from ..window import lesser
from .jit import called, fetch, pointer, put
from .memory import ask, full_width

INT64 = np.dtype(np.int64)
BLOCK = 64  # lanes between two requests for memory


@called
def is_own(table, rows, place, k):
    """Whether a position, less its column's start, is within a cell: distances are compared as unsigned integers."""
    own = np.uint64(place - fetch(table, 0)) < np.uint64(k)
    for j in range(1, rows):
        own |= np.uint64(place - fetch(table, j)) < np.uint64(k)
    return own


def check_pass(rows):
    """How many of n windows' indices lie outside their cells."""

    def check(g_at, where_at, out_at, table_at, n, inner, start, step, k, ahead, share):
        full_width()
        where, table, wrong = pointer(where_at, INT64), pointer(table_at, INT64), np.int64(0)
        if inner == 1:
            for i in range(n):
                wrong += 0 if is_own(table, rows, fetch(where, i) - start - i * step, k) else 1
        else:
            for o in range(n):
                for c in range(inner):
                    wrong += 0 if is_own(table, rows, fetch(where, o * inner + c) - start - o * step, k) else 1
        return wrong

    return check


def take_pass(x_type, place_type, rows):
    """The same, and what lies there; for those outside, what lies where their cells begin, which is not the result."""
    place = place_type.type

    def take(g_at, where_at, out_at, table_at, n, inner, start, step, k, ahead, share):
        full_width()
        g, out = pointer(g_at, x_type), pointer(out_at, x_type)
        where, table, wrong = pointer(where_at, INT64), pointer(table_at, INT64), np.int64(0)
        safe = fetch(table, 0) + start
        if inner == 1:
            for block in range(0, n, BLOCK):
                ask(ahead + block // BLOCK * share, share)
                for i in range(block, lesser(block + BLOCK, n)):
                    index = fetch(where, i)
                    own = is_own(table, rows, index - start - i * step, k)
                    wrong += 0 if own else 1
                    put(out, i, fetch(g, place(index if own else safe)))
        else:
            for o in range(n):
                ask(ahead + o * share, share)
                for c in range(inner):
                    index = fetch(where, o * inner + c)
                    own = is_own(table, rows, index - start - o * step, k)
                    wrong += 0 if own else 1
                    put(out, o * inner + c, fetch(g, place(place(index if own else safe) * place(inner) + place(c))))
        return wrong

    return take


def lay_pass(x_type, kw, sw):
    """A line of cells that follow one another: elements whose indices lie there, zero elsewhere; a gap behind each."""

    def lay(x_at, where_at, to, n, inner, line):
        full_width()
        x, where, out = pointer(x_at, x_type), pointer(where_at, INT64), pointer(to, x_type)
        zero = x_type.type(0)
        if inner == 1:
            for i in range(n):
                mine, value = np.int32(fetch(where, i) - line - i * sw), fetch(x, i)
                for t in range(sw):
                    put(out, i * sw + t, value if t < kw and mine == t else zero)
        else:
            for o in range(n):
                for c in range(inner):
                    mine = np.int32(fetch(where, o * inner + c) - line - o * sw)
                    value = fetch(x, o * inner + c)
                    for t in range(sw):
                        put(out, (o * sw + t) * inner + c, value if t < kw and mine == t else zero)
        return 0

    return lay
