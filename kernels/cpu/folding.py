"""Folding: planes without gaps, in the order of memory, in one loop from the input to an accumulator for each chain.

A block is LANES lanes of up to eight elements. They are combined in registers, WIDTH lanes at a time, and at once with
the lanes before them, up to CHAIN of these rows to a chain. That is all that is stored: no buffers but a chain's, and
no other loops, come between the input's lines, so the processor always waits for the next ones. One thread, memory
cold: means of float32 at 15.5 to 17.2 GB/s, as a loop that only adds what it reads; by passes through buffers at 12.
"""

from __future__ import annotations

from typing import NamedTuple

from ..point import combine, decode, seed
from ..window import lesser
from .jit import c_function, called, fetch, fetch0, pointer, put, put0, unpacked
from .memory import ask, full_width
from .passes import MOST_TAPS, Types, further_taps

LANES = MOST_TAPS * MOST_TAPS
WIDTH = 32  # with 16, LLVM unrolls the loops of cheap operators before it makes vectors of them
ROWS = LANES // WIDTH  # of a block
CHAIN = 2 * ROWS  # rows: passes over many channels keep a chain's for each, 0.5 MB of 512 channels
ROOM = (1 + CHAIN) * WIDTH  # a neutral row, and one for what each row leaves, with those before it


class Folding(NamedTuple):
    """What one execution is told; steps and offsets in bytes."""

    planes: int
    src_plane: int
    dst_plane: int
    blocks: int  # of a plane, one after the other
    src: int
    dst: int  # an accumulator for each chain
    room: int  # for ROOM accumulators
    ahead: int  # how far ahead of itself a block asks for the input


@called
def across(red, room, at):
    """Every eighth accumulator of a row combined."""
    v = combine(red, fetch0(room, at), fetch0(room, at + MOST_TAPS))
    v = combine(red, v, fetch0(room, at + 2 * MOST_TAPS))
    return combine(red, v, fetch0(room, at + 3 * MOST_TAPS))


def folding_function(types: Types, taps: int) -> int:
    """The address of the C function (record, x, y, buffers) for blocks of LANES * `taps` elements."""
    x_type, acc_type, codec, seeder, red = types.x, types.acc, types.x_codec, types.seeder, types.red
    x_item, neutral = x_type.itemsize, red.neutral(acc_type)
    row = WIDTH * taps * x_item  # bytes

    def fold(record, x, y, buffers):
        full_width()
        told = unpacked(record, Folding)
        room = pointer(buffers + told.room, acc_type)
        for i in range(WIDTH):
            put0(room, i, neutral)
        for plane in range(told.planes):
            dst = pointer(buffers + told.dst + plane * told.dst_plane, acc_type)
            for first in range(0, told.blocks * ROWS, CHAIN):
                n = lesser(CHAIN, told.blocks * ROWS - first)
                at = x + told.src + plane * told.src_plane + first * row
                for r in range(n):
                    src = pointer(at + r // ROWS * (ROWS * row) + r % ROWS * (WIDTH * x_item), x_type)
                    ask(at + r * row + told.ahead, row)
                    for i in range(WIDTH):
                        v = seed(seeder, decode(codec, fetch(src, i)), 0)
                        v = further_taps(codec, seeder, red, src, i, LANES, taps, v)
                        put0(room, (r + 1) * WIDTH + i, combine(red, fetch0(room, r * WIDTH + i), v))
                v = across(red, room, n * WIDTH)
                for i in range(1, MOST_TAPS):
                    v = combine(red, v, across(red, room, n * WIDTH + i))
                put(dst, first // CHAIN, v)
        return 0

    return c_function(fold)
