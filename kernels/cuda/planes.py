"""Whole planes that are small and lie one after another: a block loads a flat stretch of them into shared memory.

Loads take no notice of where a plane begins, so they are side by side whatever its size. Then a plane belongs to one
thread or several, each of which combines its share of the elements one after another; the first joins the shares. As
in `plane`, operators come in their any-order form.

Threads of a warp read shared memory a plane apart. That is another bank for each where a plane has an odd number of
elements; where it is even, each starts one element further on than its neighbour, and ends with what it skipped.
"""

from __future__ import annotations

from numba import cuda

from ..point import combine, decode, encode, finish, seed
from ..window import lesser
from .memory import index, load_vector, number, unsigned
from .operators import keep_one as keep
from .operators import kept_one as kept
from .point import RED, X_CODEC, Y_CODEC
from .walk import place, split

# Bound for each kernel:
BLOCK = BLOCK1 = CELLS = VECTOR = 1
ELEMENT = None  # NumPy type of the loaded elements
ACC0 = ACC1 = None  # NumPy types of the accumulator's parts


def put_vector(s, i, vector):
    """Store vector i of the stretch."""
    for e in range(VECTOR):
        s[unsigned(i * VECTOR + e)] = vector[e]


def load_stretch(s, x, at_x, n, tid):
    """n elements to shared memory, eight loads on their way at once; those past the end take the last vector again."""
    vectors = n // VECTOR
    last = vectors - 1
    i = tid
    while i < vectors:
        i0, i1, i2, i3 = i, lesser(i + BLOCK, last), lesser(i + 2 * BLOCK, last), lesser(i + 3 * BLOCK, last)
        i4, i5 = lesser(i + 4 * BLOCK, last), lesser(i + 5 * BLOCK, last)
        i6, i7 = lesser(i + 6 * BLOCK, last), lesser(i + 7 * BLOCK, last)
        v0, v1 = load_vector(x, at_x + i0 * VECTOR, VECTOR), load_vector(x, at_x + i1 * VECTOR, VECTOR)
        v2, v3 = load_vector(x, at_x + i2 * VECTOR, VECTOR), load_vector(x, at_x + i3 * VECTOR, VECTOR)
        v4, v5 = load_vector(x, at_x + i4 * VECTOR, VECTOR), load_vector(x, at_x + i5 * VECTOR, VECTOR)
        v6, v7 = load_vector(x, at_x + i6 * VECTOR, VECTOR), load_vector(x, at_x + i7 * VECTOR, VECTOR)
        put_vector(s, i0, v0)
        put_vector(s, i1, v1)
        put_vector(s, i2, v2)
        put_vector(s, i3, v3)
        put_vector(s, i4, v4)
        put_vector(s, i5, v5)
        put_vector(s, i6, v6)
        put_vector(s, i7, v7)
        i = i + 8 * BLOCK
    i = vectors * VECTOR + tid
    if i < n:
        s[unsigned(i)] = x[at_x + i]


def element(s, first, t):
    """Element t of the plane that begins at `first`, seeded."""
    return seed(RED, decode(X_CODEC, s[unsigned(first + t)]), t)


def combined(s, acc, first, t, end):
    """The accumulator with elements t .. end - 1 of the plane."""
    while t + 3 < end:
        a, b, c, d = element(s, first, t), element(s, first, t + 1), element(s, first, t + 2), element(s, first, t + 3)
        acc = combine(RED, combine(RED, combine(RED, combine(RED, acc, a), b), c), d)
        t = t + 4
    while t < end:
        acc = combine(RED, acc, element(s, first, t))
        t = t + 1
    return acc


def portion(s, first, t, end, skipped):
    """Elements t .. end - 1, of which there is one at least, from t + skipped on and then those before."""
    middle = t + skipped if t + skipped < end else t
    return combined(s, combined(s, element(s, first, middle), first, middle + 1, end), first, t, middle)


def planes(x, y, g, walk, count):
    """`walk.d.n` planes of a block, by threads that take `walk.d.size` elements each."""
    s = cuda.shared.array(CELLS, ELEMENT)
    s0 = cuda.shared.array(BLOCK, ACC0)
    s1 = cuda.shared.array(BLOCK1, ACC1)
    tid = index(cuda.threadIdx.x)
    taps, most, size = g.w.n, walk.d.n, walk.d.size
    block_first = index(cuda.blockIdx.x) * most
    here = lesser(most, count - block_first)
    load_stretch(s, x, block_first * (taps * g.w.xs), here * taps, tid)
    cuda.syncthreads()
    slot, unit = split(tid, walk.d)
    t = slot * size
    busy = unit < here and t < taps
    if busy:
        skipped = unit % size if taps % 2 == 0 else index(0)
        acc = portion(s, unit * taps, t, lesser(t + size, taps), skipped)
        keep(s0, s1, unsigned(tid), acc)
    if size < taps:
        cuda.syncthreads()
    if busy and slot == 0:
        acc = kept(s0, s1, unsigned(tid))
        other = tid + most
        while t + size < taps:
            acc = combine(RED, acc, kept(s0, s1, unsigned(other)))
            other = other + most
            t = t + size
        c, _, _, _, o2, o1 = place(walk, block_first + unit)
        at_y = o1 * g.outer.ys + o2 * g.outer2.ys + c * g.inner.ys
        y[at_y] = encode(Y_CODEC, finish(RED, acc, number(g.divisor)))
