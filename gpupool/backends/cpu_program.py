"""Writes programs for the CPU: passes over planes, rows, columns and channels, with the buffers between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from gpupool.kernels.cpu.blockwise import Blockwise, blockwise_function
from gpupool.kernels.cpu.folding import ROOM, Folding, folding_function
from gpupool.kernels.cpu.listed import LANES, LONG, listed_function
from gpupool.kernels.cpu.memory import AHEAD, LINE
from gpupool.kernels.cpu.passes import (
    ALL,
    EACH,
    MOST_TAPS,
    NONE,
    RECORD,
    Kind,
    Record,
    Types,
    fill_function,
    pass_function,
    stream_function,
    zero_function,
)
from gpupool.kernels.cpu.program import HEAD, Head
from gpupool.kernels.cpu.rolling import Rolling, rolling_function

from .cpu_loops import STEPS, WIDE_CHANNELS, Extent, Loop, Place, asking, few_channels, loops_of

PUTS = (1, 3, 4)  # steps that passes are compiled for in what they write: lines, and interleaved colours
COUNTS = (1, 2, 4, 8, 16)  # divisors that passes are compiled for: dividing by them is multiplying
FEW = 8  # a loop shorter than this is not a vector loop
ALIGNMENT = 64
CHUNK = 16  # lanes, and multiples of them, that windows of many lines are worked on at a time
ENDS_BYTES = 16 << 10  # of what they keep: half of the first-level cache


def aligned(size: int) -> int:
    """As many bytes, or a few more, that what lies behind begins with a cache line."""
    return -(-size // ALIGNMENT) * ALIGNMENT


class Program:
    """The passes of one kind of unit, in order, and the buffers that they use."""

    def __init__(self, types: Types, ahead: int = AHEAD, known: dict[tuple, int] | None = None) -> None:
        self.types, self.ahead = types, ahead
        self._lists: dict[tuple, tuple[int, ...]] = {}
        self._known = {} if known is None else known  # passes that were asked for: to find one takes 0.1 ms
        self.ops: list[tuple[int, Record | Rolling | Blockwise | Folding]] = []
        self.counts: dict[int, tuple[int, ...]] = {}  # op -> the divisors that it reads
        self.bytes = 0
        self._free: list[tuple[int, int]] = []

    def buffer(self, extent: Extent, base: str = "b") -> Place:
        """Room for this many accumulators or staged results, channels innermost; an old one where one fits."""
        item = (self.types.acc if base == "b" else self.types.y).itemsize
        row = extent.cols * extent.chans * item
        at = self._take(aligned(extent.planes * extent.rows * row))
        return Place(base, at, item, extent.rows * row, row, extent.chans * item, item)

    def _take(self, size: int) -> int:
        for i, (at, free) in enumerate(self._free):
            if free == size:
                del self._free[i]
                return at
        self.bytes += size
        return self.bytes - size

    def release(self, place: Place, extent: Extent) -> None:
        """Nobody will read this buffer any more."""
        self._free.append((place.at, aligned(extent.elements * place.item)))

    def combine(
        self, src: Place, dst: Place, extent: Extent, taps: int = 1, tap: int = 0, count: int = 1,
        counts: tuple[int, ...] | None = None, onto: bool = False,
    ) -> None:  # fmt: skip
        """dst = `taps` elements of src, `tap` bytes apart, combined; with dst's old value where `onto` says so.

        `counts` gives a divisor for each column.
        """
        counted = NONE if counts is None else ALL if extent.chans >= WIDE_CHANNELS else EACH
        per_chan = 4 if counted == EACH else 0
        loops = loops_of(src, dst, extent, per_chan * extent.chans if per_chan else 4 if counted else 0, per_chan)
        colours, between = 1, tap // src.item
        if onto and len(loops) > 1 and loops[-1].n < FEW < loops[-2].n:
            loops = [*loops[:-2], loops[-1], loops[-2]]
        if len(loops) > 1 and counts is None and loops[-1].n < FEW < loops[-2].n:
            loops, colours = few_channels(loops, src.item, dst.item, taps == 1 or between in PUTS)
        inner = loops[-1]
        step, to = inner.src // src.item, inner.dst // dst.item
        constant = step if step in STEPS else 0
        literal_tap = between if constant > 1 and taps > 1 and between in PUTS else 0
        kind = Kind(
            src.base == "x", dst.base != "b", taps if constant else 0, constant, literal_tap, to if to in PUTS else 0,
            colours, count if counts is None and count in COUNTS else 0, counted, onto,
        )  # fmt: skip
        function, staged = self._pass(pass_function, kind), int(dst.base == "staged")
        known = {"step": step, "put": to, "tap": between, "taps": taps, "divisor": count, "staged": staged}
        cold = src.base == "x" and constant > 0, dst.base == "y" and constant > 0
        for whole in self._records(loops, src, dst, **known):
            for record in asking(whole, inner, cold, self.ahead):
                if counts is not None:
                    self.counts[len(self.ops)] = self._per_lane(counts, extent.chans) if per_chan else counts
                self.ops.append((function, record))

    def _per_lane(self, counts: tuple[int, ...], chans: int) -> tuple[int, ...]:
        """A column's number for each of its channels."""
        if (counts, chans) not in self._lists:
            self._lists[counts, chans] = tuple(c for c in counts for _ in range(chans))
        return self._lists[counts, chans]

    def _pass(self, make: Callable[..., int], *about: Any) -> int:
        """The address of a pass, which all programs of a call share."""
        key = (make, *about)
        if key not in self._known:
            self._known[key] = make(self.types, *about)
        return self._known[key]

    def reduce_listed(self, src: Place, dst: Place, extent: Extent, windows: Sequence[tuple[int, int]]) -> None:
        """dst = columns of src combined, as many as each of these half-open ranges has. No finished results."""
        reads = src.base == "x"
        starts, lengths = zip(*((start, stop - start) for start, stop in windows), strict=True)
        flat, most = extent.chans == 1, max(lengths)
        few = most if flat and most <= MOST_TAPS else 0
        dense = not few and (src.col if flat else src.chan) == src.item
        function = self._pass(listed_function, few, flat, dense, reads)
        lanes = aligned(LANES * self.types.acc.itemsize) if flat and most >= LONG else 0
        room = self._take(lanes)
        row = src.row if 0 < src.row <= AHEAD else 0
        record = Record(
            1, 0, 0, 0, extent.rows, src.row, dst.row, 0, extent.cols, src.col // src.item, dst.col // dst.item,
            src.chan // src.item, extent.chans, src.at, dst.at, room, ahead=self.ahead, asked=row if reads else 0,
        )  # fmt: skip
        if lanes:
            self._free.append((room, lanes))
        self.counts[len(self.ops)] = (*starts, *lengths)
        self.ops.append((function, record))

    def roll(
        self, src: Place, dst: Place, extent: Extent, taps: tuple[int, int], lines: tuple[int, int, int], count: int,
        counts: tuple[int, ...], ends: tuple[Place, int, int] | None = None,
    ) -> None:  # fmt: skip
        """dst = windows of src that share lines, row by row: see `rolling`. Columns and channels are one line's lanes.

        `taps` are their number and the bytes between them; `lines` those of a window, and which of all are real:
        the half-open range. `counts` gives a divisor for each row. With `ends`, staged results of columns on the left
        and on the right of these, and how many bytes those are, whole rows go past the caches.
        """
        lanes, past = extent.cols * extent.chans, 0
        strip, left, right = ends or (Place("staged", 0, 0, 0, 0, 0, 0), 0, 0)
        # A row that fills no line, and begins within one, waits whole for the next: less than two lines.
        pitch, stage = aligned(lanes * self.types.acc.itemsize), aligned(left + lanes * dst.item + right + 2 * LINE)
        if ends:
            past = 2 if left + lanes * dst.item + right == dst.row else 1
        ring = self._take(lines[0] * pitch + stage)
        record = Rolling(
            extent.rows, src.row, dst.row, lanes, taps[1] // src.item, src.at, dst.at, lines[1], lines[2], count, 0,
            ring, pitch, ring + lines[0] * pitch, past, strip.at, strip.row, left, right,
            -(-self.ahead // (lanes * src.item)),
        )  # fmt: skip
        self.counts[len(self.ops)] = counts
        self.ops.append((self._pass(rolling_function, taps[0], lines[0]), record))
        self._free.append((ring, lines[0] * pitch + stage))

    def blocks(self, src: Place, dst: Place, extent: Extent, lines: tuple[int, int, int]) -> None:
        """dst = accumulators of windows of many lines, at stride 1, of one plane: see `blockwise`.

        `lines` are those of a window, and which of all are real: the half-open range.
        """
        lanes, item = extent.cols * extent.chans, self.types.acc.itemsize
        chunk = min(lanes, max(CHUNK, ENDS_BYTES // (item * lines[0]) // CHUNK * CHUNK))
        size = aligned((lines[0] + 2) * chunk * item)
        ends = self._take(size)
        record = Blockwise(
            extent.rows, src.row, dst.row, lines[1], lines[2], lines[0], lanes, chunk, src.at, dst.at, ends
        )
        self.ops.append((self._pass(blockwise_function, src.base == "x"), record))
        self._free.append((ends, size))

    def fold(self, src: Place, dst: Place, planes: int, blocks: int, taps: int) -> None:
        """dst = an accumulator for each chain of the blocks of x, whose planes have no gaps: see `folding`."""
        size = aligned(ROOM * self.types.acc.itemsize)
        room = self._take(size)
        record = Folding(planes, src.plane, dst.plane, blocks, src.at, dst.at, room, self.ahead)
        self.ops.append((self._pass(folding_function, taps), record))
        self._free.append((room, size))

    def _records(self, loops: list[Loop], src: Place | None, dst: Place, **known: int) -> Iterator[Record]:
        """What a pass along these loops is told, as often as it must be told of more than three of them."""
        start = src.at if src else 0
        for skip, (outer, middle) in self._outer_loops(loops[:-1]):
            record = Record(*outer, *middle, loops[-1].n, src=start + skip.src, dst=dst.at + skip.dst)
            yield record._replace(counts=skip.counts, **known)

    def _outer_loops(self, loops: list[Loop]) -> Iterator[tuple[Loop, tuple[Loop, Loop]]]:
        """Two loops at a time; what is further out is unrolled."""
        one = Loop(1, 0, 0, 0)
        if len(loops) <= 2:
            outer, middle = [one, one, *loops][-2:]
            yield one, (outer, middle)
            return
        first = loops[0]
        for i in range(first.n):
            for skip, pair in self._outer_loops(loops[1:]):
                yield Loop(1, skip.src + i * first.src, skip.dst + i * first.dst, skip.counts + i * first.counts), pair

    def fill(self, dst: Place, extent: Extent) -> None:
        """Neutral accumulators."""
        if extent.elements == 0:
            return
        function, loops = fill_function(self.types), loops_of(None, dst, extent)
        records = self._records(loops, None, dst, put=loops[-1].dst // dst.item)
        self.ops += [(function, record) for record in records]

    def stream(self, src: Place, dst: Place, extent: Extent) -> None:
        """dst = staged results, past the caches."""
        *others, inner = loops_of(src, dst, extent)
        records = self._records([*others, inner._replace(n=inner.n * dst.item)], src, dst)
        self.ops += [(stream_function(), record) for record in records]

    def first_zeros(self, src: Place, dst: Place, planes: int, rows: Loop, cols: Loop) -> None:
        """Zeros among the results of whole planes become the first zeros of these rows and columns of theirs."""
        loops = planes, src.plane, dst.plane, 0, rows.n, rows.src, 0, 0, cols.n
        record = Record(*loops, step=cols.src // src.item, src=src.at, dst=dst.at)
        self.ops.append((zero_function(self.types), record))


class Units(NamedTuple):
    """How a call is cut: entries, steps in bytes and the kind of each entry, per axis."""

    outer: int
    groups: int
    steps: tuple[int, ...]  # (x, y) of outer, group, depth, band, tile
    depth: np.ndarray
    band: np.ndarray
    tile: np.ndarray


def pack_units(units: Units, programs: dict[tuple[int, int, int, int], Program], prologue: Program) -> np.ndarray:
    """One array of integers: the head, the kinds, the table of programs, the passes, the divisors."""
    kinds = [int(k.max()) + 1 for k in (units.depth, units.band, units.tile)]
    table_at = HEAD + len(units.depth) + len(units.band) + len(units.tile)
    entries = 1 + 2 * kinds[0] * kinds[1] * kinds[2]
    body: list[int] = []
    counts: list[tuple[int, int, tuple[int, ...]]] = []
    table = np.zeros((entries, 2), np.int64)
    start, known = table_at + 2 * entries, dict[int, tuple[int, int]]()
    for key, program in [((0, 0, 0, -1), prologue), *programs.items()]:
        index = ((key[0] * kinds[0] + key[1]) * kinds[1] + key[2]) * kinds[2] + key[3]
        if id(program) in known:
            table[index + 1] = known[id(program)]
            continue
        known[id(program)] = table[index + 1] = start + len(body), len(program.ops)
        for i, (function, record) in enumerate(program.ops):
            if i in program.counts:
                counts.append((len(body) + 1, record._fields.index("counts"), program.counts[i]))
            body += (function, *record, *(0,) * (RECORD - len(record)))
    size = max([p.bytes for p in programs.values()], default=0)
    head = Head._make((
        size, units.groups, len(units.depth), len(units.band), len(units.tile), *units.steps, *kinds,
        HEAD, HEAD + len(units.depth), HEAD + len(units.depth) + len(units.band), table_at,
    ))  # fmt: skip
    tail = _append_counts(body, counts)
    return np.concatenate([head, units.depth, units.band, units.tile, table.ravel(), body, tail]).astype(np.int64)


def _append_counts(body: list[int], counts: list[tuple[int, int, tuple[int, ...]]]) -> np.ndarray:
    """Divisors as int32 behind the passes, each list once; the records, which begin `at`, are told where."""
    where: dict[tuple[int, ...], int] = {}
    numbers: list[int] = []
    for at, field, values in counts:
        if values not in where:
            where[values] = len(body) + len(numbers) // 2
            numbers += (*values, *((0,) * (len(values) % 2)))
        body[at + field] += 8 * (where[values] - at)
    return np.array(numbers, np.int32).view(np.int64)
