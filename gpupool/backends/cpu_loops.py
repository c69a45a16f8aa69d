"""Where elements lie, the loops that lead from some to others, and how far ahead these ask for memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gpupool.kernels.cpu.passes import Record

# Strides that passes are compiled for: with constants, vector code picks the elements apart; else one by one.
STEPS = (1, 2, 3, 4, 5, 6, 7, 8)
WIDE_CHANNELS = 32  # channels from which on each column is a vector loop of its own
STRIP = 1024  # bytes of the input that a pass asks for at a time, `AHEAD` of itself


class Place(NamedTuple):
    """Where elements lie: bytes from x ("x"), y ("y") or the buffers, and the steps along each axis in bytes.

    Buffers hold accumulators ("b"), or results that are moved to y later ("staged").
    """

    base: str
    at: int
    item: int
    plane: int
    row: int
    col: int
    chan: int

    def moved(self, plane: int = 0, row: int = 0, col: int = 0) -> Place:
        """The place that begins so many entries further on."""
        return self._replace(at=self.at + plane * self.plane + row * self.row + col * self.col)

    def planed(self, rows: int) -> Place:
        """The place with planes of so many rows, end to end."""
        return self._replace(plane=rows * self.row)

    def scaled(self, row: int = 1, col: int = 1) -> Place:
        """Every so manieth row and column."""
        return self._replace(row=self.row * row, col=self.col * col)


class Extent(NamedTuple):
    """How many planes, rows, columns and channels."""

    planes: int
    rows: int
    cols: int
    chans: int

    @property
    def elements(self) -> int:
        """All of them."""
        return self.planes * self.rows * self.cols * self.chans


class Loop(NamedTuple):
    """One loop of a pass: entries, and the steps in source, target and counts in bytes."""

    n: int
    src: int
    dst: int
    counts: int


def nest(loops: Sequence[Loop]) -> list[Loop]:
    """The same loops with those joined that are one in memory, outermost first; at least one."""
    joined: list[Loop] = []
    for loop in loops:
        if loop.n == 1:
            continue
        if joined:
            o = joined[-1]
            if (o.src, o.dst, o.counts) == (loop.n * loop.src, loop.n * loop.dst, loop.n * loop.counts):
                joined[-1] = loop._replace(n=o.n * loop.n)
                continue
        joined.append(loop)
    return joined or [Loop(1, 0, 0, 0)]


def loops_of(src: Place | None, dst: Place, extent: Extent, per_col: int = 0, per_chan: int = 0) -> list[Loop]:
    """The loops that lead from src, if there is one, to dst, and the bytes from one's divisor to the next."""
    s = src or dst._replace(plane=0, row=0, col=0, chan=0)
    return nest((
        Loop(extent.planes, s.plane, dst.plane, 0),
        Loop(extent.rows, s.row, dst.row, 0),
        Loop(extent.cols, s.col, dst.col, per_col),
        Loop(extent.chans, s.chan, dst.chan, per_chan),
    ))  # fmt: skip


def few_channels(loops: list[Loop], src_item: int, dst_item: int, literal: bool) -> tuple[list[Loop], int]:
    """The long loop innermost, where its step is a constant; and how many neighbours its entries consist of."""
    *others, columns, last = loops
    if columns.src // src_item not in STEPS or not literal:
        return loops, 1
    if last.n in (3, 4) and (last.src, last.dst) == (src_item, dst_item):
        return [*others, columns], last.n
    return [*others, last, columns], 1


def distance(row: int, pitch: int, reach: int, ahead: int) -> tuple[int, int]:
    """How far ahead, and for how many bytes, a loop over a row asks; the next row is `pitch` further."""
    if 0 < pitch <= 2 * reach or 0 < pitch <= STRIP:
        return ahead, pitch
    return max(1, ahead // row) * pitch, row


def in_strips(record: Record, steps: Loop, cold: tuple[bool, bool], ahead: int) -> list[Record]:
    """The record of a pass over one long row, strip by strip, and what is left over."""
    n = max(1, STRIP // (steps.src if cold[0] else steps.dst))
    strips, rest = divmod(record.n, n)
    strip = Loop(n, n * steps.src, n * steps.dst, n * steps.counts)
    rows = record._replace(
        outer=record.middle, outer_src=record.middle_src, outer_dst=record.middle_dst,
        outer_counts=record.middle_counts, middle=strips, middle_src=strip.src, middle_dst=strip.dst,
        middle_counts=strip.counts, n=n, ahead=ahead, asked=strip.src if cold[0] else 0, ahead_dst=ahead,
        asked_dst=strip.dst if cold[1] else 0,
    )  # fmt: skip
    if rest == 0:
        return [rows]
    at = record.src + strips * strip.src, record.dst + strips * strip.dst, record.counts + strips * strip.counts
    return [rows, record._replace(n=rest, src=at[0], dst=at[1], counts=at[2])]


def asking(record: Record, steps: Loop, cold: tuple[bool, bool], ahead: int) -> list[Record]:
    """The record of a pass whose loops ask for memory ahead of time: that of the source, and of the target, or one.

    `steps` are those of the innermost loop.
    """
    row = record.n * (steps.src if cold[0] else steps.dst)
    if row <= 0 or not any(cold):
        return [record]
    if record.outer == 1 and row > 2 * STRIP:
        return in_strips(record, steps, cold, ahead)
    if cold[0]:
        pitch = record.middle_src if record.middle > 1 else record.outer_src if record.outer > 1 else row
        reach = row + (record.taps - 1) * record.tap * (steps.src // record.step)
        far, asked = distance(row, pitch, reach, ahead)
        record = record._replace(ahead=far, asked=asked)
    if cold[1]:
        row = record.n * steps.dst
        pitch = record.middle_dst if record.middle > 1 else record.outer_dst if record.outer > 1 else row
        far, asked = distance(row, pitch, row, ahead)
        record = record._replace(ahead_dst=far, asked_dst=asked)
    return [record]
