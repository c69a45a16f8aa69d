"""A kernel and what it is bound to -> a cubin, without a GPU or a driver; kept on disk.

Numba compiles to PTX, nvJitLink (through cuda.core) links that to machine code. Newer PTX than the driver knows is no
problem this way, and one file serves every process.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..cache import CUDA_SOURCES, cache_folder, code_digest, collector_paused, read, write
from ..codecs import Half
from ..gradient import inverse
from ..window import SLIDING, Axis, Batch, Geometry, Sliding
from . import memory
from .bind import Binding
from .operators import STORAGE
from .walk import Cut, Walk

SHORT = {"float": "f", "uint": "u", "int": "i", "bool": "b"}
MADE_BY = ("numba-cuda", "numba", "llvmlite", "cuda-core")
_device_functions: dict[Any, Any] = {}  # of all kernels that this process compiled
LINKERS = ("nvidia-nvjitlink", "nvidia-nvjitlink-cu12", "nvidia-nvvm", "nvidia-cuda-nvcc-cu12")


@dataclass(frozen=True, eq=False)
class Kernel:
    """An engine's function, the operator it runs, element types, index widths, and constants."""

    engine: Any  # a function of this package
    red: Any
    x_codec: Any
    y_codec: Any
    x_type: str  # payloads: halves are uint16, bool is uint8
    y_type: str
    index_bits: int  # of positions and counts
    offset_bits: int  # of strides and offsets
    constants: tuple[tuple[str, Any], ...] = ()
    threads: int = 256
    label: str = ""  # the constants in words, for the name
    rule: Any = SLIDING  # how windows lie; only the point engine takes another

    signature: ClassVar[Any] = None  # the types of the arguments, where they are others than below

    @functools.cached_property
    def key(self) -> tuple:
        """All that distinguishes kernels: NamedTuples of different classes are equal, so their types are named."""
        names, values = [name for name, _ in self.constants], [value for _, value in self.constants]
        bound = (self.red, self.x_codec, self.y_codec, self.rule, *values)
        typed = tuple((type(value), value) for value in bound)
        return (self.engine, typed, *names, self.memory, self.index_bits, self.offset_bits, self.threads)

    @property
    def memory(self) -> tuple:
        """What the arrays hold."""
        return self.x_type, self.y_type

    @functools.cached_property
    def name(self) -> str:
        """What a profiler shows: the configuration."""
        elements = short(self.x_type, self.x_codec)
        stored = short(self.y_type, self.y_codec)
        rule = "" if isinstance(self.rule, Sliding) else _snake(type(self.rule).__name__)
        words = ["gpupool", self.engine.__name__, rule, self.label, self.operator, elements]
        if stored != elements:
            words.append(f"to_{stored}")
        if self.offset_bits == 64:
            words.append("wide" if self.index_bits == 64 else "big")
        return "_".join(word for word in words if word)

    @property
    def pointers(self) -> tuple[str, ...]:
        """The names of the arguments that are memory: those before the geometry `g`."""
        names = self.engine.__code__.co_varnames[: self.engine.__code__.co_argcount]
        return names[: names.index("g")]

    @property
    def operator(self) -> str:
        """The reducer's name."""
        return _snake(type(self.red).__name__)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def short(payload: str, codec: Any) -> str:
    """f32, u8, ...; halves by their codec."""
    if type(codec).__name__ in ("Half", "BFloat"):
        return "f16" if isinstance(codec, Half) else "bf16"
    word, bits = re.fullmatch(r"([a-z]+)(\d*)", payload).groups()  # type: ignore[union-attr]
    return SHORT[word] + bits


def decoder(codec: Any) -> Any:
    """How a codec's elements are read on this target; None for a codec of results alone."""
    return memory.half_decode if isinstance(codec, Half) else getattr(type(codec), "decode", None)


def names(kernel: Kernel) -> dict[str, Any]:
    """What the names in the engines stand for."""
    red, x_codec, y_codec, constants = kernel.red, kernel.x_codec, kernel.y_codec, dict(kernel.constants)
    return {
        "RED": red,
        "X_CODEC": x_codec,
        "Y_CODEC": y_codec,
        "RULE": kernel.rule,
        "span": getattr(type(kernel.rule), "span", None),
        "counted": getattr(type(kernel.rule), "counted", None),
        **inverse(kernel.rule),
        **{name: getattr(type(red), name) for name in ("seed", "combine", "finish") if red is not None},
        "few": getattr(type(red), "few", getattr(type(red), "combine", None)),
        "select": getattr(type(red), "select", None),
        "decode": decoder(x_codec),
        "decode_result": decoder(y_codec),
        "decode_sample": decoder(constants.get("SAMPLE_CODEC")),
        "encode": memory.half_encode if isinstance(y_codec, Half) else type(y_codec).encode,
        **memory.NAMES,
        **constants,
        **STORAGE.get(constants.get("PARTS", 0), {}),
    }


# -- for the GPU -------------------------------------------------------------------------------------------------------


def signature(kernel: Kernel) -> tuple:
    """The types of the arguments: memory (mostly x and y), the Geometry, the Walk and a number of units."""
    from numba.cuda import types

    from .index import Index

    if kernel.signature is not None:
        return kernel.signature()
    i, o = Index(kernel.index_bits), Index(kernel.offset_bits)
    batch = types.NamedTuple((i, o, o), Batch)
    axis = types.NamedTuple((i,) * 8 + (o, o), Axis)
    geometry = types.NamedTuple((batch, batch, batch, axis, axis, axis, i), Geometry)
    cut = types.NamedUniTuple(i, 4, Cut)
    memories = [memory_type(kernel, name) for name in kernel.pointers]
    return (*memories, geometry, types.NamedUniTuple(cut, 5, Walk), i)


def memory_type(kernel: Kernel, name: str) -> Any:
    """The type of one pointer: what only lies before the results is never written while the kernel runs."""
    from numba import from_dtype
    from numba.cuda import types

    from .pointer import Memory

    if name in ("x", "y"):
        return Memory(getattr(types, kernel.x_type if name == "x" else kernel.y_type), name == "x")
    if name == "where":
        return Memory(from_dtype(np.dtype(dict(kernel.constants).get("INDEX", np.int64))), False)
    part = dict(kernel.constants)[{"part0": "ACC0", "part1": "ACC1"}[name]]
    return Memory(from_dtype(np.dtype(part)), "y" in kernel.pointers)


def compile_ptx(kernel: Kernel) -> str:
    """PTX with the kernel's own name instead of Numba's mangled one."""
    from numba import cuda

    from .device import OLDEST, device_function

    function = Binding(names(kernel), device_function, _device_functions)(kernel.engine)
    with collector_paused():
        ptx, _ = cuda.compile(
            function, signature(kernel), cc=OLDEST, output="ptx", device=False, abi="numba",
            launch_bounds=kernel.threads,
        )  # fmt: skip
    entries = re.findall(r"\.entry\s+([\w$]+)", ptx)
    if len(entries) != 1:
        raise RuntimeError(f"{kernel.name}: expected one kernel in the PTX, found {entries}")
    return ptx.replace(entries[0], kernel.name)


def link(name: str, ptx: bytes, cc: tuple[int, int]) -> bytes:
    """PTX to machine code."""
    from cuda.core import Linker, LinkerOptions, ObjectCode

    options = LinkerOptions(arch=f"sm_{cc[0]}{cc[1]}", name=name)
    return bytes(Linker(ObjectCode.from_ptx(ptx, name=name), options=options).link("cubin").code)


@functools.cache
def versions() -> tuple[str, ...]:
    """The versions of everything that takes part in compiling."""
    found = []
    for package in MADE_BY + LINKERS:
        try:
            found.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return tuple(found)


def _kept(kernel: Kernel, suffix: str, make: Callable[[], bytes]) -> bytes:
    """What `make` makes, from disk where it was made before."""
    bound = [code_digest(type(p)) for p in (kernel.red, kernel.x_codec, kernel.y_codec, kernel.rule)]
    key = repr((CUDA_SOURCES, versions(), kernel.name, kernel.key[1:], bound, suffix))
    digest = hashlib.sha256(key.encode()).hexdigest()[:24]
    path = cache_folder() / "cuda" / f"{kernel.name}-{digest}.{suffix}"
    data = read(path)
    if not data:
        data = make()
        write(path, data)
    return data


def ptx(kernel: Kernel) -> bytes:
    """What the linker makes machine code from, from disk where it was compiled before."""
    return _kept(kernel, "ptx", lambda: compile_ptx(kernel).encode())


def cubin(kernel: Kernel, cc: tuple[int, int]) -> bytes:
    """Machine code for a compute capability, from disk where it was compiled before."""

    return _kept(kernel, f"sm_{cc[0]}{cc[1]}.cubin", lambda: link(kernel.name, ptx(kernel), cc))


# -- for the simulator -------------------------------------------------------------------------------------------------


def simulated(kernel: Kernel) -> Any:
    """The same source as a kernel of Numba's CUDA simulator."""
    from numba import cuda

    return cuda.jit(Binding(names(kernel), lambda function: function)(kernel.engine))
