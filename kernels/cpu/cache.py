"""Where compiled CPU kernels are kept between processes: one file per kernel and signature.

Numba's own cache watches only the file of the outer function, so an edit of reducers.py or window.py would be served
stale, and its numbered files can be mixed up by two processes that start at once. Here a file's name is a hash of all
that it depends on, and a folder that cannot be written, or a full disk, only means that the next process compiles again.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import pickle
import sys
import uuid
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core.caching import CompileResultCacheImpl, _Cache
from numba.core.serialize import dumps

KERNELS = Path(__file__).resolve().parent.parent


@functools.cache
def source_hash() -> str:
    """A digest of the sources of all kernels and of the compilers' versions."""
    digest = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__} {sys.version}".encode())
    for path in sorted(KERNELS.rglob("*.py")):
        digest.update(path.relative_to(KERNELS).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:20]


def cache_folder() -> Path:
    """The user's cache folder for gpupool: GPUPOOL_CACHE_DIR, or the platform's usual place."""
    if chosen := os.environ.get("GPUPOOL_CACHE_DIR"):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", "~/AppData/Local"))
    elif sys.platform == "darwin":
        base = Path("~/Library/Caches")
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    return base.expanduser() / "gpupool"


def code_digest(cls: type) -> str:
    """A digest of the static functions of a reducer or codec class: two classes of one name must not share a file."""
    digest = hashlib.sha256()
    for name, member in sorted(vars(cls).items()):
        if isinstance(member, staticmethod):
            code = member.__func__.__code__
            digest.update(repr((name, code.co_code, code.co_consts, code.co_names)).encode())
    return digest.hexdigest()


class KernelCache(_Cache):
    """Numba's cache protocol over one file per signature."""

    def __init__(self, py_func: Any) -> None:
        self._py_func = py_func
        self._impl = CompileResultCacheImpl.__new__(CompileResultCacheImpl)  # only its reduce and rebuild are used

    @property
    def cache_path(self) -> str:
        return str(cache_folder() / "cpu")

    def _path(self, sig: Any, codegen: Any) -> Path:
        classes = [code_digest(t.instance_class) for t in sig if hasattr(t, "instance_class")]
        key = repr((str(sig), classes, codegen.magic_tuple(), source_hash()))
        name = hashlib.sha256(key.encode()).hexdigest()[:32]
        return Path(self.cache_path) / f"{self._py_func.__name__}-{name}.bin"

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled kernel, or None where it must be compiled."""
        target_context.refresh()
        try:
            data = pickle.loads(self._path(sig, target_context.codegen()).read_bytes())
            return self._impl.rebuild(target_context, data)
        except (OSError, EOFError, pickle.UnpicklingError):
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Write the compiled kernel, whole or not at all."""
        path = self._path(sig, data.codegen)
        scratch = path.with_suffix(f".{uuid.uuid4().hex}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            scratch.write_bytes(dumps(self._impl.reduce(data)))
            os.replace(scratch, path)
        except OSError:
            with contextlib.suppress(OSError):
                scratch.unlink()

    def enable(self) -> None:
        """Always enabled."""

    def disable(self) -> None:
        """Always enabled."""

    def flush(self) -> None:
        """Nothing is kept in memory."""
