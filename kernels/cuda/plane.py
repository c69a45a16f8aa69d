"""Whole planes: one output from all elements of its plane, by a group of threads and a tree in shared memory.

A block takes UNITS outputs with SLOTS threads each; a thread takes every SLOTS-th group of VECTOR elements, by one load
where they lie side by side (WIDE). The order of the elements is another than in a window, so operators come in their
any-order form; it is the same in every run, and that of `plane_last`.

A few large planes are cut into parts, so that they occupy the whole GPU: `plane_parts` leaves an accumulator for each
part of each plane in memory, `plane_joined` joins the parts of each plane, always in the same order.
"""

from __future__ import annotations

from numba import cuda

from ..point import combine, decode, encode, few, finish, seed
from .cells import got, put
from .memory import index, load_vector, number
from .operators import keep_one as keep
from .operators import kept_one as kept
from .point import RED, X_CODEC, Y_CODEC
from .walk import place

# Bound for each kernel:
UNITS = SLOTS = VECTOR = BLOCK = BLOCK1 = 1
HALF = 1  # the largest power of two below SLOTS
ROUNDS = 0  # loads of each thread where all have as many, and few
WIDE = False
EIGHT = False  # whether a plane is long enough for eight loads of a thread at once
ACC0 = ACC1 = None  # NumPy types of the accumulator's parts


def element(x, at_x, g, t):
    """Element t of the plane, seeded."""
    if g.d.n * g.h.n == 1:
        return seed(RED, decode(X_CODEC, x[at_x + t * g.w.xs]), t)
    row = t // g.w.n
    depth = row // g.h.n
    offset = (t - row * g.w.n) * g.w.xs + (row - depth * g.h.n) * g.h.xs + depth * g.d.xs
    return seed(RED, decode(X_CODEC, x[at_x + offset]), t)


def elements(x, at_x, g, t):
    """Elements t .. t + VECTOR - 1 reduced."""
    if WIDE:
        vector = load_vector(x, at_x + t, VECTOR)
        acc = seed(RED, decode(X_CODEC, vector[0]), t)
        for j in range(1, VECTOR):
            acc = few(RED, acc, seed(RED, decode(X_CODEC, vector[j]), t + j))
        return acc
    acc = element(x, at_x, g, t)
    for j in range(1, VECTOR):
        acc = few(RED, acc, element(x, at_x, g, t + j))
    return acc


def four(x, at_x, g, t, far):
    """Four vectors, or groups of elements, in a fixed tree."""
    a, b = elements(x, at_x, g, t), elements(x, at_x, g, t + far)
    c, d = elements(x, at_x, g, t + 2 * far), elements(x, at_x, g, t + 3 * far)
    return combine(RED, combine(RED, a, b), combine(RED, c, d))


def at_once(x, at_x, g, t, far):
    """ROUNDS vectors, or groups of elements: their loads wait for nothing."""
    e0, e1 = cuda.local.array(ROUNDS, ACC0), cuda.local.array(ROUNDS, ACC1)
    for j in range(ROUNDS):
        keep(e0, e1, j, elements(x, at_x, g, t + j * far))
    acc = kept(e0, e1, 0)
    for j in range(1, ROUNDS):
        acc = combine(RED, acc, kept(e0, e1, j))
    return acc


def reduced(x, at_x, g, t, end):
    """Elements t, t + SLOTS, ... before `end` (or vectors of them), of which there is one at least."""
    far = index(SLOTS * VECTOR)
    if ROUNDS > 0:
        return at_once(x, at_x, g, t, far)
    acc = elements(x, at_x, g, t)
    t = t + far
    while EIGHT and t + 7 * far < end:  # eight loads on their way at once
        acc = combine(RED, combine(RED, acc, four(x, at_x, g, t, far)), four(x, at_x, g, t + 4 * far, far))
        t = t + 8 * far
    while t + 3 * far < end:
        acc = combine(RED, acc, four(x, at_x, g, t, far))
        t = t + 4 * far
    if t + far < end:
        a, b = elements(x, at_x, g, t), elements(x, at_x, g, t + far)
        acc = combine(RED, combine(RED, acc, a), b)
        t = t + 2 * far
    if t < end:
        acc = combine(RED, acc, elements(x, at_x, g, t))
    return acc


def tree(s0, s1, inside, at, slot, busy):
    """Combine the accumulators of the first `busy` slots into slot 0's."""
    half = index(HALF)
    while half > 0:
        cuda.syncthreads()
        if inside and slot < half and slot + half < busy and slot + half < SLOTS:
            put(s0, s1, at, combine(RED, got(s0, s1, at), got(s0, s1, at + half)))
        half = half // 2
    cuda.syncthreads()


def own_unit():
    """The thread's place in its block: (number of the unit in the whole grid, slot, cell in shared memory)."""
    tid = index(cuda.threadIdx.x)
    unit, slot = tid // SLOTS, tid % SLOTS
    return index(cuda.blockIdx.x) * UNITS + unit, slot, unit * SLOTS + slot


def plane(x, y, g, walk, count):
    """UNITS outputs of a block."""
    s0 = cuda.shared.array(BLOCK, ACC0)
    s1 = cuda.shared.array(BLOCK1, ACC1)
    i, slot, at = own_unit()
    taps = g.d.n * g.h.n * g.w.n
    inside = i < count
    c, _, _, _, o2, o1 = place(walk, i)
    t = slot * VECTOR
    if inside and t < taps:
        at_x = o1 * g.outer.xs + o2 * g.outer2.xs + c * g.inner.xs
        put(s0, s1, at, reduced(x, at_x, g, t, taps))
    tree(s0, s1, inside, at, slot, (taps + VECTOR - 1) // VECTOR)
    if inside and slot == 0:
        at_y = o1 * g.outer.ys + o2 * g.outer2.ys + c * g.inner.ys
        y[at_y] = encode(Y_CODEC, finish(RED, got(s0, s1, at), number(g.divisor)))


def plane_parts(x, part0, part1, g, walk, count):
    """UNITS parts of planes: part p of `walk.w.n` takes the `walk.w.size` elements from p * walk.w.size on."""
    s0 = cuda.shared.array(BLOCK, ACC0)
    s1 = cuda.shared.array(BLOCK1, ACC1)
    i, slot, at = own_unit()
    inside = i < count
    c, p, _, _, o2, o1 = place(walk, i)
    taps, first = g.d.n * g.h.n * g.w.n, p * walk.w.size
    end = first + walk.w.size if first + walk.w.size < taps else taps
    t = first + slot * VECTOR
    if inside and t < end:
        at_x = o1 * g.outer.xs + o2 * g.outer2.xs + c * g.inner.xs
        put(s0, s1, at, reduced(x, at_x, g, t, end))
    tree(s0, s1, inside, at, slot, (end - first + VECTOR - 1) // VECTOR)
    if inside and slot == 0:
        keep(part0, part1, i, got(s0, s1, at))


def plane_joined(part0, part1, y, g, walk, count):
    """UNITS outputs of a block from the accumulators of their `g.w.n` parts, `g.w.xs` apart."""
    s0 = cuda.shared.array(BLOCK, ACC0)
    s1 = cuda.shared.array(BLOCK1, ACC1)
    i, slot, at = own_unit()
    inside = i < count
    c, _, _, _, o2, o1 = place(walk, i)
    if inside and slot < g.w.n:
        first = o1 * g.outer.xs + o2 * g.outer2.xs + c
        p = slot
        acc = kept(part0, part1, first + p * g.w.xs)
        p = p + SLOTS
        while p < g.w.n:
            acc = combine(RED, acc, kept(part0, part1, first + p * g.w.xs))
            p = p + SLOTS
        put(s0, s1, at, acc)
    tree(s0, s1, inside, at, slot, g.w.n)
    if inside and slot == 0:
        at_y = o1 * g.outer.ys + o2 * g.outer2.ys + c * g.inner.ys
        y[at_y] = encode(Y_CODEC, finish(RED, got(s0, s1, at), number(g.divisor)))


# -- where in planes the elements lie that an operator chooses ---------------------------------------------------------

LANES_WHERE = False  # bound: whether planes are neighbours in memory, and lie along the lanes


def unit_of(first):
    """`own_unit` of a launch that begins at unit `first`, whose planes may be neighbours that lie along the lanes."""
    tid = index(cuda.threadIdx.x)
    unit, slot = (tid % UNITS, tid // UNITS) if LANES_WHERE else (tid // SLOTS, tid % SLOTS)
    return first + index(cuda.blockIdx.x) * UNITS + unit, slot, unit * SLOTS + slot


def whole_where(x, where, g, steps, walk, first, count):
    """The position that each plane, or part of one, chose."""
    s0 = cuda.shared.array(BLOCK, ACC0)
    s1 = cuda.shared.array(BLOCK, ACC1)  # on a line of its own: the simulator tells shared arrays apart by that
    i, slot, at = unit_of(first)
    inside = i < count
    c, p, _, _, o2, o1 = place(walk, i)
    r, u = steps
    taps, begin = g.d.n * g.h.n * g.w.n, p * walk.w.size
    end = begin + walk.w.size if begin + walk.w.size < taps else taps
    t = begin + slot * VECTOR
    if inside and t < end:
        put(s0, s1, at, reduced(x, o1 * r.outer + o2 * r.outer2 + c * r.inner, g, t, end))
    tree(s0, s1, inside, at, slot, (end - begin + VECTOR - 1) // VECTOR)
    if inside and slot == 0:
        where[o1 * u.outer + o2 * u.outer2 + c * u.inner + p * u.w] = got(s0, s1, at)[1]


def whole_joined(x, parts, where, g, steps, walk, first, count):
    """The position that each plane chose, of those that its `walk.w.size` parts chose."""
    s0 = cuda.shared.array(BLOCK, ACC0)
    s1 = cuda.shared.array(BLOCK, ACC1)
    i, slot, at = unit_of(first)
    inside = i < count
    c, _, _, _, o2, o1 = place(walk, i)
    r, q, u = steps
    if inside and slot < walk.w.size:
        from_x = o1 * r.outer + o2 * r.outer2 + c * r.inner
        from_parts = o1 * q.outer + o2 * q.outer2 + c * q.inner
        p, zero = slot, slot * 0  # an index as wide as the kernel's
        acc = element(x, from_x, g, zero + parts[from_parts + p * q.w])
        p = p + SLOTS
        while p < walk.w.size:
            acc = combine(RED, acc, element(x, from_x, g, zero + parts[from_parts + p * q.w]))
            p = p + SLOTS
        put(s0, s1, at, acc)
    tree(s0, s1, inside, at, slot, walk.w.size)
    if inside and slot == 0:
        where[o1 * u.outer + o2 * u.outer2 + c * u.inner] = got(s0, s1, at)[1]
