"""Which element each window chooses, band by band: the engine of results with indices, and of gradients found from x.

A band is some output rows of one plane and depth. All lines of x that it reads are reduced across once, whatever the
number of windows that share them; then the lines' results are reduced down. Taps come in row-major order within a line
and lines in their order, so the first of equal elements and the last NaN win as they do in the point engine.
"""

from __future__ import annotations

import numpy as np

from ..point import span
from ..window import Axis, greater, lesser
from .find_lines import WHOLE, Finding
from .jit import called, invoke, kernel, pointer, unpacked
from .memory import copy_bytes

INT32, INT64 = np.dtype(np.int32), np.dtype(np.int64)


@kernel
def fill_spans(n, out, k, s, d, before, to, rule):
    """The table of one axis."""
    spans = pointer(to, INT64)
    a = Axis(n, out, k, s, d, before, 0, n, 0, 0)
    for o in range(out):
        spans[3 * o], spans[3 * o + 1], spans[3 * o + 2] = span(rule, a, o)


@called
def whole(lanes):
    """So many lanes that none is left over."""
    return (lanes + WHOLE - 1) // WHOLE * WHOLE


@called
def depth_lanes(q):
    """Lanes of all lines of one depth, and of what is written beyond the last one: the next depth's may be known."""
    return q.lines * q.pitch + WHOLE


@called
def scratch_size(packed):
    """Bytes that a band needs: four pairs of buffers, the copied lines and a table of rows."""
    q = unpacked(packed, Finding)
    lanes = q.kd * depth_lanes(q) + q.band * q.pitch + WHOLE
    lines = (q.kd * q.lines * q.below + WHOLE * q.sw + q.kw * q.dw) * q.x_item if q.gathers == 1 else 0
    return 2 * lanes * (q.best_item + 4) + lines + 16 * (q.kd * q.kh + q.rows) + 1024


@called
def buffers_at(packed, store):
    """Where the pairs (best, taken) of lines lie, twice, those of windows, twice, then the table and copied lines."""
    q = unpacked(packed, Finding)
    lines, windows = q.kd * depth_lanes(q), q.band * q.pitch + WHOLE
    at = (store + 63) // 64 * 64
    sizes = (lines * q.best_item + 63) // 64 * 64, lines * 4 // 64 * 64 + 64
    outs = (windows * q.best_item + 63) // 64 * 64, windows * 4 // 64 * 64 + 64
    one = at, at + sizes[0]
    two = one[1] + sizes[1], one[1] + sizes[1] + sizes[0]
    three = two[1] + sizes[1], two[1] + sizes[1] + outs[0]
    four = three[1] + outs[1], three[1] + outs[1] + outs[0]
    table = four[1] + outs[1]
    copied = table + 16 * (q.kd * q.kh + q.rows)
    return one[0], one[1], two[0], two[1], three[0], three[1], four[0], four[1], table, copied


@called
def find_across(packed, at, rows, below, safe, to_best, to_taken, other_best, other_taken):
    """The lines' own results for all windows; the address of the elements and that of the taps."""
    q = unpacked(packed, Finding)
    many, width, end = q.beyond - q.inside, q.inner, q.inside
    if q.inner == 1 or q.sw == 1:
        many, width = lesser(many, 1), (q.beyond - q.inside) * q.inner
    if q.flat == 1:
        width, end, rows = rows * q.pitch, rows * q.pitch, np.int64(1)
    tap = q.dw * q.inner
    src = at + (q.inside * q.sw + pointer(q.spans_w, INT64)[0]) * q.inner * q.x_item
    lane = q.inside * q.inner
    n = whole(width) if safe == 1 else width
    best, taken, spare, spare_taken = to_best, to_taken, other_best, other_taken
    done = np.int64(0)
    while done < q.kw:
        first = lesser(done, q.kw - q.taps)
        if many > 0:
            pass_at = q.across if done == 0 else q.across_more
            invoke(pass_at, (
                packed, src + first * tap * q.x_item, rows, below, many, n, first * q.unit_w,
                spare + lane * q.best_item, spare_taken + lane * 4, best + lane * q.best_item, taken + lane * 4,
            ))  # fmt: skip
        pass_at = q.across_any if done == 0 else q.across_any_more
        if q.inside > 0:
            invoke(pass_at, (packed, at, rows, below, 0, end, first, spare, spare_taken, best, taken))
        if q.beyond < q.ow:
            invoke(pass_at, (packed, at, rows, below, q.beyond, q.ow, first, spare, spare_taken, best, taken))
        done = first + q.taps
        if done < q.kw:
            best, taken, spare, spare_taken = spare, spare_taken, best, taken
    return best, taken


@called
def clip_taps(q, rows, taken_at):
    """The nearest taps of windows at borders instead of those outside, which stand for them in copied lines."""
    heads, tails = pointer(q.ends_w + 4 * q.ends, INT32), pointer(q.ends_w + 8 * q.ends, INT32)
    for r in range(rows):
        taken = pointer(taken_at + r * q.pitch * 4, INT32)
        for i in range(q.clipped_head + q.clipped_tail):
            o = i if i < q.clipped_head else q.ow - q.clipped_head - q.clipped_tail + i
            taken[o] = np.int32(lesser(greater(np.int64(taken[o]), heads[o] * q.unit_w), tails[o] * q.unit_w))


@called
def find_down(packed, od, oh, rows, low, from_best, from_taken, buffers, out):
    """The choice of `rows` rows of windows from `oh` on, which have the same taps, into rows `out` of the result."""
    q = unpacked(packed, Finding)
    table = pointer(buffers[8], INT64)
    spans_d, spans_h = pointer(q.spans_d, INT64), pointer(q.spans_h, INT64)
    start_h, h0, h1 = spans_h[3 * oh], spans_h[3 * oh + 1], spans_h[3 * oh + 2]
    count = np.int64(0)
    for jd in range(spans_d[3 * od + 1], spans_d[3 * od + 2]):
        for jh in range(h0, h1):
            line = start_h + jh * q.dh - low
            depth = jd - spans_d[3 * od + 1]
            table[2 * count] = depth * depth_lanes(q) + line * q.pitch
            table[2 * count + 1] = jd * q.unit_d + jh * q.unit_h
            count += 1
    while count % q.rows != 0:
        table[2 * count], table[2 * count + 1] = table[2 * count - 2], table[2 * count - 1]
        count += 1
    passes = count // q.rows
    n, below = whole(q.ow * q.inner), q.sh * q.pitch
    if q.flat == 1 and q.sh == 1:
        n, rows = whole(rows * q.pitch), np.int64(1)
    to = out * q.pitch
    best, taken, spare, spare_taken = buffers[4], buffers[5], buffers[6], buffers[7]
    if passes % 2 == 0:
        best, taken, spare, spare_taken = spare, spare_taken, best, taken
    for i in range(passes):
        pass_at = q.down if i == 0 else q.down_more
        invoke(pass_at, (
            from_best, from_taken, rows, below, n, buffers[8] + 16 * i * q.rows, spare + to * q.best_item,
            spare_taken + to * 4, best + to * q.best_item, taken + to * 4, q.pitch,
        ))  # fmt: skip
        best, taken, spare, spare_taken = spare, spare_taken, best, taken


@called
def lines_of(q, oh, stop):
    """The lines of x that rows oh .. stop - 1 of windows read, as a half-open range."""
    spans = pointer(q.spans_h, INT64)
    low = spans[3 * oh] + spans[3 * oh + 1] * q.dh
    top = spans[3 * stop - 3] + (spans[3 * stop - 1] - 1) * q.dh + 1
    for o in range(oh, stop if q.dh > 1 else oh):  # dilated windows at borders may begin behind, and end before, others
        low = lesser(low, spans[3 * o] + spans[3 * o + 1] * q.dh)
        top = greater(top, spans[3 * o] + (spans[3 * o + 2] - 1) * q.dh + 1)
    return low, top


@called
def move_lines(q, buffers, first, by, n):
    """Bring the results of n lines from `by` lines on to the beginning, in the buffers where lines' results end up."""
    pair = 0 if (q.kw + q.taps - 1) // q.taps % 2 == 1 else 2
    for item, buffer in ((q.best_item, buffers[pair]), (np.int64(4), buffers[pair + 1])):
        line, at = q.pitch * item, buffer + first * item
        for i in range(n):
            copy_bytes(at + (by + i) * line, at + i * line, line)


@called
def find_band(packed, plane, high, od, oh, stop, buffers, known):
    """Rows oh .. stop - 1 of windows: what they choose is in buffers 4 and 5 then. Returns which lines are known then.

    `plane` is the address of the plane's first element; from there x has `high` elements. `known` are the lines whose
    results the band before has left, of the same plane and depth: those that this one shares are not reduced again.
    """
    q = unpacked(packed, Finding)
    spans_d = pointer(q.spans_d, INT64)
    d0, d1 = spans_d[3 * od + 1], spans_d[3 * od + 2]
    low, top = lines_of(q, oh, stop)
    old = greater(0, lesser(known[1], top) - low) if known[0] <= low else 0
    new = top - low - old
    from_best, from_taken, down = buffers[0], buffers[1], (new - 1) * greater(q.xh, 0)
    for jd in range(d0, d1):
        first = (jd - d0) * depth_lanes(q)
        if old > 0 and known[0] < low:
            move_lines(q, buffers, first, low - known[0], old)
        offset = (spans_d[3 * od] + jd * q.dd) * q.xd + (low + old) * q.xh
        at, below, safe = plane + offset * q.x_item, q.xh, 1
        if q.gathers == 1:
            below = q.below
            to = buffers[9] + ((jd - d0) * q.lines * below + q.left) * q.x_item
            inside = 1 if offset + down + q.copied + WHOLE <= high else 0
            invoke(q.gather, (packed, at, new, inside, to))
            at = to
        elif offset + down + (q.w + WHOLE * q.sw) * q.inner + WHOLE > high:
            safe = 0
        lane = first + old * q.pitch
        best, taken = find_across(
            packed, at, new, below, safe, buffers[0] + lane * q.best_item, buffers[1] + lane * 4,
            buffers[2] + lane * q.best_item, buffers[3] + lane * 4,
        )  # fmt: skip
        if q.clipped_head + q.clipped_tail > 0:
            clip_taps(q, new, taken)
        from_best, from_taken = best - lane * q.best_item, taken - lane * 4
    o = oh
    while o < stop:
        rows = np.int64(1)
        if q.inside_h <= o < q.beyond_h:
            rows = lesser(stop, q.beyond_h) - o
        find_down(packed, od, o, rows, low, from_best, from_taken, buffers, o - oh)
        o += rows
    return low, top
