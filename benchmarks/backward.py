"""Gradients on the CPU beside PyTorch's: `python -m benchmarks.backward`.

The peer is PyTorch's backward alone, of a graph that is there. A maximum's starts from the indices that its forward
saved, ours from x, from such indices, or from offsets, which take an eighth of their memory, as the case says. Forward
and backward together are timed, too, and a copy of as many bytes; each gradient is held against PyTorch's. All results
are new arrays, as PyTorch's are.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import machine, timing
from benchmarks.backward_cases import CASES, SMOKE, Case, torch_operator
from benchmarks.cpu_rows import reason
from benchmarks.peers import copy_cpu
from benchmarks.report import Row, closing_text, geometric_mean, summary
from benchmarks.run import QUIET
from benchmarks.timing import Contender, random_array

LARGEST_CACHE = 64 << 20  # that buffers are to exceed: a virtual machine shows a whole host's
CLOSE = 1e-5  # of the largest gradient


@dataclass
class GradientRow(Row):
    """A row whose peer is PyTorch's backward; forward and backward together, and how far the gradients are apart."""

    both_us: dict[str, float] = field(default_factory=dict)
    difference: float | None = None  # of the largest gradient


class Data(NamedTuple):
    """Arrays of one case, as many as make caches cold, in the case's layout."""

    xs: list[np.ndarray]
    more: list[tuple[np.ndarray, ...]]  # operands of the operator besides x: indices of unpooling, or samples
    where: list[Any]  # what the gradient starts from besides x: indices, offsets or None
    windows: int
    grads: list[np.ndarray]


class Ours(NamedTuple):
    """gpupool's two functions of a case, of an index of buffers."""

    forward: Callable[[int], Any]
    backward: Callable[[int], Any]


def functions(case: Case) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Forward and backward, of arrays and further operands, and of what they are told by name."""
    import gpupool

    forward, backward = getattr(gpupool, case.op), getattr(gpupool, f"{case.op}_backward")
    a, samples = case.arguments, case.kind == "fractional"
    layout = {"data_format": case.layout}

    def run_forward(x: Any, *more: Any, **named: Any) -> Any:
        named |= {"_random_samples": more[0]} if samples else {}
        return forward(x, *(() if samples else more), *a, **layout, **named)

    def run_backward(g: Any, x: Any, *more: Any, **named: Any) -> Any:
        named |= {"_random_samples": more[0]} if samples else {}
        return backward(g, x, *(() if samples else more), *a, **layout, **named)

    return run_forward, run_backward


def operands(case: Case, rng: np.random.Generator, sets: int) -> tuple[list[Any], list[tuple[np.ndarray, ...]]]:
    """x, and what the operator takes besides."""
    xs = [random_array(rng, case.in_layout(case.shape), "float32") for _ in range(sets)]
    if case.kind == "lp":  # PyTorch takes powers of x, we of |x|
        return [abs(x) for x in xs], [()] * sets
    if case.kind == "fractional":
        return xs, [(rng.random((*case.shape[:2], len(case.shape) - 2), np.float32),) for _ in xs]
    if not case.unpools:
        return xs, [()] * sets
    s = case.arguments[1]
    shape = case.shape[:2] + tuple(int(n * s) for n in case.shape[2:])
    whole = case._replace(op=case.op.replace("un", ""), shape=shape)
    pool = functions(whole)[0]
    pairs = [pool(random_array(rng, case.in_layout(whole.shape), "float32"), return_indices=True) for _ in xs]
    return [y for y, _ in pairs], [(where,) for _, where in pairs]


def data_of(case: Case, sets: int) -> Data:
    """Everything that is prepared outside of the timed region."""
    rng = np.random.default_rng(0)
    xs, more = operands(case, rng, sets)
    forward = functions(case)[0]
    named: dict[str, Any] = {} if case.source == "x" else {
        "return_indices": True if case.source == "indices" else "offsets"
    }  # fmt: skip
    results = [forward(x, *m, **named) for x, m in zip(xs, more, strict=True)]
    ys, where = ([r[0] for r in results], [r[1] for r in results]) if named else (results, [None] * sets)
    grads = [random_array(rng, y.shape, "float32") for y in ys]
    return Data(xs, more, where, ys[0].size, grads)


def ours(case: Case, data: Data) -> Ours:
    """gpupool, into new arrays, as PyTorch does."""
    forward, backward = functions(case)
    found: dict[str, Any] = {}
    if case.source != "x":
        found = {"return_indices": True if case.source == "indices" else "offsets"}

    def run_forward(i: int) -> Any:
        return forward(data.xs[i], *data.more[i], **found)

    def run_backward(i: int) -> Any:
        start = {"indices": data.where[i]} if found else {}
        return backward(data.grads[i], data.xs[i], *data.more[i], **start)

    return Ours(run_forward, run_backward)


def theirs(case: Case, data: Data) -> tuple[Callable[[int], Any], Callable[[int], Any]]:
    """PyTorch's backward alone, and with the forward, on the same memory."""
    import torch

    last = len(case.shape) - 1

    def view(a: np.ndarray) -> Any:
        """(N, C, *spatial) of an array in the case's layout: channels last become PyTorch's memory format."""
        tensor = torch.from_numpy(a)
        return tensor if case.layout == "channels_first" else tensor.permute(0, last, *range(1, last))

    operator = torch_operator(torch, case)
    leaves, given = [view(x).requires_grad_() for x in data.xs], [view(g) for g in data.grads]
    plain = case.kind == "fractional"  # samples have no layout
    more = [tuple((torch.from_numpy if plain else view)(m) for m in some) for some in data.more]
    graphs = [operator(leaf, *m) for leaf, m in zip(leaves, more, strict=True)]

    def alone(i: int) -> Any:
        return torch.autograd.grad(graphs[i], leaves[i], given[i], retain_graph=True)[0]

    def both(i: int) -> Any:
        return torch.autograd.grad(operator(leaves[i], *more[i]), leaves[i], given[i])[0]

    return alone, both


def difference(case: Case, got: np.ndarray, wanted: Any) -> float:
    """How far two gradients are apart, of the largest one; infinity where one is no number."""
    if case.layout != "channels_first":
        got = np.moveaxis(got, -1, 1)
    apart = np.abs(got.astype(np.float64) - wanted.numpy())
    largest = float(np.abs(wanted.numpy()).max())
    return float(apart.max()) / largest if np.isfinite(apart).all() else float("inf")


def measure(case: Case, threads: int, rounds: int, seconds: float) -> GradientRow:
    """One case; whatever goes wrong is in the row's errors."""
    import torch

    import gpupool

    gpupool.set_num_threads(threads)
    torch.set_num_threads(threads)
    elements = prod(case.shape)
    sets = timing.buffer_sets(8 * elements, min(timing.last_level_cache_bytes(), LARGEST_CACHE))
    row = GradientRow(case.id, "float32", case.layout, 0, buffers=sets)
    try:
        data = data_of(case, sets)
        row.bytes = case.moved(data.windows)
        mine, (alone, both) = ours(case, data), theirs(case, data)
        mine.forward(0)
        row.difference = difference(case, mine.backward(0), alone(0))
        if not row.difference <= CLOSE:
            row.errors.append(f"differs from PyTorch's gradient by {row.difference:.1e} of the largest")
            return row
        calls = {
            "gpupool": mine.backward, "torch": alone,
            "gpupool_both": lambda i: (mine.forward(i), mine.backward(i)), "torch_both": both,
        }  # fmt: skip
        contenders = [Contender(name, call) for name, call in calls.items()]
        contenders.append(copy_cpu(row.bytes, sets, threads))
        timing.measure_cpu(contenders, sets, rounds, seconds)
    except Exception as error:  # one broken row must not cost the others
        row.errors.append(reason(error))
        return row
    row.take(contenders)
    row.both_us = {name: row.peers.pop(f"{name}_both") for name in ("gpupool", "torch")}
    return row


def line(row: GradientRow) -> str:
    """A row of the printed table, in ms."""
    if row.errors or row.gpupool_us is None or row.to_copy is None:
        return f"{row.case:76}  ERROR {' '.join(row.errors)}"
    figures = (row.gpupool_us, row.peers["torch"], *row.both_us.values(), row.copy_us or 0.0)
    ratios = (row.to_peer or 0.0, row.both_us["torch"] / row.both_us["gpupool"], row.to_copy)
    return f"{row.case:76}" + "".join(f"{v / 1e3:10.2f}" for v in figures) + "".join(f"{r:10.2f}" for r in ratios)


def both_ratio(rows: list[GradientRow]) -> float | None:
    """The geometric mean of PyTorch's forward and backward to ours."""
    return geometric_mean([row.both_us["torch"] / row.both_us["gpupool"] for row in rows if row.both_us])


def write(path: Path, head: dict[str, Any], rows: list[GradientRow], late: list[str]) -> None:
    """The results as `benchmarks.run` writes them, so that `benchmarks.plot` draws them."""
    means = summary(list(rows)) | {"geomean_forward_and_backward": both_ratio(rows)}
    data = head | {"summary": means, "not_run": late, "rows": [asdict(row) for row in rows]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=1) + "\n")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(prog="python -m benchmarks.backward", description=__doc__)
    p.add_argument("--cases", default="", metavar="SUBSTR", help="only cases whose name contains this")
    p.add_argument("--threads", type=int, default=timing.available_threads(), metavar="N", help="for both")
    p.add_argument("--rounds", type=int, default=9, metavar="N", help="samples, of which the median counts")
    p.add_argument("--case-seconds", type=float, default=1.5, metavar="S", help="timed part per case")
    p.add_argument("--seconds", type=float, default=460.0, metavar="S", help="start no further case after this long")
    p.add_argument("--smoke", action="store_true", help="tiny cases: does the tool work?")
    p.add_argument("--json", type=Path, metavar="PATH", help="write the results here")
    return p


def run_rows(cases: list[Case], args: argparse.Namespace) -> tuple[list[GradientRow], list[str]]:
    """Measure and print the cases until the time is up; the names of those that are left."""
    rows: list[GradientRow] = []
    start = time.monotonic()
    for index, case in enumerate(cases):
        if time.monotonic() - start >= args.seconds:
            return rows, [late.id for late in cases[index:]]
        rows.append(measure(case, args.threads, args.rounds, args.case_seconds))
        print(line(rows[-1]), flush=True)
    return rows, []


def main(argv: Sequence[str] | None = None) -> int:
    """Run the cases: 0, or 1 if a gradient differs from PyTorch's, 2 if there is nothing to run or no PyTorch."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    args = parser().parse_args(arguments)
    cases = [case for case in (SMOKE if args.smoke else CASES) if args.cases in case.id]
    try:
        import torch
    except ModuleNotFoundError:
        print('benchmarks.backward: torch is not installed: pip install ".[bench]"', file=sys.stderr)
        return 2
    if not cases:
        print(f"benchmarks.backward: no case contains {args.cases!r}", file=sys.stderr)
        return 2
    head = {"device": machine.cpu_model(), "threads": args.threads}
    head |= machine.description(shlex.join(["python", "-m", "benchmarks.backward", *arguments]))
    others = machine.OthersShare()
    print(f"{head['device']}, {args.threads} threads, load {machine.load_average()}, PyTorch {torch.__version__}")
    titles = ("gpupool ms", "torch", "both", "torch's", "copy", "x torch", "x both", "x copy")
    print(f"{'case':76}" + "".join(f"{t:>10}" for t in titles))
    rows, late = run_rows(cases, args)
    head["cpu_used_by_others"] = others()
    print(closing_text(list(rows), late))
    if any(row.both_us for row in rows):
        print(f"geometric mean of forward and backward: {both_ratio(rows):.2f} times PyTorch's")
    if (head["cpu_used_by_others"] or 0) > QUIET:
        print(f"NOISY: other processes used {head['cpu_used_by_others']:.0%} of this machine's CPU time meanwhile")
    if args.json is not None:
        write(args.json, head, rows, late)
        print(f"wrote {args.json}")
    return 1 if any(row.errors for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
