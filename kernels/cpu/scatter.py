"""Elements that go where indices say, plane by plane: gradients of maxima, unpooling and its gradient.

A thread owns a plane, or a band of its rows, and goes through the windows in row-major order: sums are added and
duplicates resolved in the same order whatever the number of threads. Indices are checked plane by plane as they are
read: with one outside, nothing comes of its plane, and a byte says so.
"""

from __future__ import annotations

import numpy as np

from ..point import decode, encode
from ..window import lesser
from .frame import Frame
from .jit import called, fetch, kernel, pointer, put, size_of, unpacked
from .memory import LINE, ask, settle, write_past

BYTE, INT64 = np.dtype(np.uint8), np.dtype(np.int64)
# Windows between two requests for memory: 3x3 s2 of 16x64x112x112 takes 10.6 ms without, 7.8 with them (and past the
# caches), one thread.
BLOCK = 64


@called
def low_and_high(where, row, n):
    """The least and the largest of n indices from `row` on."""
    low, high = where[row], where[row]
    for i in range(row + 1, row + n):
        low = where[i] if where[i] < low else low
        high = where[i] if where[i] > high else high
    return low, high


@called
def are_inside(f, where, row, n, wrong_at):
    """Whether n indices from `row` on are those of elements of a plane; else the byte at `wrong_at` is set.

    Gradients from indices of 3x3 s1 windows of 16x64x112x112 take 29 ms where all indices are read before.
    """
    if n == 0:
        return True
    low, high = low_and_high(where, row, n)
    if low < 0 or high >= f.d * f.h * f.w:
        pointer(wrong_at, BYTE)[0] = 1
        return False
    return True


@kernel
def extremes(where_at, n, found_at, start, stop):
    """Leave the least and the largest of each n indices, of rows start .. stop - 1."""
    found, where = pointer(found_at, INT64), pointer(where_at, INT64)
    for row in range(start, stop):
        found[2 * row], found[2 * row + 1] = low_and_high(where, row * n, n)


@called
def reach(first_at, count_at, step, lo, hi, out):
    """The windows of an axis that positions lo .. hi - 1 lie in, as a half-open range."""
    first, count = pointer(first_at, INT64), pointer(count_at, INT64)
    start, stop = out, np.int64(0)
    for p in range(lo, hi):
        if count[p] > 0:
            start = first[p] if first[p] < start else start
            last = first[p] + (count[p] - 1) * step + 1
            stop = last if last > stop else stop
    return start, stop


@called
def band_of(f, bands, unit):
    """Which plane a unit of work belongs to, which of its elements are its own, and which windows reach those."""
    plane, band = unit // bands, unit % bands
    if f.d > 1 or f.od > 1:  # one slab may be in several windows, too
        lo, hi = band * f.d // bands, (band + 1) * f.d // bands
        start, stop = reach(f.first_d, f.count_d, f.step_d, lo, hi, f.od)
        return plane, lo * f.h * f.w, hi * f.h * f.w, start * f.oh * f.ow, stop * f.oh * f.ow
    lo, hi = band * f.h // bands, (band + 1) * f.h // bands
    start, stop = reach(f.first_h, f.count_h, f.step_h, lo, hi, f.oh)
    return plane, lo * f.w, hi * f.w, start * f.ow, stop * f.ow


@called
def add_all(g, where, total, n, codec):
    """The gradients of n windows added where their indices say."""
    for i in range(n):
        total[where[i]] = total[where[i]] + decode(codec, g[i])


@called
def add_chosen(g_at, where_at, total, f, g_type, codec, from_g, bounds, wrong_at):
    """The gradients of windows start .. stop - 1 of a plane, which begin at `from_g`, added to elements lo .. hi - 1.

    Meanwhile the next plane's are asked for.
    """
    lo, hi, start, stop = bounds
    row, n = from_g + start * f.inner, (stop - start) * f.inner
    if not are_inside(f, pointer(where_at, INT64), row, n, wrong_at):
        return
    if f.inner == 1 and hi - lo == f.d * f.h * f.w:
        following = f.od * f.oh * f.ow
        for first in range(start, stop, BLOCK):
            n, at = lesser(BLOCK, stop - first), from_g + first
            ask(g_at + (at + following) * size_of(g_type), n * size_of(g_type))
            ask(where_at + (at + following) * 8, n * 8)
            g, where = pointer(g_at + at * size_of(g_type), g_type), pointer(where_at + at * 8, INT64)
            add_all(g, where, total, n, codec)
        return
    every_g, every = pointer(g_at, g_type), pointer(where_at, INT64)
    for i in range(start, stop):
        row = from_g + i * f.inner
        for c in range(f.inner):
            if lo <= every[row + c] < hi:
                to = (every[row + c] - lo) * f.inner + c
                total[to] = total[to] + decode(codec, every_g[row + c])


@kernel
def chosen(g_at, where_at, out_at, frame, ways, wrong_at, start, stop, g_type, x_type, g_codec):
    """Gradients of maxima and their like, units start .. stop - 1, added in the result itself.

    `ways` is twice the number of bands, and one more where sums are in a buffer and then written past the caches.
    """
    f, bands, past = unpacked(frame, Frame), ways // 2, ways % 2
    elements, windows = f.d * f.h * f.w, f.od * f.oh * f.ow
    rows = f.d if f.d > 1 or f.od > 1 else f.h
    most = (rows // bands + 1) * (elements // rows) * f.inner * size_of(x_type) if past == 1 else 0
    store = np.empty(most + 2 * LINE, np.uint8)
    buffer = (np.int64(store.ctypes.data) + LINE - 1) // LINE * LINE
    for unit in range(start, stop):
        plane, lo, hi, first, last = band_of(f, bands, unit)
        at, n = out_at + (plane * elements + lo) * f.inner * size_of(x_type), (hi - lo) * f.inner
        total = pointer(buffer + at % LINE if past == 1 else at, x_type)
        for i in range(n):
            total[i] = 0
        bounds = lo, hi, first, last
        add_chosen(g_at, where_at, total, f, g_type, g_codec, plane * windows * f.inner, bounds, wrong_at)
        if past == 1:
            write_past(buffer + at % LINE, at, n * size_of(x_type))
    settle()
    return store.size  # Numba frees an array after its last use by name, whatever still has its address


@kernel
def chosen_wide(g_at, where_at, out_at, frame, bands, wrong_at, start, stop, g_type, x_type, acc_type, codecs):
    """The same for a result of halves, or narrower than the gradient: added in a buffer, then stored."""
    f, out = unpacked(frame, Frame), pointer(out_at, x_type)
    elements, windows = f.d * f.h * f.w, f.od * f.oh * f.ow
    for unit in range(start, stop):
        plane, lo, hi, first, last = band_of(f, bands, unit)
        store = np.zeros((hi - lo) * f.inner, acc_type)
        total = pointer(store.ctypes.data, acc_type)
        bounds = lo, hi, first, last
        add_chosen(g_at, where_at, total, f, g_type, codecs[0], plane * windows * f.inner, bounds, wrong_at)
        at = (plane * elements + lo) * f.inner
        for i in range(store.size):
            out[at + i] = encode(codecs[1], store[i])


@kernel
def unpool(x_at, where_at, out_at, frame, bands, wrong_at, start, stop, x_type):
    """Elements at their indices, zero elsewhere; of several with one index the last in row-major order stays."""
    f = unpacked(frame, Frame)
    x, where, out = pointer(x_at, x_type), pointer(where_at, INT64), pointer(out_at, x_type)
    elements, windows = f.d * f.h * f.w, f.od * f.oh * f.ow
    for unit in range(start, stop):
        plane, band = unit // bands, unit % bands
        lo, hi = band * elements // bands, (band + 1) * elements // bands
        base = plane * elements * f.inner
        for i in range(base + lo * f.inner, base + hi * f.inner):
            out[i] = 0
        if not are_inside(f, where, plane * windows * f.inner, windows * f.inner, wrong_at):
            continue
        for i in range(windows):
            row = (plane * windows + i) * f.inner
            for c in range(f.inner):
                to = where[row + c]
                if lo <= to < hi:
                    out[base + to * f.inner + c] = x[row + c]


@called
def take_owned(g, where, out, owner, lanes, inner):
    """What lies at each index of n neighbours from `row` on, zero where another element is the owner of that place."""
    row, n, of_plane, first = lanes
    zero = g[0] ^ g[0]
    for i in range(n):
        at = fetch(where, row + i) * inner + (i if inner > 1 else 0)
        value, number = fetch(g, of_plane + at), np.int64(fetch(owner, at))
        put(out, row + i, value if number == (first if inner > 1 else i) else zero)


@kernel
def unpool_back(g_at, where_at, out_at, frame, wrong_at, start, stop, x_type, number_type):
    """What lies at each element's index, zero where a later element of the plane has the same.

    First all elements enter their numbers at their indices, where the last one's stays. Then no branch asks whose it
    is, which nobody could predict, but a select in full vectors. A plane with an index outside is left as it was.
    """
    f = unpacked(frame, Frame)
    g, where, out = pointer(g_at, x_type), pointer(where_at, INT64), pointer(out_at, x_type)
    elements, windows, inner = f.d * f.h * f.w * f.inner, f.od * f.oh * f.ow, f.inner
    store = np.empty(elements, number_type)
    owner = pointer(store.ctypes.data, number_type)
    for plane in range(start, stop):
        row = plane * windows * inner
        if not are_inside(f, where, row, windows * inner, wrong_at):
            continue
        if inner == 1:
            for i in range(windows):
                owner[where[row + i]] = i
            take_owned(g, where, out, owner, (row, windows, plane * elements, 0), 1)
        else:
            for i in range(windows):
                for c in range(inner):
                    owner[where[row + i * inner + c] * inner + c] = i
            for i in range(windows):
                take_owned(g, where, out, owner, (row + i * inner, inner, plane * elements, i), inner)
    return store.size  # Numba frees an array after its last use by name, whatever still has its address
