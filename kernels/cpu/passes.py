"""Passes: the vector loops of the CPU engines, and the only part of them that knows element types and operators.

A pass combines k elements that lie one tap apart into each element of its output, along up to three nested loops. It
reads elements of the input or accumulators of a buffer, and writes accumulators or finished results: loading, reducing
across, down and in depth, and storing are all this one loop with other constants. Each set of constants is compiled
when a program first needs it, to a C function of addresses (0.2 s; the disk cache keeps it), which `program` calls.

No pass works in place: a select that stores back what it loaded costs 0.49 ns an element instead of 0.075.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..codecs import Plain
from ..point import combine, decode, encode, finish, seed
from ..reducers import dear
from .jit import c_function, called, fetch, fetch_alone, pointer, put, unpacked
from .memory import ask, full_width, write_past
from .raising import pasted

MOST_TAPS = 8  # of one pass
LANES = 8  # of a vector of powers
INT32 = np.dtype(np.int32)


class Kept(NamedTuple):
    """Stands for the reducer where accumulators are read or written as they are."""

    @staticmethod
    def seed(red, v, at):
        return v

    @staticmethod
    def finish(red, acc, count):
        return acc


PLAIN, KEPT = Plain(), Kept()


class Record(NamedTuple):
    """What one execution of a pass is told; steps and offsets in bytes unless they say elements."""

    outer: int  # entries of the outermost loop, and its steps in the source, the target and the counts
    outer_src: int
    outer_dst: int
    outer_counts: int
    middle: int
    middle_src: int
    middle_dst: int
    middle_counts: int
    n: int  # entries of the innermost loop
    step: int = 0  # its steps in elements, where the pass has no constant for them
    put: int = 0
    tap: int = 0
    taps: int = 1
    src: int = 0  # where the first elements lie
    dst: int = 0
    divisor: int = 1  # of an average; with counts, what they are multiplied with
    counts: int = 0  # from this record to the divisors of the innermost loop, int32
    ahead: int = 0  # how far ahead of itself each innermost loop asks for the input, in bytes, and for how many
    asked: int = 0
    ahead_dst: int = 0  # the same for the output, which is else read when the first store gets there
    asked_dst: int = 0
    staged: int = 0  # whether results go to a buffer first (see `stream_function`)


RECORD = len(Record._fields)


NONE, EACH, ALL = range(3)


class Kind(NamedTuple):
    """The constants of a pass."""

    loads: bool  # reads the input, rather than accumulators
    stores: bool  # writes results, rather than accumulators
    taps: int  # 0: the record's
    step: int  # elements between two of the innermost loop; 0: the record's
    tap: int  # elements between two taps; 0: the record's
    put: int  # elements between two of the innermost loop in the target; 0: the record's
    chans: int  # neighbours that each entry of the innermost loop consists of
    divisor: int  # of an average; 0: the record's
    counted: int  # divisors: the record's (NONE), or further ones: one for EACH entry of the innermost loop, or for ALL
    onto: bool  # combines its one tap with the accumulator that is there


class Types(NamedTuple):
    """One combination of element types and operator; `Kept` where x or y are accumulators themselves."""

    x: np.dtype
    y: np.dtype
    acc: np.dtype
    x_codec: Any
    y_codec: Any
    red: Any
    seeder: Any
    finisher: Any


def pass_function(types: Types, kind: Kind) -> int:
    """The address of the C function (record, x, y, buffers) for these constants."""
    src_type, dst_type = types.x if kind.loads else types.acc, types.y if kind.stores else types.acc
    seeder, finisher = types.seeder if kind.loads else KEPT, types.finisher if kind.stores else KEPT
    plain, stored = types.x_codec if kind.loads else PLAIN, types.y_codec if kind.stores else PLAIN
    make = constant_pass if kind.taps > 0 else any_pass
    return c_function(make(kind, (src_type, plain, seeder), (dst_type, stored, finisher), types.red))


def any_pass(kind: Kind, source: tuple, target: tuple, red: Any) -> Any:
    """Any number of taps at any steps, one element at a time."""
    loads, stores, counted, onto = kind.loads, kind.stores, kind.counted, kind.onto
    (src_type, codec, seeder), (dst_type, stored, finisher) = source, target

    def run_any(record, x, y, buffers):
        told = unpacked(record, Record)
        read = (x if loads else buffers) + told.src
        write = (y if stores and told.staged == 0 else buffers) + told.dst
        step, to, tap = told.step, told.put, told.tap
        for r in range(told.outer):
            for q in range(told.middle):
                src = pointer(read + r * told.outer_src + q * told.middle_src, src_type)
                dst = pointer(write + r * told.outer_dst + q * told.middle_dst, dst_type)
                counts = pointer(record + told.counts + r * told.outer_counts + q * told.middle_counts, INT32)
                for i in range(told.n):
                    v = seed(seeder, decode(codec, fetch_alone(src, i * step)), 0)
                    if onto:
                        v = combine(red, dst[i * to], v)
                    for j in range(1, told.taps):
                        v = combine(red, v, seed(seeder, decode(codec, fetch_alone(src, i * step + j * tap)), 0))
                    divisor = told.divisor * fetch(counts, i if counted == EACH else 0) if counted else told.divisor
                    put(dst, i * to, encode(stored, finish(finisher, v, divisor)))
        return 0

    return run_any


@pasted
def further_taps(codec, seeder, red, src, at, tap, k, v):
    """v, the first of up to eight taps, combined with the others; k is a constant where this is called."""
    if k > 1:
        v = combine(red, v, seed(seeder, decode(codec, fetch(src, at + tap)), 0))
    if k > 2:
        v = combine(red, v, seed(seeder, decode(codec, fetch(src, at + 2 * tap)), 0))
    if k > 3:
        v = combine(red, v, seed(seeder, decode(codec, fetch(src, at + 3 * tap)), 0))
    if k > 4:
        v = combine(red, v, seed(seeder, decode(codec, fetch(src, at + 4 * tap)), 0))
    if k > 5:
        v = combine(red, v, seed(seeder, decode(codec, fetch(src, at + 5 * tap)), 0))
    if k > 6:
        v = combine(red, v, seed(seeder, decode(codec, fetch(src, at + 6 * tap)), 0))
    if k > 7:
        v = combine(red, v, seed(seeder, decode(codec, fetch(src, at + 7 * tap)), 0))
    return v


@called
def stretch(n, twice, part):
    """The entries of a loop from one to the other: all, or (`twice`) whole vectors, and then the last one up to n.

    Element by element, the few that are left of 111 powers take as long as the others together.
    """
    if not twice or n < LANES:
        return np.int64(0), n if part == 0 else np.int64(0)
    return (np.int64(0), n // LANES * LANES) if part == 0 else (n - LANES, n if n % LANES else n - LANES)


def constant_pass(kind: Kind, source: tuple, target: tuple, red: Any) -> Any:
    """A given number of taps, in full vectors."""
    loads, stores, k, s, t, d, chans, fixed, counted, onto = kind
    (src_type, codec, seeder), (dst_type, stored, finisher) = source, target
    twice = dear(red) and not onto
    parts = 2 if twice else 1

    def run_pass(record, x, y, buffers):
        full_width()
        told = unpacked(record, Record)
        read = (x if loads else buffers) + told.src
        write = (y if stores and told.staged == 0 else buffers) + told.dst
        n, count = told.n, fixed if fixed > 0 else told.divisor
        tap, to = t if t > 0 else told.tap, d if d > 0 else told.put
        for r in range(told.outer):
            for turn in range(told.middle * parts):
                q = turn // parts
                low, high = stretch(n, twice, turn % parts)
                src = pointer(read + r * told.outer_src + q * told.middle_src, src_type)
                dst = pointer(write + r * told.outer_dst + q * told.middle_dst, dst_type)
                counts = pointer(record + told.counts + r * told.outer_counts + q * told.middle_counts, INT32)
                if loads:
                    ask(read + r * told.outer_src + q * told.middle_src + told.ahead, told.asked)
                if stores:
                    ask(write + r * told.outer_dst + q * told.middle_dst + told.ahead_dst, told.asked_dst)
                shared = count * fetch(counts, 0) if counted == ALL else count
                for i in range(low, high):
                    for c in range(chans):
                        at = i * s + c
                        v = seed(seeder, decode(codec, fetch(src, at)), 0)
                        if onto:
                            v = combine(red, dst[i * to + c], v)
                        v = further_taps(codec, seeder, red, src, at, tap, k, v)
                        divisor = shared * fetch(counts, i) if counted == EACH else shared
                        put(dst, i * to + c, encode(stored, finish(finisher, v, divisor)))
        return 0

    return run_pass


def fill_function(types: Types) -> int:
    """The address of the pass that fills accumulators with one that changes no other: for padding."""
    acc_type, neutral = types.acc, types.red.neutral(types.acc)

    def run_fill(record, x, y, buffers):
        told = unpacked(record, Record)
        n, to = told.n, told.put
        for r in range(told.outer):
            for q in range(told.middle):
                dst = pointer(buffers + told.dst + r * told.outer_dst + q * told.middle_dst, acc_type)
                for i in range(n):
                    put(dst, i * to, neutral)
        return 0

    return c_function(run_fill)


def zero_function(types: Types) -> int:
    """The address of the pass that puts the first zero of each plane in the place of a zero result.

    Lanes mix up the order in which 0.0 and -0.0 come; of equal elements the first one is the result. Outermost are the
    planes, then their rows, and the elements of a row.
    """
    x_type, y_type, codec, out = types.x, types.y, types.x_codec, types.y_codec
    seeder, finisher = types.seeder, types.finisher

    def run_zero(record, x, y, buffers):
        told = unpacked(record, Record)
        for r in range(told.outer):
            dst = pointer(y + told.dst + r * told.outer_dst, y_type)
            if decode(out, dst[0]) == 0:
                found = False
                for q in range(told.middle):
                    src = pointer(x + told.src + r * told.outer_src + q * told.middle_src, x_type)
                    for i in range(told.n):
                        v = decode(codec, src[i * told.step])
                        if not found and v == 0:
                            dst[0] = encode(out, finish(finisher, seed(seeder, v, 0), 1))
                            found = True
                            break
                    if found:
                        break
        return 0

    return c_function(run_zero)


def stream_function() -> int:
    """The address of the pass that moves finished results from a buffer to the output, past the caches.

    n counts bytes. Lines that belong to the output only in part are written as usual.
    """

    def run_stream(record, x, y, buffers):
        told = unpacked(record, Record)
        for r in range(told.outer):
            for q in range(told.middle):
                src = buffers + told.src + r * told.outer_src + q * told.middle_src
                write_past(src, y + told.dst + r * told.outer_dst + q * told.middle_dst, told.n)
        return 0

    return c_function(run_stream)
