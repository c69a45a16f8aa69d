"""Gradients on the GPU beside PyTorch's and beside a copy: `python -m benchmarks.gpu_backward`.

Kernel time, as benchmarks.run --device cuda takes it. The copy moves what a gradient must: x where its values matter,
the gradient that is given, the one that results. PyTorch's gradient of a maximum starts from indices that its forward
saved.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import machine
from benchmarks.backward_cases import GPU_CASES, Case, torch_operator
from benchmarks.cpu_rows import reason
from benchmarks.gpu_peers import copies, random_device_array
from benchmarks.gpu_rows import Gpu, NoGpu
from benchmarks.gpu_timing import MAX_CALLS, l2_bytes
from benchmarks.timing import Contender, buffer_sets

CLOSE = {"float32": 1e-5, "float16": 4e-3}  # of the largest gradient


class Row(NamedTuple):
    """Microseconds of one gradient, and how far it is from PyTorch's."""

    case: str
    dtype: str
    bytes: int
    gpupool_us: float | None = None
    torch_us: float | None = None
    copy_us: float | None = None
    difference: float | None = None
    forms: dict[str, str] | None = None
    problem: str = ""


def gpu_cases() -> list[tuple[Case, str]]:
    """The rows: halves, too, for the common ones. No unpooling, whose check of the indices waits."""
    return [(case, "float32") for case in GPU_CASES] + [(case, "float16") for case in GPU_CASES[:6]]


def out_shape(case: Case) -> tuple[int, ...]:
    """The shape of the operator's result: gpupool's own on the CPU, of an array without memory."""
    import gpupool

    x = np.broadcast_to(np.float32(0), (1, 1, *case.shape[2:]))
    return (*case.shape[:2], *getattr(gpupool, case.op)(x, *case.arguments).shape[2:])


def moved(case: Case, dtype: str) -> int:
    """Bytes that any implementation must move, starting from x."""
    return case.moved(prod(out_shape(case)), np.dtype(dtype).itemsize)


def backward_calls(array: Callable[[tuple[int, ...], str], Any]) -> Iterator[Callable[[], Any]]:
    """Calls of every row, on arrays that `array` makes: what has to be compiled before anything is measured."""
    import gpupool

    for case, dtype in gpu_cases():
        g, x, out = (array(shape, dtype) for shape in (out_shape(case), case.shape, case.shape))
        backward = getattr(gpupool, f"{case.op}_backward")
        yield lambda b=backward, g=g, x=x, out=out, case=case: b(g, x, *case.arguments, out=out)  # type: ignore[misc]


def torch_gradient(gpu: Gpu, case: Case, xs: list[Any], gs: list[Any]) -> Contender:
    """PyTorch's backward alone, of graphs that are there."""
    import torch

    external = torch.cuda.ExternalStream(gpu.timer.stream.ptr)
    operator = torch_operator(torch, case)
    with torch.enable_grad(), torch.cuda.stream(external):
        leaves = [torch.as_tensor(x, device="cuda").requires_grad_() for x in xs]
        results = [operator(leaf) for leaf in leaves]
    given = [torch.as_tensor(g, device="cuda") for g in gs]

    def call(i: int) -> Any:
        with torch.cuda.stream(external):
            return torch.autograd.grad(results[i], leaves[i], given[i], retain_graph=True)[0]

    return Contender("torch", call)


def measure(gpu: Gpu, case: Case, dtype: str, rounds: int) -> Row:
    """One gradient; whatever goes wrong is in the row."""
    import gpupool

    size = moved(case, dtype)
    row = Row(case.id, dtype, size)
    sets = min(MAX_CALLS, buffer_sets(size, l2_bytes(gpu.cupy)))
    backward, cupy = getattr(gpupool, f"{case.op}_backward"), gpu.cupy
    try:
        with gpu.timer.stream:
            xs = [random_device_array(cupy, case.shape, dtype) for _ in range(sets)]
            if case.kind == "lp":  # PyTorch takes powers of x, we of |x|; at 0 the gradient of p = 1 is 1 there, 0 here
                xs = [cupy.maximum(abs(x), np.float32(1e-6)) for x in xs]
            gs = [random_device_array(cupy, out_shape(case), dtype) for _ in range(sets)]
            outs = [cupy.empty(case.shape, dtype) for _ in range(sets)]
            ours = Contender("gpupool", lambda i: backward(gs[i], xs[i], *case.arguments, out=outs[i]))
            theirs = torch_gradient(gpu, case, xs, gs)
            ours.call(0)
            wanted = cupy.asarray(theirs.call(0)).astype(np.float64)
            largest = float(abs(wanted).max())
            difference = float(abs(outs[0].astype(np.float64) - wanted).max()) / largest
            contenders = [ours, theirs, *copies(cupy, size, sets, gpu.timer.stream)]
        gpu.timer.measure(contenders, sets, rounds)
    except Exception as error:  # one broken row must not cost the others
        return row._replace(problem=reason(error))
    gpupool_us, torch_us, *copy_us = (round(c.seconds * 1e6, 3) for c in contenders)
    problem = "" if difference <= CLOSE[dtype] else f"differs from PyTorch's by {difference:.1e} of the largest"
    forms = {c.name: c.note for c in contenders}
    return Row(case.id, dtype, size, gpupool_us, torch_us, min(copy_us), difference, forms, problem)


def line(row: Row) -> str:
    """A row of the printed table."""
    if row.gpupool_us is None or row.torch_us is None or row.copy_us is None:
        return f"{row.case:54}{row.dtype:>9}  ERROR {row.problem}"
    figures = f"{row.gpupool_us:10.1f}{row.torch_us:10.1f}{row.copy_us:10.1f}"
    ratios = f"{row.torch_us / row.gpupool_us:9.2f}x{row.copy_us / row.gpupool_us:8.2f}"
    return f"{row.case:54}{row.dtype:>9}{figures}{ratios}  {row.problem}"


def main(argv: Sequence[str] | None = None) -> int:
    """0, or 1 if a gradient is wrong, 2 if there is nothing to measure with."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    p = argparse.ArgumentParser(prog="python -m benchmarks.gpu_backward", description=__doc__)
    p.add_argument("--rounds", type=int, default=11, metavar="N", help="samples, of which the median counts")
    p.add_argument("--json", type=Path, metavar="PATH", help="write the results here")
    args = p.parse_args(arguments)
    try:
        gpu = Gpu.find()
    except NoGpu as error:
        print(f"benchmarks.gpu_backward: {error}", file=sys.stderr)
        return 2
    head = machine.description(shlex.join(["python", "-m", "benchmarks.gpu_backward", *arguments]))
    print(f"{gpu.name}, driver {machine.driver()}")
    titles = ("gpupool us", "torch", "copy", "x torch", "x copy")
    print(f"{'case':63}" + "".join(f"{t:>10}" for t in titles))
    rows = []
    for case, dtype in gpu_cases():
        rows.append(measure(gpu, case, dtype, args.rounds))
        gpu.cupy.get_default_memory_pool().free_all_blocks()
        print(line(rows[-1]), flush=True)
    if args.json is not None:
        about = {"device": gpu.name, "driver": machine.driver()}
        args.json.write_text(json.dumps(about | head | {"rows": [r._asdict() for r in rows]}, indent=1))
    return 1 if any(row.problem for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
