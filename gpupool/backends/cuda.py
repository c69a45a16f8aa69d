"""Device arrays on the CUDA kernels: plan and launches once per kind of call, then addresses in, addresses out.

Nothing here copies to the host or synchronises, and everything runs on the device that owns x, on the caller's stream.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from gpupool.backends.cuda_arrays import Library, View, library
from gpupool.backends.cuda_launch import SIMULATED, Prepared, PreparedSimulation, on_device
from gpupool.geometry import contiguous_strides, out_order
from gpupool.backends.cuda_choose import Places, payload, planned
from gpupool.plan import Plan, Request, check_outs, fail, make_plan

INT64 = np.dtype(np.int64)
CACHED_CALLS = 1024  # prepared calls kept; when full, all are dropped
ALIGNMENT = 16  # bytes of the widest load

_calls: dict[tuple, Call] = {}
_launched = threading.local()


class Call:
    """One kind of call, ready to run: everything but the arrays' addresses."""

    def __init__(self, request: Request, x: View, y_strides: tuple[int, ...] | None, y_phase: int) -> None:
        self.plan = plan = make_plan(request, x.shape, x.dtype)
        item = x.dtype.itemsize
        strides = tuple([s // item for s in x.strides])
        self.order = out_order(plan, strides)
        if y_strides is None:
            y_strides = contiguous_strides(plan.out_shape, self.order)
        self.items = (item, plan.out_dtype.itemsize, INT64.itemsize)
        self.runs: list[tuple[Any, int, int]] = []
        if 0 not in plan.out_shape:
            self._prepare(x, strides, y_strides, y_phase)

    def _prepare(self, x: View, strides: tuple[int, ...], y_strides: tuple[int, ...], y_phase: int) -> None:
        found = planned(self.plan, strides, y_strides, Places(x.address % ALIGNMENT, y_phase))
        self.spans = (found.layout.x_span, found.layout.y_span)
        self.lows = (found.x_low, found.y_low)
        ready: dict[tuple, Any] = {}
        for launch, at_x, at_y in found.runs:
            key = (launch.kernel.key, launch.geometry, launch.walk, launch.count)
            if key not in ready:
                ready[key] = PreparedSimulation(launch) if SIMULATED else Prepared(launch, x.device or 0)
            self.runs.append((ready[key], at_x, at_y))

    def __call__(self, stream: int, x: View, y: View, where: View | None) -> None:
        """Pool x into y, and the positions into `where`, which has y's strides in elements."""
        x_item, y_item, i_item = self.items
        for run, at_x, at_y in self.runs:
            if SIMULATED:
                memories = [self._flat(x, 0, at_x), self._flat(y, 1, at_y)]
                if where is not None:
                    memories.append(self._flat(where, 1, at_y))
                run(memories)
            elif where is None:
                run((x.address + at_x * x_item, y.address + at_y * y_item), stream)
            else:
                run((x.address + at_x * x_item, y.address + at_y * y_item, where.address + at_y * i_item), stream)

    def _flat(self, view: View, side: int, start: int) -> tuple[np.ndarray, int]:
        """A simulator array as the flat memory that a kernel sees, and where in it the kernel's pointer points to."""
        low, span, item = self.lows[side], self.spans[side], view.dtype.itemsize
        holder = _Holder(view.address + low * item, (span,), (item,), np.dtype(payload(view.dtype)))
        return np.asarray(holder), start - low

    def kernel_names(self) -> list[str]:
        """What a profiler shows for this call."""
        return list(dict.fromkeys(run.launch.kernel.name for run, _, _ in self.runs))


class _Holder:
    """Memory described to NumPy; nothing is read until the array is."""

    def __init__(self, address: int, shape: tuple, strides: tuple, dtype: np.dtype) -> None:
        typestr = dtype.str if dtype.kind != "V" else f"|V{dtype.itemsize}"
        self.__array_interface__ = {
            "data": (address, False), "shape": shape, "strides": strides, "typestr": typestr, "version": 3,
        }  # fmt: skip


def checked(request: Request, lib: Library, x: Any) -> View:
    """The input as memory that kernels can read."""
    try:
        view = lib.view(x)
    except TypeError as error:
        fail(request, error)
    if not view.dtype.isnative:
        fail(request, TypeError(f"x must have the machine's byte order, got dtype {view.dtype.str}"))
    if loose(view):
        fail(request, ValueError(unaligned("x", view)))
    return view


def loose(view: View) -> bool:
    """Whether elements do not lie at multiples of their size, where no GPU can load them."""
    item = view.dtype.itemsize
    return bool(view.address % item) or any(s % item for s, n in zip(view.strides, view.shape, strict=True) if n > 1)


def unaligned(name: str, view: View) -> str:
    """The error for such an array."""
    return (
        f"{name} must have its elements at multiples of their size ({view.dtype.itemsize} bytes), got an array at address "
        f"{view.address:#x} with strides {view.strides}: make a contiguous copy"
    )


def run(x: Any, request: Request, out: Any = None) -> Any:
    """Pool a device array into a new array of the same library, or into `out`."""
    lib = library(x)
    view = checked(request, lib, x)
    if out is not None:
        return _run_into(lib, x, view, request, out)
    call = prepared(request, view, None, 0)
    plan = call.plan
    if SIMULATED or view.device is None:
        return _pool(lib, x, view, call, plan, request)
    with on_device(view.device):
        return _pool(lib, x, view, call, plan, request)


def _pool(lib: Library, x: Any, view: View, call: Call, plan: Plan, request: Request) -> Any:
    y = lib.empty(x, view, plan.out_shape, call.order, plan.out_dtype)
    where = lib.empty(x, view, plan.out_shape, call.order, INT64) if request.indices else None
    if call.runs:
        launch(call, lib.stream(x, view), view, new_view(lib, y), None if where is None else new_view(lib, where))
    return lib.result(y) if where is None else (lib.result(y), lib.result(where))


def new_view(lib: Library, y: Any) -> View:
    """A fresh result as memory; one that is exported later knows its own address."""
    if not lib.mutable:
        return View(y.shape, (), y.dtype, y.address, y.device)
    return lib.view(y)


def prepared(request: Request, x: View, y_strides: tuple[int, ...] | None, y_phase: int) -> Call:
    """The call for arrays like these, made once."""
    key = (request, x.shape, x.strides, x.dtype, x.device, x.address % ALIGNMENT, y_strides, y_phase)
    try:
        call = _calls.get(key)
    except TypeError:  # an unhashable argument, which the plan refuses in words
        make_plan(request, x.shape, x.dtype)
        raise
    if call is None:
        if x.device is None or SIMULATED:
            call = Call(request, x, y_strides, y_phase)
        else:
            with on_device(x.device):
                call = Call(request, x, y_strides, y_phase)
        if len(_calls) >= CACHED_CALLS:
            _calls.clear()
        _calls[key] = call
    return call


def launch(call: Call, stream: int, x: View, y: View, where: View | None) -> None:
    """Start a call's kernels, and note their names for `kernel_name`."""
    _launched.call = call
    call(stream, x, y, where)


def _run_into(lib: Library, x: Any, view: View, request: Request, out: Any) -> Any:
    """Pool into the caller's array, or pair of arrays where positions are asked for."""
    plan = make_plan(request, view.shape, view.dtype)
    outs = _views(lib, x, plan, out)
    for y in outs:
        check_memory(plan, view, y)
    y = outs[0]
    strides = tuple([s // y.dtype.itemsize for s in y.strides])
    if request.indices and outs[1].strides != tuple([s * INT64.itemsize for s in strides]):
        fail(request, ValueError("out must be two arrays of one memory layout (the same strides in elements) on a GPU"))
    call = prepared(request, view, strides, y.address % ALIGNMENT)
    if call.runs:
        where = outs[1] if request.indices else None
        if SIMULATED or view.device is None:
            launch(call, lib.stream(x, view), view, y, where)
        else:
            with on_device(view.device):
                launch(call, lib.stream(x, view), view, y, where)
    return out


def _views(lib: Library, x: Any, plan: Plan, out: Any) -> tuple[View, ...]:
    """`out` as memory, checked for type, shape and dtype."""
    if not lib.mutable:
        fail(plan.request, TypeError(f"out cannot be given for {type(x).__name__} arrays, which are immutable"))

    def seen(y: Any) -> Any:
        return lib.view(y) if isinstance(y, type(x)) else y

    viewed = tuple(seen(y) for y in out) if isinstance(out, tuple) else seen(out)
    return check_outs(plan, viewed, View)


def check_memory(plan: Plan, x: View, y: View) -> None:
    """`out` must be writeable, on x's device, each of its elements must exist once, and none may belong to x."""
    if y.device is not None and x.device is not None and y.device != x.device:
        fail(plan.request, ValueError(f"out must be on x's device {x.device}, got an array on device {y.device}"))
    if y.readonly:
        fail(plan.request, ValueError("out must be writeable, got a read-only array"))
    if 0 not in y.shape and any(s == 0 and n > 1 for n, s in zip(y.shape, y.strides, strict=True)):
        fail(plan.request, ValueError(f"out must not repeat elements, got strides {y.strides} for shape {y.shape}"))
    if loose(y):
        fail(plan.request, ValueError(unaligned("out", y)))
    if overlap(x, y):
        fail(plan.request, ValueError("out must not overlap x in memory"))


def overlap(x: View, y: View) -> bool:
    """Whether two arrays have a byte in common: exact within a bounded effort, cautious beyond. Addresses only."""
    if 0 in x.shape or 0 in y.shape:
        return False
    a, b = (np.asarray(_Holder(v.address, v.shape, v.strides, np.dtype(f"V{v.dtype.itemsize}"))) for v in (x, y))
    if not np.may_share_memory(a, b):
        return False
    try:
        return np.shares_memory(a, b, max_work=100_000)
    except np.exceptions.TooHardError:
        return True


@contextlib.contextmanager
def recorded() -> Iterator[list[str]]:
    """The names of the kernels that this thread's last call in the block ran."""
    names: list[str] = []
    _launched.call = None
    yield names
    names += _launched.call.kernel_names() if _launched.call else []


def kernel_name(function: str, x: Any, **arguments: Any) -> str:
    """The kernels that a public function runs for this array, as a profiler shows them; runs it once."""
    with recorded() as names:
        getattr(sys.modules["gpupool"], function)(x, **arguments)
    return " + ".join(names) or "no kernel"
