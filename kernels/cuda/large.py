"""Large and dilated windows: a block computes a tile of outputs through shared memory, along the rows, then downwards.

Rows of the input are loaded CHUNK at a time as accumulators, neutral outside the input, and reduced to one accumulator
for each output column; when all rows of the tile are there, the columns are reduced the same way. So an output costs
about the same whatever the window: a window of k taps is the end of one segment of k taps and the beginning of the next
(van Herk, Gil-Werman), and both are running results along the segments, three combinations an element. Where windows
overlap little, their taps are combined one by one instead (SLIDE_W, SLIDE_H not set). A third pooled axis is walked
plane by plane.

Instructions a thread executes per output at sm_90, counted in the machine code (python -m benchmarks.machine_code):
see `work` in gpupool/backends/cuda_large.py, which chooses between this kernel and the point kernel by them.

With LANES channels that lie side by side, an element of a row is one channel of one pixel: channels are interleaved as
dilated taps are. The order of taps is that of the point kernel, and joining neighbours in another grouping changes no
maximum and no integer sum.
"""

from __future__ import annotations

from numba import cuda

from ..point import combine, decode, encode, finish, seed
from ..window import extent, first_tap, tap_count, tap_range
from .memory import index, load_vector, number, unsigned
from .operators import keep_one as keep
from .operators import kept_one as kept
from .point import RED, X_CODEC, Y_CODEC
from .walk import place

# Bound for each kernel:
BLOCK = CHUNK = CELLS = CELLS1 = VECTOR = LOADED = 1
SLIDE_W = SLIDE_H = DEPTH = LANES = False
NEUTRAL = None  # the accumulator of an absent tap
ACC0 = ACC1 = None  # NumPy types of the accumulator's parts
AHEAD = 1 << 24  # a multiple of every vector, larger than any padding


def put(s0, s1, i, acc):
    """Store an accumulator in shared memory."""
    keep(s0, s1, unsigned(i), acc)


def got(s0, s1, i):
    """The accumulator at i."""
    return kept(s0, s1, unsigned(i))


def needed(outputs, a, slide):
    """Positions along an axis that so many windows need; sliding looks one tap further, and ignores what is there."""
    return (outputs - 1) * a.s + (extent(a.k + 1, a.d) if slide else extent(a.k, a.d))


def lead(g):
    """Positions of a row that are loaded before the tile's first one, so that vectors are aligned."""
    return (index(AHEAD) - g.w.before) % VECTOR if VECTOR > 1 and not LANES else index(0)


def row_cells(g, walk):
    """Accumulators that a loaded row has room for, an odd number: neighbouring rows begin in other banks."""
    n = (needed(walk.w.size, g.w, SLIDE_W) + lead(g)) * walk.c.size
    return (n + VECTOR - 1) // VECTOR * VECTOR // 2 * 2 + 1


def spread(n):
    """This thread's first (line, entry) where lines of n entries are dealt to a block's threads, and the step on."""
    tid, lines = index(cuda.threadIdx.x), index(BLOCK) // n
    line = tid // n
    return line, tid - line * n, lines, index(BLOCK) - lines * n


def onward(line, entry, lines, entries, n):
    """The thread's next (line, entry)."""
    line, entry = line + lines, entry + entries
    return (line + 1, entry - n) if entry >= n else (line, entry)


def fetch(v0, v1, first, x, at, inside):
    """One vector of elements as accumulators, neutral outside the input."""
    if inside:
        vector = load_vector(x, at, VECTOR)
        for e in range(VECTOR):
            keep(v0, v1, first + e, seed(RED, decode(X_CODEC, vector[e]), 0))
    else:
        for e in range(VECTOR):
            keep(v0, v1, first + e, NEUTRAL)


def where(g, walk, plane, h, start_w, c0, v):
    """Where vector v of row h of the tile lies in memory, and whether it lies inside the input."""
    if LANES:
        w = v * VECTOR // walk.c.size
        c = v * VECTOR - w * walk.c.size
        w = start_w + w
        inside = h >= 0 and h < g.h.n and w >= 0 and w < g.w.n and c0 + c < g.inner.n
        return plane + h * g.h.xs + w * g.w.xs + c, inside
    w = start_w + v * VECTOR - lead(g)
    return plane + h * g.h.xs + w * g.w.xs, h >= 0 and h < g.h.n and w >= 0 and w < g.w.n


def load(s0, s1, x, plane, g, walk, row, start_w, c0):
    """CHUNK rows of the input from `row` on, two vectors on their way at once."""
    v0 = cuda.local.array(LOADED, ACC0)
    v1 = cuda.local.array(LOADED, ACC1)
    pitch = row_cells(g, walk)
    n = pitch // VECTOR
    r, v, lines, entries = spread(n)
    while r < CHUNK:
        at, inside = where(g, walk, plane, row + r, start_w, c0, v)
        fetch(v0, v1, 0, x, at, inside)
        cell = r * pitch + v * VECTOR
        r, v = onward(r, v, lines, entries, n)
        at, inside = where(g, walk, plane, row + r, start_w, c0, v)
        fetch(v0, v1, VECTOR, x, at, inside and r < CHUNK)
        for e in range(VECTOR):
            put(s0, s1, cell + e, kept(v0, v1, e))
        if r < CHUNK:
            cell = r * pitch + v * VECTOR
            for e in range(VECTOR):
                put(s0, s1, cell + e, kept(v0, v1, VECTOR + e))
        r, v = onward(r, v, lines, entries, n)


def forward(s0, s1, i, step, stop, other):
    """Running results from the first element on: what lies before each goes `other` cells further. Where it ended."""
    acc = NEUTRAL
    while i + 3 * step < stop:  # four loads on their way at once
        a, b = got(s0, s1, i), got(s0, s1, i + step)
        c, d = got(s0, s1, i + 2 * step), got(s0, s1, i + 3 * step)
        put(s0, s1, i + other, acc)
        acc = combine(RED, acc, a)
        put(s0, s1, i + step + other, acc)
        acc = combine(RED, acc, b)
        put(s0, s1, i + 2 * step + other, acc)
        acc = combine(RED, acc, c)
        put(s0, s1, i + 3 * step + other, acc)
        acc = combine(RED, acc, d)
        i = i + 4 * step
    while i < stop:
        put(s0, s1, i + other, acc)
        acc = combine(RED, acc, got(s0, s1, i))
        i = i + step
    return i


def backward(s0, s1, i, step, first):
    """Running results from the last element, before `i`, back to the first, in place."""
    acc = NEUTRAL
    while i - 3 * step > first:
        a, b = got(s0, s1, i - step), got(s0, s1, i - 2 * step)
        c, d = got(s0, s1, i - 3 * step), got(s0, s1, i - 4 * step)
        acc = combine(RED, a, acc)
        put(s0, s1, i - step, acc)
        acc = combine(RED, b, acc)
        put(s0, s1, i - 2 * step, acc)
        acc = combine(RED, c, acc)
        put(s0, s1, i - 3 * step, acc)
        acc = combine(RED, d, acc)
        put(s0, s1, i - 4 * step, acc)
        i = i - 4 * step
    while i > first:
        i = i - step
        acc = combine(RED, got(s0, s1, i), acc)
        put(s0, s1, i, acc)


def segments(s0, s1, base, step, length, a, tid, threads, other):
    """All segments of one line of cells: `step` lines of taps are interleaved in it, `tid` is one of its threads."""
    chain = tid
    chains = (length + a.k * step - 1) // (a.k * step) * step
    while chain < chains:
        segment = chain // step
        first = segment * a.k * step + chain - segment * step
        stop = first + a.k * step
        end = forward(s0, s1, base + first, step, base + (stop if stop < length else length), other)
        backward(s0, s1, end, step, base + first)
        chain = chain + threads


def window(s0, s1, at, step, k, slide, other):
    """The accumulator of the window whose first tap is at `at`."""
    if slide:
        return combine(RED, got(s0, s1, at), got(s0, s1, at + k * step + other))
    acc = got(s0, s1, at)
    stop = at + k * step
    at = at + step
    while at < stop:
        acc = combine(RED, acc, got(s0, s1, at))
        at = at + step
    return acc


def across(s0, s1, g, walk, results, rows):
    """The windows of `rows` loaded rows, one for each column of the tile's outputs, to the cells from `results` on."""
    pitch, step, width = row_cells(g, walk), g.w.d * walk.c.size, walk.w.size * walk.c.size
    start = lead(g) * walk.c.size
    if SLIDE_W:
        tid, length = index(cuda.threadIdx.x), needed(walk.w.size, g.w, True) * walk.c.size
        segments(s0, s1, tid % CHUNK * pitch + start, step, length, g.w, tid // CHUNK, BLOCK // CHUNK, CHUNK * pitch)
        cuda.syncthreads()
    # Neighbouring threads take neighbouring outputs, or neighbouring rows where outputs' taps lie in the same banks.
    n = width if SLIDE_W else index(CHUNK)
    line, entry, lines, entries = spread(n)
    while line < (rows if SLIDE_W else width):
        r, e = (line, entry) if SLIDE_W else (entry, line)
        t = e // walk.c.size if LANES else e
        if r < rows:
            at = r * pitch + start + t * (g.w.s - 1) * walk.c.size + e
            put(s0, s1, results + r * width + e, window(s0, s1, at, step, g.w.k, SLIDE_W, CHUNK * pitch))
        line, entry = onward(line, entry, lines, entries, n)
    cuda.syncthreads()


def divided_by(g, od, oh, ow):
    """What an average of this window is divided by."""
    if g.divisor != 0:
        return number(g.divisor)
    cd = tap_count(first_tap(od, g.d.s, g.d.before), g.d.count_from, g.d.count_to, g.d.k, g.d.d)
    ch = tap_count(first_tap(oh, g.h.s, g.h.before), g.h.count_from, g.h.count_to, g.h.k, g.h.d)
    cw = tap_count(first_tap(ow, g.w.s, g.w.before), g.w.count_from, g.w.count_to, g.w.k, g.w.d)
    return number(cd * ch * cw)


def store(y, g, walk, acc, r, e):
    """Output (r, e) of the tile, where it is inside the result."""
    c, q, p, od, o2, o1 = place(walk, index(cuda.blockIdx.x))
    t = e // walk.c.size if LANES else e
    lane = e - t * walk.c.size if LANES else index(0)
    oh, ow, c = p * walk.h.size + r, q * walk.w.size + t, c * walk.c.size + lane
    if oh < g.h.out and ow < g.w.out and c < g.inner.n:
        at = o1 * g.outer.ys + o2 * g.outer2.ys + c * g.inner.ys + od * g.d.ys + oh * g.h.ys + ow * g.w.ys
        y[at] = encode(Y_CODEC, finish(RED, acc, divided_by(g, od, oh, ow)))


def down(s0, s1, y, g, walk, results, first, last):
    """The windows of the tile's columns; with DEPTH joined with those of the planes before, and stored after the last.

    The loaded rows are not needed any more: their cells take the running results.
    """
    width = walk.w.size * walk.c.size
    length = needed(walk.h.size, g.h, SLIDE_H) * width
    if SLIDE_H:
        segments(s0, s1, results, g.h.d * width, length, g.h, index(cuda.threadIdx.x), index(BLOCK), -results)
        cuda.syncthreads()
    r, e, lines, entries = spread(width)
    while r < walk.h.size:
        acc = window(s0, s1, results + r * g.h.s * width + e, g.h.d * width, g.h.k, SLIDE_H, -results)
        if DEPTH:  # each thread has cells of its own
            cell = results + length + r * width + e
            if not first:
                acc = combine(RED, got(s0, s1, cell), acc)
            put(s0, s1, cell, acc)
        if last:
            store(y, g, walk, acc, r, e)
        r, e = onward(r, e, lines, entries, width)
    cuda.syncthreads()


def add_plane(s0, s1, x, plane, g, walk, results):
    """Load one plane's part of the tile, CHUNK rows at a time, and reduce its rows."""
    c, q, p, _, _, _ = place(walk, index(cuda.blockIdx.x))
    start_h = first_tap(p * walk.h.size, g.h.s, g.h.before)
    start_w = first_tap(q * walk.w.size, g.w.s, g.w.before)
    rows, width = needed(walk.h.size, g.h, SLIDE_H), walk.w.size * walk.c.size
    row = index(0)
    while row < rows:
        load(s0, s1, x, plane, g, walk, start_h + row, start_w, c * walk.c.size)
        cuda.syncthreads()
        here = rows - row if rows - row < CHUNK else index(CHUNK)
        across(s0, s1, g, walk, results + row * width, here)
        row = row + CHUNK


def large(x, y, g, walk, count):
    """One block's tile of outputs."""
    s0 = cuda.shared.array(CELLS, ACC0)
    s1 = cuda.shared.array(CELLS1, ACC1)  # on a line of its own: the simulator tells arrays apart by that
    c, _, _, od, o2, o1 = place(walk, index(cuda.blockIdx.x))
    plane = o1 * g.outer.xs + o2 * g.outer2.xs + c * walk.c.size * g.inner.xs
    columns = needed(walk.h.size, g.h, SLIDE_H) * walk.w.size * walk.c.size if SLIDE_H else index(0)
    loaded = row_cells(g, walk) * (CHUNK * (2 if SLIDE_W else 1))
    results = columns if columns > loaded else loaded
    start = first_tap(od, g.d.s, g.d.before)
    d0, d1 = tap_range(start, 0, g.d.n, g.d.k, g.d.d)
    jd = d0
    while jd < d1:
        add_plane(s0, s1, x, plane + (start + jd * g.d.d) * g.d.xs, g, walk, results)
        down(s0, s1, y, g, walk, results, jd == d0, jd == d1 - 1)
        jd = jd + 1
