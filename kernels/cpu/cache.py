"""Numba's cache protocol over one file per kernel and signature.

Numba's own cache watches only the file of the outer function, so an edit of reducers.py or window.py would be served
stale, and its numbered files can be mixed up by two processes that start at once. Here a file's name is a hash of all
that it depends on. A folder that cannot be written, or a full disk, only means that the next process compiles again.
"""

from __future__ import annotations

import hashlib
import pickle
import sys
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba import types
from numba.core.caching import CompileResultCacheImpl, _Cache
from numba.core.serialize import dumps

from ..cache import CPU_SOURCES, cache_folder, code_digest, read, write

VERSIONS = (numba.__version__, llvmlite.__version__, sys.version)


def closure_key(function: Any) -> str:
    """What a closure over dtypes, numbers, codecs and reducers depends on."""
    parts = [function.__qualname__]
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        value = cell.cell_contents
        kind = code_digest(type(value)) if hasattr(value, "_fields") else ""
        parts.append(f"{name}={type(value).__qualname__}:{value!r}:{kind}")
    return " ".join(parts)


class KernelCache(_Cache):
    """What a Numba dispatcher asks for compiled code before it compiles."""

    def __init__(self, py_func: Any, closure: str = "") -> None:
        self._py_func = py_func
        self._closure = closure
        self._impl = CompileResultCacheImpl.__new__(CompileResultCacheImpl)  # only its reduce and rebuild are used

    @property
    def cache_path(self) -> str:
        return str(cache_folder() / "cpu")

    def _path(self, sig: Any, codegen: Any) -> Path:
        arguments = getattr(sig, "args", sig)
        classes = [code_digest(type(t.value)) for t in arguments if isinstance(t, types.Omitted)]
        key = repr((str(sig), self._closure, classes, codegen.magic_tuple(), CPU_SOURCES, VERSIONS))
        name = hashlib.sha256(key.encode()).hexdigest()[:32]
        return Path(self.cache_path) / f"{self._py_func.__name__}-{name}.bin"

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled kernel, or None where it must be compiled."""
        target_context.refresh()
        data = read(self._path(sig, target_context.codegen()))
        if data is None:
            return None
        try:
            return self._impl.rebuild(target_context, pickle.loads(data))
        except (EOFError, pickle.UnpicklingError):
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compiled kernel for the next process."""
        write(self._path(sig, data.codegen), dumps(self._impl.reduce(data)))

    def enable(self) -> None:
        """Always enabled."""

    def disable(self) -> None:
        """Always enabled."""

    def flush(self) -> None:
        """Nothing is kept in memory."""
