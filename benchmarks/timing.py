"""Timing: contenders interleaved in rounds, in rotating order, over buffers that no cache can hold."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

# Below this many bytes a case measures the cost of a call: there the caches stay warm.
SMALL_BYTES = 1 << 18
# A sample shorter than this is a loop of several calls: the clock and the wake-up of threads would show.
SAMPLE_SECONDS = 500e-6
# Worker threads spin after their work is done, on the cores that the next contender needs: measured 8 ms for OpenMP
# (PyTorch) and 50 ms for ONNX Runtime. A contender starts when the process has been idle for one pause.
PAUSE_SECONDS = 2e-3
MAX_PAUSES = 100
# What takes longer than this gains nothing from an untimed call that wakes its threads.
WAKE_SECONDS = 10e-3
MIN_ROUNDS = 3


@dataclass
class Contender:
    """A prepared implementation: `call(i)` runs once on buffer set i."""

    name: str
    call: Callable[[int], Any]
    # The last call's return value as a NumPy array (with indices a pair) in the case's own layout; None when there is
    # nothing to check.
    result: Callable[[Any], Any] | None = None
    note: str = ""
    samples: list[float] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Median time of one call."""
        return median(self.samples)


def last_level_cache_bytes() -> int:
    """Size of the largest cache of CPU 0; 64 MiB where the system does not tell."""
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    sizes = []
    for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        text = path.read_text().strip()
        sizes.append(int(text.rstrip("KMG")) * units.get(text[-1], 1))
    return max(sizes, default=64 << 20)


def buffer_sets(case_bytes: int, cache_bytes: int) -> int:
    """How many sets of buffers make a working set of at least four times the cache."""
    if case_bytes < SMALL_BYTES:
        return 1
    return min(256, max(1, -(-4 * cache_bytes // case_bytes)))


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Keep the collector from running inside a sample."""
    gc.collect()
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class Turn:
    """Counts calls of all contenders together, so that no one finds the buffer its predecessor left in the cache."""

    def __init__(self, sets: int) -> None:
        self.sets = sets
        self.count = 0

    def next(self) -> int:
        """Index of the least recently used buffer set."""
        self.count += 1
        return self.count % self.sets


def _sample(contender: Contender, turn: Turn, number: int, wake: bool) -> float:
    """Seconds per call over `number` calls."""
    call, step = contender.call, turn.next
    if wake:
        call(step())
    start = time.perf_counter()
    for _ in range(number):
        call(step())
    return (time.perf_counter() - start) / number


def cpu_seconds() -> float:
    """CPU time of all threads of this process, up to now.

    The process's own clock, on Linux, counts what another thread uses only when the scheduler next looks: of one that
    was at work all the time it saw nothing in most pauses. The threads' clocks are exact; here is how they are named.
    """
    threads = Path("/proc/self/task")
    if not threads.is_dir():
        return time.process_time()
    total = 0.0
    for thread in threads.iterdir():
        with suppress(OSError):  # it has ended meanwhile
            total += time.clock_gettime((~int(thread.name) << 3) | 6)
    return total


def settle() -> None:
    """Wait until no thread of this process uses a CPU any more."""
    for _ in range(MAX_PAUSES):
        used = cpu_seconds()
        time.sleep(PAUSE_SECONDS)
        if cpu_seconds() - used < PAUSE_SECONDS / 4:
            return


def measure_cpu(contenders: list[Contender], sets: int, rounds: int, seconds: float) -> None:
    """Fill `samples` of each contender: `rounds` rounds, fewer (at least 3) for one that would need more than its share
    of `seconds`."""
    turn = Turn(sets)
    plan: dict[str, tuple[int, int, bool]] = {}
    with no_garbage_collection():
        for contender in contenders:
            settle()
            once = _sample(contender, turn, 1, wake=True)
            number = max(1, min(1000, int(SAMPLE_SECONDS / once)))
            share = seconds / len(contenders)
            wanted = max(MIN_ROUNDS, min(rounds, int(share / (once * number + PAUSE_SECONDS))))
            plan[contender.name] = number, wanted, once < WAKE_SECONDS
        for index, order in rotations(contenders, rounds):
            for contender in order:
                number, wanted, wake = plan[contender.name]
                # Fewer rounds are spread over all of them: a slow minute of the machine hits every contender alike.
                if (index + 1) * wanted // rounds > index * wanted // rounds:
                    settle()
                    contender.samples.append(_sample(contender, turn, number, wake))


def rotations(contenders: list[Contender], rounds: int) -> Iterator[tuple[int, list[Contender]]]:
    """Round number and the contenders in that round's order: each comes first, second, ... equally often."""
    for index in range(rounds):
        shift = index % len(contenders)
        yield index, contenders[shift:] + contenders[:shift]


def random_array(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Random data, never zeros: normal for floats, the whole range for integers."""
    if "int" in dtype:
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    if dtype == "float64":
        return rng.standard_normal(shape)
    return rng.standard_normal(shape, np.float32).astype(dtype, copy=False)


def touched(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """An output array whose pages are mapped: page faults are nobody's pooling time."""
    out = np.empty(shape, dtype)
    out.fill(1)
    return out


def available_threads() -> int:
    """Number of CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
