"""Gradients on the CPU beside PyTorch's: `python -m benchmarks.backward`.

PyTorch's backward of a maximum starts from the indices that its forward saved, ours from x; so both the backward alone
and forward and backward together are timed, and the gradients compared.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Callable, Sequence
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import machine
from benchmarks.timing import (
    Contender,
    available_threads,
    buffer_sets,
    last_level_cache_bytes,
    measure_cpu,
    random_array,
    touched,
)

SECONDS = 1.0  # per round at most, on average: slow calls get fewer rounds
LARGEST_CACHE = 64 << 20  # that buffers are to exceed: a virtual machine shows a whole host's


class Case(NamedTuple):
    """One gradient: the function, the shape (N, C, *spatial), and gpupool's arguments."""

    op: str
    shape: tuple[int, ...]
    arguments: tuple[int, ...] = ()  # kernel_size, stride, padding; norm_type, kernel_size, stride; or output_size

    @property
    def id(self) -> str:
        """A name that says everything."""
        letters = "pks" if self.op.startswith("lp") else "o" if self.op.startswith("adaptive") else "ksp"
        words = "".join(f"{k}{v}" for k, v in zip(letters, self.arguments, strict=False)) or "all"
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
    Case("max_pool2d", (32, 192, 28, 28), (3, 1, 1)),
    Case("max_pool2d", (16, 256, 20, 20), (5, 1, 2)),
    Case("adaptive_max_pool2d", (16, 256, 20, 20), (7,)),
    Case("min_pool2d", BIG, (3, 2, 1)),
    Case("sum_pool2d", BIG, (3, 2, 1)),
    Case("lp_pool2d", BIG, (1, 2, 2)),
    Case("lp_pool2d", BIG, (2, 2, 2)),
    Case("lp_pool2d", BIG, (2, 3, 2)),
    Case("lp_pool2d", BIG, (3, 2, 2)),
    Case("global_avg_pool2d", BIG),
    Case("global_max_pool2d", BIG),
    Case("max_unpool2d", (16, 64, 56, 56), (2, 2)),
    Case("max_pool1d", (64, 128, 8000), (3, 2, 0)),
    Case("avg_pool1d", (64, 128, 8000), (3, 2, 0)),
    Case("max_pool3d", (2, 32, 64, 96, 96), (2, 2, 0)),
    Case("avg_pool3d", (2, 32, 64, 96, 96), (2, 2, 0)),
]
TINY = (2, 3, 9, 10)
SMOKE = [
    Case("max_pool2d", TINY, (2, 2, 0)),
    Case("adaptive_avg_pool2d", TINY, (4,)),
    Case("min_pool2d", TINY, (3, 1, 1)),
    Case("sum_pool2d", TINY, (3, 1, 1)),
    Case("lp_pool2d", TINY, (2, 2, 2)),
    Case("global_max_pool2d", TINY),
    Case("max_unpool2d", TINY, (2, 2)),
    Case("max_pool1d", (2, 3, 17), (3, 2, 0)),
    Case("avg_pool3d", (2, 3, 5, 6, 7), (2, 2, 0)),
]


class Row(NamedTuple):
    """Milliseconds of one case, backward alone and forward and backward; and how far the gradients are apart."""

    case: str
    ours: float
    ours_both: float
    torch: float
    torch_both: float
    largest_difference: float


def torch_operator(torch: Any, case: Case) -> Callable[..., Any]:
    """PyTorch's operator, of a tensor and perhaps indices: minima and sums as its users write them."""
    nn, (kind, _, rest) = torch.nn.functional, case.op.partition("_")
    a, axes = case.arguments, tuple(range(2, len(case.shape)))
    if kind == "min":
        return lambda x: -getattr(nn, f"max_{rest}")(-x, *a)
    if kind == "sum":
        return lambda x: getattr(nn, f"avg_{rest}")(x, *a, divisor_override=1)
    if kind == "global":
        return lambda x: (torch.mean if "avg" in rest else torch.amax)(x, axes, keepdim=True)
    public = getattr(nn, case.op)
    return lambda x, *indices: public(x, *indices, *a)


def inputs_of(case: Case, sets: int) -> tuple[list[np.ndarray], list[tuple[np.ndarray, ...]]]:
    """Arrays of the case's shape, and what the operator takes besides: indices, of unpooling."""
    rng = np.random.default_rng(0)
    xs = [random_array(rng, case.shape, "float32") for _ in range(sets)]
    if "unpool" not in case.op:
        return xs, [()] * sets
    import gpupool

    (k, s), pool = case.arguments, getattr(gpupool, case.op.replace("un", ""))
    shape = case.shape[:2] + tuple(n * s for n in case.shape[2:])
    pairs = [pool(random_array(rng, shape, "float32"), k, s, return_indices=True) for _ in xs]
    return [pair[0] for pair in pairs], [(pair[1],) for pair in pairs]


def measure(case: Case, threads: int, rounds: int) -> Row:
    """One case, both libraries on the same memory; the results are held against each other."""
    import torch

    import gpupool

    gpupool.set_num_threads(threads)
    torch.set_num_threads(threads)
    sets = buffer_sets(8 * prod(case.shape), min(last_level_cache_bytes(), LARGEST_CACHE))
    xs, more = inputs_of(case, sets)
    forward, backward = getattr(gpupool, case.op), getattr(gpupool, f"{case.op}_backward")
    a, operator, rng = case.arguments, torch_operator(torch, case), np.random.default_rng(1)
    ys = [forward(x, *extra, *a) for x, extra in zip(xs, more, strict=True)]
    grads, outs = [random_array(rng, y.shape, "float32") for y in ys], [touched(x.shape, "float32") for x in xs]
    leaves, given = [torch.from_numpy(x).requires_grad_() for x in xs], [torch.from_numpy(g) for g in grads]
    with_it = [tuple(map(torch.from_numpy, extra)) for extra in more]
    graphs = [operator(leaf, *extra) for leaf, extra in zip(leaves, with_it, strict=True)]

    def ours(i: int) -> Any:
        return backward(grads[i], xs[i], *more[i], *a, out=outs[i])

    def ours_both(i: int) -> Any:
        forward(xs[i], *more[i], *a, out=ys[i])
        return ours(i)

    def theirs(i: int) -> Any:
        return torch.autograd.grad(graphs[i], leaves[i], given[i], retain_graph=True)[0]

    def theirs_both(i: int) -> Any:
        return torch.autograd.grad(operator(leaves[i], *with_it[i]), leaves[i], given[i])[0]

    difference = float(np.abs(ours_both(0) - theirs(0).numpy()).max())
    calls = {"ours": ours, "ours_both": ours_both, "torch": theirs, "torch_both": theirs_both}
    contenders = [Contender(name, call) for name, call in calls.items()]
    measure_cpu(contenders, sets, rounds, SECONDS * rounds)
    return Row._make((case.id, *(round(c.seconds * 1e3, 4) for c in contenders), difference))


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
    p.add_argument("--rounds", type=int, default=7, metavar="N", help="samples, of which the median counts")
    p.add_argument("--smoke", action="store_true", help="tiny cases: does the tool work?")
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
