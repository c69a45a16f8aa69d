"""Gradients on the CPU beside PyTorch's: `python -m benchmarks.backward`.

PyTorch's backward of a maximum starts from the indices that its forward saved, ours from x; so both the backward alone
and forward and backward together are timed, and the gradients compared.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import machine
from benchmarks.timing import available_threads, touched

SECONDS = 0.3  # per round at most, on average: slow calls get fewer rounds


class Case(NamedTuple):
    """One gradient: the function without its dimension, the shape (N, C, H, W), and PyTorch's arguments."""

    op: str
    shape: tuple[int, ...]
    arguments: tuple[int, ...]  # kernel_size, stride, padding; or output_size

    @property
    def id(self) -> str:
        """A name that says everything."""
        words = "".join(f"{k}{v}" for k, v in zip("ksp", self.arguments, strict=False))
        words = f"o{self.arguments[0]}" if self.op.startswith("adaptive") else words
        return f"{self.op}_backward-{words}-{'x'.join(map(str, self.shape))}"


BIG = (16, 64, 112, 112)
CASES = [
    Case("max_pool2d", BIG, (2, 2, 0)),
    Case("max_pool2d", BIG, (3, 2, 1)),
    Case("max_pool2d", BIG, (3, 1, 1)),
    Case("avg_pool2d", BIG, (2, 2, 0)),
    Case("avg_pool2d", BIG, (3, 1, 1)),
    Case("avg_pool2d", BIG, (3, 2, 1)),
    Case("avg_pool2d", BIG, (7, 7, 0)),
    Case("adaptive_avg_pool2d", BIG, (50,)),
    Case("adaptive_max_pool2d", BIG, (50,)),
    Case("adaptive_avg_pool2d", BIG, (1,)),
    Case("max_pool2d", (16, 256, 20, 20), (5, 1, 2)),
]
SMOKE = [Case("max_pool2d", (2, 3, 9, 10), (2, 2, 0)), Case("adaptive_avg_pool2d", (2, 3, 9, 10), (4,))]


class Row(NamedTuple):
    """Milliseconds of one case, backward alone and forward and backward; and how far the gradients are apart."""

    case: str
    ours: float
    ours_both: float
    torch: float
    torch_both: float
    largest_difference: float


def best(call: Callable[[], Any], rounds: int) -> float:
    """Milliseconds of the fastest of some rounds, after one that warms up."""
    call()
    times: list[float] = []
    while len(times) < rounds and sum(times) < SECONDS * rounds:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times) * 1e3


def measure(case: Case, threads: int, rounds: int) -> Row:
    """One case, both libraries on the same memory; the results are held against each other."""
    import torch

    import gpupool

    gpupool.set_num_threads(threads)
    torch.set_num_threads(threads)
    x = np.random.default_rng(0).standard_normal(case.shape).astype(np.float32)
    forward, backward = getattr(gpupool, case.op), getattr(gpupool, f"{case.op}_backward")
    y = forward(x, *case.arguments)
    grad, out = np.random.default_rng(1).standard_normal(y.shape).astype(np.float32), touched(x.shape, "float32")
    leaf, given = torch.from_numpy(x).requires_grad_(), torch.from_numpy(grad)
    public = getattr(torch.nn.functional, case.op)
    graph = public(leaf, *case.arguments)

    def ours_both() -> Any:
        forward(x, *case.arguments, out=y)
        return backward(grad, x, *case.arguments, out=out)

    def theirs() -> Any:
        return torch.autograd.grad(graph, leaf, given, retain_graph=True)[0]

    def theirs_both() -> Any:
        return torch.autograd.grad(public(leaf, *case.arguments), leaf, given)[0]

    difference = float(np.abs(ours_both() - theirs().numpy()).max())
    calls = (lambda: backward(grad, x, *case.arguments, out=out), ours_both, theirs, theirs_both)
    return Row._make((case.id, *(round(best(call, rounds), 3) for call in calls), difference))


def line(row: Row) -> str:
    """A row of the printed table."""
    figures = (row.ours, row.ours_both, row.torch, row.torch_both)
    ratios = f"{row.torch / row.ours:8.2f}x {row.torch_both / row.ours_both:8.2f}x"
    return f"{row.case:54}" + "".join(f"{v:10.2f}" for v in figures) + " " + ratios


def main(argv: Sequence[str] | None = None) -> int:
    """Run the cases: 0, or 1 if a gradient differs from PyTorch's, 2 if there is no PyTorch."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    p = argparse.ArgumentParser(prog="python -m benchmarks.backward", description=__doc__)
    p.add_argument("--threads", type=int, default=available_threads(), metavar="N", help="for both")
    p.add_argument("--rounds", type=int, default=7, metavar="N", help="samples, of which the fastest counts")
    p.add_argument("--smoke", action="store_true", help="two tiny cases: does the tool work?")
    p.add_argument("--json", type=Path, metavar="PATH", help="write the results here")
    args = p.parse_args(arguments)
    try:
        import torch
    except ModuleNotFoundError:
        print('benchmarks.backward: torch is not installed: pip install ".[bench]"', file=sys.stderr)
        return 2
    head = machine.description(shlex.join(["python", "-m", "benchmarks.backward", *arguments]))
    print(f"{machine.cpu_model()}, {args.threads} threads, load {machine.load_average()}, PyTorch {torch.__version__}")
    titles = ("gpupool ms", "fwd+bwd", "torch ms", "fwd+bwd", "backward", "fwd+bwd")
    print(f"{'case':54}" + "".join(f"{t:>10}" for t in titles))
    rows = []
    for case in SMOKE if args.smoke else CASES:
        rows.append(measure(case, args.threads, args.rounds))
        print(line(rows[-1]), flush=True)
    if args.json is not None:
        args.json.write_text(
            json.dumps(head | {"threads": args.threads, "rows": [r._asdict() for r in rows]}, indent=1)
        )
    wrong = [row.case for row in rows if row.largest_difference > 1e-5]
    if wrong:
        print(f"benchmarks.backward: gradients differ from PyTorch's: {', '.join(wrong)}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
