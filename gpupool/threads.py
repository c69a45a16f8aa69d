"""A small crew of threads for kernels that release the GIL.

Numba's own parallel regions are not safe where users run them: one threading layer aborts the process when two Python
threads enter it, another kills forked children. Here a caller borrows whatever workers are free and does the rest
itself, so nested calls and many callers at once cannot block each other, and a forked child starts with an empty crew.
Python makes the threads and counts them; how they wait for work and share it is in `gpupool/kernels/cpu/workers.py`.
"""

from __future__ import annotations

import atexit
import ctypes
import operator
import os
import sys
import threading
import time
from array import array
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpupool.kernels.cpu.jit import Compiled

MOST_THREADS = 1024
MOST_ARGUMENTS = 6  # of a job, but for its first and last unit
PIECES_PER_THREAD = 8  # work is handed out in pieces, so that a thread that is held up holds up only one of them


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


class _Crew:
    """Worker threads and the table by which they are found, in memory that outlives the interpreter."""

    def __init__(self) -> None:
        from gpupool.kernels.cpu import workers as native
        from gpupool.kernels.cpu.jit import compiled

        self._native = native
        self._serve = compiled(native.serve, 2, ()).call
        self._dismiss = compiled(native.dismiss, 2, ()).call
        self.share = compiled(native.share, 4, ()).call
        self.job_words = native.JOB - native.FIRST
        words = native.HEAD + MOST_THREADS * native.SLOT
        block = (ctypes.c_int64 * (words + native.LINE))()
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(block))  # a thread may look at it until the process ends
        line = 8 * native.LINE
        self.table = -(-ctypes.addressof(block) // line) * line
        self._words = (ctypes.c_int64 * words).from_address(self.table)
        python = ctypes.pythonapi
        for at, function in (
            (native.ACQUIRE, python.PyThread_acquire_lock),
            (native.ACQUIRE_TIMED, python.PyThread_acquire_lock_timed),
            (native.RELEASE, python.PyThread_release_lock),
        ):
            self._words[at] = ctypes.cast(function, ctypes.c_void_p).value or 0
        for at, name in (
            (native.WHERE, "sched_getcpu"),
            (native.GET_MASK, "sched_getaffinity"),
            (native.SET_MASK, "sched_setaffinity"),
        ):
            self._words[at] = _system_function(name)
        self._words[native.NEVER] = _taken_lock()
        self._words[native.LOOKS] = self._patience(compiled(native.idle, 2, ()).call)
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def _live(self, index: int) -> None:
        """What a worker thread does."""
        slot = self._native.HEAD + index * self._native.SLOT
        self._words[slot + self._native.THREAD] = threading.get_native_id()
        self._serve(self.table, index)

    def _patience(self, idle: Any) -> int:
        """For how many looks a thread goes on."""
        looks = 2000
        start = time.perf_counter()
        idle(self.table, looks)
        return int(looks * self._native.PATIENCE / max(time.perf_counter() - start, 1e-6))

    def grown(self, wanted: int) -> int:
        """How many workers there are, after new ones were made up to `wanted` if the system allows."""
        if len(self._threads) < wanted:
            with self._lock:
                while len(self._threads) < wanted and self._add():
                    pass
        return len(self._threads)

    def _add(self) -> bool:
        index = len(self._threads)
        self._words[self._native.HEAD + index * self._native.SLOT + self._native.LOCK] = _taken_lock()
        thread = threading.Thread(target=self._live, args=(index,), name="gpupool", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system allows no more threads: fewer do the work
            return False
        self._threads.append(thread)
        return True

    def leave(self) -> None:
        """End the threads before the interpreter does: they run machine code that it frees."""
        self._dismiss(self.table, len(self._threads))
        for thread in self._threads:
            thread.join(0.1)  # one that is at work for a daemon thread of the user's is left to the end of the process


def _system_function(name: str) -> int:
    """The address of a function of Linux's C library, 0 elsewhere."""
    if not sys.platform.startswith("linux"):
        return 0
    function = getattr(ctypes.CDLL(None), name, None)
    return ctypes.cast(function, ctypes.c_void_p).value or 0 if function else 0


def _taken_lock() -> int:
    """The address of one of Python's own locks, taken."""
    allocate, acquire = ctypes.pythonapi.PyThread_allocate_lock, ctypes.pythonapi.PyThread_acquire_lock
    allocate.restype, acquire.argtypes = ctypes.c_void_p, (ctypes.c_void_p, ctypes.c_int)
    lock = allocate()
    if not lock:
        raise MemoryError("no memory for a lock")
    acquire(lock, 1)
    return lock


_crew: _Crew | None = None
_making = threading.Lock()


def _get_crew() -> _Crew:
    global _crew
    with _making:
        if _crew is None:
            _crew = _Crew()
        return _crew


def run_pieces(code: Compiled, arguments: tuple[int, ...], constants: tuple, total: int, at_least: int = 1) -> None:
    """Call ``code(*arguments, start, stop, *constants)`` over 0 .. total in pieces of at least `at_least`.

    This thread and any free ones take the pieces.
    """
    if len(arguments) > MOST_ARGUMENTS:  # a job has no room for more
        raise ValueError(f"at most {MOST_ARGUMENTS} arguments, got {len(arguments)}")
    threads = get_num_threads()
    pieces = min(threads * PIECES_PER_THREAD, total // at_least)
    if threads > 1 and pieces > 1:
        crew = _crew or _get_crew()
        workers = crew.grown(threads - 1)
        spare = (0,) * (crew.job_words - len(arguments))
        job = array("q", (code.address, len(arguments), total, pieces, *arguments, *spare))
        if crew.share(crew.table, workers, min(threads, pieces) - 1, job.buffer_info()[0]):
            return
    code.call(*arguments, 0, total, *constants)  # the same again if a piece raised an error: here it is told


def _forget() -> None:
    """In a forked child: the parent's workers do not exist here."""
    global _crew, _making
    _crew, _making = None, threading.Lock()


def _leave() -> None:
    if _crew is not None:
        _crew.leave()


atexit.register(_leave)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
