"""Unpooling and its gradient, plane by plane.

Where windows do not overlap and each index lies in its own window's cell, as those of pooling do, no two elements
have one index. That is checked in full vectors on the way, and elements are then laid, or taken, in full vectors, too.
Planes where it is not so are gone through in row-major order: of several elements with one index the last one counts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..window import greater, lesser
from .frame import FRAME, Frame
from .jit import called, fetch, invoke, kernel, pointer, put, size_of, unpacked
from .memory import AHEAD, ask
from .scatter import are_inside
from .unpool_lines import BLOCK

INT64 = np.dtype(np.int64)


class Cells(NamedTuple):
    """The windows that indices come from, and the passes."""

    rows: int  # of a cell; 0: windows overlap, or are too large
    kd: int
    kh: int
    kw: int
    sd: int
    sh: int
    sw: int
    before_d: int
    before_h: int
    before_w: int
    inside: int  # windows inside .. beyond - 1 of a row have all their columns
    beyond: int
    look: int  # the pass that looks at indices, and takes what lies there for the gradient
    lay: int  # 0: lines of cells do not follow one another


@called
def cell_rows(f, q, od, oh, table):
    """Leave where the rows of the cells of a row of windows begin in the plane; whether there is one.

    Those outside are the first one inside again.
    """
    count = np.int64(0)
    for jd in range(q.kd):
        for jh in range(q.kh):
            at_d, at_h = od * q.sd - q.before_d + jd, oh * q.sh - q.before_h + jh
            if 0 <= at_d < f.d and 0 <= at_h < f.h:
                table[count] = (at_d * f.h + at_h) * f.w
                count += 1
    for j in range(count, q.rows if count > 0 else count):
        table[j] = table[0]
    return count > 0


@called
def look_at(f, q, table_at, g, where, out, sizes):
    """Whether all indices of a row of windows lie in their cells: by the pass, which may take what lies there.

    `g` is the address of the plane, `where` and `out` are those of the row.
    """
    item, share = sizes
    o, wrong = np.int64(0), np.int64(0)
    while o < f.ow and wrong == 0:
        begin, n, k = o * q.sw - q.before_w, q.beyond - q.inside, q.kw
        if o != q.inside or n <= 0:
            n, k = np.int64(1), lesser(begin + q.kw, f.w) - greater(begin, 0)
            begin = greater(begin, 0)
        at = o * f.inner
        ahead = g + (pointer(table_at, INT64)[0] + begin) * f.inner * item + AHEAD
        wrong = np.int64(1)
        ask(out + at * item + AHEAD // 2, n * f.inner * item)
        ask(where + at * 8 + AHEAD, n * f.inner * 8)
        if k > 0:
            wrong = invoke(q.look, (
                g, where + at * 8, out + at * item, table_at, n, f.inner, begin, q.sw, k, ahead, share
            ))  # fmt: skip
        o += n
    return wrong == 0


@called
def are_own(f, q, table_at, g, where, out, item):
    """Whether all indices of a plane lie in their cells; `where` and `out` are the addresses of the plane's."""
    table, row_n = pointer(table_at, INT64), f.ow * f.inner
    lines = lesser(q.sh, f.h) * lesser(q.sd, f.d)
    each = f.w * lines * item * (f.inner if f.inner > 1 else BLOCK) // f.ow
    sizes = item, each
    for od in range(f.od):
        for oh in range(f.oh):
            row = (od * f.oh + oh) * row_n
            if not cell_rows(f, q, od, oh, table):
                return False
            if not look_at(f, q, table_at, g, where + row * 8, out + row * item, sizes):
                return False
    return True


@called
def lay_rows(f, q, x, where, out, first, last, item, x_type):
    """The lines of a plane that belong to rows first .. last - 1 of windows."""
    row_n, cells = f.ow * f.inner, f.ow * q.sw
    for row in range(first, last):
        od, oh = row // f.oh, row % f.oh
        stop_d = f.d if od == f.od - 1 else (od + 1) * q.sd
        stop_h = f.h if oh == f.oh - 1 else (oh + 1) * q.sh
        for d in range(od * q.sd, stop_d):
            for h in range(oh * q.sh, stop_h):
                line, done = (d * f.h + h) * f.w, np.int64(0)
                to = out + line * f.inner * item
                ask(to + AHEAD, f.w * f.inner * item)
                if d - od * q.sd < q.kd and h - oh * q.sh < q.kh:
                    invoke(q.lay, (x + row * row_n * item, where + row * row_n * 8, to, f.ow, f.inner, line))
                    done = cells * f.inner
                rest = pointer(to, x_type)
                for i in range(done, f.w * f.inner):
                    rest[i] = 0


@kernel
def unpool(x_at, where_at, out_at, packed, bands, wrong_at, start, stop, x_type):
    """Elements at their indices, zero elsewhere; of several with one index the last in row-major order stays."""
    f, q = unpacked(packed, Frame), unpacked(packed + 8 * FRAME, Cells)
    x, where, out = pointer(x_at, x_type), pointer(where_at, INT64), pointer(out_at, x_type)
    elements, windows, item = f.d * f.h * f.w, f.od * f.oh * f.ow, size_of(x_type)
    table = np.empty(greater(1, q.rows), np.int64)
    for unit in range(start, stop):
        plane, band = unit // bands, unit % bands
        base, from_x = plane * elements * f.inner, plane * windows * f.inner
        of_plane = x_at + from_x * item, where_at + from_x * 8, out_at + base * item
        if q.lay != 0 and are_own(f, q, np.int64(table.ctypes.data), of_plane[2], of_plane[1], of_plane[2], item):
            rows = f.od * f.oh
            first, last = band * rows // bands, (band + 1) * rows // bands
            lay_rows(f, q, of_plane[0], of_plane[1], of_plane[2], first, last, item, x_type)
            continue
        lo, hi = band * elements // bands, (band + 1) * elements // bands
        for i in range(base + lo * f.inner, base + hi * f.inner):
            out[i] = 0
        if not are_inside(f, where, from_x, windows * f.inner, wrong_at):
            continue
        for i in range(windows):
            row = from_x + i * f.inner
            for c in range(f.inner):
                to = where[row + c]
                if lo <= to < hi:
                    out[base + to * f.inner + c] = x[row + c]
    return table.size  # Numba frees an array after its last use by name, whatever still has its address


@called
def take_owned(g, where, out, owner, lanes, inner):
    """What lies at each index of n neighbours from `row` on, zero where another element is the owner of that place."""
    row, n, of_plane, first = lanes
    zero = g[0] ^ g[0]
    for i in range(n):
        at = fetch(where, row + i) * inner + (i if inner > 1 else 0)
        value, number = fetch(g, of_plane + at), np.int64(fetch(owner, at))
        put(out, row + i, value if number == (first if inner > 1 else i) else zero)


@called
def take_in_order(f, g, where, out, owner, plane):
    """What lies at each element's index, zero where a later element of the plane has the same.

    First all elements enter their numbers at their indices, where the last one's stays. Then no branch asks whose it
    is, which nobody could predict, but a select in full vectors.
    """
    elements, windows, inner = f.d * f.h * f.w * f.inner, f.od * f.oh * f.ow, f.inner
    row = plane * windows * inner
    if inner == 1:
        for i in range(windows):
            owner[where[row + i]] = i
        take_owned(g, where, out, owner, (row, windows, plane * elements, 0), 1)
        return
    for i in range(windows):
        for c in range(inner):
            owner[where[row + i * inner + c] * inner + c] = i
    for i in range(windows):
        take_owned(g, where, out, owner, (row + i * inner, inner, plane * elements, i), inner)


@kernel
def unpool_back(g_at, where_at, out_at, packed, wrong_at, start, stop, x_type, number_type):
    """What lies at each element's index. A plane with an index outside is left as it was, or half written."""
    f, q = unpacked(packed, Frame), unpacked(packed + 8 * FRAME, Cells)
    g, where, out = pointer(g_at, x_type), pointer(where_at, INT64), pointer(out_at, x_type)
    elements, each, item = f.d * f.h * f.w * f.inner, f.od * f.oh * f.ow * f.inner, size_of(x_type)
    table = np.empty(greater(1, q.rows), np.int64)
    store = np.empty(elements, number_type)
    owner = pointer(store.ctypes.data, number_type)
    for plane in range(start, stop):
        of_plane = g_at + plane * elements * item, where_at + plane * each * 8, out_at + plane * each * item
        if q.rows > 0 and are_own(f, q, np.int64(table.ctypes.data), of_plane[0], of_plane[1], of_plane[2], item):
            continue
        if are_inside(f, where, plane * each, each, wrong_at):
            take_in_order(f, g, where, out, owner, plane)
    return store.size + table.size  # Numba frees an array after its last use by name, whatever still has its address
