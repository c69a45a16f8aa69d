"""Into how many bands of rows planes are cut where there are fewer planes than threads."""

from __future__ import annotations

import math

import numpy as np

from gpupool.kernels.cpu.frame import FRAME, Frame
from gpupool.kernels.cpu.scatter import is_deep
from gpupool.threads import PIECES_PER_THREAD, get_num_threads

ELEMENT = 0.2  # of the time that a window takes whose element is known: an element of the result
NEAR = 1.1  # times the least work of a thread: then more bands are better, for threads that are held up


class Bands:
    """The bands of a plane's rows, or of a volume's slabs. Each goes through all windows that reach it.

    Where what they choose is found on the way (`finds`), its own elements are little beside that, and few bands do less
    in all than many: gradients of 7x7 s1 maxima of 1x112x112x64 take one thread 2.4 ms in one band and 5.1 in eight;
    two threads 1.6 in two bands and 2.8 in eight.
    """

    def __init__(self, f: Frame, packed: np.ndarray, finds: bool = False) -> None:
        elements, windows = f.d * f.h * f.w, max(1, f.od * f.oh * f.ow)
        self.beside = 0.0 if finds else ELEMENT * elements / windows
        self.known: dict[int, int] = {}
        self.outer, self.rows, self.windows, step = f.outer, f.h, f.oh, f.step_h
        at = FRAME + 2 * f.d + 3 * f.od
        if is_deep(f):
            self.rows, self.windows, step, at = f.d, f.od, f.step_d, FRAME
        first, count = packed[at : at + 2 * self.rows].reshape(2, -1)
        some = count > 0
        self.first = np.where(some, first, self.windows)
        self.stop = np.where(some, first + (count - 1) * step + 1, 0)

    def __call__(self) -> int:
        """How many for each plane."""
        threads = get_num_threads()
        if threads not in self.known:
            self.known[threads] = self._best(threads) if 0 < self.outer < threads else 1
        return self.known[threads]

    def _best(self, threads: int) -> int:
        most = (min(self.rows, -(-threads * n // self.outer)) for n in range(PIECES_PER_THREAD, 0, -1))
        work = {bands: self._work(bands, threads) for bands in most if bands > 0}
        least = min(work.values())
        return next(b for b in work if work[b] <= NEAR * least) if NEAR * least < 1.0 + self.beside else 1

    def _work(self, bands: int, threads: int) -> float:
        """What the busiest thread does, of a plane's windows."""
        cuts = np.arange(bands) * self.rows // bands
        first, stop = np.minimum.reduceat(self.first, cuts), np.maximum.reduceat(self.stop, cuts)
        share = np.maximum(stop - first, 0).max() / max(1, self.windows)
        return (float(share) + self.beside / bands) * math.ceil(self.outer * bands / threads)
