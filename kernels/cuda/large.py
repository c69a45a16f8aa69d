"""Large and dilated windows: a block computes a tile of outputs through shared memory, along the rows, then downwards.

Rows of the input are loaded CHUNK at a time, neutral beside the input, and reduced to one accumulator for each output
column; when all rows of the tile are there, the columns are reduced the same way. Rows above and below the input are
not loaded: their results are neutral.

A thread computes a run of windows of one line (RUN_W, RUN_H), the first and the last of which overlap: the taps that
all of them share are combined once, running results backwards add those before, and the windows are joined with running
results of those behind. That is about three combinations for an output, whatever the window; a run of one window
combines its taps one by one. A third pooled axis is walked plane by plane.

What a thread executes, and how long a tile takes: gpupool/backends/cuda_large_time.py, by which the tile is chosen.

With LANES channels that lie side by side, an element of a row is one channel of one pixel. The order of taps is that of
the point kernel, and joining neighbours in another grouping changes no maximum and no integer sum; where it could show,
runs have one window, and its taps are combined one after another (not REGROUPED).
"""

from __future__ import annotations

from numba import cuda

from ..point import combine, decode, encode, finish, seed
from ..window import first_tap, greater, lesser, tap_count, tap_range
from .cells import got, put
from .memory import index, load_vector, number, unsigned
from .operators import keep_one as keep
from .operators import kept_one as kept
from .point import RED, X_CODEC, Y_CODEC
from .walk import place

# Bound for each kernel:
BLOCK = CHUNK = CELLS = CELLS1 = TAPS = TAPS1 = VECTOR = LOADED = LANES = 1
TH = TW = KH = KW = SH = SW = DH = DW = 1  # outputs of a tile, taps, strides and dilations of windows
ROWS = 1  # that the tile's windows need
PITCH = WIDTH = 1  # cells from a loaded row to the next, and from a reduced one: odd numbers of pixels, for other banks
LEAD = 0  # positions of a row that are loaded before the tile's first one, so that vectors are aligned
GROUPS = 1  # rows that are loaded side by side
AT_ONCE = 1  # vectors that a thread has on their way
RUN_W = RUN_H = RUN = 1  # windows of a run, and the larger one of the two
SHIFT_W = SHIFT_H = 1  # taps that the next window of a run begins further on
APART_W = APART_H = 1  # outputs from one window of a run to the next: more than 1 where windows are dilated
REGROUPED = True  # whether neighbouring taps may be joined in any grouping
DIVISOR = 0  # what averages are divided by where it is the same for all windows
DEPTH = False
ELEMENTS = True  # whether loaded rows are kept as elements, not as accumulators
ABSENT = None  # how an absent tap is loaded
NEUTRAL = None  # its accumulator
LOADED0 = LOADED1 = None  # NumPy types of a loaded tap's parts
ACC0 = ACC1 = None  # NumPy types of the accumulator's parts


def hold(l0, l1, i, tap):
    """Store a tap as it is loaded."""
    if ELEMENTS:
        l0[i] = tap
    else:
        keep(l0, l1, i, tap)


def held(l0, l1, i):
    """The loaded tap at i."""
    if ELEMENTS:
        return l0[i]
    return kept(l0, l1, i)


def tap(l0, l1, i):
    """Its accumulator."""
    if ELEMENTS:
        return seed(RED, l0[unsigned(i)], 0)
    return got(l0, l1, i)


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
    """One vector of taps."""
    if inside:
        vector = load_vector(x, at, VECTOR)
        for e in range(VECTOR):
            if ELEMENTS:
                v0[first + e] = decode(X_CODEC, vector[e])
            else:
                keep(v0, v1, first + e, seed(RED, decode(X_CODEC, vector[e]), 0))
    else:
        for e in range(VECTOR):
            hold(v0, v1, first + e, ABSENT)


def load(l0, l1, x, plane, g, row, rows, start_w, c0):
    """So many rows of the input from `row` on. A thread loads a column of vectors, AT_ONCE of them at once."""
    tid, n = index(cuda.threadIdx.x), PITCH // VECTOR
    first = tid // n
    v = tid - first * n
    while v < n and first < GROUPS:
        w, c = start_w + v * VECTOR // LANES - LEAD, index(0)
        inside = w >= 0 and w < g.w.n
        if LANES > 1:
            c = v * VECTOR % LANES
            inside = inside and c0 + c < g.inner.n
        load_column(l0, l1, x, plane + row * g.h.xs + w * g.w.xs + c, g.h.xs, inside, v, first, rows)
        v = v + BLOCK


def load_column(l0, l1, x, at, pitch, inside, v, r, rows):
    """Vector v of the rows r, r + GROUPS, ... of the loaded ones; outside the input absent taps."""
    v0 = cuda.local.array(LOADED, LOADED0)
    v1 = cuda.local.array(LOADED, LOADED1)
    while r < rows:
        for i in range(AT_ONCE):
            here = r + i * GROUPS
            fetch(v0, v1, i * VECTOR, x, at + here * pitch, inside and here < rows)
        for i in range(AT_ONCE):
            here = r + i * GROUPS
            if here < rows:
                for e in range(VECTOR):
                    hold(l0, l1, unsigned(here * PITCH + v * VECTOR + e), held(v0, v1, i * VECTOR + e))
        r = r + AT_ONCE * GROUPS


def reduced(read, s0, s1, at, step, n):
    """n taps from `at` on: four stretches of them at once, then these; or one after another."""
    stretch = n // 4
    acc = read(s0, s1, at)
    if REGROUPED and n >= 8:
        b, c = read(s0, s1, at + stretch * step), read(s0, s1, at + 2 * stretch * step)
        d = read(s0, s1, at + 3 * stretch * step)
        for t in range(1, stretch):
            acc = combine(RED, acc, read(s0, s1, at + t * step))
            b = combine(RED, b, read(s0, s1, at + (stretch + t) * step))
            c = combine(RED, c, read(s0, s1, at + (2 * stretch + t) * step))
            d = combine(RED, d, read(s0, s1, at + (3 * stretch + t) * step))
        acc = combine(RED, combine(RED, acc, b), combine(RED, c, d))
    for t in range(4 * stretch if REGROUPED and n >= 8 else 1, n):
        acc = combine(RED, acc, read(s0, s1, at + t * step))
    return acc


def run(r0, r1, read, s0, s1, at, step, k, windows, shift):
    """The accumulators of a run of windows of k taps: of the first one, the first tap is at `at`."""
    last = (windows - 1) * shift  # the last window's first tap
    acc = reduced(read, s0, s1, at + last * step, step, k - last)
    keep(r0, r1, windows - 1, acc)
    for t in range(1, last + 1):
        acc = combine(RED, read(s0, s1, at + (last - t) * step), acc)
        if t % shift == 0:
            keep(r0, r1, windows - 1 - t // shift, acc)
    if windows > 1:
        acc = read(s0, s1, at + k * step)
        for t in range(1, last + 1):
            if t > 1:
                acc = combine(RED, acc, read(s0, s1, at + (k + t - 1) * step))
            if t % shift == 0:
                keep(r0, r1, t // shift, combine(RED, kept(r0, r1, t // shift), acc))


def first_of(i, windows, apart):
    """The first output of run i of a line."""
    if apart > 1:
        turn = i // apart
        return turn * (windows - 1) * apart + i
    return i * windows


def across(s0, s1, l0, l1, row, rows):
    """The windows of `rows` loaded rows, one for each column of the tile's outputs, to the results of `row` and so on.

    Neighbouring threads take neighbouring rows, which begin in other banks.
    """
    r0, r1 = cuda.local.array(RUN, ACC0), cuda.local.array(RUN, ACC1)
    line, entry, lines, entries = spread(CHUNK * LANES)
    while line < TW // RUN_W:
        r = entry // LANES
        lane = entry - r * LANES
        if r < rows:
            t = first_of(line, RUN_W, APART_W)
            run(r0, r1, tap, l0, l1, r * PITCH + (LEAD + t * SW) * LANES + lane, DW * LANES, KW, RUN_W, SHIFT_W)
            at = (row + r) * WIDTH + t * LANES + lane
            for i in range(RUN_W):
                put(s0, s1, at + i * (APART_W * LANES), kept(r0, r1, i))
        line, entry = onward(line, entry, lines, entries, CHUNK * LANES)


def divided_by(g, od, oh, ow):
    """What an average of this window is divided by."""
    if DIVISOR != 0:
        return number(index(DIVISOR))
    if g.divisor != 0:
        return number(g.divisor)
    cd = tap_count(first_tap(od, g.d.s, g.d.before), g.d.count_from, g.d.count_to, g.d.k, g.d.d)
    ch = tap_count(first_tap(oh, SH, g.h.before), g.h.count_from, g.h.count_to, KH, DH)
    cw = tap_count(first_tap(ow, SW, g.w.before), g.w.count_from, g.w.count_to, KW, DW)
    return number(cd * ch * cw)


def down(s0, s1, y, g, walk, first, last):
    """The windows of the tile's columns; with DEPTH joined with those of the planes before, and stored after the last.

    Neighbouring threads take neighbouring columns.
    """
    r0, r1 = cuda.local.array(RUN, ACC0), cuda.local.array(RUN, ACC1)
    cn, q, p, od, o2, o1 = place(walk, index(cuda.blockIdx.x))
    at_y = o1 * g.outer.ys + o2 * g.outer2.ys + od * g.d.ys
    line, entry, lines, entries = spread(TW * LANES)
    while line < TH // RUN_H:
        r = first_of(line, RUN_H, APART_H)
        run(r0, r1, got, s0, s1, r * (SH * WIDTH) + entry, DH * WIDTH, KH, RUN_H, SHIFT_H)
        if DEPTH:  # each thread has cells of its own
            for i in range(RUN_H):
                cell = (ROWS + r + i * APART_H) * WIDTH + entry
                if not first:
                    keep(r0, r1, i, combine(RED, got(s0, s1, cell), kept(r0, r1, i)))
                put(s0, s1, cell, kept(r0, r1, i))
        t = entry // LANES
        oh, ow, c = p * TH + r, q * TW + t, cn * LANES + entry - t * LANES
        if last and ow < g.w.out and c < g.inner.n:
            at = at_y + c * g.inner.ys + oh * g.h.ys + ow * g.w.ys
            for i in range(RUN_H):
                if oh + i * APART_H < g.h.out:
                    count = divided_by(g, od, oh + i * APART_H, ow)
                    y[at + i * APART_H * g.h.ys] = encode(Y_CODEC, finish(RED, kept(r0, r1, i), count))
        line, entry = onward(line, entry, lines, entries, TW * LANES)


def leave_out(s0, s1, above, below):
    """The results of the first `above` rows, and of those from `below` on, which lie outside the input."""
    i, before = index(cuda.threadIdx.x), above * WIDTH
    while i < before + (ROWS - below) * WIDTH:
        put(s0, s1, i if i < before else i + (below - above) * WIDTH, NEUTRAL)
        i = i + BLOCK


def add_plane(s0, s1, l0, l1, x, plane, g, walk):
    """Load one plane's part of the tile, CHUNK rows at a time, and reduce its rows."""
    c, q, p, _, _, _ = place(walk, index(cuda.blockIdx.x))
    start_h, start_w = first_tap(p * TH, SH, g.h.before), first_tap(q * TW, SW, g.w.before)
    row = lesser(greater(index(0) - start_h, index(0)), index(ROWS))
    stop = greater(lesser(g.h.n - start_h, index(ROWS)), row)
    leave_out(s0, s1, row, stop)
    cuda.syncthreads()
    while row < stop:
        here = lesser(stop - row, index(CHUNK))
        load(l0, l1, x, plane, g, start_h + row, here, start_w, c * LANES)
        cuda.syncthreads()
        across(s0, s1, l0, l1, row, here)
        cuda.syncthreads()
        row = row + CHUNK


def large(x, y, g, walk, count):
    """One block's tile of outputs."""
    s0 = cuda.shared.array(CELLS, ACC0)
    s1 = cuda.shared.array(CELLS1, ACC1)  # each on a line of its own: the simulator tells arrays apart by that
    l0 = cuda.shared.array(TAPS, LOADED0)
    l1 = cuda.shared.array(TAPS1, LOADED1)
    c, _, _, od, o2, o1 = place(walk, index(cuda.blockIdx.x))
    plane = o1 * g.outer.xs + o2 * g.outer2.xs + c * LANES * g.inner.xs
    start = first_tap(od, g.d.s, g.d.before)
    if DEPTH:
        d0, d1 = tap_range(start, 0, g.d.n, g.d.k, g.d.d)
        jd = d0
        while jd < d1:
            add_plane(s0, s1, l0, l1, x, plane + (start + jd * g.d.d) * g.d.xs, g, walk)
            down(s0, s1, y, g, walk, jd == d0, jd == d1 - 1)
            cuda.syncthreads()
            jd = jd + 1
    else:
        add_plane(s0, s1, l0, l1, x, plane + start * g.d.xs, g, walk)
        down(s0, s1, y, g, walk, True, True)
