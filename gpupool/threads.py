"""A small pool of threads for kernels that release the GIL.

Numba's own parallel regions are not safe where users run them: one threading layer aborts the process when two Python
threads enter it, another kills forked children. Here a caller borrows whatever workers are idle and does the rest
itself, so nested calls and many callers at once cannot block each other, and a forked child starts with an empty pool.
Handing work to a parked thread costs about 13 us.
"""

from __future__ import annotations

import itertools
import operator
import os
import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

MOST_THREADS = 1024
PIECES_PER_THREAD = 4  # work is handed out in pieces, so that a thread that is held up holds up only one of them

Task = Callable[[int, int], None]


def _checked(name: str, value: Any) -> int:
    try:
        count = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an int from 1 to {MOST_THREADS}, got {value!r}") from None
    if isinstance(value, bool):
        raise TypeError(f"{name} must be an int from 1 to {MOST_THREADS}, got {value!r}")
    if not 1 <= count <= MOST_THREADS:
        raise ValueError(f"{name} must be an int from 1 to {MOST_THREADS}, got {count}")
    return count


def _default() -> int:
    """GPUPOOL_NUM_THREADS, or the processors that this process may use."""
    text = os.environ.get("GPUPOOL_NUM_THREADS", "").strip()
    if text:
        try:
            number = int(text)
        except ValueError:
            raise ValueError(f"GPUPOOL_NUM_THREADS must be an int from 1 to {MOST_THREADS}, got {text!r}") from None
        return _checked("GPUPOOL_NUM_THREADS", number)
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), MOST_THREADS)
    return min(os.cpu_count() or 1, MOST_THREADS)


_count: int | None = None


def get_num_threads() -> int:
    """How many threads the CPU engines use at most.

    Returns
    -------
    int
        What `set_num_threads` set; else ``GPUPOOL_NUM_THREADS``; else the processors that this process may run on.

    Raises
    ------
    ValueError
        If ``GPUPOOL_NUM_THREADS`` is set to anything but an int from 1 to 1024.
    """
    global _count
    if _count is None:
        _count = _default()
    return _count


def set_num_threads(n: int) -> None:
    """Use at most `n` threads on the CPU from now on. Results do not depend on it, bit for bit.

    Parameters
    ----------
    n : int
        From 1 to 1024.

    Raises
    ------
    TypeError, ValueError
        For anything else.
    """
    global _count
    _count = _checked("n", n)


class _Worker(threading.Thread):
    """A parked thread; it runs what it is handed and goes back to the idle ones."""

    def __init__(self) -> None:
        super().__init__(name="gpupool", daemon=True)
        self.inbox: SimpleQueue[_Job] = SimpleQueue()
        self.start()

    def run(self) -> None:
        while True:
            job = self.inbox.get()
            job.work()
            _idle.append(self)  # before the job is reported done, or its caller could find no worker idle next time
            job.done.put(None)
            del job


class _Job:
    """One call's pieces, taken by several threads until none is left."""

    def __init__(self, task: Task, total: int, pieces: int) -> None:
        self.task, self.total, self.pieces = task, total, pieces
        self.next: Iterator[int] = itertools.count()  # next() is atomic
        self.done: SimpleQueue[None] = SimpleQueue()
        self.error: BaseException | None = None

    def work(self) -> None:
        """Take pieces until there are none, or one has failed."""
        try:
            while (i := next(self.next)) < self.pieces and self.error is None:
                self.task(i * self.total // self.pieces, (i + 1) * self.total // self.pieces)
        except BaseException as error:  # raised again in the calling thread
            self.error = error


_idle: list[_Worker] = []  # append and pop are atomic
_made = 0
_lock = threading.Lock()


def _borrow() -> _Worker | None:
    """An idle worker, a new one while there are fewer than the threads wanted, or None."""
    global _made
    try:
        return _idle.pop()
    except IndexError:
        pass
    with _lock:
        if _made >= get_num_threads() - 1:
            return None
        _made += 1
    try:
        return _Worker()
    except RuntimeError:  # the system allows no more threads: the caller does the work itself
        with _lock:
            _made -= 1
        return None


def run_pieces(task: Task, total: int, at_least: int = 1) -> None:
    """Call ``task(start, stop)`` over 0 .. total in pieces of at least `at_least`, on this and any idle threads."""
    threads = get_num_threads()
    pieces = min(threads * PIECES_PER_THREAD, total // at_least)
    if threads == 1 or pieces < 2:
        task(0, total)
        return
    job = _Job(task, total, pieces)
    helpers = 0
    for _ in range(min(threads, pieces) - 1):
        worker = _borrow()
        if worker is None:
            break
        worker.inbox.put(job)
        helpers += 1
    job.work()
    for _ in range(helpers):
        job.done.get()
    if job.error is not None:
        raise job.error


def _forget() -> None:
    """In a forked child: the parent's workers do not exist here."""
    global _idle, _made, _lock
    _idle, _made, _lock = [], 0, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
