"""The machine code of every shipped kernel variant, without a GPU: registers, spills, instructions, widths of loads.

    python -m benchmarks.machine_code --cc 90 --out DIR

writes the cubins and DIR/report.json and prints a table. The variants are what gpupool itself chooses for the arrays in
`CASES` and `JOBS`; BUDGETS are asserted by the tests (tier ptx).
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.job_kernels import JOBS, JobCase, launched
from benchmarks.sass import Machine, divisions, doubles, machine
from gpupool.backends.cuda_choose import Launch, Places, outputs, planned
from gpupool.backends.cuda_jobs import Launched
from gpupool.backends.cuda_large_time import work_of
from gpupool.geometry import contiguous_strides, out_order
from gpupool.kernels.cuda.compile import Kernel, cubin, short
from gpupool.operators import DIVISORS, operator_of
from gpupool.plan import Plan, make_plan
from gpupool.request import Request


class Case(NamedTuple):
    """One call; shapes are (..., H, W), or (..., H, W, C) with layout "channels_last"."""

    op: Any
    window: Any
    stride: Any
    padding: Any = 0
    dtype: str = "float32"
    layout: str = "channels_first"
    shape: tuple[int, ...] = (32, 64, 112, 112)
    out_dtype: str | None = None
    indices: bool | str = False  # True, or "offsets"
    positions: bool = False  # those alone, as where values and positions are laid out differently
    odd: bool = False  # a view that is not aligned for vectors
    nan_policy: str = "propagate"
    options: tuple = ()
    dilation: int = 1
    output_size: Any = None  # of adaptive pooling


NHWC = (32, 112, 112, 64)
IMAGE = (1, 2160, 3840, 3)
WHOLE = (64, 256, 56, 56)
ODD = (32, 64, 113, 113)
ALL_TYPES = (
    "bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64",
    "float16", "bfloat16", "float32", "float64",
)  # fmt: skip


def _cases() -> tuple[Case, ...]:
    rows = [Case(op, 2, 2, dtype=t) for op in ("max", "avg") for t in ALL_TYPES]
    for op in ("max", "avg"):
        for t in ("float32", "float16", "uint8"):
            rows += [Case(op, 3, 2, 1, t), Case(op, 2, 2, 0, t, "channels_last", NHWC)]
            rows += [Case(op, None, None, 0, t, shape=WHOLE)]
        rows += [Case(op, 3, 1, 1), Case(op, 3, 2, 1, "float32", "channels_last", NHWC)]
        rows += [Case(op, 4, 4), Case(op, 8, 8), Case(op, 5, 1, 2)]
        rows += [Case(op, (2, 2, 2), (2, 2, 2), shape=(2, 32, 32, 64, 64))]
        rows += [Case(op, (3, 3, 3), (2, 2, 2), 1, shape=(2, 32, 32, 64, 64))]
        rows += [
            Case(op, 13, 1, 6, shape=(16, 256, 20, 20)),
            Case(op, 31, 1, 15, "uint8"),
            Case(op, None, None, shape=(64, 2048, 7, 7)),
        ]
        rows += [Case(op, None, None, 0, "float32", "channels_last", (64, 56, 56, 256))]
    rows += [Case("max", 3, 2, 0), Case("max", 2, 1), Case("max", 3, 3), Case("max", (3,), (3,), shape=(32, 80, 4096))]
    rows += [Case("max", 3, 1, 1, "float16"), Case("max", 3, 2, 1, "float16", "channels_last", NHWC)]
    rows += [Case(op, 3, 1, 1, t, shape=ODD) for op, t in (("max", "float32"), ("max", "uint8"), ("avg", "float32"))]
    rows += [Case("max", 2, 2, 0, t, shape=ODD) for t in ("float32", "uint8")] + [Case("max", 2, 2, odd=True)]
    rows += [Case("max", 13, 1, 6, "float16"), Case("max", 13, 1, 6, "float32", "channels_last", NHWC)]
    rows += [
        Case("max", 16, 16),
        Case("max", 61, 1, 30, shape=(16, 64, 224, 224)),
        Case("max", (9, 9, 9), 1, 4, shape=(2, 8, 64, 64, 64)),
    ]
    rows += [Case("max", 5, 1, 6, dilation=3), Case("max", (31,), 1, 15, shape=(32, 80, 4096))]
    rows += [Case("max", k, 2, p, t, indices=True) for k, p in ((2, 0), (3, 1)) for t in ("float32", "float16")]
    rows += [
        Case("max", 3, 1, 1, "uint8", indices=True),
        Case("max", 3, 2, 2, indices=True, dilation=2),
        Case("max", 2, 2, positions=True),
        Case("max", 3, 2, 2, dilation=2, positions=True),
    ]
    rows += _offsets()
    rows += [
        Case(op, None, None, dtype=t, output_size=size, shape=shape, indices=i)
        for size, shape in ((7, (64, 256, 40, 40)), (50, (16, 64, 112, 112)))
        for op, t, i in (
            ("max", "float32", False),
            ("max", "float32", True),
            ("max", "float16", False),
            ("avg", "float32", False),
            ("avg", "float16", False),
            ("avg", "uint8", False),
        )
    ]
    rows += [
        Case("max", None, None, output_size=(2**16 + 1,), shape=(3 * 2**17,)),
        Case("max", None, None, output_size=50, shape=(16, 64, 112, 112), indices=True, positions=True),
    ]
    rows += [Case("avg", 2, 2, dtype="uint8", out_dtype="uint8"), Case("avg", 2, 2, dtype="float32", out_dtype="uint8")]
    rows += [
        Case("avg", 2, 2, 1, "float32"),
        Case("max", 2, 2, shape=(33, 64, 1024, 1024)),
        Case("max", 2, 2, shape=(3 * 2**31,)),
        Case("avg", None, None, 0, "uint8", shape=(1, 2**16, 2**16 + 16)),
        Case("avg", None, None, 0, "float64", shape=WHOLE),
        Case("avg", 13, 1, 6, "float64"),
        Case("avg", 13, 1, 6, "int64"),
        Case("avg", 2, 2, dtype="int64", out_dtype="int64"),
        Case("avg", 2, 2, 0, "int64", "channels_last", NHWC),
    ]
    return (*rows, *_last())


def _last() -> list[Case]:
    """Channels last: strips of outputs, positions, images with few channels, whole planes."""
    last: dict[str, Any] = {"layout": "channels_last"}
    rows = []
    for shape, window, indices in product(((32, 28, 28, 192), (16, 20, 20, 256)), (3, 5), (False, True)):
        rows.append(Case("max", window, 1, window // 2, shape=shape, indices=indices, **last))
    for i, t in ((True, "float32"), (True, "float16"), ("offsets", "float32"), ("offsets", "uint8")):
        rows.append(Case("max", 2, 2, 0, t, shape=NHWC, indices=i, **last))
    for op in ("max", "avg"):
        rows += [Case(op, 2, 2, 0, t, shape=IMAGE, **last) for t in ("float32", "float16", "uint8")]
        rows += [Case(op, 3, 1, 1, "float32", shape=IMAGE, **last)]
    rows += [Case("max", 3, 1, 1, "uint8", shape=IMAGE, **last)]
    rows += [Case(op, 3, 2, 1, shape=NHWC, indices=True, **last) for op in ("max", "min")]
    rows += [Case("max", (3, 3, 3), (2, 2, 2), 1, shape=(2, 32, 64, 64, 32), indices=True, **last)]
    rows += [Case("avg", 3, 1, 1, shape=(8, 35, 35, 128), **last)]
    rows += [Case("avg", 2, 2, 0, "uint8", shape=IMAGE, out_dtype="uint8", **last)]
    for op, t in product(("avg", "max"), ("float32", "float16", "uint8", "float64")):
        rows.append(Case(op, None, None, 0, t, shape=(32, 56, 56, 512), **last))
    rows += [Case("avg", None, None, shape=shape, **last) for shape in ((64, 7, 7, 2048), IMAGE, (1, 4096, 4096, 8))]
    return [*rows, Case("avg", None, None, 0, shape=(64, 56, 56, 256), nan_policy="omit", **last)]


def _offsets() -> list[Case]:
    """Numbers of taps in place of positions: of one byte and of two, in a tile, by the point kernel, those alone."""
    given: dict[str, Any] = {"indices": "offsets"}
    rows = [Case("max", k, 2, p, t, **given) for k, p, t in ((2, 0, "float32"), (2, 0, "uint8"), (3, 1, "float32"))]
    rows += [Case("max", 3, 2, 1, "float16", **given)]
    rows += [Case("max", 3, 1, 1, **given), Case("min", 3, 2, 1, **given), Case("max", 17, 2, 8, **given)]
    rows += [Case("max", 3, 2, 2, dilation=2, **given), Case("max", 3, 2, 1, nan_policy="omit", **given)]
    rows += [
        Case("max", 3, 2, 1, "float32", "channels_last", NHWC, **given),
        Case("max", 2, 2, positions=True, **given),
        Case("max", 3, 2, 1, "float32", "channels_last", NHWC, positions=True, **given),
        Case("max", 3, 1, 1, "float16", "channels_last", NHWC, positions=True, **given),
    ]
    return [*rows, Case("max", (3, 3, 3), (2, 2, 2), 1, shape=(2, 32, 32, 64, 64), **given)]


def _more_operators() -> tuple[Case, ...]:
    """The operators beside max and avg: a tile, an edge, channels last, whole planes, any window; NaN omitted."""
    rows = []
    given: dict[str, tuple] = {"lp": (2.0,)}
    for op, t in product(("min", "sum", "lp"), ("float32", "float16", "uint8")):
        more: dict[str, Any] = {"options": given.get(op, ())}
        rows += [Case(op, 3, 2, 1, t, **more), Case(op, None, None, 0, t, shape=WHOLE, **more)]
    for op in ("min", "sum", "lp"):
        more = {"options": given.get(op, ())}
        rows += [Case(op, 2, 2, **more), Case(op, 2, 2, 0, "float32", "channels_last", NHWC, **more)]
        rows += [Case(op, 13, 1, 6, t, **more) for t in ("float32", "float16")]
    for p, t in product((1.0, 3.0, float("inf")), ("float32", "float64")):
        rows += [Case("lp", 3, 2, 1, t, options=(p,)), Case("lp", None, None, 0, t, shape=WHOLE, options=(p,))]
    for window, more in ((3, {}), (13, {}), (2, {"layout": "channels_last", "shape": NHWC}), (None, {"shape": WHOLE})):
        rows.append(Case("lp", window, None if window is None else 2, dtype="float16", options=(100.0,), **more))
    for op, t in product(("sum", "min"), ("int8", "int64", "uint64", "bfloat16", "float64")):
        rows += [Case(op, 2, 2, dtype=t), Case(op, None, None, dtype=t, shape=WHOLE)]
    rows += [Case(op, 2, 2, dtype=t) for op in ("any", "all") for t in ("bool", "float32")]
    for op, t in product(("max", "min", "avg", "sum"), ("float32", "float16")):
        rows += [Case(op, 3, 2, 1, t, nan_policy="omit"), Case(op, None, None, 0, t, shape=WHOLE, nan_policy="omit")]
    for t, acc in (("float32", None), ("float16", "float32"), ("float64", None)):
        more = {"out_dtype": acc, "nan_policy": "omit"}
        rows += [Case(DIVISORS, 3, 2, 1, t, **more), Case(DIVISORS, None, None, 0, t, shape=WHOLE, **more)]
    rows += [Case(op, 3, 2, 1, indices=True, nan_policy=n) for op in ("max", "min") for n in ("propagate", "omit")]
    for t in ("float32", "float16", "uint8", "int64"):
        rows += [
            Case("median", 3, 1, 1, t),
            Case("mode", 3, 2, 0, t, options=(None,)),
            Case("mode", 5, 5, 0, t, options=(0,)),
        ]
    rows += [Case("sum", 3, 2, 1, "int16", out_dtype="uint8"), Case("sum", 9, 1, 4, "float32")]
    return tuple(rows)


CASES = _cases() + _more_operators()


# 132 multiprocessors start 4 instructions of 32 threads a cycle at 1.98 GHz; copies run at 4.3 TB/s, reads and writes.
INSTRUCTIONS_PER_BYTE = 132 * 4 * 32 * 1.98e9 / 4.3e12


class Budget(NamedTuple):
    """A limit on the instructions per output of the variant for a case at sm_90, with loads at least this wide.

    All are below `time_for`, at which a kernel would be as long about its instructions as about its memory.
    """

    case: Case
    instructions: float
    load_bits: int = 128


BUDGETS = (
    Budget(Case("max", 2, 2), 28),
    Budget(Case("avg", 2, 2), 23),
    Budget(Case("max", 2, 2, dtype="float16"), 23),
    Budget(Case("avg", 2, 2, dtype="float16"), 18),
    Budget(Case("max", 2, 2, dtype="uint8"), 16),
    Budget(Case("avg", 2, 2, dtype="uint8"), 15),
    Budget(Case("max", 3, 2, 1), 47),
    Budget(Case("max", 3, 2, 1, "float16"), 43),
    Budget(Case("avg", 3, 2, 1), 107),
    Budget(Case("max", 3, 1, 1), 22),
    Budget(Case("max", 3, 1, 1, "float16"), 24),
    Budget(Case("max", 3, 1, 1, shape=ODD), 47, 32),
    Budget(Case("max", 2, 2, 0, "uint8", shape=ODD), 29, 8),
    Budget(Case("sum", 3, 2, 1, "float16", shape=ODD), 76, 16),
    Budget(Case("max", (3,), (3,), 0, "float16", shape=(32, 80, 4096)), 31, 16),
    Budget(Case("max", (3,), (2,), 0, "float32", shape=(64, 128, 8000)), 24, 64),
    Budget(Case("max", 2, 2, indices=True), 43),
    Budget(Case("max", 3, 2, 1, indices=True), 100),
    Budget(Case("max", 2, 2, indices="offsets"), 38),
    Budget(Case("max", 3, 2, 1, indices="offsets"), 84),
    Budget(Case("max", 3, 2, 1, indices="offsets", positions=True), 81),
    Budget(Case("max", 2, 2, 0, "float32", "channels_last", NHWC), 30),
    Budget(Case("max", 2, 2, 0, "float16", "channels_last", NHWC), 25),
    Budget(Case("max", 2, 2, 0, "uint8", "channels_last", NHWC), 16),
    Budget(Case("avg", 2, 2, 0, "float32", "channels_last", NHWC), 26),
    Budget(Case("max", 3, 2, 1, "float32", "channels_last", NHWC), 41),
    Budget(Case("max", 3, 2, 1, "float16", "channels_last", NHWC), 40),
    Budget(Case("max", 3, 1, 1, "float32", "channels_last", (32, 28, 28, 192)), 20),
    Budget(Case("max", 5, 1, 2, "float32", "channels_last", (16, 20, 20, 256)), 33),
    Budget(Case("max", 2, 2, 0, "float32", "channels_last", NHWC, indices=True), 60, 64),
    Budget(Case("max", 3, 2, 1, "float32", "channels_last", NHWC, indices=True), 78, 64),
    Budget(Case("max", 3, 1, 1, "float32", "channels_last", (32, 28, 28, 192), indices=True), 38, 64),
    Budget(Case("max", 2, 2, 0, "uint8", "channels_last", IMAGE), 15),
    Budget(Case("avg", 2, 2, 0, "uint8", "channels_last", IMAGE, "uint8"), 21),
    Budget(Case("max", 2, 2, 0, "float32", "channels_last", IMAGE), 21),
)


def plan_of(case: Case) -> Plan:
    """The plan of a case's call."""
    spatial = None if len(case.shape) == 1 else len(case.window) if isinstance(case.window, tuple) else 2
    request = Request(
        "machine_code", case.op, case.window, case.stride, case.padding, case.dilation, dtype=case.out_dtype,
        indices=case.indices or case.positions, spatial=spatial, data_format=case.layout,
        output_size=case.output_size, nan_policy=case.nan_policy, options=case.options,
    )  # fmt: skip
    if case.dtype == "bfloat16":
        import ml_dtypes

        dtype = np.dtype(ml_dtypes.bfloat16)
    else:
        dtype = np.dtype(case.dtype)
    return make_plan(request, case.shape, dtype)


def time_for(case: Case) -> float:
    """Instructions per output that an H200 has time for while it moves the input and the results once."""
    plan = plan_of(case)
    results = math.prod(plan.out_shape)
    written = 0 if case.positions else plan.out_dtype.itemsize
    written += plan.where_dtype.itemsize if plan.request.indices else 0
    return INSTRUCTIONS_PER_BYTE * (math.prod(case.shape) * plan.dtype.itemsize / results + written)


def launches_of(case: Case) -> list[Launch]:
    """What gpupool would launch for a case, or for the first of its parts."""
    plan = plan_of(case)
    dtype = plan.dtype
    pitch = (*case.shape[:-1], case.shape[-1] + case.odd)
    strides = contiguous_strides(pitch, tuple(range(len(pitch))))
    y_strides = contiguous_strides(plan.out_shape, out_order(plan, strides))
    places = Places(dtype.itemsize * case.odd, 0)
    first = planned(plan, strides, y_strides, places, positions=case.positions).runs[0][0]
    return [first] if first.then is None else [first, first.then]


def launch_of(case: Case) -> Launch:
    """The launch that reads a case's input."""
    return launches_of(case)[0]


def outputs_per_thread(launch: Launch) -> float:
    """Outputs that one thread computes; a fraction where several threads share one."""
    constants = dict(launch.kernel.constants)
    name = launch.kernel.engine.__name__
    if name.startswith(("tile", "last", "pixels")):
        return constants["TILE"]
    if name in ("large", "planes"):
        return outputs(launch.geometry) / (launch.grid * launch.block)
    return constants.get("CHANNELS", 1) / constants["SLOTS"] if name.startswith("plane") else 1


def executed(launch: Launch, m: Machine) -> int:
    """Instructions that a thread executes at most: loops over a constant number of rows or taps count each round.

    Loops of the plane and point kernels have no constant length and count once. The large kernel's count as in the
    formula that chooses its tile, whose numbers are fitted to measurements.
    """
    constants = dict(launch.kernel.constants)
    if launch.kernel.engine.__name__ == "large":
        return round(work_of(launch.geometry, constants))
    rounds = 1
    if launch.kernel.engine.__name__.startswith("tile"):
        rounds = constants["KD"]
    elif launch.kernel.engine.__name__.startswith("last"):
        rounds = constants["KD"] * constants["KH"] - 1  # the first row is outside the loop
    return m.instructions + (rounds - 1) * sum(m.loops)


def row(case: Case, launch: Launch, cc: int, folder: Path | None) -> tuple[dict[str, Any], Machine]:
    """One line of the report, and the machine code that it describes."""
    about = {
        "op": operator_of(case.op).name, "window": case.window, "stride": case.stride, "padding": case.padding,
        "dilation": case.dilation, "dtype": case.dtype, "layout": case.layout, "time_for": round(time_for(case), 1),
    }  # fmt: skip
    return line(about, launch.kernel, outputs_per_thread(launch), lambda m: executed(launch, m), cc, folder)


def job_row(case: JobCase, one: Launched, cc: int, folder: Path | None) -> tuple[dict[str, Any], Machine]:
    """The same of a kernel with several operands, which computes one element or a strip; its loops count once."""
    about = {
        "op": case.kind, "window": case.window, "stride": 2, "padding": 1 if case.window == 3 else 0,
        "dilation": dict(case.options).get("dilation", 1), "dtype": case.dtype, "layout": "channels_first",
    }  # fmt: skip
    strip = dict(one.kernel.constants).get("TILE", 1)
    return line(about, one.kernel, strip, lambda m: m.instructions, cc, folder)


def line(
    about: dict[str, Any], kernel: Kernel, per_thread: float, count: Callable[[Machine], int], cc: int,
    folder: Path | None,
) -> tuple[dict[str, Any], Machine]:  # fmt: skip
    """What a call is, and what is found in its kernel's machine code; the cubin is written to the folder."""
    code = cubin(kernel, divmod(cc, 10))
    m = machine(code, kernel.name)
    file = f"{kernel.name}.sm_{cc}.cubin"
    if folder is not None:
        (folder / file).write_bytes(code)
    spills = m.frame_bytes + sum(n for o, n in m.opcodes.items() if o.startswith(("LDL", "STL")))
    return about | {
        "variant": kernel.name, "cc": cc,
        "registers": m.registers, "spill_bytes": spills, "instructions": m.instructions,
        "outputs_per_thread": per_thread, "executed": count(m),
        "executed_per_output": round(count(m) / per_thread, 1), "loops": len(m.loops),
        "widest_load_bits": m.widest_load_bits, "widest_store_bits": m.widest_store_bits,
        "float64_instructions": len(doubles(m)), "divisions_64": len(divisions(m)),
        "stored": short(kernel.y_type, kernel.y_codec),
        "cubin": file,
    }, m  # fmt: skip


def printed(r: dict[str, Any]) -> str:
    """A line of the table."""
    return (
        f"{r['variant']:<62} {r['registers']:>4} {r['spill_bytes']:>5} {r['instructions']:>5} "
        f"{r['outputs_per_thread']:>7.3g} {r['executed_per_output']:>7} {r['widest_load_bits']:>4} "
        f"{r['widest_store_bits']:>5} {r.get('time_for', '-'):>7}"
    )


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.machine_code", description=__doc__.split("\n")[0])
    parser.add_argument("--cc", type=int, default=90, help="compute capability, for example 90")
    parser.add_argument("--out", type=Path, required=True, help="folder for the cubins and report.json")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    titles = (
        ("regs", 4),
        ("spill", 5),
        ("instr", 5),
        ("out/thr", 7),
        ("per out", 7),
        ("load", 4),
        ("store", 5),
        ("time", 7),
    )
    print(f"{'variant':<62} " + " ".join(f"{title:>{wide}}" for title, wide in titles))
    makers: dict[str, Callable[[], tuple[dict[str, Any], Machine]]] = {}
    for case in CASES:
        for launch in launches_of(case):
            makers.setdefault(launch.kernel.name, partial(row, case, launch, options.cc, options.out))
    for job in JOBS:
        for one in launched(job):
            makers.setdefault(one.kernel.name, partial(job_row, job, one, options.cc, options.out))
    for make in makers.values():
        rows.append(make()[0])
        print(printed(rows[-1]), flush=True)
    (options.out / "report.json").write_text(json.dumps(rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
