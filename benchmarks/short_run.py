"""A short run on the GPU for compute-sanitizer and ncu: gpupool's kernels alone, no timing and no peers.

Without arguments: every operator over awkward sizes, dtypes and layouts, each result compared with the CPU engine's.
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

from benchmarks.cases import CASES, Case
from benchmarks.gpu_peers import gpupool_cuda, random_device_array
from benchmarks.gpu_rows import Gpu, NoGpu
from benchmarks.timing import random_array

DTYPES = ("float32", "float64", "float16", "uint8", "int16", "int32")
# Odd widths, tails of every vector length, one plane and many, windows within and across the edges.
SHAPES = [(1, 1, 7, 9), (2, 3, 16, 17), (3, 5, 33, 64), (1, 70, 12, 12)]
WINDOWS = [(2, 2, 0), (3, 2, 1), (3, 1, 1), (5, 1, 2)]


def short_cases() -> Iterator[Case]:
    """Small cases that reach every kind of kernel."""
    for shape, dtype, layout in product(SHAPES, DTYPES, ("channels_first", "channels_last")):
        for op, (window, stride, padding) in product(("max", "avg"), WINDOWS):
            yield Case(op, shape, window, stride, padding, dtype, layout)
        yield Case("global_avg", shape, dtype=dtype, layout=layout)
        yield Case("global_max", shape, dtype=dtype, layout=layout)
    yield Case("global_avg", (1, 2, 200, 201))
    yield Case("max", (2, 2, 129), 3, 2)
    yield Case("avg", (1, 2, 6, 7, 9), 2, 2)


def agrees(gpu: Gpu, case: Case, rng: np.random.Generator) -> bool:
    """Whether the GPU gives what the CPU gives: the same bits, or the same mean within two roundings each."""
    import gpupool

    host = random_array(rng, case.in_layout(case.shape), case.dtype)
    function = getattr(gpupool, case.function)
    ours = gpu.cupy.asnumpy(function(gpu.cupy.asarray(host), **case.kwargs))
    theirs = function(host, **case.kwargs)
    if ours.dtype != theirs.dtype or ours.shape != theirs.shape:
        return False
    if not case.is_average or "int" in case.dtype:
        return bool(np.array_equal(ours, theirs))
    return bool(np.allclose(ours, theirs, rtol=4 * np.finfo(ours.dtype).eps, atol=4 * np.finfo(ours.dtype).eps))


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
    wrong = [case.id for case in short_cases() if not agrees(gpu, case, rng)]
    print("\n".join([*(f"WRONG {name}" for name in wrong), f"{len(wrong)} of {len(list(short_cases()))} cases differ"]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
