"""Where compiled kernels are kept between processes, and what their names depend on."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import os
import sys
import types
import uuid
from collections.abc import Iterator
from pathlib import Path

KERNELS = Path(__file__).resolve().parent


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


@contextlib.contextmanager
def collector_paused() -> Iterator[None]:
    """Keep Python's garbage collector from running while a kernel is compiled: it is a quarter of the time.

    The compiler makes millions of objects that live until it is done, and each full collection looks at them all.
    """
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def _digest(folder: str) -> str:
    """A digest of the sources that kernels share and of those in one folder."""
    digest = hashlib.sha256()
    for path in sorted((*KERNELS.glob("*.py"), *(KERNELS / folder).glob("*.py"))):
        digest.update(path.relative_to(KERNELS).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


# Read at import (0.5 ms), not at the first compilation: sources edited in between would name code never compiled.
CPU_SOURCES = _digest("cpu")
CUDA_SOURCES = _digest("cuda")


def code_digest(cls: type) -> str:
    """A digest of a reducer's or codec's static functions: two classes of one name must not share a file."""
    digest = hashlib.sha256(getattr(cls, "DIGEST", "").encode())  # a user's reducer: what its functions depend on
    for name, member in sorted(vars(cls).items()):
        if isinstance(member, staticmethod):
            digest.update(repr((name, described(member.__func__.__code__))).encode())
    return digest.hexdigest()


def described(code: types.CodeType) -> tuple:
    """What a code object does, without the addresses that its repr has."""
    constants = tuple(described(c) if isinstance(c, types.CodeType) else c for c in code.co_consts)
    return code.co_code, code.co_names, code.co_varnames, constants


def read(path: Path) -> bytes | None:
    """A file's content, None where there is none."""
    try:
        return path.read_bytes()
    except OSError:
        return None


def write(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all; a folder that cannot be written only means that nothing is kept."""
    scratch = path.with_suffix(f".{uuid.uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_bytes(data)
        os.replace(scratch, path)
    except OSError:
        with contextlib.suppress(OSError):
            scratch.unlink()
