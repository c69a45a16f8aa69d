"""gpupool and its peers side by side in one run: `python -m benchmarks.run --device cpu`."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import cpu_rows, gpu_rows, machine
from benchmarks.cases import Case, select
from benchmarks.gpu_peers import GPU_PEERS
from benchmarks.launch import launch_costs
from benchmarks.peers import PEERS
from benchmarks.report import Row, Table, closing_text, write_json
from benchmarks.timing import available_threads

# On a GPU, compiling costs more than measuring: past this share of the time, torch.compile is left out, and said so.
COMPILE_SHARE = 0.75
# Above this share of the CPU time for other processes, figures say little: OpenMP loops wait 8 ms for a lost core.
QUIET = 0.05


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    p.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    p.add_argument("--cases", default="", metavar="SUBSTR", help="only cases whose name contains this")
    p.add_argument("--rounds", type=int, default=15, metavar="N", help="samples per contender (default: %(default)s)")
    p.add_argument("--seconds", type=float, metavar="S", help="start no further case after this long")
    p.add_argument("--case-seconds", type=float, default=5.0, metavar="S", help="timed part per CPU case (default: 5)")
    p.add_argument("--threads", type=int, default=available_threads(), metavar="N", help="for everyone on the CPU")
    p.add_argument("--peers", metavar="A,B", help="only these peers; an empty text for none")
    p.add_argument("--json", type=Path, metavar="PATH", help="write the results here")
    p.add_argument("--smoke", action="store_true", help="a few tiny cases: does the tool work?")
    p.add_argument("--list", action="store_true", help="print the names of the cases and stop")
    return p


def chosen_peers(text: str | None, known: Sequence[str]) -> tuple[str, ...]:
    """The peers named on the command line, all by default; ValueError for an unknown one."""
    if text is None:
        return tuple(known)
    names = tuple(name for name in text.split(",") if name)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"unknown peer {unknown[0]!r}; known are {', '.join(known)}")
    return names


def run_rows(
    cases: list[Case], table: Table, measure: Callable[[Case, float], Row], seconds: float | None
) -> tuple[list[Row], list[str]]:
    """Measure and print the cases until the time is up; `measure` gets the share of the time that is used."""
    rows: list[Row] = []
    start = time.monotonic()
    print(table.header(), flush=True)
    for index, case in enumerate(cases):
        used = 0.0 if seconds is None else (time.monotonic() - start) / seconds
        if used >= 1:
            return rows, [late.id for late in cases[index:]]
        rows.append(measure(case, used))
        print(table.line(rows[-1]), flush=True)
    return rows, []


def run_cpu(args: argparse.Namespace, cases: list[Case]) -> tuple[dict[str, Any], list[Row], list[str]]:
    """The CPU table."""
    peers = chosen_peers(args.peers, list(PEERS))
    settings = cpu_rows.Settings(args.threads, args.rounds, args.case_seconds, peers)
    head = {"device": machine.cpu_model(), "threads": args.threads}
    print(f"{head['device']}, {args.threads} threads, load {machine.load_average()}")
    rows, late = run_rows(cases, Table(list(peers), "ms"), lambda c, _: cpu_rows.run_case(c, settings), args.seconds)
    return head, rows, late


def run_cuda(args: argparse.Namespace, cases: list[Case]) -> tuple[dict[str, Any], list[Row], list[str]]:
    """The GPU table, and what a call costs the host."""
    peers = chosen_peers(args.peers, list(GPU_PEERS))
    gpu = gpu_rows.Gpu.find()
    head: dict[str, Any] = {"device": gpu.name, "driver": machine.driver(), "copy_GBps": round(gpu.copy_gbps(), 1)}
    head["launch"] = launch_costs(gpu.cupy)
    print(f"{gpu.name}, driver {head['driver']}, device copy {head['copy_GBps']} GB/s, host time {head['launch']}")

    def measure(case: Case, used: float) -> Row:
        late = used > COMPILE_SHARE and "torch.compile" in peers
        now = tuple(name for name in peers if not (late and name == "torch.compile"))
        row = gpu_rows.run_case(gpu, case, args.rounds, now)
        gpu.cupy.get_default_memory_pool().free_all_blocks()
        if late:
            row.missing["torch.compile"] = "no time left to compile"
        return row

    # The same float32 rows with channels last come last: if the time is up, the others are measured.
    cases = sorted(cases, key=lambda case: (case.layout, case.dtype) == ("channels_last", "float32"))
    rows, late = run_rows(cases, Table(list(peers), "us"), measure, args.seconds)
    return head, rows, late


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmarks: 0, 1 if a result was wrong, 2 if nothing could be run."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    args = parser().parse_args(arguments)
    cases = select(args.device, args.cases, smoke=args.smoke)
    if args.list:
        print("\n".join(case.id for case in cases))
        return 0
    if not cases or args.rounds < 1 or args.threads < 1:
        problem = f"no case contains {args.cases!r}" if not cases else "--rounds and --threads must be at least 1"
        print(f"benchmarks.run: {problem}", file=sys.stderr)
        return 2
    command = shlex.join(["python", "-m", "benchmarks.run", *arguments])
    head = machine.description(command)
    others = machine.OthersShare()
    try:
        device, rows, late = (run_cpu if args.device == "cpu" else run_cuda)(args, cases)
    except (gpu_rows.NoGpu, ValueError) as error:
        print(f"benchmarks.run: {error}", file=sys.stderr)
        return 2
    head["cpu_used_by_others"] = others()
    print(closing_text(rows, late))
    if (head["cpu_used_by_others"] or 0) > QUIET:
        print(f"NOISY: other processes used {head['cpu_used_by_others']:.0%} of this machine's CPU time meanwhile")
    if args.json is not None:
        write_json(args.json, device | head, rows, late)
        print(f"wrote {args.json}")
    return 1 if any(row.errors for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
