"""Elementwise passes over contiguous lines: what the band engine is made of. Addresses in, addresses out.

Each function is one vector loop (or one per number of taps), kept out of line so that LLVM vectorises it by itself.
No pass works in place: a select that stores back what it loaded costs 0.49 ns an element instead of 0.075.
"""

from __future__ import annotations

from ..point import combine, decode, encode, finish, seed
from .jit import called, pointer


@called
def fill_line(dst_at, n, value, acc_type):
    """dst = value."""
    dst = pointer(dst_at, acc_type)
    for i in range(n):
        dst[i] = value


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
def split_line(x, at, n, even_at, odd_at, acc_type, codec, red):
    """even[i], odd[i] = seeds of x[at + 2 i] and x[at + 2 i + 1]: one load, two shuffles."""
    even, odd = pointer(even_at, acc_type), pointer(odd_at, acc_type)
    for i in range(n // 2):
        even[i] = seed(red, decode(codec, x[at + 2 * i]), 0)
        odd[i] = seed(red, decode(codec, x[at + 2 * i + 1]), 0)
    if n % 2 == 1:
        even[n // 2] = seed(red, decode(codec, x[at + n - 1]), 0)


@called
def load_pairs(x, at, n, dst_at, acc_type, codec, red):
    """dst[i] = x[at + 2 i] and its right neighbour combined: a 2-tap window with stride 2, straight from the input."""
    dst = pointer(dst_at, acc_type)
    for i in range(n):
        left = seed(red, decode(codec, x[at + 2 * i]), 0)
        dst[i] = combine(red, left, seed(red, decode(codec, x[at + 2 * i + 1]), 0))


@called
def load_taps(x, at, step, k, n, dst_at, acc_type, codec, red):
    """dst[i] = x[at + i + j * step] combined over 2 to 4 taps j, straight from the input."""
    dst = pointer(dst_at, acc_type)
    b, c, d = at + step, at + 2 * step, at + 3 * step
    if k == 2:
        for i in range(n):
            dst[i] = combine(red, seed(red, decode(codec, x[at + i]), 0), seed(red, decode(codec, x[b + i]), 0))
    elif k == 3:
        for i in range(n):
            v = combine(red, seed(red, decode(codec, x[at + i]), 0), seed(red, decode(codec, x[b + i]), 0))
            dst[i] = combine(red, v, seed(red, decode(codec, x[c + i]), 0))
    else:
        for i in range(n):
            v = combine(red, seed(red, decode(codec, x[at + i]), 0), seed(red, decode(codec, x[b + i]), 0))
            v = combine(red, v, seed(red, decode(codec, x[c + i]), 0))
            dst[i] = combine(red, v, seed(red, decode(codec, x[d + i]), 0))


@called
def merge_lines(k, a_at, b_at, c_at, d_at, n, dst_at, acc_type, red):
    """dst = the first k (2 to 4) of the lines a, b, c, d combined in this order."""
    a, b, c, d = pointer(a_at, acc_type), pointer(b_at, acc_type), pointer(c_at, acc_type), pointer(d_at, acc_type)
    dst = pointer(dst_at, acc_type)
    if k == 2:
        for i in range(n):
            dst[i] = combine(red, a[i], b[i])
    elif k == 3:
        for i in range(n):
            dst[i] = combine(red, combine(red, a[i], b[i]), c[i])
    else:
        for i in range(n):
            dst[i] = combine(red, combine(red, combine(red, a[i], b[i]), c[i]), d[i])


@called
def store_line(src_at, n, y, at, step, acc_type, codec, red, count):
    """y[at + i * step] = src[i] finished."""
    src = pointer(src_at, acc_type)
    if step == 1:
        for i in range(n):
            y[at + i] = encode(codec, finish(red, src[i], count))
    else:
        for i in range(n):
            y[at + i * step] = encode(codec, finish(red, src[i], count))
