"""Where in whole planes the elements lie that an operator chooses: reduced by groups of threads, as in `plane`.

A block takes UNITS planes with SLOTS threads each. A few large planes are cut into `walk.w.n` parts of `walk.w.size`
elements: `whole_where` leaves the position that each part chose, `whole_joined` chooses among the elements there.
Reducers come in their any-order form, whose accumulators are an element and its position.
"""

from __future__ import annotations

from numba import cuda

from ..point import combine
from .memory import index
from .plane import element, got, put, reduced, tree
from .point import RED
from .walk import place

# Bound for each kernel:
UNITS = SLOTS = VECTOR = BLOCK = 1
LANES = False  # whether planes are neighbours in memory, and lie along the lanes
ACC0 = ACC1 = None  # NumPy types of the accumulator's parts


def own_unit(first):
    """The thread's place in its block: (number of the unit in the whole grid, slot, cell in shared memory)."""
    tid = index(cuda.threadIdx.x)
    unit, slot = (tid % UNITS, tid // UNITS) if LANES else (tid // SLOTS, tid % SLOTS)
    return first + index(cuda.blockIdx.x) * UNITS + unit, slot, unit * SLOTS + slot


def whole_where(x, where, g, steps, walk, first, count):
    """The position that each plane, or part of one, chose."""
    s0, s1 = cuda.shared.array(BLOCK, ACC0), cuda.shared.array(BLOCK, ACC1)
    i, slot, at = own_unit(first)
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
    s0, s1 = cuda.shared.array(BLOCK, ACC0), cuda.shared.array(BLOCK, ACC1)
    i, slot, at = own_unit(first)
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
