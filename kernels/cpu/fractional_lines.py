"""Passes of fractional max pooling: where windows begin, what they choose, and gradients that go there.

C functions of integers, as in passes.py. Lanes are windows, row by row, with all their channels: windows have one size
but begin at distances that differ by plane, and so by channel. A *place* is a flat position within a plane.
"""

from __future__ import annotations

import numpy as np

from ..point import combine, decode, encode, finish, seed
from ..window import LARGEST_SAMPLE, fractional_offset, greater, lesser
from .jit import called, fetch, pointer, put
from .memory import ask, full_width

INT64 = np.dtype(np.int64)
BLOCK = 256  # lanes between two requests for memory

called(fractional_offset)


@called
def start_of(u, alpha, o, last):
    """Where window `o` begins, but for the last, by a sample that is a number."""
    return lesser(greater(fractional_offset(u, alpha, o), 0), last)


def starts_pass(real_type, place_type):
    """An axis's starts in planes that follow one another, as places: `step` is that of its positions."""
    real, zero, largest = real_type.type, real_type.type(0), real_type.type(LARGEST_SAMPLE)

    def starts(sample_at, planes, out, last, step, to_at):
        full_width()
        sample, to = pointer(sample_at, real_type), pointer(to_at, place_type)
        alpha = real(last) / real(greater(out - 1, 1))
        if planes == 1:
            u = fetch(sample, 0)
            u = u if abs(u) < largest else zero
            for o in range(out - 1):
                put(to, o, start_of(u, alpha, real(o), last) * step)
        else:
            for o in range(out - 1):
                for c in range(planes):
                    u = fetch(sample, c)
                    u = u if abs(u) < largest else zero
                    put(to, o * planes + c, start_of(u, alpha, real(o), last) * step)
        for c in range(planes):
            put(to, (out - 1) * planes + c, last * step)
        return 0

    return starts


def places_pass(place_type):
    """Where windows begin: rows first .. first + rows - 1 of a plane, in which `oh` of `width` follow at each depth."""
    place, item = place_type.type, place_type.itemsize

    def places(d_at, h_at, w_at, first, rows, oh, width, inner, to_at):
        full_width()
        to, w = pointer(to_at, place_type), pointer(w_at, place_type)
        for r in range(rows):
            d = pointer(d_at + (first + r) // oh * inner * item, place_type)
            h = pointer(h_at + (first + r) % oh * inner * item, place_type)
            if inner == 1:
                base = place(fetch(d, 0) + fetch(h, 0))
                for o in range(width):
                    put(to, r * width + o, place(base + fetch(w, o)))
            else:
                for o in range(width):
                    for c in range(inner):
                        base = place(fetch(d, c) + fetch(h, c))
                        put(to, (r * width + o) * inner + c, place(base + fetch(w, o * inner + c)))
        return 0

    return places


def elements_pass(types, codecs, red, place_type, taps, first, last):
    """The elements that n windows choose among `taps` of their taps, whose distances from the first are in a table.

    Of windows with more taps there are passes that begin from, and leave, what was chosen before.
    """
    (x_type, best_type, y_type), (codec, y_codec) = types, codecs
    place, item = place_type.type, x_type.itemsize

    def find(x_at, table_at, n, inner, places_at, more_at, best_at, noted_at, to, to_noted, ahead, share):
        full_width()
        table, best, chosen = pointer(table_at, INT64), pointer(best_at, best_type), pointer(to, best_type)
        places, more, y = pointer(places_at, place_type), pointer(more_at, place_type), pointer(to, y_type)
        for block in range(0, n, BLOCK):
            ask(ahead + block // BLOCK * share, share)
            for i in range(block, lesser(block + BLOCK, n)):
                at = place(place(fetch(places, i) * place(inner)) + fetch(more, i))
                acc = seed(red, decode(codec, fetch(pointer(x_at + fetch(table, 0) * item, x_type), at)), place(0))
                for t in range(1, taps):
                    x = pointer(x_at + fetch(table, 2 * t) * item, x_type)
                    acc = combine(red, acc, seed(red, decode(codec, fetch(x, at)), place(0)))
                if not first:
                    acc = combine(red, fetch(best, i), acc)
                if last:
                    put(y, i, encode(y_codec, finish(red, acc, 1)))
                else:
                    put(chosen, i, acc)
        return 0

    return find


def positions_pass(types, codec, red, place_type, taps, first, last, flat):
    """The same with positions, which are the result: places, or without `flat` elements' distances from x_at."""
    x_type, best_type, noted_type = types
    place, item = place_type.type, x_type.itemsize

    def find(x_at, table_at, n, inner, places_at, more_at, best_at, noted_at, to_best, to, ahead, share):
        full_width()
        table, best, noted = pointer(table_at, INT64), pointer(best_at, best_type), pointer(noted_at, place_type)
        places, more = pointer(places_at, place_type), pointer(more_at, place_type)
        chosen, kept, result = pointer(to_best, best_type), pointer(to, place_type), pointer(to, noted_type)
        for block in range(0, n, BLOCK):
            ask(ahead + block // BLOCK * share, share)
            for i in range(block, lesser(block + BLOCK, n)):
                at = place(place(fetch(places, i) * place(inner)) + fetch(more, i))
                note = fetch(places, i) if flat else at
                v = decode(codec, fetch(pointer(x_at + fetch(table, 0) * item, x_type), at))
                acc = seed(red, v, place(note + place(fetch(table, 1))))
                for t in range(1, taps):
                    v = decode(codec, fetch(pointer(x_at + fetch(table, 2 * t) * item, x_type), at))
                    acc = combine(red, acc, seed(red, v, place(note + place(fetch(table, 2 * t + 1)))))
                if not first:
                    acc = combine(red, (fetch(best, i), fetch(noted, i)), acc)
                if last:
                    put(result, i, finish(red, acc, 1)[1])
                else:
                    put(chosen, i, acc[0])
                    put(kept, i, acc[1])
        return 0

    return find


def give_pass(g_type, acc_type, g_codec, place_type):
    """The pass that adds n gradients where windows chose, if that lies from low to below high, or these are equal."""

    def give(g_at, chosen_at, n, total_at, low, high, ahead, share):
        g, chosen, total = pointer(g_at, g_type), pointer(chosen_at, place_type), pointer(total_at, acc_type)
        for block in range(0, n, BLOCK):
            ask(ahead + block // BLOCK * share, share)
            for i in range(block, lesser(block + BLOCK, n)):
                if low >= high or low <= chosen[i] < high:
                    total[chosen[i]] = total[chosen[i]] + decode(g_codec, g[i])
        return 0

    return give
