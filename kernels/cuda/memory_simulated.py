"""Twins of memory_compiled.py for the simulator: the same functions in plain Python and NumPy."""

from __future__ import annotations

import threading

import numpy as np
from numba.cuda.simulator.cudadrv.devicearray import FakeCUDAArray, FakeWithinKernelCUDAArray


class Flat(FakeWithinKernelCUDAArray):
    """A kernel's view of flat memory, as strict as a GPU should be: every element inside, every vector aligned.

    `memory` is all that the array touches, element 0 of the kernel's pointer lies at `origin` in it.
    """

    def __init__(self, memory: np.ndarray, origin: int) -> None:
        super().__init__(FakeCUDAArray(memory))
        for name, value in (("memory", memory), ("origin", origin)):
            object.__setattr__(self, name, value)

    def __getitem__(self, i: int) -> np.generic:
        return super().__getitem__(self.checked(i, 1))

    def __setitem__(self, i: int, value: object) -> None:
        super().__setitem__(self.checked(i, 1), value)

    def checked(self, i: int, count: int) -> int:
        """The place of `count` elements from i on; refuses what would be foreign memory, or misaligned, on a GPU."""
        at, item = i + self.origin, self.memory.itemsize
        if not 0 <= at <= len(self.memory) - count:
            raise IndexError(f"elements {at} to {at + count - 1} are outside an array of {len(self.memory)}")
        if (self.memory.ctypes.data + at * item) % (count * item):
            raise ValueError(f"{count} elements at {at} are not aligned to {count * item} bytes")
        return at


def index(number):
    """A thread or block number as an index."""
    return int(number)


def number(i):
    """An index as a number to calculate with."""
    return i


def unsigned(i):
    """An index into a kernel's own array; below 0 is an error, as it would be on a GPU."""
    if i < 0:
        raise IndexError(f"index {i} into a kernel's own array")
    return i


def quotient(i, n, magic, shift):
    """i // n, by multiplication as on the GPU."""
    return (i * magic) >> (31 + shift) if magic else i // n


def load_vector(x, i, count):
    """Elements i .. i + count - 1 by one aligned load."""
    at = x.checked(i, count)
    return tuple(x.memory[at + j] for j in range(count))


def store_vector(y, i, values, start, count):
    """Store values[start : start + count] as elements i .. by one aligned store."""
    at = y.checked(i, count)
    for j in range(count):
        y.memory[at + j] = values[start + j]


_atomic = threading.Lock()


def atomic_max(y, i, value):
    """y[i] becomes the larger of itself and a value, in one step."""
    with _atomic:
        if value > y[i]:
            y[i] = value


def half_decode(codec, raw):
    """The float32 of a float16's 16 bits."""
    return np.float32(np.uint16(raw).view(np.float16))


def half_encode(codec, value):
    """A float's bits as float16, rounded half to even."""
    return np.float16(np.float32(value)).view(np.uint16)


NAMES: dict = {}
