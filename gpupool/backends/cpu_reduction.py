"""Windows of more than four taps along one axis of a buffer: from shorter windows that share their work."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import gcd
from typing import Any, NamedTuple

from gpupool.kernels.reducers import picks

from .cpu_loops import WIDE_CHANNELS, Extent, Place
from .cpu_program import Program

# Taps of one pass over overlapping windows. Two passes (three taps, then two of those) make a 5x5 maximum of 20x20
# planes in 0.41 us a plane, one pass of five in 0.72 us; and few numbers of taps mean few kernels to compile.
TAPS = 4
# Of windows at a stride: those in between, which shorter windows that share their work would need, are not made. 5x5 s3
# maxima of 110x110 planes take 0.3 ns an element, 0.84 by way of 3x3.
MOST_TAPS = 8
Emit = Callable[..., Any]  # emit(source, taps, bytes between taps, first column, columns)


class Split(NamedTuple):
    """A window of many taps from shorter ones: `taps` windows of `size`, `apart`; then one of `rest` behind them."""

    taps: int
    size: int
    apart: int
    rest: int


@lru_cache(maxsize=1024)
def cost(k: int, shared: bool) -> tuple[int, Split | None]:
    """Loads and stores per output for windows of k taps, and how. `shared`: elements may be combined twice."""
    if k <= TAPS:
        return (0 if k == 1 else k + 1), None
    best: tuple[int, Split | None] = (10**9, None)
    for taps in range(2, TAPS + 1):
        size = k // taps
        rest = k - taps * size
        tail = cost(rest, shared)[0] + 3 if rest else 0
        best = min(best, (cost(size, shared)[0] + taps + 1 + tail, Split(taps, size, size, rest)))
        if shared and rest:
            size += 1
            while (k - size) % (taps - 1):
                size += 1
            apart = (k - size) // (taps - 1)
            if 0 < apart <= size < k:
                best = min(best, (cost(size, shared)[0] + taps + 1, Split(taps, size, apart, 0)))
    return best


class Step(NamedTuple):
    """One direction of a window in a buffer: outputs, taps, stride and dilation along "row" or "col"."""

    axis: str
    out: int
    k: int
    s: int
    d: int


def _moved(place: Place, axis: str, by: int) -> Place:
    return place.moved(row=by) if axis == "row" else place.moved(col=by)


def _scaled(place: Place, axis: str, by: int) -> Place:
    return place.scaled(row=by) if axis == "row" else place.scaled(col=by)


def _pitch(place: Place, axis: str) -> int:
    return place.row if axis == "row" else place.col


class Reduction:
    """Combines taps along one axis of a buffer, in stages that end at `emit(source, taps, bytes between them)`."""

    def __init__(self, program: Program, whole: Extent) -> None:
        self.program, self.whole = program, whole  # whole: what the source's buffer holds
        self.shared = picks(program.types.red)

    def run(self, src: Place, step: Step, emit: Emit) -> None:
        """All stages; `emit` makes the outputs from the last."""
        axis, out, k, s, d = step
        factor = common_factor(k, s) if d == 1 else 1
        apart = k <= s and d == 1 and (axis == "row" or self.whole.chans >= WIDE_CHANNELS)
        if k <= TAPS or (factor == 1 < s and k <= MOST_TAPS):
            emit(_scaled(src, axis, s), k, d * _pitch(src, axis))
        elif apart and k > MOST_TAPS * factor:
            self._apart(src, step, emit)
        elif factor > 1:  # windows that share no taps shrink the axis itself
            n = (out - 1) * (s // factor) + k // factor
            small = self.whole._replace(**{_field(axis): n})
            to = self.program.buffer(small)
            self.program.combine(_scaled(src, axis, factor), to, self._few(axis, n), factor, _pitch(src, axis))
            Reduction(self.program, small).run(to, Step(axis, out, k // factor, s // factor, 1), emit)
            self.program.release(to, small)
        else:
            positions = (out - 1) * s + 1
            self._last(src, axis, positions, k, d, lambda p, taps, tap: emit(_scaled(p, axis, s), taps, tap))

    def _apart(self, src: Place, step: Step, emit: Emit) -> None:
        """Windows of many taps that share none, where lanes are neighbours anyway: a few taps of all windows at a time.

        The parts' results follow each other, all windows' first ones, then their second ones.
        """
        axis, out, k, s, _ = step
        parts = -(-k // MOST_TAPS)
        whole = self._few(axis, out * parts)
        to, first = self.program.buffer(whole), 0
        for part in range(parts):
            taps = k // parts + (part < k % parts)
            x = _scaled(_moved(src, axis, first), axis, s)
            self.program.combine(x, _moved(to, axis, part * out), self._few(axis, out), taps, _pitch(src, axis))
            first += taps
        tap = out * _pitch(to, axis)
        if parts <= MOST_TAPS:
            emit(to, parts, tap)
        else:
            Reduction(self.program, whole)._last(to, axis, out, parts, out, emit)
        self.program.release(to, whole)

    def _few(self, axis: str, n: int) -> Extent:
        return self.whole._replace(**{_field(axis): n})

    def _last(self, src: Place, axis: str, n: int, k: int, d: int, emit: Emit) -> None:
        """The window of k taps at n positions, its last combination left to `emit`."""
        split = cost(k, self.shared)[1]
        pitch = d * _pitch(src, axis)
        if split is None:
            emit(src, k, pitch)
            return
        taps, size, apart, rest = split
        if rest == 0:
            part = self._windows(src, axis, n + (taps - 1) * apart * d, size, d)
            emit(part, taps, apart * pitch)
        else:
            head = self._windows(src, axis, n, k - rest, d, split._replace(rest=0))
            tail = self._windows(src, axis, n + (k - rest) * d, rest, d)
            emit(head, 2, _moved(tail, axis, (k - rest) * d).at - head.at)
            self._done(tail, src)
            part = head
        self._done(part, src)

    def _done(self, place: Place, src: Place) -> None:
        if place.at != src.at:
            self.program.release(place, self.whole)

    def _windows(self, src: Place, axis: str, n: int, k: int, d: int, split: Split | None = None) -> Place:
        """Windows of k taps at n positions, in a buffer laid out as the source's."""
        if k == 1:
            return src
        to = self.program.buffer(self.whole)
        found = split or cost(k, self.shared)[1]
        if found is None:
            self._flat(src, to, axis, n, k, d * _pitch(src, axis))
        elif found.rest == 0:
            part = self._windows(src, axis, n + (found.taps - 1) * found.apart * d, found.size, d)
            self._flat(part, to, axis, n, found.taps, found.apart * d * _pitch(src, axis))
            self._done(part, src)
        else:
            self._last(src, axis, n, k, d, lambda p, taps, tap: self._flat(p, to, axis, n, taps, tap))
        return to

    def _flat(self, src: Place, to: Place, axis: str, n: int, taps: int, tap: int) -> None:
        """One combination at n positions, through the ends of rows where that makes one long loop."""
        w = self.whole
        if axis == "row":
            self.program.combine(src, to, w._replace(rows=n), taps, tap)
            return
        flat = (w.planes * w.rows - 1) * w.cols + n
        self.program.combine(src, to, Extent(1, 1, flat, w.chans), taps, tap)


def _field(axis: str) -> str:
    return "rows" if axis == "row" else "cols"


def common_factor(k: int, s: int) -> int:
    """The largest number up to eight that divides window and stride, 1 if there is none."""
    common = gcd(k, s)
    return next((f for f in range(MOST_TAPS, 1, -1) if common % f == 0), 1)
