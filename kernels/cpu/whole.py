"""The whole-plane engine: windows that are whole, contiguous planes (global pooling), at read bandwidth.

A reduction into one number does not vectorise, so a plane is combined line by line into a line of lanes, and the lanes
last. Planes are cut into parts of a fixed size, whatever the number of threads: the same bits on every run. Stage one
leaves one accumulator per part and channel, stage two combines the parts and finishes.
"""

from __future__ import annotations

import numpy as np

from ..point import combine, decode, divisor, encode, finish, seed
from .jit import called, kernel, pointer, unpack

LANES = 1024  # accumulators in a line: two of them and the line of input stay in the L1 cache


@called
def copy_line(src_at, n, dst_at, acc_type):
    """dst = src."""
    src, dst = pointer(src_at, acc_type), pointer(dst_at, acc_type)
    for i in range(n):
        dst[i] = src[i]


@called
def load_line(x, at, step, n, dst_at, acc_type, codec, red):
    """dst[i] = seed of x[at + i * step]."""
    dst = pointer(dst_at, acc_type)
    if step == 1:
        for i in range(n):
            dst[i] = seed(red, decode(codec, x[at + i]), 0)
    else:
        for i in range(n):
            dst[i] = seed(red, decode(codec, x[at + i * step]), 0)


@called
def merge_loaded(a_at, x, at, n, dst_at, acc_type, codec, red):
    """dst = the line a combined with elements x[at] and on."""
    a, dst = pointer(a_at, acc_type), pointer(dst_at, acc_type)
    for i in range(n):
        dst[i] = combine(red, a[i], seed(red, decode(codec, x[at + i]), 0))


@called
def reduce_run(x, at, n, codec, red):
    """n elements in a row to one accumulator, in eight independent chains."""
    if n < 8:
        acc = seed(red, decode(codec, x[at]), 0)
        for i in range(1, n):
            acc = combine(red, acc, seed(red, decode(codec, x[at + i]), 0))
        return acc
    a = seed(red, decode(codec, x[at]), 0)
    b = seed(red, decode(codec, x[at + 1]), 0)
    c = seed(red, decode(codec, x[at + 2]), 0)
    d = seed(red, decode(codec, x[at + 3]), 0)
    e = seed(red, decode(codec, x[at + 4]), 0)
    f = seed(red, decode(codec, x[at + 5]), 0)
    g = seed(red, decode(codec, x[at + 6]), 0)
    h = seed(red, decode(codec, x[at + 7]), 0)
    for i in range(1, n // 8):
        j = at + 8 * i
        a = combine(red, a, seed(red, decode(codec, x[j]), 0))
        b = combine(red, b, seed(red, decode(codec, x[j + 1]), 0))
        c = combine(red, c, seed(red, decode(codec, x[j + 2]), 0))
        d = combine(red, d, seed(red, decode(codec, x[j + 3]), 0))
        e = combine(red, e, seed(red, decode(codec, x[j + 4]), 0))
        f = combine(red, f, seed(red, decode(codec, x[j + 5]), 0))
        g = combine(red, g, seed(red, decode(codec, x[j + 6]), 0))
        h = combine(red, h, seed(red, decode(codec, x[j + 7]), 0))
    acc = combine(red, combine(red, combine(red, a, b), combine(red, c, d)),
                  combine(red, combine(red, e, f), combine(red, g, h)))  # fmt: skip
    for i in range(n // 8 * 8, n):
        acc = combine(red, acc, seed(red, decode(codec, x[at + i]), 0))
    return acc


@called
def reduce_lines(x, at, n, line, one, other, item, acc_type, codec, red):
    """n elements in a row, line by line, into the lanes of one of two buffers, whose address is returned."""
    load_line(x, at, 1, line, one, acc_type, codec, red)
    whole, spare, done = one, other, line
    while done < n:
        take = line if line < n - done else n - done
        merge_loaded(whole, x, at + done, take, spare, acc_type, codec, red)
        if take < line:
            copy_line(whole + take * item, line - take, spare + take * item, acc_type)
        whole, spare, done = spare, whole, done + take
    return whole


@called
def first_equal(x, at, n, step, acc, codec, red):
    """The first element that equals `acc`: lanes mix up the order in which 0.0 and -0.0 come."""
    for i in range(n):
        v = seed(red, decode(codec, x[at + i * step]), 0)
        if v == acc:
            return v
    return acc


@kernel
def whole_parts(x_address, out_address, packed, start, stop, parts, picks, x_type, acc_type, x_codec, red):
    """Stage one: parts start .. stop - 1 of all planes, `parts` to a plane, into out[part * channels + channel]."""
    x, out, g = pointer(x_address, x_type), pointer(out_address, acc_type), unpack(packed)
    channels, pixels = g.inner.n, g.d.n * g.h.n * g.w.n
    line = channels * (LANES // channels if channels < LANES else 1)
    store = np.empty(2 * line, acc_type)
    one = np.int64(store.ctypes.data)
    other = one + line * store.itemsize
    for part in range(start, stop):
        plane, i = part // parts, part % parts
        first, last = i * pixels // parts, (i + 1) * pixels // parts
        at = plane // g.outer2.n * g.outer.xs + plane % g.outer2.n * g.outer2.xs + first * channels
        n = (last - first) * channels
        if channels == 1 and n < 2 * line:
            out[part] = reduce_run(x, at, n, x_codec, red)
        else:
            wide = line if line < n else n
            lanes = pointer(reduce_lines(x, at, n, wide, one, other, store.itemsize, acc_type, x_codec, red), acc_type)
            for c in range(channels):
                acc = lanes[c]
                for j in range(c + channels, wide, channels):
                    acc = combine(red, acc, lanes[j])
                out[part * channels + c] = acc
        if picks:
            for c in range(channels):
                if out[part * channels + c] == 0:
                    acc = out[part * channels + c]
                    out[part * channels + c] = first_equal(x, at + c, last - first, channels, acc, x_codec, red)
    return store.size  # Numba frees an array after its last use by name, whatever still has its address


@kernel
def whole_finish(in_address, y_address, packed, start, stop, parts, acc_type, y_type, y_codec, red):
    """Stage two: the parts of planes start .. stop - 1 combined, finished and stored."""
    parted, y, g = pointer(in_address, acc_type), pointer(y_address, y_type), unpack(packed)
    channels, count = g.inner.n, divisor(g, 0, 0, 0)
    for plane in range(start, stop):
        at = plane // g.outer2.n * g.outer.ys + plane % g.outer2.n * g.outer2.ys
        for c in range(channels):
            acc = parted[plane * parts * channels + c]
            for i in range(1, parts):
                acc = combine(red, acc, parted[(plane * parts + i) * channels + c])
            y[at + c * g.inner.ys] = encode(y_codec, finish(red, acc, count))
