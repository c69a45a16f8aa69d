"""Windows of many lines at stride 1 for the cost of few, whatever their number: from blocks of as many lines.

Each window ends in the block behind the one in which it begins: it is the end of one block and the beginning of the
next. Ends are combined backwards and kept, beginnings forwards on the way (van Herk, Gil and Werman). That takes three
combinations an element, takes nothing back, and combines each window's own elements only: a NaN stays where it is.
Blocks begin with every so manieth row of results, however these are cut into bands.
"""

from __future__ import annotations

from typing import NamedTuple

from ..point import combine, decode, seed
from ..window import lesser
from .jit import c_function, fetch, pointer, put0, put1, unpacked
from .memory import full_width
from .passes import KEPT, PLAIN, Types


class Blockwise(NamedTuple):
    """What one execution is told; steps and offsets in bytes."""

    rows: int  # of results
    src_row: int
    dst_row: int
    lo: int  # lines lo .. hi - 1 of the source, counted from the first window's first, are real
    hi: int
    lines: int  # of a window
    lanes: int  # of a line
    chunk: int  # that are worked on at a time
    src: int
    dst: int
    ends: int  # room for `lines` + 2 chunks of accumulators


def blockwise_function(types: Types, loads: bool) -> int:
    """The address of the C function (record, x, y, buffers) that reads the input, or a buffer, and writes a buffer."""
    acc_type, red = types.acc, types.red
    src_type, codec, seeder = (types.x, types.x_codec, types.seeder) if loads else (acc_type, PLAIN, KEPT)
    item, src_item, neutral = acc_type.itemsize, src_type.itemsize, red.neutral(acc_type)

    def run_blocks(record, x, y, buffers):
        full_width()
        told = unpacked(record, Blockwise)
        k, step, ends = told.lines, told.chunk * item, buffers + told.ends
        begun = pointer(ends + (k + 1) * step, acc_type)
        for lane in range(0, told.lanes, told.chunk):
            n = lesser(told.chunk, told.lanes - lane)
            src_at = (x if loads else buffers) + told.src + lane * src_item
            dst_at = buffers + told.dst + lane * item
            for first in range(0, told.rows, k):
                after = pointer(ends + k * step, acc_type)
                for i in range(n):
                    put0(after, i, neutral)
                for i in range(n):
                    put0(begun, i, neutral)
                for j in range(k - 1, -1, -1):
                    src = pointer(src_at + (first + j) * told.src_row, src_type)
                    end, after = pointer(ends + j * step, acc_type), pointer(ends + (j + 1) * step, acc_type)
                    real = told.lo <= first + j < told.hi
                    for i in range(n if real else 0):
                        put0(end, i, combine(red, seed(seeder, decode(codec, fetch(src, i)), 0), after[i]))
                    for i in range(0 if real else n):
                        put0(end, i, after[i])
                for j in range(lesser(k, told.rows - first)):
                    line = first + k + j - 1
                    src, end = pointer(src_at + line * told.src_row, src_type), pointer(ends + j * step, acc_type)
                    dst = pointer(dst_at + (first + j) * told.dst_row, acc_type)
                    real = j > 0 and told.lo <= line < told.hi
                    for i in range(n if real else 0):
                        v = combine(red, begun[i], seed(seeder, decode(codec, fetch(src, i)), 0))
                        put0(begun, i, v)
                        put1(dst, i, combine(red, end[i], v))
                    for i in range(0 if real else n):
                        put1(dst, i, combine(red, end[i], begun[i]))
        return 0

    return c_function(run_blocks)
