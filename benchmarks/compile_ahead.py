"""Compile, on all processor cores, the kernels that the GPU tests and benchmarks will load from the cache on disk.

    python -m benchmarks.compile_ahead [--torch]

With --torch also what torch.compile makes of the benchmark's rows, where PyTorch sees a GPU: its cache is on disk, too.

A kernel takes one to several seconds to compile, and the tests alone run some hundreds of them, one after another.
Which those are is found by making the same calls on arrays that look like CuPy's, with nothing behind them.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np

import gpupool
from benchmarks.cases import Case, select
from benchmarks.gpu_backward import backward_calls
from benchmarks.host_cost import FakeArray, no_gpu_needed
from benchmarks.machine import ROOT
from benchmarks.short_run import short_cases
from gpupool.device import probe_driver
from gpupool.kernels.cuda.compile import Kernel, cubin

TORCH_JOBS = 12  # each has a context of half a GB on the GPU
X, OUT = 1 << 44, 1 << 46  # where the arrays would be: apart, and aligned as every library's allocator does it


def benchmark_calls() -> Iterator[Callable[[], Any]]:
    """The calls of the benchmarks' rows, which have an `out`, and of the short run, which have none."""

    def call(case: Case, **out: Any) -> Callable[[], Any]:
        x = FakeArray(case.in_layout(case.shape), case.dtype, X)
        return lambda: getattr(gpupool, case.function)(x, **case.kwargs, **out)

    for case in select("cuda"):
        shape = case.in_layout(case.out_shape)
        out: Any = FakeArray(shape, case.result_dtype, OUT)
        yield call(case, out=(out, FakeArray(shape, "int64", 2 * OUT)) if case.indices else out)
    for case in short_cases():
        yield call(case)
    addresses = itertools.count(OUT, OUT)
    yield from backward_calls(lambda shape, dtype: FakeArray(shape, dtype, next(addresses)))


def laid_out(layout: Any, address: int) -> FakeArray:
    """An array with the strides of one of the tests' memory layouts."""
    view = layout.view()
    offset = view.__array_interface__["data"][0] - layout.base.__array_interface__["data"][0]
    array = FakeArray(view.shape, view.dtype, address + offset)
    array.strides = view.strides
    return array


def table_calls() -> Iterator[Callable[[], Any]]:
    """The calls of the tests' table."""
    sys.path.insert(0, str(ROOT / "tests"))
    cases, layouts, reference = (importlib.import_module(name) for name in ("cases", "layouts", "reference"))
    for case in cases.CASES:
        values = case.input()
        arguments = case.arguments
        if case.out:
            answer = reference.call(case.function, values, **arguments).values
            arguments["out"] = laid_out(layouts.build(np.zeros_like(answer), case.out), OUT)
        x = laid_out(layouts.build(values, case.layout), X)
        yield lambda case=case, x=x, arguments=arguments: getattr(gpupool, case.function)(x, **arguments)  # type: ignore


def kernels_of(calls: Iterator[Callable[[], Any]]) -> list[Kernel]:
    """Every kernel that these calls would load."""
    found: dict[tuple, Kernel] = {}
    with no_gpu_needed(load=lambda kernel, _: bool(found.setdefault(kernel.key, kernel))):
        for call in calls:
            call()
    return list(found.values())


def compiled(kernel: Kernel, cc: tuple[int, int]) -> float:
    """Seconds that it took to have a kernel's machine code in the cache."""
    start = time.perf_counter()
    cubin(kernel, cc)
    return time.perf_counter() - start


def torch_compiled(case: Case) -> str:
    """Have torch.compile's kernels for a row in its cache; what went wrong, if anything."""
    try:
        import torch

        from benchmarks.gpu_peers import torch_function
        from benchmarks.peers import torch_view

        torch.set_grad_enabled(False)
        x = torch.zeros(case.in_layout(case.shape), dtype=getattr(torch, case.dtype), device="cuda")
        torch.compiler.reset()
        torch.compile(torch_function(case), dynamic=False, fullgraph=True)(torch_view(case, x))
        torch.cuda.synchronize()
    except Exception as error:  # a peer's own exception types: one row's failure must not cost the others
        return f"{case.id}: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    return ""


def compile_torch(jobs: int) -> None:
    """torch.compile of every row, in processes of their own; prints how it went and never fails."""
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"  # the processes are enough
    cases, start = select("cuda"), time.perf_counter()
    with ProcessPoolExecutor(min(jobs, TORCH_JOBS), multiprocessing.get_context("spawn")) as pool:
        problems = [text for text in pool.map(torch_compiled, cases) if text]
    print("\n".join(f"torch.compile: {text}" for text in problems))
    print(f"torch.compile: {len(cases) - len(problems)} of {len(cases)} rows in {time.perf_counter() - start:.1f} s")


def capability(text: str | None) -> tuple[int, int]:
    """The compute capability to compile for: "90", or this machine's first GPU's."""
    if text is not None:
        return int(text[:-1]), int(text[-1])
    driver = probe_driver()
    if not driver.gpus:
        raise SystemExit(f"benchmarks.compile_ahead: {driver.problem}; --cc 90 compiles for a GPU that is not here")
    return driver.gpus[0].capability


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compile_ahead", description=__doc__.split("\n")[0])
    parser.add_argument("--cc", help="compute capability, for example 90; default: the GPU's that is here")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: every core)")
    parser.add_argument("--torch", action="store_true", help="also what torch.compile makes of the benchmark's rows")
    parser.add_argument("--list", action="store_true", help="only print the kernels' names")
    options = parser.parse_args(arguments)
    kernels = kernels_of(benchmark_calls())
    known = {kernel.key for kernel in kernels}
    kernels += [kernel for kernel in kernels_of(table_calls()) if kernel.key not in known]
    if options.list:
        print("\n".join(sorted(kernel.name for kernel in kernels)))
        return 0
    cc, start = capability(options.cc), time.perf_counter()
    with ProcessPoolExecutor(options.jobs, multiprocessing.get_context("fork")) as pool:
        seconds = list(pool.map(compiled, kernels, [cc] * len(kernels), chunksize=4))
    print(
        f"{len(kernels)} kernels for sm_{cc[0]}{cc[1]} in {time.perf_counter() - start:.1f} s with {options.jobs} "
        f"processes, {sum(seconds):.0f} s of compiling",
        flush=True,
    )
    if options.torch:
        compile_torch(options.jobs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
