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

try:
    from gpupool.backends import cuda_launch
    from gpupool.backends.cuda_arrays import Library, View, library
    from gpupool.backends.cuda_choose import Places, payload, planned
    from gpupool.backends.cuda_launch import SIMULATED, current_device, on_device
except ImportError as error:
    raise RuntimeError(
        f'gpupool needs numba-cuda and cuda-core to pool device arrays ({error}): pip install "gpupool[cuda13]", '
        'or "gpupool[cuda12]" for a CUDA 12 driver'
    ) from error
from gpupool.geometry import contiguous_strides, out_order
from gpupool.plan import Plan, arrays_overlap, check_elements, check_outs, make_plan
from gpupool.reducer import Reducer, compiling
from gpupool.request import Request, fail

CACHED_CALLS = 1024  # prepared calls kept; when full, all are dropped
ALIGNMENT = 16  # bytes of the widest load

_calls: dict[tuple, Call] = {}


class _Watch(threading.local):
    """Where this thread's calls are noted, while somebody wants to know."""

    calls: list[Call] | None = None


_watch = _Watch()


class Call:
    """One kind of call, ready to run: everything but the arrays' addresses."""

    def __init__(self, request: Request, x: View, outs: tuple[View, ...], positions: bool) -> None:
        self.positions = positions  # y takes them, and there is nothing else
        self.plan = plan = make_plan(request, x.shape, x.dtype)
        self.device = x.device
        item = x.dtype.itemsize
        strides = tuple([s // item for s in x.strides])
        self.order = out_order(plan, strides)
        self.y_dtype = plan.where_dtype if positions else plan.out_dtype
        self.items = (item, self.y_dtype.itemsize, plan.where_dtype.itemsize)
        y_strides = contiguous_strides(plan.out_shape, self.order)
        if outs:
            y_strides = tuple([s // self.items[1] for s in outs[0].strides])
        phases = (x.address % ALIGNMENT, *(y.address % ALIGNMENT for y in outs))
        self.runs: list[tuple[Any, int, int, int]] = []
        self.x_bytes = self.y_bytes = (0, 0)
        if 0 not in plan.out_shape:
            with compiling(request):
                if SIMULATED and isinstance(request.op, Reducer):
                    request.op.verify()  # the simulator compiles nothing
                self._prepare(x, strides, y_strides, Places(*phases) if outs else Places(phases[0], 0))

    def _prepare(self, x: View, strides: tuple[int, ...], y_strides: tuple[int, ...], places: Places) -> None:
        found = planned(self.plan, strides, y_strides, places, positions=self.positions)
        spans, lows = (found.layout.x_span, found.layout.y_span), (found.x_low, found.y_low)
        # The bytes that are touched, from and to, relative to the elements (0, ..., 0).
        self.x_bytes, self.y_bytes = (
            (low * item, (low + span) * item) for low, span, item in zip(lows, spans, self.items, strict=False)
        )
        ready: dict[tuple, Any] = {}
        for launch, at_x, at_y in found.runs:
            key = (launch.kernel.key, launch.geometry, launch.walk, launch.units)
            if key not in ready:
                ready[key] = cuda_launch.prepared(launch, x.device)
            self.runs.append(
                (ready[key], *(at * item for at, item in zip((at_x, at_y, at_y), self.items, strict=True)))
            )

    def apart(self, x: int, y: int) -> bool:
        """Whether the memory from the lowest to the highest touched byte of arrays at these addresses is disjoint."""
        return x + self.x_bytes[1] <= y + self.y_bytes[0] or y + self.y_bytes[1] <= x + self.x_bytes[0]

    def __call__(self, stream: int, x: int, y: int, where: int | None) -> None:
        """Pool x into y, and the positions into `where`, all by their addresses; the call's device is current.

        `where` has y's strides in elements.
        """
        if _watch.calls is not None:
            _watch.calls.append(self)
        if SIMULATED:
            self._simulate(x, y, where)
            return
        for run, at_x, at_y, at_i in self.runs:
            run(stream, x + at_x, y + at_y, None if where is None else where + at_i)

    def _simulate(self, x: int, y: int, where: int | None) -> None:
        """Hand the simulator flat memory, and where in it each kernel's pointer points to."""
        plan, (_, y_item, i_item) = self.plan, self.items
        flat = [
            (flat_memory(x, self.x_bytes, plan.dtype), -self.x_bytes[0]),
            (flat_memory(y, self.y_bytes, self.y_dtype), -self.y_bytes[0]),
        ]
        if where is not None:
            touched = tuple(b // y_item * i_item for b in self.y_bytes)
            flat.append((flat_memory(where, touched, plan.where_dtype), -touched[0]))
        for run, *starts in self.runs:
            run([(a, (low + start) // a.itemsize) for (a, low), start in zip(flat, starts, strict=False)])

    def kernel_names(self) -> list[str]:
        """What a profiler shows for this call."""
        launches = [launch for run, *_ in self.runs for launch in (run.launch, run.launch.then) if launch is not None]
        return list(dict.fromkeys(launch.kernel.name for launch in launches))


def flat_memory(address: int, touched: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """A simulator array's memory, from the lowest to the highest touched byte, as kernels see it."""
    item = dtype.itemsize
    shape = ((touched[1] - touched[0]) // item,)
    return np.asarray(_Holder(address + touched[0], shape, (item,), np.dtype(payload(dtype))))


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
        f"{name} must have its elements at multiples of their size ({view.dtype.itemsize} bytes), got an array at "
        f"{view.address:#x} with strides {view.strides}: make a contiguous copy"
    )


def run(x: Any, request: Request, out: Any = None) -> Any:
    """Pool a device array into a new array of the same library, or into `out`."""
    lib = library(x)
    if not lib.mutable or request.indices:
        return _run_checked(lib, x, request, out)
    try:
        key, address = lib.key(x)
        if out is None:
            call = _calls.get((request, key, address % ALIGNMENT))
        else:
            y_key, y = lib.key(out) if type(out) is type(x) else (None, 0)
            call = _calls.get((request, key, address % ALIGNMENT, y_key, y % ALIGNMENT))
    except TypeError:  # a mask, a gradient, an unhashable argument: said in words below
        call = None
    if call is None or (out is not None and not call.apart(address, y)) or not is_current(call.device):
        return _run_checked(lib, x, request, out)
    if out is not None:
        call(lib.stream(x), address, y, None)
        return out
    plan = call.plan
    result = lib.empty(x, plan.out_shape, call.order, plan.out_dtype)
    call(lib.stream(x), address, lib.address(result), None)
    return result


def run_positions(x: Any, request: Request) -> Any:
    """The positions of the elements that windows choose, and nothing else, as an array of x's library."""
    lib = library(x)
    view = checked(request, lib, x)
    call = prepared(request, view, positions=True)
    with usable(view.device):
        where = lib.empty(x, call.plan.out_shape, call.order, call.plan.where_dtype)
        if call.runs:
            call(lib.stream(x), view.address, lib.address(where), None)
            lib.started([view])
        return lib.result(where)


def is_current(device: int | None) -> bool:
    """Whether kernels for this device can be started at once, and streams and allocators asked without switching."""
    return device is not None and (SIMULATED or current_device() == device)


def usable(device: int | None) -> contextlib.AbstractContextManager[None]:
    """Make a device current for a block; None for arrays without memory, which need none."""
    return contextlib.nullcontext() if SIMULATED or device is None else on_device(device)


def _run_checked(lib: Library, x: Any, request: Request, out: Any) -> Any:
    """The same with every check, for the first call of its kind and for whatever is not simple."""
    view = checked(request, lib, x)
    if out is not None:
        return _run_into(lib, x, view, request, out)
    call = prepared(request, view)
    plan = call.plan
    with usable(view.device):
        y = lib.empty(x, plan.out_shape, call.order, plan.out_dtype)
        where = lib.empty(x, plan.out_shape, call.order, plan.where_dtype) if request.indices else None
        if call.runs:
            call(lib.stream(x), view.address, lib.address(y), None if where is None else lib.address(where))
            lib.started([view])
        return lib.result(y) if where is None else (lib.result(y), lib.result(where))


def prepared(request: Request, x: View, *outs: View, positions: bool = False) -> Call:
    """The call for arrays like these, made once. With `positions`, those are all that it stores."""
    key: tuple = (request, *_seen(x))
    if outs or positions:
        key = (*key, *(part for y in outs for part in _seen(y)), *(("positions",) if positions else ()))
    try:
        call = _calls.get(key)
    except TypeError:  # an unhashable argument, which the plan refuses in words
        make_plan(request, x.shape, x.dtype)
        raise
    if call is None:
        with usable(x.device):
            call = Call(request, x, outs, positions)
        if len(_calls) >= CACHED_CALLS:
            _calls.clear()
        _calls[key] = call
    return call


def _seen(x: View) -> tuple[tuple, int]:
    """What a call depends on, as `Library.key` gives it, but for the address of which only the alignment counts."""
    return (x.shape, x.strides, x.dtype, x.device, x.readonly), x.address % ALIGNMENT


def _run_into(lib: Library, x: Any, view: View, request: Request, out: Any) -> Any:
    """Pool into the caller's array, or pair of arrays where positions are asked for."""
    plan = make_plan(request, view.shape, view.dtype)
    outs = _views(lib, x, plan, out)
    for y in outs:
        check_memory(request, {"x": view}, y)
    if request.indices and overlap(*outs):
        fail(request, ValueError("out must be two arrays that do not overlap in memory"))
    with usable(view.device):
        for call, addresses in _calls_into(request, view, outs):
            if call.runs:
                call(lib.stream(x), view.address, *addresses)
    return out


def _calls_into(request: Request, x: View, outs: tuple[View, ...]) -> list[tuple[Call, tuple[int, int | None]]]:
    """The calls that fill `out`: one, or one for each array where values and positions are laid out differently."""
    y, where = outs[0], outs[-1]
    if not request.indices:
        return [(prepared(request, x, y), (y.address, None))]
    if [s // where.dtype.itemsize for s in where.strides] == [s // y.dtype.itemsize for s in y.strides]:
        return [(prepared(request, x, y, where), (y.address, where.address))]
    values = prepared(request._replace(indices=False), x, y)
    return [(values, (y.address, None)), (prepared(request, x, where, positions=True), (where.address, None))]


def _views(lib: Library, x: Any, plan: Plan, out: Any) -> tuple[View, ...]:
    """`out` as memory, checked for type, shape and dtype."""
    if not lib.mutable:
        fail(plan.request, TypeError(f"out cannot be given for {type(x).__name__} arrays, which are immutable"))

    def seen(y: Any) -> Any:
        return lib.view(y) if isinstance(y, type(x)) else y

    viewed = tuple(seen(y) for y in out) if isinstance(out, tuple) else seen(out)
    return check_outs(plan, viewed, View)


def check_memory(request: Request, views: dict[str, View], out: View) -> None:
    """`out` must be writeable, on the same device, each of its elements must exist once, and none may be read too."""
    name, first = next(iter(views.items()))
    if out.device is not None and first.device is not None and out.device != first.device:
        where = f"on {name}'s device {first.device}"
        fail(request, ValueError(f"out must be {where}, got an array on device {out.device}"))
    check_elements(request, out, out.readonly)
    if loose(out):
        fail(request, ValueError(unaligned("out", out)))
    for name, view in views.items():
        if overlap(view, out):
            fail(request, ValueError(f"out must not overlap {name} in memory"))


def overlap(x: View, y: View) -> bool:
    """Whether two arrays have a byte in common: exact within a bounded effort, cautious beyond. Addresses only."""
    if 0 in x.shape or 0 in y.shape:
        return False
    a, b = (np.asarray(_Holder(v.address, v.shape, v.strides, np.dtype(f"V{v.dtype.itemsize}"))) for v in (x, y))
    return arrays_overlap(a, b)


@contextlib.contextmanager
def recorded() -> Iterator[list[str]]:
    """The names of the kernels that this thread's calls in the block ran, each once."""
    names: list[str] = []
    before, _watch.calls = _watch.calls, []
    try:
        yield names
        names += dict.fromkeys(name for call in _watch.calls for name in call.kernel_names())
    finally:
        _watch.calls = before


def kernel_name(function: str, x: Any, **arguments: Any) -> str:
    """The kernels that a public function runs for this array, as a profiler shows them; runs it once."""
    with recorded() as names:
        getattr(sys.modules["gpupool"], function)(x, **arguments)
    return " + ".join(names) or "no kernel"
