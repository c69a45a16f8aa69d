"""NumPy arrays on the CPU engines: plan and layout once per kind of call, then addresses in, addresses out."""

from __future__ import annotations

import ctypes
import math
import sys
from typing import Any

import numpy as np

from gpupool.geometry import Layout, contiguous_strides, lowest, make_layout, out_order
from gpupool.kernels.cpu import jit
from gpupool.kernels.cpu.enter import Entry, enter
from gpupool.kernels.cpu.user import register
from gpupool.plan import Plan, arrays_overlap, check_elements, check_outs, choose, make_plan
from gpupool.reducer import compiling
from gpupool.request import Request, fail
from gpupool.threads import run_pieces

from .cpu_engines import Stage, are_planes, choose_engine

# Below two of these the work stays on one thread: waking another costs 16 us, and it comes after 50 us.
SERIAL_ELEMENTS = 65536
CACHED_CALLS = 1024  # prepared calls kept; when full, all are dropped

_calls: dict[tuple, Any] = {}

# The data pointer follows the object header in every NumPy array. Reading it takes 0.3 us; `ctypes.data` takes 2.2 us.
_HEADER = object.__basicsize__
_read_pointer = ctypes.c_size_t.from_address


def _address(a: np.ndarray) -> int:
    return _read_pointer(id(a) + _HEADER).value


_ENTERS = _address(_probe := np.zeros(1)) == _probe.ctypes.data
if not _ENTERS:  # a Python that lays objects out differently

    def _address(a: np.ndarray) -> int:
        return a.ctypes.data


class Call:
    """One kind of call, ready to run: everything but the arrays' addresses."""

    def __init__(self, plan: Plan, x_strides: tuple[int, ...], y_strides: tuple[int, ...] | None) -> None:
        self.plan = plan
        self.where_dtype = plan.where_dtype if plan.request.indices else None
        strides = tuple(s // plan.dtype.itemsize for s in x_strides)
        order = out_order(plan, strides)
        if y_strides is None:
            y_strides = contiguous_strides(plan.out_shape, order)
        in_order = order == tuple(range(len(order)))
        self.empty_shape = plan.out_shape if in_order else tuple(plan.out_shape[a] for a in order)
        self.transpose = None if in_order else tuple(order.index(a) for a in range(len(order)))
        self.starts: tuple[tuple[int, int], ...] = ()
        self.enter: tuple | None = None  # the short way, where one stage on this thread is the whole call
        if 0 not in plan.out_shape:
            with compiling(plan.request):
                layout = make_layout(plan, strides, y_strides, are_planes(plan))
                self._prepare(layout)
            low = (lowest(plan.shape, strides), lowest(plan.out_shape, y_strides))
            self.starts = tuple((x + low[0], y + low[1]) for x, y in layout.starts)
            code, units, piece, packed, _, _ = self.stages[0]
            if _ENTERS and len(self.starts) == len(self.stages) == 1 and units < 2 * piece and not self.where_dtype:
                (x_start, y_start), item, to = self.starts[0], self.item, self.out_item
                entry = Entry(
                    code.address, packed, units, _HEADER, x_start * item, y_start * to,
                    low[0] * item, layout.x_span * item, low[1] * to, layout.y_span * to, plan.out_dtype.alignment,
                )  # fmt: skip
                known = np.array(entry, np.int64)
                self.enter = jit.compiled(enter, 3, ()).call, known.ctypes.data, known

    def _prepare(self, layout: Layout) -> None:
        plan, request = self.plan, self.plan.request
        red, x_codec, y_codec = choose(plan, wide=True)
        kinds = (payload(plan.dtype), payload(plan.out_dtype))
        register(red)
        choice = choose_engine(layout.geometry, kinds, (x_codec, y_codec), red, self.where_dtype, plan.rule)
        self.item, self.out_item = plan.dtype.itemsize, plan.out_dtype.itemsize
        self.between, self.acc = choice.between, choice.acc
        addresses = 3 if request.indices and not choice.seek else 2
        elements = max(1, math.prod(plan.shape))
        self.stages = [self._stage(stage, addresses, elements) for stage in choice.stages]
        self.seek = self._stage(choice.seek, 3, elements) if choice.seek else None

    def _stage(self, stage: Stage, addresses: int, elements: int) -> tuple:
        """The compiled entry point itself: Numba's dispatcher would look at every argument's type in every call."""
        code = jit.compiled(stage.kernel, addresses + 3, stage.constants)
        piece = max(1, SERIAL_ELEMENTS * stage.units // elements)
        return code, stage.units, piece, stage.packed.ctypes.data, stage.constants, stage.packed

    def new_out(self, dtype: np.dtype) -> np.ndarray:
        """A new result in the input's memory order."""
        y = np.empty(self.empty_shape, dtype)
        return y if self.transpose is None else y.transpose(self.transpose)

    def __call__(self, x: np.ndarray, y: np.ndarray, where: np.ndarray | None) -> None:
        """Pool x into y, and the positions into `where`, which has y's strides in elements."""
        if self.enter is not None and self.enter[0](id(x), id(y), self.enter[1]):
            return
        for x_start, y_start in self.starts:
            ends = [_address(x) + x_start * self.item, _address(y) + y_start * self.out_item]
            where_at = [] if where is None else [_address(where) + y_start * where.itemsize]
            if self.between == 0:
                self._run(self.stages[0], ends if self.seek else ends + where_at)
            else:
                scratch = np.empty(self.between, self.acc)
                self._run(self.stages[0], [ends[0], scratch.ctypes.data])
                self._run(self.stages[1], [scratch.ctypes.data, ends[1]])
            if self.seek:
                self._run(self.seek, ends + where_at)

    def _run(self, stage: tuple, addresses: list[int]) -> None:
        """One stage on as many threads as it is worth."""
        code, units, piece, packed, constants, _ = stage
        run_pieces(code, (*addresses, packed), constants, units, piece)


def payload(dtype: np.dtype) -> np.dtype:
    """The dtype that kernels see: halves as their bits, bool as bytes."""
    if dtype.name in ("float16", "bfloat16"):
        return np.dtype(np.uint16)
    return np.dtype(np.uint8) if dtype.kind == "b" else dtype


def _prepared(key: tuple, x: np.ndarray, y_strides: tuple[int, ...] | None) -> Call:
    call = Call(make_plan(key[0], x.shape, x.dtype), x.strides, y_strides)
    if len(_calls) >= CACHED_CALLS:
        _calls.clear()
    _calls[key] = call
    return call


def run(x: np.ndarray, request: Request, out: Any = None) -> Any:
    """Pool a NumPy array."""
    if out is not None:
        return _run_into(x, request, out)
    key = (request, x.shape, x.strides, x.dtype)
    call = _calls.get(key)
    if call is None:
        x = _loadable(x)
        key = (request, x.shape, x.strides, x.dtype)
        call = _calls.get(key) or _prepared(key, x, None)
    y = call.new_out(call.plan.out_dtype)
    if not request.indices:
        call(x, y, None)
        return y
    where = call.new_out(call.plan.where_dtype)
    call(x, y, where)
    return y, where


def _run_into(x: np.ndarray, request: Request, out: Any) -> Any:
    """Pool into the caller's array, or pair of arrays where positions are asked for."""
    if type(out) is np.ndarray:
        call = _calls.get((request, x.shape, x.strides, x.dtype, out.shape, out.strides, out.dtype))
        # The same call as before: only what the key does not say is looked at again.
        if call is not None and out.flags.writeable:
            if call.enter is not None:
                if call.enter[0](id(x), id(out), call.enter[1]):
                    return out
            elif out.flags.aligned and not np.may_share_memory(x, out):
                call(x, out, None)
                return out
    elif type(out) is tuple and len(out) == 2 and _run_again(x, request, *out):
        return out
    x = _loadable(x)
    plan = make_plan(request, x.shape, x.dtype)
    outs = check_outs(plan, out, np.ndarray)
    for y in outs:
        check_memory(request, {"x": x}, y)
    if request.indices and arrays_overlap(*outs):
        fail(request, ValueError("out must be two arrays that do not overlap in memory"))
    y = outs[0]
    steps = [tuple(s // o.itemsize for s in o.strides) for o in outs]
    whole_steps = all(o.flags.aligned and not any(s % o.itemsize for s in o.strides) for o in outs)
    if not whole_steps or steps[0] != steps[-1]:
        results = run(x, request)
        for o, result in zip(outs, results if request.indices else (results,), strict=True):
            o[...] = result
        return out
    key = (request, x.shape, x.strides, x.dtype, y.shape, y.strides, y.dtype)
    call = _calls.get(key) or _prepared(key, x, steps[0])
    call(x, y, outs[1] if request.indices else None)
    return out


def _run_again(x: np.ndarray, request: Request, y: Any, where: Any) -> bool:
    """Do the same call as one before, if it is one and these arrays raise no question."""
    if not type(y) is type(where) is np.ndarray:
        return False
    call = _calls.get((request, x.shape, x.strides, x.dtype, y.shape, y.strides, y.dtype))
    if call is None or where.dtype != call.where_dtype or where.shape != y.shape:
        return False
    if any(s * y.itemsize != t * where.itemsize for s, t in zip(where.strides, y.strides, strict=True)):
        return False
    for flags in (y.flags, where.flags):
        if not (flags.writeable and flags.aligned):
            return False
    if np.may_share_memory(x, y) or np.may_share_memory(x, where) or np.may_share_memory(y, where):
        return False
    call(x, y, where)
    return True


def check_memory(request: Request, arrays: dict[str, np.ndarray], out: np.ndarray) -> None:
    """`out` must be writeable, each of its elements must exist once, and none may belong to an array that is read."""
    check_elements(request, out, not out.flags.writeable)
    for name, array in arrays.items():
        if arrays_overlap(array, out):
            fail(request, ValueError(f"out must not overlap {name} in memory"))


def _loadable(x: np.ndarray) -> np.ndarray:
    """The array itself, or a copy where its memory is byte-swapped, unaligned or not in steps of whole elements."""
    if x.dtype.hasobject or x.dtype.kind not in "biufV":
        return x  # the plan refuses it
    if not x.dtype.isnative:
        return x.astype(x.dtype.newbyteorder("="))
    if not x.flags.aligned or any(s % x.itemsize for s in x.strides):
        return x.copy(order="K")
    return x


def run_array_like(x: Any, request: Request, out: Any = None) -> Any:
    """Pool a list, a scalar or anything else that NumPy can read."""
    try:
        a = np.asarray(x)
    except ValueError as error:
        fail(request, ValueError(f"x cannot be read as an array: {error}"))
    return run(a, request, out)


def run_dlpack(x: Any, request: Request, out: Any = None) -> Any:
    """Pool another library's CPU array, zero-copy, into the same library's."""
    if out is not None:
        outs = out if isinstance(out, tuple) else (out,)
        run(
            _from_dlpack(x, request),
            request,
            tuple(map(np.from_dlpack, outs)) if request.indices else np.from_dlpack(out),
        )
        return out
    result = run(_from_dlpack(x, request), request)
    namespace = sys.modules[type(x).__module__.partition(".")[0]]
    back = getattr(namespace, "from_dlpack", None) or namespace.dlpack.from_dlpack
    return tuple(back(r) for r in result) if request.indices else back(result)


def _from_dlpack(x: Any, request: Request) -> np.ndarray:
    try:
        return np.from_dlpack(x)
    except (BufferError, RuntimeError, TypeError) as error:
        fail(request, TypeError(f"x cannot be shared with NumPy: {error}"))
