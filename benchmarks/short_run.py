"""A short run on the GPU for compute-sanitizer and ncu: gpupool's kernels alone, no timing and no peers.

Without arguments: every operator over awkward sizes, dtypes and layouts, each result compared with an exact one.
With --slowest RESULTS.json: a few calls of the row that is furthest from copy speed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import check
from benchmarks.cases import CASES, Case
from benchmarks.gpu_peers import gpupool_cuda, random_device_array
from benchmarks.gpu_rows import Gpu, NoGpu
from benchmarks.timing import random_array

OTHER_DTYPES = ("float64", "float16", "uint8", "int16", "int32", "uint64")
# Odd widths, tails of every vector length, one plane and many, windows within and across the edges.
SHAPES = [(1, 1, 7, 9), (2, 3, 16, 17), (3, 5, 33, 64), (1, 70, 12, 12)]
WINDOWS = [(2, 2, 0), (3, 2, 1), (3, 1, 1), (5, 1, 2)]


def short_cases() -> Iterator[Case]:
    """Small cases that reach every kind of kernel; few enough to be compiled and checked under compute-sanitizer."""
    for shape, layout in product(SHAPES, ("channels_first", "channels_last")):
        for op, (window, stride, padding) in product(("max", "avg"), WINDOWS):
            yield Case(op, shape, window, stride, padding, layout=layout)
        yield Case("global_avg", shape, layout=layout)
        yield Case("global_max", shape, layout=layout)
    for dtype in OTHER_DTYPES:
        yield Case("max", SHAPES[1], 3, 2, 1, dtype)
        if dtype != "uint64":  # the checks are in float64, which cannot hold its means
            yield Case("avg", SHAPES[1], 2, 2, dtype=dtype)
    yield Case("global_avg", (1, 2, 200, 201))
    for layout in ("channels_first", "channels_last"):
        for op in ("max", "avg"):
            yield Case(op, (2, 5, 40, 52), 13, 1, 6, layout=layout)
            yield Case(op, (2, 5, 64, 70), 16, 16, layout=layout)
    yield Case("max", (1, 2, 40, 52), 31, 2, 15, "uint8")
    yield Case("max", (1, 2, 9, 20, 24), 9, 1, 4)
    yield Case("max", (2, 2, 129), 3, 2)
    yield Case("avg", (1, 2, 6, 7, 9), 2, 2)


def run_checked(gpu: Gpu, case: Case, rng: np.random.Generator) -> str:
    """What is wrong with gpupool's result, empty if nothing is."""
    import gpupool

    host = random_array(rng, case.in_layout(case.shape), case.dtype)
    try:
        result = gpu.cupy.asnumpy(getattr(gpupool, case.function)(gpu.cupy.asarray(host), **case.kwargs))
        check.check_gpupool(case, check.channels_first(case, host)[check.checked_planes(case)], result)
    except Exception as error:  # one broken case must not hide the others
        return f"{type(error).__name__}: {error}"
    return ""


def slowest_case(results: dict[str, Any]) -> Case:
    """The measured row that moves most slowly compared with a copy."""
    known = {case.id: case for case in CASES}
    rows = [row for row in results["rows"] if row["gpupool_us"] and row["copy_us"] and row["case"] in known]
    if not rows:
        raise ValueError("the results have no measured row")
    return known[max(rows, key=lambda row: row["gpupool_us"] / row["copy_us"])["case"]]


def main(argv: Sequence[str] | None = None) -> int:
    """0 if every result agreed."""
    p = argparse.ArgumentParser(prog="python -m benchmarks.short_run", description=__doc__)
    p.add_argument("--slowest", type=Path, metavar="JSON", help="run the slowest row of these results")
    args = p.parse_args(argv)
    try:
        gpu = Gpu.find()
    except NoGpu as error:
        print(f"benchmarks.short_run: {error}", file=sys.stderr)
        return 2
    if args.slowest is not None:
        case = slowest_case(json.loads(args.slowest.read_text()))
        x = random_device_array(gpu.cupy, case.in_layout(case.shape), case.dtype)
        contender = gpupool_cuda(gpu.cupy, case, [x])
        for _ in range(3):
            contender.call(0)
        gpu.cupy.cuda.Device().synchronize()
        print(f"ran {case.id}")
        return 0
    rng = np.random.default_rng(1)
    wrong = [(case.id, problem) for case in short_cases() if (problem := run_checked(gpu, case, rng))]
    for name, problem in wrong:
        print(f"WRONG {name}: {problem}")
    print(f"{len(list(short_cases()))} cases, {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
